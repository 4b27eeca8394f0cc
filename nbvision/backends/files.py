"""The Files API through the official client: stored once, named in any number of requests.

Nothing here is billed. What is refused before it is stored is sent again; an upload whose
outcome is unknown is not, since it may have been stored, and the next one finds it by name.
"""

import hmac
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from nbvision.errors import (
    BackendError,
    ConnectionLost,
    ModelNotFound,
    NotConnected,
    RequestRejected,
    TimedOut,
    UnreadableAnswer,
)
from nbvision.referenced import StoredFile

__all__ = ["FILE_ID", "FileShelf"]

Result = TypeVar("Result")

_PAGE = 1000  # the most that is documented
_IDS_AT_ONCE = 100
_SILENCE_SECONDS = 60.0
_WHOLE_REPLY_SECONDS = 120.0
_LONGEST_TEXT = 1000
_SALT = secrets.token_bytes(32)  # of this kernel alone, so that nothing can be looked up
FILE_ID = re.compile(r"[A-Za-z0-9_.:-]{1,200}")


class Ask(Protocol):
    """How a backend carries out one action: open, shielded, translated, retried."""

    def __call__(self, action: Callable[[], Result], *, repeats_broken: bool = True) -> Result:
        """Return what the action returns."""


class FileShelf:
    """The files of one backend; see `Shelf`.

    Parameters
    ----------
    files
        The client's own ``files``.
    held_by
        The backend's name and address.
    keys
        What the client shows to be let in: another key may see other files.
    ask
        How the backend carries out one action.
    read
        Returns what a plain reply says, within so many seconds.
    patience
        Returns the client's time limits for so many seconds of silence.
    beta
        Where files are not yet generally available, the beta header's value.
    """

    can_list = True

    def __init__(
        self,
        files: Any,
        *,
        held_by: str,
        keys: Sequence[str],
        ask: Ask,
        read: Callable[[Any, float], Any],
        patience: Callable[[float], Any],
        beta: str = "",
    ) -> None:
        self.held_by = held_by
        said = "\0".join([held_by, *keys]).encode("utf-8", "replace")
        self.scope = hmac.digest(_SALT, said, "sha256").hex()
        self._files = files.with_streaming_response
        self._ask = ask
        self._read = read
        self._patience = patience
        self._beta = beta

    def upload(
        self, name: str, data: bytes, media_type: str, *, expires_in: int | None = None
    ) -> StoredFile:
        """Store bytes under a name; see `Shelf.upload`."""
        lasting = {} if expires_in is None else {"expires_in_seconds": expires_in}
        found = self._said(
            lambda: self._files.upload(file=(name, data, media_type), **lasting, **self._options()),
            repeats_broken=False,
        )
        return _stored(found)

    def find(self, ids: Sequence[str]) -> list[StoredFile]:
        """Return those of these files that are still there."""
        found: list[StoredFile] = []
        for first in range(0, len(ids), _IDS_AT_ONCE):
            found += _rows(self._page(ids=list(ids[first : first + _IDS_AT_ONCE])))
        return [row for row in found if row.id in ids]

    def pages(self, most: int) -> tuple[list[StoredFile], bool]:
        """Return the newest files, no more than so many, and whether there are more."""
        found: list[StoredFile] = []
        following: dict[str, str] = {}
        while True:
            page = self._page(limit=min(_PAGE, most - len(found)), extra_query=following)
            rows = _rows(page)
            found += rows
            following = _following(page, rows)
            # A page without rows would lead round in circles.
            if not following or not rows or len(found) >= most:
                return found[:most], bool(following) or len(found) > most

    def delete(self, file_id: str) -> bool:
        """Delete a file; return whether it was still there."""
        try:
            said = self._said(lambda: self._files.delete(file_id, **self._options()))
        except BackendError as error:
            if error.status != 404:  # noqa: PLR2004 - not found, so that it is gone
                raise
            return False
        if not isinstance(said, Mapping) or said.get("id") != file_id:
            raise _unreadable("no word of the file that was to be deleted")
        return True

    def _page(self, **query: Any) -> Any:
        def ask() -> Any:
            return self._said(lambda: self._files.list(**query, **self._options()))

        try:
            return ask()
        except TimedOut:
            raise
        except ConnectionLost:
            pass  # perhaps a kept connection ended as it was used; to look again changes nothing
        return ask()

    def _options(self) -> dict[str, Any]:
        headers = {"anthropic-beta": self._beta} if self._beta else {}
        return {"timeout": self._patience(_SILENCE_SECONDS), "extra_headers": headers}

    def _said(
        self, request: Callable[[], AbstractContextManager[Any]], *, repeats_broken: bool = True
    ) -> Any:
        """Return what the service says to a request, or raise in words about files."""

        def act() -> Any:
            with request() as reply:
                return self._read(reply.http_response, _WHOLE_REPLY_SECONDS)

        failure: Exception
        try:
            return self._ask(act, repeats_broken=repeats_broken)
        except BackendError as error:
            failure = _about_files(error, self.held_by)
        except UnreadableAnswer as error:
            failure = UnreadableAnswer(
                error.value, limit=error.limit, cure=_NO_FILES.format(self.held_by), text=error.text
            )
        raise failure


_NO_FILES = "does {} keep files? pictures can always be sent as they are: nv.describe(image)"


def _about_files(error: BackendError, held_by: str) -> BackendError:
    """Return an error in words about files: they cost nothing, and are not models."""
    kind: type[BackendError] = type(error)
    value, cure = error.value, error.cure
    if isinstance(error, NotConnected):
        return error
    if isinstance(error, ConnectionLost):
        cure = "nothing is billed for files; do it again: what has been stored is found and used"
    elif isinstance(error, ModelNotFound):
        kind, cure = RequestRejected, _NO_FILES.format(held_by)
    elif isinstance(error, RequestRejected):
        cure = "nv.files() shows what is stored, nv.delete_files makes room"
    return kind(
        value,
        limit=error.limit,
        cure=cure,
        status=error.status,
        request_id=error.request_id,
        retry_after_seconds=error.retry_after_seconds,
    )


def _rows(page: object) -> list[StoredFile]:
    data = page.get("data") if isinstance(page, Mapping) else None
    if not isinstance(data, list):
        raise _unreadable("a list of files without its rows")
    return [_stored(row) for row in data]


def _following(page: Mapping[str, Any], rows: Sequence[StoredFile]) -> dict[str, str]:
    """Return the query for the page after this one; empty if it is the last."""
    following = page.get("next_page")
    if isinstance(following, str) and following:
        return {"page": following}
    # The shape that the beta header asks for.
    if page.get("has_more") is True and rows:
        return {"after_id": rows[-1].id}
    return {}


def _stored(row: object) -> StoredFile:
    """Return what a service says of a file, checked."""
    found: Mapping[str, Any] = row if isinstance(row, Mapping) else {}
    texts = [found.get(name) for name in ("id", "filename", "mime_type", "created_at")]
    size = found.get("size_bytes")
    is_whole = all(isinstance(text, str) and len(text) <= _LONGEST_TEXT for text in texts)
    if type(size) is not int or size < 0 or not is_whole:
        raise _unreadable("a file without its id, name, type, size or date")
    file_id, name, media_type, created = (str(text) for text in texts)
    if not FILE_ID.fullmatch(file_id):
        raise _unreadable("a file whose id cannot stand in an address")
    ends = found.get("expires_at")
    return StoredFile(
        file_id, name, media_type, size, _moment(created), None if ends is None else _moment(ends)
    )


def _moment(text: object) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        failure = _unreadable(f"a date that is none: {str(text)[:60]!r}")
    else:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise failure


def _unreadable(what: str) -> UnreadableAnswer:
    return UnreadableAnswer(
        f"there came {what}", cure="check the address: does the Files API answer there?"
    )
