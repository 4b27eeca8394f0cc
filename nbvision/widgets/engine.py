"""The one background thread of a kernel's widgets, and the work it hands out.

Which thread a widget's callback runs on differs between versions of ipykernel and even
between two clicks. So callbacks only check and hand over: timers run on the engine's loop,
and whatever waits for a disk, a picture or a service runs in a thread of its own.
"""

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["Engine", "engine"]

Result = TypeVar("Result")


class Engine:
    """A daemon thread with an event loop; every method may be called from any thread.

    Nothing here keeps a process alive: a kernel that is told to end does not wait for an
    answer that nobody will see.

    Examples
    --------
    >>> engine().work(lambda: 6 * 7).result(timeout=5)
    42
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        name = "nbvision-engine"
        threading.Thread(target=self._loop.run_forever, name=name, daemon=True).start()

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Run an action on the engine's thread after so many seconds; it must be short."""
        self._loop.call_soon_threadsafe(self._loop.call_later, seconds, action)

    def work(self, action: Callable[[], Result]) -> "Future[Result]":
        """Run an action that may wait in a thread of its own, and return its future.

        It runs in the caller's context: what a cell asks within a run belongs to the run.
        """
        context = contextvars.copy_context()
        future: Future[Result] = Future()

        def run() -> None:
            try:
                result = action()
            except BaseException as error:  # noqa: BLE001 - the future carries it to whoever waits
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=context.run, args=(run,), name="nbvision-work", daemon=True).start()
        return future


_lock = threading.Lock()
_engines: dict[int, Engine] = {}


def engine() -> Engine:
    """Return this process's engine, started when first asked for; a fork gets its own."""
    with _lock:
        place = os.getpid()
        if place not in _engines:
            _engines.clear()  # threads do not survive a fork
            _engines[place] = Engine()
        return _engines[place]
