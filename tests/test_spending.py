"""The purse of a process: every answer counts once, and what broke off is said."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

import nbvision as nv
from nbvision.errors import Truncated
from nbvision.spending import Spent, count_exchange, spent, start_again


@pytest.fixture(autouse=True)
def empty_purse() -> Iterator[None]:
    start_again()
    yield
    start_again()


@pytest.fixture(scope="module")
def practice() -> nv.Backend:
    return nv.connect("practice", words_per_second=None)


def test_every_call_counts_with_its_tokens(practice: nv.Backend) -> None:
    replies = [
        nv.describe(nv.samples.page, backend=practice),
        nv.locate(nv.samples.shapes, "every shape", backend=practice),
        nv.Conversation(backend=practice).ask("What?", nv.samples.page),
    ]
    (row,) = spent()
    assert (row.who, row.model, row.answers) == ("practice", "practice-high", 3)
    assert row.input_tokens == sum(reply.usage.total_input_tokens for reply in replies)
    assert row.output_tokens == sum(reply.usage.output_tokens for reply in replies)
    assert (row.dollars, row.unpriced, row.broken_off) == (0.0, 0, 0)


def test_an_interrupt_counts_as_broken_off(practice: nv.Backend) -> None:
    def stop(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nv.describe(nv.samples.page, backend=practice, on_text=stop)
    assert spent() == (Spent("practice", "practice-high", broken_off=1),)


def test_an_answer_that_cannot_be_used_was_paid(practice: nv.Backend) -> None:
    with pytest.raises(Truncated):
        nv.describe(nv.samples.photo, max_tokens=5, backend=practice)
    assert [(row.answers, row.output_tokens) for row in spent()] == [(1, 5)]


def test_what_was_refused_before_sending_costs_nothing(practice: nv.Backend) -> None:
    with pytest.raises(nv.NbvisionError):
        nv.describe(nv.samples.page, max_tokens=-1, backend=practice)
    assert spent() == ()


def test_a_price_that_is_not_known_is_no_zero() -> None:
    for dollars in (None, 0.5):
        with count_exchange("anthropic", "claude-x") as note:
            note("claude-x", 10, 2, dollars)
    (row,) = spent()
    assert (row.answers, row.unpriced, row.dollars) == (2, 1, 0.5)


def test_many_threads_lose_nothing() -> None:
    def count() -> None:
        for _ in range(200):
            with count_exchange("practice", "practice-high") as note:
                note("practice-high", 1, 1, 0.25)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(row.answers, row.dollars) for row in spent()] == [(1600, 400.0)]


FORK = """
import os
from nbvision.spending import count_exchange, spent
with count_exchange("practice", "practice-high") as note:
    note("practice-high", 1, 1, 0.0)
child = os.fork()
if child == 0:
    os._exit(7 if spent() == () else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(spent()))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_child_has_spent_nothing_yet() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=True)
    assert done.stdout == "7 1\n"
