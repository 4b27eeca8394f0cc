"""Fetch a picture's address safely: the address that was checked is the one that is dialled.

A notebook that opens an address from a data set must not become a way into the network it
runs in. Only http and https, only public addresses in whatever spelling, every redirect
checked again, no proxies or cookies, and a limit on bytes and seconds.
"""

import http.client
import ipaddress
import queue
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
_MAX_ADDRESSES = 4
_CHUNK = 65_536
_REDIRECTS = {301, 302, 303, 307, 308}
_HEADERS = {"User-Agent": "nbvision", "Accept": "image/*", "Accept-Encoding": "identity"}
_KEPT_IN_TARGET = "/?&=+%:;,@!$'()*~#[]"  # what a path and a query may hold as it is
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Hosts on the public network have addresses in here alone. Around it lie site-local addresses
# and old ways of writing IPv4 ones, which the standard library takes for global.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")

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
        if address not in _GLOBAL_UNICAST and address not in _NAT64:
            return False
    return address.is_global and not address.is_multicast


def fetch(
    url: str,
    *,
    may_dial: Callable[[Address], bool] = is_public,
    longest_seconds: float = _MAX_SECONDS,
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
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
    tls
        Makes the rules by which an https server is trusted; the system's by default.

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
        addresses = _resolve(parts, may_dial, deadline)
        status, location, data = _get(parts, addresses, deadline, tls)
        if status in _REDIRECTS and location:
            url = _redirected(parts, location)
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


def _redirected(parts: SplitResult, location: str) -> str:
    try:
        url = urljoin(parts.geturl(), location)
        is_open = urlsplit(url).scheme == "http"
    except ValueError:
        failure = UnsafeSource(f"{_shown(parts)} redirects to an address that cannot be read")
    else:
        if not (is_open and parts.scheme == "https"):
            return url
        failure = UnsafeSource(f"{_shown(parts)} redirects to an unencrypted address")
    raise failure


def _resolve(parts: SplitResult, may_dial: Callable[[Address], bool], deadline: float) -> list[str]:
    host = parts.hostname or ""
    failure: ImageError
    try:
        found = _looked_up(host, _port(parts), deadline)
        addresses = [ipaddress.ip_address(name.partition("%")[0]) for name in found]
    except TimeoutError:
        failure = _too_slow(parts)
    except (OSError, UnicodeError, ValueError):
        failure = ImageNotFound(f"no such host: {plain(host)[:200]}", cure="check the network")
    else:
        # One private address among public ones is how a check is slipped past.
        if addresses and all(may_dial(address) for address in addresses):
            return [str(address) for address in addresses]
        failure = UnsafeSource(
            f"{plain(host)[:200]} is not a public address",
            limit="no private, loopback or link-local address",
            cure="download it yourself, and open the file",
        )
    raise failure


def _looked_up(host: str, port: int, deadline: float) -> list[str]:
    """Ask the system's resolver, which reads every spelling: decimal, octal, short.

    It has no time limit of its own and cannot be stopped, so it is left behind instead.
    """
    done: queue.SimpleQueue[list[str] | OSError | UnicodeError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            done.put([str(row[4][0]) for row in rows])
        except (OSError, UnicodeError) as error:
            done.put(error)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        found = done.get(timeout=max(0.01, deadline - time.monotonic()))
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(found, list):
        return found
    raise found


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _get(
    parts: SplitResult,
    addresses: list[str],
    deadline: float,
    tls: Callable[[], ssl.SSLContext],
) -> tuple[int, str, bytes]:
    """Ask a checked address, under the name that was asked for."""
    failure: ImageError
    try:
        with _dial(parts, addresses, deadline, tls) as connection:
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
    parts: SplitResult,
    addresses: list[str],
    deadline: float,
    tls: Callable[[], ssl.SSLContext],
) -> Iterator[http.client.HTTPConnection]:
    """Connect to a checked address and to no other; break off at the deadline.

    A timer ends the connection: a server that sends a byte now and then would reset every
    other time limit there is.
    """
    host = parts.hostname or ""
    connection = http.client.HTTPConnection(host, _port(parts))
    connection.default_port = 443 if parts.scheme == "https" else 80
    connection.auto_open = 0
    raw = _connected(addresses, _port(parts), deadline)
    left = max(0.01, deadline - time.monotonic())
    raw.settimeout(left)
    # TLS takes the socket over; a second handle on the same connection outlives that.
    handle = raw.dup()
    timer = threading.Timer(left, _break_off, [handle])
    timer.daemon = True
    timer.start()
    try:
        context = tls() if parts.scheme == "https" else None
        wrapped = context.wrap_socket(raw, server_hostname=host) if context else raw
        with closing(wrapped):
            connection.sock = wrapped
            yield connection
    finally:
        timer.cancel()
        connection.close()
        raw.close()
        handle.close()


def _connected(addresses: list[str], port: int, deadline: float) -> socket.socket:
    """Return a connection to the first address that answers; a host's IPv6 one may not."""
    failure: OSError = TimeoutError()
    for address in addresses[:_MAX_ADDRESSES]:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            return socket.create_connection((address, port), timeout=min(5.0, left))
        except OSError as error:
            failure = error
    raise failure


def _break_off(handle: socket.socket) -> None:
    with suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)


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
