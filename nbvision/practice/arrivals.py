"""What arrived at the practice server, for those who want to see what their client sent."""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Arrival", "Arrivals"]

_MOST = 200
_MOST_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request.

    Attributes
    ----------
    method, path
        As on the request's first line; the path with its query.
    headers
        Names in lower case, without keys and signatures.
    body
        The parsed JSON; None where there was none, or it was not let in.
    size_bytes
        Length of the body.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any] | None
    size_bytes: int = 0

    def __repr__(self) -> str:
        return f"Arrival({self.method} {self.path}, {self.size_bytes} bytes)"


class Arrivals:
    """The newest requests, within bounds of number and memory."""

    def __init__(self) -> None:
        self._kept: deque[Arrival] = deque(maxlen=_MOST)
        self._lock = threading.Lock()

    def add(self, arrival: Arrival) -> None:
        """Keep one more, and let go of the oldest while they are too large together."""
        with self._lock:
            self._kept.append(arrival)
            total = sum(one.size_bytes for one in self._kept)
            while total > _MOST_BYTES and len(self._kept) > 1:
                total -= self._kept.popleft().size_bytes

    def newest_last(self) -> tuple[Arrival, ...]:
        """Return them in the order in which they came."""
        with self._lock:
            return tuple(self._kept)
