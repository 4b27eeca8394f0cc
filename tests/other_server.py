"""A server that is not ours: it shares no line with the package, nor with its practice server.

It speaks just enough of the Messages API and of Bedrock's runtime for the real SDK clients,
keeps what arrived, and marks what it sees in the frame that it received.
"""

import base64
import io
import json
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image


@dataclass
class Arrived:
    """One request as it came over the wire."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def content(self) -> list[dict[str, Any]]:
        """The content blocks of the last message."""
        blocks: list[dict[str, Any]] = self.body["messages"][-1]["content"]
        return blocks

    @property
    def pictures(self) -> list[bytes]:
        """The decoded bytes of every picture."""
        return [
            base64.b64decode(block["source"]["data"], validate=True)
            for block in self.content
            if block["type"] == "image"
        ]


@dataclass
class OtherServer:
    """Where it listens, and what arrived."""

    url: str
    arrived: list[Arrived] = field(default_factory=list)


def mark_the_dark(arrived: Arrived) -> str:
    """Answer with the box of the dark rectangle, to a fraction of a pixel, in frame pixels."""
    frame = np.asarray(Image.open(io.BytesIO(arrived.pictures[0])).convert("L"), dtype=float)
    dark = 1 - frame / 255
    if dark.max() < 0.5:
        return json.dumps({"boxes": []})
    rows, columns = np.nonzero(dark > 0.5 * dark.max())
    middle_row = dark[rows.min() : rows.max() + 1].mean(axis=0)
    middle_column = dark[:, columns.min() : columns.max() + 1].mean(axis=1)
    left, right = _crossings(middle_row)
    top, bottom = _crossings(middle_column)
    return json.dumps({"boxes": [{"label": "dark", "box": [left, top, right, bottom]}]})


def _crossings(profile: np.ndarray) -> tuple[float, float]:
    """Return where a bump rises and falls: its mass says how much of the edge pixels it covers."""
    inside = np.nonzero(profile > 0.5 * profile.max())[0]
    first, last = int(inside[0]), int(inside[-1])
    level = float(np.median(profile[first : last + 1]))
    middle = (first + last + 1) // 2
    left_mass = float(profile[max(0, first - 6) : middle].sum()) / level
    right_mass = float(profile[middle : last + 7].sum()) / level
    return middle - left_mass, middle + right_mass


@contextmanager
def other_server(answer: Callable[[Arrived], str] = mark_the_dark) -> Iterator[OtherServer]:
    """Run the server on a free port of this machine until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            arrived = Arrived(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            place.arrived.append(arrived)
            events = _events(body.get("model", "claude-of-another-house"), answer(arrived))
            if self.path.endswith("invoke-with-response-stream"):
                frames = b"".join(_frame(event) for event in events)
                self._reply("application/vnd.amazon.eventstream", frames)
            else:
                lines = (f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)
                self._reply("text/event-stream", "".join(lines).encode())

        def _reply(self, content_type: str, data: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(data)))
            self.send_header("request-id", "req_other")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    place = OtherServer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield place
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _events(model: str, text: str) -> list[dict[str, Any]]:
    start = {
        "id": "msg_other",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    half = len(text) // 2
    return [
        {"type": "message_start", "message": start},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}}
            for t in (text[:half], text[half:])
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 9},
        },
        {"type": "message_stop"},
    ]


def _frame(event: dict[str, Any]) -> bytes:
    """Return one message of Amazon's binary event stream."""
    payload = json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode()}).encode()
    headers = b"".join(
        struct.pack(">B", len(name)) + name + b"\x07" + struct.pack(">H", len(value)) + value
        for name, value in [
            (b":event-type", b"chunk"),
            (b":content-type", b"application/json"),
            (b":message-type", b"event"),
        ]
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))
