"""Points are asked for, read, and brought home as boxes are."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from other_server import other_server
from PIL import Image, ImageDraw

import nbvision as nv
from nbvision.backends import Backend
from nbvision.errors import RequestError, UnreadableAnswer
from nbvision.practice import PracticeServer
from nbvision.practice.answers import answer
from nbvision.practice.structured import fill
from nbvision.prompts import POINTS_SCHEMA, locate_prompt

SHAPES = nv.samples.shapes
PICTURE = Image.new("RGB", (200, 100), "white")
MODELS = {"anthropic": "claude-haiku-4-5", "bedrock": "us.anthropic.claude-opus-5-5"}


@pytest.fixture(scope="module")
def server() -> Iterator[PracticeServer]:
    with PracticeServer() as running:
        yield running


@pytest.fixture(params=MODELS)
def backend(request: pytest.FixtureRequest, server: PracticeServer) -> Iterator[Backend]:
    """A place with structured outputs, and one where words ask for the form."""
    model = MODELS[request.param]
    if request.param == "anthropic":
        made = nv.connect(
            "anthropic",
            platform="anthropic",
            model=model,
            base_url=server.url,
            api_key=server.token,
        )
    else:
        made = nv.connect(
            "bedrock",
            model=model,
            region="us-east-1",
            endpoint_url=server.url,
            api_key=server.token,
        )
    yield made
    made.close()


@pytest.fixture(scope="module")
def practice() -> Backend:
    return nv.connect("practice", words_per_second=None)


def is_at(point: nv.Point, box: nv.Box) -> bool:
    """Whether a point is in the middle of a box, to two pixels."""
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    return abs(point.x - x) <= 2 and abs(point.y - y) <= 2


def test_points_land_in_the_middle_of_every_true_box(backend: Backend) -> None:
    found = nv.locate(SHAPES, SHAPES.prompt, kind="points", backend=backend)
    assert len(found.points) == len(SHAPES.truth)
    assert found.boxes == ()
    for truth in SHAPES.truth:
        assert sum(is_at(point, truth) for point in found.points) == 1


def test_the_form_travels_as_a_schema_or_in_words(backend: Backend) -> None:
    found = nv.locate(SHAPES, "every circle", kind="points", backend=backend)
    body = found.request.body()
    words = body["messages"][0]["content"][-1]["text"]
    if backend.name == "anthropic":
        assert body["output_config"]["format"]["schema"] == POINTS_SCHEMA
    else:
        assert '"point": [x, y]' in words
    assert "one point for each" in words
    assert "bounding box" not in words


def test_points_of_a_crop_lie_on_the_full_picture(practice: Backend) -> None:
    truth = SHAPES.truth[0]
    close = nv.open_image(SHAPES).crop(
        truth.left - 50, truth.top - 40, truth.right + 50, truth.bottom + 40
    )
    found = nv.locate(close, "the largest circle", kind="points", backend=practice)
    assert len(found.points) == 1
    assert is_at(found.points[0], truth)


@settings(max_examples=25)
@given(st.integers(0, 300), st.integers(0, 200), st.integers(20, 90), st.integers(20, 90))
def test_the_practice_server_points_at_what_is_drawn(
    left: int, top: int, width: int, height: int
) -> None:
    image = Image.new("RGB", (400, 300), "white")
    box = (left, top, left + width - 1, top + height - 1)
    ImageDraw.Draw(image).rectangle(box, fill="red")
    frame = np.asarray(image)
    asked = locate_prompt("the red thing", 400, 300, schema_is_sent=False, kind="points")
    for given_answer in (
        fill(POINTS_SCHEMA, [frame], "the red thing"),
        json.loads(answer([frame], asked, "", [])),
    ):
        (row,) = given_answer["points"]
        x, y = row["point"]
        assert frame[min(y, 299), min(x, 399)].tolist() == [255, 0, 0]
        assert is_at(nv.Point(x, y), nv.Box(left, top, left + width, top + height))


@pytest.mark.parametrize("spelling", ["x and y", "center"])
def test_other_forms_of_a_point_are_filled_too(practice: Backend, spelling: str) -> None:
    pair = {"type": "array", "items": {"type": "integer"}}
    whole = {"type": "integer"}
    fields: dict[str, Any] = {"x": whole, "y": whole} if spelling == "x and y" else {"center": pair}
    row = {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
    schema = {
        "type": "object",
        "properties": {"spots": {"type": "array", "items": row}},
        "required": ["spots"],
        "additionalProperties": False,
    }
    reply = nv.ask(SHAPES, "every circle", schema=schema, backend=practice)
    spots = [spot.get("center") or [spot["x"], spot["y"]] for spot in reply.parsed["spots"]]
    found = nv.locate(SHAPES, "every circle", kind="points", backend=practice)
    frame_points = [reply.request.images[0].fit.to_original(nv.Point(*spot)) for spot in spots]  # type: ignore[union-attr]
    assert [(p.x, p.y) for p in frame_points] == [(p.x, p.y) for p in found.points]


def test_what_was_not_asked_for_is_kept() -> None:
    said = '[{"label": "a", "point": [10, 20]}, {"label": "b", "box": [1, 2, 30, 40]}]'
    with other_server(lambda _: said) as place:
        backend = nv.connect("anthropic", platform="anthropic", base_url=place.url, api_key="none")
        for kind in ("boxes", "points"):
            found = nv.locate(PICTURE, "it", kind=kind, backend=backend)
            assert [point.label for point in found.points] == ["a"]
            assert [box.label for box in found.boxes] == ["b"]


@pytest.mark.parametrize("said", ['{"points": []}', "[]", '{"points": [], "note": "none"}'])
def test_no_points_is_a_result(said: str) -> None:
    with other_server(lambda _: said) as place:
        backend = nv.connect("anthropic", platform="anthropic", base_url=place.url, api_key="none")
        found = nv.locate(PICTURE, "a door", kind="points", backend=backend)
    assert (found.points, bool(found)) == ((), False)


@pytest.mark.parametrize(
    "said", ['{"points": [{"point": []}]}', '{"points": [{"point": [1]}]}', "x"]
)
def test_points_that_cannot_be_read_are_an_error_that_keeps_the_words(said: str) -> None:
    with other_server(lambda _: said) as place:
        backend = nv.connect("anthropic", platform="anthropic", base_url=place.url, api_key="none")
        with pytest.raises(UnreadableAnswer, match="points") as caught:
            nv.locate(PICTURE, "a door", kind="points", backend=backend)
    assert caught.value.text == said


@pytest.mark.parametrize("kind", ["point", "", "mask", None, 3, ["points"], {"points": 1}])
def test_another_kind_is_refused_before_anything_is_sent(practice: Backend, kind: Any) -> None:
    with pytest.raises(RequestError, match="kind="):
        nv.locate(PICTURE, "a door", kind=kind, backend=practice)


@pytest.fixture(scope="module")
def both() -> nv.Detections:
    said = '[{"label": "tip", "point": [10, 20]}, {"label": "pen", "box": [10, 20, 30, 60]}]'
    with other_server(lambda _: said) as place:
        backend = nv.connect("anthropic", platform="anthropic", base_url=place.url, api_key="none")
        return nv.locate(PICTURE, "it", kind="points", backend=backend)


def test_a_frame_has_what_was_found(both: nv.Detections, practice: Backend) -> None:
    frame = both.to_frame()
    assert list(frame.columns) == ["label", "left", "top", "right", "bottom", "x", "y"]
    assert frame[["x", "y"]].to_numpy().tolist() == [[20, 40], [10, 20]]
    assert frame["left"].isna().tolist() == [False, True]
    points = nv.locate(SHAPES, "every circle", kind="points", backend=practice).to_frame()
    assert list(points.columns) == ["label", "x", "y"]
    boxes = nv.locate(SHAPES, "every pink star", backend=practice).to_frame()
    assert list(boxes.columns) == ["label", "left", "top", "right", "bottom"]


def test_coco_has_points_as_keypoints(both: nv.Detections) -> None:
    box, point = both.to_coco()
    assert "keypoints" not in box
    assert (point["keypoints"], point["num_keypoints"]) == ([10, 20, 2], 1)
    assert (point["bbox"], point["category_id"], point["id"]) == ([10, 20, 0, 0], 2, 2)


def test_points_are_drawn_and_told(both: nv.Detections) -> None:
    assert both.overlay() != replace(both, points=()).overlay()
    shown = both._repr_mimebundle_()
    assert "tip: (10, 20)" in shown["text/plain"]
    assert "1 box and 1 point" in shown["text/html"]
