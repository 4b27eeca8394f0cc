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

__all__ = ["COLOURS", "Frame", "Region", "colour_map", "colour_shares", "ground_of", "regions"]

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
_BINS = 32  # per channel of the hue, saturation and value cube that names colours
_SMALLEST = 5  # pixels of a region on a plain ground
_PLAIN_SHARE = 0.6  # a ground that covers this much makes small regions believable
_SMALLEST_SHARE = 0.0008  # of the frame, for a region in a busy picture


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
    """Return the index in `COLOURS` of each pixel's colour, height × width."""
    hsv = np.asarray(Image.fromarray(frame).convert("HSV")) >> 3
    cells = hsv[..., 0].astype(np.uint16) << 10 | hsv[..., 1].astype(np.uint16) << 5 | hsv[..., 2]
    named: NDArray[np.uint8] = _names()[cells]
    return named


def colour_shares(named: NDArray[np.uint8]) -> list[tuple[str, float]]:
    """Return each colour's share of the frame, 0 to 1, largest first."""
    counts = np.bincount(named.ravel(), minlength=len(COLOURS)) / named.size
    order = np.argsort(-counts, kind="stable")
    return [(COLOURS[i], float(counts[i])) for i in order if counts[i] > 0]


def ground_of(named: NDArray[np.uint8]) -> str:
    """Return the colour that is commonest along the frame's edges."""
    rim = np.concatenate([named[0], named[-1], named[:, 0], named[:, -1]])
    return COLOURS[int(np.bincount(rim).argmax())]


def regions(named: NDArray[np.uint8], colours: Sequence[str] | None = None) -> list[Region]:
    """Return the connected regions of these colours, largest first.

    Without ``colours``, of all but the ground. What is only a pixel or two wide is left out:
    that is what a blurred edge between two colours looks like.
    """
    ground = ground_of(named)
    shares = dict(colour_shares(named))
    wanted = [name for name in shares if name != ground] if colours is None else colours
    is_plain = shares[ground] >= _PLAIN_SHARE
    smallest = _SMALLEST if is_plain else _SMALLEST_SHARE * named.size
    found = [region for name in wanted for region in _regions_of(named, name, smallest)]
    return sorted(found, key=lambda region: -region.area)


def _regions_of(named: NDArray[np.uint8], colour: str, smallest: float) -> Iterator[Region]:
    mask = _opened(named == COLOURS.index(colour))
    labels, count = ndimage.label(mask)
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        if place is None or areas[number] < smallest:  # type: ignore[redundant-expr]
            continue
        rows, columns = place
        box = (columns.start, rows.start, columns.stop, rows.stop)
        yield Region(colour, _shape(labels[place] == number), box, int(areas[number]))


def _opened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask without slivers: what a cross of five pixels fits into.

    Beyond the frame the picture is taken to go on as at its edge.
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
    if max(height, width) < 8:
        return "dot"
    aspect = max(width, height) / min(width, height)
    filled = float(inside.mean())
    if filled > 0.9:
        return "line" if aspect > 8 else "square" if aspect < 1.12 else "rectangle"
    if 0.72 < filled < 0.84:
        return "circle" if aspect < 1.12 else "ellipse"
    if 0.42 < filled < 0.58:
        rows, columns = (float(axis.mean()) for axis in np.nonzero(inside))
        off = max(abs(rows / height - 0.5), abs(columns / width - 0.5))
        return "triangle" if off > 0.08 else "diamond"
    return "region"


@cache
def _names() -> NDArray[np.uint8]:
    """Return the colour index for each cell of the hue, saturation, value cube."""
    steps = (np.arange(_BINS) * 8 + 4) / 255
    hue, saturation, value = (
        axis.ravel() for axis in np.meshgrid(steps * 360, steps, steps, indexing="ij")
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


_HUE_ORDER = ("pink", "brown", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")


def _hues(hue: Any, saturation: Any, value: Any) -> list[Any]:
    """Return one test for each name of `_HUE_ORDER`; hue in degrees, the others 0 to 1."""
    reddish = (hue < 18) | (hue >= 345)
    return [
        reddish & (saturation < 0.5) & (value > 0.75),
        (hue >= 10) & (hue < 45) & (value < 0.62),
        (hue >= 18) & (hue < 42),
        (hue >= 42) & (hue < 68),
        (hue >= 68) & (hue < 165),
        (hue >= 165) & (hue < 192),
        (hue >= 192) & (hue < 256),
        (hue >= 256) & ((hue < 292) | ((hue < 318) & (value < 0.7))),
        (hue >= 292) & (hue < 345),
    ]
