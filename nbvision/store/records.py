"""What the store takes and gives: plain values, no pixels beyond a thumbnail, never a key."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["Ending", "Intent", "Kept", "PastCall", "SentPicture", "Spent"]


@dataclass(frozen=True, slots=True)
class SentPicture:
    """A picture of a call, without the picture.

    Attributes
    ----------
    name
        The hash of what the model sees; see `fingerprint`.
    source
        Where it came from, short and safe to show.
    fit
        How the original became what was sent: ``original``, ``resized``, ``tier`` and
        ``crop_origin``; empty for a picture that the service fetches.
    thumbnail
        Makes a small JPEG; called only for a picture that the store has not seen.
    """

    name: str
    source: str
    fit: Mapping[str, Any] = field(default_factory=dict)
    thumbnail: Callable[[], bytes] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Intent:
    """A call that is about to be sent.

    Attributes
    ----------
    name, exact
        The names of the request; see `Fingerprint`.
    sample
        Which of several independent answers to the same request.
    backend, place, model
        Who is asked, at which kind of place, and under which id.
    parameters
        All of the body but its messages.
    messages
        Those, with a name in place of each picture.
    prompt
        The last words of the person.
    pictures
        In the order of the request.
    most_dollars
        What it can cost at worst; None if no price is known.
    """

    name: str
    exact: str
    backend: str
    place: str
    model: str
    prompt: str
    sample: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Any, ...] = ()
    pictures: tuple[SentPicture, ...] = ()
    most_dollars: float | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended.

    Attributes
    ----------
    outcome
        ``"answered"``, or what kept it from being an answer: ``"refused"``, ``"truncated"``,
        ``"unreadable"``, ``"interrupted"`` or ``"failed"``.
    dollars
        What it cost; None if that is not known.
    seconds
        By a clock that nobody sets.
    attempts, unsure_attempts
        How often it was sent, and how many of those before the last may have been billed: what
        they cost is not known, so that of the whole is not either.
    text, message
        The words, and the whole message as it came.
    answered_by, request_id
        Who answered, and the service's name for the request.
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens
        As the service counted them.
    error
        What went wrong, as it was said to the person.
    """

    outcome: str
    dollars: float | None = None
    seconds: float = 0.0
    attempts: int = 1
    text: str = ""
    message: Mapping[str, Any] | None = None
    answered_by: str = ""
    request_id: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    error: str = ""
    unsure_attempts: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored answer that may be given again.

    Attributes
    ----------
    number
        The call's number.
    asked_at
        When, in UTC.
    message, request_id
        As they came.
    """

    number: int
    asked_at: datetime
    message: Mapping[str, Any]
    request_id: str | None


@dataclass(frozen=True, slots=True)
class PastCall:
    """One call as the store has it.

    Attributes
    ----------
    number
        Its place in the order of all calls.
    asked_at
        When, in UTC.
    outcome
        As in `Ending`; ``"unknown"`` while it is under way, and for ever if the kernel was
        killed meanwhile: it may have been billed.
    dollars, most_dollars
        What it cost if that is known, and what it could cost at worst.
    """

    number: int
    asked_at: datetime
    outcome: str
    backend: str
    model: str
    sample: int
    prompt: str
    text: str
    input_tokens: int
    output_tokens: int
    dollars: float | None
    most_dollars: float | None
    seconds: float
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class Spent:
    """What calls have cost.

    Attributes
    ----------
    dollars
        The sum of what is known.
    most_dollars
        That, with every call of unknown cost at its worst.
    unknown_calls
        How many have no known cost: under way, killed, or lost.
    """

    dollars: float
    most_dollars: float
    unknown_calls: int
