"""A name is held by one kernel at a time, and by none that is dead."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbvision.errors import Interrupted, StoreFailed
from nbvision.store import Store, leases, notices, open_store, opening
from nbvision.store.leases import Lease
from nbvision.store.opening import memory_store

HOLDER = """
import sys
from nbvision.store import leases, open_store
leases._BEAT_SECONDS = 0.1
with open_store().leases.holding(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
print("let go")
"""


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beat ten times as fast, and say everything anew."""
    monkeypatch.setattr(leases, "_BEAT_SECONDS", 0.1)
    monkeypatch.setattr(leases, "_DEAD_SECONDS", 0.6)
    monkeypatch.setattr(leases, "_LONGEST_GAP_SECONDS", 0.3)
    monkeypatch.setattr(leases, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(notices, "_said", set())


@pytest.fixture(params=["local", "network", "memory"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Give a store of each kind."""
    if request.param == "memory":
        yield memory_store()
        return
    folder = tmp_path / "data"
    if request.param == "network":
        with pytest.warns(notices.StoreNotice, match="network"):
            made = open_store({"NBVISION_DATA": str(folder)}, kind_of_disk=lambda _: "nfs4")
    else:
        made = open_store({"NBVISION_DATA": str(folder)})
    assert made is not None
    yield made
    made.close()


def rows(store: Store) -> list[tuple[str, int]]:
    return store._database.rows("SELECT name, beat FROM leases")  # type: ignore[return-value]


def another(store: Store, name: str) -> subprocess.Popen[str]:
    """Start another kernel that holds a name."""
    made = subprocess.Popen(
        [sys.executable, "-c", HOLDER, name],
        env={**os.environ, "NBVISION_DATA": str(store.path.parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert made.stdout is not None
    assert made.stdout.readline() == "held\n"
    return made


def wait_until(is_so: Callable[[], bool], seconds: float = 5.0) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_one_holds_a_name_and_then_another(either: Store) -> None:
    first = either.leases.take("run:one")
    assert first is not None
    assert either.leases.take("run:one") is None
    other = either.leases.take("run:two")
    assert other is not None
    first.release()
    first.release()
    again = either.leases.take("run:one")
    assert again is not None
    again.release()
    other.release()
    assert rows(either) == []


def test_it_beats_while_it_is_held_and_not_after(store: Store) -> None:
    with store.leases.holding("a") as lease, store.leases.holding("b"):
        wait_until(lambda: all(beat >= 2 for _, beat in rows(store)))
        assert not lease.is_lost
    assert rows(store) == []
    wait_until(lambda: leases._thread is None)
    with store.leases.holding("a"):
        wait_until(lambda: rows(store)[0][1] >= 1)


def test_what_nobody_refers_to_is_not_held(store: Store) -> None:
    def forgets() -> None:
        assert store.leases.take("a") is not None

    forgets()
    taken = store.leases.take("a")
    assert taken is not None
    taken.release()


def test_one_who_waits_is_told_once_and_gets_it(either: Store) -> None:
    said: list[str] = []
    first = either.leases.take("a")
    assert first is not None
    threading.Timer(0.2, first.release).start()
    with either.leases.holding("a", on_wait=lambda: said.append("waiting")) as lease:
        assert lease.holder != first.holder
    assert said == ["waiting"]


def test_one_who_waits_can_be_stopped(store: Store) -> None:
    first = store.leases.take("a")
    assert first is not None

    def unwanted() -> None:
        raise Interrupted("stopped")

    with pytest.raises(Interrupted), store.leases.holding("a", require_wanted=unwanted):
        pytest.fail("it is held")
    assert store.leases.take("a") is None
    first.release()


def test_another_kernel_is_waited_for_until_it_lets_go(store: Store) -> None:
    other = another(store, "a")
    for _ in range(8):  # longer than for a dead one: it beats
        assert store.leases.take("a") is None
        time.sleep(0.1)
    threading.Timer(0.1, other.communicate, ["\n"]).start()
    with store.leases.holding("a"):
        assert len(rows(store)) == 1
    assert other.wait(10) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="asks for a process by its number")
def test_a_killed_kernel_of_this_machine_is_dead_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "_DEAD_SECONDS", 60)
    other = another(store, "a")
    other.kill()
    other.communicate()
    lease = store.leases.take("a")
    assert lease is not None
    lease.release()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="puts a process to sleep")
def test_a_kernel_that_sleeps_loses_what_it_holds_and_does_no_harm(store: Store) -> None:
    other = another(store, "a")
    other.send_signal(signal.SIGSTOP)
    with store.leases.holding("a"):
        other.send_signal(signal.SIGCONT)
        out, _ = other.communicate("\n")
        assert out == "let go\n"
        assert len(rows(store)) == 1
    assert rows(store) == []


def test_a_machine_elsewhere_is_dead_when_its_beat_stands_still(store: Store) -> None:
    elsewhere = "0123456789abcdef 1 abc"

    def beat() -> None:
        with store._database.writing() as connection:
            connection.execute(
                "INSERT INTO leases VALUES ('a', ?, 0) "
                "ON CONFLICT (name) DO UPDATE SET beat = beat + 1",
                (elsewhere,),
            )

    for _ in range(8):
        beat()
        time.sleep(0.1)
        assert store.leases.take("a") is None
    started = time.monotonic()
    with store.leases.holding("a"):
        assert time.monotonic() - started >= 0.4


def test_one_who_was_asleep_itself_takes_nothing_at_its_first_look(store: Store) -> None:
    with store._database.writing() as connection:
        connection.execute("INSERT INTO leases VALUES ('a', 'elsewhere 1 abc', 7)")
    assert store.leases.take("a") is None
    time.sleep(0.8)
    assert store.leases.take("a") is None
    time.sleep(0.3)
    taken = store.leases.take("a")
    assert taken is not None
    taken.release()


@pytest.mark.parametrize("holder", ["", "x", "x y z", f"{leases._machine()} abc", "\ud7ff 1"])
def test_a_holder_of_no_known_form_is_dead_by_its_silence(store: Store, holder: str) -> None:
    with store._database.writing() as connection:
        connection.execute("INSERT INTO leases VALUES ('a', ?, 7)", (holder,))
    with store.leases.holding("a") as lease:
        assert lease.holder != holder


def test_a_locked_file_frightens_no_heartbeat(store: Store) -> None:
    with store.leases.holding("a") as lease:
        other = sqlite3.connect(store.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert store.leases.take("b", is_patient=False) is None
        assert not store.leases.is_free("b")
        time.sleep(0.4)
        other.execute("COMMIT")
        other.close()
        before = rows(store)[0][1]
        wait_until(lambda: rows(store)[0][1] > before)
        assert not lease.is_lost


def test_one_who_finds_out_that_it_lost_says_so(store: Store) -> None:
    lease = store.leases.take("a")
    assert lease is not None
    with store._database.writing() as connection:
        connection.execute("UPDATE leases SET holder = 'elsewhere 1 abc'")
    wait_until(lambda: lease.is_lost)
    lease.release()
    assert len(rows(store)) == 1


def test_while_nobody_can_write_nobody_is_dead(store: Store) -> None:
    """The holder cannot beat then; those who wait count nothing against it."""
    other = another(store, "a")
    assert store.leases.take("a") is None
    lock = sqlite3.connect(store.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    for _ in range(4):
        assert not store.leases.is_free("a")
    lock.execute("COMMIT")
    lock.close()
    assert store.leases._seen["a"].silent <= 0.3
    other.communicate("\n")


def test_a_full_disk_is_said_to_one_who_takes_and_not_to_one_who_lets_go(store: Store) -> None:
    lease = store.leases.take("a" * 3000)
    assert lease is not None
    (pages,) = store._database.rows("PRAGMA page_count")[0]
    store._database.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFailed, match="disk is full"):
        store.leases.take("b" * 90_000)
    lease.release()
    store._database.rows("PRAGMA max_page_count = 1000000")
    taken = store.leases.take("b" * 90_000)
    assert taken is not None
    taken.release()


def test_where_nothing_is_written_nobody_waits(store: Store) -> None:
    store.close()
    connection = sqlite3.connect(store.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    opening._opened.pop(store.path.parent)
    with pytest.warns(notices.StoreNotice, match="newer"):
        newer = open_store({"NBVISION_DATA": str(store.path.parent)})
    assert newer is not None
    with newer.leases.holding("a") as one, newer.leases.holding("a") as two:
        assert isinstance(one, Lease)
        assert one.holder != two.holder
    newer.close()


FORKER = """
import os, time
from nbvision.store import leases, open_store
leases._BEAT_SECONDS = 0.05
store = open_store()
with store.leases.holding("a") as lease:
    child = os.fork()
    if not child:
        assert store.leases.take("a") is None, "the child holds nothing of it"
        lease.release()
        with store.leases.holding("b"):
            time.sleep(0.2)
            beats = dict(store._database.rows("SELECT name, beat FROM leases"))
            assert beats["b"] >= 1, beats
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert not lease.is_lost
    ((name, beat),) = store._database.rows("SELECT name, beat FROM leases")
    assert name == "a" and beat >= 2, (name, beat)
print("sound")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_holds_nothing_and_beats_for_itself(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKER],
        env={**os.environ, "NBVISION_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (made.stdout, made.stderr) == ("sound\n", "")


def test_a_process_ends_while_it_holds(store: Store) -> None:
    code = "from nbvision.store import open_store; one = open_store().leases.take('a'); print(one)"
    started = time.monotonic()
    made = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NBVISION_DATA": str(store.path.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (made.stdout, made.stderr) == ("Lease('a')\n", "")
    assert time.monotonic() - started < 5
    taken = store.leases.take("a")
    assert taken is not None
    taken.release()
