# ---
# jupyter:
#   jupytext:
#     custom_cell_magics: describe,compare,locate,ask
# ---

# %% [markdown]
# # One line names the pictures, the cell asks
#
# **Lesson:** `%%describe`, `%%compare`, `%%locate` and `%%ask` are the calls of the same name:
# pictures and options on the first line, your words below, and the same values come out.
# 8 minutes · needs nothing but this kernel.

# %%
# %load_ext nbvision
# %nbvision connect practice

# %% [markdown]
# A word on the line is a file, a pattern, an address, or a variable like this one.

# %%
import nbvision as nv

photo = nv.open_image(nv.samples.photo)
photo

# %% [markdown]
# With one `%`, the default words are asked.

# %%
# %describe photo

# %% [markdown]
# With two, the cell is the prompt, and `--into` keeps the answer under a name; like any
# assignment it then shows nothing. *Before you run it:* IPython replaces `{photo}` and `$photo`
# on the lines of many magics. What will be asked here?

# %% magic_args="photo --into reply" language="ask"
# Which colours do you see? Write each as {name}, and ignore the $photo sign.

# %%
reply.request.messages[0].blocks[-1], reply.cost

# %% [markdown]
# What stands in the cell is sent as it stands. Now a folder with a space in its name, and a
# pattern: quotes hold it together, and the pictures come in the order people count in.

# %%
from pathlib import Path
from shutil import copy

folder = Path("shelf photos")
folder.mkdir(exist_ok=True)
for number, sample in [(9, nv.samples.shelf_before), (10, nv.samples.shelf_after)]:
    copy(sample, folder / f"{number}.png")

# %% magic_args="\"shelf photos/*.png\"" language="compare"
# What has changed from Image 1 to Image 2?

# %% [markdown]
# A picker is a word too; so are `photos[0]`, `photos[:3]` and `nv.samples.shapes`.

# %%
picker = nv.ImagePicker(folder)
picker.select("9.png")
picker

# %% magic_args="picker.images" language="locate"
# the orange ball

# %% [markdown]
# Settings hold for every magic of this kernel, and the same line says who answers and what
# everything has cost so far, by magics, calls and widgets alike.

# %%
# %nbvision --model practice-standard --system "Be brief."

# %% [markdown]
# A mistake is named before anything is sent: what was found, what is allowed, what to do.

# %% tags=["raises-exception"]
# %describe photo --modle practice-high

# %% [markdown]
# What worked here works elsewhere: as Python, for `curl`, for `boto3`, as YAML for `ant`. The
# pictures go beside the code as files, with `export("curl", folder)`; a key is in neither.

# %%
reply.export("curl")

# %% [markdown]
# **What you now know:** a magic is a call with less to type. Results are the same values, and
# `_` and `--into` hold them.
#
# **Try:** Tab after `--model ` · `%%locate?` for help · `--refresh`, which asks anew where there
# is a stored answer, and `%nbvision history`, which shows what was asked ·
# `%nbvision connect anthropic`, which reads the key from the environment and refuses one on the
# line · `reply.to_html()`, a page to send to somebody.
#
# **Next:** `10_real_models`
