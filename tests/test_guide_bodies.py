"""Each request of the guides, made by one call of this package, is the same on the wire.

The bodies on the left are those of the published pages (build-with-claude/vision in the
Opus 4.7 and Sonnet 4.5 editions, and a post on Bedrock of March 2024), with pictures of ours
in the place of theirs. Equal in content: pictures by their pixels, and but for two fields that
this package adds, ``stream`` and each picture's ``transformations``.
"""

import base64
import hashlib
import io
from collections.abc import Callable
from typing import Any

import pytest
from doors import KEY
from PIL import Image
from wire import Arrived, Connection, answer_well, wire

import nbvision as nv
from nbvision.backends import Backend

ADDRESS = "https://pictures.example.org/ant.jpg"
OTHER_ADDRESS = "https://pictures.example.org/bee.jpg"
BEFORE, AFTER, PAGE = nv.samples.shelf_before, nv.samples.shelf_after, nv.samples.page
MODEL = "claude-opus-4-7"


def picture(sample: nv.samples.Sample) -> dict[str, Any]:
    data = base64.b64encode(sample.path.read_bytes()).decode("ascii")
    source = {"type": "base64", "media_type": "image/png", "data": data}
    return {"type": "image", "source": source}


def remote(url: str) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "url", "url": url}}


def words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def asked(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": 1024, "messages": list(messages), **more}


def content_of(value: Any) -> Any:
    """A body with its pictures as their pixels, and without what we add."""
    if isinstance(value, list):
        return [content_of(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "base64":
        with Image.open(io.BytesIO(base64.b64decode(value["data"]))) as image:
            pixels = image.convert("RGB")
        return (pixels.size, hashlib.sha256(pixels.tobytes()).hexdigest(), value["media_type"])
    added = {"stream", "transformations"}
    return {name: content_of(item) for name, item in value.items() if name not in added}


def ask(backend: Backend, prompt: str, *images: object, **more: Any) -> None:
    nv.ask(list(images), prompt, model=MODEL, max_tokens=1024, backend=backend, **more)


def two_turns(backend: Backend) -> None:
    chat = nv.Conversation(model=MODEL, max_tokens=1024, backend=backend, cache=False)
    chat.ask("How are these images different?", BEFORE, AFTER)
    chat.ask("Are these images similar to the first two?", PAGE, nv.remote_image(ADDRESS))


COMPARED = user(
    *(words("Image 1:"), picture(BEFORE), words("Image 2:"), picture(AFTER)),
    words("How are these images different?"),
)
COMPARED_REMOTE = user(
    *(words("Image 1:"), remote(ADDRESS), words("Image 2:"), remote(OTHER_ADDRESS)),
    words("How are these images different?"),
)
SPANISH = "Respond only in Spanish."
EXAMPLES: dict[str, tuple[dict[str, Any], Callable[[Backend], object]]] = {
    "one picture": (
        asked(user(picture(PAGE), words("Describe this image."))),
        lambda backend: ask(backend, "Describe this image.", PAGE),
    ),
    "one picture at an address": (
        asked(user(remote(ADDRESS), words("Describe this image."))),
        lambda backend: ask(backend, "Describe this image.", nv.remote_image(ADDRESS)),
    ),
    "several pictures": (
        asked(COMPARED),
        lambda backend: ask(backend, "How are these images different?", BEFORE, AFTER),
    ),
    "several pictures at addresses": (
        asked(COMPARED_REMOTE),
        lambda backend: ask(
            backend,
            "How are these images different?",
            *(nv.remote_image(ADDRESS), nv.remote_image(OTHER_ADDRESS)),
        ),
    ),
    "several pictures and a system prompt": (
        asked(COMPARED, system=SPANISH),
        lambda backend: ask(
            backend, "How are these images different?", BEFORE, AFTER, system=SPANISH
        ),
    ),
    "several pictures at addresses and a system prompt": (
        asked(COMPARED_REMOTE, system=SPANISH),
        lambda backend: ask(
            backend,
            "How are these images different?",
            *(nv.remote_image(ADDRESS), nv.remote_image(OTHER_ADDRESS)),
            system=SPANISH,
        ),
    ),
    # The guide numbers the new pictures 1 and 2 again; here the numbers go on, so that words
    # can name each of the four.
    "four pictures over two turns": (
        asked(
            COMPARED,
            {"role": "assistant", "content": [words("A red door.")]},
            user(
                *(words("Image 3:"), picture(PAGE), words("Image 4:"), remote(ADDRESS)),
                words("Are these images similar to the first two?"),
            ),
        ),
        two_turns,
    ),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_body_is_the_guides(example: str) -> None:
    body, call = EXAMPLES[example]
    with wire(answer_well) as server:
        call(nv.connect("anthropic", platform="anthropic", base_url=server.url, api_key=KEY))
        sent = server.arrived[-1].json
    assert content_of(sent) == content_of(body)


def test_the_guides_picture_that_is_uploaded_first() -> None:
    def answer(connection: Connection, arrived: Arrived) -> None:
        if arrived.line.startswith("POST /v1/files"):
            size = len(nv.prepare(PAGE, model=MODEL).data)
            connection.reply(
                {
                    "id": "file_abc123",
                    "type": "file",
                    "filename": "page.png",
                    "mime_type": "image/png",
                    "size_bytes": size,
                    "downloadable": False,
                    "created_at": "2026-11-21T00:00:00Z",
                    "expires_at": None,
                }
            )
        elif arrived.line.startswith("GET /v1/files"):
            connection.reply({"data": [], "next_page": None})
        else:
            answer_well(connection, arrived)

    with wire(answer) as server:
        backend = nv.connect("anthropic", platform="anthropic", base_url=server.url, api_key=KEY)
        ask(backend, "Describe this image.", nv.upload(PAGE, model=MODEL, backend=backend))
        sent = server.arrived[-1].json
        (upload,) = (one for one in server.arrived if one.line.startswith("POST /v1/files"))
    named = {"type": "image", "source": {"type": "file", "file_id": "file_abc123"}}
    assert content_of(sent) == asked(user(named, words("Describe this image.")))
    assert b'name="file"' in upload.body
    assert "multipart/form-data" in upload.headers["content-type"]


def test_the_posts_body_for_bedrock() -> None:
    with wire(answer_well) as server:
        backend = nv.connect("bedrock", region="us-east-1", endpoint_url=server.url, api_key=KEY)
        model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
        small = nv.open_image(BEFORE).crop(0, 0, 800, 600)
        nv.ask(small, "What is in this image?", model=model, max_tokens=1000, backend=backend)
        (arrived,) = server.arrived
    data = io.BytesIO()
    small.pixels.save(data, "PNG")
    source = {"type": "base64", "media_type": "image/png"}
    source["data"] = base64.b64encode(data.getvalue()).decode("ascii")
    block = {"type": "image", "source": source}
    assert content_of(arrived.json) == content_of(
        {
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 1000,
            "messages": [user(block, words("What is in this image?"))],
        }
    )
    assert arrived.line.startswith(f"POST /model/{model.replace(':', '%3A')}/invoke")
