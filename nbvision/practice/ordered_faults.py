"""Failures to order: what a service, or a proxy before it, does on a bad day."""

import threading
from collections import deque

from nbvision.errors import RequestError
from nbvision.practice.rejections import Rejected

__all__ = ["FAULTS", "Faults", "rejection_of"]

FAULTS: dict[str, str] = {
    # refused before any answer
    "rate_limited": "429 with retry-after: 1",
    "rate_limited_hour": "429 with retry-after: 3600",
    "monthly_limit": "429 without retry-after: the month's money is used up",
    "spend_limit": "400: the limit that the customer has set is reached",
    "overloaded": "529 (Bedrock: 503)",
    "server_error": "500",
    "redirect": "307 to another origin",
    # an answer that stops
    "reset": "the connection is reset before any reply",
    "cut": "the connection closes in the middle of the reply",
    "ends_early": "a stream ends tidily without its last events; a plain reply is cut",
    "stall": "silence: before a plain reply, in the middle of a stream",
    "drip": "pings for ever in a stream; silence before a plain reply",
    # an answer that cannot be used
    "refusal": "stop_reason refusal",
    "truncated": "stop_reason max_tokens in the middle of the words",
    "empty": "an answer without content",
    "bad_json": "broken JSON, in a stream as one of its events",
    "bad_utf8": "bytes that are not UTF-8",
    "html": "200 with a login page",
    "other_json": "200 with another vendor's JSON",
    "null": "200 with the JSON value null",
    "nan_usage": "NaN where tokens are counted",
    "error_event": "an error after 200: an event in a stream, an error object as a plain reply",
    "disorder": "a stream's events out of order; a plain reply with broken JSON",
    "checksum": "a frame of Bedrock's stream with a wrong checksum; elsewhere as bad_json",
}
"""Every kind that `Faults.push` takes, and what it does."""

_RATE = "This request would exceed your organization's rate limit."
_REJECTIONS = {
    "rate_limited": Rejected(429, _RATE, retry_after_seconds=1),
    "rate_limited_hour": Rejected(429, _RATE, retry_after_seconds=3600),
    "monthly_limit": Rejected(429, "You have reached your monthly usage limit."),
    "spend_limit": Rejected(
        400, "You have reached your specified API usage limits.", "ServiceQuotaExceededException"
    ),
    "overloaded": Rejected(529, "Overloaded"),
    "server_error": Rejected(500, "Internal server error"),
}


class Faults:
    """What goes wrong next: the oldest first, one for each call that asks for an answer.

    Examples
    --------
    >>> faults = Faults()
    >>> faults.push("overloaded", times=2)
    >>> faults.pending
    ('overloaded', 'overloaded')
    """

    def __init__(self) -> None:
        self._next: deque[str] = deque()
        self._lock = threading.Lock()

    def push(self, kind: str, times: int = 1) -> None:
        """Let the next calls fail.

        Parameters
        ----------
        kind
            A key of `FAULTS`.
        times
            For how many calls, from 1 up.

        Raises
        ------
        RequestError
            If there is no such kind, or the number is not positive.
        """
        if kind not in FAULTS:
            raise RequestError(f"no fault {kind!r}", limit=", ".join(FAULTS))
        if times < 1:
            raise RequestError(f"times={times!r}", limit="a whole number from 1 up")
        with self._lock:
            self._next.extend([kind] * times)

    @property
    def pending(self) -> tuple[str, ...]:
        """What is still to come."""
        with self._lock:
            return tuple(self._next)

    def clear(self) -> None:
        """Let the next calls succeed."""
        with self._lock:
            self._next.clear()

    def take(self) -> str:
        """Return what goes wrong with this call, and forget it; empty if nothing does."""
        with self._lock:
            return self._next.popleft() if self._next else ""


def rejection_of(kind: str) -> Rejected | None:
    """Return the rejection that a fault is, if it is one.

    >>> rejection_of("overloaded").status
    529
    """
    return _REJECTIONS.get(kind)
