"""The last list of models, kept in a file of the user's cache folder.

A convenience and no more: whatever is wrong with the folder or the file, it is as if there
were none.
"""

import json
import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from nbvision.errors import UnreadableAnswer
from nbvision.model_listing import ListedModel, read_row

__all__ = ["load_listing", "store_listing"]

_FORMAT = 1
_MOST_BYTES = 4_000_000
_NAME = "models.json"


def store_listing(listed: Iterable[ListedModel], source: str, as_of: date) -> Path | None:
    """Keep a list of models for later, and return where; None where that cannot be."""
    kept = {
        "format": _FORMAT,
        "as_of": as_of.isoformat(),
        "source": source,
        "models": [one.as_row() for one in listed],
    }
    folder = _folder()
    if folder is None:
        return None
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(folder.stat()):
            return None
        # Written beside and moved: who reads meanwhile sees the old one or the new one, whole.
        handle, name = tempfile.mkstemp(dir=folder, prefix="models-", suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(kept, file)
            Path(name).replace(folder / _NAME)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return folder / _NAME
    return None


def load_listing() -> tuple[list[ListedModel], str, date] | None:
    """Return the list that was kept, where it came from and when; None if there is none.

    A file that is broken, somebody else's or of another version is none.
    """
    folder = _folder()
    if folder is None:
        return None
    with suppress(OSError, ValueError, RecursionError, UnreadableAnswer):
        return _read(json.loads(_bytes_of(folder / _NAME)))
    return None


def _read(kept: object) -> tuple[list[ListedModel], str, date]:
    if not isinstance(kept, Mapping) or kept.get("format") != _FORMAT:
        raise ValueError
    rows: Any = kept.get("models")
    source, as_of = kept.get("source"), kept.get("as_of")
    if not isinstance(rows, list) or not isinstance(source, str) or not isinstance(as_of, str):
        raise ValueError  # noqa: TRY004 - a file's mistake, which nobody sees
    return [read_row(row) for row in rows], source, date.fromisoformat(as_of)


def _bytes_of(path: Path) -> bytes:
    # Neither a link nor a pipe that somebody has put there is opened.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or not _is_ours(found) or found.st_size > _MOST_BYTES:
            raise ValueError
        return file.read(_MOST_BYTES)


def _is_ours(found: os.stat_result) -> bool:
    """Whether nobody else can have written there."""
    if sys.platform == "win32":
        return True
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _folder() -> Path | None:
    """Return the package's folder among the user's caches, which need not exist."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    if sys.platform == "win32":
        named = named or os.environ.get("LOCALAPPDATA", "")
    base = Path(named)
    if not base.is_absolute():
        try:
            home = Path.home()
        except RuntimeError:
            return None
        base = home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
    return base / "nbvision"
