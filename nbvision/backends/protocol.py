"""What a backend is: who answers, seen from the rest of the package."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from nbvision.catalogue import Platform
from nbvision.errors import NbvisionError, TimedOut
from nbvision.markup import bundle, escape, rich
from nbvision.request import Request

__all__ = ["Answer", "Backend", "EventStream", "OnWait", "introduction", "shielded"]

_LONGEST_ANSWER_SECONDS = 900.0

OnWait = Callable[[str], None]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Answer:
    """A message as the API returned it, and the service's name for the request."""

    message: object
    request_id: str | None


class EventStream:
    """The events of one answer as they arrive: an iterator and a context manager.

    Leaving the block closes the connection, so that a service stops writing what nobody
    reads. An answer that drips on for ever ends at a deadline.

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
        longest_seconds: float = _LONGEST_ANSWER_SECONDS,
    ) -> None:
        self._events = events
        self._close = close
        self._translate = translate
        self._longest_seconds = longest_seconds
        self._deadline = time.monotonic() + longest_seconds
        self.request_id = request_id

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Mapping[str, Any]:
        if time.monotonic() > self._deadline:
            self.close()
            raise TimedOut(
                "the answer did not end",
                limit=f"{self._longest_seconds:.0f} seconds",
                cure="ask for less, or lower max_tokens",
                may_have_been_billed=True,
            )
        # StopIteration is how an iterator ends, not an error to translate.
        event = shielded(lambda: next(self._events, None), self._translate)
        if event is None:
            raise StopIteration
        return event

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        shielded(self._close, self._translate)

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
        ``"anthropic"``, ``"bedrock"`` or ``"practice"``.
    model
        The model id that is asked when a call names none.
    platform
        The limits of the place.
    why
        Why this one was chosen, and where requests go; never a key.
    """

    name: str
    model: str
    platform: Platform
    why: str

    def send(self, request: Request, *, on_wait: OnWait | None = None) -> Answer:
        """Send a request and return its whole answer.

        Raises
        ------
        BackendError
            If nobody answered.
        UnreadableAnswer
            If what came is not JSON.
        """

    def stream(self, request: Request, *, on_wait: OnWait | None = None) -> EventStream:
        """Send a request and return its events as they arrive.

        Raises
        ------
        BackendError, UnreadableAnswer
            As `send`, here and while the events are read.
        """

    def count_tokens(self, request: Request) -> int | None:
        """Return the input tokens as the service counts them; None where it cannot."""

    def close(self) -> None:
        """Close the connections."""


def introduction(backend: Backend) -> dict[str, str]:
    """Return how a backend shows itself: who answers, and why."""
    words = f"{backend.name} answers, with {backend.model}: {backend.why}"
    markup = rich(
        f"<div><b>{escape(backend.name)}</b> answers, with <code>{escape(backend.model)}</code>."
        f"<br><small>{escape(backend.why)}</small></div>"
    )
    return bundle(words, markup=markup)


def shielded(
    action: Callable[[], Result], translate: Callable[[Exception], NbvisionError]
) -> Result:
    """Return what an SDK call returns; raise what it raises as an error of ours.

    Both SDKs let parser, socket and type errors out, so this edge takes them all. The raise
    stands outside the handler: an SDK's exception holds the request's headers, key included,
    and must not hang from ours as its context.
    """
    try:
        return action()
    except NbvisionError:
        raise
    except Exception as error:  # noqa: BLE001 - the edge, as the docstring says
        failure = translate(error)
    raise failure
