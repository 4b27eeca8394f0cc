"""What botocore has no option for: replies with an end, and a stop before they begin.

botocore reads a plain reply to its last byte, passes over frames of a stream that it does not
know, and keeps its connections to itself until a reply begins.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from typing import Any

from nbvision.backends.protocol import StopSignal
from nbvision.backends.reading import bounded
from nbvision.backends.stopping import stop_here

__all__ = ["aws_session", "read_bounded", "stop_early", "within"]

_READ_WHOLE = ("Converse", "ConverseStream", "CountTokens")
_PIECE_BYTES = 256  # a piece waits until it is full, and the deadline with it
_seconds: ContextVar[float] = ContextVar("nbvision_bedrock_seconds", default=60.0)


def aws_session(profile: str | None, *, makes_clients: bool = True) -> Any:
    """Return a session of boto3; what describes the services is read once a process.

    That is most of what connecting takes; the handlers that only clients need are the rest.
    """
    from boto3 import Session
    from botocore.session import Session as Core

    core = Core(include_builtin_handlers=makes_clients)
    loader = _loader(core.get_config_variable("data_path"))
    core.register_component("data_loader", loader)
    session = Session(botocore_session=core, profile_name=profile)
    # Each session adds a path to the loader that all of them share.
    loader.search_paths[:] = dict.fromkeys(loader.search_paths)
    return session


@cache
def _loader(data_path: str | None) -> Any:
    from botocore.loaders import create_loader

    return create_loader(data_path)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give the replies to what is asked in this block so long to end."""
    token = _seconds.set(seconds)
    try:
        yield
    finally:
        _seconds.reset(token)


def read_bounded(client: Any) -> None:
    """Let replies to this client be read for as long as `within` says, and no longer."""
    # botocore's hook for who sends otherwise wants a whole reply back; its own sender is
    # found nowhere else.
    http_session = _http_session(client)
    if http_session is None:
        return

    def send(request: Any, **_: Any) -> Any:
        request.stream_output = True  # what is read by the sender is read without an end
        response = http_session.send(request)
        response.raw = _BoundedBody(response.raw, _seconds.get())
        return response

    for operation in _READ_WHOLE:
        client.meta.events.register(f"before-send.bedrock-runtime.{operation}", send)


def _http_session(client: Any) -> Any:
    """Return what sends for a botocore client; None where a version of it has moved it."""
    return getattr(getattr(client, "_endpoint", None), "http_session", None)


class _BoundedBody:
    """A reply's body as botocore reads it, with an end."""

    def __init__(self, raw: Any, seconds: float) -> None:
        self._raw = raw
        self._seconds = seconds

    def stream(self) -> Iterator[bytes]:
        return bounded(self._raw.stream(_PIECE_BYTES), seconds=self._seconds)

    def shutdown(self) -> None:
        self._raw.shutdown()

    def close(self) -> None:
        self._raw.close()


def stop_early(client: Any) -> None:
    """Let a `StopSignal` close this client's connections while they wait for a reply.

    Without it a stop takes effect when the reply begins.
    """
    # A connection belongs to one request from its first byte to its reply's; which one, only
    # the connection itself can know.
    pools: dict[str, Any] = getattr(_http_session(client), "_pool_classes_by_scheme", {})
    for scheme, pool in pools.items():
        if not hasattr(pool, "ConnectionCls"):
            continue
        made = type(pool.__name__, (pool,), {"ConnectionCls": _stoppable(pool.ConnectionCls)})
        pools[scheme] = made


def _stoppable(kind: Any) -> Any:
    class Stoppable(kind):  # type: ignore[misc] # known at run time: one for http, one for https
        _stop: StopSignal | None = None

        def request(self, *args: Any, **options: Any) -> Any:
            self._stop = stop_here()
            if self._stop is not None:
                self._stop.closes(lambda: _shut(self))
            return super().request(*args, **options)

        def connect(self) -> None:
            super().connect()
            if self._stop is not None and self._stop.is_set:
                _shut(self)

        def getresponse(self) -> Any:
            try:
                return super().getresponse()
            finally:
                # From here on the reply is what is closed; the connection goes back to the
                # pool, and may serve somebody else when the stop comes.
                if self._stop is not None:
                    self._stop.closes(lambda: None)
                    self._stop = None

    return Stoppable


def _shut(connection: Any) -> None:
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)
