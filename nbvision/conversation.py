"""Many turns about pictures: append-only, each turn whole or not at all."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from nbvision.backends import Backend, held_by
from nbvision.budget import Budget
from nbvision.caching import kept_until
from nbvision.conversation_file import SavedConversation, write_conversation
from nbvision.conversation_reader import read_conversation
from nbvision.detections import Detections
from nbvision.errors import RequestError
from nbvision.exchange import How, exchange, found_in, parsed_by
from nbvision.forms import answer_form
from nbvision.given import as_list, given_image
from nbvision.images import SourceImage
from nbvision.markup import bundle, escape, plain, rich
from nbvision.preflight import Task
from nbvision.prepared import side_limit_of
from nbvision.prompts import BOXES_SCHEMA, POINTS_SCHEMA, Kind, locate_prompt
from nbvision.referenced import GivenImage, RemoteImage, frame_of, require_seen
from nbvision.request import Thinking, takes_schema
from nbvision.response import Usage
from nbvision.results import Cost, Reply
from nbvision.turns import (
    Turn,
    chosen_number,
    cost_of_turns,
    said_again,
    turns_in_words,
    usage_of_turns,
)

__all__ = ["Conversation", "Turn"]

_STAYS = ("backend", "_lock")


class Conversation:
    """An exchange of many turns, with new pictures at any of them.

    What was said stays as it is and is sent again with each turn. Pictures are labelled
    "Image 1:", "Image 2:" and so on through the whole conversation, so that words can name
    them. A turn that fails or is interrupted leaves the conversation as it was.

    Parameters
    ----------
    system
        A system prompt: persona, language, manner.
    model, max_tokens, effort, backend
        As in `nbvision.ask`; the same for every turn.
    cache
        Whether the service is asked to keep what it has read, so that the next turn within
        five minutes reads it again for a fraction of the price. Writing costs a quarter more:
        False pays for conversations of a single turn, and for pauses longer than that.

    Examples
    --------
    >>> import nbvision as nv
    >>> practice = nv.connect("practice", words_per_second=None)
    >>> chat = Conversation(backend=practice)
    >>> reply = chat.ask("How do they differ?", nv.samples.shelf_before, nv.samples.shelf_after)
    >>> reply = chat.ask("And this one?", nv.samples.shapes)
    >>> [turn.first_number for turn in chat.turns], len(chat.messages)
    ([1, 3], 4)
    """

    def __init__(
        self,
        system: str | None = None,
        *,
        model: str | None = None,
        max_tokens: int | None = None,
        effort: str | None = None,
        backend: Backend | None = None,
        cache: bool = True,
    ) -> None:
        self.system = system
        self.model = model
        self.max_tokens = max_tokens
        self.effort = effort
        self.backend = backend
        self.cache = cache
        self._lock = threading.Lock()
        self._turns: tuple[Turn, ...] = ()

    @property
    def turns(self) -> tuple[Turn, ...]:
        """What has been said, in order."""
        return self._turns

    @property
    def images(self) -> tuple[SourceImage | RemoteImage, ...]:
        """All pictures, in the order of their numbers."""
        return tuple(
            image if isinstance(image, RemoteImage) else image.source
            for turn in self._turns
            for image in turn.images
        )

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages as they would be sent, with each picture's data named, not spelled out."""
        if not self._turns:
            return []
        last = self._turns[-1].reply
        said = {"role": "assistant", "content": [{"type": "text", "text": last.text}]}
        return [*last.request.abridged()["messages"], said]

    @property
    def usage(self) -> Usage:
        """Tokens of all turns together; of stored answers those they had when asked for."""
        return usage_of_turns(self._turns)

    @property
    def cost(self) -> Cost:
        """US dollars of all turns together; not known if one is not. Stored ones cost nothing."""
        return cost_of_turns(self._turns)

    def ask(
        self,
        prompt: str,
        *images: object,
        schema: Mapping[str, Any] | type | None = None,
        thinking: Thinking | None = None,
        backend: Backend | None = None,
        on_text: Callable[[str], None] | None = None,
        refresh: bool = False,
        sample: int = 0,
        budget: float | Budget | None = None,
    ) -> Reply:
        """Say something, with new pictures if there are any, and return the answer.

        A conversation that is run again from the top is answered from what is stored, turn by
        turn. A turn that differs is asked anew, and so are those after it: what a turn is
        answered to is all that was said before.

        Parameters
        ----------
        prompt
            The words.
        *images
            Each anything `describe` takes, or a list of such.
        schema, thinking, on_text, refresh, sample, budget
            As in `nbvision.ask`, for this turn.
        backend
            Who answers this turn, if it is not who answers the others.

        Raises
        ------
        ImageError, RequestError
            Before anything is sent; also if another turn is still under way.
        UnreadableAnswer
            If there is a schema and the answer does not follow it. The turn stays: it was
            answered.
        BackendError, AnswerError
            If nobody answered, or not usably. The conversation stays as it was.
        """
        found = [picture for image in images for picture in as_list(image)]
        how = self._how(backend, on_text, thinking, refresh=refresh, sample=sample, budget=budget)
        is_sent = takes_schema(how.model, how.backend.platform)
        form = None if schema is None else answer_form(schema, is_sent=is_sent)
        with self._alone():
            reply = self._turn(prompt, found, "ask", how, None if form is None else form.sent)
            if form is not None:
                reply = parsed_by(form, reply)
                *before, last = self._turns
                self._turns = (*before, replace(last, reply=reply))
        return reply

    def locate(
        self,
        subject: str,
        image: object = None,
        *,
        image_number: int | None = None,
        kind: Kind = "boxes",
        thinking: Thinking | None = None,
        backend: Backend | None = None,
        on_text: Callable[[str], None] | None = None,
        refresh: bool = False,
        sample: int = 0,
        budget: float | Budget | None = None,
    ) -> Detections:
        """Find things in a picture of this conversation, or in a new one.

        Parameters
        ----------
        subject
            What to find: ``"every window"``.
        image
            A new picture, anything `nbvision.locate` takes; it becomes the last one.
        image_number
            Otherwise which one, counted from 1 as the labels are; by default the last.
        kind
            ``"boxes"`` or ``"points"``, as in `nbvision.locate`.
        thinking, backend, on_text, refresh, sample, budget
            As in `ask`.

        Raises
        ------
        RequestError
            If there is no such picture, nothing to find, or both a picture and a number.
        UnreadableAnswer
            If the answer holds no boxes that can be read. The turn stays: it was answered.
        ImageError, BackendError, AnswerError
            As in `ask`.
        """
        if not str(subject).strip():
            raise RequestError("nothing to locate", cure='say what: chat.locate("every window")')
        if image is not None and image_number is not None:
            raise RequestError("a picture and a number", cure="give one of them")
        if kind not in ("boxes", "points"):
            raise RequestError(f"kind={kind!r}"[:200], limit='"boxes" or "points"')
        with self._alone():  # which picture it is must not change meanwhile
            new = [] if image is None else [given_image(image)]
            sources: list[GivenImage] = [sent for turn in self._turns for sent in turn.images]
            sources += new
            number = chosen_number(image_number, len(sources))
            how = self._how(
                backend, on_text, thinking, refresh=refresh, sample=sample, budget=budget
            )
            schema_is_sent = takes_schema(how.model, how.backend.platform)
            asked = require_seen(sources[number - 1])
            frame = frame_of(asked, how.model.tier, side_limit_of(len(sources)))
            words = locate_prompt(
                subject, *frame, schema_is_sent=schema_is_sent, where=f"Image {number}", kind=kind
            )
            form = BOXES_SCHEMA if kind == "boxes" else POINTS_SCHEMA
            reply = self._turn(words, new, "locate", how, form if schema_is_sent else None)
        return found_in(reply, reply.request.images[number - 1])

    def ask_again(
        self,
        *,
        backend: Backend | None = None,
        on_text: Callable[[str], None] | None = None,
        budget: float | Budget | None = None,
    ) -> Reply:
        """Ask the last turn anew, even if there is a stored answer, and return the new one.

        It takes the place of the old one, which stays if nobody answers. The form of the answer
        is asked for again, but the answer is not read by it: ``parsed`` is None.

        Parameters
        ----------
        backend, on_text, budget
            As in `ask`.

        Raises
        ------
        RequestError
            If nothing has been said, or another turn is under way.
        ImageError, BackendError, AnswerError
            As in `ask`.

        Examples
        --------
        >>> import nbvision as nv
        >>> chat = Conversation(backend=nv.connect("practice", words_per_second=None))
        >>> reply = chat.ask("What is this?", nv.samples.shapes)
        >>> again = chat.ask_again()
        >>> len(chat.turns), again.from_store
        (1, None)
        """
        with self._alone():
            if not self._turns:
                raise RequestError("nothing has been said yet", cure="ask something first")
            *before, last = self._turns
            request = last.reply.request
            how = self._how(backend, on_text, request.thinking, refresh=True, budget=budget)
            words, images = last.prompt, list(last.images)
            return self._turn(words, images, "ask", how, request.schema, tuple(before))

    def fork(self) -> "Conversation":
        """Return a conversation that goes on from here by itself; this one is not touched.

        Examples
        --------
        >>> import nbvision as nv
        >>> chat = Conversation(backend=nv.connect("practice", words_per_second=None))
        >>> reply = chat.ask("What is this?", nv.samples.shapes)
        >>> other = chat.fork()
        >>> reply = other.ask("And what colours?")
        >>> len(chat.turns), len(other.turns)
        (1, 2)
        """
        made = object.__new__(type(self))
        vars(made).update(vars(self), _lock=threading.Lock())
        return made

    def save(self, path: str | Path) -> Path:
        """Write the conversation as one JSON file: words, answers, and each picture as sent, once.

        No key is in it. ``parsed`` answers are not kept, nor are the original pictures.

        Raises
        ------
        RequestError
            If the file cannot be written. What stood there before stays.

        Examples
        --------
        >>> import tempfile
        >>> import nbvision as nv
        >>> practice = nv.connect("practice", words_per_second=None)
        >>> chat = Conversation(backend=practice)
        >>> reply = chat.ask("What is this?", nv.samples.shapes)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = chat.save(f"{folder}/chat.json")
        ...     again = Conversation.load(path, backend=practice)
        >>> again.messages == chat.messages, again.images[0].size
        (True, Size(width=3000, height=2000))
        """
        settings = (self.system, self.model, self.max_tokens, self.effort)
        return write_conversation(SavedConversation(*settings, self.cache, self._turns), path)

    @classmethod
    def load(cls, path: str | Path, *, backend: Backend | None = None) -> "Conversation":
        """Return a conversation that was saved; it goes on as if it never had been.

        Nothing is sent. The originals of the pictures are not in the file: what shows is the
        picture as it was sent, at the original's size, so that boxes still land.

        Parameters
        ----------
        path
            What `save` has written.
        backend
            Who answers; by default who is connected then.

        Raises
        ------
        RequestError
            If there is no such file, or it is not one that `save` has written.
        """
        saved = read_conversation(path)
        made = cls(
            saved.system,
            model=saved.model,
            max_tokens=saved.max_tokens,
            effort=saved.effort,
            backend=backend,
            cache=saved.cache,
        )
        made._turns = saved.turns
        return made

    def _how(
        self,
        backend: Backend | None,
        on_text: Callable[[str], None] | None,
        thinking: Thinking | None,
        **options: Any,
    ) -> How:
        asked, words = backend or self.backend, (self.system, self.max_tokens, self.effort)
        return How.of(asked, self.model, *words, on_text, thinking, **options)

    def _turn(  # noqa: PLR0917 - as they are handed on to the exchange
        self,
        prompt: str,
        images: list[Any],
        task: Task,
        how: How,
        schema: dict[str, Any] | None = None,
        before: tuple[Turn, ...] | None = None,
    ) -> Reply:
        """Say something after those turns, all of them by default; under the lock.

        The turn is recorded when it is whole.
        """
        before = self._turns if before is None else before
        count = sum(len(turn.images) for turn in before)
        earlier = [turn.reply.request for turn in before]
        kept = partial(kept_until, earlier=earlier) if self.cache else None
        takes = how.backend.platform.source_types
        said = said_again(before, held_by(how.backend) if "file" in takes else "")
        reply = exchange(images, prompt, task, how, schema, said, kept)
        turn = Turn(prompt, reply.request.images[count:], count + 1, reply)
        self._turns = (*before, turn)
        return reply

    def undo(self) -> Turn:
        """Take the last turn back and return it; its pictures go with it.

        Raises
        ------
        RequestError
            If nothing has been said, or a turn is under way.
        """
        with self._alone():
            if not self._turns:
                raise RequestError("nothing has been said yet", cure="ask something first")
            *kept, last = self._turns
            self._turns = tuple(kept)
            return last

    def __copy__(self) -> "Conversation":
        return self.fork()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Conversation":
        return self.fork()  # turns do not change, and a backend is who answers, not a value

    def __getstate__(self) -> dict[str, Any]:
        """Return what travels: not who answers, which holds a key."""
        return {name: value for name, value in vars(self).items() if name not in _STAYS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, backend=None, _lock=threading.Lock())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Refuse what cannot be done while a turn is under way."""
        if not self._lock.acquire(blocking=False):
            raise RequestError(
                "another turn is still under way", cure="wait for its answer, or stop it"
            )
        try:
            yield
        finally:
            self._lock.release()

    def in_words(self) -> str:
        """Return the conversation as text."""
        return "\n".join([*(f"{turn.in_words()}\n" for turn in self._turns), self.summary()])

    def summary(self) -> str:
        """Return one line: turns, pictures, tokens, how much and what the cache saved of it.

        Stored turns are told apart: their tokens were paid when they were asked for.
        """
        return turns_in_words(self._turns)

    def __repr__(self) -> str:
        return f"Conversation({self.summary()})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        turns = "".join(turn.to_html() for turn in self._turns)
        summary = f'<div style="opacity:.75"><small>{escape(self.summary())}</small></div>'
        return bundle(plain(self.in_words()), markup=rich(turns + summary))
