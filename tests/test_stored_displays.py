"""Wherever a stored answer shows itself, it says that it is one, and what was paid then."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import nbvision as nv
from nbvision.response import Usage
from nbvision.results import Cost, stored_in_words

MOMENT = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
CENTRE = "the centre of the red circle"
SAYS = "stored, $0.00, from 2026-03-04"
FORM = {
    "type": "object",
    "properties": {"count": {"type": "integer"}},
    "required": ["count"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    """Each kind of answer, as it was asked for."""
    practice = nv.connect("practice", words_per_second=None)
    shelves = [nv.samples.shelf_before, nv.samples.shelf_after]
    chat = nv.Conversation(backend=practice)
    chat.ask("What is this?", nv.samples.page)
    return {
        "describe": nv.describe(nv.samples.page, backend=practice),
        "compare": nv.compare(shelves, backend=practice),
        "ask": nv.ask(nv.samples.shapes, "every shape", schema=FORM, backend=practice),
        "boxes": nv.locate(nv.samples.photo, nv.samples.photo.prompt, backend=practice),
        "points": nv.locate(nv.samples.shapes, CENTRE, kind="points", backend=practice),
        "chat": chat,
    }


def as_stored(answer: Any, moment: datetime = MOMENT) -> Any:
    """Return an answer as it is when it comes from the store."""
    if isinstance(answer, nv.Detections):
        return replace(answer, reply=as_stored(answer.reply, moment))
    if isinstance(answer, nv.Reply):
        return replace(answer, from_store=moment, cost=Cost(0.0, saved=0.0))
    chat = answer.fork()
    chat._turns = tuple(replace(turn, reply=as_stored(turn.reply, moment)) for turn in answer.turns)
    return chat


def loaded(chat: nv.Conversation, folder: Path) -> nv.Conversation:
    return nv.Conversation.load(chat.save(folder / "chat.json"))


def in_panel(chat: nv.Conversation) -> dict[str, Any]:
    return nv.ConversationPanel(chat=chat)._state()[0]


def alt_of(markup: str) -> str:
    found = re.search(r'alt="([^"]*)"', markup)
    assert found
    return found[1]


REPLIES: dict[str, Callable[[Any], str]] = {
    "summary": lambda reply: reply.summary(),
    "repr": repr,
    "plain": lambda reply: reply._repr_mimebundle_()["text/plain"],
    "html": lambda reply: reply._repr_mimebundle_()["text/html"],
    "page": lambda reply: reply.to_html(),
}
FOUND: dict[str, Callable[[Any], str]] = {
    **{name: show for name, show in REPLIES.items() if name != "summary"},
    "alt": lambda found: alt_of(found._repr_mimebundle_()["text/html"]),
    "plot": lambda found: found.plot()._repr_mimebundle_()["text/plain"],
    "plot's alt": lambda found: alt_of(found.plot()._repr_mimebundle_()["text/html"]),
}
CHATS: dict[str, Callable[[Any], str]] = {
    "summary": lambda chat: chat.summary(),
    "repr": repr,
    "plain": lambda chat: chat._repr_mimebundle_()["text/plain"].rpartition("\n\n")[0],
    "html": lambda chat: chat._repr_mimebundle_()["text/html"].rpartition("<div")[0],
    "words": lambda chat: chat.in_words(),
    "panel": lambda chat: in_panel(chat)["turns"][0]["summary"],
    "panel's summary": lambda chat: in_panel(chat)["summary"],
    "panel's still": lambda chat: nv.ConversationPanel(chat=chat)._still()["text/html"],
}
DISPLAYS = [
    *[(kind, show) for kind in ("describe", "compare", "ask") for show in REPLIES],
    *[(kind, show) for kind in ("boxes", "points") for show in FOUND],
    *[("chat", show) for show in CHATS],
]


@pytest.mark.parametrize(("kind", "show"), DISPLAYS)
def test_every_display_says_that_an_answer_is_stored(
    answers: dict[str, Any], kind: str, show: str
) -> None:
    shows = CHATS if kind == "chat" else FOUND if kind in {"boxes", "points"} else REPLIES
    stored = shows[show](as_stored(answers[kind]))
    assert SAYS in stored
    assert "stored" not in shows[show](answers[kind])
    if " tokens in, " in stored:
        assert re.search(r"tokens in, [\d,]+ out then", stored)


def test_what_is_saved_says_it_too(answers: dict[str, Any], tmp_path: Path) -> None:
    chat = loaded(as_stored(answers["chat"]), tmp_path)
    assert SAYS in chat.summary()
    assert chat.turns[0].reply.from_store == MOMENT


def test_turns_of_several_days_say_from_when_to_when(answers: dict[str, Any]) -> None:
    early, late = (as_stored(answers["chat"], MOMENT + timedelta(days=n)) for n in (0, 3))
    early._turns += late.turns
    assert "stored, $0.00, from 2026-03-04 to 2026-03-07 · " in early.summary()


def test_what_the_cache_saved_then_is_not_said_now(answers: dict[str, Any]) -> None:
    reply = answers["describe"]
    usage = Usage(100, 20, cache_read_tokens=900)
    of_cache = replace(reply, response=replace(reply.response, usage=usage))
    assert "from the cache" in of_cache.summary()
    assert "from the cache" not in as_stored(of_cache).summary()
    assert "1,000 tokens in, 20 out then" in as_stored(of_cache).summary()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Set the place whose time the reader's clock shows."""
    if not hasattr(time, "tzset"):  # Windows: its clock is not set by the environment
        pytest.skip("no such clock here")

    def set_to(place: str) -> None:
        monkeypatch.setenv("TZ", place)
        time.tzset()

    yield set_to
    monkeypatch.undo()
    time.tzset()


def test_the_day_is_the_readers_own(clock: Callable[[str], None]) -> None:
    late = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    days = []
    for place in ("UTC", "<+09>-9", "<-08>8"):
        clock(place)
        days.append(stored_in_words(late).removeprefix("stored, $0.00, from "))
    assert days == ["2026-11-20", "2026-11-21", "2026-11-20"]


@pytest.mark.parametrize("place", ["UTC", "<+09>-9", "<-08>8"])
def test_a_reply_that_knows_only_its_day_says_that_day(
    clock: Callable[[str], None], place: str
) -> None:
    clock(place)
    assert stored_in_words(datetime(2026, 11, 20, tzinfo=UTC)).endswith("2026-11-20")
