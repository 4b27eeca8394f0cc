"""How a fault shows on the wire: before a reply, in a plain one, or in the middle of a stream."""

import asyncio
import json
import socket
import struct
from collections.abc import Iterator
from typing import Any, Protocol

from nbvision.practice.event_frames import exception_frame
from nbvision.practice.rejections import Rejected, api_error

__all__ = ["Mishap"]

_LOGIN_PAGE = b"<!doctype html><title>Sign in</title><h1>Sign in to continue</h1>"
_OTHER_JSON = {
    "object": "chat.completion",
    "choices": [{"message": {"role": "assistant", "content": "words of another vendor"}}],
}
_STALL_SECONDS = 900.0
_DRIP_SECONDS = 0.2
_BROKEN = b'{"type": "content_block_delta", "index": 0, "delta": {"type": "text_del'


class AnsweringPlace(Protocol):
    """What a mishap needs of a door."""

    is_streaming_door: bool
    request_id: str
    request: Any

    @property
    def stream(self) -> Any: ...
    def encode(self, event: dict[str, Any]) -> bytes: ...
    def shaped(self, message: dict[str, Any]) -> dict[str, Any]: ...
    def framed(self, data: bytes) -> bytes: ...
    def set_header(self, name: str, value: Any) -> None: ...
    def write(self, chunk: bytes) -> None: ...
    def write_json(self, body: object, status: int = 200) -> None: ...
    def name_request(self) -> None: ...
    def set_status(self, status_code: int, reason: str | None = None) -> None: ...
    def flush(self, include_footers: bool = False) -> Any: ...  # noqa: FBT001, FBT002 - Tornado's
    def finish(self, chunk: Any = None) -> Any: ...


class Mishap:
    """One call's fault, or none.

    Parameters
    ----------
    door
        The door of the call.
    kind
        A key of `FAULTS`; empty for none.
    """

    after_deltas = 2

    def __init__(self, door: AnsweringPlace, kind: str) -> None:
        self.door = door
        self.kind = kind
        self._has_happened = False

    async def happens_before(self) -> bool:
        """Do what happens instead of any reply."""
        match self.kind:
            case "reset":
                self._reset()
            case "redirect":
                await self._redirect()
            case "html":
                self.door.set_header("Content-Type", "text/html")
                await self._send_all(_LOGIN_PAGE)
            case "other_json":
                self.door.write_json(_OTHER_JSON)
                await self.door.finish()
            case "null":
                self.door.write_json(None)
                await self.door.finish()
            case _:
                return False
        return True

    async def happens_to_whole(self, body: dict[str, Any]) -> bool:
        """Do what happens to a plain reply."""
        data = json.dumps(self.door.shaped(body)).encode("ascii")
        match self.kind:
            case "cut" | "ends_early":
                await self._send_half(data)
            case "stall" | "drip":
                await self._stall()
            case "bad_json" | "checksum" | "disorder":
                await self._send_json(data[: len(data) // 2])
            case "bad_utf8":
                await self._send_json(data.replace(b'"text": "', b'"text": "\xff\xfe', 1))
            case "nan_usage":
                body["usage"]["output_tokens"] = float("nan")
                await self._send_json(json.dumps(self.door.shaped(body)).encode("ascii"))
            case "error_event":
                _, error = api_error(Rejected(529, "Overloaded"), self.door.request_id)
                await self._send_json(json.dumps(error).encode("ascii"))
            case _:
                return False
        return True

    async def send(self, events: Iterator[dict[str, Any]]) -> None:
        """Send events of a stream, unless it has already come to its bad end."""
        if self._has_happened:
            return
        for event in events:
            if self.kind == "nan_usage" and event["type"] == "message_delta":
                event["usage"]["output_tokens"] = float("nan")
            self.door.write(self.door.encode(event))
        await self.door.flush()

    async def happens_now(self) -> bool:
        """Do what happens in the middle of a stream; True if the stream is over with it."""
        if self._has_happened:
            return True
        match self.kind:
            case "cut":
                self.door.stream.close()
            case "ends_early":
                await self.door.finish()
            case "stall":
                await self._stall()
            case "drip":
                await self._drip()
            case "error_event":
                await self._send_piece(self._error_piece())
                await self.door.finish()
            case "bad_json" | "bad_utf8" | "checksum" | "disorder":
                await self._send_piece(self._broken_piece())
                return False
            case _:
                return False
        self._has_happened = True
        return True

    def _reset(self) -> None:
        """Close so that the other side sees a reset instead of an end."""
        stream = self.door.stream
        if stream.socket is not None:
            linger = struct.pack("ii", 1, 0)
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        stream.close()

    async def _redirect(self) -> None:
        """Point to another origin: this machine under its other name."""
        host = str(self.door.request.host)
        name, _, port = host.rpartition(":")
        other = "localhost" if name != "localhost" else "127.0.0.1"
        self.door.set_status(307)
        self.door.set_header("Location", f"http://{other}:{port}{self.door.request.uri}")
        await self._send_all(b"")

    async def _stall(self) -> None:
        await asyncio.sleep(_STALL_SECONDS)
        self.door.stream.close()

    async def _drip(self) -> None:
        for _ in range(round(_STALL_SECONDS / _DRIP_SECONDS)):
            await self._send_piece(self.door.encode({"type": "ping"}))
            await asyncio.sleep(_DRIP_SECONDS)
        self.door.stream.close()

    async def _send_piece(self, data: bytes) -> None:
        self.door.write(data)
        await self.door.flush()

    async def _send_json(self, data: bytes) -> None:
        self.door.set_header("Content-Type", "application/json")
        await self._send_all(data)

    async def _send_all(self, data: bytes) -> None:
        self.door.set_header("Content-Length", str(len(data)))
        self.door.name_request()
        if data:
            self.door.write(data)
        await self.door.finish()

    async def _send_half(self, data: bytes) -> None:
        self.door.set_header("Content-Type", "application/json")
        self.door.set_header("Content-Length", str(len(data)))
        self.door.name_request()
        await self._send_piece(data[: len(data) // 2])
        self.door.stream.close()

    def _error_piece(self) -> bytes:
        if self.door.is_streaming_door:
            return exception_frame("serviceUnavailableException", "Overloaded")
        _, error = api_error(Rejected(529, "Overloaded"), self.door.request_id)
        return self.door.encode(error)

    def _broken_piece(self) -> bytes:
        is_framed = self.door.is_streaming_door
        if self.kind == "disorder":
            stop = {"type": "content_block_stop", "index": 3}
            return self.door.encode(stop)
        if self.kind == "checksum" and is_framed:
            whole = bytearray(self.door.framed(b'{"type": "ping"}'))
            whole[-1] ^= 0xFF
            return bytes(whole)
        data = b'{"type": "ping", "x": "\xff\xfe"}' if self.kind == "bad_utf8" else _BROKEN
        if is_framed:
            return self.door.framed(data)
        return b"event: content_block_delta\ndata: " + data + b"\n\n"
