"""A widget's connection without a browser: what it sends is kept, what a test says reaches it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from queue import SimpleQueue
from typing import Any

import comm
from comm.base_comm import BaseComm
from ipywidgets import Widget
from jupyter_client.session import json_packer

Sent = tuple[dict[str, Any], list[bytes]]


class RecordingComm(BaseComm):
    """Keeps every custom message; the ones about state are ipywidgets' own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.sent: list[Sent] = []
        self.fresh: SimpleQueue[Sent] = SimpleQueue()
        self.opened: dict[str, Any] = {}
        super().__init__(*args, **kwargs)

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **_: Any
    ) -> None:
        del metadata
        json_packer(data)  # what Jupyter cannot send must not pass here
        if msg_type == "comm_open":
            self.opened = data["state"]
        if data and data.get("method") == "custom":
            message = (data["content"], [bytes(buffer) for buffer in buffers or ()])
            self.sent.append(message)
            self.fresh.put(message)


@contextmanager
def recording() -> Iterator[None]:
    """Give every widget made inside a recording comm, and close them all at the end."""
    original, comm.create_comm = comm.create_comm, RecordingComm
    try:
        yield
    finally:
        Widget.close_all()
        comm.create_comm = original


_numbers = count(1)


def say(panel: Any, kind: object, *buffers: bytes, **fields: Any) -> dict[str, Any]:
    """Tell a panel something as a browser would; return its answer."""
    number = next(_numbers)
    content = {"part": "", "type": kind, "id": number, **fields}
    data = {"method": "custom", "content": content}
    views = [memoryview(buffer) for buffer in buffers]
    panel._handle_msg({"content": {"data": data}, "buffers": views})
    answers = [m for m in heard(panel, "answer") if m["id"] == number]
    return answers[0] if answers else {}


def sent(panel: Any, kind: str) -> list[Sent]:
    """What a panel has sent of this type so far, with binary parts."""
    return [message for message in list(panel.comm.sent) if message[0]["type"] == kind]


def heard(panel: Any, kind: str) -> list[dict[str, Any]]:
    """What a panel has sent of this type so far."""
    return [fields for fields, _ in sent(panel, kind)]


def until(condition: Callable[[], Any], *, seconds: float = 10.0) -> Any:
    """Wait for something that a thread will make true, and return it."""
    ends = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < ends, "it did not come true"
        time.sleep(0.005)
    return found
