"""The stop of the call that is under way here: a context's, so that nobody hands it on.

Whoever runs a call for somebody who may leave, sets a `StopSignal` in the context in which
the call runs; what sends in that context asks for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from nbvision.backends.protocol import StopSignal

__all__ = ["require_wanted", "stop_here", "stoppable"]

_stop: ContextVar[StopSignal | None] = ContextVar("nbvision_stop", default=None)


def stop_here() -> StopSignal | None:
    """Return the signal that stops what is sent from here; None if nothing does."""
    return _stop.get()


def require_wanted() -> None:
    """Let the waiting for another go on only while nobody has stopped it.

    Raises
    ------
    Interrupted
        If it was stopped.
    """
    stop = stop_here()
    if stop is not None:
        stop.require_unset()


@contextmanager
def stoppable(stop: StopSignal) -> Iterator[None]:
    """Let a signal stop whatever is sent in this block.

    Examples
    --------
    >>> with stoppable(StopSignal()) as _:
    ...     stop_here() is not None
    True
    >>> stop_here() is None
    True
    """
    token = _stop.set(stop)
    try:
        yield
    finally:
        _stop.reset(token)
