"""Replies are believed only when they are whole, and a stream equals its message."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbvision.errors import (
    BackendError,
    Interrupted,
    NbvisionError,
    Overloaded,
    Refused,
    Truncated,
    UnreadableAnswer,
)
from nbvision.response import (
    ERROR_TYPES,
    Response,
    StreamReader,
    parse_response,
    require_usable,
)


def message(*blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "content": list(blocks),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
        **more,
    }


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def events_of(whole: dict[str, Any], cut: int) -> list[dict[str, Any]]:
    """The stream that a service would send for a message, in pieces of ``cut`` characters."""
    start = copy.deepcopy(whole)
    start |= {"content": [], "stop_reason": None, "usage": whole["usage"] | {"output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(whole["content"]):
        name = {"text": "text", "thinking": "thinking"}[block["type"]]
        empty = {"type": block["type"], name: ""}
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        for at in range(0, len(block[name]), cut):
            delta = {"type": f"{name}_delta", name: block[name][at : at + cut]}
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    counted = {"output_tokens": whole["usage"]["output_tokens"]}
    events.append({"type": "message_delta", "delta": delta, "usage": counted})
    events.append({"type": "message_stop"})
    return events


def read(events: list[dict[str, Any]]) -> Response:
    reader = StreamReader()
    for event in events:
        reader.feed(event)
    return reader.response()


blocks = st.lists(
    st.one_of(
        st.builds(text, st.text(min_size=1, max_size=40)),
        st.builds(lambda w: {"type": "thinking", "thinking": w}, st.text(min_size=1, max_size=20)),
    ),
    max_size=4,
)


@given(content=blocks, cut=st.integers(1, 9), tokens=st.integers(0, 10**6))
def test_a_stream_reads_like_its_message(
    content: list[dict[str, Any]], cut: int, tokens: int
) -> None:
    whole = message(*content, usage={"input_tokens": tokens, "output_tokens": tokens})
    streamed, plain = read(events_of(whole, cut)), parse_response(whole)
    assert (streamed.text, streamed.thinking, streamed.usage, streamed.stop_reason) == (
        plain.text,
        plain.thinking,
        plain.usage,
        plain.stop_reason,
    )


def test_blocks_are_read_by_type_not_by_place() -> None:
    whole = message({"type": "thinking", "thinking": "hm"}, {"type": "new_kind"}, text("A door."))
    response = parse_response(whole)
    assert (response.text, response.thinking) == ("A door.", "hm")
    assert response.raw is whole


BROKEN: list[Any] = [
    None,
    "",
    "<html>",
    [],
    {},
    42,
    {"type": "error", "error": {"type": "overloaded_error"}},
    message() | {"content": None},
    message() | {"content": {"type": "text"}},
    message(stop_reason=None),
    message(model=None),
    message(usage=None),
    message(usage={}),
    message(usage={"input_tokens": float("nan"), "output_tokens": 1}),
    message(usage={"input_tokens": True, "output_tokens": 1}),
    message(usage={"input_tokens": -1, "output_tokens": 1}),
    message(usage={"input_tokens": "9", "output_tokens": 1}),
    message(usage={"input_tokens": 10**13, "output_tokens": 1}),
    message(usage={"input_tokens": 1, "output_tokens": 1, "cache_read_input_tokens": "many"}),
]


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_reply_is_never_a_success(broken: Any) -> None:
    with pytest.raises(UnreadableAnswer):
        parse_response(broken)


def test_a_broken_reply_keeps_its_words() -> None:
    with pytest.raises(UnreadableAnswer) as caught:
        parse_response(message(text("A door."), usage=None))
    assert caught.value.text == "A door."


GOOD = events_of(message(text("one two three")), 4)


@pytest.mark.parametrize("kept", range(len(GOOD)))
def test_a_stream_that_ends_early_is_interrupted_and_keeps_its_words(kept: int) -> None:
    reader = StreamReader()
    for event in GOOD[:kept]:
        reader.feed(event)
    with pytest.raises(Interrupted) as caught:
        reader.response()
    assert "one two three".startswith(caught.value.text)
    assert caught.value.text == reader.text


@given(st.permutations(GOOD), st.integers(0, len(GOOD)))
def test_events_in_any_order_are_right_or_refused(events: list[dict[str, Any]], kept: int) -> None:
    try:
        response = read(events[:kept])
    except (UnreadableAnswer, Interrupted):
        return
    assert response.text in {"one two three", ""} or len(response.text) < 14


def test_text_after_the_end_is_refused() -> None:
    with pytest.raises(UnreadableAnswer):
        read([*GOOD, GOOD[2]])


def test_unknown_events_and_pings_pass() -> None:
    strange = [{"type": "new_event"}, {"type": "ping"}, {}]
    assert read([*strange, *GOOD, *strange]).text == "one two three"


@pytest.mark.parametrize("event", [None, "x", [], 3, {"type": "content_block_delta"}])
def test_a_strange_event_is_refused(event: Any) -> None:
    with pytest.raises(UnreadableAnswer):
        StreamReader().feed(event)


@pytest.mark.parametrize("kind", ERROR_TYPES)
def test_an_error_in_the_stream_is_that_error(kind: str) -> None:
    with pytest.raises(ERROR_TYPES[kind], match="words"):
        StreamReader().feed({"type": "error", "error": {"type": kind, "message": "words"}})


@pytest.mark.parametrize("error", [None, "x", {}, {"type": "new_error"}])
def test_an_error_without_a_name_is_an_error_all_the_same(error: Any) -> None:
    with pytest.raises(BackendError):
        StreamReader().feed({"type": "error", "error": error})


def test_an_error_after_words_may_have_been_billed() -> None:
    reader = StreamReader()
    for event in GOOD[:4]:
        reader.feed(event)
    with pytest.raises(Overloaded) as caught:
        reader.feed({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}})
    assert caught.value.may_have_been_billed


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded"])
def test_a_cut_answer_is_truncated_and_keeps_its_words(reason: str) -> None:
    with pytest.raises(Truncated) as caught:
        require_usable(parse_response(message(text("half an"), stop_reason=reason)))
    assert caught.value.text == "half an"


def test_a_refusal_says_why() -> None:
    details = {"category": "bio", "explanation": "Not this."}
    with pytest.raises(Refused, match="bio: Not this"):
        require_usable(parse_response(message(stop_reason="refusal", stop_details=details)))


def test_an_answer_without_a_word_is_none() -> None:
    with pytest.raises(UnreadableAnswer, match="no words"):
        require_usable(parse_response(message()))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["type", "message", "content", "delta", "index", "usage", "error"]),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_whatever_comes_is_an_error_of_ours(value: Any) -> None:
    for action in (lambda: parse_response(value), lambda: StreamReader().feed(value)):
        try:
            action()
        except NbvisionError as error:
            assert error.value  # noqa: PT017 - any other exception fails the test
