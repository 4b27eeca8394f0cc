"""Practice answers are measured: they follow the pixels wherever these go."""

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from nbvision import samples
from nbvision.geometry import HIGH, STANDARD, Box, Fit, Tier
from nbvision.practice.answers import answer, locate
from nbvision.practice.seeing import COLOURS, Frame
from nbvision.practice.words import read_words


def frame_of(sample: samples.Sample, tier: Tier) -> tuple[Frame, Fit]:
    image = Image.open(sample).convert("RGB")
    fit = Fit.of(image.size, tier)
    return np.asarray(image.resize(fit.resized, Image.Resampling.LANCZOS)), fit


def drawn(
    shape: str, colour: str, box: tuple[int, int, int, int], size: tuple[int, int] = (400, 300)
) -> Frame:
    image = Image.new("RGB", size, "white")
    getattr(ImageDraw.Draw(image), shape)(box, fill=colour)
    return np.asarray(image)


@pytest.mark.parametrize("tier", [STANDARD, HIGH], ids=lambda tier: tier.name)
@pytest.mark.parametrize(
    ("name", "least"), [("shapes", 0.9), ("photo", 0.9), ("shelf_before", 0.9)]
)
def test_the_samples_truth_is_found_and_nothing_else(name: str, least: float, tier: Tier) -> None:
    sample = samples.load(name)
    frame, fit = frame_of(sample, tier)
    found = [fit.to_original(Box(*row["box"])) for row in locate(frame, sample.prompt)]
    assert len(found) == len(sample.truth)
    for truth in sample.truth:
        assert max(box.iou(truth) for box in found) >= least


def test_comparing_finds_the_true_differences() -> None:
    frames = [frame_of(samples.load(n), HIGH)[0] for n in ("shelf_before", "shelf_after")]
    words = answer(frames, "How are these different?", "", ["Image 1:", "Image 2:"])
    assert "3 places changed" in words
    for truth in samples.shelf_after.truth:
        left, top, right, bottom = (int(edge) for edge in truth.xyxy)
        assert f"({left}, {top} to {right}, {bottom})" in words


def test_equal_pictures_show_no_difference() -> None:
    frame, _ = frame_of(samples.photo, STANDARD)
    assert "no difference" in answer([frame, frame.copy()], "Compare.", "", [])


def test_pictures_of_other_proportions_are_compared_as_wholes() -> None:
    wide, tall = np.zeros((100, 300, 3), np.uint8), np.zeros((300, 100, 3), np.uint8)
    assert "different proportions" in answer([wide, tall], "Compare.", "", [])


@settings(max_examples=40, deadline=None)
@given(x=st.integers(5, 300), y=st.integers(5, 200), side=st.integers(10, 90))
def test_a_moved_shape_is_found_where_it_went(x: int, y: int, side: int) -> None:
    frame = drawn("rectangle", "red", (x, y, x + side - 1, y + side - 1))
    assert (
        locate(frame, "the red square")
        == [{"label": "red square", "box": [x, y, min(400, x + side), min(300, y + side)]}]
        or y + side > 300
    )


@pytest.mark.parametrize(
    "colour", [c for c in COLOURS if c not in {"white", "grey", "brown", "cyan", "pink"}]
)
def test_plain_colours_have_their_names(colour: str) -> None:
    assert locate(drawn("ellipse", colour, (100, 100, 200, 200)), f"the {colour} circle")


@pytest.mark.parametrize(
    ("prompt", "count"),
    [
        ("every shape", 9),
        ("all circles", 2),
        ("the red circle", 1),
        ("both red circles", 2),
        ("the smallest red circle", 1),
        ("every shape at the left", 4),
        ("the pink star", 0),
        ("the philosopher", 0),
        ("", 0),
    ],
)
def test_words_choose(prompt: str, count: int) -> None:
    frame, _ = frame_of(samples.shapes, HIGH)
    assert len(locate(frame, prompt)) == count


def test_how_to_answer_is_not_taken_for_what_to_find() -> None:
    prompt = "Find in the image: every circle\nAs [x1, y1, x2, y2]: left, top, right, bottom."
    assert read_words(prompt).sides == frozenset()


def test_counting_counts() -> None:
    frame, _ = frame_of(samples.shapes, HIGH)
    assert "I count 2" in answer([frame], "How many circles are there?", "", [])
    assert "no word in the question" in answer([frame], "How many philosophers?", "", [])


def test_what_the_resize_destroyed_is_not_seen() -> None:
    page = Image.new("RGB", (6000, 4500), "white")
    page.paste("black", (4200, 3100, 4203, 3103))
    small = np.asarray(page.resize(Fit.of(page.size, STANDARD).resized, Image.Resampling.LANCZOS))
    whole = np.asarray(page.crop((4100, 3000, 4300, 3200)))
    assert "No region stands out" in answer([small], "Describe.", "", [])
    assert "black dot" in answer([whole], "Describe.", "", [])


def test_words_end_with_who_said_them_and_json_is_json_alone() -> None:
    frame, _ = frame_of(samples.shapes, STANDARD)
    assert answer([frame], "Describe.", "", []).endswith("not a language model.)")
    asked = "every circle, as JSON bounding boxes"
    assert len(json.loads(answer([frame], asked, "", []))["boxes"]) == 2


def test_a_system_prompt_is_acknowledged_not_obeyed() -> None:
    frame, _ = frame_of(samples.shapes, STANDARD)
    assert "cannot follow a system prompt" in answer([frame], "Describe.", "Speak French.", [])


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 30),
    height=st.integers(1, 30),
    seed=st.integers(0, 1000),
    prompt=st.text(max_size=60) | st.sampled_from(["every shape", "all red things", "compare"]),
)
def test_any_frame_and_any_prompt_is_answered(
    width: int, height: int, seed: int, prompt: str
) -> None:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert answer([values], prompt, "", [])
    assert answer([values, values[:, ::-1].copy()], prompt, "", [])
    for row in locate(values, prompt):
        left, top, right, bottom = row["box"]
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height


def test_a_hostile_prompt_takes_no_time() -> None:
    frame = drawn("ellipse", "red", (100, 100, 200, 200))
    started = time.monotonic()
    answer([frame], "every " * 200_000 + "red", "", [])
    assert time.monotonic() - started < 2


def test_samples_are_paths_with_their_makers_named() -> None:
    for name in samples.names():
        sample = samples.load(name)
        assert sample.path.exists()
        assert sample.licence
        assert sample.path.stat().st_size < 900_000
        assert name in repr(sample)


def test_an_unknown_sample_names_the_known() -> None:
    with pytest.raises(AttributeError, match="shapes"):
        samples.nothing  # noqa: B018 - looking it up is the act


def test_the_drawn_samples_are_what_their_maker_draws() -> None:
    from nbvision.samples.make_samples import draw_shapes

    image, truth = draw_shapes()
    assert [(row["label"], tuple(row["box"])) for row in truth] == [
        (box.label, box.xyxy) for box in samples.shapes.truth
    ]
    assert image.tobytes() == Image.open(samples.shapes).convert("RGB").tobytes()
