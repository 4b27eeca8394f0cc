"""Where names stand on a picture, so that none of them hides what another one names."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nbvision.geometry import Box, Size
from nbvision.markup import plain

__all__ = ["Page", "Place", "Tag"]

_LONGEST_LABEL = 40
_LETTER_WIDTH = 0.62  # of a letter's height, on average
_LINE_HEIGHT = 1.7  # of a letter's height, with the margin of its label
_MOST_LABELLED = 1000  # places; above it they are numbered only, as each is held against all


class Place(NamedTuple):
    """Something to be named: what it covers, and the corner where its name stands."""

    around: Box
    at: tuple[float, float]
    label: str
    clear: float = 0.0  # points between the corner and the name


class Tag(NamedTuple):
    """Words at a place, and the field they cover: left, top, right, bottom in pixels."""

    words: str
    at: tuple[float, float]
    field: tuple[float, float, float, float]
    runs_out: bool
    is_above: bool
    clear: float


@dataclass(frozen=True, slots=True)
class Page:
    """What names are written on.

    Attributes
    ----------
    frame
        Size of the picture in its own pixels.
    shown
        Its width and height in points, as it is shown.
    letters
        Height of letters in points.
    """

    frame: Size
    shown: tuple[float, float]
    letters: float

    def tags(self, places: Sequence[Place]) -> list[Tag]:
        """Return what is written at each place, numbered from 1.

        It is the number and the label; the number alone where both would lie over another place,
        another number or an earlier label.

        Examples
        --------
        >>> page = Page(Size(400, 300), (288, 216), 6)
        >>> boxes = [Box(40, 60, 300, 90), Box(40, 95, 300, 120), Box(40, 200, 300, 250)]
        >>> [tag.words for tag in page.tags([Place(box, box.xyxy[:2], "row") for box in boxes])]
        ['1 row', '2', '3 row']
        """
        import numpy as np

        tags = [self._tag(f"{number}", place) for number, place in enumerate(places, start=1)]
        if not 0 < len(tags) <= _MOST_LABELLED:
            return tags
        covered = np.array([place.around.xyxy for place in places])
        written = np.array([tag.field for tag in tags])
        # What is longer than the picture is wide cannot be read: it is cut sooner.
        room = max(3, int(self.shown[0] / (self.letters * _LETTER_WIDTH)) - 1)
        labels = _drawable([f"{n} {p.label}" for n, p in enumerate(places, start=1)], room)
        for row, (label, place) in enumerate(zip(labels, places, strict=True)):
            tag = self._tag(label, place)
            start, end = tag.field[:2], tag.field[2:]
            hides = (covered[:, :2] < end) & (covered[:, 2:] > start)
            # What lies around a place is not hidden by its label, nor is the place itself.
            inner = covered[row]
            others = np.any((covered[:, :2] > inner[:2]) | (covered[:, 2:] < inner[2:]), axis=1)
            meets = np.all((written[:, :2] < end) & (written[:, 2:] > start), axis=1)
            meets[row] = False
            if not (np.any(np.all(hides, axis=1) & others) or np.any(meets)):
                tags[row], written[row] = tag, tag.field
        return tags

    def _tag(self, words: str, place: Place) -> Tag:
        """Lay words above a place, or below its upper edge where there is no room above."""
        (width, height), (wide, high) = self.frame, self.shown
        reach = len(words) * self.letters * _LETTER_WIDTH * width / wide
        tall, clear = self.letters * _LINE_HEIGHT * height / high, place.clear * height / high
        left, top = max(0.0, place.at[0]), max(0.0, place.at[1])
        # A label that would run out of the picture ends at its edge.
        runs_out = left + reach > width
        is_above = top >= tall + clear
        start, end = width - reach if runs_out else left, top - clear if is_above else top + tall
        field = (start, end - tall, start + reach, end)
        at = (width if runs_out else left, top)
        return Tag(words, at, field, runs_out, is_above, place.clear)


def _drawable(labels: Iterable[str], room: int) -> Iterator[str]:
    """Yield labels as the built-in font can draw them: one line, no control characters."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    longest = min(room, _LONGEST_LABEL)
    known = get_font(findfont(FontProperties())).get_charmap()
    for label in labels:
        one_line = " ".join(plain(label).split())
        cut = one_line if len(one_line) <= longest else f"{one_line[: longest - 1]}…"
        yield "".join(c if ord(c) in known else "□" for c in cut)
