"""The Anthropic API, and any server that speaks it, through the official client.

The client signs, connects and reads the stream's lines. Retries are ours (`retrying`), so
that waits show and a lost reply is not paid twice; redirects are off, so that pictures and
keys go nowhere else; every reply is read as plain JSON and checked in `response`.
"""

import os
import socket
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from typing import Any, TypeVar

from nbvision.backends import translate
from nbvision.backends.addresses import (
    is_loopback,
    require_private,
    require_sendable_key,
    shown,
)
from nbvision.backends.files import FileShelf
from nbvision.backends.protocol import (
    Answer,
    EventStream,
    OnWait,
    StopSignal,
    introduction,
    require_open,
    shielded,
)
from nbvision.backends.reading import bounded, decoded, seconds_for
from nbvision.backends.retrying import with_retries
from nbvision.catalogue import DEFAULT_MODEL
from nbvision.errors import BackendError, NbvisionError, NotConnected, UnreadableAnswer
from nbvision.platforms import find_platform
from nbvision.request import Request

__all__ = ["AnthropicBackend"]

Result = TypeVar("Result")

_PUBLIC_ADDRESS = "https://api.anthropic.com"
_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 180.0  # in a stream, where the service pings while a model thinks
_WHOLE_ANSWER_SECONDS = 600.0  # without one, it is silent until the last word is written
_COUNTING_SECONDS = 60.0
_REJECTION_SECONDS = 30.0
_REJECTION_BYTES = 65_536


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
        self._finish = weakref.finalize(self, self._client.close)
        self._address = shown(str(self._client.base_url))
        self.why = why or f"requests go to {self._address}"

    def send(self, request: Request, *, on_wait: OnWait | None = None) -> Answer:
        """Send a request and return its whole answer; see `Backend.send`."""
        return self._ask(lambda: self._send(request), on_wait)

    def stream(
        self,
        request: Request,
        *,
        on_wait: OnWait | None = None,
        stop: StopSignal | None = None,
    ) -> EventStream:
        """Send a request and return its events; see `Backend.stream`."""
        if stop is None:
            return self._ask(lambda: self._stream(request, self._client), on_wait)
        # A connection of its own, known before the reply begins: a kept one belongs to nobody
        # until then, and could not be closed.
        http_client = _http_client(str(self._client.base_url), stop)
        client = self._client.with_options(http_client=http_client)
        try:
            events = self._ask(
                lambda: self._stream(request, client, http_client.close), on_wait, stop
            )
        except BaseException:
            http_client.close()
            raise
        stop.closes(events.close)
        return events

    def count_tokens(self, request: Request) -> int | None:
        """Return the input tokens as the service counts them; the counting is free."""
        body = {key: value for key, value in request.body().items() if key != "max_tokens"}

        def count() -> int | None:
            ask = self._client.messages.with_streaming_response.count_tokens
            with ask(**body, timeout=self._patience(_COUNTING_SECONDS)) as reply:
                found = _json_of(reply.http_response, _COUNTING_SECONDS)
            tokens = found.get("input_tokens") if isinstance(found, dict) else None
            return tokens if type(tokens) is int and tokens >= 0 else None

        return self._ask(count)

    @property
    def files(self) -> FileShelf | None:
        """Where pictures can be stored; None where the place takes no files."""
        if "file" not in self.platform.source_types:
            return None
        return FileShelf(
            self._client.files,
            held_by=f"{self.name} at {self._address}",
            ask=self._ask,
            read=_json_of,
            patience=self._patience,
            beta=self.platform.files_beta,
        )

    def close(self) -> None:
        """Close the connections; the backend cannot be asked again."""
        self._finish()

    def __repr__(self) -> str:
        return f"AnthropicBackend({self.name!r}, {self.model!r}, {self._address!r})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return introduction(self)

    def _ask(
        self,
        action: Callable[[], Result],
        on_wait: OnWait | None = None,
        stop: StopSignal | None = None,
        *,
        repeats_broken: bool = True,
    ) -> Result:
        require_open(is_closed=not self._finish.alive, name=self.name)
        return with_retries(
            lambda: shielded(action, self._translate), on_wait, stop, repeats_broken=repeats_broken
        )

    def _patience(self, silence_seconds: float) -> Any:
        import httpx2

        return httpx2.Timeout(silence_seconds, connect=_CONNECT_SECONDS)

    def _send(self, request: Request) -> Answer:
        ask = self._client.messages.with_streaming_response.create
        with ask(**request.body(), timeout=self._patience(_WHOLE_ANSWER_SECONDS)) as reply:
            response = reply.http_response
            message = _json_of(response, seconds_for(request.max_tokens))
            return Answer(message, response.headers.get("request-id"))

    def _stream(
        self, request: Request, client: Any, leave: Callable[[], None] = lambda: None
    ) -> EventStream:
        ask = client.messages.with_streaming_response.create
        patience = self._patience(_SILENCE_SECONDS)
        manager = ask(**request.body(), stream=True, timeout=patience)
        response = manager.__enter__().http_response
        if "text/event-stream" not in response.headers.get("content-type", ""):
            with closing(response):
                raise _no_reply("a stream of events", _beginning(response))
        seconds = seconds_for(request.max_tokens)

        def close() -> None:
            _hang_up(response)
            leave()

        return EventStream(
            _events(response, seconds),
            close=close,
            request_id=response.headers.get("request-id"),
            translate=self._translate,
            longest_seconds=seconds,
        )

    def _translate(self, error: Exception) -> NbvisionError:
        import anthropic
        import httpx2

        if isinstance(error, anthropic.APIStatusError):
            return _from_reply(error)
        cause = error.__cause__ or error
        if isinstance(cause, _never_sent()):
            return translate.unreachable(self._address, str(cause) or type(cause).__name__)
        if isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException):
            return translate.lost("the service was silent for too long", timed_out=True)
        if isinstance(error, anthropic.APIConnectionError | httpx2.HTTPError | OSError):
            return translate.lost(type(cause).__name__)
        if isinstance(error, anthropic.AnthropicError | TypeError) and _is_about_keys(error):
            return _no_key()
        if isinstance(error, ValueError | UnicodeError):
            return _unreadable(f"a reply that is not JSON ({type(error).__name__})")
        return _unreadable(f"a reply the client cannot read ({type(error).__name__})")


def _never_sent() -> tuple[type[Exception], ...]:
    import httpx2

    return (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)


def _make_client(base_url: str | None, api_key: str | None) -> Any:
    import anthropic

    def make() -> Any:
        address = base_url or os.environ.get("ANTHROPIC_BASE_URL") or _PUBLIC_ADDRESS
        require_private(address)
        client = anthropic.Anthropic(
            api_key=api_key,
            base_url=address,
            max_retries=0,
            http_client=_http_client(address),
        )
        _require_key(client, "api_key" if api_key is not None else "the environment")
        return client

    return shielded(make, lambda error: _no_key() if _is_about_keys(error) else _misfit(error))


def _http_client(address: str, stop: StopSignal | None = None) -> Any:
    import anthropic
    import httpx2

    def watch(request: Any) -> None:
        request.extensions["trace"] = lambda event, details: _closes(stop, event, details)

    options: dict[str, Any] = {
        "follow_redirects": False,
        "timeout": httpx2.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS),
        "event_hooks": {"response": [_keep_short], "request": [watch] if stop else []},
    }
    if is_loopback(address):
        # A proxy of the environment cannot find a server on this machine; a client that is
        # given its transport looks for none.
        options["transport"] = httpx2.HTTPTransport()
    return anthropic.DefaultHttpxClient(**options)


def _require_key(client: Any, origin: str) -> None:
    if client.api_key is None and client.auth_token is None and client.credentials is None:
        raise _no_key()
    for key in (client.api_key, client.auth_token):
        if key is not None:
            require_sendable_key(key, origin)


def _keep_short(response: Any) -> None:
    """Keep the beginning of a rejection: the client reads all of it, whatever its length."""
    import httpx2

    if response.status_code < 300:  # noqa: PLR2004 - what is no rejection is read by us
        return
    kept: list[bytes] = []
    count = 0
    for piece in bounded(response.stream, seconds=_REJECTION_SECONDS):
        kept.append(piece)
        count += len(piece)
        if count > _REJECTION_BYTES:
            break
    response.stream.close()
    response.stream = httpx2.ByteStream(b"".join(kept)[:_REJECTION_BYTES])


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


def _from_reply(error: Any) -> BackendError:
    """Return the error for a status other than 200, by the service's own words."""
    headers: Mapping[str, str] = error.response.headers
    body = error.body if isinstance(error.body, Mapping) else {}
    inner = body.get("error")
    details: Mapping[str, Any] = inner if isinstance(inner, Mapping) else {}
    kind, message = str(details.get("type") or ""), str(details.get("message") or "")
    wait = translate.seconds_to_wait(headers)
    if error.status_code == 429 and wait is None:  # noqa: PLR2004 - too many requests
        # The service names the seconds of every passing limit; the month's end it does not.
        kind = "billing_error"
        message += " (no time to wait was named: the month's limit, as a rule)"
    return translate.from_status(
        error.status_code,
        kind=kind,
        message=message,
        request_id=headers.get("request-id"),
        retry_after_seconds=wait,
    )


def _json_of(response: Any, seconds: float) -> Any:
    """Return what a plain reply says."""
    if response.status_code != 200 or "json" not in response.headers.get("content-type", ""):  # noqa: PLR2004 - OK
        raise _no_reply("JSON", _beginning(response))
    return decoded(b"".join(bounded(response.iter_bytes(), seconds=seconds)))


def _beginning(response: Any) -> str:
    """Return the first words of a reply that is not what was asked for."""
    pieces = bounded(response.iter_bytes(), seconds=_REJECTION_SECONDS)
    return next(pieces, b"")[:2000].decode("utf-8", "backslashreplace")


def _no_reply(wanted: str, text: str) -> UnreadableAnswer:
    return UnreadableAnswer(
        f"the reply is not {wanted}",
        cure="check the address: does the Messages API answer there?",
        text=text,
    )


def _unreadable(what: str) -> UnreadableAnswer:
    return UnreadableAnswer(f"there came {what}", cure="ask again; it may have been billed")


def _closes(stop: StopSignal | None, event: str, details: Mapping[str, Any]) -> None:
    """Let a stop close a connection as soon as there is one."""
    if stop is not None and event.endswith(("connect_tcp.complete", "start_tls.complete")):
        stream = details["return_value"]
        stop.closes(lambda: _shut(stream))


def _shut(stream: Any) -> None:
    with suppress(OSError, AttributeError):
        stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def _hang_up(response: Any) -> None:
    """Close a reply at once: closing alone wakes nobody who waits in another thread."""
    if response.is_closed:
        return  # read to its end: its connection may already serve somebody else
    _shut(response.extensions.get("network_stream"))
    response.close()


def _events(response: Any, seconds: float) -> Iterator[Mapping[str, Any]]:
    from anthropic import Stream

    for line in Stream.raw_events(_Bounded(response, seconds)):  # type: ignore[arg-type]
        # Some compatible servers end as other vendors do.
        if line.data and line.data != "[DONE]":
            yield decoded(line.data)


class _Bounded:
    """A reply as the client's parser reads it, with an end: comments alone are no events."""

    def __init__(self, response: Any, seconds: float) -> None:
        self._response = response
        self._seconds = seconds

    def iter_bytes(self) -> Iterator[bytes]:
        return bounded(self._response.iter_bytes(), seconds=self._seconds)
