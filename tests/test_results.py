"""Results show themselves: safely, in words too, and small."""

import io
import re
from dataclasses import replace
from typing import Any

import pytest
from other_server import other_server
from PIL import Image

import nbvision as nv
from nbvision.errors import LimitExceeded, RequestError
from nbvision.results import Cost

HOSTILE = '<script>alert(1)</script> \x1b[31mred \u202e <img src=x onerror="alert(2)">'


def practice() -> nv.Backend:
    return nv.connect("practice", words_per_second=None)


@pytest.fixture(scope="module")
def found() -> nv.Detections:
    return nv.locate(nv.samples.photo, nv.samples.photo.prompt, backend=practice())


@pytest.fixture(scope="module")
def reply() -> nv.Reply:
    return nv.compare([nv.samples.shelf_before, nv.samples.shelf_after], backend=practice())


def bundle_of(result: Any) -> dict[str, str]:
    shown: dict[str, str] = result._repr_mimebundle_()
    return shown


def test_every_result_has_words_and_markup_and_stays_small(
    found: nv.Detections, reply: nv.Reply
) -> None:
    results = [found, reply, reply.request, nv.preview(nv.samples.photo), reply.images[0]]
    for result in [*results, nv.open_image(nv.samples.photo)]:
        shown = bundle_of(result)
        assert shown["text/plain"].strip()
        assert len("".join(shown.values())) < 250_000, type(result)
        assert "base64" not in repr(result)
        assert len(repr(result)) < 250


def test_every_picture_has_its_words(found: nv.Detections, reply: nv.Reply) -> None:
    for result in (found, reply, nv.preview(nv.samples.photo)):
        tags = re.findall(r"<img [^>]*>", bundle_of(result)["text/html"])
        assert tags
        assert all(re.search(r'alt="[^"]{8,}"', tag) for tag in tags)


def test_the_alternative_text_tells_the_boxes(found: nv.Detections) -> None:
    assert "red region: [5" in bundle_of(found)["text/html"]
    assert "photo.jpg with 1 box" in bundle_of(found)["text/html"]


def test_practice_answers_say_that_they_are(reply: nv.Reply, found: nv.Detections) -> None:
    for result in (reply, found):
        assert "practice answer" in bundle_of(result)["text/html"]
        assert "practice answer" in bundle_of(result)["text/plain"]


def test_captions_of_several_pictures_stay_under_their_own(reply: nv.Reply) -> None:
    shown = bundle_of(reply)["text/html"]
    assert len(re.findall(r'<figure style="margin:0;max-width:240px;[^>]*><img ', shown)) == 2
    narrow = nv.describe(Image.new("RGB", (100, 600)), backend=practice())
    assert "max-width:120px" in bundle_of(narrow)["text/html"]


def test_a_request_counts_its_pictures(reply: nv.Reply, found: nv.Detections) -> None:
    assert " 2 images, " in repr(reply.request)
    assert " 1 image, " in repr(found.request)


def test_model_text_is_text() -> None:
    with other_server(lambda _: HOSTILE) as place:
        backend = nv.connect("anthropic", platform="anthropic", base_url=place.url, api_key="none")
        reply = nv.describe(Image.new("RGB", (300, 300)), backend=backend)
    shown = bundle_of(reply)
    assert "<script" not in shown["text/html"]
    assert "onerror=" not in re.sub(r"&quot;|&lt;.*?&gt;", "", shown["text/html"])
    assert "\x1b" not in shown["text/plain"]
    assert reply.text == HOSTILE


def test_labels_and_names_are_text(tmp_path: Any) -> None:
    answer = '[{"label": "<script>alert(1)</script>$x$", "box": [1, 2, 100, 90]}]'
    path = tmp_path / '"><script>alert(3)<br>.png'.replace("/", "")
    Image.new("RGB", (300, 300)).save(path, "PNG")
    with other_server(lambda _: answer) as place:
        backend = nv.connect("anthropic", platform="anthropic", base_url=place.url, api_key="none")
        found = nv.locate(path, "x", backend=backend)
    assert "<script" not in bundle_of(found)["text/html"]
    assert "<script" not in bundle_of(found.image)["text/html"]


def test_an_overlay_is_small_unless_the_full_size_is_asked(found: nv.Detections) -> None:
    small = Image.open(io.BytesIO(found.overlay()))
    assert max(small.size) == 1000
    full = Image.open(io.BytesIO(found.overlay(full_size=True, media_type="image/png")))
    assert (full.size, full.format) == ((2572, 1740), "PNG")


def test_detections_are_a_sequence_of_boxes(found: nv.Detections) -> None:
    assert len(found) == 1
    assert list(found) == [found[0]]
    assert found[0].iou(nv.samples.photo.truth[0]) > 0.9


def test_plotting_gives_axes_in_original_pixels(found: nv.Detections) -> None:
    drawn = found.plot()
    axes = drawn.axes[0]
    assert axes.get_xlim() == (0, 2572)
    assert found.plot(axes) is axes
    assert 'alt="photo.jpg with 1 box' in bundle_of(drawn)["text/html"]


def test_a_plot_shows_itself_small(found: nv.Detections) -> None:
    shown = bundle_of(found.plot())
    assert len("".join(shown.values())) < 250_000
    assert shown.keys() == {"text/plain", "text/html", "image/jpeg"}


def test_boxes_and_points_bear_one_row_of_numbers(found: nv.Detections) -> None:
    both = replace(found, points=(nv.Point(5, 6, "stem\n9. forged"),))
    assert both.in_words().splitlines()[1] == "2. stem 9. forged: (5, 6)"
    assert repr(both).startswith("Detections(1 box and 1 point in SourceImage(")


def test_an_overlay_says_what_it_cannot_be(found: nv.Detections) -> None:
    with pytest.raises(RequestError, match="image/gif"):
        found.overlay(media_type="image/gif")
    strip = replace(found, image=nv.open_image(Image.new("RGB", (66_000, 2))), boxes=())
    with pytest.raises(LimitExceeded, match="66000"):
        strip.overlay(full_size=True)
    assert Image.open(io.BytesIO(strip.overlay())).size == (1000, 1)


def test_coco_and_frames_hold_the_same_boxes(found: nv.Detections) -> None:
    row, box = found.to_coco()[0], found[0]
    assert row["bbox"] == [box.left, box.top, box.width, box.height]
    assert found.to_frame().iloc[0].right == box.right


def test_nothing_found_is_said() -> None:
    found = nv.locate(nv.samples.photo, "the pink star", backend=practice())
    assert "nothing found" in bundle_of(found)["text/plain"]


def test_boxes_of_a_crop_are_drawn_where_they_lie() -> None:
    crop = nv.open_image(nv.samples.shapes).crop(1000, 150, 1800, 850)
    found = nv.locate(crop, "the blue square", backend=practice())
    assert found[0].iou(nv.samples.shapes.truth[1]) > 0.95
    assert found.plot().axes[0].patches[0].get_bbox().x0 == pytest.approx(120, abs=3)  # type: ignore[attr-defined]


def test_a_preview_is_drawn_from_the_bytes_to_send() -> None:
    preview = nv.preview(nv.samples.page, model="claude-haiku-4-5", boxes=[nv.Box(1, 2, 30, 40)])
    assert preview.prepared.pixels.size == preview.fit.resized
    assert preview.rows[0].model == "claude-haiku-4-5"
    assert "1,551" in bundle_of(preview)["text/html"]


@pytest.mark.parametrize(
    ("dollars", "words"),
    [(None, "price not known"), (0.0, "$0.00"), (0.0000423, "$0.000042"), (1.5, "$1.5000")],
)
def test_costs_are_words(dollars: float | None, words: str) -> None:
    assert str(Cost(dollars)) == words
