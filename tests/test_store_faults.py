"""What a disk or another program does to the file while it is open, at every place that writes."""

import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from test_store import ANSWER, INTENT

from nbvision.errors import StoreFailed
from nbvision.store import Lease, Store, notices, open_store

WRITES: dict[str, Callable[[Store, int], object]] = {
    "begin": lambda store, _: store.begin(INTENT),
    "begin alone": lambda store, _: store.begin_alone(INTENT, store.newest("exact", 0)),
    "complete": lambda store, number: store.complete(number, replace(ANSWER, text="word " * 9000)),
    "disown": lambda store, _: store.disown(1, "exact"),
    "forget": lambda store, _: store.forget(everything=True),
    "lease": lambda store, _: store.leases.take("run:a"),
}
every_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())


def refusal(write: Callable[[], object]) -> StoreFailed | None:
    """Return what a write was refused with; any other error goes on."""
    try:
        written = write()
    except StoreFailed as error:
        return error
    if isinstance(written, Lease):
        written.release()
    return None


def rubbish(store: Store) -> None:
    store.path.write_bytes(b"rubbish " * 4000)


def vanished(store: Store) -> None:
    store.path.unlink()
    store.path.parent.joinpath("calls.sqlite-wal").unlink(missing_ok=True)


def locked_for_ever(store: Store) -> None:
    lock = sqlite3.connect(store.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    _open.append(lock)


_open: list[sqlite3.Connection] = []


@every_write
@pytest.mark.parametrize("fault", [rubbish, vanished, locked_for_ever])
def test_a_fault_while_it_is_open_is_a_typed_error_or_none(
    store: Store,
    fault: Callable[[Store], None],
    write: Callable[[Store, int], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nbvision.store.database._PATIENCE_SECONDS", 0.1)
    store.complete(store.begin(INTENT), ANSWER)
    number = store.begin(INTENT)
    fault(store)
    refused = refusal(lambda: write(store, number))
    while _open:
        _open.pop().close()
    if fault is locked_for_ever:
        assert refused is not None
        assert "another program has held" in str(refused)
    if refused is not None:
        assert refused.cure
        assert str(store.path.parent) not in str(refused)


@every_write
def test_a_full_disk_at_any_write_leaves_the_file_sound(
    store: Store, write: Callable[[Store, int], object]
) -> None:
    store.complete(store.begin(INTENT), ANSWER)
    number = store.begin(INTENT)
    (pages,) = store._database.rows("PRAGMA page_count")[0]
    store._database.rows(f"PRAGMA max_page_count = {pages}")
    refused = refusal(lambda: write(store, number))
    assert refused is None or "disk is full" in str(refused)
    store.close()
    assert store._database.rows("PRAGMA integrity_check") == [("ok",)]


def test_a_path_that_is_a_file_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "_said", set())
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.warns(notices.StoreNotice, match="calls are not kept"):
        assert open_store({"NBVISION_DATA": str(file)}) is None
    assert file.read_text() == "mine"


def test_a_relative_path_stays_where_it_was_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    first = open_store({"NBVISION_DATA": "records"})
    assert first is not None
    first.begin(INTENT)
    first.close()
    os.chdir(tmp_path / "elsewhere")
    assert open_store({"NBVISION_DATA": "records"}) is first
    assert len(first.history()) == 1
    first.close()
    assert not (tmp_path / "elsewhere" / "records").exists()


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    made = open_store({"NBVISION_DATA": "~/records"})
    assert made is not None
    assert made.path.parent == tmp_path / "records"
    made.close()
