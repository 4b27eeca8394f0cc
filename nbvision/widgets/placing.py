"""Boxes and points as a picture can hold them: whole pixels, inside, few and short enough.

What Python gives is refused where it must be a mistake; what a hand has dragged is clamped.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nbvision.errors import LimitExceeded, RequestError
from nbvision.geometry import Box, Point
from nbvision.widgets.messages import Message

__all__ = ["MOST", "Frame", "Places", "as_fields", "only_boxes"]

MOST = 1000
"""Boxes, and as many points."""
_LONGEST_LABEL = 200  # characters
_FURTHEST = 1e7  # pixels; a drag may well end outside the picture

Places = tuple[tuple[Box, ...], tuple[Point, ...]]


@dataclass(frozen=True, slots=True)
class Frame:
    """The part of a picture that is drawn on, in pixels of the full picture.

    Examples
    --------
    >>> Frame(0, 0, 40, 30).boxes([Box(-3, 2.4, 10.6, 2.4, "thread")])
    (Box(left=0, top=2, right=11, bottom=3, label='thread'),)
    """

    left: int
    top: int
    right: int
    bottom: int

    def boxes(self, given: Iterable[object]) -> tuple[Box, ...]:
        """Return boxes that Python gave, rounded and clamped.

        Raises
        ------
        RequestError
            If one is no `Box`, lies outside altogether, or has too long a label; or they are
            too many.
        """
        places = _counted(given, "boxes")
        return tuple(self._box(number, box) for number, box in enumerate(places, start=1))

    def points(self, given: Iterable[object]) -> tuple[Point, ...]:
        """Return points that Python gave, rounded; as `boxes`."""
        places = _counted(given, "points")
        return tuple(self._point(number, point) for number, point in enumerate(places, start=1))

    def read(self, message: Message) -> Places:
        """Return the boxes and points that a browser sends, rounded and clamped.

        Raises
        ------
        RequestError
            If a number or a text is not what it must be.
        """
        boxes = [self._read_box(item) for item in message.items("boxes", most=MOST)]
        points = [self._read_point(item) for item in message.items("points", most=MOST)]
        return tuple(boxes), tuple(points)

    def _box(self, number: int, box: object) -> Box:
        if not isinstance(box, Box):
            raise _not_a("Box", number, box)
        is_across = box.left < self.right and box.right > self.left
        if not is_across or box.top >= self.bottom or box.bottom <= self.top:
            raise self._outside(f"box {number}, {box.xyxy},")
        _check_label(box.label)
        return self._clamp(box)

    def _point(self, number: int, point: object) -> Point:
        if not isinstance(point, Point):
            raise _not_a("Point", number, point)
        is_across = self.left <= point.x <= self.right
        if not is_across or not self.top <= point.y <= self.bottom:
            raise self._outside(f"point {number}, {point.x, point.y},")
        _check_label(point.label)
        return self._clamp_point(point)

    def _read_box(self, item: Message) -> Box:
        names = ("left", "top", "right", "bottom")
        edges = [item.number(name, least=-_FURTHEST, most=_FURTHEST) for name in names]
        (left, right), (top, bottom) = sorted(edges[::2]), sorted(edges[1::2])
        label = item.text("label", longest=_LONGEST_LABEL)
        return self._clamp(Box(left, top, right, bottom, label))

    def _read_point(self, item: Message) -> Point:
        x, y = (item.number(name, least=-_FURTHEST, most=_FURTHEST) for name in ("x", "y"))
        return self._clamp_point(Point(x, y, item.text("label", longest=_LONGEST_LABEL)))

    def _clamp(self, box: Box) -> Box:
        left = min(max(round(box.left), self.left), self.right - 1)
        top = min(max(round(box.top), self.top), self.bottom - 1)
        right = min(max(round(box.right), left + 1), self.right)
        bottom = min(max(round(box.bottom), top + 1), self.bottom)
        return Box(left, top, right, bottom, box.label)

    def _clamp_point(self, point: Point) -> Point:
        x = min(max(round(point.x), self.left), self.right)
        return Point(x, min(max(round(point.y), self.top), self.bottom), point.label)

    def _outside(self, what: str) -> RequestError:
        return RequestError(
            f"{what} lies outside the picture",
            limit=f"x from {self.left} to {self.right}, y from {self.top} to {self.bottom}",
            cure="give it in original pixels; of a crop, in pixels of the full picture",
        )


def only_boxes(given: Iterable[object]) -> tuple[Box, ...]:
    """Return boxes as they are, wherever they lie.

    Raises
    ------
    RequestError
        If one is no `Box`, or they are too many.
    """
    boxes = _counted(given, "boxes")
    for number, box in enumerate(boxes, start=1):
        if not isinstance(box, Box):
            raise _not_a("Box", number, box)
    return tuple(box for box in boxes if isinstance(box, Box))


def as_fields(boxes: Iterable[Box]) -> list[dict[str, Any]]:
    """Return boxes as a browser reads them."""
    names = ("left", "top", "right", "bottom")
    return [
        {**dict(zip(names, map(float, box.xyxy), strict=True)), "label": box.label} for box in boxes
    ]


def _counted(given: Iterable[object], name: str) -> list[object]:
    places = list(given)
    if len(places) > MOST:
        raise LimitExceeded(
            f"{len(places):,} {name}", limit=f"{MOST:,}", cure="draw on parts: image.crop(…)"
        )
    return places


def _not_a(kind: str, number: int, place: object) -> RequestError:
    shown = repr(place)[:60]
    return RequestError(f"item {number} is {shown}", limit=f"nbvision.{kind}")


def _check_label(label: str) -> None:
    if len(label) > _LONGEST_LABEL:
        raise LimitExceeded(
            f"a label of {len(label):,} characters",
            limit=f"{_LONGEST_LABEL}",
            cure="shorten it, or keep the rest beside the boxes",
        )
