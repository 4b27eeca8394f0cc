"""Many turns: what was said is sent again as it was, and a turn is whole or not at all."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from wire import EVENTS, SSE, Arrived, Connection, answer_well, sse, wire

import nbvision as nv
from nbvision.errors import AnswerError, BackendError, RequestError, UnreadableAnswer
from nbvision.practice import PracticeServer


def texts(message: dict[str, object]) -> list[str]:
    blocks = message["content"]
    assert isinstance(blocks, list)
    return [block["text"] if block["type"] == "text" else "<image>" for block in blocks]


def unmarked(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body as the cache compares it: its marks are no part of it."""
    system = body.get("system")
    if isinstance(system, list):
        body = {**body, "system": system[0]["text"]}
    for message in body["messages"]:
        for block in message["content"]:
            block.pop("cache_control", None)
    return body


def test_the_guides_example_two_pictures_then_two_more() -> None:
    samples = [nv.samples.shelf_before, nv.samples.shelf_after, nv.samples.shapes, nv.samples.page]
    with wire(answer_well) as server:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key="not-a-key"
        )
        chat = nv.Conversation("Be brief.", backend=backend)
        chat.ask("How are these images different?", samples[0], samples[1])
        chat.ask("Are they similar to these two?", samples[2:])
        bodies = [unmarked(arrived.json) for arrived in server.arrived]
    first, second = bodies
    assert second["system"] == "Be brief."
    assert second["messages"][0] == first["messages"][0]
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]
    assert texts(second["messages"][0]) == [
        *("Image 1:", "<image>", "Image 2:", "<image>"),
        "How are these images different?",
    ]
    assert texts(second["messages"][1]) == ["A red door."]
    assert texts(second["messages"][2]) == [
        *("Image 3:", "<image>", "Image 4:", "<image>"),
        "Are they similar to these two?",
    ]
    assert [turn.first_number for turn in chat.turns] == [1, 3]
    assert chat.usage.input_tokens == 24
    assert len(chat.messages) == 4
    assert "data" not in chat.messages[0]["content"][1]["source"]["data"]


def test_a_turn_may_have_no_picture() -> None:
    with wire(answer_well) as server:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key="not-a-key"
        )
        chat = nv.Conversation(backend=backend)
        chat.ask("What is this?", nv.samples.page)
        chat.ask("And what colour?")
        assert texts(server.arrived[1].json["messages"][2]) == ["And what colour?"]


def test_a_failed_turn_leaves_everything_as_it_was() -> None:
    fails = threading.Event()

    def sometimes(connection: Connection, arrived: Arrived) -> None:
        if fails.is_set():
            connection.begin_stream(SSE)
            connection.piece(sse(EVENTS[0]))
            connection.reset()
        else:
            answer_well(connection, arrived)

    with wire(sometimes) as server:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key="not-a-key"
        )
        chat = nv.Conversation(backend=backend)
        chat.ask("What is this?", nv.samples.page)
        before = chat.messages, chat.turns
        fails.set()
        with pytest.raises(BackendError):
            chat.ask("And this?", nv.samples.shapes)
        assert (chat.messages, chat.turns) == before
        fails.clear()
        chat.ask("And this?", nv.samples.shapes)
        assert chat.turns[1].first_number == 2


def test_an_interrupt_at_the_wire_leaves_everything_as_it_was() -> None:
    def stops(connection: Connection, arrived: Arrived) -> None:
        if len(server.arrived) != 2:
            return answer_well(connection, arrived)
        connection.begin_stream(SSE)
        for event in EVENTS[:3]:
            connection.piece(sse(event))
        time.sleep(0.2)  # until the main thread waits for more; a moment before, it hears nothing
        os.kill(os.getpid(), signal.SIGINT)
        left.append(connection.has_left())
        return None

    left: list[bool] = []
    with wire(stops) as server:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key="not-a-key"
        )
        chat = nv.Conversation(backend=backend)
        chat.ask("What is this?", nv.samples.page)
        before = chat.messages, chat.turns
        with pytest.raises(KeyboardInterrupt):
            chat.ask("And this?", nv.samples.shapes)
        assert (chat.messages, chat.turns) == before
        chat.ask("And this?", nv.samples.shapes)
        assert chat.turns[1].first_number == 2
        assert server.arrived[1].body == server.arrived[2].body
    assert left == [True]


@pytest.mark.parametrize("fault", ["refusal", "truncated", "empty"])
def test_a_turn_without_an_answer_leaves_everything_as_it_was(fault: str) -> None:
    with PracticeServer() as server:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key=server.token
        )
        chat = nv.Conversation(backend=backend)
        chat.ask("What is this?", nv.samples.page)
        before = chat.messages, chat.turns
        server.faults.push(fault)
        with pytest.raises(AnswerError):
            chat.ask("And this?", nv.samples.shapes)
        assert (chat.messages, chat.turns) == before
        assert chat.ask("And this?", nv.samples.shapes).stop_reason == "end_turn"
        backend.close()


def test_taking_back_leaves_the_turn_before() -> None:
    practice = nv.connect("practice", words_per_second=None)
    chat = nv.Conversation(backend=practice)
    chat.ask("What is this?", nv.samples.shapes)
    before = chat.messages
    chat.ask("And this?", nv.samples.page)
    assert chat.undo().prompt == "And this?"
    assert chat.messages == before
    chat.undo()
    assert (chat.messages, chat.images, str(chat.cost)) == ([], (), "$0.00")
    with pytest.raises(RequestError, match="nothing has been said"):
        chat.undo()


def test_two_turns_at_once_are_refused() -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def slowly(connection: Connection, arrived: Arrived) -> None:
        begun.set()
        goes_on.wait(10)
        answer_well(connection, arrived)

    with wire(slowly) as server:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key="not-a-key"
        )
        chat = nv.Conversation(backend=backend)
        first = threading.Thread(target=chat.ask, args=("What is this?", nv.samples.page))
        first.start()
        begun.wait(10)
        with pytest.raises(RequestError, match="still under way"):
            chat.ask("And now?")
        goes_on.set()
        first.join(10)
    assert len(chat.turns) == 1


def test_it_shows_words_and_pictures_escaped() -> None:
    practice = nv.connect("practice", words_per_second=None)
    chat = nv.Conversation(backend=practice)
    chat.ask("<b>What</b> is this?", nv.samples.shapes)
    shown = chat._repr_mimebundle_()
    assert "&lt;b&gt;What" in shown["text/html"]
    assert 'alt="Image 1: shapes.png"' in shown["text/html"]
    assert '<figure style="margin:0;max-width:160px;' in shown["text/html"]
    assert "You: <b>What</b> is this?" in shown["text/plain"]
    assert len(repr(chat)) < 200


def test_words_are_needed() -> None:
    with pytest.raises(RequestError, match="prompt is empty"):
        nv.Conversation(backend=nv.connect("practice")).ask(" ", nv.samples.page)


def test_boxes_of_a_chosen_picture_come_home() -> None:
    practice = nv.connect("practice", words_per_second=None)
    chat = nv.Conversation(backend=practice)
    chat.ask("What are these?", nv.samples.shapes, nv.samples.page)
    found = chat.locate(nv.samples.shapes.prompt, image_number=1)
    truth = nv.samples.shapes.truth
    assert found.image.source == "shapes.png"
    assert nv.match_boxes(truth, found).recall(0.9) == 1
    fresh = chat.locate("the red bowl", nv.samples.photo)
    assert fresh[0].iou(nv.samples.photo.truth[0]) > 0.95
    assert [turn.first_number for turn in chat.turns] == [1, 3, 3]
    assert "Find in Image 3: the red bowl" in chat.turns[2].prompt


@pytest.mark.parametrize("number", [0, 2, -1, "1", 1.0])
def test_a_picture_that_is_not_there_is_refused(number: object) -> None:
    chat = nv.Conversation(backend=nv.connect("practice", words_per_second=None))
    chat.ask("What is this?", nv.samples.page)
    with pytest.raises(RequestError):
        chat.locate("every line", image_number=number)  # type: ignore[arg-type]
    with pytest.raises(RequestError):
        chat.locate("every line", nv.samples.page, image_number=1)
    with pytest.raises(RequestError):
        chat.locate(" ")
    assert len(chat.turns) == 1


def test_a_fork_goes_its_own_way() -> None:
    chat = nv.Conversation("Be brief.", backend=nv.connect("practice", words_per_second=None))
    chat.ask("What is this?", nv.samples.page)
    other = chat.fork()
    other.ask("And this?", nv.samples.shapes)
    assert (len(chat.turns), len(other.turns)) == (1, 2)
    assert other.turns[0] is chat.turns[0]
    assert other.system == "Be brief."
    other.undo()
    other.undo()
    assert len(chat.turns) == 1


def test_taking_back_is_refused_while_a_turn_is_under_way() -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def slowly(connection: Connection, arrived: Arrived) -> None:
        if len(server.arrived) > 1:
            begun.set()
            goes_on.wait(10)
        answer_well(connection, arrived)

    with wire(slowly) as server:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key="not-a-key"
        )
        chat = nv.Conversation(backend=backend)
        chat.ask("one", nv.samples.page)
        second = threading.Thread(target=chat.ask, args=("two", nv.samples.shapes))
        second.start()
        begun.wait(10)
        with pytest.raises(RequestError, match="still under way"):
            chat.undo()
        goes_on.set()
        second.join(10)
    assert [(turn.prompt, turn.first_number) for turn in chat.turns] == [("one", 1), ("two", 2)]


def test_a_model_of_another_tier_is_told_the_frame_that_was_sent() -> None:
    practice = nv.connect("practice", words_per_second=None)
    chat = nv.Conversation(backend=practice, model="practice-standard")
    chat.ask("What is this?", nv.samples.shapes)
    chat.model = "practice-high"
    found = chat.locate(nv.samples.shapes.prompt, image_number=1)
    width, height = chat.turns[0].reply.request.images[0].fit.resized  # type: ignore[union-attr]
    assert f"this {width} × {height} image" in chat.turns[1].prompt
    assert nv.match_boxes(nv.samples.shapes.truth, found).recall(0.9) == 1


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_picture_that_is_named_is_looked_at(number: int) -> None:
    chat = nv.Conversation(backend=nv.connect("practice", words_per_second=None))
    samples = [nv.samples.shapes, nv.samples.shelf_before, nv.samples.photo]
    chat.ask("What are these?", samples)
    truth = samples[number - 1].truth
    found = chat.locate(samples[number - 1].prompt, image_number=number)
    assert max(box.iou(truth[0]) for box in found) > 0.8


class Count(BaseModel):
    count: int


def test_a_turn_may_have_a_form_and_show_its_thinking(tmp_path: Path) -> None:
    chat = nv.Conversation(backend=nv.connect("practice", words_per_second=None))
    first = chat.ask("every shape", nv.samples.shapes, schema=Count, thinking="summarized")
    assert first.parsed == Count(count=9)
    assert first.thinking
    assert chat.turns[0].reply is first
    spots = chat.locate("the centre of the red circle", kind="points")
    assert len(spots.points) == 1
    again = nv.Conversation.load(chat.save(tmp_path / "chat.json"))
    bodies = [[turn.reply.request.body() for turn in one.turns] for one in (chat, again)]
    assert bodies[0] == bodies[1]
    assert [message["role"] for message in bodies[0][1]["messages"]] == [
        "user",
        "assistant",
        "user",
    ]
    assert bodies[0][1]["messages"][1]["content"] == [{"type": "text", "text": first.text}]
    assert "thinking" in bodies[0][0]
    assert "thinking" not in bodies[0][1]


def test_an_answer_that_does_not_follow_its_form_stays_a_turn() -> None:
    with wire(answer_well) as server:
        chat = nv.Conversation(
            backend=nv.connect("anthropic", base_url=server.url, api_key="not-a-key")
        )
        with pytest.raises(UnreadableAnswer):
            chat.ask("How many?", nv.samples.page, schema=Count)
        assert [turn.reply.text for turn in chat.turns] == ["A red door."]
        with pytest.raises(RequestError, match="kind="):
            chat.locate("a door", kind="lines")  # type: ignore[arg-type]
