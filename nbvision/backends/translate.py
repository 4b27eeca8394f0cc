"""Errors of the services and their SDKs, in the words of this package's tree.

What counts is the status and the service's own error type; the class of an SDK's exception
only where there is neither.
"""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime

from nbvision.errors import (
    AccessDenied,
    BackendError,
    ConnectionLost,
    ModelNotFound,
    NotConnected,
    Overloaded,
    RateLimited,
    RequestRejected,
    ServiceFailed,
    SpendLimitReached,
    TimedOut,
)
from nbvision.markup import plain
from nbvision.response import ERROR_TYPES

__all__ = [
    "LONGEST_WAIT_SECONDS",
    "Unreachable",
    "from_status",
    "lost",
    "seconds_to_wait",
    "unreachable",
]

LONGEST_WAIT_SECONDS = 60.0
"""A server may ask for any wait; up to this one is granted without asking a person."""

_BY_STATUS: Mapping[int, type[BackendError]] = {
    401: AccessDenied,
    402: SpendLimitReached,
    403: AccessDenied,
    404: ModelNotFound,
    408: TimedOut,
    413: RequestRejected,
    424: ServiceFailed,
    429: RateLimited,
    503: Overloaded,
    504: TimedOut,
    529: Overloaded,
}
_MONEY = re.compile(r"usage limit|\bspend|credit balance|monthly|\bbilling|per day", re.IGNORECASE)
_NO_MODEL = re.compile(r"model identifier is invalid|on-demand throughput", re.IGNORECASE)
# Of pictures that a request only names: the sign, and what helps.
_NAMED = (
    (
        re.compile(r"(?i)\bfile\b[^\n]{0,200}(?:not found|expired|deleted|not exist)"),
        "upload the picture again: nv.upload(image); a conversation that names it begins anew",
    ),
    (
        re.compile(r"(?i)\bunable to (?:download|fetch)\b|\brobots\.txt\b"),
        "the service could not fetch the picture; fetch it here: nv.open_image(url)",
    ),
)
_CURES: Mapping[type[BackendError], str] = {
    AccessDenied: "check the key or role, and that it may use this model",
    ModelNotFound: "check the model's id and region; nv.models() lists the known ones. "
    "Bedrock wants an inference profile, such as us.anthropic.claude-sonnet-5-5",
    RequestRejected: "nv.build_request shows what is sent, nv.check what is wrong with it",
    SpendLimitReached: "raise the limit in the service's console, or connect elsewhere",
    RateLimited: "wait, or send less at once",
    Overloaded: "wait a minute and ask again",
    ServiceFailed: "ask again; if it stays so, look at the service's status page",
    TimedOut: "it may have been billed; ask again, or ask for less",
}


class Unreachable(NotConnected):
    """Nothing was sent, because nobody was there; a moment later somebody may be."""


def from_status(
    status: int,
    *,
    kind: str = "",
    message: str = "",
    request_id: str | None = None,
    retry_after_seconds: float | None = None,
) -> BackendError:
    """Return the error for a reply of this status.

    Parameters
    ----------
    status
        HTTP status.
    kind
        The service's own error type, such as ``"overloaded_error"``; it decides if known.
    message
        The service's words.
    request_id
        Its name for the request.
    retry_after_seconds
        How long it asks to wait.

    Examples
    --------
    >>> type(from_status(529)).__name__
    'Overloaded'
    """
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        return NotConnected(
            f"the address answers with a redirect (status {status})",
            cure="give the final address as base_url; pictures and keys do not follow redirects",
            status=status,
        )
    error_type = ERROR_TYPES.get(kind) or _BY_STATUS.get(status)
    if error_type is None:
        error_type = ServiceFailed if status >= 500 else RequestRejected  # noqa: PLR2004 - HTTP's line
    if error_type in {RequestRejected, RateLimited} and _MONEY.search(message):
        error_type = SpendLimitReached
    if error_type is RequestRejected and _NO_MODEL.search(message):
        error_type = ModelNotFound
    cure = _CURES.get(error_type, "")
    if status in {400, 404}:
        for sign, help_for_it in _NAMED:
            if sign.search(message[:2000]):
                error_type, cure = RequestRejected, help_for_it
    words = plain(message)[:1000].strip() or "no reason given"
    wait = f"; it asks to wait {retry_after_seconds:.0f} s" if retry_after_seconds else ""
    named = f" (request {plain(request_id)[:80]})" if request_id else ""
    return error_type(
        f"{words}{wait} [status {status}]{named}",
        cure=cure,
        status=status,
        request_id=request_id,
        may_have_been_billed=status in {408, 424, 500, 502, 504},
        retry_after_seconds=retry_after_seconds,
    )


def lost(reason: str, *, timed_out: bool = False) -> ConnectionLost:
    """Return the error for a request that went out and brought no whole reply."""
    words = f"no complete reply arrived ({plain(reason)[:200]})"
    cure = "it may have been billed, so it was not repeated; ask again if you want to"
    kind = TimedOut if timed_out else ConnectionLost
    return kind(words, cure=cure, may_have_been_billed=True)


def unreachable(address: str, reason: str) -> NotConnected:
    """Return the error for a service that could not be reached: nothing was sent."""
    words = f"{plain(address)[:200]} cannot be reached ({plain(reason)[:200]})"
    if "CERTIFICATE" in reason.upper():
        return NotConnected(
            words,
            cure="if this network looks into https, name its certificate in SSL_CERT_FILE "
            "(for Bedrock in AWS_CA_BUNDLE); nothing was sent or billed",
        )
    return Unreachable(
        words, cure="check the network, its proxy and the address; nothing was sent or billed"
    )


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """Return how long a reply asks to wait, in seconds; None if it does not say.

    Examples
    --------
    >>> seconds_to_wait({"retry-after": "2"}), seconds_to_wait({"retry-after-ms": "1500"})
    (2.0, 1.5)
    """
    with suppress(ValueError):
        return max(0.0, float(headers.get("retry-after-ms", "")) / 1000)
    asked = headers.get("retry-after", "")
    with suppress(ValueError):
        return max(0.0, float(asked))
    with suppress(ValueError):
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    return None
