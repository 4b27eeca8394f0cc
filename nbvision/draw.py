"""Boxes over pictures, and the three sizes of a preview, as matplotlib figures.

Figures are made through matplotlib's objects, never pyplot: nothing here touches the figures
a notebook has open. Pictures lie pixel-exact: the edge between two pixels is a whole number,
as in `Box`. Numbers of rows and columns stay inside this module.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbvision.errors import LimitExceeded, RequestError
from nbvision.geometry import PATCH, Box, Fit, Point, Size
from nbvision.labelling import Page, Place, Tag
from nbvision.markup import bundle, image_tag

if TYPE_CHECKING:
    from matplotlib.artist import Artist
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
_DARK_SEAMS = {"#E69F00", "#56B4E9", "#F0E442", "#CC79A7"}
_LIGHT_LETTERS = {"#0072B2"}
_SMALLEST_LETTERS = 6.0  # points; below that nobody reads them
_LARGEST_PLOTTED = 2000  # pixels of the long edge; matplotlib takes seconds and gigabytes for more
_LARGEST_JPEG = 65500  # pixels of an edge that the format's encoder takes
_MOST_LARGER = 2.0  # times the width of what is sent, for the original in a preview
_DPI = 100


@dataclass(frozen=True, slots=True)
class _Pen:
    """Draws places on axes, in lines and letters that stay readable at the size they are shown.

    Attributes
    ----------
    frame
        Size of the picture in its own pixels.
    shown
        Width and height of the axes in points.
    letters
        Height of letters in points; None for lines alone.
    """

    axes: "Axes"
    frame: Size
    shown: tuple[float, float]
    letters: float | None

    @classmethod
    def of(cls, axes: "Axes", frame: Size, *, writes: bool = True) -> "_Pen":
        drawn = axes.get_figure(root=True)
        extent, dpi = axes.get_window_extent(), drawn.dpi if drawn else _DPI
        shown = (extent.width * 72 / dpi, extent.height * 72 / dpi)
        letters = max(_SMALLEST_LETTERS, min(max(extent.size) / 80, min(extent.size) / 12))
        return cls(axes, frame, shown, letters if writes else None)

    def draw(self, boxes: Iterable[Box], points: Iterable[Point] = ()) -> None:
        """Draw boxes and points, numbered through."""
        places = []
        for number, box in enumerate(boxes, start=1):
            self._outline(number, box)
            places.append(Place(box, (box.left, box.top), box.label))
        for number, point in enumerate(points, start=len(places) + 1):
            places.append(self._mark(number, point))
        if self.letters is not None:
            tags = Page(self.frame, self.shown, self.letters).tags(places)
            for number, tag in enumerate(tags, start=1):
                self._write(number, tag, self.letters)

    def _outline(self, number: int, box: Box) -> None:
        from matplotlib.patches import Rectangle

        line = 1.2 if self.letters is None else self.letters / 6
        outline: dict[str, Any] = {"fill": False, "linewidth": line, "edgecolor": _colour(number)}
        outline |= {"joinstyle": "miter", "path_effects": _halo(number, line)}
        self.axes.add_patch(Rectangle((box.left, box.top), box.width, box.height, **outline))

    def _mark(self, number: int, point: Point) -> Place:
        size = self.letters or 4.0
        marks: dict[str, Any] = {"marker": "o", "markersize": size}
        marks |= {"color": _colour(number), "markeredgecolor": "white"}
        self.axes.plot([point.x], [point.y], **marks)
        (width, height), (wide, high) = self.frame, self.shown
        x, y = size / 2 * width / wide, size / 2 * height / high
        around = Box(point.x - x, point.y - y, point.x + x, point.y + y)
        return Place(around, (point.x, point.y), point.label, clear=size / 2)

    def _write(self, number: int, tag: Tag, letters: float) -> None:
        margin, colour = letters / 6, _colour(number)
        across = -margin if tag.runs_out else margin / 2
        self.axes.annotate(
            tag.words,
            tag.at,
            xytext=(across, tag.clear + margin if tag.is_above else -margin),
            textcoords="offset points",
            horizontalalignment="right" if tag.runs_out else "left",
            verticalalignment="bottom" if tag.is_above else "top",
            fontsize=letters,
            color="white" if colour in _LIGHT_LETTERS else "black",
            bbox={"facecolor": colour, "edgecolor": "none", "pad": margin},
            parse_math=False,  # a price tag says $5, and means it
            annotation_clip=False,
            clip_on=True,
        )


def overlay_figure(
    image: "Image", boxes: Iterable[Box], points: Iterable[Point] = (), *, title: str = ""
) -> "Figure":
    """Return a figure of exactly the picture's size, with boxes and points over it.

    Outside the lines and labels every pixel is the picture's own.

    Parameters
    ----------
    image
        RGB. Each of its pixels becomes one of the figure's.
    boxes, points
        In pixels of ``image``.
    title
        Drawn nowhere; kept as the figure's label for those who read it.

    Examples
    --------
    >>> from PIL import Image
    >>> drawn = overlay_figure(Image.new("RGB", (400, 300)), [Box(10, 20, 200, 220, "door")])
    >>> drawn.canvas.get_width_height()
    (400, 300)
    """
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(image.width / _DPI, image.height / _DPI), dpi=_DPI, label=title)
    drawn.add_artist(_laid_under(image))
    axes = drawn.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    _draw_on(axes, Size(*image.size), boxes, points)
    return drawn


def draw_places(
    axes: "Axes", image: "Image", boxes: Iterable[Box], points: Iterable[Point] = ()
) -> None:
    """Draw a picture with boxes and points on axes of one's own.

    Parameters
    ----------
    axes
        Their limits become the picture's: x from 0 to its width, y from its height to 0.
    image
        RGB. Above 2000 pixels a side it is shrunk before it is drawn; the numbers on the axes
        stay those of its own pixels.
    boxes, points
        In pixels of ``image``.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from PIL import Image
    >>> axes = Figure().add_subplot()
    >>> draw_places(axes, Image.new("RGB", (4000, 3000)), [Box(10, 20, 200, 220, "door")])
    >>> [int(edge) for edge in (*axes.get_xlim(), *axes.get_ylim())]
    [0, 4000, 3000, 0]
    """
    width, height = image.size
    small, _ = shrunk(image, _LARGEST_PLOTTED)
    # The extent puts pixel edges on whole numbers; matplotlib's default puts centres there.
    axes.imshow(small, extent=(0, width, height, 0), interpolation="antialiased")
    _draw_on(axes, Size(width, height), boxes, points)


def shown_figure(size: Size, alt: str) -> "Figure":
    """Return an empty figure of a picture's proportions that shows itself in a notebook.

    A figure that pyplot does not know is printed as text; this one brings its own display.
    """
    from matplotlib.figure import Figure

    class ShownFigure(Figure):
        def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
            shown = {kind: figure_bytes(self, kind) for kind in ("image/png", "image/jpeg")}
            # Graphics are smaller as PNG, photographs as JPEG.
            kind, data = min(shown.items(), key=lambda pair: len(pair[1]))
            markup = image_tag(data, kind, alt=alt)
            return bundle(alt, markup=markup, pictures={kind: data})

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
        (f"padded\n{fit.padded} px, {fit.visual_tokens:,} patches", resized, fit.resized, inside),
    ]
    # At one scale, until the original would leave the others too small to see.
    widths = [min(fit.original.width, _MOST_LARGER * fit.resized.width), *[fit.padded.width] * 2]
    heights = [
        width * size.height / size.width
        for width, (_, _, size, _) in zip(widths, panels, strict=True)
    ]
    tall = min(9.0, max(1.2, 8.8 * max(heights) / sum(widths)) + 0.6)
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
    r"""Return a figure as PNG or JPEG bytes, at its own size.

    Parameters
    ----------
    media_type
        ``"image/png"`` or ``"image/jpeg"``.

    Raises
    ------
    RequestError
        If it is another media type.
    LimitExceeded
        If the figure is too long for JPEG.

    Examples
    --------
    >>> from PIL import Image
    >>> figure_bytes(overlay_figure(Image.new("RGB", (40, 30)), []))[:4]
    b'\x89PNG'
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image as Pictures

    if media_type not in {"image/png", "image/jpeg"}:
        raise RequestError(f"media_type={media_type!r}"[:200], limit="image/png or image/jpeg")
    canvas: Any = FigureCanvasAgg(drawn)
    size = Size(*canvas.get_width_height())
    if media_type == "image/jpeg" and size.long_edge > _LARGEST_JPEG:
        raise LimitExceeded(
            f"{size} px as JPEG", limit=f"{_LARGEST_JPEG:,} px a side", cure="ask for image/png"
        )
    canvas.draw()
    picture = Pictures.frombuffer("RGBA", size, canvas.buffer_rgba()).convert("RGB")
    data = io.BytesIO()
    if media_type == "image/jpeg":
        picture.save(data, "JPEG", quality=78)
    else:
        picture.save(data, "PNG", compress_level=6)
    return data.getvalue()


def shrunk(image: "Image", long_edge: int = LARGEST_SHOWN) -> tuple["Image", float]:
    """Return an image no longer than ``long_edge`` pixels, and the factor it was shrunk by.

    Examples
    --------
    >>> from PIL import Image
    >>> small, factor = shrunk(Image.new("RGB", (2000, 500)))
    >>> small.size, factor
    ((1000, 250), 0.5)
    """
    from PIL import Image as Pictures

    factor = min(1.0, long_edge / max(image.size))
    if factor == 1:
        return image, 1.0
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Pictures.Resampling.LANCZOS, reducing_gap=2.0), factor


def _draw_on(axes: "Axes", frame: Size, boxes: Iterable[Box], points: Iterable[Point]) -> None:
    _Pen.of(axes, frame).draw(boxes, points)
    axes.set_xlim(0, frame.width)
    axes.set_ylim(frame.height, 0)


def _laid_under(image: "Image") -> "Artist":
    """Return an artist that puts a picture into the raster as it is.

    ``imshow`` and ``figimage`` resample even at one to one, and take a hundred bytes a pixel.
    """
    import numpy as np
    from matplotlib.artist import Artist

    class Ground(Artist):
        def draw(self, renderer: Any) -> None:
            # The renderer counts rows from the bottom.
            rows = np.array(np.asarray(image.convert("RGBA"))[::-1])
            renderer.draw_image(renderer.new_gc(), 0, 0, rows)

    ground = Ground()
    ground.set_zorder(-1)
    return ground


def _colour(number: int) -> str:
    return _COLOURS[(number - 1) % len(_COLOURS)]


def _halo(number: int, line: float) -> list[Any]:
    """Return what sets a line of this width off from any ground: a dark or a light seam."""
    from matplotlib.patheffects import withStroke

    seam = "black" if _colour(number) in _DARK_SEAMS else "white"
    return [withStroke(linewidth=line * 1.8, foreground=seam, alpha=0.55)]


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
