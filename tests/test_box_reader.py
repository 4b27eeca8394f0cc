"""Boxes are read from what models really write, and doubts are said."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbvision import box_reader
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
    '[{"Label": "door", "Bounding Box": [10, 20, 300, 400]}]',
    '[{"label": "door", "boundingBox": "10, 20, 300, 400"}]',
    '[{"label": "door", "x_min": 10, "yMin": 20, "X-MAX": 300, "ymax": 400}]',
    '{"label": "door", "boxes": [[10, 20, 300, 400]]}',
    '{"name": "door", "instances": [{"box": [10, 20, 300, 400]}]}',
    '{"image_size": [1000, 800], "boxes": [{"label": "door", "box": [10, 20, 300, 400]}]}',
    '{"boxes": [{"label": "door", "box": [10, 20, 300, 400], "tags": [], "score": NaN}]}',
    '{"notes": ["one"], "boxes": [{"label": "door", "box": [10, 20, 300, 400]}]}',
    '{label: "door", box: [10, 20, 300, 400]}  // as asked',
    '[{"label": "door", // brown\n "box": [10, 20, 300, 400], // in pixels\n}]',
    "{'label': 'door', 'box': [10, 20, 300, 400], 'is_open': True, 'note': None}",
    'As in [1] and items[], - [ ] done: [{"label": "door", "box": [10, 20, 300, 400]}]',
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_box_in_any_usual_spelling(text: str) -> None:
    reading = read_boxes(text, FRAME)
    assert reading.boxes == (BOX,)
    assert reading.findings == ()


LABELS = [
    ("""[{'label': "the door's", 'box': [10, 20, 300, 400]}]""", "the door's"),
    ("""[{'label': 'the door's', 'box': [10, 20, 300, 400]}]""", "the door's"),
    ("""[{'label': 'a "door"', 'box': [10, 20, 300, 400]}]""", 'a "door"'),
    ('[{"label": "a,] // b", "box": [10, 20, 300, 400],}]', "a,] // b"),
    ('[{"label": "two\nlines", "box": [10, 20, 300, 400]}]', "two\nlines"),
    ('[{"label": "", "name": "door", "box": [10, 20, 300, 400]}]', "door"),
]


@pytest.mark.parametrize(("text", "label"), LABELS)
def test_a_label_is_read_as_it_was_written(text: str, label: str) -> None:
    reading = read_boxes(text, FRAME)
    assert [(box.xyxy, box.label) for box in reading.boxes] == [(BOX.xyxy, label)]
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
    ('[{"box": [10, 20, 300, 400]}, {"box": [1 2 3]}]', "broken"),
    ('[{"box": [10, 20, 300, 400]}, {"box": [1, 2]}]', "unread"),
    ('[{"box": [10, 20, 300, 400]}, {"box": []}]', "unread"),
    ('[{"box": [10, 20, 300, 400]}, {"point": [1, 2, 3, 4]}]', "unread"),
    ('[{"box": [10, 20, 300, 400]}, {"box": ["1 %", "2 %", "9 %", "9 %"]}]', "unread"),
    ('[{"box": [10, 20, 300, 400]}, {"point": [1001, 5]}]', "dropped"),
    ('[{"box": [100, 200, 900, 990]}]', "thousandths"),
    ('[{"box": [100, 20, 300, 900]}]', "y-first"),
    ('[{"box": [300, 400, 50, 60]}]', "size-like"),
    ('{"door": [10, 20, 300, 400]}', "from-key"),
    ('{"windows": [], "doors": [{"box": [10, 20, 300, 400]}]}', "from-key"),
    ('[{"bbox": {"x": 10, "y": 20, "w": 30, "h": 40}}]', "from-size"),
    ('[{"xywh": [10, 20, 30, 40]}]', "from-size"),
    ('[{"center": [50, 60], "width": 30, "height": 40}]', "from-size"),
    ('[{"cx": 50, "cy": 60, "w": 30, "h": 40}]', "from-size"),
    ('[{"box": [{"x": 10, "y": 20}, {"x": 300, "y": 400}]}]', "from-corners"),
    ('[{"top_left": [10, 20], "bottom_right": {"x": 300, "y": 400}}]', "from-corners"),
    ('[{"polygon": [[10, 20], [300, 20], [300, 400], [10, 400]]}]', "from-corners"),
    ('[{"box": [10, 20, 1e300, 1e300]}]', "outside"),
]


@pytest.mark.parametrize(("text", "code"), DOUBTS)
def test_what_is_doubtful_is_kept_and_said(text: str, code: str) -> None:
    reading = read_boxes(text, FRAME)
    assert code in reading.findings.codes
    assert len(reading.boxes) == 1


@pytest.mark.parametrize(
    ("text", "xyxy"),
    [
        ('[{"x": 10, "y": 20, "width": 30, "height": 40}]', (10, 20, 40, 60)),
        ('[{"center": {"x": 50, "y": 60}, "width": 30, "height": 40}]', (35, 40, 65, 80)),
        ('[{"polygon": [[10, 20], [300, 25], [290, 400]]}]', (10, 20, 300, 400)),
        ('[{"box_2d": [10, 20, 300, 400]}]', (10, 20, 300, 400)),
        ('[{"box": [0.1, 0.2, 0.5, 0.9]}]', (0.1, 0.2, 0.5, 0.9)),
        ('[{"box": [-5, 20, 300, 900]}]', (-5, 20, 300, 900)),
    ],
)
def test_a_doubtful_box_is_read_by_its_stated_rule(text: str, xyxy: tuple[float, ...]) -> None:
    assert [box.xyxy for box in read_boxes(text, FRAME).boxes] == [xyxy]


def test_every_doubt_is_documented_and_has_a_cure() -> None:
    for code in box_reader._DOUBTS:
        assert f"``{code}``" in (box_reader.__doc__ or "")
    for text, code in DOUBTS:
        found = [f for f in read_boxes(text, FRAME).findings if f.code == code]
        assert [(f.level, bool(f.cure)) for f in found] == [("warn", True)]


def test_equal_boxes_are_all_kept() -> None:
    text = json.dumps([{"label": "door", "box": [10, 20, 300, 400]}] * 3)
    assert read_boxes(f"{text} and again {text}", FRAME).boxes == (BOX,) * 6


def test_swapped_corners_are_put_in_order() -> None:
    assert read_boxes("[[300, 400, 10, 20]]", FRAME).boxes == (Box(10, 20, 300, 400),)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"boxes": []}',
        "None found: []",
        '```json\n{"boxes": []}\n```',
        '{"windows": []}',
        '{"boxes": [], "count": 0, "image_size": [1000, 800], "notes": ["none in sight"]}',
    ],
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
        '{"label": "x", "tags": [], "box": "unknown"}',
        '[{"label": "door", "box": []}]',
        '{"boxes": [{"label": "a", "tags": [], "box": [1, 2',
        '{"boxes": [], "note": "I could',
        '{"boxes": ["left of the door"]}',
        '[{"box": [2000, 2000, 3000, 3000]}]',
        "- [ ] door: I cannot tell",
        "use items[] for this",
        "[" * 500 + "1, 2, 3, 4" + "]" * 500,
    ],
)
def test_no_boxes_to_read_is_an_error_that_keeps_the_words(text: str) -> None:
    with pytest.raises(UnreadableAnswer) as caught:
        read_boxes(text, FRAME)
    assert caught.value.text == text


def test_points_are_read_too() -> None:
    reading = read_boxes(
        '[{"label": "tip", "point": [5, 6]}, {"label": "end", "x": 7, "y": 8},'
        ' {"label": "top", "point_2d": {"x": "9px", "y": 9}}]',
        FRAME,
    )
    found = [(p.x, p.y, p.label) for p in reading.points]
    assert found == [(5, 6, "tip"), (7, 8, "end"), (9, 9, "top")]
    assert reading.findings == ()


def test_two_points_are_no_box_where_a_name_says_that_they_are_points() -> None:
    reading = read_boxes('{"points": [[1, 2], [300, 400]]}', FRAME)
    assert (len(reading.points), reading.boxes, reading.findings) == (2, (), ())


def test_too_many_boxes_end_somewhere_and_that_is_said() -> None:
    reading = read_boxes(json.dumps([[1, 2, 3, 4]] * 10_500), FRAME)
    assert len(reading.boxes) == 10_000
    assert "too-many" in reading.findings.codes


@pytest.mark.parametrize("number", ["1e999", "NaN", "Infinity", "9" * 5000, "true", "null"])
def test_numbers_that_are_none_do_not_pass(number: str) -> None:
    text = f'[{{"box": [10, 20, {number}, 400]}}, {{"box": [10, 20, 300, 400]}}]'
    reading = read_boxes(text, FRAME)
    assert len(reading.boxes) == 1
    assert reading.findings


@pytest.mark.parametrize(
    "text",
    [
        "[x] " * 250_000,
        "[1,] " * 200_000,
        "[1 2] " * 160_000,
        '["\\"' * 250_000,
        "['" * 500_000,
        "[{" * 500_000,
        "[ " * 500_000,
        "{a:" * 300_000,
        '["' + '\\"' * 500_000,
        "[" + " " * 10**6,
        "```\n" * 250_000,
        "{" + "x" * 10**6,
        "['" + "' " * 500_000,
        "[1" + "," * 10**6,
        "[1," + "//" * 500_000,
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
    ids=range(24),
)
def test_a_megabyte_of_anything_takes_no_time(text: str) -> None:
    started = time.process_time()
    with pytest.raises(UnreadableAnswer):
        read_boxes(text, FRAME)
    with pytest.raises(UnreadableAnswer):
        read_json(text)
    assert time.process_time() - started < 5


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
        lambda b: {"label": b.label, "box": [list(b.xyxy[:2]), list(b.xyxy[2:])]},
        lambda b: {"label": b.label, "topLeft": b.xyxy[:2], "bottomRight": b.xyxy[2:]},
        lambda b: {"label": b.label, "bbox": ", ".join(map(str, b.xyxy))},
        lambda b: {"label": b.label, "x": b.left, "y": b.top, "w": b.width, "h": b.height},
        lambda b: {"label": b.label, "xywh": [b.left, b.top, b.width, b.height]},
        lambda b: {"label": b.label, "found": [{"coords": b.xyxy}]},
    ]
)


@given(boxes=boxes, spell=spelled, before=st.text(alphabet="abc .,\n", max_size=20))
def test_written_boxes_are_read_back(boxes: list[Box], spell: Any, before: str) -> None:
    text = f"{before}{json.dumps({'boxes': [spell(box) for box in boxes]})}{before}"
    assert read_boxes(text, FRAME).boxes == tuple(boxes)


FRACTIONS = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h),
    *(st.floats(*ends) for ends in [(0, 900), (0, 700), (2, 100), (2, 100)]),
)


@given(st.lists(FRACTIONS))
def test_fractions_of_pixels_are_read_back_exactly(boxes: list[Box]) -> None:
    assert read_boxes(json.dumps([box.xyxy for box in boxes]), FRAME).boxes == tuple(boxes)


@given(text=st.sampled_from(SPELLINGS + [text for text, _ in DOUBTS]), data=st.data())
def test_a_damaged_answer_is_a_reading_or_an_error_of_ours(text: str, data: Any) -> None:
    at = data.draw(st.integers(0, len(text)))
    until = data.draw(st.integers(at, len(text)))
    junk = data.draw(st.text(alphabet="[]{}\",:'/-1e9 \\", max_size=4))
    damaged = text[:at] + junk + text[until:]
    for read in (lambda: read_boxes(damaged, FRAME), lambda: read_json(damaged)):
        try:
            read()
        except UnreadableAnswer as error:
            assert error.text == damaged  # noqa: PT017 - any other exception fails the test


@given(st.integers(1, len(SPELLINGS[0]) - 1))
def test_an_answer_that_is_cut_is_never_taken_for_whole(cut: int) -> None:
    try:
        reading = read_boxes(SPELLINGS[0][:cut], FRAME)
    except UnreadableAnswer:
        return
    assert "broken" in reading.findings.codes
    assert reading.boxes[0].xyxy == BOX.xyxy


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
        ("[5]", [5]),
        ("```json\n[5]\n```", [5]),
        ("Here:\n```\n3\n```\nDone.", 3),
        ('Sure: {"id": 12345678901234567890}', {"id": 12345678901234567890}),
        ("{'a': 'it\\'s', 'b': [True, None,],}", {"a": "it's", "b": [True, None]}),
        ('As [1] says (see [this]): {"n": 1}', {"n": 1}),
        ('{"n": NaN} or rather {"n": 1}', {"n": 1}),
    ],
)
def test_json_is_found_in_its_surroundings(text: str, value: Any) -> None:
    assert read_json(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "{",
        "NaN",
        "9" * 5000,
        '{"a": {"b": 1}, "c": ',
        '{"a": [1, 2], "n": NaN}',
        '{"a": [1, 2], "n": 1e999}',
        f'{{"a": [1, 2], "n": {"9" * 5000}}}',
        '{"a": [1, 2] "b": [3]}',
    ],
)
def test_no_json_is_an_error(text: str) -> None:
    with pytest.raises(UnreadableAnswer):
        read_json(text)
