"""What goes over the wire, seen by a server that is not ours, through the real SDK clients."""

import io
import json
from collections.abc import Iterator

import numpy as np
import pytest
from other_server import Arrived, OtherServer, other_server
from PIL import Image

import nbvision as nv
from nbvision.backends import Backend
from nbvision.geometry import Box, Fit

ORIENTATIONS = range(1, 9)
MODELS = {"standard": "claude-haiku-4-5", "high": "claude-opus-5-5"}
SHAPES = {
    "photograph": (3000, 2000),
    "portrait page": (1700, 2400),
    "panorama": (6000, 500),
    "tower": (300, 4000),
    "untouched": (640, 480),
}
# How EXIF says a stored picture has to be turned; stored = the inverse applied to upright.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.fixture(scope="module")
def server() -> Iterator[OtherServer]:
    with other_server() as place:
        yield place


def anthropic_at(server: OtherServer, model: str = "claude-haiku-4-5") -> Backend:
    return nv.connect(
        "anthropic",
        model=model,
        base_url=server.url,
        api_key="not-a-real-key",
        platform="anthropic",
    )


def bedrock_at(server: OtherServer) -> Backend:
    return nv.connect(
        "bedrock", region="us-east-1", endpoint_url=server.url, api_key="not-a-real-token"
    )


def picture_with_mark(size: tuple[int, int], orientation: int) -> tuple[bytes, Box]:
    """A JPEG whose upright form has one dark rectangle; its stored form is turned by EXIF."""
    width, height = size
    left, top = round(width * 0.55), round(height * 0.2)
    box = Box(left, top, left + max(60, width // 6), top + max(60, height // 4))
    pixels = np.full((height, width, 3), 255, dtype=np.uint8)
    pixels[top : int(box.bottom), left : int(box.right)] = 0
    image = Image.fromarray(pixels)
    turn = STORED[orientation]
    stored = image if turn is None else image.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a description that must not travel"
    data = io.BytesIO()
    stored.save(data, "JPEG", quality=95, subsampling=0, exif=exif)
    return data.getvalue(), box


def worst_edge(found: Box, truth: Box) -> float:
    return max(abs(a - b) for a, b in zip(found.xyxy, truth.xyxy, strict=True))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tier", MODELS)
def test_boxes_land_on_the_original_for_every_orientation(
    server: OtherServer, tier: str, shape: str
) -> None:
    backend = anthropic_at(server, MODELS[tier])
    for orientation in ORIENTATIONS:
        data, truth = picture_with_mark(SHAPES[shape], orientation)
        found = nv.locate(data, "the dark rectangle", backend=backend)
        assert found.image.size == SHAPES[shape]
        assert worst_edge(found.boxes[0], truth) <= 1.5, orientation


@pytest.mark.parametrize("size", [(5000, 1), (1, 5000), (4000, 3)])
def test_strips_travel_and_come_home(server: OtherServer, size: tuple[int, int]) -> None:
    pixels = np.full((size[1], size[0], 3), 255, dtype=np.uint8)
    long_axis = int(size[1] > size[0])
    start, stop = round(max(size) * 0.3), round(max(size) * 0.6)
    mark = (slice(start, stop), slice(None)) if long_axis else (slice(None), slice(start, stop))
    pixels[mark] = 0
    found = nv.locate(pixels, "the dark part", backend=anthropic_at(server))
    edges = found.boxes[0].xyxy
    assert abs(edges[long_axis] - start) <= 1.5
    assert abs(edges[long_axis + 2] - stop) <= 1.5


def test_a_crops_boxes_land_on_the_whole_picture(server: OtherServer) -> None:
    data, truth = picture_with_mark((3000, 2000), 6)
    crop = nv.open_image(data).crop(1200, 100, 3000, 1400)
    found = nv.locate(crop, "the dark rectangle", backend=anthropic_at(server))
    assert worst_edge(found.boxes[0], truth) <= 1.5


@pytest.mark.parametrize("connect", [anthropic_at, bedrock_at])
def test_what_is_sent_is_what_was_promised(server: OtherServer, connect: object) -> None:
    backend = connect(server)  # type: ignore[operator]
    data, _ = picture_with_mark((3000, 2000), 6)
    nv.describe([data, nv.samples.shapes], "What is this?", backend=backend)
    arrived = server.arrived[-1]
    assert [b.get("text", b["type"]) for b in arrived.content] == [
        "Image 1:",
        "image",
        "Image 2:",
        "image",
        "What is this?",
    ]
    for block, sent in zip(images(arrived), arrived.pictures, strict=True):
        picture = Image.open(io.BytesIO(sent))
        assert Image.MIME[picture.format or ""] == block["source"]["media_type"]
        fit = Fit.of(picture.size, nv.find_model(backend.model).tier)
        assert not fit.is_resized
        assert not picture.getexif()
        assert b"must not travel" not in sent
    assert "temperature" not in arrived.body


def images(arrived: Arrived) -> list[dict[str, object]]:
    return [block for block in arrived.content if block["type"] == "image"]  # type: ignore[misc]


def test_the_api_is_asked_to_refuse_rather_than_resize(server: OtherServer) -> None:
    nv.describe(nv.samples.shapes, backend=anthropic_at(server))
    arrived = server.arrived[-1]
    assert images(arrived)[0]["transformations"] == {"oversized_image": "error"}
    assert arrived.headers["anthropic-version"] == "2026-10-21"


def test_bedrock_gets_its_version_and_no_model_in_the_body(server: OtherServer) -> None:
    nv.describe(nv.samples.shapes, backend=bedrock_at(server))
    body = server.arrived[-1].body
    assert body["anthropic_version"] == "bedrock-2023-05-31"
    assert not {"model", "stream"} & set(body)
    assert "transformations" not in images(server.arrived[-1])[0]


def test_the_shown_request_is_the_sent_one(server: OtherServer) -> None:
    reply = nv.describe(nv.samples.shapes, backend=anthropic_at(server))
    sent = {name: value for name, value in server.arrived[-1].body.items() if name != "stream"}
    assert reply.request.body() == sent


def test_the_bytes_of_a_preview_are_the_bytes_that_are_sent(server: OtherServer) -> None:
    backend = anthropic_at(server)
    preview = nv.preview(nv.samples.photo, backend=backend)
    nv.describe(nv.samples.photo, backend=backend)
    assert server.arrived[-1].pictures == [preview.prepared.data]


def test_a_schema_is_sent_where_it_is_taken_and_said_where_it_is_not(server: OtherServer) -> None:
    nv.locate(nv.samples.shapes, "x", backend=anthropic_at(server, "claude-opus-5-5"))
    with_schema = server.arrived[-1].body
    nv.locate(nv.samples.shapes, "x", backend=bedrock_at(server))
    in_words = server.arrived[-1].body
    assert with_schema["output_config"]["format"]["type"] == "json_schema"
    assert "output_config" not in in_words
    assert '{"boxes": [' in json.dumps(in_words["messages"]).replace('\\"', '"')
