"""Answers that a test writes word by word, for panels that show them as they come."""

import select
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from wire import EVENTS, SSE, Arrived, Connection, sse


@dataclass
class Slow:
    """Writes pieces at a pace to each question, and notes when a client hangs up.

    Attributes
    ----------
    pieces, seconds_between
        What is written, and how fast.
    left_at
        When clients hung up before the end, by `time.monotonic`.
    """

    pieces: list[str]
    seconds_between: float = 0.0
    left_at: list[float] = field(default_factory=list)

    def __call__(self, connection: Connection, arrived: Arrived) -> None:
        """Answer one request."""
        del arrived
        connection.begin_stream(SSE)
        for event in EVENTS[:2]:
            connection.piece(sse(event))
        for text in self.pieces:
            delta = {"type": "text_delta", "text": text}
            try:
                connection.piece(sse({"type": "content_block_delta", "index": 0, "delta": delta}))
                if select.select([connection.socket], [], [], self.seconds_between)[0]:
                    raise ConnectionResetError
            except OSError:
                self.left_at.append(time.monotonic())
                raise
        for event in EVENTS[3:]:
            connection.piece(sse(event))
        connection.piece(b"")


def words(count: int, word: Callable[[int], str] = "word{} ".format) -> list[str]:
    """Return so many short pieces."""
    return [word(number) for number in range(count)]
