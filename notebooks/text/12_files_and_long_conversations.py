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
# it: the service learns the address, and nobody here sees the picture. The Anthropic API does
# that; the practice server fetches nothing, and the check says so before anything is sent.

# %%
door = nv.remote_image("https://example.org/door.jpg")
nv.check(door)

# %% [markdown]
# Wherever it is fetched, there is no frame here that boxes could refer to.

# %% tags=["raises-exception"]
nv.locate(door, "the door handle")

# %% [markdown]
# ## A long conversation
#
# The services remember nothing: each turn sends all turns before it, pictures included. Named,
# the pictures weigh almost nothing; a hundred of them stay below 50 kB. What was read before is
# kept for five minutes, and read again at a tenth of the price or less, because a conversation
# marks where. *Of the tokens of the second turn, how many were new?*

# %%
chat = nv.Conversation()
chat.ask("How do these differ?", nv.upload([nv.samples.shelf_before, nv.samples.shelf_after]))
chat.ask("And what is in this one?", shapes)
[(turn.reply.request.size_bytes, turn.reply.usage.cache_read_tokens) for turn in chat.turns]

# %% [markdown]
# Tomorrow is another kernel. One file holds the words, the answers, and each picture once, as the
# very bytes that were sent; no key, and not the originals. The next turn is byte for byte what
# it would have been, so that nothing kept is lost.

# %%
path = chat.save("conversation.json")
again = nv.Conversation.load(path)
again

# %% [markdown]
# *The original of Image 3 has 3000 × 2000 pixels and is not in the file. In which pixels will
# this box be?*

# %%
found = again.locate("the red circle", image_number=3)
path.unlink()
found.image.size, found[0].iou(nv.samples.shapes.truth[0]) > 0.9, again.usage.cache_read_tokens > 0

# %% [markdown]
# **What you now know:** `upload` stores what would be sent, `files` and `delete_files` keep
# house, and every call takes the result like any picture; a conversation sends everything again
# and pays for it once; saved, it goes on as if nothing had happened.
#
# **Try:** `nv.upload([…])` with a list, interrupted half way and run again · uploading for
# `model="claude-haiku-4-5"`, and asking a model that looks closer ·
# `nv.Conversation(cache=False)` and the same turns · the file in an editor: all but the pictures
# can be read.
#
# **Next:** `13_free_reruns`
