"""The API's events, one by one, become a `Response`: their order is checked too."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from nbvision.errors import (
    AccessDenied,
    BackendError,
    Interrupted,
    ModelNotFound,
    RequestRejected,
    ServiceFailed,
    SpendLimitReached,
    UnreadableAnswer,
)
from nbvision.markup import plain
from nbvision.response import ERROR_TYPES, NO_MESSAGE_CURE, Response, kind_of, parse_response

__all__ = ["StreamReader"]

_PIECES: Mapping[str, tuple[str, str]] = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("thinking", "signature"),
}
"""The type of block that a piece extends, and the field it extends there."""
_WORDY = {"text", "thinking"}
_FIXED = {"type", "role", "content", "usage", "id", "model"}
_FINAL = {AccessDenied, ModelNotFound, RequestRejected, SpendLimitReached}


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

    @property
    def is_thinking(self) -> bool:
        """Whether what comes now is thinking."""
        return self._is_open and self._blocks[-1]["type"] == "thinking"

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
            raise self._broken(f"an event that is {kind_of(event)}")
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
            raise self._broken(f"{name} that is {kind_of(piece)}")
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
        return UnreadableAnswer(
            f"the stream is broken: {what}", cure=NO_MESSAGE_CURE, text=self.text
        )
