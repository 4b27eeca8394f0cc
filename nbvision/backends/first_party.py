"""The door of the Anthropic API, and of any server that is spoken to in the same way."""

import os
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from nbvision.backends.addresses import is_loopback, is_practice_here, require_sendable_key
from nbvision.backends.door import OLDER, Door, address_of
from nbvision.catalogue import DEFAULT_MODEL
from nbvision.errors import NbvisionError, NotConnected
from nbvision.markup import plain
from nbvision.platforms import Platform, find_platform

__all__ = ["anthropic_door", "place_of"]

_PUBLIC_ADDRESS = "https://api.anthropic.com"
_PUBLIC_HOST = ".anthropic.com"
_PRACTICE_TOKEN = "practice-"  # noqa: S105 - how the practice server's tokens begin
_PLATFORMS = ("anthropic", "compatible")
# As other vendors' clients want it.
_PATH = re.compile(r"/v1(?:/messages|/chat/completions)?/?$")


def anthropic_door(
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    platform: str | None = None,
    name: str = "anthropic",
) -> Door:
    """Return the door of the Anthropic API or of a server that speaks like it.

    Parameters
    ----------
    base_url
        Another server's address; https, or this machine.
    api_key
        Otherwise the client finds one in the environment; a server on this machine may do
        without.
    platform
        What the server can do: ``"compatible"``, little, or ``"anthropic"``, everything. By
        default little, unless the address is Anthropic's or the practice server's.
    name
        How it is called.

    Raises
    ------
    NotConnected
        If there is no key, or no such address or platform.

    Examples
    --------
    >>> anthropic_door(base_url="http://localhost:4000", api_key="key").platform.name
    'compatible'
    """
    address, place = place_of(base_url=base_url, api_key=api_key, platform=platform)
    place = find_platform("practice") if name == "practice" else place
    return Door(
        name=name,
        platform=place,
        model=DEFAULT_MODEL,
        address=address,
        make=_maker(address, api_key, place),
        explain=_explain,
        names_waits=place.name != "compatible",
    )


def place_of(
    *, base_url: str | None = None, api_key: str | None = None, platform: str | None = None
) -> tuple[str, Platform]:
    """Return where requests go, and what can be asked for there.

    Parameters
    ----------
    base_url, api_key, platform
        As for `anthropic_door`.

    Raises
    ------
    NotConnected
        If there is no such address or platform.

    Examples
    --------
    >>> address, place = place_of(base_url="http://localhost:4000")
    >>> address, place.name
    ('http://localhost:4000', 'compatible')
    """
    address = address_of(base_url, "ANTHROPIC_BASE_URL") or _PUBLIC_ADDRESS
    if _PATH.search(address):
        raise NotConnected(
            f"base_url ends in {_PATH.findall(address)[0]}",
            cure="leave that out: the client adds /v1/messages itself",
        )
    return address, _place(platform, address, api_key)


def _place(platform: str | None, address: str, api_key: str | None) -> Platform:
    if platform is not None and platform not in _PLATFORMS:
        raise NotConnected(
            f"platform={plain(str(platform))[:80]!r}",
            limit=" or ".join(f'"{name}"' for name in _PLATFORMS),
            cure='platform="anthropic" where a gateway passes everything on',
        )
    if platform is None:
        is_known = _is_public(address) or _is_practice(address, api_key)
        platform = "anthropic" if is_known else "compatible"
    return find_platform(platform)


def _is_public(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    return f".{host}".endswith(_PUBLIC_HOST)


def _is_practice(address: str, api_key: str | None) -> bool:
    """Whether it is the practice server: by its token, or because it runs in this process."""
    key = api_key or os.environ.get("ANTHROPIC_API_KEY") or ""
    return is_loopback(address) and (key.startswith(_PRACTICE_TOKEN) or is_practice_here(address))


def _maker(address: str, api_key: str | None, place: Platform) -> Callable[[Any], Any]:
    def make(http_client: Any) -> Any:
        import anthropic

        has_no_key = api_key is None and is_loopback(address) and not _has_key()
        # What is sent means the same in both versions.
        headers: dict[str, Any] = dict(OLDER) if place.name == "compatible" else {}
        if has_no_key:
            # Nobody's profile on this disk is meant for whatever listens there.
            headers["Authorization"] = anthropic.omit
        client = anthropic.Anthropic(
            api_key="none" if has_no_key else api_key,
            base_url=address,
            max_retries=0,
            default_headers=headers,
            http_client=http_client,
        )
        if not has_no_key:
            _require_key(client, "api_key" if api_key is not None else "the environment")
        return client

    return make


def _has_key() -> bool:
    return any(os.environ.get(name) for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"))


def _require_key(client: Any, origin: str) -> None:
    if client.api_key is None and client.auth_token is None and client.credentials is None:
        raise _no_key()
    for key in (client.api_key, client.auth_token):
        if key is not None:
            require_sendable_key(key, origin)


def _explain(error: Exception) -> NbvisionError | None:
    import anthropic

    is_about_keys = isinstance(error, anthropic.CredentialsError) or (
        isinstance(error, anthropic.AnthropicError | TypeError)
        and "authentication method" in str(error)
    )
    return _no_key() if is_about_keys else None


def _no_key() -> NotConnected:
    return NotConnected(
        "no key for the Anthropic API",
        cure="set ANTHROPIC_API_KEY before the kernel starts, "
        'or learn without one: nv.connect("practice")',
    )
