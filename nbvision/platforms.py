"""The places where models are asked, and what each takes; the data is in ``platforms.toml``."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Literal

from nbvision.errors import RequestError
from nbvision.markup import bundle, table

__all__ = ["Capabilities", "Platform", "find_platform", "platforms"]


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
    takes_cache_control
        Whether blocks may carry marks up to which the service keeps what it has read.
    structured_outputs, counts_tokens, counts_documents_as_images
        What it can do, and what it counts.
    files_beta
        The beta header that its files want; empty where they are generally available.
    title
        What people call it.
    model_ids
        Whose spelling of model ids it takes: ``"api"``, ``"bedrock"`` (inference profiles),
        ``"mantle"``, ``"vertex"``, or ``"any"`` where ids are the server's own.
    models_api, batches
        Whether it lists its models, and takes jobs for later.
    source, note
        Where all this is documented, and what is not.
    """

    name: str
    request_limit_bytes: int
    source_types: frozenset[str]
    image_base64_limit: int | None = None
    image_raw_limit: int | None = None
    images_per_message: int | None = None
    takes_transformations: bool = False
    takes_cache_control: bool = False
    structured_outputs: bool = False
    counts_tokens: bool = False
    counts_documents_as_images: bool = False
    files_beta: str = ""
    title: str = ""
    model_ids: Literal["api", "bedrock", "mantle", "vertex", "any"] = "any"
    models_api: bool = False
    batches: bool = False
    source: str = ""
    note: str = ""


# Each row: what is asked, whether it can, and what happens or helps where it cannot.
_HEAD = ("what", "here", "instead")


@dataclass(frozen=True, slots=True, repr=False)
class Capabilities:
    """What can be done at one place, as a table.

    Examples
    --------
    >>> print(Capabilities(find_platform("vertex")).rows[0])
    ('pictures as bytes', 'yes, 5 MB of base64 each, 30 MB a request', '')
    """

    platform: Platform

    @property
    def rows(self) -> tuple[tuple[str, str, str], ...]:
        """What is asked, the answer, and what to do instead."""
        here = self.platform
        most = here.images_per_message
        return (
            ("pictures as bytes", f"yes, {_sizes(here)}", ""),
            self._row(
                "pictures by address", "url" in here.source_types, "nv.open_image(url) fetches them"
            ),
            self._row(
                "pictures uploaded once",
                "file" in here.source_types,
                "they travel with each request",
                " (a beta)" if here.files_beta else "",
            ),
            (
                "pictures in one message",
                f"{most}" if most else "as many as the model takes",
                "several requests" if most else "",
            ),
            self._row(
                "says no to a picture of the wrong size",
                here.takes_transformations,
                "nbvision sends the right size by the published rule",
            ),
            self._row(
                "answers by schema",
                here.structured_outputs,
                "asked for in words, and validated on this side",
            ),
            self._row("counts tokens", here.counts_tokens, "nv.estimate estimates"),
            self._row(
                "keeps what it has read", here.takes_cache_control, "the whole price for each turn"
            ),
            self._row("lists its models", here.models_api, "nv.models() shows the catalogue"),
            self._row("takes batches, through its own client", here.batches, "ask one by one"),
        )

    @staticmethod
    def _row(what: str, can: object, instead: str, more: str = "") -> tuple[str, str, str]:
        return what, f"yes{more}" if can else "no", "" if can else instead

    def __str__(self) -> str:
        lines = [
            f"{what}: {answer}" + (f" ({instead})" if instead else "")
            for what, answer, instead in self.rows
        ]
        return "\n".join([f"{self.platform.name}: {self.platform.title}", *lines, self._caption()])

    def __repr__(self) -> str:
        return f"Capabilities({self.platform.name!r})"

    def _caption(self) -> str:
        note = f"{self.platform.note}. " if self.platform.note else ""
        return f"{note}Source: {self.platform.source}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        caption = f"{self.platform.name}: {self.platform.title}. {self._caption()}"
        return bundle(str(self), markup=table(_HEAD, self.rows, caption=caption))


def find_platform(name: str) -> Platform:
    """Return what a place takes, by the name that `nv.connect` knows it by.

    Raises
    ------
    RequestError
        If there is no such place.

    Examples
    --------
    >>> find_platform("vertex").title
    'Google Cloud Vertex AI'
    """
    known = _by_name()
    if name not in known:
        raise RequestError(f"no platform {name!r}", limit=", ".join(known))
    return known[name]


def platforms() -> Iterator[Platform]:
    """Yield every place, in the order of the table.

    Examples
    --------
    >>> [place.name for place in platforms()][0]
    'anthropic'
    """
    yield from _by_name().values()


def _sizes(here: Platform) -> str:
    each = f"{here.image_base64_limit / 1e6:g} MB of base64" if here.image_base64_limit else ""
    raw = f"{here.image_raw_limit / 1e6:g} MB" if here.image_raw_limit else ""
    return f"{each or raw} each, {here.request_limit_bytes / 1e6:g} MB a request"


@cache
def _by_name() -> dict[str, Platform]:
    text = resources.files("nbvision").joinpath("platforms.toml").read_text(encoding="utf-8")
    rows = [
        Platform(**(row | {"source_types": frozenset(row["source_types"])}))
        for row in tomllib.loads(text)["platforms"]
    ]
    known = {row.name: row for row in rows}
    practice = replace(
        known["anthropic"],
        name="practice",
        source_types=known["anthropic"].source_types - {"url"},  # it fetches nothing
        title="The practice server",
        model_ids="any",
        batches=False,
        source="docs/practice.md",
    )
    return known | {"practice": practice}
