"""The store is found, made, brought forward or set aside; or it is off, and says why."""

import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from nbvision.errors import StoreFailed
from nbvision.store import schema
from nbvision.store.database import IN_MEMORY, Database, code_of, failure, patiently
from nbvision.store.notices import notice
from nbvision.store.place import NETWORK, alone, data_folder, disk_kind, private_folder
from nbvision.store.store import Store

__all__ = ["OFF", "memory_store", "open_store"]

OFF = "off"
"""As ``NBVISION_DATA`` it keeps nothing."""

_NAME = "calls.sqlite"
_CHECKED_BYTES = 8_000_000  # a larger file takes too long to read whole at every start
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}

_lock = threading.Lock()
_opened: dict[Path, Store] = {}


def _begin_anew() -> None:
    """Give a forked child a lock of its own: a thread of the parent may have held this one."""
    global _lock  # noqa: PLW0603 - as said above
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def open_store(
    environment: Mapping[str, str] | None = None,
    *,
    kind_of_disk: Callable[[Path], str] = disk_kind,
) -> Store | None:
    """Return this person's store, or None with a notice if there can be none.

    Parameters
    ----------
    environment
        ``NBVISION_DATA`` is the folder, or ``off``; this process's by default.
    kind_of_disk
        Names the file system of a folder.

    Examples
    --------
    >>> open_store({"NBVISION_DATA": "off"}) is None
    True
    """
    given = os.environ if environment is None else environment
    if given.get("NBVISION_DATA", "").casefold() == OFF:
        return None
    with _lock:
        folder = data_folder(given)
        known = _opened.get(folder)
        if known is not None and known.is_gone:
            del _opened[folder]
            notice(
                "the record of calls was deleted while it was open; a new one is begun, and "
                "budgets begin at nothing"
            )
        if folder not in _opened:
            try:
                _opened[folder] = _open(private_folder(folder), kind_of_disk)
            except StoreFailed as error:
                notice(f"calls are not kept: {error.value}; {error.cure}")
                return None
        return _opened[folder]


def memory_store() -> Store:
    """Return a store that ends with this process: budgets hold even where nothing is kept."""
    with _lock:  # two threads that ask at once must not have two
        if IN_MEMORY not in _opened:
            database = Database(IN_MEMORY)
            with database.writing() as connection:
                schema.migrate(connection)
            _opened[IN_MEMORY] = Store(database)
        return _opened[IN_MEMORY]


def _open(folder: Path, kind_of_disk: Callable[[Path], str]) -> Store:
    path = folder / _NAME
    is_shared = kind_of_disk(folder) in NETWORK
    if is_shared:
        notice(
            f"the record of calls lies on a network file system ({kind_of_disk(folder)}) and is "
            "kept in a slower, safe way; NBVISION_DATA can name a folder on this machine"
        )
    try:
        with alone(folder):
            if os.path.lexists(path):
                _require_own(path)
                if wrong := _what_is_wrong(path):
                    _set_aside(path, wrong)
            if not os.path.lexists(path):
                _make(path)
        found = _version(path)
        is_newer = found > schema.VERSION
        if is_newer:
            notice("the record of calls was written by a newer nbvision: it is read, not written")
        database = Database(path, is_shared=is_shared, is_read_only=is_newer)
        if found < schema.VERSION:
            with database.writing() as connection:
                schema.migrate(connection)
    except OSError as error:
        raise StoreFailed(
            f"the record of calls cannot be opened: {error.strerror}",
            cure="set NBVISION_DATA to a folder that may be written, or to off",
        ) from None
    except sqlite3.Error as error:
        failed = failure(error)
    else:
        made = Store(database)
        with suppress(StoreFailed):
            made.leases.clear()
        return made
    raise failed


def _require_own(path: Path) -> None:
    found = path.lstat()
    if sys.platform != "win32" and (path.is_symlink() or found.st_uid != os.geteuid()):
        raise StoreFailed(
            "the record of calls is a link, or belongs to another user",
            cure="set NBVISION_DATA to a folder of your own, or to off",
        )
    path.chmod(0o600)


def _make(path: Path) -> None:
    """Write an empty store beside its place and put it there whole: nobody sees half of one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            schema.migrate(connection)
            connection.execute("COMMIT")
        try:
            os.link(draft, path)  # where two kernels make one at once, the first is kept
        except FileExistsError:
            pass
        except OSError:
            draft.replace(path)  # some disks have no links
    finally:
        draft.unlink(missing_ok=True)


def _what_is_wrong(path: Path) -> str:
    """Return why a file cannot be the store; empty if it can."""
    try:
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
            return patiently(lambda: _fault_in(connection, path))
    except sqlite3.Error as error:
        if code_of(error) in _DAMAGED:
            return "broken"
        raise


def _fault_in(connection: sqlite3.Connection, path: Path) -> str:
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if mark != schema.APPLICATION_ID:
        return "foreign" if tables or mark else "broken"
    if path.stat().st_size <= _CHECKED_BYTES:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        return "" if found == "ok" else "broken"
    return ""


def _set_aside(path: Path, wrong: str) -> None:
    """Rename a file and what belongs to it; nothing is deleted."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    aside = path.with_name(f"{path.stem}.{wrong}-{stamp}{path.suffix}")
    path.rename(aside)
    for end in ("-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
    notice(f"the record of calls was {wrong}; it is kept as {aside.name}, and a new one was begun")


def _version(path: Path) -> int:
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
        return int(patiently(lambda: connection.execute("PRAGMA user_version").fetchone()[0]))
