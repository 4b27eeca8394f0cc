"""The two doors of Google Cloud: Vertex AI, and Claude as Anthropic manages it there."""

from collections.abc import Callable
from typing import Any

from nbvision.backends.door import Door, address_of, require_given, require_name, setting
from nbvision.backends.tokens import Token, TokenSource, google_token, token_from
from nbvision.catalogue import DEFAULT_MODEL
from nbvision.platforms import find_platform

__all__ = ["google_cloud_door", "vertex_door"]

# The client sends 2026-10-21 of itself, the documentation requires this one, and what is sent
# means the same in both.
_VERTEX_VERSION = {"anthropic_version": "vertex-2023-10-16"}


def vertex_door(
    *,
    region: str | None = None,
    project_id: str | None = None,
    access_token: Token | None = None,
    base_url: str | None = None,
) -> Door:
    """Return the door of Vertex AI.

    Parameters
    ----------
    region, project_id
        As Google names them.
    access_token
        A token or a function that returns one; otherwise Google's default credentials.
    base_url
        Another address, up to ``/v1``.

    Raises
    ------
    NotConnected
        If region or project are missing, or google-auth is and no token was given.

    Examples
    --------
    >>> vertex_door(region="global", project_id="mine", access_token="token").platform.name
    'vertex'
    """
    address = address_of(base_url, "ANTHROPIC_VERTEX_BASE_URL")
    place = require_name(
        setting(region, "CLOUD_ML_REGION"),
        "Google Cloud region",
        'nv.connect("vertex", region="global"), or set CLOUD_ML_REGION',
    )
    project = require_given(
        setting(project_id, "ANTHROPIC_VERTEX_PROJECT_ID"),
        "Google Cloud project",
        'nv.connect("vertex", project_id="…"), or set ANTHROPIC_VERTEX_PROJECT_ID',
    )
    token = _token(access_token)

    def make(http_client: Any) -> Any:
        import anthropic

        return anthropic.AnthropicVertex(
            region=place,
            project_id=project,
            credentials=TokenSource(token),
            base_url=address or None,
            max_retries=0,
            http_client=http_client,
        )

    return Door(
        name="vertex",
        platform=find_platform("vertex"),
        model=DEFAULT_MODEL,
        address=address,
        make=make,
        extra_body=_VERTEX_VERSION,
    )


def google_cloud_door(
    *,
    region: str | None = None,
    project_id: str | None = None,
    workspace_id: str | None = None,
    access_token: Token | None = None,
    base_url: str | None = None,
) -> Door:
    """Return the door of Claude on Google Cloud as Anthropic manages it.

    Parameters
    ----------
    region
        Google's location; ``"global"`` by default.
    project_id, workspace_id
        Google's project and Anthropic's workspace; not needed with ``base_url``.
    access_token
        A token or a function that returns one; otherwise Google's default credentials.
    base_url
        Another address.

    Raises
    ------
    NotConnected
        If project or workspace are missing, or google-auth is and no token was given.

    Examples
    --------
    >>> google_cloud_door(project_id="mine", workspace_id="w", access_token="token").model
    'claude-opus-5-5'
    """
    address = address_of(base_url, "ANTHROPIC_GOOGLE_CLOUD_BASE_URL")
    project = setting(project_id, "ANTHROPIC_GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_PROJECT")
    workspace = setting(workspace_id, "ANTHROPIC_GOOGLE_CLOUD_WORKSPACE_ID")
    if not address:
        connect = 'nv.connect("google-cloud", '
        cure = f'{connect}project_id="…"), or set ANTHROPIC_GOOGLE_CLOUD_PROJECT'
        require_given(project, "Google Cloud project", cure)
        cure = f'{connect}workspace_id="…"), or set ANTHROPIC_GOOGLE_CLOUD_WORKSPACE_ID'
        require_given(workspace, "workspace", cure)
    token = _token(access_token)

    def make(http_client: Any) -> Any:
        import anthropic

        return anthropic.AnthropicGoogleCloud(
            project=project,
            location=region or None,
            workspace_id=workspace,
            token_provider=token,
            base_url=address or None,
            max_retries=0,
            http_client=http_client,
        )

    return Door(
        name="google-cloud",
        platform=find_platform("google-cloud"),
        model=DEFAULT_MODEL,
        address=address,
        make=make,
    )


def _token(given: Token | None) -> Callable[[], str]:
    return google_token() if given is None else token_from(given)
