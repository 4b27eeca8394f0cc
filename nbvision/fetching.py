"""Fetch a picture's address safely: the address that was checked is the one that is dialled.

A notebook that opens an address from a data set must not become a way into the network it
runs in. Only http and https, only public addresses in whatever spelling, every redirect
checked again, no proxies or cookies, and a limit on bytes and seconds.
"""

import ipaddress
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from nbvision.errors import ImageError, ImageNotFound, ImageTooLarge, UnsafeSource
from nbvision.markup import plain

__all__ = ["fetch"]

_MAX_BYTES = 32_000_000
_MAX_SECONDS = 15.0
_MAX_REDIRECTS = 5
_CHUNK = 65_536
_REDIRECTS = {301, 302, 303, 307, 308}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: Address) -> bool:
    """Whether an address may be dialled: global unicast, also within an IPv6 wrapping.

    Examples
    --------
    >>> is_public(ipaddress.ip_address("::ffff:127.0.0.1"))
    False
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address.teredo:
            inner = address.teredo[1]
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def fetch(url: str, *, may_dial: Callable[[Address], bool] = is_public) -> bytes:
    """Return the bytes at an http(s) address.

    Parameters
    ----------
    url
        The address; redirects are followed up to five times and checked each time.
    may_dial
        Decides on each resolved address; public ones by default.

    Raises
    ------
    UnsafeSource
        If the scheme, the address or a redirect's is not one to dial.
    ImageNotFound
        If it cannot be reached, or the server has nothing there.
    ImageTooLarge
        If it sends more than 32 MB, or takes longer than 15 seconds.
    """
    deadline = time.monotonic() + _MAX_SECONDS
    for _ in range(_MAX_REDIRECTS + 1):
        parts = _checked(url)
        status, location, data = _get(parts, _resolve(parts, may_dial), deadline)
        if status in _REDIRECTS and location:
            url = urljoin(url, location)
            continue
        if status != 200:  # noqa: PLR2004 - OK
            raise ImageNotFound(
                f"{_shown(parts)} answered with status {status}", cure="open it in a browser"
            )
        return data
    raise ImageNotFound(f"{_shown(parts)} redirects without end", limit=f"{_MAX_REDIRECTS} times")


def _checked(url: str) -> SplitResult:
    failure: ImageError
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        failure = UnsafeSource("an address that cannot be read", cure="check its spelling")
    else:
        if parts.scheme not in {"http", "https"}:
            failure = UnsafeSource(f"scheme {plain(parts.scheme)!r}", limit="http and https")
        elif parts.username is not None or parts.password is not None:
            failure = UnsafeSource(
                "an address with a user name in it", cure="download it, and open the file"
            )
        elif not parts.hostname:
            failure = UnsafeSource("an address without a host")
        else:
            return parts
    raise failure


def _resolve(parts: SplitResult, may_dial: Callable[[Address], bool]) -> str:
    host = parts.hostname or ""
    failure: ImageError
    try:
        # The system's resolver reads every spelling of an address: decimal, octal, short.
        found = socket.getaddrinfo(host, _port(parts), type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in found]
    except (OSError, UnicodeError, ValueError):
        failure = ImageNotFound(f"no such host: {plain(host)[:200]}", cure="check the network")
    else:
        # One private address among public ones is how a check is slipped past.
        if addresses and all(may_dial(address) for address in addresses):
            return str(addresses[0])
        failure = UnsafeSource(
            f"{plain(host)[:200]} is not a public address",
            limit="no private, loopback or link-local address",
            cure="download it yourself, and open the file",
        )
    raise failure


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _get(parts: SplitResult, address: str, deadline: float) -> tuple[int, str, bytes]:
    """Ask the checked address, under the name that was asked for."""
    import urllib3

    host = parts.hostname or ""
    options: dict[str, Any] = {"timeout": urllib3.Timeout(connect=5.0, read=5.0), "retries": False}
    pool: urllib3.HTTPConnectionPool
    if parts.scheme == "https":
        pool = urllib3.HTTPSConnectionPool(
            address, _port(parts), server_hostname=host, assert_hostname=host, **options
        )
    else:
        pool = urllib3.HTTPConnectionPool(address, _port(parts), **options)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    default = parts.port is None or parts.port == _port(parts._replace(netloc=host))
    named = f"[{host}]" if ":" in host else host
    headers = {
        "Host": named if default else f"{named}:{parts.port}",
        "User-Agent": "nbvision",
        "Accept": "image/*",
        "Accept-Encoding": "identity",
    }
    failure: ImageError
    try:
        with pool:
            reply = pool.urlopen(
                "GET", target, headers=headers, redirect=False, preload_content=False
            )
            data = b"" if reply.status in _REDIRECTS else _read(reply, parts, deadline)
            location = reply.headers.get("location", "")
            reply.close()
            return reply.status, location, data
    except (urllib3.exceptions.HTTPError, OSError, UnicodeError, ValueError) as error:
        failure = ImageNotFound(
            f"{_shown(parts)} cannot be fetched: {type(error).__name__}",
            cure="check the network, or download it and open the file",
        )
    raise failure


def _read(reply: Any, parts: SplitResult, deadline: float) -> bytes:
    pieces, count = [], 0
    while piece := reply.read1(_CHUNK, decode_content=False):
        pieces.append(piece)
        count += len(piece)
        if count > _MAX_BYTES:
            raise ImageTooLarge(f"{_shown(parts)} sends more", limit=f"{_MAX_BYTES / 1e6:.0f} MB")
        if time.monotonic() > deadline:
            raise ImageTooLarge(
                f"{_shown(parts)} takes too long", limit=f"{_MAX_SECONDS:.0f} seconds"
            )
    return b"".join(pieces)


def _shown(parts: SplitResult) -> str:
    return plain(f"{parts.scheme}://{parts.hostname}{parts.path}")[:200]
