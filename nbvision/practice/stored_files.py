"""Uploaded files, in memory only and within bounds: nothing of a name touches a disk."""

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from nbvision.practice.rejections import Rejected

__all__ = ["FileOnShelf", "FileShelf"]

_MOST_FILES = 10_000
_MOST_BYTES = 256_000_000
_LONGEST_NAME = 255
_SHORTEST_SECONDS, _LONGEST_SECONDS = 3600, 7_776_000
_NOT_IN_NAMES = set('<>:"|?*')
_MOST_IDS = 100
_MOST_ROWS = 1000


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class FileOnShelf:
    """One file.

    Attributes
    ----------
    id, filename, mime_type
        As the Files API names them.
    data
        Its bytes.
    created_at, expires_at
        In UTC; None for never.
    """

    id: str
    filename: str
    mime_type: str
    data: bytes
    created_at: datetime
    expires_at: datetime | None

    def row(self) -> dict[str, object]:
        """Return what the Files API says of it."""
        return {
            "type": "file",
            "id": self.id,
            "filename": self.filename,
            "mime_type": self.mime_type,
            "size_bytes": len(self.data),
            "created_at": _written(self.created_at),
            "downloadable": False,
            "expires_at": None if self.expires_at is None else _written(self.expires_at),
        }


class FileShelf:
    """The files of one practice server.

    Attributes
    ----------
    now
        The clock, in UTC.

    Examples
    --------
    >>> shelf = FileShelf()
    >>> row = shelf.add("../door.png", "image/png", b"...")
    >>> row["filename"], row["size_bytes"], shelf.delete(row["id"])["type"]
    ('door.png', 3, 'file_deleted')
    """

    def __init__(self) -> None:
        self.now: Callable[[], datetime] = _now
        self._files: dict[str, FileOnShelf] = {}
        self._expired: dict[str, None] = {}
        self._lock = threading.Lock()

    def add(
        self, filename: str, mime_type: str, data: bytes, seconds: int | None = None
    ) -> dict[str, object]:
        """Keep a file, for so long or until it is deleted, and return its row.

        Raises
        ------
        Rejected
            400, for an empty file, a name or a time that is not taken, or a full shelf.
        """
        name = _checked_name(filename)
        if not data:
            raise Rejected(400, "file: The uploaded file is empty")
        if seconds is not None and not _SHORTEST_SECONDS <= seconds <= _LONGEST_SECONDS:
            limit = f"between {_SHORTEST_SECONDS} and {_LONGEST_SECONDS}"
            raise Rejected(400, f"expires_in_seconds: Input should be {limit}")
        with self._lock:
            self._drop_expired()
            used = sum(len(file.data) for file in self._files.values())
            if len(self._files) >= _MOST_FILES or used + len(data) > _MOST_BYTES:
                raise Rejected(
                    400,
                    "Storage quota exceeded: the practice server keeps "
                    f"{_MOST_BYTES // 1_000_000} MB of files in memory",
                    error_code="storage_quota_exceeded",
                )
            created = self.now()
            ends = None if seconds is None else created + timedelta(seconds=seconds)
            file_id = f"file_practice_{secrets.token_hex(12)}"
            file = FileOnShelf(file_id, name, mime_type[:100], data, created, ends)
            self._files[file_id] = file
        return file.row()

    def get(self, file_id: str) -> FileOnShelf:
        """Return a file.

        Raises
        ------
        Rejected
            404, if it is not there, or not any more.
        """
        with self._lock:
            self._drop_expired()
            if file_id in self._files:
                return self._files[file_id]
            if file_id in self._expired:
                raise Rejected(404, f"File expired: {file_id}", error_code="file_expired")
        raise Rejected(404, f"File not found: {file_id[:200]}")

    def delete(self, file_id: str) -> dict[str, object]:
        """Delete a file, and say so.

        Raises
        ------
        Rejected
            404, if it is not there.
        """
        self.get(file_id)
        with self._lock:
            self._files.pop(file_id, None)
        return {"id": file_id, "type": "file_deleted"}

    def those(self, ids: Sequence[str]) -> dict[str, object]:
        """Return one page with those of these files that are there.

        Raises
        ------
        Rejected
            400, for more than 100.
        """
        wanted = list(dict.fromkeys(ids))
        if len(wanted) > _MOST_IDS:
            raise Rejected(400, f"ids: at most {_MOST_IDS} entries")
        with self._lock:
            self._drop_expired()
            found = [self._files[file_id] for file_id in wanted if file_id in self._files]
        return {"data": [file.row() for file in found], "next_page": None}

    def page(self, limit: str, cursor: str) -> dict[str, object]:
        """Return a page of files, the newest first.

        Parameters
        ----------
        limit
            How many, as text.
        cursor
            The ``next_page`` of the page before; empty for the first.

        Raises
        ------
        Rejected
            400, for a limit or cursor that is none.
        """
        if not limit.isdecimal() or not 1 <= int(limit[:5]) <= _MOST_ROWS:
            raise Rejected(400, f"limit: Input should be between 1 and {_MOST_ROWS}")
        with self._lock:
            self._drop_expired()
            files = list(reversed(self._files.values()))
            first = 0
            if cursor:
                last = cursor.removeprefix("page_")
                # A cursor names the last row that was seen, so that new files shift nothing.
                places = [number for number, file in enumerate(files) if file.id == last]
                if not cursor.startswith("page_") or not places:
                    raise Rejected(400, "page: not a cursor of this list")
                first = places[0] + 1
        shown = files[first : first + int(limit)]
        is_last = first + len(shown) >= len(files)
        following = None if is_last or not shown else f"page_{shown[-1].id}"
        return {"data": [file.row() for file in shown], "next_page": following}

    def _drop_expired(self) -> None:
        now = self.now()
        gone = [f.id for f in self._files.values() if f.expires_at and f.expires_at <= now]
        for file_id in gone:
            del self._files[file_id]
            self._expired[file_id] = None
        while len(self._expired) > _MOST_FILES:
            del self._expired[next(iter(self._expired))]


def _checked_name(filename: str) -> str:
    """Return the last part of a path, as the service keeps it."""
    name = filename.replace("\\", "/").rpartition("/")[2].strip() or "unnamed"
    if len(name) > _LONGEST_NAME:
        raise Rejected(400, f"filename: at most {_LONGEST_NAME} characters")
    if not name.isprintable() or _NOT_IN_NAMES & set(name):
        raise Rejected(400, "filename: holds a character that is not allowed")
    return name


def _written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def as_seconds(text: str) -> int | None:
    """Return a form's number of seconds; None if it was left out.

    Raises
    ------
    Rejected
        400, if it is no number.
    """
    if not text:
        return None
    if not text.isascii() or not text.isdecimal():
        raise Rejected(400, "expires_in_seconds: Input should be a valid integer")
    return int(text[:12])


def picture_data(shelf: FileShelf | None, source: dict[str, Any]) -> bytes:
    """Return the bytes that a ``file`` source names.

    Raises
    ------
    Rejected
        400 or 404.
    """
    file_id = source.get("file_id")
    if not isinstance(file_id, str):
        what = "Field required" if file_id is None else "Input should be a valid string"
        raise Rejected(400, f"file_id: {what}")
    if shelf is None:
        raise Rejected(404, f"File not found: {file_id[:200]}")
    return shelf.get(file_id).data
