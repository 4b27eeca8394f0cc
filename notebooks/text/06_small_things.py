# %% [markdown]
# # Small things need a picture of their own
#
# **Lesson:** what the resize has destroyed nobody can find; a crop gives each thing more pixels,
# and its boxes still come home to the whole picture.
# 12 minutes · needs nothing but this kernel.

# %%
from PIL import Image

import nbvision as nv

nv.connect("practice", model="practice-standard", words_per_second=None)
sheet = nv.open_image(nv.samples.shapes).crop(180, 160, 2900, 1700)
card = sheet.pixels.resize((109, 62), Image.Resampling.LANCZOS)
places = [(80 + 640 * (n % 5), 60 + 520 * (n // 5) + 37 * (n % 3)) for n in range(20)]
canvas = Image.new("RGB", (3200, 2200), "white")
for spot in places:
    canvas.paste(card, spot)
nv.open_image(canvas)

# %% [markdown]
# (Hundreds of boxes will be written, at once instead of at a reader's pace: `words_per_second`.)
#
# Twenty cards on a wall, eight shapes on each; the smallest are 4 pixels wide. Where they are
# follows from the sample's own truth, so that success can be counted.

# %%
wall, truth = nv.open_image(canvas), []
for x, y in places:
    for box in nv.samples.shapes.truth[:8]:
        left, right = ((edge - 180) / 25 + x for edge in (box.left, box.right))
        top, bottom = ((edge - 160) / 25 + y for edge in (box.top, box.bottom))
        truth.append(nv.Box(left, top, right, bottom, box.label))
len(truth), truth[6]

# %% [markdown]
# *Before you run the next cell:* this model looks at 1316 × 905 pixels. How wide is that
# smallest shape there? The same card, enlarged: at the left as you own it, at the right as the
# model sees it.

# %%
sent = nv.prepare(wall)
here = nv.Box(*places[0], places[0][0] + 109, places[0][1] + 62)
frame = nv.open_image(sent.data)
pair = Image.new("RGB", (660, 190), "white")
for column, (picture, box) in enumerate([(wall, here), (frame, sent.fit.to_resized(here))]):
    pair.paste(picture.crop(*box.xyxy).pixels.resize((325, 185)), (335 * column, 0))
nv.open_image(pair)

# %% [markdown]
# Each dot is less than two pixels now: no shape is left of it, and hardly its colour.
# `nv.preview(wall)` shows the whole frame like that before anything is paid. Now ask all the
# same, and count.

# %%
found = nv.locate(wall, "every shape")
matches = nv.match_boxes(truth, found)
matches.summary(), f"recall {matches.recall():.0%}"

# %% [markdown]
# *Which ones were missed?*

# %%
from collections import Counter

Counter(box.label for box in matches.missed)

# %% [markdown]
# A crop that fits the model is not resized at all: every thing in it has all of its pixels. It
# remembers where it was cut out, and its boxes come back in pixels of the whole wall.

# %%
part = wall.crop(1856, 1304, 3200, 2200)
close = nv.locate(part, "every shape")
close

# %% [markdown]
# Here the truth is what lies wholly within the crop.

# %%
left, top = part.crop_origin
inside = [box for box in truth if box.left >= left and box.top >= top]
close.images[0].fit.is_resized, nv.match_boxes(inside, close).summary()

# %% [markdown]
# Tiles cover the whole wall. They overlap by more than the largest thing, so that what one tile
# cuts through is whole in the next: boxes at a tile's inner edge are left out. What two tiles
# both found is kept once: `match_boxes` says which boxes are *extra*.
#
# *How many of the shapes will be found now, and what will it cost?*


# %%
def is_whole(box: nv.Box, tile: tuple[int, ...], near: int = 2) -> bool:
    """Whether a box ends before the edges at which the tile was cut off the wall."""
    sides = zip(box.xyxy, tile, (0, 0, 3200, 2200), strict=True)
    return all(abs(edge - cut) > near or cut == end for edge, cut, end in sides)


is_whole(nv.Box(900, 20, 927, 50), (0, 0, 928, 896))

# %%
kept, asked = [], []
for top in (0, 652, 1304):
    for left in (0, 928, 1856):
        tile = (left, top, left + 1344, top + 896)
        asked.append(nv.locate(wall.crop(*tile), "every shape"))
        whole = [box for box in asked[-1] if is_whole(box, tile)]
        kept += nv.match_boxes(kept, whole, at_least=0.5).extra
nv.match_boxes(truth, kept).summary()

# %%
nv.preview(wall, boxes=kept)

# %% [markdown]
# The price of it: nine tiles, each of nearly all the tokens that one picture may cost. A model
# of the high tier, asked once, stands between the two.

# %%
once = nv.locate(wall, "every shape", model="practice-high")
answers = {"whole": [found], "high tier": [once], "tiles": asked}
boxes = {"whole": found, "high tier": once, "tiles": kept}
[
    (how, f"{nv.match_boxes(truth, boxes[how]).recall():.0%}", f"{tokens:,} tokens in")
    for how in answers
    for tokens in [sum(answer.usage.total_input_tokens for answer in answers[how])]
]

# %% [markdown]
# **What you now know:** look at the preview before blaming the model; a crop is the cheapest
# lens, tiles are the thorough one, and truth says which of them your things need.
#
# **Try:** crop around what the first look found, and locate again in the crop alone · other
# overlaps · `kind="points"`, which a thing of four pixels may deserve.
#
# **Next:** `07_two_pictures`
