"""Things that were found in a picture, in its own pixels, and what they become elsewhere.

Labels are hostile input: they reach HTML escaped, and pictures as drawn text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from nbvision.draw import (
    LARGEST_SHOWN,
    draw_places,
    figure_bytes,
    overlay_figure,
    shown_figure,
    shrunk,
)
from nbvision.errors import RequestError
from nbvision.export import Export, Form
from nbvision.findings import Findings
from nbvision.geometry import Box, Point
from nbvision.images import SourceImage
from nbvision.markup import bundle, escape, figure, image_tag, one_line, page, rich
from nbvision.referenced import SentImage
from nbvision.request import Request
from nbvision.response import Usage
from nbvision.results import Cost, Reply, asked, footer, stored_in_words, thoughts
from nbvision.tables import coco_annotations, pandas, rows_of_places

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Detections"]

_CROPPED = ", cropped"
_SHOWN = 680  # a notebook keeps its outputs, and its column is hardly wider


@dataclass(frozen=True, slots=True, repr=False)
class Detections:
    """Things that were found in a picture, in its own pixels.

    Iterates over its boxes, or over its points if there are no boxes.

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
        """Tokens in and out; of a stored answer those it had when it was asked for."""
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

    def __iter__(self) -> Iterator[Any]:
        return iter(self.boxes or self.points)

    def __len__(self) -> int:
        return len(self.boxes or self.points)

    def __getitem__(self, index: int) -> Any:
        return (self.boxes or self.points)[index]

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

        Labels become categories numbered from 1 in the order in which they first appear. A
        point is an annotation of one visible keypoint, whose ``bbox`` has no extent.
        """
        return coco_annotations(self.boxes, self.points)

    def to_frame(self) -> Any:
        """Return the boxes as a pandas DataFrame: label, left, top, right, bottom.

        If points were found, there are columns x and y: of points, and of the middle of boxes.

        Raises
        ------
        RequestError
            If pandas is not installed.
        """
        pd = pandas()
        columns = None if self else ["label", "left", "top", "right", "bottom"]
        return pd.DataFrame(rows_of_places(self.boxes, self.points), columns=columns)

    def to_supervision(self) -> Any:
        """Return the boxes as ``supervision.Detections``, for its annotators and metrics.

        Labels are in ``data["class_name"]``; classes are numbered from 0 in the order in which
        labels first appear. Models give no confidence, so there is none; points are left out.

        Raises
        ------
        RequestError
            If only points were found, or supervision is not installed.
        """
        if self.points and not self.boxes:
            raise RequestError(
                "points where supervision has boxes", cure="found.points, or found.to_frame()"
            )
        try:
            import supervision
        except ImportError:
            raise RequestError(
                "supervision is not installed", cure='pip install "nbvision[supervision]"'
            ) from None
        import numpy as np

        labels = [box.label for box in self.boxes]
        kinds = list(dict.fromkeys(labels))
        return supervision.Detections(
            xyxy=np.array([box.xyxy for box in self.boxes], dtype=np.float32).reshape(-1, 4),
            class_id=np.array([kinds.index(label) for label in labels], dtype=int),
            data={"class_name": np.array(labels, dtype=str)},
        )

    def to_html(self) -> str:
        """Return a page that needs nothing else: the picture with its boxes, the list, the cost.

        Everything in it is text and one small still picture; it runs nothing and loads nothing.

        Examples
        --------
        >>> import nbvision as nv
        >>> practice = nv.connect("practice", words_per_second=None)
        >>> html = nv.locate(nv.samples.shapes, "every shape", backend=practice).to_html()
        >>> html.count("<img "), "<script" in html
        (1, False)
        """
        shown = rich(self._repr_mimebundle_()["text/html"])
        return page(f"{self._count()}: {self.model}", asked(self.request), shown)

    def export(self, form: Form = "python", folder: str | Path | None = None) -> Export:
        """Return code that asks this again without nbvision; see `Request.export`.

        Raises
        ------
        RequestError
            As there.

        Examples
        --------
        >>> import nbvision as nv
        >>> practice = nv.connect("practice", words_per_second=None)
        >>> found = nv.locate(nv.samples.shapes, "every shape", backend=practice)
        >>> found.export("ant").name
        'request.yaml'
        """
        return self.reply.export(form, folder)

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
        return f"Detections({self._count()} in {self.image!r}{self._stored()})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        words = self.in_words()
        data = self._overlay_at(_SHOWN)
        tag = image_tag(data, "image/jpeg", alt=self._alt())
        caption = "; ".join([f"{self._name()}, {self.image.size} px", *self._space()])
        listed = f'<div style="white-space:pre-wrap;margin:.5em 0">{escape(words)}</div>'
        markup = f"{figure(tag, caption)}{listed}{thoughts(self.reply)}{footer(self.reply)}"
        pictures = {"image/jpeg": data}
        return bundle(f"{words}\n\n{self.reply.summary()}", markup=markup, pictures=pictures)

    def _alt(self) -> str:
        words = self.in_words().replace("\n", "; ")
        space = "".join(f", {words}" for words in self._space())
        return f"{self._name()} with {self._count()}{space}{self._stored()}: {words}"[:1000]

    def _stored(self) -> str:
        moment = self.reply.from_store
        return "" if moment is None else f", {stored_in_words(moment)}"

    def _is_cropped(self) -> bool:
        return self.image.size != self.image.full_size

    def _name(self) -> str:
        if not self._is_cropped():
            return self.image.source
        x, y = self.image.crop_origin
        whole = self.image.source
        while whole.endswith(_CROPPED):  # a crop of a crop says it twice
            whole = whole.removesuffix(_CROPPED)
        return f"{whole}{_CROPPED} at ({x}, {y})"

    def _space(self) -> list[str]:
        """Return whose pixels the numbers are, where it is not the picture that is shown."""
        if not self._is_cropped():
            return []
        kinds = [*["boxes"] * bool(self.boxes or not self.points), *["points"] * bool(self.points)]
        return [f"{' and '.join(kinds)} in pixels of the whole picture"]

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


def _edges(box: Box) -> str:
    return "[" + ", ".join(f"{edge:.0f}" for edge in box.xyxy) + "]"


def _scaled_box(box: Box, factor: float) -> Box:
    left, top, right, bottom = (edge * factor for edge in box.xyxy)
    return Box(left, top, right, bottom, box.label)
