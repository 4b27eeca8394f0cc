"""Values on their way into the file and out of it: JSON, text, money and time."""

import json
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

__all__ = [
    "BILLION",
    "MILLION",
    "billionths",
    "dollars_in_words",
    "from_json",
    "microseconds_of",
    "now_microseconds",
    "storable",
    "storable_count",
    "to_json",
    "utc",
]

BILLION = 1_000_000_000
MILLION = 1_000_000
_LARGEST = 2**63 - 1  # that SQLite has
_MOST_DOLLARS = 9_000_000.0  # a thousand times that can be added up
_DEEPEST = 100
_LARGEST_IN_JSON = 10**1000  # Python reads no more than a few thousand digits


def to_json(value: Any) -> str:
    """Return a value as JSON; a number that is none becomes null, for JSON has no such.

    Examples
    --------
    >>> to_json({"tokens": float("nan")})
    '{"tokens": null}'

    What is nested too deep to be read again becomes null too.
    """
    try:
        return json.dumps(value, allow_nan=False, sort_keys=True)
    except (ValueError, TypeError, RecursionError):
        return json.dumps(_plain(value), allow_nan=False, sort_keys=True)


def from_json(text: str | None) -> Any:
    """Return what a text says; None for what is no JSON.

    Examples
    --------
    >>> from_json('{"a": 1}'), from_json("{"), from_json(None)
    ({'a': 1}, None, None)
    """
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None


def storable(text: str) -> str:
    r"""Return text that SQLite takes: half a character has no UTF-8.

    Examples
    --------
    >>> storable("a\ud800")
    'a?'
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def storable_count(number: int) -> int:
    """Return a count that SQLite takes: the largest that it has instead of a larger one.

    Examples
    --------
    >>> storable_count(12), storable_count(10**30)
    (12, 9223372036854775807)
    """
    return min(max(number, 0), _LARGEST)


def billionths(dollars: float | None) -> int | None:
    """Return US dollars in whole billionths, never too few; millions are as many as there are.

    Examples
    --------
    >>> billionths(0.0000423), billionths(None)
    (42300, None)
    """
    if dollars is None or math.isnan(dollars):
        return None
    # A hair less, so that 0.1 dollars, which no float is exactly, stay what they are.
    return math.ceil(min(max(dollars, 0.0), _MOST_DOLLARS) * BILLION - 1e-6)


def dollars_in_words(dollars: float) -> str:
    """Return an amount so that a small one never reads as nothing.

    Examples
    --------
    >>> [dollars_in_words(amount) for amount in (0, 1.5, 1.2345, 0.25, 0.00012, 0.00000025)]
    ['$0.00', '$1.50', '$1.2345', '$0.25', '$0.000120', '$0.000000250']
    """
    is_in_cents = dollars >= 0.01 and round(dollars, 4) == round(dollars, 2)  # noqa: PLR2004 - one
    if dollars == 0 or is_in_cents:
        return f"${dollars:.2f}"
    places = 4 if dollars >= 0.001 else 6 if dollars >= 0.00001 else 9  # noqa: PLR2004 - three digits
    return f"${dollars:.{places}f}"


def now_microseconds() -> int:
    """Return the time in microseconds of UTC since 1970."""
    return time.time_ns() // 1000


def microseconds_of(moment: datetime) -> int:
    """Return a moment in microseconds of UTC since 1970; one without a zone is local.

    Examples
    --------
    >>> microseconds_of(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    return round(moment.timestamp() * MILLION)


def utc(microseconds: int) -> datetime:
    """Return the moment, in UTC.

    Examples
    --------
    >>> utc(86_400_000_000).isoformat()
    '1970-01-02T00:00:00+00:00'
    """
    return datetime.fromtimestamp(microseconds / MILLION, UTC)


def _plain(value: Any, depth: int = 0) -> Any:
    """Return what JSON has of a value: no number that is none or endless, nothing bottomless."""
    if depth > _DEEPEST:
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, int):
        return value if abs(value) < _LARGEST_IN_JSON else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str) else str(value)
