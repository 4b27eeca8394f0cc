"""The doors that answer: Messages, token counts and Bedrock's two ways to invoke a model."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from nbvision.practice.doors import BedrockDoor, Door, House
from nbvision.practice.event_frames import chunk_frame
from nbvision.practice.mishaps import Mishap
from nbvision.practice.ordered_faults import rejection_of
from nbvision.practice.pictures import see
from nbvision.practice.places import COUNTING
from nbvision.practice.questions import Question, parse_json, read_question
from nbvision.practice.rejections import Rejected
from nbvision.practice.replies import (
    Reply,
    begin,
    compose,
    delta,
    finish,
    message,
    open_answer,
    pictures_in_question,
    pieces,
    refused,
    truncated,
)

__all__ = ["CountDoor", "InvokeDoor", "InvokeStreamDoor", "MessagesDoor"]

_TICK_SECONDS = 0.025  # several words at once, so that thirty streams leave the loop room
_WORDS_WITHOUT_PACE = 8


class AnsweringDoor(Door):
    """A door behind which a question is read, looked at and answered."""

    is_streaming_door = False

    async def ask(self, model_id: str = "") -> None:
        """Read the question and answer it, or do what the next fault says."""
        if self.is_turned_away:
            await self.finish()
            return
        await self.do(self._answer(model_id))

    async def _answer(self, model_id: str) -> None:
        self.started, cached_at = time.monotonic(), self.house.cache.now()
        fault = self.house.faults.take()
        raw = bytes(self.raw)
        try:
            body = await self.house.run(parse_json, raw)
        except Rejected:
            self.keep(None)
            raise
        self.keep(body)
        self.mishap = Mishap(self, fault)
        rejected = rejection_of(fault)
        if rejected is not None:
            raise rejected
        if await self.mishap.happens_before():
            return
        question = await self.house.run(self.read, body, model_id)
        del raw, body
        cached = self.house.cache.look_up(question.prefixes, cached_at)
        question = replace(question, cached=cached)
        is_streamed = question.is_streamed or self.is_streaming_door
        # Frames are large: thirty students wait with their requests, not with their pixels.
        async with self.house.seats:
            frames = await self._look(question)
            if is_streamed:
                await self._begin_stream(question)
            reply = self._changed(await self.house.run(compose, question, frames))
            del frames
        self.house.cache.keep(question.prefixes, cached_at)
        if is_streamed:
            await self._stream(question, reply)
        else:
            await self._send_whole(question, reply)

    def read(self, body: dict[str, Any], model_id: str) -> Question:
        """Return the question of a body."""
        version = self.request.headers.get("anthropic-version", "")
        return read_question(
            body, self.place, version=version, model_id=model_id, files=self.house.files
        )

    def shaped(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return a whole reply in the shape of this door."""
        return message

    def framed(self, data: bytes) -> bytes:
        """Return the frame of a streamed piece with this payload, where pieces are framed."""
        return chunk_frame(data)

    async def _look(self, question: Question) -> list[Any]:
        """Decode every picture, one at a time: a client that leaves stops what is left."""
        about = {id(picture) for picture in pictures_in_question(question)}
        frames = []
        for picture in question.content.pictures:
            frame = await self.house.run(see, picture, question.model.tier)
            if id(picture) in about:
                frames.append(frame)
        return frames

    def _changed(self, reply: Reply) -> Reply:
        match self.mishap.kind:
            case "refusal":
                return refused(reply)
            case "truncated":
                return truncated(reply)
            case "empty":
                return Reply(None)
            case _:
                return reply

    async def _send_whole(self, question: Question, reply: Reply) -> None:
        body = message(question, reply)
        if await self.mishap.happens_to_whole(body):
            return
        self.write_whole_headers(question, reply)
        self.write_json(self.shaped(body))
        await self.finish()

    def write_whole_headers(self, question: Question, reply: Reply) -> None:
        """Set the headers of a plain reply."""

    async def _begin_stream(self, question: Question) -> None:
        self.set_header("Content-Type", self.stream_type)
        self.set_header("Cache-Control", "no-cache")
        self.name_request()
        await self.mishap.send(begin(question))

    async def _stream(self, question: Question, reply: Reply) -> None:
        await self.mishap.send(open_answer(reply))
        if reply.text is not None:
            await self._send_words(reply.text, reply.text_index)
        if not await self.mishap.happens_now():
            await self.mishap.send(self.last_events(question, reply))
            await self.finish()

    async def _send_words(self, text: str, index: int) -> None:
        """Send the words at the pace that is set, several at a tick."""
        pace = self.house.words_per_second
        at_once = _WORDS_WITHOUT_PACE if pace is None else max(1, round(pace * _TICK_SECONDS))
        parts = pieces(text, at_once)
        due = time.monotonic()
        for number, part in enumerate(parts):
            if number == self.mishap.after_deltas and await self.mishap.happens_now():
                return
            await self.mishap.send(iter([delta(part, index)]))
            if pace is not None:
                due += len(part.split()) / pace
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    stream_type = "text/event-stream; charset=utf-8"

    def encode(self, event: dict[str, Any]) -> bytes:
        """Return an event as it goes over the wire."""
        return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode("ascii")

    def last_events(self, question: Question, reply: Reply) -> Iterator[dict[str, Any]]:
        """Yield the events after the last word."""
        return finish(question, reply)


class MessagesDoor(AnsweringDoor):
    """``POST /v1/messages``, plain or streamed."""

    async def post(self) -> None:
        """Answer."""
        await self.ask()


class CountDoor(Door):
    """``POST /v1/messages/count_tokens``."""

    place = COUNTING

    async def post(self) -> None:
        """Count without decoding any picture."""
        if self.is_turned_away:
            await self.finish()
            return
        await self.do(self._count())

    async def _count(self) -> None:
        body = await self.house.run(parse_json, bytes(self.raw))
        self.keep(body)
        version = self.request.headers.get("anthropic-version", "")
        question = await self.house.run(read_question, body, self.place, version=version)
        self.write_json({"input_tokens": question.input_tokens})
        await self.finish()


class InvokeDoor(BedrockDoor, AnsweringDoor):
    """``POST /model/{id}/invoke``."""

    def initialize(self, house: House) -> None:
        """Start as a door of Bedrock."""
        super().initialize(house)

    async def post(self, model_id: str) -> None:
        """Answer."""
        await self.ask(model_id)

    def write_whole_headers(self, question: Question, reply: Reply) -> None:
        """Set Bedrock's own counts."""
        self.set_header("X-Amzn-Bedrock-Input-Token-Count", str(question.fresh_tokens))
        self.set_header("X-Amzn-Bedrock-Cache-Read-Input-Token-Count", str(question.cached.read))
        self.set_header(
            "X-Amzn-Bedrock-Cache-Write-Input-Token-Count", str(question.cached.written)
        )
        self.set_header("X-Amzn-Bedrock-Output-Token-Count", str(reply.output_tokens))
        self.set_header("X-Amzn-Bedrock-Invocation-Latency", str(self.milliseconds()))

    def milliseconds(self) -> int:
        """Return how long the answer has taken, one at least."""
        return max(1, round((time.monotonic() - self.started) * 1000))


class InvokeStreamDoor(InvokeDoor):
    """``POST /model/{id}/invoke-with-response-stream``."""

    is_streaming_door = True
    stream_type = "application/vnd.amazon.eventstream"

    def name_request(self) -> None:
        """Say what is inside the frames."""
        super().name_request()
        self.set_header("X-Amzn-Bedrock-Content-Type", "application/json")

    def encode(self, event: dict[str, Any]) -> bytes:
        """Return the frame of an event."""
        return chunk_frame(json.dumps(event).encode("ascii"))

    def last_events(self, question: Question, reply: Reply) -> Iterator[dict[str, Any]]:
        """Yield the last events; the very last carries Bedrock's metrics."""
        for event in finish(question, reply):
            if event["type"] == "message_stop":
                latency = self.milliseconds()
                event["amazon-bedrock-invocationMetrics"] = {
                    "inputTokenCount": question.fresh_tokens,
                    "cacheReadInputTokenCount": question.cached.read,
                    "cacheWriteInputTokenCount": question.cached.written,
                    "outputTokenCount": reply.output_tokens,
                    "invocationLatency": latency,
                    "firstByteLatency": max(1, latency // 4),
                }
            yield event
