"""The places where models are asked, and what each takes; the data is in ``platforms.toml``."""

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

from nbvision.errors import RequestError

__all__ = ["Platform", "find_platform"]


@dataclass(frozen=True, slots=True)
class Platform:
    """The limits of a place where models are asked.

    Attributes
    ----------
    image_base64_limit
        Characters of base64 one image may have; None where the raw bytes are limited.
    image_raw_limit
        Bytes one image may have; None where the base64 is limited.
    request_limit_bytes
        Size of a whole request.
    images_per_message
        None where only the model's own limit holds.
    source_types
        What an image block may carry.
    takes_transformations
        Whether an image block may say ``oversized_image``.
    structured_outputs, counts_tokens, counts_documents_as_images
        What it can do, and what it counts.
    files_beta
        The beta header that its files want; empty where they are generally available.
    """

    name: str
    request_limit_bytes: int
    source_types: frozenset[str]
    image_base64_limit: int | None = None
    image_raw_limit: int | None = None
    images_per_message: int | None = None
    takes_transformations: bool = False
    structured_outputs: bool = False
    counts_tokens: bool = False
    counts_documents_as_images: bool = False
    files_beta: str = ""


def find_platform(name: str) -> Platform:
    """Return the limits of a place: anthropic, practice, bedrock, bedrock-converse or vertex.

    Raises
    ------
    RequestError
        If there is no such place.
    """
    known = _platforms()
    if name not in known:
        raise RequestError(f"no platform {name!r}", limit=", ".join(known))
    return known[name]


@cache
def _platforms() -> dict[str, Platform]:
    text = resources.files("nbvision").joinpath("platforms.toml").read_text(encoding="utf-8")
    rows = [
        Platform(**(row | {"source_types": frozenset(row["source_types"])}))
        for row in tomllib.loads(text)["platforms"]
    ]
    known = {row.name: row for row in rows}
    return known | {"practice": replace(known["anthropic"], name="practice")}
