# %% [markdown]
# # Three lines take a picture to a description
#
# **Lesson:** open, describe, read: no key and no network are needed to learn it.
# 5 minutes · needs nothing but this kernel.
#
# The practice server answers here. It speaks the real protocol on your own machine, so the
# real client runs, but it is not a language model: it measures pixels and says what it measured.

# %%
import nbvision as nv

nv.connect("practice")

# %% [markdown]
# A photograph that comes with the package. Anything else works too: a path, bytes, a web
# address, a Pillow image, an array, a matplotlib figure.

# %%
photo = nv.open_image(nv.samples.photo)
photo

# %% [markdown]
# *Before you run the next cell:* what would you say of this picture in one sentence?
# And what could a program say that only counts pixels?

# %%
reply = nv.describe(photo)
reply

# %% [markdown]
# The reply is a value, not only a display. It holds the words, what they cost, and the
# request that was sent, with the picture's bytes abridged.

# %%
reply.usage, reply.cost, reply.stop_reason

# %%
reply.request

# %% [markdown]
# Ask your own question with the same three lines. *Which colours does the practice server
# know?* Ask it for one that is not there.

# %%
nv.describe(photo, "Which colours are in this picture, and how much of each?")

# %% [markdown]
# Two pictures are compared in the order in which they are given; each gets its number.
# *Find the differences yourself first.*

# %%
before, after = nv.open_image(nv.samples.shelf_before), nv.open_image(nv.samples.shelf_after)
before

# %%
after

# %%
nv.compare([before, after])

# %% [markdown]
# **What you now know:** `nv.connect`, `nv.open_image` and `nv.describe` take any picture to
# words, and the reply keeps what it cost and what was sent.
#
# **Try:** `nv.describe("your/picture.jpg")` · `nv.describe(photo, max_tokens=20)` and read
# the error it gives: it keeps the words.
#
# **Next:** `02_what_the_model_sees`
