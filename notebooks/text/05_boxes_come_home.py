# %% [markdown]
# # Boxes arrive in resized pixels and come home to yours
#
# **Lesson:** the model speaks of the frame it saw; `Fit` brings its boxes back to your picture.
# 10 minutes · needs nothing but this kernel.

# %%
import nbvision as nv

nv.connect("practice", model="practice-standard")
shapes = nv.open_image(nv.samples.shapes)
shapes

# %% [markdown]
# *Before you run the next cell:* the picture is wider than what the model looks at. Where
# would boxes land if nobody corrected them?

# %%
found = nv.locate(shapes, nv.samples.shapes.prompt)
found

# %% [markdown]
# Two sets of numbers for the same things: what the model said, and where that is on the
# original.

# %%
found.boxes_in_resized[0], found.boxes[0]

# %% [markdown]
# The value that has travelled along since the picture was prepared does the work.

# %%
fit = found.images[0].fit
fit.original, fit.resized, fit.to_original(found.boxes_in_resized[0])

# %% [markdown]
# How good is it? The samples come with their truth; 1.0 is a perfect overlap. *Guess what the
# uncorrected boxes would score.*

# %%
truth = nv.samples.shapes.truth
[(box.label, round(max(box.iou(true) for true in truth), 3)) for box in found.boxes]

# %%
[(box.label, round(max(box.iou(t) for t in truth), 3)) for box in found.boxes_in_resized]

# %% [markdown]
# A photograph, the same call.

# %%
nv.locate(nv.samples.photo, nv.samples.photo.prompt)

# %% [markdown]
# A crop keeps its origin, so its boxes land on the whole picture too.

# %%
box = found.boxes[0]
around = [int(box.left) - 60, int(box.top) - 60, int(box.right) + 60, int(box.bottom) + 60]
close = nv.locate(shapes.crop(*around), nv.samples.shapes.prompt)
[box.iou(other) for other in close.boxes]

# %% [markdown]
# *No boxes* and *boxes that cannot be read* are different results: the first is empty, the
# second is an error that keeps the words.

# %%
nv.locate(shapes, "every pink star").boxes

# %% [markdown]
# **What you now know:** never draw a model's numbers on your picture as they are; `locate`
# gives them in your pixels, and `Fit` does it for any box or point.
#
# **Try:** `found.plot()`, also on axes of your own · `found.to_coco()` · turn the picture with
# Pillow and locate again.
#
# **Next:** `06_small_things`
