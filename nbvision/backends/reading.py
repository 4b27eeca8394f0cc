"""Bytes off the wire: no more of them than an answer has, for no longer than one takes.

HTTP clients bound the silence between two bytes, not the whole: a reply that drips, or never
ends, would hold a notebook for ever.
"""

import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

from nbvision.errors import TimedOut, UnreadableAnswer

__all__ = ["MOST_BYTES", "bounded", "decoded", "seconds_for"]

MOST_BYTES = 64_000_000
"""Far more than the longest answer."""

_SHORTEST_DEADLINE_SECONDS = 900.0
_SLOWEST_TOKENS_PER_SECOND = 20.0


def seconds_for(max_tokens: int) -> float:
    """Return how long the slowest honest answer of this many tokens takes, in seconds.

    Examples
    --------
    >>> seconds_for(8192), seconds_for(128_000)
    (900.0, 6400.0)
    """
    return max(_SHORTEST_DEADLINE_SECONDS, max_tokens / _SLOWEST_TOKENS_PER_SECOND)


def bounded(
    pieces: Iterable[bytes], *, seconds: float, most_bytes: int = MOST_BYTES
) -> Iterator[bytes]:
    """Yield the pieces of a body until it ends.

    Parameters
    ----------
    pieces
        As they arrive.
    seconds
        For the whole body, from now.
    most_bytes
        Of the whole body, inflated.

    Raises
    ------
    TimedOut
        If it takes longer.
    UnreadableAnswer
        If it is larger.

    Examples
    --------
    >>> b"".join(bounded([b"a", b"b"], seconds=1))
    b'ab'
    """
    count, ends = 0, time.monotonic() + seconds
    for piece in pieces:
        count += len(piece)
        if count > most_bytes:
            raise UnreadableAnswer(
                f"there came a reply of more than {most_bytes / 1e6:.0f} MB",
                limit=f"{most_bytes / 1e6:.0f} MB",
                cure="ask again; it may have been billed",
            )
        if time.monotonic() > ends:
            raise TimedOut(
                "the answer did not end",
                limit=f"{seconds:.0f} seconds",
                cure="ask for less, or lower max_tokens",
                may_have_been_billed=True,
            )
        yield piece


def decoded(data: bytes | str) -> Any:
    """Return what JSON says; ``NaN`` and ``Infinity`` are not JSON.

    Raises
    ------
    UnreadableAnswer
        If it is not JSON; ``text`` keeps its beginning.

    Examples
    --------
    >>> decoded(b'{"type": "ping"}')
    {'type': 'ping'}
    """
    text = data if isinstance(data, str) else data.decode("utf-8", "backslashreplace")
    try:
        return json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError):
        pass
    raise UnreadableAnswer(
        "the reply is not JSON", cure="ask again; it may have been billed", text=text[:2000]
    )


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
