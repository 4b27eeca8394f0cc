"""What was prepared before is given at once; anything else is prepared anew."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nbvision as nv
from nbvision import prepared_once as room
from nbvision.catalogue import find_model
from nbvision.images import SourceImage, open_image
from nbvision.platforms import find_platform
from nbvision.prepared import PreparedImage, prepare_image
from nbvision.prepared_once import prepared_once
from nbvision.store import Store

HAIKU, OPUS = find_model("claude-haiku-4-5"), find_model("claude-opus-5-5")
ANTHROPIC, BEDROCK = find_platform("anthropic"), find_platform("bedrock")


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    room._kept.clear()
    yield
    room._kept.clear()


def drawn(seed: int, size: tuple[int, int] = (900, 600)) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    return Image.fromarray(levels)


def ready(image: object, **more: int) -> PreparedImage:
    return prepared_once(open_image(image), HAIKU, ANTHROPIC, **more)


def test_the_same_picture_is_what_it_would_be_prepared_anew(tmp_path: Path) -> None:
    for name, form in (("one.jpg", "JPEG"), ("one.png", "PNG")):
        drawn(1).save(tmp_path / name, form)
        first = ready(tmp_path / name)
        (tmp_path / name).rename(tmp_path / f"other {name}")
        source = open_image(tmp_path / f"other {name}")
        again = prepared_once(source, HAIKU, ANTHROPIC)
        assert again.data is first.data
        assert again == prepare_image(source, HAIKU, ANTHROPIC)
        assert again.source is source


def test_a_changed_file_is_seen_though_its_name_size_and_date_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "photo.bmp"
    drawn(1).save(path)
    before, size = ready(path), path.stat()
    drawn(2).save(path)
    os.utime(path, ns=(size.st_atime_ns, size.st_mtime_ns))
    now = path.stat()
    assert (now.st_size, now.st_mtime_ns, now.st_ino) == (
        size.st_size,
        size.st_mtime_ns,
        size.st_ino,
    )
    assert ready(path).data != before.data


def test_pixels_that_are_drawn_on_are_another_picture() -> None:
    array = np.zeros((60, 40, 3), np.uint8)
    before = ready(array)
    array[0, 0] = 255
    assert ready(array).data != before.data


def test_part_turn_tier_limit_and_form_are_part_of_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = drawn(1, (2600, 2400))
    whole.save(tmp_path / "whole.jpg")
    whole.save(tmp_path / "turned.jpg", exif=exif)
    source = open_image(tmp_path / "whole.jpg")
    part = source.crop(0, 0, 1300, 2400)
    other = source.crop(1300, 0, 2600, 2400)
    asked: list[tuple[SourceImage, object, object, int | None]] = [
        (source, HAIKU, ANTHROPIC, None),
        (open_image(tmp_path / "turned.jpg"), HAIKU, ANTHROPIC, None),
        (open_image(whole), HAIKU, ANTHROPIC, None),
        (source, OPUS, ANTHROPIC, None),
        (source, OPUS, ANTHROPIC, 2000),
        (part, HAIKU, ANTHROPIC, None),
        (other, HAIKU, ANTHROPIC, None),
        (source, OPUS, BEDROCK, None),
    ]
    for _ in range(2):
        for image, model, platform, limit in asked:
            made = prepared_once(image, model, platform, limit)  # type: ignore[arg-type]
            assert made == prepare_image(image, model, platform, side_limit=limit)  # type: ignore[arg-type]
    assert len(room._kept) == len(asked)


def test_no_more_is_kept_than_so_many_bytes_and_the_last_used_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = ready(drawn(1)), ready(drawn(2))
    monkeypatch.setattr(room, "_MOST_BYTES", len(first.data) + len(second.data))
    assert ready(drawn(1)).data is first.data
    ready(drawn(3))
    assert ready(drawn(1)).data is first.data
    assert ready(drawn(2)).data is not second.data
    monkeypatch.setattr(room, "_MOST_BYTES", 0)
    ready(drawn(4))
    assert not room._kept


def test_threads_that_prepare_the_same_at_once_agree() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(ready, [drawn(1)] * 16))
    assert len({one.data for one in made}) == 1


def test_a_damaged_picture_is_refused_every_time(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    drawn(1).save(path)
    data = bytearray(path.read_bytes())
    for _ in range(2):
        with pytest.raises(nv.NbvisionError):
            ready(bytes(data[: len(data) // 2]))
    assert not room._kept


@pytest.mark.usefixtures("store")
def test_a_stored_answer_about_a_file_prepares_nothing(tmp_path: Path, store: Store) -> None:
    drawn(1).save(tmp_path / "photo.jpg")
    practice = nv.connect("practice", words_per_second=None, store=True)
    first = nv.describe(tmp_path / "photo.jpg", backend=practice)
    again = nv.describe(tmp_path / "photo.jpg", backend=practice)
    assert again.from_store is not None
    assert again.request.images[0].data is first.request.images[0].data  # type: ignore[union-attr]
    assert len(store.history()) == 1
