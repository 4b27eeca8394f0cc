"""Tokens that expire: given, returned by a function, or found where Google keeps them."""

import importlib.util
import threading
from collections.abc import Callable
from typing import Any

from nbvision.backends.addresses import require_sendable_key
from nbvision.errors import NotConnected

__all__ = ["Token", "TokenSource", "google_token", "token_from"]

Token = str | Callable[[], str]
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_SIGN_IN = "gcloud auth application-default login, or access_token= with a token"


class TokenSource:
    """A token where Google's client expects its credentials: always fresh, never expired.

    Parameters
    ----------
    token
        Returns a valid token each time.
    """

    expired = False

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    @property
    def token(self) -> str:
        """A valid token."""
        return self._token()

    def __repr__(self) -> str:
        return "TokenSource()"


def token_from(given: Token) -> Callable[[], str]:
    """Return a function that returns the token, from what a user gave.

    Raises
    ------
    NotConnected
        If a token cannot travel in a header; from the function, also if the user's fails.

    Examples
    --------
    >>> token_from("abc")()
    'abc'
    """
    if isinstance(given, str):
        require_sendable_key(given, "access_token")
        return lambda: given
    if not callable(given):
        raise NotConnected(
            f"access_token= is a {type(given).__name__}",
            limit="a token, or a function that returns one",
        )

    def ask() -> str:
        failure = ""
        try:
            token = given()
        except Exception as error:  # noqa: BLE001 - the user's own function
            failure = type(error).__name__
        if failure:
            raise NotConnected(
                f"the function in access_token= failed ({failure})",
                cure="call it alone, and mend it",
            )
        if not isinstance(token, str):
            raise NotConnected(
                f"the function in access_token= returned a {type(token).__name__}", limit="text"
            )
        require_sendable_key(token, "access_token")
        return token

    return ask


def google_token(load: Callable[[], Any] | None = None) -> Callable[[], str]:
    """Return a function that returns the token of Google's default credentials.

    They are looked for when the first token is needed, once, and refreshed by one thread at a
    time: google-auth's credentials do not bear more.

    Parameters
    ----------
    load
        Returns credentials; Google's own way by default.

    Raises
    ------
    NotConnected
        If the package google-auth is not there; from the function, if nobody is signed in.
    """
    if load is None:
        _require_google_auth()
    lock = threading.Lock()
    kept: list[Any] = []

    def refreshed() -> str:
        if not kept:
            kept.append((load or _default_credentials)())
        credentials = kept[0]
        if not credentials.valid:
            credentials.refresh(_google_request() if load is None else None)
        return str(credentials.token)

    def ask() -> str:
        with lock:
            try:
                return refreshed()
            except Exception as error:  # noqa: BLE001 - whatever Google's package raises
                failure = type(error).__name__
        raise NotConnected(f"no Google credentials ({failure})", cure=_SIGN_IN)

    return ask


def _require_google_auth() -> None:
    if _is_there("google") and _is_there("google.auth"):
        return
    raise NotConnected(
        "Google's sign-in needs the package google-auth",
        cure='pip install "nbvision[vertex]", or give access_token= a token of yours',
    )


def _is_there(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _default_credentials() -> Any:
    import google.auth

    return google.auth.default(scopes=[_SCOPE])[0]


def _google_request() -> Any:
    from google.auth.transport.requests import Request

    return Request()
