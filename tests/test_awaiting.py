"""Calls that are awaited: bounded, stopped with their task, and otherwise the plain ones."""

import asyncio
import contextvars
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from doors import DOORS, asked
from PIL import Image
from wire import Answer, Arrived, Connection, answer_well, as_pieces

import nbvision as nv
from nbvision.awaiting import MOST_AT_ONCE
from nbvision.backends import Backend
from nbvision.backends.stopping import stop_here
from nbvision.errors import AccessDenied, RequestError

Result = TypeVar("Result")

PICTURE = Image.new("RGB", (40, 40), "red")


class Held:
    """Begins an answer or says nothing, and notes when the client hangs up."""

    def __init__(self, *, begins: bool) -> None:
        self.begins = begins
        self.has_asked = threading.Event()
        self.has_left = threading.Event()

    def __call__(self, connection: Connection, arrived: Arrived) -> None:
        if self.begins:
            content_type, pieces = as_pieces(arrived)
            connection.begin_stream(content_type)
            connection.piece(b"".join(pieces[:3]))
        self.has_asked.set()
        if connection.has_left(10):
            self.has_left.set()


def run_apart(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in a thread of its own: this one may hold a browser's loop already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def ask(backend: Backend, **options: Any) -> Any:
    return nv.to_thread(nv.describe, nv.samples.shapes, backend=backend, **options)


def until(event: threading.Event) -> Any:
    return asyncio.to_thread(event.wait, 10)


@pytest.fixture(scope="module")
def practice() -> Iterator[Backend]:
    backend = nv.connect("practice", words_per_second=None)
    yield backend
    backend.close()


def test_what_is_awaited_is_what_the_plain_call_returns(practice: Backend) -> None:
    reply = run_apart(ask(practice, prompt="How many shapes?"))
    plain = nv.describe(nv.samples.shapes, "How many shapes?", backend=practice)
    assert (reply.text, reply.usage) == (plain.text, plain.usage)


def test_the_loop_goes_on_meanwhile() -> None:
    release = threading.Event()

    def held(connection: Connection, arrived: Arrived) -> None:
        release.wait(10)
        answer_well(connection, arrived)

    async def both(backend: Backend) -> Any:
        task = asyncio.create_task(ask(backend))
        await asyncio.sleep(0.05)  # the loop must come back from this while the call waits
        release.set()
        return await task

    with asked("anthropic", held) as (backend, _):
        assert run_apart(both(backend)).text == "A red door."


def test_many_at_once_stay_within_bounds_and_all_come_back() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def count(connection: Connection, arrived: Arrived) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1
        answer_well(connection, arrived)

    async def many(backend: Backend) -> Any:
        return await asyncio.gather(
            *(
                nv.to_thread(nv.Conversation(backend=backend).ask, "Hello?", PICTURE)
                for _ in range(120)
            )
        )

    with asked("anthropic", count) as (backend, place):
        replies = run_apart(many(backend))
        assert len(place.arrived) == 120
    assert {reply.text for reply in replies} == {"A red door."}
    assert 2 <= most <= MOST_AT_ONCE
    crew = [thread for thread in threading.enumerate() if thread.name == "nbvision-crew"]
    assert len(crew) <= MOST_AT_ONCE
    assert all(thread.daemon for thread in crew)


@pytest.mark.parametrize("name", DOORS)
def test_a_cancelled_task_hangs_up_in_the_middle_of_an_answer(name: str) -> None:
    held = Held(begins=True)

    async def cancel(backend: Backend) -> None:
        task = asyncio.create_task(ask(backend))
        await until(held.has_asked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(held.has_left.wait, 3)

    with asked(name, held) as (backend, place):
        run_apart(cancel(backend))
        assert len(place.arrived) == 1


@pytest.mark.parametrize("name", DOORS)
def test_a_timeout_hangs_up_before_the_answer_begins(name: str) -> None:
    held = Held(begins=False)

    async def run_out(backend: Backend) -> None:
        task = asyncio.create_task(ask(backend))
        await until(held.has_asked)
        async with asyncio.timeout(0.1):
            await task

    with asked(name, held) as (backend, place):
        with pytest.raises(TimeoutError):
            run_apart(run_out(backend))
        assert held.has_left.wait(3)
        assert len(place.arrived) == 1


def test_a_conversation_is_stopped_and_stays_as_it_was() -> None:
    held = Held(begins=True)

    async def cancel(chat: nv.Conversation) -> None:
        task = asyncio.create_task(nv.to_thread(chat.ask, "Hello?", PICTURE))
        await until(held.has_asked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(held.has_left.wait, 3)

    with asked("anthropic", held) as (backend, _):
        chat = nv.Conversation(backend=backend)
        run_apart(cancel(chat))
        ends = time.monotonic() + 3
        while chat._lock.locked() and time.monotonic() < ends:
            time.sleep(0.01)
        assert chat.turns == ()
        assert not chat._lock.locked()


def test_a_stop_while_a_retry_waits_sends_nothing_more() -> None:
    has_asked = threading.Event()

    def overloaded(connection: Connection, _: Arrived) -> None:
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
        connection.reply(error, 529, retry_after="1")
        has_asked.set()

    async def cancel(backend: Backend) -> None:
        task = asyncio.create_task(ask(backend))
        await until(has_asked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(1.3)

    with asked("anthropic", overloaded) as (backend, place):
        run_apart(cancel(backend))
        assert len(place.arrived) == 1


def test_what_is_cancelled_while_it_queues_never_begins() -> None:
    release, begun = threading.Event(), 0

    def hold() -> None:
        nonlocal begun
        begun += 1
        release.wait(10)

    async def fill() -> None:
        tasks = [asyncio.create_task(nv.to_thread(hold)) for _ in range(MOST_AT_ONCE + 5)]
        await asyncio.sleep(0.1)
        for task in tasks[MOST_AT_ONCE:]:
            task.cancel()
        await asyncio.sleep(0.05)
        release.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(found) for found in results[MOST_AT_ONCE:]] == [asyncio.CancelledError] * 5
        await nv.to_thread(lambda: None)

    run_apart(fill())
    assert begun == MOST_AT_ONCE


def test_errors_are_the_calls_own(practice: Backend) -> None:
    with pytest.raises(RequestError, match="empty"):
        run_apart(nv.to_thread(nv.ask, nv.samples.shapes, "  ", backend=practice))
    refuse: Answer = lambda c, _: c.reply({"message": "no"}, 403)  # noqa: E731 - one line
    with asked("anthropic", refuse) as (backend, _), pytest.raises(AccessDenied):
        run_apart(ask(backend))


@pytest.mark.parametrize(
    ("raised", "seen"),
    [(KeyError("a"), KeyError), (StopIteration(1), RuntimeError), (SystemExit(1), SystemExit)],
)
def test_whatever_a_function_raises_arrives(
    raised: BaseException, seen: type[BaseException]
) -> None:
    def fail() -> None:
        raise raised

    async def wait() -> None:
        with pytest.raises(seen):
            await asyncio.wait_for(nv.to_thread(fail), 5)

    if seen is SystemExit:
        with pytest.raises(SystemExit):
            run_apart(wait())
    else:
        run_apart(wait())


def test_context_and_arguments_go_along_and_the_stop_stays_inside() -> None:
    mine: contextvars.ContextVar[str] = contextvars.ContextVar("mine", default="")

    def look(word: str, *, again: str) -> tuple[str, str, str, bool]:
        return word, again, mine.get(), stop_here() is not None

    async def run() -> Any:
        mine.set("kept")
        found = await nv.to_thread(look, "a", again="b")
        return found, stop_here()

    assert run_apart(run()) == (("a", "b", "kept", True), None)


def test_waiting_costs_no_work() -> None:
    held = Held(begins=False)

    async def wait(backend: Backend) -> float:
        task = asyncio.create_task(ask(backend))
        await until(held.has_asked)
        before = time.process_time()
        await asyncio.wait({task}, timeout=0.6)
        spent = time.process_time() - before
        task.cancel()
        await asyncio.wait({task})
        return spent

    with asked("anthropic", held) as (backend, _):
        assert run_apart(wait(backend)) < 0.3


INTERRUPTED = """
import asyncio, sys
import nbvision as nv

backend = nv.connect("anthropic", base_url=sys.argv[1], api_key="k")
try:
    asyncio.run(nv.to_thread(nv.describe, nv.samples.shapes, backend=backend))
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="interrupts are sent another way there")
@pytest.mark.parametrize("begins", [False, True])
def test_an_interrupt_ends_the_wait_and_the_process_does_not_linger(*, begins: bool) -> None:
    held = Held(begins=begins)
    with asked("anthropic", held) as (_, place):
        command = [sys.executable, "-c", INTERRUPTED, place.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert held.has_asked.wait(30)
            process.send_signal(signal.SIGINT)
            shown, _ = process.communicate(timeout=10)
        assert shown.strip() == "interrupted"
        assert held.has_left.wait(3)
