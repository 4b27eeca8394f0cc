"""Sizes, boxes and the rule by which the service resizes and pads pictures: numbers only.

Coordinates everywhere are pixels with the origin at the top left, x to the right and y
down. A box is in *original* space (the upright picture you own) or in *resized* space (the
unpadded frame the model looks at); `Fit` carries boxes between the two.

The rule is the one published in "Coordinates and bounding boxes" and "Vision"
(platform.claude.com/docs, copies of August 2026), reference code included.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

__all__ = [
    "HIGH",
    "PATCH",
    "STANDARD",
    "Box",
    "Fit",
    "Point",
    "Size",
    "Tier",
    "padded_size",
    "resized_size",
    "visual_tokens",
]

PATCH = 28
"""Side of one patch in pixels; one patch costs one visual token."""


class Size(NamedTuple):
    """Width and height in pixels, in this order everywhere.

    >>> Size(1920, 1080).long_edge
    1920
    >>> print(Size(1920, 1080))
    1920 × 1080
    """

    width: int
    height: int

    @property
    def long_edge(self) -> int:
        """The larger of width and height."""
        return max(self.width, self.height)

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    def __str__(self) -> str:
        return f"{self.width} × {self.height}"


@dataclass(frozen=True, slots=True)
class Tier:
    """A resolution tier: how large a picture a model looks at.

    Attributes
    ----------
    name
        ``"standard"`` or ``"high"``.
    edge_limit
        Largest padded edge in pixels.
    visual_token_limit
        Largest number of patches one picture may cost.
    """

    name: str
    edge_limit: int
    visual_token_limit: int

    def fits(self, size: Size) -> bool:
        """Whether a picture of this size is looked at as it is.

        Both limits are tested together, the edge on the padded side.

        >>> STANDARD.fits(Size(1092, 1092)), STANDARD.fits(Size(1093, 1093))
        (True, False)
        """
        return (
            padded_size(size).long_edge <= self.edge_limit
            and visual_tokens(size) <= self.visual_token_limit
        )


STANDARD = Tier("standard", 1568, 1568)
HIGH = Tier("high", 2576, 4784)


def padded_size(size: Size) -> Size:
    """Return the size after filling right and bottom to whole patches.

    >>> padded_size(Size(924, 1307))
    Size(width=924, height=1316)
    """
    return Size(math.ceil(size.width / PATCH) * PATCH, math.ceil(size.height / PATCH) * PATCH)


def visual_tokens(size: Size) -> int:
    """Return the patches that cover a picture of this size, as it is.

    >>> visual_tokens(Size(1000, 1000))
    1296
    """
    return math.ceil(size.width / PATCH) * math.ceil(size.height / PATCH)


def resized_size(size: Size, tier: Tier) -> Size:
    """Return the size at which the model looks at a picture.

    A picture that fits is left alone, never enlarged. Otherwise the long edge is the largest
    integer whose proportional partner, rounded half to even, fits both limits; the search and
    the order of the double arithmetic are those of the published reference code.

    Parameters
    ----------
    size
        Original size in pixels, upright.
    tier
        The model's resolution tier.

    Raises
    ------
    ValueError
        If a side is smaller than one pixel.

    Notes
    -----
    The documentation's table gives 1269 × 952 for 2000 × 1500; its own reference code gives
    1270 × 952 (1270 / (4/3) is 952.5, and half goes to even). The code is followed here.

    Examples
    --------
    >>> resized_size(Size(2000, 1500), STANDARD)
    Size(width=1270, height=952)
    """
    if size.width < 1 or size.height < 1:
        raise ValueError(f"a picture has at least one pixel a side, not {size}")
    if tier.fits(size):
        return size
    if size.height > size.width:
        upright = resized_size(Size(size.height, size.width), tier)
        return Size(upright.height, upright.width)
    ratio = size.width / size.height

    def candidate(width: int) -> Size:
        return Size(width, max(1, round(width / ratio)))

    low, high = 1, size.width
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if tier.fits(candidate(middle)) else (low, middle)
    return candidate(low)


@dataclass(frozen=True, slots=True)
class Point:
    """A place in pixels, with the words attached to it."""

    x: float
    y: float
    label: str = ""

    def clamp(self, size: Size) -> "Point":
        """Return the nearest point inside a picture of this size."""
        return replace(self, x=min(max(self.x, 0), size.width), y=min(max(self.y, 0), size.height))

    def _map(self, scale_x: float, scale_y: float, shift_x: float, shift_y: float) -> "Point":
        return replace(self, x=self.x * scale_x + shift_x, y=self.y * scale_y + shift_y)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, with the words attached to it.

    Edges are coordinates between pixels, as the service counts them: the whole picture is
    ``Box(0, 0, width, height)``.

    Examples
    --------
    >>> box = Box(10, 20, 30, 60, "door")
    >>> box.xyxy, box.width, box.height
    ((10, 20, 30, 60), 20, 40)
    """

    left: float
    top: float
    right: float
    bottom: float
    label: str = ""

    def __post_init__(self) -> None:
        if not all(math.isfinite(edge) for edge in self.xyxy):
            raise ValueError(f"a box has four finite edges, not {self.xyxy}")
        if self.right < self.left or self.bottom < self.top:
            raise ValueError(f"left ≤ right and top ≤ bottom, not {self.xyxy}")

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom."""
        return (self.left, self.top, self.right, self.bottom)

    @property
    def width(self) -> float:
        """Right minus left."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Bottom minus top."""
        return self.bottom - self.top

    @property
    def area(self) -> float:
        """Width times height."""
        return self.width * self.height

    @property
    def center(self) -> Point:
        """The middle of the box, with its label."""
        return Point((self.left + self.right) / 2, (self.top + self.bottom) / 2, self.label)

    def iou(self, other: "Box") -> float:
        """Return intersection over union with another box in the same space: 0 to 1.

        Two boxes without area have nothing in common: 0, unless they are equal: 1.

        >>> Box(0, 0, 2, 2).iou(Box(1, 0, 3, 2))
        0.3333333333333333
        """
        if self.xyxy == other.xyxy:
            return 1.0
        shared_width = min(self.right, other.right) - max(self.left, other.left)
        shared_height = min(self.bottom, other.bottom) - max(self.top, other.top)
        shared = max(0.0, shared_width) * max(0.0, shared_height)
        union = self.area + other.area - shared
        return shared / union if union else 0.0

    def clamp(self, size: Size) -> "Box":
        """Return the box pulled inside a picture of this size.

        >>> Box(-5, 10, 50, 90).clamp(Size(40, 60)).xyxy
        (0, 10, 40, 60)
        """
        return replace(
            self,
            left=min(max(self.left, 0), size.width),
            top=min(max(self.top, 0), size.height),
            right=min(max(self.right, 0), size.width),
            bottom=min(max(self.bottom, 0), size.height),
        )

    def _map(self, scale_x: float, scale_y: float, shift_x: float, shift_y: float) -> "Box":
        return replace(
            self,
            left=self.left * scale_x + shift_x,
            top=self.top * scale_y + shift_y,
            right=self.right * scale_x + shift_x,
            bottom=self.bottom * scale_y + shift_y,
        )


Place = TypeVar("Place", Box, Point)


@dataclass(frozen=True, slots=True)
class Fit:
    """How a picture becomes what the model looks at, and how places travel between the two.

    Attributes
    ----------
    original
        Size of the upright picture that was prepared, in pixels.
    resized
        Size of the frame the model's coordinates refer to.
    tier
        The resolution tier that decided it.
    crop_origin
        Where the prepared picture's top left lies in a larger picture it was cropped from;
        ``(0, 0)`` when it was not cropped. Original space is then the larger picture's.

    Examples
    --------
    The documentation's worked example, an A4 page at 130 dpi on the standard tier:

    >>> fit = Fit.of(Size(1075, 1520), STANDARD)
    >>> fit.resized, fit.padded, fit.visual_tokens
    (Size(width=924, height=1307), Size(width=924, height=1316), 1551)
    >>> fit.to_original(Point(462, 653.5))
    Point(x=537.5, y=760.0, label='')
    """

    original: Size
    resized: Size
    tier: Tier
    crop_origin: tuple[int, int] = (0, 0)

    @classmethod
    def of(
        cls,
        size: tuple[int, int],
        tier: Tier,
        *,
        crop_origin: tuple[int, int] = (0, 0),
        side_limit: int | None = None,
    ) -> "Fit":
        """Return the fit of a picture of this (width, height) to a tier.

        Parameters
        ----------
        size
            Of the upright original in pixels.
        tier
            The model's resolution tier.
        crop_origin
            Where it lies in a larger picture.
        side_limit
            The longest side in pixels that may be sent, where a request is stricter than the
            tier. A frame within it is left as the tier makes it.

        Raises
        ------
        ValueError
            If a side is smaller than one pixel.

        Examples
        --------
        >>> Fit.of((4032, 3024), HIGH, side_limit=2000).resized
        Size(width=1988, height=1491)
        """
        original = Size(*size)
        resized = resized_size(original, tier)
        if side_limit is not None and resized.long_edge > side_limit:
            tier = replace(tier, edge_limit=side_limit)
            resized = resized_size(original, tier)
        return cls(original, resized, tier, crop_origin)

    @property
    def padded(self) -> Size:
        """Size after filling right and bottom to whole patches; never a frame for coordinates."""
        return padded_size(self.resized)

    @property
    def visual_tokens(self) -> int:
        """What the picture costs."""
        return visual_tokens(self.resized)

    @property
    def is_resized(self) -> bool:
        """Whether the service would shrink the picture."""
        return self.resized != self.original

    def to_original(self, place: Place) -> Place:
        """Carry a box or point from resized space to original space.

        The place is first clamped to the resized frame: the model has seen nothing outside it.
        """
        return place.clamp(self.resized)._map(  # noqa: SLF001 - the same room
            self.original.width / self.resized.width,
            self.original.height / self.resized.height,
            self.crop_origin[0],
            self.crop_origin[1],
        )

    def to_resized(self, place: Place) -> Place:
        """Carry a box or point from original space to resized space, clamped to the frame."""
        scale_x = self.resized.width / self.original.width
        scale_y = self.resized.height / self.original.height
        mapped = place._map(  # noqa: SLF001 - the same room
            scale_x, scale_y, -self.crop_origin[0] * scale_x, -self.crop_origin[1] * scale_y
        )
        return mapped.clamp(self.resized)
