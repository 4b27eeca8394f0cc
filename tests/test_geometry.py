"""The published rule, row by row, and what must hold for every picture."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbvision.geometry import (
    HIGH,
    STANDARD,
    Box,
    Fit,
    Point,
    Size,
    Tier,
    padded_size,
    resized_size,
    visual_tokens,
)

TIERS = st.sampled_from([STANDARD, HIGH])
SIZES = st.builds(Size, st.integers(1, 9000), st.integers(1, 9000))


@st.composite
def boxes(draw: st.DrawFn) -> tuple[Size, Box]:
    size = draw(SIZES)
    left, right = sorted(draw(st.floats(0, size.width)) for _ in range(2))
    top, bottom = sorted(draw(st.floats(0, size.height)) for _ in range(2))
    return size, Box(left, top, right, bottom, "here")


@pytest.mark.parametrize(
    ("size", "tier", "resized", "tokens"),
    [
        # The documentation's table of sizes ("Vision", copy of 2026-08-22).
        ((200, 200), STANDARD, (200, 200), 64),
        ((1000, 1000), STANDARD, (1000, 1000), 1296),
        ((1092, 1092), STANDARD, (1092, 1092), 1521),
        ((1920, 1080), STANDARD, (1456, 819), 1560),
        # Printed there as 1269 × 952; the reference code of the same documentation gives 1270.
        ((2000, 1500), STANDARD, (1270, 952), 1564),
        ((3840, 2160), STANDARD, (1456, 819), 1560),
        ((200, 200), HIGH, (200, 200), 64),
        ((1000, 1000), HIGH, (1000, 1000), 1296),
        ((1092, 1092), HIGH, (1092, 1092), 1521),
        ((1920, 1080), HIGH, (1920, 1080), 2691),
        ((2000, 1500), HIGH, (2000, 1500), 3888),
        ((3840, 2160), HIGH, (2576, 1449), 4784),
        # Its worked example, and the largest sizes of the older guide.
        ((1075, 1520), STANDARD, (924, 1307), 1551),
        ((1075, 1520), HIGH, (1075, 1520), 2145),
        ((951, 1268), STANDARD, (951, 1268), 1564),
        ((896, 1344), STANDARD, (896, 1344), 1536),
        ((819, 1456), STANDARD, (819, 1456), 1560),
        ((784, 1568), STANDARD, (784, 1568), 1568),
        # Double arithmetic in the published order differs from exact rounding here.
        ((1792, 1416), STANDARD, (1232, 973), 1540),
    ],
)
def test_every_published_row(
    size: tuple[int, int], tier: Tier, resized: tuple[int, int], tokens: int
) -> None:
    fit = Fit.of(size, tier)
    assert (fit.resized, fit.visual_tokens) == (resized, tokens)


def brute_force(size: Size, tier: Tier) -> Size:
    """State the rule without its search: the largest long side whose partner fits."""
    if tier.fits(size):
        return size
    long_edge, short_edge = max(size), min(size)
    ratio = long_edge / short_edge
    for edge in range(min(long_edge, tier.edge_limit), 0, -1):
        partner = max(1, round(edge / ratio))
        columns, rows = math.ceil(edge / 28), math.ceil(partner / 28)
        if max(columns, rows) * 28 <= tier.edge_limit and columns * rows <= tier.visual_token_limit:
            return Size(edge, partner) if size.width >= size.height else Size(partner, edge)
    raise AssertionError("one pixel always fits")


@given(SIZES, TIERS)
def test_the_search_finds_what_brute_force_finds(size: Size, tier: Tier) -> None:
    assert resized_size(size, tier) == brute_force(size, tier)


@given(SIZES, TIERS)
def test_the_result_fits_is_stable_and_never_larger(size: Size, tier: Tier) -> None:
    resized = resized_size(size, tier)
    assert tier.fits(resized)
    assert resized_size(resized, tier) == resized
    assert resized.width <= size.width
    assert resized.height <= size.height


@given(SIZES, TIERS)
def test_turning_the_picture_turns_the_result(size: Size, tier: Tier) -> None:
    turned = resized_size(Size(size.height, size.width), tier)
    assert turned == resized_size(size, tier)[::-1]


@given(SIZES)
def test_padding_goes_to_whole_patches_and_costs_the_same(size: Size) -> None:
    padded = padded_size(size)
    assert padded.width % 28 == padded.height % 28 == 0
    assert 0 <= padded.width - size.width < 28
    assert 0 <= padded.height - size.height < 28
    assert visual_tokens(padded) == visual_tokens(size)


@given(boxes(), TIERS, st.tuples(st.integers(0, 5000), st.integers(0, 5000)))
def test_a_box_survives_the_round_trip(
    case: tuple[Size, Box], tier: Tier, origin: tuple[int, int]
) -> None:
    size, box = case
    fit = Fit.of(size, tier, crop_origin=origin)
    there = Box(
        box.left + origin[0],
        box.top + origin[1],
        box.right + origin[0],
        box.bottom + origin[1],
        box.label,
    )
    back = fit.to_original(fit.to_resized(there))
    assert back.label == there.label
    assert back.xyxy == pytest.approx(there.xyxy, abs=1e-6)


@given(boxes(), TIERS)
def test_a_box_in_whole_resized_pixels_is_within_half_a_pixel_of_them(
    case: tuple[Size, Box], tier: Tier
) -> None:
    size, box = case
    fit = Fit.of(size, tier)
    seen = fit.to_resized(box)
    spoken = Box(*(float(round(edge)) for edge in seen.xyxy))
    back = fit.to_original(spoken)
    half_x = 0.5 * size.width / fit.resized.width + 1e-6
    half_y = 0.5 * size.height / fit.resized.height + 1e-6
    assert abs(back.left - box.left) <= half_x
    assert abs(back.right - box.right) <= half_x
    assert abs(back.top - box.top) <= half_y
    assert abs(back.bottom - box.bottom) <= half_y


@given(boxes(), SIZES)
def test_a_clamped_box_stays_inside(case: tuple[Size, Box], size: Size) -> None:
    clamped = case[1].clamp(size)
    assert 0 <= clamped.left <= clamped.right <= size.width
    assert 0 <= clamped.top <= clamped.bottom <= size.height


@given(boxes(), boxes())
def test_iou_is_symmetric_and_between_none_and_all(
    one: tuple[Size, Box], two: tuple[Size, Box]
) -> None:
    value = one[1].iou(two[1])
    assert 0 <= value <= 1
    assert value == two[1].iou(one[1])
    assert one[1].iou(one[1]) == 1


def test_coordinates_refer_to_the_unpadded_frame() -> None:
    fit = Fit.of((1075, 1520), STANDARD)
    assert fit.padded == (924, 1316)
    assert fit.to_original(Point(924, 1307)) == Point(1075, 1520)


@pytest.mark.parametrize("size", [(0, 10), (10, 0), (-1, 5)])
def test_a_picture_without_pixels_has_no_fit(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        Fit.of(size, HIGH)


@pytest.mark.parametrize("edges", [(5, 0, 1, 1), (0, 5, 1, 1), (0, 0, math.nan, 1)])
def test_a_box_with_its_edges_swapped_or_missing_is_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"edges|≤"):
        Box(*edges)
