"""What a backend is: who answers, seen from the rest of the package."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from nbvision.backends.shelves import Shelf
from nbvision.errors import BackendError, Interrupted, NbvisionError, NotConnected, TimedOut
from nbvision.keeping import Keeping
from nbvision.markup import bundle, escape, rich
from nbvision.platforms import Capabilities, Platform
from nbvision.request import Request

__all__ = [
    "Answer",
    "Backend",
    "EventStream",
    "OnWait",
    "StopSignal",
    "held_by",
    "introduction",
    "require_open",
    "shielded",
]

OnWait = Callable[[str], None]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Answer:
    """A message as the API returned it, and the service's name for the request."""

    message: object
    request_id: str | None


class StopSignal:
    """A wish to stop one call, from any thread: it ends waits and closes what is open.

    Examples
    --------
    >>> stop = StopSignal()
    >>> stop.set()
    >>> stop.require_unset()
    Traceback (most recent call last):
    nbvision.errors.Interrupted: stopped before the answer began
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._close: Callable[[], None] | None = None

    @property
    def is_set(self) -> bool:
        """Whether somebody has asked to stop."""
        return self._event.is_set()

    def set(self) -> None:
        """Ask to stop; safe to call twice."""
        with self._lock:
            self._event.set()
            close = self._close
        if close is not None:
            close()

    def closes(self, close: Callable[[], None]) -> None:
        """Name what is to be closed; at once if somebody has asked already."""
        with self._lock:
            self._close = close
        if self.is_set:
            close()

    def wait(self, seconds: float) -> None:
        """Wait so long.

        Raises
        ------
        Interrupted
            As soon as somebody asks to stop.
        """
        self._event.wait(seconds)
        self.require_unset()

    def require_unset(self) -> None:
        """Go on only if nobody has asked to stop.

        Raises
        ------
        Interrupted
            If somebody has.
        """
        if self.is_set:
            error = Interrupted("stopped before the answer began")
            error.may_have_been_billed = False
            raise error


class EventStream:
    """The events of one answer as they arrive: an iterator and a context manager.

    Leaving the block closes the connection, so that a service stops writing what nobody
    reads; so do the end, any error and an interrupt. An answer that drips on for ever ends
    at a deadline.

    Attributes
    ----------
    request_id
        The service's name for the request.
    """

    def __init__(
        self,
        events: Iterator[Mapping[str, Any]],
        *,
        close: Callable[[], None],
        request_id: str | None,
        translate: Callable[[Exception], NbvisionError],
        longest_seconds: float,
    ) -> None:
        self._events = events
        self._close = close
        self._translate = translate
        self._longest_seconds = longest_seconds
        self._deadline = time.monotonic() + longest_seconds
        self._has_begun = False
        self._is_closed = False
        self.request_id = request_id

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Mapping[str, Any]:
        event = None
        try:
            event = self._next()
        except BackendError as error:
            # What has begun to arrive has been worked on, whatever broke it off.
            error.may_have_been_billed |= self._has_begun
            raise
        finally:
            if event is None:
                self.close()
        if event is None:
            raise StopIteration
        self._has_begun = True
        return event

    def close(self) -> None:
        """Close the connection, from any thread; safe to call twice. It ends the iteration."""
        if not self._is_closed:
            self._is_closed = True
            # A connection that cannot even be closed is gone, which is what was wanted.
            with suppress(NbvisionError):
                shielded(self._close, self._translate)

    def _next(self) -> Mapping[str, Any] | None:
        if self._is_closed:
            return None
        if time.monotonic() > self._deadline:
            raise TimedOut(
                "the answer did not end",
                limit=f"{self._longest_seconds:.0f} seconds",
                cure="ask for less, or lower max_tokens",
                may_have_been_billed=True,
            )
        try:
            # StopIteration is how an iterator ends, not an error to translate.
            return shielded(lambda: next(self._events, None), self._translate)
        except NbvisionError:
            if not self._was_closed():
                raise
        # Another thread has closed it, and this is what that looks like from here.
        return None

    def _was_closed(self) -> bool:
        return self._is_closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Backend(Protocol):
    """Who answers.

    Attributes
    ----------
    name
        As `connect` calls it.
    model
        The model id that is asked when a call names none.
    platform
        The limits of the place.
    why
        Why this one was chosen, and where requests go; never a key.
    address
        Where they go, if that is not a service's own address; empty otherwise.
    keeping
        What is kept of the calls.
    """

    name: str
    model: str
    platform: Platform
    why: str
    address: str
    keeping: Keeping

    @property
    def capabilities(self) -> Capabilities:
        """What this door can do, and what to do where it cannot."""

    def send(self, request: Request, *, on_wait: OnWait | None = None) -> Answer:
        """Send a request and return its whole answer.

        Raises
        ------
        BackendError
            If nobody answered.
        UnreadableAnswer
            If what came is not JSON.
        """

    def stream(
        self,
        request: Request,
        *,
        on_wait: OnWait | None = None,
        stop: StopSignal | None = None,
    ) -> EventStream:
        """Send a request and return its events as they arrive.

        ``stop``, set from any thread, ends it: nothing is sent after that, and an open
        connection is closed.

        Raises
        ------
        BackendError, UnreadableAnswer
            As `send`, here and while the events are read.
        """

    def count_tokens(self, request: Request) -> int | None:
        """Return the input tokens as the service counts them; None where it cannot."""

    @property
    def files(self) -> Shelf | None:
        """Where pictures can be stored; None where the place takes no files."""

    def close(self) -> None:
        """Close the connections."""


def introduction(backend: Backend) -> dict[str, str]:
    """Return how a backend shows itself: who answers, and why; what is kept of it."""
    lines = [backend.why]
    # That practice answers are not kept, as they are free, is not worth a line.
    if backend.name != "practice" or backend.keeping != Keeping(in_store=False):
        lines.append(backend.keeping.in_words())
    words = f"{backend.name} answers, with {backend.model}: " + "\n".join(lines)
    small = "".join(f"<br><small>{escape(line)}</small>" for line in lines)
    markup = rich(
        f"<div><b>{escape(backend.name)}</b> answers, with <code>{escape(backend.model)}</code>."
        f"{small}</div>"
    )
    return bundle(words, markup=markup)


def held_by(backend: Backend | None) -> str:
    """Return where a backend's files lie; empty if it has none, or nobody is connected."""
    # What only streams is taken as a backend too.
    shelf: Shelf | None = getattr(backend, "files", None)
    return "" if shelf is None else shelf.held_by


def require_open(*, is_closed: bool, name: str) -> None:
    """Refuse to ask through a backend that was closed.

    Raises
    ------
    NotConnected
        Saying how to connect again.
    """
    if is_closed:
        raise NotConnected(
            f"this connection to {name} was closed", cure=f'connect again: nv.connect("{name}")'
        )


def shielded(
    action: Callable[[], Result], translate: Callable[[Exception], NbvisionError]
) -> Result:
    """Return what an SDK call returns; raise what it raises as an error of ours.

    Both SDKs let parser, socket and type errors out, so this edge takes them all. The raise
    stands outside the handler, and frames and contexts are let go of: an SDK's exception holds
    the request's headers, key included, and its frames the client.
    """
    failure: NbvisionError
    try:
        return action()
    except NbvisionError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - the edge, as the docstring says
        failure = translate(error)
    failure.__cause__ = failure.__context__ = None
    raise failure.with_traceback(None)
