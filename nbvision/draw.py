"""Boxes over pictures, and the three sizes of a preview, as matplotlib figures.

Figures are made through matplotlib's objects, never pyplot: nothing here touches the figures
a notebook has open. Pictures lie pixel-exact: the edge between two pixels is a whole number,
as in `Box`. Numbers of rows and columns stay inside this module.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbvision.geometry import PATCH, Box, Fit, Point, Size
from nbvision.markup import bundle, image_tag, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

__all__ = [
    "LARGEST_SHOWN",
    "draw_places",
    "figure_bytes",
    "overlay_figure",
    "preview_figure",
    "shown_figure",
    "shrunk",
]

LARGEST_SHOWN = 1000
"""Longest edge in pixels of a picture that goes into a notebook."""

# Okabe and Ito's colours, which people who confuse red and green tell apart; black left out.
_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
_DARK_TEXT = {"#E69F00", "#56B4E9", "#F0E442", "#CC79A7"}
_LONGEST_LABEL = 40
_LETTER_WIDTH = 0.62  # of a letter's height, on average
_MOST_LARGER = 2.0  # times the width of what is sent, for the original in a preview
_DPI = 100


@dataclass(frozen=True, slots=True)
class _Pen:
    """Draws places on axes, in lines and letters that stay readable at a picture's size.

    Attributes
    ----------
    frame
        Size of the picture in its own pixels.
    letters
        Height of letters in points; None for lines alone.
    """

    axes: "Axes"
    frame: Size
    letters: float | None

    @classmethod
    def of(cls, axes: "Axes", frame: Size, *, writes: bool = True) -> "_Pen":
        return cls(axes, frame, min(14.0, max(6.0, frame.long_edge / 90)) if writes else None)

    def draw(self, boxes: Iterable[Box], points: Iterable[Point] = ()) -> None:
        """Draw boxes and points, numbered through."""
        number = 0
        for number, box in enumerate(boxes, start=1):
            self._box(number, box)
        for count, point in enumerate(points, start=number + 1):
            self._point(count, point)

    def _box(self, number: int, box: Box) -> None:
        from matplotlib.patches import Rectangle

        line = 1.2 if self.letters is None else self.letters / 6
        outline: dict[str, Any] = {"fill": False, "linewidth": line, "edgecolor": _colour(number)}
        self.axes.add_patch(Rectangle((box.left, box.top), box.width, box.height, **outline))
        # Above the box if there is room, else just inside it.
        align = "bottom" if box.top > self.frame.height * 0.05 else "top"
        self._write(number, (box.left, box.top), box.label, align)

    def _point(self, number: int, point: Point) -> None:
        marks: dict[str, Any] = {"marker": "o", "markersize": self.letters or 4.0}
        marks |= {"color": _colour(number), "markeredgecolor": "white"}
        self.axes.plot([point.x], [point.y], **marks)
        self._write(number, (point.x, point.y), point.label, "bottom")

    def _write(self, number: int, at: tuple[float, float], label: str, align: str) -> None:
        if self.letters is None:
            return
        words, colour = _drawable(f"{number} {label}".strip()), _colour(number)
        # A label that would run out of the picture ends at its edge, if it fits there at all.
        width = self.frame.width
        reach = len(words) * self.letters * _LETTER_WIDTH * width / _width_in_points(self.axes)
        runs_out = at[0] + reach > width >= reach
        self.axes.text(
            width if runs_out else at[0],
            at[1],
            words,
            horizontalalignment="right" if runs_out else "left",
            verticalalignment=align,
            fontsize=self.letters,
            color="black" if colour in _DARK_TEXT else "white",
            bbox={"facecolor": colour, "edgecolor": "none", "pad": self.letters / 6},
            parse_math=False,  # a price tag says $5, and means it
            clip_on=True,
        )


def overlay_figure(
    image: "Image", boxes: Iterable[Box], points: Iterable[Point] = (), *, title: str = ""
) -> "Figure":
    """Return a figure of exactly the picture's size, with boxes and points over it.

    Parameters
    ----------
    image
        RGB. Each of its pixels becomes one of the figure's.
    boxes, points
        In pixels of ``image``.
    title
        Drawn nowhere; kept as the figure's label for those who read it.
    """
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(image.width / _DPI, image.height / _DPI), dpi=_DPI, label=title)
    axes = drawn.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    draw_places(axes, image, boxes, points)
    return drawn


def draw_places(
    axes: "Axes", image: "Image", boxes: Iterable[Box], points: Iterable[Point] = ()
) -> None:
    """Draw a picture with boxes and points on axes of one's own, in pixels of the picture."""
    width, height = image.size
    # The extent puts pixel edges on whole numbers; matplotlib's default puts centres there.
    axes.imshow(image, extent=(0, width, height, 0), interpolation="none")
    _Pen.of(axes, Size(width, height)).draw(boxes, points)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)


def shown_figure(size: Size, alt: str) -> "Figure":
    """Return an empty figure of a picture's proportions that shows itself in a notebook.

    A figure that pyplot does not know is printed as text; this one brings its own display.
    """
    from matplotlib.figure import Figure

    class ShownFigure(Figure):
        def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
            data = figure_bytes(self)
            return bundle(alt, markup=image_tag(data, "image/png", alt=alt))

    tall = min(20.0, max(1.0, 8 * size.height / size.width))
    return ShownFigure(figsize=(8, tall), dpi=_DPI, layout="constrained")


def preview_figure(
    original: "Image", resized: "Image", fit: Fit, boxes: Sequence[Box] = ()
) -> "Figure":
    """Return original, resized and padded side by side.

    They are at one scale unless the original is more than twice as wide as what is sent.

    Parameters
    ----------
    original
        The upright picture, at any scale; drawn at the size of ``fit.original``.
    resized
        What the sent bytes decode to.
    fit
        How one becomes the other.
    boxes
        In original pixels; drawn on all three.
    """
    from matplotlib.figure import Figure

    local = [_shifted(box, fit.crop_origin) for box in boxes]
    inside = [fit.to_resized(box) for box in boxes]
    panels = [
        (f"original\n{fit.original} px", original, fit.original, local),
        (f"resized\n{fit.resized} px", resized, fit.resized, inside),
        (f"padded\n{fit.padded} px", resized, fit.resized, inside),
    ]
    # At one scale, until the original would leave the others too small to see.
    widths = [min(fit.original.width, _MOST_LARGER * fit.resized.width), *[fit.padded.width] * 2]
    heights = [
        width * size.height / size.width
        for width, (_, _, size, _) in zip(widths, panels, strict=True)
    ]
    tall = min(9.0, max(1.2, 9.4 * max(heights) / sum(widths)) + 0.6)
    drawn = Figure(figsize=(10, tall), dpi=_DPI, layout="constrained")
    grid = drawn.subplots(1, 3, width_ratios=widths)
    for axes, (title, image, size, places) in zip(grid, panels, strict=True):
        axes.set_anchor("N")
        is_padded = title.startswith("padded")
        frame = fit.padded if is_padded else size
        axes.imshow(image, extent=(0, size.width, size.height, 0), interpolation="antialiased")
        axes.set_title(title, fontsize=9, parse_math=False)
        axes.set_xticks([0, size.width])
        axes.set_yticks([0, size.height])
        axes.tick_params(labelsize=7, length=2)
        if is_padded:
            _draw_patches(axes, fit)
        _Pen.of(axes, frame, writes=False).draw(places)
        axes.set_xlim(0, frame.width)
        axes.set_ylim(frame.height, 0)
    return drawn


def figure_bytes(drawn: "Figure", media_type: str = "image/png") -> bytes:
    """Return a figure as PNG or JPEG bytes, at its own size."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image as Pictures

    canvas: Any = FigureCanvasAgg(drawn)
    canvas.draw()
    picture = Pictures.frombuffer("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba()))
    data = io.BytesIO()
    if media_type == "image/jpeg":
        picture.convert("RGB").save(data, "JPEG", quality=78)
    else:
        picture.convert("RGB").save(data, "PNG", compress_level=6)
    return data.getvalue()


def shrunk(image: "Image", long_edge: int = LARGEST_SHOWN) -> tuple["Image", float]:
    """Return an image no longer than ``long_edge``, and the factor it was shrunk by."""
    from PIL import Image as Pictures

    factor = min(1.0, long_edge / max(image.size))
    if factor == 1:
        return image, 1.0
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Pictures.Resampling.LANCZOS, reducing_gap=2.0), factor


def _colour(number: int) -> str:
    return _COLOURS[(number - 1) % len(_COLOURS)]


def _width_in_points(axes: "Axes") -> float:
    drawn = axes.get_figure(root=True)
    return axes.get_window_extent().width * 72 / (drawn.dpi if drawn else _DPI)


def _drawable(label: str) -> str:
    """Return a label as the built-in font can draw it: one line, no control characters."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known = get_font(findfont(FontProperties())).get_charmap()
    one_line = " ".join(plain(label).split())
    cut = one_line if len(one_line) <= _LONGEST_LABEL else f"{one_line[: _LONGEST_LABEL - 1]}…"
    return "".join(c if ord(c) in known else "□" for c in cut)


def _draw_patches(axes: "Axes", fit: Fit) -> None:
    """Draw the grid of patches, and hatch what the service fills in at the right and bottom."""
    from matplotlib.collections import LineCollection
    from matplotlib.patches import Rectangle

    width, height = fit.padded
    columns = [[(x, 0), (x, height)] for x in range(0, width + 1, PATCH)]
    rows = [[(0, y), (width, y)] for y in range(0, height + 1, PATCH)]
    axes.add_collection(LineCollection([*columns, *rows], colors="#7f7f7f90", linewidths=0.4))
    for left, top, wide, high in (
        (fit.resized.width, 0, width - fit.resized.width, height),
        (0, fit.resized.height, width, height - fit.resized.height),
    ):
        if wide and high:
            style: dict[str, Any] = {"facecolor": "#D55E00", "edgecolor": "none"}
            axes.add_patch(Rectangle((left, top), wide, high, **style))


def _shifted(box: Box, origin: tuple[int, int]) -> Box:
    x, y = origin
    return Box(box.left - x, box.top - y, box.right - x, box.bottom - y, box.label)
