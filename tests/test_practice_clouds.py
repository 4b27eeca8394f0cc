"""The practice server's doors of the clouds, asked by hand: who is let in, and what is said."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from nbvision.practice import PracticeServer
from nbvision.practice.entrances import ADDRESSES

KEY = "practice-of-this-test"
SAID = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 9}
IDS = {
    "bedrock-messages": "us.anthropic.claude-sonnet-5-5",
    "bedrock-mantle": "anthropic.claude-sonnet-5-5",
}
# The header that carries a key, and the shape in which a wrong one is refused.
KEYED = {
    "bedrock-messages": ("x-api-key", {"message"}),
    "bedrock-mantle": ("authorization", {"message"}),
    "vertex": ("authorization", {"error"}),
    "google-cloud": ("authorization", {"error"}),
    "foundry": ("api-key", {"error"}),
    "aws": ("authorization", {"message"}),
}
every_cloud = pytest.mark.parametrize("name", ADDRESSES)


@pytest.fixture(scope="module")
def server() -> Iterator[PracticeServer]:
    with PracticeServer(token=KEY) as running:
        yield running


def post(
    server: PracticeServer,
    name: str,
    *,
    key: str = KEY,
    more: dict[str, Any] | None = None,
    **to: str,
) -> httpx2.Response:
    header, _ = KEYED[name]
    headers = {
        header: f"Bearer {key}".strip() if header == "authorization" else key,
        "anthropic-version": "2023-06-01",
        "anthropic-workspace-id": "wrkspc_1",
    }
    model = to.get("model", IDS.get(name, "claude-sonnet-5-5"))
    body: dict[str, Any] = SAID | {"model": model} | (more or {})
    path = to.get("path", "/v1/messages")
    if name == "vertex":
        del body["model"]
        body = {"anthropic_version": "vertex-2023-10-16"} | body
        at = "/projects/p/locations/global/publishers/anthropic/models"
        path = to.get("path", f"{at}/{model}:rawPredict")
    sent = {field: value for field, value in body.items() if value is not None}
    headers |= {"origin": to["origin"]} if "origin" in to else {}
    return httpx2.post(server.address(name) + path, headers=headers, json=sent, trust_env=False)


@every_cloud
def test_who_has_the_token_is_let_in(server: PracticeServer, name: str) -> None:
    reply = post(server, name)
    assert reply.status_code == 200, reply.text
    assert reply.json()["model"] == "practice-claude-sonnet-5-5"
    assert reply.headers["request-id"].startswith("req_practice_")
    is_aws = name in {"bedrock-messages", "bedrock-mantle", "aws"}
    assert ("x-amzn-requestid" in reply.headers) is is_aws


@every_cloud
@pytest.mark.parametrize("key", ["wrong", "", KEY + "x"])
def test_another_key_is_refused_in_the_clouds_own_shape(
    server: PracticeServer, name: str, key: str
) -> None:
    reply = post(server, name, key=key)
    assert reply.status_code in {401, 403}
    assert set(reply.json()) == KEYED[name][1]
    assert "type" not in json.dumps(reply.json())


@every_cloud
def test_behind_the_gate_the_service_speaks(server: PracticeServer, name: str) -> None:
    reply = post(server, name, more={"max_tokens": 0})
    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"


@every_cloud
def test_a_web_page_is_refused_everywhere(server: PracticeServer, name: str) -> None:
    assert post(server, name, origin="https://evil.example").status_code == 403


@every_cloud
def test_sampling_is_refused_for_new_models(server: PracticeServer, name: str) -> None:
    assert post(server, name, more={"temperature": 0.5}).status_code == 400


UNKNOWN = [
    ("bedrock-messages", "claude-sonnet-5-5", 400),
    ("bedrock-messages", "anthropic.claude-sonnet-5-5", 400),
    ("bedrock-mantle", "claude-sonnet-5-5", 404),
    ("bedrock-mantle", "us.anthropic.claude-sonnet-5-5", 404),
    ("bedrock-mantle", "anthropic.claude-sonnet-4-6", 404),
    ("vertex", "claude-haiku-4-5-20251001", 404),
    ("vertex", "anthropic.claude-sonnet-5-5", 404),
    ("google-cloud", "claude-haiku-4-5@20251001", 404),
    ("aws", "us.anthropic.claude-sonnet-5-5", 404),
]


@pytest.mark.parametrize(("name", "model", "status"), UNKNOWN)
def test_ids_of_another_place_are_unknown(
    server: PracticeServer, name: str, model: str, status: int
) -> None:
    assert post(server, name, model=model).status_code == status


@pytest.mark.parametrize("version", [None, "2023-06-01", "vertex-2099-01-01"])
def test_vertex_wants_its_version_in_the_body(server: PracticeServer, version: str | None) -> None:
    reply = post(server, "vertex", more={"anthropic_version": version})
    assert reply.status_code == 400
    assert "anthropic_version" in reply.json()["error"]["message"]


def test_a_plain_door_and_a_streaming_door_of_vertex(server: PracticeServer) -> None:
    at = "/projects/p/locations/global/publishers/anthropic/models/claude-sonnet-5-5"
    reply = post(server, "vertex", path=f"{at}:streamRawPredict", more={"stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert post(server, "vertex", path=f"{at}:predict").status_code == 404


def test_bedrocks_runtime_says_unknown_with_a_status_of_success(server: PracticeServer) -> None:
    reply = post(server, "bedrock-messages", path="/v1/messages/count_tokens")
    assert reply.status_code == 200
    assert "UnknownOperationException" in reply.text


@pytest.mark.parametrize("name", ["google-cloud", "aws"])
def test_models_are_listed_where_they_are(server: PracticeServer, name: str) -> None:
    headers = {
        "authorization": f"Bearer {KEY}",
        "anthropic-version": "2023-06-01",
        "anthropic-workspace-id": "w",
    }
    reply = httpx2.get(f"{server.address(name)}/v1/models", headers=headers)
    assert len(reply.json()["data"]) > 5
    assert httpx2.get(f"{server.address(name)}/v1/models/practice-high", headers=headers).is_success
