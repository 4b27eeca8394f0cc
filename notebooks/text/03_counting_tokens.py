# %% [markdown]
# # Patches of 28 pixels are what you pay for
#
# **Lesson:** the size of a picture decides its price, and the size is your choice.
# 7 minutes · needs nothing but this kernel.

# %%
import nbvision as nv

nv.connect("practice")
page = nv.open_image(nv.samples.page)
nv.preview(page, model="claude-haiku-4-5")

# %% [markdown]
# Every patch of the grid costs one visual token. *Count one row and one column before you
# run the next cell.*

# %%
fit = nv.fit(page.size, model="claude-haiku-4-5")
columns, rows = fit.padded.width // 28, fit.padded.height // 28
columns, rows, columns * rows, fit.visual_tokens

# %% [markdown]
# Above a model's limit a picture is shrunk and costs no more. Below it, every patch counts.
# *At which width does this curve go flat?*

# %%
widths = range(100, 4000, 50)
tokens = {
    model: [nv.fit((width, width * 3 // 4), model=model).visual_tokens for width in widths]
    for model in ("claude-haiku-4-5", "claude-opus-5-5")
}
{model: max(counts) for model, counts in tokens.items()}

# %%
from matplotlib.figure import Figure

figure = Figure(figsize=(7, 3.2), layout="constrained")
axes = figure.add_subplot(xlabel="width of a 4:3 picture, pixels", ylabel="visual tokens")
for model, counts in tokens.items():
    axes.plot(widths, counts, label=model)
axes.legend(frameon=False)
nv.open_image(figure)

# %% [markdown]
# Tokens become money by the model's price. `estimate` adds the words; the connected service
# counts them for its own model, and for the others they are estimated.

# %%
nv.estimate(page, "What does the table say?", models=["claude-haiku-4-5", "claude-opus-5-5"])

# %% [markdown]
# All of this is computed here. Is it what the service does? Its token counter is free: it refuses
# a picture that it would have to resize, names the largest size that fits, and counts the rest.
# *Which questions would you ask it?*

# %%
proof = nv.prove(page, model=["claude-haiku-4-5", "claude-opus-5-5"])
proof

# %% [markdown]
# Five questions for each model, and nothing is paid. Here the practice server answers, by the
# rule that was published. With a key, `nv.prove(page)` asks the real counter; were its numbers
# others, they would stand in the table, and `proof.remember()` would use them in this kernel.

# %%
proof.agrees, proof.tiers

# %% [markdown]
# The prices come from a table with its date and its sources.

# %%
nv.models()

# %% [markdown]
# The table came with the package, and a notebook that is run again next year shows the same.
# What a service says *today* is one explicit line: limits, ends and the levels of effort that
# a model takes, from its Models API. Prices and tiers are not in there; those stay the table's.
# Asking is free, and changes what this kernel knows, no other. Here the practice server lists
# its own models.

# %%
listed = nv.models(refresh=True, backend=nv.connect("practice"))
stand_in = next(model for model in listed if model.id == "practice-standard")
stand_in.context_tokens, stand_in.efforts, stand_in.source

# %% [markdown]
# With a key it is the same line after `nv.connect("anthropic")`. A new model appears with its
# limits, marked: its tier is guessed by the stated rule, and its price is not known, which is
# not the same as nothing. Without a network, `nv.models(refresh="stored")` takes the list that
# was asked for last on this machine.

# %% [markdown]
# *Is the smaller picture good enough?* That is the question to ask before paying: half the
# width is a quarter of the tokens.

# %%
half = page.pixels.resize((page.size.width // 2, page.size.height // 2))
nv.estimate(half, "What does the table say?", models="claude-opus-5-5")

# %% [markdown]
# **What you now know:** a picture costs its patches, `⌈width / 28⌉ × ⌈height / 28⌉` after
# resizing, and `estimate` says the price before anything is sent.
#
# **Try:** find the cheapest size at which you can still read the page in the preview ·
# estimate ten pictures at once with a list.
#
# **Next:** `04_from_picture_to_request`
