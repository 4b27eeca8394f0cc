"""Stored answers in panels: known before the click, said after it, asked anew on request."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from streams import Slow, words
from widget_comm import heard, say, until
from wire import EVENTS, SSE, Arrived, Connection, Wire, answer_well, sse, wire

import nbvision as nv
from nbvision.errors import (
    RequestError,
    RunStopped,
    SpendLimitReached,
    StoreFailed,
    Truncated,
)
from nbvision.practice import PracticeServer
from nbvision.results import stored_in_words
from nbvision.store import Store
from nbvision.widgets.messages import retry_words

FREE = "stored answer, free"
SHELVES = [nv.samples.shelf_before, nv.samples.shelf_after]


def numbered() -> Callable[[Connection, Arrived], None]:
    numbers = count(1)

    def answer(connection: Connection, _: Arrived) -> None:
        delta = {"type": "text_delta", "text": f"Answer {next(numbers)}."}
        events = [*EVENTS[:2], {**EVENTS[2], "delta": delta}, *EVENTS[3:]]
        connection.reply(b"".join(map(sse, events)), content_type=SSE)

    return answer


@contextmanager
def asked(
    answer: Callable[[Connection, Arrived], None] | None = None, **options: Any
) -> Iterator[tuple[nv.Backend, Wire]]:
    with wire(answer or numbered()) as place:
        yield nv.connect("anthropic", base_url=place.url, api_key="not-a-key", **options), place


def last(panel: Any) -> dict[str, Any]:
    return heard(panel, "state")[-1]


def ask(panel: Any, *given: Any, **options: Any) -> Any:
    panel.ask(*given, **options)
    result = panel.wait(seconds=60)
    assert result is not None, panel._run.error
    return result


def test_an_answer_from_the_store_says_so_and_can_be_asked_anew(store: Store) -> None:
    with asked() as (backend, place):
        panel = nv.AskPanel(nv.samples.shapes, backend=backend)
        ask(panel)
        assert last(panel)["again"] is None
        ask(panel)
        day = stored_in_words(store.history()[0].asked_at)
        assert day in last(panel)["summary"]
        assert last(panel)["spoken"] == f"answered; {day}"
        assert day in panel._still()["text/html"]
        assert last(panel)["again"].startswith("asks anew: about ")
        assert " to send, and $" in last(panel)["again"]
        assert "error" not in say(panel, "ask_again")
        new = panel.wait(seconds=60)
        assert new is not None
        assert (new.text, new.from_store) == ("Answer 2.", None)
        assert last(panel)["again"] is None
        assert "stored" not in last(panel)["summary"]
        assert ask(panel).text == "Answer 2."
        assert len(place.arrived) == 2


@pytest.mark.usefixtures("store")
def test_ask_again_is_offered_for_what_is_on_show_alone() -> None:
    with asked() as (backend, _):
        panel = nv.AskPanel(nv.samples.shapes, backend=backend)
        ask(panel)
        ask(panel)
        assert last(panel)["again"]
        panel.prompt = "What else?"
        assert last(panel)["again"] is None
        panel.prompt = ""
        assert last(panel)["again"]
        panel.images = nv.samples.page
        assert last(panel)["again"] is None


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("task", "images", "prompt"),
    [
        ("describe", [nv.samples.shapes], ""),
        ("describe", [nv.samples.page, nv.samples.photo], "  What are these? "),
        ("compare", SHELVES, ""),
        ("locate", [nv.samples.shapes], " every shape "),
    ],
)
def test_the_form_knows_before_the_click_what_is_stored(
    task: Any, images: list[Any], prompt: str
) -> None:
    with PracticeServer() as server:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key=server.token
        )
        options = {"system": "Be brief. ", "effort": "low", "max_tokens": 900}
        panel = nv.AskPanel(images, prompt, task=task, backend=backend, **options)
        assert FREE not in last(panel)["estimate"]["words"]
        first = ask(panel)
        assert (first.reply if task == "locate" else first).from_store is None
        until(lambda: last(panel)["estimate"]["words"] == FREE)
        for name, value in (("prompt", "x"), ("effort", "high"), ("system", "")):
            before = getattr(panel, name)
            setattr(panel, name, value)
            assert last(panel)["estimate"]["words"] != FREE
            setattr(panel, name, before)
            until(lambda: last(panel)["estimate"]["words"] == FREE)
        again = ask(panel)
        assert (again.reply if task == "locate" else again).from_store is not None


@pytest.mark.usefixtures("store")
def test_the_workbench_knows_it_from_the_preview_in_another_kernel() -> None:
    folder = nv.samples.photo.path.parent
    with asked() as (backend, place):
        nv.describe(nv.samples.shapes, "What is it?", backend=backend)
        bench = nv.Workbench(folder, prompt="What is it?", backend=backend)
        bench.picker.select("page.png")
        until(lambda: bench.preview_panel.prepared is not None)

        def estimates() -> list[str]:
            return [s["estimate"]["words"] for s in heard(bench, "state") if s["part"] == "ask"]

        assert FREE not in estimates()
        bench.picker.images = [nv.samples.shapes]
        until(lambda: bench.images and bench.images[0].source == "shapes.png")
        until(lambda: estimates()[-1] == FREE)
        bench.ask()
        bench.wait(seconds=60)
        assert len(place.arrived) == 1
        bench.ask(refresh=True)
        bench.wait(seconds=60)
        assert len(place.arrived) == 2


@pytest.mark.usefixtures("store")
def test_nothing_is_looked_for_where_nothing_is_kept() -> None:
    with asked(store=False) as (backend, place):
        panel = nv.AskPanel(nv.samples.shapes, backend=backend)
        ask(panel)
        ask(panel)
        until(lambda: not panel._wanted)
        assert last(panel)["estimate"]["words"] != FREE
        assert len(place.arrived) == 2


def test_the_last_turn_can_be_asked_anew(store: Store) -> None:
    with asked() as (backend, place):
        panels = []
        for _ in range(2):
            panel = nv.ConversationPanel(backend=backend)
            panel.add(nv.samples.shapes)
            ask(panel, "What is this?")
            ask(panel, "And now?")
            panels.append(panel)
        assert last(panels[0])["again"] is None
        day = stored_in_words(store.history()[0].asked_at)
        assert [day in turn["summary"] for turn in last(panel)["turns"]] == [True, True]
        assert last(panel)["again"].startswith("asks anew: 12 tokens, $")
        assert "error" not in say(panel, "ask_again")
        new = panel.wait(seconds=60)
        assert new is not None
        assert [turn.reply.text for turn in panel.chat.turns] == ["Answer 1.", "Answer 3."]
        assert last(panel)["again"] is None
        assert [turn["text"] for turn in last(panel)["turns"]] == ["Answer 1.", "Answer 3."]
        assert len(place.arrived) == 3


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("end", ["fails", "is stopped"])
def test_asking_anew_that_comes_to_nothing_leaves_the_old_answer(end: str) -> None:
    slow, well = Slow(words(2000), seconds_between=0.005), numbered()
    is_bad = threading.Event()

    def answer(connection: Connection, arrived: Arrived) -> None:
        if not is_bad.is_set():
            well(connection, arrived)
        elif end == "fails":
            error = {"type": "error", "error": {"type": "api_error", "message": "no"}}
            connection.reply(error, 418)
        else:
            slow(connection, arrived)

    with asked(answer) as (backend, _):
        chat = nv.Conversation(backend=backend)
        chat.ask("What is this?", nv.samples.shapes)
        chat.ask("And now?", nv.samples.page)
        panel = nv.ConversationPanel(chat=chat)
        is_bad.set()
        panel.ask_again()
        if end != "fails":
            until(lambda: "word5 " in panel.text)
            asking = last(panel)
            assert len(asking["turns"]) == 1
            assert asking["asked"]["prompt"] == "And now?"
            assert asking["first"] == 2
            panel.stop()
        assert panel.wait(seconds=10) is None
        until(panel._run.has_left.is_set)  # type: ignore[union-attr]
        assert [turn["text"] for turn in last(panel)["turns"]] == ["Answer 1.", "Answer 2."]
        assert len(panel.chat.turns) == 2
        assert (panel.images, heard(panel, "words")) == ([], [])


@pytest.mark.usefixtures("store")
def test_stopping_at_the_last_moment_brings_the_old_answer_back() -> None:
    well, is_slow = numbered(), threading.Event()

    def dawdles(connection: Connection, arrived: Arrived) -> None:
        if not is_slow.is_set():
            return well(connection, arrived)
        connection.begin_stream(SSE)
        for event in EVENTS:
            connection.piece(sse(event))
        connection.has_left(10)  # every word is there, and the reply has not ended
        return None

    with asked(dawdles) as (backend, _):
        panel = nv.ConversationPanel(backend=backend)
        panel.add(nv.samples.page)
        ask(panel, "What is this?")
        is_slow.set()
        panel.ask_again()
        until(lambda: panel.text == "A red door.")
        panel.stop()
        assert panel._run is not None
        panel._run.has_left.wait(10)
        assert [turn.reply.text for turn in panel.chat.turns] == ["Answer 1."]


def test_nothing_said_is_nothing_to_ask_again() -> None:
    panel = nv.ConversationPanel(backend=nv.connect("practice", words_per_second=None))
    assert "nothing has been said" in say(panel, "ask_again")["error"]["value"]
    with pytest.raises(RequestError):
        panel.ask_again()
    form = nv.AskPanel(backend=panel.chat.backend)
    say(form, "ask_again")
    assert form.wait(seconds=10) is None
    assert last(form)["run"]["error"]["value"] == "no picture"


@pytest.mark.usefixtures("store")
def test_each_refusal_says_its_cure_and_what_asking_once_more_means(tmp_path: Path) -> None:
    replies = {"replies": tmp_path / "lesson.replies"}
    for options, value, cure in (
        ({"budget": 0.000001}, "could cost", "max_tokens"),
        ({**replies, "offline": True}, "no stored reply", "without offline"),
    ):
        with asked(**options) as (backend, place):
            panel = nv.AskPanel(nv.samples.shapes, backend=backend)
            panel.ask()
            assert panel.wait(seconds=20) is None
            run = last(panel)["run"]
            assert value in run["error"]["value"]
            assert cure in run["error"]["cure"]
            assert run["retry"] == "nothing was sent; asking again is not paid twice"
            assert place.arrived == []


def test_a_full_disk_is_said_in_the_panel_and_nothing_is_sent(store: Store) -> None:
    (pages,) = store._database.rows("PRAGMA page_count")[0]
    store._database.rows(f"PRAGMA max_page_count = {pages}")
    with asked() as (backend, place):
        panel = nv.AskPanel(nv.samples.shapes, "long " * 20_000, backend=backend)
        panel.ask()
        assert panel.wait(seconds=20) is None
        run = last(panel)["run"]
        assert "disk is full" in run["error"]["value"]
        assert run["error"]["cure"]
        assert run["retry"].startswith("nothing was sent")
        assert place.arrived == []


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RunStopped("stopped"), "nothing was sent"),
        (SpendLimitReached("no money"), "nothing was billed"),
        (StoreFailed("the disk is full"), "nothing was sent"),
        (Truncated("cut"), "it may have been billed"),
        (ZeroDivisionError("1 / 0"), ""),
    ],
)
def test_what_asking_once_more_means_follows_from_what_was_sent(
    error: Exception, says: str
) -> None:
    assert retry_words(error).startswith(says)
    assert bool(retry_words(error)) == bool(says)


def test_what_may_have_been_billed_says_so() -> None:
    def hangs_up(connection: Connection, _: Arrived) -> None:
        connection.begin_stream(SSE)
        connection.piece(sse(EVENTS[0]))
        connection.reset()

    with asked(hangs_up) as (backend, _):
        panel = nv.AskPanel(nv.samples.shapes, backend=backend)
        panel.ask()
        assert panel.wait(seconds=30) is None
        assert last(panel)["run"]["retry"] == "it may have been billed; asking again is paid anew"


@pytest.mark.usefixtures("store")
def test_a_wait_for_the_same_question_shows_and_can_be_stopped() -> None:
    slow = Slow(words(2000), seconds_between=0.005)
    with asked(slow) as (backend, place):
        first, second = (nv.AskPanel(nv.samples.shapes, backend=backend) for _ in range(2))
        first.ask()
        until(lambda: first.text)
        second.ask()
        until(lambda: any("asking the same" in run["note"] for run in heard(second, "run")))
        assert second._is_asking
        second.stop()
        assert second.wait(seconds=5) is None
        assert first._is_asking
        first.stop()
        assert len(place.arrived) == 1


def test_a_retry_shows_while_it_is_waited_for() -> None:
    times = iter([False, True])

    def busy(connection: Connection, arrived: Arrived) -> None:
        if next(times, True):
            answer_well(connection, arrived)
        else:
            error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
            connection.reply(error, 529)

    with asked(busy) as (backend, _):
        panel = nv.AskPanel(nv.samples.shapes, backend=backend)
        ask(panel)
        notes = [run["note"] for run in heard(panel, "run")]
        assert notes[0] == "asked, waiting for the first word"
        assert any("again" in note for note in notes[1:]), notes
