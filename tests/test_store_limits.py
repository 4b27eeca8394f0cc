"""Values that no file takes, pictures that are gone, files that vanish: nothing is lost by them."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from test_store import ANSWER, INTENT, opened

import nbvision as nv
from nbvision.errors import ImageNotFound, StoreFailed
from nbvision.store import (
    Allowance,
    SentPicture,
    Store,
    StoreNotice,
    forgetting,
    leases,
    notices,
    open_store,
)

HUGE = 10**30


@pytest.fixture(autouse=True)
def _notices_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_said", set())


def nested(depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(depth):
        made = {"in": made}
    return made


# -- values ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"input_tokens": HUGE},
        {"dollars": float("inf")},
        {"dollars": float("nan")},
        {"seconds": float("nan")},
        {"seconds": float("inf")},
        {"attempts": HUGE},
        {"message": {"id": "m", "deep": nested(5000)}},
        {"message": {"id": "m", "number": 10**5000}},
        {"message": {"id": "m", 1: {2, 3}}},
        {"message": {"id": "m", "half": "\ud800"}},
        {"request_id": "\ud800"},
    ],
)
def test_whatever_an_answer_holds_it_is_kept(store: Store, changed: dict[str, Any]) -> None:
    store.complete(store.begin(INTENT), replace(ANSWER, **changed))
    found = store.find("exact")
    assert found is not None
    assert found.message["id"] in {"m", "msg_1"}
    (call,) = store.history()
    assert call.text == "A door."
    assert store.spent().dollars >= 0


@pytest.mark.parametrize("most", [float("inf"), float("nan"), 1e300])
def test_a_worst_case_without_end_fits_no_budget(store: Store, most: float) -> None:
    asked = replace(INTENT, most_dollars=most)
    store.begin(asked)
    with pytest.raises(nv.NbvisionError, match="a call"):
        store.begin(asked, allowances=[Allowance("a", 1000.0)])
    assert store.allowances.taken("a").most == 0


@pytest.mark.parametrize(
    "action",
    [
        lambda store: store.begin(replace(INTENT, sample=HUGE)),
        lambda store: store.find("exact", sample=HUGE),
        lambda store: store.forget([HUGE]),
        lambda store: store.count([HUGE]),
        lambda store: store.details(HUGE),
        lambda store: store.disown(HUGE, "exact"),
        lambda store: store.find("\ud800"),
    ],
)
def test_a_number_that_no_file_takes_is_an_error_of_ours(
    store: Store, action: Callable[[Store], object]
) -> None:
    store.complete(store.begin(INTENT), ANSWER)
    with suppress(StoreFailed):
        action(store)
    assert len(store.history()) == 1
    store.begin(INTENT)


def test_a_sample_that_no_file_takes_is_refused_before_sending() -> None:
    backend = nv.connect("practice", words_per_second=None)
    with pytest.raises(nv.NbvisionError, match="2,147,483,647"):
        nv.describe(nv.samples.shapes, backend=backend, sample=HUGE)


# -- pictures and budgets --------------------------------------------------------------------


def test_a_thumbnail_that_cannot_be_made_stops_no_call(store: Store) -> None:
    def gone() -> bytes:
        raise ImageNotFound("no such file")

    def small() -> bytes:
        return b"small"

    asked = replace(INTENT, pictures=(SentPicture("a", "a.png", {}, gone),))
    number = store.begin(asked)
    assert [data for _, data in store.pictures(number)] == [None]
    # Another time it may be there.
    store.begin(replace(INTENT, pictures=(SentPicture("a", "a.png", {}, small),)))
    assert [data for _, data in store.pictures(number)] == [b"small"]


def test_a_call_forgotten_while_under_way_gives_back_what_it_took(store: Store) -> None:
    asked = replace(INTENT, most_dollars=0.4)
    number = store.begin(asked, allowances=[Allowance("a", 1)])
    store.forget(everything=True)
    assert store.allowances.taken("a").most == 0.4
    store.complete(number, ANSWER)
    store.complete(number, ANSWER)
    assert (store.allowances.taken("a").dollars, store.allowances.taken("a").unsure) == (0.25, 0)
    assert store.history() == []


# -- which answer ----------------------------------------------------------------------------


def test_a_newer_answer_under_another_encoding_is_given(store: Store) -> None:
    store.complete(store.begin(INTENT), replace(ANSWER, message={"id": "old"}))
    other = replace(INTENT, exact="of another machine")
    store.complete(store.begin(other), replace(ANSWER, message={"id": "new"}))
    found = store.find("exact")
    assert found is not None
    assert found.message == {"id": "new"}


def test_an_older_answer_is_given_if_the_newest_cannot_be_read(store: Store) -> None:
    store.complete(store.begin(INTENT), ANSWER)
    store.complete(store.begin(INTENT), ANSWER)
    with store._database.writing() as connection:
        connection.execute("UPDATE calls SET message = '{' WHERE number = 2")
    found = store.find("exact")
    assert found is not None
    assert found.number == 1


def test_only_the_call_of_that_name_is_taken_back(store: Store) -> None:
    number = store.begin(INTENT)
    store.complete(number, ANSWER)
    store.disown(number, "a call of another store")
    assert store.find("exact") is not None
    store.disown(number, "exact")
    assert store.find("exact") is None


# -- the file --------------------------------------------------------------------------------


def test_files_deleted_under_a_running_kernel_are_made_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.complete(store.begin(INTENT), ANSWER)
    for path in store.path.parent.glob("calls.sqlite*"):
        path.unlink()
    with pytest.warns(StoreNotice, match="deleted while it was open"):
        made = open_store()
    assert made is not None
    made.complete(made.begin(INTENT), ANSWER)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    # What still refers to the old one goes on with the new one.
    assert len(store.history()) == len(made.history()) == 1
    monkeypatch.setattr(notices, "_said", set())
    made.close()


def test_a_file_that_another_kernel_made_anew_is_taken_up(store: Store) -> None:
    store.begin(INTENT)
    for path in store.path.parent.glob("calls.sqlite*"):
        path.unlink()
    code = "from nbvision.store import open_store; open_store().leases.take('a'); print('made')"
    environment = {**os.environ, "NBVISION_DATA": str(store.path.parent)}
    made = subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
    assert made.returncode == 0
    again = open_store()
    assert again is store
    again.begin(INTENT)
    connection = sqlite3.connect(store.path)
    assert connection.execute("SELECT count(*) FROM calls").fetchone() == (1,)
    connection.close()


def test_no_empty_file_is_ever_made(store: Store) -> None:
    store.close()
    store.path.unlink()
    with pytest.raises(StoreFailed, match="its file is gone"):
        store.begin(INTENT)
    assert not store.path.exists()


CLOSED = """
import os, sys
from nbvision.errors import StoreFailed
from nbvision.store import Intent, open_store
intent = Intent("name", "exact", "anthropic", "anthropic", "m", "Hello")
warm = open_store({"NBVISION_DATA": os.environ["NBVISION_DATA"] + "-first"})
warm.begin(intent)  # all is imported, which another user may not do
warm.history()
warm.close()
if os.geteuid() == 0:
    os.setuid(65534)  # root may everything
store = open_store()
store.begin(intent)
store.close()
what = store.path if sys.argv[1] == "file" else store.path.parent
what.chmod(0)
again = open_store()
try:
    again.begin(intent)
except StoreFailed as error:
    print(error.value)
what.chmod(0o700)
again.begin(intent)
print(len(again.history()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has other rights")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_may_not_be_read_any_more_is_an_error_of_ours(what: str) -> None:
    # Not in the folder of the tests, which another user may not enter.
    with TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o777)
        made = subprocess.run(
            [sys.executable, "-c", CLOSED, what],
            env={**os.environ, "NBVISION_DATA": f"{scratch}/data", "HOME": scratch},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    said = "the record of calls cannot be used: unable to open database file"
    assert (made.stdout, made.stderr) == (f"{said}\n2\n", "")


def test_without_any_home_the_store_is_found_or_off(tmp_path: Path) -> None:
    code = """
import warnings
from nbvision.store import StoreNotice, open_store
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    made = open_store()
print(made is not None or any(isinstance(one.message, StoreNotice) for one in said))
"""
    homes = {"HOME", "XDG_DATA_HOME", "NBVISION_DATA", "USERPROFILE", "LOCALAPPDATA"}
    environment = {key: value for key, value in os.environ.items() if key not in homes}
    environment["XDG_DATA_HOME"] = "/proc/none"
    made = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        check=False,
    )
    assert (made.stdout, made.stderr) == ("True\n", "")


def test_a_version_raised_by_another_while_it_is_open_does_no_harm(store: Store) -> None:
    """A newer nbvision adds; what this one knows is still there."""
    store.complete(store.begin(INTENT), ANSWER)
    newer = sqlite3.connect(store.path, isolation_level=None)
    newer.execute("ALTER TABLE calls ADD COLUMN more TEXT NOT NULL DEFAULT ''")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    assert store.find("exact") is not None
    assert len(store.history("door")) == 1
    with pytest.warns(StoreNotice, match="newer"):
        again = opened(store.path.parent)
    assert again.is_read_only
    assert len(again.history()) == 1
    again.close()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="sets the zone")
def test_two_time_zones_have_one_order_and_days_of_their_own(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    days = {}
    for zone in ("Pacific/Auckland", "America/Los_Angeles"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        clock = int(moment.timestamp() * 1e9)
        monkeypatch.setattr(time, "time_ns", lambda at=clock: at)
        store.complete(store.begin(replace(INTENT, prompt=zone)), ANSWER)
        call = store.history()[0]
        assert call.asked_at == moment
        days[zone] = f"{call.asked_at.astimezone():%Y-%m-%d}"
        local = datetime(2026, 3, 2 if zone.startswith("P") else 1)  # noqa: DTZ001 - local
        assert len(store.history(since=local)) == len(days)
    monkeypatch.undo()
    time.tzset()
    assert days == {"Pacific/Auckland": "2026-03-02", "America/Los_Angeles": "2026-03-01"}
    assert [call.prompt for call in store.history()] == list(reversed(days))


# -- forgetting ------------------------------------------------------------------------------


def test_while_another_reads_what_was_forgotten_is_said_to_be_in_the_log(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "_OVERWRITING_SECONDS", 0.2)
    store.complete(store.begin(replace(INTENT, prompt="secretprompt")), ANSWER)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM calls").fetchone()
    with pytest.warns(StoreNotice, match="its log, which another kernel is reading"):
        store.forget(everything=True)
    other.close()
    store.forget(everything=True)
    for path in store.path.parent.iterdir():
        assert b"secret" not in path.read_bytes(), path.name


def test_one_who_reads_for_a_moment_is_waited_for(store: Store) -> None:
    store.complete(store.begin(replace(INTENT, prompt="secretprompt")), ANSWER)
    other = sqlite3.connect(store.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM calls").fetchone()
    ending = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    ending.start()
    store.forget(everything=True)  # a notice would be an error here
    ending.join()
    other.close()
    for path in store.path.parent.iterdir():
        assert b"secret" not in path.read_bytes(), path.name


# -- leases ----------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="asks for a process by its number")
def test_what_dead_kernels_held_is_deleted_on_opening(store: Store) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    kept = store.leases.take("mine")
    assert kept is not None
    with store._database.writing() as connection:
        for name, holder in (
            ("dead", f"{leases._machine()} {gone.pid} a"),
            ("elsewhere", "x 1 a"),
            ("living", f"{leases._machine()} {os.getppid()} a"),
        ):
            connection.execute("INSERT INTO leases VALUES (?, ?, 0)", (name, holder))
    again = opened(store.path.parent)
    names = {name for (name,) in again._database.rows("SELECT name FROM leases")}
    assert names == {"mine", "elsewhere", "living"}
    kept.release()
    again.close()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_process_that_ended_and_was_not_waited_for_is_dead(store: Store) -> None:
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    stat_file = Path(f"/proc/{zombie.pid}/stat")
    ends = time.monotonic() + 10
    while b") Z " not in stat_file.read_bytes():
        assert time.monotonic() < ends
        time.sleep(0.01)
    with store._database.writing() as connection:
        holder = f"{leases._machine()} {zombie.pid} a"
        connection.execute("INSERT INTO leases VALUES ('a', ?, 0)", (holder,))
    taken = store.leases.take("a")
    assert taken is not None
    taken.release()
    zombie.wait()
