"""Who answers: one door each for the Anthropic API, Amazon Bedrock and the practice server."""

from nbvision.backends.connection import connect, connected, current
from nbvision.backends.protocol import Answer, Backend, EventStream, OnWait, StopSignal, held_by
from nbvision.backends.shelves import Shelf

__all__ = [
    "Answer",
    "Backend",
    "EventStream",
    "OnWait",
    "Shelf",
    "StopSignal",
    "connect",
    "connected",
    "current",
    "held_by",
]
