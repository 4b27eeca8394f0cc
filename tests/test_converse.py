"""Converse and CountTokens through real boto3, against the practice server."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from converse_wire import (
    asked,
    assert_valid,
    door,
    request_of,
)
from doors import request_for

import nbvision as nv
from nbvision.backends.bedrock import BedrockBackend
from nbvision.backends.converse import ConverseBackend, converse_call
from nbvision.errors import (
    LimitExceeded,
    RequestError,
    UnreadableAnswer,
)
from nbvision.practice import PracticeServer
from nbvision.referenced import RemoteImage
from nbvision.request import RequestMessage
from nbvision.response import parse_response


@pytest.fixture(scope="module")
def server() -> Iterator[PracticeServer]:
    with PracticeServer(words_per_second=None) as running:
        yield running


@pytest.fixture
def backend(server: PracticeServer) -> Iterator[ConverseBackend]:
    server.faults.clear()
    backend = door(server.url, model="practice-high", api_key=server.token)
    yield backend
    backend.close()


@pytest.mark.parametrize("operation", ["Converse", "ConverseStream"])
def test_every_call_has_the_shape_of_the_service_model(operation: str) -> None:
    plain = request_of(nv.samples.shapes, nv.samples.photo, system="Be brief.", effort="low")
    said = RequestMessage("assistant", ("A door.",))
    later = replace(
        plain,
        messages=(*plain.messages, said, RequestMessage("user", ("And now?",))),
        cached_until=frozenset({(-1, 0), (0, 1)}),
        schema={"type": "object"},
        platform=replace(plain.platform, structured_outputs=True),
    )
    for request in (plain, later):
        assert_valid(operation, converse_call(request))
    call = converse_call(later)
    kinds = [next(iter(block)) for block in call["messages"][0]["content"]]
    assert kinds == ["text", "image", "cachePoint", "text", "image", "text"]
    assert call["system"] == [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}]
    assert call["outputConfig"]["effort"] == "low"
    text_format = call["outputConfig"]["textFormat"]
    assert json.loads(text_format["structure"]["jsonSchema"]["schema"]) == {"type": "object"}


def test_pictures_travel_as_the_bytes_that_were_prepared(
    backend: ConverseBackend, server: PracticeServer
) -> None:
    reply = nv.describe(nv.samples.photo, backend=backend)
    body = server.requests[-1].body
    assert body is not None
    block = body["messages"][0]["content"][0]["image"]
    image = reply.request.images[0]
    assert isinstance(image, nv.PreparedImage)
    assert block == {
        "format": image.media_type.removeprefix("image/"),
        "source": {"bytes": image.base64()},
    }


def test_a_picture_that_is_only_named_is_refused_before_sending() -> None:
    request = replace(
        request_of(),
        messages=(RequestMessage("user", (RemoteImage("https://example.org/a.png"), "?")),),
    )
    with pytest.raises(RequestError, match="only named"):
        converse_call(request)


def test_more_pictures_than_a_message_takes_are_refused_before_sending(
    backend: ConverseBackend, server: PracticeServer
) -> None:
    count = len(server.requests)
    with pytest.raises(LimitExceeded, match="21"):
        nv.describe([nv.samples.shapes] * 21, backend=backend)
    assert len(server.requests) == count


def test_a_picture_is_described_both_ways(backend: ConverseBackend) -> None:
    reply = nv.describe(nv.samples.shapes, backend=backend)
    assert "practice server" in reply.text
    answer = backend.send(reply.request)
    response = parse_response(answer.message, answer.request_id)
    assert response.text == reply.text
    assert response.usage == reply.usage
    assert response.request_id
    assert response.model == "practice-high"


def test_boxes_land_on_the_pixels_of_the_original(backend: ConverseBackend) -> None:
    for sample in (nv.samples.photo, nv.samples.shapes):
        found = nv.locate(sample, sample.prompt, backend=backend)
        assert len(found.boxes) == len(sample.truth)
        for truth in sample.truth:
            assert max(box.iou(truth) for box in found.boxes) >= 0.9


def test_a_conversation_goes_on(backend: ConverseBackend) -> None:
    chat = nv.Conversation("Be brief.", backend=backend)
    chat.ask("What is this?", nv.samples.shapes)
    chat.ask("And this?", nv.samples.photo)
    assert len(chat.messages) == 4


def test_a_schema_reaches_the_models_that_take_one(server: PracticeServer) -> None:
    backend = door(server.url, model="us.anthropic.claude-haiku-4-5", api_key=server.token)
    backend.platform = replace(backend.platform, structured_outputs=True)
    found = nv.locate(nv.samples.shapes, "the red circle", backend=backend)
    body = server.requests[-1].body
    assert body is not None
    assert "textFormat" in body["outputConfig"]
    assert len(found.boxes) == 1


@pytest.mark.parametrize("kind", [BedrockBackend, ConverseBackend])
def test_counted_tokens_are_the_billed_ones(server: PracticeServer, kind: Any) -> None:
    backend = kind(
        region="us-east-1", endpoint_url=server.url, api_key=server.token, model="practice-high"
    )
    request = request_of(nv.samples.photo, model="practice-high", system="Be brief.")
    request = replace(request, platform=backend.platform)
    billed = parse_response(backend.send(request).message).usage.input_tokens
    assert backend.count_tokens(request) == billed


@pytest.mark.parametrize("kind", [BedrockBackend, ConverseBackend])
def test_where_bedrock_does_not_count_there_is_no_number_and_no_error(
    server: PracticeServer, kind: Any
) -> None:
    backend = kind(region="us-east-1", endpoint_url=server.url, api_key=server.token)
    request = request_of(model="global.anthropic.claude-opus-5-5")
    assert backend.count_tokens(replace(request, platform=backend.platform)) is None
    assert "count-tokens" in server.requests[-1].path
    shown = nv.estimate(nv.samples.photo, backend=backend, count=True)
    assert shown


@pytest.mark.parametrize("body", [{}, {"inputTokens": -1}, {"inputTokens": None}, {"count": 9}])
def test_a_count_that_is_none_is_no_number(body: dict[str, Any]) -> None:
    with asked(lambda c, _: c.reply(body)) as (backend, _):
        assert backend.count_tokens(request_for(backend)) is None


@pytest.mark.parametrize("body", [[], {"inputTokens": "nine"}, {"inputTokens": float("nan")}])
def test_a_count_that_cannot_be_read_is_one_error(body: object) -> None:
    with asked(lambda c, _: c.reply(body)) as (backend, _), pytest.raises(UnreadableAnswer):
        backend.count_tokens(request_for(backend))
