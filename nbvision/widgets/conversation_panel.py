"""A conversation in a widget: many turns, new pictures at any of them."""

from collections.abc import Callable, Iterable
from typing import Any

from nbvision.backends import Backend
from nbvision.catalogue import model_cost, priced_at
from nbvision.conversation import Conversation, Turn
from nbvision.errors import LimitExceeded, RequestError
from nbvision.estimating import EstimateRow
from nbvision.given import given_images
from nbvision.images import open_image
from nbvision.inspection import asked_of
from nbvision.markup import bundle, plain, rich
from nbvision.prepared import PreparedImage
from nbvision.referenced import GivenImage, RemoteImage, UploadedImage
from nbvision.results import Reply, stored_in_words
from nbvision.widgets.asking import LONGEST_ID, LONGEST_PROMPT, Asks, Run, price_in_words
from nbvision.widgets.messages import Message
from nbvision.widgets.model_menu import model_choices
from nbvision.widgets.panel import Panel, Still, front_end
from nbvision.widgets.uploads import TakesUploads, Uploads

__all__ = ["ConversationPanel"]

_THUMBNAIL = 160
_MOST_WAITING = 100


class ConversationPanel(TakesUploads, Asks):
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

    _esm, _css = front_end("conversation", "conversationView", "answer", "uploading")

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
        if chat is not None and (system or model or max_tokens or effort or backend):
            raise RequestError(
                "a conversation and settings of another",
                cure="set them on the conversation itself: chat.system = …",
            )
        self.chat = chat or Conversation(
            system, model=model, max_tokens=max_tokens, effort=effort, backend=backend
        )
        self._uploads = Uploads(max_bytes)
        self._asked: tuple[str, list[GivenImage]] = ("", [])
        self._replaced: Turn | None = None  # while it is asked again
        self._waiting: list[GivenImage] = []
        # Every picture has a number of its own, under which a browser keeps its thumbnail.
        self._numbers: dict[int, tuple[int, GivenImage]] = {}
        super().__init__(inside=inside)

    # -- the plain side ----------------------------------------------------------------------

    @property
    def images(self) -> list[GivenImage]:
        """The pictures that go with the next turn, as they were given."""
        return list(self._waiting)

    def add(self, *images: object) -> None:
        """Add pictures to the next turn, each anything `describe` takes, or a list of such.

        Raises
        ------
        ImageError
            If one cannot be opened.
        RequestError
            If one is only a row of `files`, or a list is empty.
        LimitExceeded
            If there are more than 100.
        """
        given = [picture for image in images for picture in given_images(image)]
        with self._lock:
            if len(self._waiting) + len(given) > _MOST_WAITING:
                raise LimitExceeded(
                    f"{len(self._waiting) + len(given)} pictures for one turn",
                    limit=f"{_MOST_WAITING}",
                    cure="ask about some of them first",
                )
            self._waiting += given
            self._post_state()
        self._post_pictures(given)

    def ask(self, prompt: str) -> None:
        """Ask, in the background; a question under way goes on instead of a second one."""
        with self._lock:
            if self._is_asking:
                return
            images, before = self.images, self._run

            def ask(backend: Backend, on_text: Callable[[str], None]) -> Reply:
                if before is not None:
                    before.has_left.wait()  # what was stopped may still be on its way out
                return self.chat.ask(prompt, *images, backend=backend, on_text=on_text)

            self._asked = (prompt, images)
            self._replaced = None
            self._start(ask, self.chat.backend)
            self._post_state()

    def ask_again(self) -> None:
        """Ask the last turn anew, in the background; the old answer stays if nobody answers.

        Raises
        ------
        RequestError
            If nothing has been said.
        """
        with self._lock:
            if self._is_asking:
                return
            if not self.chat.turns:
                raise RequestError("nothing has been said yet", cure="ask something first")
            last, before = self.chat.turns[-1], self._run

            def ask(backend: Backend, on_text: Callable[[str], None]) -> Reply:
                if before is not None:
                    before.has_left.wait()
                return self.chat.ask_again(backend=backend, on_text=on_text)

            self._asked = (last.prompt, list(last.images))
            self._replaced = last
            self._start(ask, self.chat.backend)
            self._post_state()

    def wait(self, seconds: float | None = None) -> Reply | None:
        """Wait for the question under way, and return `result`.

        Raises
        ------
        TimeoutError
            If it takes longer than so many seconds.
        """
        found: Reply | None = self._wait(seconds)
        return found

    def undo(self) -> Turn:
        """Take the last turn back; its words and pictures wait to be asked again.

        Raises
        ------
        RequestError
            If nothing has been said, or a question is under way.
        """
        with self._lock:
            if self._is_asking:
                raise RequestError("a question is under way", cure="stop it first")
            last = self.chat.undo()
            self._waiting = [*map(_kept, last.images), *self._waiting]
            self._run = None
            self._post_state()
            self._post("words", prompt=last.prompt)
        self.result = None
        self._show_result(self._transcript() or {"text/plain": ""})
        return last

    # -- from the browser --------------------------------------------------------------------

    def _on_ask(self, message: Message) -> None:
        model = message.text("model", longest=LONGEST_ID)
        if model and not self.chat.turns and model != self._model():
            self.chat.model = model
        self.ask(message.text("prompt", longest=LONGEST_PROMPT))

    def _on_ask_again(self, _: Message) -> None:
        self.ask_again()

    def _on_undo(self, _: Message) -> None:
        self.undo()

    def _on_remove(self, message: Message) -> None:
        number = message.whole("number", most=len(self._numbers))
        for place, image in enumerate(self._waiting):
            if self._number(image) == number:
                del self._waiting[place]
                break
        self._post_state()

    def _on_hello(self, message: Message) -> None:
        super()._on_hello(message)
        said = (image for turn in self.chat.turns for image in turn.images)
        known = [*said, *self._waiting]
        self._in_background_once("pictures", lambda: self._post_pictures(known))

    def _take_upload(self, upload: str, name: str, data: bytes) -> None:
        def work() -> None:
            try:
                image = open_image({"name": name, "content": data})
                with self._lock:
                    if self._uploads.is_wanted(upload) and not self._is_closed:
                        self.add(image)
            except Exception as error:  # noqa: BLE001 - its row in the widget says so
                self._end_upload(upload, error)
            else:
                self._end_upload(upload)

        self._in_background(work)

    # -- showing -----------------------------------------------------------------------------

    def _run_ended(self, run: Run) -> None:
        prompt, images = self._asked
        if run.state == "done":
            asked = {id(image) for image in images}
            self._waiting = [image for image in self._waiting if id(image) not in asked]
        elif self._replaced is None:
            # What failed can be asked again without typing it again.
            self._post("words", prompt=prompt)

    def _came_too_late(self, result: Reply) -> None:
        """Take back a turn that was whole only after it had been stopped."""
        if self.chat.turns and self.chat.turns[-1].reply is result:
            self.chat.undo()
            if self._replaced is not None:
                self.chat._turns = (*self.chat.turns, self._replaced)

    def _ended_still(self, run: Run) -> Still | None:
        del run
        return self._transcript()

    def _result_so_far(self) -> Still | None:
        return self._transcript()

    def _transcript(self) -> Still | None:
        """Return the conversation folded away: it stands open in the widget."""
        count = len(self.chat.turns)
        if not count:
            return None
        shown = self.chat._repr_mimebundle_()
        title = f"Transcript of {count} turn{'' if count == 1 else 's'}"
        markup = rich(f"<details><summary>{title}</summary>{shown['text/html']}</details>")
        return {**shown, "text/html": markup}

    def _again(self) -> str | None:
        """Return what it costs to ask the last turn anew, if its answer is a stored one."""
        if not self.chat.turns or self.chat.turns[-1].reply.from_store is None:
            return None
        request, usage = self.chat.turns[-1].reply.request, self.chat.turns[-1].reply.usage
        tokens, model = usage.total_input_tokens, priced_at(request.model_id, request.model)
        dollars = model_cost(model, input_tokens=tokens, output_tokens=0)
        both = model_cost(model, input_tokens=tokens, output_tokens=1000)
        more = None if dollars is None or both is None else both - dollars
        row = EstimateRow(model.id, 0, tokens, dollars, more, is_counted=True)
        return f"asks anew: {tokens:,} tokens, {price_in_words(row)}"

    def _state(self) -> tuple[dict[str, Any], list[bytes]]:
        is_again = self._is_asking and self._replaced is not None
        said = self.chat.turns[:-1] if is_again else self.chat.turns
        turns = [
            {
                "prompt": turn.prompt,
                "pictures": self._named(turn.images),
                "first": turn.first_number,
                "text": plain(turn.reply.text),
                "model": plain(turn.reply.model),
                "summary": plain(turn.reply.summary()),
                "stored": stored_in_words(since) if (since := turn.reply.from_store) else "",
            }
            for turn in said
        ]
        run, model = self._run, self._model()
        prompt, asked = self._asked if self._is_asking else ("", [])
        under_way = {id(image) for image in asked}
        state = {
            "turns": turns,
            "waiting": self._named([i for i in self._waiting if id(i) not in under_way]),
            "asked": {"prompt": prompt, "pictures": self._named(asked)},
            "first": sum(len(turn.images) for turn in said) + 1,
            "again": self._again(),
            "run": run.fields() if run is not None and run.state != "done" else None,
            "model": model,
            "models": model_choices(model, self.chat.backend),
            "system": plain(self.chat.system or ""),
            "answerer": self._answerer(self.chat.backend),
            "summary": self.chat.summary() if self.chat.turns else "",
            "max_bytes": self._uploads.max_bytes,
        }
        return state, []

    def _named(self, images: Iterable[GivenImage]) -> list[dict[str, Any]]:
        named = []
        for image in map(_kept, images):
            row: dict[str, Any] = {"number": self._number(image)}
            if isinstance(image, RemoteImage):
                # Only its name is shown: a page that fetched it would tell its host who looks.
                row |= {"name": plain(image.source), "size": "", "is_remote": True}
            else:
                seen = image.source if isinstance(image, PreparedImage) else image
                row |= {"name": plain(seen.source), "size": str(seen.size), "is_remote": False}
            named.append(row)
        return named

    def _number(self, image: GivenImage) -> int:
        known = _kept(image)
        return self._numbers.setdefault(id(known), (len(self._numbers), known))[0]

    def _model(self) -> str:
        return asked_of(self.chat.model, self.chat.backend)[0]

    def _post_pictures(self, images: Iterable[GivenImage]) -> None:
        """Send thumbnails; each goes to the browser once, and stays there by its number."""
        for image in map(_kept, images):
            if isinstance(image, RemoteImage):
                continue
            seen = image.source if isinstance(image, PreparedImage) else image
            self._post("picture", [seen.thumbnail(_THUMBNAIL)], number=self._number(image))

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
        super()._free()


def _kept(image: GivenImage) -> GivenImage:
    """Return the picture itself of one that is only prepared: every turn does that anew."""
    if isinstance(image, PreparedImage) and not isinstance(image, UploadedImage):
        return image.source
    return image
