"""One question under way in a widget: streamed, stoppable, and never lost.

The answer is read in a thread of its own by the plain functions. Its words go to the browser
at most twenty times a second, each piece with its place in the text: a view that has missed
one asks for the whole.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Literal

from nbvision.backends import Answer, Backend, EventStream, OnWait, StopSignal, current
from nbvision.errors import AnswerError
from nbvision.request import Request
from nbvision.widgets.engine import engine
from nbvision.widgets.messages import error_words
from nbvision.widgets.panel import Panel

__all__ = ["Run", "StoppableBackend"]

State = Literal["asking", "done", "stopped", "failed"]

_SECONDS_BETWEEN = 0.05
_STOPPED = "stopped; what had arrived is kept, and the request may have been billed"


class StoppableBackend:
    """A backend as one question uses it: it can be stopped, and its waits are shown.

    Attributes
    ----------
    name, model, platform, why
        Those of the backend behind it.
    """

    def __init__(self, backend: Backend, stop: StopSignal, on_wait: OnWait) -> None:
        self.name, self.model = backend.name, backend.model
        self.platform, self.why = backend.platform, backend.why
        self._backend, self._stop, self._on_wait = backend, stop, on_wait

    def stream(
        self,
        request: Request,
        *,
        on_wait: OnWait | None = None,  # noqa: ARG002 - the protocol's; waits show in the widget
        stop: StopSignal | None = None,  # noqa: ARG002 - the same
    ) -> EventStream:
        """Send a request and return its events; see `Backend.stream`."""
        return self._backend.stream(request, on_wait=self._on_wait, stop=self._stop)

    def send(self, request: Request, *, on_wait: OnWait | None = None) -> Answer:
        """Send a request and return its whole answer; see `Backend.send`."""
        return self._backend.send(request, on_wait=on_wait)

    def count_tokens(self, request: Request) -> int | None:
        """Return the input tokens as the service counts them; see `Backend.count_tokens`."""
        return self._backend.count_tokens(request)

    def close(self) -> None:
        """Leave the backend open: it is not this question's own."""


class Run:
    """A question under way, and what has come of it.

    Attributes
    ----------
    number
        Counted within the panel.
    state
        ``"asking"``, then ``"done"``, ``"stopped"`` or ``"failed"``.
    text
        The words so far; kept whatever happens.
    note
        A line about the wait, or about how it ended.
    error
        Value, limit and cure, if it failed.
    result
        What the plain function returned.

    Parameters
    ----------
    panel, number
        Where it is asked.
    ask
        Calls a plain function, with the backend to use and the one to tell each piece to.
    backend
        Who answers; by default the one that is connected.
    on_words, on_end
        Called under the panel's lock with new words, and when it has ended.
    show
        Called then in a thread, to put the result under the widget.
    """

    def __init__(
        self,
        panel: Panel,
        number: int,
        ask: Callable[[Backend, Callable[[str], None]], Any],
        backend: Backend | None,
        *,
        on_words: Callable[["Run"], None],
        on_end: Callable[["Run"], None],
        show: Callable[["Run"], None],
    ) -> None:
        self.number, self.text = number, ""
        self.state: State = "asking"
        self.note = "asked, waiting for the first word"
        self.error: dict[str, str] | None = None
        self.result: Any = None
        self._panel, self._ask, self._backend = panel, ask, backend
        self._on_words, self._on_end, self._show = on_words, on_end, show
        self._stop = StopSignal()
        self._sent = 0
        self._sent_at = 0.0
        self._is_due = False
        self._started = time.monotonic()
        self._seconds: float | None = None
        self._ended: Future[None] = Future()

    @property
    def is_under_way(self) -> bool:
        """Whether an answer is still awaited."""
        return self.state == "asking"

    def start(self) -> None:
        """Ask, in a thread of its own."""
        self._post()
        engine().work(self._work)

    def stop(self) -> None:
        """Stop; the words so far stay, and the connection is closed."""
        with self._panel._lock:
            if not self.is_under_way:
                return
            self._end("stopped", _STOPPED)
        self._stop.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until it has ended.

        Raises
        ------
        TimeoutError
            If it takes longer than so many seconds.
        """
        self._ended.result(seconds)

    def fields(self) -> dict[str, Any]:
        """Return all that a view shows of it."""
        return {
            "run": self.number,
            "state": self.state,
            "note": self.note,
            "error": self.error,
            "text": self.text,
            "seconds": round(self._seconds or time.monotonic() - self._started, 1),
        }

    def _work(self) -> None:
        try:
            backend = StoppableBackend(current(self._backend), self._stop, self._waits)
            result = self._ask(backend, self._add)
        except Exception as error:  # noqa: BLE001 - shown in the widget; a thread's would be lost
            self._fail(error)
            return
        with self._panel._lock:
            if self.is_under_way:
                self.result, self.text = result, str(result.text)
                self._end("done", "")

    def _add(self, piece: str) -> None:
        with self._panel._lock:
            if not self.is_under_way:
                return
            self.text += piece
            self.note = ""
            if self._is_due:
                return
            self._is_due = True
            passed = time.monotonic() - self._sent_at
            self._panel._soon(max(0.0, _SECONDS_BETWEEN - passed), self._send)

    def _send(self) -> None:
        self._is_due = False
        piece = self.text[self._sent :]
        if not piece or not self.is_under_way:
            return
        self._panel._post("text", run=self.number, offset=self._sent, piece=piece)
        self._sent, self._sent_at = len(self.text), time.monotonic()
        self._on_words(self)

    def _waits(self, words: str) -> None:
        with self._panel._lock:
            if self.is_under_way:
                self.note = words
                self._post()

    def _fail(self, error: Exception) -> None:
        with self._panel._lock:
            if self.is_under_way:
                self.error = error_words(error)
                if isinstance(error, AnswerError) and error.text:
                    self.text = error.text
                self._end("failed", "")

    def _end(self, state: State, note: str) -> None:
        self.state, self.note = state, note
        self._seconds = time.monotonic() - self._started
        try:
            self._on_end(self)
        except Exception as error:  # noqa: BLE001 - an observer's mistake must not lose the answer
            self._panel._show_error(error)
        self._panel._post_state()
        engine().work(self._close_up)

    def _close_up(self) -> None:
        """Draw the still result, which takes a while, and only then call it ended."""
        try:
            self._show(self)
        except Exception as error:  # noqa: BLE001 - the same
            self._panel._show_error(error)
        finally:
            self._ended.set_result(None)

    def _post(self) -> None:
        self._panel._post("run", **self.fields())
        self._sent = len(self.text)
