# %% [markdown]
# # Upload a picture once, and ask about it many times
#
# **Lesson:** a request can name a picture instead of carrying it, and boxes still land on your
# own pixels.
# 10 minutes · needs nothing but this kernel; the practice server keeps files as the service does.

# %%
import nbvision as nv

nv.connect("practice")
shapes = nv.upload(nv.samples.shapes)
shapes

# %% [markdown]
# What lies there is exactly what would have been sent: the frame the model looks at. How it
# came about stays here, so that places travel back. *On which pixels will these boxes be?*

# %%
nv.locate(shapes, "every shape")

# %% [markdown]
# ## What goes over the wire
#
# The same question twice: once with the picture's bytes, once with its name. *How much smaller
# is the second?*

# %%
carried = nv.build_request(nv.samples.shapes, "What stands at the left?")
named = nv.build_request(shapes, "What stands at the left?")
carried.size_bytes, named.size_bytes, named.body()["messages"][0]["content"][0]

# %% [markdown]
# The tokens are the same: the model looks at the picture each time. Nothing is billed for
# keeping it.
#
# One request takes every kind of picture, in any order: uploaded, prepared, or a plain path.

# %%
pages = [nv.prepare(nv.samples.page), nv.samples.shelf_before]
reply = nv.ask([shapes, *pages], "How many pictures are these?")
[block["source"]["type"] for block in reply.request.body()["messages"][0]["content"][1::2]]

# %% [markdown]
# ## What is there, and for how long
#
# The same picture is not stored twice, in this kernel or the next: its name there is a hash of
# its bytes, and nothing of its own name travels. Without `expires_in` (from an hour to ninety
# days, in seconds) a file stays until somebody deletes it.

# %%
again = nv.upload(nv.samples.shapes)
page = nv.upload(nv.samples.page, expires_in=3600)
again.file_id == shapes.file_id, page.expires_at is not None

# %%
nv.files()

# %% [markdown]
# What is deleted is gone, and whoever asks about it is told. *What does the error advise?*

# %% tags=["raises-exception"]
nv.delete_files(page)
nv.describe(page)

# %% [markdown]
# ## A picture at an address
#
# `nv.open_image("https://…")` fetches it from here. With `nv.remote_image` the service fetches
# it: nothing is sent now, the service learns the address, and nobody here sees the picture.

# %%
door = nv.remote_image("https://example.org/door.jpg")
nv.check(door)

# %% [markdown]
# So there is no frame that boxes could refer to. The refusal comes before anything is sent.

# %% tags=["raises-exception"]
nv.locate(door, "the door handle")

# %% [markdown]
# ## A long conversation
#
# A conversation sends everything again with each turn, pictures included. Named, they stay
# light: a hundred of them weigh less than 50 kB. *How much does the second turn add?*

# %%
chat = nv.Conversation()
chat.ask("What is in these?", shapes, nv.upload(nv.samples.page))
chat.ask("Which of the two has more colours?")
[turn.reply.request.size_bytes for turn in chat.turns]

# %% [markdown]
# **What you now know:** `upload` stores what would be sent, `files` and `delete_files` keep
# house, and every call takes the result like any picture; `remote_image` leaves the fetching,
# and the seeing, to the service.
#
# **Try:** `nv.upload([…])` with a list, interrupted half way and run again · uploading for
# `model="claude-haiku-4-5"`, and asking a model that looks closer.
#
# **Next:** `05_boxes_come_home`, if you came here first
