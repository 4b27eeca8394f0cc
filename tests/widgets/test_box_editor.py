"""The box editor without a browser: what it takes, refuses, remembers and leaves behind."""

import io
import re
from typing import Any

import pytest
from PIL import Image
from traitlets import TraitError
from widget_comm import heard, say, sent, until

import nbvision as nv
from nbvision.errors import LimitExceeded, RequestError
from nbvision.geometry import Box, Point
from nbvision.widgets.box_editor import BoxEditor

PICTURE = Image.new("RGB", (400, 300), "white")
DOOR = Box(120, 40, 300, 260, "door")
WINDOW = Box(10, 20, 60, 80, "window")


def fields(*boxes: Box) -> list[dict[str, Any]]:
    names = ("left", "top", "right", "bottom")
    return [{**dict(zip(names, box.xyxy, strict=True)), "label": box.label} for box in boxes]


def edit(editor: BoxEditor, *boxes: Box, **changed: Any) -> dict[str, Any]:
    version = heard(editor, "state")[-1]["version"] if heard(editor, "state") else 0
    told = {"boxes": fields(*boxes), "points": [], "version": version, "view": "a", "serial": 1}
    return say(editor, "edit", **told | changed)


def state(editor: BoxEditor) -> dict[str, Any]:
    say(editor, "hello")
    return heard(editor, "state")[-1]


@pytest.fixture
def editor() -> BoxEditor:
    return BoxEditor(PICTURE)


def test_what_is_drawn_arrives_in_python(editor: BoxEditor) -> None:
    heard_of: list[Any] = []
    editor.observe(lambda change: heard_of.append(change.new), names="boxes")
    assert "error" not in edit(editor, DOOR, WINDOW)
    assert editor.boxes == [DOOR, WINDOW]
    assert heard_of == [[DOOR, WINDOW]]
    assert heard(editor, "state")[-1]["boxes"] == fields(DOOR, WINDOW)


def test_edges_are_whole_inside_and_in_order(editor: BoxEditor) -> None:
    told = {"left": 500.2, "top": -7, "right": 99.6, "bottom": 30.4, "label": ""}
    edit(editor, boxes=[told], points=[{"x": -1, "y": 17.6, "label": "knob"}])
    assert editor.boxes == [Box(100, 0, 400, 30)]
    assert editor.points == [Point(0, 18, "knob")]
    assert all(isinstance(edge, int) for edge in editor.boxes[0].xyxy)
    edit(editor, boxes=[{"left": 900, "top": 900, "right": 950, "bottom": 900, "label": ""}])
    assert editor.boxes == [Box(399, 299, 400, 300)]


@pytest.mark.parametrize(
    "changed",
    [
        {"boxes": "many"},
        {"boxes": [[1, 2, 3, 4]]},
        {"boxes": [{"left": 1, "top": 2, "right": 3, "label": ""}]},
        {"boxes": [{"left": float("nan"), "top": 2, "right": 3, "bottom": 4, "label": ""}]},
        {"boxes": [{"left": 1e300, "top": 2, "right": 3, "bottom": 4, "label": ""}]},
        {"boxes": [{"left": True, "top": 2, "right": 3, "bottom": 4, "label": ""}]},
        {"boxes": [{"left": 1, "top": 2, "right": 3, "bottom": 4, "label": "x" * 201}]},
        {"boxes": [{"left": 1, "top": 2, "right": 3, "bottom": 4, "label": None}]},
        {"boxes": fields(*[DOOR] * 1001)},
        {"points": [{"x": 1}]},
        {"points": [{"x": 1, "y": float("inf"), "label": ""}]},
        {"version": 99},
        {"version": "0"},
        {"version": None},
    ],
)
def test_a_hostile_edit_changes_nothing_and_is_answered_with_the_truth(
    editor: BoxEditor, changed: dict[str, Any]
) -> None:
    editor.boxes = [WINDOW]
    before = len(heard(editor, "state"))
    assert edit(editor, DOOR, **changed)["error"]["value"]
    assert editor.boxes == [WINDOW]
    last = heard(editor, "state")[before:][-1]
    assert last["boxes"] == fields(WINDOW)
    assert last["edit"] == {"view": "a", "serial": 1, "accepted": False}


@pytest.mark.parametrize("changed", [{"view": "x" * 41}, {"view": 3}, {"serial": -1}])
def test_an_edit_that_does_not_say_whose_it_is_is_refused(
    editor: BoxEditor, changed: dict[str, Any]
) -> None:
    assert "error" in edit(editor, DOOR, **changed)
    assert editor.boxes == []


@pytest.mark.parametrize("region", [None, [1, 2, 3], ["a", 0, 1, 1], [0, 0, float("nan"), 1]])
def test_a_part_that_is_no_part_is_refused(editor: BoxEditor, region: object) -> None:
    assert "error" in say(editor, "detail", region=region, view="a")


def test_of_two_views_the_slower_is_told_and_sees_the_latest(editor: BoxEditor) -> None:
    first = state(editor)["version"]
    assert "error" not in edit(editor, DOOR, version=first, view="a")
    refused = edit(editor, WINDOW, version=first, view="b")
    assert "changed elsewhere" in refused["error"]["value"]
    assert editor.boxes == [DOOR]
    last = heard(editor, "state")[-1]
    assert (last["boxes"], last["edit"]["view"]) == (fields(DOOR), "b")
    assert "error" not in edit(editor, DOOR, WINDOW, view="b")
    assert editor.boxes == [DOOR, WINDOW]


def test_a_view_may_go_on_from_what_it_drew_itself(editor: BoxEditor) -> None:
    """It sends again when the kernel is silent, not knowing whether the first has arrived."""
    assert "error" not in edit(editor, DOOR, version=0)
    assert "error" not in edit(editor, DOOR, WINDOW, version=0, serial=2)
    assert editor.boxes == [DOOR, WINDOW]
    editor.boxes = [WINDOW]
    assert "changed elsewhere" in edit(editor, DOOR, version=0, serial=3)["error"]["value"]
    edit(editor, DOOR)
    editor.undo()
    assert "changed elsewhere" in edit(editor, DOOR, version=3, serial=4)["error"]["value"]
    assert editor.boxes == [WINDOW]


def test_an_edit_that_changes_nothing_is_no_step(editor: BoxEditor) -> None:
    edit(editor, DOOR)
    version = heard(editor, "state")[-1]["version"]
    assert "error" not in edit(editor, DOOR, serial=2)
    last = heard(editor, "state")[-1]
    assert (last["version"], last["edit"]["serial"]) == (version, 2)
    editor.undo()
    assert editor.boxes == []


def test_undo_and_redo_go_through_what_page_and_python_did(editor: BoxEditor) -> None:
    edit(editor, DOOR)
    editor.boxes = [DOOR, WINDOW]
    editor.points = [Point(5, 6)]
    steps = [([DOOR, WINDOW], []), ([DOOR], []), ([], []), ([], [])]
    for boxes, points in steps:
        editor.undo()
        assert (editor.boxes, editor.points) == (boxes, points)
    assert not heard(editor, "state")[-1]["can_undo"]
    for _ in range(4):
        say(editor, "redo")
    assert (editor.boxes, editor.points) == ([DOOR, WINDOW], [Point(5, 6)])
    say(editor, "undo")
    edit(editor, WINDOW)
    assert not heard(editor, "state")[-1]["can_redo"]
    assert editor.points == []


def test_the_memory_of_undo_is_bounded(editor: BoxEditor) -> None:
    for number in range(230):
        editor.boxes = [Box(number, 0, number + 1, 9)]
    for _ in range(250):
        editor.undo()
    assert editor.boxes == [Box(29, 0, 30, 9)]


def test_what_python_sets_reaches_every_view(editor: BoxEditor) -> None:
    editor.boxes = [Box(9.6, 20.4, 60.2, 80, "window")]
    assert editor.boxes == [Box(10, 20, 60, 80, "window")]
    assert heard(editor, "state")[-1]["boxes"] == fields(Box(10, 20, 60, 80, "window"))
    editor.boxes = [DOOR]
    assert heard(editor, "state")[-1]["version"] == 2


def test_a_list_changed_inside_is_not_overwritten_by_the_next_edit(editor: BoxEditor) -> None:
    before = state(editor)["version"]
    editor.boxes.append(DOOR)
    assert "changed elsewhere" in edit(editor, WINDOW, version=before)["error"]["value"]
    assert editor.boxes == [DOOR]
    assert heard(editor, "state")[-1]["boxes"] == fields(DOOR)
    editor.boxes.append("junk")
    assert "'junk'" in say(editor, "hello")["error"]["value"]
    assert editor.boxes == [DOOR]


@pytest.mark.parametrize(
    ("boxes", "error"),
    [
        ([Box(400, 0, 500, 10)], RequestError),
        ([Box(0, -9, 10, 0)], RequestError),
        ([Box(0, 0, 9, 9, "x" * 201)], LimitExceeded),
        ([DOOR] * 1001, LimitExceeded),
        ([(1, 2, 3, 4)], TraitError),
        ("door", TraitError),
    ],
)
def test_python_is_told_what_cannot_be_drawn(
    editor: BoxEditor, boxes: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        editor.boxes = boxes
    assert editor.boxes == []
    assert state(editor)["version"] == 0


def test_points_outside_are_refused_and_edges_belong_to_the_picture(editor: BoxEditor) -> None:
    editor.points = [Point(400, 300), Point(0, 0)]
    with pytest.raises(RequestError, match="x from 0 to 400"):
        editor.points = [Point(400.5, 3)]


def test_an_observer_that_fails_is_shown_and_the_edit_stays(editor: BoxEditor) -> None:
    def fail(_: object) -> None:
        raise KeyError("mine")

    editor.observe(fail, names="boxes")
    assert "'mine'" in edit(editor, DOOR)["error"]["value"]
    assert editor.boxes == [DOOR]
    assert heard(editor, "state")[-1]["boxes"] == fields(DOOR)
    assert heard(editor, "state")[-1]["edit"]["accepted"]


def test_an_observer_may_change_what_was_drawn(editor: BoxEditor) -> None:
    def snap(change: Any) -> None:
        editor.boxes = [Box(*(round(e, -1) for e in b.xyxy), b.label) for b in change.new]

    editor.observe(snap, names="boxes")
    edit(editor, Box(121, 44, 298, 256, "door"))
    assert editor.boxes == [Box(120, 40, 300, 260, "door")]
    assert heard(editor, "state")[-1]["boxes"] == fields(DOOR)


def test_a_crop_is_drawn_on_in_pixels_of_the_full_picture() -> None:
    crop = nv.open_image(PICTURE).crop(100, 50, 200, 150)
    editor = BoxEditor(crop, [Box(90, 60, 150, 100)])
    assert editor.boxes == [Box(100, 60, 150, 100)]
    assert state(editor)["frame"] == [100, 50, 200, 150]
    with pytest.raises(RequestError, match="x from 100 to 200"):
        editor.boxes = [Box(0, 0, 50, 50)]
    edit(editor, Box(0, 0, 120, 70))
    assert editor.boxes == [Box(100, 50, 120, 70)]
    assert editor.undo() is None


def test_detections_bring_picture_boxes_and_what_to_measure_against() -> None:
    practice = nv.connect("practice", words_per_second=None)
    found = nv.locate(nv.samples.photo, nv.samples.photo.prompt, backend=practice)
    editor = BoxEditor(found)
    assert editor.image is found.image
    assert editor.boxes[0].iou(found.boxes[0]) > 0.99
    assert editor.against == found.boxes
    assert editor.matches.mean_iou > 0.99
    clean = BoxEditor(found, boxes=(), against=())
    assert (clean.boxes, clean.against) == ([], ())
    assert BoxEditor(found.image, against=found).against == found.boxes


def test_the_state_says_how_far_the_model_is() -> None:
    near, far = Box(10, 20, 60, 70), Box(300, 200, 390, 290)
    editor = BoxEditor(PICTURE, [DOOR, WINDOW], against=[far, near])
    found = state(editor)
    assert found["pairs"] == [None, [1, pytest.approx(5 / 6)]]
    assert found["summary"] == "1 pair, mean IoU 0.83; 1 missed, 1 extra"
    assert editor.matches.extra == (far,)
    assert state(BoxEditor(PICTURE))["summary"] == ""


def test_labels_to_choose_from_are_given_found_and_drawn() -> None:
    editor = BoxEditor(PICTURE, [DOOR], against=[WINDOW], labels=["roof", "door"])
    found = state(editor)
    assert (found["labels"], found["new_label"]) == (["roof", "door", "window"], "")
    assert state(BoxEditor(PICTURE, labels=["roof"]))["new_label"] == "roof"


def test_what_to_measure_against_can_come_later(editor: BoxEditor) -> None:
    edit(editor, DOOR)
    version = heard(editor, "state")[-1]["version"]
    editor.against = [DOOR]
    editor.labels = ["roof"]
    last = heard(editor, "state")[-1]
    assert last["summary"] == "1 pair, mean IoU 1.00; 0 missed, 0 extra"
    assert (last["version"], last["labels"]) == (version, ["roof", "door"])
    assert editor.matches.mean_iou == 1
    with pytest.raises(RequestError, match=r"nbvision\.Box"):
        editor.against = [(1, 2, 3, 4)]  # type: ignore[list-item]
    assert editor.against == (DOOR,)


def test_the_picture_is_sent_when_asked_for_small_and_once_for_each_asking() -> None:
    editor = BoxEditor(Image.new("RGB", (4000, 2000), "white"))
    assert sent(editor, "picture") == []
    assert all(buffers == [] for _, buffers in sent(editor, "state"))
    say(editor, "picture")
    _, (data,) = until(lambda: sent(editor, "picture"))[0]
    assert Image.open(io.BytesIO(data)).size == (1568, 784)


def test_a_part_is_sent_as_sharp_as_it_is() -> None:
    editor = BoxEditor(nv.open_image(Image.new("RGB", (4000, 2000))).crop(1000, 0, 4000, 2000))
    say(editor, "detail", region=[900, 10.5, 1500.2, 400], view="a")
    content, (data,) = until(lambda: sent(editor, "detail"))[0]
    assert (content["region"], content["view"]) == ([1000, 10, 1501, 400], "a")
    assert Image.open(io.BytesIO(data)).size == (501, 390)


def test_a_part_with_nothing_in_it_says_so(editor: BoxEditor) -> None:
    say(editor, "detail", region=[500, 500, 600, 600], view="a")
    assert "no pixel" in until(lambda: heard(editor, "error"))[0]["value"]


HOSTILE = '<img src=x onerror="alert(1)">\n3. nothing'


def test_what_stays_is_a_picture_with_words_and_a_table() -> None:
    near = Box(10, 20, 60, 70, "pane")
    editor = BoxEditor(PICTURE, [DOOR, WINDOW], [Point(5, 6, HOSTILE)], against=[near])
    shown = editor._still()
    assert shown["text/plain"].splitlines()[1:] == [
        "1. door: [120, 40, 300, 260]",
        "2. window: [10, 20, 60, 80], IoU 0.833",
        '3. <img src=x onerror="alert(1)"> 3. nothing: (5, 6)',
        "1 pair, mean IoU 0.83; 1 missed, 0 extra",
    ]
    (tag,) = re.findall(r"<img [^>]*>", shown["text/html"])
    assert 'alt="Pillow image with 2 boxes and 1 point: 1. door' in tag
    assert ">1 pair, mean IoU 0.83" in shown["text/html"]
    assert "0.833" in shown["text/html"]
    assert "image/jpeg" in shown


def test_what_stays_is_small_and_empty_is_no_error(editor: BoxEditor) -> None:
    assert "BoxEditor(0 boxes on SourceImage(" in editor._still()["text/plain"]
    assert "<table>" not in editor._still()["text/html"]
    assert "IoU" not in BoxEditor(PICTURE, [DOOR])._still()["text/html"]
    large = BoxEditor(nv.samples.photo, nv.samples.photo.truth)._still()
    assert len("".join(large.values())) < 250_000


def test_it_leaves_as_coco() -> None:
    (found,) = BoxEditor(PICTURE, [DOOR]).to_coco()
    assert (found["category"], found["bbox"]) == ("door", [120, 40, 180, 220])


def test_closed_it_keeps_what_was_drawn(editor: BoxEditor) -> None:
    edit(editor, DOOR)
    editor.freeze()
    assert editor.boxes == [DOOR]
    editor.undo()
    assert editor.boxes == []
    assert editor._picture == b""


def test_the_live_view_is_a_widget_and_words_alone(editor: BoxEditor) -> None:
    data, _ = editor._repr_mimebundle_()
    assert set(data) == {"text/plain", "application/vnd.jupyter.widget-view+json"}
    assert data["text/plain"].startswith("BoxEditor(0 boxes on")
    assert len(editor._esm) < 60_000
