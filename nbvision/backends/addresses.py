"""Where keys and pictures go: what is said of an address, and which ones may get them."""

import ipaddress
import sys
from urllib.parse import SplitResult, urlsplit

from nbvision.errors import NotConnected
from nbvision.keys import note_key
from nbvision.markup import plain

__all__ = [
    "PRACTICE",
    "is_loopback",
    "is_practice_here",
    "other_address",
    "require_private",
    "require_sendable_key",
    "shown",
]

PRACTICE = "practice"
"""Stands for the address of a practice server that runs in this process."""

# How the hosts of the services end; in front of it stand regions, resources, private endpoints.
_SERVICES = (
    ".anthropic.com",
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".api.aws",
    ".googleapis.com",
)


def shown(address: str) -> str:
    """Return an address as it may be displayed: without user, password and query.

    Examples
    --------
    >>> shown("https://me:secret@example.org:8443/claude/?token=secret")
    'https://example.org:8443/claude'
    """
    parts = _parts(address)
    host = parts.netloc.rpartition("@")[2]
    return plain(f"{parts.scheme}://{host}{parts.path}".rstrip("/"))[:200]


def other_address(address: str) -> str:
    """Return an address that is not a service's own, as it may be displayed; else nothing.

    Whoever answers there may answer otherwise than the service does. A practice server of this
    process is the same wherever it listens. Of Foundry each resource is an address: it decides
    what is deployed under a name.

    Examples
    --------
    >>> other_address("https://api.anthropic.com"), other_address("http://127.0.0.1:80/claude/")
    ('', 'http://127.0.0.1:80/claude')
    """
    host = _parts(address).hostname or ""
    if not host or host.endswith(_SERVICES):
        return ""
    return PRACTICE if is_practice_here(address) else shown(address)


def is_practice_here(address: str) -> bool:
    """Whether a practice server of this process answers at an address."""
    if not is_loopback(address):
        return False
    server = sys.modules.get("nbvision.practice.server")
    running = server.addresses() if server else frozenset()
    return any(f"{shown(address)}/".startswith(f"{url}/") for url in running)


def is_loopback(address: str) -> bool:
    """Whether an address is on this machine, by its spelling alone.

    Examples
    --------
    >>> is_loopback("http://127.0.0.1:8080"), is_loopback("http://127.0.0.1.example.org")
    (True, False)
    """
    host = _parts(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_private(address: str) -> None:
    """Refuse an address that would get the key and the pictures unencrypted.

    Raises
    ------
    NotConnected
        If it is neither https nor on this machine, or no address at all.
    """
    parts = _parts(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NotConnected(
            f"{plain(address)[:200] if '@' not in address else 'this'} is no address of a server",
            cure='write it in full: "https://…"',
        )
    if parts.username or parts.password:
        raise NotConnected(
            f"the address of {shown(address)} holds a user name or password",
            cure="leave them out of the address; keys go into api_key= or the environment",
        )
    if parts.scheme != "https" and not is_loopback(address):
        raise NotConnected(
            f"{shown(address)} would get the key and the pictures unencrypted",
            limit="https, or a server on this machine",
            cure="use the server's https address",
        )


def require_sendable_key(key: str, name: str) -> None:
    """Refuse a key that no HTTP header can carry, such as one copied with its line break.

    From here on no error repeats the key.

    Raises
    ------
    NotConnected
        Naming where the key came from, never the key.
    """
    if not key.isascii() or not key.isprintable() or " " in key or not key:
        raise NotConnected(
            f"the key in {name} is empty, or holds a space, a line break or a letter beyond ASCII",
            cure="copy it again, whole and alone",
        )
    note_key(key)


def _parts(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - raises where the port is no number
    except ValueError:
        parts = urlsplit("")
    return parts
