"""Pictures that a request names instead of carrying: uploaded before, or at an address.

An uploaded picture is a prepared one, byte for byte, that also lies at the service; its `Fit`
rides along, so that boxes still land. One at an address is fetched by the service: nobody here
has seen it, and nothing is known of its size.
"""

import ipaddress
import math
import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, overload
from urllib.parse import SplitResult, urlsplit

from nbvision.errors import RequestError, UnsafeSource
from nbvision.fetching import is_public
from nbvision.geometry import Fit, Size, Tier
from nbvision.images import SourceImage
from nbvision.markup import bundle, escape, plain, rich
from nbvision.prepared import PreparedImage

__all__ = [
    "GivenImage",
    "RemoteImage",
    "SentImage",
    "StoredFile",
    "UploadedImage",
    "frame_of",
    "remote_image",
    "require_seen",
    "sources_of",
]

_LONGEST_ADDRESS = 8000
_SHOWN_OF_ADDRESS = 200
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
_PRIVATE_NAMES = ("localhost", "local", "internal", "lan", "home.arpa")


@dataclass(frozen=True, slots=True, repr=False)
class UploadedImage(PreparedImage):
    """A prepared picture that lies at a service, to be named instead of sent again.

    Attributes
    ----------
    file_id
        The service's name for it.
    held_by
        Where it lies: the backend's name and address; a key is never in it.
    expires_at
        When the service deletes it, in UTC; None for never.
    """

    file_id: str
    held_by: str
    expires_at: datetime | None = None

    def carried(self) -> PreparedImage:
        """Return the same bytes as a picture that a request carries."""
        return PreparedImage(self.data, self.media_type, self.fit, self.findings, self.source)

    def can_be_named(self, place: str) -> bool:
        """Whether a service of this name has it, and has it still."""
        return self.held_by == place and not self.is_expired

    @property
    def is_expired(self) -> bool:
        """Whether the service has deleted it by now, by this machine's clock."""
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)

    def in_words(self) -> str:
        """Return what is said of it as prepared, and where it lies."""
        until = f" until {self.expires_at:%Y-%m-%d %H:%M} UTC" if self.expires_at else ""
        return f"{PreparedImage.in_words(self)}; file {self.file_id} at {self.held_by}{until}"

    def __repr__(self) -> str:
        return f"UploadedImage({self.file_id!r}, {self.fit.original} → {self.fit.resized})"


@dataclass(frozen=True, slots=True, repr=False)
class RemoteImage:
    """A picture that the service fetches from an address; made by `remote_image`.

    Attributes
    ----------
    url
        Where it is; the service that is asked learns it.
    """

    url: str

    def __post_init__(self) -> None:
        _require_fetchable(self.url)

    @property
    def source(self) -> str:
        """Where it is, short and safe to show: a query may hold a signature."""
        return shown_address(self.url)

    def __repr__(self) -> str:
        return f"RemoteImage({self.source!r})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        words = f"A picture at {self.source}, which the service fetches; nobody here has seen it."
        return bundle(words, markup=rich(f"<div>{escape(words)}</div>"))


@dataclass(frozen=True, slots=True, repr=False)
class StoredFile:
    """A file that lies at a service; a row of `files`.

    Attributes
    ----------
    id
        The service's name for it.
    name
        What it was called when it was uploaded.
    media_type, size_bytes
        What it is.
    created_at, expires_at
        In UTC; it is deleted at ``expires_at``, or never if that is None.
    """

    id: str
    name: str
    media_type: str
    size_bytes: int
    created_at: datetime
    expires_at: datetime | None = None

    @property
    def seconds_left(self) -> float:
        """How long it will be there, by this machine's clock."""
        if self.expires_at is None:
            return math.inf
        return (self.expires_at - datetime.now(UTC)).total_seconds()

    def __repr__(self) -> str:
        return f"StoredFile({plain(self.id)[:80]!r}, {plain(self.name)[:120]!r})"


SentImage = PreparedImage | RemoteImage
"""A picture of a request, however it travels; an `UploadedImage` is a `PreparedImage`."""

GivenImage = SourceImage | SentImage
"""A picture as a call has it before it is prepared; a `SourceImage` still has to be."""


def remote_image(url: str) -> RemoteImage:
    """Return a picture that the service is to fetch itself; nothing is sent or fetched here.

    The service learns the address. Nobody here sees the picture: it has no preview, its tokens
    are not known, and no places can be asked for in it. Not every place takes addresses.

    Parameters
    ----------
    url
        Its https address, on the public network.

    Raises
    ------
    UnsafeSource
        If it is no such address: another scheme, a user name in it, a host that only this
        network knows.

    Examples
    --------
    >>> remote_image("https://example.org/door.jpg?signature=abc")
    RemoteImage('example.org/door.jpg?…')
    """
    return RemoteImage(url)


def shown_address(url: str) -> str:
    """Return the host and path of an address, and that there is more."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    shown = plain(f"{host}{parts.path}")[:_SHOWN_OF_ADDRESS]
    return f"{shown}?…" if parts.query else shown


def sources_of(images: Iterable[GivenImage]) -> list[SourceImage]:
    """Return the pictures themselves, without those that nobody here has seen."""
    return [
        image.source if isinstance(image, PreparedImage) else image
        for image in images
        if not isinstance(image, RemoteImage)
    ]


def frame_of(image: SourceImage | PreparedImage, tier: Tier, side_limit: int | None = None) -> Size:
    """Return the frame the model looks at, which coordinates refer to.

    Parameters
    ----------
    image
        The picture; one that is prepared has its frame already.
    tier, side_limit
        What another is prepared for; see `prepare_image`.
    """
    if isinstance(image, PreparedImage):
        return image.fit.resized
    return Fit.of(image.size, tier, side_limit=side_limit).resized


@overload
def require_seen(image: SentImage) -> PreparedImage: ...
@overload
def require_seen(image: GivenImage) -> SourceImage | PreparedImage: ...
def require_seen(image: GivenImage) -> SourceImage | PreparedImage:
    """Return a picture whose size is known here.

    Raises
    ------
    RequestError
        If only the service has seen it.
    """
    if isinstance(image, RemoteImage):
        raise RequestError(
            f"the size of {image.source} is not known here: only the service sees it",
            limit="places are found, and previews made, in pictures that have been seen here",
            cure="fetch it here: nv.open_image(url)",
        )
    return image


def _require_fetchable(url: object) -> None:
    """Refuse what a service could not fetch, or should not be told."""
    if not isinstance(url, str):
        raise UnsafeSource(
            f"an address that is a {type(url).__name__}",
            limit="text: https://…",
            cure="pictures that are here already need no address: give them as they are",
        )
    if len(url) > _LONGEST_ADDRESS:
        raise UnsafeSource(
            f"an address of {len(url):,} characters", limit=f"{_LONGEST_ADDRESS:,} characters"
        )
    if not url.isprintable() or " " in url or "\\" in url:
        raise UnsafeSource(
            "an address with a space, a backslash or a character that cannot be seen",
            cure="copy it again, or percent-encode it",
        )
    _require_public(_parts(url))


def _parts(url: str) -> SplitResult:
    parts = urlsplit("")
    with suppress(ValueError):
        found = urlsplit(url)
        _ = found.port
        parts = found
    if not parts.hostname:
        raise UnsafeSource("an address that cannot be read", cure='write it in full: "https://…"')
    if parts.scheme != "https":
        raise UnsafeSource(
            f"an address of scheme {plain(parts.scheme)[:20]!r}",
            limit="https: the service fetches nothing else",
            cure="nv.open_image opens addresses and files from here",
        )
    if parts.username is not None or parts.password is not None:
        raise UnsafeSource(
            "an address with a user name or password in it",
            cure="the service would learn them; download it, and nv.open_image(path)",
        )
    return parts


def _require_public(parts: SplitResult) -> None:
    """Refuse a host that only this machine or network knows, by its spelling alone."""
    failure = UnsafeSource(
        f"{plain(parts.hostname or '')[:200]} is no host of the public network",
        limit="the service fetches from its own network, where this name leads nowhere",
        cure="open it from here, or download it: nv.open_image(path)",
    )
    try:
        # Letters of other scripts can spell digits: the service would read them as such.
        host = (parts.hostname or "").encode("idna").decode("ascii").rstrip(".").lower()
    except UnicodeError:
        raise failure from None
    address: ipaddress.IPv4Address | ipaddress.IPv6Address | None = None
    with suppress(ValueError):
        address = ipaddress.ip_address(host.partition("%")[0])
    if address is None:
        with suppress(OSError):
            # Numbers in the old spellings, such as 2130706433 or 0x7f.1; names are not looked up.
            address = ipaddress.IPv4Address(socket.inet_aton(host))
    if address is not None:
        if not is_public(address):
            raise failure
        return
    is_private = any(host == name or host.endswith(f".{name}") for name in _PRIVATE_NAMES)
    if is_private or not _HOST.fullmatch(host):
        raise failure
