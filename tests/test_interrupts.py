"""An interrupt at any moment: nothing stays taken, held or open, and the next call works."""

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from test_budget import answer_dearly, ask, at
from wire import Wire, wire

import nbvision as nv
from nbvision import runs
from nbvision.runs import open_runs
from nbvision.store import Store


@pytest.fixture
def place() -> Iterator[Wire]:
    with wire(answer_dearly) as found:
        yield found


def is_statement(_: FrameType, event: str, what: Any) -> bool:
    of_sqlite = isinstance(getattr(what, "__self__", None), sqlite3.Connection)
    return event == "c_return" and of_sqlite and what.__name__.startswith("execute")


def is_step_of_a_run(frame: FrameType, event: str, _: Any) -> bool:
    # Between the call of __exit__ and its first step nothing in Python can hold an interrupt.
    where = frame.f_code
    is_entered = event == "call" and where.co_name not in {"__enter__", "__exit__", "run"}
    return where.co_filename == runs.__file__ and (is_entered or event == "c_return")


@contextmanager
def interrupted_after(
    steps: int, is_step: Callable[[FrameType, str, Any], bool] = is_statement
) -> Iterator[Callable[[], int]]:
    """Raise KeyboardInterrupt in this thread after so many steps, as a person's would."""
    count = 0

    def look(frame: FrameType, event: str, what: Any) -> None:
        nonlocal count
        if is_step(frame, event, what):
            count += 1
            if count == steps:
                sys.setprofile(None)
                raise KeyboardInterrupt

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield lambda: count
    finally:
        sys.setprofile(before)


def rows(tmp_path: Path, statement: str) -> list[tuple[Any, ...]]:
    """What another kernel sees; it fails at once if the file is held."""
    with closing(sqlite3.connect(tmp_path / "data" / "calls.sqlite", timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")
        return other.execute(statement).fetchall()


@pytest.mark.parametrize("name", [None, "shelves"])
def test_an_interrupt_between_any_two_statements_leaves_nothing_behind(
    store: Store, place: Wire, tmp_path: Path, name: str | None
) -> None:
    backend = at(place, budget=5)
    ask(backend, "before")
    statement, reached = 0, 0
    while reached == statement:
        statement += 1
        with interrupted_after(statement) as count:
            try:
                with nv.run(name):
                    ask(backend, statement)
            except KeyboardInterrupt:
                pass
            reached = count()
        assert open_runs() == ()
        assert rows(tmp_path, "SELECT * FROM leases") == [], statement
        assert {row[0] for row in rows(tmp_path, "SELECT outcome FROM calls")} <= {
            "answered",
            "interrupted",
        }, statement
        with nv.run(name, wait=False):
            assert ask(backend, "before").from_store is not None
    assert statement > 10
    assert store.allowances.taken("run:shelves").dollars > 0 or name is None


def test_an_interrupt_at_any_step_of_a_run_leaves_it(store: Store, place: Wire) -> None:
    backend = at(place)
    ask(backend, "before")
    step, reached = 0, 0
    while reached == step:
        step += 1
        with interrupted_after(step, is_step_of_a_run) as count:
            try:
                with nv.run("shelves", budget=1):
                    pass
            except KeyboardInterrupt:
                pass
            reached = count()
        assert open_runs() == (), step
        assert store.leases.take("run:shelves") is not None, step
        with nv.run("shelves", wait=False) as run:
            ask(backend, f"after {step}")
        assert run.calls.asked == 1
    assert step > 10
