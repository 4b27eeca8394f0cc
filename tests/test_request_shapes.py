"""Every body that leaves has the shape that the SDKs themselves declare.

The declarations are typed dicts, which allow any further field; here none is allowed, at any
depth, so that a field that is misspelt, or stands a level too high, is found.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import botocore.session
import pytest
from anthropic.types import message_count_tokens_params, message_create_params
from botocore.validate import ParamValidator
from doors import KEY, ask, asked, every_door_of_messages
from PIL import Image
from pydantic import ConfigDict, TypeAdapter, ValidationError
from wire import answer_well

import nbvision as nv
from nbvision.backends import bedrock
from nbvision.catalogue import find_model
from nbvision.platforms import find_platform, platforms
from nbvision.prepared import prepare_image
from nbvision.prompts import BOXES_SCHEMA
from nbvision.referenced import RemoteImage
from nbvision.request import Request, RequestMessage, build_request

STRICT = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
# A list of one, because pydantic takes a configuration for it, and it reaches what is inside.
CREATE: Any = TypeAdapter(
    list[message_create_params.MessageCreateParamsNonStreaming], config=STRICT
)
STREAM: Any = TypeAdapter(list[message_create_params.MessageCreateParamsStreaming], config=STRICT)
COUNT: Any = TypeAdapter(list[message_count_tokens_params.MessageCountTokensParams], config=STRICT)
SMALL = nv.open_image(Image.new("RGB", (220, 210), "red"))
MODELS = ("claude-opus-5-5", "claude-haiku-4-5", "claude-sonnet-4-6")


def read(adapter: Any, body: Mapping[str, Any]) -> None:
    """Validate a body to its last leaf: pydantic reads an iterable only when it is asked."""
    exhaust(adapter.validate_python([body]))


def exhaust(value: object) -> None:
    if isinstance(value, Mapping):
        for each in value.values():
            exhaust(each)
    elif isinstance(value, list | tuple) or hasattr(value, "__next__"):
        for each in value:  # type: ignore[union-attr]
            exhaust(each)


def shapes(place: str) -> Iterator[Request]:
    platform = find_platform(place)
    for model_id in MODELS:
        model = find_model(model_id)
        picture = prepare_image(SMALL, model, platform)

        def build(images: list[Any], *, to: Any = model, **options: Any) -> Request:
            known = {"model_id": to.id, "model": to, "platform": platform}
            return build_request(images, "What is this?", **known, **options)

        one = build([picture])
        yield one
        yield build([picture, picture], system="Be short.", max_tokens=100, effort="low")
        yield build([picture], schema=BOXES_SCHEMA)
        yield build([picture], effort="max", schema=BOXES_SCHEMA)
        answer = RequestMessage("assistant", ("A red square.",))
        later = build([picture], earlier=(*one.messages, answer))
        yield later
        yield replace(
            later, system="Be short.", cached_until=frozenset({(-1, 0), (0, 0), (2, 1), (2, 2)})
        )
        if "url" in platform.source_types:
            yield build([RemoteImage("https://example.org/a.png")])


@pytest.mark.parametrize("place", [place.name for place in platforms()])
def test_every_shape_of_a_request_is_one_that_the_sdk_declares(place: str) -> None:
    count = 0
    for request in shapes(place):
        body = request.body()
        read(CREATE, body)
        read(STREAM, body | {"stream": True})
        read(COUNT, {key: value for key, value in body.items() if key != "max_tokens"})
        assert json.loads(json.dumps(body)) == body
        count += 1
    assert count >= 6 * len(MODELS)


def broken(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same body with one mistake: the reading above must find each."""
    text = json.dumps(body)
    for right, wrong in (
        ("max_tokens", "max_token"),
        ("media_type", "mediaType"),
        ('"base64"', '"base46"'),
        ("oversized_image", "oversize_image"),
        ('"error"', '"raise"'),
        ("transformations", "transformation"),
        ("cache_control", "cache"),
        ("ephemeral", "eternal"),
        ("output_config", "output_format"),
        ("effort", "efort"),
        ("json_schema", "schema_json"),
        ('"role"', '"rôle"'),
        ('"user"', '"human"'),
        ('"low"', '"little"'),
    ):
        assert right in text, right
        yield json.loads(text.replace(right, wrong))


def test_a_misspelt_field_or_value_is_found_at_any_depth() -> None:
    platform, model = find_platform("anthropic"), find_model("claude-opus-5-5")
    request = build_request(
        [prepare_image(SMALL, model, platform)],
        "What is this?",
        model_id=model.id,
        model=model,
        platform=platform,
        effort="low",
        schema=BOXES_SCHEMA,
    )
    body = replace(request, system="Be short.", cached_until=frozenset({(-1, 0), (0, 0)})).body()
    read(CREATE, body)
    for wrong in broken(body):
        with pytest.raises(ValidationError):
            read(CREATE, wrong)


@every_door_of_messages
def test_what_arrives_is_what_the_sdk_declares(name: str) -> None:
    with asked(name, answer_well) as (backend, place):
        ask(backend, "send")
        ask(backend, "stream")
    for arrived in place.arrived:
        body = arrived.json
        # These two travel otherwise where the model stands in the address.
        has_version = body.pop("anthropic_version", None) is not None
        assert has_version is ("model" not in body)
        body.setdefault("model", backend.model)
        read(STREAM if body.get("stream") else CREATE, body)
        assert KEY not in arrived.body.decode()


def test_what_boto3_is_given_is_what_its_service_model_declares() -> None:
    loader = botocore.session.get_session()
    operations = loader.get_service_model("bedrock-runtime")
    for request in shapes("bedrock"):
        call = bedrock._call(request)
        for operation in ("InvokeModel", "InvokeModelWithResponseStream"):
            shape = operations.operation_model(operation).input_shape
            report = ParamValidator().validate(call, shape)
            assert not report.has_errors(), report.generate_report()
            assert set(call) <= set(shape.members)
        body = json.loads(call["body"])
        assert "model" not in body
        assert body.pop("anthropic_version") == "bedrock-2023-05-31"
        read(CREATE, body | {"model": call["modelId"]})
