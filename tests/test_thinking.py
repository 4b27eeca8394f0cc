"""Thinking is asked for in words of the API, shown apart from the answer, and never mixed in."""

import html
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from anthropic import Anthropic, BadRequestError
from other_server import other_server

import nbvision as nv
from nbvision.backends import Backend
from nbvision.errors import RequestError, Truncated
from nbvision.practice import PracticeServer

SHAPES = nv.samples.shapes
OLD = ["claude-opus-4-6", "claude-haiku-4-5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"]
DOORS = ["anthropic", "bedrock"]


@pytest.fixture(scope="module")
def server() -> Iterator[PracticeServer]:
    with PracticeServer() as running:
        yield running


@pytest.fixture(scope="module")
def practice() -> Backend:
    return nv.connect("practice", words_per_second=None)


@pytest.fixture(params=DOORS)
def backend(request: pytest.FixtureRequest, server: PracticeServer) -> Iterator[Backend]:
    """Both doors through the real clients."""
    if request.param == "anthropic":
        made = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key=server.token
        )
    else:
        made = nv.connect(
            "bedrock", region="us-east-1", endpoint_url=server.url, api_key=server.token
        )
    yield made
    made.close()


def test_thinking_is_shown_apart_from_the_words(backend: Backend) -> None:
    said: list[str] = []
    reply = nv.describe(SHAPES, thinking="summarized", backend=backend, on_text=said.append)
    assert "".join(said) == reply.text
    assert "red circle" in reply.thinking
    assert reply.thinking not in reply.text
    assert 0 < reply.usage.thinking_tokens < reply.usage.output_tokens
    first, second = reply.raw["content"]
    assert (first["type"], second["type"]) == ("thinking", "text")
    assert first["signature"]


def test_a_plain_answer_is_read_like_a_streamed_one(backend: Backend) -> None:
    request = nv.build_request(SHAPES, thinking="summarized", backend=backend)
    answer = backend.send(request)
    whole = nv.describe(SHAPES, thinking="summarized", backend=backend)
    assert answer.message["content"][0]["thinking"] == whole.thinking


def test_without_asking_the_field_does_not_travel(practice: Backend) -> None:
    reply = nv.describe(SHAPES, backend=practice)
    assert "thinking" not in reply.request.body()
    assert (reply.thinking, reply.usage.thinking_tokens) == ("", 0)


ASKED: list[Callable[..., Any]] = [
    lambda **how: nv.describe(SHAPES, **how),
    lambda **how: nv.compare([SHAPES, nv.samples.photo], **how),
    lambda **how: nv.locate(SHAPES, "every shape", **how).reply,
    lambda **how: nv.ask(SHAPES, "How many circles?", **how),
]


@pytest.mark.parametrize("call", ASKED, ids=["describe", "compare", "locate", "ask"])
def test_every_call_can_ask_for_it(practice: Backend, call: Callable[..., Any]) -> None:
    reply = call(thinking="summarized", backend=practice)
    assert reply.request.body()["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert reply.thinking.startswith("Image 1 has")


@pytest.mark.parametrize("model", OLD)
def test_models_that_would_refuse_are_not_asked(model: str) -> None:
    with other_server(lambda _: "words") as place:
        # Nobody there minds how an id is spelled.
        backend = nv.connect("anthropic", model=model, base_url=place.url, api_key="none")
        with pytest.raises(RequestError, match=r"4\.7 on"):
            nv.describe(SHAPES, thinking="summarized", backend=backend)
        assert place.arrived == []


@pytest.mark.parametrize("model", OLD)
def test_those_models_do_refuse(server: PracticeServer, model: str) -> None:
    with (
        Anthropic(base_url=server.url, api_key=server.token, max_retries=0) as client,
        pytest.raises(BadRequestError, match="adaptive"),
    ):
        client.messages.create(
            model=model.removeprefix("us.anthropic."),
            max_tokens=50,
            messages=[{"role": "user", "content": "What is this?"}],
            thinking={"type": "adaptive"},
        )


def test_an_id_that_tells_no_generation_is_left_to_the_service() -> None:
    request = nv.build_request(SHAPES, thinking="summarized", model="my-own-deployment")
    assert request.thinking == "summarized"


@pytest.mark.parametrize("value", ["omitted", "adaptive", "", True, 2000, {"type": "adaptive"}, []])
def test_another_value_is_refused_with_the_right_one(practice: Backend, value: Any) -> None:
    with pytest.raises(RequestError, match='"summarized"'):
        nv.describe(SHAPES, thinking=value, backend=practice)


def test_thinking_that_uses_up_the_tokens_leaves_no_words(practice: Backend) -> None:
    with pytest.raises(Truncated, match="thinking counts") as caught:
        nv.describe(SHAPES, thinking="summarized", max_tokens=10, backend=practice)
    response: Any = caught.value.response
    assert response.usage.output_tokens == response.usage.thinking_tokens == 10
    assert response.thinking


def test_thinking_leaves_the_words_less_room(practice: Backend) -> None:
    whole = nv.describe(SHAPES, thinking="summarized", backend=practice)
    room = whole.usage.thinking_tokens + 5
    with pytest.raises(Truncated) as caught:
        nv.describe(SHAPES, thinking="summarized", max_tokens=room, backend=practice)
    assert 0 < len(caught.value.text) < len(whole.text)


@pytest.mark.parametrize("display", [None, "omitted"])
def test_thinking_that_is_not_shown_is_only_signed(
    server: PracticeServer, display: str | None
) -> None:
    asked: Any = {"type": "adaptive"} | ({"display": display} if display else {})
    with Anthropic(base_url=server.url, api_key=server.token, max_retries=0) as client:
        message = client.messages.create(
            model="claude-opus-5-5",
            max_tokens=500,
            messages=[{"role": "user", "content": "What is this?"}],
            thinking=asked,
        )
    block = message.content[0]
    assert block.type == "thinking"
    assert (block.thinking, bool(block.signature)) == ("", True)


def test_the_practice_server_refuses_another_display(server: PracticeServer) -> None:
    asked: Any = {"type": "adaptive", "display": "full"}
    with (
        Anthropic(base_url=server.url, api_key=server.token, max_retries=0) as client,
        pytest.raises(BadRequestError, match=r"thinking\.display"),
    ):
        client.messages.create(
            model="claude-opus-5-5",
            max_tokens=50,
            messages=[{"role": "user", "content": "What is this?"}],
            thinking=asked,
        )


def test_what_is_shown_is_folded_away_and_escaped(practice: Backend) -> None:
    reply = nv.describe(SHAPES, thinking="summarized", backend=practice)
    thought = "<script>alert(1)</script>\x1b[31m"
    shown = replace(reply, response=replace(reply.response, thinking=thought))._repr_mimebundle_()
    assert "<details><summary><small>thinking" in shown["text/html"]
    assert "<script>" not in shown["text/html"]
    assert "\x1b" not in shown["text/plain"] + shown["text/html"]
    assert shown["text/plain"].startswith("(thinking) ")


def test_an_answer_without_thinking_shows_no_fold(practice: Backend) -> None:
    shown = nv.describe(SHAPES, backend=practice)._repr_mimebundle_()
    assert "thinking" not in shown["text/html"] + shown["text/plain"]


@pytest.mark.parametrize("reason", ["stop_sequence", "pause_turn", "tool_use", "a <b> new one"])
def test_an_end_that_is_not_the_plain_one_is_said(practice: Backend, reason: str) -> None:
    plain_end = nv.describe(SHAPES, backend=practice)
    other = replace(plain_end, response=replace(plain_end.response, stop_reason=reason))
    assert plain_end.stop_in_words not in plain_end._repr_mimebundle_()["text/html"]
    shown = other._repr_mimebundle_()
    assert other.stop_in_words in shown["text/plain"]
    assert html.escape(other.stop_in_words) in shown["text/html"]
    assert "<b>" not in shown["text/html"]
