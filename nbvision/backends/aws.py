"""What the doors to Amazon Bedrock's runtime have in common.

boto3 finds credentials and regions, signs, and reads the binary event stream. Retries are
ours: boto3 would repeat a timed-out generation, which is billed each time.
"""

import os
import weakref
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from typing import Any, TypeVar

from nbvision.backends import translate
from nbvision.backends.addresses import (
    is_loopback,
    other_address,
    require_private,
    require_sendable_key,
    shown,
)
from nbvision.backends.aws_connections import aws_session, read_bounded, stop_early
from nbvision.backends.door import require_spelling
from nbvision.backends.protocol import (
    Answer,
    EventStream,
    OnWait,
    StopSignal,
    introduction,
    require_open,
    shielded,
)
from nbvision.backends.retrying import with_retries
from nbvision.backends.stopping import stoppable
from nbvision.catalogue import DEFAULT_BEDROCK_MODEL
from nbvision.errors import (
    NbvisionError,
    NotConnected,
    RequestRejected,
    UnreadableAnswer,
)
from nbvision.keeping import Keeping
from nbvision.keys import hide_in_logs, note_keys, without_keys
from nbvision.platforms import Capabilities, find_platform
from nbvision.request import Request

__all__ = ["RuntimeBackend", "hang_up", "request_id", "runtime_client", "translated"]

Result = TypeVar("Result")

_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 600.0  # nothing comes while a model thinks, and nothing before a whole answer
_SIGN_IN = "aws configure, AWS_PROFILE, or AWS_BEARER_TOKEN_BEDROCK"
_TOKEN = "AWS_BEARER_TOKEN_BEDROCK"  # noqa: S105 - the name of a variable
# The status each AWS error stands for, where the reply itself carries none.
_STATUS = {
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "InternalServerException": 500,
    "ModelErrorException": 424,
    "ModelNotReadyException": 503,
    "ModelStreamErrorException": 424,
    "ModelTimeoutException": 408,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 402,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "UnrecognizedClientException": 403,
    "ValidationException": 400,
}


class RuntimeBackend:
    """Asks Claude through one of the operations of Bedrock's runtime.

    A subclass has a ``name``, which is also its platform's, and gives the hooks at the end.

    Parameters
    ----------
    model
        An inference profile or model id as Bedrock names it.
    region, profile
        As boto3 understands them; otherwise from the environment.
    api_key
        A Bedrock API key, sent as bearer token instead of a signature.
    endpoint_url
        Another address, such as a private endpoint's.
    why
        How it introduces itself.
    """

    name = "bedrock"

    def __init__(
        self,
        *,
        model: str | None = None,
        region: str | None = None,
        profile: str | None = None,
        api_key: str | None = None,
        endpoint_url: str | None = None,
        why: str = "",
    ) -> None:
        self.model = model or DEFAULT_BEDROCK_MODEL
        self.platform = find_platform(self.name)
        require_spelling(self.model, self.platform)
        self._client = runtime_client(region, profile, api_key, endpoint_url)
        # A backend that is let go of lets go of its connections.
        self._finish = weakref.finalize(self, self._client.close)
        place = shown(endpoint_url) if endpoint_url else f"region {self._client.meta.region_name}"
        self.why = why or f"requests go to {place}"
        # The client's own word: boto3 also takes addresses from its files and the environment.
        self.address = other_address(self._client.meta.endpoint_url)
        self.keeping = Keeping()

    @property
    def capabilities(self) -> Capabilities:
        """What this door can do, and what to do where it cannot; shows as a table."""
        return Capabilities(self.platform)

    @property
    def files(self) -> None:
        """None: no files are kept here."""

    def send(self, request: Request, *, on_wait: OnWait | None = None) -> Answer:
        """Send a request and return its whole answer; see `Backend.send`."""
        require_spelling(request.model_id, self.platform)
        return self._ask(lambda: self._send(request), on_wait)

    def stream(
        self,
        request: Request,
        *,
        on_wait: OnWait | None = None,
        stop: StopSignal | None = None,
    ) -> EventStream:
        """Send a request and return its events; see `Backend.stream`."""
        require_spelling(request.model_id, self.platform)
        with stoppable(stop) if stop is not None else nullcontext():
            events = self._ask(lambda: self._stream(request), on_wait, stop)
        if stop is not None:
            stop.closes(events.close)
        return events

    def count_tokens(self, request: Request) -> int | None:
        """Return the input tokens as Bedrock counts them, free; None where it refuses to.

        It counts for some models and some spellings of their ids only, and for roles that may.
        """

        def count() -> int | None:
            found = self._client.count_tokens(
                modelId=request.model_id, input=self._counted(request)
            ).get("inputTokens")
            return found if type(found) is int and found >= 0 else None

        try:
            return self._ask(count, None)
        except RequestRejected:
            return None

    def close(self) -> None:
        """Close the connections; the backend cannot be asked again."""
        self._finish()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r}, {self._client.meta.region_name!r})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return introduction(self)

    def _ask(
        self,
        action: Callable[[], Result],
        on_wait: OnWait | None,
        stop: StopSignal | None = None,
    ) -> Result:
        require_open(is_closed=not self._finish.alive, name=self.name)
        return with_retries(lambda: shielded(action, translated), on_wait, stop)

    def _send(self, request: Request) -> Answer:
        raise NotImplementedError

    def _stream(self, request: Request) -> EventStream:
        raise NotImplementedError

    def _counted(self, request: Request) -> dict[str, Any]:
        """Return the request as `CountTokens` takes it."""
        raise NotImplementedError


def request_id(reply: Mapping[str, Any]) -> str | None:
    """Return the service's name for the request of a reply."""
    found = reply.get("ResponseMetadata", {}).get("RequestId")
    return without_keys(str(found)) if found else None


def hang_up(body: Any) -> None:
    """Close a stream at once: closing alone wakes nobody who waits in another thread."""
    # urllib3's shutdown does, and refuses where the connection is back in the pool; botocore
    # offers no way to it.
    with suppress(AttributeError, OSError, RuntimeError, ValueError):
        body._raw_stream.shutdown()  # noqa: SLF001 - as said above
    body.close()


def translated(error: Exception) -> NbvisionError:
    """Return what boto3 raised as an error of ours."""
    from botocore import exceptions
    from urllib3.exceptions import HTTPError

    if isinstance(error, exceptions.ClientError):
        return _from_reply(error.response)
    if (found := about_credentials(error)) is not None:
        return found
    is_certificate = isinstance(error, exceptions.SSLError) and "CERTIFICATE" in str(error)
    if is_certificate or isinstance(error, _never_sent()):
        return translate.unreachable("Bedrock", _reason(error))
    if isinstance(error, exceptions.ReadTimeoutError):
        return translate.lost("Bedrock was silent for too long", timed_out=True)
    if isinstance(error, exceptions.ParamValidationError):
        return translate.from_status(400, message=str(error)[:500])
    broken_off = exceptions.HTTPClientError | exceptions.IncompleteReadError | HTTPError | OSError
    if isinstance(error, broken_off):
        return translate.lost(type(error).__name__)
    if isinstance(error, exceptions.EndpointProviderError | exceptions.NoRegionError):
        return NotConnected(
            f"Bedrock has no such address ({type(error).__name__})",
            cure="check region and endpoint_url; nothing was sent",
        )
    return UnreadableAnswer(
        f"there came a reply that cannot be read ({type(error).__name__})",
        cure="ask again; it may have been billed",
    )


def about_credentials(error: Exception) -> NotConnected | None:
    """Return the error for credentials that are missing or cannot be read; None for others."""
    from botocore import exceptions

    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return NotConnected("no AWS credentials", cure=_SIGN_IN)
    if isinstance(error, exceptions.CredentialRetrievalError | exceptions.SSOError):
        return NotConnected(
            f"AWS credentials cannot be read ({type(error).__name__})",
            cure=f"sign in again: aws sso login, or {_SIGN_IN}",
        )
    return None


def runtime_client(
    region: str | None, profile: str | None, api_key: str | None, endpoint_url: str | None
) -> Any:
    """Return boto3's client for Bedrock's runtime; nothing is sent.

    Parameters
    ----------
    region, profile, api_key, endpoint_url
        As for `RuntimeBackend`.

    Raises
    ------
    NotConnected
        If there is no region, no such profile, or an address or key cannot be used.
    """
    if endpoint_url is not None:
        require_private(endpoint_url)
    name = "api_key" if api_key is not None else _TOKEN
    if api_key is None and profile is None:
        api_key = os.environ.get(_TOKEN) or None
    if api_key is not None:
        require_sendable_key(api_key, name)

    hide_in_logs()

    def make() -> Any:
        # boto3 reads AWS_DEFAULT_REGION alone; the other SDKs, and the guides, say AWS_REGION.
        place = region or os.environ.get("AWS_REGION")
        client = aws_session(profile).client(
            "bedrock-runtime",
            region_name=place,
            endpoint_url=endpoint_url,
            config=_config(api_key, profile, endpoint_url),
        )
        if api_key is not None:
            _send_bearer(client, api_key)
        client.meta.events.register("before-send.bedrock-runtime", _note_keys)
        read_bounded(client)
        stop_early(client)
        return client

    return shielded(make, lambda error: _not_made(error, profile))


def _config(api_key: str | None, profile: str | None, endpoint_url: str | None) -> Any:
    import botocore
    from botocore.config import Config

    options: dict[str, Any] = {
        "connect_timeout": _CONNECT_SECONDS,
        "read_timeout": _SILENCE_SECONDS,
        "retries": {"total_max_attempts": 1},
        # Thirty widgets of one kernel may ask at once.
        "max_pool_connections": 32,
    }
    if endpoint_url is not None and is_loopback(endpoint_url):
        # A proxy of the environment cannot find a server on this machine.
        options["proxies"] = {}
    if api_key is not None:
        # botocore sends bearer tokens over https only, also on this machine, and takes them
        # from the environment only; unsigned with the header set, they go where the user said.
        options["signature_version"] = botocore.UNSIGNED
    elif profile is not None:
        # A profile means to sign with it, also where the environment holds a bearer token.
        options["signature_version"] = "v4"
    return Config(**options)


def _send_bearer(client: Any, api_key: str) -> None:
    def add_header(request: Any, **_: Any) -> None:
        request.headers["Authorization"] = f"Bearer {api_key}"

    client.meta.events.register("before-sign.bedrock-runtime", add_header)


def _note_keys(request: Any, **_: Any) -> None:
    note_keys(request.headers)


def _not_made(error: Exception, profile: str | None) -> NotConnected:
    from botocore import exceptions

    if isinstance(error, exceptions.NoRegionError):
        return NotConnected(
            "no AWS region", cure='nv.connect("bedrock", region="us-east-1"), or set AWS_REGION'
        )
    if isinstance(error, exceptions.ProfileNotFound):
        return NotConnected(f"no AWS profile {profile!r}", cure="aws configure list-profiles")
    return about_credentials(error) or NotConnected(
        f"the Bedrock client cannot be made ({type(error).__name__})",
        cure="check region, profile and endpoint_url",
    )


def _never_sent() -> tuple[type[Exception], ...]:
    from botocore import exceptions

    return (
        exceptions.ConnectTimeoutError,
        exceptions.EndpointConnectionError,
        exceptions.ProxyConnectionError,
    )


def _reason(error: Exception) -> str:
    """Return an error's kind, and of a TLS error the words, which name no address."""
    words = getattr(error, "kwargs", {}).get("error")
    return (
        f"{type(error).__name__}: {words}"
        if "SSL" in type(error).__name__
        else type(error).__name__
    )


def _from_reply(reply: Mapping[str, Any]) -> NbvisionError:
    error, metadata = reply.get("Error") or {}, reply.get("ResponseMetadata") or {}
    # A stream's exceptions come by their member's name: throttlingException.
    code = str(error.get("Code") or "")
    status = metadata.get("HTTPStatusCode") or 0
    if status < 300:  # noqa: PLR2004 - an error inside a stream carries the stream's own 200, or none
        status = _STATUS.get(code[:1].upper() + code[1:], 500)
    if code == "ServiceQuotaExceededException":
        status = 402
    return translate.from_status(
        int(status),
        message=f"{code}: {error.get('Message') or 'no reason given'}",
        request_id=metadata.get("RequestId"),
        retry_after_seconds=translate.seconds_to_wait(metadata.get("HTTPHeaders") or {}),
    )
