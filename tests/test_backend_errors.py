"""No exception of an SDK leaves a backend as it is: every class of theirs is tried."""

import contextlib
import importlib
import inspect
import pkgutil
from types import ModuleType

import anthropic
import botocore.eventstream
import botocore.session
import httpx2
import pytest
import urllib3
from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError
from hypothesis import given
from hypothesis import strategies as st

from nbvision.backends import aws, translate
from nbvision.backends.anthropic_api import AnthropicBackend
from nbvision.backends.first_party import anthropic_door
from nbvision.backends.protocol import shielded
from nbvision.errors import (
    AnswerError,
    BackendError,
    NbvisionError,
    NotConnected,
    Overloaded,
    SpendLimitReached,
)

KEY = "sk-ant-secret-Zq8w2nLr6tVb4xKd"
REQUEST = httpx2.Request("POST", "https://example.org", headers={"x-api-key": KEY})
BACKEND = AnthropicBackend(anthropic_door(base_url="http://127.0.0.1:9", api_key=KEY))


def subclasses(root: type[Exception]) -> set[type[Exception]]:
    found = {root}
    for child in root.__subclasses__():
        found |= subclasses(child)
    return found


def modules_of(package: ModuleType) -> None:
    """Import whatever a package holds: a class that nobody imported is not among subclasses."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name.split(".")[1] in {"_exceptions", "lib", "exceptions", "_streaming"}:
            with contextlib.suppress(ImportError, anthropic.AnthropicError):
                importlib.import_module(module.name)


def made(kind: type[Exception]) -> Exception:
    """One of a kind, as its SDK makes it where that is simple, and bare where it is not."""
    if issubclass(kind, anthropic.APIStatusError):
        return kind("refused", response=httpx2.Response(400, request=REQUEST), body=None)
    for arguments in ((), ("words",), ("words", REQUEST), (REQUEST,)):
        with contextlib.suppress(Exception):
            return kind(*arguments)
    bare = kind.__new__(kind)
    bare.args = ("words",)
    return bare


def every_class_of(*roots: type[Exception]) -> list[Exception]:
    kinds = set().union(*(subclasses(root) for root in roots))
    return [made(kind) for kind in sorted(kinds, key=str)]


def anthropic_errors() -> list[Exception]:
    modules_of(anthropic)
    every_status = [
        kind("refused", response=httpx2.Response(code, request=REQUEST), body=None)
        for kind in subclasses(anthropic.APIStatusError)
        for code in (400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 424, 429, 500, 503, 504, 529)
    ]
    timeouts = [anthropic.APIConnectionError(request=REQUEST), anthropic.APITimeoutError(REQUEST)]
    return [*every_class_of(anthropic.AnthropicError), *every_status, *timeouts]


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
        MemoryError("full"),
        RuntimeError("bad"),
        *every_class_of(httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL),
        *every_class_of(urllib3.exceptions.HTTPError),
    ]


def test_everything_the_anthropic_client_raises_becomes_ours() -> None:
    for error in [*anthropic_errors(), *everyday_errors()]:
        ours = BACKEND._translate(error)
        assert isinstance(ours, BackendError | AnswerError), error
        assert KEY not in f"{ours!r} {ours} {vars(ours)}"
        assert ours.cure, error


def test_every_public_exception_of_the_anthropic_sdk_was_tried() -> None:
    tried = {type(error) for error in anthropic_errors()}
    public = {
        kind
        for _, kind in inspect.getmembers(anthropic, inspect.isclass)
        if issubclass(kind, Exception)
    }
    assert len(public) > 15
    assert public - tried == set()


def botocore_errors() -> list[Exception]:
    """All but ClientError's own family, which is tried by its codes below."""
    modules_of(botocore)
    found = every_class_of(BotoCoreError, botocore.eventstream.ParserError)
    return [error for error in found if not isinstance(error, ClientError)]


def test_everything_botocore_raises_becomes_ours() -> None:
    listed = {
        kind
        for _, kind in inspect.getmembers(exceptions, inspect.isclass)
        if issubclass(kind, Exception) and not issubclass(kind, ClientError)
    }
    errors = [*botocore_errors(), *everyday_errors()]
    assert len(listed) > 50
    for error in [*errors, *(made(kind) for kind in listed)]:
        ours = aws.translated(error)
        assert isinstance(ours, BackendError | AnswerError), error
        assert ours.cure, error
        assert ours.__cause__ is None


def test_what_was_never_sent_is_never_said_to_be_billed() -> None:
    never = [
        exceptions.EndpointConnectionError(endpoint_url="https://x", error="refused"),
        exceptions.ConnectTimeoutError(endpoint_url="https://x", error="slow"),
        exceptions.ProxyConnectionError(proxy_url="http://me:secret@x", error="refused"),
        exceptions.NoCredentialsError(),
    ]
    for error in never:
        ours = aws.translated(error)
        assert isinstance(ours, NotConnected)
        assert "secret" not in str(ours)
    for kind in (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError):
        assert isinstance(BACKEND._translate(kind("refused")), NotConnected)


def test_a_certificate_that_is_not_trusted_names_its_cure() -> None:
    words = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"
    theirs = exceptions.SSLError(endpoint_url="https://x", error=words)
    assert "AWS_CA_BUNDLE" in aws.translated(theirs).cure
    assert "SSL_CERT_FILE" in BACKEND._translate(httpx2.ConnectError(words)).cure


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
    ours = aws.translated(ClientError(reply, "InvokeModel"))  # type: ignore[arg-type]
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
