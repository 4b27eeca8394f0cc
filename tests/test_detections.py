"""What detections become elsewhere: supervision, COCO, a frame, a page."""

import re
import sys
from dataclasses import replace

import numpy as np
import pytest

import nbvision as nv
from nbvision.errors import RequestError

LABELS = ["Tür", "<b>窓</b>", "Tür", 'it\'s "a" $door']


@pytest.fixture(scope="module")
def found() -> nv.Detections:
    practice = nv.connect("practice", words_per_second=None)
    made = nv.locate(nv.samples.shapes, "every shape", backend=practice)
    boxes = tuple(nv.Box(*box.xyxy, label) for box, label in zip(made.boxes, LABELS, strict=False))
    return replace(made, boxes=boxes)


# supervision warns that OpenCV, which it can do without, is not there.
with_supervision = pytest.mark.filterwarnings("ignore:OpenCV")


@with_supervision
def test_supervision_gets_the_same_boxes_in_original_pixels(found: nv.Detections) -> None:
    import supervision

    given = found.to_supervision()
    assert isinstance(given, supervision.Detections)
    assert given.xyxy.tolist() == [pytest.approx(box.xyxy, abs=1e-3) for box in found.boxes]
    assert given.class_id.tolist() == [0, 1, 0, 2]
    assert given.data["class_name"].tolist() == LABELS
    assert given.confidence is None
    assert given[given.class_id == 0].data["class_name"].tolist() == ["Tür", "Tür"]


@with_supervision
def test_supervision_draws_where_the_boxes_are(found: nv.Detections) -> None:
    import supervision

    scene = np.asarray(found.image.pixels).copy()
    drawn = supervision.BoxAnnotator(thickness=3).annotate(scene.copy(), found.to_supervision())
    assert drawn.shape == (found.image.size.height, found.image.size.width, 3)
    changed = np.argwhere((drawn != scene).any(axis=2))
    assert abs(changed[:, 1].min() - min(box.left for box in found)) < 4
    assert abs(changed[:, 0].max() - max(box.bottom for box in found)) < 4


@with_supervision
def test_nothing_found_is_nothing_there(found: nv.Detections) -> None:
    empty = replace(found, boxes=()).to_supervision()
    assert len(empty) == 0
    assert empty.is_empty()


def test_without_supervision_the_cure_is_said(
    found: nv.Detections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(RequestError, match="supervision is not installed"):
        found.to_supervision()


def test_coco_and_frames_keep_every_label(found: nv.Detections) -> None:
    rows = found.to_coco()
    assert [row["category"] for row in rows] == LABELS
    assert [row["category_id"] for row in rows] == [1, 2, 1, 3]
    assert [row["id"] for row in rows] == [1, 2, 3, 4]
    assert found.to_frame()["label"].tolist() == LABELS


def test_a_page_holds_all_and_runs_nothing(found: nv.Detections) -> None:
    for result in (found, found.reply):
        html = result.to_html()
        assert html.startswith("<!doctype html>")
        assert 'charset="utf-8"' in html
        assert "every shape" in html
        assert "practice-high" in html
        assert "$0.00" in html
        assert len(html) < 250_000
        assert not re.search(r"<script|<iframe|<link|\son\w+=|javascript:", html, re.IGNORECASE)
        sources = re.findall(r'(?:src|href)="([^"]{1,30})', html)
        assert sources
        assert all(source.startswith("data:image/") for source in sources)
        assert all('alt="' in tag for tag in re.findall(r"<img [^>]*>", html))
    assert "&lt;b&gt;窓&lt;/b&gt;" in found.to_html()
    assert "<b>窓" not in found.to_html()


def test_a_page_folds_the_words_around_the_subject_away(found: nv.Detections) -> None:
    before, _, folded = found.to_html().partition("<details>")
    assert "<b>Asked:</b> every shape</p>" in before
    assert "absolute pixel coordinates" not in before
    assert "absolute pixel coordinates" in folded
    assert "<b>Asked:</b> every shape</p>" in found.reply.to_html()


def test_a_crop_says_whose_pixels_the_numbers_are(found: nv.Detections) -> None:
    assert "whole picture" not in found._repr_mimebundle_()["text/html"]
    crop = replace(found, image=found.image.crop(100, 50, 900, 650))
    shown = crop._repr_mimebundle_()["text/html"]
    where = "shapes.png, cropped at (100, 50)"
    assert (
        f"<figcaption>{where}, 800 × 600 px; boxes in pixels of the whole picture</figcaption>"
        in shown
    )
    assert f'alt="{where} with 4 boxes, boxes in pixels of the whole picture: 1. ' in shown
    twice = replace(crop, image=crop.image.crop(10, 10, 300, 300), boxes=())
    assert "shapes.png, cropped at (110, 60), 290" in twice._repr_mimebundle_()["text/html"]


def test_a_page_escapes_what_was_asked(found: nv.Detections) -> None:
    hostile = "<script>alert(1)</script>"
    request = replace(found.request, system=hostile)
    html = replace(found.reply, request=request).to_html()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
