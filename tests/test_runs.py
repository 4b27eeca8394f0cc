"""Runs: counted together, paid from one budget, stopped as one, left cleanly."""

import asyncio
import contextvars
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from doors import DOORS, door, every_door
from test_budget import DOLLARS, HAIKU, PICTURE, answer_dearly, ask, at
from wire import EVENTS, MESSAGE, SSE, Arrived, Connection, Wire, sse, wire

import nbvision as nv
from nbvision.backends.protocol import StopSignal
from nbvision.backends.stopping import stoppable
from nbvision.errors import (
    BudgetExceeded,
    Interrupted,
    RequestError,
    RunStopped,
    SpendLimitReached,
    Truncated,
)
from nbvision.magics.status import Settings, status_of
from nbvision.run_calls import RunCalls
from nbvision.runs import open_runs
from nbvision.store import Store


@pytest.fixture
def place() -> Iterator[Wire]:
    with wire(answer_dearly) as found:
        yield found


# Counting


def test_a_run_counts_what_was_asked_stored_failed_and_refused(store: Store, place: Wire) -> None:
    backend = at(place)
    ask(backend, 0)
    with nv.run("shelves", budget=0.02) as run:
        for number in (0, 1, 2, 1):
            ask(backend, number)
        with pytest.raises(BudgetExceeded):
            ask(backend, 3, budget=0.001)
        with pytest.raises(RequestError):
            nv.ask(PICTURE, "What?", backend=backend, max_tokens=-1)
    assert run.calls == RunCalls(asked=2, from_store=2, refused=1)
    assert run.spent.dollars == pytest.approx(2 * DOLLARS)
    assert run.left == pytest.approx(0.02 - 2 * DOLLARS)
    assert not run.is_stopped
    assert len(store.history()) == len(place.arrived) == 3


def test_an_answer_that_cannot_be_used_is_a_failed_call_that_cost() -> None:
    practice = nv.connect("practice", words_per_second=None)
    with nv.run() as run, pytest.raises(Truncated):
        nv.describe(PICTURE, max_tokens=5, backend=practice)
    assert run.calls == RunCalls(asked=1, failed=1)


def test_what_broke_off_counts_at_its_worst(store: Store) -> None:
    def hang_up(connection: Connection, _: Arrived) -> None:
        connection.reset()

    with wire(hang_up) as place, nv.run("lost") as run:
        with pytest.raises(nv.NbvisionError):
            ask(at(place), 1)
        assert run.spent.dollars == 0
        assert 0.005 < run.spent.unsure < 0.01
        assert "$0.00 and at most $0.00" in str(run)
    assert store.allowances.taken("run:lost") == run.spent


def test_an_unknown_price_is_said() -> None:
    tomorrow = json.dumps(EVENTS).replace(MESSAGE["model"], "claude-of-tomorrow")

    def answer(connection: Connection, _: Arrived) -> None:
        connection.reply(b"".join(map(sse, json.loads(tomorrow))), content_type=SSE)

    with wire(answer) as place, nv.run() as run:
        nv.ask(PICTURE, "What?", backend=at(place), model="claude-of-tomorrow")
    assert run.calls == RunCalls(asked=1, unpriced=1)
    assert "1 of unknown price" in str(run)


def test_conversations_and_every_call_belong_to_the_run() -> None:
    practice = nv.connect("practice", words_per_second=None)
    with nv.run() as run:
        nv.Conversation(backend=practice).ask("What?", PICTURE)
        nv.locate(PICTURE, "the door", backend=practice)
        nv.compare([PICTURE, PICTURE], backend=practice)
    assert run.calls.asked == 3


@pytest.mark.usefixtures("store")
def test_who_waits_for_an_identical_call_has_it_from_store() -> None:
    def slow(connection: Connection, arrived: Arrived) -> None:
        time.sleep(0.3)
        answer_dearly(connection, arrived)

    with wire(slow) as place, nv.run() as run, ThreadPoolExecutor(3) as pool:
        backend = at(place)
        list(pool.map(run.wrap(lambda _: ask(backend, "same")), range(3)))
    assert run.calls == RunCalls(asked=1, from_store=2)
    assert run.spent.dollars == pytest.approx(DOLLARS)


# Its budget


def test_a_named_runs_budget_outlives_it_and_raising_it_helps(store: Store, place: Wire) -> None:
    backend = at(place)
    with nv.run("shelves", budget=0.011):
        ask(backend, 1)
    store.close()
    with nv.run("shelves", budget=0.011) as again:
        assert again.calls == RunCalls()
        assert again.spent.dollars == pytest.approx(DOLLARS)
        with pytest.raises(BudgetExceeded) as caught:
            ask(backend, 2)
    assert "nv.run('shelves', budget=0.02)" in str(caught.value)
    assert 'the budget of the run "shelves" is $0.0110' in str(caught.value)
    with nv.run("shelves", budget=0.02):
        ask(backend, 2)
    (kept,) = nv.budgets()
    assert (kept.name, kept.dollars) == ("run:shelves", 0.02)


def test_a_run_without_a_name_leaves_nothing_behind(store: Store, place: Wire) -> None:
    for number in range(2):
        with nv.run(budget=0.011) as run:
            ask(at(place), number)
            with pytest.raises(BudgetExceeded, match=r"this run's budget.*") as caught:
                ask(at(place), "more")
        assert "nv.run(budget=0.02)" in str(caught.value)
        assert run.spent.dollars == pytest.approx(DOLLARS)
    assert store.allowances.kept() == []
    assert store._database.rows("SELECT * FROM takings") == []


def test_a_call_is_paid_from_the_connections_and_every_runs_budget(
    store: Store, place: Wire
) -> None:
    backend = at(place, budget=nv.Budget.of(1, "mine"))
    with nv.run("outer", budget=0.011) as outer, nv.run("inner", budget=1) as inner:
        ask(backend, 1)
        assert outer.calls == inner.calls == RunCalls(asked=1)
        with pytest.raises(BudgetExceeded, match="outer"):
            ask(backend, 2)
        assert outer.calls == inner.calls == RunCalls(asked=1, refused=1)
    names = ("mine", "run:outer", "run:inner")
    assert {store.allowances.taken(name).most for name in names} == {outer.spent.dollars}
    assert len(place.arrived) == 1


def test_a_budget_by_name_is_shared_between_runs(store: Store, place: Wire) -> None:
    project = nv.Budget.of(0.011, "project")
    with nv.run("one", budget=project):
        ask(at(place), 1)
    with nv.run("two", budget=project), pytest.raises(BudgetExceeded) as caught:
        ask(at(place), 2)
    assert "nv.Budget.of(0.02, 'project')" in str(caught.value)
    assert store.allowances.taken("run:two").most == 0


@pytest.mark.parametrize("kept", ["in the store", "in memory"])
def test_threads_in_a_run_never_spend_more_than_it_has(
    kept: str, place: Wire, request: pytest.FixtureRequest
) -> None:
    if kept == "in the store":
        request.getfixturevalue("store")
    backend = at(place)

    def try_to(number: int) -> bool:
        try:
            ask(backend, number)
        except BudgetExceeded:
            return False
        return True

    with nv.run(budget=0.03) as run, ThreadPoolExecutor(12) as pool:
        answered = sum(pool.map(run.wrap(try_to), range(30)))
    assert answered == len(place.arrived) == run.calls.asked
    assert 3 <= answered <= 0.03 / DOLLARS
    assert run.spent.dollars == pytest.approx(answered * DOLLARS)


# Names and blocks


@pytest.mark.parametrize("name", ["", "x" * 101, 5, "two\nlines", " padded", "\x1b[31m", b"run"])
def test_a_name_is_one_line(name: Any) -> None:
    with pytest.raises(RequestError, match="name="):
        nv.run(name)


def test_a_run_is_entered_once() -> None:
    run = nv.run("shelves")
    with run, pytest.raises(RequestError, match="entered before"), run:
        pass
    with pytest.raises(RequestError, match="entered before"), run:
        pass


def test_a_name_is_entered_once_at_a_time_in_a_kernel() -> None:
    with nv.run("shelves"):
        with pytest.raises(RequestError, match='shelves" already'), nv.run("shelves"):
            pass
        with nv.run("others"), nv.run(), nv.run():
            assert len(open_runs()) == 4
    with nv.run("shelves"):
        assert len(open_runs()) == 1
    assert open_runs() == ()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_run_cleanly(store: Store, error: type[BaseException]) -> None:
    with pytest.raises(error), nv.run("shelves", budget=1):
        raise error
    assert open_runs() == ()
    lease = store.leases.take("run:shelves")
    assert lease is not None
    lease.release()
    with nv.run("shelves"):
        pass


def test_a_run_that_cannot_be_entered_leaves_nothing(store: Store) -> None:
    lease = store.leases.take("run:shelves")
    assert lease is not None
    for _ in range(2):
        with pytest.raises(RequestError, match="another kernel is in the run"):
            nv.run("shelves", wait=False).__enter__()
    assert open_runs() == ()
    lease.release()
    with nv.run("shelves", wait=False):
        assert len(open_runs()) == 1


def test_who_waits_for_another_kernel_can_be_stopped(store: Store) -> None:
    lease = store.leases.take("run:shelves")
    assert lease is not None
    stop = StopSignal()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(Interrupted), stoppable(stop), nv.run("shelves"):
        pass
    threading.Timer(0.3, lease.release).start()
    with nv.run("shelves"):
        assert len(open_runs()) == 1


OTHER = """
import sys
import nbvision as nv
with nv.run("shelves", budget=1) as run:
    print("in", flush=True)
    sys.stdin.readline()
"""


def test_a_second_kernel_waits_until_the_first_has_left_or_died(store: Store) -> None:
    def other() -> "subprocess.Popen[str]":
        made = subprocess.Popen(
            [sys.executable, "-c", OTHER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert made.stdout is not None
        assert made.stdout.readline() == "in\n"
        return made

    first = other()
    with pytest.raises(RequestError, match="another kernel"), nv.run("shelves", wait=False):
        pass
    assert first.stdin is not None
    threading.Timer(0.3, lambda: first.communicate("\n")).start()
    with nv.run("shelves"):
        assert first.wait(10) == 0
    killed = other()
    killed.kill()
    killed.communicate()
    with nv.run("shelves"):
        assert store.path.exists()


ASKING = """
import sys
from PIL import Image
import nbvision as nv
backend = nv.connect("anthropic", base_url=sys.argv[1], api_key="sk-ant-x", model=sys.argv[2])
with nv.run("shelves", budget=0.008):
    nv.ask(Image.new("RGB", (60, 40)), "What?", backend=backend, max_tokens=1000)
"""


def test_what_a_killed_kernel_had_under_way_stays_taken(store: Store) -> None:
    is_over = threading.Event()

    def never(_: Connection, __: Arrived) -> None:
        is_over.wait(20)

    with wire(never) as place:
        kernel = subprocess.Popen([sys.executable, "-c", ASKING, place.url, HAIKU])
        while not place.arrived:
            assert kernel.poll() is None
            time.sleep(0.02)
        kernel.kill()
        kernel.wait(10)
        with nv.run("shelves", budget=0.008) as run:
            with pytest.raises(BudgetExceeded, match="under way"):
                ask(at(place), 1)
            assert (run.spent.dollars, 0.005 < run.spent.unsure <= 0.008) == (0, True)
        is_over.set()
        assert len(place.arrived) == 1
    assert [call.outcome for call in store.history()] == ["unknown"]


# Threads, tasks, children


def test_what_runs_in_a_copied_context_belongs_to_the_run() -> None:
    practice = nv.connect("practice", words_per_second=None)

    def call() -> None:
        nv.describe(PICTURE, backend=practice)

    async def tasks() -> None:
        await asyncio.gather(*(nv.to_thread(call) for _ in range(2)), asyncio.to_thread(call))

    with nv.run() as run:
        asyncio.run(tasks())
        assert run.calls.asked == 3
        for target in (call, run.wrap(call), _with_context(call)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert run.calls.asked == 5  # the plain thread's is none of it


def _with_context(call: Callable[[], None]) -> Callable[[], None]:
    context = contextvars.copy_context()
    return lambda: context.run(call)


def test_wrapping_counts_once_where_the_run_is_around_already() -> None:
    practice = nv.connect("practice", words_per_second=None)
    with nv.run() as run:
        run.wrap(nv.describe)(PICTURE, backend=practice)
    assert run.calls.asked == 1


def test_wrapping_takes_the_runs_around_along() -> None:
    practice = nv.connect("practice", words_per_second=None)
    with nv.run() as outer, nv.run() as inner, ThreadPoolExecutor(1) as pool:
        pool.submit(inner.wrap(nv.describe), PICTURE, backend=practice).result()
        pool.submit(outer.wrap(nv.describe), PICTURE, backend=practice).result()
    assert (outer.calls.asked, inner.calls.asked) == (2, 1)


def test_what_a_panel_asks_within_the_block_belongs_to_the_run() -> None:
    practice = nv.connect("practice", words_per_second=None)
    panel = nv.AskPanel(PICTURE, backend=practice)
    with nv.run() as run:
        panel.ask()
        panel.wait(20)
    panel.prompt = "Another question"
    panel.ask()  # as a click later would
    assert panel.wait(20) is not None
    panel.close()
    assert run.calls.asked == 1


def test_what_goes_on_after_the_run_sends_nothing(store: Store, place: Wire) -> None:
    backend = at(place)
    with nv.run("shelves", budget=1) as run:
        later = run.wrap(lambda words: ask(backend, words))
        later(1)
    with pytest.raises(RequestError, match="is over, so nothing was sent"):
        later(2)
    assert later(1).from_store is not None
    ask(backend, 2)
    assert len(place.arrived) == len(store.history()) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_child_leaves_the_run_to_its_parent() -> None:
    script = """
import os
import nbvision as nv
with nv.run("shelves") as run:
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        from nbvision.budget import ledger
        print(ledger().leases.take("run:shelves"))
if not child:
    os._exit(7)
"""
    with open(os.devnull) as nothing:  # noqa: PTH123 - no path of a person's
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            stdin=nothing,
        )
    assert done.stdout == "7\nNone\n"


# Money that is used up


def refusing(status: int, kind: str, words: str) -> Callable[[Connection, Arrived], None]:
    body = {"type": "error", "error": {"type": kind, "message": words}, "message": words}

    def answer(connection: Connection, _: Arrived) -> None:
        connection.reply(body, status)

    return answer


USED_UP = {
    "own limit": (
        400,
        "invalid_request_error",
        "You have reached your API usage limits.",
    ),
    "billing": (402, "billing_error", "Pay first."),
    "month": (429, "rate_limit_error", "This request would exceed your monthly spend limit."),
}
# Where a 429 that names no time to wait can only mean the month's money.
NAMES_WAITS = ["anthropic", "aws"]


@every_door
@pytest.mark.parametrize("kind", USED_UP)
def test_money_that_is_used_up_stops_the_run_at_once(name: str, kind: str) -> None:
    with wire(refusing(*USED_UP[kind])) as place:
        _is_stopped_by_one_answer(door(name, place.url), place)


@pytest.mark.parametrize("name", NAMES_WAITS)
def test_so_does_a_429_without_a_time_to_wait(name: str) -> None:
    with wire(refusing(429, "rate_limit_error", "Slow.")) as place:
        _is_stopped_by_one_answer(door(name, place.url), place)


@pytest.mark.parametrize("name", [name for name in DOORS if name not in NAMES_WAITS])
def test_elsewhere_it_is_a_matter_of_time_and_the_run_goes_on(name: str) -> None:
    def answer(connection: Connection, _: Arrived) -> None:
        body = {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow."}}
        connection.reply(body, 429, retry_after="0")

    with wire(answer) as place, nv.run() as run:
        with pytest.raises(nv.NbvisionError):
            nv.ask(PICTURE, "What?", backend=door(name, place.url))
        assert not run.is_stopped


def _is_stopped_by_one_answer(backend: nv.Backend, place: Wire) -> None:
    with nv.run("outer") as outer, nv.run("inner") as inner:
        with pytest.raises(SpendLimitReached) as first:
            nv.ask(PICTURE, "What?", backend=backend)
        assert not isinstance(first.value, RunStopped)
        for number in range(3):
            with pytest.raises(RunStopped) as caught:
                nv.ask(PICTURE, f"What? {number}", backend=backend)
            assert first.value.value in str(caught.value)
            assert "leave the run and begin it again" in str(caught.value)
            assert not caught.value.may_have_been_billed
        assert outer.is_stopped
        assert inner.calls == RunCalls(asked=1, failed=1, refused=3)
        assert first.value.value[:20] in str(inner)
    assert len(place.arrived) == 1
    with nv.run("outer") as again, pytest.raises(SpendLimitReached):
        nv.ask(PICTURE, "What?", backend=backend)
    assert again.is_stopped
    assert len(place.arrived) == 2


def test_a_stopped_run_gives_stored_answers_and_what_is_under_way_ends(store: Store) -> None:
    may_answer = threading.Event()

    def answer(connection: Connection, arrived: Arrived) -> None:
        if b"Question used-up" in arrived.body:
            refusing(*USED_UP["own limit"])(connection, arrived)
            return
        if b"Question slow" in arrived.body:
            assert may_answer.wait(10)
        answer_dearly(connection, arrived)

    with wire(answer) as place, nv.run("shelves") as run, ThreadPoolExecutor(1) as pool:
        backend = at(place)
        ask(backend, "stored")
        slow = pool.submit(run.wrap(lambda: ask(backend, "slow")))
        while len(place.arrived) < 2:
            time.sleep(0.01)
        with pytest.raises(SpendLimitReached):
            ask(backend, "used-up")
        may_answer.set()
        assert slow.result(10).text == "A red door."
        assert ask(backend, "stored").from_store is not None
        for number in range(20):
            with pytest.raises(RunStopped):
                ask(backend, number)
        assert len(place.arrived) == 3
        assert len(store.history()) == 3
    assert run.calls == RunCalls(asked=3, from_store=1, failed=1, refused=20)


def test_many_threads_send_nothing_after_the_stop() -> None:
    with wire(refusing(*USED_UP["own limit"])) as place, nv.run() as run:
        backend = at(place)

        def try_to(number: int) -> float:
            with pytest.raises(SpendLimitReached) as caught:
                ask(backend, number)
            return isinstance(caught.value, RunStopped)

        with ThreadPoolExecutor(4) as pool:
            stopped = sum(pool.map(run.wrap(try_to), range(60)))
        # Only those that were under way together with the first.
        assert len(place.arrived) == 60 - stopped <= 4


def test_a_call_outside_the_stopped_run_is_sent() -> None:
    with wire(refusing(*USED_UP["billing"])) as place:
        backend = at(place)
        with nv.run() as run, pytest.raises(SpendLimitReached):
            ask(backend, 1)
        assert run.is_stopped
        with pytest.raises(SpendLimitReached) as caught:
            ask(backend, 2)
        assert not isinstance(caught.value, RunStopped)
        assert len(place.arrived) == 2


# Shown


def test_a_run_shows_itself_in_one_line(store: Store, place: Wire) -> None:
    with nv.run("<b>shelves</b>", budget=0.5) as run:
        ask(at(place), 1)
        shown = run._repr_mimebundle_()
        assert shown["text/plain"] == (
            'the run "<b>shelves</b>": 1 asked, 0 from store; $0.0050 spent of $0.50, $0.4950 left'
        )
        assert "<b>shelves" not in shown["text/html"]
        lines = status_of(Settings()).in_words()
        assert 'under way: the run "<b>shelves</b>": 1 asked' in lines
        assert "<b>" not in status_of(Settings())._repr_mimebundle_()["text/html"]
    assert "under way" not in status_of(Settings()).in_words()
    assert repr(run) == "Run('<b>shelves</b>', 1 asked, 0 from store)"
    assert store.history()


def test_the_status_says_what_is_left_of_the_budget(store: Store, place: Wire) -> None:
    ask(at(place, budget=nv.Budget.of(1, "lesson")), 1)
    words = "budget lesson: $0.0050 spent of $1.00, $0.9950 left"
    assert words in status_of(Settings()).in_words()
    assert words in status_of(Settings())._repr_mimebundle_()["text/html"]
    assert store.history()
