"""What services, proxies and cables do to a reply, through the real clients: one error each.

The server writes bytes and knows nothing of the API, so that no fault is left out because a
well-made server cannot commit it.
"""

import contextlib
import gzip
import json
import time

import pytest
from doors import (
    ask,
    asked,
    assert_nothing_foreign_hangs_on,
    both_ways,
    every_door,
    every_door_of_messages,
    hang_up,
    request_for,
)
from wire import (
    EVENTS,
    MESSAGE,
    SSE,
    Answer,
    Arrived,
    Connection,
    answer_well,
    as_pieces,
    exception,
    frame,
    is_streamed,
    sse,
)

from nbvision.backends import anthropic_api, aws, bedrock
from nbvision.errors import (
    BackendError,
    ConnectionLost,
    Interrupted,
    ModelNotFound,
    NbvisionError,
    NotConnected,
    Overloaded,
    RateLimited,
    RequestRejected,
    ServiceFailed,
    SpendLimitReached,
    TimedOut,
    UnreadableAnswer,
)

# Replies -----------------------------------------------------------------------------------------


def whole(body: bytes, content_type: str | None = None) -> Answer:
    def answer(connection: Connection, arrived: Arrived) -> None:
        connection.reply(body, content_type=content_type or as_pieces(arrived)[0])

    return answer


def rejected(status: int, kind: str, message: str, **headers: str) -> Answer:
    body = {"type": "error", "error": {"type": kind, "message": message}, "message": message}
    return lambda connection, _: connection.reply(body, status, **headers)


def reset(connection: Connection, _: Arrived) -> None:
    connection.reset()


def cut(connection: Connection, arrived: Arrived) -> None:
    """Promise more than comes."""
    content_type, pieces = as_pieces(arrived)
    data = b"".join(pieces)
    connection.begin(content_type=content_type, content_length=str(len(data)))
    connection.write(data[: len(data) // 2])
    hang_up(connection, arrived)


def end_early(connection: Connection, arrived: Arrived) -> None:
    """End tidily in the middle."""
    content_type, pieces = as_pieces(arrived)
    connection.begin_stream(content_type)
    connection.piece(b"".join(pieces[:3]) if len(pieces) > 3 else pieces[0][:40])
    connection.piece(b"")


def reset_inside(connection: Connection, arrived: Arrived) -> None:
    content_type, pieces = as_pieces(arrived)
    connection.begin_stream(content_type)
    connection.piece(b"".join(pieces)[:120])
    time.sleep(0.1)  # a reset overtakes what is still on its way
    connection.reset()


def broken_event(connection: Connection, arrived: Arrived) -> None:
    content_type, pieces = as_pieces(arrived)
    bad = sse({"type": "ping"}).replace(b'"ping"}', b'"ping"')
    if content_type != SSE:
        bad = frame(EVENTS[0])[:-1] + b"?"
    connection.reply(
        pieces[0] + bad if is_streamed(arrived) else b'{"a": ', content_type=content_type
    )


def with_nan(connection: Connection, arrived: Arrived) -> None:
    message = {**MESSAGE, "odds": float("nan")}
    event = {**EVENTS[0], "message": message}
    streamed = frame(event) if "-with-response" in arrived.line else sse(event)
    data = streamed if is_streamed(arrived) else json.dumps(message).encode()
    connection.reply(data, content_type=as_pieces(arrived)[0])


LOGIN = b"<!doctype html><title>Sign in</title>"
AFTER_SENDING = (ConnectionLost, Interrupted)
UNREADABLE = (UnreadableAnswer, Interrupted)
BROKEN: dict[str, tuple[Answer, tuple[type[NbvisionError], ...]]] = {
    "reset": (reset, (ConnectionLost,)),
    "hang up": (hang_up, (ConnectionLost,)),
    "cut": (cut, AFTER_SENDING),
    "end early": (end_early, UNREADABLE),
    "reset inside": (reset_inside, AFTER_SENDING),
    "login page": (whole(LOGIN, "text/html"), UNREADABLE),
    "login page in disguise": (whole(LOGIN), UNREADABLE),
    "nothing": (whole(b""), UNREADABLE),
    "null": (whole(b"null"), UNREADABLE),
    "list": (whole(b"[]"), UNREADABLE),
    "deep": (whole(b"[" * 100_000), UNREADABLE),
    "other vendor": (whole(b'{"choices": []}'), UNREADABLE),
    "bad text": (whole(b'{"type": "message", "\xff\xfe": 1}'), UNREADABLE),
    "broken event": (broken_event, UNREADABLE),
    "NaN": (with_nan, UNREADABLE),
    "no HTTP": (lambda c, _: c.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), (ConnectionLost,)),
    "status 204": (lambda c, _: c.begin(204), (UnreadableAnswer, Interrupted)),
}


@every_door
@both_ways
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_reply_is_one_error_and_is_asked_for_once(name: str, how: str, kind: str) -> None:
    answer, errors = BROKEN[kind]
    if name == "bedrock-converse":
        errors = (*errors, UnreadableAnswer)  # boto3 hands a cut reply on as an empty one
    with asked(name, answer) as (backend, place), pytest.raises(errors) as caught:
        ask(backend, how)
    assert len(place.arrived) == 1
    assert caught.value.cure
    assert getattr(caught.value, "may_have_been_billed", True)
    assert_nothing_foreign_hangs_on(caught.value)


REJECTED: dict[str, tuple[Answer, type[NbvisionError], int]] = {
    "own limit": (
        rejected(400, "invalid_request_error", "You have reached your specified API usage limits."),
        SpendLimitReached,
        1,
    ),
    "billing": (rejected(402, "billing_error", "Pay first."), SpendLimitReached, 1),
    "long wait": (rejected(429, "rate_limit_error", "Slow.", retry_after="3600"), RateLimited, 1),
    "a date": (
        rejected(429, "rate_limit_error", "Slow.", retry_after="Fri, 31 Dec 2099 23:59:59 GMT"),
        RateLimited,
        1,
    ),
    "short wait": (rejected(429, "rate_limit_error", "Slow.", retry_after="0.01"), RateLimited, 3),
    "overloaded": (rejected(529, "overloaded_error", "Busy.", retry_after="0"), Overloaded, 3),
    "unavailable": (rejected(503, "", "Busy.", retry_after="0"), Overloaded, 3),
    "broke": (rejected(500, "api_error", "Oh.", retry_after="0"), ServiceFailed, 3),
    "gateway waited": (rejected(504, "timeout_error", "Late."), TimedOut, 1),
    "too large": (rejected(413, "request_too_large", "Big."), RequestRejected, 1),
    "redirect": (
        lambda c, _: c.reply(b"", 307, location="http://127.0.0.1:9/"),
        NotConnected,
        1,
    ),
}


@every_door
@both_ways
@pytest.mark.parametrize("kind", REJECTED)
def test_a_rejection_is_repeated_only_where_that_is_safe(name: str, how: str, kind: str) -> None:
    answer, error, requests = REJECTED[kind]
    with asked(name, answer) as (backend, place), pytest.raises(error) as caught:
        ask(backend, how)
    assert len(place.arrived) == requests
    assert_nothing_foreign_hangs_on(caught.value)


def test_too_many_requests_without_a_time_to_wait_is_the_months_limit() -> None:
    answer = rejected(429, "rate_limit_error", "Limit reached.")
    with asked("anthropic", answer) as (backend, place), pytest.raises(SpendLimitReached):
        ask(backend, "stream")
    assert len(place.arrived) == 1


def test_bedrock_never_names_a_time_and_throttling_passes() -> None:
    answer = rejected(429, "", "Too many requests.", x_amzn_errortype="ThrottlingException")
    with asked("bedrock", answer) as (backend, place), pytest.raises(RateLimited):
        ask(backend, "send")
    assert len(place.arrived) == 3


@pytest.mark.parametrize(
    "words",
    [
        "The provided model identifier is invalid.",
        "Invocation of model ID x with on-demand throughput isn't supported.",
    ],
)
def test_bedrocks_words_for_a_wrong_model_name_the_cure(words: str) -> None:
    answer = rejected(400, "", words, x_amzn_errortype="ValidationException")
    with asked("bedrock", answer) as (backend, _), pytest.raises(ModelNotFound) as caught:
        ask(backend, "send")
    assert "inference profile" in caught.value.cure


MEMBERS = {
    "internalServerException": ServiceFailed,
    "modelStreamErrorException": ServiceFailed,
    "modelTimeoutException": TimedOut,
    "serviceUnavailableException": Overloaded,
    "throttlingException": RateLimited,
    "validationException": RequestRejected,
}


@pytest.mark.parametrize("member", MEMBERS)
def test_an_error_inside_bedrocks_stream_is_ours_and_may_be_billed(member: str) -> None:
    def answer(connection: Connection, arrived: Arrived) -> None:
        content_type, pieces = as_pieces(arrived)
        data = b"".join(pieces[:3]) + exception(member, "words of the service")
        connection.reply(data, content_type=content_type)

    with asked("bedrock", answer) as (backend, place), pytest.raises(MEMBERS[member]) as caught:
        ask(backend, "stream")
    assert "words of the service" in str(caught.value)
    assert isinstance(caught.value, BackendError)
    assert caught.value.may_have_been_billed
    assert len(place.arrived) == 1
    assert_nothing_foreign_hangs_on(caught.value)


def test_an_error_event_after_the_first_words_is_ours() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}}
    data = b"".join(sse(event) for event in [*EVENTS[:3], error])
    with asked("anthropic", whole(data)) as (backend, _), pytest.raises(Overloaded) as caught:
        ask(backend, "stream")
    assert caught.value.may_have_been_billed


def test_what_other_vendors_end_a_stream_with_is_passed_over() -> None:
    data = b"".join(sse(event) for event in EVENTS) + b"data: [DONE]\n\n"
    with asked("anthropic", whole(data)) as (backend, _):
        assert ask(backend, "stream").text == "A red door."


def test_events_may_be_cut_anywhere_and_end_in_any_way() -> None:
    def answer(connection: Connection, _: Arrived) -> None:
        connection.begin_stream(SSE)
        data = b": hello\n\n" + b"".join(sse(event) for event in EVENTS)
        for byte in data.replace(b"\n", b"\r\n").replace(b"door", "Tür".encode()):
            connection.piece(bytes([byte]))
        connection.piece(b"")

    with asked("anthropic", answer) as (backend, _):
        assert ask(backend, "stream").text == "A red Tür."


# Size and time -----------------------------------------------------------------------------------


def test_a_rejection_without_end_is_read_to_its_beginning_only() -> None:
    written = 0

    def refuse(connection: Connection, _: Arrived) -> None:
        nonlocal written
        connection.begin(400, transfer_encoding="chunked")
        while written < 200:
            connection.piece(b"x" * 1_000_000)
            written += 1

    with asked("anthropic", refuse) as (backend, _), pytest.raises(RequestRejected):
        ask(backend, "send")
    assert written < 50


@every_door
def test_a_reply_without_end_is_refused(name: str) -> None:
    def answer(connection: Connection, _: Arrived) -> None:
        connection.begin_stream("application/json")
        with contextlib.suppress(OSError):
            while True:
                connection.piece(b" " * 1_000_000)

    with asked(name, answer) as (backend, _), pytest.raises(UnreadableAnswer, match="64 MB"):
        ask(backend, "send")


def test_a_reply_is_not_inflated_without_end() -> None:
    data = gzip.compress(b" " * 100_000_000)
    answer: Answer = lambda c, _: c.reply(data, content_encoding="gzip")  # noqa: E731 - one line
    with asked("anthropic", answer) as (backend, _), pytest.raises(UnreadableAnswer, match="64 MB"):
        ask(backend, "send")


def drip(connection: Connection, arrived: Arrived) -> None:
    """Send what keeps a connection awake, and never an answer."""
    content_type, _ = as_pieces(arrived)
    awake = {"application/json": b" " * 64, SSE: b": awake\n"}
    connection.begin_stream(content_type)
    with contextlib.suppress(OSError):
        while True:
            connection.piece(awake.get(content_type) or frame({"type": "ping"}))
            time.sleep(0.01)


@every_door_of_messages
@both_ways
def test_a_drip_ends_at_the_deadline(name: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (anthropic_api, bedrock):
        monkeypatch.setattr(module, "seconds_for", lambda _: 0.2)
    started = time.monotonic()
    with asked(name, drip) as (backend, place), pytest.raises(TimedOut) as caught:
        ask(backend, how)
    assert time.monotonic() - started < 5
    assert caught.value.may_have_been_billed
    assert len(place.arrived) == 1


@every_door
@both_ways
def test_silence_ends_and_is_not_repeated(
    name: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (anthropic_api, aws):
        monkeypatch.setattr(module, "_SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(anthropic_api, "_WHOLE_ANSWER_SECONDS", 0.2)
    answer: Answer = lambda c, _: c.has_left() and None  # noqa: E731 - one line
    with asked(name, answer) as (backend, place), pytest.raises(TimedOut) as caught:
        ask(backend, how)
    assert caught.value.may_have_been_billed
    assert len(place.arrived) == 1


def test_the_longest_answer_may_take_its_time() -> None:
    with asked("anthropic", answer_well) as (backend, _):
        assert backend.send(request_for(backend, max_tokens=128_000)).request_id == "req_wire"
        with backend.stream(request_for(backend, max_tokens=128_000)) as events:
            assert events._longest_seconds == 6400
