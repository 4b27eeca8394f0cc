# %% [markdown]
# # The model sees a resized and padded picture, and so can you
#
# **Lesson:** what is previewed is what is sent, byte for byte.
# 8 minutes · needs nothing but this kernel.

# %%
import nbvision as nv

nv.connect("practice")
photo = nv.open_image(nv.samples.photo)
nv.preview(photo, model="claude-haiku-4-5")

# %% [markdown]
# Three pictures: the original, the frame it is resized to, and that frame filled at the right
# and at the bottom to whole patches of 28 pixels. The service does this without saying so;
# nbvision does it first, so that nothing is left to be done behind your back.
#
# *Before you run the next cell:* a newer model looks at larger pictures. How much larger?

# %%
nv.preview(photo, model="claude-opus-5-5")

# %% [markdown]
# The sizes are a value, computed from numbers alone.

# %%
fit = nv.fit(photo.size, model="claude-haiku-4-5")
fit.original, fit.resized, fit.padded

# %% [markdown]
# ## What resizing destroys
#
# A black dot of three pixels on a large white page. *Will it survive?*

# %%
from PIL import Image

page = Image.new("RGB", (6000, 4500), "white")
page.paste("black", (4200, 3100, 4203, 3103))
nv.describe(page, model="practice-standard")

# %% [markdown]
# The practice server works on the pixels it received, like a model: what the resize has
# washed out is gone. A crop is not resized, and there it is.

# %%
crop = nv.open_image(page).crop(3900, 2800, 4500, 3400)
nv.describe(crop, model="practice-standard")

# %% [markdown]
# `prepare` gives the very bytes, and `pixels` what they decode to.

# %%
ready = nv.prepare(photo, model="claude-haiku-4-5")
ready.media_type, len(ready.data), ready.pixels.size, ready.visual_tokens

# %% [markdown]
# `check` says before sending what is worth knowing. *What is wrong with this one?*

# %%
nv.check(Image.new("RGB", (90, 60), "navy"), model="claude-haiku-4-5")

# %% [markdown]
# **What you now know:** the model never sees the picture on your disk; it sees
# `fit.resized`, and `preview` shows it to you from the bytes themselves.
#
# **Try:** preview a very wide panorama · preview the same picture for both tiers and
# compare the tokens.
#
# **Next:** `03_counting_tokens`
