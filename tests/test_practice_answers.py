"""Practice answers are measured: they follow the pixels wherever these go."""

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from nbvision import samples
from nbvision.geometry import HIGH, STANDARD, Box, Fit, Tier
from nbvision.practice.answers import answer, locate
from nbvision.practice.seeing import COLOURS, Frame
from nbvision.practice.words import read_phrases

PROMPTS = [
    "every shape",
    "not red",
    "all red things, as JSON",
    "the lowest dot",
    "shortly",
    "how many",
]


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


def test_other_scenes_are_told_from_changed_places() -> None:
    shelf, shapes = (frame_of(samples.load(n), HIGH)[0] for n in ("shelf_before", "shapes"))
    words = answer([shelf, shapes], "Compare.", "", [])
    assert "differ nearly everywhere" in words
    assert "became" not in words


def test_a_change_of_light_is_not_a_change_of_things() -> None:
    shelf, _ = frame_of(samples.shelf_before, STANDARD)
    dim = (shelf * 0.7).astype(np.uint8)
    assert "Image 2 is darker than Image 1 throughout" in answer([shelf, dim], "Compare.", "", [])


def test_pictures_of_one_scene_in_two_sizes_show_no_difference() -> None:
    small, large = (frame_of(samples.shelf_before, tier)[0] for tier in (STANDARD, HIGH))
    assert "became" not in answer([large, small], "Compare.", "", [])


def test_each_picture_is_compared_with_the_first() -> None:
    plain = drawn("rectangle", "white", (0, 0, 9, 9))
    red, blue = (drawn("rectangle", colour, (50, 50, 99, 99)) for colour in ("red", "blue"))
    words = answer([plain, red, blue], "Compare.", "", ["Morning:", "Noon:", "Evening:"])
    assert "From Morning to Noon, 1 place changed: at the upper left (50, 50 to 100, 100)" in words
    assert "white became blue" in words


def test_pictures_of_other_proportions_are_compared_as_wholes() -> None:
    wide, tall = np.zeros((100, 300, 3), np.uint8), np.zeros((300, 100, 3), np.uint8)
    assert "different proportions" in answer([wide, tall], "Compare.", "", [])


@settings(max_examples=40, deadline=None)
@given(
    x=st.integers(1, 300),
    y=st.integers(1, 200),
    side=st.integers(10, 90),
    right=st.integers(0, 9),
    down=st.integers(0, 9),
    shape=st.sampled_from(["rectangle", "ellipse"]),
)
def test_a_moved_shape_moves_its_box_equally(
    *, x: int, y: int, side: int, right: int, down: int, shape: str
) -> None:
    frame = drawn(shape, "red", (x, y, x + side - 1, y + side - 1))
    [box] = [row["box"] for row in locate(frame, "every red shape")]
    moved = np.roll(frame, (down, right), axis=(0, 1))
    [there] = [row["box"] for row in locate(moved, "every red shape")]
    assert there == [box[0] + right, box[1] + down, box[2] + right, box[3] + down]
    if shape == "rectangle":
        assert box == [x, y, x + side, y + side]


@pytest.mark.parametrize("colour", [c for c in COLOURS if c != "white"])
def test_plain_colours_have_their_names(colour: str) -> None:
    frame = drawn("ellipse", colour, (100, 100, 200, 200))
    assert locate(frame, f"the {colour} circle")[0]["label"] == f"{colour} circle"


@pytest.mark.parametrize(
    ("prompt", "count"),
    [
        ("every shape", 9),
        ("all circles", 2),
        ("the red circle", 1),
        ("both red circles", 2),
        ("the smallest red circle", 1),
        ("every shape at the left", 4),
        ("red circle and blue square", 3),
        ("the red circle and the blue square", 2),
        ("red and blue circles", 2),
        ("circles that are red", 2),
        ("every shape except the red circle", 8),
        ("any shape that is not red", 7),
        ("the three largest shapes", 3),
        ("the leftmost shape", 1),
        ("every small shape", 2),
        ("the red circle left of the blue square", 1),
        ("the white dot", 0),
        ("the pink star", 0),
        ("the philosopher", 0),
        ("", 0),
    ],
)
def test_words_choose(prompt: str, count: int) -> None:
    frame, _ = frame_of(samples.shapes, HIGH)
    assert len(locate(frame, prompt)) == count


@pytest.mark.parametrize(
    ("prompt", "colour"),
    [
        ("the largest circle", "red"),
        ("the smallest square", "cyan"),
        ("the lowest shape", "black"),
        ("the rightmost shape", "cyan"),
        ("the large shape at the top right", "green"),
    ],
)
def test_words_choose_the_right_one(prompt: str, colour: str) -> None:
    frame, _ = frame_of(samples.shapes, STANDARD)
    assert locate(frame, prompt)[0]["label"].startswith(colour)


@pytest.mark.parametrize("subject", ["every circle", "the philosopher"])
def test_how_to_answer_is_not_taken_for_what_to_find(subject: str) -> None:
    form = (
        "Give one tight bounding box for each, in absolute pixel coordinates of this 9 × 9 image "
        "(origin top left), as [x1, y1, x2, y2]: left, top, right, bottom.\n"
        "Answer with one JSON object and nothing else."
    )
    assert read_phrases(f"Find in the image: {subject}\n{form}") == read_phrases(subject)


def test_the_subject_need_not_come_first() -> None:
    [phrase] = read_phrases("You are given a picture.\nPlease find every red circle, as JSON.")
    assert (phrase.colours, phrase.shapes) == (["red"], ["circle"])


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


def test_words_end_with_who_said_them() -> None:
    frame, _ = frame_of(samples.shapes, STANDARD)
    for prompt in ("Describe.", "Where is the red circle?", "Who is this?", "How many circles?"):
        assert answer([frame], prompt, "", []).endswith("not a language model.)")


@pytest.mark.parametrize(
    ("form", "read"),
    [
        ("as JSON bounding boxes", lambda found: found["boxes"][0]["box"]),
        ('as JSON {"boxes": [{"label": "", "bbox": []}]}', lambda found: found["boxes"][0]["bbox"]),
        ("as a JSON array with box_2d", lambda found: found[0]["box_2d"]),
        ("as [x1, y1, x2, y2]", lambda found: found["boxes"][0]["box"]),
    ],
)
def test_boxes_as_json_are_json_alone_in_the_form_asked(
    form: str, read: Callable[[Any], list[int]]
) -> None:
    frame = drawn("rectangle", "red", (40, 50, 139, 149))
    assert read(json.loads(answer([frame], f"the red square, {form}", "", []))) == [
        40,
        50,
        140,
        150,
    ]


def test_boxes_in_several_pictures_say_in_which() -> None:
    frame = drawn("rectangle", "red", (40, 50, 139, 149))
    rows = json.loads(answer([frame, frame], "the red square, as JSON boxes", "", []))["boxes"]
    assert [row["image"] for row in rows] == ["Image 1", "Image 2"]


def test_a_question_for_a_thing_is_answered_with_its_place() -> None:
    frame = drawn("rectangle", "red", (10, 20, 59, 69))
    words = answer([frame], "Where is the red square?", "", [])
    assert words.startswith("I find 1: a red square at the upper left, [10, 20, 60, 70].")
    assert "I find none" in answer([frame], "Is there a blue circle?", "", [])


def test_one_sentence_is_given_where_one_is_asked_for() -> None:
    frame, _ = frame_of(samples.shapes, STANDARD)
    words = answer([frame], "Describe this image in one sentence.", "", [])
    body, _, signature = words.partition(" (")
    assert body.count(".") == 1
    assert signature


def test_words_it_does_not_know_are_admitted() -> None:
    frame, _ = frame_of(samples.shapes, STANDARD)
    words = answer([frame], "Who was Spinoza?", "", [])
    assert "no word in the question that it knows; it knows colours (black, grey" in words


def test_print_is_told_by_its_rows() -> None:
    words = answer([frame_of(samples.page, HIGH)[0]], "Describe this image.", "", [])
    assert "rows, as print has; the practice server cannot read" in words
    assert "Contrast is" in words


def test_a_system_prompt_is_acknowledged_not_obeyed() -> None:
    frame, _ = frame_of(samples.shapes, STANDARD)
    assert "cannot follow a system prompt" in answer([frame], "Describe.", "Speak French.", [])


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 30),
    height=st.integers(1, 30),
    seed=st.integers(0, 1000),
    prompt=st.text(max_size=60) | st.sampled_from(PROMPTS),
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


def test_hostile_prompts_take_no_time() -> None:
    frame = drawn("ellipse", "red", (100, 100, 200, 200))
    started = time.monotonic()
    for words in ("every ", "red and ", "(((", "[x1 json ", "left of ", ".", "\n", "s"):
        answer([frame], words * 200_000, words * 1_000, [])
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("size", [(1, 1), (1, 2576), (2576, 1), (2, 2), (3, 3), (7, 1)])
@pytest.mark.parametrize("prompt", [*PROMPTS, "Describe.", "Compare."])
def test_the_smallest_and_thinnest_frames_are_answered(prompt: str, size: tuple[int, int]) -> None:
    frame = np.full((size[1], size[0], 3), (200, 20, 30), np.uint8)
    assert answer([frame], prompt, "", [])
    assert answer([frame, 255 - frame], prompt, "", [])


@pytest.mark.parametrize("side", [10, 12, 20, 60, 200])
def test_shapes_have_their_names_at_any_size(side: int) -> None:
    for shape, name in (("ellipse", "circle"), ("rectangle", "square")):
        frame = drawn(shape, "red", (20, 20, 19 + side, 19 + side))
        assert locate(frame, "every shape")[0]["label"] == f"red {name}"
