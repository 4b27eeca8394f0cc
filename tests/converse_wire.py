"""Converse on a wire: a good answer in its shape, calls of ours, and what botocore says of both."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from doors import KEY
from wire import FRAMES, Answer, Arrived, Connection, Wire, framed, wire

import nbvision as nv
from nbvision.backends.converse import ConverseBackend
from nbvision.catalogue import find_model
from nbvision.inspection import prepare_all
from nbvision.platforms import find_platform
from nbvision.request import Request, build_request

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
THOUGHT = {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}
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


def request_of(
    *images: object, words: str = "What is this?", model: str = MODEL, **options: Any
) -> Request:
    platform = find_platform("bedrock-converse")
    sources = [nv.open_image(image) for image in images]
    prepared = prepare_all(sources, find_model(model), platform)
    return build_request(
        prepared, words, model_id=model, model=find_model(model), platform=platform, **options
    )


def assert_valid(operation: str, params: Mapping[str, Any]) -> None:
    """Let botocore say whether a call has the shape of the service model."""
    shape = SERVICE.operation_model(operation).input_shape
    assert ParamValidator().validate(params, shape).generate_report() == ""
