# %% [markdown]
# # Widgets pick, preview and ask; plain values come out
#
# **Lesson:** every widget is a layer over a plain function, and what you click stands in plain
# Python values that the next cell can use.
# 10 minutes · needs nothing but this kernel. A stored notebook keeps no live widgets: run the
# cells to click, or read on; what you see stored is their static form.

# %%
import nbvision as nv

nv.connect("practice", words_per_second=None)
picker = nv.ImagePicker(nv.samples.photo.path.parent)
picker

# %% [markdown]
# Click a picture, or search, drop, paste or upload one. Clicking does what this line does:

# %%
picker.select("photo.jpg", "page.png")
picker.images

# %% [markdown]
# *Before you run the next cell:* the photograph is larger than what this model looks at. Which
# part of it will the model not see?

# %%
panel = nv.PreviewPanel(picker.images[0], model="claude-haiku-4-5")
panel

# %% [markdown]
# The *resized* view shows the very bytes that would be sent. Choosing another model in the menu
# does what this line does; sizes, tokens and price follow at once.

# %%
panel.model = "claude-opus-5-5"
panel.fit.resized, panel.fit.visual_tokens

# %% [markdown]
# A form over `describe`, `compare` and `locate`. It follows the picker; nothing is sent before
# *Ask* is pressed, and *Stop* stops it.

# %%
picker.clear()
picker.select("shapes.png")
form = nv.AskPanel(picker, "every shape", task="locate")
form

# %% [markdown]
# Pressing *Ask* does what `form.ask()` does. The answer stands under the form, stays there when
# the notebook is saved, and is a plain value:

# %%
form.ask()
found = form.wait(seconds=60)
found.boxes[0], len(found)

# %% [markdown]
# All three in one is the workbench; open it on a folder of yours.

# %%
bench = nv.Workbench(nv.samples.photo.path.parent, task="compare")
bench.picker.select("shelf_before.png", "shelf_after.png")
bench.ask()
bench.wait(seconds=60)
bench

# %% [markdown]
# A conversation takes new pictures at any turn, by drop or paste; here, from Python.

# %%
talk = nv.ConversationPanel()
talk.add(nv.samples.shapes)
talk.ask("What is in this picture?")
talk.wait(seconds=60)
talk

# %% [markdown]
# A saved notebook does not keep widgets. `freeze` replaces one by what it shows, as pictures
# and text; this line does it for all of them, before you share a notebook.
#
#     nv.freeze_widgets()
#
# **What you now know:** a widget is never the only way: `.images`, `.fit`, `.result` and
# `.chat` are plain values, and each widget has its plain function.
#
# **Try:** `picker.observe(print, names="images")` · paste a screenshot into the picker · turn on
# the patch grid and zoom to 400 % · cut `page.png` into crops in the preview.
#
# **Next:** `09_magics`
