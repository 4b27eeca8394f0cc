"""The API's own dict, or its events, become a `Response`: checked before it is believed.

Both SDKs hand on some broken replies as success: HTML with status 200, an empty body, ``null``.
So every shape is checked here, and what does not have it is an `UnreadableAnswer` that keeps
whatever words there were.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
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

_TRUNCATED: Mapping[str, str] = {
    "max_tokens": "raise max_tokens (thinking counts toward it)",
    "model_context_window_exceeded": "send fewer or smaller pictures, or shorter words",
}
_PIECES: Mapping[str, tuple[str, str]] = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("thinking", "signature"),
}
"""The type of block that a piece extends, and the field it extends there."""
_WORDY = {"text", "thinking"}
_FIXED = {"type", "role", "content", "usage", "id", "model"}
_FINAL = {AccessDenied, ModelNotFound, RequestRejected, SpendLimitReached}
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
    text = _joined(content, "text")
    stop_reason, model = message.get("stop_reason"), message.get("model")
    details, name = message.get("stop_details"), message.get("id")
    if message.get("role") != "assistant" or not isinstance(name, str | None):
        raise UnreadableAnswer("the reply is no assistant's message", cure=_CURE, text=text)
    if not all(isinstance(value, str) and value for value in (stop_reason, model)):
        words = "the reply does not say why it ended or who answered"
        raise UnreadableAnswer(words, cure=_CURE, text=text)
    if not all(_is_whole(block) for block in content):
        raise UnreadableAnswer("a part of the reply cannot be read", cure=_CURE, text=text)
    return Response(
        text=text,
        thinking=_joined(content, "thinking"),
        stop_reason=str(stop_reason),
        stop_details=details if isinstance(details, Mapping) else None,
        usage=_usage(message.get("usage"), text),
        model=str(model),
        id=name or "",
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
    text, usage = response.text, response.usage
    if cure := _TRUNCATED.get(response.stop_reason):
        raise Truncated(
            f"the answer stopped after {usage.output_tokens:,} tokens",
            limit=response.stop_reason,
            cure=f"{cure}; error.text keeps the words",
            text=text,
            response=response,
        )
    if response.stop_reason == "refusal":
        details = response.stop_details or {}
        reason = ": ".join(
            plain(words, limit=500)
            for words in (details.get("category"), details.get("explanation"))
            if isinstance(words, str) and words
        )
        raise Refused(
            "the model declined to answer" + (f" ({reason})" if reason else ""),
            cure="say what the picture is needed for, or ask differently",
            text=text,
            response=response,
        )
    if not text.strip():
        raise UnreadableAnswer(
            f"the answer has no words (it ended with {plain(response.stop_reason, limit=80)})",
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
        self._blocks: list[dict[str, Any]] = []  # the last one may be open
        self._pieces: dict[str, list[str]] = {}  # of the open block, by field
        self._citations: list[Any] = []
        self._is_open = False
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
        match self._type_of(event) if event else "ping":
            case "error":
                raise self._failure(event)
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
                self._place()
                self._is_over = True
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
        return parse_response({**self._message, "content": self._blocks}, request_id)

    def _start(self, message: object) -> None:
        is_first = self._message is None
        if not is_first or not isinstance(message, Mapping) or message.get("content"):
            raise self._broken("a beginning that is none")
        self._message = dict(message)

    def _place(self) -> dict[str, Any]:
        """Return the message begun, where something new may follow: between its blocks."""
        if self._message is None or self._is_open or self._is_over:
            raise self._broken("an event out of order")
        return self._message

    def _start_block(self, event: Mapping[str, Any]) -> str:
        index, block = event.get("index"), event.get("content_block")
        has_ended = self._place().get("stop_reason") is not None
        is_next = not isinstance(index, bool) and index == len(self._blocks)
        if has_ended or not is_next or not isinstance(block, Mapping):
            raise self._broken("a block out of order")
        self._is_open, self._pieces, self._citations = True, {}, []
        self._blocks.append(dict(block))
        return self._said(block.get("text")) if self._type_of(block) == "text" else ""

    def _extend_block(self, event: Mapping[str, Any]) -> str:
        delta = event.get("delta")
        if not self._is_the_open_one(event) or not isinstance(delta, Mapping):
            raise self._broken("a piece of no block")
        block, kind = self._blocks[-1], self._type_of(delta)
        if kind == "input_json_delta":
            self._append("partial_json", delta)
        elif kind == "citations_delta":
            self._citations.append(delta.get("citation"))
        elif kind in _PIECES:
            of, name = _PIECES[kind]
            # A block of a type yet unknown may be made of known pieces; it is not shown.
            if block["type"] != of and block["type"] in _WORDY:
                raise self._broken(f"a {of} piece in another block")
            piece = self._append(name, delta)
            return self._said(piece) if block["type"] == name == "text" else ""
        return ""

    def _append(self, name: str, delta: Mapping[str, Any]) -> str:
        piece, begun = delta.get(name), self._blocks[-1].get(name)
        if not isinstance(piece, str) or not isinstance(begun, str | None):
            raise self._broken(f"{name} that is {_kind(piece)}")
        self._pieces.setdefault(name, [begun or ""]).append(piece)
        return piece

    def _said(self, piece: object) -> str:
        if not isinstance(piece, str):
            return ""
        self._text.append(piece)
        return piece

    def _type_of(self, part: Mapping[str, Any]) -> str:
        if not isinstance(part.get("type"), str):
            raise self._broken("a part without a type")
        return str(part["type"])

    def _is_the_open_one(self, event: Mapping[str, Any]) -> bool:
        index = event.get("index")
        return self._is_open and not isinstance(index, bool) and index == len(self._blocks) - 1

    def _stop_block(self, event: Mapping[str, Any]) -> None:
        if not self._is_the_open_one(event):
            raise self._broken("a wrong stop")
        self._is_open, block = False, self._blocks[-1]
        if self._citations:
            before = block.get("citations")
            block["citations"] = [*(before if isinstance(before, list) else []), *self._citations]
        block.update({name: "".join(pieces) for name, pieces in self._pieces.items()})
        with suppress(ValueError, RecursionError):  # a tool's input cut short stays as it came
            if "partial_json" in block:
                block["input"] = json.loads(block["partial_json"])
                del block["partial_json"]

    def _update(self, event: Mapping[str, Any]) -> None:
        delta, usage = event.get("delta"), event.get("usage")
        message = self._place()
        # Fields and counts are cumulative: the last one holds; null means "as before".
        for name, value in delta.items() if isinstance(delta, Mapping) else ():
            if name not in _FIXED and (value is not None or name not in message):
                message[name] = value
        if isinstance(usage, Mapping) and isinstance(before := message.get("usage") or {}, Mapping):
            counted = {name: value for name, value in usage.items() if value is not None}
            message["usage"] = {**before, **counted}

    def _failure(self, event: Mapping[str, Any]) -> BackendError:
        error, request_id = event.get("error"), event.get("request_id")
        details = error if isinstance(error, Mapping) else {}
        kind, message = details.get("type"), details.get("message")
        failure = ERROR_TYPES.get(kind, ServiceFailed) if isinstance(kind, str) else ServiceFailed
        words = plain(message, limit=500) if isinstance(message, str) else ""
        kept = f"; {len(self.text)} characters had arrived" if self._text else ""
        return failure(
            f"the service broke off: {words or 'no reason given'}{kept}",
            cure="repeating it cannot help" if failure in _FINAL else "ask again in a while",
            request_id=request_id if isinstance(request_id, str) else None,
            may_have_been_billed=self._message is not None,
        )

    def _broken(self, what: str) -> UnreadableAnswer:
        return UnreadableAnswer(f"the stream is broken: {what}", cure=_CURE, text=self.text)


def _joined(content: list[Any], kind: str) -> str:
    return "".join(
        block[kind]
        for block in content
        if isinstance(block, Mapping)
        and block.get("type") == kind
        and isinstance(block.get(kind), str)
    )


def _is_whole(block: object) -> bool:
    """Whether a block has a type and its words; those of thinking may be withheld."""
    if not isinstance(block, Mapping) or not isinstance(block.get("type"), str):
        return False
    of, words = block["type"], block.get(block["type"])
    return isinstance(words, str) or of not in _WORDY or (of == "thinking" and words is None)


def _usage(usage: object, text: str) -> Usage:
    found = usage if isinstance(usage, Mapping) else {}
    plain_counts = [found.get(name) for name in ("input_tokens", "output_tokens")]
    # Caches may be absent or null; the two plain counts may not.
    caches = [found.get(f"cache_{name}_input_tokens") for name in ("read", "creation")]
    counts = [*plain_counts, *(0 if count is None else count for count in caches)]
    if not all(_is_count(count) for count in counts):
        raise UnreadableAnswer("the reply's token counts cannot be read", cure=_CURE, text=text)
    return Usage(*(int(count or 0) for count in counts))


def _is_count(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # The bounds come first: they hold off what is not finite or too long for a float.
    return 0 <= value <= _MOST_TOKENS and value == int(value)


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
