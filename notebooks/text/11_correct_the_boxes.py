# %% [markdown]
# # You draw the truth, and IoU says how far the model is from it
#
# **Lesson:** truth is drawn by hand, and IoU says how far the model is from it.
# 12 minutes · needs nothing but this kernel.

# %%
import nbvision as nv

nv.connect("practice", model="practice-standard")
shapes = nv.open_image(nv.samples.shapes)
shapes

# %% [markdown]
# Whether a model finds things well can only be said against somebody's truth. Draw it: drag on
# the picture, or press `n` and the arrow keys. Every edge is a whole pixel of the original.
#
# *Draw the red circle, the purple diamond and the small cyan square. How exact is your hand?*

# %%
editor = nv.BoxEditor(shapes, labels=["red circle", "purple diamond", "small cyan square"])
editor

# %% [markdown]
# What you draw is in `editor.boxes` at once, and what you set there is drawn. If you have drawn
# nothing, this takes what a hurried hand drew.

# %%
hurried = [
    nv.Box(228, 194, 811, 806, "red circle"),
    nv.Box(1290, 1068, 1806, 1652, "purple diamond"),
    nv.Box(2770, 893, 2876, 999, "small cyan square"),
]
editor.boxes = editor.boxes or hurried
editor.boxes

# %% [markdown]
# Now the model. *Before you run it: each box above is some 8 pixels off. For which of the three
# will the agreement be worst?*

# %%
found = nv.locate(shapes, nv.samples.shapes.prompt)
matches = nv.match_boxes(editor.boxes, found)
matches

# %% [markdown]
# IoU is the area two boxes share, divided by the area they cover together. The same slip of the
# hand costs a small box far more: here 8 pixels to the side, on boxes of 600, 100 and 20.

# %%
[
    (side, round(nv.Box(0, 0, side, side).iou(nv.Box(8, 0, side + 8, side)), 2))
    for side in (600, 100, 20)
]

# %% [markdown]
# With the model's boxes beside yours, the editor above shows them dashed and gives the overlap
# of each pair.

# %%
editor.against = found
editor.matches.mean_iou

# %% [markdown]
# Is a box *right*? That is for you to decide, by the overlap that your work needs.
# *What would you ask for before cutting the thing out? And before counting it?*

# %%
[(least, round(matches.recall(least), 2)) for least in (0.5, 0.75, 0.9, 0.95)]

# %% [markdown]
# Recall is the share of yours that was found; precision the share of the model's that is yours.
# The model is blamed here for six shapes that you have not drawn: half a truth makes good
# answers look wrong.

# %%
whole = nv.match_boxes(nv.samples.shapes.truth, found)
matches.precision(), whole.precision(), round(whole.mean_iou, 3)

# %% [markdown]
# To correct a model instead of drawing everything, begin with what it found. It is quicker, and
# it makes you lenient: for a measurement, draw first and look at the model's boxes later.

# %%
correction = nv.BoxEditor(found)
line = nv.Box(220, 1760, 2780, 1784, "black line")  # what a person would drag
correction.boxes = [line if box.label == line.label else box for box in correction.boxes]
correction

# %% [markdown]
# **What you now know:** truth is drawn, not assumed; `match_boxes` pairs it with the model's
# boxes, and says what was missed and what is extra; one number without the other misleads.
#
# **Try:** `correction.undo()` · `nv.match_boxes(…, at_least=0.5)` · points with Shift+click, in
# `editor.points` · a crop: `nv.BoxEditor(shapes.crop(2700, 800, 2950, 1100))`
#
# **Next:** `12_files_and_long_conversations`
