"""A picture as the model will see it, with its numbers, its findings and what mends them."""

from collections.abc import Callable, Sequence
from typing import Any

from traitlets import Bunch, TraitType, observe

from nbvision import inspection
from nbvision.backends import Backend, connected, current
from nbvision.catalogue import DEFAULT_MODEL, find_model
from nbvision.errors import NbvisionError, RequestError
from nbvision.geometry import Box, Fit
from nbvision.given import seen_image
from nbvision.images import SourceImage
from nbvision.markup import bundle, plain
from nbvision.platforms import find_platform
from nbvision.preflight import check_images
from nbvision.prepared import PreparedImage
from nbvision.previewing import Preview
from nbvision.widgets.checked_value import Checked, as_boxes, as_pictures
from nbvision.widgets.messages import Message, error_words
from nbvision.widgets.model_menu import model_choices
from nbvision.widgets.panel import Panel, Still, front_end, weakly
from nbvision.widgets.preparing import Preparing
from nbvision.widgets.preview_words import boxes_in_words, fit_of, told

__all__ = ["PreviewPanel"]

_EMPTY = (
    "No picture yet. Set one in Python, from anything that nv.open_image takes: "
    'panel.image = "photo.jpg"'
)
_EMPTY_PART = "No picture yet: choose one, and what the model will see of it stands here."
_WHOLE = "Picture"
_CROP = "Crop"

Pictures = tuple[SourceImage, ...]


class _Pictures(TraitType[Any, Any]):
    """The pictures one can step through, as a list that can be set and observed."""

    def get(self, obj: Any, cls: Any = None) -> list[SourceImage]:  # noqa: ARG002 - traitlets' signature
        return list(obj._images)

    def set(self, obj: Any, value: Any) -> None:
        obj._set_images(value)


class PreviewPanel(Panel):
    """See exactly what a model will see of a picture, and what that costs.

    The frames "resized" and "padded" show the very bytes that would be sent.

    Parameters
    ----------
    image
        Anything `describe` takes but a remote picture; None for a panel that is filled later.
    model
        Whose resolution tier and price count; by default the backend's.
    backend
        Whose limits count; by default the one that is connected, if any.
    boxes
        In original pixels, drawn on every frame.
    inside
        The panel that this one is part of, and its name there.

    Attributes
    ----------
    image
        The picture that is shown; may be set, also to None, and observed.
    images
        The pictures one can step through: one, several, or the crops after a fix; may be set
        and observed. A picture that was shown and is among new ones stays.
    model
        The id of the model; may be set and observed. None is the one in use.
    boxes
        May be set and observed; another picture than the one they are for takes them away.

    Raises
    ------
    ImageError
        If the picture cannot be opened.

    Examples
    --------
    >>> from nbvision import samples
    >>> panel = PreviewPanel(samples.page, model="claude-haiku-4-5")
    >>> panel.fit.padded, panel.preview.prepared.media_type
    (Size(width=924, height=1316), 'image/png')
    """

    _esm, _css = front_end("preview_panel", "previewPanelView")

    image = Checked(lambda panel, value: panel._opened(value), None)
    images = _Pictures()
    model = Checked(lambda panel, value: panel._named(value), DEFAULT_MODEL)
    boxes = Checked(lambda _, value: as_boxes(value), ())

    def __init__(
        self,
        image: object = None,
        *,
        model: str | None = None,
        backend: Backend | None = None,
        boxes: Sequence[Box] = (),
        inside: tuple[Panel, str] | None = None,
    ) -> None:
        self._backend = current(backend) if backend is not None else None
        self._tell_made: Callable[[], object] = lambda: None
        self._images: Pictures = ()
        self._at, self._noun = 0, _WHOLE
        self._earlier: list[tuple[Pictures, int, str, tuple[Box, ...]]] = []
        self._error: dict[str, Any] | None = None
        self._error_turn = 0
        self._is_fixing = self._is_seen = False
        opened = None if image is None else seen_image(image)
        chosen, given = self._named(model), as_boxes(boxes)
        super().__init__(inside=inside)
        self._made = Preparing(
            self._lock,
            weakly(self._in_background),
            weakly(self._when_made),
            weakly(self._when_failed),
        )
        self._renew()
        self.model, self.image, self.boxes = chosen, opened, given

    # -- what Python asks --------------------------------------------------------------------

    def _set_images(self, values: object) -> None:
        """Show other pictures; one that was shown and is among them stays."""
        given = values if isinstance(values, list | tuple) else [values]
        opened = tuple(filter(None, map(self._opened, given)))
        with self._lock:
            self._earlier.clear()
            places = [at for at, picture in enumerate(opened) if picture is self.image]
            self._show(opened, places[0] if places else 0, _WHOLE)
            if not places:
                self.boxes = ()

    @property
    def fit(self) -> Fit | None:
        """How the picture becomes what the model looks at; None without a picture."""
        return None if self.image is None else fit_of(self.image, find_model(self.model))

    @property
    def prepared(self) -> PreparedImage | None:
        """The very bytes that would be sent; None until they are ready."""
        return self._made.prepared

    @property
    def preview(self) -> Preview | None:
        """The plain preview, which needs no widget; None without a picture.

        Raises
        ------
        ImageError
            If the picture cannot be prepared.
        """
        if self.image is None:
            return None
        return inspection.preview(
            self.image, model=self.model, backend=self._backend, boxes=self.boxes
        )

    def __repr__(self) -> str:
        return f"PreviewPanel({self.image!r} for {self.model})"

    # -- what the base class asks ------------------------------------------------------------

    def _in_words(self) -> str:
        shown = self.image.source if self.image is not None else "no picture yet"
        return (
            f"PreviewPanel: {shown}, for {self.model}. Without widgets: "
            f"nv.preview(image, model={self.model!r})"
        )

    def _still(self) -> Still:
        try:
            preview = self.preview
        except NbvisionError as error:
            return bundle(f"{self._in_words()}\n{error}")
        if preview is None:
            return bundle("PreviewPanel: no picture was shown")
        return preview._repr_mimebundle_()

    def _state(self) -> tuple[dict[str, Any], list[bytes]]:
        with self._lock:
            self._is_seen = True
            pictures = self._made.pictures()
            fields = self._fields() | {"pictures": [about for about, _ in pictures]}
            return fields, [data for _, data in pictures]

    def _free(self) -> None:
        self._earlier.clear()
        self._made.free()

    # -- what a person does ------------------------------------------------------------------

    def _on_model(self, message: Message) -> None:
        offered = [choice["id"] for choice in self._choices()]
        self.model = message.one_of("model", offered)

    def _on_step(self, message: Message) -> None:
        if not self._images:
            return
        at = message.whole("to", most=len(self._images) - 1)
        self._show(self._images, at, self._noun)

    def _on_undo(self, _: Message) -> None:
        self.undo()

    def _on_fix(self, message: Message) -> None:
        self.fix(message.text("code", longest=100))

    def undo(self) -> None:
        """Return to the pictures before the last fix; do nothing if there was none.

        Raises
        ------
        RequestError
            If a fix is under way.
        """
        with self._lock:
            if self._is_fixing:
                raise RequestError("a fix is under way", cure="wait until it is done")
            if self._earlier:
                images, at, noun, boxes = self._earlier.pop()
                self._show(images, at, noun)
                self.boxes = boxes or self.boxes

    def fix(self, code: str) -> None:
        """Mend what a finding of this code says, in the background, as its button does.

        Parameters
        ----------
        code
            Such as ``"resized"`` or ``"tiny"``; one fix at a time.

        Raises
        ------
        RequestError
            If no finding of this code has a fix.
        """
        with self._lock:
            self._start_fix(code)

    def _start_fix(self, code: str) -> None:
        image, (model, platform) = self.image, self._whom
        if self._is_fixing or image is None:
            return
        fixable = [f for f in check_images([image], model, platform) if f.is_fixable]
        found = next((finding for finding in fixable if finding.code == code), None)
        if found is None:
            raise RequestError(
                f"nothing to fix under {plain(code)!r}",
                limit=", ".join(finding.code for finding in fixable) or "no finding has a fix",
            )
        self._is_fixing = True
        self._error = None
        self._post_numbers()
        self._in_background(lambda: self._fix(image, found.fix))

    def _fix(self, image: SourceImage, repair: Callable[[], object]) -> None:
        try:
            pictures = as_pictures(repair())
        except Exception as error:  # noqa: BLE001 - whatever it is belongs into the widget
            with self._lock:
                self._is_fixing = False
                self._fail(error)
                self._post_numbers()
            return
        with self._lock:
            self._is_fixing = False
            if self.image is not image:
                self._post_numbers()  # another picture was chosen meanwhile: it stays
                return
            # What was enlarged has other pixels: boxes would lie anywhere on it.
            stays = all(picture.full_size == image.full_size for picture in pictures)
            lost = () if stays else self.boxes
            self._earlier.append((self._images, self._at, self._noun, lost))
            is_cut = len(self._images) == 1 and len(pictures) > 1
            before, after = self._images[: self._at], self._images[self._at + 1 :]
            noun = _CROP if is_cut else self._noun
            self._show((*before, *pictures, *after), self._at, noun)
            if lost:
                self.boxes = ()

    # -- what changes ------------------------------------------------------------------------

    def _show(self, images: Pictures, at: int, noun: str) -> None:
        """Show one of several pictures; called under the lock."""
        last, before = self.image, self._images
        self._images, self._at, self._noun = images, at, noun
        self.image = images[at] if images else None
        if self.image == last:
            self._post_numbers()
        self._tell_images(before)

    def _tell_images(self, before: Pictures) -> None:
        if before != self._images:
            change = {"name": "images", "old": list(before), "new": list(self._images)}
            self.notify_change(Bunch(change, owner=self, type="change"))

    @observe("image")
    def _image_changed(self, _: Any) -> None:
        with self._lock:
            image, places, before = self.image, [self._at], self._images
            if image is not next(iter(self._images[self._at :]), None):
                places = [at for at, known in enumerate(self._images) if known is image]
            is_new = not places or image is None
            if is_new:
                self._earlier.clear()
                self._images, self._noun = (() if image is None else (image,)), _WHOLE
            self._at = places[0] if places else 0
            self._renew()
            if is_new:
                self.boxes = ()
                self._tell_images(before)

    @observe("model")
    def _model_changed(self, _: Any) -> None:
        with self._lock:
            self._renew()

    @observe("boxes")
    def _boxes_changed(self, _: Any) -> None:
        with self._lock:
            self._post_numbers()

    def _renew(self) -> None:
        """Say the new numbers at once; have the bytes made if they are not the same."""
        asked = self._backend or connected()
        platform = asked.platform if asked else find_platform("anthropic")
        self._error, self._whom = None, (find_model(self.model), platform)
        if not self._is_closed:
            self._made.want(self.image, *self._whom)
            self._post_numbers()
            self._made.start()

    def _when_made(self, picture: tuple[dict[str, str], bytes]) -> None:
        about, data = picture
        if self._is_seen:
            self._post("picture", [data], **about)
        self._post_numbers()
        if about["frame"] == "sent":
            self._tell_made()

    def _when_failed(self, error: Exception) -> None:
        if self._error is None:
            self._fail(error)
        self._post_numbers()

    # -- what is sent ------------------------------------------------------------------------

    def _fields(self) -> dict[str, Any]:
        """Return all that a browser needs but the pictures themselves."""
        fields: dict[str, Any] = {
            "model": plain(self.model),
            "models": self._choices(),
            "boxes": boxes_in_words(self.boxes),
            "error": self._error,
            "undo": bool(self._earlier),
            "is_fixing": self._is_fixing,
            "image": None,
            "empty": _EMPTY if self._inside is None else _EMPTY_PART,
            "keys": self._made.keys,
        }
        if self.image is None:
            return fields
        return fields | {
            "place": {"at": self._at, "count": len(self._images), "noun": self._noun},
            **told(
                self._images,
                self._at,
                self._noun,
                *self._whom,
                prepared=self.prepared,
                is_preparing=self._made.is_preparing,
            ),
        }

    def _post_numbers(self) -> None:
        """Send what changed of the state but pictures, which are sent when they are ready."""
        if self._is_seen:
            self._post("state", **self._fields(), pictures=[])

    def _fail(self, error: Exception) -> None:
        self._error_turn += 1
        self._error = {**error_words(error), "number": self._error_turn}

    # -- small things ------------------------------------------------------------------------

    def _opened(self, value: object) -> SourceImage | None:
        """Open what was set; what cannot be opened is told here too, and changes nothing."""
        try:
            return None if value is None else seen_image(value)
        except NbvisionError as error:
            with self._lock:
                self._fail(error)
                self._post_numbers()
            raise

    def _named(self, value: Any) -> str:
        if value is None:
            asked = self._backend or connected()
            return asked.model if asked else DEFAULT_MODEL
        find_model(value)  # it says what is wrong with anything but text
        return str(value)

    def _choices(self) -> list[dict[str, str]]:
        return model_choices(self.model, self._backend)
