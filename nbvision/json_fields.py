"""A JSON object from a file, read strictly: each field by its type, each mistake by its place."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from nbvision.errors import RequestError
from nbvision.markup import plain

__all__ = ["Fields", "is_whole", "json_of"]

_LONGEST = 32_000_000  # more than any request has
_MOST_ITEMS = 10_000


class Fields:
    """The fields of one JSON object.

    Parameters
    ----------
    value
        What stands there; an object, if the file is sound.
    place
        Where: ``turns[0].reply``.

    Examples
    --------
    >>> Fields({"count": "2"}, "turns[0]").whole("count")
    Traceback (most recent call last):
    nbvision.errors.RequestError: turns[0].count is text
      limit: a whole number
    """

    def __init__(self, value: object, place: str = "") -> None:
        if not isinstance(value, dict):
            raise _wrong(place, value, "an object")
        self._fields: dict[str, Any] = value
        self._place = place

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def require_only(self, *names: str) -> None:
        """Refuse fields of other names.

        Raises
        ------
        RequestError
            Naming the first.
        """
        for name in self._fields:
            if name not in names:
                raise RequestError(
                    f"{self.place_of(name)} is not a field of this format",
                    limit=", ".join(names),
                )

    def place_of(self, name: str) -> str:
        """Return where a field stands."""
        return f"{self._place}.{plain(name)[:60]}".lstrip(".")

    def is_null(self, name: str) -> bool:
        """Whether a field, which must be there, is null."""
        return self._get(name) is None

    def text(self, name: str, *, longest: int = _LONGEST) -> str:
        """Return a text without halves of characters."""
        value = self._get(name)
        if not isinstance(value, str):
            raise _wrong(self.place_of(name), value, "text")
        if len(value) > longest:
            raise RequestError(
                f"{self.place_of(name)} has {len(value):,} characters", limit=f"{longest:,}"
            )
        if not is_whole(value):
            raise RequestError(f"{self.place_of(name)} holds half a character")
        return value

    def text_or_none(self, name: str) -> str | None:
        """Return a text, or None for null."""
        return None if self.is_null(name) else self.text(name)

    def whole(self, name: str, *, least: int = 0, most: int = 10**9) -> int:
        """Return a whole number within bounds."""
        return _whole(self._get(name), self.place_of(name), least, most)

    def whole_or_none(self, name: str, *, least: int = 0, most: int = 10**9) -> int | None:
        """Return a whole number, or None for null."""
        return None if self.is_null(name) else self.whole(name, least=least, most=most)

    def wholes(self, name: str, count: int, *, least: int = 0, most: int = 10**9) -> list[int]:
        """Return so many whole numbers."""
        places = list(self.items(name))
        if len(places) != count:
            raise RequestError(f"{self.place_of(name)} has {len(places)} numbers", limit=f"{count}")
        return [_whole(value, place, least, most) for place, value in places]

    def number(self, name: str) -> float:
        """Return a number."""
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(self.place_of(name), value, "a number")
        return _finite(str(value))

    def number_or_none(self, name: str) -> float | None:
        """Return a number, or None for null."""
        return None if self.is_null(name) else self.number(name)

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self._get(name)
        if not isinstance(value, bool):
            raise _wrong(self.place_of(name), value, "true or false")
        return value

    def fields(self, name: str) -> "Fields":
        """Return an object within this one."""
        return Fields(self._get(name), self.place_of(name))

    def mapping(self, name: str) -> dict[str, Any]:
        """Return an object within this one as it is."""
        value = self._get(name)
        if not isinstance(value, dict):
            raise _wrong(self.place_of(name), value, "an object")
        return value

    def items(self, name: str, *, most: int = _MOST_ITEMS) -> Iterator[tuple[str, Any]]:
        """Yield place and value of each item of a list."""
        value = self._get(name)
        if not isinstance(value, list):
            raise _wrong(self.place_of(name), value, "a list")
        if len(value) > most:
            raise RequestError(f"{self.place_of(name)} has {len(value):,} items", limit=f"{most:,}")
        for number, item in enumerate(value):
            yield f"{self.place_of(name)}[{number}]", item

    def each(self, name: str, *, most: int = _MOST_ITEMS) -> Iterator["Fields"]:
        """Yield each item of a list of objects."""
        return (Fields(item, place) for place, item in self.items(name, most=most))

    def _get(self, name: str) -> Any:
        if name not in self._fields:
            raise RequestError(f"{self.place_of(name)} is missing")
        return self._fields[name]


def is_whole(text: str) -> bool:
    """Whether a text holds no half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def json_of(data: bytes) -> Any:
    """Return what JSON in UTF-8 says: every number finite, no name twice, not too deep.

    Raises
    ------
    RequestError
        If it is not that.

    Examples
    --------
    >>> json_of(b'{"a": [1, 2.5, null]}')
    {'a': [1, 2.5, None]}
    """
    try:
        return json.loads(
            data.decode("utf-8"),
            parse_constant=_finite,
            parse_float=_finite,
            object_pairs_hook=_once_each,
        )
    except RequestError as error:
        reason = error.value
    except RecursionError:
        reason = "it is nested too deep"
    except ValueError as error:
        reason = str(error)[:200]
    raise RequestError(f"it is not JSON: {plain(reason)}")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RequestError(f"{twice[:60]!r} stands there twice")
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise RequestError(f"{digits[:20]} is no number of JSON")
    return number


def _whole(value: object, place: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(place, value, "a whole number")
    if not least <= value <= most:
        shown = value if abs(value) < 10**12 else "a number of too many digits"
        raise RequestError(f"{place} is {shown}", limit=f"{least:,} to {most:,}")
    return value


_KINDS: Mapping[type, str] = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def _wrong(place: str, value: object, wanted: str) -> RequestError:
    return RequestError(f"{place or 'it'} is {_KINDS[type(value)]}", limit=wanted)
