"""When a request is sent again, and when it is not.

Again, up to two times: what the service refused before working on it (429, 503, 529), what
it broke on (500, 502), and a connection that was never made. Never: a lost connection or a
timeout after sending, since the answer may have been billed; a wait of more than a minute;
anything that money, keys or the request itself are the reason of. What the service broke on may
have been billed as well: it is sent again only if the budget holds both.
"""

import random
from collections.abc import Callable
from typing import TypeVar

from nbvision.attempts import may_send_again
from nbvision.backends.protocol import OnWait, StopSignal
from nbvision.backends.stopping import stop_here
from nbvision.backends.translate import LONGEST_WAIT_SECONDS, Unreachable
from nbvision.errors import BackendError, Overloaded, RateLimited, ServiceFailed

__all__ = ["with_retries"]

_ATTEMPTS = 3
_FIRST_WAIT_SECONDS = 0.5
_RETRIED = (RateLimited, Overloaded, Unreachable)
_BROKEN = {500, 502}

Result = TypeVar("Result")


def with_retries(
    action: Callable[[], Result],
    on_wait: OnWait | None = None,
    stop: StopSignal | None = None,
    *,
    repeats_broken: bool = True,
) -> Result:
    """Return what the action returns, trying again where that is safe.

    Parameters
    ----------
    action
        Sends one request.
    on_wait
        Told in words before each wait.
    stop
        Set from another thread, it ends a wait, and nothing more is sent; by default the
        context's own.
    repeats_broken
        Whether what the service broke on is sent again; not where it may have taken effect.

    Raises
    ------
    Interrupted
        If ``stop`` was set.
    BackendError
        The last one.
    """
    stop = stop or stop_here() or StopSignal()
    for attempt in range(1, _ATTEMPTS + 1):
        stop.require_unset()
        try:
            return action()
        except BackendError as error:
            wait = _wait_after(error, attempt, repeats_broken=repeats_broken)
            if wait is None or attempt == _ATTEMPTS:
                raise
            if not may_send_again(may_have_been_billed=error.may_have_been_billed):
                raise
            words = f"{error.value.split(' [')[0]}; asking again in {wait:.1f} s"
        if on_wait is not None:
            on_wait(words)
        stop.wait(wait)
    raise AssertionError("the loop returns or raises")


def _wait_after(error: BackendError, attempt: int, *, repeats_broken: bool) -> float | None:
    is_broken = repeats_broken and isinstance(error, ServiceFailed) and error.status in _BROKEN
    if not (isinstance(error, _RETRIED) or is_broken):
        return None
    if error.retry_after_seconds is not None:
        asked = error.retry_after_seconds
        return asked if asked <= LONGEST_WAIT_SECONDS else None
    backoff: float = _FIRST_WAIT_SECONDS * 2 ** (attempt - 1)
    return backoff * random.uniform(0.75, 1.0)  # noqa: S311 - spreading a class's retries, not a secret
