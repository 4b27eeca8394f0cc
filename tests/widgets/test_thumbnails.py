"""Thumbnails: newest wish first, what was passed is dropped, large ones wait."""

import io
from collections.abc import Hashable
from queue import SimpleQueue

import pytest
from PIL import Image
from widget_comm import until

from nbvision import check, open_image
from nbvision.errors import DamagedImage
from nbvision.widgets import thumbnails as module
from nbvision.widgets.thumbnails import Thumbnail, Thumbnails, thumbnail_of


class Studio:
    """Makes thumbnails one by one, when told to."""

    def __init__(self, large: frozenset[str] = frozenset()) -> None:
        self.begun: list[Hashable] = []
        self.made: list[Hashable] = []
        self.go: SimpleQueue[None] = SimpleQueue()
        self.large = large
        self.thumbnails = Thumbnails(self.make, lambda key, _: self.made.append(key))

    def make(self, key: Hashable, may_be_large: bool) -> Thumbnail | None:  # noqa: FBT001 - the maker's shape
        if key in self.large and not may_be_large:
            return None
        self.begun.append(key)
        self.go.get(timeout=5)
        if key == "broken":
            raise DamagedImage("broken", cure="export it again")
        return Thumbnail(b"x" * 1000)


@pytest.fixture
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_THREADS", 1)


@pytest.mark.usefixtures("_one_thread")
def test_what_was_scrolled_past_is_dropped_and_the_newest_comes_first() -> None:
    studio = Studio()
    studio.thumbnails.want("view", ["a", "b", "c"])
    until(lambda: studio.begun == ["a"])
    studio.thumbnails.want("view", ["y", "c"])
    studio.thumbnails.want("other view", ["z"])
    for _ in range(4):
        studio.go.put(None)
    until(lambda: len(studio.made) == 4)
    assert studio.made == ["a", "z", "y", "c"]


@pytest.mark.usefixtures("_one_thread")
def test_a_large_picture_waits_for_the_others() -> None:
    studio = Studio(large=frozenset({"large"}))
    for _ in range(3):
        studio.go.put(None)
    studio.thumbnails.want("view", ["large", "a", "b"])
    until(lambda: len(studio.made) == 3)
    assert studio.made == ["a", "b", "large"]


def test_no_more_threads_than_cores_and_only_one_for_large_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    studio = Studio(large=frozenset({"l1", "l2", "l3"}))
    studio.thumbnails.want("view", ["l1", "l2", "l3"])
    until(lambda: len(studio.begun) == 1)
    studio.thumbnails.want("view", [*"abcdefgh", "l2", "l3"])
    until(lambda: len(studio.begun) == 3)
    assert [key for key in studio.begun if str(key).startswith("l")] == ["l1"]
    for _ in range(11):
        studio.go.put(None)
    until(lambda: len(studio.made) == 11)


def test_what_failed_says_why() -> None:
    studio = Studio()
    studio.go.put(None)
    studio.thumbnails.want("view", ["broken"])
    until(lambda: studio.made)
    found = studio.thumbnails.want("view", ["broken"])["broken"]
    assert found.error["cure"] == "export it again"
    assert found.data == b""


def test_remembers_a_few_and_forgets() -> None:
    thumbnails = Thumbnails(lambda *_: None, lambda *_: None, most_bytes=5000)
    for number in range(20):
        thumbnails.keep(number, Thumbnail(b"x" * 1000))
    thumbnails.keep(19, Thumbnail(b"x" * 500))
    assert thumbnails.held_bytes == 4500
    assert set(thumbnails.want("view", range(20))) == {15, 16, 17, 18, 19}
    thumbnails.drop(19)
    assert thumbnails.held_bytes == 4000
    thumbnails.forget()
    assert thumbnails.held_bytes == 0


def test_what_was_begun_before_forgetting_is_not_told() -> None:
    studio = Studio()
    studio.thumbnails.want("view", ["old"])
    until(lambda: studio.begun)
    studio.thumbnails.forget()
    studio.go.put(None)
    studio.go.put(None)
    studio.thumbnails.want("view", ["new"])
    until(lambda: studio.made == ["new"])


def test_small_words_for_what_is_worth_knowing(tmp_path: object) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = f"{tmp_path}/turned.jpg"
    Image.new("RGB", (3000, 150)).save(path, exif=exif)
    image = open_image(path)
    found = thumbnail_of(image, check(image, model="claude-haiku-4-5"))
    assert {word for word, _ in found.words} == {"turned", "tiny", "shrunk"}
    assert found.size == (150, 3000)
    with Image.open(io.BytesIO(found.data)) as small:
        assert small.size == (8, 160)
