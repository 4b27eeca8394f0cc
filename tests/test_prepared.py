"""What is sent: the exact size, sharp, within the limits, and nothing of the file but pixels."""

import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hostile_pictures import ORIENTATION, PEAK, noise, quadrants, saved
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

import nbvision as nv
from nbvision.catalogue import find_model
from nbvision.errors import LimitExceeded
from nbvision.geometry import Fit
from nbvision.images import open_image
from nbvision.platforms import find_platform
from nbvision.prepared import PreparedImage, _decoded, _is_flat, _lanczos, _resized, prepare_image

STANDARD, HIGH = find_model("claude-haiku-4-5"), find_model("claude-opus-5-5")
API = find_platform("anthropic")


def prepared(source: object, *, exact: bool = False) -> PreparedImage:
    return prepare_image(open_image(source), STANDARD, API, exact=exact)


@cache
def photo_like(size: tuple[int, int]) -> Image.Image:
    """Smooth light with grain, as a sensor gives it."""
    small = noise((max(1, size[0] // 40), max(1, size[1] // 40)))
    smooth = small.resize(size, Image.Resampling.BICUBIC)
    return Image.blend(smooth, noise(size), 0.08)


@cache
def text_page(size: tuple[int, int] = (2480, 3508)) -> Image.Image:
    page = Image.new("RGB", size, "white")
    drawn = ImageDraw.Draw(page)
    for line in range(80, size[1] - 60, 44):
        drawn.text(
            (120, line),
            "The quick brown fox jumps over 1234567890 dogs. " * 2,
            "black",
            font_size=28,
        )
    return page


def psnr(first: Image.Image, second: Image.Image) -> float:
    """Signal to noise of the light, in decibels."""
    a, b = (np.asarray(image.convert("L"), dtype=float) for image in (first, second))
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((a - b) ** 2))))


def reference(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The best there is: LANCZOS of the full decode, in floats."""
    channel = image.convert("L").convert("F").resize(size, Image.Resampling.LANCZOS)
    return Image.fromarray(np.clip(np.rint(np.asarray(channel)), 0, 255).astype(np.uint8))


@settings(max_examples=40, deadline=None)
@given(width=st.integers(1, 3000), height=st.integers(1, 3000))
def test_the_bytes_have_exactly_the_size_of_the_fit(width: int, height: int) -> None:
    ready = prepared(Image.new("RGB", (width, height), "teal"))
    assert ready.pixels.size == ready.fit.resized == Fit.of((width, height), STANDARD.tier).resized


@pytest.mark.parametrize("size", [(9000, 1), (1, 9000), (8000, 3), (12_000, 700)])
def test_strips_and_panoramas_keep_at_least_a_pixel(size: tuple[int, int]) -> None:
    ready = prepared(Image.new("RGB", size, "teal"))
    assert ready.pixels.size == ready.fit.resized
    assert not Fit.of(ready.fit.resized, STANDARD.tier).is_resized


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "GIF", "pixels"])
@pytest.mark.parametrize("flat", [True, False], ids=["as PNG", "as JPEG"])
def test_nothing_of_any_format_but_its_pixels_goes_on(kind: str, flat: bool) -> None:  # noqa: FBT001 - a parameter of the test
    image = quadrants((1900, 300)) if flat else noise((1900, 300))
    exif = Image.Exif()
    exif[0x010E] = "SECRET-EXIF"
    words = PngInfo()
    words.add_text("Comment", "SECRET-TEXT")
    hidden = {"comment": b"SECRET", "exif": exif.tobytes(), "xmp": b"SECRET", "icc_profile": b"no"}
    extra: dict[str, object] = {
        "PNG": {"exif": exif, "pnginfo": words},
        "TIFF": {"exif": exif, "description": "SECRET"},
        "WEBP": {"exif": exif, "xmp": b"SECRET", "lossless": True},
        "GIF": {"comment": b"SECRET"},
        "pixels": {},
    }[kind]
    image.info.update(hidden if kind == "pixels" else {})
    ready = prepared(image if kind == "pixels" else saved(image, kind, **extra) + b"SECRET" * 2)
    assert b"SECRET" not in ready.data
    assert not set(Image.open(io.BytesIO(ready.data)).info) & {"exif", "comment", "icc_profile"}


def test_nothing_of_the_file_but_its_pixels_goes_on() -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x8298] = "SECRET-DESCRIPTION", "SECRET-OWNER"
    exif.get_ifd(0x8825)[1] = "SECRET-GPS"
    data = (
        saved(noise((300, 200)), "JPEG", exif=exif, comment=b"SECRET-COMMENT") + b"SECRET-TRAILER"
    )
    ready = prepared(data)
    assert b"SECRET" not in ready.data
    assert b"Exif" not in ready.data
    assert not Image.open(io.BytesIO(ready.data)).info.get("icc_profile")


@pytest.mark.parametrize(
    ("make", "media_type"),
    [
        (lambda: photo_like((1800, 1200)), "image/jpeg"),
        (text_page, "image/png"),
        (lambda: quadrants((900, 700)), "image/png"),
    ],
    ids=["photograph", "text", "drawing"],
)
def test_photographs_become_jpeg_and_drawings_and_text_png(
    make: Callable[[], Image.Image], media_type: str
) -> None:
    assert prepared(make()).media_type == media_type


def sky(grain: float) -> Image.Image:
    """A smooth gradient, as a sky is, with the grain of a sensor."""
    light = np.broadcast_to(np.linspace(60, 200, 1800)[None, :, None], (1200, 1800, 3))
    grains = np.random.default_rng(3).normal(0, grain, light.shape)
    return Image.fromarray(np.clip(light + grains, 0, 255).astype(np.uint8))


def screenshot(*, photo: bool) -> Image.Image:
    """Dark words on a window, with a photograph in its right half or none."""
    window = text_page((1800, 1200)).copy()
    if photo:
        window.paste(photo_like((800, 1000)), (950, 100))
    return window


def plot() -> Figure:
    figure = Figure(figsize=(8, 5), dpi=150)
    axes = figure.add_subplot()
    axes.plot(np.random.default_rng(5).normal(size=500).cumsum(), label="walk")
    axes.legend()
    return figure


@pytest.mark.parametrize(
    ("make", "is_flat"),
    [
        (lambda: sky(2), False),
        (lambda: sky(0.7), False),
        (lambda: saved(photo_like((4000, 3000)), "JPEG", quality=40), False),
        (lambda: saved(sky(4), "JPEG", quality=90), False),
        (lambda: screenshot(photo=False), True),
        (lambda: screenshot(photo=True), True),
        (plot, True),
        (lambda: saved(text_page(), "JPEG", quality=70), True),
        (lambda: saved(text_page(), "JPEG", quality=95), True),
    ],
    ids=["sky", "fine sky", "strong", "jpeg sky", "screen", "both", "plot", "page 70", "page 95"],
)
def test_photographs_are_told_from_drawings_and_text(
    make: Callable[[], object],
    is_flat: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert _is_flat(open_image(make()).decode()) == is_flat


@pytest.mark.parametrize("name", nv.samples.names())
def test_the_samples_are_told_apart(name: str) -> None:
    expected = "image/jpeg" if name == "photo" else "image/png"
    assert prepared(nv.samples.load(name)).media_type == expected


def test_a_photograph_stays_as_sharp_as_a_full_decode_would_give() -> None:
    image = photo_like((4000, 3000))
    data = saved(image, "JPEG", quality=92, subsampling=0)
    ready = prepared(data)
    assert psnr(ready.pixels, reference(open_image(data).pixels, ready.fit.resized)) >= 36


def test_text_in_a_jpeg_stays_legible() -> None:
    data = saved(text_page(), "JPEG", quality=92)
    ready = prepared(data)
    assert psnr(ready.pixels, reference(open_image(data).pixels, ready.fit.resized)) >= 36


def test_exact_is_never_worse() -> None:
    data = saved(text_page(), "JPEG", quality=92)
    best = reference(open_image(data).pixels, prepared(data).fit.resized)
    assert psnr(prepared(data, exact=True).pixels, best) >= psnr(prepared(data).pixels, best) - 0.1


@pytest.mark.parametrize("size", [(4001, 3001), (3999, 2003), (2570, 1905)])
def test_nothing_moves_by_half_a_pixel(size: tuple[int, int]) -> None:
    width, height = size
    pixels = np.full((height, width), 255, dtype=np.uint8)
    left, top = round(width * 0.61), round(height * 0.37)
    pixels[top : top + 90, left : left + 90] = 0
    ready = prepared(saved(Image.fromarray(pixels), "JPEG", quality=95))
    dark = 255 - np.asarray(ready.pixels.convert("L"), dtype=float)
    dark[dark < 40] = 0
    rows, columns = np.indices(dark.shape)
    x = (columns * dark).sum() / dark.sum() + 0.5
    y = (rows * dark).sum() / dark.sum() + 0.5
    assert (
        abs(x * width / ready.fit.resized.width - (left + 45))
        < 0.5 * width / ready.fit.resized.width
    )
    assert (
        abs(y * height / ready.fit.resized.height - (top + 45))
        < 0.5 * height / ready.fit.resized.height
    )


def test_quality_steps_down_within_the_limit_and_the_size_never_does() -> None:
    image = open_image(noise((1500, 1000)))
    free = prepare_image(image, STANDARD, API)
    tight = prepare_image(image, STANDARD, replace(API, image_base64_limit=free.base64_length // 2))
    assert tight.base64_length <= free.base64_length // 2
    assert tight.pixels.size == free.pixels.size
    assert [f.level for f in tight.findings if f.code == "encoded"] == ["warn"]


def test_a_raw_limit_counts_bytes_not_base64() -> None:
    image = open_image(noise((1500, 1000)))
    most = len(prepare_image(image, STANDARD, API).data) - 1
    converse = replace(find_platform("bedrock-converse"), image_raw_limit=most)
    assert len(prepare_image(image, STANDARD, converse).data) <= most


def test_what_cannot_fit_is_an_error_with_its_limit() -> None:
    with pytest.raises(LimitExceeded, match="lowest quality"):
        prepare_image(open_image(noise()), STANDARD, replace(API, image_base64_limit=100))


@pytest.mark.parametrize("size", [(3000, 2000), (2001, 3003), (9000, 400)])
def test_strips_join_without_a_seam(size: tuple[int, int]) -> None:
    image = photo_like(size)
    target = Fit.of(size, STANDARD.tier).resized
    whole = image.resize(target, Image.Resampling.LANCZOS)
    strips = _lanczos(open_image(image).decode(), target)
    difference = np.abs(np.asarray(whole).astype(int) - np.asarray(strips))
    assert difference.max() <= 1


def turned(image: Image.Image, orientation: int) -> bytes:
    """Save an upright picture as a camera would that was held another way."""
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = image.transpose(turns[orientation]) if orientation > 1 else image
    return saved(stored, "JPEG", quality=95, subsampling=0, exif=exif)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_turn_gives_the_upright_frame(orientation: int) -> None:
    image = photo_like((2700, 2000))
    ready = prepared(turned(image, orientation))
    assert ready.pixels.size == ready.fit.resized == (1285, 952)
    assert psnr(ready.pixels, reference(image, ready.fit.resized)) >= 43


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_crop_is_the_frame_of_its_part_alone(orientation: int) -> None:
    image = photo_like((4200, 3000))
    box = (1301, 402, 3700, 2903)
    part = open_image(turned(image, orientation)).crop(*box)
    ready = prepare_image(part, STANDARD, API)
    assert ready.fit.crop_origin == box[:2]
    assert psnr(ready.pixels, reference(image.crop(box), ready.fit.resized)) >= 43


@pytest.mark.parametrize(
    ("make", "least"),
    [(lambda: photo_like((4000, 3000)), 46), (text_page, 45)],
    ids=["photo", "text"],
)
def test_resizing_alone_costs_no_more_than_rounding_would_show(
    make: Callable[[], Image.Image], least: int
) -> None:
    source = open_image(saved(make(), "JPEG", quality=92, subsampling=0))
    fit = Fit.of(source.size, STANDARD.tier)
    frame = _resized(_decoded(source, fit, exact=False)[0], fit, "JPEG")
    assert psnr(frame, reference(source.pixels, fit.resized)) >= least


def test_exact_is_lossless_or_an_error() -> None:
    source = open_image(saved(photo_like((1800, 1200)), "JPEG", quality=90))
    ready = prepare_image(source, STANDARD, API, exact=True)
    assert ready.media_type == "image/png"
    assert psnr(ready.pixels, reference(source.pixels, ready.fit.resized)) >= 52
    tight = replace(API, image_base64_limit=ready.base64_length - 1)
    with pytest.raises(LimitExceeded, match="without loss"):
        prepare_image(source, STANDARD, tight, exact=True)


def test_a_drawing_too_large_as_png_says_what_it_became() -> None:
    image = open_image(text_page((900, 1200)))
    limit = prepare_image(image, STANDARD, API).base64_length - 1
    ready = prepare_image(image, STANDARD, replace(API, image_base64_limit=limit))
    note = next(f for f in ready.findings if f.code == "encoded")
    assert ready.base64_length <= limit
    assert (note.level, ready.media_type) == ("warn", "image/jpeg")
    assert "JPEG at quality" in note.value


def test_the_same_picture_gives_the_same_bytes() -> None:
    assert prepared(nv.samples.photo).sha256 == prepared(nv.samples.photo).sha256


def test_a_picture_that_fits_is_not_resized() -> None:
    image = quadrants((640, 480))
    ready = prepared(image)
    assert ready.pixels.tobytes() == image.tobytes()
    assert "resized" not in ready.findings.codes


def test_it_shows_itself_small() -> None:
    ready = prepare_image(open_image(nv.samples.photo), HIGH, API)
    shown = ready._repr_mimebundle_()
    assert 'alt="What is sent of photo.jpg' in shown["text/html"]
    assert len(shown["text/html"]) < 250_000
    assert len(repr(ready)) < 120


def peak_of_preparing(path: Path, model: str) -> int:
    """Return the MB that preparing adds to a fresh process."""
    code = (
        "import sys, nbvision as nv\n"
        "nv.prepare(nv.samples.page)\n"
        f"before = {PEAK}\n"
        "nv.prepare(sys.argv[1], model=sys.argv[2])\n"
        f"print({PEAK} - before)"
    )
    command = [sys.executable, "-c", code, str(path), model]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_a_large_photograph_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    photo_like((8000, 6000)).save(path, quality=90)
    assert peak_of_preparing(path, "claude-haiku-4-5") < 60


def test_a_huge_drawing_is_never_decoded_whole(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    Image.new("L", (15_800, 15_800), 255).save(path)
    assert peak_of_preparing(path, "claude-opus-5-5") < 300
