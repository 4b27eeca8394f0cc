"""The practice server's Converse doors hold to the service model, and refuse as AWS does."""

import base64
import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import urllib3
from botocore.model import ListShape, Shape, StructureShape
from converse_wire import (
    MODEL,
    SERVICE,
    SHAPES,
    THOUGHT,
    assert_valid,
    door,
    request_of,
)
from doors import ask, assert_nothing_foreign_hangs_on, both_ways

import nbvision as nv
from nbvision.backends.converse import ConverseBackend, converse_call
from nbvision.errors import (
    BackendError,
    ConnectionLost,
    Interrupted,
    NbvisionError,
    Overloaded,
    Refused,
    SpendLimitReached,
    Truncated,
    UnreadableAnswer,
)
from nbvision.practice import PracticeServer
from nbvision.practice.converse_body import CONVERSE, messages_body
from nbvision.practice.questions import read_question
from nbvision.practice.rejections import Rejected
from nbvision.response import require_usable


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


def unknown_members(value: object, shape: Shape, place: str = "") -> list[str]:
    """Return what a parsed or raw reply holds that the service model does not know."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        found = [f"{place}.{name}" for name in value if name not in shape.members]
        found += [f"{place}.{name} missing" for name in shape.required_members if name not in value]
        for name, member in value.items():
            if name in shape.members:
                found += unknown_members(member, shape.members[name], f"{place}.{name}")
        return found
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [w for item in value for w in unknown_members(item, shape.member, f"{place}[]")]
    kinds = {"string": str, "integer": int, "long": int, "blob": bytes, "boolean": bool}
    return [] if isinstance(value, kinds.get(shape.type_name, object)) else [f"{place}: {value!r}"]


def client_of(server: PracticeServer) -> Any:
    return door(server.url, model="practice-high", api_key=server.token)._client


def test_replies_have_the_shape_of_the_service_model(server: PracticeServer) -> None:
    call = converse_call(request_of(nv.samples.shapes, model="practice-high"))
    client = client_of(server)
    raw: list[bytes] = []
    client.meta.events.register(
        "before-parse.bedrock-runtime.*",
        lambda response_dict, **_: raw.append(response_dict["body"]),
    )
    parsed = client.converse(**call)
    shape = SERVICE.operation_model("Converse").output_shape
    assert unknown_members(json.loads(raw[0]), shape) == []
    assert {k: v for k, v in parsed.items() if k != "ResponseMetadata"} == json.loads(raw[0])
    counted = client.count_tokens(
        modelId=call["modelId"], input={"converse": {"messages": call["messages"]}}
    )
    assert counted["inputTokens"] == parsed["usage"]["inputTokens"]


def test_streams_have_the_shape_of_the_service_model(server: PracticeServer) -> None:
    call = converse_call(request_of(nv.samples.shapes, model="practice-high"))
    shape = SERVICE.operation_model("ConverseStream").output_shape.members["stream"]
    names = []
    for found in client_of(server).converse_stream(**call)["stream"]:
        assert unknown_members(found, shape) == []
        names += list(found)
    assert names[0] == "messageStart"
    assert names[-3:] == ["contentBlockStop", "messageStop", "metadata"]
    assert set(names[1:-3]) == {"contentBlockDelta"}


REFUSED: dict[str, Any] = {
    "unknown field": lambda body: body | {"max_tokens": 9},
    "no guardrails here": lambda body: body | {"guardrailConfig": {}},
    "unknown inference": lambda body: body | {"inferenceConfig": {"max_tokens": 9}},
    "two members": lambda body: said(body, {"text": "a", "cachePoint": {"type": "default"}}),
    "no member": lambda body: said(body, {}),
    "a Messages block": lambda body: said(body, {"type": "text", "text": "a"}),
    "wrong format": lambda body: said(body, pictured("jpeg")),
    "unknown format": lambda body: said(body, pictured("bmp")),
    "no base64": lambda body: said(body, pictured("png", "@@")),
    "a bucket": lambda body: said(
        body, {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://bucket/key"}}}}
    ),
    "too large": lambda body: said(body, pictured("png", "AAAA" * 1_250_001)),
    "too many": lambda body: said(body, *[pictured("png")] * 21),
    "from the assistant": lambda body: (
        body
        | {"messages": [*body["messages"], {"role": "assistant", "content": [pictured("png")]}]}
    ),
    "a cache point first": lambda body: said(body, {"cachePoint": {"type": "default"}}),
    "a cache point of a day": lambda body: said(
        body, {"text": "a"}, {"cachePoint": {"type": "default", "ttl": "1d"}}
    ),
    "a system role": lambda body: body | {"messages": [{"role": "system", "content": []}]},
    "no list": lambda body: body | {"messages": "Hello"},
    "no schema": lambda body: (
        body
        | {
            "outputConfig": {
                "textFormat": {
                    "type": "json_schema",
                    "structure": {"jsonSchema": {"schema": "{"}},
                }
            }
        }
    ),
    "a schema that is no JSON": lambda body: (
        body
        | {
            "outputConfig": {
                "textFormat": {
                    "type": "json_schema",
                    "structure": {"jsonSchema": {"schema": '{"const": NaN}'}},
                }
            }
        }
    ),
    "an unknown effort": lambda body: body | {"outputConfig": {"effort": "utmost"}},
    "said twice": lambda body: body | {"additionalModelRequestFields": {"max_tokens": 9}},
}


def said(body: dict[str, Any], *blocks: Any) -> dict[str, Any]:
    return body | {"messages": [{"role": "user", "content": list(blocks)}]}


def pictured(form: str, data: str | None = None) -> dict[str, Any]:
    data = data or base64.b64encode(SHAPES).decode()
    return {"image": {"format": form, "source": {"bytes": data}}}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_bedrock_refuses_is_refused_as_bedrock_does(server: PracticeServer, kind: str) -> None:
    body = REFUSED[kind]({"messages": [{"role": "user", "content": [{"text": "Hello?"}]}]})
    reply = urllib3.request(
        "POST",
        f"{server.url}/model/practice-high/converse",
        json=body,
        headers={"Authorization": f"Bearer {server.token}"},
    )
    assert reply.status == 400
    assert reply.headers["x-amzn-ErrorType"] == "ValidationException"
    assert reply.json()["message"]


FAULTS: dict[str, type[NbvisionError] | tuple[type[NbvisionError], ...]] = {
    "spend_limit": SpendLimitReached,
    "redirect": BackendError,
    "reset": ConnectionLost,
    "cut": (ConnectionLost, UnreadableAnswer, Interrupted),
    "ends_early": (ConnectionLost, UnreadableAnswer, Interrupted),
    "refusal": Refused,
    "truncated": Truncated,
    "empty": UnreadableAnswer,
    "bad_json": UnreadableAnswer,
    "bad_utf8": UnreadableAnswer,
    "html": (UnreadableAnswer, Interrupted),
    "other_json": (UnreadableAnswer, Interrupted),
    "null": (UnreadableAnswer, Interrupted),
    "nan_usage": UnreadableAnswer,
    "error_event": (Overloaded, UnreadableAnswer),
    "disorder": UnreadableAnswer,
    "checksum": UnreadableAnswer,
}


@both_ways
@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_of_the_practice_server_is_one_error(
    server: PracticeServer, backend: ConverseBackend, how: str, kind: str
) -> None:
    server.faults.push(kind)
    with pytest.raises(FAULTS[kind]) as caught:
        require_usable(ask(backend, how))
    assert server.faults.pending == ()
    assert_nothing_foreign_hangs_on(caught.value)


BODY: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": [pictured("png"), {"text": "What is this?"}]},
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": THOUGHT},
                {"toolUse": {"toolUseId": "t1", "name": "look", "input": {}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "t1", "content": [{"text": "ok"}], "status": "error"}},
                {"cachePoint": {"type": "default", "ttl": "1h"}},
            ],
        },
    ],
    "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
    "inferenceConfig": {"maxTokens": 100, "stopSequences": ["END"]},
    "toolConfig": {
        "tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}],
        "toolChoice": {"auto": {}},
    },
    "outputConfig": {"effort": "low"},
    "additionalModelRequestFields": {"thinking": {"type": "adaptive"}},
    "requestMetadata": {"who": "a test"},
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else []
    inner = enumerate(value) if isinstance(value, list) else inner
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def spoiled(value: Any, path: tuple[Any, ...], by: object) -> Any:
    if not path:
        return by
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = spoiled(changed[path[0]], path[1:], by)
    return changed


def test_the_whole_of_what_is_taken_is_taken() -> None:
    assert_valid("Converse", {"modelId": MODEL, **with_bytes(BODY)})
    question = read_question(messages_body(BODY), CONVERSE, model_id="practice-high")
    assert question.max_tokens == 100
    assert len(question.content.pictures) == 1


def with_bytes(body: dict[str, Any]) -> dict[str, Any]:
    path = ("messages", 0, "content", 0, "image", "source", "bytes")
    changed: dict[str, Any] = spoiled(body, path, SHAPES)
    return changed


@pytest.mark.parametrize("by", [None, 7, -1.5, True, "", "words", "{", [], [[]], {}, {"a": {}}])
def test_any_wrong_value_anywhere_is_refused_or_taken_and_never_a_failure(by: object) -> None:
    for path in places(BODY)[1:]:
        body = spoiled(BODY, path, by)
        with contextlib.suppress(Rejected):
            read_question(messages_body(body), CONVERSE, model_id="practice-high")
