"""Who was asked for the replies of a folder: a reader's environment does not say it.

The author had a key, and ``nv.connect()`` chose the Anthropic API; a reader has none. So the
folder keeps, for each way of connecting, what the notebook said and what came of it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nbvision.fingerprint import address_mark

__all__ = ["Origin", "origin_in"]

_LONGEST = 300
_HASH_IN_NAME = 16
_FORMAT = 1


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """One way of connecting.

    Attributes
    ----------
    backend, place, model
        Who was asked, at which kind of place, and for which model.
    address
        Where, as `address_mark` has it: nobody reads there whom a notebook's author works for.
    said
        What of backend, address and model the notebook itself said.
    """

    backend: str
    place: str = ""
    address: str = ""
    model: str = ""
    said: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether the notebook says it all: practice is the same everywhere."""
        return self.backend == "practice" and "backend" in self.said

    @property
    def file_name(self) -> str:
        """The name of its file: another for every origin, so that none is lost to another."""
        digest = hashlib.sha256(repr((_FORMAT, self)).encode()).hexdigest()
        return f"_origin.{digest[:_HASH_IN_NAME]}.json"

    def written(self) -> dict[str, Any]:
        """Return what its file says."""
        return {"format": _FORMAT, **asdict(self), "said": list(self.said)}


def origin_in(found: Mapping[str, Any]) -> Origin | None:
    """Return the origin that a file holds; None for what is none.

    Examples
    --------
    >>> origin_in({"backend": "practice"})
    Origin(backend='practice', place='', address='', model='', said=())
    >>> origin_in({"backend": 5}) is None
    True
    """
    words = {name: found.get(name, "") for name in ("backend", "place", "address", "model")}
    said = found.get("said", [])
    if not isinstance(said, list) or not all(
        isinstance(one, str) for one in [*said, *words.values()]
    ):
        return None
    if any(len(word) > _LONGEST for word in words.values()) or not words["backend"]:
        return None
    known = tuple(what for what in ("address", "backend", "model") if what in said)
    return Origin(**{**words, "address": address_mark(words["address"])}, said=known)
