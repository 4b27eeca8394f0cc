"""Who was asked for the replies of a folder: a reader's environment does not say it.

The author had a key, and ``nv.connect()`` chose the Anthropic API; a reader has none. So the
folder keeps, for each way of connecting, what the notebook said and what came of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nbvision.fingerprint import address_mark

__all__ = ["Origin", "origins_in", "origins_written"]

_MOST = 200
_LONGEST = 300
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


def origins_in(found: Mapping[str, Any]) -> list[Origin]:
    """Return what a file says; what is no origin is left out.

    Examples
    --------
    >>> origins_in({"origins": [{"backend": "practice"}, {"backend": 5}, "anthropic"]})
    [Origin(backend='practice', place='', address='', model='', said=())]
    """
    rows = found.get("origins")
    read = [_origin(row) for row in rows[:_MOST]] if isinstance(rows, list) else []
    return [origin for origin in read if origin is not None]


def origins_written(origins: Iterable[Origin]) -> dict[str, Any]:
    """Return origins as they are written."""
    rows = [{**asdict(origin), "said": list(origin.said)} for origin in sorted(set(origins))]
    return {"format": _FORMAT, "origins": rows}


def _origin(row: object) -> Origin | None:
    if not isinstance(row, Mapping):
        return None
    words = {name: row.get(name, "") for name in ("backend", "place", "address", "model")}
    said = row.get("said", [])
    if not isinstance(said, list) or not all(
        isinstance(one, str) for one in [*said, *words.values()]
    ):
        return None
    if any(len(word) > _LONGEST for word in words.values()) or not words["backend"]:
        return None
    known = tuple(what for what in ("address", "backend", "model") if what in said)
    return Origin(**{**words, "address": address_mark(words["address"])}, said=known)
