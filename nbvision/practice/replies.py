"""A question becomes a reply: pictures are looked at, words bounded, events put in order."""

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
    "pictures_in_question",
    "pieces",
    "refused",
    "truncated",
]

_TOKEN = re.compile(r"\s*\S{1,4}|\s+")
_MOST_FRAMES = 20
_FEWEST_DELTAS = 4


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with what ended it.

    Attributes
    ----------
    text
        The words; None for an answer without any content block.
    stop_reason, stop_sequence, stop_details
        As in the Messages API.
    """

    text: str | None
    stop_reason: str = "end_turn"
    stop_sequence: str | None = None
    stop_details: Mapping[str, object] | None = None

    @property
    def output_tokens(self) -> int:
        """How many tokens the words are; one at least."""
        return max(1, len(_TOKEN.findall(self.text or "")))


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


def compose(question: Question, frames: Sequence["np.ndarray"]) -> Reply:
    """Return the reply to a question about these frames."""
    prompt = question.content.prompt
    if question.schema is not None:
        return _bounded(json.dumps(_value(question.schema, frames, prompt)), question)
    from nbvision.practice.answers import answer
    from nbvision.practice.structured import fill, schema_in_words

    schema = schema_in_words(prompt)
    if schema is not None:
        return _bounded(json.dumps(fill(schema, frames, prompt)), question)
    labels = [picture.label for picture in pictures_in_question(question)]
    return _bounded(answer(list(frames), prompt, question.system, labels), question)


def message(question: Question, reply: Reply) -> dict[str, Any]:
    """Return a whole reply as the Messages API sends it."""
    content = [] if reply.text is None else [{"type": "text", "text": reply.text}]
    return {
        "id": f"msg_practice_{secrets.token_hex(10)}",
        "type": "message",
        "role": "assistant",
        "model": question.model.id,
        "content": content,
        "stop_reason": reply.stop_reason,
        "stop_sequence": reply.stop_sequence,
        "stop_details": reply.stop_details,
        "usage": _usage(question.input_tokens, reply.output_tokens),
    }


def begin(question: Question, *, is_empty: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the events before the first word."""
    start = message(question, Reply(None)) | {"stop_reason": None}
    start["usage"] = _usage(question.input_tokens, 1)
    yield {"type": "message_start", "message": start}
    if not is_empty:
        block = {"type": "text", "text": ""}
        yield {"type": "content_block_start", "index": 0, "content_block": block}
    yield {"type": "ping"}


def delta(text: str) -> dict[str, Any]:
    """Return the event of some words."""
    return {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": text},
    }


def finish(question: Question, reply: Reply) -> Iterator[dict[str, Any]]:
    """Yield the events after the last word."""
    if reply.text is not None:
        yield {"type": "content_block_stop", "index": 0}
    yield {
        "type": "message_delta",
        "delta": {
            "stop_reason": reply.stop_reason,
            "stop_sequence": reply.stop_sequence,
            "stop_details": reply.stop_details,
        },
        "usage": {
            "input_tokens": question.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": reply.output_tokens,
            "output_tokens_details": {"thinking_tokens": 0},
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
    return Reply("".join(tokens[: len(tokens) // 2]), "max_tokens")


def _usage(input_tokens: int, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"thinking_tokens": 0},
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


def _bounded(text: str, question: Question) -> Reply:
    """Cut a text at the first stop sequence and at max_tokens, whichever comes first."""
    stops = [(text.find(stop), stop) for stop in question.stop_sequences if stop in text]
    reply = Reply(text)
    if stops:
        at, stop = min(stops)
        reply = Reply(text[:at], "stop_sequence", stop)
    tokens = _TOKEN.findall(reply.text or "")
    if len(tokens) > question.max_tokens:
        return Reply("".join(tokens[: question.max_tokens]), "max_tokens")
    return reply
