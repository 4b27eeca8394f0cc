"""What a service's free counter says, held against our rule: honest services, and others."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from wire import Arrived, Connection, Wire, wire

import nbvision as nv
from nbvision import catalogue
from nbvision.backends import Backend
from nbvision.errors import AccessDenied, RequestError
from nbvision.geometry import HIGH, STANDARD, Size, Tier, resized_size, visual_tokens
from nbvision.practice import PracticeServer
from nbvision.proving import _flat, _largest_in

OTHER = Tier("of another house", 2000, 3000)
WIDE = Image.new("RGB", (3000, 1200), "teal")


@pytest.fixture(autouse=True)
def nothing_learned() -> Iterator[None]:
    yield
    catalogue._learned.clear()


@pytest.fixture(scope="module")
def practice() -> Backend:
    return nv.connect("practice", words_per_second=None)


Says = Callable[[list[Size]], tuple[int, Any]]


IN_WORDS = (
    "{place}: image is {w}x{h} pixels and would be resized; the largest size that fits is {lw}x{lh}"
)


def by_rule(tier: Tier, more: int = 0, words: str = IN_WORDS) -> Says:
    """Count as a service of this tier does, in its words."""

    def says(sizes: list[Size]) -> tuple[int, Any]:
        for size in sizes:
            largest = resized_size(size, tier)
            if largest != size:
                place = "messages.0.content.0"
                message = words.format(
                    place=place, w=size.width, h=size.height, lw=largest.width, lh=largest.height
                )
                return 400, {
                    "type": "error",
                    "error": {"type": "invalid_request_error", "message": message},
                }
        return 200, {"input_tokens": 9 + sum(visual_tokens(size) + more for size in sizes)}

    return says


@contextmanager
def counting(says: Says, *, forbids: bool = True) -> Iterator[tuple[Backend, Wire]]:
    """Run a service with nothing but a counter."""

    def answer(connection: Connection, arrived: Arrived) -> None:
        assert arrived.line.startswith("POST /v1/messages/count_tokens")
        blocks = arrived.json["messages"][0]["content"]
        images = [block for block in blocks if block["type"] == "image"]
        assert all(("transformations" in image) == forbids for image in images)
        data = [base64.b64decode(image["source"]["data"]) for image in images]
        sizes = [Size(*Image.open(io.BytesIO(each)).size) for each in data]
        status, body = says(sizes)
        connection.reply(body, status)

    with wire(answer) as server:
        backend = nv.connect(
            "anthropic",
            platform="anthropic",
            base_url=server.url,
            api_key="not-a-key",
            model="claude-opus-9",
        )
        yield backend, server
        backend.close()


def test_an_honest_service_agrees_for_every_model() -> None:
    with PracticeServer() as server:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key=server.token
        )
        ids = ["claude-haiku-4-5", "claude-opus-5-5"]
        proof = nv.prove(nv.samples.photo, model=ids, backend=backend)
        assert proof.agrees
        assert proof.tiers == {"claude-haiku-4-5": STANDARD, "claude-opus-5-5": HIGH}
        assert proof.tier == STANDARD
        assert len(proof.rows) == 10
        uris = {arrived.path for arrived in server.requests}
        assert uris == {"/v1/messages/count_tokens"}
        backend.close()


def test_it_shows_a_table(practice: Backend) -> None:
    proof = nv.prove(nv.samples.page, model="practice-standard", backend=practice)
    shown = proof._repr_mimebundle_()
    assert "All 5 answers are as predicted; nothing was paid." in shown["text/plain"]
    assert "our frame, 924 × 1307: accepted = accepted" in shown["text/plain"]
    assert shown["text/html"].count("<tr>") == 6
    assert repr(proof) == "Proof(practice-standard: agrees)"


def test_one_answer_is_no_plural(practice: Backend) -> None:
    proof = nv.prove(nv.samples.page, model="practice-standard", backend=practice)
    alone = replace(proof, rows=proof.rows[:1])
    assert alone.verdict() == "The one answer is as predicted; nothing was paid."


def test_a_service_of_the_other_tier_is_reported_and_can_be_remembered() -> None:
    with counting(by_rule(STANDARD)) as (backend, _):
        proof = nv.prove(WIDE, backend=backend)
        assert not proof.agrees
        assert [row.agrees for row in proof.rows] == [False, False, None, False, False]
        assert proof.tier == STANDARD
        assert "4 of 4 answers differ" in proof.verdict()
        assert nv.fit((3000, 1200), model="claude-opus-9").tier == HIGH
        proof.remember()
        assert nv.fit((3000, 1200), model="us.anthropic.claude-opus-9").tier == STANDARD
        assert nv.prove(WIDE, backend=backend).agrees


def test_a_tier_that_nobody_knows_is_found_from_the_sizes() -> None:
    with counting(by_rule(OTHER)) as (backend, _):
        proof = nv.prove(WIDE, backend=backend)
        assert not proof.agrees
        assert proof.tier is not None
        assert proof.tier.edge_limit == 1988  # the largest side of whole patches below 2,000
        assert 2900 < proof.tier.visual_token_limit <= 3000
        proof.remember()
        assert nv.prove(WIDE, backend=backend).agrees


def test_a_count_that_differs_is_reported_with_its_number() -> None:
    with counting(by_rule(HIGH, more=3)) as (backend, _):
        proof = nv.prove(nv.samples.page, backend=backend)
        assert [row.said for row in proof.rows if row.agrees is False] == ["2,148"]
        assert proof.tier == HIGH
        assert not proof.agrees


def test_a_service_that_resizes_in_silence_is_found_out() -> None:
    def accepts(sizes: list[Size]) -> tuple[int, Any]:
        return 200, {"input_tokens": 9 + sum(min(4784, visual_tokens(size)) for size in sizes)}

    with counting(accepts) as (backend, _):
        proof = nv.prove(WIDE, backend=backend)
        assert not proof.agrees
        assert proof.tier is None
        with pytest.raises(RequestError, match="no tier is known for claude-opus-9"):
            proof.remember()
        assert nv.find_model("claude-opus-9").tier == HIGH


@pytest.mark.parametrize(
    "words",
    [
        "no",
        "transformations: Extra inputs are not permitted",
        "<script>alert(1)</script> {w}x{h}",
        "{place}: {w}x{h}",
        "{place}: {w}x{h} 0x0",
        "{place}: {w}x{h} 9999999x1",
        "{place}: {w}x{h} {w}x{h}",
        "messages.7.content.9: {w}x{h}, {lw}x{lh}",
        "{place}: {lw}x{lh}, {w}x{h}",
        "{place}: {w}x{h}, {lw}x{lh}, 5x5",
    ],
)
def test_a_rejection_in_other_words_proves_nothing(words: str) -> None:
    with counting(by_rule(HIGH, words=words)) as (backend, _):
        proof = nv.prove(WIDE, backend=backend)
        assert [row.agrees for row in proof.rows] == [False, True, True, False, False]
        assert proof.tier is None
        shown = proof._repr_mimebundle_()
        assert "<script>" not in shown["text/html"]
        assert "rejected: " in shown["text/plain"]


@pytest.mark.parametrize("sign", ["x", "×", " x ", " × "])
def test_sizes_are_read_however_the_sign_is_written(sign: str) -> None:
    words = f"messages.0.content.0: 4000{sign}3000 is too large; 2212{sign}1659 px fits"
    assert _largest_in(words, Size(4000, 3000)) == (2212, 1659)


def test_a_service_without_a_counter_says_what_to_do() -> None:
    with counting(by_rule(HIGH)) as (backend, server):
        backend.platform = replace(backend.platform, counts_tokens=False)
        with pytest.raises(RequestError, match="anthropic has no free token counter") as caught:
            nv.prove(WIDE, backend=backend)
        assert 'nv.connect("practice")' in caught.value.cure
        assert server.arrived == []


def test_where_blocks_cannot_forbid_resizing_the_tokens_are_compared() -> None:
    with counting(by_rule(HIGH), forbids=False) as (backend, _):
        backend.platform = replace(backend.platform, takes_transformations=False)
        proof = nv.prove(WIDE, backend=backend)
        assert [row.agrees for row in proof.rows] == [None, True]
        assert proof.agrees
        assert proof.tier is None


def test_a_reply_that_is_no_count_is_no_counter() -> None:
    with (
        counting(lambda _: (200, {"input_tokens": "many"})) as (backend, _),
        pytest.raises(RequestError, match="no free token counter"),
    ):
        nv.prove(WIDE, backend=backend)


def test_other_refusals_are_errors() -> None:
    error = {"type": "error", "error": {"type": "permission_error", "message": "no"}}
    with counting(lambda _: (403, error)) as (backend, _), pytest.raises(AccessDenied):
        nv.prove(WIDE, backend=backend)


@pytest.mark.parametrize("model", [[], 3, [3], ["a", None], b"a"])
def test_what_is_no_model_is_refused(model: Any, practice: Backend) -> None:
    with pytest.raises(RequestError, match="model="):
        nv.prove(WIDE, model=model, backend=practice)


def arrived_images(server: Wire) -> list[bytes]:
    return [
        base64.b64decode(block["source"]["data"])
        for arrived in server.arrived
        for block in arrived.json["messages"][0]["content"]
        if block["type"] == "image"
    ]


def test_the_original_goes_as_it_is_if_it_can() -> None:
    with counting(by_rule(HIGH)) as (backend, server):
        proof = nv.prove(nv.samples.photo, backend=backend)
        assert proof.agrees
        assert arrived_images(server)[0] == nv.samples.photo.path.read_bytes()


def heavy() -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (1700, 1700, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise).save(data, "PNG", compress_level=0)
    return data.getvalue()


def turned() -> bytes:
    data = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    WIDE.save(data, "JPEG", exif=exif)
    return data.getvalue()


@pytest.mark.parametrize(
    ("image", "size"),
    [
        (heavy, (1700, 1700)),
        (turned, (1200, 3000)),
        (lambda: nv.open_image(WIDE).crop(0, 0, 2900, 1000), (2900, 1000)),
        (lambda: WIDE, (3000, 1200)),
    ],
)
def test_a_flat_picture_of_its_size_stands_for_what_cannot_go(
    image: Callable[[], Any], size: tuple[int, int]
) -> None:
    with counting(by_rule(HIGH)) as (backend, server):
        proof = nv.prove(image(), backend=backend)
        assert proof.agrees
        width, height = size
        words = f"a flat picture of the original's size, {width} × {height}"
        assert proof.rows[0].asked == words
        assert Image.open(io.BytesIO(arrived_images(server)[0])).size == size
        assert len(arrived_images(server)[0]) < 20_000


def test_what_no_service_takes_is_not_asked() -> None:
    with counting(by_rule(HIGH)) as (backend, _):
        proof = nv.prove(Image.new("L", (9000, 100)), backend=backend)
        assert proof.rows[0].agrees is None
        assert "not asked" in proof.rows[0].said
        assert proof.agrees


def test_an_estimate_counts_every_model_that_is_asked_for_and_served() -> None:
    with counting(by_rule(HIGH)) as (backend, server):
        ids = ["claude-opus-5-5", "claude-haiku-4-5", "us.anthropic.claude-opus-5-5"]
        rows = nv.estimate(nv.samples.page, models=ids, backend=backend).rows
        assert [row.is_counted for row in rows] == [True, True, True]  # one model, two spellings
        assert [arrived.json["model"] for arrived in server.arrived] == ids[:2]
        assert rows[1].visual_tokens + rows[1].text_tokens == 9 + 1551
        server.arrived.clear()
        rows = nv.estimate(nv.samples.page, backend=backend).rows
        assert [row.is_counted for row in rows] == [True, False, False, False, False]
        assert len(server.arrived) == 1


def test_an_estimate_goes_on_where_one_model_is_not_there_and_stops_where_nobody_is() -> None:
    missing = {"type": "error", "error": {"type": "not_found_error", "message": "model"}}
    busy = {"type": "error", "error": {"type": "permission_error", "message": "no"}}
    for status, body, asked in ((404, missing, 2), (403, busy, 2), (200, {}, 2)):
        with counting(lambda _, reply=(status, body): reply) as (backend, server):
            ids = ["claude-opus-5-5", "claude-haiku-4-5"]
            estimate = nv.estimate(nv.samples.page, models=ids, backend=backend)
            assert [row.is_counted for row in estimate.rows] == [False, False]
            assert len(server.arrived) == asked


def test_a_flat_picture_is_a_sound_png() -> None:
    picture = _flat(Size(8000, 400), HIGH)
    assert len(picture.data) < 5_000
    assert picture.pixels.size == (8000, 400)
    assert json.dumps(picture.base64())
