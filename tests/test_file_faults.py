"""What services, proxies and cables do to the Files API's replies: one error each, and once."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from doors import KEY, asked, assert_nothing_foreign_hangs_on, door, door_at
from wire import Answer, Arrived, Connection, answer_well, wire

import nbvision as nv
from nbvision.backends import Backend, Shelf, files
from nbvision.errors import (
    ConnectionLost,
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
from nbvision.practice import PracticeServer

BETA = "files-api-2025-04-14"
ROW: dict[str, Any] = {
    "type": "file",
    "id": "file_1",
    "filename": "door.png",
    "mime_type": "image/png",
    "size_bytes": 3,
    "created_at": "2026-11-20T10:00:00Z",
    "downloadable": False,
    "expires_at": None,
}
ROUTES: dict[str, Callable[[Shelf], object]] = {
    "upload": lambda shelf: shelf.upload("door.png", b"abc", "image/png", expires_in=3600),
    "list": lambda shelf: shelf.pages(10),
    "find": lambda shelf: shelf.find(["file_1"]),
    "delete": lambda shelf: shelf.delete("file_1"),
}
every_route = pytest.mark.parametrize("route", ROUTES)


def shelf_of(backend: Backend) -> Shelf:
    assert backend.files is not None
    return backend.files


def whole(body: object, status: int = 200, **headers: str) -> Answer:
    return lambda connection, _: connection.reply(body, status, **headers)


def rejected(status: int, kind: str, **headers: str) -> Answer:
    return whole({"type": "error", "error": {"type": kind, "message": "No."}}, status, **headers)


def cut(connection: Connection, _: Arrived) -> None:
    data = json.dumps(ROW).encode()
    connection.begin(content_length=str(len(data)))
    connection.write(data[: len(data) // 2])
    connection.socket.shutdown(2)


def drip(connection: Connection, _: Arrived) -> None:
    connection.begin(transfer_encoding="chunked")
    with contextlib.suppress(OSError):
        while not connection.has_left(0.02):
            connection.piece(b" ")


FAULTS: dict[str, tuple[Answer, type[NbvisionError], int]] = {
    "429": (rejected(429, "rate_limit_error", retry_after="0.01"), RateLimited, 3),
    "429, an hour": (rejected(429, "rate_limit_error", retry_after="3600"), RateLimited, 1),
    "429, no time": (rejected(429, "rate_limit_error"), SpendLimitReached, 1),
    "529": (rejected(529, "overloaded_error", retry_after="0"), Overloaded, 3),
    "401": (rejected(401, "authentication_error"), NbvisionError, 1),
    "413": (rejected(413, "request_too_large"), RequestRejected, 1),
    "redirect": (whole(b"", 307, location="http://127.0.0.1:9/"), NotConnected, 1),
    "reset": (lambda c, _: c.reset(), ConnectionLost, 1),
    "cut": (cut, ConnectionLost, 1),
    "login page": (whole(b"<!doctype html>", content_type="text/html"), UnreadableAnswer, 1),
    "bad JSON": (whole(b'{"id": '), UnreadableAnswer, 1),
    "nothing": (whole(b""), UnreadableAnswer, 1),
    "null": (whole(b"null"), UnreadableAnswer, 1),
    "deep": (whole(b"[" * 100_000), UnreadableAnswer, 1),
    "other vendor": (whole({"object": "list", "data": [{"id": 7}]}), UnreadableAnswer, 1),
}


@every_route
@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_one_error_of_ours(route: str, kind: str) -> None:
    answer, error, requests = FAULTS[kind]
    with asked("anthropic", answer) as (backend, place), pytest.raises(error) as caught:
        ROUTES[route](shelf_of(backend))
    looks_twice = kind in {"reset", "cut"} and route in {"list", "find"}
    assert len(place.arrived) == (2 if looks_twice else requests)
    assert caught.value.cure
    assert "billed, so" not in caught.value.cure
    assert_nothing_foreign_hangs_on(caught.value)


def test_a_list_that_is_lost_is_looked_at_once_more() -> None:
    def first_lost(connection: Connection, _: Arrived) -> None:
        if len(place.arrived) == 1:
            connection.reset()
        else:
            connection.reply({"data": [ROW]})

    with asked("anthropic", first_lost) as (backend, place):
        rows, _ = shelf_of(backend).pages(10)
    assert [row.id for row in rows] == [ROW["id"]]


@pytest.mark.parametrize(("route", "requests"), [("upload", 1), ("list", 3), ("delete", 3)])
def test_what_a_service_broke_on_is_sent_again_unless_it_may_have_been_stored(
    route: str, requests: int
) -> None:
    answer = rejected(500, "api_error", retry_after="0")
    with asked("anthropic", answer) as (backend, place), pytest.raises(ServiceFailed):
        ROUTES[route](shelf_of(backend))
    assert len(place.arrived) == requests


@every_route
def test_silence_ends_and_is_not_repeated(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_SILENCE_SECONDS", 0.2)
    answer: Answer = lambda c, _: c.has_left() and None  # noqa: E731 - one line
    with asked("anthropic", answer) as (backend, place), pytest.raises(TimedOut) as caught:
        ROUTES[route](shelf_of(backend))
    assert len(place.arrived) == 1
    assert "do it again" in caught.value.cure


@every_route
def test_a_drip_ends_at_the_deadline(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_WHOLE_REPLY_SECONDS", 0.2)
    with asked("anthropic", drip) as (backend, _), pytest.raises(TimedOut):
        ROUTES[route](shelf_of(backend))


def test_a_server_without_files_says_what_to_do_instead() -> None:
    answer = rejected(404, "not_found_error")
    with asked("anthropic", answer) as (backend, _), pytest.raises(RequestRejected) as caught:
        shelf_of(backend).pages(10)
    assert "nv.describe(image)" in caught.value.cure


def test_a_file_that_is_gone_is_no_error_to_delete() -> None:
    with asked("anthropic", rejected(404, "not_found_error")) as (backend, _):
        assert shelf_of(backend).delete("file_1") is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": None},
        {"id": "../models"},
        {"id": "\x1b[31mfile"},
        {"id": ""},
        {"filename": "x" * 5000},
        {"size_bytes": True},
        {"size_bytes": -1},
        {"created_at": "yesterday"},
        {"expires_at": 7},
    ],
)
def test_a_row_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    answer = whole({"data": [ROW | wrong], "next_page": None})
    with asked("anthropic", answer) as (backend, _), pytest.raises(UnreadableAnswer):
        shelf_of(backend).pages(10)


def test_an_upload_goes_out_as_a_form_with_the_key_in_a_header_only() -> None:
    with asked("anthropic", whole(ROW)) as (backend, place):
        row = shelf_of(backend).upload("door.png", b"abc", "image/png", expires_in=3600)
    (arrived,) = place.arrived
    assert (row.id, row.size_bytes, row.expires_at) == ("file_1", 3, None)
    assert arrived.line.startswith("POST /v1/files ")
    assert arrived.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'filename="door.png"\r\nContent-Type: image/png\r\n\r\nabc' in arrived.body
    assert b'name="expires_in_seconds"\r\n\r\n3600' in arrived.body
    assert "anthropic-beta" not in arrived.headers
    assert KEY.encode() not in arrived.body


def test_pages_are_followed_to_the_bound_and_not_in_circles() -> None:
    pages = [
        {"data": [ROW | {"id": f"file_{n}"} for n in range(3)], "next_page": "page_b"},
        {"data": [ROW | {"id": f"file_{n}"} for n in range(3, 6)], "next_page": "page_c"},
        {"data": [], "next_page": "page_d"},
    ]
    served = iter([*pages, *pages])
    answer: Answer = lambda c, _: c.reply(next(served))  # noqa: E731 - one line
    with asked("anthropic", answer) as (backend, place):
        rows, has_more = shelf_of(backend).pages(100)
        assert ([row.id for row in rows], has_more) == ([f"file_{n}" for n in range(6)], True)
        rows, has_more = shelf_of(backend).pages(4)
        assert ([row.id for row in rows], has_more) == ([f"file_{n}" for n in range(4)], True)
    lines = [arrived.line.split(" ")[1] for arrived in place.arrived]
    assert lines[:3] == [
        "/v1/files?limit=100",
        "/v1/files?limit=97&page=page_b",
        "/v1/files?limit=94&page=page_c",
    ]


def test_the_shape_of_the_beta_is_read_too() -> None:
    pages = iter(
        [
            {"data": [ROW], "has_more": True, "last_id": "file_1"},
            {"data": [ROW | {"id": "file_2"}], "has_more": False},
        ]
    )
    answer: Answer = lambda c, _: c.reply(next(pages))  # noqa: E731 - one line
    with asked("anthropic", answer) as (backend, place):
        rows, has_more = shelf_of(backend).pages(100)
    assert ([row.id for row in rows], has_more) == (["file_1", "file_2"], False)
    assert "after_id=file_1" in place.arrived[1].line


def test_where_files_are_still_a_beta_the_header_says_so() -> None:
    with asked("anthropic", whole({"data": [], "next_page": None})) as (backend, place):
        backend.platform = replace(backend.platform, files_beta=BETA)
        assert shelf_of(backend).pages(5) == ([], False)
    assert place.arrived[0].headers["anthropic-beta"] == BETA


def test_the_beta_header_goes_with_requests_that_name_a_file_and_no_others() -> None:
    with PracticeServer(token=KEY) as server:
        uploaded = nv.upload(nv.samples.page, backend=door_at("anthropic", server))
    with wire(answer_well) as place:
        backend = door("aws", place.url)
        held = replace(uploaded, held_by=shelf_of(backend).held_by)
        for picture in (held, nv.samples.page):
            request = nv.build_request(picture, "What is this?", backend=backend)
            backend.send(request)
            with backend.stream(request) as events:
                assert list(events)
            backend.count_tokens(request)
        backend.close()
    betas = [arrived.headers.get("anthropic-beta") for arrived in place.arrived]
    assert betas == [BETA] * 3 + [None] * 3


def test_ids_are_asked_for_a_hundred_at_a_time() -> None:
    with asked("anthropic", whole({"data": [], "next_page": None})) as (backend, place):
        assert shelf_of(backend).find([f"file_{n}" for n in range(150)]) == []
    assert [arrived.line.count("ids%5B%5D=") for arrived in place.arrived] == [100, 50]
