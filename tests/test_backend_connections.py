"""How a connection ends, is shared and is made again; and what goes out over it."""

import os
import signal
import socket
import threading
import time
from contextlib import suppress

import pytest
from doors import (
    KEY,
    ask,
    asked,
    both_ways,
    door,
    every_door,
    every_door_of_messages,
    hang_up,
    request_for,
)
from wire import (
    SSE,
    Answer,
    Arrived,
    Connection,
    answer_well,
    as_pieces,
    is_streamed,
)

from nbvision.backends import retrying
from nbvision.errors import (
    NotConnected,
    UnreadableAnswer,
)


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "_FIRST_WAIT_SECONDS", 0.01)


class Watched:
    """Begins an answer, then waits for the client to leave, and keeps how long that took."""

    def __init__(self) -> None:
        self.left_after_seconds: float | None = None
        self.is_done = threading.Event()

    def __call__(self, connection: Connection, arrived: Arrived) -> None:
        if is_streamed(arrived):
            content_type, pieces = as_pieces(arrived)
            connection.begin_stream(content_type)
            # A client may leave while the pieces are still being written.
            with suppress(OSError):
                for piece in pieces[:3]:
                    connection.piece(piece)
        started = time.monotonic()
        if connection.has_left():
            self.left_after_seconds = time.monotonic() - started
        self.is_done.set()

    def assert_left(self) -> None:
        assert self.is_done.wait(30)
        assert self.left_after_seconds is not None


@every_door
def test_leaving_a_stream_closes_the_connection(name: str) -> None:
    watched = Watched()
    with asked(name, watched) as (backend, _):
        with backend.stream(request_for(backend)) as events:
            next(events)
        watched.assert_left()
        assert list(events) == []


@every_door
def test_another_thread_can_end_a_stream_that_waits(name: str) -> None:
    watched = Watched()
    with asked(name, watched) as (backend, _):
        events = backend.stream(request_for(backend))
        closing = threading.Timer(0.3, events.close)
        closing.start()
        started = time.monotonic()
        assert len(list(events)) <= 4
        assert time.monotonic() - started < 3
        watched.assert_left()
        closing.join()


@every_door
@both_ways
def test_an_interrupt_passes_through_and_closes_the_connection(name: str, how: str) -> None:
    watched = Watched()
    with asked(name, watched) as (backend, _):
        asking = threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT))
        asking.start()
        with pytest.raises(KeyboardInterrupt):
            ask(backend, how)
        watched.assert_left()
        asking.join()


@every_door
def test_an_error_in_a_stream_closes_it_without_a_block(name: str) -> None:
    def answer(connection: Connection, arrived: Arrived) -> None:
        content_type, pieces = as_pieces(arrived)
        bad = b"data: {\n\n" if content_type == SSE else pieces[0][:-1] + b"?"
        connection.reply(pieces[0] + bad, content_type=content_type)

    with asked(name, answer) as (backend, _):
        events = backend.stream(request_for(backend))
        with pytest.raises(UnreadableAnswer):
            list(events)
        assert list(events) == []


@every_door
def test_a_connection_that_was_kept_and_went_stale_is_made_again(name: str) -> None:
    def answer(connection: Connection, arrived: Arrived) -> None:
        answer_well(connection, arrived)
        hang_up(connection, arrived)

    with asked(name, answer) as (backend, place):
        for _ in range(2):
            assert ask(backend, "send").text == "A red door."
            time.sleep(0.1)
    assert place.connections == 2


@every_door
def test_many_threads_share_a_backend(name: str) -> None:
    with asked(name, answer_well) as (backend, place):
        texts: list[str] = []
        threads = [
            threading.Thread(
                target=lambda: texts.extend(ask(backend, "stream").text for _ in range(4))
            )
            for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert texts == ["A red door."] * 64
    assert len(place.arrived) == 64


@every_door
def test_a_closed_backend_says_so(name: str) -> None:
    with asked(name, answer_well) as (backend, place):
        backend.close()
        backend.close()
        with pytest.raises(NotConnected, match="was closed"):
            ask(backend, "send")
    assert place.arrived == []


@every_door
def test_nobody_there_costs_nothing_and_is_tried_again(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    backend, waits = door(name, url), list[str]()
    with pytest.raises(NotConnected, match="cannot be reached") as caught:
        backend.send(request_for(backend), on_wait=waits.append)
    assert len(waits) == 2
    assert not caught.value.may_have_been_billed


@every_door_of_messages
def test_each_service_gets_its_own_body_and_the_key_in_its_headers_alone(name: str) -> None:
    with asked(name, answer_well) as (backend, place):
        ask(backend, "send")
    (arrived,) = place.arrived
    keyed = {k: v for k, v in arrived.headers.items() if KEY in v}
    assert keyed == KEYED.get(name, {"authorization": f"Bearer {KEY}"})
    assert KEY not in arrived.line
    assert KEY.encode() not in arrived.body
    path, body = arrived.line.split()[1], request_for(backend).body()
    assert path == PATHS.get(name, "/v1/messages")
    if name in BODIES:
        del body["model"]
    assert arrived.json == body | BODIES.get(name, {})
    assert arrived.headers.get("anthropic-version") == VERSIONS.get(name, "2026-10-21")


# What differs from the Anthropic API's own door, as the official clients send it.
KEYED = {
    "bedrock-messages": {"x-api-key": KEY},
    "foundry": {"x-api-key": KEY, "api-key": KEY},
}
VERTEX = "/projects/classroom/locations/us-east5/publishers/anthropic/models"
PATHS = {
    "bedrock": "/model/us.anthropic.claude-sonnet-5-5/invoke",
    "vertex": f"{VERTEX}/claude-opus-5-5:rawPredict",
}
BODIES = {
    "bedrock": {"anthropic_version": "bedrock-2023-05-31"},
    "vertex": {"anthropic_version": "vertex-2023-10-16"},
}
VERSIONS = {
    "bedrock": None,
    "vertex": None,
    "bedrock-messages": "2023-06-01",
    "compatible": "2023-06-01",
}


@every_door
def test_no_proxy_is_asked_for_a_server_on_this_machine(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with asked(name, answer_well) as (backend, _):
        assert ask(backend, "send").text == "A red door."


def test_counting_survives_whatever_comes_back() -> None:
    replies: list[object] = [{"input_tokens": 7}, {"input_tokens": True}, {"input_tokens": -1}, []]
    answer: Answer = lambda c, _: c.reply(replies.pop(0))  # noqa: E731 - one line
    with asked("anthropic", answer) as (backend, place):
        counts = [backend.count_tokens(request_for(backend)) for _ in range(4)]
    assert counts == [7, None, None, None]
    assert "max_tokens" not in place.arrived[0].json
