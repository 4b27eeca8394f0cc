"""What is sent again after it may have been billed is counted twice, or not sent again."""

from collections.abc import Callable
from typing import Any

import pytest
from test_remembering import PICTURE, asked
from wire import Arrived, Connection, answer_well

import nbvision as nv
from nbvision.backends.protocol import StopSignal
from nbvision.backends.stopping import stoppable
from nbvision.budget import most_dollars
from nbvision.errors import ConnectionLost, Interrupted, NbvisionError, Overloaded, ServiceFailed
from nbvision.spending import spent, start_again
from nbvision.store import Store

HAIKU = {"model": "claude-haiku-4-5"}


def answering(*statuses: int, wait: str = "0.01") -> Callable[[Connection, Arrived], None]:
    """Answer with these statuses one after another, then well."""
    left = list(statuses)

    def answer(connection: Connection, arrived: Arrived) -> None:
        if left:
            body = {"type": "error", "error": {"type": "api_error", "message": "broken"}}
            if left[0] not in {500, 502}:
                body["error"] = {"type": "overloaded_error", "message": "busy"}
            connection.reply(body, left.pop(0), retry_after=wait)
        else:
            answer_well(connection, arrived)

    return answer


def worst(**more: Any) -> float:
    request = nv.build_request(
        PICTURE, "What is it?", backend=nv.connect("anthropic", api_key="k", **HAIKU), **more
    )
    most = most_dollars(request)
    assert most is not None
    return most


def ask(backend: Any) -> Any:
    return nv.ask(PICTURE, "What is it?", backend=backend, max_tokens=1000)


@pytest.mark.parametrize(
    ("statuses", "unsure"), [((500,), 1), ((502, 500), 2), ((529,), 0), ((529, 500), 1)]
)
def test_an_answer_after_a_broken_attempt_is_of_unknown_cost(
    store: Store, statuses: tuple[int, ...], unsure: int
) -> None:
    start_again()
    with asked(answering(*statuses), budget=1.0, **HAIKU) as (backend, place):
        reply = ask(backend)
        assert len(place.arrived) == len(statuses) + 1
    (call,) = store.history()
    most = worst(max_tokens=1000)
    assert (call.outcome, call.attempts) == ("answered", len(statuses) + 1)
    assert reply.cost.dollars
    assert call.dollars == (None if unsure else pytest.approx(reply.cost.dollars))
    assert call.most_dollars == pytest.approx(
        most * unsure + reply.cost.dollars if unsure else most
    )
    (kept,) = store.allowances.kept()
    assert kept.taken.dollars == pytest.approx(reply.cost.dollars)
    assert kept.taken.unsure == pytest.approx(most * unsure)
    total = store.spent()
    assert total.unknown_calls == bool(unsure)
    assert total.most_dollars == pytest.approx(most * unsure + reply.cost.dollars)
    assert sum(row.broken_off for row in spent()) == unsure
    assert ask(backend).from_store is not None


def test_a_broken_attempt_is_not_repeated_if_the_budget_does_not_hold_both(store: Store) -> None:
    most = worst(max_tokens=1000)
    with asked(answering(500), budget=most * 1.5, **HAIKU) as (backend, place):
        with pytest.raises(ServiceFailed):
            ask(backend)
        assert len(place.arrived) == 1
    (call,) = store.history()
    assert (call.outcome, call.dollars, call.attempts) == ("failed", None, 1)
    (kept,) = store.allowances.kept()
    assert (kept.taken.dollars, kept.taken.unsure) == (0, pytest.approx(most))


def test_what_was_refused_before_work_is_repeated_with_the_same_money(store: Store) -> None:
    most = worst(max_tokens=1000)
    with asked(answering(529), budget=most * 1.5, **HAIKU) as (backend, place):
        assert ask(backend).text
        assert len(place.arrived) == 2
    assert store.history()[0].dollars is not None


def test_a_refusal_after_a_broken_attempt_does_not_make_it_free(store: Store) -> None:
    with (
        asked(answering(500, 529, 529), budget=1.0, **HAIKU) as (backend, _),
        pytest.raises(Overloaded) as caught,
    ):
        ask(backend)
    assert caught.value.may_have_been_billed
    (call,) = store.history()
    assert (call.outcome, call.dollars, call.attempts) == ("failed", None, 3)
    assert call.most_dollars == pytest.approx(worst(max_tokens=1000))
    (kept,) = store.allowances.kept()
    assert kept.taken.unsure == pytest.approx(worst(max_tokens=1000))


def test_one_that_is_stopped_after_a_broken_attempt_may_have_been_billed(store: Store) -> None:
    stop = StopSignal()

    def broken(connection: Connection, arrived: Arrived) -> None:
        stop.set()
        answering(500, wait="30")(connection, arrived)

    with asked(broken, budget=1.0, **HAIKU) as (backend, place), stoppable(stop):
        with pytest.raises(NbvisionError) as caught:
            ask(backend)
        assert len(place.arrived) == 1
    assert isinstance(caught.value, Interrupted | ServiceFailed | ConnectionLost)
    assert store.history()[0].dollars is None
