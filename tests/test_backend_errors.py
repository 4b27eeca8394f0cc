"""No exception of an SDK leaves a backend as it is: every class of theirs is tried."""

import inspect
from collections.abc import Iterator

import anthropic
import botocore.exceptions
import botocore.session
import httpx2
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from nbvision.backends import bedrock, translate
from nbvision.backends.anthropic_api import AnthropicBackend
from nbvision.backends.protocol import shielded
from nbvision.errors import (
    AnswerError,
    BackendError,
    NbvisionError,
    Overloaded,
    SpendLimitReached,
)

KEY = "sk-ant-secret-0123456789abcdef"
REQUEST = httpx2.Request("POST", "https://example.org", headers={"x-api-key": KEY})
BACKEND = AnthropicBackend(base_url="http://127.0.0.1:9", api_key=KEY)


def subclasses(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for child in root.__subclasses__():
        yield from subclasses(child)


def statuses() -> list[type[anthropic.APIStatusError]]:
    return list(subclasses(anthropic.APIStatusError))  # type: ignore[arg-type]


def anthropic_errors() -> list[Exception]:
    made: list[Exception] = [
        anthropic.APIConnectionError(request=REQUEST),
        anthropic.APITimeoutError(REQUEST),
        anthropic.AnthropicError("anything"),
        anthropic.CredentialsError("no credentials"),
    ]
    made += [
        kind("refused", response=httpx2.Response(code, request=REQUEST), body=None)
        for kind in statuses()
        for code in (400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 500, 503, 504, 529)
    ]
    return made


def everyday_errors() -> list[Exception]:
    return [
        ValueError("not JSON"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        TypeError("bad"),
        AttributeError("bad"),
        IndexError("bad"),
        AssertionError("bad"),
        KeyError("bad"),
        OSError("bad"),
        RecursionError("deep"),
        httpx2.ReadError("gone"),
        httpx2.ReadTimeout("slow"),
        httpx2.ConnectError("not there"),
        httpx2.RemoteProtocolError("broken"),
    ]


def test_everything_the_anthropic_client_raises_becomes_ours() -> None:
    for error in [*anthropic_errors(), *everyday_errors()]:
        ours = BACKEND._translate(error)
        assert isinstance(ours, BackendError | AnswerError), error
        assert KEY not in f"{ours!r} {ours} {vars(ours)}"
        assert ours.cure, error


def test_every_exception_class_of_the_anthropic_sdk_was_tried() -> None:
    tried = {type(error) for error in anthropic_errors()}
    ours_to_make = {
        anthropic.APIError,  # abstract root
        anthropic.APIResponseValidationError,  # only with strict validation, which is off
        anthropic.APIWebhookValidationError,  # webhooks are not used
    }
    public = {
        kind
        for _, kind in inspect.getmembers(anthropic, inspect.isclass)
        if issubclass(kind, anthropic.AnthropicError) and kind.__module__.startswith("anthropic")
    }
    untried = {kind for kind in public - tried - ours_to_make if not _is_local(kind)}
    assert untried == set()


def _is_local(kind: type[Exception]) -> bool:
    """Whether a class belongs to files and tokens on this machine, and is made like its base."""
    return (
        issubclass(kind, anthropic.CredentialsError)
        or "Retryable" in kind.__name__
        or "credentials" in kind.__module__
    )


def botocore_errors() -> list[Exception]:
    made: list[Exception] = []
    for _, kind in inspect.getmembers(botocore.exceptions, inspect.isclass):
        if not issubclass(kind, Exception) or issubclass(kind, ClientError):
            continue
        try:
            made.append(kind())
        except Exception:  # noqa: BLE001 - each class wants other words in its message
            made.append(kind.__new__(kind))
    return made


def test_everything_botocore_raises_becomes_ours() -> None:
    errors = botocore_errors()
    assert len(errors) > 50
    for error in errors:
        ours = bedrock._translate(error)
        assert isinstance(ours, BackendError | AnswerError), error
        assert ours.cure, error


@pytest.mark.parametrize("status", [0, 200, 400, 403, 429, 500, 503])
def test_every_error_of_the_bedrock_runtime_becomes_ours(status: int) -> None:
    for code in runtime_errors():
        assert_translated(code, status)


def runtime_errors() -> list[str]:
    """The errors that the service's own model declares for its operations."""
    loader = botocore.session.get_session().get_component("data_loader")
    model = loader.load_service_model("bedrock-runtime", "service-2")
    return [name for name, shape in model["shapes"].items() if shape.get("exception")]


def assert_translated(code: str, status: int) -> None:
    reply = {
        "Error": {"Code": code, "Message": "words"},
        "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "id", "HTTPHeaders": {}},
    }
    ours = bedrock._translate(ClientError(reply, "InvokeModel"))  # type: ignore[arg-type]
    assert isinstance(ours, BackendError)
    assert "words" in str(ours)


@given(status=st.integers(300, 999), kind=st.text(max_size=30), message=st.text(max_size=200))
def test_any_status_is_an_error_with_value_and_cure(status: int, kind: str, message: str) -> None:
    ours = translate.from_status(status, kind=kind, message=message)
    assert ours.value
    assert ours.cure


def test_the_services_own_error_type_decides_over_the_status() -> None:
    assert type(translate.from_status(200, kind="overloaded_error")) is Overloaded


@pytest.mark.parametrize("status", [400, 402, 429])
def test_a_spend_limit_is_told_from_a_rate_limit(status: int) -> None:
    message = "You have reached your specified API usage limits."
    assert type(translate.from_status(status, message=message)) is SpendLimitReached


def test_nothing_foreign_hangs_from_a_translated_error() -> None:
    def fail() -> None:
        raise anthropic.APIConnectionError(request=REQUEST)

    with pytest.raises(NbvisionError) as caught:
        shielded(fail, BACKEND._translate)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_an_interrupt_passes() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shielded(interrupt, BACKEND._translate)
