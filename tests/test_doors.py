"""What is particular to one door or another: settings, ids, signatures, and what none can do."""

import importlib.util
import os
import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore
import pytest
from doors import DOORS, KEY, OPTIONS, THROUGH_BOTO, ask, asked, door, door_at, request_for
from wire import MESSAGE, Arrived, Connection, answer_well, as_pieces, wire

import nbvision as nv
from nbvision.backends import StopSignal, retrying
from nbvision.backends.door import require_spelling
from nbvision.backends.http_client import make_http_client
from nbvision.backends.tokens import google_token
from nbvision.errors import (
    AccessDenied,
    ModelNotFound,
    NotConnected,
    RateLimited,
    RequestError,
    SpendLimitReached,
)
from nbvision.platforms import Capabilities, find_platform, platforms
from nbvision.practice import PracticeServer
from nbvision.widgets.model_menu import model_choices

VARIABLES = re.compile(r"ANTHROPIC_|AWS_|GOOGLE_|CLOUD_ML_")


@pytest.fixture(autouse=True)
def nothing_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(retrying, "_FIRST_WAIT_SECONDS", 0.01)
    for name in list(os.environ):
        if VARIABLES.match(name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


# Connecting --------------------------------------------------------------------------------------

MISSING = [
    ("bedrock-messages", {"api_key": KEY}, "no AWS region", "AWS_REGION"),
    ("bedrock-mantle", {"api_key": KEY}, "no AWS region", "AWS_REGION"),
    ("aws", {"api_key": KEY, "workspace_id": "w"}, "no AWS region", "AWS_REGION"),
    ("aws", {"api_key": KEY, "region": "eu-west-1"}, "no workspace", "ANTHROPIC_AWS_WORKSPACE_ID"),
    ("bedrock-mantle", {"profile": "nobody"}, "no AWS profile 'nobody'", "list-profiles"),
    (
        "vertex",
        {"project_id": "p", "access_token": KEY},
        "no Google Cloud region",
        "CLOUD_ML_REGION",
    ),
    (
        "vertex",
        {"region": "global", "access_token": KEY},
        "no Google Cloud project",
        "ANTHROPIC_VERTEX_PROJECT_ID",
    ),
    (
        "google-cloud",
        {"workspace_id": "w", "access_token": KEY},
        "no Google Cloud project",
        "ANTHROPIC_GOOGLE_CLOUD_PROJECT",
    ),
    (
        "google-cloud",
        {"project_id": "p", "access_token": KEY},
        "no workspace",
        "ANTHROPIC_GOOGLE_CLOUD_WORKSPACE_ID",
    ),
    ("foundry", {"api_key": KEY}, "no Foundry resource", "ANTHROPIC_FOUNDRY_RESOURCE"),
    ("foundry", {"resource": "school"}, "no key", "ANTHROPIC_FOUNDRY_API_KEY"),
]


@pytest.mark.parametrize(("name", "given", "words", "cure"), MISSING)
def test_what_is_missing_is_named_with_its_variable(
    name: str, given: dict[str, Any], words: str, cure: str
) -> None:
    with pytest.raises(NotConnected, match=words) as caught:
        nv.connect(name, **given)
    assert cure in caught.value.cure
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("name", ["vertex", "google-cloud"])
def test_without_googles_package_the_cure_is_named(name: str) -> None:
    if _has_google_auth():
        pytest.skip("google-auth is installed here")
    with pytest.raises(NotConnected, match="google-auth") as caught:
        nv.connect(name, region="global", **_only(OPTIONS[name], "project_id", "workspace_id"))
    assert "nbvision[vertex]" in caught.value.cure
    assert "access_token=" in caught.value.cure


def _has_google_auth() -> bool:
    return bool(importlib.util.find_spec("google") and importlib.util.find_spec("google.auth"))


def _only(options: dict[str, str], *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}


STRANGE = [
    ("bedrock-mantle", {"region": "evil.example/#", "api_key": KEY}),
    ("bedrock-messages", {"region": "evil.example:443/x?", "api_key": KEY}),
    ("aws", {"region": "x@evil.example#", "workspace_id": "w", "api_key": KEY}),
    ("vertex", {"region": "evil.example/", "project_id": "p", "access_token": KEY}),
    ("foundry", {"resource": "evil.example/#", "api_key": KEY}),
]


@pytest.mark.parametrize(("name", "given"), STRANGE)
def test_a_region_cannot_lead_the_key_to_another_host(name: str, given: dict[str, Any]) -> None:
    with pytest.raises(NotConnected) as caught:
        nv.connect(name, **given)
    assert "hyphens" in caught.value.limit


ADDRESSES = [
    (
        "bedrock-messages",
        {"region": "eu-west-1"},
        "https://bedrock-runtime.eu-west-1.amazonaws.com/anthropic",
    ),
    (
        "bedrock-mantle",
        {"region": "eu-west-1"},
        "https://bedrock-mantle.eu-west-1.api.aws/anthropic",
    ),
    (
        "aws",
        {"region": "eu-west-1", "workspace_id": "w"},
        "https://aws-external-anthropic.eu-west-1.api.aws",
    ),
    ("foundry", {"resource": "school"}, "https://school.services.ai.azure.com/anthropic"),
    (
        "vertex",
        {"region": "global", "project_id": "p"},
        "https://aiplatform.googleapis.com/v1",
    ),
    (
        "google-cloud",
        {"project_id": "p", "workspace_id": "w"},
        "https://claude.googleapis.com/v1/projects/p/locations/global/workspaces/w/invoke",
    ),
]


@pytest.mark.parametrize(("name", "given", "address"), ADDRESSES)
def test_it_says_where_requests_go(name: str, given: dict[str, Any], address: str) -> None:
    secret = "access_token" if name in {"vertex", "google-cloud"} else "api_key"
    backend = nv.connect(name, **given, **{secret: KEY})
    assert backend.why == f"requests go to {address}"
    assert KEY not in repr(backend)
    backend.close()


def test_the_environment_is_read_as_the_official_clients_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_FOUNDRY_RESOURCE", "school")
    monkeypatch.setenv("ANTHROPIC_FOUNDRY_API_KEY", KEY)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", KEY)
    assert "school.services" in nv.connect("foundry").why
    assert "mantle.eu-west-1" in nv.connect("bedrock-mantle").why
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "")
    with pytest.raises(NotConnected, match="AWS_BEARER_TOKEN_BEDROCK is empty"):
        nv.connect("bedrock-mantle")


def test_a_profile_of_the_environment_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "gone")
    with pytest.raises(NotConnected, match="no AWS profile 'gone'"):
        nv.connect("bedrock-mantle", region="us-east-1")


def test_a_profile_may_name_the_region(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile school]\nregion = eu-north-1\n")
    assert "eu-north-1" in nv.connect("bedrock-mantle", profile="school").why


STRANGE_ARGUMENTS = [
    ("vertexx", {}, 'nv.connect("vertex")'),
    ("Bedrock_Mantle", {}, 'nv.connect("bedrock-mantle")'),
    ("azure", {}, 'nv.connect("foundry")'),
    ("ollama", {}, "base_url="),
    ("vertex", {"endpoint_url": "https://x"}, 'nv.connect("bedrock", endpoint_url=…)'),
    ("foundry", {"region": "eu"}, "region=…"),
    ("practice", {"resource": "r"}, 'nv.connect("foundry", resource=…)'),
    ("anthropic", {"base_url": "http://localhost:4000/v1"}, "leave that out"),
    ("anthropic", {"base_url": "http://localhost:4000/v1/messages/"}, "leave that out"),
    ("aws", {"region": "x", "workspace_id": "w\r\nx: y", "api_key": KEY}, "workspace_id="),
    ("foundry", {"resource": "https://a.services.ai.azure.com", "api_key": KEY}, "resource="),
]


@pytest.mark.parametrize(("name", "given", "cure"), STRANGE_ARGUMENTS)
def test_arguments_that_cannot_be_meant_name_their_cure(
    name: str, given: dict[str, Any], cure: str
) -> None:
    with pytest.raises(NotConnected) as caught:
        nv.connect(name, **given)
    assert cure in caught.value.cure


@pytest.mark.parametrize(
    "given", [{"region": 5}, {"api_key": b"x"}, {"base_url": 7}, {"model": 5}, {"profile": []}]
)
def test_an_argument_that_is_no_text_is_named(given: dict[str, Any]) -> None:
    with pytest.raises(NotConnected, match=f"{next(iter(given))}= is of type") as caught:
        nv.connect("bedrock-mantle", **given)
    assert caught.value.limit == "text"


def test_a_region_may_be_left_to_google() -> None:
    given: dict[str, Any] = {"project_id": "p", "workspace_id": "w", "access_token": KEY}
    assert "locations/global/" in nv.connect("google-cloud", region="", **given).why


def test_two_ways_in_are_one_too_many() -> None:
    with pytest.raises(NotConnected, match="api_key= and access_token="):
        nv.connect("foundry", resource="school", api_key=KEY, access_token=KEY)
    with pytest.raises(NotConnected, match="resource= and base_url="):
        nv.connect("foundry", resource="school", api_key=KEY, base_url="https://example.org")


# Keys, tokens, signatures ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("bedrock-messages", "bedrock"),
        ("bedrock-mantle", "bedrock-mantle"),
        ("aws", "aws-external-anthropic"),
    ],
)
def test_aws_credentials_sign_for_the_right_service(
    name: str, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    with PracticeServer(token=KEY) as server:
        backend = nv.connect(name, base_url=server.address(name), **OPTIONS[name])  # type: ignore[arg-type]
        assert ask(backend, "stream").text
    with wire(answer_well) as place:
        ask(nv.connect(name, base_url=place.url, **OPTIONS[name]), "send")  # type: ignore[arg-type]
    sent = place.arrived[0].headers["authorization"]
    assert sent.startswith(f"AWS4-HMAC-SHA256 Credential={KEY}/")
    assert f"/us-east-1/{service}/aws4_request" in sent


@pytest.mark.parametrize("name", ["bedrock-messages", "bedrock-mantle", "aws"])
def test_without_aws_credentials_nothing_is_sent(name: str) -> None:
    with wire(answer_well) as place:
        backend = nv.connect(name, base_url=place.url, **OPTIONS[name])  # type: ignore[arg-type]
        with pytest.raises(NotConnected, match="no AWS credentials"):
            ask(backend, "send")
    assert place.arrived == []


@pytest.mark.parametrize("name", ["bedrock-messages", "bedrock-mantle", "aws"])
def test_keys_that_are_pasted_anew_are_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    with wire(answer_well) as place:
        for key in ("AKIAFIRST", "AKIASECOND"):
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
            ask(nv.connect(name, base_url=place.url, **OPTIONS[name]), "send")  # type: ignore[arg-type]
    sent = [arrived.headers["authorization"] for arrived in place.arrived]
    assert "AKIAFIRST" in sent[0]
    assert "AKIASECOND" in sent[1]


@pytest.mark.parametrize("name", ["vertex", "google-cloud", "foundry"])
def test_a_function_returns_a_fresh_token_for_each_call(name: str) -> None:
    tokens = iter([f"{KEY}-1", f"{KEY}-2"])
    latest = [""]

    def fresh() -> str:
        latest[0] = next(tokens)
        return latest[0]

    # Vertex's client asks twice in one call.
    given: Any = (lambda: KEY) if name == "vertex" else fresh
    with wire(answer_well) as place:
        backend = nv.connect(name, base_url=place.url, access_token=given, **OPTIONS[name])  # type: ignore[arg-type]
        ask(backend, "send")
        stop = StopSignal()
        list(backend.stream(request_for(backend), stop=stop))
    sent = [arrived.headers["authorization"] for arrived in place.arrived]
    assert sent == (
        [f"Bearer {KEY}"] * 2 if name == "vertex" else [f"Bearer {KEY}-1", f"Bearer {KEY}-2"]
    )


BAD_TOKENS: dict[str, Any] = {
    "failed": lambda: 1 / 0,
    "returned a NoneType": lambda: None,
    "is empty": lambda: "",
}


@pytest.mark.parametrize("name", ["vertex", "google-cloud", "foundry"])
@pytest.mark.parametrize("words", BAD_TOKENS)
def test_a_function_that_brings_no_token_is_named(name: str, words: str) -> None:
    with wire(answer_well) as place:
        backend = nv.connect(
            name, base_url=place.url, access_token=BAD_TOKENS[words], **OPTIONS[name]
        )  # type: ignore[arg-type]
        with pytest.raises(NotConnected, match=words):
            ask(backend, "send")
    assert place.arrived == []


class Credentials:
    """Behaves as those of google-auth."""

    def __init__(self) -> None:
        self.refreshed = 0
        self.valid = False
        self.token = ""

    def refresh(self, _: object) -> None:
        self.refreshed += 1
        self.valid, self.token = True, f"token-{self.refreshed}"


def test_googles_credentials_are_loaded_once_and_refreshed_when_they_expire() -> None:
    made: list[Credentials] = []

    def load() -> Credentials:
        made.append(Credentials())
        return made[-1]

    token = google_token(load)
    threads = [threading.Thread(target=token) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), made[0].refreshed, token()) == (1, 1, "token-1")
    made[0].valid = False
    assert token() == "token-2"


def test_nobody_signed_in_at_google_is_told_how() -> None:
    def load() -> Credentials:
        raise RuntimeError(KEY)

    with pytest.raises(NotConnected, match=r"no Google credentials \(RuntimeError\)") as caught:
        google_token(load)()
    assert "gcloud auth" in caught.value.cure
    assert KEY not in str(caught.value)


def test_anthropics_key_goes_to_no_other_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-of-another-house")
    for name in ("bedrock-messages", "bedrock-mantle", "vertex", "google-cloud", "foundry", "aws"):
        with asked(name, answer_well) as (backend, place):
            ask(backend, "send")
            list(backend.stream(request_for(backend), stop=StopSignal()))
        for arrived in place.arrived:
            assert "another-house" not in f"{arrived.headers}"


# A compatible server -----------------------------------------------------------------------------


def test_a_server_that_nobody_knows_is_asked_for_little() -> None:
    def strict(connection: Connection, arrived: Arrived) -> None:
        known = {"model", "max_tokens", "messages", "stream"}
        extra = set(arrived.json) - known or {
            key
            for message in arrived.json["messages"]
            for block in message["content"]
            for key in set(block) - {"type", "text", "source"}
        }
        if extra:
            connection.reply({"error": {"message": f"unknown {extra}"}}, 422)
        else:
            content_type, pieces = as_pieces(arrived)
            connection.reply(b"".join(pieces), content_type=content_type)

    with asked("compatible", strict) as (backend, place):
        assert nv.describe(nv.samples.shapes, backend=backend).text == "A red door."
        assert backend.count_tokens(request_for(backend)) is None
    assert backend.platform.name == "compatible"
    assert len(place.arrived) == 1


def test_a_server_on_this_machine_needs_no_key() -> None:
    with wire(answer_well) as place:
        backend = nv.connect("anthropic", base_url=place.url, model="llava")
        assert ask(backend, "send").text == "A red door."
        events = backend.stream(request_for(backend), stop=StopSignal())
        assert len(list(events)) == 6
    for arrived in place.arrived:
        assert "authorization" not in arrived.headers
        assert "x-api-key" not in arrived.headers
        assert arrived.json["model"] == "llava"


def test_a_gateway_that_passes_everything_on_can_be_said_to() -> None:
    backend = nv.connect(
        "anthropic", base_url="https://gateway.example.org", api_key=KEY, platform="anthropic"
    )
    assert backend.platform == find_platform("anthropic")
    plain = nv.connect("anthropic", base_url="https://gateway.example.org", api_key=KEY)
    assert plain.platform.name == "compatible"
    known = nv.connect("anthropic", base_url="https://api.anthropic.com/", api_key=KEY)
    assert known.platform.name == "anthropic"
    with pytest.raises(NotConnected, match="platform='vertex'"):
        nv.connect("anthropic", api_key=KEY, platform="vertex")


def test_a_name_that_looks_like_anthropics_is_not() -> None:
    backend = nv.connect("anthropic", base_url="https://api.anthropic.com.evil.org", api_key=KEY)
    assert backend.platform.name == "compatible"


def test_the_practice_server_is_known_by_its_token_or_its_address() -> None:
    with PracticeServer() as server:
        backend = nv.connect("anthropic", base_url=server.url, api_key="any")
        assert backend.platform.name == "anthropic"
    far = nv.connect("anthropic", base_url="http://127.0.0.1:8765", api_key="practice-0123")
    assert far.platform.name == "anthropic"


# Model ids ---------------------------------------------------------------------------------------

SPELLED = [
    ("bedrock-mantle", "claude-opus-5-5", "anthropic.claude-opus-5-5"),
    ("bedrock-mantle", "us.anthropic.claude-opus-5-5", "anthropic.claude-opus-5-5"),
    ("bedrock-messages", "claude-sonnet-5-5", "us.anthropic.claude-sonnet-5-5"),
    ("vertex", "claude-haiku-4-5-20251001", "claude-haiku-4-5@20251001"),
    ("vertex", "us.anthropic.claude-opus-5-5", "claude-opus-5-5"),
    ("aws", "anthropic.claude-opus-5-5", "claude-opus-5-5"),
    ("google-cloud", "claude-haiku-4-5@20251001", "claude-haiku-4-5"),
    ("anthropic", "us.anthropic.claude-opus-5-5", "claude-opus-5-5"),
]


@pytest.mark.parametrize(("name", "typed", "right"), SPELLED)
def test_another_doors_spelling_is_refused_with_the_right_one(
    name: str, typed: str, right: str
) -> None:
    with asked(name, answer_well) as (backend, place):
        wrong = replace(request_for(backend), model_id=typed)
        for act in (
            lambda: nv.describe(nv.samples.shapes, model=typed, backend=backend),
            lambda: backend.send(wrong),
            lambda: backend.count_tokens(wrong) or backend.send(wrong),
        ):
            with pytest.raises(ModelNotFound) as caught:
                act()
            assert caught.value.cure == f'model="{right}"'
    assert place.arrived == []
    require_spelling(right, backend.platform)


def test_a_wrong_spelling_is_refused_when_connecting() -> None:
    with pytest.raises(ModelNotFound, match="how vertex spells"):
        nv.connect("vertex", region="global", project_id="p", access_token=KEY, model="arn:aws:x")


@pytest.mark.parametrize("model", ["my-deployment", "gpt-oss", "", "practice-high", "claude@home"])
@pytest.mark.parametrize("place", [place.name for place in platforms()])
def test_a_name_of_ones_own_is_left_alone(place: str, model: str) -> None:
    require_spelling(model, find_platform(place))


def test_every_default_model_is_spelled_for_its_door() -> None:
    with wire(answer_well) as place:
        for name in DOORS:
            backend = door(name, place.url)
            require_spelling(backend.model, backend.platform)
            backend.close()


@pytest.mark.parametrize("name", DOORS)
def test_a_menu_offers_only_what_the_door_takes(name: str) -> None:
    backend = door(name, "http://127.0.0.1:9")
    offered = [choice["id"] for choice in model_choices(backend.model, backend)]
    assert len(offered) > 10
    for model_id in offered:
        require_spelling(model_id, backend.platform)
    backend.close()


# What a service says -----------------------------------------------------------------------------

NOWHERE = {"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}}


@pytest.mark.parametrize("how", ["send", "stream"])
@pytest.mark.parametrize("status", [200, 404])
def test_an_unknown_operation_is_an_error_whatever_its_status(how: str, status: int) -> None:
    with (
        asked("bedrock-messages", lambda c, _: c.reply(NOWHERE, status)) as (backend, _),
        pytest.raises(NotConnected, match="does not offer the Messages API") as caught,
    ):
        ask(backend, how)
    assert "bedrock-mantle" in caught.value.cure


def test_an_answer_may_speak_of_unknown_operations() -> None:
    words = {**MESSAGE, "content": [{"type": "text", "text": "UnknownOperationException"}]}
    with asked("bedrock-messages", lambda c, _: c.reply(words)) as (backend, _):
        assert ask(backend, "send").text == "UnknownOperationException"


WORDS: dict[str, Any] = {
    "bedrock-mantle": {"message": "The security token is invalid."},
    "vertex": [{"error": {"code": 403, "message": "Permission denied.", "status": "X"}}],
    "google-cloud": {"error": {"code": 403, "message": "Permission denied.", "status": "X"}},
    "foundry": {"error": {"code": "403", "message": "Access denied."}},
}


@pytest.mark.parametrize("name", WORDS)
def test_each_clouds_own_words_arrive(name: str) -> None:
    body = WORDS[name]
    inner = body[0] if isinstance(body, list) else body
    said = inner.get("message") or inner["error"]["message"]
    with (
        asked(name, lambda c, _: c.reply(body, 403)) as (backend, _),
        pytest.raises(AccessDenied, match=said),
    ):
        ask(backend, "send")


@pytest.mark.parametrize("name", [name for name in DOORS if name not in THROUGH_BOTO])
def test_only_anthropics_own_service_means_money_by_a_wait_it_does_not_name(name: str) -> None:
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow."}}
    expected = SpendLimitReached if name in {"anthropic", "aws"} else RateLimited
    with asked(name, lambda c, _: c.reply(error, 429)) as (backend, _), pytest.raises(expected):
        ask(backend, "send")


@pytest.mark.parametrize(
    "header", ["request_id", "x_amzn_requestid", "apim_request_id", "x_request_id"]
)
def test_a_request_keeps_the_name_that_the_service_gave_it(header: str) -> None:
    def answer(connection: Connection, _: Arrived) -> None:
        headers = {"request_id": "", header: "its-name"}
        connection.reply(MESSAGE, **headers)

    with asked("foundry", answer) as (backend, _):
        assert ask(backend, "send").request_id == "its-name"


# Capabilities ------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[1] / "docs" / "doors.md"


@pytest.mark.parametrize("name", [place.name for place in platforms()])
def test_the_page_says_of_each_door_what_the_code_says(name: str) -> None:
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in PAGE.read_text().splitlines()
        if line.startswith("|")
    ]
    at = next(number for number, row in enumerate(rows) if row[:2] == ["door", "pictures as bytes"])
    said = next(dict(zip(rows[at], row, strict=True)) for row in rows[at:] if row[0] == name)
    rows_of_code = Capabilities(find_platform(name)).rows
    assert said == {"door": name} | {what: answer for what, answer, _ in rows_of_code}


def test_capabilities_show_what_to_do_instead() -> None:
    backend = door("vertex", "http://127.0.0.1:9")
    shown = backend.capabilities._repr_mimebundle_()
    assert "answers by schema: no (asked for in words" in shown["text/plain"]
    headings = re.findall(r"<th [^>]*>([^<]*)</th>", shown["text/html"])
    assert headings == ["what", "here", "instead"]
    assert f"Source: {backend.platform.source}" in shown["text/plain"]
    assert repr(backend.capabilities) == "Capabilities('vertex')"


def test_the_practice_server_keeps_to_the_same_table() -> None:
    """Each side has its own table; what they say of sizes must agree."""
    from nbvision.practice import places

    rows = [places.API, places.BEDROCK, places.BEDROCK_MESSAGES, places.MANTLE]
    rows += [places.VERTEX, places.GOOGLE_CLOUD, places.AWS]
    for row in rows:
        ours = find_platform(row.name)
        assert row.body_limit_bytes == ours.request_limit_bytes, row.name
        assert row.image_base64_limit == ours.image_base64_limit, row.name
        assert row.source_types == ours.source_types, row.name
        assert row.takes_transformations == ours.takes_transformations, row.name


# The practice server's doors ---------------------------------------------------------------------


def test_the_practice_server_refuses_ids_and_fields_that_the_cloud_does_not_know() -> None:
    import anthropic

    words: list[Any] = [{"role": "user", "content": "hello"}]
    with PracticeServer(token=KEY) as server:
        mantle = anthropic.AnthropicBedrockMantle(
            api_key=KEY, aws_region="x", base_url=server.address("bedrock-mantle"), max_retries=0
        )
        for model in (
            "claude-opus-5-5",
            "us.anthropic.claude-opus-5-5",
            "anthropic.claude-opus-4-6",
        ):
            with pytest.raises(anthropic.NotFoundError):
                mantle.messages.create(model=model, max_tokens=9, messages=words)
        vertex = anthropic.AnthropicVertex(
            region="x",
            project_id="p",
            access_token=KEY,
            base_url=server.address("vertex"),
            max_retries=0,
        )
        form: Any = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
        with pytest.raises(anthropic.BadRequestError, match="Extra inputs"):
            vertex.messages.create(
                model="claude-opus-5-5", max_tokens=9, messages=words, output_config=form
            )
        counted = vertex.messages.count_tokens(model="claude-haiku-4-5@20251001", messages=words)
        assert counted.input_tokens > 0
        aws = anthropic.AnthropicAWS(
            api_key=KEY,
            aws_region="x",
            workspace_id="",
            base_url=server.address("aws"),
            max_retries=0,
        )
        with pytest.raises(anthropic.BadRequestError, match="workspace"):
            aws.messages.create(model="claude-opus-5-5", max_tokens=9, messages=words)
        assert aws.models is not None


def test_a_signature_for_another_service_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    with PracticeServer(token=KEY) as server:
        backend = nv.connect(
            "bedrock-mantle", region="us-east-1", base_url=server.address("bedrock-messages")
        )
        with pytest.raises(AccessDenied, match="correct service: 'bedrock'"):
            ask(backend, "send")


def test_a_door_that_is_not_there_is_named() -> None:
    with PracticeServer() as server, pytest.raises(RequestError, match="no door 'moon'"):
        server.address("moon")


def test_the_practice_server_hides_every_kind_of_key() -> None:
    with PracticeServer(token=KEY) as server:
        for name in DOORS:
            backend = door_at(name, server)
            ask(backend, "send")
            backend.close()
        assert KEY not in str(server.requests)


def test_certificates_are_read_once_and_again_when_others_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def trusted() -> Any:
        client = make_http_client("https://example.org")
        client.close()
        return client._transport._pool._ssl_context

    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert trusted() is trusted()
    own = tmp_path / "own.pem"
    own.write_bytes((Path(botocore.__file__).parent / "cacert.pem").read_bytes())
    before = trusted()
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    assert trusted() is not before
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nowhere.pem"))
    with pytest.raises(NotConnected, match="cannot be made"):
        door("anthropic", "https://example.org")
