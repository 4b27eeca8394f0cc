"""The store: nothing acknowledged is lost, nothing of another's is touched, nothing is deleted."""

import _thread
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nbvision.errors import BudgetExceeded, StoreFailed
from nbvision.store import (
    Allowance,
    Ending,
    Intent,
    SentPicture,
    Store,
    StoreNotice,
    notices,
    open_store,
)
from nbvision.store.place import disk_kind
from nbvision.store.schema import VERSION

INTENT = Intent("name", "exact", "anthropic", "anthropic", "claude-haiku-4-5", "What is this?")
ANSWER = Ending(
    "answered",
    0.25,
    1.5,
    2,
    "A door.",
    {"id": "msg_1"},
    "claude-haiku-4-5-20251001",
    "req_1",
    12,
    4,
)


@pytest.fixture(autouse=True)
def _notices_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_said", set())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def opened(folder: Path, **more: Any) -> Store:
    """Open a store as another kernel would: not the one that this process has."""
    from nbvision.store import opening

    opening._opened.pop(folder, None)
    made = open_store({"NBVISION_DATA": str(folder)}, **more)
    assert made is not None
    return made


def again(made: Store) -> Store:
    made.close()
    return opened(made.path.parent)


def test_an_answer_comes_back_and_an_intent_alone_does_not(store: Store) -> None:
    number = store.begin(INTENT)
    assert store.find("exact", "name") is None
    store.complete(number, ANSWER)
    found = again(store).find("exact")
    assert found is not None
    assert (found.message, found.request_id, found.number) == ({"id": "msg_1"}, "req_1", number)
    assert abs(found.asked_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert store.find("another exact", "another name") is None
    assert store.find("another exact", "name") == found


def test_the_newest_answer_is_given_and_both_are_kept(store: Store) -> None:
    for name in ("msg_1", "msg_2"):
        store.complete(store.begin(INTENT), replace(ANSWER, message={"id": name}))
    found = store.find("exact")
    assert found is not None
    assert found.message == {"id": "msg_2"}
    assert [call.outcome for call in store.history()] == ["answered", "answered"]


def test_samples_are_answered_apart(store: Store) -> None:
    store.complete(store.begin(replace(INTENT, sample=1)), ANSWER)
    assert store.find("exact") is None
    assert store.find("exact", sample=1) is not None


@pytest.mark.parametrize("outcome", ["refused", "truncated", "unreadable", "interrupted", "failed"])
def test_only_answers_are_given_again(store: Store, outcome: str) -> None:
    store.complete(store.begin(INTENT), replace(ANSWER, outcome=outcome))
    assert store.find("exact", "name") is None
    assert [call.outcome for call in store.history()] == [outcome]


def test_an_answer_that_proved_unusable_is_kept_but_not_given(store: Store) -> None:
    number = store.begin(INTENT)
    store.complete(number, ANSWER)
    store.disown(number, "exact")
    assert store.find("exact") is None
    assert store.history()[0].text == "A door."


def test_a_call_without_an_ending_is_unknown_and_so_is_its_cost(store: Store) -> None:
    store.begin(replace(INTENT, most_dollars=0.5))
    store.complete(store.begin(INTENT), ANSWER)
    assert [call.outcome for call in store.history()] == ["answered", "unknown"]
    spent = store.spent()
    assert (spent.dollars, spent.most_dollars, spent.unknown_calls) == (0.25, 0.75, 1)


def test_a_call_ends_once(store: Store) -> None:
    number = store.begin(INTENT)
    store.complete(number, ANSWER)
    store.complete(number, replace(ANSWER, outcome="failed", text=""))
    assert store.history()[0].text == "A door."


def test_everything_that_is_named_is_kept(store: Store) -> None:
    asked = replace(INTENT, parameters={"max_tokens": 8192}, messages=({"role": "user"},))
    number = store.begin(asked)
    store.complete(number, ANSWER)
    kept = store.details(number)
    assert kept is not None
    assert kept["parameters"] == {"max_tokens": 8192}
    assert kept["messages"] == [{"role": "user"}]
    assert (kept["message"], kept["request_id"]) == ({"id": "msg_1"}, "req_1")
    call = kept["call"]
    assert (call.seconds, call.attempts, call.input_tokens, call.output_tokens) == (1.5, 2, 12, 4)
    assert store.details(number + 1) is None


def test_what_is_no_json_and_no_text_is_kept_as_far_as_it_can_be(store: Store) -> None:
    number = store.begin(replace(INTENT, prompt="half \ud800"))
    message = {"id": "m", "usage": {"input_tokens": float("nan")}, "deep": [float("inf")]}
    store.complete(number, replace(ANSWER, text="\udfff", message=message))
    found = store.find("exact")
    assert found is not None
    assert found.message == {"id": "m", "usage": {"input_tokens": None}, "deep": [None]}


def test_order_is_by_number_even_when_the_clock_goes_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.complete(store.begin(INTENT), ANSWER)
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    store.complete(
        store.begin(replace(INTENT, prompt="later")), replace(ANSWER, message={"id": "2"})
    )
    assert [call.prompt for call in store.history()] == ["later", "What is this?"]
    found = store.find("exact")
    assert found is not None
    assert found.message == {"id": "2"}


# Pictures


def test_a_picture_is_kept_once_and_small(store: Store) -> None:
    made = []

    def thumbnail() -> bytes:
        made.append(1)
        return b"small"

    sent = SentPicture("jpeg:1", "door.jpg", {"original": [9, 9]}, thumbnail)
    numbers = [store.begin(replace(INTENT, pictures=(sent, sent))) for _ in range(3)]
    assert len(made) == 1
    kept = store.pictures(numbers[2])
    assert [(picture.source, data) for picture, data in kept] == [("door.jpg", b"small")] * 2
    assert kept[0][0].fit == {"original": [9, 9]}


# Budgets


def test_a_budget_holds_what_is_under_way_at_its_worst(store: Store) -> None:
    asked = replace(INTENT, most_dollars=0.4)
    first = store.begin(asked, allowances=[Allowance("lesson", 1.0)])
    store.begin(asked, allowances=[Allowance("lesson", 1.0)])
    with pytest.raises(BudgetExceeded) as caught:
        store.begin(asked, allowances=[Allowance("lesson", 1.0)])
    words = str(caught.value)
    for part in ("$0.40", "$1.00", "$0.80 is spent", "$0.20 left", "nv.connect(budget=1.2)"):
        assert part in words
    assert len(store.history()) == 2
    store.complete(first, replace(ANSWER, dollars=0.1))
    store.begin(asked, allowances=[Allowance("lesson", 1.0)])
    assert again(store).allowances.taken("lesson").most == pytest.approx(0.9)


def test_budgets_are_apart_and_forgetting_calls_refills_none(store: Store) -> None:
    asked = replace(INTENT, most_dollars=0.3)
    store.complete(store.begin(asked, allowances=[Allowance("a", 1)]), ANSWER)
    assert (store.allowances.taken("a").most, store.allowances.taken("b").most) == (0.25, 0)
    assert store.forget(everything=True) == 1
    assert store.allowances.taken("a").most == 0.25


def test_a_call_that_was_not_billed_gives_back_what_it_took(store: Store) -> None:
    number = store.begin(replace(INTENT, most_dollars=0.4), allowances=[Allowance("a", 1)])
    store.complete(number, Ending("failed", 0.0))
    assert store.allowances.taken("a").most == 0


def test_a_call_that_may_have_been_billed_does_not(store: Store) -> None:
    number = store.begin(replace(INTENT, most_dollars=0.4), allowances=[Allowance("a", 1)])
    store.complete(number, Ending("failed", None))
    assert store.allowances.taken("a").most == 0.4


def test_a_price_that_is_not_known_fits_no_budget(store: Store) -> None:
    with pytest.raises(BudgetExceeded, match="price is not known"):
        store.begin(INTENT, allowances=[Allowance("a", 1)])


def test_threads_cannot_overdraw_a_budget(store: Store) -> None:
    asked = replace(INTENT, most_dollars=0.1)

    def ask(_: int) -> bool:
        try:
            store.begin(asked, allowances=[Allowance("class", 1.0)])
        except BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(30))) == 10


# History


def test_history_is_searched_by_the_beginnings_of_words(store: Store) -> None:
    words = {
        "Where is the Tür?": "Links, by the wall",
        "A red door": "100% sure_thing",
        "何ですか": "猫",
    }
    for prompt, text in words.items():
        store.complete(store.begin(replace(INTENT, prompt=prompt)), replace(ANSWER, text=text))
    store.begin(replace(INTENT, prompt="red, still under way"))

    def found(search: str) -> list[str]:
        return [call.prompt for call in store.history(search)]

    assert found("tur wal") == ["Where is the Tür?"]
    assert found("red") == ["red, still under way", "A red door"]
    assert found("何") == ["何ですか"]
    assert found("nothing such") == []
    for hostile in ('"', "AND OR NOT", "red*", "x' OR 1=1 --", "(", "prompt:red", "%", "_"):
        assert isinstance(found(hostile), list)
    assert found("%") == ["A red door"]


def test_history_by_model_time_and_number(store: Store) -> None:
    for number in range(5):
        model = "claude-opus-5-5" if number % 2 else "claude-haiku-4-5"
        store.complete(store.begin(replace(INTENT, model=model, prompt=f"word {number}")), ANSWER)
    assert [c.prompt for c in store.history(model="claude-opus-5-5")] == ["word 3", "word 1"]
    assert [c.prompt for c in store.history("word", model="claude-opus-5-5", limit=1)] == ["word 3"]
    assert len(store.history(since=datetime.now(UTC) - timedelta(hours=1))) == 5
    assert store.history("word", since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert len(store.history(limit=2)) == 2


def test_forgetting_leaves_nothing_in_any_file(store: Store) -> None:
    sent = SentPicture("jpeg:1", "secret-name.jpg", {}, lambda: b"secret-thumbnail")
    asked = replace(INTENT, prompt="secretprompt", pictures=(sent,))
    store.complete(
        store.begin(asked), replace(ANSWER, text="secretanswer", message={"m": "secretm"})
    )
    store.complete(store.begin(replace(INTENT, prompt="kept")), ANSWER)
    assert len(store.history("secretprompt")) == 1
    assert store.forget([call.number for call in store.history("secretanswer")]) == 1
    assert store.history("secretprompt") == []
    assert [call.prompt for call in store.history()] == ["kept"]
    for path in store.path.parent.iterdir():
        assert b"secret" not in path.read_bytes(), path.name


def test_forgetting_what_is_old(store: Store) -> None:
    store.complete(store.begin(INTENT), ANSWER)
    assert store.forget(before=datetime.now(UTC) - timedelta(days=1)) == 0
    assert store.forget(before=datetime.now(UTC) + timedelta(days=1)) == 1
    assert store.history() == []


# The file


def test_folder_and_files_are_private(store: Store) -> None:
    store.begin(INTENT)
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    names = {path.name for path in store.path.parent.iterdir()}
    assert {"calls.sqlite", "calls.sqlite-wal", "calls.sqlite-shm"} <= names
    for path in store.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_a_folder_that_others_may_write_in_is_refused(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.warns(StoreNotice, match="others may write"):
        assert open_store({"NBVISION_DATA": str(folder)}) is None
    assert list(folder.iterdir()) == []


def test_a_folder_of_another_user_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.warns(StoreNotice, match="another user"):
        assert open_store({"NBVISION_DATA": str(folder)}) is None


@pytest.mark.parametrize("content", [b"mine", None])
def test_a_file_that_is_a_link_is_refused(
    folder: Path, tmp_path: Path, content: bytes | None
) -> None:
    folder.mkdir(mode=0o700)
    (folder / "calls.sqlite").symlink_to(tmp_path / "elsewhere")
    if content is not None:
        (tmp_path / "elsewhere").write_bytes(content)
    with pytest.warns(StoreNotice, match="a link"):
        assert open_store({"NBVISION_DATA": str(folder)}) is None
    assert (tmp_path / "elsewhere").exists() == (content is not None)


def test_a_home_that_cannot_be_written_is_said_once() -> None:
    nowhere = {"NBVISION_DATA": "/proc/nbvision"}
    with pytest.warns(StoreNotice, match="calls are not kept"):
        assert open_store(nowhere) is None
    assert open_store(nowhere) is None  # a second warning would be an error here


def test_off_says_nothing() -> None:
    assert open_store({"NBVISION_DATA": "OFF"}) is None


def test_by_default_it_lies_where_the_system_keeps_data(monkeypatch: pytest.MonkeyPatch) -> None:
    from nbvision.store.place import data_folder

    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere/data")
    assert data_folder({}) == Path("/somewhere/data/nbvision")


def garbage(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scribbled(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:12_288] = b"\xff" * 8192
    path.write_bytes(bytes(data))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE someone_elses (x)")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("damage", [garbage, cut, scribbled, empty, foreign])
def test_what_cannot_be_read_is_set_aside_and_never_deleted(folder: Path, damage: Any) -> None:
    made = opened(folder)
    for _ in range(40):
        made.complete(made.begin(INTENT), ANSWER)
    made.close()
    damage(made.path)
    data = made.path.read_bytes()
    with pytest.warns(StoreNotice, match="a new one was begun"):
        fresh = opened(folder)
    assert fresh.history() == []
    fresh.complete(fresh.begin(INTENT), ANSWER)
    aside = [
        path for path in folder.iterdir() if path.name.startswith("calls.") and "-2" in path.name
    ]
    assert [path.read_bytes() for path in aside if path.suffix == ".sqlite"] == [data]
    assert len(again(fresh).history()) == 1


def test_a_newer_file_is_read_and_not_written(store: Store) -> None:
    store.complete(store.begin(INTENT), ANSWER)
    store.close()
    connection = sqlite3.connect(store.path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    data = store.path.read_bytes()
    with pytest.warns(StoreNotice, match="newer nbvision"):
        newer = opened(store.path.parent)
    assert newer.is_read_only
    assert newer.find("exact") is not None
    assert len(newer.history("door")) == 1
    for write in (
        lambda: newer.begin(INTENT),
        lambda: newer.complete(1, ANSWER),
        lambda: newer.forget(everything=True),
        lambda: newer.disown(1, "exact"),
    ):
        with pytest.raises(StoreFailed, match="newer nbvision"):
            write()
    newer.close()
    assert store.path.read_bytes() == data


def test_an_older_file_is_brought_forward(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbvision.store import schema

    made = opened(folder)
    made.complete(made.begin(INTENT), ANSWER)
    steps = (*schema._STEPS, "ALTER TABLE calls ADD COLUMN mood TEXT NOT NULL DEFAULT 'good'")
    monkeypatch.setattr(schema, "_STEPS", steps)
    monkeypatch.setattr(schema, "VERSION", len(steps))
    newer = again(made)
    assert newer._database.rows("SELECT mood, prompt FROM calls") == [("good", "What is this?")]
    assert newer._database.rows("PRAGMA user_version") == [(len(steps),)]


@pytest.fixture
def full(store: Store) -> Iterator[Store]:
    """Give a store whose disk has no page left."""
    store.complete(store.begin(INTENT), ANSWER)
    (pages,) = store._database.rows("PRAGMA page_count")[0]
    store._database.rows(f"PRAGMA max_page_count = {pages}")
    return store


def test_a_full_disk_is_a_typed_error_and_what_was_written_is_safe(full: Store) -> None:
    long = replace(INTENT, prompt="long " * 20_000)
    with pytest.raises(StoreFailed, match="disk is full"):
        full.begin(long)
    number = full.begin(INTENT)
    with pytest.raises(StoreFailed, match="disk is full"):
        full.complete(number, replace(ANSWER, text="long " * 20_000))
    fresh = again(full)
    assert fresh._database.rows("PRAGMA integrity_check") == [("ok",)]
    assert [call.outcome for call in fresh.history()] == ["unknown", "answered"]


def test_on_a_network_disk_there_is_no_shared_memory(folder: Path) -> None:
    with pytest.warns(StoreNotice, match=r"network file system \(nfs4\)"):
        made = opened(folder, kind_of_disk=lambda _: "nfs4")
    made.complete(made.begin(INTENT), ANSWER)
    assert made._database.rows("PRAGMA journal_mode") == [("delete",)]
    assert not list(folder.glob("*-shm"))
    local = again(made)
    assert local._database.rows("PRAGMA journal_mode") == [("wal",)]
    assert local.find("exact") is not None


def test_the_kind_of_disk_is_known_on_linux(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbvision.store import place

    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda rw\n"
        "2 1 0:50 / /net rw shared:9 - autofs none rw\n"
        "3 2 0:51 / /net/my\\040home rw,relatime - nfs4 server:/home rw\n"
        "nonsense\n"
    )
    monkeypatch.setattr(place, "_MOUNTS", mounts)
    kinds = [disk_kind(Path(p)) for p in ("/net/my home/me", "/net/x", "/home/me", "/netty")]
    assert kinds == ["nfs4", "autofs", "ext4", "ext4"]
    monkeypatch.setattr(place, "_MOUNTS", tmp_path / "none")
    assert disk_kind(Path("/home/me")) == ""


# Several threads, kernels and children

WRITER = """
import sys
from nbvision.store import Allowance, Ending, Intent, open_store
store = open_store()
for number in range(int(sys.argv[2])):
    asked = Intent("name", f"{sys.argv[1]}-{number}", "anthropic", "anthropic", "m", "Hello " * 20)
    store.complete(store.begin(asked, allowances=[Allowance("all", None)]),
                   Ending("answered", 0.001, text="word " * 200, message={"id": "m"}))
"""


def test_sixteen_kernels_write_at_once_from_the_first_moment(folder: Path) -> None:
    """Each makes or opens the file at the same time as all others: no row lost, no lock error."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(number), "25"],
            env={**os.environ, "NBVISION_DATA": str(folder)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(16)
    ]
    errors = [writer.communicate()[1] for writer in writers]
    assert errors == [""] * 16
    made = opened(folder)
    assert len(made.history(limit=1000)) == 400
    assert made.allowances.taken("all").most == pytest.approx(0.4)
    assert made._database.rows("PRAGMA integrity_check") == [("ok",)]


FORKER = """
import os, threading
from nbvision.store import Ending, Intent, open_store
store = open_store()
intent = Intent("name", "exact", "anthropic", "anthropic", "m", "Hello")
def write():
    store.complete(store.begin(intent), Ending("answered", message={}))
write()
is_over = threading.Event()
def go_on():
    while not is_over.is_set():
        write()
busy = [threading.Thread(target=go_on) for _ in range(2)]
for thread in busy:
    thread.start()
children = []
for _ in range(8):
    write()
    child = os.fork()
    if not child:
        for _ in range(5):
            write()
        os._exit(0)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
is_over.set()
for thread in busy:
    thread.join()
calls = store.history(limit=10**6)
assert len(calls) >= 1 + 8 + 40, len(calls)
print({call.outcome for call in calls}, store._database.rows("PRAGMA integrity_check"))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_opens_the_file_for_itself(folder: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKER],
        env={**os.environ, "NBVISION_DATA": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (made.stdout, made.stderr) == ("{'answered'} [('ok',)]\n", "")


def test_an_interrupt_in_a_write_leaves_all_or_nothing(store: Store) -> None:
    store.begin(INTENT)

    def interrupted() -> None:
        with store._database.writing() as connection:
            connection.execute("DELETE FROM calls")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(store.history()) == 1
    other = sqlite3.connect(store.path, timeout=0)
    other.execute("BEGIN IMMEDIATE")
    other.close()


def test_somebody_elses_lock_is_waited_for(store: Store) -> None:
    store.begin(INTENT)
    other = sqlite3.connect(store.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.6, lambda: other.execute("COMMIT")).start()
    store.begin(INTENT)
    other.close()
    assert len(store.history()) == 2


def test_waiting_for_a_lock_can_be_interrupted(store: Store) -> None:
    store.begin(INTENT)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, _thread.interrupt_main).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        store.begin(INTENT)
    assert time.monotonic() - started < 1.5
    other.close()
    store.begin(INTENT)
    assert len(store.history()) == 2


def test_a_lock_that_is_never_let_go_of_is_said(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbvision.store import database

    monkeypatch.setattr(database, "_PATIENCE_SECONDS", 0.3)
    store.begin(INTENT)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreFailed, match="another program has held"):
        store.begin(INTENT)
    other.close()


def test_a_folder_that_vanishes_is_a_typed_error(store: Store) -> None:
    store.close()
    shutil.rmtree(store.path.parent)
    with pytest.raises(StoreFailed, match="cannot be used"):
        store.begin(INTENT)
