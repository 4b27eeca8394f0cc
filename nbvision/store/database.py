"""One SQLite file, shared by threads, kernels and forked children, whatever its disk."""

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from nbvision.errors import StoreFailed

__all__ = ["IN_MEMORY", "Database", "code_of", "failure", "patiently"]

Result = TypeVar("Result")

IN_MEMORY = Path(":memory:")
"""Instead of a file: what ends with the process."""

_PATIENCE_SECONDS = 30.0
# SQLite's own waiting cannot be interrupted, so it is short, and ours goes on.
_UNINTERRUPTED_SECONDS = 0.2
_BETWEEN_SECONDS = 0.01
_PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}

_all: "weakref.WeakSet[Database]" = weakref.WeakSet()


class Database:
    """A connection for each process, one thread at a time.

    Parameters
    ----------
    path
        The file, which exists.
    is_shared
        Whether it lies on a network file system: then without a log in shared memory.
    is_read_only
        Whether writing is refused.
    """

    def __init__(self, path: Path, *, is_shared: bool = False, is_read_only: bool = False) -> None:
        self.path = path
        self.is_read_only = is_read_only
        self._is_shared = is_shared
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._finish: Callable[[], object] = lambda: None
        self._file: tuple[int, int] | None = None
        _all.add(self)

    def is_gone(self) -> bool:
        """Whether the file was deleted; one that another took the place of is opened anew."""
        if self.path == IN_MEMORY:
            return False
        if self._is_missing():
            self.close()
            return True
        if self._connection is not None and self._file_there() != self._file:
            self.close()
        return False

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for reading.

        Raises
        ------
        StoreFailed
            If the file cannot be read.
        """
        with self._held() as connection:
            yield connection

    @contextmanager
    def writing(self, *, patience: float | None = None) -> Iterator[sqlite3.Connection]:
        """Give the connection within a transaction: all of the block is kept, or nothing.

        Parameters
        ----------
        patience
            How many seconds to wait for another program that holds the file.

        Raises
        ------
        StoreFailed
            If it cannot be written: the disk is full, another program holds the file too
            long, or a newer nbvision wrote it.
        """
        self._require_writable()
        with self._held() as connection, _all_or_nothing(connection):
            patiently(lambda: _begin(connection), patience)
            yield connection

    @contextmanager
    def writing_now(self) -> Iterator[sqlite3.Connection | None]:
        """Do as `writing`, but give None if another thread or program holds the file just now.

        Raises
        ------
        StoreFailed
            As `writing`, but for being held.
        """
        self._require_writable()
        if not self._lock.acquire(timeout=_UNINTERRUPTED_SECONDS):
            yield None
            return
        try:
            with self._held() as connection, _all_or_nothing(connection):
                yield connection if _begins(connection) else None
        finally:
            self._lock.release()

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a question.

        Raises
        ------
        StoreFailed
            If the file cannot be read.
        """
        with self.reading() as connection:
            return patiently(lambda: connection.execute(statement, values).fetchall())

    def close(self) -> None:
        """Close this process's connection; the next use opens another."""
        with self._lock:
            self._finish()
            self._connection = None

    def before_fork(self) -> None:
        """Take the lock and close the file: a child must inherit neither open.

        SQLite would take the parent's locks in the child for the child's own.
        """
        self._lock.acquire()
        if self.path != IN_MEMORY:
            self.close()

    def after_fork(self) -> None:
        """Let go of the lock, in the parent and in the child."""
        self._lock.release()

    def _require_writable(self) -> None:
        if self.is_read_only:
            raise StoreFailed(
                "the record of calls was written by a newer nbvision",
                cure="upgrade nbvision, or set NBVISION_DATA to another folder",
            )

    @contextmanager
    def _held(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                yield self._connection
            except sqlite3.Error as error:
                failed = failure(error)
            except (OverflowError, UnicodeEncodeError) as error:
                failed = StoreFailed(f"the record of calls takes no such value: {error}"[:200])
            else:
                return
        raise failed

    def _connect(self) -> sqlite3.Connection:
        if self.path == IN_MEMORY:
            where = str(self.path)
        elif self._is_missing():
            raise StoreFailed(
                "the record of calls cannot be used: its file is gone",
                cure="ask again: a new one is begun; or set NBVISION_DATA to another folder",
            )
        else:
            # Never made here: an empty file would be nobody's store.
            where = f"{self.path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(
            where,
            timeout=_UNINTERRUPTED_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            uri=True,
        )
        try:
            patiently(lambda: _set_up(connection, is_shared=self._is_shared))
            if self.is_read_only:
                connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
        self._finish = weakref.finalize(self, connection.close)
        self._file = self._file_there()
        return connection

    def _is_missing(self) -> bool:
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            pass  # it may be there, out of sight
        return False

    def _file_there(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _before_fork() -> None:
    _forking[:] = _all
    for database in _forking:
        database.before_fork()


def _after_fork() -> None:
    for database in _forking:
        database.after_fork()
    _forking.clear()


_forking: list[Database] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )


def _begin(connection: sqlite3.Connection) -> None:
    """Begin a transaction; undo one that an interrupt at the wrong moment has left open."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    # Taken for writing from the start: one that begins by reading may not go on to write.
    connection.execute("BEGIN IMMEDIATE")


def _begins(connection: sqlite3.Connection) -> bool:
    """Begin a transaction, unless another program holds the file just now."""
    try:
        _begin(connection)
    except sqlite3.Error as error:
        if code_of(error) not in _PASSING:
            raise
        return False
    return True


@contextmanager
def _all_or_nothing(connection: sqlite3.Connection) -> Iterator[None]:
    """End the transaction that is begun within: keep it, or undo it after any error."""
    try:
        yield
        # With a rollback journal readers may be in the way even here.
        if connection.in_transaction:
            patiently(lambda: connection.execute("COMMIT"))
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def patiently(action: Callable[[], Result], seconds: float | None = None) -> Result:
    """Return what an action returns; repeat it while another process is in the way.

    SQLite's own patience ends at once where waiting could not help it, as while a log is begun
    or taken up again; that passes too.
    """
    ends = time.monotonic() + (_PATIENCE_SECONDS if seconds is None else seconds)
    while True:
        try:
            return action()
        except sqlite3.Error as error:
            if code_of(error) not in _PASSING or time.monotonic() > ends:
                raise
        time.sleep(_BETWEEN_SECONDS)


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's number for what went wrong, without its details."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def failure(error: sqlite3.Error) -> StoreFailed:
    """Return an error of SQLite's as one of ours; it names no path."""
    code = code_of(error)
    if code == sqlite3.SQLITE_FULL:
        return StoreFailed(
            "the disk is full, so that the record of calls cannot be kept",
            cure="free some space, or set NBVISION_DATA to another folder, or to off",
        )
    if code in _PASSING:
        return StoreFailed(
            f"another program has held the record of calls for {_PATIENCE_SECONDS:.0f} seconds",
            cure="close it, or set NBVISION_DATA to another folder",
        )
    return StoreFailed(
        f"the record of calls cannot be used: {error}",
        cure="set NBVISION_DATA to another folder, or to off",
    )


def _set_up(connection: sqlite3.Connection, *, is_shared: bool) -> None:
    wanted = "DELETE" if is_shared else "WAL"
    (found,) = connection.execute("PRAGMA journal_mode").fetchone()
    if found.upper() != wanted:
        connection.execute(f"PRAGMA journal_mode = {wanted}")
    # What is acknowledged has been paid for: it outlives the power too.
    connection.execute("PRAGMA synchronous = FULL")
    # What is forgotten is overwritten.
    connection.execute("PRAGMA secure_delete = ON")
