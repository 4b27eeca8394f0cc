"""Boxes out of what models really write, and never a silent guess.

Read are JSON values wherever they stand in the text: in fences, within prose, several of them.
A box may be a list of four numbers, or an object with one under any usual name, or with edges,
or with a corner and a size; a point a list of two, or an object with x and y.

What is not plainly four pixel numbers of the frame is kept, and flagged as a warning:

==================  ====================================================================
finding             what was seen, and what was done
==================  ====================================================================
``normalised``      all numbers up to 1: read as they stand, so they lie at the origin
``thousandths``     ``box_2d``, a name used for y-first numbers of 0 to 1000: read as it stands
``from-size``       a corner with a width and a height: added up
``from-corners``    two lists of two numbers: read as the corners of one box
``swapped``         right before left or bottom before top: put in order
``outside``         partly outside the frame: kept; it is clamped on its way home
``dropped``         wholly outside, without area, or not finite: left out
``unread``          items that hold no box: left out
``broken``          JSON that does not end: what could be read within it is kept
``too-many``        more than 10,000 boxes: the first 10,000 are kept
==================  ====================================================================
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbvision.errors import UnreadableAnswer
from nbvision.findings import Finding, Findings
from nbvision.geometry import Box, Point, Size

__all__ = ["BoxReading", "read_boxes", "read_json"]

_MOST_BOXES = 10_000
_MOST_WASTED = 2_000_000
_LONGEST_LOOSE = 100_000  # characters of a value that is not quite JSON
_OPENING = re.compile(r"[\[{]+")
_DEEPEST = 100
_BOX_NAMES = (
    "box",
    "bbox",
    "bounding_box",
    "boundingBox",
    "box_2d",
    "bbox_2d",
    "xyxy",
    "coordinates",
)
_POINT_NAMES = ("point", "point_2d", "center", "position")
_LABEL_NAMES = ("label", "name", "class", "category", "description", "object", "text", "title")
_EDGES = (
    ("left", "top", "right", "bottom"),
    ("x1", "y1", "x2", "y2"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("x0", "y0", "x1", "y1"),
)
_CORNER_AND_SIZE = (
    ("x", "y", "width", "height"),
    ("left", "top", "width", "height"),
    ("x", "y", "w", "h"),
)
_NUMBER = re.compile(r"\s*([+-]?\d{1,18}(?:\.\d{1,18})?)\s*(?:px|pixels?)?\s*\Z")
_TRAILING_COMMA = re.compile(r",(?=\s*[\]}])")
_CURES = {
    "normalised": "ask for absolute pixel coordinates",
    "thousandths": "ask for [x1, y1, x2, y2] in pixels under the name box",
    "from-size": "ask for [x1, y1, x2, y2]",
    "from-corners": "ask for [x1, y1, x2, y2]",
    "broken": "look at the reply's text, and ask again",
    "swapped": "look at the overlay",
    "outside": "look at the overlay",
    "dropped": "look at the reply's text",
    "unread": "look at the reply's text",
    "too-many": "ask for fewer things at once",
}


@dataclass(frozen=True, slots=True)
class BoxReading:
    """What a text holds, in resized space.

    Attributes
    ----------
    boxes, points
        In the order they were written, with their labels.
    findings
        What was doubtful; see the module.
    """

    boxes: tuple[Box, ...]
    points: tuple[Point, ...]
    findings: Findings


def read_boxes(text: str, frame: Size) -> BoxReading:
    """Read boxes and points out of an answer.

    Parameters
    ----------
    text
        What the model wrote.
    frame
        Size in pixels of the resized picture that the coordinates refer to.

    Returns
    -------
    BoxReading
        In resized space. An empty list in the text is an empty reading: *no boxes* is an
        answer.

    Raises
    ------
    UnreadableAnswer
        If there is no JSON, or JSON that speaks of no boxes at all; ``text`` keeps the words.

    Examples
    --------
    >>> read_boxes('Here: [{"label": "door", "bbox": [10, 20, 30, 60]}]', Size(100, 80)).boxes
    (Box(left=10.0, top=20.0, right=30.0, bottom=60.0, label='door'),)
    """
    reading = _Reading(frame)
    for value in _json_values(text, reading.seen):
        reading.read(value)
    if not reading.boxes and not reading.points and not reading.found_empty:
        seen = "; ".join(f"{n} {what}" for what, n in reading.seen.items())
        raise UnreadableAnswer(
            "no boxes can be read in the answer" + (f" ({seen})" if seen else ""),
            limit='a list of {"label": …, "box": [x1, y1, x2, y2]}, or an empty list for none',
            cure="the words are kept in error.text; ask again, or ask for JSON in the prompt",
            text=text,
        )
    return BoxReading(tuple(reading.boxes), tuple(reading.points), reading.findings())


def read_json(text: str) -> Any:
    """Return the first JSON object or list in a text, within fences or prose.

    Raises
    ------
    UnreadableAnswer
        If there is none; ``text`` keeps the words.

    Examples
    --------
    >>> read_json('Sure: {"doors": 2} - that is all.')
    {'doors': 2}
    """
    stripped = text.strip()
    if stripped[:1] not in {"{", "["}:
        try:
            return json.loads(stripped, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            pass
    for value in _json_values(text, Counter()):
        return value
    raise UnreadableAnswer(
        "no JSON can be read in the answer",
        cure="the words are kept in error.text; ask for JSON alone in the prompt",
        text=text,
    )


@dataclass
class _Reading:
    """The boxes found so far, and how often each doubt arose."""

    frame: Size
    boxes: list[Box] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    found_empty: bool = False

    def read(self, value: object, depth: int = 0) -> None:
        """Take one JSON value apart."""
        if depth > _DEEPEST:
            self.seen["unread"] += 1
        elif isinstance(value, Mapping):
            self._read_object(value, depth)
        elif isinstance(value, list):
            self._read_list(value, "", depth)
        else:
            self.seen["unread"] += 1

    def findings(self) -> Findings:
        """Return one warning for each kind of doubt."""
        return Findings(
            Finding(code, "warn", f"{count} of the answer's places", cure=_CURES[code])
            for code, count in self.seen.items()
        )

    def _read_list(self, items: list[Any], label: str, depth: int) -> None:
        if not items:
            self.found_empty = True
        numbers = _numbers(items)
        if numbers is not None and len(numbers) == 4:  # noqa: PLR2004 - two corners
            self._add_box(numbers, label)
        elif numbers is not None and len(numbers) == 2:  # noqa: PLR2004 - x and y
            self._add_point(numbers, label)
        elif numbers is not None:
            self.seen["unread"] += 1
        elif corners := _corner_points(items):
            self.seen["from-corners"] += 1
            self._add_box(corners, label)
        else:
            for item in items:
                if isinstance(item, list):
                    self._read_list(item, label, depth + 1) if depth < _DEEPEST else None
                else:
                    self.read(item, depth + 1)

    def _read_object(self, value: Mapping[str, Any], depth: int) -> None:
        label = _label(value)
        for name in _BOX_NAMES:
            inner = value.get(name)
            if isinstance(inner, list):
                if name in {"box_2d", "bbox_2d"} and inner:
                    self.seen["thousandths"] += 1
                self._read_list(inner, label, depth + 1)
                return
            if isinstance(inner, Mapping):
                self._read_object({"label": label, **inner}, depth + 1)
                return
        if self._read_named(value, label):
            return
        for name in _POINT_NAMES:
            inner = value.get(name)
            if isinstance(inner, list):
                self._read_list(inner, label, depth + 1)
                return
        inner_values = [v for v in value.values() if isinstance(v, list | Mapping)]
        for inner in inner_values:
            self.read(inner, depth + 1)
        if not inner_values:
            self.seen["unread"] += 1

    def _read_named(self, value: Mapping[str, Any], label: str) -> bool:
        """Read edges, or a corner and a size, or x and y, that stand in the object itself."""
        for names in _EDGES:
            if numbers := _numbers([value.get(name) for name in names]):
                self._add_box(numbers, label)
                return True
        for names in _CORNER_AND_SIZE:
            if numbers := _numbers([value.get(name) for name in names]):
                x, y, width, height = numbers
                self.seen["from-size"] += 1
                self._add_box([x, y, x + width, y + height], label)
                return True
        if numbers := _numbers([value.get("x"), value.get("y")]):
            self._add_point(numbers, label)
            return True
        return False

    def _add_box(self, numbers: Sequence[float], label: str) -> None:
        x1, y1, x2, y2 = numbers
        if not self._has_room(numbers):
            return
        if x2 < x1 or y2 < y1:
            self.seen["swapped"] += 1
            x1, x2 = sorted((x1, x2))
            y1, y2 = sorted((y1, y2))
        width, height = self.frame
        has_no_area = x1 == x2 or y1 == y2
        if has_no_area or x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
            self.seen["dropped"] += 1
            return
        if x1 < 0 or y1 < 0 or x2 > width or y2 > height:
            self.seen["outside"] += 1
        self._flag_normalised(numbers)
        self.boxes.append(Box(x1, y1, x2, y2, label))

    def _add_point(self, numbers: Sequence[float], label: str) -> None:
        x, y = numbers
        if not self._has_room(numbers):
            return
        if not (0 <= x <= self.frame.width and 0 <= y <= self.frame.height):
            self.seen["outside"] += 1
        self._flag_normalised(numbers)
        self.points.append(Point(x, y, label))

    def _has_room(self, numbers: Sequence[float]) -> bool:
        if not all(math.isfinite(number) for number in numbers):
            self.seen["dropped"] += 1
            return False
        if len(self.boxes) + len(self.points) >= _MOST_BOXES:
            self.seen["too-many"] += 1
            return False
        return True

    def _flag_normalised(self, numbers: Sequence[float]) -> None:
        # In a picture of a few pixels, numbers up to 1 are pixels.
        if min(self.frame) > 2 and all(0 <= number <= 1 for number in numbers):  # noqa: PLR2004 - a few pixels
            self.seen["normalised"] += 1


def _label(value: Mapping[str, Any]) -> str:
    for name in _LABEL_NAMES:
        found = value.get(name)
        if isinstance(found, str):
            return found
    return ""


def _numbers(items: Sequence[Any]) -> list[float] | None:
    """Return all items as numbers, or None if any is not one."""
    found = [_number(item) for item in items]
    return None if not found or None in found else [n for n in found if n is not None]


def _number(item: object) -> float | None:
    if isinstance(item, bool):
        return None
    if isinstance(item, int | float):
        try:
            return float(item)
        except OverflowError:
            return math.inf
    found = _NUMBER.match(item) if isinstance(item, str) else None
    return float(found[1]) if found else None


def _corner_points(items: list[Any]) -> list[float] | None:
    """Return [[x1, y1], [x2, y2]] as four numbers."""
    if len(items) != 2 or not all(isinstance(item, list) and len(item) == 2 for item in items):  # noqa: PLR2004 - two corners
        return None
    return _numbers([*items[0], *items[1]])


def _json_values(text: str, seen: Counter[str]) -> Iterator[Any]:
    """Yield each JSON object or list in a text; count in ``seen`` those that do not end.

    Text in which reading fails is read again from the next bracket on, until `_MOST_WASTED`
    characters have been read for nothing: time stays linear whatever was written.
    """
    decoder = json.JSONDecoder(parse_constant=_no_constant, parse_int=_int)
    at = wasted = 0
    while wasted < _MOST_WASTED and (found := _OPENING.search(text, at)):
        start = found.start()
        try:
            value, at = decoder.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            end = _end_of(text, start)
            value = _loosely(text[start:end]) if end else None
            if end is None:
                seen["broken"] += 1
            read_for_nothing = getattr(error, "pos", start + _LONGEST_LOOSE) - start
            wasted += (end or start + _LONGEST_LOOSE) - start + read_for_nothing
            # A run of brackets that opens nothing is one failure.
            at = end if end and value is not None else max(start + 1, found.end() - 1)
        if isinstance(value, list | dict) and not _is_prose(value):
            yield value


def _end_of(text: str, start: int) -> int | None:
    """Return where the bracket that opens at start closes, if it does within reach."""
    depth = 0
    for at in range(start, min(len(text), start + _LONGEST_LOOSE)):
        character = text[at]
        if character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
            if depth == 0:
                return at + 1
    return None


def _loosely(piece: str) -> Any:
    """Read JSON with single quotes or trailing commas; None if it is not that either."""
    mended = _TRAILING_COMMA.sub("", piece)
    candidates = [mended]
    if '"' not in mended:
        candidates.append(mended.replace("'", '"'))
    for candidate in candidates:
        try:
            return json.loads(candidate, parse_constant=_no_constant, parse_int=_int)
        except (ValueError, RecursionError):
            continue
    return None


def _is_prose(value: list[Any] | dict[str, Any]) -> bool:
    """Whether a bracket is a remark, like "[1]", rather than data."""
    return isinstance(value, list) and len(value) == 1 and isinstance(value[0], int | float)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _int(digits: str) -> int | float:
    # Python refuses to convert thousands of digits; nothing here needs more than a few.
    return int(digits) if len(digits) < 20 else math.inf  # noqa: PLR2004 - a few
