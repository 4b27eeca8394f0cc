"""Both doors to a wire, and how a test asks through them: once plainly, once as a stream."""

import contextlib
import socket
from collections.abc import Iterator

import pytest
from wire import (
    Answer,
    Arrived,
    Connection,
    Wire,
    wire,
)

import nbvision as nv
from nbvision.backends import Backend
from nbvision.catalogue import find_model
from nbvision.request import Request, build_request
from nbvision.response import Response, parse_response
from nbvision.stream_reader import StreamReader

KEY = "sk-ant-secret-0123456789abcdef"
DOORS = ["anthropic", "bedrock"]
every_door = pytest.mark.parametrize("name", DOORS)
both_ways = pytest.mark.parametrize("how", ["send", "stream"])


def door(name: str, url: str) -> Backend:
    if name == "anthropic":
        return nv.connect("anthropic", base_url=url, api_key=KEY)
    return nv.connect("bedrock", region="us-east-1", endpoint_url=url, api_key=KEY)


@contextlib.contextmanager
def asked(name: str, answer: Answer) -> Iterator[tuple[Backend, Wire]]:
    with wire(answer) as place:
        backend = door(name, place.url)
        try:
            yield backend, place
        finally:
            backend.close()


def request_for(backend: Backend, max_tokens: int | None = None) -> Request:
    return build_request(
        [],
        "What is this?",
        model_id=backend.model,
        model=find_model(backend.model),
        platform=backend.platform,
        max_tokens=max_tokens,
    )


def ask(backend: Backend, how: str) -> Response:
    if how == "send":
        answer = backend.send(request_for(backend))
        return parse_response(answer.message, answer.request_id)
    reader = StreamReader()
    with backend.stream(request_for(backend)) as events:
        for event in events:
            reader.feed(event)
    return reader.response(events.request_id)


def hang_up(connection: Connection, _: Arrived) -> None:
    connection.socket.shutdown(socket.SHUT_RDWR)


_FOREIGN = {"anthropic", "boto3", "botocore", "httpcore2", "httpx2", "urllib3"}


def assert_nothing_foreign_hangs_on(error: BaseException) -> None:
    """No key, no SDK exception, and no frame of an SDK can be reached from an error of ours."""
    assert KEY not in f"{error!r} {error} {vars(error)}"
    assert error.__cause__ is None
    assert error.__context__ is None
    trace = error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__"))
        assert module.partition(".")[0] not in _FOREIGN, module
        trace = trace.tb_next
