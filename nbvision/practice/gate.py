"""Who may come in: this machine's own programs with the token, and no web page."""

import hmac
import ipaddress
import re
import secrets
from collections.abc import Mapping

from nbvision.errors import RequestError
from nbvision.practice.rejections import Rejected

__all__ = [
    "check_aws",
    "check_azure",
    "check_bearer",
    "check_origin",
    "check_signature",
    "check_token",
    "hide_secrets",
    "loopback_hosts",
    "make_token",
]

_SECRET_HEADERS = {
    "api-key",
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-amz-security-token",
    "x-api-key",
}
_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=(?P<scope>[^,\s]+), *"
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+), *Signature=(?P<signature>[0-9a-f]{64})"
)
_SCOPE = re.compile(r"\d{8}/[a-z0-9-]+/[a-z0-9-]+/aws4_request")
_TOKEN = re.compile(r"[!-~]{1,200}")
_ANSWERER = "this is the practice server: it takes the token that it was started with"


def make_token(token: str | None) -> str:
    """Return the given token, or a new one.

    Raises
    ------
    RequestError
        If it is empty, longer than 200 characters or not plain ASCII without spaces.
    """
    if token is None:
        return f"practice-{secrets.token_hex(16)}"
    if not _TOKEN.fullmatch(token):
        # The value is not shown: it may be a key.
        raise RequestError(
            "a token that cannot travel in a header",
            limit="1 to 200 visible ASCII characters",
            cure="leave token= out, and one is made",
        )
    return token


def loopback_hosts(host: str, port: int) -> frozenset[str]:
    """Return every spelling of ``Host`` under which the server answers.

    Any other means that a page of some website has got a name to point here.

    Raises
    ------
    RequestError
        If the address could be reached from another machine.

    Examples
    --------
    >>> sorted(loopback_hosts("127.0.0.1", 8123))
    ['127.0.0.1:8123', '[::1]:8123', 'localhost:8123']
    """
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise RequestError(
            f"host={host!r}",
            limit="an address of this machine only: 127.0.0.1, ::1 or localhost",
            cure="use an SSH tunnel to reach it from elsewhere",
        )
    shown = f"[{host}]" if ":" in host else host
    names = {shown, "127.0.0.1", "localhost", "[::1]"}
    bare = names if port == 80 else set()  # noqa: PLR2004 - the port that clients leave out
    return frozenset({f"{name}:{port}" for name in names} | bare)


def check_origin(headers: Mapping[str, str], hosts: frozenset[str]) -> None:
    """Refuse what a web page of another place has sent.

    Raises
    ------
    Rejected
        403.
    """
    if headers.get("Host", "").lower() not in hosts:
        raise Rejected(403, "Host is not this machine: the practice server answers here only")
    origin = headers.get("Origin")
    if origin is not None and origin.lower() not in {f"http://{host}" for host in hosts}:
        raise Rejected(403, "Origin is another place: web pages cannot use the practice server")
    if headers.get("Sec-Fetch-Site", "none").lower() not in {"none", "same-origin"}:
        raise Rejected(403, "Sec-Fetch-Site: web pages cannot use the practice server")


def check_token(headers: Mapping[str, str], token: str) -> None:
    """Let in who shows the token as the Anthropic API takes a key.

    Raises
    ------
    Rejected
        401.
    """
    shown = headers.get("X-Api-Key") or _bearer(headers)
    if not shown:
        raise Rejected(401, f"x-api-key header is required; {_ANSWERER}")
    if not _is_same(shown, token):
        raise Rejected(401, f"invalid x-api-key; {_ANSWERER}, never a real key")


def check_bearer(headers: Mapping[str, str], token: str) -> None:
    """Let in who shows the token as Google takes one.

    Raises
    ------
    Rejected
        401.
    """
    if not _is_same(_bearer(headers), token):
        raise Rejected(401, f"Request had invalid authentication credentials; {_ANSWERER}")


def check_azure(headers: Mapping[str, str], token: str) -> None:
    """Let in who shows the token as Foundry takes a key or an Entra token.

    Raises
    ------
    Rejected
        401.
    """
    shown = headers.get("X-Api-Key") or headers.get("Api-Key") or _bearer(headers)
    if not _is_same(shown, token):
        raise Rejected(401, f"Access denied due to invalid subscription key; {_ANSWERER}")


def check_aws(headers: Mapping[str, str], token: str, service: str) -> None:
    """Let in who shows the token as key, bearer, or in a signature for this service.

    Raises
    ------
    Rejected
        403.
    """
    key = headers.get("X-Api-Key")
    if key is not None and "Authorization" not in headers:
        if not _is_same(key, token):
            raise Rejected(403, f"Authentication failed: {_ANSWERER}", "AccessDeniedException")
        return
    check_signature(headers, token)
    sent = headers.get("Authorization", "")
    if sent.startswith("AWS4-") and f"/{service}/aws4_request" not in sent:
        raise Rejected(
            403,
            f"Credential should be scoped to correct service: '{service}'.",
            "InvalidSignatureException",
        )


def check_signature(headers: Mapping[str, str], token: str) -> None:
    """Let in who shows the token as Bedrock takes one: as bearer, or as access key id.

    A signature is looked at for its form; what it is made with is the client's secret.

    Raises
    ------
    Rejected
        403.
    """
    sent = headers.get("Authorization", "")
    if not sent:
        raise Rejected(403, "Missing Authentication Token", "MissingAuthenticationTokenException")
    if not sent.startswith("AWS4-"):
        if not _is_same(_bearer(headers), token):
            raise Rejected(403, f"Authentication failed: {_ANSWERER}", "AccessDeniedException")
        return
    match = _SIGNATURE.fullmatch(sent.strip())
    key_id, _, scope = match["scope"].partition("/") if match else ("", "", "")
    if match and "/" in token:
        key_id, scope = match["scope"][: len(token)], match["scope"][len(token) + 1 :]
    if match is None or not _SCOPE.fullmatch(scope) or "host" not in match["headers"].split(";"):
        raise Rejected(403, "Authorization header is malformed", "IncompleteSignatureException")
    if not _is_same(key_id, token):
        raise Rejected(
            403,
            f"The security token included in the request is invalid; {_ANSWERER} "
            "as the access key id",
            "UnrecognizedClientException",
        )


def hide_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers in lower case, with nothing left of keys and signatures.

    >>> hide_secrets({"X-Api-Key": "k", "Accept": "*/*"})
    {'x-api-key': '<hidden>', 'accept': '*/*'}
    """
    return {
        name.lower(): "<hidden>" if name.lower() in _SECRET_HEADERS else value
        for name, value in headers.items()
    }


def _bearer(headers: Mapping[str, str]) -> str:
    kind, _, value = headers.get("Authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else ""


def _is_same(shown: str, token: str) -> bool:
    return hmac.compare_digest(shown.encode("utf-8", "replace"), token.encode("utf-8"))
