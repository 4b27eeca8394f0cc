"""The doors of AWS that speak the Messages shape: two of Bedrock, and Claude Platform on AWS.

Credentials come from boto3's usual chain, or a key stands in for them.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from nbvision.backends.addresses import require_sendable_key
from nbvision.backends.aws_connections import aws_session
from nbvision.backends.door import OLDER, Door, address_of, require_given, require_name, setting
from nbvision.catalogue import DEFAULT_BEDROCK_MODEL, DEFAULT_MANTLE_MODEL, DEFAULT_MODEL
from nbvision.errors import NbvisionError, NotConnected
from nbvision.platforms import find_platform

__all__ = ["aws_door", "bedrock_messages_door", "mantle_door"]

_BEDROCK_KEY = "AWS_BEARER_TOKEN_BEDROCK"
_AWS_KEY = "ANTHROPIC_AWS_API_KEY"


def bedrock_messages_door(
    *,
    region: str | None = None,
    profile: str | None = None,
    api_key: str | None = None,
    base_url: str | None = None,
) -> Door:
    """Return the door of the Messages API on ``bedrock-runtime``.

    Parameters
    ----------
    region, profile
        As boto3 understands them.
    api_key
        A Bedrock API key; otherwise requests are signed.
    base_url
        Another address, up to ``/anthropic``.

    Raises
    ------
    NotConnected
        If there is no region or no such profile.

    Examples
    --------
    >>> bedrock_messages_door(region="eu-west-1", api_key="key").address
    'https://bedrock-runtime.eu-west-1.amazonaws.com/anthropic'
    """
    address = address_of(base_url)
    place = _region(region, profile, "bedrock-messages")
    key = _key(api_key, profile, _BEDROCK_KEY)
    address = address or f"https://bedrock-runtime.{place}.amazonaws.com/anthropic"
    # Models up to 4.6 do not know the version that the client sends of itself
    # (build-with-claude/claude-on-amazon-bedrock-legacy, after 2026-10-21).
    headers = dict(OLDER) | ({"x-api-key": key} if key is not None else {})

    def make(http_client: Any) -> Any:
        import anthropic

        # Its shape without its signature, which is for another service.
        return anthropic.AnthropicBedrockMantle(
            skip_auth=True,
            aws_region=place,
            base_url=address,
            default_headers=headers,
            max_retries=0,
            http_client=http_client,
        )

    return Door(
        name="bedrock-messages",
        platform=find_platform("bedrock-messages"),
        model=DEFAULT_BEDROCK_MODEL,
        address=address,
        make=make,
        sign=_signer(place, profile) if key is None else None,
        explain=_explain,
    )


def mantle_door(
    *,
    region: str | None = None,
    profile: str | None = None,
    api_key: str | None = None,
    base_url: str | None = None,
) -> Door:
    """Return the door of the Messages API on ``bedrock-mantle``.

    Parameters
    ----------
    region, profile, api_key, base_url
        As for `bedrock_messages_door`.

    Raises
    ------
    NotConnected
        If there is no region or no such profile.

    Examples
    --------
    >>> mantle_door(region="eu-west-1", api_key="key").model
    'anthropic.claude-sonnet-5-5'
    """
    address = address_of(base_url, "ANTHROPIC_BEDROCK_MANTLE_BASE_URL")
    place = _region(region, profile, "bedrock-mantle")
    key = _key(api_key, profile, _BEDROCK_KEY, _AWS_KEY)

    def make(http_client: Any) -> Any:
        import anthropic

        _forget_sessions()
        return anthropic.AnthropicBedrockMantle(
            aws_region=place,
            aws_profile=profile,
            api_key=key,
            base_url=address or None,
            max_retries=0,
            http_client=http_client,
        )

    return Door(
        name="bedrock-mantle",
        platform=find_platform("bedrock-mantle"),
        model=DEFAULT_MANTLE_MODEL,
        address=address,
        make=make,
        explain=_explain,
    )


def aws_door(
    *,
    region: str | None = None,
    profile: str | None = None,
    workspace_id: str | None = None,
    api_key: str | None = None,
    base_url: str | None = None,
) -> Door:
    """Return the door of Claude Platform on AWS.

    Parameters
    ----------
    region, profile
        As boto3 understands them.
    workspace_id
        Anthropic's workspace.
    api_key
        Otherwise requests are signed.
    base_url
        Another address.

    Raises
    ------
    NotConnected
        If there is no region, workspace or profile of that name.

    Examples
    --------
    >>> aws_door(region="eu-west-1", workspace_id="wrkspc_1", api_key="key").platform.title
    'Claude Platform on AWS'
    """
    address = address_of(base_url, "ANTHROPIC_AWS_BASE_URL")
    place = _region(region, profile, "aws")
    key = _key(api_key, profile, _AWS_KEY)
    workspace = require_given(
        setting(workspace_id, "ANTHROPIC_AWS_WORKSPACE_ID"),
        "workspace",
        'nv.connect("aws", workspace_id="…"), or set ANTHROPIC_AWS_WORKSPACE_ID',
    )

    def make(http_client: Any) -> Any:
        import anthropic

        _forget_sessions()
        return anthropic.AnthropicAWS(
            aws_region=place,
            aws_profile=profile,
            workspace_id=workspace,
            api_key=key,
            base_url=address or None,
            max_retries=0,
            http_client=http_client,
        )

    return Door(
        name="aws",
        platform=find_platform("aws"),
        model=DEFAULT_MODEL,
        address=address,
        make=make,
        explain=_explain,
        names_waits=True,
    )


def _region(region: str | None, profile: str | None, name: str) -> str:
    """Return the region as boto3 knows it: also a profile may name one."""
    from botocore.exceptions import BotoCoreError, ProfileNotFound

    found, failure = setting(region, "AWS_REGION", "AWS_DEFAULT_REGION"), ""
    try:
        session = aws_session(profile, makes_clients=False)
        found = found or session.region_name
    except ProfileNotFound:
        named = profile or os.environ.get("AWS_PROFILE")
        failure = f"no AWS profile {named!r}"[:120]
    except BotoCoreError as error:
        failure = f"AWS's files of settings cannot be read ({type(error).__name__})"
    if failure:
        raise NotConnected(failure, cure="aws configure list-profiles")
    cure = f'nv.connect("{name}", region="us-east-1"), or set AWS_REGION'
    return require_name(found, "AWS region", cure)


def _key(api_key: str | None, profile: str | None, *variables: str) -> str | None:
    """Return the key that was given or lies in the environment; a profile means to sign."""
    if api_key is not None:
        require_sendable_key(api_key, "api_key")
        return api_key
    if profile is not None:
        return None
    for name in variables:
        if os.environ.get(name) is not None:
            # Set and empty it would be sent too.
            require_sendable_key(os.environ[name], name)
            return os.environ[name]
    return None


def _signer(region: str, profile: str | None) -> Callable[[Any], None]:
    """Return what signs a request for ``bedrock-runtime`` with the usual AWS credentials."""
    session = aws_session(profile)

    def sign(request: Any) -> None:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        credentials = session.get_credentials()
        if credentials is None:
            raise _no_credentials()
        named = {"content-type": "application/json", "host": request.headers["host"]}
        unsigned = AWSRequest("POST", str(request.url), headers=named, data=request.read())
        SigV4Auth(credentials.get_frozen_credentials(), "bedrock", region).add_auth(unsigned)
        request.headers.update(dict(unsigned.headers.items()))

    return sign


def _forget_sessions() -> None:
    """Let the client look for credentials anew: it keeps those it once found for good.

    In a notebook keys are pasted, expire, and are pasted again.
    """
    with suppress(ImportError, AttributeError):
        kept: Any = import_module("anthropic.lib.aws._auth")._get_session  # noqa: SLF001 - no other way
        kept.cache_clear()


def _explain(error: Exception) -> NbvisionError | None:
    from botocore import exceptions

    missing = exceptions.NoCredentialsError | exceptions.PartialCredentialsError
    if isinstance(error, missing) or "resolve AWS credentials" in str(error):
        return _no_credentials()
    if isinstance(error, exceptions.BotoCoreError):
        return NotConnected(
            f"AWS credentials cannot be read ({type(error).__name__})",
            cure="sign in again: aws sso login, aws configure or AWS_PROFILE",
        )
    return None


def _no_credentials() -> NotConnected:
    return NotConnected(
        "no AWS credentials", cure=f"aws configure, AWS_PROFILE, or a key: api_key=, {_BEDROCK_KEY}"
    )
