"""The Anthropic API, and any server that speaks it, through the official client.

The client signs, connects and reads the stream's lines. Retries are ours (`retrying`), so
that waits show and a lost reply is not paid twice; redirects are off, so that pictures and
keys go nowhere else; every reply is read as plain JSON and checked in `response`.
"""

import json
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from nbvision.backends import translate
from nbvision.backends.protocol import (
    Answer,
    EventStream,
    OnWait,
    introduction,
    shielded,
)
from nbvision.backends.retrying import with_retries
from nbvision.catalogue import DEFAULT_MODEL, find_platform
from nbvision.errors import BackendError, NbvisionError, NotConnected, UnreadableAnswer
from nbvision.markup import plain
from nbvision.request import Request

__all__ = ["AnthropicBackend"]

_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 180.0  # the service pings while a model thinks
_MOST_BYTES = 64_000_000
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_PUBLIC_ADDRESS = "https://api.anthropic.com"


class AnthropicBackend:
    """Asks the Anthropic API or a compatible server; see `connect`.

    Parameters
    ----------
    model
        Asked when a call names none.
    base_url
        Another server's address; https, or this machine.
    api_key
        Otherwise the client finds one in the environment.
    name, why
        How it introduces itself.
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        name: str = "anthropic",
        why: str = "",
    ) -> None:
        self.name = name
        self.model = model or DEFAULT_MODEL
        self.platform = find_platform(name)
        self._client = _make_client(base_url, api_key)
        # A backend that is let go of lets go of its connections.
        weakref.finalize(self, self._client.close)
        self._address = str(self._client.base_url).rstrip("/")
        self.why = why or f"requests go to {plain(self._address)}"
        _require_private(self._address)

    def send(self, request: Request, *, on_wait: OnWait | None = None) -> Answer:
        """Send a request and return its whole answer; see `Backend.send`."""
        return with_retries(lambda: self._send(request), on_wait)

    def stream(self, request: Request, *, on_wait: OnWait | None = None) -> EventStream:
        """Send a request and return its events; see `Backend.stream`."""
        return with_retries(lambda: self._stream(request), on_wait)

    def count_tokens(self, request: Request) -> int | None:
        """Return the input tokens as the service counts them; the counting is free."""
        body = {key: value for key, value in request.body().items() if key != "max_tokens"}

        def count() -> int | None:
            counter = self._client.messages.with_raw_response.count_tokens(**body)
            found = json.loads(counter.http_response.text)
            tokens = found.get("input_tokens") if isinstance(found, dict) else None
            return tokens if isinstance(tokens, int) else None

        return with_retries(lambda: shielded(count, self._translate))

    def close(self) -> None:
        """Close the connections."""
        shielded(self._client.close, self._translate)

    def __repr__(self) -> str:
        return f"AnthropicBackend({self.name!r}, {self.model!r}, {self._address!r})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return introduction(self)

    def _send(self, request: Request) -> Answer:
        def ask() -> Answer:
            body = request.body()
            with self._client.messages.with_streaming_response.create(**body) as reply:
                response = reply.http_response
                _require_json(response)
                text = _read(response.iter_bytes())
                return Answer(_json(text), response.headers.get("request-id"))

        return shielded(ask, self._translate)

    def _stream(self, request: Request) -> EventStream:
        def ask() -> EventStream:
            body = request.body()
            manager = self._client.messages.with_streaming_response.create(**body, stream=True)
            response = manager.__enter__().http_response
            close: Callable[[], None] = response.close
            if "text/event-stream" not in response.headers.get("content-type", ""):
                text = _read(response.iter_bytes())
                close()
                raise UnreadableAnswer(
                    "the reply is no stream of events",
                    cure="check the address: does the Messages API answer there?",
                    text=text[:2000],
                )
            return EventStream(
                _events(response),
                close=close,
                request_id=response.headers.get("request-id"),
                translate=self._translate,
            )

        return shielded(ask, self._translate)

    def _translate(self, error: Exception) -> NbvisionError:
        import anthropic
        import httpx2

        if isinstance(error, anthropic.APIStatusError):
            return _from_reply(error)
        cause = error.__cause__ or error
        if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout):
            return translate.unreachable(self._address, type(cause).__name__)
        if isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException):
            return translate.lost("the service was silent for too long", timed_out=True)
        if isinstance(error, anthropic.APIConnectionError | httpx2.HTTPError | OSError):
            return translate.lost(type(cause).__name__)
        if isinstance(error, anthropic.AnthropicError | TypeError) and _is_about_keys(error):
            return _no_key()
        if isinstance(error, ValueError | UnicodeError):
            return _unreadable(f"a reply that is not JSON ({type(error).__name__})")
        return _unreadable(f"a reply the client cannot read ({type(error).__name__})")


def _make_client(base_url: str | None, api_key: str | None) -> Any:
    import anthropic
    import httpx2

    def make() -> Any:
        timeout = httpx2.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)
        client = anthropic.Anthropic(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            timeout=timeout,
            http_client=anthropic.DefaultHttpxClient(follow_redirects=False, timeout=timeout),
        )
        if client.api_key is None and client.auth_token is None and client.credentials is None:
            raise _no_key()
        return client

    return shielded(make, lambda error: _no_key() if _is_about_keys(error) else _misfit(error))


def _misfit(error: Exception) -> NotConnected:
    return NotConnected(
        f"the Anthropic client cannot be made ({type(error).__name__})",
        cure="check base_url and the ANTHROPIC_ variables of the environment",
    )


def _is_about_keys(error: Exception) -> bool:
    import anthropic

    return isinstance(error, anthropic.CredentialsError) or "authentication method" in str(error)


def _no_key() -> NotConnected:
    return NotConnected(
        "no key for the Anthropic API",
        cure="set ANTHROPIC_API_KEY before the kernel starts, "
        'or learn without one: nv.connect("practice")',
    )


def _require_private(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise NotConnected(
            f"{plain(address)[:200]} would get the key and the pictures unencrypted",
            limit="https, or a server on this machine",
            cure="use the server's https address",
        )


def _from_reply(error: Any) -> BackendError:
    """Return the error for a status other than 200, by the service's own words."""
    headers: Mapping[str, str] = error.response.headers
    body = error.body if isinstance(error.body, Mapping) else {}
    inner = body.get("error")
    details: Mapping[str, Any] = inner if isinstance(inner, Mapping) else {}
    return translate.from_status(
        error.status_code,
        kind=str(details.get("type") or ""),
        message=str(details.get("message") or ""),
        request_id=headers.get("request-id"),
        retry_after_seconds=_seconds(headers),
    )


def _seconds(headers: Mapping[str, str]) -> float | None:
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None


def _require_json(response: Any) -> None:
    kind = response.headers.get("content-type", "")
    if response.status_code != 200 or "json" not in kind:  # noqa: PLR2004 - OK
        text = _read(response.iter_bytes())
        raise UnreadableAnswer(
            f"the reply is {plain(kind)[:60] or 'of no type'}, not JSON",
            cure="check the address: does the Messages API answer there?",
            text=text[:2000],
        )


def _read(pieces: Iterator[bytes]) -> str:
    """Return a body as text; one that is inflated without end stops here."""
    kept, count = [], 0
    for piece in pieces:
        kept.append(piece)
        count += len(piece)
        if count > _MOST_BYTES:
            raise _unreadable(f"a reply of more than {_MOST_BYTES / 1e6:.0f} MB")
    return b"".join(kept).decode("utf-8", "replace")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    raise UnreadableAnswer("the reply is not JSON", cure="ask again", text=text[:2000])


def _unreadable(what: str) -> UnreadableAnswer:
    return UnreadableAnswer(f"there came {what}", cure="ask again; it may have been billed")


def _events(response: Any) -> Iterator[Mapping[str, Any]]:
    from anthropic import Stream

    for line in Stream.raw_events(response):
        if line.data:
            yield json.loads(line.data)
