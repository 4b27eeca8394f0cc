"""Ask about pictures from a form: describe, compare or locate, with the answer as it comes."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

from traitlets import Any as AnyTrait
from traitlets import HasTraits, Unicode, observe, validate

from nbvision.backends import Backend, connected
from nbvision.box_reader import read_boxes
from nbvision.calls import compare, describe, locate
from nbvision.detections import Detections
from nbvision.draw import LARGEST_SHOWN
from nbvision.errors import NbvisionError, RequestError, UnreadableAnswer
from nbvision.geometry import Box, Fit
from nbvision.given import as_list, seen_image
from nbvision.images import SourceImage
from nbvision.inspection import asked_of, check, estimate
from nbvision.markup import bundle, plain
from nbvision.prepared import PreparedImage
from nbvision.prompts import COMPARE, DESCRIBE, locate_prompt
from nbvision.request import takes_schema
from nbvision.results import Reply, stored_in_words
from nbvision.widgets.asking import (
    LONGEST_ID,
    LONGEST_PROMPT,
    Asks,
    Question,
    Run,
    price_in_words,
    still_of,
)
from nbvision.widgets.messages import Message
from nbvision.widgets.model_menu import model_choices
from nbvision.widgets.panel import Panel, Still, front_end, weakly
from nbvision.widgets.stored_look import Form, Key, StoredLook

__all__ = ["AskPanel"]

TASKS = ("describe", "compare", "locate")
EFFORTS = ("", "low", "medium", "high", "xhigh", "max")
_THUMBNAIL = 160
_MOST_THUMBNAILS = 24
_MOST_NOTES = 4
_MOST_BOXES = 500


class AskPanel(Asks):
    """A form over `describe`, `compare` and `locate`: words, estimate, answer, boxes.

    Nothing is sent before a click on Ask. The answer streams, can be stopped, and when it is
    whole stands under the widget until the next question, and in `result`.

    Parameters
    ----------
    images
        One picture or several, each anything `describe` takes but a remote picture; or an
        `ImagePicker` or `PreviewPanel`, whose `images` are then followed.
    prompt
        The words; for ``task="locate"`` what to find. Empty for the task's own.
    task
        ``"describe"``, ``"compare"`` or ``"locate"``.
    model, system, max_tokens, effort, backend
        As in `describe`.

    Attributes
    ----------
    result
        What the plain function returned last: a `Reply`, or `Detections` in original pixels.
        None before, and where the last question failed or was stopped.
    results
        All of them, in order.

    Raises
    ------
    ImageError
        If a picture cannot be opened.
    RequestError
        If there is no such task or effort.

    Examples
    --------
    >>> import nbvision as nv
    >>> practice = nv.connect("practice", words_per_second=None)
    >>> panel = AskPanel(nv.samples.photo, "the red bowl", task="locate", backend=practice)
    >>> panel.ask()
    >>> panel.wait(seconds=60)
    Detections(1 box in SourceImage('photo.jpg', 2572 × 1740, JPEG))
    """

    _esm, _css = front_end("ask_panel", "askPanelView", "answer")
    images: Any = AnyTrait(())
    task: Any = AnyTrait("describe")
    prompt = Unicode("")
    system = Unicode("")
    model = Unicode(None, allow_none=True)
    effort: Any = AnyTrait("")
    max_tokens = AnyTrait(None)

    def __init__(
        self,
        images: object = (),
        prompt: str | None = None,
        *,
        task: Literal["describe", "compare", "locate"] = "describe",
        model: str | None = None,
        system: str | None = None,
        max_tokens: int | None = None,
        effort: str | None = None,
        backend: Backend | None = None,
        inside: tuple[Panel, str] | None = None,
    ) -> None:
        self._backend = backend
        self.results: list[Reply | Detections] = []
        self._is_taking = False
        self._unobserve: Callable[[], None] = lambda: None
        self._take_followed: Callable[[], None] = lambda: None
        self._asked_key: Key | None = None  # of the form that the answer on show is to
        self._look = StoredLook(weakly(self._look_once), weakly(self._stored_found))
        super().__init__(
            inside=inside,
            task=task,
            prompt=prompt or "",
            system=system or "",
            model=model,
            effort=effort or "",
            max_tokens=max_tokens,
        )
        if isinstance(images, HasTraits) and images.has_trait("images"):
            self._follow(images)
        else:
            self.images = images

    # -- the plain side ----------------------------------------------------------------------

    def ask(self, *, refresh: bool = False) -> None:
        """Ask, in the background; a question under way goes on instead of a second one.

        Parameters
        ----------
        refresh
            Ask anew even if there is a stored answer; both are kept.
        """
        with self._lock:
            if not self._is_asking:
                self._start(self._question(refresh=refresh), self._backend)

    def wait(self, seconds: float | None = None) -> Reply | Detections | None:
        """Wait for the question under way, and return `result`.

        Raises
        ------
        TimeoutError
            If it takes longer than so many seconds.
        """
        found: Reply | Detections | None = self._wait(seconds)
        return found

    # -- from the browser --------------------------------------------------------------------

    def _on_settings(self, message: Message) -> None:
        self._take_settings(message)
        self._post_state()

    def _on_ask(self, message: Message) -> None:
        self._take_settings(message)
        self.ask()

    def _on_ask_again(self, _: Message) -> None:
        self.ask(refresh=True)

    def _on_hello(self, message: Message) -> None:
        super()._on_hello(message)
        self._in_background_once("pictures", self._post_pictures)

    def _take_settings(self, message: Message) -> None:
        """Take over the fields that a message has, all of them or none."""
        readers: dict[str, Callable[[], str]] = {
            "task": lambda: message.one_of("task", TASKS),
            "prompt": lambda: message.text("prompt", longest=LONGEST_PROMPT),
            "system": lambda: message.text("system", longest=LONGEST_PROMPT),
            "effort": lambda: message.one_of("effort", EFFORTS),
            "model": lambda: message.text("model", longest=LONGEST_ID),
        }
        given = {name: read() for name, read in readers.items() if name in message.fields}
        if given.get("model") in {"", self._place()[0]}:
            del given["model"]  # the menu shows who is connected, which is no choice
        self._is_taking = True
        try:
            for name, value in given.items():
                setattr(self, name, value)
        finally:
            self._is_taking = False

    # -- asking ------------------------------------------------------------------------------

    def _place(self) -> tuple[str, Any, Any]:
        return asked_of(self.model, self._backend)

    def _question(self, *, refresh: bool) -> Question:
        """Return the call that the form stands for, as it stands now."""
        prompt, task = self.prompt.strip(), self.task
        options: dict[str, Any] = {
            "model": self.model,
            "system": self.system.strip() or None,
            "max_tokens": self.max_tokens,
            "effort": self.effort or None,
            "refresh": refresh,
        }
        call: Any = {"describe": describe, "compare": compare, "locate": locate}[task]
        words = prompt if task == "locate" else prompt or None

        def ask(backend: Backend, on_text: Callable[[str], None]) -> Any:
            self._take_followed()  # may wait for pictures that are being opened
            if not self.images:
                raise RequestError("no picture", limit="one or more", cure="choose a picture first")
            self._asked_key = self._form().key
            return call(list(self.images), words, **options, backend=backend, on_text=on_text)

        return ask

    def _words_came(self, run: Run) -> None:
        """Show the boxes that can be read already."""
        if run.task != "locate" or not self.images or "]" not in run.text:
            return
        image: SourceImage = self.images[0]
        fit = Fit.of(image.size, self._place()[1].tier, crop_origin=image.crop_origin)
        with suppress(UnreadableAnswer):
            boxes = read_boxes(run.text, fit.resized).boxes[:_MOST_BOXES]
            self._post("boxes", boxes=[_row(fit.to_original(box)) for box in boxes])

    def _run_ended(self, run: Run) -> None:
        if run.state == "done":
            self.results.append(run.result)
            sent = run.result.request
            self._look.learn(sent.images, sent.platform, len(sent.images))
            self._look.keep_only(self.images)

    def _run_task(self) -> str:
        return str(self.task)

    def _ended_still(self, run: Run) -> Still | None:
        # What failed without a word stands in the widget alone.
        return still_of(run) if run.result is not None or run.text else None

    # -- showing -----------------------------------------------------------------------------

    def _state(self) -> tuple[dict[str, Any], list[bytes]]:
        asked, reckoned = self._place()[0], self._reckoned()
        state = {
            "task": self.task,
            "prompt": self.prompt,
            "system": self.system,
            "effort": self.effort,
            "efforts": EFFORTS,
            "model": asked,
            "models": model_choices(asked, self._backend),
            "answerer": self._answerer(self._backend),
            "defaults": {"describe": DESCRIBE, "compare": COMPARE, "locate": "every window"},
            "estimate": reckoned,
            "run": self._run.fields() if self._run is not None else None,
            "boxes": self._boxes(),
            "summary": self._summary(),
            "spoken": self._spoken(),
            "is_below": self._is_below,
            "again": self._again(reckoned["price"]),
        }
        return state, []

    def _reckoned(self) -> dict[str, Any]:
        """Return what the question would cost, and what is worth knowing; nothing is sent."""
        if not self.images:
            return {"words": "choose a picture", "price": "", "notes": []}
        model = self._place()[0]
        words = self._words()
        text = f"{self.system}\n{words}" if self.system else words
        try:
            row = estimate(self.images, text, models=model, count=False).rows[0]
            notes = check(
                self.images, model=model, backend=self._backend, prompt=text, task=self.task
            )
        except NbvisionError as error:
            return {"words": str(error.value), "price": "", "notes": []}
        found = [str(note) for note in (*notes.errors, *notes.warnings)][:_MOST_NOTES]
        if self.task == "locate" and len(self.images) > 1:
            found.insert(0, "! locate takes one picture at a time: choose one")
        if self.task == "compare" and len(self.images) < 2:  # noqa: PLR2004 - comparing takes two
            found.insert(0, "! compare takes two pictures or more: choose another")
        tokens = f"about {row.visual_tokens + row.text_tokens:,} tokens"
        price = f"{tokens}, {price_in_words(row)}"
        since = self._look.since(self._form())
        return {
            "words": price if since is None else "stored answer, free",
            "price": price,
            "notes": [plain(note) for note in found],
        }

    def _form(self) -> Form:
        asked, model, platform = self._place()
        return Form(
            images=tuple(self.images),
            words=self._words(),
            system=self.system.strip() or None,
            task=self.task,
            asked=asked,
            model=model,
            platform=platform,
            effort=self.effort or None,
            max_tokens=self.max_tokens,
            backend=self._backend or connected(),
        )

    def _look_once(self, look: Callable[[], object]) -> None:
        self._in_background_once("stored", look)

    def _stored_found(self, key: Key, moment: datetime | None) -> None:
        with self._lock:
            if self._look.is_news(key, moment) and not self._is_closed:
                self._post_state()

    def _take_frame(self, frame: PreparedImage) -> None:
        """Take a picture as it would be sent, which somebody else has prepared."""
        with self._lock:
            self._look.learn([frame], self._place()[2], 1)
            self._look.keep_only(self.images)
            self._post_state()

    def _again(self, price: str) -> str | None:
        """Return what it costs to ask anew, if the answer on show is this form's stored one."""
        if self._stored is None or not self.images or self._asked_key != self._form().key:
            return None
        return f"asks anew: {price}"

    def _words(self) -> str:
        """Return the words that would be sent."""
        prompt = self.prompt.strip()
        if self.task != "locate":
            return prompt or {"compare": COMPARE}.get(self.task, DESCRIBE)
        _, model, platform = self._place()
        frame = Fit.of(self.images[0].size, model.tier).resized
        return locate_prompt(prompt, *frame, schema_is_sent=takes_schema(model, platform))

    @property
    def _answer(self) -> Reply | Detections | None:
        """The answer on show, which those who observe `result` may not have been told yet."""
        found: Reply | Detections | None = self._run.result if self._run is not None else None
        return found

    @property
    def _reply(self) -> Reply | None:
        found = self._answer
        return found.reply if isinstance(found, Detections) else found

    @property
    def _stored(self) -> datetime | None:
        """When the answer on show was asked for, if it came from what is stored."""
        return None if self._reply is None else self._reply.from_store

    def _summary(self) -> str:
        return "" if self._reply is None else plain(self._reply.summary())

    def _spoken(self) -> str:
        """Return what a screen reader says when the answer is whole."""
        found = self._answer
        what = f"{len(found)} found" if isinstance(found, Detections) else "answered"
        if self._stored is not None:
            what = f"{what}; {stored_in_words(self._stored)}"
        return f"{what}; the answer stands below" if self._is_below else what

    def _boxes(self) -> list[list[Any]]:
        """Return the boxes of the answer, in original pixels, if it is about what is shown."""
        found = self._answer
        if not isinstance(found, Detections) or found.image not in self.images[:1]:
            return []
        return [_row(box) for box in found.boxes[:_MOST_BOXES]]

    def _post_pictures(self) -> None:
        """Send thumbnails of the pictures, and a larger copy of the first to draw boxes on."""
        images = list(self.images)
        shown = images[:_MOST_THUMBNAILS]
        fields = [{"name": plain(image.source), "size": str(image.size)} for image in shown]
        buffers = [image.thumbnail(_THUMBNAIL) for image in shown]
        first = [images[0].thumbnail(LARGEST_SHOWN)] if images else []
        region = list(images[0].region) if images else [0, 0, 1, 1]
        if images == list(self.images):
            buffers += first
            self._post("pictures", buffers, pictures=fields, count=len(images), region=region)

    def _still(self) -> Still:
        if self._run is not None and not self._run.is_under_way:
            return still_of(self._run)
        return bundle(self._in_words())

    def _in_words(self) -> str:
        return f"{self!r}: without widgets, nv.{self.task}(images, …) does the same"

    def __repr__(self) -> str:
        count = len(self.images)
        return f"AskPanel({self.task}, {count} picture{'' if count == 1 else 's'})"

    def _free(self) -> None:
        self._unobserve()
        super()._free()

    # -- from Python -------------------------------------------------------------------------

    @validate("images")
    def _opened(self, proposal: Any) -> list[SourceImage]:
        given = proposal["value"]
        return [seen_image(image) for image in as_list(given)] if given else []

    @validate("task", "effort")
    def _known(self, proposal: Any) -> str:
        name, value = proposal["trait"].name, proposal["value"]
        known = TASKS if name == "task" else EFFORTS
        if value not in known:
            raise RequestError(f"{name}={value!r}"[:200], limit=", ".join(filter(None, known)))
        return str(value)

    @observe("images")
    def _images_changed(self, _: Any) -> None:
        self._post_state()
        self._in_background_once("pictures", self._post_pictures)

    @observe("task", "prompt", "system", "model", "effort")
    def _settings_changed(self, _: Any) -> None:
        if not self._is_taking:
            self._post_state()

    def _follow(self, source: HasTraits) -> None:
        def take(_: object = None) -> None:
            source.images  # type: ignore[attr-defined]  # noqa: B018 - reading may wait, not under the lock
            with self._lock:
                found = list(source.images)  # type: ignore[attr-defined]
                if found != list(self.images):
                    self.images = found

        source.observe(take, names="images")
        self._unobserve = lambda: source.unobserve(take, names="images")
        self._take_followed = take
        take()


def _row(box: Box) -> list[Any]:
    """Return a box as the browser draws it: four edges in original pixels, and a label."""
    return [*box.xyxy, box.label]
