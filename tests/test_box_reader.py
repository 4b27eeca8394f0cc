"""Boxes are read from what models really write, and doubts are said."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbvision.box_reader import read_boxes, read_json
from nbvision.errors import UnreadableAnswer
from nbvision.geometry import Box, Size

FRAME = Size(1000, 800)
BOX = Box(10, 20, 300, 400, "door")

SPELLINGS = [
    '{"boxes": [{"label": "door", "box": [10, 20, 300, 400]}]}',
    '[{"label": "door", "bbox": [10, 20, 300, 400]}]',
    '{"name": "door", "bounding_box": [10, 20, 300, 400]}',
    '[{"class": "door", "xyxy": [10.0, 20.0, 300.0, 400.0]}]',
    '[{"label": "door", "box": ["10", "20px", "300", "400"]}]',
    '[{"label": "door", "x1": 10, "y1": 20, "x2": 300, "y2": 400}]',
    '[{"label": "door", "left": 10, "top": 20, "right": 300, "bottom": 400}]',
    '[{"label": "door", "xmin": 10, "ymin": 20, "xmax": 300, "ymax": 400}]',
    '[{"label": "door", "box": {"x1": 10, "y1": 20, "x2": 300, "y2": 400}}]',
    '{"detections": [{"category": "door", "box": [10, 20, 300, 400]}], "count": 1}',
    '```json\n[{"label": "door", "box": [10, 20, 300, 400]}]\n```',
    'I found one:\n[{"label": "door", "box": [10, 20, 300, 400]}]\nIt is brown.',
    "[{'label': 'door', 'box': [10, 20, 300, 400],}]",
    '{"label": "door", "box": [10, 20, 300, 400]}',
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_box_in_any_usual_spelling(text: str) -> None:
    reading = read_boxes(text, FRAME)
    assert reading.boxes == (BOX,)
    assert reading.findings == ()


DOUBTS = [
    ('[{"box": [0.1, 0.2, 0.5, 0.9]}]', "normalised"),
    ('[{"box_2d": [10, 20, 300, 400]}]', "thousandths"),
    ('[{"x": 10, "y": 20, "width": 30, "height": 40}]', "from-size"),
    ('[{"box": [[10, 20], [300, 400]]}]', "from-corners"),
    ('[{"box": [300, 400, 10, 20]}]', "swapped"),
    ('[{"box": [-5, 20, 300, 900]}]', "outside"),
    ('[{"box": [10, 20, 300, 400]}, {"box": [2000, 2000, 3000, 3000]}]', "dropped"),
    ('[{"box": [10, 20, 300, 400]}, {"box": [10, 10, 10, 50]}]', "dropped"),
    ('[{"box": [10, 20, 300, 400]}, {"box": [1, 2, 3]}]', "unread"),
    ('[{"box": [10, 20, 300, 400]}, {"box": [1, 2', "broken"),
]


@pytest.mark.parametrize(("text", "code"), DOUBTS)
def test_what_is_doubtful_is_kept_and_said(text: str, code: str) -> None:
    reading = read_boxes(text, FRAME)
    assert code in reading.findings.codes
    assert len(reading.boxes) == 1


def test_swapped_corners_are_put_in_order() -> None:
    assert read_boxes("[[300, 400, 10, 20]]", FRAME).boxes == (Box(10, 20, 300, 400),)


@pytest.mark.parametrize(
    "text", ["[]", '{"boxes": []}', "None found: []", '```json\n{"boxes": []}\n```']
)
def test_no_boxes_is_an_answer(text: str) -> None:
    assert read_boxes(text, FRAME).boxes == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I see a door.",
        '{"answer": "yes"}',
        "[1]",
        "see [1] and {2}",
        "[true, false, true, true]",
    ],
)
def test_no_boxes_to_read_is_an_error_that_keeps_the_words(text: str) -> None:
    with pytest.raises(UnreadableAnswer) as caught:
        read_boxes(text, FRAME)
    assert caught.value.text == text


def test_points_are_read_too() -> None:
    reading = read_boxes(
        '[{"label": "tip", "point": [5, 6]}, {"label": "end", "x": 7, "y": 8}]', FRAME
    )
    assert [(p.x, p.y, p.label) for p in reading.points] == [(5, 6, "tip"), (7, 8, "end")]


def test_too_many_boxes_end_somewhere_and_that_is_said() -> None:
    reading = read_boxes(json.dumps([[1, 2, 3, 4]] * 10_500), FRAME)
    assert len(reading.boxes) == 10_000
    assert "too-many" in reading.findings.codes


@pytest.mark.parametrize("number", ["1e999", "NaN", "Infinity", "9" * 5000, "true", "null"])
def test_numbers_that_are_none_do_not_pass(number: str) -> None:
    text = f'[{{"box": [10, 20, {number}, 400]}}, {{"box": [10, 20, 300, 400]}}]'
    reading = read_boxes(text, FRAME)
    assert len(reading.boxes) == 1


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10**6,
        '{"' * 500_000,
        "[1," * 300_000,
        "{x" * 500_000,
        "[0," * 900 + "0," * 500_000,
        "{'a':" * 200_000,
        '{"a":' * 100_000,
        "9" * 10**6,
        "]" * 10**6,
    ],
    ids=range(9),
)
def test_a_megabyte_of_anything_takes_no_time(text: str) -> None:
    started = time.monotonic()
    with pytest.raises(UnreadableAnswer):
        read_boxes(text, FRAME)
    assert time.monotonic() - started < 3


boxes = st.lists(
    st.builds(
        lambda x, y, w, h, label: Box(x, y, x + w, y + h, label),
        st.integers(0, 900),
        st.integers(0, 700),
        st.integers(2, 100),
        st.integers(2, 100),
        st.text(st.characters(codec="utf-8"), max_size=12),
    ),
    max_size=6,
)
spelled = st.sampled_from(
    [
        lambda b: {"label": b.label, "box": list(b.xyxy)},
        lambda b: {"name": b.label, "bbox": [str(v) for v in b.xyxy]},
        lambda b: {"label": b.label, "x1": b.left, "y1": b.top, "x2": b.right, "y2": b.bottom},
    ]
)


@given(boxes=boxes, spell=spelled, before=st.text(alphabet="abc .,\n", max_size=20))
def test_written_boxes_are_read_back(boxes: list[Box], spell: Any, before: str) -> None:
    text = f"{before}{json.dumps({'boxes': [spell(box) for box in boxes]})}{before}"
    assert read_boxes(text, FRAME).boxes == tuple(boxes)


@given(st.text() | st.text(alphabet="[]{}\",:01.-e \\'", max_size=60))
def test_any_text_is_a_reading_or_an_error_of_ours(text: str) -> None:
    try:
        reading = read_boxes(text, FRAME)
    except UnreadableAnswer as error:
        assert error.text == text  # noqa: PT017 - any other exception fails the test
    else:
        assert all(box.area > 0 for box in reading.boxes)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"n": 1}', {"n": 1}),
        ("```json\n[1, 2]\n```", [1, 2]),
        ('Sure! {"n": [1, {"m": "}"}]} there.', {"n": [1, {"m": "}"}]}),
        ("3", 3),
        ('"words"', "words"),
    ],
)
def test_json_is_found_in_its_surroundings(text: str, value: Any) -> None:
    assert read_json(text) == value


@pytest.mark.parametrize("text", ["", "no", "{", "NaN"])
def test_no_json_is_an_error(text: str) -> None:
    with pytest.raises(UnreadableAnswer):
        read_json(text)
