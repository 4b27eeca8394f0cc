"""Pictures stored once and named after that, over real HTTP against the practice server."""

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from doors import KEY, asked, door, door_at
from PIL import Image
from wire import Answer, Arrived, Connection, Wire

import nbvision as nv
from nbvision import uploading
from nbvision.backends import Backend, StopSignal
from nbvision.backends.stopping import stoppable
from nbvision.errors import (
    AccessDenied,
    BackendError,
    Interrupted,
    LimitExceeded,
    NotConnected,
    RequestError,
    RequestRejected,
    UnreadableAnswer,
)
from nbvision.practice import PracticeServer
from nbvision.practice.stored_files import FileShelf
from nbvision.referenced import StoredFile


@pytest.fixture
def server() -> Iterator[PracticeServer]:
    with PracticeServer() as running:
        yield running


@pytest.fixture
def backend(server: PracticeServer) -> Iterator[Backend]:
    made = nv.connect(
        "anthropic",
        platform="anthropic",
        base_url=server.url,
        api_key=server.token,
        model="practice-high",
    )
    yield made
    made.close()


def new_kernel() -> None:
    """Forget what this kernel knows, as a restart would."""
    uploading._known.clear()
    uploading._listed.clear()


def shelf_in(server: PracticeServer) -> FileShelf:
    assert server._house is not None
    return server._house.files


def uploads(server: PracticeServer) -> int:
    return sum(a.method == "POST" and a.path == "/v1/files" for a in server.requests)


def coloured(number: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.new("RGB", size, (number % 256, number // 256, 90))


# Naming ------------------------------------------------------------------------------------------


def test_boxes_found_in_an_uploaded_picture_land_on_the_original(backend: Backend) -> None:
    uploaded = nv.upload(nv.samples.shapes, backend=backend)
    found = nv.locate(uploaded, nv.samples.shapes.prompt, backend=backend)
    assert found.image is uploaded.source
    for truth in nv.samples.shapes.truth:
        assert max(truth.iou(box) for box in found.boxes) > 0.9
    sent = found.reply.request.body()["messages"][0]["content"][0]
    assert sent["source"] == {"type": "file", "file_id": uploaded.file_id}
    assert sent["transformations"] == {"oversized_image": "error"}


def test_boxes_in_an_uploaded_crop_come_home_to_the_whole(backend: Backend) -> None:
    truth = nv.samples.photo.truth[0]
    whole = nv.open_image(nv.samples.photo)
    part = whole.crop(truth.left - 90, truth.top - 80, truth.right + 70, truth.bottom + 60)
    found = nv.locate(nv.upload(part, backend=backend), "the red bowl", backend=backend)
    assert max(truth.iou(box) for box in found.boxes) > 0.9


def test_pictures_of_every_kind_go_into_one_request(backend: Backend) -> None:
    uploaded = nv.upload(nv.samples.shelf_before, backend=backend)
    prepared = nv.prepare(nv.samples.shelf_after, backend=backend)
    reply = nv.compare([uploaded, prepared, nv.samples.shapes], backend=backend)
    blocks = reply.request.body()["messages"][0]["content"]
    kinds = [block["source"]["type"] for block in blocks if block["type"] == "image"]
    assert kinds == ["file", "base64", "base64"]
    assert reply.request.images[1] is prepared


def test_a_hundred_uploaded_pictures_in_a_turn_weigh_little(
    server: PracticeServer, backend: Backend
) -> None:
    uploaded = nv.upload([coloured(n) for n in range(100)], backend=backend)
    chat = nv.Conversation(backend=backend)
    chat.ask("What is common to these?", uploaded)
    chat.ask("And the colours?")
    sizes = [a.size_bytes for a in server.requests if a.path == "/v1/messages"]
    assert len(sizes) == 2
    assert max(sizes) < 50_000
    assert chat.turns[-1].reply.request.size_bytes == sizes[-1]


# At the clouds -----------------------------------------------------------------------------------

FILES_BETA = "files-api-2025-04-14"


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[tuple[PracticeServer, Backend]]:
    with PracticeServer(token=KEY) as running:
        made = door_at(request.param, running)
        made.model = "claude-opus-4-8"
        yield running, made
        made.close()


both_clouds = pytest.mark.parametrize("cloud", ["aws", "google-cloud"], indirect=True)


@both_clouds
def test_a_picture_is_stored_named_listed_and_deleted_at_a_cloud(
    cloud: tuple[PracticeServer, Backend],
) -> None:
    server, backend = cloud
    uploaded = nv.upload(nv.samples.shapes, backend=backend)
    found = nv.locate(uploaded, nv.samples.shapes.prompt, backend=backend)
    for truth in nv.samples.shapes.truth:
        assert max(truth.iou(box) for box in found.boxes) > 0.9
    assert [row.id for row in nv.files(backend=backend)] == [uploaded.file_id]
    assert nv.upload(nv.samples.shapes, backend=backend).file_id == uploaded.file_id
    assert nv.delete_files(uploaded, backend=backend) == [uploaded.file_id]
    assert len(nv.files(backend=backend)) == 0
    with pytest.raises(RequestRejected, match="File not found"):
        nv.describe(uploaded, backend=backend)
    assert len(shelf_in(server).page("20", "")["data"]) == 0  # type: ignore[arg-type]


@both_clouds
def test_another_key_stores_nothing_at_a_cloud(cloud: tuple[PracticeServer, Backend]) -> None:
    server, backend = cloud
    said = "invalid authentication credentials|Authentication failed"
    stranger = door_at(backend.platform.name, server, "another-key")
    with pytest.raises(AccessDenied, match=said):
        nv.files(backend=stranger)
    with pytest.raises(AccessDenied, match=said):
        nv.upload(nv.samples.page, backend=stranger)
    stranger.close()
    assert shelf_in(server).page("20", "")["data"] == []


@pytest.mark.parametrize("cloud", ["aws"], indirect=True)
def test_where_files_are_a_beta_they_are_not_known_without_its_header(
    cloud: tuple[PracticeServer, Backend],
) -> None:
    _, backend = cloud
    uploaded = nv.upload(nv.samples.page, backend=backend)
    request = nv.build_request(uploaded, "What is this?", backend=backend)
    assert (backend.count_tokens(request) or 0) > 0
    backend.platform = replace(backend.platform, files_beta="")
    for use in (backend.send, backend.stream, backend.count_tokens):
        with pytest.raises(RequestRejected, match="source"):
            use(request)
    with pytest.raises(RequestRejected, match=FILES_BETA):
        nv.files(backend=backend)


# Once --------------------------------------------------------------------------------------------


def test_the_same_content_is_stored_once_in_this_kernel_and_the_next(
    server: PracticeServer, backend: Backend
) -> None:
    first = nv.upload(nv.samples.shapes, backend=backend)
    assert nv.upload(nv.open_image(nv.samples.shapes), backend=backend).file_id == first.file_id
    new_kernel()
    assert nv.upload(nv.samples.shapes, backend=backend).file_id == first.file_id
    twice = nv.upload([nv.samples.shapes, nv.samples.shapes], backend=backend)
    assert [one.file_id for one in twice] == [first.file_id] * 2
    assert uploads(server) == 1
    assert first.sha256 in nv.files(backend=backend)[0].name
    assert "shapes" not in nv.files(backend=backend)[0].name


def test_another_key_at_the_same_address_is_asked_what_it_sees() -> None:
    with asked("anthropic", failing_after(9)) as (backend, place):
        nv.upload(coloured(1), backend=backend)
        other = door("anthropic", place.url, "sk-ant-another")
        again = door("anthropic", place.url)
        scopes = [one.files.scope for one in (backend, other, again)]  # type: ignore[attr-defined]
        assert scopes[0] == scopes[2] != scopes[1]
        assert not any(key in scope for scope in scopes for key in (KEY, "another"))
        before = len(place.arrived)
        nv.upload(coloured(1), backend=other)
        assert "limit=1000" in place.arrived[before].line
        other.close()
        again.close()


def test_another_model_or_picture_is_other_content(
    server: PracticeServer, backend: Backend
) -> None:
    high = nv.upload(nv.samples.shapes, backend=backend)
    standard = nv.upload(nv.samples.shapes, backend=backend, model="practice-standard")
    assert high.file_id != standard.file_id
    assert standard.fit.resized != high.fit.resized
    assert uploads(server) == 2


def test_what_was_deleted_is_stored_again_whoever_deleted_it(
    server: PracticeServer, backend: Backend
) -> None:
    first = nv.upload(nv.samples.page, backend=backend)
    shelf_in(server).delete(first.file_id)
    second = nv.upload(nv.samples.page, backend=backend)
    assert second.file_id != first.file_id
    assert nv.delete_files(second, backend=backend) == [second.file_id]
    assert nv.upload(nv.samples.page, backend=backend).file_id not in {
        first.file_id,
        second.file_id,
    }


def test_a_file_of_the_same_name_and_another_size_is_not_taken_for_it(
    server: PracticeServer, backend: Backend
) -> None:
    prepared = nv.prepare(nv.samples.page, backend=backend)
    name = f"nbvision-{prepared.sha256}.png"
    row = shelf_in(server).add(name, "image/png", prepared.data + b"x")
    assert nv.upload(prepared, backend=backend).file_id != row["id"]


@pytest.mark.parametrize(
    ("kept_for", "asked_for", "is_found"),
    [
        (None, None, True),
        (7200, None, False),
        (None, 7200, False),
        (7200, 7200, True),
        (7200, 3600, False),
        (3600, 7200, True),
        (3600, 10_000, False),
    ],
)
def test_a_file_is_found_again_if_it_lasts_as_long_as_is_asked_for(
    backend: Backend, kept_for: int | None, asked_for: int | None, *, is_found: bool
) -> None:
    first = nv.upload(nv.samples.page, backend=backend, expires_in=kept_for)
    second = nv.upload(nv.samples.page, backend=backend, expires_in=asked_for)
    # An hour is about half of two, less the moment that has passed since.
    assert (second.file_id == first.file_id) is (is_found and kept_for != 3600)


def test_a_file_about_to_expire_is_stored_again(
    monkeypatch: pytest.MonkeyPatch, backend: Backend
) -> None:
    first = nv.upload(nv.samples.page, backend=backend, expires_in=3600)
    later = datetime.now(UTC) + timedelta(seconds=3000)
    monkeypatch.setattr(
        StoredFile, "seconds_left", property(lambda row: (row.expires_at - later).total_seconds())
    )
    assert nv.upload(nv.samples.page, backend=backend, expires_in=3600).file_id != first.file_id


def test_an_expired_file_is_refused_before_and_explained_after_sending(
    server: PracticeServer, backend: Backend
) -> None:
    uploaded = nv.upload(nv.samples.page, backend=backend, expires_in=3600)
    expired = replace(uploaded, expires_at=datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(LimitExceeded, match="has expired") as caught:
        nv.describe(expired, backend=backend)
    assert "nv.upload" in caught.value.cure
    shelf_in(server).now = lambda: datetime.now(UTC) + timedelta(seconds=4000)
    with pytest.raises(RequestRejected, match="expired") as rejected:
        nv.describe(uploaded, backend=backend)
    assert "nv.upload" in rejected.value.cure


def test_a_deleted_file_asked_about_says_to_upload_it_again(backend: Backend) -> None:
    uploaded = nv.upload(nv.samples.page, backend=backend)
    nv.delete_files([uploaded], backend=backend)
    with pytest.raises(RequestRejected, match="File not found") as caught:
        nv.describe(uploaded, backend=backend)
    assert "nv.upload" in caught.value.cure


# Several -----------------------------------------------------------------------------------------


def test_more_than_twenty_are_prepared_for_one_request_and_fewer_are_not(
    backend: Backend,
) -> None:
    large = [coloured(n, (2400, 300)) for n in range(21)]
    few = nv.upload(large[:2], backend=backend)
    many = nv.upload(large, backend=backend)
    assert {one.fit.resized.long_edge for one in few} == {2400}
    assert {one.fit.resized.long_edge for one in many} == {1988}
    with pytest.raises(LimitExceeded, match="prepared at 2400") as caught:
        nv.ask([*many, few[0]], "What is this?", backend=backend)
    assert "upload them together" in caught.value.cure
    mended = nv.upload([*many, few[0]], backend=backend)
    assert nv.ask(mended, "What is this?", backend=backend).stop_reason == "end_turn"


def failing_after(count: int) -> Answer:
    """Store so many files, and break on the next."""
    stored = []

    def answer(connection: Connection, arrived: Arrived) -> None:
        if arrived.line.startswith("GET"):
            connection.reply({"data": stored, "next_page": None})
        elif len(stored) < count:
            name = arrived.body.partition(b'filename="')[2].partition(b'"')[0].decode()
            data = arrived.body.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
            kind = "image/png" if name.endswith("png") else "image/jpeg"
            row = {"type": "file", "id": f"file_{len(stored)}", "filename": name}
            row |= {"mime_type": kind, "size_bytes": len(data)}  # type: ignore[dict-item]
            row |= {"created_at": "2026-11-20T10:00:00Z"}
            stored.append(row)
            connection.reply(row)
        else:
            connection.reply({"error": {"type": "api_error", "message": "Broke."}}, 500)

    return answer


def test_when_one_fails_those_that_are_stored_are_not_stored_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uploading, "_AT_ONCE", 1)
    pictures = [coloured(n) for n in range(4)]
    with asked("anthropic", failing_after(3)) as (backend, place):
        for tries in (4, 5):
            with pytest.raises(BackendError):
                nv.upload(pictures, backend=backend)
            assert sum(a.line.startswith("POST") for a in place.arrived) == tries
        assert nv.upload(pictures[0], backend=backend).file_id == "file_0"


def test_an_interrupt_keeps_what_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "_AT_ONCE", 1)
    storing, is_slow, is_stored = failing_after(99), threading.Event(), threading.Event()

    def answer(connection: Connection, arrived: Arrived) -> None:
        posts = sum(a.line.startswith("POST") for a in place.arrived)
        if posts == 3 and not is_slow.is_set():
            is_slow.set()
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)
        storing(connection, arrived)
        if posts == 3:
            is_stored.set()

    pictures = [coloured(n) for n in range(6)]
    with asked("anthropic", answer) as (backend, place):
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            nv.upload(pictures, backend=backend)
        assert time.monotonic() - started < 2
        assert is_stored.wait(5)
        uploaded = nv.upload(pictures, backend=backend)
    assert sum(a.line.startswith("POST") for a in place.arrived) == 6
    assert len({one.file_id for one in uploaded}) == 6


def at_once(count: int, act: Any) -> list[Any]:
    """What came of it in each of several threads that begin together."""
    begin, came = threading.Barrier(count), []

    def run() -> None:
        begin.wait(10)
        try:
            came.append(act())
        except nv.NbvisionError as error:
            came.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return came


def test_threads_that_want_the_same_picture_store_it_once(
    server: PracticeServer, backend: Backend
) -> None:
    came = at_once(8, lambda: nv.upload(nv.samples.shapes, backend=backend).file_id)
    assert (len(came), len(set(came)), uploads(server)) == (8, 1, 1)
    both = [nv.samples.shapes, nv.samples.page]
    came = at_once(8, lambda: tuple(one.file_id for one in nv.upload(both, backend=backend)))
    assert (len(came), len(set(came)), uploads(server)) == (8, 1, 2)
    assert uploading._under_way == {}


def test_threads_that_want_it_for_another_time_store_it_each(
    server: PracticeServer, backend: Backend
) -> None:
    seconds = iter([None, 3600, 86_400])
    came = at_once(
        3, lambda: nv.upload(nv.samples.page, backend=backend, expires_in=next(seconds)).file_id
    )
    assert (len(set(came)), uploads(server)) == (3, 3)


def slow_to_store(held: threading.Event, status: int = 200) -> Answer:
    """Answer uploads only when the event is set."""
    storing = failing_after(99 if status == 200 else 0)

    def answer(connection: Connection, arrived: Arrived) -> None:
        if arrived.line.startswith("POST"):
            assert held.wait(10)
        storing(connection, arrived)

    return answer


def posts_to(place: Wire) -> int:
    return sum(a.line.startswith("POST") for a in place.arrived)


def test_threads_that_wait_for_an_upload_share_its_error() -> None:
    held, ends = threading.Event(), []
    with asked("anthropic", slow_to_store(held, 500)) as (backend, place):
        threading.Timer(0.5, held.set).start()
        ends = at_once(6, lambda: nv.upload(coloured(1), backend=backend))
        assert posts_to(place) == 1
        with pytest.raises(BackendError):
            nv.upload(coloured(1), backend=backend)
        assert posts_to(place) == 2
    assert [type(end) for end in ends] == [type(ends[0])] * 6
    assert isinstance(ends[0], BackendError)


def test_who_waits_stores_it_when_the_thread_that_stored_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uploading, "_AT_ONCE", 1)
    held, stop, came = threading.Event(), StopSignal(), []
    pictures = [coloured(1), coloured(2)]

    def stoppably() -> None:
        with stoppable(stop), pytest.raises(Interrupted):
            nv.upload(pictures, backend=backend)

    with asked("anthropic", slow_to_store(held)) as (backend, place):
        first = threading.Thread(target=stoppably)
        first.start()
        wait_for(lambda: posts_to(place) == 1)
        # The second picture waits in the first thread's queue, and is never sent from there.
        second = threading.Thread(
            target=lambda: came.append(nv.upload(pictures[1], backend=backend))
        )
        second.start()
        time.sleep(0.2)
        assert posts_to(place) == 1
        stop.set()
        held.set()
        for thread in (first, second):
            thread.join(10)
    assert (posts_to(place), len(came)) == (2, 1)


def test_who_waits_for_an_upload_can_be_stopped() -> None:
    held, stop, ends = threading.Event(), StopSignal(), []

    def stoppably() -> None:
        with stoppable(stop):
            try:
                nv.upload(coloured(1), backend=backend)
            except Interrupted as error:
                ends.append(error)

    with asked("anthropic", slow_to_store(held)) as (backend, place):
        first = threading.Thread(target=lambda: nv.upload(coloured(1), backend=backend))
        first.start()
        wait_for(lambda: posts_to(place) == 1)
        second = threading.Thread(target=stoppably)
        second.start()
        time.sleep(0.1)
        stop.set()
        second.join(5)
        assert len(ends) == 1
        held.set()
        first.join(10)
        assert posts_to(place) == 1


def wait_for(is_so: Any, seconds: float = 10) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_bytes_that_are_stored_as_others_are_not_trusted() -> None:
    def answer(connection: Connection, arrived: Arrived) -> None:
        row = {"id": "file_1", "filename": "x", "mime_type": "image/png", "size_bytes": 1}
        row["created_at"] = "2026-11-20T10:00:00Z"
        rows = {"data": [], "next_page": None}
        connection.reply(rows if arrived.line.startswith("GET") else row)

    with (
        asked("anthropic", answer) as (backend, _),
        pytest.raises(UnreadableAnswer, match="as 1"),
    ):
        nv.upload(coloured(1), backend=backend)


# Refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, 3599, 7_776_001, "1h", 3600.0, True, timedelta(2)])
def test_a_time_out_of_bounds_is_refused_before_anything_is_sent(
    server: PracticeServer, backend: Backend, seconds: Any
) -> None:
    with pytest.raises(RequestError, match="expires_in"):
        nv.upload(nv.samples.page, backend=backend, expires_in=seconds)
    assert server.requests == ()


@pytest.mark.parametrize("given", [[], 5, None, b"", "nothing.png", [nv.samples.page, 5]])
def test_what_is_no_picture_is_not_uploaded(
    server: PracticeServer, backend: Backend, given: Any
) -> None:
    with pytest.raises(nv.NbvisionError):
        nv.upload(given, backend=backend)
    assert server.requests == ()


def test_a_remote_picture_is_not_here_to_be_uploaded(backend: Backend) -> None:
    with pytest.raises(RequestError, match="is not known here"):
        nv.upload(nv.remote_image("https://example.org/a.png"), backend=backend)


def test_a_place_without_files_says_so_before_anything_is_sent() -> None:
    bedrock = nv.connect("bedrock", region="us-east-1", api_key="x" * 20)
    for act in (nv.upload, nv.delete_files):
        with pytest.raises(RequestError, match="bedrock keeps no files") as caught:
            act(nv.samples.page, backend=bedrock)
        assert caught.value.cure
    with pytest.raises(RequestError):
        nv.files(backend=bedrock)
    bedrock.close()


def test_a_picture_that_lies_elsewhere_is_refused_with_the_cure(backend: Backend) -> None:
    uploaded = nv.upload(nv.samples.page, backend=backend)
    other = nv.connect("practice", words_per_second=None)
    with pytest.raises(LimitExceeded, match="lies at anthropic at http") as caught:
        nv.describe(uploaded, backend=other)
    assert caught.value.limit.startswith("the files of practice at")
    assert nv.describe(nv.upload(uploaded, backend=other), backend=other).text
    with pytest.raises(RequestError, match="lie at"):
        nv.delete_files(uploaded, backend=other)


def test_a_picture_made_for_a_larger_tier_is_refused_and_one_for_a_smaller_taken(
    backend: Backend,
) -> None:
    high = nv.upload(nv.samples.shapes, backend=backend)
    with pytest.raises(LimitExceeded, match="would resize") as caught:
        nv.locate(high, "every shape", model="practice-standard", backend=backend)
    assert "nv.upload(image, model='practice-standard')" in caught.value.cure
    standard = nv.upload(high, model="practice-standard", backend=backend)
    found = nv.locate(standard, "every shape", backend=backend)
    assert found.reply.model == "practice-high"
    assert max(nv.samples.shapes.truth[0].iou(box) for box in found.boxes) > 0.9


def test_a_closed_connection_says_so(backend: Backend) -> None:
    uploaded = nv.upload(nv.samples.page, backend=backend)
    backend.close()
    for act in (
        lambda: nv.upload(nv.samples.shapes, backend=backend),
        lambda: nv.files(backend=backend),
        lambda: nv.delete_files(uploaded, backend=backend),
    ):
        with pytest.raises(NotConnected, match="was closed"):
            act()


# Listing and deleting ----------------------------------------------------------------------------


def test_files_are_shown_as_a_table_and_hostile_names_do_nothing(
    server: PracticeServer, backend: Backend
) -> None:
    nv.upload(nv.samples.page, backend=backend, expires_in=3600)
    shelf_in(server)._files["file_x"] = replace(
        next(iter(shelf_in(server)._files.values())),
        id="file_x",
        filename="<img src=x onerror=alert(1)>\nfile_y \u202e.png",
    )
    table = nv.files(backend=backend)
    shown = table._repr_mimebundle_()
    assert "<img" not in shown["text/html"]
    assert len(shown["text/plain"].splitlines()) == 3
    assert "\u202e" not in shown["text/plain"] + shown["text/html"] + repr(table[0])
    assert len(table) == 2
    assert [row.id for row in table] == [table[0].id, table[1].id]


def test_what_is_needed_of_a_file_stands_before_a_short_name(
    server: PracticeServer, backend: Backend
) -> None:
    name = f"nbvision-a5254aa8{'0' * 56}.png"
    for name_given in (name, "x" * 99):
        shelf_in(server).add(name_given, "image/png", b"x" * 4000)
    table = nv.files(backend=backend)
    shown = table._repr_mimebundle_()["text/html"]
    headings = re.findall(r"<th [^>]*>([^<]*)</th>", shown)
    assert headings == ["id", "expires", "kB", "created", "name"]
    cells = re.findall(r'<td style="text-align:left;white-space:pre">([^<]*)</td>', shown)
    assert cells[4::5] == [f"{'x' * 39}…", "nbvision-a5254aa8….png"]
    assert cells[1:3] == ["never", "4"]
    assert table[1].name == name


def test_a_long_list_is_bounded_and_says_that_there_is_more(
    server: PracticeServer, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "_MOST_LISTED", 50)
    for number in range(60):
        shelf_in(server).add(f"{number}.png", "image/png", b"x")
    table = nv.files(backend=backend)
    assert (len(table), table.has_more, table[0].name) == (50, True, "59.png")
    shown = table._repr_mimebundle_()["text/plain"]
    assert "50+ files" in shown
    assert "the newest 30 are shown" in shown


def test_files_are_deleted_however_they_are_named(backend: Backend) -> None:
    one, two, three, four = nv.upload([coloured(n) for n in range(4)], backend=backend)
    assert nv.delete_files(one, backend=backend) == [one.file_id]
    row = next(row for row in nv.files(backend=backend) if row.id == two.file_id)
    assert nv.delete_files([row, three.file_id, one], backend=backend) == [
        two.file_id,
        three.file_id,
    ]
    assert nv.delete_files(nv.files(backend=backend), backend=backend) == [four.file_id]
    assert nv.delete_files([], backend=backend) == []
    assert len(nv.files(backend=backend)) == 0


@pytest.mark.parametrize(
    "wrong",
    [5, None, "../x", "", "a/b", "<script>", "page.png", b"file_1", ["file_1", 5], {"id": "x"}],
)
def test_what_is_no_file_is_not_deleted_and_neither_is_anything_beside_it(
    server: PracticeServer, backend: Backend, wrong: Any
) -> None:
    with pytest.raises(RequestError, match="is no file"):
        nv.delete_files(wrong, backend=backend)
    assert server.requests == ()


def test_a_row_is_no_picture_and_says_what_is(backend: Backend) -> None:
    nv.upload(nv.samples.page, backend=backend)
    with pytest.raises(RequestError, match="StoredFile") as caught:
        nv.describe(nv.files(backend=backend)[0], backend=backend)
    assert "nv.upload" in caught.value.cure


def test_an_uploaded_picture_shows_itself_small_and_where_it_lies(backend: Backend) -> None:
    uploaded = nv.upload(nv.samples.photo, backend=backend, expires_in=3600)
    shown = uploaded._repr_mimebundle_()
    assert uploaded.file_id in shown["text/plain"]
    assert "UTC" in shown["text/plain"]
    assert len(shown["text/html"]) < 300_000
    assert len(repr(uploaded)) < 120


def test_what_is_named_counts_and_is_kept_as_what_is_carried(backend: Backend) -> None:
    samples = [nv.samples.shelf_before, nv.samples.shelf_after, nv.samples.shapes]
    named = nv.upload(samples, backend=backend)
    words = "How many pictures are these?"
    carried = nv.ask(samples, words, backend=backend).usage.total_input_tokens
    assert nv.ask(named, words, backend=backend).usage.total_input_tokens == carried
    chat = nv.Conversation(backend=backend)
    chat.ask("How do they differ?", named[:2])
    second = chat.ask("And this one?", named[2])
    assert second.usage.cache_read_tokens > 5000
