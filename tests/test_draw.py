"""What is drawn stands where the numbers say, to the pixel."""

import io
import subprocess
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from nbvision.draw import draw_places, figure_bytes, overlay_figure, preview_figure, shrunk
from nbvision.errors import LimitExceeded, RequestError
from nbvision.geometry import STANDARD, Box, Fit, Point


def pixels(drawn: Figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(figure_bytes(drawn))).convert("RGB")).astype(int)


def noisy(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("size", [(400, 300), (301, 77), (50, 640), (1, 1), (1200, 3)])
def test_without_boxes_the_overlay_is_the_picture(size: tuple[int, int]) -> None:
    image = noisy(*size)
    assert (pixels(overlay_figure(image, [])) == np.asarray(image)).all()


@pytest.mark.parametrize("box", [Box(100, 60, 300, 240), Box(20, 30, 390, 290)])
def test_an_edge_lies_on_its_number(box: Box) -> None:
    image = Image.new("RGB", (400, 300), "white")
    drawn = (pixels(overlay_figure(image, [box])) != 255).any(axis=2)
    rows, columns = np.nonzero(drawn[int(box.top) + 20 : int(box.bottom) - 5, :])
    left, right = columns.min(), columns.max() + 1
    # A line is drawn to both sides of its edge.
    assert abs((left + (columns[columns < 200].max() + 1)) / 2 - box.left) <= 0.5
    assert abs((right + columns[columns > 200].min()) / 2 - box.right) <= 0.5
    assert rows.size


def test_beyond_boxes_and_labels_nothing_changes() -> None:
    image = noisy(400, 300)
    changed = (
        pixels(overlay_figure(image, [Box(100, 100, 200, 200, "a")])) != np.asarray(image)
    ).any(axis=2)
    assert changed[100:200, 95:105].any()
    changed[70:206, 94:260] = False
    assert not changed.any()


@pytest.mark.parametrize("top", [0, 4, 12, 20])
@pytest.mark.parametrize("size", [(400, 300), (3000, 200)])
def test_a_label_without_room_above_stands_inside(size: tuple[int, int], top: int) -> None:
    drawn = overlay_figure(Image.new("RGB", size, "white"), [Box(40, top, 300, 190, "door")])
    figure_bytes(drawn)
    label = drawn.axes[0].texts[0].get_window_extent()
    assert label.y1 <= size[1]
    assert label.y0 >= 0


@pytest.mark.parametrize("left", [0, 200, 390])
def test_a_label_at_the_edge_stays_in_the_picture(left: int) -> None:
    box = Box(left, 100, 400, 200, "the last shelf")
    drawn = overlay_figure(Image.new("RGB", (400, 300), "white"), [box])
    figure_bytes(drawn)
    label = drawn.axes[0].texts[0].get_window_extent()
    assert label.x0 >= 0
    assert label.x1 <= 400


def written(
    size: tuple[int, int], boxes: list[Box], points: list[Point] | None = None
) -> list[str]:
    drawn = overlay_figure(Image.new("RGB", size, "white"), boxes, points or [])
    return [text.get_text() for text in drawn.axes[0].texts]


def test_a_label_that_would_hide_another_box_is_its_number() -> None:
    rows = [Box(20, 100 + 22 * n, 380, 120 + 22 * n, "a row of the table") for n in range(4)]
    assert written((400, 300), rows) == ["1 a row of the table", "2", "3", "4"]


def test_labels_do_not_lie_over_labels() -> None:
    side_by_side = [Box(40 * n, 100, 40 * n + 30, 200, "a drawer") for n in range(1, 6)]
    assert written((400, 300), side_by_side) == ["1", "2", "3", "4", "5 a drawer"]
    apart = [Box(40, 60, 100, 100, "left"), Box(240, 60, 300, 100, "right")]
    assert written((400, 300), apart) == ["1 left", "2 right"]


def test_a_label_within_a_larger_box_is_whole() -> None:
    boxes = [Box(10, 40, 390, 290, "shelf"), Box(100, 120, 200, 200, "jar")]
    assert written((400, 300), boxes) == ["1 shelf", "2 jar"]


def test_a_label_that_would_hide_a_point_is_its_number() -> None:
    box = Box(100, 100, 200, 200, "the jar")
    assert written((400, 300), [box], [Point(120, 92, "")]) == ["1", "2"]
    assert written((400, 300), [box], [Point(300, 92, "lid")]) == ["1 the jar", "2 lid"]


def test_labels_of_thousands_of_boxes_are_numbers_at_once() -> None:
    boxes = [Box(x, y, x + 1, y + 1, "a") for x in range(0, 1000, 20) for y in range(0, 1000, 25)]
    some, all_of_them = written((1000, 1000), boxes[:1]), written((1000, 1000), boxes)
    assert some == ["1 a"]
    assert all_of_them == [f"{number}" for number in range(1, 2001)]


def test_letters_grow_with_the_picture() -> None:
    heights = []
    for side in (300, 1000, 4000):
        drawn = overlay_figure(Image.new("RGB", (side, side)), [Box(0, side / 2, side, side, "a")])
        heights.append(drawn.axes[0].texts[0].get_fontsize())
    assert heights == sorted(set(heights))
    assert heights[0] >= 6


@pytest.mark.parametrize("ground", ["#E69F00", "#0072B2", "black", "white"])
def test_a_box_shows_on_any_ground(ground: str) -> None:
    image = Image.new("RGB", (400, 300), ground)
    boxes = [Box(60 * n + 5, 60, 60 * n + 45, 250) for n in range(6)]
    changed = abs(pixels(overlay_figure(image, boxes)) - np.asarray(image)).max(axis=2) > 40
    assert all(changed[200:240, 60 * n : 60 * n + 50].any() for n in range(6))


HOSTILE = [
    "100% $\\undefined{x}$",
    "$",
    "a_b^c\\",
    "<b>x</b>",
    "\u202eevil",
    "\x1b[31m",
    "漢字 \U0001f600",
    "x" * 5000,
    "two\nlines",
    "",
]


@pytest.mark.parametrize("label", HOSTILE, ids=range(len(HOSTILE)))
def test_any_label_is_drawn_as_letters(label: str) -> None:
    drawn = overlay_figure(noisy(300, 200), [Box(50, 60, 150, 150, label)], [Point(9, 9, label)])
    assert pixels(drawn).shape == (200, 300, 3)


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=30), st.integers(1, 300), st.integers(1, 300))
def test_any_label_at_any_size(label: str, width: int, height: int) -> None:
    image = Image.new("RGB", (width, height))
    assert pixels(overlay_figure(image, [Box(0, 0, width, height, label)])).shape[1] == width


def test_axes_of_ones_own_are_drawn_on_in_original_pixels() -> None:
    axes = Figure().add_subplot()
    draw_places(axes, noisy(40, 30), [Box(1, 2, 3, 4)])
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 40), (30, 0))
    assert axes.images[0].get_extent() == [0, 40, 30, 0]
    assert axes.patches[0].get_bbox().bounds == (1, 2, 2, 2)  # type: ignore[attr-defined]


def test_a_large_picture_is_drawn_from_a_small_copy() -> None:
    axes = Figure().add_subplot()
    draw_places(axes, Image.new("RGB", (6000, 3000)), [Box(10, 20, 3000, 2000)])
    assert max(axes.images[0].get_array().shape) <= 2000  # type: ignore[union-attr]
    assert axes.images[0].get_extent() == [0, 6000, 3000, 0]


def test_a_full_size_overlay_keeps_to_few_bytes_a_pixel() -> None:
    drawn = overlay_figure(Image.new("RGB", (2000, 1500)), [Box(10, 20, 900, 800, "a")])
    tracemalloc.start()
    figure_bytes(drawn)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3_000_000 * 16


@pytest.mark.parametrize("media_type", ["image/gif", "png", "", None])
def test_other_media_types_are_refused(media_type: Any) -> None:
    with pytest.raises(RequestError, match="media_type"):
        figure_bytes(overlay_figure(noisy(4, 4), []), media_type)


def test_a_picture_too_long_for_jpeg_is_refused_and_png_takes_it() -> None:
    drawn = overlay_figure(Image.new("RGB", (66_000, 2)), [])
    with pytest.raises(LimitExceeded, match="66000"):
        figure_bytes(drawn, "image/jpeg")
    assert Image.open(io.BytesIO(figure_bytes(drawn))).size == (66_000, 2)


def test_a_preview_has_three_panels_and_boxes_in_each_space() -> None:
    fit = Fit.of((3000, 2000), STANDARD)
    box = Box(300, 200, 600, 400)
    drawn = preview_figure(noisy(300, 200), noisy(*fit.resized), fit, [box])
    original, resized, padded = drawn.axes
    assert original.get_xlim() == (0, 3000)
    assert resized.get_xlim() == (0, fit.resized.width)
    assert padded.get_xlim() == (0, fit.padded.width)
    first = original.patches[0].get_bbox()  # type: ignore[attr-defined]
    second = resized.patches[0].get_bbox()  # type: ignore[attr-defined]
    assert first.x0 / 3000 == pytest.approx(second.x0 / fit.resized.width)


@pytest.mark.parametrize("size", [(5000, 20), (20, 5000), (1, 1)])
def test_odd_shapes_preview(size: tuple[int, int]) -> None:
    fit = Fit.of(size, STANDARD)
    assert figure_bytes(preview_figure(noisy(9, 9), noisy(*fit.resized), fit)).startswith(
        b"\x89PNG"
    )


def test_shrinking_keeps_proportions_and_never_enlarges() -> None:
    small, factor = shrunk(noisy(2000, 1000))
    assert (small.size, factor) == ((1000, 500), 0.5)
    assert shrunk(noisy(10, 10))[1] == 1


def test_drawing_does_not_load_pyplot() -> None:
    code = (
        "import sys; from PIL import Image; from nbvision.draw import figure_bytes, overlay_figure;"
        "figure_bytes(overlay_figure(Image.new('RGB', (9, 9)), []));"
        "print('matplotlib' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["True", "False"]
