# %% [markdown]
# # Two pictures are told apart by their numbers
#
# **Lesson:** pictures that are sent together get labels, words can name them, and a conversation
# takes new ones at any turn.
# 10 minutes · needs nothing but this kernel.

# %%
import nbvision as nv

nv.connect("practice")
before, after = nv.samples.shelf_before, nv.samples.shelf_after
difference = nv.compare([before, after])
difference

# %% [markdown]
# Three things are different; the sample's truth tells them. *Did the answer find all three?*

# %%
[box.label for box in after.truth]

# %% [markdown]
# What was sent: each picture with a label before it, and the words last. The labels are what
# words can name.

# %%
message = difference.request.abridged()["messages"][0]
[block.get("text", block["type"]) for block in message["content"]]

# %% [markdown]
# One of the two, by its number. *In which pixels will its box be?*

# %%
nv.ask([before, after], "Answer in JSON: the bounding box of the cyan triangle in Image 2.")

# %% [markdown]
# In those of the frame that the model saw, and nothing has brought it home. `locate` does, and
# takes one picture at a time, so that every box belongs to one.

# %%
found = nv.locate(after, "the cyan triangle")
nv.match_boxes(after.truth[2:], found).summary()

# %% [markdown]
# A conversation sends what was said again with each turn, so that new pictures can be compared
# with old ones. First two of them.

# %%
chat = nv.Conversation()
chat.ask("How do these two differ?", before, after)

# %% [markdown]
# Now two new ones, which become Image 3 and Image 4. *What will this turn cost, compared with
# the first?*

# %%
chat.ask("Compare Image 1 and Image 2 with these two.", nv.samples.shapes, nv.samples.photo)

# %%
[(turn.first_number, len(turn.images), turn.reply.usage.total_input_tokens) for turn in chat.turns]

# %% [markdown]
# The pictures of the first turn were sent, and counted, once more: the second turn holds all
# four. So does the next one, which asks for boxes in the third picture by its number.

# %%
shapes = chat.locate("every shape", image_number=3)
shapes

# %%
nv.match_boxes(nv.samples.shapes.truth, shapes).summary(), chat.summary()

# %% [markdown]
# The same question outside the conversation needs one picture only.

# %%
alone = nv.locate(nv.samples.shapes, "every shape")
shapes.usage.total_input_tokens, alone.usage.total_input_tokens

# %% [markdown]
# **What you now know:** labels are how words point to a picture; a conversation remembers by
# being sent again, pictures and all; a question about one picture is best asked of it alone.
#
# **Try:** `chat.fork()` before a turn you may regret, and `chat.undo()` after one ·
# `nv.compare` with three pictures · a system prompt for the whole conversation.
#
# **Next:** `08_pick_and_preview`
