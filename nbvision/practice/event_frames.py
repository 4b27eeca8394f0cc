"""The binary event stream in which Bedrock sends a streamed reply.

One frame is: total length, length of the headers, CRC-32 of these eight bytes; the headers;
the payload; CRC-32 of all that came before. Numbers are big-endian.
"""

import base64
import json
import struct
import zlib
from collections.abc import Mapping

__all__ = ["chunk_frame", "exception_frame", "frame"]

_STRING = 7  # the type number of a header whose value is text


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return one frame with these headers around a payload.

    >>> frame({"a": "b"}, b"{}").hex()
    '0000001800000006dcd1a61f0161070001627b7df3d78873'
    """
    head = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", 12 + len(head) + len(payload) + 4, len(head))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return body + struct.pack(">I", zlib.crc32(body))


def chunk_frame(data: bytes) -> bytes:
    """Return the frame of one piece of a streamed reply; ``data`` is an event's JSON."""
    payload = {"bytes": base64.b64encode(data).decode("ascii")}
    headers = {
        ":event-type": "chunk",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return frame(headers, json.dumps(payload).encode("ascii"))


def exception_frame(kind: str, message: str) -> bytes:
    """Return the frame of an error after the stream has begun.

    Parameters
    ----------
    kind
        Its name as the service model spells it in a stream: ``"modelStreamErrorException"``.
    message
        The words of the error.
    """
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(headers, json.dumps({"message": message}).encode("ascii"))


def _header(name: str, value: str) -> bytes:
    name_bytes, value_bytes = name.encode("ascii"), value.encode("utf-8")
    return (
        struct.pack(">B", len(name_bytes))
        + name_bytes
        + struct.pack(">BH", _STRING, len(value_bytes))
        + value_bytes
    )
