"""JSON out of what models really write: in fences, within prose, and not quite JSON.

Tolerated, because it can mean only one thing: single quotes, commas before a closing
bracket, keys without quotes, ``True``, ``False`` and ``None``, ``//`` remarks, line ends within
strings. Not tolerated: anything that would have to be guessed.

The time taken is linear in the length of the text, whatever was written.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbvision.errors import UnreadableAnswer

__all__ = ["Fragment", "json_fragments", "number_of", "numbers_of", "pair_of", "read_json"]

_MOST_WASTED = 2_000_000  # characters read for nothing, before the rest is given up
_LONGEST_LOOSE = 100_000  # characters of a value that is not quite JSON
_FAILURE = 50  # what a failed attempt costs, in characters read
# The decoder counts the lines before a mistake: quick, but once for every mistake.
_LINE_COUNT_SHARE = 256
_OPENING = re.compile(r"[\[{]++")
_BEGINS_LIKE_JSON = re.compile(
    r"""
    \{ \s*+ (?: ["'}] | \w++ \s*+ : )
    | \[ \s*+ (?: ["'\[\]{] | -?[\d.]++ \s*+ [,\]] | (?:true|false|null|True|None|NaN)\b )
    """,
    re.VERBOSE,
)
_FENCED = re.compile(r"```[^\n`]*+\n(.*?)```", re.DOTALL)
_TICK_BOX = re.compile(r"[-*+] \[ \]")
# An unfinished string runs to the end, so that no character is tried twice.
_TOKEN = re.compile(
    r"""
    "(?:[^"\\]|\\.)*+(?:"|\\?\Z)
    | (?<!\w)'(?:[^'\\]|\\.|'(?!\s*+[,:\]}]))*+(?:'|\\?\Z)
    | //[^\n]*+
    | ,(?=(?:\s|//[^\n]*+)*+[\]}])
    | (?<!\w)[A-Za-z_]\w*+(?:\s*+:)?+
    | [\[\]{}]
    """,
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"\s*([+-]?\d{1,18}(?:\.\d{1,18})?)\s*(?:px|pixels?)?\s*\Z")
_WORDS = {"True": "true", "False": "false", "None": "null"}
_ESCAPED_OR_QUOTE = re.compile(r'\\.|"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fragment:
    """A JSON object or list that stands in a text, or the place where one is broken.

    Attributes
    ----------
    value
        What was read; None if it is broken.
    is_broken
        Whether it begins like JSON and cannot be read.
    end
        Where it ends, in characters from the text's beginning; None if it does not.
    """

    value: Any
    is_broken: bool
    end: int | None


def read_json(text: str) -> Any:
    """Return the first JSON value in a text, within fences or prose.

    A number, string or word counts only where it is the whole text or the whole of a fence.
    A value within a broken one is never returned in its stead.

    Raises
    ------
    UnreadableAnswer
        If there is none, or if it breaks off or holds numbers that are none (``NaN``,
        ``1e999``); ``text`` keeps the words.

    Examples
    --------
    >>> read_json('Sure: {"doors": 2} - that is all.')
    {'doors': 2}
    """
    decoder = _decoder(takes_any_number=False)
    for whole in (text, *(found[1] for found in _FENCED.finditer(text))):
        try:
            return decoder.decode(whole.strip())
        except (ValueError, RecursionError):
            continue
    passed = 0
    for fragment in json_fragments(text, takes_any_number=False):
        if fragment.end is None:
            break
        if fragment.end <= passed:
            continue
        if not fragment.is_broken:
            return fragment.value
        passed = fragment.end
    raise UnreadableAnswer(
        "no JSON can be read in the answer",
        limit="one whole JSON value",
        cure="the words are kept in error.text; ask for JSON alone in the prompt",
        text=text,
    )


def json_fragments(text: str, *, takes_any_number: bool) -> Iterator[Fragment]:
    """Yield each JSON object or list in a text, and each that is broken.

    What a broken one holds follows it. Brackets of prose and code, like "[1]" and "items[]",
    are passed over.

    Parameters
    ----------
    text
        What the model wrote.
    takes_any_number
        Whether ``NaN`` and numbers beyond all bounds are read as floats that are not finite;
        otherwise they break the value they stand in.

    Examples
    --------
    >>> [fragment.value for fragment in json_fragments('a [1, 2] b {"c": 3}',
    ...                                                takes_any_number=True)]
    [[1, 2], {'c': 3}]
    """
    decoder = _decoder(takes_any_number=takes_any_number)
    at = wasted = 0
    while found := _OPENING.search(text, at):
        start = found.start()
        # A run of brackets that opens nothing is one failure.
        at = max(start + 1, found.end() - 1)
        if not _BEGINS_LIKE_JSON.match(text, start):
            continue
        if wasted > _MOST_WASTED:
            yield Fragment(None, is_broken=True, end=None)
            return
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            stop = getattr(error, "pos", start + _LONGEST_LOOSE)
            wasted += _FAILURE + stop - start + stop // _LINE_COUNT_SHARE
            close = _end_of(text, start)
            wasted += (close or min(len(text), start + _LONGEST_LOOSE)) - start
            value = _mended(text[start:close], decoder) if close else None
            if close is None or value is None:
                yield Fragment(None, is_broken=True, end=close)
                continue
            end = close
        at = end
        if not _is_prose(value, text, start):
            yield Fragment(value, is_broken=False, end=end)


def number_of(item: object) -> float | None:
    """Return a JSON number, or a string like "12" or "12px", as a float; None if it is neither.

    >>> number_of("12px"), number_of(True), number_of("12 %")
    (12.0, None, None)
    """
    if isinstance(item, bool):
        return None
    if isinstance(item, int | float):
        try:
            return float(item)
        except OverflowError:
            return math.inf
    found = _NUMBER.match(item) if isinstance(item, str) else None
    return float(found[1]) if found else None


def numbers_of(items: Sequence[object]) -> list[float] | None:
    """Return all items as numbers; None if there are none, or if any is not one.

    >>> numbers_of([1, "2"]), numbers_of([1, None]), numbers_of([])
    ([1.0, 2.0], None, None)
    """
    found = [number_of(item) for item in items]
    return None if not found or None in found else [n for n in found if n is not None]


def pair_of(item: object) -> list[float] | None:
    """Return ``[x, y]`` or ``{"x": x, "y": y}`` as two numbers; None if it is neither.

    >>> pair_of({"x": 1, "y": 2}), pair_of([1, 2, 3])
    ([1.0, 2.0], None)
    """
    if isinstance(item, Mapping):
        item = [item.get("x"), item.get("y")]
    return numbers_of(item) if isinstance(item, list) and len(item) == 2 else None  # noqa: PLR2004 - x and y


def _end_of(text: str, start: int) -> int | None:
    """Return where the bracket that opens at start closes, if it does within reach."""
    depth = 0
    for found in _TOKEN.finditer(text, start, min(len(text), start + _LONGEST_LOOSE)):
        if found[0] in {"[", "{"}:
            depth += 1
        elif found[0] in {"]", "}"}:
            depth -= 1
            if depth == 0:
                return found.end()
    return None


def _mended(piece: str, decoder: json.JSONDecoder) -> Any:
    """Read what is not quite JSON; None if it cannot be read without guessing."""
    try:
        return decoder.decode(_TOKEN.sub(_mend, piece))
    except (ValueError, RecursionError):
        return None


def _mend(found: re.Match[str]) -> str:
    token = found[0]
    if token[0] == "'":
        inner = _ESCAPED_OR_QUOTE.sub(
            lambda part: {"'": "'", '"': '\\"'}.get(part[0][-1], part[0]), token[1:-1]
        )
        return f'"{inner}"'
    if token[0] == "," or token.startswith("//"):
        return ""
    if token[0].isalpha() or token[0] == "_":
        return f'"{token[:-1].rstrip()}":' if token[-1] == ":" else _WORDS.get(token, token)
    return token


def _is_prose(value: Any, text: str, start: int) -> bool:
    """Whether a bracket is a remark, an index or a box to tick, rather than data."""
    if not isinstance(value, list) or len(value) > 1:
        return False
    if not value:
        is_index = text[start - 1 : start].isalnum() if start else False
        return is_index or _TICK_BOX.match(text, max(start - 2, 0)) is not None
    return isinstance(value[0], int | float)


def _decoder(*, takes_any_number: bool) -> json.JSONDecoder:
    if takes_any_number:
        return json.JSONDecoder(parse_constant=float, parse_int=_integer, strict=False)
    return json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, strict=False)


def _integer(digits: str) -> int | float:
    # Python refuses to convert thousands of digits to an int, and not to a float.
    return int(digits) if len(digits) < 20 else float(digits)  # noqa: PLR2004 - a few


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)


def _refuse(number: str) -> float:
    raise ValueError(f"{number[:20]} is no number of JSON")
