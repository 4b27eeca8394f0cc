# %% [markdown]
# # A notebook that runs again for free, and stays true
#
# **Lesson:** the same picture, words and model are paid for once; every other call is new.
# 12 minutes · needs nothing but this kernel.

# %%
import os
import tempfile
from pathlib import Path

import nbvision as nv

# A store for this lesson alone, so that yours stays as it is.
os.environ["NBVISION_DATA"] = tempfile.mkdtemp()
nv.connect("practice", store=True)
nv.describe(nv.samples.page)

# %% [markdown]
# The line under the answer says what it cost. *What will it say when the same is asked again?*

# %%
nv.describe(nv.samples.page)

# %% [markdown]
# Practice answers cost nothing anyway, and are kept only because `store=True` asked for it;
# those of a service are kept by themselves. What is the same? *Which of these four were
# answered from the store?*

# %%
page = nv.open_image(nv.samples.page).pixels
page.putpixel((10, 10), (255, 0, 0))
asked = {
    "the same again": nv.describe(nv.samples.page),
    "another word": nv.describe(nv.samples.page, "Describe this picture."),
    "one red pixel": nv.describe(page),
    "another model": nv.describe(nv.samples.page, model="practice-standard"),
}
{name: reply.from_store is not None for name, reply in asked.items()}

# %% [markdown]
# `refresh=True` asks anew and keeps both answers. `sample=` names independent answers to one
# question: ask five times to see how much a model varies, and each of the five is kept.

# %%
anew = nv.describe(nv.samples.page, refresh=True)
five = [nv.describe(nv.samples.page, sample=number) for number in range(1, 6)]
sum(reply.from_store is None for reply in [anew, *five])

# %% [markdown]
# All of it is in your history: what was asked, what came back, what it cost. Of the pictures
# only thumbnails are kept, and never a key. *How many calls will there be? Answers that came
# from the store are none.*

# %%
calls = nv.history()
calls

# %% [markdown]
# `nv.history("words", model=…, since="2026-11-20")` shows a part of it, `.to_frame()` is for
# counting. A past call opens again: `.reply()` gives its words, `.detections()` its boxes. Two
# laid side by side show what was asked otherwise, word by word, and what the answer made of it.

# %%
calls.call(2).compare(calls.call(4))

# %% [markdown]
# Others have no store of yours. A folder of replies beside the notebook travels with it: small
# files, one for each question, made to be committed.

# %%
folder = Path(tempfile.mkdtemp()) / "lesson.replies"
nv.connect("practice", replies=folder)
nv.locate(nv.samples.shapes, "every shape")
[file.name for file in folder.iterdir()]

# %% [markdown]
# A reader without key or network sees what you saw. *What happens to a question that you
# never asked?*

# %%
nv.connect("practice", replies=folder, offline=True)
nv.locate(nv.samples.shapes, "every shape")

# %% tags=["raises-exception"]
nv.locate(nv.samples.shapes, "the green star")

# %% [markdown]
# You asked first, and want the replies beside the notebook afterwards? `nv.pack` runs it once
# more from what is stored, asks no service, and puts them there. *Which reply of the folder does
# this notebook not use?*

# %%
import nbformat

asks = "import nbvision as nv\nnv.connect('practice')\nnv.describe(nv.samples.page)"
lesson = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(asks)])
nbformat.write(lesson, folder.with_name("lesson.ipynb"))
nv.pack(folder.with_name("lesson.ipynb"))

# %% [markdown]
# A budget refuses a call before it is sent, by what it could cost at worst: for one notebook in
# `nv.connect(budget=…)`, for some of its calls in `nv.run`, for one call in the call. A restart
# refills none of them that has a name. The key here is none, and nothing is sent.

# %% tags=["raises-exception"]
nv.connect("anthropic", api_key="none", budget=1.00)
with nv.run("one page", budget=0.05) as run:
    nv.describe(nv.samples.page)

# %% [markdown]
# What you no longer want to keep, you delete, and it is gone for good: these calls, or
# `nv.forget(17)`, or `nv.forget(before="2026-11-01")`. *Will the first question be answered from
# the store after this?*

# %%
nv.forget(*calls)

# %% [markdown]
# **What you now know:** an answer is found again by what was sent, `from_store` and the line
# under it say so, a folder of replies gives it to others, `pack` fills it, and `nv.history` has
# all of it.
#
# **Try:** lower `max_tokens` until the budget lets the call pass · ask the first question again
# now that it is forgotten · open a file of the folder · `nv.budgets()` after `nv.run` with a key ·
# `%nbvision history`, `--refresh` and `connect --replies` do the same in magics.
#
# **Next:** [what is kept, where, and how to delete it](../docs/keeping.md)
