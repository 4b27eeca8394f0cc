"""A question becomes a reply: pictures are looked at, words bounded, events put in order."""

import base64
import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nbvision.practice.dialect import smallest_value
from nbvision.practice.pictures import Picture
from nbvision.practice.questions import Question

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "Reply",
    "begin",
    "compose",
    "delta",
    "finish",
    "message",
    "open_answer",
    "pictures_in_question",
    "pieces",
    "refused",
    "truncated",
]

_TOKEN = re.compile(r"\s*\S{1,4}|\s+")
_MOST_FRAMES = 20
_FEWEST_DELTAS = 4
_THOUGHTS_AT_ONCE = 8  # words of thinking in one event


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with what ended it.

    Attributes
    ----------
    text
        The words; None for an answer without any of them.
    thinking
        What was measured before; None where thinking was not asked for.
    shows_thinking
        Whether it is shown; otherwise only its signature is.
    stop_reason, stop_sequence, stop_details
        As in the Messages API.
    """

    text: str | None
    stop_reason: str = "end_turn"
    stop_sequence: str | None = None
    stop_details: Mapping[str, object] | None = None
    thinking: str | None = None
    shows_thinking: bool = False

    @property
    def thinking_tokens(self) -> int:
        """How many tokens the thinking is, shown or not."""
        return len(_TOKEN.findall(self.thinking or ""))

    @property
    def output_tokens(self) -> int:
        """How many tokens the words are, with the thinking; one at least."""
        return max(1, self.thinking_tokens + len(_TOKEN.findall(self.text or "")))

    @property
    def text_index(self) -> int:
        """Which content block holds the words."""
        return 0 if self.thinking is None else 1

    def content(self) -> list[dict[str, Any]]:
        """Return the content blocks."""
        blocks: list[dict[str, Any]] = []
        if self.thinking is not None:
            shown = self.thinking if self.shows_thinking else ""
            blocks.append({"type": "thinking", "thinking": shown, "signature": _signature()})
        if self.text is not None:
            blocks.append({"type": "text", "text": self.text})
        return blocks


def pictures_in_question(question: Question) -> list[Picture]:
    """Return the pictures that the answer is about, at most twenty.

    Those that the words name, and with earlier ones those that came with the words; if none is
    named, those of the last message with pictures.
    """
    pictures, content = question.content.pictures, question.content
    if not pictures:
        return []
    prompt = content.prompt.lower()
    asked = max((turn for turn, _ in content.texts), default=0)
    own = [picture for picture in pictures if picture.turn == asked]
    named = [picture for picture in pictures if _is_named(picture.label.lower(), prompt)]
    if not named:
        found = [picture for picture in pictures if picture.turn == pictures[-1].turn]
    elif all(picture.turn != asked for picture in named):
        found = [*named, *own]
    else:
        found = named
    return found[:_MOST_FRAMES]


def _is_named(label: str, prompt: str) -> bool:
    """Whether a label stands in the words, and not as the beginning of another: 2 in 21."""
    return bool(label) and re.search(rf"{re.escape(label)}(?!\w)", prompt) is not None


def _names(prompt: str, label: str) -> bool:
    return bool(label) and re.search(rf"\b{re.escape(label.lower())}(?!\w)", prompt) is not None


def compose(question: Question, frames: Sequence["np.ndarray"]) -> Reply:
    """Return the reply to a question about these frames."""
    words = _words(question, frames)
    if question.thinking is None:
        return _bounded(words, question)
    from nbvision.practice.thinking import thoughts

    is_shown = question.thinking == "summarized"
    tokens = _TOKEN.findall(thoughts(frames, question.content.prompt))
    thought = "".join(tokens[: question.max_tokens])
    if len(tokens) >= question.max_tokens:  # thinking counts toward it
        return Reply(None, "max_tokens", thinking=thought, shows_thinking=is_shown)
    reply = _bounded(words, question, len(tokens))
    return replace(reply, thinking=thought, shows_thinking=is_shown)


def _words(question: Question, frames: Sequence["np.ndarray"]) -> str:
    prompt = question.content.prompt
    if question.schema is not None:
        return json.dumps(_value(question.schema, frames, prompt))
    from nbvision.practice.answers import answer
    from nbvision.practice.structured import fill, schema_in_words

    schema = schema_in_words(prompt)
    if schema is not None:
        return json.dumps(fill(schema, frames, prompt))
    labels = [picture.label for picture in pictures_in_question(question)]
    return answer(list(frames), prompt, question.system, labels)


def message(question: Question, reply: Reply) -> dict[str, Any]:
    """Return a whole reply as the Messages API sends it."""
    return {
        "id": f"msg_practice_{secrets.token_hex(10)}",
        "type": "message",
        "role": "assistant",
        "model": question.model.id,
        "content": reply.content(),
        "stop_reason": reply.stop_reason,
        "stop_sequence": reply.stop_sequence,
        "stop_details": reply.stop_details,
        "usage": _usage(question, reply.output_tokens, reply.thinking_tokens),
    }


def begin(question: Question) -> Iterator[dict[str, Any]]:
    """Yield the events before anything is known of the answer."""
    start = message(question, Reply(None)) | {"stop_reason": None}
    start["usage"] = _usage(question, 1)
    yield {"type": "message_start", "message": start}
    yield {"type": "ping"}


def open_answer(reply: Reply) -> Iterator[dict[str, Any]]:
    """Yield the events before the first word: the thinking, and the beginning of the text."""
    for index, block in enumerate(reply.content()):
        empty = {name: value if name == "type" else "" for name, value in block.items()}
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        if block["type"] == "thinking":
            for thought in pieces(block["thinking"], _THOUGHTS_AT_ONCE):
                yield _delta(index, "thinking_delta", thinking=thought)
            yield _delta(index, "signature_delta", signature=block["signature"])
            yield {"type": "content_block_stop", "index": index}


def delta(text: str, index: int = 0) -> dict[str, Any]:
    """Return the event of some words."""
    return _delta(index, "text_delta", text=text)


def _delta(index: int, kind: str, **piece: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **piece}}


def finish(question: Question, reply: Reply) -> Iterator[dict[str, Any]]:
    """Yield the events after the last word."""
    if reply.text is not None:
        yield {"type": "content_block_stop", "index": reply.text_index}
    yield {
        "type": "message_delta",
        "delta": {
            "stop_reason": reply.stop_reason,
            "stop_sequence": reply.stop_sequence,
            "stop_details": reply.stop_details,
        },
        "usage": {
            "input_tokens": question.fresh_tokens,
            "cache_creation_input_tokens": question.cached.written,
            "cache_read_input_tokens": question.cached.read,
            "output_tokens": reply.output_tokens,
            "output_tokens_details": {"thinking_tokens": reply.thinking_tokens},
        },
    }
    yield {"type": "message_stop"}


def pieces(text: str, words_at_once: int) -> list[str]:
    """Return the text in pieces of so many words, or fewer so that there are several.

    >>> pieces("one two three four five", 8)
    ['one', ' two', ' three', ' four', ' five']
    """
    words = re.findall(r"\s*\S+|\s+", text)
    step = max(1, min(words_at_once, len(words) // _FEWEST_DELTAS))
    return ["".join(words[at : at + step]) for at in range(0, len(words), step)]


def refused(reply: Reply) -> Reply:
    """Return the reply of a model that declines after its first words."""
    return replace(
        reply,
        text="".join(pieces(reply.text or "", 3)[:1]),
        stop_reason="refusal",
        stop_details={
            "type": "refusal",
            "category": None,
            "explanation": "The practice server was told to decline this one.",
        },
    )


def truncated(reply: Reply) -> Reply:
    """Return the reply as if max_tokens had ended it half way."""
    tokens = _TOKEN.findall(reply.text or "")
    return replace(reply, text="".join(tokens[: len(tokens) // 2]), stop_reason="max_tokens")


def _signature() -> str:
    """Return what stands where a service signs its thinking; it is random and means nothing."""
    return base64.b64encode(b"practice" + secrets.token_bytes(24)).decode("ascii")


def _usage(question: Question, output_tokens: int, thinking_tokens: int = 0) -> dict[str, Any]:
    cached = question.cached
    return {
        "input_tokens": question.fresh_tokens,
        "cache_creation_input_tokens": cached.written,
        "cache_read_input_tokens": cached.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": cached.written_5m,
            "ephemeral_1h_input_tokens": cached.written_1h,
        },
        "output_tokens": output_tokens,
        "output_tokens_details": {"thinking_tokens": thinking_tokens},
        "service_tier": "standard",
    }


def _value(schema: Mapping[str, Any], frames: Sequence["np.ndarray"], prompt: str) -> Any:
    """Return a value of the schema: what was seen if that follows it, else the smallest."""
    from jsonschema import Draft202012Validator

    from nbvision.practice.structured import fill

    try:
        seen = fill(schema, frames, prompt)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        # Filling is a courtesy for plain schemas; following the schema is the promise.
        return smallest_value(schema)
    follows = Draft202012Validator(schema).is_valid(seen)
    return seen if follows else smallest_value(schema)


def _bounded(text: str, question: Question, spent: int = 0) -> Reply:
    """Cut a text at the first stop sequence and at max_tokens, whichever comes first."""
    stops = [(text.find(stop), stop) for stop in question.stop_sequences if stop in text]
    reply = Reply(text)
    if stops:
        at, stop = min(stops)
        reply = Reply(text[:at], "stop_sequence", stop)
    tokens = _TOKEN.findall(reply.text or "")
    left = question.max_tokens - spent
    if len(tokens) > left:
        return Reply("".join(tokens[:left]), "max_tokens")
    return reply
