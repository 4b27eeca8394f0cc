"""Nobody: stored replies alone answer, and no service is asked."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, NoReturn

from nbvision.backends.addresses import is_practice_here, other_address
from nbvision.backends.door import address_of, require_spelling
from nbvision.backends.first_party import place_of
from nbvision.backends.foundry import foundry_address
from nbvision.backends.protocol import Backend, introduction
from nbvision.backends.shelves import Shelf
from nbvision.catalogue import (
    DEFAULT_BEDROCK_MODEL,
    DEFAULT_MANTLE_MODEL,
    DEFAULT_MODEL,
    DEFAULT_PRACTICE_MODEL,
)
from nbvision.errors import NotConnected
from nbvision.fingerprint import address_mark
from nbvision.keeping import Keeping
from nbvision.origins import Origin
from nbvision.platforms import Capabilities, Platform, find_platform, platforms
from nbvision.referenced import StoredFile
from nbvision.request import Request

__all__ = ["OfflineBackend", "is_practice", "offline_backend", "origin_of", "stands_for"]

_MODELS = {
    "anthropic": DEFAULT_MODEL,
    "aws": DEFAULT_MODEL,
    "bedrock": DEFAULT_BEDROCK_MODEL,
    "bedrock-converse": DEFAULT_BEDROCK_MODEL,
    "bedrock-mantle": DEFAULT_MANTLE_MODEL,
    "bedrock-messages": DEFAULT_BEDROCK_MODEL,
    "foundry": DEFAULT_MODEL,
    "google-cloud": DEFAULT_MODEL,
    "practice": DEFAULT_PRACTICE_MODEL,
    "vertex": DEFAULT_MODEL,
}
# Where the environment names another address.
_VARIABLES = {
    "aws": "ANTHROPIC_AWS_BASE_URL",
    "bedrock-mantle": "ANTHROPIC_BEDROCK_MANTLE_BASE_URL",
    "google-cloud": "ANTHROPIC_GOOGLE_CLOUD_BASE_URL",
    "vertex": "ANTHROPIC_VERTEX_BASE_URL",
}
_THROUGH_BOTO = {"bedrock", "bedrock-converse"}
_FOUNDRY = ("ANTHROPIC_FOUNDRY_BASE_URL", "ANTHROPIC_FOUNDRY_RESOURCE")
_PLACES = frozenset(place.name for place in platforms())
_ANY_REGION = "us-east-1"
_ID_LENGTH = 24


class OfflineBackend:
    """Stands for a backend whose answers are stored; see `connect`.

    Parameters
    ----------
    name
        Which one.
    model
        Asked when a call names none.
    platform
        What the place takes; by default that of this name.
    address
        Where it would be, if that is not a service's own address; or its mark.
    practice
        Connects to it, if it is a practice server on this machine: that counts tokens, and keeps
        files and the list of models. It is not asked for answers.

    Examples
    --------
    >>> OfflineBackend("practice").model
    'practice-high'
    """

    def __init__(
        self,
        name: str,
        model: str | None = None,
        *,
        platform: Platform | None = None,
        address: str = "",
        practice: Callable[[], Any] | None = None,
    ) -> None:
        self.name = name
        self.model = model or _MODELS[name]
        self.platform = platform or find_platform(name)
        require_spelling(self.model, self.platform)
        self.address = address
        self.why = "stored replies answer; nothing is sent"
        self.keeping = Keeping(is_offline=True)
        self._connect = practice

    @property
    def capabilities(self) -> Capabilities:
        """What the door that this one stands for can do; shows as a table."""
        return Capabilities(self.platform)

    @cached_property
    def files(self) -> Shelf | None:
        """Where pictures would be stored; None where the place takes no files."""
        if "file" not in self.platform.source_types:
            return None
        practice = None if self._connect is None else lambda: self._practice.files
        return _OfflineShelf(f"{self.name}, offline", practice)

    def send(self, *_: object, **__: object) -> NoReturn:
        """Refuse: nothing is sent.

        Raises
        ------
        NotConnected
            Always.
        """
        raise _refused("nothing is sent")

    stream = send

    def count_tokens(self, request: Request) -> int | None:
        """Return what practice counts; None elsewhere, where nobody does."""
        found: int | None = self._practice.count_tokens(request) if self._connect else None
        return found

    def models_page(self, after_id: str | None = None) -> object:
        """Return a page of practice's list of models.

        Raises
        ------
        NotConnected
            Elsewhere.
        """
        if self._connect is None:
            raise _refused("no list of models is asked for")
        return self._practice.models_page(after_id)

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def __repr__(self) -> str:
        return f"OfflineBackend({self.name!r}, {self.model!r})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return introduction(self)

    @cached_property
    def _practice(self) -> Any:
        connect: Any = self._connect
        return connect()


class _OfflineShelf:
    """Where pictures are named as if they were stored: answers know them by their pixels.

    Parameters
    ----------
    held_by
        What it is called.
    practice
        The shelf of a practice server on this machine, which keeps them.
    """

    def __init__(self, held_by: str, practice: Callable[[], Shelf] | None) -> None:
        self.held_by = held_by
        self._practice = practice
        self._rows: dict[str, StoredFile] = {}

    @property
    def scope(self) -> str:
        """Another for every shelf, in this kernel alone."""
        return f"{self.held_by} {id(self)}"

    @property
    def can_list(self) -> bool:
        """Whether it can say what lies there."""
        return self._practice is not None

    def upload(
        self, name: str, data: bytes, media_type: str, *, expires_in: int | None = None
    ) -> StoredFile:
        """Name a picture; nothing is sent."""
        if self._practice is not None:
            return self._practice().upload(name, data, media_type, expires_in=expires_in)
        now = datetime.now(UTC)
        ends = None if expires_in is None else now + timedelta(seconds=expires_in)
        digest = hashlib.sha256(data).hexdigest()[:_ID_LENGTH]
        row = StoredFile(f"file_offline_{digest}", name, media_type, len(data), now, ends)
        self._rows[row.id] = row
        return row

    def find(self, ids: Sequence[str]) -> list[StoredFile]:
        """Return those of these that were named here."""
        if self._practice is not None:
            return self._practice().find(ids)
        return [self._rows[each] for each in ids if each in self._rows]

    def pages(self, most: int) -> tuple[list[StoredFile], bool]:
        """Return what practice keeps.

        Raises
        ------
        NotConnected
            Elsewhere: what lies at a service is not known here.
        """
        if self._practice is None:
            raise _refused("what lies at the service is not known")
        return self._practice().pages(most)

    def delete(self, file_id: str) -> bool:
        """Delete what practice keeps.

        Raises
        ------
        NotConnected
            Elsewhere.
        """
        if self._practice is None:
            raise _refused("nothing is deleted at the service")
        return self._practice().delete(file_id)


def offline_backend(
    name: str,
    model: str | None,
    given: Mapping[str, Any],
    known: Origin | None = None,
    practice: Callable[[], Backend] | None = None,
) -> OfflineBackend:
    """Return what stands for a backend, by what it would be connected with.

    Parameters
    ----------
    name, model, practice
        As for `OfflineBackend`.
    given
        What else was given to `connect`; only what says where answers come from counts.
    known
        What the folder of replies knows of it.

    Raises
    ------
    NotConnected, ModelNotFound
        As connecting to it would, but for what is missing of keys, regions and the like.

    Examples
    --------
    >>> offline_backend("bedrock", None, {"endpoint_url": "http://127.0.0.1:8000"}).address
    'http://127.0.0.1:8000'
    """
    if known is not None:
        platform, address = find_platform(known.place), known.address
    elif name == "anthropic":
        said = {key: given.get(key) for key in ("base_url", "api_key", "platform")}
        address, platform = place_of(**said)
    else:
        platform, address = find_platform(name), _address_of(name, given)
    return OfflineBackend(
        name,
        model or (known.model if known else None),
        platform=platform,
        address=address if known else other_address(address),
        practice=practice,
    )


def origin_of(
    backend: Backend, name: str | None, model: str | None, given: Mapping[str, Any]
) -> Origin:
    """Return how a backend was connected, as a folder of replies keeps it.

    Parameters
    ----------
    backend
        What came of it.
    name, model, given
        As `connect` was given them.
    """
    mark, place = address_mark(backend.address), backend.platform.name
    return Origin(backend.name, place, mark, backend.model, _said(name, model, given))


def stands_for(
    known: Sequence[Origin], name: str | None, model: str | None, given: Mapping[str, Any]
) -> Origin | None:
    """Return the one origin that a line of a notebook led to; None if there is none, or several.

    Parameters
    ----------
    known
        Those that a folder of replies keeps.
    name, model, given
        As `connect` was given them.

    Examples
    --------
    >>> stands_for([Origin("anthropic", "anthropic", said=("model",), model="m")], None, "m", {})
    Origin(backend='anthropic', place='anthropic', address='', model='m', said=('model',))
    """
    said = _said(name, model, given)
    address = ""
    if "address" in said:
        with suppress(NotConnected):
            address = other_address(_given_address(given))
    asked = {"backend": name, "model": model, "address": address_mark(address)}
    alike = {
        origin
        for origin in known
        if origin.said == said and all(getattr(origin, what) == asked[what] for what in said)
    }
    found = next(iter(alike)) if len(alike) == 1 else None
    is_sound = found is not None and found.backend in _MODELS and found.place in _PLACES
    return found if is_sound else None


def is_practice(given: Mapping[str, Any]) -> bool:
    """Whether `connect` was given the address of a practice server of this process."""
    return is_practice_here(str(given.get("base_url") or given.get("endpoint_url") or ""))


def _said(name: str | None, model: str | None, given: Mapping[str, Any]) -> tuple[str, ...]:
    is_told = {
        "address": any(given.get(key) for key in ("base_url", "endpoint_url", "resource")),
        "backend": name is not None,
        "model": model is not None,
    }
    return tuple(what for what, told in is_told.items() if told)


def _given_address(given: Mapping[str, Any]) -> str:
    if given.get("resource"):
        return foundry_address(given["resource"], None)
    return address_of(given.get("base_url") or given.get("endpoint_url"))


def _address_of(name: str, given: Mapping[str, Any]) -> str:
    if name in _THROUGH_BOTO:
        return _address_of_boto(given)
    if name != "foundry":
        return address_of(given.get("base_url"), _VARIABLES.get(name, ""))
    if not any(map(os.environ.get, _FOUNDRY)) and not _said(None, None, given):
        return ""  # there is no telling whose resource it was
    return foundry_address(given.get("resource"), given.get("base_url"))


def _address_of_boto(given: Mapping[str, Any]) -> str:
    """Return the address that boto3 would take: also its files and the environment name one."""
    from nbvision.backends.aws import runtime_client

    region, profile = given.get("region") or _ANY_REGION, given.get("profile")
    endpoint_url = address_of(given.get("endpoint_url"))
    for who in dict.fromkeys((profile, None)):  # a reader has no such profile
        with suppress(NotConnected):
            client = runtime_client(region, who, "none", endpoint_url or None)
            address = str(client.meta.endpoint_url)
            client.close()
            return address
    return endpoint_url


def _refused(words: str) -> NotConnected:
    return NotConnected(f"offline: {words}", cure="connect without offline=True")
