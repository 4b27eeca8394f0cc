"""Every call can be awaited: it runs in a thread of a small crew, and a task can let it go.

There is one copy of each call, the plain one. What an event loop needs beside it is that the
loop goes on, that many at once stay within bounds, and that a cancelled task stops its call.
"""

import asyncio
import contextvars
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

from nbvision.backends.protocol import StopSignal
from nbvision.backends.stopping import stoppable
from nbvision.errors import RequestError

__all__ = ["MOST_AT_ONCE", "to_thread"]

MOST_AT_ONCE = 16
"""Calls of `to_thread` that run at the same time; the others wait for their turn."""

P = ParamSpec("P")
Result = TypeVar("Result")


async def to_thread(function: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs) -> Result:
    """Await a call of this package, or a function that makes several, beside the event loop.

    Like `asyncio.to_thread`, and a task that is cancelled, or runs out of time, stops its
    call: nothing more is sent, and an open connection is closed. What was sent before may
    have been billed. No more than 16 calls run at once; the others wait for their turn, and
    one that is cancelled there never begins.

    Parameters
    ----------
    function
        ``nv.describe``, ``nv.locate``, ``conversation.ask`` and so on.
    *args, **kwargs
        Handed to it.

    Raises
    ------
    asyncio.CancelledError
        If the task was cancelled; ``asyncio.timeout`` turns it into ``TimeoutError``.
    RequestError
        If what is given is no function.
    NbvisionError
        What the call itself raises.

    Examples
    --------
    In a notebook's cell ``await`` stands alone, without ``asyncio.run``:

    >>> import asyncio
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> import nbvision as nv
    >>> practice = nv.connect("practice", words_per_second=None)
    >>> async def both():
    ...     samples = [nv.samples.shapes, nv.samples.page]
    ...     return await asyncio.gather(
    ...         *(nv.to_thread(nv.describe, sample, backend=practice) for sample in samples)
    ...     )
    >>> with ThreadPoolExecutor() as apart:  # a notebook says: await both()
    ...     replies = apart.submit(asyncio.run, both()).result()
    >>> [reply.stop_reason for reply in replies]
    ['end_turn', 'end_turn']
    """
    if not callable(function):
        raise RequestError(
            f"to_thread got {function!r}"[:200],
            limit="a function, and its arguments",
            cure="nv.to_thread(nv.describe, image): named, not called",
        )
    stop = StopSignal()

    def call() -> Result:
        stop.require_unset()
        with stoppable(stop):
            return function(*args, **kwargs)

    context = contextvars.copy_context()
    future = _crew().work(lambda: context.run(call))
    try:
        return await asyncio.wrap_future(future)
    except BaseException:
        # Cancelled, interrupted, or at its end already, where stopping changes nothing.
        stop.set()
        raise


class _Crew:
    """Daemon threads that take work in its order: no more than so many, started when needed.

    An interpreter that ends waits for the threads of the standard library's executors, and so
    would for an answer that nobody will read.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._count = self._idle = 0
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def work(self, action: Callable[[], Result]) -> "Future[Result]":
        """Run an action in its turn, and return its future."""
        future: Future[Result] = Future()
        with self._lock:
            if self._idle < 1 and self._count < self._size:
                threading.Thread(target=self._serve, name="nbvision-crew", daemon=True).start()
                self._count, self._idle = self._count + 1, self._idle + 1
            self._idle -= 1  # below zero: so many wait for their turn
        self._work.put(lambda: _run(action, future))
        return future

    def _serve(self) -> None:
        while True:
            self._work.get()()
            with self._lock:
                self._idle += 1


def _run(action: Callable[[], Result], future: "Future[Result]") -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = action()
    except StopIteration as error:
        # A future cannot carry it: whoever awaits it would wait for ever.
        future.set_exception(RuntimeError(f"the call raised {error!r}"))
    except BaseException as error:  # noqa: BLE001 - the future carries it to whoever awaits it
        future.set_exception(error)
    else:
        future.set_result(result)


_lock = threading.Lock()
_crews: dict[int, _Crew] = {}


def _crew() -> _Crew:
    """Return this process's crew; threads do not survive a fork."""
    with _lock:
        place = os.getpid()
        if place not in _crews:
            _crews.clear()
            _crews[place] = _Crew(MOST_AT_ONCE)
        return _crews[place]
