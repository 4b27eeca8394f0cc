"""The doors of Bedrock's Converse operations, and the one where tokens are counted."""

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

from nbvision.practice.answering import InvokeDoor
from nbvision.practice.blocks import invalid, known_fields
from nbvision.practice.converse_body import CONVERSE, CONVERSE_COUNTING, messages_body
from nbvision.practice.doors import BedrockDoor
from nbvision.practice.event_frames import frame
from nbvision.practice.played_models import is_inference_profile
from nbvision.practice.questions import Question, parse_json, read_question
from nbvision.practice.rejections import Rejected
from nbvision.practice.replies import Reply

__all__ = ["BedrockCountDoor", "ConverseDoor", "ConverseStreamDoor"]

# Converse knows no refusal: what is held back is filtered content there.
_STOP_REASONS = {"refusal": "content_filtered"}
_COUNTS = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "cacheReadInputTokens": "cache_read_input_tokens",
    "cacheWriteInputTokens": "cache_creation_input_tokens",
}


class ConverseDoor(InvokeDoor):
    """``POST /model/{id}/converse``."""

    place = CONVERSE

    def read(self, body: dict[str, Any], model_id: str) -> Question:
        """Return the question of a body in Converse's shape."""
        return read_question(messages_body(body), self.place, model_id=model_id)

    def shaped(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return a message in Converse's shape."""
        content = [_block(block) for block in message["content"]]
        return {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": _stop_reason(message["stop_reason"]),
            "usage": _usage(message["usage"]),
            "metrics": {"latencyMs": self.milliseconds()},
        }

    def write_whole_headers(self, question: Question, reply: Reply) -> None:
        """Set none: the counts are in the body."""


class ConverseStreamDoor(ConverseDoor):
    """``POST /model/{id}/converse-stream``."""

    is_streaming_door = True
    stream_type = "application/vnd.amazon.eventstream"

    def encode(self, event: dict[str, Any]) -> bytes:
        """Return the frames of an event; none for what Converse does not say."""
        match event["type"]:
            case "message_start":
                return _event("messageStart", {"role": "assistant"})
            case "content_block_delta":
                piece = _piece(event["delta"])
                return _event(
                    "contentBlockDelta", {"delta": piece, "contentBlockIndex": event["index"]}
                )
            case "content_block_stop":
                return _event("contentBlockStop", {"contentBlockIndex": event["index"]})
            case "message_delta":
                stop = {"stopReason": _stop_reason(event["delta"]["stop_reason"])}
                counted = {
                    "usage": _usage(event["usage"]),
                    "metrics": {"latencyMs": self.milliseconds()},
                }
                return _event("messageStop", stop) + _event("metadata", counted)
            case _:
                return b""

    def framed(self, data: bytes) -> bytes:
        """Return the frame of a piece of words with this payload."""
        return _frame("contentBlockDelta", data)


class BedrockCountDoor(BedrockDoor):
    """``POST /model/{id}/count-tokens``."""

    place = CONVERSE_COUNTING

    async def post(self, model_id: str) -> None:
        """Count without decoding any picture."""
        if self.is_turned_away:
            await self.finish()
            return
        await self.do(self._count(model_id))

    async def _count(self, model_id: str) -> None:
        body = await self.house.run(parse_json, bytes(self.raw))
        self.keep(body)
        question = await self.house.run(_counted, body, model_id)
        self.write_json({"inputTokens": question.input_tokens})
        await self.finish()


def _counted(body: dict[str, Any], model_id: str) -> Question:
    given = known_fields(known_fields(body, "", {"input"}).get("input"), "input", _UNION)
    if len(given) != 1:
        raise invalid("input", f"exactly one member of a union must be set, found {len(given)}")
    if "converse" in given:
        known = {"messages", "system", "toolConfig", "additionalModelRequestFields"}
        asked = messages_body(known_fields(given["converse"], "input.converse", known))
    else:
        fields = known_fields(given["invokeModel"], "input.invokeModel", {"body"})
        asked = _invoked(fields.get("body"))
    question = read_question(asked, CONVERSE_COUNTING, model_id=model_id)
    if is_inference_profile(model_id) and "global." in model_id and question.model.is_new:
        raise Rejected(400, "The provided model doesn't support counting tokens.")
    return question


def _invoked(data: object) -> dict[str, Any]:
    try:
        raw = base64.b64decode(data if isinstance(data, str) else "?", validate=True)
    except ValueError:
        raise invalid("input.invokeModel.body", "Input should be base64") from None
    return parse_json(raw)


_UNION = {"converse", "invokeModel"}


def _block(block: Mapping[str, Any]) -> dict[str, Any]:
    if block["type"] == "text":
        return {"text": block["text"]}
    thought = {"text": block["thinking"], "signature": block["signature"]}
    return {"reasoningContent": {"reasoningText": thought}}


def _piece(delta: Mapping[str, Any]) -> dict[str, Any]:
    match delta["type"]:
        case "text_delta":
            return {"text": delta["text"]}
        case "thinking_delta":
            return {"reasoningContent": {"text": delta["thinking"]}}
        case _:
            return {"reasoningContent": {"signature": delta["signature"]}}


def _stop_reason(reason: str) -> str:
    return _STOP_REASONS.get(reason, reason)


def _usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    counts = {theirs: usage.get(ours, 0) for theirs, ours in _COUNTS.items()}
    total = sum(counts.values())
    return counts | {"totalTokens": total if math.isfinite(total) else 0}


def _event(name: str, payload: Mapping[str, Any]) -> bytes:
    return _frame(name, json.dumps(payload).encode("ascii"))


def _frame(name: str, payload: bytes) -> bytes:
    headers = {
        ":event-type": name,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return frame(headers, payload)
