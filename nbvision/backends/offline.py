"""Nobody: stored replies alone answer, and nothing is sent."""

from collections.abc import Mapping
from typing import Any, NoReturn

from nbvision.backends.addresses import other_address
from nbvision.backends.door import address_of, require_spelling
from nbvision.backends.first_party import place_of
from nbvision.backends.protocol import introduction
from nbvision.catalogue import (
    DEFAULT_BEDROCK_MODEL,
    DEFAULT_MANTLE_MODEL,
    DEFAULT_MODEL,
    DEFAULT_PRACTICE_MODEL,
)
from nbvision.errors import NotConnected
from nbvision.keeping import Keeping
from nbvision.platforms import Capabilities, Platform, find_platform

__all__ = ["OfflineBackend", "offline_backend"]

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
        Where it would be, if that is not a service's own address.

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
    ) -> None:
        self.name = name
        self.model = model or _MODELS[name]
        self.platform = platform or find_platform(name)
        require_spelling(self.model, self.platform)
        self.address = address
        self.why = "stored replies answer; nothing is sent"
        self.keeping = Keeping(is_offline=True)

    @property
    def capabilities(self) -> Capabilities:
        """What the door that this one stands for can do; shows as a table."""
        return Capabilities(self.platform)

    @property
    def files(self) -> None:
        """None: nothing is stored from here."""

    def send(self, *_: object, **__: object) -> NoReturn:
        """Refuse: nothing is sent.

        Raises
        ------
        NotConnected
            Always.
        """
        raise NotConnected("offline: nothing is sent", cure="connect without offline=True")

    stream = send

    def count_tokens(self, *_: object) -> None:
        """Return None: nobody counts."""

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def __repr__(self) -> str:
        return f"OfflineBackend({self.name!r}, {self.model!r})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return introduction(self)


def offline_backend(name: str, model: str | None, given: Mapping[str, Any]) -> OfflineBackend:
    """Return what stands for a backend, by what it would be connected with.

    Parameters
    ----------
    name, model
        As for `OfflineBackend`.
    given
        What else was given to `connect`; only what says where answers come from counts.

    Raises
    ------
    NotConnected, ModelNotFound
        As connecting to it would, but for what is missing of keys, regions and the like.

    Examples
    --------
    >>> offline_backend("bedrock", None, {"endpoint_url": "http://127.0.0.1:8000"}).address
    'http://127.0.0.1:8000'
    """
    if name == "practice":
        return OfflineBackend(name, model)
    if name == "anthropic":
        said = {key: given.get(key) for key in ("base_url", "api_key", "platform")}
        address, platform = place_of(**said)
        return OfflineBackend(name, model, platform=platform, address=other_address(address))
    address = address_of(given.get("base_url") or given.get("endpoint_url"))
    return OfflineBackend(name, model, address=other_address(address))
