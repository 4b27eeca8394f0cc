"""What can be measured in a frame: named colours, connected regions, their shapes.

Classical image processing on the pixels that arrived; nothing is learned, nothing canned.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

__all__ = [
    "COLOURS",
    "Frame",
    "Region",
    "colour_map",
    "colour_shares",
    "ground_of",
    "regions",
    "without_slivers",
]

Frame = NDArray[np.uint8]

COLOURS = (
    "black",
    "grey",
    "white",
    "red",
    "orange",
    "yellow",
    "green",
    "cyan",
    "blue",
    "purple",
    "pink",
    "brown",
)
_BITS = 6  # kept of each channel where colours are looked up: 262,144 cells
_SMALLEST = 5  # pixels of a region on a plain ground
_PLAIN_SHARE = 0.6  # a ground that covers this much makes small regions believable
_SMALLEST_SHARE = 0.0008  # of the frame, for a region in a busy picture
_SHAPE_PIXELS = 200  # of the shorter side are enough to name a shape
_MOST_REGIONS = 2_000  # of one colour: the largest; a screen of print has fewer


@dataclass(frozen=True, slots=True)
class Region:
    """A connected region of one named colour, in pixels of the frame.

    Attributes
    ----------
    colour
        One of `COLOURS`.
    shape
        ``"circle"``, ``"square"``, ``"rectangle"``, ``"triangle"``, ``"line"``, ``"ellipse"``,
        ``"diamond"``, ``"dot"`` or ``"region"``.
    box
        Left, top, right, bottom; edges between pixels.
    area
        Pixels it covers.
    """

    colour: str
    shape: str
    box: tuple[int, int, int, int]
    area: int

    @property
    def label(self) -> str:
        """Colour and shape as words."""
        return f"{self.colour} {self.shape}"

    @property
    def center(self) -> tuple[float, float]:
        """The middle of the box."""
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2


def colour_map(frame: Frame) -> NDArray[np.uint8]:
    """Return the index in `COLOURS` of each pixel's colour, height × width.

    Examples
    --------
    >>> red_and_white = np.array([[[200, 20, 30], [255, 255, 255]]], np.uint8)
    >>> [COLOURS[i] for i in colour_map(red_and_white)[0]]
    ['red', 'white']
    """
    kept = frame >> (8 - _BITS)
    cells = kept[..., 0].astype(np.uint32)
    for channel in (1, 2):
        cells <<= _BITS
        cells |= kept[..., channel]
    named: NDArray[np.uint8] = _names().take(cells)
    return named


def colour_shares(named: NDArray[np.uint8]) -> list[tuple[str, float]]:
    """Return each colour's share of the frame, 0 to 1, largest first.

    Examples
    --------
    >>> colour_shares(np.array([[3, 3, 3, 2]], np.uint8))
    [('red', 0.75), ('white', 0.25)]
    """
    # Pillow counts bytes several times faster than bincount, which widens them first.
    counts = Image.fromarray(named).histogram()[: len(COLOURS)]
    shares = [(name, count / named.size) for name, count in zip(COLOURS, counts, strict=True)]
    return sorted([s for s in shares if s[1]], key=lambda share: -share[1])


def ground_of(named: NDArray[np.uint8]) -> str:
    """Return the colour that is commonest along the frame's edges.

    Examples
    --------
    >>> ground_of(np.array([[2, 2, 2], [2, 3, 2], [2, 2, 2]], np.uint8))
    'white'
    """
    rim = np.concatenate([named[0], named[-1], named[:, 0], named[:, -1]])
    return COLOURS[int(np.bincount(rim).argmax())]


def regions(named: NDArray[np.uint8], colours: Sequence[str] | None = None) -> list[Region]:
    """Return the connected regions of these colours, largest first.

    Without ``colours``, of all but the ground. What is only a pixel or two wide is left out:
    that is what a blurred edge between two colours looks like. Of one colour, at most the
    2,000 largest.

    Examples
    --------
    >>> named = np.full((60, 80), COLOURS.index("white"), np.uint8)
    >>> named[10:30, 20:60] = COLOURS.index("blue")
    >>> [(region.label, region.box) for region in regions(named)]
    [('blue rectangle', (20, 10, 60, 30))]
    """
    ground = ground_of(named)
    shares = dict(colour_shares(named))
    wanted = [name for name in shares if name != ground] if colours is None else colours
    is_plain = shares[ground] >= _PLAIN_SHARE
    smallest = _SMALLEST if is_plain else _SMALLEST_SHARE * named.size
    found = [
        region
        for name in wanted
        if shares.get(name, 0) * named.size >= smallest
        for region in _regions_of(named, name, smallest)
    ]
    return sorted(found, key=lambda region: -region.area)


def _regions_of(named: NDArray[np.uint8], colour: str, smallest: float) -> Iterator[Region]:
    mask = without_slivers(named == COLOURS.index(colour))
    window = _window(mask)
    if window is None:
        return
    mask = mask[window]
    labels, count = ndimage.label(mask)
    areas = np.bincount(labels[mask], minlength=count + 1)
    kept = np.flatnonzero(areas >= max(smallest, 1))
    if not kept.size:
        return
    if len(kept) > _MOST_REGIONS:
        kept = np.sort(kept[np.argsort(-areas[kept], kind="stable")[:_MOST_REGIONS]])
    if len(kept) < count:
        numbers = np.zeros(count + 1, np.int32)
        numbers[kept] = np.arange(1, len(kept) + 1)
        labels = numbers.take(labels)
    top, left = window[0].start, window[1].start
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        rows, columns = place
        box = (left + columns.start, top + rows.start, left + columns.stop, top + rows.stop)
        area = int(areas[kept[number - 1]])
        yield Region(colour, _shape(labels[place] == number), box, area)


def _window(mask: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """Return the smallest part of the frame that holds the whole mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def without_slivers(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask without slivers: what a cross of five pixels fits into.

    Beyond the frame the picture is taken to go on as at its edge.

    Examples
    --------
    >>> mask = np.zeros((5, 7), np.bool_)
    >>> mask[2] = True
    >>> bool(without_slivers(mask).any())
    False
    """
    core = mask.copy()
    core[1:] &= mask[:-1]
    core[:-1] &= mask[1:]
    core[:, 1:] &= mask[:, :-1]
    core[:, :-1] &= mask[:, 1:]
    opened = core.copy()
    opened[1:] |= core[:-1]
    opened[:-1] |= core[1:]
    opened[:, 1:] |= core[:, :-1]
    opened[:, :-1] |= core[:, 1:]
    return opened


def _shape(inside: NDArray[np.bool_]) -> str:
    """Name a shape by how much of its box it fills, and where its weight lies."""
    height, width = inside.shape
    if max(height, width) < 10:
        return "dot"
    aspect = max(width, height) / min(width, height)
    step = max(1, min(height, width) // _SHAPE_PIXELS)
    inside = _without_holes(inside[::step, ::step])
    height, width = inside.shape
    filled = float(inside.mean())
    if filled > 0.9:
        return "line" if aspect > 8 else "square" if aspect < 1.12 else "rectangle"
    likeness = 0.92 if min(height, width) >= 16 else 0.82  # an almond has 0.89; pixels are coarse
    if 0.72 < filled < 0.88 and _likeness_to_ellipse(inside) > likeness:
        return "circle" if aspect < 1.12 else "ellipse"
    if 0.42 < filled < 0.58:
        rows, columns = (float(axis.mean()) for axis in np.nonzero(inside))
        off = max(abs(rows / height - 0.5), abs(columns / width - 0.5))
        return "triangle" if off > 0.08 else "diamond"
    return "region"


def _likeness_to_ellipse(inside: NDArray[np.bool_]) -> float:
    """Return the overlap with the ellipse that fills the same box, 0 to 1."""
    rows, columns = ((np.arange(n) + 0.5) / n * 2 - 1 for n in inside.shape)
    ellipse = rows[:, None] ** 2 + columns**2 <= 1
    return float((inside & ellipse).sum() / (inside | ellipse).sum())


def _without_holes(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the rows filled from their first to their last pixel: a label hides no shape."""
    begun = np.maximum.accumulate(inside, axis=1)
    not_ended = np.maximum.accumulate(inside[:, ::-1], axis=1)[:, ::-1]
    return begun & not_ended


@cache
def _names() -> NDArray[np.uint8]:
    """Return the colour index for each cell of the red, green and blue cube."""
    steps = (np.arange(1 << _BITS) + 0.5) / (1 << _BITS)
    red, green, blue = (
        axis.ravel() for axis in np.meshgrid(steps, steps, steps, indexing="ij", sparse=False)
    )
    value = np.maximum(np.maximum(red, green), blue)
    spread = value - np.minimum(np.minimum(red, green), blue)
    saturation = spread / value
    safe = np.where(spread == 0, 1, spread)
    hue = 60 * np.select(
        [value == red, value == green],
        [(green - blue) / safe % 6, (blue - red) / safe + 2],
        default=(red - green) / safe + 4,
    )
    names = np.select(
        [
            value < 0.2,
            (saturation < 0.14) & (value > 0.85),
            saturation < 0.14,
            (saturation < 0.3) & (value < 0.35),
            *_hues(hue, saturation, value),
        ],
        [COLOURS.index(name) for name in ("black", "white", "grey", "grey", *_HUE_ORDER)],
        default=COLOURS.index("red"),
    )
    return names.astype(np.uint8)


_HUE_ORDER = (
    "pink",
    *("brown",) * 2,
    "orange",
    "yellow",
    "green",
    "cyan",
    "blue",
    "purple",
    "pink",
)


def _hues(hue: Any, saturation: Any, value: Any) -> list[Any]:
    """Return one test for each name of `_HUE_ORDER`; hue in degrees, the others 0 to 1."""
    reddish = (hue < 18) | (hue >= 345)
    return [
        reddish & (saturation < 0.5) & (value > 0.75),
        (hue >= 10) & (hue < 45) & (value < 0.62),
        (reddish | (hue < 45)) & (saturation < 0.78) & (value < 0.72),  # terracotta, chestnut
        (hue >= 18) & (hue < 42),
        (hue >= 42) & (hue < 68),
        (hue >= 68) & (hue < 165),
        (hue >= 165) & (hue < 192),
        (hue >= 192) & (hue < 256),
        (hue >= 256) & ((hue < 292) | ((hue < 318) & (value < 0.7))),
        (hue >= 292) & (hue < 345),
    ]
