"""How often one call is sent; what was sent before may have been billed too.

Whoever keeps account of a call sets an `Attempts` in the context in which it is sent; what
sends it again counts there, whoever is shown the waiting.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["Attempts", "counted_in", "may_send_again"]


def _always() -> bool:
    return True


@dataclass(slots=True)
class Attempts:
    """The account of one call.

    Attributes
    ----------
    count
        How often it was sent.
    unsure
        How many times of those before the last it may have been billed.
    is_affordable
        Asked before what may have been billed is sent again.
    """

    count: int = 1
    unsure: int = 0
    is_affordable: Callable[[], bool] = _always


_here: ContextVar[Attempts | None] = ContextVar("nbvision_attempts", default=None)


@contextmanager
def counted_in(attempts: Attempts) -> Iterator[None]:
    """Count what is sent again in this block.

    Examples
    --------
    >>> attempts = Attempts()
    >>> with counted_in(attempts):
    ...     may_send_again(may_have_been_billed=True)
    True
    >>> attempts.count, attempts.unsure
    (2, 1)
    """
    token = _here.set(attempts)
    try:
        yield
    finally:
        _here.reset(token)


def may_send_again(*, may_have_been_billed: bool) -> bool:
    """Count that the call under way here is sent again; False if no money is left for that."""
    attempts = _here.get()
    if attempts is None:
        return True
    if may_have_been_billed:
        if not attempts.is_affordable():
            return False
        attempts.unsure += 1
    attempts.count += 1
    return True
