"""Replies are believed only when they are whole, and a stream equals its message."""

import copy
import json
import time
from typing import Any, get_args

import botocore.loaders
import pytest
from anthropic.types import StopReason
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
    Citation,
    Response,
    parse_response,
    require_usable,
)
from nbvision.stream_reader import StreamReader


def converse_stop_reasons() -> list[str]:
    """Every end that Bedrock's Converse documents, by its client's own model of the service."""
    model = botocore.loaders.Loader().load_service_model("bedrock-runtime", "service-2")
    return list(model["shapes"]["StopReason"]["enum"])


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


PIECES = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "signature": ("signature_delta", "signature"),
}


def taken_apart(block: dict[str, Any], cut: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it begins, and the deltas that make it whole."""
    empty, deltas = dict(block), []
    for field, (kind, name) in PIECES.items():
        if field in block:
            empty[field], words = "", block[field]
            deltas += [{"type": kind, name: words[i : i + cut]} for i in range(0, len(words), cut)]
    if "input" in block:
        empty["input"], words = {}, json.dumps(block["input"])
        deltas += [
            {"type": "input_json_delta", "partial_json": words[i : i + cut]}
            for i in range(0, len(words), cut)
        ]
    if "citations" in block:
        empty["citations"] = []
        deltas += [{"type": "citations_delta", "citation": each} for each in block["citations"]]
    return empty, deltas


def events_of(whole: dict[str, Any], cut: int) -> list[dict[str, Any]]:
    """The stream that a service would send for a message, in pieces of ``cut`` characters."""
    start = copy.deepcopy(whole)
    start |= {"content": [], "stop_reason": None, "usage": whole["usage"] | {"output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(whole["content"]):
        empty, deltas = taken_apart(block, cut)
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events += [{"type": "content_block_delta", "index": index, "delta": d} for d in deltas]
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


words = st.text(max_size=30)
blocks = st.lists(
    st.one_of(
        st.builds(text, words),
        st.builds(
            lambda said, cited: text(said) | {"citations": cited},
            words,
            st.lists(st.fixed_dictionaries({"cited_text": words}), min_size=1, max_size=3),
        ),
        st.builds(lambda w, s: {"type": "thinking", "thinking": w, "signature": s}, words, words),
        st.builds(lambda data: {"type": "redacted_thinking", "data": data}, words),
        st.builds(lambda given: {"type": "tool_use", "name": "n", "input": {"a": given}}, words),
        st.builds(lambda data: {"type": "new_kind", "data": data}, words),
    ),
    max_size=4,
)


@given(content=blocks, cut=st.integers(1, 9), tokens=st.integers(0, 10**6))
def test_a_stream_reads_like_its_message(
    content: list[dict[str, Any]], cut: int, tokens: int
) -> None:
    counted = {"input_tokens": tokens, "output_tokens": tokens, "cache_read_input_tokens": 7}
    whole = message(*content, usage=counted)
    events = events_of(whole, cut)
    before = copy.deepcopy(events)
    assert read(events) == parse_response(whole)
    assert events == before


def test_half_a_million_words_are_read_in_no_time() -> None:
    events = events_of(message(text("abcdef" * 400_000)), 6)
    started = time.process_time()
    assert len(read(events).text) == 2_400_000
    assert time.process_time() - started < 6  # 11 s where each piece copies the words before it


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
    message(usage={"input_tokens": 10**400, "output_tokens": 1}),
    message(usage={"input_tokens": float("inf"), "output_tokens": 1}),
    message(usage={"input_tokens": 1.5, "output_tokens": 1}),
    message(stop_reason=""),
    message(role="user"),
    message(id={}),
    message(None),  # type: ignore[arg-type] - broken on purpose
    message({}),
    message({"type": "text"}),
    message({"type": "text", "text": None}),
    message({"type": "thinking", "thinking": 5}),
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


def start(index: Any = 0, kind: str = "text", **more: Any) -> dict[str, Any]:
    block = {"type": kind, **more}
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(kind: str, index: Any = 0, **more: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **more}}


BEGUN, END = GOOD[0], GOOD[-2:]
WORDS = delta("text_delta", text="a")
STOP = {"type": "content_block_stop", "index": 0}
DISORDER: dict[str, list[dict[str, Any]]] = {
    "no beginning": [start(text="a")],
    "two beginnings": [BEGUN, BEGUN],
    "a beginning with words": [BEGUN | {"message": message(text("a"))}],
    "a block left out": [BEGUN, start(text="a"), STOP, start(2, text="b")],
    "a block twice": [BEGUN, start(text="a"), STOP, start(text="a")],
    "a block within a block": [BEGUN, start(text="a"), start(1, text="b")],
    "a block after the end": [BEGUN, END[0], start(text="a")],
    "a block with a word for a number": [BEGUN, start("0", text="a")],
    "a block whose type is a list": [BEGUN, start() | {"content_block": {"type": []}}, WORDS],
    "a block with no number": [BEGUN, start(False, text="a")],
    "a piece for another block": [BEGUN, start(text=""), delta("text_delta", 1, text="a")],
    "text within thinking": [BEGUN, start(kind="thinking", thinking=""), WORDS],
    "thinking within text": [BEGUN, start(text=""), delta("thinking_delta", thinking="a")],
    "text that is a number": [BEGUN, start(text=5), WORDS],
    "a piece that is a number": [BEGUN, start(text=""), delta("text_delta", text=5)],
    "a stop twice": [BEGUN, start(text="a"), STOP, STOP],
    "an end within a block": [BEGUN, start(text="a"), END[0]],
    "the last word within a block": [BEGUN, start(text="a"), END[1]],
    "an end after the end": [*GOOD, END[0]],
    "the last word twice": [*GOOD, END[1]],
    "usage that is a number": [BEGUN | {"message": message(usage=5)}, *END],
    "no reason for the end": [BEGUN, start(text="a"), STOP, END[1]],
    "no words in a block": [BEGUN, start(), STOP, *END],
}


@pytest.mark.parametrize("name", DISORDER)
def test_events_out_of_order_are_refused_and_the_words_kept(name: str) -> None:
    reader = StreamReader()
    with pytest.raises(UnreadableAnswer) as caught:  # noqa: PT012 - the reading is one act
        for event in DISORDER[name]:
            reader.feed(event)
        reader.response()
    assert caught.value.text == reader.text


def test_a_tool_input_that_is_cut_short_does_not_hide_that_the_answer_is() -> None:
    cut = delta("input_json_delta", partial_json='{"a": ')
    end = {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}
    response = read([BEGUN, start(kind="tool_use", input={}), cut, STOP, end, END[1]])
    with pytest.raises(Truncated):
        require_usable(response)


def test_pieces_of_a_block_yet_unknown_are_kept_and_not_shown() -> None:
    response = read([BEGUN, start(kind="new_kind"), WORDS, delta("new_delta"), STOP, *END])
    assert response.text == ""
    assert response.raw["content"] == [{"type": "new_kind", "text": "a"}]


def test_null_at_the_end_means_as_before() -> None:
    late = {
        "type": "message_delta",
        "delta": {"stop_reason": None},
        "usage": {"input_tokens": None},
    }
    response = read([*GOOD[:-1], late, END[1]])
    assert (response.stop_reason, response.usage.input_tokens) == ("end_turn", 10)


def test_unknown_events_and_pings_pass() -> None:
    strange = [{"type": "new_event"}, {"type": "ping"}, {}]
    assert read([*strange, *GOOD, *strange]).text == "one two three"


@pytest.mark.parametrize(
    "event", [None, "x", [], 3, {"type": "content_block_delta"}, {"type": None}, {"index": 0}]
)
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


def test_an_error_names_the_request_and_says_whether_to_repeat_it() -> None:
    event = {"type": "error", "error": {"type": "billing_error"}, "request_id": "req_1"}
    with pytest.raises(BackendError, match="cannot help") as caught:
        StreamReader().feed(event)
    assert caught.value.request_id == "req_1"
    assert not caught.value.may_have_been_billed


@pytest.mark.parametrize("reason", ["end_turn", "stop_sequence", "tool_use", "pause_turn", "new"])
def test_any_other_end_is_usable(reason: str) -> None:
    response = parse_response(message(text("A door."), stop_reason=reason))
    assert require_usable(response) is response


@pytest.mark.parametrize(
    ("reason", "cure"),
    [("max_tokens", "raise max_tokens"), ("model_context_window_exceeded", "fewer or smaller")],
)
def test_a_cut_answer_is_truncated_and_keeps_its_words(reason: str, cure: str) -> None:
    with pytest.raises(Truncated, match=cure) as caught:
        require_usable(parse_response(message(text("half an"), stop_reason=reason)))
    assert caught.value.text == "half an"


def test_a_refusal_says_why() -> None:
    details = {"category": "bio", "explanation": "Not this."}
    with pytest.raises(Refused, match="bio, harm to living things: Not this"):
        require_usable(parse_response(message(stop_reason="refusal", stop_details=details)))


@pytest.mark.parametrize("details", [None, [], {}, {"category": 5, "explanation": []}])
def test_a_refusal_without_reasons_is_one_all_the_same(details: Any) -> None:
    with pytest.raises(Refused, match=r"declined to answer$|declined to answer\n") as caught:
        require_usable(parse_response(message(stop_reason="refusal", stop_details=details)))
    assert isinstance(caught.value.response, Response)


@pytest.mark.parametrize("reason", ["guardrail_intervened", "content_filtered"])
def test_what_a_filter_leaves_is_not_the_models_answer(reason: str) -> None:
    with pytest.raises(Refused, match="stopped the answer") as caught:
        require_usable(parse_response(message(text("Sorry."), stop_reason=reason)))
    assert caught.value.text == "Sorry."


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_what_the_service_could_not_read_keeps_its_words(reason: str) -> None:
    with pytest.raises(UnreadableAnswer, match="could not read") as caught:
        require_usable(parse_response(message(text("half"), stop_reason=reason)))
    assert caught.value.text == "half"


def test_every_documented_end_has_its_sentence() -> None:
    documented = {*get_args(StopReason), *converse_stop_reasons()}
    said = {r: parse_response(message(stop_reason=r)).stop_in_words for r in documented}
    assert len(documented) == 11
    assert all("not known here" not in sentence for sentence in said.values())
    assert len(set(said.values())) == len(said)


def test_an_end_that_is_not_known_says_so() -> None:
    sentence = parse_response(message(stop_reason="new\x1b[31m_end" * 20)).stop_in_words
    assert "not known here" in sentence
    assert "\x1b" not in sentence
    assert len(sentence) < 160


PAGE = {
    "type": "page_location",
    "cited_text": "Doors are red.",
    "document_index": 1,
    "document_title": "Doors",
    "start_page_number": 3,
    "end_page_number": 4,
}
WEB = {"type": "web_search_result_location", "cited_text": "Red.", "url": "https://d.example"}
RESULT = {
    "type": "search_result_location",
    "cited_text": "A door.",
    "search_result_index": 0,
    "source": "https://e.example",
    "title": None,
    "start_block_index": 0,
    "end_block_index": 2,
}


@pytest.mark.parametrize("how", ["plain", "streamed"])
def test_citations_are_kept_in_the_order_of_the_text(how: str) -> None:
    whole = message(
        text("Red") | {"citations": [PAGE]}, text(" doors") | {"citations": [WEB, RESULT]}
    )
    response = read(events_of(whole, 3)) if how == "streamed" else parse_response(whole)
    assert response.citations == (
        Citation("Doors are red.", "Doors", document=1, start=3, end=4, unit="pages"),
        Citation("Red.", url="https://d.example"),
        Citation("A door.", "", "https://e.example", document=0, start=0, end=2, unit="blocks"),
    )
    assert response.raw["content"][0]["citations"] == [PAGE]


junk = st.none() | st.integers() | st.text(max_size=3) | st.just([]) | st.just({}) | st.floats()


@given(
    st.lists(
        st.dictionaries(st.sampled_from([*PAGE, *RESULT, "url", "start_char_index"]), junk) | junk
    )
)
def test_strange_citations_never_cost_the_words(given_citations: list[Any]) -> None:
    whole = message(text("A door.") | {"citations": given_citations})
    for response in (parse_response(whole), read(events_of(whole, 3))):
        assert response.text == "A door."
        assert all(isinstance(citation.quote, str) for citation in response.citations)


@pytest.mark.parametrize("details", [None, 5, [], {"thinking_tokens": "many"}, {}])
def test_thinking_tokens_that_are_not_told_are_none(details: Any) -> None:
    counted = {"input_tokens": 1, "output_tokens": 9, "output_tokens_details": details}
    assert parse_response(message(text("a"), usage=counted)).usage.thinking_tokens == 0


def test_thinking_tokens_are_part_of_the_output() -> None:
    counted = {"input_tokens": 1, "output_tokens": 9} | {
        "output_tokens_details": {"thinking_tokens": 7}
    }
    usage = parse_response(message(text("a"), usage=counted)).usage
    assert (usage.output_tokens, usage.thinking_tokens) == (9, 7)


def test_thinking_that_is_withheld_leaves_the_answer_whole() -> None:
    signed = {"type": "thinking", "thinking": "", "signature": "c2ln"}
    hidden = {"type": "redacted_thinking", "data": "b64"}
    whole = message(signed, hidden, text("A door."))
    for response in (parse_response(whole), read(events_of(whole, 3))):
        assert (response.text, response.thinking) == ("A door.", "")
        assert response.raw["content"][:2] == [signed, hidden]


def test_thinking_is_told_apart_from_the_words_as_they_stream() -> None:
    whole = message(
        {"type": "thinking", "thinking": "Is it a door?", "signature": "c2ln"},
        {"type": "thinking", "thinking": "It is.", "signature": "c2ln"},
        text("A door."),
    )
    reader = StreamReader()
    said = "".join(reader.feed(event) for event in events_of(whole, 4))
    assert said == reader.text == "A door."
    assert reader.response().thinking == "Is it a door?\n\nIt is."


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


RICH = events_of(
    message(
        {"type": "thinking", "thinking": "Is it?", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "b64"},
        text("one two three") | {"citations": [PAGE]},
    ),
    4,
)


@given(st.data())
def test_a_rich_stream_damaged_loses_no_word_that_came(data: Any) -> None:
    events = copy.deepcopy(RICH)
    event = data.draw(st.sampled_from(events))
    inner = [event, *(value for value in event.values() if isinstance(value, dict))]
    place = data.draw(st.sampled_from(inner))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(junk)
    reader, came = StreamReader(), ""
    try:
        for each in events:
            came += reader.feed(each)
        assert reader.response().text == came
    except (UnreadableAnswer, Interrupted) as error:
        assert error.text == came  # noqa: PT017 - any other exception fails the test
    except BackendError as error:
        assert error.value  # noqa: PT017 - the same
    assert reader.text == came


@given(st.data())
def test_a_stream_with_one_event_damaged_is_an_answer_or_an_error_of_ours(data: Any) -> None:
    events = copy.deepcopy(GOOD)
    event = data.draw(st.sampled_from(events))
    inner = [event, *(value for value in event.values() if isinstance(value, dict))]
    place = data.draw(st.sampled_from(inner))
    junk = st.none() | st.integers() | st.just([]) | st.just({})
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(junk)
    try:
        assert read(events).text in "one two three"
    except NbvisionError as error:
        assert error.value  # noqa: PT017 - any other exception fails the test
