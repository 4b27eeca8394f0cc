"""Words as they arrive, in one notebook output that is gone when the answer is whole.

Outside a notebook nothing is shown: a script prints what it wants of the result.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

from nbvision.markup import bundle, escape, rich

__all__ = ["LiveText", "waits_told_to"]

_SHOWN_CHARACTERS = 2000  # a message stays small however long the answer grows
_SECONDS_BETWEEN = 0.05  # 20 messages a second: smooth to read, light for the browser
_PATIENCE_SECONDS = 0.3  # an answer quicker than this needs no progress


_listener: ContextVar[Callable[[str], None] | None] = ContextVar("nbvision_waits", default=None)


@contextmanager
def waits_told_to(listener: Callable[[str], None]) -> Iterator[None]:
    """Tell a listener what is waited for in this block: a widget has a line of its own for it.

    Examples
    --------
    >>> with waits_told_to(print):
    ...     LiveText("claude-haiku-4-5").note("asked, waiting for the first word")
    asked, waiting for the first word
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


class LiveText:
    """An updatable output that shows text while it streams.

    A context manager; `add` takes each new piece. When the block ends the output is emptied,
    because the result that follows holds the words for good. When it ends by an interrupt,
    the part that arrived stays, marked.
    """

    def __init__(self, who: str) -> None:
        self._who = who
        self._text = ""
        self._handle: Any = None
        self._started = self._shown_at = time.monotonic()
        self._is_notebook = _in_notebook()

    def __enter__(self) -> Self:
        return self

    def add(self, text: str) -> None:
        """Take a new piece of text, and show it if it is time to."""
        self._text += text
        self.progress("…")

    def note(self, words: str) -> None:
        """Show a line about the wait itself: what is done meanwhile, or a retry."""
        listener = _listener.get()
        if listener is not None:
            listener(words)
        self._note(words)

    def _note(self, words: str) -> None:
        if self._is_notebook:
            self._show(_words(f"{self._who}: {words}", self._text))

    def progress(self, words: str) -> None:
        """Show how far something is, not more often than an eye follows."""
        now = time.monotonic()
        if now - self._started >= _PATIENCE_SECONDS and now - self._shown_at >= _SECONDS_BETWEEN:
            self._shown_at = now
            self._note(words)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt) and self._is_notebook:
            self._show(_words(f"{self._who}: interrupted, the answer is not complete", self._text))
        elif self._handle is not None:
            self._show({"text/plain": ""})

    def _show(self, shown: dict[str, str]) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(shown, raw=True)


def _words(head: str, text: str) -> dict[str, str]:
    tail = text[-_SHOWN_CHARACTERS:]
    markup = (
        f'<div role="log" style="white-space:pre-wrap"><small>{escape(head)}</small>\n'
        f"{escape(tail)}</div>"
    )
    return bundle(f"{head}\n{tail}", markup=rich(markup))


def _in_notebook() -> bool:
    """Whether a cell of a Jupyter kernel runs this; a terminal cannot update an output.

    A thread beside the cells shows nothing: it would land in whichever cell runs now.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and getattr(shell, "kernel", None) is not None
