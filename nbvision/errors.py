"""Every way nbvision can say no.

::

    NbvisionError
    ├── ImageError            the picture, before anything is sent
    │   ├── ImageNotFound     nothing is there, or it may not be read
    │   ├── UnsupportedImage  there is something, but not a picture we take
    │   ├── DamagedImage      it begins like a picture and does not end like one
    │   ├── UnsafeSource      an address we do not dial, a path we do not open
    │   └── ImageTooLarge     more pixels or bytes than we decode or the service takes
    ├── RequestError          the request, before anything is sent
    │   ├── LimitExceeded     the platform documents a limit and this is over it
    │   └── BudgetExceeded    the answer could cost more than is left
    ├── BackendError          whoever should answer
    │   ├── NotConnected      no key, no region, no server, a missing package
    │   ├── AccessDenied      the key or role is not allowed to do this
    │   ├── ModelNotFound     no such model there
    │   ├── RequestRejected   the service refused the request as malformed
    │   ├── SpendLimitReached money or quota is used up: repeating cannot help
    │   │   └── RunStopped    it was, earlier in this run: nothing was sent
    │   ├── RateLimited       too many requests for now
    │   ├── Overloaded        the service is short of capacity for now
    │   ├── ServiceFailed     the service broke
    │   └── ConnectionLost    no complete reply arrived; it may have been billed
    │       └── TimedOut      the deadline passed first
    ├── AnswerError           it answered; we cannot use the answer
    │   ├── Truncated         it stopped at max_tokens or at the context's end
    │   ├── Refused           the model declined
    │   ├── Interrupted       the stream ended before the answer did
    │   └── UnreadableAnswer  it does not have the shape that was asked for
    └── StoreFailed           the record of calls cannot be kept or read

Each error keeps what is needed to act: ``value`` (what was found), ``limit`` (what is
allowed) and ``cure`` (what to do). In a notebook these three lines are all that shows;
set the environment variable ``NBVISION_TRACEBACK=full`` (``%env NBVISION_TRACEBACK=full``)
to see the whole traceback.
"""

import os
import traceback

__all__ = [
    "AccessDenied",
    "AnswerError",
    "BackendError",
    "BudgetExceeded",
    "ConnectionLost",
    "DamagedImage",
    "ImageError",
    "ImageNotFound",
    "ImageTooLarge",
    "Interrupted",
    "LimitExceeded",
    "ModelNotFound",
    "NbvisionError",
    "NotConnected",
    "Overloaded",
    "RateLimited",
    "Refused",
    "RequestError",
    "RequestRejected",
    "RunStopped",
    "ServiceFailed",
    "SpendLimitReached",
    "StoreFailed",
    "TimedOut",
    "Truncated",
    "UnreadableAnswer",
    "UnsafeSource",
    "UnsupportedImage",
]


class NbvisionError(Exception):
    """The root of the tree.

    Parameters
    ----------
    value
        What was found, as one sentence without a trailing full stop.
    limit
        What is allowed, if there is a limit.
    cure
        What the reader can do about it.

    Examples
    --------
    >>> print(ImageTooLarge("9000 x 1 px", limit="8000 px a side", cure="crop the picture"))
    9000 x 1 px
      limit: 8000 px a side
      cure:  crop the picture
    """

    def __init__(self, value: str, *, limit: str = "", cure: str = "") -> None:
        super().__init__(value)
        self.value = value
        self.limit = limit
        self.cure = cure

    def __str__(self) -> str:
        lines = [self.value]
        if self.limit:
            lines.append(f"  limit: {self.limit}")
        if self.cure:
            lines.append(f"  cure:  {self.cure}")
        return "\n".join(lines)

    def __reduce__(self) -> str | tuple[object, ...]:
        """Refuse pickling: an error may hold a reply, and pickles travel."""
        message = f"{type(self).__name__} is not pickled; keep str(error) instead"
        raise TypeError(message)

    def _render_traceback_(self) -> list[str]:
        """Give IPython the lines to show instead of a traceback."""
        if os.environ.get("NBVISION_TRACEBACK", "") == "full":
            return traceback.format_exception(self)
        return f"{type(self).__name__}: {self}".split("\n")


class ImageError(NbvisionError):
    """The picture cannot be used; nothing was sent."""


class ImageNotFound(ImageError):
    """Nothing is there, or it may not be read."""


class UnsupportedImage(ImageError):
    """There is something, but it is not a picture in a format we take."""


class DamagedImage(ImageError):
    """The bytes begin like a picture and do not hold together as one."""


class UnsafeSource(ImageError):
    """The address or path is one that nbvision does not open for anybody."""


class ImageTooLarge(ImageError):
    """The picture has more pixels or bytes than can be decoded or sent."""


class RequestError(NbvisionError):
    """The request itself is wrong; nothing was sent."""


class LimitExceeded(RequestError):
    """The platform documents a limit, and the request is over it."""


class BudgetExceeded(RequestError):
    """The answer could cost more than the budget has left."""


class BackendError(NbvisionError):
    """Whoever should have answered did not.

    Attributes
    ----------
    status
        The HTTP status of the reply, if there was one.
    request_id
        The service's name for the request, to quote to its support.
    may_have_been_billed
        True when the request reached the service and its outcome is unknown.
    retry_after_seconds
        How long the service asked to wait, if it said so.
    """

    def __init__(
        self,
        value: str,
        *,
        limit: str = "",
        cure: str = "",
        status: int | None = None,
        request_id: str | None = None,
        may_have_been_billed: bool = False,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(value, limit=limit, cure=cure)
        self.status = status
        self.request_id = request_id
        self.may_have_been_billed = may_have_been_billed
        self.retry_after_seconds = retry_after_seconds


class NotConnected(BackendError):
    """There is nobody to ask: no key, no region, no server, or a package is missing."""


class AccessDenied(BackendError):
    """The key or role is not known, or not allowed to do this."""


class ModelNotFound(BackendError):
    """The service has no model of this name, or not in this region."""


class RequestRejected(BackendError):
    """The service refused the request as malformed; repeating it cannot help."""


class SpendLimitReached(BackendError):
    """Money or quota is used up; repeating cannot help."""


class RunStopped(SpendLimitReached):
    """The service said earlier in this run that money is used up; nothing was sent."""


class RateLimited(BackendError):
    """Too many requests for now."""


class Overloaded(BackendError):
    """The service is short of capacity for now."""


class ServiceFailed(BackendError):
    """The service broke while answering."""


class ConnectionLost(BackendError):
    """No complete reply arrived; the request may have been billed."""


class TimedOut(ConnectionLost):
    """The deadline passed before the reply was complete."""


class AnswerError(NbvisionError):
    """There is an answer, and it cannot be used as what was asked for.

    Attributes
    ----------
    text
        The words that did arrive; never lost.
    response
        The parsed response, where there is one.
    """

    def __init__(
        self,
        value: str,
        *,
        limit: str = "",
        cure: str = "",
        text: str = "",
        response: object = None,
    ) -> None:
        super().__init__(value, limit=limit, cure=cure)
        self.text = text
        self.response = response


class Truncated(AnswerError):
    """The model stopped at ``max_tokens`` or at the end of its context."""


class Refused(AnswerError):
    """The model declined to answer."""


class Interrupted(AnswerError):
    """The stream ended, or was stopped, before the answer was complete.

    Attributes
    ----------
    may_have_been_billed
        False if nothing had been sent when it was stopped.
    """

    may_have_been_billed = True


class UnreadableAnswer(AnswerError):
    """The answer does not have the shape that was asked for."""


class StoreFailed(NbvisionError):
    """The record of calls cannot be kept or read; what was written before is safe."""
