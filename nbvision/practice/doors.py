"""The HTTP side: one class for each address, and one way of letting requests in."""

import asyncio
import http.client
import json
import logging
import secrets
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from tornado import web
from tornado.http1connection import HTTP1Connection
from tornado.iostream import StreamClosedError

from nbvision.practice import gate
from nbvision.practice.arrivals import Arrival, Arrivals
from nbvision.practice.ordered_faults import Faults
from nbvision.practice.places import API, BEDROCK, Place
from nbvision.practice.played_models import find_model, model_info, models
from nbvision.practice.prompt_cache import PromptCache
from nbvision.practice.questions import API_VERSIONS
from nbvision.practice.rejections import Rejected, api_error, aws_error
from nbvision.practice.stored_files import FileShelf
from nbvision.practice.workshop import Workshop

__all__ = ["Door", "House", "ModelDoor", "ModelsDoor", "NowhereDoor"]

P = ParamSpec("P")
T = TypeVar("T")
_DISCARDED_AT_MOST = 64_000_000
_HELD_AT_MOST = 512_000_000
_SEATS = 6  # somewhat more than the workshop has threads
_JSON_TYPES = ("application/json",)
_LOG = logging.getLogger(__name__)


@dataclass
class House:
    """What every door knows.

    Attributes
    ----------
    token
        The key that clients show.
    hosts
        The spellings of ``Host`` that are answered.
    words_per_second
        The pace of streamed words; None for none.
    workshop
        Where pictures are decoded and looked at.
    """

    token: str
    hosts: frozenset[str]
    words_per_second: float | None
    workshop: Workshop
    arrivals: Arrivals = field(default_factory=Arrivals)
    faults: Faults = field(default_factory=Faults)
    cache: PromptCache = field(default_factory=PromptCache)
    files: FileShelf = field(default_factory=FileShelf)
    works: set["asyncio.Task[None]"] = field(default_factory=set)
    seats: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SEATS))
    held_bytes: int = 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do work in the workshop; a task that is cancelled takes its queued work along."""
        return await asyncio.wrap_future(self.workshop.submit(function, *args, **kwargs))


@web.stream_request_body
class Door(web.RequestHandler):
    """Lets in, or turns away before a byte of the body is kept."""

    place: Place = API
    house: House

    def initialize(self, house: House) -> None:
        """Take over what Tornado hands to every door."""
        self.house = house
        self.request_id = f"req_practice_{secrets.token_hex(10)}"
        self.raw = bytearray()
        self.discarded = 0
        self.is_turned_away = False
        self.work: asyncio.Task[None] | None = None

    def set_default_headers(self) -> None:
        """Name the server; nothing lets a web page read the reply."""
        self.set_header("Server", "nbvision-practice")
        self.set_header("X-Content-Type-Options", "nosniff")

    async def prepare(self) -> None:
        """Check everything that can be known from the headers."""
        is_known = True
        try:
            gate.check_origin(self._headers_once(), self.house.hosts)
            is_known = False
            self.check_key()
            is_known = True
            self._check_length(_length_of(self.request.headers.get("Content-Length", "0")))
            self.check_headers()
        except Rejected as rejected:
            if not is_known:
                self.keep(None)
            await self.turn_away(rejected)

    def check_key(self) -> None:
        """Let in who has the token."""
        gate.check_token(self.request.headers, self.house.token)

    def check_headers(self) -> None:
        """Refuse a version of the API that does not exist, and other content than JSON."""
        version = self.request.headers.get("anthropic-version")
        if version is None:
            raise Rejected(400, "anthropic-version: header is required")
        if version not in API_VERSIONS:
            raise Rejected(400, f'anthropic-version: "{version[:40]}" is not a valid version')
        self.check_content_type(_JSON_TYPES)

    def check_content_type(self, taken: tuple[str, ...]) -> None:
        """Refuse the content types that a web page may send without asking."""
        if self.request.method != "POST":
            return
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind not in taken:
            raise Rejected(400, f"content-type: must be {taken[0]}")
        if self.request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Rejected(400, "content-encoding: is not accepted")

    async def turn_away(self, rejected: Rejected) -> None:
        """Reply now, and let the rest of the body run into the sand."""
        self.is_turned_away = True
        self.let_go()
        self.write_rejection(rejected)
        headers = self.request.headers
        has_body = headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in headers
        if not has_body or "Expect" in headers:
            # Tornado closes after a reply that comes before the request is read to its end.
            self.set_header("Connection", "close")
            await self.finish()
            return
        # A client that is still writing reads the reply only when it has written all; closing
        # now would reset the connection under it and lose the reply.
        await self.flush()

    async def data_received(self, chunk: bytes) -> None:
        """Keep a piece of the body, within the limit."""
        if self.is_turned_away:
            self.discarded += len(chunk)
            if self.discarded > _DISCARDED_AT_MOST:
                self.stream.close()
            return
        try:
            self._check_length(len(self.raw) + len(chunk))
        except Rejected as rejected:
            await self.turn_away(rejected)
            return
        self.raw += chunk
        self.house.held_bytes += len(chunk)

    async def do(self, work: Awaitable[None]) -> None:
        """Do work that ends when the client goes away."""
        self.work = asyncio.ensure_future(_quietly(work))
        self.house.works.add(self.work)
        try:
            await asyncio.wait({self.work})
        finally:
            self.house.works.discard(self.work)
        if self.work.cancelled():
            self.stream.close()
            return
        error = self.work.exception()
        if isinstance(error, Rejected):
            self.reject(error)
        elif error is not None:
            self.fail(error)

    def on_connection_close(self) -> None:
        """Drop the work of a client that is gone."""
        self.let_go()
        if self.work is not None:
            self.work.cancel()

    def on_finish(self) -> None:
        """Give back what the body has taken."""
        self.let_go()

    def let_go(self) -> None:
        """Forget the body, and count it no longer."""
        self.house.held_bytes -= len(self.raw)
        self.raw = bytearray()

    def keep(self, body: dict[str, Any] | None) -> None:
        """Remember the request, without its secrets."""
        request = self.request
        headers = gate.hide_secrets(dict(request.headers))
        arrival = Arrival(
            str(request.method), str(request.uri)[:2000], headers, body, len(self.raw)
        )
        self.house.arrivals.add(arrival)

    def reject(self, rejected: Rejected) -> None:
        """Reply with an error, if a reply has not begun."""
        if self._headers_written:
            self.stream.close()
            return
        self.write_rejection(rejected)
        self.finish()

    def fail(self, error: BaseException) -> None:
        """Reply to a mistake of the practice server's own."""
        _LOG.debug("the practice server failed", exc_info=error)
        name = type(error).__name__
        self.reject(Rejected(500, f"Internal server error: the practice server failed ({name})"))

    def write_rejection(self, rejected: Rejected) -> None:
        """Write status, headers and body of an error; the reply is complete with them."""
        status, body = api_error(rejected, self.request_id)
        if rejected.retry_after_seconds is not None:
            self.set_header("Retry-After", str(rejected.retry_after_seconds))
        self.write_json(body, status)

    def write_json(self, body: object, status: int = 200) -> None:
        """Write one whole JSON reply."""
        data = json.dumps(body).encode("ascii")
        self.set_status(status, http.client.responses.get(status, "Overloaded"))
        self.set_header("Content-Type", "application/json")
        self.set_header("Content-Length", str(len(data)))
        self.name_request()
        self.write(data)

    def name_request(self) -> None:
        """Set the header by which a service names a request."""
        self.set_header("request-id", self.request_id)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Reply to a method that no door has, unless a reply has gone out already."""
        if not self._headers_written:
            super().send_error(status_code, **kwargs)
        elif not self._finished:
            self.finish()

    def write_error(self, status_code: int, **_: Any) -> None:
        """Give Tornado's own errors the service's shape."""
        self.write_rejection(Rejected(status_code, self._reason))
        self.finish()

    def log_exception(self, *_: Any) -> None:
        """Keep the notebook quiet; the reply says what happened."""

    def compute_etag(self) -> None:
        """Send no entity tags: the services do not."""

    @property
    def stream(self) -> Any:
        """The socket's stream."""
        connection = self.request.connection
        if not isinstance(connection, HTTP1Connection):  # pragma: no cover - Tornado has no other
            raise TypeError("not an HTTP/1 connection")
        return connection.stream

    def _headers_once(self) -> dict[str, str]:
        """Return the headers; of those that must not be doubled, a doubled one is refused."""
        headers = self.request.headers
        for name in ("Host", "Content-Length", "Authorization", "X-Api-Key", "Api-Key"):
            if len(headers.get_list(name)) > 1:
                raise Rejected(400, f"{name.lower()}: header is given twice")
        return headers  # type: ignore[return-value] # a case-blind mapping of text to text

    def _check_length(self, length: int) -> None:
        limit = self.place.body_limit_bytes
        if length > limit:
            raise Rejected(413, f"Request exceeds the maximum size: {limit} bytes on this endpoint")
        if self.house.held_bytes + length > _HELD_AT_MOST:
            raise Rejected(529, "Overloaded")


class NowhereDoor(Door):
    """Every address that is not one."""

    def check_headers(self) -> None:
        """Refuse."""
        raise Rejected(404, f"Not found: {str(self.request.path)[:200]}")


class ModelsDoor(Door):
    """``GET /v1/models``."""

    async def get(self) -> None:
        """List the models, newest first, a page at a time."""
        if not self.is_turned_away:
            self.keep(None)
            try:
                self._page()
            except Rejected as rejected:
                self.write_rejection(rejected)
        await self.finish()

    def _page(self) -> None:
        limit = self.get_query_argument("limit", "20")
        if not limit.isdecimal() or not 1 <= int(limit[:5]) <= 1000:  # noqa: PLR2004 - documented
            raise Rejected(400, "limit: Input should be between 1 and 1000")
        rows = [model_info(model) for model in models()]
        names = [str(row["id"]) for row in rows]
        after, before = self._index("after_id", names), self._index("before_id", names)
        start = 0 if after is None else after + 1
        stop = len(rows) if before is None else before
        if after is None and before is not None:
            start = max(0, before - int(limit))
        page = rows[start:stop][: int(limit)]
        has_more = start + len(page) < stop if before is None else start > 0
        first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
        self.write_json({"data": page, "has_more": has_more, "first_id": first, "last_id": last})

    def _index(self, name: str, names: list[str]) -> int | None:
        value = self.get_query_argument(name, None)
        if value is None:
            return None
        if value not in names:
            raise Rejected(400, f"{name}: no such model")
        return names.index(value)


class ModelDoor(Door):
    """``GET /v1/models/{id}``."""

    async def get(self, model_id: str) -> None:
        """Give one model's limits and capabilities."""
        if not self.is_turned_away:
            self.keep(None)
            try:
                self.write_json(model_info(find_model(model_id)))
            except Rejected as rejected:
                self.write_rejection(rejected)
        await self.finish()


class BedrockDoor(Door):
    """What the doors of Bedrock's runtime have in common."""

    place = BEDROCK

    def initialize(self, house: House) -> None:
        """Name requests as AWS does."""
        super().initialize(house)
        self.request_id = str(uuid.uuid4())

    def check_key(self) -> None:
        """Let in who has the token, as bearer or as access key id."""
        gate.check_signature(self.request.headers, self.house.token)

    def check_headers(self) -> None:
        """Take the content types that botocore sends."""
        self.check_content_type((*_JSON_TYPES, "application/octet-stream", ""))

    def write_rejection(self, rejected: Rejected) -> None:
        """Write an error as AWS does."""
        status, kind, body = aws_error(rejected)
        self.set_header("x-amzn-ErrorType", kind)
        if rejected.retry_after_seconds is not None:
            self.set_header("Retry-After", str(rejected.retry_after_seconds))
        self.write_json(body, status)

    def name_request(self) -> None:
        """Set the header by which AWS names a request."""
        self.set_header("x-amzn-RequestId", self.request_id)


def _length_of(text: str) -> int:
    """Return a body's length as its header gives it; the digits of ASCII only."""
    if not text.isascii() or not text.isdecimal():
        raise Rejected(400, "content-length: must be a number")
    return int(text[:20])


async def _quietly(work: Awaitable[None]) -> None:
    """Do work whose client may go away at any moment."""
    try:
        await work
    except StreamClosedError:
        return
