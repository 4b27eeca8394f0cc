"""The samples are small, theirs to give away, and true."""

import json
from importlib import resources

import numpy as np
import pytest
from PIL import Image

import nbvision
from nbvision import samples
from nbvision.errors import ImageNotFound
from nbvision.geometry import HIGH, STANDARD, Fit
from nbvision.samples.make_samples import draw_page, draw_shapes, draw_shelf

DRAWINGS = {
    "shapes": draw_shapes,
    "shelf_before": lambda: draw_shelf(is_after=False),
    "shelf_after": lambda: draw_shelf(is_after=True),
    "page": draw_page,
}


def test_every_sample_is_there_by_name_and_by_attribute() -> None:
    assert set(samples.names()) == {"photo", "shapes", "shelf_before", "shelf_after", "page"}
    for name in samples.names():
        assert samples.load(name) == getattr(samples, name) == getattr(nbvision.samples, name)
        assert name in dir(samples)


@pytest.mark.parametrize("name", samples.names())
def test_a_sample_is_a_path_and_says_what_it_is(name: str) -> None:
    sample = samples.load(name)
    with open(sample, "rb") as file:  # noqa: PTH123 - that it is a path is the point
        assert file.read(2) in {b"\x89P", b"\xff\xd8"}
    assert name in repr(sample)
    assert sample.note
    assert sample.licence in repr(sample)


def test_all_samples_together_are_small() -> None:
    sizes = [samples.load(name).path.stat().st_size for name in samples.names()]
    assert max(sizes) <= 900_000
    assert sum(sizes) <= 2_000_000


@pytest.mark.parametrize("name", samples.names())
def test_a_sample_holds_pixels_and_nothing_else(name: str) -> None:
    with Image.open(samples.load(name)) as image:
        assert not image.getexif()
        assert not {"comment", "icc_profile", "exif", "xmp"} & set(image.info)


@pytest.mark.parametrize("name", samples.names())
def test_true_boxes_are_named_and_inside(name: str) -> None:
    sample = samples.load(name)
    with Image.open(sample) as image:
        width, height = image.size
    for box in sample.truth:
        left, top, right, bottom = box.xyxy
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert box.label


def test_what_is_to_be_resized_is_large_enough() -> None:
    for name in ("shapes", "photo"):
        with Image.open(samples.load(name)) as image:
            assert all(Fit.of(image.size, tier).is_resized for tier in (STANDARD, HIGH))
    with Image.open(samples.page) as image:  # the documentation's worked example
        assert Fit.of(image.size, STANDARD).resized == (924, 1307)
        assert not Fit.of(image.size, HIGH).is_resized


@pytest.mark.parametrize("name", sorted(DRAWINGS))
def test_a_drawing_is_what_its_maker_draws(name: str) -> None:
    image, truth = DRAWINGS[name]()
    stored = np.asarray(Image.open(samples.load(name)).convert("RGB")).astype(int)
    # Versions of Pillow and of the font draw letters a shade differently.
    assert np.abs(np.asarray(image) - stored).mean() < 1
    boxes = samples.load(name).truth
    assert [(row["label"], tuple(row["box"])) for row in truth] == [
        (box.label, box.xyxy) for box in boxes
    ]


def test_the_shelves_differ_in_the_true_boxes_alone() -> None:
    before, after = (
        np.asarray(Image.open(samples.load(name)).convert("RGB")).astype(int)
        for name in ("shelf_before", "shelf_after")
    )
    differs = (before != after).any(axis=2)
    for box in samples.shelf_after.truth:
        left, top, right, bottom = (int(edge) for edge in box.xyxy)
        rows, columns = np.nonzero(differs[top:bottom, left:right])
        assert (columns.min(), columns.max() + 1) == (0, right - left)
        assert (rows.min(), rows.max() + 1) == (0, bottom - top)
        differs[top:bottom, left:right] = False
    assert not differs.any()


@pytest.mark.parametrize("name", samples.names())
def test_who_made_it_and_on_what_terms_stands_beside_it(name: str) -> None:
    readme = resources.files(samples).joinpath("README.md").read_text(encoding="utf-8")
    sample = samples.load(name)
    assert f"`{sample.path.name}`" in readme
    assert any(licence in sample.licence for licence in ("CC0", "CC BY 4.0", "MIT"))
    assert json.loads(sample.path.with_suffix(".json").read_text(encoding="utf-8")) is not None


def test_an_unknown_sample_names_the_known() -> None:
    with pytest.raises(ImageNotFound, match="no sample 'shelf'") as raised:
        samples.load("shelf")
    assert "shelf_before" in str(raised.value)
    with pytest.raises(AttributeError, match="shapes"):
        samples.nothing  # noqa: B018 - looking it up is the act
