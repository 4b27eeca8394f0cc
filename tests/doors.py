"""Every door to a wire, and how a test asks through them: once plainly, once as a stream."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

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
from nbvision.practice import PracticeServer
from nbvision.practice.entrances import ADDRESSES
from nbvision.request import Request, build_request
from nbvision.response import Response, parse_response
from nbvision.stream_reader import StreamReader

KEY = "sk-ant-secret-Zq8w2nLr6tVb4xKd"
# What each door is connected with, apart from its address and key. "compatible" is the
# Anthropic door at a server that nobody knows.
OPTIONS: dict[str, dict[str, str]] = {
    "anthropic": {"platform": "anthropic"},
    "compatible": {},
    "bedrock": {"region": "us-east-1"},
    "bedrock-converse": {"region": "us-east-1"},
    "bedrock-messages": {"region": "us-east-1"},
    "bedrock-mantle": {"region": "us-east-1"},
    "vertex": {"region": "us-east5", "project_id": "classroom"},
    "google-cloud": {"project_id": "classroom", "workspace_id": "wrkspc_1"},
    "foundry": {},
    "aws": {"region": "us-east-1", "workspace_id": "wrkspc_1"},
}
# How the environment names another address.
ADDRESSES_OF = {
    "anthropic": "ANTHROPIC_BASE_URL",
    "compatible": "ANTHROPIC_BASE_URL",
    "bedrock": "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
    "bedrock-converse": "AWS_ENDPOINT_URL",
    "bedrock-mantle": "ANTHROPIC_BEDROCK_MANTLE_BASE_URL",
    "vertex": "ANTHROPIC_VERTEX_BASE_URL",
    "google-cloud": "ANTHROPIC_GOOGLE_CLOUD_BASE_URL",
    "foundry": "ANTHROPIC_FOUNDRY_BASE_URL",
    "aws": "ANTHROPIC_AWS_BASE_URL",
}
DOORS = list(OPTIONS)
# Converse says the same in another shape; how that breaks is in test_converse_faults.
IN_MESSAGES = [name for name in DOORS if name != "bedrock-converse"]
THROUGH_BOTO = {"bedrock", "bedrock-converse"}
WITH_TOKEN = {"vertex", "google-cloud"}
every_door = pytest.mark.parametrize("name", DOORS)
every_door_of_messages = pytest.mark.parametrize("name", IN_MESSAGES)
both_ways = pytest.mark.parametrize("how", ["send", "stream"])


def door(name: str, url: str, key: str = KEY, **more: Any) -> Backend:
    where = "endpoint_url" if name in THROUGH_BOTO else "base_url"
    what = "access_token" if name in WITH_TOKEN else "api_key"
    connected = "anthropic" if name == "compatible" else name
    options: dict[str, Any] = {**OPTIONS[name], where: url, what: key, **more}
    return nv.connect(connected, **options)


def door_at(name: str, server: PracticeServer, key: str = KEY) -> Backend:
    """A door of the practice server."""
    url = server.address(name) if name in ADDRESSES else server.url
    if name == "compatible":
        # Where it is known that the practice server runs, it is asked for everything.
        return nv.connect("anthropic", base_url=url, api_key=key, platform="compatible")
    return door(name, url, key)


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
