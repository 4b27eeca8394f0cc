"""A conversation that is run again is answered from the store, as far as it is the same."""

import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from doors import door
from PIL import Image
from wire import EVENTS, SSE, Arrived, Connection, Wire, sse, wire

import nbvision as nv
from nbvision.backends import Backend
from nbvision.errors import BackendError, BudgetExceeded, RequestError
from nbvision.practice import PracticeServer
from nbvision.results import stored_in_words
from nbvision.spending import spent, start_again
from nbvision.store import Store

PICTURE = Image.new("RGB", (300, 240), "teal")
OTHER = Image.new("RGB", (300, 240), "maroon")


def numbered() -> Callable[[Connection, Arrived], None]:
    """Answer every request with other words, so that each history differs."""
    numbers = count(1)

    def answer(connection: Connection, _: Arrived) -> None:
        delta = {"type": "text_delta", "text": f"Answer {next(numbers)}."}
        events = [*EVENTS[:2], {**EVENTS[2], "delta": delta}, *EVENTS[3:]]
        connection.reply(b"".join(map(sse, events)), content_type=SSE)

    return answer


@contextmanager
def asked(**options: Any) -> Iterator[tuple[Backend, Wire]]:
    with wire(numbered()) as place:
        backend = door("anthropic", place.url, **options)
        yield backend, place
        backend.close()


def three_turns(backend: Backend, first: str = "What is this?", **second: Any) -> nv.Conversation:
    chat = nv.Conversation("Be brief.", backend=backend)
    chat.ask(first, PICTURE)
    chat.ask("And this?", OTHER, **second)
    chat.ask("Which is darker?")
    return chat


def said(chat: nv.Conversation) -> list[str]:
    return [turn.reply.text for turn in chat.turns]


def is_stored(chat: nv.Conversation) -> list[bool]:
    return [turn.reply.from_store is not None for turn in chat.turns]


def test_run_again_from_the_top_it_costs_nothing(store: Store) -> None:
    start_again()
    with asked() as (backend, place):
        first = three_turns(backend)
        again = three_turns(backend)
        assert len(place.arrived) == 3
    assert said(again) == said(first) == ["Answer 1.", "Answer 2.", "Answer 3."]
    assert is_stored(again) == [True] * 3
    assert again.cost == nv.Conversation().cost
    assert again.usage == first.usage
    assert [(row.answers, row.input_tokens) for row in spent()] == [(3, 36)]
    assert len(store.history()) == 3


@pytest.mark.usefixtures("store")
def test_a_changed_turn_is_asked_anew_and_so_are_those_after_it() -> None:
    with asked() as (backend, place):
        three_turns(backend)
        assert is_stored(three_turns(backend, "What is it?")) == [False] * 3
        assert len(place.arrived) == 6


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("option", [{"refresh": True}, {"sample": 1}])
def test_a_new_answer_in_the_middle_is_another_history(option: dict[str, Any]) -> None:
    with asked() as (backend, place):
        three_turns(backend)
        assert is_stored(three_turns(backend, **option)) == [True, False, False]
        assert len(place.arrived) == 5
        # What was refreshed is what is given from then on; a sample stays beside it.
        again = three_turns(backend)
        assert said(again)[1] == ("Answer 4." if "refresh" in option else "Answer 2.")
        assert len(place.arrived) == 5


@pytest.mark.usefixtures("store")
def test_a_fork_and_an_undo_find_what_was_said_before() -> None:
    with asked() as (backend, place):
        chat = three_turns(backend)
        fork = three_turns(backend).fork()
        chat.undo()
        assert chat.ask("Which is darker?").from_store is not None
        for one in (chat, fork):
            one.ask("Why?")
        assert is_stored(fork) == [True] * 4
        fork.ask("Are you sure?")
        assert len(place.arrived) == 5


@pytest.mark.usefixtures("store")
def test_places_in_a_conversation_are_stored_too() -> None:
    with PracticeServer() as server:
        backend = door("anthropic", server.url, server.token)
        found = []
        for _ in range(2):
            chat = nv.Conversation(backend=backend)
            chat.ask("What is this?", nv.samples.shapes, thinking="summarized")
            found.append(chat.locate(nv.samples.shapes.prompt))
        assert found[0].boxes == found[1].boxes
        assert found[1].reply.from_store is not None
        assert chat.turns[0].reply.thinking
        chat.undo()
        assert chat.locate(nv.samples.shapes.prompt, refresh=True).reply.from_store is None
        chat.undo()
        assert chat.locate(nv.samples.shapes.prompt, sample=2).reply.from_store is None
        backend.close()


@pytest.mark.usefixtures("store")
def test_a_picture_that_lies_there_under_another_name_is_the_same_picture() -> None:
    with PracticeServer() as server:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key=server.token
        )
        files, stored = [], []
        for _ in range(2):
            uploaded = nv.upload(nv.samples.shapes, backend=backend)
            chat = nv.Conversation(backend=backend)
            chat.ask("What is this?", uploaded)
            chat.ask("And now?")
            files.append(uploaded.file_id)
            stored.append(is_stored(chat))
            nv.delete_files(uploaded, backend=backend)
        assert files[0] != files[1]
        assert stored == [[False, False], [True, True]]
        backend.close()


@pytest.mark.usefixtures("store")
def test_a_saved_conversation_keeps_its_marks_and_goes_on_hitting(tmp_path: Path) -> None:
    with asked() as (backend, place):
        first = three_turns(backend)
        first.ask("Why?")
        chat = three_turns(backend)
        loaded = nv.Conversation.load(chat.save(tmp_path / "chat.json"), backend=backend)
        moments = [turn.reply.from_store for turn in chat.turns]
        assert [turn.reply.from_store for turn in loaded.turns] == moments
        assert all(moments)
        assert loaded.summary() == chat.summary()
        assert loaded.ask("Why?").from_store is not None
        again = nv.Conversation.load(first.save(tmp_path / "first.json"))
        assert is_stored(again) == [False] * 4
        assert '"from_store"' not in (tmp_path / "first.json").read_text()
        assert len(place.arrived) == 4


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    "wrong",
    [
        '"yesterday"',
        "17",
        '"2026-11-20T10:00:00"',
        '"0001-01-01T00:00:00+14:00"',
        '"9999-12-31T23:59:59-14:00"',
    ],
)
def test_a_file_with_a_moment_that_is_none_is_refused(tmp_path: Path, wrong: str) -> None:
    with asked() as (backend, _):
        three_turns(backend)
        path = three_turns(backend).save(tmp_path / "chat.json")
    text = path.read_text()
    moment = text.split('"from_store": ')[1].split("\n")[0]
    path.write_text(text.replace(moment, wrong))
    with pytest.raises(RequestError, match="from_store"):
        nv.Conversation.load(path)
    path.write_text(text.replace('"dollars": 0.0', '"dollars": 5.0'))
    with pytest.raises(RequestError, match="dollars of a stored answer"):
        nv.Conversation.load(path)


def test_a_summary_tells_what_was_paid_from_what_was_stored(store: Store) -> None:
    with asked() as (backend, _):
        three_turns(backend)
        chat = three_turns(backend)
        words = stored_in_words(store.history()[0].asked_at)
        assert chat.summary() == f"3 turns, 2 images · {words} · 36 tokens in, 12 out then"
        chat.ask("Why?")
        assert chat.summary().startswith("4 turns, 2 images · 12 tokens in, 4 out · $0.00")
        assert chat.summary().endswith(f" · 3 turns {words} · 36 tokens in, 12 out then")


def test_the_last_turn_is_asked_again_and_the_old_one_stays_if_nobody_answers(
    store: Store,
) -> None:
    with asked() as (backend, place):
        three_turns(backend)
        chat = three_turns(backend)
        new = chat.ask_again()
        assert (new.text, new.from_store) == ("Answer 4.", None)
        assert said(chat) == ["Answer 1.", "Answer 2.", "Answer 4."]
        assert place.arrived[2].json == place.arrived[3].json
        assert len(store.history()) == 4
        assert said(three_turns(backend))[2] == "Answer 4."
        before = chat.turns
    with pytest.raises(BackendError):
        chat.ask_again()  # nobody listens there any more
    assert chat.turns is before
    with pytest.raises(RequestError, match="nothing has been said"):
        nv.Conversation(backend=backend).ask_again()


def test_a_turn_with_a_form_and_thinking_is_asked_again_as_it_was() -> None:
    form = {
        "type": "object",
        "properties": {"count": {"type": "integer"}},
        "required": ["count"],
        "additionalProperties": False,
    }
    with PracticeServer() as server:
        backend = door("anthropic", server.url, server.token)
        chat = nv.Conversation(backend=backend)
        asked_first = chat.ask("every shape", nv.samples.shapes, schema=form, thinking="summarized")
        again = chat.ask_again()
        assert again.request.body() == asked_first.request.body()
        assert again.parsed is None
        backend.close()


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own


every_way = pytest.mark.parametrize("travel", [copy.copy, copy.deepcopy, pickled])


@every_way
def test_a_copy_has_a_lock_of_its_own(travel: Callable[[Any], Any]) -> None:
    chat = nv.Conversation("Be brief.", backend=nv.connect("practice", words_per_second=None))
    chat.ask("What is this?", PICTURE)
    copied = travel(chat)
    assert (copied.system, said(copied), copied.messages) == (
        "Be brief.",
        said(chat),
        chat.messages,
    )
    with chat._alone():
        copied.ask("And now?")
    assert (len(chat.turns), len(copied.turns)) == (1, 2)


def test_what_is_pickled_holds_no_backend_and_so_no_key() -> None:
    with asked(key="sk-ant-secret-Zq8w2nLr6tVb4xKd") as (backend, _):
        chat = nv.Conversation(backend=backend)
        chat.ask("What is this?", PICTURE)
        data = pickle.dumps(chat)
        assert copy.deepcopy(chat).backend is backend
    assert b"sk-ant" not in data
    assert pickled(chat).backend is None


@every_way
def test_exported_code_travels(travel: Callable[[Any], Any]) -> None:
    practice = nv.connect("practice", words_per_second=None)
    code = nv.describe(PICTURE, backend=practice).export()
    assert travel(code) == code
    assert code.files
    with pytest.raises(TypeError):
        travel(code).files["a.png"] = b""


def test_a_conversation_that_will_be_too_many_for_its_large_picture_says_so_in_time() -> None:
    chat = nv.Conversation(backend=nv.connect("practice", words_per_second=None))
    small = [Image.new("RGB", (210, 210 + number)) for number in range(20)]
    chat.ask("Look.", Image.new("RGB", (2500, 700)), *small[:9])
    assert "many-images-soon" not in chat.turns[0].reply.findings.codes
    early = chat.ask("And these?", *small[9:13])
    assert "many-images-soon" not in early.findings.codes
    late = chat.ask("And these?", *small[13:16])
    (found,) = [each for each in late.findings if each.code == "many-images-soon"]
    assert found.level == "warn"
    assert "picture 17 of a conversation, 1 of them above 2000 px" in found.value
    with pytest.raises(RequestError, match="prepared at"):
        chat.ask("And these?", *small[:5])
    of_small = nv.Conversation(backend=chat.backend)
    of_small.ask("Look.", *small[:10])
    assert "many-images-soon" not in of_small.ask("More.", *small[10:18]).findings.codes


@pytest.mark.usefixtures("store")
def test_a_turn_has_a_budget_that_a_stored_one_does_not_touch() -> None:
    with asked() as (backend, place):
        three_turns(backend)
        chat = nv.Conversation("Be brief.", backend=backend)
        chat.ask("What is this?", PICTURE, budget=0)
        with pytest.raises(BudgetExceeded):
            chat.ask("What colour?", budget=0.000001)
        with pytest.raises(BudgetExceeded):
            chat.locate("a door", budget=0.000001)
        with pytest.raises(BudgetExceeded):
            chat.ask_again(budget=0.000001)
        assert is_stored(chat) == [True]
        assert len(place.arrived) == 3


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("wrong", [{"sample": -1}, {"sample": "1"}, {"budget": "much"}])
def test_what_is_no_sample_or_budget_is_refused(wrong: dict[str, Any]) -> None:
    with asked() as (backend, place):
        chat = nv.Conversation(backend=backend)
        with pytest.raises(RequestError):
            chat.ask("What is this?", PICTURE, **wrong)
        with pytest.raises(RequestError):
            chat.locate("a door", PICTURE, **wrong)
        assert (chat.turns, place.arrived) == ((), [])
