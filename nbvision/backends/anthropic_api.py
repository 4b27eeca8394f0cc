"""The Messages API through the official clients, at whichever door it is spoken.

A client signs and connects. Retries are ours (`retrying`), so that waits show and a lost
reply is not paid twice; redirects are off, so that pictures and keys go nowhere else; every
reply is read as plain JSON and checked in `response`.
"""

import weakref
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, TypeVar

from nbvision.backends import translate
from nbvision.backends.addresses import other_address, shown
from nbvision.backends.door import Door, require_spelling
from nbvision.backends.files import FileShelf
from nbvision.backends.http_client import (
    CONNECT_SECONDS,
    REJECTION_SECONDS,
    events_of,
    hang_up,
    make_http_client,
)
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
from nbvision.errors import (
    BackendError,
    ModelNotFound,
    NbvisionError,
    NotConnected,
    UnreadableAnswer,
)
from nbvision.keeping import Keeping
from nbvision.keys import without_keys
from nbvision.platforms import Capabilities
from nbvision.referenced import UploadedImage
from nbvision.request import Request

__all__ = ["AnthropicBackend"]

Result = TypeVar("Result")

_SILENCE_SECONDS = 180.0  # in a stream, where the service pings while a model thinks
_WHOLE_ANSWER_SECONDS = 600.0  # without one, it is silent until the last word is written
_COUNTING_SECONDS = 60.0
# What AWS says, sometimes with status 200, where an operation does not exist.
_UNKNOWN_OPERATION = "UnknownOperation"
# Where a service names a request: Anthropic, AWS, Microsoft, gateways.
_REQUEST_IDS = (
    "request-id",
    "x-amzn-requestid",
    "apim-request-id",
    "x-ms-request-id",
    "x-request-id",
)
_MODELS_A_PAGE = 1000
# What the official clients call that by which they are let in, and where.
_KEYS = ("api_key", "auth_token", "aws_access_key", "aws_profile", "workspace_id")


class AnthropicBackend:
    """Asks through one door that speaks the Messages shape; see `connect`.

    Parameters
    ----------
    door
        Where, and how its client is made.
    model
        Asked when a call names none.
    why
        How it introduces itself.
    """

    def __init__(self, door: Door, *, model: str | None = None, why: str = "") -> None:
        self.name = door.name
        self.model = model or door.model
        self.platform = door.platform
        self._door = door
        require_spelling(self.model, door.platform)
        self._client = shielded(
            lambda: door.make(make_http_client(door.address, door.sign)), self._translate_making
        )
        # A backend that is let go of lets go of its connections.
        self._finish = weakref.finalize(self, self._client.close)
        self._address = shown(str(self._client.base_url))
        self.why = why or f"requests go to {self._address}"
        # The practice server is the same wherever it listens.
        self.address = "" if self.name == "practice" else other_address(self._address)
        self.keeping = Keeping(in_store=self.name != "practice")

    @property
    def capabilities(self) -> Capabilities:
        """What this door can do, and what to do where it cannot; shows as a table."""
        return Capabilities(self.platform)

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
        http_client = shielded(
            lambda: make_http_client(self._door.address, self._door.sign, stop),
            self._translate_making,
        )
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
        """Return the input tokens as the service counts them, free of charge; None if it cannot."""
        if not self.platform.counts_tokens:
            return None
        require_spelling(request.model_id, self.platform)
        body = {key: value for key, value in request.body().items() if key != "max_tokens"}

        def count() -> int | None:
            ask = self._client.messages.with_streaming_response.count_tokens
            with ask(**body, **self._extras(_COUNTING_SECONDS, request)) as reply:
                found = _json_of(reply.http_response, _COUNTING_SECONDS)
            tokens = found.get("input_tokens") if isinstance(found, dict) else None
            return tokens if type(tokens) is int and tokens >= 0 else None

        return self._ask(count)

    def models_page(self, after_id: str | None = None) -> object:
        """Return a page of the Models API as it came; the listing is free."""
        if not hasattr(self._client, "models"):
            raise ModelNotFound(f"{self.name} has no Models API")
        options = {} if after_id is None else {"after_id": after_id}

        def ask() -> object:
            listing = self._client.models.with_streaming_response.list
            patience = self._patience(_COUNTING_SECONDS)
            with listing(limit=_MODELS_A_PAGE, timeout=patience, **options) as reply:
                return _json_of(reply.http_response, _COUNTING_SECONDS)

        return self._ask(ask)

    @property
    def files(self) -> FileShelf | None:
        """Where pictures can be stored; None where the place takes no files."""
        if "file" not in self.platform.source_types:
            return None
        return FileShelf(
            self._client.files,
            held_by=f"{self.name} at {self._address}",
            keys=[str(getattr(self._client, name, "") or "") for name in _KEYS],
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

        return httpx2.Timeout(silence_seconds, connect=CONNECT_SECONDS)

    def _extras(self, silence_seconds: float, request: Request) -> dict[str, Any]:
        extras = {"timeout": self._patience(silence_seconds)}
        beta = self.platform.files_beta
        if beta and any(isinstance(image, UploadedImage) for image in request.images):
            # Where files are a beta, naming one is part of it too.
            extras["extra_headers"] = {"anthropic-beta": beta}
        return extras | ({"extra_body": self._door.extra_body} if self._door.extra_body else {})

    def _send(self, request: Request) -> Answer:
        require_spelling(request.model_id, self.platform)
        ask = self._client.messages.with_streaming_response.create
        with ask(**request.body(), **self._extras(_WHOLE_ANSWER_SECONDS, request)) as reply:
            response = reply.http_response
            message = _json_of(response, seconds_for(request.max_tokens))
            if _is_nowhere(message):
                raise _nowhere()
            return Answer(message, _request_id(response.headers))

    def _stream(
        self, request: Request, client: Any, leave: Callable[[], None] = lambda: None
    ) -> EventStream:
        require_spelling(request.model_id, self.platform)
        ask = client.messages.with_streaming_response.create
        manager = ask(**request.body(), stream=True, **self._extras(_SILENCE_SECONDS, request))
        response = manager.__enter__().http_response
        if "text/event-stream" not in response.headers.get("content-type", ""):
            with closing(response):
                raise _no_reply("a stream of events", _beginning(response))
        seconds = seconds_for(request.max_tokens)

        def close() -> None:
            hang_up(response)
            leave()

        return EventStream(
            events_of(response, seconds),
            close=close,
            request_id=_request_id(response.headers),
            translate=self._translate,
            longest_seconds=seconds,
        )

    def _translate(self, error: Exception) -> NbvisionError:
        import anthropic
        import httpx2

        if isinstance(error, anthropic.APIStatusError):
            return self._from_reply(error)
        if isinstance(error.__cause__, NbvisionError):
            return error.__cause__  # signing is ours, and the client wraps what it raises
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        if (explained := self._door.explain(error) or self._door.explain(cause)) is not None:
            return explained
        if isinstance(cause, _never_sent()):
            return translate.unreachable(self._address, str(cause) or type(cause).__name__)
        if isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException):
            return translate.lost("the service was silent for too long", timed_out=True)
        if isinstance(error, anthropic.APIConnectionError | httpx2.HTTPError | OSError):
            return translate.lost(type(cause).__name__)
        if isinstance(error, ValueError | UnicodeError):
            return _unreadable(f"a reply that is not JSON ({type(error).__name__})")
        return _unreadable(f"a reply the client cannot read ({type(error).__name__})")

    def _translate_making(self, error: Exception) -> NbvisionError:
        return self._door.explain(error) or NotConnected(
            f"the client for {self.name} cannot be made ({type(error).__name__})",
            cure="check the arguments, and the variables of the environment it reads",
        )

    def _from_reply(self, error: Any) -> BackendError:
        """Return the error for a status other than 200, by the service's own words."""
        headers: Mapping[str, str] = error.response.headers
        kind, message = _kind_and_words(error.body)
        if error.status_code == 404 and not kind and not message:  # noqa: PLR2004 - not found
            return _nowhere()
        wait = translate.seconds_to_wait(headers)
        if error.status_code == 429 and wait is None and self._door.names_waits:  # noqa: PLR2004 - too many requests
            # The service names the seconds of every passing limit; the month's end it does not.
            kind = "billing_error"
            message += " (no time to wait was named: the month's limit, as a rule)"
        return translate.from_status(
            error.status_code,
            kind=kind,
            message=message,
            request_id=_request_id(headers),
            retry_after_seconds=wait,
        )


def _never_sent() -> tuple[type[Exception], ...]:
    import httpx2

    return (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)


def _kind_and_words(body: object) -> tuple[str, str]:
    """Return an error's type and words, in the shape of Anthropic, AWS, Google or Microsoft."""
    # Google wraps an error of its stream in a list.
    first = body[0] if isinstance(body, list) and body else body
    outer: Mapping[str, Any] = first if isinstance(first, Mapping) else {}
    inner = outer.get("error")
    details: Mapping[str, Any] = inner if isinstance(inner, Mapping) else {}
    words = details.get("message") or outer.get("message") or outer.get("Message")
    return str(details.get("type") or ""), str(words or "")


def _request_id(headers: Mapping[str, str]) -> str | None:
    found = next(filter(None, (headers.get(name) for name in _REQUEST_IDS)), None)
    return None if found is None else without_keys(found)


def _json_of(response: Any, seconds: float) -> Any:
    """Return what a plain reply says."""
    if response.status_code != 200 or "json" not in response.headers.get("content-type", ""):  # noqa: PLR2004 - OK
        raise _no_reply("JSON", _beginning(response))
    return decoded(b"".join(bounded(response.iter_bytes(), seconds=seconds)))


def _beginning(response: Any) -> str:
    """Return the first words of a reply that is not what was asked for."""
    pieces = bounded(response.iter_bytes(), seconds=REJECTION_SECONDS)
    return without_keys(next(pieces, b"")[:2000].decode("utf-8", "backslashreplace"))


def _no_reply(wanted: str, text: str) -> NbvisionError:
    if _UNKNOWN_OPERATION in text:
        return _nowhere()
    return UnreadableAnswer(
        f"the reply is not {wanted}",
        cure="check the address: does the Messages API answer there?",
        text=text,
    )


def _is_nowhere(message: object) -> bool:
    is_other = isinstance(message, Mapping) and message.get("type") != "message"
    return is_other and _UNKNOWN_OPERATION in str(message)[:500]


def _nowhere() -> NotConnected:
    return NotConnected(
        "this address does not offer the Messages API",
        cure='try another region, or another door: nv.connect("bedrock-mantle") '
        'or nv.connect("bedrock")',
    )


def _unreadable(what: str) -> UnreadableAnswer:
    return UnreadableAnswer(f"there came {what}", cure="ask again; it may have been billed")
