"""Budgets: what may be spent is never exceeded, whoever asks at once, and what is left is said."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import IPython.lib.pretty
import numpy as np
import pytest
from doors import KEY
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from wire import EVENTS, SSE, Arrived, Connection, Wire, sse, wire

import nbvision as nv
from nbvision.budget import ledger
from nbvision.errors import BudgetExceeded, RequestError, ServiceFailed, StoreFailed
from nbvision.store import Allowance, Store, StoreNotice
from nbvision.store.database import IN_MEMORY, Database
from nbvision.store.opening import memory_store

PICTURE = Image.new("RGB", (60, 40), "teal")
HAIKU = "claude-haiku-4-5"
# An answer as long as it was allowed to be: 1 $ a million tokens in, 5 $ out.
DEAR = [
    {**event, "usage": {"output_tokens": 1000}} if event["type"] == "message_delta" else event
    for event in json.loads(json.dumps(EVENTS).replace("claude-opus-5-5", HAIKU))
]
DOLLARS = 12e-6 + 1000 * 5e-6


def answer_dearly(connection: Connection, _: Arrived) -> None:
    connection.reply(b"".join(map(sse, DEAR)), content_type=SSE)


@pytest.fixture
def place() -> Iterator[Wire]:
    with wire(answer_dearly) as found:
        yield found


def at(place: Wire, **more: Any) -> nv.Backend:
    return nv.connect("anthropic", base_url=place.url, api_key=KEY, model=HAIKU, **more)


def ask(backend: nv.Backend, words: object, **more: Any) -> nv.Reply:
    return nv.ask(PICTURE, f"Question {words}", backend=backend, max_tokens=1000, **more)


# Amounts and names


@pytest.mark.parametrize(
    "dollars",
    [
        -1,
        -1e-9,
        float("nan"),
        float("inf"),
        True,
        np.True_,
        "1.00",
        2e6,
        10**400,
        [1],
        1j,
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal(-1),
    ],
)
def test_what_is_no_amount_is_refused_wherever_it_is_given(dollars: Any) -> None:
    practice = nv.connect("practice", words_per_second=None)
    for use in (
        lambda: nv.connect("practice", budget=dollars),
        lambda: nv.run(budget=dollars),
        lambda: nv.describe(PICTURE, backend=practice, budget=dollars),
        lambda: nv.Budget.of(dollars),
    ):
        with pytest.raises(RequestError, match="budget="):
            use()


@pytest.mark.parametrize(
    "dollars", [0, 1, 0.5, Decimal("0.5"), Fraction(1, 2), np.float32(0.5), np.int64(1), 10**6]
)
def test_any_kind_of_number_is_an_amount(dollars: Any) -> None:
    assert nv.Budget.of(dollars, "a").dollars == float(dollars)


@pytest.mark.parametrize("name", ["", 5, b"lesson", "x" * 1001])
def test_a_name_is_text(name: Any) -> None:
    with pytest.raises(RequestError, match="name="):
        nv.Budget.of(1, name)


def test_a_notebook_has_its_own_and_a_folder_without_jupyter_shares_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert nv.Budget.of(1).name == str(tmp_path)
    names = set()
    for notebook in ("one.ipynb", "two.ipynb"):
        monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / notebook))
        names.add(nv.Budget.of(1).name)
    assert len(names) == 2
    assert nv.Budget.of(1, "lesson").name == "lesson"


# Kept


def test_what_was_spent_outlives_the_amount_the_kernel_and_the_calls(
    store: Store, place: Wire
) -> None:
    lesson = nv.Budget.of(0.02, "lesson")
    ask(at(place, budget=lesson), 1)
    assert lesson.spent.dollars == pytest.approx(DOLLARS)
    store.close()
    nv.forget(everything=True)
    assert lesson.left == pytest.approx(0.02 - DOLLARS)
    lowered = at(place, budget=nv.Budget.of(0.008, "lesson"))
    with pytest.raises(BudgetExceeded) as caught:
        ask(lowered, 2)
    for part in ("'lesson' is $0.0080", "$0.0050 is spent", "$0.0030 left", "Budget.of(0.02, "):
        assert part in str(caught.value)
    ask(at(place, budget=nv.Budget.of(0.02, "lesson")), 2)
    assert len(place.arrived) == 2


def test_all_budgets_are_shown_and_one_begins_anew(store: Store, place: Wire) -> None:
    assert nv.budgets()._repr_mimebundle_()["text/plain"] == "no budget has been used yet"
    assert IPython.lib.pretty.pretty(nv.budgets()) == "no budget has been used yet"
    for name in ("one", "<b>two</b>"):
        ask(at(place, budget=nv.Budget.of(0.02, name)), name)
    with nv.run():  # nothing is left of it
        ask(at(place), "three")
    two, one = nv.budgets()
    assert (two.name, one.name) == ("<b>two</b>", "one")
    shown = nv.budgets()._repr_mimebundle_()
    assert "$0.0050" in shown["text/plain"]
    assert "<b>two" not in shown["text/html"]
    one.reset()
    assert [budget.name for budget in nv.budgets()] == ["<b>two</b>"]
    assert (one.spent.most, two.spent.most > 0) == (0.0, True)
    assert store.history(limit=9)  # the calls are still there


def test_a_call_that_ends_after_a_reset_takes_nothing_from_another(store: Store) -> None:
    allowances, paid = store.allowances, [Allowance("a", 1.0)]
    first = allowances.take(paid, 0.4)
    allowances.empty("a")
    second = allowances.take(paid, 0.3)
    assert first is not None
    assert second is not None
    allowances.settle(first, 0.2)
    assert allowances.taken("a").unsure == pytest.approx(0.3)
    allowances.settle(second, 0.1)
    assert (allowances.taken("a").dollars, allowances.taken("a").unsure) == (0.1, 0.0)


def test_money_is_kept_in_the_store_though_answers_are_not(store: Store, place: Wire) -> None:
    lesson = nv.Budget.of(0.02, "lesson")
    ask(at(place, budget=lesson, store=False), 1)
    assert store.history() == []
    assert store.allowances.taken("lesson").dollars == pytest.approx(DOLLARS)


def test_where_nothing_can_be_kept_that_is_said_once_and_the_budget_holds(
    place: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbvision.store.notices._said", set())
    backend = at(place, budget=nv.Budget.of(0.008, "of this test"))
    with pytest.warns(StoreNotice, match="a restart refills them"):
        ask(backend, 1)
    with pytest.raises(BudgetExceeded):
        ask(backend, 2)
    assert len(place.arrived) == 1


def test_practice_answers_take_nothing(store: Store) -> None:
    practice = nv.connect("practice", words_per_second=None, budget=0)
    nv.describe(PICTURE, backend=practice)
    assert store.allowances.kept() == []


def test_a_budget_of_nothing_lets_only_stored_answers_through(store: Store, place: Wire) -> None:
    ask(at(place), 1)
    nothing = at(place, budget=0)
    assert ask(nothing, 1).from_store is not None
    with pytest.raises(BudgetExceeded, match=r"\$0\.00, of which"):
        ask(nothing, 2)
    assert len(place.arrived) == len(store.history()) == 1


# One call


def test_a_call_has_a_limit_of_its_own(store: Store, place: Wire) -> None:
    backend = at(place)
    with pytest.raises(BudgetExceeded) as caught:
        ask(backend, 1, budget=0.001)
    for part in ("could cost $0.00", "$0.0010 for this call", "budget=0.01"):
        assert part in str(caught.value)
    assert (len(place.arrived), store.history()) == (0, [])
    assert ask(backend, 1, budget=0.01).from_store is None
    assert ask(backend, 1, budget=0).from_store is not None


@pytest.mark.parametrize(("limit", "arrivals"), [(0.008, 1), (0.016, 2)])
def test_what_may_have_been_billed_is_sent_again_only_within_the_limit(
    limit: float, arrivals: int
) -> None:
    answers = [broken, answer_dearly]

    def answer(connection: Connection, arrived: Arrived) -> None:
        answers.pop(0)(connection, arrived)

    with wire(answer) as place:
        if arrivals == 1:
            with pytest.raises(ServiceFailed):
                ask(at(place), 1, budget=limit)
        else:
            assert ask(at(place), 1, budget=limit).text == "A red door."
        assert len(place.arrived) == arrivals


def broken(connection: Connection, _: Arrived) -> None:
    error = {"type": "error", "error": {"type": "api_error", "message": "Oh."}}
    connection.reply(error, 500, retry_after="0")


def test_every_call_takes_one(place: Wire) -> None:
    backend, small = at(place), {"budget": 1e-7, "max_tokens": 10}
    for call in (
        lambda: nv.describe(PICTURE, backend=backend, **small),  # type: ignore[arg-type]
        lambda: nv.compare([PICTURE, PICTURE], backend=backend, **small),  # type: ignore[arg-type]
        lambda: nv.locate(PICTURE, "doors", backend=backend, **small),  # type: ignore[arg-type]
        lambda: nv.ask(PICTURE, "What?", backend=backend, **small),  # type: ignore[arg-type]
    ):
        with pytest.raises(BudgetExceeded, match=r"\$0\.000000100 for this call"):
            call()
    assert place.arrived == []


def test_a_call_may_be_paid_from_a_budget_of_its_own(store: Store, place: Wire) -> None:
    lesson = nv.Budget.of(0.008, "lesson")
    ask(at(place), 1, budget=lesson)
    assert lesson.spent.dollars == pytest.approx(DOLLARS)
    with pytest.raises(BudgetExceeded, match="lesson"):
        ask(at(place), 2, budget=lesson)
    assert len(store.history()) == 1


def test_what_has_no_price_fits_no_limit(place: Wire) -> None:
    with pytest.raises(BudgetExceeded, match="price is not known"):
        nv.ask(PICTURE, "What?", backend=at(place), model="claude-of-tomorrow", budget=1)
    assert place.arrived == []


# Several at once


def test_two_budgets_are_taken_from_together_or_not_at_all(store: Store, place: Wire) -> None:
    large, small = nv.Budget.of(1, "large"), nv.Budget.of(0.001, "small")
    with pytest.raises(BudgetExceeded, match="small"):
        ask(at(place, budget=large), 1, budget=small)
    assert large.spent.most == small.spent.most == 0
    ask(at(place, budget=large), 1, budget=nv.Budget.of(1, "small"))
    assert large.spent.dollars == small.spent.dollars > 0
    assert len(place.arrived) == 1
    assert store.allowances.taken("large").unsure == 0


def test_one_budget_named_twice_is_taken_from_once(store: Store, place: Wire) -> None:
    lesson = nv.Budget.of(1, "lesson")
    ask(at(place, budget=lesson), 1, budget=lesson)
    assert store.allowances.taken("lesson").dollars == pytest.approx(DOLLARS)


STEPS = st.lists(
    st.tuples(
        st.sets(st.sampled_from("abc"), min_size=1),
        st.integers(1, 400),
        st.sampled_from([None, 0.0, 0.5, 1.0]),
        st.booleans(),
    ),
    max_size=40,
)


@given(STEPS)
def test_whatever_is_taken_and_settled_no_limit_is_exceeded(steps: list[Any]) -> None:
    """Against sums by hand: what ended counts as it cost, what did not at its worst."""
    limits = {"a": 0.5, "b": 1.0, "c": None}
    database = Database(IN_MEMORY)
    allowances = _fresh(database)
    sums = {name: {"spent": 0, "open": 0} for name in limits}
    for names, most, share, ends in steps:
        asked = [Allowance(name, limits[name]) for name in sorted(names)]
        fits = all(
            limits[name] is None
            or sums[name]["spent"] + sums[name]["open"] + most <= 1000 * (limits[name] or 0)
            for name in names
        )
        try:
            taking = allowances.take(asked, most / 1000)
        except BudgetExceeded:
            assert not fits
            continue
        assert fits
        assert taking is not None
        is_settled = ends and share is not None
        if ends:
            allowances.settle(taking, None if share is None else most * share / 1000)
        for name in names:
            sums[name]["spent" if is_settled else "open"] += most * (share if is_settled else 1)
    for name, sum_ in sums.items():
        assert allowances.taken(name).dollars * 1000 == pytest.approx(sum_["spent"])
        assert allowances.taken(name).unsure * 1000 == pytest.approx(sum_["open"])
    database.close()


def _fresh(database: Database) -> Any:
    from nbvision.store.allowances import Allowances
    from nbvision.store.schema import migrate

    with database.writing() as connection:
        migrate(connection)
    return Allowances(database)


def test_threads_that_begin_at_once_have_one_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made twice, each would hold the whole budget."""
    from nbvision.store import opening

    monkeypatch.setattr(opening, "_opened", {})
    start = threading.Barrier(8)

    def begin(_: int) -> int:
        start.wait(10)
        return id(memory_store())

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(begin, range(8)))) == 1
    memory_store().close()


@pytest.mark.parametrize("where", ["in the store", "in memory"])
def test_threads_never_spend_more_than_there_is(
    where: str, place: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "in the store":
        monkeypatch.setenv("NBVISION_DATA", str(tmp_path))
    budget = nv.Budget.of(0.03, "threads")
    backend = at(place, budget=budget)

    def try_to(number: int) -> bool:
        try:
            ask(backend, number)
        except BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        answered = sum(pool.map(try_to, range(30)))
    assert answered == len(place.arrived)
    assert 3 <= answered <= 0.03 / DOLLARS
    assert budget.spent.dollars == pytest.approx(answered * DOLLARS)
    budget.reset()
    if where == "in the store":
        ledger().close()


KERNEL = """
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from PIL import Image
import nbvision as nv
from nbvision.errors import BudgetExceeded
backend = nv.connect("anthropic", base_url=sys.argv[1], api_key="sk-ant-x", model=sys.argv[2],
                     budget=nv.Budget.of(0.04, "class"))
def ask(number):
    with suppress(BudgetExceeded):
        nv.ask(Image.new("RGB", (60, 40)), f"{sys.argv[3]} {number}", backend=backend,
               max_tokens=1000)
with ThreadPoolExecutor(4) as pool:
    list(pool.map(ask, range(8)))
"""


def test_kernels_that_share_a_budget_never_spend_more_than_there_is(
    store: Store, place: Wire
) -> None:
    kernels = [
        subprocess.Popen(
            [sys.executable, "-c", KERNEL, place.url, HAIKU, str(number)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    said = [kernel.communicate(timeout=60)[1] for kernel in kernels]
    assert said == ["", ""]
    paid = len(place.arrived) * DOLLARS
    assert 0.02 < paid <= 0.04
    assert store.allowances.taken("class").dollars == pytest.approx(paid)


def test_one_who_waits_for_an_identical_call_is_not_refused_by_the_others_budget(
    store: Store,
) -> None:
    """The first may not pay; the second, who would have waited for it, may."""
    with wire(answer_dearly) as place:
        poor, rich = at(place, budget=nv.Budget.of(0.001, "poor")), at(place)

        def try_to(backend: nv.Backend) -> bool:
            try:
                ask(backend, "the same")
            except BudgetExceeded:
                return backend is poor
            return True

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(try_to, [poor, rich] * 8))
        assert len(place.arrived) == len(store.history()) == 1


# Said


def test_a_connection_says_what_is_left_and_where_answers_are_kept(
    store: Store, place: Wire, tmp_path: Path
) -> None:
    folder = tmp_path / "<lesson>.replies"
    backend: Any = at(place, budget=nv.Budget.of(0.5, "lesson"), replies=folder)
    ask(backend, 1)
    shown = backend._repr_mimebundle_()
    words = "$0.0050 spent of $0.50, $0.4950 left; replies in <lesson>.replies; answers are kept"
    assert words in shown["text/plain"]
    assert "<lesson>" not in shown["text/html"]
    off: Any = at(place, store=False)
    assert off._repr_mimebundle_()["text/plain"].endswith("\nanswers are not kept")
    offline: Any = at(place, offline=True, replies=folder)
    assert "\nonly replies in <lesson>" in offline._repr_mimebundle_()["text/plain"]
    practice: Any = nv.connect("practice", words_per_second=None)
    assert "kept" not in practice._repr_mimebundle_()["text/plain"]
    assert store.history()


def test_an_amount_that_cannot_be_read_does_not_break_a_display(
    store: Store, place: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend: Any = at(place, budget=nv.Budget.of(0.5, "lesson"))

    def fail(_: str) -> Any:
        raise StoreFailed("the disk is gone")

    monkeypatch.setattr(store.allowances, "taken", fail)
    assert "what is spent cannot be read" in backend._repr_mimebundle_()["text/plain"]


def test_memory_holds_what_no_file_does() -> None:
    budget = nv.Budget.of(1, "in memory")
    taking = memory_store().allowances.take([budget.allowance()], 0.25)
    assert taking is not None
    assert str(budget) == "$0.00 and at most $0.25 more spent of $1.00, $0.75 left"
    budget.reset()
    assert str(budget) == "$0.00 spent of $1.00, $1.00 left"
