"""A conversation in a widget: many turns, new pictures at any of them."""

from collections.abc import Callable
from typing import Any

from traitlets import Any as AnyTrait

from nbvision.backends import Backend, connected
from nbvision.conversation import Conversation, Exchange
from nbvision.errors import RequestError
from nbvision.images import SourceImage, open_image
from nbvision.inspection import as_list, asked_of
from nbvision.markup import bundle, escape, plain, rich
from nbvision.results import Reply
from nbvision.widgets.asking import Run
from nbvision.widgets.messages import Message
from nbvision.widgets.model_menu import model_choices
from nbvision.widgets.panel import Panel, Still, front_end
from nbvision.widgets.uploads import TakesUploads, Uploads

__all__ = ["ConversationPanel"]

_LONGEST_PROMPT = 200_000
_LONGEST_ID = 2048
_THUMBNAIL = 160
_MOST_WAITING = 100


class ConversationPanel(TakesUploads, Panel):
    """A form over `Conversation`: words, pictures by drop or paste, answers as they come.

    Parameters
    ----------
    system
        A system prompt: persona, language, manner.
    chat
        A conversation to go on with; its own settings hold then.
    model, max_tokens, effort, backend
        As in `Conversation`.
    max_bytes
        The most that one uploaded picture may have, in bytes.

    Attributes
    ----------
    chat
        The `Conversation`: its turns, usage and cost.
    result
        The last answer; None where the last question failed or was stopped.

    Examples
    --------
    >>> import nbvision as nv
    >>> practice = nv.connect("practice", words_per_second=None)
    >>> panel = ConversationPanel(backend=practice)
    >>> panel.add(nv.samples.shapes)
    >>> panel.ask("What is this?")
    >>> panel.wait(seconds=60).stop_reason, len(panel.chat.turns)
    ('end_turn', 1)
    """

    _esm, _css = front_end("conversation", "conversationView", "answer", "uploading").values()
    _has_result = True

    result: Any = AnyTrait(None)

    def __init__(
        self,
        system: str | None = None,
        *,
        chat: Conversation | None = None,
        model: str | None = None,
        max_tokens: int | None = None,
        effort: str | None = None,
        backend: Backend | None = None,
        max_bytes: int = 100_000_000,
        inside: tuple[Panel, str] | None = None,
    ) -> None:
        self.chat = chat or Conversation(
            system, model=model, max_tokens=max_tokens, effort=effort, backend=backend
        )
        self._uploads = Uploads(max_bytes)
        self._run: Run | None = None
        self._asked: tuple[str, list[int]] = ("", [])
        # Every picture has a number of its own under which a browser keeps its thumbnail.
        self._pictures: dict[int, SourceImage] = {}
        self._numbers: list[int] = []  # of those that wait for the next turn
        self._said = self._numbered(self.chat.images)
        super().__init__(inside=inside)

    # -- the plain side ----------------------------------------------------------------------

    @property
    def images(self) -> list[SourceImage]:
        """The pictures that go with the next turn."""
        return [self._pictures[number] for number in self._numbers]

    @property
    def text(self) -> str:
        """The words of the last answer so far; kept whatever becomes of it."""
        return self._run.text if self._run is not None else ""

    def add(self, *images: object) -> None:
        """Add pictures to the next turn, each anything `open_image` takes.

        Raises
        ------
        ImageError
            If one cannot be opened.
        RequestError
            If there are more than 100.
        """
        opened = [open_image(picture) for image in images for picture in as_list(image)]
        with self._lock:
            if len(self._numbers) + len(opened) > _MOST_WAITING:
                raise RequestError(
                    f"{len(self._numbers) + len(opened)} pictures for one turn",
                    limit=f"{_MOST_WAITING}",
                    cure="ask about some of them first",
                )
            numbers = self._numbered(opened)
            self._numbers += numbers
        self._post_pictures(numbers)
        self._post_state()

    def ask(self, prompt: str) -> None:
        """Ask, in the background; a question under way goes on instead of a second one."""
        with self._lock:
            if self._run is not None and self._run.is_under_way:
                return
            self.result = None
            images, self._asked = self.images, (prompt, list(self._numbers))

            def ask(backend: Backend, on_text: Callable[[str], None]) -> Reply:
                return self.chat.ask(prompt, *images, backend=backend, on_text=on_text)

            number = self._run.number + 1 if self._run is not None else 1
            self._run = Run(
                self,
                number,
                ask,
                self.chat.backend,
                on_words=lambda _: None,
                on_end=self._run_ended,
                show=lambda _: self._show(),
            )
            self._run.start()
            self._post_state()

    def stop(self) -> None:
        """Stop the question under way; the conversation stays as it was before it."""
        if self._run is not None:
            self._run.stop()

    def wait(self, seconds: float | None = None) -> Reply | None:
        """Wait for the question under way, and return `result`.

        Raises
        ------
        TimeoutError
            If it takes longer than so many seconds.
        """
        if self._run is not None:
            self._run.wait(seconds)
        found: Reply | None = self.result
        return found

    def undo(self) -> Exchange:
        """Take the last turn back; its words and pictures wait to be asked again.

        Raises
        ------
        RequestError
            If nothing has been said, or a question is under way.
        """
        with self._lock:
            if self._run is not None and self._run.is_under_way:
                raise RequestError("a question is under way", cure="stop it first")
            last = self.chat.undo()
            count = len(last.images)
            back = self._said[len(self._said) - count :]
            self._said = self._said[: len(self._said) - count]
            self._numbers = [*back, *self._numbers]
            self._asked, self._run = (last.prompt, []), None
            self._post_state()
            self._post("words", prompt=last.prompt)
        self._show()
        return last

    # -- from the browser --------------------------------------------------------------------

    def _on_ask(self, message: Message) -> None:
        model = message.text("model", longest=_LONGEST_ID)
        if model and not self.chat.turns and model != self._model():
            self.chat.model = model
        self.ask(message.text("prompt", longest=_LONGEST_PROMPT))

    def _on_stop(self, _: Message) -> None:
        self.stop()

    def _on_undo(self, _: Message) -> None:
        self.undo()

    def _on_remove(self, message: Message) -> None:
        number = message.whole("number", most=len(self._pictures) + 1)
        if number in self._numbers:
            self._numbers.remove(number)
            del self._pictures[number]
        self._post_state()

    def _on_fetch(self, message: Message) -> None:
        upload = message.text("upload", longest=64)
        address = message.text("address", longest=_LONGEST_ID)
        if not address.lower().startswith(("http://", "https://")):
            raise RequestError(f"the address {address[:60]!r}", limit="http:// or https://")
        self._open(upload, address)

    def _on_hello(self, _: Message) -> None:
        self._post_state()
        self._in_background(lambda: self._post_pictures(list(self._pictures)))

    def _take_upload(self, upload: str, name: str, data: bytes) -> None:
        self._open(upload, {"name": name, "content": data})

    def _open(self, upload: str, source: object) -> None:
        def work() -> None:
            try:
                self.add(open_image(source))
            except Exception as error:  # noqa: BLE001 - its row in the widget says so
                self._end_upload(upload, error)
            else:
                self._end_upload(upload)

        self._in_background(work)

    # -- showing -----------------------------------------------------------------------------

    def _run_ended(self, run: Run) -> None:
        if run.state == "done":
            numbers = self._asked[1]
            self._said += numbers
            self._numbers = [number for number in self._numbers if number not in numbers]
            self.result = run.result
        else:
            # What failed can be asked again without typing it again.
            self._post("words", prompt=self._asked[0])

    def _show(self) -> None:
        shown = self.chat._repr_mimebundle_()
        title = escape(f"Transcript: {self.chat.summary()}")
        markup = rich(f"<details><summary>{title}</summary>{shown['text/html']}</details>")
        self._show_result({**shown, "text/html": markup})

    def _state(self) -> tuple[dict[str, Any], list[bytes]]:
        turns, first = [], 0
        for turn in self.chat.turns:
            count = len(turn.images)
            turns.append(
                {
                    "prompt": plain(turn.prompt),
                    "pictures": self._named(self._said[first : first + count]),
                    "first": turn.first_number,
                    "text": plain(turn.reply.text),
                    "model": plain(turn.reply.model),
                    "summary": plain(turn.reply.summary()),
                }
            )
            first += count
        run, model = self._run, self._model()
        is_shown = run is not None and run.state != "done"
        asked = self._asked if run is not None and run.is_under_way else ("", [])
        state = {
            "turns": turns,
            "waiting": self._named([n for n in self._numbers if n not in asked[1]]),
            "asked": {"prompt": plain(asked[0]), "pictures": self._named(asked[1])},
            "first": len(self._said) + 1,
            "run": run.fields() if run is not None and is_shown else None,
            "model": model,
            "models": model_choices(model, self.chat.backend),
            "system": plain(self.chat.system or ""),
            "answerer": self._answerer(),
            "summary": self.chat.summary() if self.chat.turns else "",
            "max_bytes": self._uploads.max_bytes,
        }
        return state, []

    def _named(self, numbers: list[int]) -> list[dict[str, Any]]:
        return [
            {
                "number": number,
                "name": plain(self._pictures[number].source),
                "size": str(self._pictures[number].size),
            }
            for number in numbers
        ]

    def _answerer(self) -> str:
        asked = self.chat.backend or connected()
        if asked is None:
            return "not connected yet: without a key the practice server answers"
        practice = asked.name == "practice"
        return "the practice server answers; it is not a language model" if practice else asked.name

    def _model(self) -> str:
        return asked_of(self.chat.model, self.chat.backend)[0]

    def _numbered(self, images: Any) -> list[int]:
        first = max(self._pictures, default=0) + 1
        fresh = dict(enumerate(images, start=first))
        self._pictures.update(fresh)
        return list(fresh)

    def _post_pictures(self, numbers: list[int]) -> None:
        """Send thumbnails; each goes to the browser once, and stays there by its number."""
        for number in numbers:
            if (image := self._pictures.get(number)) is not None:
                self._post("picture", [image.thumbnail(_THUMBNAIL)], number=number)

    def _still(self) -> Still:
        if not self.chat.turns:
            return bundle(self._in_words())
        shown: Still = self.chat._repr_mimebundle_()
        return shown

    def _in_words(self) -> str:
        return f"{self!r}: without widgets, nv.Conversation().ask(prompt, images) does the same"

    def __repr__(self) -> str:
        return f"ConversationPanel({self.chat.summary()})"

    def _free(self) -> None:
        self._uploads.clear()
        if self._run is not None:
            self._run.stop()
