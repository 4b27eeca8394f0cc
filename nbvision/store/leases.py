"""Who is at something just now: a name is held by one kernel at a time, as long as it lives.

A holder beats: a thread of its process counts a number up. Nobody compares clocks of two
machines: one who waits counts, by its own, how long the number has stood still. A process of
this machine that is gone is dead at once.
"""

import atexit
import os
import secrets
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from pathlib import Path
from platform import node
from sqlite3 import Connection

from nbvision.errors import StoreFailed
from nbvision.store.database import IN_MEMORY, Database

__all__ = ["LOOK_SECONDS", "Lease", "Leases", "delete", "let_go", "nothing"]

LOOK_SECONDS = 0.15
"""Between two looks of one who waits."""

_BEAT_SECONDS = 2.0
_DEAD_SECONDS = 10.0
# One that was asleep itself has not seen whether the other beat: a long gap counts little.
_LONGEST_GAP_SECONDS = 5.0
_RELEASE_SECONDS = 2.0


def nothing() -> None:
    """Do nothing: the waiting goes on."""


class Lease:
    """A name that is held until it is released, or nothing refers to this any more.

    Attributes
    ----------
    name
        What is held.
    holder
        Whose it is: this machine, this process, this lease.
    is_lost
        Whether another has taken it, since this process was asleep or could not write.
    """

    def __init__(self, name: str, leases: "Leases | None" = None) -> None:
        self.name = name
        self.holder = f"{_machine()} {os.getpid()} {secrets.token_hex(8)}"
        self.is_lost = False
        self._leases = leases

    def release(self) -> None:
        """Let go of the name; safe to call twice, and where another has taken it."""
        if self._leases is not None:
            self._leases.release(self)

    def __repr__(self) -> str:
        return f"Lease({self.name!r})"


@dataclass(slots=True)
class _Seen:
    """What one who waits has seen of a holder."""

    holder: str
    beat: int
    at: float = field(default_factory=time.monotonic)
    silent: float = 0.0

    def look(self, holder: str, beat: int) -> None:
        now = time.monotonic()
        is_same = (holder, beat) == (self.holder, self.beat)
        self.silent = self.silent + min(now - self.at, _LONGEST_GAP_SECONDS) if is_same else 0.0
        self.holder, self.beat, self.at = holder, beat, now


class Leases:
    """The leases in one file.

    Parameters
    ----------
    database
        The file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[str, _Seen] = {}

    def take(self, name: str, *, is_patient: bool = True) -> Lease | None:
        """Return a lease of a name; None if somebody living holds it.

        It lasts until it is released or forgotten, or the process ends. Where nothing can be
        written nobody is kept out.

        Parameters
        ----------
        name
            What is to be held.
        is_patient
            Whether to wait for a file that is locked; otherwise that is None too.

        Raises
        ------
        StoreFailed
            If it cannot be written.

        Examples
        --------
        >>> from nbvision.store.opening import memory_store
        >>> leases = memory_store().leases
        >>> lease = leases.take("run:shelves")
        >>> leases.take("run:shelves") is None
        True
        >>> lease.release()
        """
        if self._database.is_read_only:
            return Lease(name)
        writing = self._database.writing if is_patient else self._database.writing_now
        lease = None
        try:
            with writing() as connection:
                lease = None if connection is None else self.claim(connection, name)
        except Exception:
            let_go(lease)
            raise
        except BaseException:
            if lease is not None:  # an interrupt may have come after it was kept
                self.release(lease)
            raise
        return lease

    @contextmanager
    def holding(
        self,
        name: str,
        *,
        require_wanted: Callable[[], None] = nothing,
        on_wait: Callable[[], None] = nothing,
    ) -> Iterator[Lease]:
        """Hold a name for a block; wait until nobody else does.

        Parameters
        ----------
        name
            What is to be held.
        require_wanted
            Called at every look; what it raises ends the waiting.
        on_wait
            Called once, if there is anything to wait for.

        Raises
        ------
        StoreFailed
            If it cannot be written.
        """
        lease = self.take(name)
        if lease is None:
            on_wait()
        while lease is None:
            require_wanted()
            time.sleep(LOOK_SECONDS)
            lease = self.take(name, is_patient=False)
        try:
            yield lease
        finally:
            lease.release()

    def claim(self, connection: Connection, name: str) -> Lease | None:
        """Take a name within a transaction; None if somebody living holds it."""
        if not self._is_free_in(connection, name):
            return None
        self._seen.pop(name, None)
        lease = Lease(name, self)
        with _lock:
            _held[lease.holder] = lease
        connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, 0)", (name, lease.holder))
        _begin_beating()
        return lease

    def is_free(self, name: str) -> bool:
        """Whether nobody living holds a name; not where the file is locked just now.

        Raises
        ------
        StoreFailed
            If the file cannot be used.
        """
        # Only looks that could write are counted: while none can, the holder cannot beat either.
        with self._database.writing_now() as connection:
            return connection is not None and self._is_free_in(connection, name)

    def clear(self) -> None:
        """Delete what dead processes of this machine held; nothing while the file is locked.

        Raises
        ------
        StoreFailed
            If the file cannot be used.
        """
        if self._database.is_read_only or not self._database.rows(
            "SELECT 1 FROM leases WHERE holder LIKE ? LIMIT 1", (f"{_machine()} %",)
        ):
            return
        with self._database.writing_now() as connection:
            if connection is None:
                return
            rows = connection.execute("SELECT name, holder FROM leases").fetchall()
            connection.executemany(
                "DELETE FROM leases WHERE name = ? AND holder = ?",
                [(name, holder) for name, holder in rows if _is_dead_here(holder)],
            )

    def release(self, lease: Lease) -> None:
        """Let go of a lease; if that cannot be written, it ends by its silence."""
        if not let_go(lease):
            return
        try:
            self._delete(lease)
        except KeyboardInterrupt:
            self._delete(lease)  # others wait for it: before the interrupt is heard
            raise

    def _delete(self, lease: Lease) -> None:
        with (
            suppress(StoreFailed),
            self._database.writing(patience=_RELEASE_SECONDS) as connection,
        ):
            delete(connection, lease)

    def beat(self, leases: list[Lease]) -> None:
        """Show that this process is alive; if that cannot be written, the next beat may be."""
        with (
            suppress(StoreFailed),
            self._database.writing(patience=_RELEASE_SECONDS) as connection,
        ):
            for lease in leases:
                beaten = connection.execute(
                    "UPDATE leases SET beat = beat + 1 WHERE name = ? AND holder = ?",
                    (lease.name, lease.holder),
                )
                lease.is_lost = not beaten.rowcount

    def _is_free_in(self, connection: Connection, name: str) -> bool:
        rows = connection.execute("SELECT holder, beat FROM leases WHERE name = ?", (name,))
        found = rows.fetchone()
        return found is None or self._is_dead(name, *found)

    def _is_dead(self, name: str, holder: str, beat: int) -> bool:
        if _is_held_here(holder):
            return False
        if _is_dead_here(holder):
            return True
        if self._database.path == IN_MEMORY:
            return True  # a forked child's copy of what its parent holds
        seen = self._seen.setdefault(name, _Seen(holder, beat))
        seen.look(holder, beat)
        return seen.silent >= _DEAD_SECONDS


def delete(connection: Connection, lease: Lease) -> bool:
    """Take a lease out of the file, unless another's stands there by now; whether it was there."""
    deleted = connection.execute(
        "DELETE FROM leases WHERE name = ? AND holder = ?", (lease.name, lease.holder)
    )
    return deleted.rowcount > 0


@cache
def _machine() -> str:
    """Return a name of where this process's number means anything: no other machine or container.

    It says nothing of the machine to others.
    """
    parts = [node()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return blake2b("\n".join(parts).encode(errors="replace"), digest_size=8).hexdigest()


def _is_held_here(holder: str) -> bool:
    with _lock:
        return holder in _held


def _is_dead_here(holder: str) -> bool:
    """Whether a holder was of this machine and is no more; a lost lease of this process too."""
    machine, pid, *_ = [*holder.split(), "", ""]
    if machine != _machine() or _is_held_here(holder):
        return False
    return pid == str(os.getpid()) or _is_gone(pid)


def _is_gone(pid: str) -> bool:
    if sys.platform == "win32":
        return False  # there the question would end the process
    with suppress(OSError, ValueError, IndexError):
        # What has ended and was not yet asked after: after the name, which may have brackets.
        said = Path(f"/proc/{int(pid)}/stat").read_bytes()
        if said.rpartition(b")")[2].split()[0] in {b"Z", b"X"}:
            return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError, ValueError):
        return False
    return False


# Weakly, so that what was lost by an interrupt at the wrong moment is not held for ever.
_held: "weakref.WeakValueDictionary[str, Lease]" = weakref.WeakValueDictionary()
_lock = threading.Lock()
_thread: threading.Thread | None = None
_is_ending = threading.Event()


def let_go(lease: Lease | None) -> bool:
    """Beat no longer for a lease; whether it was held."""
    with _lock:
        return lease is not None and _held.pop(lease.holder, None) is not None


def _begin_beating() -> None:
    global _thread  # noqa: PLW0603 - one for the process
    with _lock:
        is_beating = _thread is not None and _thread.is_alive()
        if not is_beating and not _is_ending.is_set():
            _thread = threading.Thread(target=_beat_on, name="nbvision leases", daemon=True)
            _thread.start()
            # Now, so that it runs before the open files are closed.
            atexit.register(_end_beating)


def _beat_on() -> None:
    global _thread  # noqa: PLW0603 - as above
    while not _is_ending.wait(_BEAT_SECONDS):
        by_file: dict[Leases, list[Lease]] = {}
        with _lock:
            for lease in _held.values():
                if lease._leases is not None:  # noqa: SLF001 - of this module
                    by_file.setdefault(lease._leases, []).append(lease)  # noqa: SLF001
            if not by_file:
                _thread = None
                atexit.unregister(_end_beating)
                return
        for leases, held in by_file.items():
            leases.beat(held)


def _end_beating() -> None:
    _is_ending.set()
    if _thread is not None:
        _thread.join(_RELEASE_SECONDS)


def _hold_nothing() -> None:
    """Leave to the parent of a forked child what the parent holds."""
    # A thread of the parent may have held them.
    global _lock, _thread, _is_ending
    _lock, _thread, _is_ending = threading.Lock(), None, threading.Event()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_hold_nothing)
