"""Converse on a wire: a good answer in its shape, calls of ours, and what botocore says of both."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from doors import KEY
from wire import Answer, Wire, wire

import nbvision as nv
from nbvision.backends.converse import ConverseBackend
from nbvision.catalogue import find_model
from nbvision.inspection import prepare_all
from nbvision.platforms import find_platform
from nbvision.request import Request, build_request

MODEL = "us.anthropic.claude-opus-5-5"
SHAPES = Path(nv.samples.shapes).read_bytes()
THOUGHT = {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}
SERVICE = ServiceModel(
    Loader().load_service_model("bedrock-runtime", "service-2"), "bedrock-runtime"
)


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
