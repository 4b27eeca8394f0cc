"""Many turns about pictures: append-only, each turn whole or not at all."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from nbvision.backends import Backend, held_by
from nbvision.caching import cache_in_words, kept_until
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
from nbvision.referenced import GivenImage, RemoteImage, UploadedImage, frame_of, require_seen
from nbvision.request import RequestMessage, Thinking, takes_schema
from nbvision.response import Usage
from nbvision.results import Cost, Reply
from nbvision.turns import Turn

__all__ = ["Conversation", "Turn"]


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
        """Tokens of all turns together."""
        usages = [turn.reply.usage for turn in self._turns]
        return Usage(
            sum(usage.input_tokens for usage in usages),
            sum(usage.output_tokens for usage in usages),
            sum(usage.cache_read_tokens for usage in usages),
            sum(usage.cache_write_tokens for usage in usages),
            sum(usage.thinking_tokens for usage in usages),
        )

    @property
    def cost(self) -> Cost:
        """US dollars of all turns together; not known if one is not."""
        costs = [turn.reply.cost for turn in self._turns]
        saved = _sum_if_known([cost.saved for cost in costs])
        return Cost(_sum_if_known([cost.dollars for cost in costs]), saved=saved)

    def ask(
        self,
        prompt: str,
        *images: object,
        schema: Mapping[str, Any] | type | None = None,
        thinking: Thinking | None = None,
        backend: Backend | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Reply:
        """Say something, with new pictures if there are any, and return the answer.

        Parameters
        ----------
        prompt
            The words.
        *images
            Each anything `describe` takes, or a list of such.
        schema, thinking, on_text
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
        how = self._how(backend, on_text, thinking)
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
        thinking, backend, on_text
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
            number = len(sources) if image_number is None else image_number
            if type(number) is not int or not 1 <= number <= len(sources):
                raise RequestError(
                    f"image_number={image_number!r} of {len(sources)} pictures"[:200],
                    limit=f"1 to {len(sources)}" if sources else "a conversation with pictures",
                    cure='give the picture: chat.locate("every window", image)',
                )
            how = self._how(backend, on_text, thinking)
            schema_is_sent = takes_schema(how.model, how.backend.platform)
            asked = require_seen(sources[number - 1])
            frame = frame_of(asked, how.model.tier, side_limit_of(len(sources)))
            words = locate_prompt(
                subject, *frame, schema_is_sent=schema_is_sent, where=f"Image {number}", kind=kind
            )
            form = BOXES_SCHEMA if kind == "boxes" else POINTS_SCHEMA
            reply = self._turn(words, new, "locate", how, form if schema_is_sent else None)
        return found_in(reply, reply.request.images[number - 1])

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
        made = Conversation(
            self.system,
            model=self.model,
            max_tokens=self.max_tokens,
            effort=self.effort,
            backend=self.backend,
            cache=self.cache,
        )
        made._turns = self._turns
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
    ) -> How:
        asked, effort = backend or self.backend, self.effort
        return How.of(asked, self.model, self.system, self.max_tokens, effort, on_text, thinking)

    def _turn(
        self,
        prompt: str,
        images: list[Any],
        task: Task,
        how: How,
        schema: dict[str, Any] | None = None,
    ) -> Reply:
        """Say something and record the turn when it is whole; under the lock."""
        count = len(self.images)
        earlier = [turn.reply.request for turn in self._turns]
        kept = partial(kept_until, earlier=earlier) if self.cache else None
        reply = exchange(images, prompt, task, how, schema, self._said(how), kept)
        turn = Turn(prompt, reply.request.images[count:], count + 1, reply)
        self._turns = (*self._turns, turn)
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

    def _said(self, how: How) -> tuple[RequestMessage, ...]:
        """Return all turns as they are sent again.

        A file that cannot be named there, or not any more, goes as the bytes it holds.
        """
        if not self._turns:
            return ()
        last, takes = self._turns[-1].reply, how.backend.platform.source_types
        here = held_by(how.backend) if "file" in takes else ""
        said = (
            RequestMessage(
                message.role,
                tuple(
                    block.carried()
                    if isinstance(block, UploadedImage) and not block.can_be_named(here)
                    else block
                    for block in message.blocks
                ),
            )
            for message in last.request.messages
        )
        return (*said, RequestMessage("assistant", (last.text,)))

    def in_words(self) -> str:
        """Return the conversation as text."""
        return "\n".join([*(f"{turn.in_words()}\n" for turn in self._turns), self.summary()])

    def summary(self) -> str:
        """Return one line: how many turns and pictures, tokens, how much, and what that saved."""
        usage, cost = self.usage, self.cost
        counts = {"turn": len(self._turns), "image": len(self.images)}
        said = ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for word, n in counts.items())
        cache = cache_in_words(usage, cost.saved)
        return (
            f"{said} · {usage.total_input_tokens:,} tokens in, {usage.output_tokens:,} out · "
            f"{cost}{cache and ' · '}{cache}"
        )

    def __repr__(self) -> str:
        return f"Conversation({self.summary()})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        turns = "".join(turn.to_html() for turn in self._turns)
        summary = f'<div style="opacity:.75"><small>{escape(self.summary())}</small></div>'
        return bundle(plain(self.in_words()), markup=rich(turns + summary))


def _sum_if_known(amounts: list[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None
