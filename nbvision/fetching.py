"""Fetch a picture's address safely: the address that was checked is the one that is dialled.

A notebook that opens an address from a data set must not become a way into the network it
runs in. Only http and https, only public addresses in whatever spelling, every redirect
checked again, no proxies or cookies, and a limit on bytes and seconds.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from nbvision.errors import ImageError, ImageNotFound, ImageTooLarge, UnsafeSource
from nbvision.markup import plain

__all__ = ["fetch"]

_MAX_BYTES = 32_000_000
_MAX_SECONDS = 15.0
_MAX_REDIRECTS = 5
_CHUNK = 65_536
_REDIRECTS = {301, 302, 303, 307, 308}
_HEADERS = {"User-Agent": "nbvision", "Accept": "image/*", "Accept-Encoding": "identity"}
_KEPT_IN_TARGET = "/?&=+%:;,@!$'()*~#[]"  # what a path and a query may hold as it is
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: Address) -> bool:
    """Whether an address may be dialled: global unicast, and so is what an IPv6 one wraps.

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
        if inner is not None and not is_public(inner):
            return False
    return address.is_global and not address.is_multicast


def fetch(
    url: str,
    *,
    may_dial: Callable[[Address], bool] = is_public,
    longest_seconds: float = _MAX_SECONDS,
) -> bytes:
    """Return the bytes at an http(s) address.

    Parameters
    ----------
    url
        The address; redirects are followed up to five times and checked each time.
    may_dial
        Decides on each resolved address; public ones by default.
    longest_seconds
        For all of it, redirects included.

    Raises
    ------
    UnsafeSource
        If the scheme, the address or a redirect's is not one to dial.
    ImageNotFound
        If it cannot be reached, or the server has nothing there.
    ImageTooLarge
        If it sends more than 32 MB, or takes longer than that.
    """
    deadline = time.monotonic() + longest_seconds
    for _ in range(_MAX_REDIRECTS + 1):
        parts = _checked(url)
        status, location, data = _get(parts, _resolve(parts, may_dial), deadline)
        if status in _REDIRECTS and location:
            url = urljoin(url, location)
            if parts.scheme == "https" and urlsplit(url).scheme == "http":
                raise UnsafeSource(f"{_shown(parts)} redirects to an unencrypted address")
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
    failure: ImageError
    try:
        with _dial(parts, address, deadline) as connection:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", quote(target, safe=_KEPT_IN_TARGET), headers=_HEADERS)
            with connection.getresponse() as reply:
                data = b"" if reply.status in _REDIRECTS else _read(reply, parts, deadline)
                return reply.status, reply.getheader("location", ""), data
    except (http.client.HTTPException, OSError, UnicodeError, ValueError) as error:
        if time.monotonic() >= deadline:
            failure = _too_slow(parts)
        else:
            failure = ImageNotFound(
                f"{_shown(parts)} cannot be fetched: {type(error).__name__}",
                cure="check the network, or download it and open the file",
            )
    raise failure


@contextmanager
def _dial(
    parts: SplitResult, address: str, deadline: float
) -> Iterator[http.client.HTTPConnection]:
    """Connect to the checked address and to no other; break off at the deadline.

    A timer ends the connection: a server that sends a byte now and then would reset every
    other time limit there is.
    """
    host = parts.hostname or ""
    left = max(0.01, deadline - time.monotonic())
    connection = http.client.HTTPConnection(host, parts.port or _port(parts))
    connection.default_port = _port(parts._replace(netloc=host))
    connection.auto_open = 0
    raw = socket.create_connection((address, _port(parts)), timeout=min(5.0, left))
    raw.settimeout(left)
    timer = threading.Timer(left, _break_off, [raw])
    timer.daemon = True
    timer.start()
    try:
        is_secret = parts.scheme == "https"
        context = ssl.create_default_context() if is_secret else None
        wrapped = context.wrap_socket(raw, server_hostname=host) if context else raw
        with closing(wrapped):
            connection.sock = wrapped
            yield connection
    finally:
        timer.cancel()
        connection.close()
        raw.close()


def _break_off(raw: socket.socket) -> None:
    with suppress(OSError):
        raw.shutdown(socket.SHUT_RDWR)


def _read(reply: http.client.HTTPResponse, parts: SplitResult, deadline: float) -> bytes:
    pieces, count = [], 0
    while piece := reply.read1(_CHUNK):
        pieces.append(piece)
        count += len(piece)
        if count > _MAX_BYTES:
            raise ImageTooLarge(f"{_shown(parts)} sends more", limit=f"{_MAX_BYTES / 1e6:.0f} MB")
    # A reply without a length looks whole when the timer has ended it.
    if time.monotonic() >= deadline:
        raise _too_slow(parts)
    return b"".join(pieces)


def _too_slow(parts: SplitResult) -> ImageTooLarge:
    return ImageTooLarge(f"{_shown(parts)} takes too long", cure="download it, and open the file")


def _shown(parts: SplitResult) -> str:
    return plain(f"{parts.scheme}://{parts.hostname}{parts.path}")[:200]
