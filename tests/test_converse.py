"""Converse and CountTokens: real boto3, against the practice server and against bare bytes."""

import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ListShape, ServiceModel, Shape, StructureShape
from doors import KEY, ask, assert_nothing_foreign_hangs_on, both_ways, hang_up, request_for
from wire import FRAMES, Answer, Arrived, Connection, Wire, exception, framed, wire

import nbvision as nv
from nbvision.backends import StopSignal, aws, converse
from nbvision.backends.bedrock import BedrockBackend
from nbvision.backends.converse import ConverseBackend, converse_call
from nbvision.backends.converse_reply import message_events, message_of
from nbvision.backends.stopping import stoppable
from nbvision.catalogue import find_model
from nbvision.errors import (
    AnswerError,
    BackendError,
    ConnectionLost,
    Interrupted,
    LimitExceeded,
    NbvisionError,
    Overloaded,
    RateLimited,
    Refused,
    RequestError,
    RequestRejected,
    ServiceFailed,
    SpendLimitReached,
    TimedOut,
    Truncated,
    UnreadableAnswer,
)
from nbvision.practice import PracticeServer
from nbvision.practice.converse_body import CONVERSE, messages_body
from nbvision.practice.questions import read_question
from nbvision.practice.rejections import Rejected
from nbvision.request import Request, RequestMessage, build_request
from nbvision.response import StreamReader, parse_response, require_usable

MODEL = "us.anthropic.claude-opus-5-5"
USAGE = {"inputTokens": 12, "outputTokens": 4, "totalTokens": 16}
SHAPES = Path(nv.samples.shapes).read_bytes()
WHOLE: dict[str, Any] = {
    "output": {"message": {"role": "assistant", "content": [{"text": "A red door."}]}},
    "stopReason": "end_turn",
    "usage": USAGE,
    "metrics": {"latencyMs": 7},
}
PIECES: list[tuple[str, dict[str, Any]]] = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"delta": {"text": "A red "}, "contentBlockIndex": 0}),
    ("contentBlockDelta", {"delta": {"text": "door."}, "contentBlockIndex": 0}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 7}}),
]
SERVICE = ServiceModel(
    Loader().load_service_model("bedrock-runtime", "service-2"), "bedrock-runtime"
)


def event(name: str, payload: Mapping[str, Any]) -> bytes:
    return framed(payload, {":event-type": name, ":message-type": "event"})


def is_streamed(arrived: Arrived) -> bool:
    return "converse-stream" in arrived.line


def as_pieces(arrived: Arrived) -> tuple[str, list[bytes]]:
    if is_streamed(arrived):
        return FRAMES, [event(*piece) for piece in PIECES]
    return "application/json", [json.dumps(WHOLE).encode()]


def answer_well(connection: Connection, arrived: Arrived) -> None:
    content_type, pieces = as_pieces(arrived)
    connection.reply(b"".join(pieces), content_type=content_type, x_amzn_requestid="req_wire")


def door(url: str, **options: Any) -> ConverseBackend:
    options = {"model": MODEL, "api_key": KEY, **options}
    return ConverseBackend(region="us-east-1", endpoint_url=url, **options)


@contextlib.contextmanager
def asked(answer: Answer) -> Iterator[tuple[ConverseBackend, Wire]]:
    with wire(answer) as place:
        backend = door(place.url)
        try:
            yield backend, place
        finally:
            backend.close()


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


def request_of(
    *images: object, words: str = "What is this?", model: str = MODEL, **options: Any
) -> Request:
    from nbvision.platforms import find_platform

    platform = options.pop("platform", find_platform("bedrock-converse"))
    sources = [nv.open_image(image) for image in images]
    from nbvision.inspection import prepare_all

    prepared = prepare_all(sources, find_model(model), platform)
    return build_request(
        prepared, words, model_id=model, model=find_model(model), platform=platform, **options
    )


# The way out -------------------------------------------------------------------------------------


def assert_valid(operation: str, params: Mapping[str, Any]) -> None:
    """Let botocore say whether a call has the shape of the service model."""
    from botocore.validate import ParamValidator

    shape = SERVICE.operation_model(operation).input_shape
    assert ParamValidator().validate(params, shape).generate_report() == ""


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
    from nbvision.referenced import RemoteImage

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


# The flow, against the practice server -----------------------------------------------------------


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


# The practice server holds to the service model --------------------------------------------------


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
    import urllib3

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


# Bare bytes --------------------------------------------------------------------------------------


@both_ways
def test_a_good_answer_is_read(how: str) -> None:
    with asked(answer_well) as (backend, place):
        response = ask(backend, how)
    assert (response.text, response.stop_reason) == ("A red door.", "end_turn")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (12, 4)
    assert response.request_id == response.id == "req_wire"
    assert response.model == MODEL
    operation = "converse" if how == "send" else "converse-stream"
    assert place.arrived[0].line.split()[1] == f"/model/{MODEL}/{operation}"


def whole(body: bytes, content_type: str | None = None) -> Answer:
    return lambda c, a: c.reply(body, content_type=content_type or as_pieces(a)[0])


def cut(connection: Connection, arrived: Arrived) -> None:
    content_type, pieces = as_pieces(arrived)
    data = b"".join(pieces)
    connection.begin(content_type=content_type, content_length=str(len(data)))
    connection.write(data[: len(data) // 2])
    hang_up(connection, arrived)


def end_early(connection: Connection, arrived: Arrived) -> None:
    content_type, pieces = as_pieces(arrived)
    connection.begin_stream(content_type)
    connection.piece(b"".join(pieces[:5]) if len(pieces) > 1 else pieces[0][:40])
    connection.piece(b"")


def reset_inside(connection: Connection, arrived: Arrived) -> None:
    content_type, pieces = as_pieces(arrived)
    connection.begin_stream(content_type)
    connection.piece(b"".join(pieces)[:120])
    time.sleep(0.1)  # a reset overtakes what is still on its way
    connection.reset()


def without(*path: str) -> Answer:
    """Leave out a promised member."""
    reply = json.loads(json.dumps(WHOLE))
    place = reply
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return lambda c, _: c.reply(reply)


def bad_piece(at: int, payload: Any = None) -> Answer:
    """Spoil one event of the stream: its JSON is cut, or another."""

    def answer(connection: Connection, _: Arrived) -> None:
        frames = [event(*piece) for piece in PIECES]
        headers = {":event-type": PIECES[at][0], ":message-type": "event"}
        frames[at] = framed(payload if payload is not None else {}, headers)
        connection.reply(b"".join(frames), content_type=FRAMES)

    return answer


UNREADABLE = (UnreadableAnswer, Interrupted)
BROKEN: dict[str, tuple[Answer, tuple[type[NbvisionError], ...]]] = {
    "reset": (lambda c, _: c.reset(), (ConnectionLost,)),
    "hang up": (hang_up, (ConnectionLost,)),
    "cut": (cut, (ConnectionLost, *UNREADABLE)),
    "end early": (end_early, UNREADABLE),
    "reset inside": (reset_inside, (ConnectionLost, Interrupted)),
    "login page": (whole(b"<!doctype html><title>Sign in</title>", "text/html"), UNREADABLE),
    "nothing": (whole(b""), UNREADABLE),
    "empty object": (whole(b"{}"), UNREADABLE),
    "null": (whole(b"null"), UNREADABLE),
    "list": (whole(b"[]"), UNREADABLE),
    "deep": (whole(b"[" * 100_000), UNREADABLE),
    "other vendor": (whole(b'{"choices": []}'), UNREADABLE),
    "bad text": (whole(b'{"output": "\xff\xfe"}'), UNREADABLE),
    "half a JSON": (whole(json.dumps(WHOLE).encode()[:-9]), UNREADABLE),
    "no HTTP": (lambda c, _: c.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), (ConnectionLost,)),
    "status 204": (lambda c, _: c.begin(204), UNREADABLE),
}


@both_ways
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_reply_is_one_error_and_is_asked_for_once(how: str, kind: str) -> None:
    answer, errors = BROKEN[kind]
    with asked(answer) as (backend, place), pytest.raises(errors) as caught:
        ask(backend, how)
    assert len(place.arrived) == 1
    assert caught.value.cure
    assert_nothing_foreign_hangs_on(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        *(("output",), ("output", "message"), ("output", "message", "content"), ("stopReason",)),
        *(("usage",), ("usage", "inputTokens"), ("usage", "outputTokens")),
    ],
)
def test_a_reply_that_lacks_a_promised_member_is_no_success(path: tuple[str, ...]) -> None:
    with asked(without(*path)) as (backend, _), pytest.raises(UnreadableAnswer) as caught:
        ask(backend, "send")
    if path[0] != "output":
        assert caught.value.text == "A red door."


@pytest.mark.parametrize("at", range(1, len(PIECES)))
def test_a_piece_that_lacks_its_members_is_no_success(at: int) -> None:
    with asked(bad_piece(at)) as (backend, _), pytest.raises(UNREADABLE):
        ask(backend, "stream")


def test_pieces_of_unknown_kinds_pass() -> None:
    frames = [event(*piece) for piece in PIECES]
    frames.insert(1, event("somethingNew", {"a": 1}))
    with asked(lambda c, _: c.reply(b"".join(frames), content_type=FRAMES)) as (backend, _):
        assert ask(backend, "stream").text == "A red door."


MEMBERS = {
    "internalServerException": ServiceFailed,
    "modelStreamErrorException": ServiceFailed,
    "serviceUnavailableException": Overloaded,
    "throttlingException": RateLimited,
    "validationException": RequestRejected,
}


@pytest.mark.parametrize("member", MEMBERS)
def test_an_error_inside_the_stream_is_ours_and_may_be_billed(member: str) -> None:
    frames = [event(*piece) for piece in PIECES[:2]] + [exception(member, "words of the service")]
    answer: Answer = lambda c, _: c.reply(b"".join(frames), content_type=FRAMES)  # noqa: E731
    with asked(answer) as (backend, place), pytest.raises(MEMBERS[member]) as caught:
        ask(backend, "stream")
    assert "words of the service" in str(caught.value)
    assert isinstance(caught.value, BackendError)
    assert caught.value.may_have_been_billed
    assert len(place.arrived) == 1


REJECTED: dict[str, tuple[int, str, type[NbvisionError], int]] = {
    "throttled": (429, "ThrottlingException", RateLimited, 3),
    "unavailable": (503, "ServiceUnavailableException", Overloaded, 3),
    "broke": (500, "InternalServerException", ServiceFailed, 3),
    "model waited": (408, "ModelTimeoutException", TimedOut, 1),
    "model broke": (424, "ModelErrorException", ServiceFailed, 1),
    "quota": (400, "ServiceQuotaExceededException", SpendLimitReached, 1),
    "malformed": (400, "ValidationException", RequestRejected, 1),
}


@both_ways
@pytest.mark.parametrize("kind", REJECTED)
def test_a_rejection_is_repeated_only_where_that_is_safe(how: str, kind: str) -> None:
    status, name, error, requests = REJECTED[kind]
    answer: Answer = lambda c, _: c.reply(  # noqa: E731 - one reply
        {"message": "No."}, status, x_amzn_errortype=name, retry_after="0"
    )
    with asked(answer) as (backend, place), pytest.raises(error) as caught:
        ask(backend, how)
    assert len(place.arrived) == requests
    assert_nothing_foreign_hangs_on(caught.value)


def test_a_reply_without_end_is_refused() -> None:
    def answer(connection: Connection, _: Arrived) -> None:
        connection.begin_stream("application/json")
        with contextlib.suppress(OSError):
            while True:
                connection.piece(b" " * 1_000_000)

    with asked(answer) as (backend, _), pytest.raises(UnreadableAnswer, match="64 MB"):
        ask(backend, "send")


@both_ways
def test_a_drip_ends_at_the_deadline(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(connection: Connection, arrived: Arrived) -> None:
        content_type, _ = as_pieces(arrived)
        piece = event("somethingNew", {}) if is_streamed(arrived) else b" " * 64
        connection.begin_stream(content_type)
        with contextlib.suppress(OSError):
            while True:
                connection.piece(piece)
                time.sleep(0.01)

    monkeypatch.setattr(converse, "seconds_for", lambda _: 0.2)
    started = time.monotonic()
    with asked(drip) as (backend, place), pytest.raises(TimedOut) as caught:
        ask(backend, how)
    assert time.monotonic() - started < 5
    assert caught.value.may_have_been_billed
    assert len(place.arrived) == 1


@both_ways
def test_silence_ends_and_is_not_repeated(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "_SILENCE_SECONDS", 0.2)
    answer: Answer = lambda c, _: c.has_left() and None  # noqa: E731 - one line
    with asked(answer) as (backend, place), pytest.raises(TimedOut):
        ask(backend, how)
    assert len(place.arrived) == 1


def test_a_stop_before_the_reply_begins_closes_the_connection_at_once() -> None:
    has_asked, has_left, stop = threading.Event(), threading.Event(), StopSignal()

    def silent(connection: Connection, _: Arrived) -> None:
        has_asked.set()
        if connection.has_left(8):
            has_left.set()

    def stop_soon() -> None:
        has_asked.wait(10)
        stop.set()

    with asked(silent) as (backend, place):
        threading.Thread(target=stop_soon).start()
        started = time.monotonic()
        with pytest.raises(NbvisionError):
            backend.stream(request_for(backend), stop=stop)
        assert time.monotonic() - started < 2
        assert has_left.wait(2)
        assert len(place.arrived) == 1


def test_a_stop_that_comes_late_leaves_the_connection_to_who_has_it_now() -> None:
    begun, go_on, stop = threading.Event(), threading.Event(), StopSignal()

    def answer(connection: Connection, arrived: Arrived) -> None:
        if begun.is_set():
            go_on.wait(10)
        answer_well(connection, arrived)

    with asked(answer) as (backend, place):
        with stoppable(stop):
            backend.send(request_for(backend))
        begun.set()
        threading.Timer(0.1, stop.set).start()
        threading.Timer(0.3, go_on.set).start()
        assert ask(backend, "send").text == "A red door."
        assert place.connections == 1


def test_a_stop_in_the_middle_ends_the_events() -> None:
    has_left = threading.Event()

    def begin(connection: Connection, arrived: Arrived) -> None:
        content_type, pieces = as_pieces(arrived)
        connection.begin_stream(content_type)
        connection.piece(pieces[0])
        if connection.has_left(8):
            has_left.set()

    stop = StopSignal()
    with asked(begin) as (backend, _):
        events = backend.stream(request_for(backend), stop=stop)
        threading.Timer(0.2, stop.set).start()
        started = time.monotonic()
        assert [e["type"] for e in events] == ["message_start"]
        assert time.monotonic() - started < 2
        assert has_left.wait(2)


# What a reply says -------------------------------------------------------------------------------

THOUGHT = {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}


def replied(*blocks: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {**WHOLE, "output": {"message": {"role": "assistant", "content": [*blocks]}}, **more}


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
                usage={**USAGE, "cacheReadInputTokens": 3, "cacheWriteInputTokens": 2},
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
        PIECES[0],
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
        ("metadata", {"usage": {**USAGE, "cacheReadInputTokens": 3, "cacheWriteInputTokens": 2}}),
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
    pieces = [*PIECES[:4], ("messageStop", {"stopReason": reason}), PIECES[5]]
    answers = [
        streamed(*pieces),
        parse_response(message_of(replied({"text": "Sorry."}, stopReason=reason), MODEL)),
    ]
    for response in answers:
        with pytest.raises(Refused, match=reason):
            require_usable(response)


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_broken_output_is_no_answer_and_keeps_the_words(reason: str) -> None:
    with pytest.raises(UnreadableAnswer) as caught:
        streamed(*PIECES[:4], ("messageStop", {"stopReason": reason}), PIECES[5])
    assert caught.value.text == "A red door."
    with pytest.raises(UnreadableAnswer) as caught:
        message_of(replied({"text": "A red door."}, stopReason=reason), MODEL)
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
    replies: list[object] = [value, {**WHOLE, "output": value}, {**WHOLE, "usage": value}]
    replies += [{**WHOLE, "output": {"message": value}}, {**WHOLE, "stopReason": value or None}]
    replies += [replied(value), {**WHOLE, "usage": {**USAGE, "inputTokens": value}}]  # type: ignore[arg-type]
    for reply in replies:
        if isinstance(reply, dict) and reply.get("stopReason") == "words":
            continue  # a reason that is not known yet passes
        with pytest.raises(AnswerError):
            parse_response(message_of(reply, MODEL))
    for number in range(1, len(PIECES)):
        name, member = PIECES[number]
        for key in set(member) - {"metrics"}:
            if (key, value) == ("stopReason", "words"):
                continue
            spoiled = [*PIECES[:number], (name, {**member, key: value}), *PIECES[number + 1 :]]
            with pytest.raises(AnswerError):
                streamed(*spoiled)


# Whatever is asked of the practice server --------------------------------------------------------

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
