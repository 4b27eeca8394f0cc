# %% [markdown]
# # One line changes who answers
#
# **Lesson:** the Anthropic API, Amazon Bedrock and the practice server take the same calls.
# 8 minutes · every cell runs without a key; what costs money is text, for you to copy.

# %%
import nbvision as nv

nv.connect("practice")
nv.describe(nv.samples.shapes)

# %% [markdown]
# ## The Anthropic API
#
# The key is read from the environment variable `ANTHROPIC_API_KEY`, and never shown, logged
# or stored. These two lines in a cell of your own ask a real model, and cost about two cents:
#
# ```python
# nv.connect("anthropic", model="claude-opus-5-5")
# nv.describe(nv.samples.photo)
# ```
#
# ## Amazon Bedrock
#
# Credentials come from the usual AWS places: environment, profile, or a bearer token; the
# account needs access to the model.
#
# ```python
# nv.connect("bedrock", model="us.anthropic.claude-sonnet-5-5", region="us-east-1")
# nv.describe(nv.samples.photo)
# ```
#
# ## The same wire, without a key
#
# The practice server speaks both protocols. Here the real `anthropic` client and the real
# `boto3` client talk to it; only the address differs from the lines above.

# %%
from nbvision.practice import PracticeServer

server = PracticeServer()
server.start()
nv.connect("anthropic", model="claude-haiku-4-5", base_url=server.url, api_key=server.token)

# %%
nv.locate(nv.samples.shapes, nv.samples.shapes.prompt)

# %%
nv.connect("bedrock", region="us-east-1", endpoint_url=server.url, api_key=server.token)

# %% [markdown]
# *What differs in the request?* Bedrock has its own limits and spells the model its own way;
# the reply is the same value.

# %%
reply = nv.locate(nv.samples.shapes, nv.samples.shapes.prompt)
reply.model, reply.usage, len(reply.boxes)

# %% [markdown]
# ## What it costs, before it costs
#
# Nothing is sent for this table; with `count=True` the connected service counts for its model.

# %%
ids = ["claude-haiku-4-5", "claude-sonnet-5-5", "claude-opus-5-5"]
nv.estimate(nv.samples.photo, models=ids, count=False)

# %% [markdown]
# ## When it says no
#
# Each error says what was found, what is allowed and what to do.

# %% tags=["raises-exception"]
nv.connect("anthropic", base_url=server.url, api_key="not-the-key")
nv.describe(nv.samples.shapes)

# %%
server.close()

# %% [markdown]
# ## Other doors
#
# The same models answer at other places: Amazon Bedrock four ways, Google Cloud, Microsoft
# Foundry, Claude Platform on AWS, or a gateway of your own. `nv.connect("vertex", …)`,
# `nv.connect("foundry", …)`; they differ in what they take, and each says so. What a place cannot
# do is refused here, with the way around it, before anything is sent.

# %%
nv.connect("practice").capabilities

# %% [markdown]
# ## Many at once, without waiting for each
#
# A notebook runs an event loop, so a cell may `await`. `nv.to_thread` runs any call of `nbvision`
# beside the loop, no more than 16 at a time, and gives back what the plain call gives. *How long
# will three pictures take, compared with one?*

# %%
import asyncio
import time

nv.connect("practice")
samples = [nv.samples.photo, nv.samples.shapes, nv.samples.page]
started = time.perf_counter()
await asyncio.gather(*(nv.to_thread(nv.describe, sample) for sample in samples))
together = time.perf_counter() - started
[nv.describe(sample) for sample in samples]
one_by_one = time.perf_counter() - started - together
f"together in {together / one_by_one:.0%} of the time"

# %% [markdown]
# A task that is cancelled, or runs out of time, stops its call: nothing more is sent, and the
# connection is closed. What a model had written until then may be billed.

# %%
slow = nv.connect("practice", words_per_second=5)
try:
    async with asyncio.timeout(1):
        await nv.to_thread(nv.describe, nv.samples.photo, backend=slow)
except TimeoutError:
    print("No answer within a second: the call was stopped.")
nv.connect("practice")

# %% [markdown]
# **What you now know:** `nv.connect` decides who answers; everything after it stays as it is.
#
# **Try:** `backend=` in one call, to ask two services in one cell · `nv.connect()` without a
# name, and read why it chose what it chose.
#
# **Next:** `11_correct_the_boxes`
