"""Nobody: stored replies alone answer, and nothing is sent."""

from typing import Any, NoReturn

from nbvision.backends.protocol import introduction
from nbvision.catalogue import DEFAULT_BEDROCK_MODEL, DEFAULT_MODEL, DEFAULT_PRACTICE_MODEL
from nbvision.errors import NotConnected
from nbvision.keeping import Keeping
from nbvision.platforms import find_platform

__all__ = ["OfflineBackend"]

_MODELS = {"bedrock": DEFAULT_BEDROCK_MODEL, "practice": DEFAULT_PRACTICE_MODEL}


class OfflineBackend:
    """Stands for a backend whose answers are stored; see `connect`.

    Parameters
    ----------
    name
        Which one.
    model
        Asked when a call names none.

    Examples
    --------
    >>> OfflineBackend("practice").model
    'practice-high'
    """

    address = ""

    def __init__(self, name: str, model: str | None = None) -> None:
        self.name = name
        self.model = model or _MODELS.get(name, DEFAULT_MODEL)
        self.platform = find_platform(name)
        self.why = "stored replies answer; nothing is sent"
        self.keeping = Keeping(is_offline=True)

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
