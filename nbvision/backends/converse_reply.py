"""What Converse answers becomes the Messages API's own dict, or its events.

boto3 turns a reply that is cut, an HTML page and a broken piece of a stream into a success
that lacks members. So every member that Bedrock promises is asked for here.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from nbvision.errors import UnreadableAnswer

__all__ = ["message_events", "message_of"]

_CURE = "ask again; it may have been billed"
_COUNTS = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "cacheReadInputTokens": "cache_read_input_tokens",
    "cacheWriteInputTokens": "cache_creation_input_tokens",
}
Event = dict[str, Any]


def message_of(reply: object, model_id: str) -> dict[str, Any]:
    """Return what `Converse` answered as a message of the Messages API.

    Parameters
    ----------
    reply
        As boto3 returns it.
    model_id
        Who was asked: a reply does not say who answered, except behind a router.

    Raises
    ------
    UnreadableAnswer
        If a promised member is missing; ``text`` keeps what could be read.

    Examples
    --------
    >>> message_of({
    ...     "output": {"message": {"role": "assistant", "content": [{"text": "A door."}]}},
    ...     "stopReason": "end_turn", "usage": {"inputTokens": 9, "outputTokens": 4}}, "id"
    ... )["content"]
    [{'type': 'text', 'text': 'A door.'}]
    """
    whole = _mapping(reply, "a reply")
    found = _mapping(_mapping(whole.get("output"), "an output").get("message"), "a message")
    content = found.get("content")
    if not isinstance(content, list):
        raise _broken("no content")
    blocks = [_block(_mapping(block, "a block")) for block in content]
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    stop_reason = _stopped(whole.get("stopReason"), text)
    return {
        "id": _name_of(whole),
        "type": "message",
        "role": found.get("role"),
        "model": _who(whole, model_id),
        "content": blocks,
        "stop_reason": stop_reason,
        "stop_details": None,
        "usage": _usage(whole.get("usage"), text),
    }


def message_events(
    events: Iterable[object], model_id: str, request_id: str | None = None
) -> Iterator[Event]:
    """Yield what `ConverseStream` sends as the Messages API's own events.

    Blocks of words come without a beginning there; here each has one. The last event comes
    only when the tokens have been counted, so that a stream cut before is no whole answer.

    Parameters
    ----------
    events
        As boto3 yields them.
    model_id, request_id
        Who was asked, and the service's name for the request.

    Raises
    ------
    UnreadableAnswer
        If a promised member is missing, or the model's output was broken.
    """
    reading = _Reading(model_id, request_id)
    for event in events:
        for name, member in _mapping(event, "an event").items():
            yield from reading.take(name, _mapping(member, name))


class _Reading:
    """One walk through a stream: which block is open, and why the answer ended."""

    def __init__(self, model_id: str, request_id: str | None) -> None:
        self._model_id, self._request_id = model_id, request_id
        self._count = 0  # of blocks begun
        self._open: int | None = None  # the service's number of the open one
        self._last = -1
        self._text: list[str] = []
        self._delta: dict[str, Any] | None = None
        self._steps: Mapping[str, Callable[[Mapping[str, Any]], Iterator[Event]]] = {
            "messageStart": self._start,
            "contentBlockStart": self._start_block,
            "contentBlockDelta": self._extend_block,
            "contentBlockStop": self._stop_block,
            "messageStop": self._stop,
            "metadata": self._end,
        }

    def take(self, name: str, member: Mapping[str, Any]) -> Iterator[Event]:
        step = self._steps.get(name)
        return step(member) if step is not None else iter(())

    def _start(self, member: Mapping[str, Any]) -> Iterator[Event]:
        message: Event = {
            "id": self._request_id or "",
            "type": "message",
            "role": member.get("role"),
            "model": self._model_id,
            "content": [],
            "stop_reason": None,
            "usage": {},
        }
        yield {"type": "message_start", "message": message}

    def _start_block(self, member: Mapping[str, Any]) -> Iterator[Event]:
        start = _mapping(member.get("start"), "a block's start")
        if "toolUse" in start:
            tool = _mapping(start["toolUse"], "a tool's use")
            block = {"type": "tool_use", "id": tool.get("toolUseId"), "name": tool.get("name")}
        else:
            block = {"type": _kind_of(start)}
        yield self._begin(member, block)

    def _extend_block(self, member: Mapping[str, Any]) -> Iterator[Event]:
        block, delta = self._piece(_mapping(member.get("delta"), "a piece"))
        if self._open is None:
            yield self._begin(member, block)
        if delta is not None:
            yield {
                "type": "content_block_delta",
                "index": self._index(member),
                "delta": delta,
            }

    def _piece(self, delta: Mapping[str, Any]) -> tuple[Event, Event | None]:
        """Return the block that a piece begins if none is open, and the piece."""
        if "text" in delta:
            text = _words(delta["text"], "a piece")
            self._text.append(text)
            return {"type": "text", "text": ""}, {"type": "text_delta", "text": text}
        if "reasoningContent" in delta:
            return _thought(_mapping(delta["reasoningContent"], "a thought"))
        if "toolUse" in delta:
            tool = _mapping(delta["toolUse"], "a tool's input")
            piece = _words(tool.get("input"), "a tool's input")
            return {"type": "tool_use"}, {"type": "input_json_delta", "partial_json": piece}
        if not delta:
            raise self._broken("a piece without content")
        return {"type": _kind_of(delta)}, None

    def _stop_block(self, member: Mapping[str, Any]) -> Iterator[Event]:
        index = self._index(member)
        self._open = None
        yield {"type": "content_block_stop", "index": index}

    def _stop(self, member: Mapping[str, Any]) -> Iterator[Event]:
        reason = _stopped(member.get("stopReason"), "".join(self._text))
        self._delta = {"stop_reason": reason, "stop_details": None}
        return iter(())

    def _end(self, member: Mapping[str, Any]) -> Iterator[Event]:
        text = "".join(self._text)
        if self._delta is None:
            raise self._broken("tokens are counted before the end")
        usage = _usage(member.get("usage"), text)
        yield {"type": "message_delta", "delta": self._delta, "usage": usage}
        yield {"type": "message_stop"}

    def _begin(self, member: Mapping[str, Any], block: Event) -> Event:
        number = _number(member)
        if self._open is not None or number <= self._last:
            raise self._broken("a block out of order")
        self._open = self._last = number
        self._count += 1
        return {
            "type": "content_block_start",
            "index": self._count - 1,
            "content_block": block,
        }

    def _index(self, member: Mapping[str, Any]) -> int:
        """Return the open block's place; refuse what belongs to another."""
        if self._open is None or _number(member) != self._open:
            raise self._broken("a piece of no block")
        return self._count - 1

    def _broken(self, what: str) -> UnreadableAnswer:
        return _broken(what, "".join(self._text))


def _block(block: Mapping[str, Any]) -> Event:
    if "text" in block:
        return {"type": "text", "text": _words(block["text"], "a text")}
    if "reasoningContent" in block:
        thought = _mapping(block["reasoningContent"], "a thought")
        if "redactedContent" in thought:
            return _thought(thought)[0]
        told = _mapping(thought.get("reasoningText"), "a thought's words")
        words = _words(told.get("text"), "a thought's words")
        return {"type": "thinking", "thinking": words, "signature": told.get("signature") or ""}
    if "toolUse" in block:
        tool = _mapping(block["toolUse"], "a tool's use")
        named = {"id": tool.get("toolUseId"), "name": tool.get("name")}
        return {"type": "tool_use", **named, "input": tool.get("input")}
    if not block:
        raise _broken("a block without content")
    return {"type": _kind_of(block)}


def _thought(piece: Mapping[str, Any]) -> tuple[Event, Event | None]:
    begun = {"type": "thinking", "thinking": "", "signature": ""}
    if "text" in piece:
        text = _words(piece["text"], "a thought")
        return begun, {"type": "thinking_delta", "thinking": text}
    if "signature" in piece:
        signature = _words(piece["signature"], "a signature")
        return begun, {"type": "signature_delta", "signature": signature}
    data = piece.get("redactedContent")
    if not isinstance(data, bytes):
        raise _broken("a thought without content")
    return {"type": "redacted_thinking", "data": base64.b64encode(data).decode()}, None


def _stopped(reason: object, text: str) -> str:
    """Return why an answer ended; what Bedrock's own reasons mean is said in `response`."""
    if not isinstance(reason, str) or not reason:
        raise _broken("no reason why it ended", text)
    return reason


def _usage(usage: object, text: str) -> dict[str, Any]:
    counts = usage if isinstance(usage, Mapping) else {}
    if not all(name in counts for name in ("inputTokens", "outputTokens")):
        raise _broken("no count of tokens", text)
    return {ours: counts[theirs] for theirs, ours in _COUNTS.items() if theirs in counts}


def _who(reply: Mapping[str, Any], model_id: str) -> str:
    place: object = reply
    for name in ("trace", "promptRouter", "invokedModelId"):
        place = place.get(name) if isinstance(place, Mapping) else None
    return place if isinstance(place, str) and place else model_id


def _name_of(reply: Mapping[str, Any]) -> str:
    metadata = reply.get("ResponseMetadata")
    found = metadata.get("RequestId") if isinstance(metadata, Mapping) else None
    return found if isinstance(found, str) else ""


def _number(member: Mapping[str, Any]) -> int:
    number = member.get("contentBlockIndex")
    if type(number) is not int:
        raise _broken("a piece that names no block")
    return number


def _kind_of(member: Mapping[str, Any]) -> str:
    """Return the name of what is not read here, as a block's type that nobody shows."""
    return f"converse_{next(iter(member), 'unknown')}"


def _words(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise _broken(f"{what} that is a {type(value).__name__}")
    return value


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _broken(f"{what} is missing")
    return value


def _broken(what: str, text: str = "") -> UnreadableAnswer:
    return UnreadableAnswer(f"Bedrock's reply is broken: {what}", cure=_CURE, text=text)
