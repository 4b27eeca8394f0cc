"""Many turns: what was said is sent again as it was, and a turn is whole or not at all."""

import threading

import pytest
from wire import EVENTS, SSE, Arrived, Connection, answer_well, sse, wire

import nbvision as nv
from nbvision.errors import BackendError, RequestError


def texts(message: dict[str, object]) -> list[str]:
    blocks = message["content"]
    assert isinstance(blocks, list)
    return [block["text"] if block["type"] == "text" else "<image>" for block in blocks]


def test_the_guides_example_two_pictures_then_two_more() -> None:
    samples = [nv.samples.shelf_before, nv.samples.shelf_after, nv.samples.shapes, nv.samples.page]
    with wire(answer_well) as server:
        backend = nv.connect("anthropic", base_url=server.url, api_key="not-a-key")
        chat = nv.Conversation("Be brief.", backend=backend)
        chat.ask("How are these images different?", samples[0], samples[1])
        chat.ask("Are they similar to these two?", samples[2:])
        bodies = [arrived.json for arrived in server.arrived]
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
        backend = nv.connect("anthropic", base_url=server.url, api_key="not-a-key")
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
        backend = nv.connect("anthropic", base_url=server.url, api_key="not-a-key")
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
        backend = nv.connect("anthropic", base_url=server.url, api_key="not-a-key")
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
    assert "You: <b>What</b> is this?" in shown["text/plain"]
    assert len(repr(chat)) < 200


def test_words_are_needed() -> None:
    with pytest.raises(RequestError, match="prompt is empty"):
        nv.Conversation(backend=nv.connect("practice")).ask(" ", nv.samples.page)
