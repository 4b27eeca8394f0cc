"""One contract, kept by every backend through the real clients and real HTTP."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from doors import DOORS, KEY, door_at
from PIL import Image
from wire import answer_well, wire

import nbvision as nv
from nbvision.backends import Backend, connected, connection, retrying
from nbvision.errors import (
    AccessDenied,
    ConnectionLost,
    Interrupted,
    ModelNotFound,
    NbvisionError,
    NotConnected,
    Overloaded,
    RateLimited,
    Refused,
    RequestRejected,
    ServiceFailed,
    SpendLimitReached,
    TimedOut,
    Truncated,
    UnreadableAnswer,
)
from nbvision.practice import PracticeServer
from nbvision.request import Request
from nbvision.response import parse_response
from nbvision.stream_reader import StreamReader

NAMES = [*DOORS, "practice"]


@pytest.fixture(scope="module")
def server() -> Iterator[PracticeServer]:
    with PracticeServer(token=KEY) as running:
        yield running


@pytest.fixture
def backend(request: pytest.FixtureRequest, server: PracticeServer) -> Iterator[Backend]:
    made = make(request.param, server)
    yield made
    made.close()
    server.faults.clear()


def make(name: str, server: PracticeServer) -> Backend:
    if name == "practice":
        return nv.connect("practice", words_per_second=None)
    return door_at(name, server)


every = pytest.mark.parametrize("backend", NAMES, indirect=True)
over_the_wire = pytest.mark.parametrize("backend", DOORS, indirect=True)


# Looked at in a moment: what goes wrong here has nothing to do with the picture.
SMALL = nv.open_image(Image.new("RGB", (220, 210), "red"))


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "_FIRST_WAIT_SECONDS", 0.01)


def request_for(backend: Backend, prompt: str = "Describe this image.") -> Request:
    return nv.build_request(SMALL, prompt, backend=backend)


@every
def test_sending_brings_a_message(backend: Backend) -> None:
    answer = backend.send(nv.build_request(nv.samples.shapes, backend=backend))
    response = parse_response(answer.message, answer.request_id)
    assert "red circle" in response.text
    assert response.request_id


@every
def test_every_box_lands(backend: Backend) -> None:
    found = nv.locate(nv.samples.photo, "the red bowl", backend=backend)
    assert found[0].iou(nv.samples.photo.truth[0]) > 0.95
    assert found.reply.backend == backend.name
    assert found.reply.request.sends_schema is backend.platform.structured_outputs
    assert found.reply.response.request_id


@every
def test_streaming_brings_the_same_words(backend: Backend) -> None:
    request, reader = request_for(backend), StreamReader()
    with backend.stream(request) as events:
        for event in events:
            reader.feed(event)
    whole = parse_response(backend.send(request).message)
    assert reader.response().text == whole.text
    assert reader.response().usage == whole.usage


@every
def test_a_stream_can_be_left_and_the_backend_used_again(backend: Backend) -> None:
    with backend.stream(request_for(backend)) as events:
        next(events)
    assert parse_response(backend.send(request_for(backend)).message).is_complete


@every
def test_counting_says_what_is_billed_or_nothing(backend: Backend) -> None:
    request = request_for(backend)
    counted = backend.count_tokens(request)
    if not backend.platform.counts_tokens:
        assert counted is None
    else:
        assert counted == parse_response(backend.send(request).message).usage.input_tokens


@every
def test_it_says_who_it_is_and_never_the_key(backend: Backend) -> None:
    shown = [repr(backend), backend.why, str(backend._repr_mimebundle_())]  # type: ignore[attr-defined]
    assert backend.name in shown[2]
    assert KEY not in " ".join(shown)


@every
def test_an_unknown_model_is_not_found(backend: Backend) -> None:
    with pytest.raises((ModelNotFound, RequestRejected)):
        nv.describe(nv.samples.shapes, model="no-such-model", backend=backend)


FAULTS = {
    "overloaded": Overloaded,
    "rate_limited_hour": RateLimited,
    "server_error": ServiceFailed,
    "reset": ConnectionLost,
    "cut": (Interrupted, ConnectionLost),
    "ends_early": Interrupted,
    "error_event": (Overloaded, RateLimited),
    "refusal": Refused,
    "truncated": Truncated,
    "bad_json": UnreadableAnswer,
    "bad_utf8": UnreadableAnswer,
    "html": UnreadableAnswer,
    "other_json": UnreadableAnswer,
    "null": (UnreadableAnswer, Interrupted),
    "empty": (UnreadableAnswer, Interrupted),
    "nan_usage": UnreadableAnswer,
    "disorder": UnreadableAnswer,
}


@over_the_wire
@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_is_one_error_of_ours(
    backend: Backend, server: PracticeServer, kind: str
) -> None:
    server.faults.push(kind, times=3)
    with pytest.raises(FAULTS[kind]) as caught:
        nv.describe(SMALL, backend=backend)
    assert_no_key_hangs_on(caught.value)


@over_the_wire
@pytest.mark.parametrize("kind", ["spend_limit", "monthly_limit"])
def test_money_is_never_asked_for_twice(
    backend: Backend, server: PracticeServer, kind: str
) -> None:
    server.faults.push(kind, times=3)
    with pytest.raises(SpendLimitReached):
        nv.describe(SMALL, backend=backend)
    assert len(server.faults.pending) == 2


@over_the_wire
@pytest.mark.parametrize("kind", ["overloaded", "server_error"])
def test_what_was_refused_before_work_is_asked_again(
    backend: Backend, server: PracticeServer, kind: str
) -> None:
    server.faults.push(kind)
    waits: list[str] = []
    answer = backend.send(request_for(backend), on_wait=waits.append)
    assert parse_response(answer.message).is_complete
    assert len(waits) == 1
    assert "asking again" in waits[0]


def test_a_wait_that_the_service_names_is_kept(server: PracticeServer) -> None:
    backend, started = make("anthropic", server), time.monotonic()
    server.faults.push("rate_limited")
    assert parse_response(backend.send(request_for(backend)).message).is_complete
    assert time.monotonic() - started >= 1


@over_the_wire
def test_a_lost_reply_is_never_asked_for_again(backend: Backend, server: PracticeServer) -> None:
    server.faults.push("reset", times=3)
    with pytest.raises(ConnectionLost) as caught:
        nv.describe(SMALL, backend=backend)
    assert caught.value.may_have_been_billed
    assert len(server.faults.pending) == 2


@over_the_wire
def test_a_wait_of_an_hour_is_an_error_at_once(backend: Backend, server: PracticeServer) -> None:
    server.faults.push("rate_limited_hour")
    started = time.monotonic()
    with pytest.raises(RateLimited) as caught:
        nv.describe(SMALL, backend=backend)
    assert caught.value.retry_after_seconds == 3600
    assert time.monotonic() - started < 5


def test_pictures_and_keys_do_not_follow_redirects(server: PracticeServer) -> None:
    backend = make("anthropic", server)
    server.faults.push("redirect")
    with pytest.raises(NotConnected, match="redirect"):
        nv.describe(SMALL, backend=backend)


@pytest.mark.parametrize("name", DOORS)
def test_a_wrong_key_is_denied_and_not_shown(name: str, server: PracticeServer) -> None:
    wrong = "sk-ant-wrong-9876543210"
    backend = door_at(name, server, wrong)
    with pytest.raises(AccessDenied) as caught:
        nv.describe(SMALL, backend=backend)
    assert_no_key_hangs_on(caught.value, wrong)


def test_a_server_that_is_not_there_costs_nothing() -> None:
    backend = nv.connect("anthropic", base_url="http://127.0.0.1:9", api_key="none")
    with pytest.raises(NotConnected, match="cannot be reached") as caught:
        nv.describe(SMALL, backend=backend)
    assert not caught.value.may_have_been_billed


def test_a_key_does_not_travel_unencrypted() -> None:
    with pytest.raises(NotConnected, match="unencrypted"):
        nv.connect("anthropic", base_url="http://example.org", api_key="none")


def test_aws_credentials_sign_where_there_is_no_bearer(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    backend = nv.connect("bedrock", region="us-east-1", endpoint_url=server.url)
    assert parse_response(backend.send(request_for(backend)).message).is_complete


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "openai"}, "no backend 'openai'"),
        ({"name": "anthropic", "region": "us-east-1"}, "region="),
        ({"name": "bedrock", "base_url": "https://example.org"}, "base_url="),
        ({"name": "practice", "api_key": "x"}, "api_key="),
        ({"name": "practice", "region": "us-east-1"}, 'nv.connect\\("bedrock", region=…\\)'),
        ({"name": "bedrock", "words_per_second": 5}, "words_per_second="),
        ({"name": "bedrock", "profile": "no-such-profile"}, "no AWS profile"),
        ({"name": "Anthropic"}, 'nv.connect\\("anthropic"\\)'),
        ({"name": "claude-opus-5-5"}, 'nv.connect\\("anthropic", model=…\\)'),
        ({"name": "us.anthropic.claude-opus-5-5"}, 'nv.connect\\("bedrock", model=…\\)'),
        ({"name": "anthropic", "base_url": "example.org", "api_key": "x"}, "no address"),
        ({"name": "anthropic", "base_url": "https://me:secret@x.org"}, "leave them out"),
        ({"name": "anthropic", "api_key": ""}, "key in api_key"),
        ({"name": "bedrock", "endpoint_url": "http://x.org"}, "unencrypted"),
        ({"name": "bedrock", "region": "us east"}, "check region"),
    ],
)
def test_arguments_that_fit_nowhere_are_named(arguments: dict[str, str], words: str) -> None:
    with pytest.raises(NotConnected, match=words) as caught:
        nv.connect(**arguments)  # type: ignore[arg-type]
    assert caught.value.cure
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["anthropic", "bedrock"])
@pytest.mark.parametrize("key", [KEY + "\n", "sk ant", "sk-ant-…"])
def test_a_key_that_was_copied_badly_is_named_and_not_shown(name: str, key: str) -> None:
    region = "us-east-1" if name == "bedrock" else None
    with pytest.raises(NotConnected, match="copy it again") as caught:
        nv.connect(name, api_key=key, region=region)
    assert_no_key_hangs_on(caught.value, key.strip())


@pytest.mark.parametrize("name", ["anthropic", "bedrock"])
def test_connecting_sends_nothing(name: str) -> None:
    with wire(answer_well) as place:
        where = "base_url" if name == "anthropic" else "endpoint_url"
        region = "us-east-1" if name == "bedrock" else None
        nv.connect(name, api_key=KEY, region=region, **{where: place.url})  # type: ignore[arg-type]
    assert place.connections == 0


def test_the_practice_server_answers_behind_a_companys_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    backend = nv.connect("practice", words_per_second=None)
    assert parse_response(backend.send(request_for(backend)).message).is_complete


def test_threads_that_connect_at_once_share_one_practice_server() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: nv.connect("practice", words_per_second=999), range(8)))
    assert len({repr(backend) for backend in made}) == 1


CHOICES = [
    ({}, "practice"),
    ({"ANTHROPIC_API_KEY": KEY}, "anthropic"),
    ({"AWS_BEARER_TOKEN_BEDROCK": KEY, "AWS_REGION": "us-east-1"}, "bedrock"),
    ({"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_REGION": "z"}, "practice"),
    ({"ANTHROPIC_API_KEY": ""}, "practice"),
]


@pytest.mark.parametrize(("environment", "name"), CHOICES)
def test_the_environment_chooses_and_is_told(environment: dict[str, str], name: str) -> None:
    code = "import nbvision as nv; b = nv.connect(); print(b.name, '|', b.why)"
    shown = run(code, environment)
    assert shown.startswith(f"{name} | ")
    assert "chosen because" in shown
    assert KEY not in shown
    assert ("used only when asked for" in shown) is ("AWS_ACCESS_KEY_ID" in environment)


@pytest.mark.parametrize(
    ("name", "cure"), [("anthropic", "ANTHROPIC_API_KEY"), ("bedrock", "region=")]
)
def test_without_key_or_region_the_cure_is_named(name: str, cure: str) -> None:
    code = (
        "import nbvision as nv\n"
        f"try: nv.connect({name!r})\nexcept nv.NbvisionError as error: print(error)"
    )
    assert cure in run(code, {})


def run(code: str, environment: dict[str, str]) -> str:
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    clean |= {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": os.devnull,
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=clean | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_last_connected_answers_and_backend_overrides(server: PracticeServer) -> None:
    other = make("bedrock", server)
    chosen = make("anthropic", server)
    assert connected() is chosen
    assert nv.describe(nv.samples.shapes).backend == "anthropic"
    assert nv.describe(nv.samples.shapes, backend=other).backend == "bedrock"


def test_a_slow_answer_ends_at_the_deadline(server: PracticeServer) -> None:
    backend = make("anthropic", server)
    server.faults.push("drip")
    stream = backend.stream(request_for(backend))
    stream._deadline = time.monotonic() + 0.3
    with stream, pytest.raises(TimedOut) as caught:
        for _ in stream:
            pass
    assert caught.value.may_have_been_billed
    server.faults.clear()


def assert_no_key_hangs_on(error: BaseException, key: str = KEY) -> None:
    """Walk what an error carries: contexts, causes, attributes."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        assert key not in repr(value)
        if isinstance(value, BaseException):
            assert isinstance(value, NbvisionError), f"{type(value)} hangs on our error"
            waiting += [value.__context__, value.__cause__, *vars(value).values(), *value.args]
            waiting = [item for item in waiting if item is not None]


def test_asking_who_is_connected_waits_for_no_server_to_start() -> None:
    backend = nv.connect("practice", words_per_second=None)
    with ThreadPoolExecutor(2) as pool:
        with connection._starting:
            other = pool.submit(nv.connect, "practice", words_per_second=998)
            assert pool.submit(connected).result(timeout=5) is backend
            assert not other.done()
        assert other.result(timeout=30) is connected()
