"""A server that is given its bytes: whatever a service, a proxy or a cable can do to a reply.

Unlike the practice server it knows nothing of the API. A test says, connection by connection,
what is written when, and learns what arrived and whether the client has hung up.
"""

import base64
import json
import select
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

MESSAGE: dict[str, Any] = {
    "id": "msg_wire",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-5-5",
    "content": [{"type": "text", "text": "A red door."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 4},
}
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "A red door."},
    },
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}},
    {"type": "message_stop"},
]
CONVERSE_USAGE = {"inputTokens": 12, "outputTokens": 4, "totalTokens": 16}
CONVERSE_MESSAGE: dict[str, Any] = {
    "output": {"message": {"role": "assistant", "content": [{"text": "A red door."}]}},
    "stopReason": "end_turn",
    "usage": CONVERSE_USAGE,
    "metrics": {"latencyMs": 7},
}
CONVERSE_EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"delta": {"text": "A red "}, "contentBlockIndex": 0}),
    ("contentBlockDelta", {"delta": {"text": "door."}, "contentBlockIndex": 0}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": CONVERSE_USAGE, "metrics": {"latencyMs": 7}}),
]
SSE = "text/event-stream"
FRAMES = "application/vnd.amazon.eventstream"


@dataclass(frozen=True)
class Arrived:
    """One request: its first line and headers in lower case, and its body."""

    line: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Connection:
    """One connection as the server holds it."""

    def __init__(self, place: socket.socket) -> None:
        self.socket = place
        self._kept = b""

    def read(self, *, with_body: bool = True) -> Arrived | None:
        """Return the next request; None when the client has hung up."""
        while b"\r\n\r\n" not in self._kept:
            if not self._more():
                return None
        head, _, self._kept = self._kept.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        pairs = (field.partition(":") for field in fields)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length", "0")) if with_body else 0
        while len(self._kept) < length:
            if not self._more():
                return None
        body, self._kept = self._kept[:length], self._kept[length:]
        return Arrived(line, headers, body)

    def _more(self) -> bool:
        piece = self.socket.recv(1 << 16)
        self._kept += piece
        return bool(piece)

    def write(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reply(self, body: object, status: int = 200, **headers: str) -> None:
        """Write a whole reply; what is not bytes becomes JSON. Header names take _ for -."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.begin(status, **{"content_length": str(len(data)), **headers})
        self.write(data)

    def begin(self, status: int = 200, **headers: str) -> None:
        """Write a reply's first line and headers."""
        named = {"content_type": "application/json", "request_id": "req_wire", **headers}
        fields = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in named.items())
        self.write(f"HTTP/1.1 {status} Any\r\n{fields}\r\n".encode("latin-1"))

    def begin_stream(self, content_type: str) -> None:
        """Write the beginning of a reply that comes in pieces."""
        self.begin(content_type=content_type, transfer_encoding="chunked")

    def piece(self, data: bytes) -> None:
        """Write one piece of such a reply; an empty one ends it."""
        self.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def has_left(self, seconds: float = 5.0) -> bool:
        """Whether the client hangs up within this time."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if select.select([self.socket], [], [], 0.05)[0] and not self._peek():
                return True
        return False

    def _peek(self) -> bytes:
        try:
            return self.socket.recv(1, socket.MSG_PEEK)
        except OSError:
            return b""

    def reset(self) -> None:
        """Close so that the other side sees a reset instead of an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@dataclass
class Wire:
    """Where it listens, what arrived, and how many connections there were."""

    url: str
    arrived: list[Arrived] = field(default_factory=list)
    connections: int = 0


Answer = Callable[[Connection, Arrived], None]


@contextmanager
def wire(answer: Answer, *, reads_bodies: bool = True) -> Iterator[Wire]:
    """Listen on a free port of this machine until the block ends.

    Each connection is asked for requests until it ends; `answer` writes the reply to each.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    place = Wire(f"http://127.0.0.1:{listener.getsockname()[1]}")
    threads: list[threading.Thread] = []
    opened: list[socket.socket] = []

    def serve(taken: socket.socket) -> None:
        with taken, suppress(OSError):
            connection = Connection(taken)
            while (arrived := connection.read(with_body=reads_bodies)) is not None:
                place.arrived.append(arrived)
                answer(connection, arrived)

    def accept() -> None:
        with suppress(OSError):
            while True:
                taken, _ = listener.accept()
                place.connections += 1
                opened.append(taken)
                threads.append(threading.Thread(target=serve, args=(taken,), daemon=True))
                threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield place
    finally:
        # Closing alone does not wake a thread that waits in accept or recv.
        for each in [listener, *opened]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in [accepting, *threads]:
            thread.join(10)


def sse(event: Mapping[str, Any]) -> bytes:
    """Return one event as the Messages API streams it."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def frame(event: Mapping[str, Any]) -> bytes:
    """Return one event as Bedrock streams it."""
    data = base64.b64encode(json.dumps(event).encode()).decode()
    return framed({"bytes": data}, {":event-type": "chunk", ":message-type": "event"})


def converse_frame(name: str, payload: Mapping[str, Any]) -> bytes:
    """Return one event as Converse streams it."""
    return framed(payload, {":event-type": name, ":message-type": "event"})


def exception(name: str, message: str) -> bytes:
    """Return an exception in the middle of Bedrock's stream."""
    return framed({"message": message}, {":exception-type": name, ":message-type": "exception"})


def framed(payload: Mapping[str, Any], headers: Mapping[str, str]) -> bytes:
    """Return one message of Amazon's binary event stream."""
    data = json.dumps(payload).encode()
    named = b"".join(
        struct.pack(">B", len(name)) + name.encode() + b"\x07" + struct.pack(">H", len(v)) + v
        for name, value in {**headers, ":content-type": "application/json"}.items()
        for v in [value.encode()]
    )
    prelude = struct.pack(">II", 16 + len(named) + len(data), len(named))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + named + data
    return message + struct.pack(">I", zlib.crc32(message))


def is_streamed(arrived: Arrived) -> bool:
    """Whether a request asks for a stream, at either service."""
    streams = ("-with-response-stream", "/converse-stream")
    return any(name in arrived.line for name in streams) or b'"stream":true' in arrived.body


def as_pieces(arrived: Arrived) -> tuple[str, list[bytes]]:
    """Return the good answer's content type and pieces, in the form this request asks for."""
    if "/converse-stream" in arrived.line:
        return FRAMES, [converse_frame(*event) for event in CONVERSE_EVENTS]
    if "/converse" in arrived.line:
        return "application/json", [json.dumps(CONVERSE_MESSAGE).encode()]
    if "-with-response-stream" in arrived.line:
        return FRAMES, [frame(event) for event in EVENTS]
    if is_streamed(arrived):
        return SSE, [sse(event) for event in EVENTS]
    return "application/json", [json.dumps(MESSAGE).encode()]


def answer_well(connection: Connection, arrived: Arrived) -> None:
    """Write the good answer and keep the connection."""
    content_type, pieces = as_pieces(arrived)
    name = "x_amzn_requestid" if "/converse" in arrived.line else "request_id"
    connection.reply(b"".join(pieces), content_type=content_type, **{name: "req_wire"})
