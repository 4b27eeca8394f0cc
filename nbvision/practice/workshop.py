"""Threads for work that would hold up the event loop: few, and gone with the process."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

__all__ = ["Workshop"]

P = ParamSpec("P")
T = TypeVar("T")
_Job = tuple[Future[Any], Callable[[], Any]]


class Workshop(Executor):
    """A bounded pool whose threads never hold up the end of the interpreter.

    ``ThreadPoolExecutor`` finishes everything that is queued before Python may exit; a
    notebook's kernel would seem to hang on thirty pictures that nobody waits for any more.

    Parameters
    ----------
    threads
        How many jobs run at a time.

    Examples
    --------
    >>> with Workshop(2) as workshop:
    ...     workshop.submit(sum, [1, 2]).result()
    3
    """

    def __init__(self, threads: int) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"nbvision-practice-{n}", daemon=True)
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Put a job in the queue.

        Raises
        ------
        RuntimeError
            If the workshop is closed.
        """
        if self._is_closed:
            raise RuntimeError("the workshop is closed")
        future: Future[T] = Future()
        self._jobs.put((future, lambda: function(*args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:  # noqa: FBT001, FBT002 - the signature of Executor
        """Drop what is queued and let the threads end; wait two seconds at most."""
        self._is_closed = True
        while cancel_futures:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is not None:
                job[0].cancel()
        for _ in self._threads:
            self._jobs.put(None)
        if wait:
            for thread in self._threads:
                thread.join(2 / len(self._threads))

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, act = job
            if future.set_running_or_notify_cancel():
                _settle(future, act)
            # A finished job's pictures must not live until the next one comes.
            del job, future, act


def _settle(future: Future[Any], act: Callable[[], Any]) -> None:
    try:
        result = act()
    except BaseException as error:  # noqa: BLE001 - whoever waits for the job gets the error
        future.set_exception(error)
    else:
        future.set_result(result)
