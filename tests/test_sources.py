"""Every source of a picture in every call, and many of them: frames, sizes, limits."""

import contextlib
import io
import json
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from doors import asked
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from wire import Answer, answer_well, wire

import nbvision as nv
from nbvision.backends import Backend
from nbvision.catalogue import find_model
from nbvision.errors import LimitExceeded, RequestError, RequestRejected, UnsafeSource
from nbvision.findings import Findings
from nbvision.geometry import HIGH, STANDARD, Box, Fit, Point, Size
from nbvision.images import SourceImage, open_image
from nbvision.platforms import find_platform
from nbvision.practice import PracticeServer
from nbvision.preflight import check_images
from nbvision.prepared import PreparedImage
from nbvision.referenced import RemoteImage, UploadedImage
from nbvision.request import Request, RequestMessage, build_request

REMOTE = nv.remote_image("https://example.org/door.jpg?signature=abc")
OPUS, HAIKU = find_model("claude-opus-5-5"), find_model("claude-haiku-4-5")
API = find_platform("anthropic")
LARGE = open_image(Image.new("RGB", (2400, 1000), "teal"))
SMALL = open_image(Image.new("RGB", (300, 200), "teal"))


@pytest.fixture(scope="module")
def practice() -> Backend:
    return nv.connect("practice", words_per_second=None)


def uploaded(image: PreparedImage, held_by: str = "") -> UploadedImage:
    return UploadedImage(
        image.data,
        image.media_type,
        image.fit,
        image.findings,
        image.source,
        file_id="file_1",
        held_by=held_by,
    )


# Every source, every call ------------------------------------------------------------------------


def sources_sent(body: dict[str, Any]) -> list[dict[str, Any]]:
    blocks = [block for message in body["messages"] for block in message["content"]]
    return [block["source"] for block in blocks if block["type"] == "image"]


def test_sources_of_every_kind_go_over_the_wire_in_their_order() -> None:
    with asked("anthropic", answer_well) as (backend, place):
        assert backend.files is not None
        prepared = nv.prepare(SMALL, backend=backend)
        mixed = [uploaded(prepared, backend.files.held_by), REMOTE, nv.samples.shapes, prepared]
        nv.ask(mixed, "What is this?", backend=backend)
        nv.describe(REMOTE, backend=backend)
        nv.compare([REMOTE, mixed[0]], backend=backend)
        chat = nv.Conversation(backend=backend)
        chat.ask("What is this?", *mixed)
        chat.ask("And now?", REMOTE)
    found = [sources_sent(arrived.json) for arrived in place.arrived]
    kinds = [[source["type"] for source in sources] for sources in found]
    all_kinds = ["file", "url", "base64", "base64"]
    assert kinds == [all_kinds, ["url"], ["url", "file"], all_kinds, [*all_kinds, "url"]]
    assert found[1] == [{"type": "url", "url": REMOTE.url}]
    assert found[0][0] == {"type": "file", "file_id": "file_1"}
    assert found[0][3]["data"] == prepared.base64()


def test_a_remote_picture_promises_nothing_of_its_size() -> None:
    request = nv.build_request([REMOTE, SMALL], "What is this?", model="claude-opus-5-5")
    blocks = request.body()["messages"][0]["content"]
    assert "transformations" not in blocks[1]
    assert blocks[3]["transformations"] == {"oversized_image": "error"}


def test_an_array_may_be_described(practice: Backend) -> None:
    reply = nv.describe(np.zeros((60, 80, 3), dtype=np.uint8), backend=practice)
    assert "80 × 60" in reply.text


def test_a_prepared_picture_is_sent_byte_for_byte_and_its_boxes_land(practice: Backend) -> None:
    prepared = nv.prepare(nv.samples.shapes, backend=practice, exact=True)
    found = nv.locate(prepared, "every shape", backend=practice)
    assert found.reply.request.images == (prepared,)
    assert found.image is prepared.source
    for truth in nv.samples.shapes.truth:
        assert max(truth.iou(box) for box in found.boxes) > 0.9


def test_a_frame_made_for_a_smaller_tier_is_asked_about_in_its_own_pixels(
    practice: Backend,
) -> None:
    prepared = nv.prepare(nv.samples.shapes, model="practice-standard", backend=practice)
    found = nv.locate(prepared, "every shape", model="practice-high", backend=practice)
    assert f"{prepared.fit.resized}" in found.reply.request.messages[0].blocks[-1]
    assert max(nv.samples.shapes.truth[0].iou(box) for box in found.boxes) > 0.9


@pytest.mark.parametrize("kind", ["prepare", "upload"])
def test_a_frame_that_the_model_would_resize_is_refused_with_the_cure(
    practice: Backend, kind: str
) -> None:
    prepared = nv.prepare(LARGE, model="claude-opus-5-5", backend=practice)
    image = prepared if kind == "prepare" else uploaded(prepared, practice.files.held_by)  # type: ignore[union-attr]
    for act in (nv.describe, nv.build_request):
        with pytest.raises(LimitExceeded, match="2400 × 1000") as caught:
            act(image, model="practice-standard", backend=practice)
        assert f"nv.{kind}(image, model='practice-standard')" in caught.value.cure
    assert "frame" in nv.check(image, model="practice-standard", backend=practice).errors.codes


def test_bytes_beyond_the_places_limit_are_refused_with_the_cure() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (1300, 1300, 3), dtype=np.uint8)
    prepared = nv.prepare(noise, model="claude-opus-5-5", exact=True)
    assert prepared.base64_length > 5_000_000
    found = check_images([prepared], OPUS, find_platform("bedrock"))
    assert found.errors.codes == ("bytes",)
    assert "the picture itself" in found.errors[0].cure
    assert check_images([prepared], OPUS, API).errors == ()


@given(st.integers(1, 9000), st.integers(1, 9000), st.sampled_from([OPUS, HAIKU]))
@settings(max_examples=60, deadline=None)
def test_exactly_the_frames_a_model_leaves_alone_are_taken(
    width: int, height: int, model: nv.Model
) -> None:
    fit = Fit.of((width, height), HIGH)
    prepared = PreparedImage(b"x", "image/png", fit, Findings(), SMALL)
    found = check_images([prepared], model, API)
    is_left_alone = Fit.of(fit.resized, model.tier).resized == fit.resized
    assert ("frame" not in found.errors.codes) is is_left_alone


# At an address -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a.png",
        "ftp://example.org/a.png",
        "file:///etc/passwd",
        "https://",
        "https:///a.png",
        "example.org/a.png",
        "",
        "https://me:secret@example.org/a.png",
        "https://me@example.org/a.png",
        "https://localhost/a.png",
        "https://a.localhost/a.png",
        "https://intranet/a.png",
        "https://printer.local/a.png",
        "https://metadata.google.internal/a.png",
        "https://127.0.0.1/a.png",
        "https://2130706433/a.png",
        "https://0x7f.1/a.png",
        "https://0177.0.0.1/a.png",
        "https://１２７.0.0.1/a.png",
        "https://10.1.2.3/a.png",
        "https://192.168.0.1./a.png",
        "https://169.254.169.254/latest",
        "https://[::1]/a.png",
        "https://[fe80::1%25eth0]/a.png",
        "https://[::ffff:127.0.0.1]/a.png",
        "https://[::1",
        "https://example.org:port/a.png",
        "https://example.org:99999/a.png",
        "https://a..org/a.png",
        "https://exam ple.org/a.png",
        "https://example.org/a b.png",
        "https://example.org/a.png\r\nx-api-key: 1",
        "https://example.org/\x00.png",
        "https://example.org/\u202egnp.a",
        "https://example.org\\@evil.org/",
        f"https://example.org/{'a' * 8000}",
        None,
        5,
        b"https://example.org/a.png",
        nv.samples.page,
    ],
)
def test_an_address_the_service_could_not_or_should_not_fetch_is_refused(url: Any) -> None:
    with pytest.raises(UnsafeSource):
        nv.RemoteImage(url)
    with pytest.raises(UnsafeSource) as caught:
        nv.remote_image(url)
    assert caught.value.limit or caught.value.cure
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a.png",
        "HTTPS://EXAMPLE.ORG:8443/a.png?x=1&y=2#z",
        "https://münchen.example/Tür.png",
        "https://93.184.216.34/a.png",
        "https://a_b.s3.eu-west-1.amazonaws.com/a%20b.png",
    ],
)
def test_a_public_address_is_kept_as_it_is(url: str) -> None:
    assert nv.remote_image(url).url == url


@given(st.one_of(st.text(), st.from_regex(r"https://[^/]{0,30}/?.{0,20}")))
@settings(max_examples=300, deadline=None)
def test_any_text_is_an_address_or_one_error(text: str) -> None:
    image = None
    with contextlib.suppress(UnsafeSource):
        image = nv.remote_image(text)
    # Whatever is taken is kept as it is, and shown short.
    assert image is None or (image.url == text and len(repr(image)) < 300)


def test_a_remote_picture_shows_itself_as_text_without_what_may_be_a_signature() -> None:
    hostile = nv.remote_image("https://example.org/<script>alert(1)</script>?signature=abc")
    shown = hostile._repr_mimebundle_()
    assert set(shown) == {"text/plain", "text/html"}
    assert "<script>" not in shown["text/html"]
    assert "<img" not in shown["text/html"]
    chat_words = json.dumps(shown) + repr(hostile)
    with PracticeServer() as server:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key=server.token
        )
        request = nv.build_request(hostile, "What is this?", backend=backend)
        backend.close()
    chat_words += json.dumps(request.abridged()) + json.dumps(request._repr_mimebundle_())
    assert "abc" not in chat_words


@pytest.mark.parametrize("platform", ["bedrock", "bedrock-converse", "vertex"])
def test_where_no_addresses_or_files_are_taken_they_are_refused_with_the_cure(
    platform: str,
) -> None:
    place = find_platform(platform)
    found = check_images([REMOTE], OPUS, place).errors
    assert (found.codes, found[0].cure) == (("source",), "fetch it here: nv.open_image(url)")
    found = check_images([uploaded(nv.prepare(SMALL))], OPUS, place).errors
    assert (found.codes, found[0].cure) == (
        ("source",),
        "give the picture itself: uploaded.source",
    )


def test_the_practice_server_fetches_nothing_and_says_so(practice: Backend) -> None:
    with pytest.raises(LimitExceeded, match="not taken there") as caught:
        nv.describe(REMOTE, backend=practice)
    assert caught.value.cure == "fetch it here: nv.open_image(url)"
    with PracticeServer() as server:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key=server.token
        )
        with pytest.raises(RequestRejected, match="fetches nothing"):
            nv.describe(REMOTE, backend=backend)
        backend.close()


def test_places_and_previews_need_a_picture_that_was_seen_here(practice: Backend) -> None:
    chat = nv.Conversation(backend=practice)
    for act in (
        lambda: nv.locate(REMOTE, "the door", backend=practice),
        lambda: chat.locate("the door", REMOTE),
        lambda: nv.preview(REMOTE),
        lambda: nv.prepare(REMOTE),
    ):
        with pytest.raises(RequestError, match="is not known here") as caught:
            act()
        assert caught.value.cure == "fetch it here: nv.open_image(url)"
    assert chat.turns == ()


def test_a_remote_picture_is_told_and_estimated_at_the_most_it_can_cost() -> None:
    (finding,) = check_images([REMOTE], OPUS, find_platform("anthropic"))
    assert (finding.code, finding.level) == ("remote", "info")
    assert "learns the address" in finding.value
    row = nv.estimate([REMOTE, Image.new("RGB", (1000, 1000))], models="claude-opus-5-5").rows[0]
    assert row.visual_tokens == 4784 + 1296
    assert row.is_upper_bound
    shown = nv.estimate(REMOTE, models="claude-opus-5-5")._repr_mimebundle_()
    assert "at most 4,784" in shown["text/plain"]


def test_what_is_only_named_is_not_counted_by_the_service(practice: Backend) -> None:
    estimate = nv.estimate([REMOTE, SMALL], models="practice-high", backend=practice)
    assert not estimate.rows[0].is_counted
    prepared = nv.prepare(SMALL, backend=practice)
    counted = nv.estimate(prepared, models="practice-high", backend=practice).rows[0]
    assert counted.is_counted
    assert counted.visual_tokens == prepared.visual_tokens


def test_a_prepared_picture_is_previewed_as_it_is() -> None:
    prepared = nv.prepare(nv.samples.page, model="claude-haiku-4-5", exact=True)
    assert nv.preview(prepared, model="claude-opus-5-5").prepared is prepared


# Many --------------------------------------------------------------------------------------------

SIDES = st.integers(1, 12_000)


@given(SIDES, SIDES, st.sampled_from([HIGH, STANDARD]))
@settings(max_examples=200, deadline=None)
def test_a_frame_among_many_is_within_the_limit_and_left_alone_by_the_model(
    width: int, height: int, tier: nv.Tier
) -> None:
    plain, many = (Fit.of((width, height), tier, side_limit=limit) for limit in (None, 2000))
    assert many.resized.long_edge <= 2000
    assert Fit.of(many.resized, tier).resized == many.resized
    if plain.resized.long_edge <= 2000:
        assert many == plain
    # As large as whole patches allow.
    else:
        assert many.resized.long_edge > 2000 - 2 * 28


@given(SIDES, SIDES, st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=200, deadline=None)
def test_places_among_many_travel_there_and_back(
    width: int, height: int, across: float, down: float
) -> None:
    fit = Fit.of((width, height), HIGH, side_limit=2000, crop_origin=(30, 40))
    place = Point(30 + across * width, 40 + down * height)
    back = fit.to_original(fit.to_resized(place))
    assert abs(back.x - place.x) < 1e-6 * max(1, place.x)
    assert abs(back.y - place.y) < 1e-6 * max(1, place.y)
    assert fit.to_original(Box(0, 0, *fit.resized)).xyxy == pytest.approx(
        (30, 40, 30 + width, 40 + height)
    )


def frames_sent(request: Request) -> list[Size]:
    sizes = []
    for image in request.images:
        assert isinstance(image, PreparedImage)
        with Image.open(io.BytesIO(image.data)) as opened:
            sizes.append(Size(*opened.size))
    assert sizes == [image.fit.resized for image in request.images]  # type: ignore[union-attr]
    return sizes


def test_large_pictures_are_sent_smaller_only_when_they_are_more_than_twenty() -> None:
    few = nv.build_request([LARGE] * 20, "What is this?", model="claude-opus-5-5")
    assert set(frames_sent(few)) == {Size(2400, 1000)}
    many = nv.build_request([LARGE] * 20 + [SMALL], "What is this?", model="claude-opus-5-5")
    assert set(frames_sent(many)) == {Size(1988, 828), Size(300, 200)}


def test_boxes_land_in_a_picture_that_was_made_smaller_because_there_are_many(
    practice: Backend,
) -> None:
    chat = nv.Conversation(backend=practice)
    chat.ask("What are these?", [SMALL] * 20)
    found = chat.locate("every shape", nv.samples.shapes)
    sent = found.reply.request.images[-1]
    assert isinstance(sent, PreparedImage)
    assert sent.fit.resized == Size(1988, 1325)
    assert "1988 × 1325" in found.reply.request.messages[-1].blocks[-1]
    for truth in nv.samples.shapes.truth:
        assert max(truth.iou(box) for box in found.boxes) > 0.9


def test_what_was_sent_large_cannot_become_one_of_many(practice: Backend) -> None:
    chat = nv.Conversation(backend=practice)
    chat.ask("What is this?", LARGE)
    with pytest.raises(LimitExceeded, match="image 1: a picture prepared at 2400") as caught:
        chat.ask("And these?", [SMALL] * 20)
    assert "begin a new conversation" in caught.value.cure
    assert len(chat.turns) == 1
    chat.ask("And these?", [SMALL] * 19)


@pytest.mark.parametrize(
    ("model", "most"), [("practice-claude-haiku-4-5", 100), ("practice-high", 600)]
)
def test_pictures_are_counted_over_all_turns(practice: Backend, model: str, most: int) -> None:
    tiny = nv.prepare(Image.new("RGB", (8, 8)), model=model, backend=practice)
    named = nv.upload(tiny, model=model, backend=practice)
    chat = nv.Conversation(model=model, backend=practice)
    chat.ask("What are these?", [named] * (most - 1))
    chat.ask("And this?", tiny)
    with pytest.raises(LimitExceeded, match=f"{most + 1} images, earlier turns") as caught:
        chat.ask("And this?", tiny)
    assert caught.value.limit == f"{most} for {model}"
    assert caught.value.cure == "begin a new conversation"
    with pytest.raises(LimitExceeded, match=f"{most + 1} images"):
        nv.describe([named] * (most + 1), model=model, backend=practice)


def test_the_practice_server_refuses_one_more_too(practice: Backend) -> None:
    named = nv.upload(Image.new("RGB", (8, 8)), backend=practice)
    request = nv.build_request([named] * 600, "What is this?", backend=practice)
    message = replace(request.messages[0], blocks=(named, *request.messages[0].blocks))
    with pytest.raises(RequestRejected, match="too many images: 601"):
        practice.send(replace(request, messages=(message,)))


def test_a_conversation_goes_on_with_bytes_where_a_file_cannot_be_named(practice: Backend) -> None:
    chat = nv.Conversation(backend=practice)
    chat.ask("What is this?", nv.upload(SMALL, backend=practice))
    with PracticeServer(words_per_second=None) as other:
        elsewhere = nv.connect("anthropic", base_url=other.url, api_key=other.token)
        bedrock = nv.connect(
            "bedrock", region="us-east-1", endpoint_url=other.url, api_key=other.token
        )
        for backend in (practice, elsewhere, bedrock):
            body = chat.ask("And now?", backend=backend).request.body()
            sources = [block["source"]["type"] for block in body["messages"][0]["content"][1:2]]
            assert sources == ["file" if backend is practice else "base64"]
            chat.undo()
        elsewhere.close()
        bedrock.close()


def test_a_conversation_cannot_go_on_where_an_address_is_not_taken(practice: Backend) -> None:
    with wire(answer_well) as place:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=place.url, api_key="not-a-key"
        )
        chat = nv.Conversation(backend=backend)
        chat.ask("What is this?", REMOTE)
        with pytest.raises(LimitExceeded, match="not taken there") as caught:
            chat.ask("And now?", backend=practice)
        backend.close()
    assert "begin a new conversation" in caught.value.cure


# Large -------------------------------------------------------------------------------------------


def padded(size_bytes: int, data: list[bytes], words: str = "") -> Request:
    """A request whose body is this long, pictures of these bytes included."""
    fit = Fit.of((800, 600), HIGH)
    images = [PreparedImage(each, "image/png", fit, Findings(), SMALL) for each in data]
    model = find_model("practice-high")
    place = replace(find_platform("practice"), request_limit_bytes=10**9)

    def made(prompt: str) -> Request:
        return build_request(images, prompt, model_id=model.id, model=model, platform=place)

    short = made(f"x{words}")
    return made(f"x{words}" + "a" * (size_bytes - short.size_bytes))


def noise(count: int) -> bytes:
    return np.random.default_rng(count).bytes(count)


LIMIT = find_platform("practice").request_limit_bytes


CLOSED = {"type": "object", "additionalProperties": False}


def test_the_size_of_a_body_is_what_arrives() -> None:
    words = 'Tür "写真" \\ \n \x7f \U0001f600'
    with PracticeServer() as server:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key=server.token
        )
        for prompt in ("x", words, words * 500):
            images = [nv.samples.page, nv.samples.shapes]
            request = nv.build_request(images, prompt, system=words, backend=backend, schema=CLOSED)
            with backend.stream(request) as events:
                next(events)
            assert server.requests[-1].size_bytes == request.size_bytes
        backend.close()


@pytest.mark.parametrize("over", [0, 1])
def test_what_is_let_through_is_taken_and_what_is_refused_would_be(over: int) -> None:
    request = padded(LIMIT + over, [noise(7_300_001), noise(7_300_002), noise(7_300_000)], "é")
    assert request.size_bytes == LIMIT + over
    arguments: Any = {
        "model_id": request.model_id,
        "model": request.model,
        "platform": find_platform("practice"),
    }
    *_, prompt = request.messages[0].blocks
    assert isinstance(prompt, str)
    with PracticeServer() as server:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key=server.token
        )
        # The pictures are noise: whoever complains of them has taken the body.
        with pytest.raises(RequestRejected) as rejected, backend.stream(request) as events:
            next(events)
        backend.close()
    if over:
        assert rejected.value.status == 413
        with pytest.raises(LimitExceeded, match=r"32\.00 MB, of which 29\.20 MB are 3 pictures"):
            build_request(request.images, prompt, **arguments)
    else:
        assert "Could not process image" in str(rejected.value)
        assert build_request(request.images, prompt, **arguments).size_bytes == LIMIT


def test_a_body_that_is_too_large_names_the_cure_of_its_place() -> None:
    data = [noise(6_000_000)] * 5
    fit = Fit.of((800, 600), HIGH)
    images = [PreparedImage(each, "image/png", fit, Findings(), SMALL) for each in data]
    for name, has_files in (("anthropic", True), ("bedrock", False)):
        with pytest.raises(LimitExceeded) as caught:
            build_request(images, "x", model_id=OPUS.id, model=OPUS, platform=find_platform(name))
        assert ("nv.upload" in caught.value.cure) is has_files


def test_counting_a_body_makes_no_copy_of_its_pictures() -> None:
    request = padded(31_000_000, [noise(7_000_000)] * 3)
    tracemalloc.start()
    assert request.size_bytes == 31_000_000
    # The words are three megabytes, and are encoded once.
    assert tracemalloc.get_traced_memory()[1] < 15_000_000
    tracemalloc.stop()


def test_uploaded_pictures_do_not_count_in_the_body() -> None:
    prepared = nv.prepare(SMALL)
    message = RequestMessage("user", (uploaded(replace(prepared, data=noise(9_000_000))), "x"))
    request = Request(OPUS.id, OPUS, API, (message,))
    assert request.size_bytes < 400


def test_earlier_turns_count_in_the_body(practice: Backend) -> None:
    noisy = np.random.default_rng(2).integers(0, 255, (1500, 1500, 3), dtype=np.uint8)
    prepared = nv.prepare(noisy, backend=practice, exact=True)
    assert prepared.base64_length > 8_000_000
    chat = nv.Conversation(backend=practice)
    chat.ask("What is this?", [prepared] * 3)
    with pytest.raises(LimitExceeded, match="a body of"):
        chat.ask("And this?", prepared)
    named = nv.upload(prepared, backend=practice)
    assert chat.ask("And this?", named).stop_reason == "end_turn"
    assert isinstance(chat.images[-1], SourceImage | RemoteImage)


@pytest.mark.parametrize(
    ("status", "message", "cure"),
    [
        (404, "File not found: file_1", "nv.upload"),
        (400, "messages.0.content.0: File `file_1` has expired", "nv.upload"),
        (400, "Unable to download the file. Please verify the URL and try again.", "open_image"),
        (400, "The URL is disallowed by robots.txt.", "open_image"),
    ],
)
def test_what_the_service_says_of_a_named_picture_names_the_cure(
    status: int, message: str, cure: str
) -> None:
    body = {"type": "error", "error": {"type": "not_found_error", "message": message}}
    if status == 400:
        body["error"] = {"type": "invalid_request_error", "message": message}
    answer: Answer = lambda connection, _: connection.reply(body, status)  # noqa: E731 - one line
    with asked("anthropic", answer) as (backend, _), pytest.raises(RequestRejected) as caught:
        nv.describe(REMOTE, backend=backend)
    assert cure in caught.value.cure
