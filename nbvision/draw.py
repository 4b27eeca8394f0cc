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
from nbvision.markup import plain

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
    "shrunk",
]

LARGEST_SHOWN = 1000
"""Longest edge in pixels of a picture that goes into a notebook."""

# Okabe and Ito's colours, which people who confuse red and green tell apart; black left out.
_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
_DARK_TEXT = {"#E69F00", "#56B4E9", "#F0E442", "#CC79A7"}
_LONGEST_LABEL = 40
_DPI = 100


@dataclass(frozen=True, slots=True)
class _Style:
    """Line and letter sizes in points that stay readable at a picture's size."""

    line: float
    letters: float

    @classmethod
    def of(cls, long_edge: float) -> "_Style":
        letters = min(14.0, max(6.0, long_edge / 90))
        return cls(line=letters / 6, letters=letters)


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
    _add_places(axes, Size(width, height), boxes, points)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)


def preview_figure(
    original: "Image", resized: "Image", fit: Fit, boxes: Sequence[Box] = ()
) -> "Figure":
    """Return original, resized and padded side by side, at one scale.

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
    # Pictures much larger than what the model sees would leave it a dot at one scale.
    tallest = max(size.height / size.width for _, _, size, _ in panels)
    drawn = Figure(
        figsize=(10, min(10.0, max(1.6, 3.1 * tallest + 0.7))), dpi=_DPI, layout="constrained"
    )
    for axes, (title, image, size, places) in zip(drawn.subplots(1, 3), panels, strict=True):
        is_padded = title.startswith("padded")
        frame = fit.padded if is_padded else size
        axes.imshow(image, extent=(0, size.width, size.height, 0), interpolation="antialiased")
        axes.set_title(title, fontsize=9, parse_math=False)
        axes.set_xticks([0, size.width])
        axes.set_yticks([0, size.height])
        axes.tick_params(labelsize=7, length=2)
        if is_padded:
            _draw_patches(axes, fit)
        _add_places(axes, frame, places, (), is_small=True)
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
        picture.convert("RGB").save(data, "JPEG", quality=80)
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


def _add_places(
    axes: "Axes",
    frame: Size,
    boxes: Iterable[Box],
    points: Iterable[Point],
    *,
    is_small: bool = False,
) -> None:
    from matplotlib.patches import Rectangle

    style = _Style(1.2, 6.0) if is_small else _Style.of(frame.long_edge)
    number = 0
    for number, box in enumerate(boxes, start=1):
        colour = _COLOURS[(number - 1) % len(_COLOURS)]
        outline: dict[str, Any] = {"fill": False, "linewidth": style.line, "edgecolor": colour}
        axes.add_patch(Rectangle((box.left, box.top), box.width, box.height, **outline))
        if not is_small:
            # Above the box if there is room, else just inside it.
            align = "bottom" if box.top > frame.height * 0.05 else "top"
            _write(axes, (box.left, box.top), box.label, number, style, align=align)
    for count, point in enumerate(points, start=number + 1):
        colour = _COLOURS[(count - 1) % len(_COLOURS)]
        marks: dict[str, Any] = {"marker": "o", "markersize": style.letters, "color": colour}
        axes.plot([point.x], [point.y], markeredgecolor="white", **marks)
        _write(axes, (point.x, point.y), point.label, count, style, align="bottom")


def _write(
    axes: "Axes", at: tuple[float, float], label: str, number: int, style: _Style, *, align: str
) -> None:
    colour = _COLOURS[(number - 1) % len(_COLOURS)]
    axes.text(
        *at,
        _drawable(f"{number} {label}".strip()),
        fontsize=style.letters,
        color="black" if colour in _DARK_TEXT else "white",
        verticalalignment=align,
        bbox={"facecolor": colour, "edgecolor": "none", "pad": style.letters / 6},
        parse_math=False,  # a price tag says $5, and means it
        clip_on=True,
    )


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
    axes.add_collection(LineCollection([*columns, *rows], colors="#ffffff90", linewidths=0.3))
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
