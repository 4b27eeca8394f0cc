"""The practice server: a thread with its own event loop, on this machine only."""

import asyncio
import atexit
import errno
import math
import os
import socket
import sys
import threading
from types import TracebackType
from typing import Self

from tornado import httpserver, iostream, web

from nbvision.errors import NotConnected, RequestError
from nbvision.practice import gate
from nbvision.practice.answering import CountDoor, InvokeDoor, InvokeStreamDoor, MessagesDoor
from nbvision.practice.arrivals import Arrival
from nbvision.practice.converse import BedrockCountDoor, ConverseDoor, ConverseStreamDoor
from nbvision.practice.doors import House, ModelDoor, ModelsDoor, NowhereDoor
from nbvision.practice.entrances import ADDRESSES, entrances
from nbvision.practice.files import FileContentDoor, FileDoor, FilesDoor
from nbvision.practice.ordered_faults import Faults
from nbvision.practice.workshop import Workshop

__all__ = ["PracticeServer", "addresses", "serve_forever"]

_HEADER_LIMIT_BYTES = 32_768
_MOST_CONNECTIONS = 200
_ENDLESS_BODY = 2**60  # the doors count for themselves, so that they can say 413
_HIGHEST_PORT = 65_535
_running: "set[PracticeServer]" = set()


class PracticeServer:
    """A server on loopback that speaks the Messages API and Bedrock's runtime.

    Parameters
    ----------
    port
        0 takes a free one.
    host
        An address of this machine; others are refused.
    token
        What clients show as their key; a new one is made if it is None. On Bedrock's addresses
        it is the bearer token, or the access key id.
    words_per_second
        The pace of streamed words; None sends them at once.
    patience_seconds
        How long headers, and a body, may take to arrive.

    Attributes
    ----------
    faults
        ``faults.push("overloaded")`` lets the next call fail.

    Examples
    --------
    >>> with PracticeServer() as server:
    ...     server.url.startswith("http://127.0.0.1:"), server.token.startswith("practice-")
    (True, True)
    """

    def __init__(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        token: str | None = None,
        words_per_second: float | None = None,
        *,
        patience_seconds: float = 30.0,
    ) -> None:
        if isinstance(port, bool) or not 0 <= port <= _HIGHEST_PORT:
            raise RequestError(f"port={port!r}", limit=f"0 to {_HIGHEST_PORT}")
        if words_per_second is not None and not 0 < words_per_second < math.inf:
            raise RequestError(
                f"words_per_second={words_per_second!r}",
                limit="a positive number, or None for no delay",
            )
        gate.loopback_hosts(host, port)
        self.token = gate.make_token(token)
        self.faults = Faults()
        self._wish = (host, port)
        self._words_per_second = words_per_second
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._sockets: list[socket.socket] = []
        self._house: House | None = None
        self._process = os.getpid()
        self._url = ""

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end.

        Raises
        ------
        NotConnected
            If it does not run.
        """
        if not self._url:
            raise NotConnected("the practice server does not run", cure="call start() first")
        return self._url

    def address(self, door: str) -> str:
        """Return where a cloud's client finds its door here, as its ``base_url``.

        Raises
        ------
        RequestError
            If there is no such door.
        NotConnected
            If it does not run.

        Examples
        --------
        >>> with PracticeServer() as server:
        ...     server.address("aws").removeprefix(server.url)
        '/aws'
        """
        if door not in ADDRESSES:
            raise RequestError(f"no door {door!r}"[:100], limit=", ".join(ADDRESSES))
        return self.url + ADDRESSES[door]

    @property
    def requests(self) -> tuple[Arrival, ...]:
        """What arrived, newest last; no more than 200, and no more than 64 MB of them."""
        return self._house.arrivals.newest_last() if self._house else ()

    @property
    def is_running(self) -> bool:
        """Whether it answers, as seen from the process that started it."""
        thread = self._thread
        return thread is not None and thread.is_alive() and self._process == os.getpid()

    def start(self) -> Self:
        """Listen; does nothing if it already does.

        Raises
        ------
        NotConnected
            If the port is taken or may not be used.
        """
        with self._lock:
            if self.is_running:
                return self
            host, port = self._wish
            self._sockets = _listen(host, port)
            self._process = os.getpid()
            bound = self._sockets[0].getsockname()[1]
            shown = f"[{host}]" if ":" in host else host
            self._house = House(
                token=self.token,
                hosts=gate.loopback_hosts(host, bound),
                words_per_second=self._words_per_second,
                workshop=Workshop(max(2, min(4, os.cpu_count() or 2))),
                faults=self.faults,
            )
            ready = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(self._house, ready), name="nbvision-practice", daemon=True
            )
            self._thread.start()
            ready.wait()
            self._url = f"http://{shown}:{bound}"
            _running.add(self)
        return self

    def close(self) -> None:
        """Stop answering, drop what is under way and free the port."""
        with self._lock:
            _running.discard(self)
            self._url = ""
            thread, self._thread = self._thread, None
            if thread is None or self._process != os.getpid():
                return
            if thread.is_alive():
                self._loop.call_soon_threadsafe(self._stop.set)
                thread.join(5)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"PracticeServer({self._url or 'not running'})"

    def _run(self, house: House, ready: threading.Event) -> None:
        asyncio.run(self._serve(house, ready))

    async def _serve(self, house: House, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = _Listener(
            _application(house),
            max_header_size=_HEADER_LIMIT_BYTES,
            max_body_size=_ENDLESS_BODY,
            max_buffer_size=1_048_576,
            idle_connection_timeout=self._patience_seconds,
            body_timeout=2 * self._patience_seconds,
        )
        server.add_sockets(self._sockets)
        ready.set()
        await self._stop.wait()
        server.stop()
        for work in tuple(house.works):
            work.cancel()
        await server.close_all_connections()
        house.workshop.shutdown()


class _Listener(httpserver.HTTPServer):
    """Tornado's server with a bound on connections: a kernel has few files to spare."""

    def handle_stream(self, stream: iostream.IOStream, address: tuple[object, ...]) -> None:
        if len(self._connections) >= _MOST_CONNECTIONS:
            stream.close()
            return
        super().handle_stream(stream, address)


def addresses() -> frozenset[str]:
    """Return where practice servers of this process answer."""
    return frozenset(server.url for server in tuple(_running) if server.is_running)


def serve_forever(
    port: int = 0, host: str = "127.0.0.1", words_per_second: float | None = 80.0
) -> None:
    """Run the practice server until Ctrl-C, for other clients.

    Prints its address, its token and how to point ``curl`` at it.

    Raises
    ------
    NotConnected
        If the port is taken.
    """
    with PracticeServer(port, host, words_per_second=words_per_second) as server:
        try:
            sys.stdout.write(_how_to(server))
            sys.stdout.flush()
            threading.Event().wait()
        except KeyboardInterrupt:
            sys.stdout.write("\nThe practice server has stopped.\n")


def _how_to(server: PracticeServer) -> str:
    return f"""The practice server answers at {server.url} (Ctrl-C stops it).
It is not a language model: it measures the pixels it receives.

  curl {server.url}/v1/messages \\
    -H 'x-api-key: {server.token}' \\
    -H 'anthropic-version: 2026-10-21' \\
    -H 'content-type: application/json' \\
    -d '{{"model": "practice-high", "max_tokens": 500, "stream": true,
         "messages": [{{"role": "user", "content": "What can you do?"}}]}}'

Anthropic SDK:  export ANTHROPIC_BASE_URL={server.url} ANTHROPIC_API_KEY={server.token}
Bedrock (boto3): endpoint_url="{server.url}", aws_access_key_id="{server.token}",
                 aws_secret_access_key="anything" (boto3 sends bearer tokens over https only)
Clouds' clients: base_url="{server.url}" and {", ".join(ADDRESSES.values())}
A whole request with pictures: save it with request.save("request.json"), then -d @request.json
"""


def _application(house: House) -> web.Application:
    known = {"house": house}
    return web.Application(
        [
            (r"/v1/messages", MessagesDoor, known),
            (r"/v1/messages/count_tokens", CountDoor, known),
            (r"/v1/files", FilesDoor, known),
            (r"/v1/files/([^/]+)", FileDoor, known),
            (r"/v1/files/([^/]+)/content", FileContentDoor, known),
            (r"/v1/models", ModelsDoor, known),
            (r"/v1/models/([^/]+)", ModelDoor, known),
            (r"/model/([^/]+)/invoke", InvokeDoor, known),
            (r"/model/([^/]+)/invoke-with-response-stream", InvokeStreamDoor, known),
            (r"/model/([^/]+)/converse", ConverseDoor, known),
            (r"/model/([^/]+)/converse-stream", ConverseStreamDoor, known),
            (r"/model/([^/]+)/count-tokens", BedrockCountDoor, known),
            *entrances(house),
            (r".*", NowhereDoor, known),
        ],
        log_function=lambda _: None,
    )


def _listen(host: str, port: int) -> list[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        is_taken = error.errno == errno.EADDRINUSE
        raise NotConnected(
            f"port {port} is taken" if is_taken else f"cannot listen at {host}:{port}: {error}",
            cure="choose another port, or 0 for a free one",
        ) from None
    listener.setblocking(False)
    return [listener]


def _close_all() -> None:
    for server in tuple(_running):
        server.close()


def _after_fork() -> None:
    """Let go of the parent's port: the child has no thread that would answer there."""
    for server in tuple(_running):
        for one in server._sockets:  # noqa: SLF001 - the same room
            one.close()
    _running.clear()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
