"""Converse through real boto3 against bare bytes: one error each, and a stop at any moment."""

import contextlib
import json
import threading
import time
from typing import Any

import pytest
from converse_wire import MODEL, asked
from doors import ask, assert_nothing_foreign_hangs_on, both_ways, hang_up, request_for
from wire import (
    CONVERSE_EVENTS,
    CONVERSE_MESSAGE,
    FRAMES,
    Answer,
    Arrived,
    Connection,
    answer_well,
    as_pieces,
    converse_frame,
    exception,
    framed,
    is_streamed,
)

from nbvision.backends import StopSignal, aws, converse
from nbvision.backends.stopping import stoppable
from nbvision.errors import (
    BackendError,
    ConnectionLost,
    Interrupted,
    NbvisionError,
    Overloaded,
    RateLimited,
    RequestRejected,
    ServiceFailed,
    SpendLimitReached,
    TimedOut,
    UnreadableAnswer,
)


@both_ways
def test_a_good_answer_is_read(how: str) -> None:
    with asked(answer_well) as (backend, place):
        response = ask(backend, how)
    assert (response.text, response.stop_reason) == ("A red door.", "end_turn")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (12, 4)
    assert response.request_id == response.id == "req_wire"
    assert response.model == MODEL
    operation = "converse" if how == "send" else "converse-stream"
    assert place.arrived[0].line.split()[1] == f"/model/{MODEL}/{operation}"


def whole(body: bytes, content_type: str | None = None) -> Answer:
    return lambda c, a: c.reply(body, content_type=content_type or as_pieces(a)[0])


def cut(connection: Connection, arrived: Arrived) -> None:
    content_type, pieces = as_pieces(arrived)
    data = b"".join(pieces)
    connection.begin(content_type=content_type, content_length=str(len(data)))
    connection.write(data[: len(data) // 2])
    hang_up(connection, arrived)


def end_early(connection: Connection, arrived: Arrived) -> None:
    content_type, pieces = as_pieces(arrived)
    connection.begin_stream(content_type)
    connection.piece(b"".join(pieces[:5]) if len(pieces) > 1 else pieces[0][:40])
    connection.piece(b"")


def reset_inside(connection: Connection, arrived: Arrived) -> None:
    content_type, pieces = as_pieces(arrived)
    connection.begin_stream(content_type)
    connection.piece(b"".join(pieces)[:120])
    time.sleep(0.1)  # a reset overtakes what is still on its way
    connection.reset()


def without(*path: str) -> Answer:
    """Leave out a promised member."""
    reply = json.loads(json.dumps(CONVERSE_MESSAGE))
    place = reply
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return lambda c, _: c.reply(reply)


def bad_piece(at: int, payload: Any = None) -> Answer:
    """Spoil one event of the stream: its JSON is cut, or another."""

    def answer(connection: Connection, _: Arrived) -> None:
        frames = [converse_frame(*piece) for piece in CONVERSE_EVENTS]
        headers = {":event-type": CONVERSE_EVENTS[at][0], ":message-type": "event"}
        frames[at] = framed(payload if payload is not None else {}, headers)
        connection.reply(b"".join(frames), content_type=FRAMES)

    return answer


UNREADABLE = (UnreadableAnswer, Interrupted)
BROKEN: dict[str, tuple[Answer, tuple[type[NbvisionError], ...]]] = {
    "reset": (lambda c, _: c.reset(), (ConnectionLost,)),
    "hang up": (hang_up, (ConnectionLost,)),
    "cut": (cut, (ConnectionLost, *UNREADABLE)),
    "end early": (end_early, UNREADABLE),
    "reset inside": (reset_inside, (ConnectionLost, Interrupted)),
    "login page": (whole(b"<!doctype html><title>Sign in</title>", "text/html"), UNREADABLE),
    "nothing": (whole(b""), UNREADABLE),
    "empty object": (whole(b"{}"), UNREADABLE),
    "null": (whole(b"null"), UNREADABLE),
    "list": (whole(b"[]"), UNREADABLE),
    "deep": (whole(b"[" * 100_000), UNREADABLE),
    "other vendor": (whole(b'{"choices": []}'), UNREADABLE),
    "bad text": (whole(b'{"output": "\xff\xfe"}'), UNREADABLE),
    "half a JSON": (whole(json.dumps(CONVERSE_MESSAGE).encode()[:-9]), UNREADABLE),
    "no HTTP": (lambda c, _: c.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), (ConnectionLost,)),
    "status 204": (lambda c, _: c.begin(204), UNREADABLE),
}


@both_ways
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_reply_is_one_error_and_is_asked_for_once(how: str, kind: str) -> None:
    answer, errors = BROKEN[kind]
    with asked(answer) as (backend, place), pytest.raises(errors) as caught:
        ask(backend, how)
    assert len(place.arrived) == 1
    assert caught.value.cure
    assert_nothing_foreign_hangs_on(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        *(("output",), ("output", "message"), ("output", "message", "content"), ("stopReason",)),
        *(("usage",), ("usage", "inputTokens"), ("usage", "outputTokens")),
    ],
)
def test_a_reply_that_lacks_a_promised_member_is_no_success(path: tuple[str, ...]) -> None:
    with asked(without(*path)) as (backend, _), pytest.raises(UnreadableAnswer) as caught:
        ask(backend, "send")
    if path[0] != "output":
        assert caught.value.text == "A red door."


@pytest.mark.parametrize("at", range(1, len(CONVERSE_EVENTS)))
def test_a_piece_that_lacks_its_members_is_no_success(at: int) -> None:
    with asked(bad_piece(at)) as (backend, _), pytest.raises(UNREADABLE):
        ask(backend, "stream")


def test_pieces_of_unknown_kinds_pass() -> None:
    frames = [converse_frame(*piece) for piece in CONVERSE_EVENTS]
    frames.insert(1, converse_frame("somethingNew", {"a": 1}))
    with asked(lambda c, _: c.reply(b"".join(frames), content_type=FRAMES)) as (backend, _):
        assert ask(backend, "stream").text == "A red door."


MEMBERS = {
    "internalServerException": ServiceFailed,
    "modelStreamErrorException": ServiceFailed,
    "serviceUnavailableException": Overloaded,
    "throttlingException": RateLimited,
    "validationException": RequestRejected,
}


@pytest.mark.parametrize("member", MEMBERS)
def test_an_error_inside_the_stream_is_ours_and_may_be_billed(member: str) -> None:
    frames = [converse_frame(*piece) for piece in CONVERSE_EVENTS[:2]] + [
        exception(member, "words of the service")
    ]
    answer: Answer = lambda c, _: c.reply(b"".join(frames), content_type=FRAMES)  # noqa: E731
    with asked(answer) as (backend, place), pytest.raises(MEMBERS[member]) as caught:
        ask(backend, "stream")
    assert "words of the service" in str(caught.value)
    assert isinstance(caught.value, BackendError)
    assert caught.value.may_have_been_billed
    assert len(place.arrived) == 1


REJECTED: dict[str, tuple[int, str, type[NbvisionError], int]] = {
    "throttled": (429, "ThrottlingException", RateLimited, 3),
    "unavailable": (503, "ServiceUnavailableException", Overloaded, 3),
    "broke": (500, "InternalServerException", ServiceFailed, 3),
    "model waited": (408, "ModelTimeoutException", TimedOut, 1),
    "model broke": (424, "ModelErrorException", ServiceFailed, 1),
    "quota": (400, "ServiceQuotaExceededException", SpendLimitReached, 1),
    "malformed": (400, "ValidationException", RequestRejected, 1),
}


@both_ways
@pytest.mark.parametrize("kind", REJECTED)
def test_a_rejection_is_repeated_only_where_that_is_safe(how: str, kind: str) -> None:
    status, name, error, requests = REJECTED[kind]
    answer: Answer = lambda c, _: c.reply(  # noqa: E731 - one reply
        {"message": "No."}, status, x_amzn_errortype=name, retry_after="0"
    )
    with asked(answer) as (backend, place), pytest.raises(error) as caught:
        ask(backend, how)
    assert len(place.arrived) == requests
    assert_nothing_foreign_hangs_on(caught.value)


def test_a_reply_without_end_is_refused() -> None:
    def answer(connection: Connection, _: Arrived) -> None:
        connection.begin_stream("application/json")
        with contextlib.suppress(OSError):
            while True:
                connection.piece(b" " * 1_000_000)

    with asked(answer) as (backend, _), pytest.raises(UnreadableAnswer, match="64 MB"):
        ask(backend, "send")


@both_ways
def test_a_drip_ends_at_the_deadline(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(connection: Connection, arrived: Arrived) -> None:
        content_type, _ = as_pieces(arrived)
        piece = converse_frame("somethingNew", {}) if is_streamed(arrived) else b" " * 64
        connection.begin_stream(content_type)
        with contextlib.suppress(OSError):
            while True:
                connection.piece(piece)
                time.sleep(0.01)

    monkeypatch.setattr(converse, "seconds_for", lambda _: 0.2)
    started = time.monotonic()
    with asked(drip) as (backend, place), pytest.raises(TimedOut) as caught:
        ask(backend, how)
    assert time.monotonic() - started < 5
    assert caught.value.may_have_been_billed
    assert len(place.arrived) == 1


@both_ways
def test_silence_ends_and_is_not_repeated(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "_SILENCE_SECONDS", 0.2)
    answer: Answer = lambda c, _: c.has_left() and None  # noqa: E731 - one line
    with asked(answer) as (backend, place), pytest.raises(TimedOut):
        ask(backend, how)
    assert len(place.arrived) == 1


def test_a_stop_before_the_reply_begins_closes_the_connection_at_once() -> None:
    has_asked, has_left, stop = threading.Event(), threading.Event(), StopSignal()

    def silent(connection: Connection, _: Arrived) -> None:
        has_asked.set()
        if connection.has_left(8):
            has_left.set()

    def stop_soon() -> None:
        has_asked.wait(10)
        stop.set()

    with asked(silent) as (backend, place):
        threading.Thread(target=stop_soon).start()
        started = time.monotonic()
        with pytest.raises(NbvisionError):
            backend.stream(request_for(backend), stop=stop)
        assert time.monotonic() - started < 2
        assert has_left.wait(2)
        assert len(place.arrived) == 1


def test_a_stop_that_comes_late_leaves_the_connection_to_who_has_it_now() -> None:
    begun, go_on, stop = threading.Event(), threading.Event(), StopSignal()

    def answer(connection: Connection, arrived: Arrived) -> None:
        if begun.is_set():
            go_on.wait(10)
        answer_well(connection, arrived)

    with asked(answer) as (backend, place):
        with stoppable(stop):
            backend.send(request_for(backend))
        begun.set()
        threading.Timer(0.1, stop.set).start()
        threading.Timer(0.3, go_on.set).start()
        assert ask(backend, "send").text == "A red door."
        assert place.connections == 1


def test_a_stop_in_the_middle_ends_the_events() -> None:
    has_left = threading.Event()

    def begin(connection: Connection, arrived: Arrived) -> None:
        content_type, pieces = as_pieces(arrived)
        connection.begin_stream(content_type)
        connection.piece(pieces[0])
        if connection.has_left(8):
            has_left.set()

    stop = StopSignal()
    with asked(begin) as (backend, _):
        events = backend.stream(request_for(backend), stop=stop)
        threading.Timer(0.2, stop.set).start()
        started = time.monotonic()
        assert [e["type"] for e in events] == ["message_start"]
        assert time.monotonic() - started < 2
        assert has_left.wait(2)
