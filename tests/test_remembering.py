"""A call made before costs nothing; only a call of the same words, pictures and model is one."""

import asyncio
import json
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from doors import KEY, door, every_door, hang_up
from other_server import Arrived as Asked
from other_server import other_server
from PIL import Image
from wire import EVENTS, MESSAGE, SSE, Arrived, Connection, Wire, answer_well, sse, wire

import nbvision as nv
from nbvision.backends import Backend
from nbvision.budget import Budget
from nbvision.disowning import Disowning
from nbvision.errors import (
    BudgetExceeded,
    ConnectionLost,
    Interrupted,
    NbvisionError,
    NotConnected,
    Overloaded,
    Refused,
    RequestError,
    StoreFailed,
    Truncated,
    UnreadableAnswer,
)
from nbvision.fingerprint import Fingerprint
from nbvision.keeping import Keeping
from nbvision.remembering import Remembered, remembered
from nbvision.replies_folder import RepliesFolder
from nbvision.response import Response, parse_response
from nbvision.spending import spent, start_again
from nbvision.store import Store, StoreNotice, leases, open_store

PICTURE = Image.new("RGB", (60, 40), "teal")


@contextmanager
def asked(
    answer: Callable[[Connection, Arrived], None] = answer_well,
    name: str = "anthropic",
    **more: Any,
) -> Iterator[tuple[Backend, Wire]]:
    with wire(answer) as place:
        backend = door(name, place.url, **more)
        try:
            yield backend, place
        finally:
            backend.close()


def saying(*events: dict[str, Any]) -> Callable[[Connection, Arrived], None]:
    def answer(connection: Connection, _: Arrived) -> None:
        body = b"".join(sse(event) for event in events)
        connection.reply(body, content_type=SSE)

    return answer


def ending(reason: str) -> Callable[[Connection, Arrived], None]:
    last = {**EVENTS[4], "delta": {"stop_reason": reason}}
    return saying(*EVENTS[:4], last, EVENTS[5])


@every_door
def test_the_same_call_again_sends_nothing_and_says_so(store: Store, name: str) -> None:
    with asked(name=name) as (backend, place):
        first = nv.describe(PICTURE, backend=backend)
        again = nv.describe(PICTURE, backend=backend)
        assert len(place.arrived) == 1
    assert (first.text, first.from_store) == (again.text, None)
    assert again.from_store is not None
    assert again.cost.dollars == 0
    assert again.usage == first.usage
    day = f"stored, $0.00, from {datetime.now(UTC).astimezone():%Y-%m-%d}"
    shown = again._repr_mimebundle_()
    for words in (again.summary(), repr(again), shown["text/plain"], shown["text/html"]):
        assert day in words
    assert "stored" not in first.summary()
    assert [call.outcome for call in store.history()] == ["answered"]


def test_after_a_restart_the_answer_is_still_there(store: Store) -> None:
    with asked() as (backend, place):
        nv.describe(PICTURE, backend=backend)
        store.close()
        assert nv.describe(PICTURE, backend=backend).from_store is not None
        assert len(place.arrived) == 1


def test_anything_else_is_another_call(store: Store) -> None:
    other = PICTURE.copy()
    other.putpixel((5, 5), (0, 0, 0))
    with asked() as (backend, place):
        calls: list[Callable[[], object]] = [
            lambda: nv.describe(PICTURE, backend=backend),
            lambda: nv.describe(other, backend=backend),
            lambda: nv.describe(PICTURE, "What is it?", backend=backend),
            lambda: nv.describe(PICTURE, backend=backend, max_tokens=99),
            lambda: nv.describe(PICTURE, backend=backend, system="Be brief."),
            lambda: nv.describe(PICTURE, backend=backend, model="claude-haiku-4-5"),
            lambda: nv.describe([PICTURE, other], backend=backend),
            lambda: nv.describe(PICTURE, backend=backend, sample=1),
        ]
        for _ in range(2):
            for call in calls:
                call()
        assert len(place.arrived) == len(calls)
    assert len(store.history()) == len(calls)


def test_another_server_is_asked_itself(store: Store) -> None:
    for _ in range(2):
        with asked() as (backend, place):
            assert nv.describe(PICTURE, backend=backend).from_store is None
            assert len(place.arrived) == 1
    assert len(store.history()) == 2


def test_refresh_asks_again_and_the_new_answer_is_given_from_then_on(store: Store) -> None:
    words = iter(["one", "two"])
    with other_server(lambda _: next(words)) as place:
        backend = nv.connect("anthropic", base_url=place.url, api_key=KEY)
        assert nv.describe(PICTURE, backend=backend).text == "one"
        assert nv.describe(PICTURE, backend=backend, refresh=True).text == "two"
        assert nv.describe(PICTURE, backend=backend).text == "two"
    assert [call.text for call in store.history()] == ["two", "one"]


def test_streamed_words_come_at_once_from_the_store(store: Store) -> None:  # noqa: ARG001 - it is on
    with asked() as (backend, _):
        nv.describe(PICTURE, backend=backend)
        heard: list[str] = []
        nv.describe(PICTURE, backend=backend, on_text=heard.append)
        assert heard == ["A red door."]


FAILURES: list[tuple[Callable[[Connection, Arrived], None], type[NbvisionError], str, bool]] = [
    (ending("max_tokens"), Truncated, "truncated", True),
    (ending("refusal"), Refused, "refused", True),
    (saying(*EVENTS[:4]), Interrupted, "interrupted", False),
    (saying({"type": "nonsense"}, EVENTS[3]), UnreadableAnswer, "unreadable", False),
    (hang_up, ConnectionLost, "failed", False),
]


@pytest.mark.parametrize(("answer", "error", "outcome", "is_priced"), FAILURES)
def test_what_is_no_answer_is_kept_and_never_given(
    store: Store,
    answer: Callable[[Connection, Arrived], None],
    error: type[NbvisionError],
    outcome: str,
    is_priced: bool,  # noqa: FBT001 - a column of the table above
) -> None:
    with asked(answer) as (backend, place):
        for _ in range(2):
            with pytest.raises(error):
                nv.describe(PICTURE, backend=backend)
        assert len(place.arrived) == 2
    calls = store.history()
    assert [call.outcome for call in calls] == [outcome] * 2
    assert all((call.dollars is not None) == is_priced for call in calls)
    assert all(call.error for call in calls)


def test_what_was_refused_before_work_cost_nothing(store: Store) -> None:
    def overloaded(connection: Connection, _: Arrived) -> None:
        body = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
        connection.reply(body, 529, retry_after="0.01")

    with asked(overloaded) as (backend, place):
        with pytest.raises(Overloaded):
            nv.describe(PICTURE, backend=backend)
        assert len(place.arrived) == 3
    (call,) = store.history()
    assert (call.outcome, call.dollars, call.attempts) == ("failed", 0.0, 3)


def test_an_answer_whose_boxes_cannot_be_read_is_asked_for_again(store: Store) -> None:
    words = iter(["a door, somewhere", '{"boxes": [{"label": "door", "box": [1, 2, 30, 40]}]}'])
    with other_server(lambda _: next(words)) as place:
        backend = nv.connect("anthropic", base_url=place.url, api_key=KEY)
        with pytest.raises(UnreadableAnswer):
            nv.locate(PICTURE, "the door", backend=backend)
        assert len(nv.locate(PICTURE, "the door", backend=backend)) == 1
        served = nv.locate(PICTURE, "the door", backend=backend)
        assert len(place.arrived) == 2
    assert served.reply.from_store is not None
    assert "stored, $0.00, from" in served._repr_mimebundle_()["text/html"]
    assert served[0].label == "door"
    assert [call.outcome for call in store.history()] == ["answered", "unreadable"]


@pytest.mark.parametrize("bad", ["no JSON", '{"count": "many"}'])
def test_an_answer_that_breaks_its_schema_is_asked_for_again(store: Store, bad: str) -> None:
    words = iter([bad, '{"count": 3}'])
    form = {"type": "object", "properties": {"count": {"type": "integer"}}}
    with other_server(lambda _: next(words)) as place:
        backend = nv.connect("anthropic", base_url=place.url, api_key=KEY)
        with pytest.raises(UnreadableAnswer):
            nv.ask(PICTURE, "How many?", schema=form, backend=backend)
        assert nv.ask(PICTURE, "How many?", schema=form, backend=backend).parsed == {"count": 3}
        assert nv.ask(PICTURE, "How many?", schema=form, backend=backend).parsed == {"count": 3}
        assert len(place.arrived) == 2
    assert len(store.history()) == 2


def test_a_turn_that_breaks_its_schema_is_asked_for_again(store: Store) -> None:
    words = iter(["no JSON", '{"count": 3}'])
    form = {"type": "object", "properties": {"count": {"type": "integer"}}}
    with other_server(lambda _: next(words)) as place:
        chat = nv.Conversation(backend=nv.connect("anthropic", base_url=place.url, api_key=KEY))
        with pytest.raises(UnreadableAnswer):
            chat.ask("How many?", PICTURE, schema=form)
        for _ in range(2):
            chat.undo()
            assert chat.ask("How many?", PICTURE, schema=form).parsed == {"count": 3}
        assert len(place.arrived) == 2
    assert [call.outcome for call in store.history()] == ["answered", "unreadable"]


def test_a_conversation_runs_again_for_nothing(store: Store) -> None:
    with asked() as (backend, place):
        for _ in range(2):
            chat = nv.Conversation("Be brief.", backend=backend)
            chat.ask("What is it?", PICTURE)
            chat.ask("And what colour?")
        assert len(place.arrived) == 2
        assert chat.cost.dollars == 0
    assert len(store.history()) == 2


def test_what_is_refused_on_this_side_cost_nothing(store: Store) -> None:
    request = nv.build_request(PICTURE, "What is it?", backend=nv.connect("practice"))

    def refuse(_: object) -> Response:
        raise RequestError("the place takes no such id")

    with pytest.raises(RequestError):
        remembered(request, refuse, keeping=Keeping(), backend="anthropic")
    (call,) = store.history()
    assert (call.outcome, call.dollars) == ("failed", 0.0)


def test_an_interrupt_is_kept_as_what_it_is(store: Store) -> None:
    def stop(_: str) -> None:
        raise KeyboardInterrupt

    with asked() as (backend, place):
        with pytest.raises(KeyboardInterrupt):
            nv.describe(PICTURE, backend=backend, on_text=stop)
        assert nv.describe(PICTURE, backend=backend).text == "A red door."
        assert len(place.arrived) == 2
    after, before = store.history()
    assert (before.outcome, before.dollars, before.error) == (
        "interrupted",
        None,
        "KeyboardInterrupt",
    )
    assert after.outcome == "answered"


def test_identical_calls_under_way_become_one(store: Store) -> None:
    def slowly(connection: Connection, arrived: Arrived) -> None:
        time.sleep(0.3)
        answer_well(connection, arrived)

    with asked(slowly) as (backend, place):
        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda _: nv.describe(PICTURE, backend=backend), range(8)))
        assert len(place.arrived) == 1
    assert {reply.text for reply in replies} == {"A red door."}
    assert sum(reply.from_store is None for reply in replies) == 1
    assert len(store.history()) == 1


def test_who_waits_has_the_answer_beside_its_own_notebook_too(store: Store, tmp_path: Path) -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def when_told(connection: Connection, arrived: Arrived) -> None:
        has_begun.set()
        assert may_end.wait(10)
        answer_well(connection, arrived)

    with wire(when_told) as place, ThreadPoolExecutor(2) as pool:
        known = {"base_url": place.url, "api_key": KEY, "model": "claude-opus-5-5"}
        asked_by = [
            nv.connect("anthropic", replies=tmp_path / name, **known) for name in ("one", "two")
        ]
        first = pool.submit(nv.describe, PICTURE, backend=asked_by[0])
        assert has_begun.wait(10)
        second = pool.submit(nv.describe, PICTURE, backend=asked_by[1])
        time.sleep(0.2)
        may_end.set()
        replies = [first.result(10), second.result(10)]
        assert len(place.arrived) == 1
    assert [reply.from_store is None for reply in replies] == [True, False]
    kept = [
        [path.name for path in RepliesFolder(tmp_path / name).files()] for name in ("one", "two")
    ]
    assert kept[0] == kept[1] != []
    replies[1].disown()
    assert [*(tmp_path / "two").glob(kept[1][0])] == []
    assert store.find(Fingerprint(replies[0].request, place.url).exact) is None


def test_those_who_wait_get_the_same_error(store: Store) -> None:
    def slowly(connection: Connection, arrived: Arrived) -> None:
        time.sleep(0.3)
        ending("refusal")(connection, arrived)

    def ask(backend: Backend) -> str:
        with pytest.raises(Refused) as caught:
            nv.describe(PICTURE, backend=backend)
        return str(caught.value)

    with asked(slowly) as (backend, place):
        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(lambda _: ask(backend), range(4)))) == 1
        assert len(place.arrived) == 1
    assert len(store.history()) == 1


def test_one_who_is_stopped_leaves_the_question_to_the_next(store: Store) -> None:
    begun, may_go_on = threading.Event(), threading.Event()

    def answer(connection: Connection, arrived: Arrived) -> None:
        if len(place.arrived) == 1:
            begun.set()
            may_go_on.wait(10)
            saying(*EVENTS[:4])(connection, arrived)
        else:
            answer_well(connection, arrived)

    def stopped() -> None:
        with pytest.raises(Interrupted):
            nv.describe(PICTURE, backend=backend)

    with asked(answer) as (backend, place), ThreadPoolExecutor(2) as pool:
        first = pool.submit(stopped)
        assert begun.wait(10)
        second = pool.submit(nv.describe, PICTURE, backend=backend)
        may_go_on.set()
        first.result(10)
        assert second.result(10).text == "A red door."
        assert len(place.arrived) == 2
    assert len(store.history()) == 2


def test_one_who_waits_can_be_stopped_too(store: Store) -> None:
    begun, may_go_on = threading.Event(), threading.Event()
    backend = nv.connect("practice")
    request = nv.build_request(PICTURE, "What is it?", backend=backend)

    def ask(_: object) -> Response:
        begun.set()
        may_go_on.wait(10)
        return parse_response(MESSAGE)

    def stopped() -> None:
        raise Interrupted("stopped")

    def wait() -> Remembered:
        return remembered(
            request, ask, keeping=Keeping(), backend="anthropic", require_wanted=stopped
        )

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(remembered, request, ask, keeping=Keeping(), backend="anthropic")
        assert begun.wait(10)
        second = pool.submit(wait)
        with pytest.raises(Interrupted):
            second.result(10)
        may_go_on.set()
        assert first.result(10).response.text == "A red door."
    assert len(store.history()) == 1


def test_a_task_that_waits_for_anothers_answer_can_be_let_go(store: Store) -> None:
    begun, may_go_on = threading.Event(), threading.Event()

    def answer(connection: Connection, arrived: Arrived) -> None:
        begun.set()
        assert may_go_on.wait(10)
        answer_well(connection, arrived)

    async def waits_a_moment() -> None:
        async with asyncio.timeout(0.3):
            await nv.to_thread(nv.describe, PICTURE, backend=backend)

    with asked(answer) as (backend, place), ThreadPoolExecutor(1) as pool:
        first = pool.submit(nv.describe, PICTURE, backend=backend)
        assert begun.wait(10)
        with pytest.raises(TimeoutError):
            asyncio.run(waits_a_moment())
        may_go_on.set()
        assert first.result(10).text == "A red door."
        assert len(place.arrived) == 1
    assert [call.outcome for call in store.history()] == ["answered"]


def test_a_stored_answer_is_not_counted_as_spent(store: Store) -> None:
    start_again()
    with asked() as (backend, _):
        for _ in range(3):
            nv.describe(PICTURE, backend=backend)
    assert [(row.who, row.answers) for row in spent()] == [("anthropic", 1)]
    assert len(store.history()) == 1


def test_a_turn_of_a_conversation_is_stored_too_whatever_is_cached(store: Store) -> None:
    with asked() as (backend, place):
        for cache, count in ((True, 2), (False, 2)):
            chat = nv.Conversation("word " * 3000, backend=backend, cache=cache)
            chat.ask("What is this?", PICTURE)
            chat.ask("And what colour is it?")
            assert len(place.arrived) == count
        assert b"cache_control" in place.arrived[0].body
    assert len(store.history()) == 2
    assert chat.cost.dollars == 0
    assert all(turn.reply.from_store for turn in chat.turns)


def test_practice_answers_are_not_kept_unless_asked_for(store: Store) -> None:
    for kept, count in ((None, 0), (True, 1)):
        backend = nv.connect("practice", words_per_second=None, store=kept)
        replies = [nv.describe(PICTURE, backend=backend) for _ in range(2)]
        assert len(store.history()) == count
        assert (replies[1].from_store is not None) == bool(kept)
    assert "practice answer" in replies[1].summary()
    assert "stored, $0.00" in replies[1].summary()


def test_a_person_can_keep_nothing(store: Store) -> None:
    with asked(store=False) as (backend, place):
        for _ in range(2):
            assert nv.describe(PICTURE, backend=backend).from_store is None
        assert len(place.arrived) == 2
    assert store.history() == []


def test_if_the_intent_cannot_be_written_nothing_is_sent(store: Store) -> None:
    (pages,) = store._database.rows("PRAGMA page_count")[0]
    store._database.rows(f"PRAGMA max_page_count = {pages}")
    with asked() as (backend, place):
        with pytest.raises(StoreFailed, match="disk is full"):
            nv.describe(PICTURE, "long " * 20_000, backend=backend)
        assert place.arrived == []


def test_if_the_answer_cannot_be_written_it_is_not_lost(store: Store) -> None:
    def fills_the_disk(connection: Connection, arrived: Arrived) -> None:
        (pages,) = store._database.rows("PRAGMA page_count")[0]
        store._database.rows(f"PRAGMA max_page_count = {pages}")
        text = {**EVENTS[2], "delta": {"type": "text_delta", "text": "word " * 30_000}}
        saying(*EVENTS[:2], text, *EVENTS[3:])(connection, arrived)

    with asked(fills_the_disk) as (backend, _), pytest.warns(StoreNotice, match="answer itself"):
        assert len(nv.describe(PICTURE, backend=backend).text) == 150_000
    assert [call.outcome for call in store.history()] == ["unknown"]


@pytest.mark.parametrize("sample", [-1, 1.5, True, "1", None])
def test_a_sample_is_a_number(sample: Any) -> None:
    with asked() as (backend, place):
        with pytest.raises(nv.NbvisionError, match="sample="):
            nv.describe(PICTURE, backend=backend, sample=sample)
        assert place.arrived == []


# Beside the notebook


def test_replies_travel_with_the_notebook(tmp_path: Path) -> None:
    folder = tmp_path / "lesson.replies"
    samples = [nv.samples.shelf_before, nv.samples.shelf_after]

    def lesson(backend: Backend) -> list[Any]:
        return [
            nv.describe(nv.samples.photo, backend=backend),
            nv.compare(samples, backend=backend),
            nv.locate(nv.samples.shapes, "every shape", backend=backend),
        ]

    written = lesson(nv.connect("practice", words_per_second=None, replies=folder))
    assert len(list(folder.iterdir())) == 3
    read = lesson(nv.connect("practice", replies=folder, offline=True))
    for before, after in zip(written, read, strict=True):
        assert before.text == after.text
    assert [box.xyxy for box in written[2]] == [box.xyxy for box in read[2]]
    assert read[2].reply.from_store is not None


@every_door
def test_what_any_door_has_answered_is_read_offline(name: str, tmp_path: Path) -> None:
    with asked(name=name, replies=tmp_path / "r") as (backend, place):
        first = nv.describe(PICTURE, backend=backend)
        offline = door(name, place.url, replies=tmp_path / "r", offline=True)
        again = nv.describe(PICTURE, backend=offline)
        assert len(place.arrived) == 1
    assert again.from_store is not None
    assert (again.text, again.model) == (first.text, first.model)
    assert offline.name == backend.name
    assert offline.capabilities.platform == backend.capabilities.platform
    assert (offline.files is None) == (backend.files is None)


def test_a_service_has_no_other_address() -> None:
    own = [
        nv.connect("anthropic", api_key=KEY),
        nv.connect("practice"),
        nv.connect("bedrock", api_key=KEY, region="us-east-1"),
        nv.connect("bedrock-converse", api_key=KEY, region="eu-west-1"),
        nv.connect("bedrock-messages", api_key=KEY, region="us-east-1"),
        nv.connect("bedrock-mantle", api_key=KEY, region="us-east-1"),
        nv.connect("vertex", region="global", project_id="p", access_token=KEY),
        nv.connect("vertex", region="eu", project_id="p", access_token=KEY),
        nv.connect("google-cloud", project_id="p", workspace_id="w", access_token=KEY),
        nv.connect("aws", region="us-east-1", workspace_id="w", api_key=KEY),
    ]
    assert [backend.address for backend in own] == [""] * len(own)
    assert nv.connect("anthropic", base_url="https://gate.example.org", api_key=KEY).address
    assert nv.connect("foundry", resource="school", api_key=KEY).address


def test_offline_says_which_call_is_missing(tmp_path: Path) -> None:
    backend = nv.connect("anthropic", replies=tmp_path / "r", offline=True)
    with pytest.raises(NotConnected) as caught:
        nv.describe(nv.samples.photo, "Where is the bowl?", backend=backend, sample=2)
    for part in ("Where is the bowl?", "photo.jpg", "claude-opus-5-5", "sample 2", "offline"):
        assert part in str(caught.value)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("replies", [5, "", b"folder"])
def test_a_folder_of_replies_is_a_path(replies: Any) -> None:
    with pytest.raises(NbvisionError, match="replies="):
        nv.connect("practice", replies=replies)


def test_offline_needs_a_folder() -> None:
    with pytest.raises(NbvisionError, match="without stored replies"):
        nv.connect("anthropic", offline=True)


def test_what_the_store_has_is_put_beside_the_notebook_too(store: Store, tmp_path: Path) -> None:
    with wire(answer_well) as place:
        plain = nv.connect("anthropic", base_url=place.url, api_key=KEY)
        nv.describe(PICTURE, backend=plain)
        beside = nv.connect("anthropic", base_url=place.url, api_key=KEY, replies=tmp_path / "r")
        assert nv.describe(PICTURE, backend=beside).from_store is not None
        assert len(place.arrived) == 1
    assert len(list(RepliesFolder(tmp_path / "r").files())) == 1
    assert len(store.history()) == 1


def test_an_unusable_answer_does_not_stay_beside_the_notebook(tmp_path: Path) -> None:
    with other_server(lambda _: "no boxes here") as place:
        backend = nv.connect("anthropic", base_url=place.url, api_key=KEY, replies=tmp_path / "r")
        with pytest.raises(UnreadableAnswer):
            nv.locate(PICTURE, "the door", backend=backend)
    assert list(RepliesFolder(tmp_path / "r").files()) == []


def test_a_file_that_was_there_is_never_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    with other_server(lambda _: "no boxes here") as place:
        backend = nv.connect("anthropic", base_url=place.url, api_key=KEY, replies=folder)
        words = nv.describe(PICTURE, "Say it.", backend=backend)
        assert words.from_store is None
        (file,) = RepliesFolder(folder).files()
        again = nv.ask(PICTURE, "Say it.", backend=backend)
        again.disown()
    assert again.from_store is not None
    assert file.exists()


def test_a_reply_can_travel_to_another_process(store: Store) -> None:
    with asked() as (backend, _):
        reply = nv.describe(PICTURE, backend=backend)
    there = pickle.loads(pickle.dumps(reply))  # noqa: S301 - our own
    assert there == reply
    there.disown()
    assert store.find("", Fingerprint(reply.request, backend.address).name) is None


# Budgets


def priced(arrived: Asked) -> str:
    return json.dumps({"n": len(arrived.body)})


def test_a_budget_refuses_before_sending_and_survives_a_restart(store: Store) -> None:
    with wire(answer_well) as place:

        def backend(dollars: float) -> Backend:
            where = {"base_url": place.url, "api_key": KEY, "model": "claude-haiku-4-5"}
            return nv.connect("anthropic", budget=dollars, **where)  # type: ignore[arg-type]

        nv.describe(PICTURE, "one", backend=backend(0.05), max_tokens=1000)
        spent = store.spent().dollars
        assert 0 < spent < 0.001
        with pytest.raises(BudgetExceeded) as caught:
            nv.describe(PICTURE, "two", backend=backend(0.001), max_tokens=1000)
        assert "of which $0.000128 is spent" in str(caught.value)
        store.close()
        with pytest.raises(BudgetExceeded):
            nv.describe(PICTURE, "two", backend=backend(0.001), max_tokens=1000)
        assert nv.describe(PICTURE, "one", backend=backend(0.0), max_tokens=1000).from_store
        assert len(place.arrived) == 1


def test_a_budget_holds_where_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbvision.store.notices._said", set())
    with asked(budget=0.02, model="claude-haiku-4-5") as (backend, place):
        keeping = backend.keeping
        assert keeping.store is None
        assert keeping.budget is not None
        backend.keeping = replace(keeping, budget=replace(keeping.budget, name="of this test"))
        with pytest.raises(BudgetExceeded), pytest.warns(StoreNotice, match="memory only"):
            nv.describe(PICTURE, backend=backend)
        nv.describe(PICTURE, backend=backend, max_tokens=1000)
        nv.describe(PICTURE, backend=backend, max_tokens=1000)
        assert len(place.arrived) == 2


def test_what_is_only_counted_for_a_budget_takes_no_other_answer_back(store: Store) -> None:
    with asked() as (backend, _):
        kept = nv.describe(PICTURE, backend=backend)
        backend.keeping = replace(
            backend.keeping, in_store=False, budget=Budget.of(100, "of another test")
        )
        for number in range(3):
            nv.describe(PICTURE, f"Question {number}", backend=backend).disown()
    assert [call.outcome for call in store.history()] == ["answered"]
    assert store.find("", Fingerprint(kept.request, backend.address).name) is not None


@pytest.mark.parametrize("dollars", [-1, float("nan"), float("inf"), True, "1.00"])
def test_a_budget_is_an_amount_of_money(dollars: Any) -> None:
    with pytest.raises(NbvisionError, match="budget="):
        nv.connect("practice", budget=dollars)


def test_the_answers_message_is_kept_as_it_came(store: Store) -> None:
    with asked() as (backend, _):
        nv.describe(PICTURE, backend=backend)
        again = nv.describe(PICTURE, backend=backend)
    assert again.raw["id"] == MESSAGE["id"]
    assert again.response.request_id == "req_wire"
    kept = store.details(1)
    assert kept is not None
    assert kept["parameters"] == {"max_tokens": 8192}


# What keeping may not do


def nest(depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(depth):
        made = {"in": made}
    return made


@pytest.mark.parametrize("more", [{"deep": nest(5000)}, {"count": 10**5000}, {"odd": {1, 2}}])
def test_whatever_a_message_holds_it_is_given_and_kept(store: Store, more: dict[str, Any]) -> None:
    request = nv.build_request(PICTURE, "What is it?", backend=nv.connect("practice"))

    def ask(_: object) -> Response:
        return replace(parse_response(MESSAGE), raw={**MESSAGE, **more})

    def never(_: object) -> Response:
        raise AssertionError("it is stored")

    first = remembered(request, ask, keeping=Keeping(), backend="anthropic")
    again = remembered(request, never, keeping=Keeping(), backend="anthropic")
    assert first.response.text == again.response.text == "A red door."
    assert len(store.history()) == 1


@pytest.mark.parametrize("error", [MemoryError, RecursionError, OSError, ValueError])
def test_no_fault_of_keeping_loses_an_answer(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    request = nv.build_request(PICTURE, "What is it?", backend=nv.connect("practice"))
    monkeypatch.setattr("nbvision.store.notices._said", set())

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr("nbvision.store.store.enter_ending", fails)
    with pytest.warns(StoreNotice, match="the answer itself is here"):
        given = remembered(
            request, lambda _: parse_response(MESSAGE), keeping=Keeping(), backend="anthropic"
        )
    assert given.response.text == "A red door."
    assert [call.outcome for call in store.history()] == ["unknown"]
    assert dict(leases._held) == {}


def test_a_file_that_cannot_be_deleted_takes_no_answer_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbvision.store.notices._said", set())
    (tmp_path / "folder").mkdir()
    with pytest.warns(StoreNotice, match="the answer itself is here"):
        Disowning(file=tmp_path / "folder")()


def test_a_reply_takes_nothing_back_in_another_store(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with asked() as (backend, _):
        reply = nv.describe(PICTURE, backend=backend)
        monkeypatch.setenv("NBVISION_DATA", str(tmp_path / "other"))
        nv.describe(PICTURE, "Something else.", backend=backend)
        reply.disown()
        other = open_store()
        assert other is not None
        assert [call.outcome for call in other.history()] == ["answered"]
        other.close()
    assert [call.outcome for call in store.history()] == ["answered"]


def test_an_older_usable_answer_is_given_before_it_is_asked_for_again(store: Store) -> None:
    with asked() as (backend, place):
        first = nv.describe(PICTURE, backend=backend)
        nv.describe(PICTURE, backend=backend, refresh=True)
        with store._database.writing() as connection:
            connection.execute("UPDATE calls SET message = '{}' WHERE number = 2")
        assert nv.describe(PICTURE, backend=backend).text == first.text
        assert len(place.arrived) == 2
    assert len(store.history()) == 2
