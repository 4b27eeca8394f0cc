# %% [markdown]
# # Whatever a picture comes as, it becomes one content block
#
# **Lesson:** path, bytes, array or figure: all go through `open_image`, and the request can be
# read before it is sent.
# 8 minutes · needs nothing but this kernel.

# %%
from pathlib import Path

import numpy as np
from PIL import Image

import nbvision as nv

nv.connect("practice")
path = Path(nv.samples.shapes)
nv.open_image(path)

# %% [markdown]
# The bytes decide what it is, never the name. *What do you expect of a PNG called `.jpg`?*

# %%
nv.open_image(path.read_bytes()).format

# %% [markdown]
# Arrays are height × width × 3 (or 4, or none), `uint8` or floats from 0 to 1.

# %%
columns = np.linspace(0, 1, 640)
gradient = np.stack([np.tile(columns, (240, 1))] * 2 + [np.full((240, 640), 0.5)], axis=-1)
nv.open_image(gradient)

# %% [markdown]
# Transparent places become white, never black. A picture that carries a rotation is turned
# upright first, because the model gets no such note.

# %%
glass = Image.new("RGBA", (320, 160), (0, 120, 200, 0))
glass.paste((0, 120, 200, 255), (40, 40, 280, 120))
nv.open_image(glass)

# %% [markdown]
# What is no picture says so: what was found, what is allowed, what to do.

# %% tags=["raises-exception"]
nv.open_image(b"<svg xmlns='http://www.w3.org/2000/svg'/>")

# %% [markdown]
# Now the request. Building it sends nothing. *Where does the picture stand: before the words
# or after them?*

# %%
request = nv.build_request(path, "What stands at the left?", model="claude-opus-5-5")
request

# %% [markdown]
# `oversized_image: error` is the promise in the request itself: if our frame were not the one
# the model uses, the service would refuse instead of moving every coordinate.

# %%
picture = request.images[0]
picture.fit.original, picture.fit.resized, picture.media_type, picture.findings

# %% [markdown]
# Several pictures are numbered, so that words can speak of them.

# %%
pair = nv.build_request([nv.samples.shelf_before, nv.samples.shelf_after], "What changed?")
[block.get("text", block["type"]) for block in pair.body()["messages"][0]["content"]]

# %% [markdown]
# Asked with a schema, the answer is data instead of prose. *What type will it have?*

# %%
count = {"type": "integer", "description": "how many shapes there are"}
form = {"type": "object", "properties": {"count": count}, "required": ["count"]}
nv.ask(path, "every shape", schema=form | {"additionalProperties": False}).parsed

# %% [markdown]
# **What you now know:** every source becomes an upright RGB picture, then one content block,
# and `build_request` shows it without sending.
#
# **Try:** `request.save("request.json")` and look at the file · a picture from your clipboard
# through `PIL.ImageGrab`.
#
# **Next:** `05_boxes_come_home`
