"""The API's own dict, or its events, become a `Response`: checked before it is believed.

Both SDKs hand on some broken replies as success: HTML with status 200, an empty body, ``null``.
So every shape is checked here, and what does not have it is an `UnreadableAnswer` that keeps
whatever words there were.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nbvision.errors import (
    AccessDenied,
    BackendError,
    Interrupted,
    ModelNotFound,
    Overloaded,
    RateLimited,
    Refused,
    RequestRejected,
    ServiceFailed,
    SpendLimitReached,
    TimedOut,
    Truncated,
    UnreadableAnswer,
)
from nbvision.markup import plain

__all__ = [
    "ERROR_TYPES",
    "Response",
    "StreamReader",
    "Usage",
    "parse_response",
    "require_usable",
]

ERROR_TYPES: Mapping[str, type[BackendError]] = {
    "invalid_request_error": RequestRejected,
    "authentication_error": AccessDenied,
    "billing_error": SpendLimitReached,
    "permission_error": AccessDenied,
    "not_found_error": ModelNotFound,
    "conflict_error": RequestRejected,
    "request_too_large": RequestRejected,
    "rate_limit_error": RateLimited,
    "api_error": ServiceFailed,
    "timeout_error": TimedOut,
    "overloaded_error": Overloaded,
}
"""What each error type of the API is in this package's tree."""

_MOST_TOKENS = 10**12
_CURE = "ask again; if it stays so, what answers at this address is not the Messages API"


@dataclass(frozen=True, slots=True)
class Usage:
    """What was counted and is billed.

    Attributes
    ----------
    input_tokens
        Without those read from or written to the prompt cache.
    output_tokens
        Thinking included.
    cache_read_tokens, cache_write_tokens
        Input read from and written to the cache.
    """

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def total_input_tokens(self) -> int:
        """All input, however it was served."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, whole.

    Attributes
    ----------
    text
        The words of all text blocks.
    thinking
        The words of thinking blocks, where they are shown; often empty.
    stop_reason, stop_details
        Why it ended, and what a refusal says about itself.
    usage
        What it cost in tokens.
    model
        Who answered, as the service names itself.
    id, request_id
        The service's names for the message and for the request.
    raw
        The message as it came.
    """

    text: str
    thinking: str
    stop_reason: str
    stop_details: Mapping[str, Any] | None
    usage: Usage
    model: str
    id: str
    request_id: str | None
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def is_complete(self) -> bool:
        """Whether the model said all it meant to."""
        return self.stop_reason in {"end_turn", "stop_sequence", "tool_use"}


def parse_response(message: object, request_id: str | None = None) -> Response:
    """Read a message as the API returns it.

    Parameters
    ----------
    message
        The decoded JSON body.
    request_id
        From the reply's headers.

    Raises
    ------
    UnreadableAnswer
        If it is anything but a whole message; ``text`` keeps what could be read.

    Examples
    --------
    >>> parse_response({
    ...     "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5-5",
    ...     "content": [{"type": "text", "text": "A door."}], "stop_reason": "end_turn",
    ...     "usage": {"input_tokens": 1296, "output_tokens": 4}}).text
    'A door.'
    """
    if not isinstance(message, Mapping):
        raise UnreadableAnswer(f"the reply is {_kind(message)}, not a message", cure=_CURE)
    content = message.get("content")
    if message.get("type") != "message" or not isinstance(content, list):
        raise UnreadableAnswer("the reply is no message of the Messages API", cure=_CURE)
    text = _joined(content, "text", "text")
    stop_reason, model = message.get("stop_reason"), message.get("model")
    details = message.get("stop_details")
    if not isinstance(stop_reason, str) or not isinstance(model, str):
        raise UnreadableAnswer(
            "the reply does not say why it ended or who answered", cure=_CURE, text=text
        )
    return Response(
        text=text,
        thinking=_joined(content, "thinking", "thinking"),
        stop_reason=stop_reason,
        stop_details=details if isinstance(details, Mapping) else None,
        usage=_usage(message.get("usage"), text),
        model=model,
        id=str(message.get("id") or ""),
        request_id=request_id,
        raw=message,
    )


def require_usable(response: Response) -> Response:
    """Return the response if it is an answer.

    Raises
    ------
    Truncated
        If it stopped at ``max_tokens`` or at the end of the context.
    Refused
        If the model declined.
    UnreadableAnswer
        If there is not a word in it.
    """
    words, usage = response.text, response.usage
    if response.stop_reason in {"max_tokens", "model_context_window_exceeded"}:
        raise Truncated(
            f"the answer stopped after {usage.output_tokens:,} tokens",
            limit=response.stop_reason,
            cure="raise max_tokens (thinking counts toward it); error.text keeps the words",
            text=words,
            response=response,
        )
    if response.stop_reason == "refusal":
        details = response.stop_details or {}
        reason = ": ".join(
            plain(str(details[key]))[:500]
            for key in ("category", "explanation")
            if details.get(key)
        )
        raise Refused(
            "the model declined to answer" + (f" ({reason})" if reason else ""),
            cure="say what the picture is needed for, or ask differently",
            text=words,
            response=response,
        )
    if not words.strip():
        raise UnreadableAnswer(
            f"the answer has no words (it ended with {plain(response.stop_reason)})",
            cure="ask again, or ask differently",
            response=response,
        )
    return response


class StreamReader:
    """Reads the API's events one by one into a `Response`.

    Unknown events and pings pass. Events in an order that cannot be are an error that keeps
    the words so far.

    Examples
    --------
    >>> reader = StreamReader()
    >>> reader.feed({"type": "ping"})
    ''
    >>> reader.response()
    Traceback (most recent call last):
    nbvision.errors.Interrupted: the stream ended before the answer did
      cure:  ask again; it may have been billed
    """

    def __init__(self) -> None:
        self._message: dict[str, Any] | None = None
        self._blocks: dict[int, dict[str, Any]] = {}
        self._open: int | None = None
        self._is_over = False
        self._text: list[str] = []

    @property
    def text(self) -> str:
        """The words so far."""
        return "".join(self._text)

    def feed(self, event: object) -> str:
        """Take one event; return the new words in it, often none.

        Raises
        ------
        UnreadableAnswer
            If the event cannot stand here.
        BackendError
            If the event is an error of the service's.
        """
        if not isinstance(event, Mapping):
            raise self._broken(f"an event that is {_kind(event)}")
        match event.get("type"):
            case "error":
                raise self._failure(event.get("error"))
            case "message_start":
                self._start(event.get("message"))
            case "content_block_start":
                return self._start_block(event)
            case "content_block_delta":
                return self._extend_block(event)
            case "content_block_stop":
                self._stop_block(event)
            case "message_delta":
                self._update(event)
            case "message_stop":
                self._require(self._message is not None and self._open is None, "an early end")
                self._is_over = True
            case _:
                pass
        return ""

    def response(self, request_id: str | None = None) -> Response:
        """Return the whole answer.

        Raises
        ------
        Interrupted
            If the stream ended before the answer did.
        UnreadableAnswer
            If what came is no message.
        """
        if self._message is None or not self._is_over:
            raise Interrupted(
                "the stream ended before the answer did",
                cure="ask again; it may have been billed",
                text=self.text,
            )
        content = [self._blocks[index] for index in sorted(self._blocks)]
        return parse_response({**self._message, "content": content}, request_id)

    def _start(self, message: object) -> None:
        self._require(self._message is None and isinstance(message, Mapping), "a second beginning")
        self._message = dict(message)  # type: ignore[call-overload]

    def _start_block(self, event: Mapping[str, Any]) -> str:
        index, block = event.get("index"), event.get("content_block")
        is_new = isinstance(index, int) and index not in self._blocks and self._open is None
        self._require(
            self._message is not None
            and not self._is_over
            and is_new
            and isinstance(block, Mapping),
            "a block out of order",
        )
        self._open, self._blocks[index] = index, dict(block)  # type: ignore[index, arg-type]
        first = block.get("text") if block and block.get("type") == "text" else ""
        return self._said(first)

    def _extend_block(self, event: Mapping[str, Any]) -> str:
        index, delta = event.get("index"), event.get("delta")
        self._require(
            self._open is not None and index == self._open and isinstance(delta, Mapping),
            "a piece of no block",
        )
        block = self._blocks[self._open]  # type: ignore[index]
        match delta.get("type"):  # type: ignore[union-attr]
            case "text_delta":
                return self._said(self._append(block, "text", delta))
            case "thinking_delta":
                self._append(block, "thinking", delta)
            case "signature_delta":
                self._append(block, "signature", delta)
            case "input_json_delta":
                self._append(block, "partial_json", delta)
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or []), delta.get("citation")]  # type: ignore[union-attr]
            case _:
                pass
        return ""

    def _append(self, block: dict[str, Any], name: str, delta: Any) -> str:
        piece = delta.get(name)
        self._require(isinstance(piece, str), f"{name} that is {_kind(piece)}")
        block[name] = (block.get(name) or "") + piece
        return str(piece)

    def _said(self, piece: object) -> str:
        if not isinstance(piece, str):
            return ""
        self._text.append(piece)
        return piece

    def _stop_block(self, event: Mapping[str, Any]) -> None:
        self._require(self._open is not None and event.get("index") == self._open, "a wrong stop")
        self._open = None

    def _update(self, event: Mapping[str, Any]) -> None:
        self._require(self._message is not None, "an end before the beginning")
        message: dict[str, Any] = self._message or {}
        delta, usage = event.get("delta"), event.get("usage")
        if isinstance(delta, Mapping):
            message.update(delta)
        if isinstance(usage, Mapping):
            # Counts are cumulative: the last one holds; null means "as before".
            counted = {name: value for name, value in usage.items() if value is not None}
            message["usage"] = {**(message.get("usage") or {}), **counted}

    def _failure(self, error: object) -> BackendError:
        details = error if isinstance(error, Mapping) else {}
        kind = ERROR_TYPES.get(str(details.get("type")), ServiceFailed)
        words = plain(str(details.get("message") or "no reason given"))[:500]
        kept = f"; {len(self.text)} characters had arrived" if self._text else ""
        return kind(
            f"the service broke off: {words}{kept}",
            cure="ask again in a while",
            may_have_been_billed=bool(self._text),
        )

    def _require(self, holds: object, what: str) -> None:
        if not holds:
            raise self._broken(what)

    def _broken(self, what: str) -> UnreadableAnswer:
        return UnreadableAnswer(f"the stream is broken: {what}", cure=_CURE, text=self.text)


def _joined(content: list[Any], kind: str, name: str) -> str:
    return "".join(
        block[name]
        for block in content
        if isinstance(block, Mapping)
        and block.get("type") == kind
        and isinstance(block.get(name), str)
    )


def _usage(usage: object, text: str) -> Usage:
    found = usage if isinstance(usage, Mapping) else {}
    names = (
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
    )
    counts = [found.get(name) for name in names]
    # Caches may be absent or null; the two plain counts may not.
    if any(not _is_count(count) for count in counts[:2]) or any(
        count is not None and not _is_count(count) for count in counts[2:]
    ):
        raise UnreadableAnswer("the reply's token counts cannot be read", cure=_CURE, text=text)
    return Usage(*(int(count or 0) for count in counts))


def _is_count(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and 0 <= value <= _MOST_TOKENS and value == int(value)


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
