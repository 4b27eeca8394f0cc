"""What Converse says becomes what the Messages API says: every shape, right and wrong."""

from collections.abc import Mapping
from typing import Any

import pytest
from converse_wire import MODEL, THOUGHT
from wire import CONVERSE_EVENTS, CONVERSE_MESSAGE, CONVERSE_USAGE

from nbvision.backends.converse_reply import message_events, message_of
from nbvision.errors import (
    AnswerError,
    Refused,
    Truncated,
    UnreadableAnswer,
)
from nbvision.response import parse_response, require_usable
from nbvision.stream_reader import StreamReader


def replied(*blocks: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        **CONVERSE_MESSAGE,
        "output": {"message": {"role": "assistant", "content": [*blocks]}},
        **more,
    }


def streamed(*pieces: tuple[str, dict[str, Any]]) -> Any:
    reader = StreamReader()
    for found in message_events([{name: member} for name, member in pieces], MODEL, "req"):
        reader.feed(found)
    return reader.response("req")


def test_thoughts_tools_and_words_are_kept_apart_both_ways() -> None:
    tool = {"toolUseId": "t1", "name": "look", "input": {"a": 1}}
    kept = parse_response(
        message_of(
            replied(
                {"reasoningContent": THOUGHT},
                {"reasoningContent": {"redactedContent": b"\x00"}},
                {"text": "A door."},
                {"toolUse": tool},
                {"citationsContent": {}},
                stopReason="tool_use",
                usage={**CONVERSE_USAGE, "cacheReadInputTokens": 3, "cacheWriteInputTokens": 2},
            ),
            MODEL,
        )
    )

    def piece(at: int, **delta: Any) -> tuple[str, dict[str, Any]]:
        return "contentBlockDelta", {"delta": delta, "contentBlockIndex": at}

    def stop(at: int) -> tuple[str, dict[str, Any]]:
        return "contentBlockStop", {"contentBlockIndex": at}

    begun = {"toolUse": {"toolUseId": "t1", "name": "look"}}
    live = streamed(
        CONVERSE_EVENTS[0],
        piece(0, reasoningContent={"text": "Hm."}),
        piece(0, reasoningContent={"signature": "c2ln"}),
        stop(0),
        piece(1, reasoningContent={"redactedContent": b"\x00"}),
        stop(1),
        piece(2, text="A "),
        piece(2, text="door."),
        stop(2),
        ("contentBlockStart", {"start": begun, "contentBlockIndex": 3}),
        piece(3, toolUse={"input": '{"a":'}),
        piece(3, toolUse={"input": " 1}"}),
        stop(3),
        ("messageStop", {"stopReason": "tool_use"}),
        (
            "metadata",
            {"usage": {**CONVERSE_USAGE, "cacheReadInputTokens": 3, "cacheWriteInputTokens": 2}},
        ),
    )
    for response in (kept, live):
        assert (response.text, response.thinking) == ("A door.", "Hm.")
        assert response.stop_reason == "tool_use"
        assert response.usage.total_input_tokens == 12 + 3 + 2
        kinds = [block["type"] for block in response.raw["content"]][:4]
        assert kinds == ["thinking", "redacted_thinking", "text", "tool_use"]
        assert response.raw["content"][3]["input"] == {"a": 1}


@pytest.mark.parametrize("reason", ["guardrail_intervened", "content_filtered"])
def test_what_is_held_back_is_a_refusal_that_says_by_whom(reason: str) -> None:
    pieces = [*CONVERSE_EVENTS[:4], ("messageStop", {"stopReason": reason}), CONVERSE_EVENTS[5]]
    answers = [
        streamed(*pieces),
        parse_response(message_of(replied({"text": "Sorry."}, stopReason=reason), MODEL)),
    ]
    for response in answers:
        assert response.stop_reason == reason
        with pytest.raises(Refused, match=r"guardrail|filter"):
            require_usable(response)


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_broken_output_is_no_answer_and_keeps_the_words(reason: str) -> None:
    pieces = [*CONVERSE_EVENTS[:4], ("messageStop", {"stopReason": reason}), CONVERSE_EVENTS[5]]
    whole = message_of(replied({"text": "A red door."}, stopReason=reason), MODEL)
    for response in (streamed(*pieces), parse_response(whole)):
        assert response.usage.input_tokens == 12  # it is billed, and counted
        with pytest.raises(UnreadableAnswer) as caught:
            require_usable(response)
        assert caught.value.text == "A red door."


def test_max_tokens_is_truncated() -> None:
    message = message_of(replied({"text": "A red"}, stopReason="max_tokens"), MODEL)
    with pytest.raises(Truncated) as caught:
        require_usable(parse_response(message))
    assert caught.value.text == "A red"


def test_behind_a_router_the_reply_says_who_answered() -> None:
    trace = {"promptRouter": {"invokedModelId": "us.anthropic.claude-haiku-4-5"}}
    assert message_of(replied({"text": "a"}, trace=trace), MODEL)["model"] == (
        "us.anthropic.claude-haiku-4-5"
    )


HOSTILE: list[object] = [None, 7.5, "words", [], {}, {"text": None}, {"reasoningContent": 7}]
HOSTILE += [{"reasoningContent": {}}, {"reasoningContent": {"reasoningText": {}}}, {"toolUse": []}]


@pytest.mark.parametrize("value", HOSTILE)
def test_wrong_types_anywhere_are_one_error(value: object) -> None:
    replies: list[object] = [
        value,
        {**CONVERSE_MESSAGE, "output": value},
        {**CONVERSE_MESSAGE, "usage": value},
    ]
    replies += [
        {**CONVERSE_MESSAGE, "output": {"message": value}},
        {**CONVERSE_MESSAGE, "stopReason": value or None},
    ]
    replies += [
        replied(value),
        {**CONVERSE_MESSAGE, "usage": {**CONVERSE_USAGE, "inputTokens": value}},
    ]  # type: ignore[arg-type]
    for reply in replies:
        if isinstance(reply, dict) and reply.get("stopReason") == "words":
            continue  # a reason that is not known yet passes
        with pytest.raises(AnswerError):
            parse_response(message_of(reply, MODEL))
    for number in range(1, len(CONVERSE_EVENTS)):
        name, member = CONVERSE_EVENTS[number]
        for key in set(member) - {"metrics"}:
            if (key, value) == ("stopReason", "words"):
                continue
            spoiled = [
                *CONVERSE_EVENTS[:number],
                (name, {**member, key: value}),
                *CONVERSE_EVENTS[number + 1 :],
            ]
            with pytest.raises(AnswerError):
                streamed(*spoiled)
