"""The conversation panel without a browser: turns, pictures that wait, hostile messages."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from streams import Slow, words
from widget_comm import heard, say, sent, until
from wire import EVENTS, SSE, Arrived, Connection, sse, wire

import nbvision as nv
from nbvision.errors import LimitExceeded, RequestError


def panel_for(**options: Any) -> nv.ConversationPanel:
    return nv.ConversationPanel(backend=nv.connect("practice", words_per_second=None), **options)


def png(colour: str = "red") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (300, 200), colour).save(data, "PNG")
    return data.getvalue()


def last(panel: nv.ConversationPanel) -> dict[str, Any]:
    return heard(panel, "state")[-1]


@contextmanager
def slow_panel(slow: Slow) -> Iterator[nv.ConversationPanel]:
    with wire(slow) as server:
        backend = nv.connect("anthropic", base_url=server.url, api_key="not-a-key")
        panel = nv.ConversationPanel(backend=backend)
        yield panel
        panel.close()


def test_what_is_said_outside_the_widget_shows_in_it() -> None:
    panel = panel_for()
    panel.chat.ask("What is this?", nv.samples.page)
    panel.add(nv.samples.shapes)
    panel.ask("And this?")
    assert panel.wait(seconds=60) is not None
    names = [[picture["name"] for picture in turn["pictures"]] for turn in last(panel)["turns"]]
    assert names == [["page.png"], ["shapes.png"]]
    assert last(panel)["waiting"] == []


def test_an_earlier_conversation_goes_on() -> None:
    practice = nv.connect("practice", words_per_second=None)
    chat = nv.Conversation("Be brief.", backend=practice)
    chat.ask("What is this?", nv.samples.page)
    panel = nv.ConversationPanel(chat=chat)
    say(panel, "hello")
    assert [turn["prompt"] for turn in last(panel)["turns"]] == ["What is this?"]
    until(lambda: sent(panel, "picture"))
    with pytest.raises(RequestError, match="settings of another"):
        nv.ConversationPanel("Another persona", chat=chat)


def test_any_waiting_picture_can_be_removed() -> None:
    panel = panel_for()
    pictures = [nv.open_image(Image.new("RGB", (10 + n, 10))) for n in range(5)]
    panel.add(pictures)
    for keep in (4, 3, 2, 1, 0):
        number = last(panel)["waiting"][-1]["number"]
        assert "error" not in say(panel, "remove", number=number)
        assert panel.images == pictures[:keep]
    panel.add(nv.samples.page)
    assert len(last(panel)["waiting"]) == 1


def test_taking_back_gives_words_and_pictures_back_and_no_result() -> None:
    panel = panel_for()
    panel.add(nv.samples.shapes)
    panel.ask("What is this?")
    panel.wait(seconds=60)
    assert "error" not in say(panel, "undo")
    assert panel.result is None
    assert panel.chat.turns == ()
    assert [image.source for image in panel.images] == ["shapes.png"]
    assert heard(panel, "words")[-1]["prompt"] == "What is this?"
    assert "nothing has been said" in say(panel, "undo")["error"]["value"]


def test_stop_leaves_the_conversation_as_it_was() -> None:
    with slow_panel(Slow(words(2000), seconds_between=0.005)) as panel:
        panel.add(nv.samples.page)
        panel.ask("What is this?")
        until(lambda: "word5 " in panel.text)
        assert "under way" in say(panel, "undo")["error"]["value"]
        say(panel, "stop")
        assert panel.wait(seconds=5) is None
        assert panel.chat.turns == ()
        assert len(panel.images) == 1
        assert heard(panel, "words")[-1]["prompt"] == "What is this?"
        until(lambda: panel.chat._lock.acquire(blocking=False))


def test_an_upload_that_was_cancelled_at_the_last_moment_does_not_arrive() -> None:
    panel = panel_for()
    data = png()
    say(panel, "upload_begin", upload="u", name="a.png", bytes=len(data))
    with panel._lock:  # the opening waits until the message to cancel is in
        say(panel, "upload_piece", data, upload="u", order=0)
        say(panel, "upload_cancel", upload="u")
    until(lambda: heard(panel, "upload_end"))
    assert panel.images == []


def test_uploads_arrive_and_damaged_ones_say_so() -> None:
    panel = panel_for()
    for name, data in (("good.png", png()), ("bad.png", png()[:50])):
        say(panel, "upload_begin", upload=name, name=name, bytes=len(data))
        say(panel, "upload_piece", data, upload=name, order=0)
    until(lambda: len(heard(panel, "upload_end")) == 2)
    ends = {end["upload"]: end for end in heard(panel, "upload_end")}
    assert "error" not in ends["good.png"]
    assert ends["bad.png"]["error"]["value"]
    assert [image.source for image in panel.images] == ["upload good.png"]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("ask", {}),
        ("ask", {"prompt": 3, "model": ""}),
        ("ask", {"prompt": "x" * 200_001, "model": ""}),
        ("ask", {"prompt": "x", "model": None}),
        ("remove", {}),
        ("remove", {"number": -1}),
        ("remove", {"number": 10**9}),
        ("remove", {"number": "1"}),
        ("upload_begin", {"upload": "u", "name": "a", "bytes": 10**12}),
        ("upload_piece", {"upload": "nobody", "order": 0}),
        ("fetch", {"upload": "u", "address": "file:///etc/passwd"}),
    ],
)
def test_hostile_messages_change_nothing(kind: str, fields: dict[str, Any]) -> None:
    panel = panel_for()
    assert "error" in say(panel, kind, **fields)
    assert (panel.images, panel.chat.turns) == ([], ())


def test_a_turn_takes_a_hundred_pictures_and_no_more() -> None:
    panel = panel_for()
    picture = nv.open_image(Image.new("RGB", (20, 20)))
    panel.add([picture] * 100)
    with pytest.raises(LimitExceeded):
        panel.add(picture)
    assert len(panel.images) == 100


def test_its_still_is_the_transcript() -> None:
    panel = panel_for()
    panel.add(nv.samples.shapes)
    panel.ask("<b>What</b> is this?")
    panel.wait(seconds=60)
    still = panel._still()
    assert "&lt;b&gt;What" in still["text/html"]
    assert 'alt="Image 1: shapes.png"' in still["text/html"]


def test_stopping_at_the_last_moment_leaves_no_turn_behind() -> None:
    def dawdles(connection: Connection, _: Arrived) -> None:
        connection.begin_stream(SSE)
        for event in EVENTS:
            connection.piece(sse(event))
        connection.has_left(10)  # every word is there, and the reply has not ended

    with wire(dawdles) as server:
        backend = nv.connect("anthropic", base_url=server.url, api_key="not-a-key")
        panel = nv.ConversationPanel(backend=backend)
        panel.add(nv.samples.page)
        panel.ask("What is this?")
        until(lambda: panel.text == "A red door.")
        panel.stop()
        assert panel._run is not None
        panel._run.has_left.wait(10)
        assert panel.chat.turns == ()
        assert len(panel.images) == 1


def test_a_saved_conversation_goes_on_in_the_widget(tmp_path: Path) -> None:
    practice = nv.connect("practice", words_per_second=None)
    chat = nv.Conversation(backend=practice)
    chat.ask("What is this?", nv.samples.page)
    loaded = nv.Conversation.load(chat.save(tmp_path / "chat.json"), backend=practice)
    panel = nv.ConversationPanel(chat=loaded)
    panel.ask("And what colour?")
    assert panel.wait(seconds=60) is not None
    shown = last(panel)["turns"]
    assert shown[0]["pictures"][0]["name"] == "from page.png, as it was sent"
    assert len(shown) == 2
    panel.undo()
    panel.undo()
    assert last(panel)["waiting"][0]["size"] == str(nv.open_image(nv.samples.page).size)
    panel.close()


ADDRESS = "https://example.org/door.jpg?signature=abc"


def names_in(pictures: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    return [(picture["name"], picture["is_remote"]) for picture in pictures]


def test_pictures_of_every_kind_wait_as_they_were_given() -> None:
    panel = panel_for()
    practice = panel.chat.backend
    uploaded = nv.upload(nv.samples.shapes, backend=practice)
    prepared = nv.prepare(nv.samples.page, backend=practice)
    remote = nv.remote_image(ADDRESS)
    panel.add(uploaded, [prepared, remote], nv.samples.photo)
    assert panel.images[:3] == [uploaded, prepared, remote]
    waiting = last(panel)["waiting"]
    assert names_in(waiting) == [
        ("shapes.png", False),
        ("page.png", False),
        ("example.org/door.jpg?…", True),
        ("photo.jpg", False),
    ]
    assert len({picture["number"] for picture in waiting}) == 4
    assert len(sent(panel, "picture")) == 3
    assert "signature" not in repr(last(panel))
    assert "error" not in say(panel, "remove", number=waiting[2]["number"])
    panel.ask("What are these?")
    assert panel.wait(seconds=60) is not None
    turn = panel.chat.turns[0]
    assert turn.images[:2] == (uploaded, prepared)
    assert last(panel)["waiting"] == []
    shown = last(panel)["turns"][0]["pictures"]
    assert [one["number"] for one in shown] == [waiting[at]["number"] for at in (0, 1, 3)]
    panel.undo()
    assert panel.images[0] is uploaded
    assert panel.images[1] is prepared.source
    assert [picture["number"] for picture in last(panel)["waiting"]] == [
        picture["number"] for picture in shown
    ]


def test_a_remote_picture_keeps_its_number_and_comes_back_with_its_turn() -> None:
    with wire(Slow(words(3))) as server:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key="not-a-key"
        )
        panel = nv.ConversationPanel(backend=backend)
        remote = nv.remote_image(ADDRESS)
        panel.add(remote, nv.samples.shapes)
        panel.ask("What is the same?")
        assert panel.wait(seconds=60) is not None
        turn = last(panel)["turns"][0]
        assert turn["first"] == 1
        assert names_in(turn["pictures"]) == [
            ("example.org/door.jpg?…", True),
            ("shapes.png", False),
        ]
        assert last(panel)["first"] == 3
        say(panel, "hello")
        panel.undo()
        assert panel.images[0] is remote
        assert names_in(last(panel)["waiting"]) == names_in(turn["pictures"])
        panel.close()


def test_a_row_of_files_is_no_picture_of_a_turn() -> None:
    panel = panel_for()
    nv.upload(nv.samples.page, backend=panel.chat.backend)
    row = nv.files(backend=panel.chat.backend)[0]
    with pytest.raises(RequestError, match="is a file there"):
        panel.add(row)
    assert panel.images == []
