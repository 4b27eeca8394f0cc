"""A call can be stopped from another thread at any moment, and nothing is sent after that."""

import threading
import time

import psutil
import pytest
from doors import THROUGH_BOTO, asked, every_door, request_for
from wire import Arrived, Connection, as_pieces

from nbvision.backends import StopSignal
from nbvision.errors import Interrupted, NbvisionError


class Silent:
    """Says nothing to a request, and notes when the client hangs up."""

    def __init__(self) -> None:
        self.has_asked = threading.Event()
        self.left_at: float | None = None

    def __call__(self, connection: Connection, _: Arrived) -> None:
        self.has_asked.set()
        if connection.has_left(8):
            self.left_at = time.monotonic()


@every_door
def test_a_stop_before_the_reply_begins_closes_the_connection_at_once(name: str) -> None:
    silent, stop = Silent(), StopSignal()
    with asked(name, silent) as (backend, _):

        def stop_soon() -> None:
            silent.has_asked.wait(10)
            stop.set()

        threading.Thread(target=stop_soon).start()
        started = time.monotonic()
        with pytest.raises(NbvisionError):
            backend.stream(request_for(backend), stop=stop)
        assert time.monotonic() - started < 2
        while silent.left_at is None and time.monotonic() - started < 2:
            time.sleep(0.01)
        assert silent.left_at is not None


@every_door
def test_a_stop_ends_a_wait_and_nothing_more_is_sent(name: str) -> None:
    def overloaded(connection: Connection, _: Arrived) -> None:
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
        connection.reply(error, 503 if name in THROUGH_BOTO else 529, retry_after="30")

    stop = StopSignal()
    with asked(name, overloaded) as (backend, place):
        waits: list[str] = []

        def on_wait(words: str) -> None:
            waits.append(words)
            threading.Timer(0.2, stop.set).start()

        started = time.monotonic()
        with pytest.raises(Interrupted):
            backend.stream(request_for(backend), on_wait=on_wait, stop=stop)
        assert time.monotonic() - started < 5
        assert len(waits) == len(place.arrived) == 1


@every_door
def test_a_stop_that_was_set_sends_nothing(name: str) -> None:
    stop = StopSignal()
    stop.set()
    with asked(name, Silent()) as (backend, place):
        with pytest.raises(Interrupted):
            backend.stream(request_for(backend), stop=stop)
        assert place.connections == 0


@every_door
def test_a_stop_in_the_middle_ends_the_events(name: str) -> None:
    has_left = threading.Event()

    def begin(connection: Connection, arrived: Arrived) -> None:
        content_type, pieces = as_pieces(arrived)
        connection.begin_stream(content_type)
        connection.piece(pieces[0])
        if connection.has_left(8):
            has_left.set()

    stop = StopSignal()
    with asked(name, begin) as (backend, _):
        events = backend.stream(request_for(backend), stop=stop)
        threading.Timer(0.2, stop.set).start()
        started = time.monotonic()
        assert len(list(events)) == 1
        assert time.monotonic() - started < 2
        assert has_left.wait(2)


@every_door
def test_a_signal_that_is_never_set_changes_nothing(name: str) -> None:
    def well(connection: Connection, arrived: Arrived) -> None:
        content_type, pieces = as_pieces(arrived)
        connection.reply(b"".join(pieces), content_type=content_type)

    with asked(name, well) as (backend, _):
        events = backend.stream(request_for(backend), stop=StopSignal())
        assert [event["type"] for event in events][-1] == "message_stop"


def test_no_question_leaves_a_connection_behind() -> None:
    def well(connection: Connection, arrived: Arrived) -> None:
        content_type, pieces = as_pieces(arrived)
        connection.reply(b"".join(pieces), content_type=content_type)

    with asked("anthropic", well) as (backend, _):
        count = len(psutil.Process().net_connections())
        for _ in range(8):
            events = backend.stream(request_for(backend), stop=StopSignal())
            assert len(list(events)) == 6
        ends = time.monotonic() + 5
        while len(psutil.Process().net_connections()) > count and time.monotonic() < ends:
            time.sleep(0.02)
        assert len(psutil.Process().net_connections()) <= count
