"""What people hold: a reply, detections; and how each shows itself.

Model text and labels are hostile input: they reach HTML escaped, pictures as pixels, and the
display classes of IPython never, which would open a file or an address of that name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

from nbvision.caching import cache_in_words
from nbvision.draw import (
    LARGEST_SHOWN,
    draw_places,
    figure_bytes,
    overlay_figure,
    shown_figure,
    shrunk,
)
from nbvision.errors import RequestError
from nbvision.findings import Findings
from nbvision.geometry import Box, Point
from nbvision.images import SourceImage
from nbvision.markup import bundle, escape, figure, image_tag, one_line, plain, rich
from nbvision.referenced import RemoteImage, SentImage
from nbvision.request import Request
from nbvision.response import Response, Usage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Cost", "Detections", "Reply", "coco_annotations"]

_THUMBNAIL = 240
_SHOWN = 680  # a notebook keeps its outputs, and its column is hardly wider
_LONGEST_REPR = 60
_MOST_THUMBNAILS = 6


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars, as far as they are known.

    Attributes
    ----------
    dollars
        What was paid; None where no price is known.
    note
        What else a reader should know of the price.
    saved
        What it would have been more without the cache; less than 0 if less.

    Examples
    --------
    >>> str(Cost(0.00423)), str(Cost(None))
    ('$0.0042', 'price not known')
    """

    dollars: float | None
    note: str = ""
    saved: float | None = None

    def __str__(self) -> str:
        if self.dollars is None:
            return "price not known"
        if self.dollars == 0:
            return "$0.00"
        return f"${self.dollars:.6f}" if self.dollars < 0.001 else f"${self.dollars:.4f}"  # noqa: PLR2004 - a tenth of a cent


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """An answer, with what was asked and what it cost.

    Attributes
    ----------
    response
        The parsed answer.
    request
        What was sent; shows itself with its pictures abridged.
    backend
        Who answered: ``"anthropic"``, ``"bedrock"`` or ``"practice"``.
    cost
        In US dollars by the catalogue.
    findings
        What was worth knowing of pictures and words, and of the answer.
    seconds
        From sending to the last word.
    parsed
        With a schema: the answer as data, or as the pydantic model that was asked for.
    """

    response: Response
    request: Request
    backend: str
    cost: Cost
    findings: Findings = field(default_factory=Findings)
    seconds: float = 0.0
    parsed: Any = None

    @property
    def text(self) -> str:
        """The words."""
        return self.response.text

    @property
    def usage(self) -> Usage:
        """Tokens in and out."""
        return self.response.usage

    @property
    def stop_reason(self) -> str:
        """Why it ended."""
        return self.response.stop_reason

    @property
    def model(self) -> str:
        """Who answered, as the service names itself."""
        return self.response.model

    @property
    def raw(self) -> Any:
        """The message as it came over the wire."""
        return self.response.raw

    @property
    def images(self) -> tuple[SentImage, ...]:
        """The pictures as they were sent."""
        return self.request.images

    def summary(self) -> str:
        """Return one line: who, how many tokens, how much, how long.

        Practice answers say that they are.
        """
        usage = self.usage
        who = self.model if self.backend in self.model else f"{self.model} ({self.backend})"
        said = "practice answer, not a language model's · " if self.backend == "practice" else ""
        cache = cache_in_words(usage, self.cost.saved)
        return (
            f"{said}{plain(who)} · {usage.total_input_tokens:,} tokens in, "
            f"{usage.output_tokens:,} out · {self.cost}{cache and ' · '}{cache}"
            f" · {self.seconds:.1f} s"
        )

    def __str__(self) -> str:
        return plain(self.text)

    def __repr__(self) -> str:
        words = " ".join(plain(self.text).split())
        cut = words if len(words) <= _LONGEST_REPR else f"{words[:_LONGEST_REPR]}…"
        return f"Reply({cut!r}, {self.summary()})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        words = plain(self.text)
        shown = self.images[:_MOST_THUMBNAILS]
        pictures = "".join(
            f'<div style="margin-right:.6em">{_thumbnail(image, number, len(shown))}</div>'
            for number, image in enumerate(shown, start=1)
        )
        markup = (
            f'<div style="display:flex;flex-wrap:wrap">{pictures}</div>'
            f'<div style="white-space:pre-wrap;max-width:60em;margin:.5em 0">{escape(words)}</div>'
            f"{_footer(self)}"
        )
        return bundle(f"{words}\n\n{self.summary()}", markup=markup)


@dataclass(frozen=True, slots=True, repr=False)
class Detections:
    """Things that were found in a picture, in its own pixels.

    Iterates over its boxes.

    Attributes
    ----------
    reply
        The answer they were read from.
    image
        The picture.
    boxes, points
        In original space: pixels of the upright picture you own, or of the full picture if
        ``image`` is a crop.
    boxes_in_resized
        The same boxes as the model gave them, in pixels of the frame it looked at.
    """

    reply: Reply
    image: SourceImage
    boxes: tuple[Box, ...]
    points: tuple[Point, ...] = ()
    boxes_in_resized: tuple[Box, ...] = ()

    @property
    def text(self) -> str:
        """The words they were read from."""
        return self.reply.text

    @property
    def usage(self) -> Usage:
        """Tokens in and out."""
        return self.reply.usage

    @property
    def cost(self) -> Cost:
        """In US dollars."""
        return self.reply.cost

    @property
    def stop_reason(self) -> str:
        """Why the answer ended."""
        return self.reply.stop_reason

    @property
    def model(self) -> str:
        """Who answered."""
        return self.reply.model

    @property
    def request(self) -> Request:
        """What was sent."""
        return self.reply.request

    @property
    def raw(self) -> Any:
        """The message as it came over the wire."""
        return self.reply.raw

    @property
    def images(self) -> tuple[SentImage, ...]:
        """The picture as it was sent."""
        return self.reply.images

    @property
    def findings(self) -> Findings:
        """What was doubtful, of the picture and of the boxes."""
        return self.reply.findings

    def __iter__(self) -> Iterator[Box]:
        return iter(self.boxes)

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: int) -> Box:
        return self.boxes[index]

    @overload
    def plot(self, ax: None = None) -> "Figure": ...

    @overload
    def plot(self, ax: "Axes") -> "Axes": ...

    def plot(self, ax: "Axes | None" = None) -> "Axes | Figure":
        """Draw the picture with its boxes by matplotlib, in original pixels.

        Parameters
        ----------
        ax
            Axes of yours, which are returned. Without them a figure is made and returned; it
            shows itself, is known to no pyplot, and can be drawn on and saved.
        """
        if ax is not None:
            draw_places(ax, self.image.pixels, self._local_boxes(), self._local_points())
            return ax
        figure_made = shown_figure(self.image.size, self._alt())
        self.plot(figure_made.add_subplot())
        return figure_made

    def overlay(self, *, full_size: bool = False, media_type: str = "image/jpeg") -> bytes:
        """Return the picture with its boxes as an encoded image.

        Parameters
        ----------
        full_size
            At the original's size; otherwise at most 1000 pixels long.
        media_type
            ``"image/jpeg"`` or ``"image/png"``.

        Raises
        ------
        RequestError
            If it is another media type, or the full size is too long for JPEG.
        """
        return self._overlay_at(None if full_size else LARGEST_SHOWN, media_type)

    def _overlay_at(self, long_edge: int | None, media_type: str = "image/jpeg") -> bytes:
        whole = self.image.pixels
        image, factor = (whole, 1.0) if long_edge is None else shrunk(whole, long_edge)
        boxes = [_scaled_box(box, factor) for box in self._local_boxes()]
        points = [Point(p.x * factor, p.y * factor, p.label) for p in self._local_points()]
        return figure_bytes(overlay_figure(image, boxes, points), media_type)

    def to_coco(self) -> list[dict[str, Any]]:
        """Return the boxes as COCO annotations: ``bbox`` is left, top, width, height.

        Labels become categories numbered from 1 in the order in which they first appear.
        """
        return coco_annotations(self.boxes)

    def to_frame(self) -> Any:
        """Return the boxes as a pandas DataFrame: label, left, top, right, bottom.

        Raises
        ------
        RequestError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise RequestError(
                "pandas is not installed", cure='pip install "nbvision[frame]"'
            ) from None
        names = ["label", "left", "top", "right", "bottom"]
        return pd.DataFrame([(box.label, *box.xyxy) for box in self.boxes], columns=names)

    def in_words(self) -> str:
        """Return one line for each place: its label, and its edges in original pixels."""
        lines = [
            f"{number}. {one_line(box.label)}: {_edges(box)}"
            for number, box in enumerate(self.boxes, start=1)
        ]
        lines += [
            f"{number}. {one_line(point.label)}: ({point.x:.0f}, {point.y:.0f})"
            for number, point in enumerate(self.points, start=len(self.boxes) + 1)
        ]
        return "\n".join(lines) or "nothing found"

    def __repr__(self) -> str:
        return f"Detections({self._count()} in {self.image!r})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        words = self.in_words()
        data = self._overlay_at(_SHOWN)
        tag = image_tag(data, "image/jpeg", alt=self._alt())
        caption = f"{self.image.source}, {self.image.size} px"
        listed = f'<div style="white-space:pre-wrap;margin:.5em 0">{escape(words)}</div>'
        markup = f"{figure(tag, caption)}{listed}{_footer(self.reply)}"
        pictures = {"image/jpeg": data}
        return bundle(f"{words}\n\n{self.reply.summary()}", markup=markup, pictures=pictures)

    def _alt(self) -> str:
        words = self.in_words().replace("\n", "; ")
        return f"{self.image.source} with {self._count()}: {words}"[:1000]

    def _count(self) -> str:
        counts = [f"{len(self.boxes)} box{'' if len(self.boxes) == 1 else 'es'}"]
        if self.points:
            counts.append(f"{len(self.points)} point{'' if len(self.points) == 1 else 's'}")
        return " and ".join(counts)

    def _local_boxes(self) -> list[Box]:
        """Return the boxes in pixels of `image`, which may be a crop."""
        x, y = self.image.crop_origin
        return [Box(b.left - x, b.top - y, b.right - x, b.bottom - y, b.label) for b in self.boxes]

    def _local_points(self) -> list[Point]:
        x, y = self.image.crop_origin
        return [Point(p.x - x, p.y - y, p.label) for p in self.points]


def coco_annotations(boxes: Sequence[Box]) -> list[dict[str, Any]]:
    """Return boxes as COCO annotations; labels become categories in order of appearance."""
    labels = list(dict.fromkeys(box.label for box in boxes))
    return [
        {
            "id": number,
            "image_id": 1,
            "category_id": labels.index(box.label) + 1,
            "category": box.label,
            "bbox": [box.left, box.top, box.width, box.height],
            "area": box.area,
            "iscrowd": 0,
        }
        for number, box in enumerate(boxes, start=1)
    ]


def _edges(box: Box) -> str:
    return "[" + ", ".join(f"{edge:.0f}" for edge in box.xyxy) + "]"


def _scaled_box(box: Box, factor: float) -> Box:
    left, top, right, bottom = (edge * factor for edge in box.xyxy)
    return Box(left, top, right, bottom, box.label)


def _thumbnail(image: SentImage, number: int, count: int) -> rich:
    name = f"Image {number}: " if count > 1 else ""
    if isinstance(image, RemoteImage):
        return rich(f"<small>{escape(name + image.url)}</small>")
    words = f"{name}{image.source.source}, {image.fit.original} px"
    tag = image_tag(image.source.thumbnail(_THUMBNAIL), "image/jpeg", alt=words)
    return figure(tag, rich(f"<small>{escape(words)}</small>"))


def _footer(reply: Reply) -> str:
    """Return the quiet line under every result, and what was worth knowing, folded away."""
    line = f'<div style="opacity:.75"><small>{escape(reply.summary())}</small></div>'
    if not reply.findings:
        return line
    count = len(reply.findings)
    heading = f"{count} finding{'s' if count > 1 else ''}"
    opened = " open" if reply.findings.warnings else ""
    return (
        f"{line}<details{opened}><summary><small>{heading}</small></summary>"
        f"{reply.findings.to_html()}</details>"
    )
