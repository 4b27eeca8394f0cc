"""The connections below the official clients: where they go, how they end, how much is read."""

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from nbvision.backends.addresses import is_loopback
from nbvision.backends.protocol import StopSignal
from nbvision.backends.reading import bounded, decoded
from nbvision.keys import hide_in_logs, note_keys

__all__ = ["CONNECT_SECONDS", "REJECTION_SECONDS", "events_of", "hang_up", "make_http_client"]

CONNECT_SECONDS = 10.0
REJECTION_SECONDS = 30.0
_REJECTION_BYTES = 65_536
_SILENCE_SECONDS = 180.0

Sign = Callable[[Any], None]


def make_http_client(address: str, sign: Sign | None = None, stop: StopSignal | None = None) -> Any:
    """Return the connections for an official client.

    Parameters
    ----------
    address
        Where it will go; a proxy of the environment is left out for this machine.
    sign
        Signs each request when it is ready to go.
    stop
        Closes the connection as soon as there is one.
    """
    import anthropic
    import httpx2

    def watch(request: Any) -> None:
        request.extensions["trace"] = lambda event, details: _closes(stop, event, details)

    hide_in_logs()

    def note(request: Any) -> None:
        note_keys(request.headers)

    certificates = _certificates(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    options: dict[str, Any] = {
        "verify": certificates,
        "follow_redirects": False,
        "timeout": httpx2.Timeout(_SILENCE_SECONDS, connect=CONNECT_SECONDS),
        "event_hooks": {
            "response": [_keep_short],
            "request": [*([sign] if sign else []), *([watch] if stop else []), note],
        },
    }
    if is_loopback(address):
        # A proxy of the environment cannot find a server on this machine; a client that is
        # given its transport looks for none.
        options["transport"] = httpx2.HTTPTransport(verify=certificates)
    return anthropic.DefaultHttpxClient(**options)


def events_of(response: Any, seconds: float) -> Iterator[Mapping[str, Any]]:
    """Yield the events of a streamed reply, for so many seconds at most."""
    from anthropic import Stream

    for line in Stream.raw_events(_Bounded(response, seconds)):  # type: ignore[arg-type]
        # Some compatible servers end as other vendors do.
        if line.data and line.data != "[DONE]":
            yield decoded(line.data)


def hang_up(response: Any) -> None:
    """Close a reply at once: closing alone wakes nobody who waits in another thread."""
    if response.is_closed:
        return  # read to its end: its connection may already serve somebody else
    _shut(response.extensions.get("network_stream"))
    response.close()


@cache
def _certificates(file: str | None, folder: str | None) -> Any:  # noqa: ARG001 - what it depends on
    """Return whom to trust; reading it takes longer than all else about a connection."""
    import httpx2

    return httpx2.create_ssl_context()


def _keep_short(response: Any) -> None:
    """Keep the beginning of a rejection: the client reads all of it, whatever its length."""
    import httpx2

    if response.status_code < 300:  # noqa: PLR2004 - what is no rejection is read by us
        return
    kept: list[bytes] = []
    count = 0
    for piece in bounded(response.stream, seconds=REJECTION_SECONDS):
        kept.append(piece)
        count += len(piece)
        if count > _REJECTION_BYTES:
            break
    response.stream.close()
    response.stream = httpx2.ByteStream(b"".join(kept)[:_REJECTION_BYTES])


def _closes(stop: StopSignal | None, event: str, details: Mapping[str, Any]) -> None:
    """Let a stop close a connection as soon as there is one."""
    if stop is not None and event.endswith(("connect_tcp.complete", "start_tls.complete")):
        stream = details["return_value"]
        stop.closes(lambda: _shut(stream))


def _shut(stream: Any) -> None:
    with suppress(OSError, AttributeError):
        stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


class _Bounded:
    """A reply as the client's parser reads it, with an end: comments alone are no events."""

    def __init__(self, response: Any, seconds: float) -> None:
        self._response = response
        self._seconds = seconds

    def iter_bytes(self) -> Iterator[bytes]:
        return bounded(self._response.iter_bytes(), seconds=self._seconds)
