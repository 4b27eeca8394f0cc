"""Pictures in: any source, right-looking and upright, or one error of ours."""

import base64
import gzip
import io
import os
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_pictures import (
    ORIENTATION,
    PEAK,
    hostile_files,
    noise,
    quadrants,
    saved,
    swapped_profile,
    valid_files,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from nbvision.errors import (
    DamagedImage,
    ImageError,
    ImageNotFound,
    ImageTooLarge,
    UnsafeSource,
    UnsupportedImage,
)
from nbvision.geometry import Size
from nbvision.images import open_image

VALID = valid_files()
HOSTILE = dict(hostile_files())
TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def released() -> memoryview:
    """A buffer that its owner has taken back."""
    buffer = memoryview(VALID["png"])
    buffer.release()
    return buffer


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quarters, rounded to what they were painted."""
    width, height = image.size
    places = [(x, y) for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]
    return [tuple(round(v / 255) * 255 for v in image.getpixel(at)) for at in places]  # type: ignore[union-attr]


UPRIGHT = corners(quadrants())


@pytest.mark.parametrize("name", VALID)
def test_every_kind_opens_and_shows_itself(name: str) -> None:
    image = open_image(VALID[name])
    assert image.pixels.mode == "RGB"
    assert image.pixels.size == image.size
    shown = image._repr_mimebundle_()
    assert 'alt="Thumbnail' in shown["text/html"]
    assert "base64" not in repr(image)


@pytest.mark.parametrize("name", ["png", "jpeg", "gif", "webp", "bmp", "tiff", "avif", "jpeg cmyk"])
def test_colours_stay_what_they_were(name: str) -> None:
    assert corners(open_image(VALID[name]).pixels) == UPRIGHT


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_stands_upright_whatever_carries_the_turn(kind: str, orientation: int) -> None:
    turn = TURNED.get(orientation)
    stored = quadrants() if turn is None else quadrants().transpose(turn)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = open_image(saved(stored, kind, exif=exif.tobytes() if kind != "TIFF" else exif))
    assert image.size == (64, 48)
    assert corners(image.pixels) == UPRIGHT
    assert ("rotated" in image.findings.codes) == (orientation > 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_crop_is_cut_from_the_upright_picture(orientation: int) -> None:
    turn = TURNED.get(orientation)
    stored = quadrants((640, 480)) if turn is None else quadrants((640, 480)).transpose(turn)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    whole = open_image(saved(stored, "JPEG", exif=exif))
    part = whole.crop(330, 10, 630, 200)
    assert (part.size, part.crop_origin, part.full_size) == ((300, 190), (330, 10), (640, 480))
    assert set(corners(part.pixels)) == {(0, 255, 0)}
    assert part.crop(10, 10, 50, 50).crop_origin == (340, 20)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_is_none_turns_nothing(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert corners(open_image(saved(quadrants(), "JPEG", exif=exif)).pixels) == UPRIGHT


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_becomes_white_never_black(mode: str) -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image = clear if mode == "RGBA" else clear.convert(mode)
    assert open_image(saved(clear, "PNG")).pixels.getpixel((4, 4)) == (255, 255, 255)
    assert open_image(image).pixels.getpixel((4, 4))[0] >= 0  # type: ignore[index]


def test_half_transparent_is_mixed_with_white() -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert open_image(image).pixels.getpixel((1, 1)) == (127, 127, 127)


def test_a_transparent_colour_key_becomes_white() -> None:
    data = saved(Image.new("RGB", (4, 4), (10, 20, 30)), "PNG", transparency=(10, 20, 30))
    assert open_image(data).pixels.getpixel((1, 1)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("image", "grey"),
    [
        (Image.new("1", (4, 4), 1), 255),
        (Image.new("L", (4, 4), 100), 100),
        (Image.fromarray(np.full((4, 4), 0x8080, np.uint16)), 128),
        (Image.fromarray(np.full((4, 4), 0.5, np.float32)), 128),
        (Image.new("F", (4, 4), 100.0), 100),
        (Image.new("F", (4, 4), float("nan")), 0),
        (Image.new("I", (4, 4), 100), 100),
        (Image.new("I", (4, 4), 0x8080), 128),
        (Image.new("La", (4, 4), (100, 255)), 100),
        (Image.new("CMYK", (4, 4), (0, 0, 0, 0)), 255),
        (Image.new("YCbCr", (4, 4), (100, 128, 128)), 100),
        (Image.new("HSV", (4, 4), (0, 0, 100)), 100),
        (Image.new("LAB", (4, 4), (255, 128, 128)), 255),
    ],
    ids=["1", "L", "I;16", "F", "F8", "NaN", "I8", "I", "La", "CMYK", "YCbCr", "HSV", "LAB"],
)
def test_every_mode_looks_right(image: Image.Image, grey: int) -> None:
    found = open_image(image).pixels.getpixel((2, 2))
    assert all(abs(channel - grey) <= 1 for channel in found)  # type: ignore[union-attr]


def test_a_colour_profile_is_applied_or_left_out_but_never_fatal() -> None:
    image = quadrants()
    for profile in (b"not a profile", swapped_profile(), b"x" * 900_000):
        assert corners(open_image(saved(image, "PNG", icc_profile=profile)).pixels) == UPRIGHT


@pytest.mark.parametrize(
    ("quality", "is_told"), [(95, False), (75, False), (50, False), (20, True), (5, True)]
)
def test_strong_compression_is_told(quality: int, is_told: bool) -> None:  # noqa: FBT001 - a table's column
    image = open_image(saved(noise(), "JPEG", quality=quality))
    assert ("low-quality" in image.findings.codes) == is_told


def test_the_first_frame_is_used_and_that_is_said() -> None:
    frames = [quadrants(), Image.new("RGB", (64, 48), "black")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        image = open_image(saved(frames[0], kind, save_all=True, append_images=frames[1:]))
        assert image.frames > 1
        assert "animated" in image.findings.codes
        assert corners(image.pixels)[0][0] == 255


SOURCES: list[tuple[str, Any]] = [
    ("bytes", VALID["png"]),
    ("bytearray", bytearray(VALID["png"])),
    ("memoryview", memoryview(VALID["png"])),
    ("file", io.BytesIO(VALID["png"])),
    ("data URL", b"data:image/png;base64," + base64.b64encode(VALID["png"])),
    ("data URL as text", "data:image/png;base64," + base64.b64encode(VALID["png"]).decode()),
    ("pillow", quadrants()),
    ("array", np.asarray(quadrants())),
    ("floats", np.asarray(quadrants()) / 255),
    ("upload", {"name": "a.png", "content": memoryview(VALID["png"]), "size": 1}),
    ("uploads", ({"name": "a.png", "content": memoryview(VALID["png"]), "size": 1},)),
]


@pytest.mark.parametrize("source", [s for _, s in SOURCES], ids=[n for n, _ in SOURCES])
def test_every_source_gives_the_same_picture(source: Any) -> None:
    assert corners(open_image(source).pixels) == UPRIGHT


def test_paths_are_taken_as_text_and_as_path_and_the_name_means_nothing(tmp_path: Path) -> None:
    path = tmp_path / "really a png.jpg"
    path.write_bytes(VALID["png"])
    for source in (path, str(path), os.fspath(path)):
        image = open_image(source)
        assert (image.format, image.source) == ("PNG", "really a png.jpg")


def test_a_figure_is_drawn_without_touching_it() -> None:
    drawn = Figure(figsize=(2, 1), dpi=100)
    drawn.add_subplot().plot([1, 2])
    canvas = drawn.canvas
    assert open_image(drawn).size == (200, 100)
    assert drawn.canvas is canvas


def test_a_dark_figure_stays_dark() -> None:
    drawn = Figure(figsize=(1, 1), dpi=50, facecolor="black")
    assert open_image(drawn).pixels.getpixel((0, 0)) == (0, 0, 0)


def test_a_figure_that_cannot_be_drawn_is_one_error() -> None:
    drawn = Figure()
    drawn.text(0.5, 0.5, "$\\frac{$")
    with pytest.raises(DamagedImage, match="cannot be drawn"):
        open_image(drawn)
    with pytest.raises(ImageTooLarge):
        open_image(Figure(figsize=(5000, 5000)))


def test_a_source_image_is_returned_as_it_is() -> None:
    image = open_image(VALID["png"])
    assert open_image(image) is image


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "AVIF"])
def test_a_pillow_image_that_is_not_loaded_yet_is_turned_once(kind: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = saved(quadrants().transpose(TURNED[6]), kind, exif=exif)
    image = open_image(Image.open(io.BytesIO(data)))
    assert image.size == (64, 48)
    assert corners(image.pixels) == UPRIGHT


def test_a_transparent_16_bit_grey_becomes_white() -> None:
    deep = Image.fromarray(np.array([[0, 40000]], np.uint16))
    data = saved(deep, "PNG", transparency=0)
    pixels = open_image(data).pixels
    assert (pixels.getpixel((0, 0)), pixels.getpixel((1, 0))) == ((255,) * 3, (156,) * 3)


def test_a_profile_made_for_other_pixels_is_left_out_and_that_is_said() -> None:
    image = open_image(saved(quadrants(), "PNG", icc_profile=swapped_profile()))
    assert [f.value for f in image.findings if "left out" in f.value]


def test_pillow_never_remarks_on_damaged_metadata() -> None:
    data = saved(noise(), "TIFF", compression="tiff_lzw")
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        for at in range(0, len(data), 7):
            with suppress(ImageError):
                open_image(data[:at] + b"\xff" + data[at + 1 :])
    assert [str(remark.message) for remark in remarks] == []


@pytest.mark.parametrize("name", ["png", "gif", "webp", "tiff", "tiff packed", "bmp", "avif"])
def test_no_cut_gives_half_a_picture_in_silence(name: str) -> None:
    data = VALID[name]
    whole = open_image(data).pixels.tobytes()
    for end in range(1, len(data), max(1, len(data) // 60)):
        with suppress(ImageError):
            assert open_image(data[:end]).pixels.tobytes() == whole


def test_the_callers_picture_is_left_alone() -> None:
    mine = quadrants()
    theirs = open_image(mine)
    mine.paste("black", (0, 0, 64, 48))
    assert corners(theirs.pixels) == UPRIGHT


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 40, 60), np.uint8), "transpose"),
        (np.zeros((4, 4, 5), np.uint8), "shape"),
        (np.zeros(9, np.uint8), "shape"),
        (np.zeros((0, 4, 3), np.uint8), "0"),
        (np.full((4, 4), 300.0), "0 to 1"),
        (np.full((4, 4), np.nan), "nan"),
        (np.zeros((4, 4), np.int64), "int64"),
        (np.zeros((4, 4), object), "object"),
    ],
    ids=[f"array {number}" for number in range(8)],
)
def test_arrays_of_other_kinds_are_named(array: Any, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        open_image(array)


@pytest.mark.parametrize("name", HOSTILE)
def test_harm_is_refused_by_name(name: str) -> None:
    with pytest.raises(ImageError) as caught:
        open_image(HOSTILE[name])
    assert caught.value.value


def test_harm_costs_little_time_and_memory(tmp_path: Path) -> None:
    for name, data in HOSTILE.items():
        (tmp_path / name.replace(" ", "_")).write_bytes(data)
    code = (
        "import sys, pathlib, nbvision as nv\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
        "    try: nv.open_image(path)\n"
        "    except nv.NbvisionError: pass\n"
        "    else: raise SystemExit(path.name)\n"
        f"print({PEAK})"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 400
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("no-such-file.png", ImageNotFound),
        ("", ImageNotFound),
        ("x" * 5000, ImageNotFound),
        ("a\0b.png", ImageNotFound),
        (".", ImageNotFound),
        (os.devnull, UnsafeSource),
        ("file:///etc/passwd", UnsafeSource),
        ("ftp://example.org/a.png", UnsafeSource),
        ("data:image/png;base64,AAAA", UnsupportedImage),
        (b"data:image/png;base64,!!!", UnsupportedImage),
        (b"data:image/png,raw", UnsupportedImage),
        (42, UnsupportedImage),
        (None, UnsupportedImage),
        ([], UnsupportedImage),
        ((VALID["png"], VALID["png"]), UnsupportedImage),
        ([[VALID["png"]]], UnsupportedImage),
        ({"name": "a.png", "content": "text"}, UnsupportedImage),
        ({"name": "a.png", "content": None}, UnsupportedImage),
        ({"name": "a.png", "content": 10**12}, UnsupportedImage),
        (released(), UnsupportedImage),
        (io.BytesIO, UnsupportedImage),
        (io.StringIO("text"), ImageNotFound),
        (io.BytesIO(), ImageNotFound),
        (gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(VALID["png"])[:-20])), ImageNotFound),
        ("~nobody-of-this-name/a.png", ImageNotFound),
        ("http://[::1", UnsafeSource),
    ],
    ids=[f"source {number}" for number in range(26)],
)
def test_what_is_no_picture_is_one_clear_error(source: object, error: type[ImageError]) -> None:
    with pytest.raises(error):
        open_image(source)


def test_a_file_is_read_from_where_it_stands_and_to_its_end() -> None:
    class Slow(io.RawIOBase):
        def __init__(self) -> None:
            self.rest = VALID["png"]

        def read(self, size: int = -1) -> bytes:
            piece, self.rest = self.rest[: min(size, 7)], self.rest[7:]
            return piece

    assert corners(open_image(Slow()).pixels) == UPRIGHT
    written = io.BytesIO()
    written.write(VALID["png"])
    with pytest.raises(ImageNotFound, match=r"file\.seek\(0\)"):
        open_image(written)


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    with pytest.raises(UnsafeSource):
        open_image(pipe)


def test_a_crop_of_nothing_is_refused() -> None:
    with pytest.raises(ImageError, match="no pixel"):
        open_image(quadrants()).crop(70, 0, 90, 10)


def test_too_many_pixels_are_refused_whatever_they_come_as() -> None:
    with pytest.raises(ImageTooLarge):
        open_image(np.zeros((1, 90_000_000), np.uint8))


def test_decoding_reduces_and_says_where_the_picture_ends() -> None:
    image = open_image(saved(noise((1003, 801)), "JPEG"))
    frame = image.decode(Size(200, 160))
    assert frame.image.size == (251, 201)
    assert frame.box == (0, 0, 1003 / 4, 801 / 4)


def test_threads_may_share_a_picture() -> None:
    image = open_image(saved(noise((800, 600)), "JPEG"))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: image.pixels.tobytes(), range(16)))
    assert len(set(found)) == 1


def test_the_hash_names_the_content() -> None:
    first, same = open_image(VALID["png"]), open_image(VALID["png"])
    assert first.sha256 == same.sha256
    assert first.sha256 != first.crop(0, 0, 10, 10).sha256


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(sorted(VALID)),
    changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=12),
    kept=st.integers(0, 4000),
)
def test_altered_bytes_open_or_are_refused(
    name: str, changes: list[tuple[int, int]], kept: int
) -> None:
    data = bytearray(VALID[name])
    for at, value in changes:
        data[at % len(data)] = value
    cut = bytes(data[: kept or None])
    with suppress(ImageError):
        image = open_image(cut)
        assert image.pixels.size == image.size


def test_a_damaged_file_is_damaged_at_once() -> None:
    with pytest.raises(DamagedImage):
        open_image(VALID["jpeg"][:-10])


def test_heic_stands_upright_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert corners(open_image(VALID["heic"]).pixels) == UPRIGHT
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnsupportedImage, match=r"nbvision\[heic\]"):
        open_image(VALID["heic"])


def test_a_heic_that_states_another_size_has_the_size_of_its_pixels() -> None:
    data = bytearray(VALID["heic"])
    for at in range(len(data)):
        if data[at : at + 4] == b"ispe":
            data[at + 8 : at + 16] = bytes([0, 0, 1, 0, 0, 0, 0, 61])
    with suppress(ImageError):
        image = open_image(bytes(data))
        assert image.pixels.size == image.size
