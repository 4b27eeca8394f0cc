"""The name of a request: equal for two requests that ask the same thing of the same model.

Into it go the place, its API version, the model as typed, every parameter, the words, and of
each picture what the model gets to see. Left out is what cannot change the answer: the order
of keys, marks for the service's cache, and whether a picture travels or lies there already.

Of a JPEG the bytes are named: they decide the pixels, are written alike by every build of the
encoder in use, and decoding them would take 30 ms to learn nothing more. Of a PNG the pixels
are named: its bytes differ between builds of zlib, and stored replies that travel with a
notebook must be found on another machine. So that a PNG need not be decoded to find what this
machine has stored, there is a second, exact name, made of the bytes alone.
"""

import hashlib
import json
import weakref
from collections.abc import Callable
from functools import cached_property
from typing import Any

from nbvision.prepared import PreparedImage
from nbvision.referenced import RemoteImage, SentImage
from nbvision.request import Request

__all__ = ["Fingerprint", "address_mark", "picture_name", "words_of"]

_RULE = 1  # raised when the same request is to get another name
# Where a request's form is another than that of the Messages API. A client may say a later date
# than this one; what is sent means the same in both.
_API_VERSION = "2023-06-01"
_API_VERSIONS = {
    "anthropic": _API_VERSION,
    "aws": _API_VERSION,
    "bedrock": "bedrock-2023-05-31",
    "bedrock-converse": "converse",
    "bedrock-mantle": _API_VERSION,
    "bedrock-messages": _API_VERSION,
    "compatible": _API_VERSION,
    "foundry": _API_VERSION,
    "google-cloud": _API_VERSION,
    "practice": _API_VERSION,
    "vertex": "vertex-2023-10-16",
}
_MARK_LENGTH = 16
# Where a picture lies, and what is only for the service's memory or our own safety.
_TRAVEL = {"source", "transformations", "cache_control"}

_MOST_NAMES = 10_000
_names_of_pixels: dict[str, str] = {}  # by that of the bytes: decoding takes long
_names: dict[tuple[int, str], tuple[weakref.ref[PreparedImage], str]] = {}


class Fingerprint:
    """The names of one request.

    Parameters
    ----------
    request
        What would be sent.
    address
        Where, if it is not the service's own address: another server may answer otherwise.

    Attributes
    ----------
    exact
        As hexadecimal; of the very bytes that are sent. Quick to make.
    name
        As hexadecimal; of what the model sees. The same on every machine.

    Examples
    --------
    >>> from nbvision.catalogue import find_model
    >>> from nbvision.platforms import find_platform
    >>> from nbvision.request import build_request
    >>> known = {"model": find_model("claude-haiku-4-5"), "platform": find_platform("anthropic")}
    >>> asked = build_request([], "What is this?", model_id="claude-haiku-4-5", **known)
    >>> other = build_request([], "What is that?", model_id="claude-haiku-4-5", **known)
    >>> Fingerprint(asked).name == Fingerprint(other).name
    False
    """

    def __init__(self, request: Request, address: str = "") -> None:
        self._request = request
        self._address = address_mark(address)

    @property
    def is_known(self) -> bool:
        """Whether all that is asked about is known here; not so a picture the service fetches."""
        return not any(isinstance(image, RemoteImage) for image in self._request.images)

    @cached_property
    def exact(self) -> str:
        """The name of the very bytes that are sent."""
        return self._named(_exact_name)

    @cached_property
    def name(self) -> str:
        """The name of what the model sees."""
        return self._named(picture_name)

    def __repr__(self) -> str:
        return f"Fingerprint({self.exact[:12]!r})"

    def _named(self, named: Callable[[SentImage], str]) -> str:
        place = self._request.platform.name
        asked = {
            "rule": _RULE,
            "place": place,
            "address": self._address,
            "version": _API_VERSIONS.get(place, _API_VERSION),
            "body": words_of(self._request, named),
        }
        # Escaped, so that half a character has a name too; sorted, so that order has none.
        text = json.dumps(asked, sort_keys=True, allow_nan=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def address_mark(address: str) -> str:
    """Return a name for an address that does not tell it, so that it can stand in a file.

    Examples
    --------
    >>> address_mark("https://gate.example.org")
    'sha256:522ea7b4f4636c03'
    >>> address_mark("sha256:522ea7b4f4636c03"), address_mark("")
    ('sha256:522ea7b4f4636c03', '')
    """
    if "://" not in address:
        return address
    return f"sha256:{hashlib.sha256(address.encode()).hexdigest()[:_MARK_LENGTH]}"


def picture_name(image: SentImage) -> str:
    """Return a name for what the model sees of a picture.

    Examples
    --------
    >>> picture_name(RemoteImage("https://example.org/door.jpg"))[:12]
    'url:0d0e0f9d'
    """
    if isinstance(image, RemoteImage):
        # An address may be signed, and is a key then.
        return f"url:{hashlib.sha256(image.url.encode()).hexdigest()}"
    if image.media_type != "image/png":
        return _exact_name(image)
    return _once(image, "rgb", lambda: _pixels_name(image))


def words_of(request: Request, named: Callable[[SentImage], str] = picture_name) -> dict[str, Any]:
    """Return a request's body with a name in place of each picture, and without cache marks.

    Parameters
    ----------
    request
        What would be sent.
    named
        Gives a picture's name.
    """
    body = {key: value for key, value in request.abridged().items() if key != "cache_control"}
    if isinstance(body.get("system"), list):
        body["system"] = "".join(block["text"] for block in body["system"])
    body["messages"] = [
        {
            **written,
            "content": [
                _block(block, None if isinstance(sent, str) else named(sent))
                for block, sent in zip(written["content"], message.blocks, strict=True)
            ],
        }
        for written, message in zip(body["messages"], request.messages, strict=True)
    ]
    return body


def _block(block: dict[str, Any], picture: str | None) -> dict[str, Any]:
    if picture is None:
        return {key: value for key, value in block.items() if key != "cache_control"}
    kept = {key: value for key, value in block.items() if key not in _TRAVEL}
    return {**kept, "picture": picture}


def _exact_name(image: SentImage) -> str:
    if isinstance(image, RemoteImage):
        return picture_name(image)
    kind = image.media_type.removeprefix("image/")
    return _once(image, kind, lambda: f"{kind}:{image.sha256}")


def _pixels_name(image: PreparedImage) -> str:
    exact = _exact_name(image)
    name = _names_of_pixels.get(exact)
    if name is None:
        pixels = image.pixels
        seen = hashlib.sha256(pixels.tobytes()).hexdigest()
        name = f"rgb:{pixels.width}x{pixels.height}:{seen}"
        if len(_names_of_pixels) >= _MOST_NAMES:
            _names_of_pixels.clear()
        _names_of_pixels[exact] = name
    return name


def _once(image: PreparedImage, kind: str, make: Callable[[], str]) -> str:
    """Return a name that is made once for each picture: a conversation sends its own again."""
    key = (id(image), kind)
    kept = _names.get(key)
    if kept is not None and kept[0]() is image:
        return kept[1]
    name = make()
    _names[key] = (weakref.ref(image, lambda _: _names.pop(key, None)), name)
    return name
