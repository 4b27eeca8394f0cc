"""Questions in widgets: streamed, stoppable, and never lost.

The answer is read in a thread of its own by the plain functions. Its words go to the browser
at most twenty times a second, each piece with its place in the text: a view that has missed
one asks for the whole.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Literal

from traitlets import Any as AnyTrait

from nbvision.backends import Backend, StopSignal, connected, current
from nbvision.backends.stopping import stoppable
from nbvision.errors import AnswerError, RequestError
from nbvision.estimating import EstimateRow
from nbvision.live import waits_told_to
from nbvision.markup import bundle, escape, rich
from nbvision.widgets.engine import engine
from nbvision.widgets.messages import Message, error_words, retry_words
from nbvision.widgets.panel import Panel, Still

__all__ = ["LONGEST_ID", "LONGEST_PROMPT", "Asks", "Question", "Run", "price_in_words", "still_of"]

LONGEST_PROMPT = 200_000
"""Characters that a browser may send as words."""
LONGEST_ID = 2048
"""Characters that a browser may send as a model's id or an address."""

State = Literal["asking", "done", "stopped", "failed"]
Question = Callable[[Backend, Callable[[str], None]], Any]
"""Calls a plain function, with the backend to use and the one to tell each piece to."""

_SECONDS_BETWEEN = 0.05
_STOPPED = "stopped; what had arrived is kept, and the request may have been billed"


class Asks(Panel):
    """A panel that asks one question at a time.

    A subclass calls `_start`, and gives `_ended_still`; the other hooks may stay empty.

    Attributes
    ----------
    result
        What the plain function returned last; None before, and when the last question failed
        or was stopped. Whoever observes it is told in a thread beside the cells.
    """

    _has_result = True

    result: Any = AnyTrait(None)

    def __init__(self, *, inside: tuple[Panel, str] | None = None, **traits: Any) -> None:
        self._run: Run | None = None
        self._is_below = False  # whether what stays of the last question stands under the widget
        super().__init__(inside=inside, **traits)

    @property
    def text(self) -> str:
        """The words of the last answer so far; kept whatever becomes of it."""
        return self._run.text if self._run is not None else ""

    def stop(self) -> None:
        """Stop the question under way; the words that have arrived stay."""
        if self._run is not None:
            self._run.stop()

    def _wait(self, seconds: float | None) -> Any:
        """Wait for the question under way, and return `result`."""
        if self._run is not None:
            self._run.wait(seconds)
        return self.result

    @property
    def _is_asking(self) -> bool:
        return self._run is not None and self._run.is_under_way

    def _start(self, question: Question, backend: Backend | None) -> None:
        """Ask in the background; call it under the lock, and not while asking."""
        if self._is_closed:
            raise RequestError("this widget was closed", cure="run its cell again")
        number = self._run.number + 1 if self._run is not None else 1
        self._is_below = False
        self._show_result({"text/plain": ""})
        self._run = Run(self, number, question, backend)
        self._run.start()

    def _on_stop(self, _: Message) -> None:
        self.stop()

    def _on_sync(self, _: Message) -> None:
        self._post_state()

    def _words_came(self, run: "Run") -> None:
        """Take new words, under the lock."""

    def _run_task(self) -> str:
        """Return what the question is for, in the panel's own words."""
        return ""

    def _run_ended(self, run: "Run") -> None:
        """Take the end, under the lock."""

    def _came_too_late(self, result: Any) -> None:
        """Take an answer that was whole after it had been stopped, under the lock."""

    def freeze(self) -> None:
        """Stop what is under way, and replace the widget by what it shows; see `Panel.freeze`."""
        self.stop()
        super().freeze()

    def _ended_still(self, run: "Run") -> Still | None:
        """Return what stays of a question that has ended; None if there is nothing to keep."""
        raise NotImplementedError

    def _show_run(self, run: "Run") -> None:
        """Put what stays under the widget; called in a thread of its own."""
        if (still := self._ended_still(run)) is not None:
            self._is_below = self._show_result(still)
            self._post_state()

    def _result_so_far(self) -> Still | None:
        if self._run is None or self._run.is_under_way:
            return None
        still = self._ended_still(self._run)
        self._is_below = still is not None
        return still

    def _answerer(self, backend: Backend | None) -> str:
        """Return who would answer, in words."""
        asked = backend or connected()
        if asked is None:
            return "not connected yet: without a key the practice server answers"
        practice = asked.name == "practice"
        return "the practice server answers; it is not a language model" if practice else asked.name

    def _free(self) -> None:
        self.stop()


class Run:
    """A question under way, and what has come of it.

    Attributes
    ----------
    number, task
        Counted within the panel; and what it is for, in the panel's own words.
    state
        ``"asking"``, then ``"done"``, ``"stopped"`` or ``"failed"``.
    text
        The words so far; kept whatever happens.
    note
        A line about the wait, or about how it ended.
    error, retry
        Value, limit and cure, if it failed; and what asking once more means for the money.
    result
        What the plain function returned.
    has_left
        Set when its thread has ended, which after a stop may take a while.
    """

    def __init__(
        self, panel: Asks, number: int, question: Question, backend: Backend | None
    ) -> None:
        self.number, self.text, self.task = number, "", panel._run_task()
        self.state: State = "asking"
        self.note = "asked, waiting for the first word"
        self.error: dict[str, str] | None = None
        self.retry = ""
        self.result: Any = None
        self._panel, self._question, self._backend = panel, question, backend
        self._stop = StopSignal()
        self._sent = 0
        self._sent_at = 0.0
        self._is_due = False
        self._started = time.monotonic()
        self._seconds: float | None = None
        self._ended: Future[None] = Future()
        self._closer = 0
        self.has_left = threading.Event()

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
        # An observer of the result is told before the end, and may ask for what it has.
        if self._closer != threading.get_ident():
            self._ended.result(seconds)

    def fields(self) -> dict[str, Any]:
        """Return all that a view shows of it."""
        return {
            "run": self.number,
            "task": self.task,
            "state": self.state,
            "note": self.note,
            "error": self.error,
            "retry": self.retry,
            "text": self.text,
            "seconds": round(self._seconds or time.monotonic() - self._started, 1),
        }

    def _work(self) -> None:
        try:
            with stoppable(self._stop), waits_told_to(self._waits):
                result = self._question(current(self._backend), self._add)
        except BaseException as error:  # noqa: BLE001 - shown in the widget; a thread's would be lost
            self._fail(error)
        else:
            with self._panel._lock:
                if self.is_under_way:
                    self.result, self.text = result, str(result.text)
                    self._end("done", "")
                else:
                    self._panel._came_too_late(result)
        finally:
            self.has_left.set()

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
        self._panel._words_came(self)

    def _waits(self, words: str) -> None:
        with self._panel._lock:
            if self.is_under_way and words != self.note:
                self.note = words
                self._post()

    def _fail(self, error: BaseException) -> None:
        with self._panel._lock:
            if self.is_under_way:
                self.error, self.retry = error_words(error), retry_words(error)
                if isinstance(error, AnswerError) and error.text:
                    self.text = error.text
                self._end("failed", "")

    def _end(self, state: State, note: str) -> None:
        self.state, self.note = state, note
        self._seconds = time.monotonic() - self._started
        try:
            self._panel._run_ended(self)
            self._panel._post_state()
        finally:
            engine().work(self._close_up)

    def _close_up(self) -> None:
        """Draw the still result, tell whoever observes, and only then call it ended.

        Without the lock: both may take a while, and an observer may do anything.
        """
        self._closer = threading.get_ident()
        for step in (self._panel._show_run, self._tell):
            try:
                step(self)
            except Exception as error:  # noqa: BLE001 - an observer's mistake must not lose the answer
                self._panel._show_error(error)
        self._ended.set_result(None)

    def _tell(self, _: "Run") -> None:
        self._panel.result = self.result

    def _post(self) -> None:
        self._panel._post("run", **self.fields())
        self._sent = len(self.text)


def price_in_words(row: EstimateRow) -> str:
    """Return what asking costs, as all panels say it.

    Examples
    --------
    >>> price_in_words(EstimateRow("claude-haiku-4-5", 1296, 4, 0.0013, 0.005, False))
    '$0.00130 to send, and $0.0050 for each 1,000 tokens of the answer'
    """
    more = row.dollars_per_1000_output_tokens
    if row.dollars == 0:
        return "free"
    answer = "" if more is None else f", and ${more:.4f} for each 1,000 tokens of the answer"
    return f"{row.dollars_in_words} to send{answer}"


def still_of(run: Run) -> Still:
    """Return what stays of a question: its result, or the words so far and why it ended."""
    if run.result is not None:
        shown: Still = run.result._repr_mimebundle_()
        return shown
    error = run.error or {"value": run.note, "limit": "", "cure": "ask again"}
    words = f"{error['value']} → {error['cure']}" if error["cure"] else error["value"]
    markup = rich(
        f'<div style="white-space:pre-wrap">{escape(run.text)}</div>'
        f"<div><small>{escape(words)}</small></div>"
    )
    return bundle(f"{run.text}\n\n{words}", markup=markup)
