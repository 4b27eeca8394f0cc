"""The door of Microsoft Foundry."""

from typing import Any

from nbvision.backends.addresses import require_sendable_key
from nbvision.backends.door import Door, address_of, require_name, setting
from nbvision.backends.tokens import Token, token_from
from nbvision.catalogue import DEFAULT_MODEL
from nbvision.errors import NotConnected
from nbvision.platforms import find_platform

__all__ = ["foundry_address", "foundry_door"]

_KEY = "ANTHROPIC_FOUNDRY_API_KEY"


def foundry_door(
    *,
    resource: str | None = None,
    api_key: str | None = None,
    access_token: Token | None = None,
    base_url: str | None = None,
) -> Door:
    """Return the door of a Foundry resource.

    Parameters
    ----------
    resource
        Its name, as in ``https://NAME.services.ai.azure.com``.
    api_key, access_token
        Its key, or an Entra token or a function that returns one.
    base_url
        Instead of the resource: the address up to ``/anthropic``.

    Raises
    ------
    NotConnected
        If resource or key are missing, or one is given twice.

    Examples
    --------
    >>> foundry_door(resource="school", api_key="key").address
    'https://school.services.ai.azure.com/anthropic'
    """
    if resource is not None and base_url is not None:
        raise NotConnected("resource= and base_url=", limit="one of the two", cure="leave one out")
    if api_key is not None and access_token is not None:
        raise NotConnected(
            "api_key= and access_token=", limit="one of the two", cure="leave one out"
        )
    address = foundry_address(resource, base_url)
    key = api_key if access_token is not None or api_key is not None else setting(None, _KEY)
    if key is None and access_token is None:
        raise NotConnected(
            "no key for Microsoft Foundry",
            cure=f"set {_KEY}, or access_token= with what returns an Entra token",
        )
    if key is not None:
        require_sendable_key(key, "api_key" if api_key is not None else _KEY)

    def make(http_client: Any) -> Any:
        import anthropic

        return anthropic.AnthropicFoundry(
            base_url=address,
            api_key=key,
            azure_ad_token_provider=None if access_token is None else token_from(access_token),
            max_retries=0,
            http_client=http_client,
        )

    return Door(
        name="foundry",
        platform=find_platform("foundry"),
        model=DEFAULT_MODEL,
        address=address,
        make=make,
    )


def foundry_address(resource: str | None, base_url: str | None) -> str:
    """Return where a resource answers, or the address that is given instead of one.

    Raises
    ------
    NotConnected
        If both are missing, here and in the environment.

    Examples
    --------
    >>> foundry_address("school", None)
    'https://school.services.ai.azure.com/anthropic'
    """
    address = "" if resource else address_of(base_url, "ANTHROPIC_FOUNDRY_BASE_URL")
    if address:
        return address
    name = require_name(
        setting(resource, "ANTHROPIC_FOUNDRY_RESOURCE"),
        "Foundry resource",
        'nv.connect("foundry", resource="…"), or set ANTHROPIC_FOUNDRY_RESOURCE',
    )
    return f"https://{name}.services.ai.azure.com/anthropic"
