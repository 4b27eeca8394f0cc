"""How far one set of boxes is from another: pairs by overlap, and what is left over.

Truth that a person has drawn meets the boxes of a model, or one model's boxes another's.
Both are in the same space; labels play no part, because two hands name one thing differently.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nbvision.errors import RequestError
from nbvision.geometry import Box
from nbvision.markup import bundle, escape, one_line, rich, table

__all__ = ["BoxPair", "Matches", "match_boxes", "paired"]


@dataclass(frozen=True, slots=True)
class BoxPair:
    """One's own box and the other that was found for it, or one of them alone.

    Attributes
    ----------
    own
        None when only the other has a box here: it is extra.
    other
        None when only one's own is here: the other missed it.
    iou
        Intersection over union of the two, 0 to 1; 0 when one is missing.
    """

    own: Box | None
    other: Box | None
    iou: float


@dataclass(frozen=True, slots=True, repr=False)
class Matches:
    """Which boxes belong together, and how well they agree.

    Iterates over its rows, and has their length.

    Attributes
    ----------
    rows
        One for each box of one's own, in its order; then one for each extra box.

    Examples
    --------
    >>> truth = [Box(0, 0, 10, 10, "door"), Box(50, 0, 60, 10, "window")]
    >>> found = [Box(0, 0, 10, 8, "door")]
    >>> match_boxes(truth, found)
    Matches(1 pair, mean IoU 0.80; 1 missed, 0 extra)
    """

    rows: tuple[BoxPair, ...]

    @property
    def pairs(self) -> tuple[BoxPair, ...]:
        """The rows that have both boxes."""
        return tuple(row for row in self.rows if row.own is not None and row.other is not None)

    @property
    def missed(self) -> tuple[Box, ...]:
        """One's own boxes that the other has not found."""
        return tuple(row.own for row in self.rows if row.own is not None and row.other is None)

    @property
    def extra(self) -> tuple[Box, ...]:
        """The other's boxes that stand where one has none."""
        return tuple(row.other for row in self.rows if row.other is not None and row.own is None)

    @property
    def mean_iou(self) -> float:
        """Mean overlap of the pairs, 0 to 1; 0 if there are none.

        What is missed or extra has no part in it: read it together with their number.
        """
        ious = [pair.iou for pair in self.pairs]
        return sum(ious) / len(ious) if ious else 0.0

    def recall(self, iou: float = 0.5) -> float:
        """Return which share of one's own boxes was found with at least this overlap.

        1 if there was nothing to find.
        """
        own = sum(row.own is not None for row in self.rows)
        return self._hits(iou) / own if own else 1.0

    def precision(self, iou: float = 0.5) -> float:
        """Return which share of the other's boxes has at least this overlap with one's own.

        1 if the other has no boxes, and so none that is wrong.
        """
        others = sum(row.other is not None for row in self.rows)
        return self._hits(iou) / others if others else 1.0

    def _hits(self, iou: float) -> int:
        least = _checked(iou, "iou")
        return sum(pair.iou >= least for pair in self.pairs)

    def summary(self) -> str:
        """Return one line: how many pairs, how good, and what is left over."""
        count = len(self.pairs)
        mean = f", mean IoU {self.mean_iou:.2f}" if count else ""
        words = f"{count} pair{'' if count == 1 else 's'}{mean}"
        return f"{words}; {len(self.missed)} missed, {len(self.extra)} extra"

    def in_words(self) -> str:
        """Return the summary, and one line for each row."""
        lines = [f"{number}. {_in_words(row)}" for number, row in enumerate(self.rows, start=1)]
        return "\n".join([self.summary(), *lines])

    def __iter__(self) -> Iterator[BoxPair]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> BoxPair:
        return self.rows[index]

    def __repr__(self) -> str:
        return f"Matches({self.summary()})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        header = ["", "own", "other", "own box, px", "other box, px", "IoU"]
        rows = [
            (
                number,
                _name(row.own),
                _name(row.other),
                _edges(row.own),
                _edges(row.other),
                _iou(row),
            )
            for number, row in enumerate(self.rows, start=1)
        ]
        listed = table(header, rows) if rows else ""
        markup = rich(f"<div>{escape(self.summary())}</div>{listed}")
        return bundle(self.in_words(), markup=markup)


def match_boxes(own: Iterable[Box], others: Iterable[Box], *, at_least: float = 0.0) -> Matches:
    """Return which of one's own boxes belongs to which of another's.

    The two that overlap most become a pair and leave; then the best two of the rest; until
    no two are left that overlap. Boxes that share no area are never a pair.

    Parameters
    ----------
    own
        For example the truth, drawn by hand.
    others
        For example `Detections`; in the same pixels.
    at_least
        Smallest intersection over union of a pair, 0 to 1.

    Raises
    ------
    RequestError
        If ``at_least`` is not from 0 to 1, or something is no box.

    Notes
    -----
    This is greedy, as COCO's evaluation is; that one goes through the boxes from the surest to
    the least sure, and since a language model does not say how sure it is, overlap decides
    the order here. The optimal assignment (the Hungarian method) may break up the best pair to
    gain more elsewhere, and so reach more pairs or a higher sum. Equal overlaps are taken in
    the order of one's own boxes, then of the others.

    Examples
    --------
    >>> truth = [Box(0, 0, 10, 10, "door"), Box(50, 0, 60, 10, "window")]
    >>> matches = match_boxes(truth, [Box(50, 0, 60, 10), Box(0, 0, 10, 5)])
    >>> [pair.iou for pair in matches.pairs], matches.mean_iou
    ([0.5, 1.0], 0.75)
    """
    mine, theirs = list(own), list(others)
    given: list[object] = [*mine, *theirs]
    for box in given:
        if not isinstance(box, Box):
            raise RequestError(
                f"boxes hold {box!r}"[:200],
                limit="nv.Box values",
                cure='points have no overlap: locate with kind="boxes"',
            )
    found = paired(mine, theirs, at_least=at_least)
    rows = [
        BoxPair(box, theirs[found[number][0]], found[number][1])
        if number in found
        else BoxPair(box, None, 0.0)
        for number, box in enumerate(mine)
    ]
    used = {other for other, _ in found.values()}
    extra = [BoxPair(None, box, 0.0) for number, box in enumerate(theirs) if number not in used]
    return Matches((*rows, *extra))


def paired(
    own: Sequence[Box], others: Sequence[Box], *, at_least: float = 0.0
) -> dict[int, tuple[int, float]]:
    """Return the pairs of `match_boxes` by index: own to other and their overlap.

    Examples
    --------
    >>> paired([Box(0, 0, 10, 10)], [Box(90, 0, 99, 9), Box(0, 0, 10, 5)])
    {0: (1, 0.5)}
    """
    least = _checked(at_least, "at_least")
    candidates = [
        (box.iou(other), number, count)
        for number, box in enumerate(own)
        for count, other in enumerate(others)
        if _touch(box, other)
    ]
    candidates.sort(key=lambda found: (-found[0], *found[1:]))
    pairs: dict[int, tuple[int, float]] = {}
    used: set[int] = set()
    for iou, number, count in candidates:
        if 0 < iou >= least and number not in pairs and count not in used:
            pairs[number] = (count, iou)
            used.add(count)
    return pairs


def _touch(one: Box, other: Box) -> bool:
    """Say quickly whether two boxes could overlap: most of a thousand times a thousand do not."""
    across = one.left <= other.right and other.left <= one.right
    return across and one.top <= other.bottom and other.top <= one.bottom


def _checked(share: float, name: str) -> float:
    if not 0 <= share <= 1:
        raise RequestError(f"{name}={share!r}"[:200], limit="from 0 to 1")
    return share


def _name(box: Box | None) -> str:
    """Return a label that cannot pass for further lines."""
    return "–" if box is None else one_line(box.label)


def _edges(box: Box | None) -> str:
    return "" if box is None else "[" + ", ".join(f"{edge:.0f}" for edge in box.xyxy) + "]"


def _iou(row: BoxPair) -> str:
    if row.own is None:
        return "extra"
    return "missed" if row.other is None else f"{row.iou:.3f}"


def _in_words(row: BoxPair) -> str:
    if row.own is None or row.other is None:
        box = row.own or row.other
        return f"{_name(box)} {_edges(box)}: {_iou(row)}"
    return f"{_name(row.own)} – {_name(row.other)}: IoU {_iou(row)}"
