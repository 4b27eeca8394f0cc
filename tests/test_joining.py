"""Two kernels that ask the same pay once; one that dies holds nobody up."""

import _thread
import os
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from test_remembering import PICTURE, asked
from wire import MESSAGE

import nbvision as nv
from nbvision.backends.protocol import StopSignal
from nbvision.backends.stopping import stoppable
from nbvision.errors import BudgetExceeded, Interrupted, Refused
from nbvision.fingerprint import Fingerprint
from nbvision.keeping import Keeping
from nbvision.practice import PracticeServer
from nbvision.remembering import remembered
from nbvision.replies_folder import RepliesFolder
from nbvision.request import Request
from nbvision.response import Response, parse_response
from nbvision.store import Ending, Intent, Store, StoreNotice, leases

QUESTIONS = 50
ASKER = """
import sys
from PIL import Image
import nbvision as nv
backend = nv.connect("anthropic", base_url=sys.argv[1], api_key=sys.argv[2],
                     model="practice-standard")
picture = nv.open_image(Image.new("RGB", (56, 56), "teal"))
nv.ask(picture, "Warm up " + sys.argv[3], backend=backend)
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[4])):
    reply = nv.ask(picture, f"Question {number}", backend=backend)
    print(number, reply.text != "", flush=True)
"""


@pytest.fixture
def server() -> Iterator[PracticeServer]:
    with PracticeServer() as made:
        made._house.arrivals._kept = deque(maxlen=None)  # type: ignore[union-attr]
        yield made


@pytest.fixture
def askers(server: PracticeServer, store: Store) -> Iterator[list[subprocess.Popen[str]]]:
    """Start two kernels that ask the same when they are told to."""
    made = [
        subprocess.Popen(
            [sys.executable, "-c", ASKER, server.url, server.token, name, str(QUESTIONS)],
            env={**os.environ, "NBVISION_DATA": str(store.path.parent)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    yield made
    for one in made:
        one.kill()
        one.communicate()


def say_go(askers: list[subprocess.Popen[str]]) -> None:
    for one in askers:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in askers:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()


def arrivals(server: PracticeServer) -> Counter[str]:
    found = Counter(
        request.body["messages"][0]["content"][-1]["text"]
        for request in server.requests
        if request.body is not None
    )
    return Counter({words: n for words, n in found.items() if words.startswith("Question")})


def test_two_kernels_that_ask_the_same_pay_once(
    server: PracticeServer, store: Store, askers: list[subprocess.Popen[str]]
) -> None:
    say_go(askers)
    for one in askers:
        out, err = one.communicate(timeout=60)
        assert err == ""
        assert out.splitlines() == [f"{number} True" for number in range(QUESTIONS)]
    assert arrivals(server) == {f"Question {number}": 1 for number in range(QUESTIONS)}
    asked = [call for call in store.history(limit=1000) if call.prompt.startswith("Question")]
    assert [call.outcome for call in asked] == ["answered"] * QUESTIONS
    assert store._database.rows("SELECT * FROM leases") == []


@pytest.mark.skipif(sys.platform == "win32", reason="asks for a process by its number")
def test_one_of_two_kernels_is_killed_and_the_other_comes_through(
    server: PracticeServer, store: Store, askers: list[subprocess.Popen[str]]
) -> None:
    say_go(askers)
    killed, other = askers
    assert killed.stdout is not None
    for _ in range(20):
        killed.stdout.readline()
    killed.kill()
    killed.communicate()
    out, err = other.communicate(timeout=60)
    assert err == ""
    assert out.splitlines() == [f"{number} True" for number in range(QUESTIONS)]
    counted = arrivals(server)
    assert len(counted) == QUESTIONS
    assert sum(counted.values()) <= QUESTIONS + 1
    outcomes = Counter(call.outcome for call in store.history(limit=1000))
    assert outcomes["unknown"] <= 1


# One process, and a kernel elsewhere that is only a row in the file


@pytest.fixture
def request_(store: Store) -> Request:  # noqa: ARG001 - it is on
    return nv.build_request(PICTURE, "What is it?", backend=nv.connect("practice"))


def name_of(request: Request) -> str:
    return f"call:{Fingerprint(request).exact}:0"


@contextmanager
def elsewhere(store: Store, request: Request) -> Iterator[Callable[[], None]]:
    """Let a kernel elsewhere ask a request; the block is given what ends that."""

    def end() -> None:
        with store._database.writing() as connection:
            connection.execute("DELETE FROM leases WHERE name = ?", (name_of(request),))

    with store._database.writing() as connection:
        connection.execute(
            "INSERT INTO leases VALUES (?, 'elsewhere 1 abc', 0)", (name_of(request),)
        )
    yield end
    end()


def give(_: object) -> Response:
    return parse_response(MESSAGE)


def never(_: object) -> Response:
    raise AssertionError("it is asked elsewhere")


def ask(request: Request, how: Callable[[Any], Response] = give, **more: Any) -> Any:
    return remembered(request, how, keeping=Keeping(), backend="anthropic", **more)


def test_the_answer_of_another_kernel_is_waited_for_and_given(
    store: Store, request_: Request
) -> None:
    names = Fingerprint(request_)
    intent = Intent(names.name, names.exact, "anthropic", "anthropic", "m", "What is it?")
    said: list[str] = []
    with elsewhere(store, request_) as end:

        def answer() -> None:
            store.complete(store.begin(intent), Ending("answered", 0.01, message=MESSAGE))
            end()

        threading.Timer(0.3, answer).start()
        found = ask(request_, never, on_wait=said.append)
    assert found.response.text == "A red door."
    assert found.from_store is not None
    assert said == ["another kernel is asking the same; waiting for its answer"]
    assert len(store.history()) == 1


def test_what_another_kernel_could_not_do_is_asked_here(store: Store, request_: Request) -> None:
    with elsewhere(store, request_) as end:
        threading.Timer(0.3, end).start()
        assert ask(request_).from_store is None
    assert [call.outcome for call in store.history()] == ["answered"]


def test_a_kernel_elsewhere_that_is_silent_is_not_waited_for_long(
    store: Store, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "_DEAD_SECONDS", 0.5)
    started = time.monotonic()
    with elsewhere(store, request_):
        assert ask(request_).from_store is None
        assert 0.4 < time.monotonic() - started < 3
        assert ask(request_, never).from_store is not None


def test_refresh_waits_for_nobody_and_takes_nothing(store: Store, request_: Request) -> None:
    with elsewhere(store, request_):
        assert ask(request_, refresh=True).from_store is None
        assert len(store._database.rows("SELECT * FROM leases")) == 1


def test_one_who_waits_for_another_kernel_stops_at_once(store: Store, request_: Request) -> None:
    stop = StopSignal()
    with elsewhere(store, request_), stoppable(stop):
        threading.Timer(0.3, stop.set).start()
        started = time.monotonic()
        with pytest.raises(Interrupted):
            ask(request_, never, require_wanted=stop.require_unset)
        assert time.monotonic() - started < 0.8
    assert store.history() == []


def test_one_who_waits_for_another_kernel_can_be_interrupted(
    store: Store, request_: Request
) -> None:
    with elsewhere(store, request_):
        threading.Timer(0.3, _thread.interrupt_main).start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            ask(request_, never)
        assert time.monotonic() - started < 0.8
    assert ask(request_).from_store is None
    assert len(store.history()) == 1


def test_one_who_waits_while_the_file_is_locked_stops_at_once(
    store: Store, request_: Request
) -> None:
    import sqlite3

    stop = StopSignal()
    with elsewhere(store, request_):
        lock = sqlite3.connect(store.path, isolation_level=None, check_same_thread=False)

        def lock_and_stop(_: str) -> None:
            lock.execute("BEGIN IMMEDIATE")
            threading.Timer(0.3, stop.set).start()

        started = time.monotonic()
        with pytest.raises(Interrupted):
            ask(request_, never, on_wait=lock_and_stop, require_wanted=stop.require_unset)
        assert time.monotonic() - started < 1.2
        lock.close()


def test_those_who_wait_here_are_stopped_one_by_one(store: Store, request_: Request) -> None:
    """Two threads wait for a kernel elsewhere; the first is stopped, the second gets its answer."""
    stop = StopSignal()
    results: list[Any] = []

    def first() -> None:
        with pytest.raises(Interrupted):
            ask(request_, never, require_wanted=stop.require_unset)
        results.append("stopped")

    with elsewhere(store, request_) as end:
        threads = [threading.Thread(target=first)]
        threads[0].start()
        time.sleep(0.2)
        threads.append(threading.Thread(target=lambda: results.append(ask(request_))))
        threads[1].start()
        time.sleep(0.2)
        stop.set()
        threads[0].join(10)
        assert results == ["stopped"]
        end()
        threads[1].join(10)
    assert results[1].response.text == "A red door."
    assert len(store.history()) == 1


def test_only_who_asks_takes_from_the_budget(store: Store) -> None:
    with asked(budget=1.0) as (backend, place):
        request = nv.build_request(PICTURE, "What is it?", backend=backend)
        exact = Fingerprint(request, backend.address).exact
        other = store.leases.take(f"call:{exact}:0")
        assert other is not None
        stop = StopSignal()

        def stopped() -> None:
            with stoppable(stop), pytest.raises(Interrupted):
                nv.ask(PICTURE, "What is it?", backend=backend)

        waiting = threading.Thread(target=stopped)
        waiting.start()
        time.sleep(0.4)
        assert store._database.rows("SELECT * FROM takings") == []
        stop.set()
        waiting.join(10)
        other.release()
        assert place.arrived == []


def test_one_who_is_refused_by_its_budget_holds_nobody_up(store: Store) -> None:
    with asked(budget=0.0) as (backend, place):
        with pytest.raises(BudgetExceeded):
            nv.ask(PICTURE, "What is it?", backend=backend)
        assert place.arrived == []
    assert store._database.rows("SELECT * FROM leases") == []
    assert dict(leases._held) == {}


def test_one_who_fails_holds_nobody_up(store: Store, request_: Request) -> None:
    def refuse(_: object) -> Response:
        raise Refused("no", response=parse_response(MESSAGE))

    with pytest.raises(Refused):
        ask(request_, refuse)
    assert store._database.rows("SELECT * FROM leases") == []
    assert ask(request_).from_store is None


def test_an_ending_that_cannot_be_written_holds_nobody_up_for_long(
    store: Store, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbvision.store.notices._said", set())

    def fills_the_disk(_: object) -> Response:
        (pages,) = store._database.rows("PRAGMA page_count")[0]
        store._database.rows(f"PRAGMA max_page_count = {pages}")
        content = [{"type": "text", "text": "word " * 30_000}]
        return parse_response({**MESSAGE, "content": content})

    with pytest.warns(StoreNotice, match="the answer itself is here"):
        assert len(ask(request_, fills_the_disk).response.text) == 150_000
    assert len(store._database.rows("SELECT * FROM leases")) == 1
    assert dict(leases._held) == {}
    store._database.rows("PRAGMA max_page_count = 1000000")
    assert ask(request_).from_store is None  # the row is this process's own, and it is dead
    assert [call.outcome for call in store.history()] == ["answered", "unknown"]


def test_a_stored_answer_that_will_not_do_is_asked_for_again(
    store: Store, request_: Request
) -> None:
    names = Fingerprint(request_)
    intent = Intent(names.name, names.exact, "anthropic", "anthropic", "m", "What is it?")
    for message in ({"id": "no message"}, {}):
        store.complete(store.begin(intent), Ending("answered", 0.01, message=message))
    assert ask(request_).from_store is None
    assert ask(request_, never).from_store is not None


def test_an_answer_that_comes_between_the_look_and_the_asking_is_given(
    store: Store, request_: Request
) -> None:
    """The gap between "nothing stored" and "I ask" is closed by the store."""
    names = Fingerprint(request_)
    intent = Intent(names.name, names.exact, "anthropic", "anthropic", "m", "What is it?")
    newest = store.newest(names.exact, 0)
    store.complete(store.begin(intent), Ending("answered", 0.01, message=MESSAGE))
    assert store.begin_alone(intent, newest) is None
    begun = store.begin_alone(intent, store.newest(names.exact, 0))
    assert begun is not None
    assert store.begin_alone(intent, store.newest(names.exact, 0)) is None
    store.complete(begun[0], Ending("failed", 0.0), begun[1])
    begun = store.begin_alone(intent, store.newest(names.exact, 0))
    assert begun is not None
    begun[1].release()


# What is kept of an answer that was waited for


def asked_twice(
    request: Request, first: Keeping, second: Keeping, how: Callable[[Any], Response] = give
) -> list[Any]:
    """Ask with one keeping, and with the other meanwhile; return answers or errors."""
    begun, may_go_on = threading.Event(), threading.Event()

    def slowly(attempts: object) -> Response:
        begun.set()
        assert may_go_on.wait(10)
        return how(attempts)

    def outcome(how: Callable[[Any], Response], keeping: Keeping) -> Any:
        try:
            return remembered(
                request,
                how,
                keeping=keeping,
                backend="anthropic",
                on_wait=lambda _: may_go_on.set(),
            )
        except Refused as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        leading = pool.submit(outcome, slowly, first)
        assert begun.wait(10)
        waiting = pool.submit(outcome, never, second)
        return [leading.result(10), waiting.result(10)]


def test_one_who_waits_has_the_answer_in_its_own_folder_too(
    store: Store, request_: Request, tmp_path: Path
) -> None:
    folder = RepliesFolder(tmp_path / "r")
    _, waited = asked_twice(request_, Keeping(), Keeping(replies=folder))
    assert waited.response.text == "A red door."
    assert len(list(folder.files())) == 1
    assert len(store.history()) == 1


def test_one_who_waits_has_the_answer_in_its_own_store_too(
    store: Store, request_: Request, tmp_path: Path
) -> None:
    folder = RepliesFolder(tmp_path / "r")
    asked_twice(request_, Keeping(replies=folder, in_store=False), Keeping())
    (call,) = store.history()
    assert (call.outcome, call.dollars, call.text) == ("answered", 0.0, "A red door.")
    assert ask(request_, never).from_store is not None


def test_each_who_waits_has_an_error_of_its_own(store: Store, request_: Request) -> None:
    def refuse(_: object) -> Response:
        raise Refused("no", cure="ask otherwise", response=parse_response(MESSAGE))

    first, second = asked_twice(request_, Keeping(), Keeping(), refuse)
    assert first is not second
    assert (str(first), first.response) == (str(second), second.response)
    assert type(second) is Refused
    assert second.__traceback__ is not first.__traceback__
    assert len(store.history()) == 1
