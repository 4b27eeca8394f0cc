"""Boxes and points out of what models really write, and never a silent guess.

Read are JSON objects and lists wherever they stand in the text: in fences, within prose,
several of them. A box may be a list of four numbers, or an object with one under any usual
name, or with edges, or with a corner or the centre and a size; a point a list of two, or an
object with x and y. Names are compared without case, blanks, dashes and underscores. A label
holds for everything within its object that has none of its own.

What is not plainly four pixel numbers of the frame is flagged as a warning:

==================  ====================================================================
finding             what was seen, and what was done
==================  ====================================================================
``normalised``      all numbers up to 1: read as they stand, so they lie at the origin
``thousandths``     ``box_2d``, a name used for y-first numbers of 0 to 1000, or numbers up to
                    1000 that go beyond the frame: read as they stand, x first, in pixels
``y-first``         numbers beyond the frame that would fit with x and y exchanged: read as
                    they stand
``from-size``       a corner or the centre with a width and a height: added up
``from-corners``    lists of two numbers: read as corners; the box around them all
``swapped``         right before left or bottom before top: put in order
``size-like``       the same, where a corner with a width and a height would fit: put in order
``from-key``        the name of a field, taken as the label
``outside``         partly outside the frame: kept; it is clamped on its way home
``dropped``         wholly outside, without area, or not finite: left out
``unread``          items that hold no box: left out
``broken``          JSON that does not end or cannot be read: what is whole within it is kept
``too-many``        more than 10,000 boxes and points: the first 10,000 are kept
==================  ====================================================================

Equal boxes are all kept. An empty list is *no boxes* only where nothing else was doubtful;
otherwise an answer without boxes is unreadable.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nbvision.errors import UnreadableAnswer
from nbvision.findings import Finding, Findings
from nbvision.geometry import Box, Point, Size
from nbvision.json_reader import json_fragments, number_of, numbers_of, pair_of, read_json

__all__ = ["BoxReading", "read_boxes", "read_json"]

_MOST_BOXES = 10_000
_DEEPEST = 100
_Named = Mapping[str, Any]
_Role = Literal["", "box", "corner and size", "point"]
"""What the name before a list says of its numbers."""

_BOX_NAMES = ("box", "bbox", "boundingbox", "box2d", "bbox2d", "xyxy", "coordinates", "coords")
_OUTLINE_NAMES = ("polygon", "vertices", "corners")
_SIZE_NAMES = ("xywh", "bboxxywh", "boxxywh", "ltwh")
_POINT_NAMES = ("point", "point2d", "center", "centre", "position")
_ROLES: Mapping[str, _Role] = {
    **dict.fromkeys((*_BOX_NAMES, *_OUTLINE_NAMES), "box"),
    **dict.fromkeys(_SIZE_NAMES, "corner and size"),
    **dict.fromkeys(_POINT_NAMES, "point"),
}
_LABEL_NAMES = (
    *("label", "name", "class", "classname", "category", "description"),
    *("object", "text", "title"),
)
_LISTS: Mapping[str, _Role] = {
    **dict.fromkeys(("points", "keypoints"), "point"),
    **dict.fromkeys(
        (
            *("boxes", "bboxes", "boundingboxes", "detections", "objects", "items", "results"),
            *("result", "annotations", "predictions", "instances", "elements", "regions"),
            *("matches", "found", "locations", "answer", "output", "data", "response"),
        ),
        "",
    ),
}
_EDGES = (
    ("left", "top", "right", "bottom"),
    ("x1", "y1", "x2", "y2"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("x0", "y0", "x1", "y1"),
)
_CORNERS = (("x", "y"), ("left", "top"), ("x1", "y1"), ("xmin", "ymin"))
_CENTRES = (("cx", "cy"), ("centerx", "centery"), ("xcenter", "ycenter"))
_SIZES = (("width", "height"), ("w", "h"))
_CORNER_PAIRS = (("topleft", "bottomright"), ("lefttop", "rightbottom"))
_ABOUT_THE_FRAME = re.compile(r"(size|dimensions|resolution|shape|image|frame)\Z")
_NOT_A_NAME = re.compile(r"[\W_]+")
_LOOK = "look at the reply's text"
_DOUBTS: Mapping[str, tuple[str, str]] = {
    "normalised": ("all numbers up to 1", "ask for absolute pixel coordinates"),
    "thousandths": (
        "maybe thousandths of the frame, y first",
        "ask for [x1, y1, x2, y2] in pixels under the name box",
    ),
    "y-first": ("would fit with x and y exchanged", "ask for [x1, y1, x2, y2]; see the overlay"),
    "from-size": ("a width and a height added up", "ask for [x1, y1, x2, y2]"),
    "from-corners": ("corners read as a box", "ask for [x1, y1, x2, y2]"),
    "swapped": ("corners put in order", "look at the overlay"),
    "size-like": ("maybe [x, y, width, height]", "ask for [x1, y1, x2, y2]; see the overlay"),
    "from-key": ("the name of a field as the label", _LOOK),
    "outside": ("partly outside the frame, kept", "look at the overlay"),
    "dropped": ("outside the frame, without area or not finite, left out", _LOOK),
    "unread": ("no box in it, left out", _LOOK),
    "broken": ("JSON that cannot be read to its end", "look at the reply's text, and ask again"),
    "too-many": ("over the most that is read, left out", "ask for fewer things at once"),
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
        If there is no JSON, or none with boxes and no plain empty list; ``text`` keeps the
        words.

    Examples
    --------
    >>> read_boxes('Here: [{"label": "door", "bbox": [10, 20, 30, 60]}]', Size(100, 80)).boxes
    (Box(left=10.0, top=20.0, right=30.0, bottom=60.0, label='door'),)
    >>> print(read_boxes("[[90, 20, 30, 60]]", Size(100, 80)).findings)
    ! swapped: 1 × corners put in order → look at the overlay
    """
    reading = _Reading(frame)
    for fragment in json_fragments(text, takes_any_number=True):
        if fragment.is_broken:
            reading.seen["broken"] += 1
        else:
            reading.read(fragment.value)
    is_empty = not reading.boxes and not reading.points
    if is_empty and (reading.seen or not reading.found_empty):
        seen = "; ".join(f"{count} {code}" for code, count in reading.seen.items())
        raise UnreadableAnswer(
            "no boxes or points can be read in the answer" + (f" ({seen})" if seen else ""),
            limit='a list of {"label": …, "box": [x1, y1, x2, y2]} or '
            '{"label": …, "point": [x, y]}, or an empty list for none',
            cure="the words are kept in error.text; ask again, or ask for JSON in the prompt",
            text=text,
        )
    return BoxReading(tuple(reading.boxes), tuple(reading.points), reading.findings())


@dataclass
class _Reading:
    """The boxes found so far, and how often each doubt arose."""

    frame: Size
    boxes: list[Box] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    found_empty: bool = False
    largest: tuple[float, float] = (0.0, 0.0)
    smallest: float = 0.0

    def read(self, value: object, label: str = "", role: _Role = "", depth: int = 0) -> None:
        """Take one JSON value apart."""
        if depth <= _DEEPEST and isinstance(value, Mapping):
            self._read_object(value, label, depth)
        elif depth <= _DEEPEST and isinstance(value, list):
            self._read_list(value, label, role, depth)
        else:
            self.seen["unread"] += 1

    def findings(self) -> Findings:
        """Return one warning for each kind of doubt."""
        width, height = self.frame
        right, bottom = self.largest
        seen = self.seen.copy()
        if self.smallest >= 0 and (right > width or bottom > height):
            if max(right, bottom) <= 1000:  # noqa: PLR2004 - thousandths
                seen["thousandths"] += 1
            if right <= height and bottom <= width:
                seen["y-first"] += 1
        return Findings(
            Finding(code, "warn", f"{count} × {_DOUBTS[code][0]}", cure=_DOUBTS[code][1])
            for code, count in seen.items()
        )

    def _read_list(self, items: list[Any], label: str, role: _Role, depth: int) -> None:
        numbers = numbers_of(items)
        if not items and not role:
            self.found_empty = True
        elif numbers is not None:
            self._read_numbers(numbers, label, role)
        elif corners := _around(items, role):
            self.seen["from-corners"] += 1
            self._add_box(corners, label)
        elif not any(isinstance(item, list | Mapping) for item in items):
            self.seen["unread"] += 1
        else:
            for item in items:
                self.read(item, label, role, depth + 1)

    def _read_numbers(self, numbers: list[float], label: str, role: _Role) -> None:
        if len(numbers) == 4 and role == "corner and size":  # noqa: PLR2004 - two pairs
            self._add_sized(numbers, label)
        elif len(numbers) == 4 and role != "point":  # noqa: PLR2004 - two pairs
            self._add_box(numbers, label)
        elif len(numbers) == 2 and role in {"", "point"}:  # noqa: PLR2004 - x and y
            self._add_point(numbers, label)
        else:
            self.seen["unread"] += 1

    def _read_object(self, value: Mapping[str, Any], label: str, depth: int) -> None:
        named: dict[str, Any] = {}
        for key, inner in value.items():
            named.setdefault(_name(key), inner)
        label = _label(named) or label
        if self._read_named(named, label, depth) or self._read_edges(named, label):
            return
        for name in _POINT_NAMES:
            if isinstance(named.get(name), list | Mapping):
                self.read(named[name], label, "point", depth + 1)
                return
        if numbers := numbers_of([named.get("x"), named.get("y")]):
            self._add_point(numbers, label)
            return
        self._read_fields(value, label, depth, is_item=any(name in named for name in _ROLES))

    def _read_named(self, named: _Named, label: str, depth: int) -> bool:
        """Read what stands under a name for boxes."""
        for name in (*_BOX_NAMES, *_SIZE_NAMES, *_OUTLINE_NAMES):
            inner = named.get(name)
            if isinstance(inner, str):
                inner = re.split(r"[,\s]+", inner.strip("[]() \n"))
                inner = inner if numbers_of(inner) else None
            if isinstance(inner, list | Mapping):
                if name in {"box2d", "bbox2d"} and inner:
                    self.seen["thousandths"] += 1
                self.read(inner, label, _ROLES[name], depth + 1)
                return True
        for first, second in _CORNER_PAIRS:
            if corners := _around([named.get(first), named.get(second)], "box"):
                self.seen["from-corners"] += 1
                self._add_box(corners, label)
                return True
        return False

    def _read_edges(self, named: _Named, label: str) -> bool:
        """Read edges, or a corner or the centre and a size, that stand in the object itself."""
        for names in _EDGES:
            if numbers := numbers_of([named.get(name) for name in names]):
                self._add_box(numbers, label)
                return True
        for size_names in _SIZES:
            size = numbers_of([named.get(name) for name in size_names])
            if size is None:
                continue
            for x, y in _CORNERS:
                if corner := numbers_of([named.get(x), named.get(y)]):
                    self._add_sized([*corner, *size], label)
                    return True
            centre = pair_of(named.get("center")) or pair_of(named.get("centre"))
            for x, y in _CENTRES:
                centre = centre or numbers_of([named.get(x), named.get(y)])
            if centre:
                corner = [middle - side / 2 for middle, side in zip(centre, size, strict=True)]
                self._add_sized([*corner, *size], label)
                return True
        return False

    def _read_fields(
        self, value: Mapping[str, Any], label: str, depth: int, *, is_item: bool
    ) -> None:
        """Read an object that is no box by itself: a wrapper, or one list for each label."""
        is_read = False
        for key, inner in value.items():
            name = _name(key)
            if not isinstance(inner, list | Mapping) or _is_about_the_frame(name, inner):
                continue
            if name in _LISTS:
                # An empty list of points is an answer, as one of boxes is.
                self.read(inner, label, _LISTS[name] if inner else "", depth + 1)
            elif not inner and (is_item or label):
                continue  # an empty field of a thing, not an answer of "none"
            elif (
                isinstance(inner, list)
                and inner
                and not any(
                    isinstance(item, list | Mapping) or number_of(item) is not None
                    for item in inner
                )
            ):
                continue  # a list of words
            else:
                first_box, first_point = len(self.boxes), len(self.points)
                self.read(inner, label or key, "", depth + 1)
                labels = [box.label for box in self.boxes[first_box:]]
                labels += [point.label for point in self.points[first_point:]]
                if not label and key in labels:
                    self.seen["from-key"] += labels.count(key)
            is_read = True
        if not is_read:
            self.seen["unread"] += 1

    def _add_sized(self, numbers: Sequence[float], label: str) -> None:
        x, y, width, height = numbers
        self.seen["from-size"] += 1
        self._add_box([x, y, x + width, y + height], label)

    def _add_box(self, numbers: Sequence[float], label: str) -> None:
        if not self._has_room(numbers):
            return
        x1, y1, x2, y2 = numbers
        width, height = self.frame
        if x2 < x1 or y2 < y1:
            self.seen["swapped"] += 1
            if min(numbers) >= 0 and x1 + x2 <= width and y1 + y2 <= height:
                self.seen["size-like"] += 1
            x1, x2 = sorted((x1, x2))
            y1, y2 = sorted((y1, y2))
        self._remember([x1, x2], [y1, y2])
        has_no_area = x1 == x2 or y1 == y2
        if has_no_area or x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
            self.seen["dropped"] += 1
            return
        if x1 < 0 or y1 < 0 or x2 > width or y2 > height:
            self.seen["outside"] += 1
        self._flag_normalised(numbers)
        self.boxes.append(Box(x1, y1, x2, y2, label))

    def _add_point(self, numbers: Sequence[float], label: str) -> None:
        if not self._has_room(numbers):
            return
        x, y = numbers
        self._remember([x], [y])
        if not (0 <= x <= self.frame.width and 0 <= y <= self.frame.height):
            self.seen["dropped"] += 1
            return
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

    def _remember(self, across: Sequence[float], down: Sequence[float]) -> None:
        self.largest = (max(self.largest[0], *across), max(self.largest[1], *down))
        self.smallest = min(self.smallest, *across, *down)

    def _flag_normalised(self, numbers: Sequence[float]) -> None:
        # In a picture of a few pixels, numbers up to 1 are pixels.
        if min(self.frame) > 2 and all(0 <= number <= 1 for number in numbers):  # noqa: PLR2004 - a few pixels
            self.seen["normalised"] += 1


def _name(key: str) -> str:
    return _NOT_A_NAME.sub("", key.lower())


def _label(named: _Named) -> str:
    for name in _LABEL_NAMES:
        found = named.get(name)
        if isinstance(found, str) and found:
            return found
    return ""


def _is_about_the_frame(name: str, inner: Any) -> bool:
    """Whether a field tells the size of the picture, and not where something is."""
    values = inner.values() if isinstance(inner, Mapping) else inner
    is_flat = not any(isinstance(value, list | Mapping) for value in values)
    return is_flat and len(inner) in {2, 3} and _ABOUT_THE_FRAME.search(name) is not None


def _around(items: Sequence[Any], role: _Role) -> list[float] | None:
    """Return the corners of a box as four numbers, or the box around its outline.

    Where no name says that it is a box, only two lists of two numbers are one.
    """
    is_box = role == "box" and len(items) > 1
    if not is_box and not (
        not role and len(items) == 2 and all(isinstance(item, list) for item in items)  # noqa: PLR2004 - two corners
    ):
        return None
    pairs = [pair_of(item) for item in items]
    found = [pair for pair in pairs if pair is not None]
    if len(found) < len(items):
        return None
    if len(found) == 2:  # noqa: PLR2004 - two corners, in the order they were written
        return [*found[0], *found[1]]
    across, down = zip(*found, strict=True)
    return [min(across), min(down), max(across), max(down)]
