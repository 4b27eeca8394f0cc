"""The practice server's Files API through the real client, and against those who abuse it."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import Anthropic
from hypothesis import given, settings
from hypothesis import strategies as st

from nbvision.practice import PracticeServer, stored_files
from nbvision.practice.files import FilesDoor
from nbvision.practice.places import API
from nbvision.practice.questions import read_question
from nbvision.practice.rejections import Rejected
from nbvision.practice.replies import pictures_in_question
from nbvision.practice.stored_files import FileShelf
from nbvision.samples import shapes

DATA = shapes.path.read_bytes()
MODEL = "claude-opus-5-5"
WORDS = {"type": "text", "text": "every shape"}


@pytest.fixture
def server() -> Iterator[PracticeServer]:
    with PracticeServer() as running:
        yield running


@pytest.fixture
def client(server: PracticeServer) -> Iterator[Anthropic]:
    with Anthropic(base_url=server.url, api_key=server.token, max_retries=0, timeout=20) as one:
        yield one


def shelf_in(server: PracticeServer) -> FileShelf:
    assert server._house is not None
    return server._house.files


def image(file_id: str, **more: Any) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "file", "file_id": file_id}, **more}


def ask(client: Anthropic, *blocks: Any) -> anthropic.types.Message:
    return client.messages.create(
        model=MODEL, max_tokens=500, messages=[{"role": "user", "content": [*blocks, WORDS]}]
    )


def test_a_file_is_stored_listed_looked_at_and_deleted(client: Anthropic) -> None:
    stored = client.files.upload(file=("door.png", DATA, "image/png"))
    assert (stored.filename, stored.mime_type, stored.size_bytes) == (
        "door.png",
        "image/png",
        len(DATA),
    )
    assert stored.downloadable is False
    assert stored.expires_at is None
    assert client.files.retrieve_metadata(stored.id) == stored
    assert [row.id for row in client.files.list()] == [stored.id]
    assert client.files.delete(stored.id).type == "file_deleted"
    with pytest.raises(anthropic.NotFoundError):
        client.files.retrieve_metadata(stored.id)
    with pytest.raises(anthropic.NotFoundError):
        client.files.delete(stored.id)


def test_a_stored_picture_is_answered_about_as_one_that_is_sent(client: Anthropic) -> None:
    stored = client.files.upload(file=("a.png", DATA, "image/png"))
    named = ask(client, image(stored.id, transformations={"oversized_image": "downsize"}))
    assert "3000" not in named.content[0].text  # it looks at the resized frame
    assert named.usage.input_tokens > 1000


def test_a_picture_that_would_be_resized_is_refused_without_a_place(client: Anthropic) -> None:
    stored = client.files.upload(file=("a.png", DATA, "image/png"))
    with pytest.raises(anthropic.BadRequestError, match="3000x2000") as caught:
        ask(client, image(stored.id, transformations={"oversized_image": "error"}))
    assert "content.0" not in str(caught.value)


def test_what_was_uploaded_is_not_given_out(client: Anthropic) -> None:
    stored = client.files.upload(file=("a.png", DATA, "image/png"))
    with pytest.raises(anthropic.BadRequestError, match="not downloadable") as caught:
        client.files.download(stored.id)
    assert caught.value.error_code == "file_not_downloadable"
    with pytest.raises(anthropic.NotFoundError):
        client.files.download("file_nothing")


def test_pages_lead_through_all_files_newest_first(client: Anthropic) -> None:
    ids = [client.files.upload(file=(f"{n}.png", b"x", "image/png")).id for n in range(7)]
    page = client.files.list(limit=3)
    assert page.next_page is not None
    client.files.upload(file=("later.png", b"x", "image/png"))
    assert [row.id for row in page] == ids[::-1]
    assert [row.id for row in client.files.list(ids=[ids[2], "file_nothing", ids[2]])] == [ids[2]]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 1001},
        {"page": "page_file_nothing"},
        {"page": "x"},
        {"ids": ["a"], "limit": 3},
        {"ids": [f"file_{n}" for n in range(101)]},
    ],
)
def test_a_list_is_not_asked_for_like_that(client: Anthropic, query: dict[str, Any]) -> None:
    with pytest.raises(anthropic.BadRequestError):
        client.files.list(**query)


def test_a_file_expires(server: PracticeServer, client: Anthropic) -> None:
    stored = client.files.upload(file=("a.png", DATA, "image/png"), expires_in_seconds=3600)
    assert stored.expires_at is not None
    assert abs((stored.expires_at - datetime.now(UTC)).total_seconds() - 3600) < 60
    shelf_in(server).now = lambda: datetime.now(UTC) + timedelta(seconds=3601)
    assert list(client.files.list()) == []
    with pytest.raises(anthropic.NotFoundError, match="expired"):
        ask(client, image(stored.id))


@pytest.mark.parametrize("seconds", [0, 3599, 7_776_001, "x", "-3600"])
def test_a_time_out_of_bounds_is_refused(client: Anthropic, seconds: Any) -> None:
    with pytest.raises(anthropic.BadRequestError, match="expires_in_seconds"):
        client.files.upload(file=("a.png", DATA, "image/png"), expires_in_seconds=seconds)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\pictures\\door.png", "door.png"),
        ("", "unnamed"),
        ("..", ".."),
        ("Tür.png", "Tür.png"),
    ],
)
def test_of_a_name_the_last_part_is_kept_and_no_disk_is_touched(name: str, kept: str) -> None:
    shelf = FileShelf()
    row = shelf.add(name, "image/png", b"x")
    assert row["filename"] == kept
    assert str(row["id"]).startswith("file_practice_")


@pytest.mark.parametrize("name", ["a\x00b", "a\nb", "<b>", "a|b", "x" * 256, "\u202egnp"])
def test_a_name_that_could_do_harm_is_refused(name: str) -> None:
    with pytest.raises(Rejected, match="filename"):
        FileShelf().add(name, "image/png", b"x")


def test_nothing_can_be_kept_of_nothing(client: Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="empty"):
        client.files.upload(file=("a.png", b"", "image/png"))


def test_memory_is_bounded(client: Anthropic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_files, "_MOST_BYTES", 100)
    first = client.files.upload(file=("a.bin", b"x" * 90, "image/png"))
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.files.upload(file=("b.bin", b"x" * 11, "image/png"))
    assert caught.value.error_code == "storage_quota_exceeded"
    client.files.delete(first.id)
    assert client.files.upload(file=("b.bin", b"x" * 11, "image/png")).size_bytes == 11


def test_an_upload_has_a_largest_size(client: Anthropic, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FilesDoor.place.body_limit_bytes == 32_000_000
    monkeypatch.setattr(FilesDoor, "place", replace(FilesDoor.place, body_limit_bytes=1000))
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.files.upload(file=("a.png", DATA, "image/png"))
    assert caught.value.status_code == 413


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ({"type": "file"}, 400),
        ({"type": "file", "file_id": 7}, 400),
        ({"type": "file", "file_id": "file_nothing"}, 404),
        ({"type": "file", "file_id": "../../etc/passwd"}, 404),
        ({"type": "file", "file_id": "x", "media_type": "image/png"}, 400),
    ],
)
def test_a_file_that_is_none_is_refused(
    client: Anthropic, source: dict[str, Any], status: int
) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        ask(client, {"type": "image", "source": source})
    assert caught.value.status_code == status


def test_a_file_that_is_no_picture_cannot_be_looked_at(client: Anthropic) -> None:
    stored = client.files.upload(file=("a.png", b"words, not a picture", "image/png"))
    with pytest.raises(anthropic.BadRequestError, match="Could not process image"):
        ask(client, image(stored.id))


def test_counting_fetches_no_file_and_no_address(client: Anthropic) -> None:
    url = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    blocks: list[Any] = [image("file_nothing"), url, WORDS]
    counted = client.messages.count_tokens(
        model=MODEL, messages=[{"role": "user", "content": blocks}]
    )
    assert counted.input_tokens < 50


FORM = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
    b"Content-Type: image/png\r\n\r\nabc\r\n--x--\r\n"
)


def posted(server: PracticeServer, body: bytes, **headers: str) -> httpx2.Response:
    known = {
        "x-api-key": server.token,
        "anthropic-version": "2026-10-21",
        "content-type": "multipart/form-data; boundary=x",
    }
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{server.url}/v1/files"
    return httpx2.post(url, headers=known | named, content=body, timeout=5)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"x_api_key": "wrong"}, 401),
        ({"origin": "https://example.org"}, 403),
        ({"host": "example.org"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"content_type": "application/json"}, 400),
        ({"content_type": "multipart/form-data"}, 400),
        ({"content_type": "multipart/form-data; boundary=y"}, 400),
        ({"anthropic_version": "1999"}, 400),
    ],
)
def test_the_file_doors_are_guarded_as_the_others(
    server: PracticeServer, headers: dict[str, str], status: int
) -> None:
    assert posted(server, FORM, **headers).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x--",
        FORM[:60],
        FORM.replace(b'name="file"', b'name="other"'),
        FORM.replace(b"\r\n--x--", b"\r\n--x\r\n" + FORM[5:]),
        b"--x\r\n" * 10_000,
        b"\xff" * 1000,
    ],
)
def test_a_form_that_is_none_is_refused(server: PracticeServer, body: bytes) -> None:
    reply = posted(server, body)
    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["add", "delete", "page"]), max_size=30), st.integers(1, 5))
def test_every_file_is_on_exactly_one_page(acts: list[str], limit: int) -> None:
    shelf, there = FileShelf(), list[str]()
    for act in acts:
        if act == "add":
            there.append(str(shelf.add("a", "image/png", b"x")["id"]))
        elif act == "delete" and there:
            shelf.delete(there.pop(len(there) // 2))
    seen: list[str] = []
    cursor: object = ""
    while cursor is not None:
        page: dict[str, Any] = shelf.page(str(limit), str(cursor))
        seen += [row["id"] for row in page["data"]]
        cursor = page["next_page"]
    assert seen == there[::-1]


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ("every shape", [3, 4]),
        ("every shape in Image 2", [2]),
        ("every shape in Image 22", [22]),
        ("How do Image 1 and Image 2 differ?", [1, 2]),
        ("How does Image 4 differ from Image 3?", [3, 4]),
    ],
)
def test_the_pictures_that_are_named_are_the_ones_looked_at(words: str, seen: list[int]) -> None:
    def labelled(*numbers: int) -> list[dict[str, Any]]:
        text = base64.b64encode(DATA).decode()
        source = {"type": "base64", "media_type": "image/png", "data": text}
        picture = {"type": "image", "source": source}
        pairs = [({"type": "text", "text": f"Image {n}:"}, picture) for n in numbers]
        return [block for pair in pairs for block in pair]

    said = {"role": "assistant", "content": "Yes."}
    earlier = {"role": "user", "content": [*labelled(1, 2, 22), WORDS]}
    last = {"role": "user", "content": [*labelled(3, 4), {"type": "text", "text": words}]}
    body = {"model": MODEL, "max_tokens": 50, "messages": [earlier, said, last]}
    question = read_question(body, API, version="2026-10-21")
    expected = [f"Image {number}" for number in seen]
    if set(seen) <= {1, 2, 22}:
        expected += ["Image 3", "Image 4"]
    assert [picture.label for picture in pictures_in_question(question)] == expected
