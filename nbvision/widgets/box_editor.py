"""Boxes drawn by hand: the truth a model is measured against, or its boxes corrected."""

from collections.abc import Iterable, Iterator
from typing import Any

from traitlets import Instance, List, observe, validate

from nbvision.detections import Detections
from nbvision.draw import figure_bytes, overlay_figure, shrunk
from nbvision.errors import NbvisionError, RequestError
from nbvision.geometry import Box, Point
from nbvision.given import seen_image
from nbvision.markup import bundle, figure, image_tag, one_line, rich, table
from nbvision.matching import Matches, match_boxes
from nbvision.source_image import SourceImage
from nbvision.tables import coco_annotations
from nbvision.widgets.messages import Message
from nbvision.widgets.panel import Panel, Still, front_end
from nbvision.widgets.placing import MOST, Frame, Places, as_fields, only_boxes

__all__ = ["BoxEditor"]

_MOST_LABELS = 200  # to choose from
_MOST_STEPS = 200  # that undo goes back
_DISPLAYED = 1568  # pixels of the long edge
_STILL = 680  # the same, of what stays in a notebook
_FURTHEST = 1e7  # pixels


class BoxEditor(Panel):
    """Draw, move, resize, label and delete boxes and points on a picture.

    By mouse, finger or keyboard on the picture, or in the list beside it. Every edge is a whole
    pixel of the original (of the full picture, if this one is a crop) and inside the picture; a
    box is at least one pixel wide and high.

    Parameters
    ----------
    image
        Anything `describe` takes but a remote picture. Or `Detections`: then its picture, its
        boxes and points to begin with unless others are given, and its boxes to measure against.
    boxes, points
        What to begin with; ``boxes=()`` leaves even the picture of `Detections` clean.
    against
        A model's boxes, as `Detections` or one by one: drawn dashed, with the overlap (IoU) of
        each pair in the list. They are never changed.
    labels
        Names to choose from; others can be typed. If there is but one, new boxes get it.

    Attributes
    ----------
    boxes, points
        Lists of `Box` and `Point`: what is drawn, in original pixels. Both can be set, and
        observed (``editor.observe(function, names="boxes")``). Set a whole list: of what
        happens inside one nobody is told. Edges are rounded to whole pixels and clamped.
    against, labels
        As above; both can be set.
    image
        The picture.

    Raises
    ------
    RequestError
        If a box or point lies outside the picture, or there are more than 1000 of either.

    Examples
    --------
    >>> from PIL import Image
    >>> editor = BoxEditor(Image.new("RGB", (400, 300)), against=[Box(10, 20, 110, 120)])
    >>> editor.boxes = [Box(10.2, 19.8, 110, 100, "door")]
    >>> editor.boxes, editor.matches.mean_iou
    ([Box(left=10, top=20, right=110, bottom=100, label='door')], 0.8)
    >>> editor.undo()
    >>> editor.boxes
    []
    """

    _esm, _css = front_end("box_editor", "boxEditorView")
    boxes = List(Instance(Box))
    points = List(Instance(Point))

    def __init__(
        self,
        image: object,
        boxes: Iterable[Box] | None = None,
        points: Iterable[Point] | None = None,
        *,
        against: Iterable[Box] | None = None,
        labels: Iterable[str] = (),
        inside: tuple[Panel, str] | None = None,
    ) -> None:
        if isinstance(image, Detections):
            boxes = image.boxes if boxes is None else boxes
            points = image.points if points is None else points
            against = image.boxes if against is None else against
            image = image.image
        self.image: SourceImage = seen_image(image)
        self._against = only_boxes(against or ())
        self._labels = tuple(str(label) for label in labels)
        self._frame = Frame(*self.image.region)
        self._known: Places = (self._frame.boxes(boxes or ()), self._frame.points(points or ()))
        self._version = 0
        self._undo: list[Places] = []
        self._redo: list[Places] = []
        self._last_edit: dict[str, Any] = {"view": "", "serial": 0, "accepted": True}
        # The view that alone has changed things, and the version from which on.
        self._hand: tuple[str | None, int] = (None, 0)
        self._picture = b""
        super().__init__(inside=inside, boxes=list(self._known[0]), points=list(self._known[1]))

    @property
    def against(self) -> tuple[Box, ...]:
        """The model's boxes, in original pixels."""
        return self._against

    @against.setter
    def against(self, boxes: Iterable[Box]) -> None:
        self._against = only_boxes(boxes)
        self._post_state()

    @property
    def labels(self) -> tuple[str, ...]:
        """The names to choose from."""
        return self._labels

    @labels.setter
    def labels(self, labels: Iterable[str]) -> None:
        self._labels = tuple(str(label) for label in labels)
        self._post_state()

    @property
    def matches(self) -> Matches:
        """Which of your boxes belongs to which of the model's, and how well they agree."""
        return match_boxes(self.boxes, self.against)

    def to_coco(self) -> list[dict[str, Any]]:
        """Return the boxes as COCO annotations, as `Detections.to_coco`."""
        return coco_annotations(self.boxes)

    # -- changing ----------------------------------------------------------------------------

    def undo(self) -> None:
        """Take back the last change, whether made on the page or from Python."""
        self._step(self._undo, self._redo)

    def redo(self) -> None:
        """Make the change again that was taken back."""
        self._step(self._redo, self._undo)

    def _step(self, source: list[Places], target: list[Places]) -> None:
        with self._lock:
            self._notice()
            if source:
                self._hand = (None, 0)
                target.append(self._known)
                self._settle(source.pop())

    @validate("boxes", "points")
    def _clean(self, proposal: Any) -> list[Any]:
        given = proposal["value"]
        is_boxes = proposal["trait"].name == "boxes"
        return list(self._frame.boxes(given) if is_boxes else self._frame.points(given))

    @observe("boxes", "points")
    def _were_set(self, _: object) -> None:
        self._notice()

    def _notice(self) -> None:
        """Take over what Python has set, or changed inside the lists."""
        with self._lock:
            try:
                held = (self._frame.boxes(self.boxes), self._frame.points(self.points))
            except NbvisionError:
                self._tell(self._known)
                raise
            if held != self._known:
                self._hand = (None, 0)
                self._remember()
                self._settle(held)

    def _remember(self) -> None:
        self._undo.append(self._known)
        del self._undo[:-_MOST_STEPS]
        self._redo.clear()

    def _settle(self, places: Places) -> None:
        """Make these the truth, show them, and tell those who observe."""
        self._known, self._version = places, self._version + 1
        self._post_state()
        self._tell(places)

    def _tell(self, places: Places) -> None:
        with self.hold_trait_notifications():
            self.boxes, self.points = list(places[0]), list(places[1])

    # -- the page ----------------------------------------------------------------------------

    def _state(self) -> tuple[dict[str, Any], list[bytes]]:
        boxes, points = self._known
        matches = match_boxes(boxes, self.against)
        numbers = {id(box): number for number, box in enumerate(self.against)}
        drawn = [place.label for place in (*self.against, *boxes)]
        labels = [*self._labels, *drawn, *(point.label for point in points)]
        fields = {
            "version": self._version,
            "edit": self._last_edit,
            "frame": list(self.image.region),
            "picture": f"{self.image.source}, {self.image.size} px",
            "boxes": as_fields(boxes),
            "points": [{"x": point.x, "y": point.y, "label": point.label} for point in points],
            "against": as_fields(self.against),
            "pairs": [
                None if row.other is None else [numbers[id(row.other)], row.iou]
                for row in matches.rows[: len(boxes)]
            ],
            "summary": matches.summary() if self.against else "",
            "labels": [*dict.fromkeys(label for label in labels if label)][:_MOST_LABELS],
            "new_label": self._labels[0] if len(self._labels) == 1 else "",
            "can_undo": bool(self._undo),
            "can_redo": bool(self._redo),
            "most": MOST,
        }
        return fields, []

    def _on_hello(self, message: Message) -> None:
        self._notice()
        super()._on_hello(message)

    def _on_picture(self, _: Message) -> None:
        self._in_background_once("picture", self._send_picture)

    def _send_picture(self) -> None:
        picture = self._picture or self.image.thumbnail(_DISPLAYED)
        with self._lock:
            self._picture = b"" if self._is_closed else picture
        self._post("picture", [picture])

    def _on_detail(self, message: Message) -> None:
        """Send a part of the picture as sharp as it is, to a view that has zoomed in."""
        x, y, *_ = self.image.region
        left, top, right, bottom = message.numbers("region", 4, least=-_FURTHEST, most=_FURTHEST)
        view = message.text("view", longest=40)

        def send() -> None:
            part = self.image.crop(left - x, top - y, right - x, bottom - y)
            data = part.thumbnail(_DISPLAYED)
            self._post("detail", [data], region=list(part.region), view=view)

        self._in_background_once(f"detail {view}", send)

    def _on_undo(self, _: Message) -> None:
        self.undo()

    def _on_redo(self, _: Message) -> None:
        self.redo()

    def _on_edit(self, message: Message) -> None:
        """Take what a person has drawn, unless it was drawn over an older state than this."""
        view, serial = message.text("view", longest=40), message.whole("serial", most=2**53)
        self._notice()
        try:
            self._check_version(message, view)
            places = self._frame.read(message)
        except NbvisionError:
            self._last_edit = {"view": view, "serial": serial, "accepted": False}
            self._post_state()
            raise
        self._last_edit = {"view": view, "serial": serial, "accepted": True}
        if places == self._known:
            self._post_state()
            return
        if view != self._hand[0]:
            self._hand = (view, self._version)
        self._remember()
        self._settle(places)

    def _check_version(self, message: Message, view: str) -> None:
        """Refuse what was drawn over an older state, unless the same hand has changed it since.

        A view whose kernel is silent for long sends again, with all that it has by then.
        """
        version = message.whole("version", most=2**53)
        is_own = view == self._hand[0] and self._hand[1] <= version <= self._version
        if version != self._version and not is_own:
            raise RequestError(
                "the boxes were changed elsewhere at the same time: your last change was not kept",
                cure="what you see now is the latest; make it again",
            )

    def _free(self) -> None:
        self._picture = b""

    # -- what stays --------------------------------------------------------------------------

    def _still(self) -> Still:
        words, data = "\n".join([repr(self), *self._lines()]), self._overlay()
        alt = f"{self.image.source} with {self._count()}: {'; '.join(self._lines())}"[:1000]
        caption = f"{self.image.source}, {self.image.size} px: {self._count()}"
        markup = figure(image_tag(data, "image/jpeg", alt=alt), caption)
        return bundle(words, markup=f"{markup}{self._listed()}", pictures={"image/jpeg": data})

    def _overlay(self) -> bytes:
        """Return the picture with what is drawn on it, and the model's boxes dashed."""
        from matplotlib.patches import Rectangle

        small, factor = shrunk(self.image.pixels, _STILL)
        x, y = self.image.crop_origin

        def local(box: Box) -> Box:
            edges = (box.left - x, box.top - y, box.right - x, box.bottom - y)
            left, top, right, bottom = (edge * factor for edge in edges)
            return Box(left, top, right, bottom, box.label)

        points = [Point((p.x - x) * factor, (p.y - y) * factor, p.label) for p in self.points]
        drawn = overlay_figure(small, map(local, self.boxes), points)
        for box in map(local, self.against):
            place = ((box.left, box.top), box.width, box.height)
            for colour, dashes in (("black", "solid"), ("white", (0, (4, 3)))):
                style: dict[str, Any] = {"fill": False, "edgecolor": colour, "linestyle": dashes}
                drawn.axes[0].add_patch(Rectangle(*place, linewidth=0.8, zorder=0.9, **style))
        return figure_bytes(drawn, "image/jpeg")

    def _listed(self) -> rich:
        matches = self.matches
        header = ["", "label", "left", "top", "right", "bottom", "IoU"]
        rows: list[list[object]] = [
            [number, box.label or "no label", *box.xyxy, f"{row.iou:.3f}" if row.other else "none"]
            for number, (box, row) in enumerate(zip(self.boxes, matches, strict=False), start=1)
        ]
        rows += [
            [number, point.label or "no label", point.x, point.y, "", "", ""]
            for number, point in enumerate(self.points, start=len(self.boxes) + 1)
        ]
        if not rows:
            return rich("")
        columns = len(header) if self.against else len(header) - 1
        caption = matches.summary() if self.against else ""
        return table(header[:columns], (row[:columns] for row in rows), caption=caption)

    def _lines(self) -> Iterator[str]:
        for number, (box, row) in enumerate(zip(self.boxes, self.matches, strict=False), start=1):
            edges = ", ".join(f"{edge:.0f}" for edge in box.xyxy)
            iou = f", IoU {row.iou:.3f}" if row.other else ""
            yield f"{number}. {one_line(box.label)}: [{edges}]{iou}"
        for number, point in enumerate(self.points, start=len(self.boxes) + 1):
            yield f"{number}. {one_line(point.label)}: ({point.x:.0f}, {point.y:.0f})"
        if self.against:
            yield self.matches.summary()

    def _count(self) -> str:
        counts = [f"{len(self.boxes)} box{'' if len(self.boxes) == 1 else 'es'}"]
        if self.points:
            counts.append(f"{len(self.points)} point{'' if len(self.points) == 1 else 's'}")
        return " and ".join(counts)

    def _in_words(self) -> str:
        return (
            f"{self!r}: without widgets, set .boxes from Python, and compare with "
            "nv.match_boxes(boxes, others)"
        )

    def __repr__(self) -> str:
        return f"BoxEditor({self._count()} on {self.image!r})"
