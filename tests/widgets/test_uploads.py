"""Files in pieces: put together in order, refused when they are not what they said."""

import pytest

from nbvision.errors import ImageTooLarge, RequestError, UnsupportedImage
from nbvision.widgets.uploads import PIECE_BYTES, Uploads


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def uploads(clock: Clock) -> Uploads:
    return Uploads(3 * PIECE_BYTES, clock=clock)


def test_pieces_become_the_file(uploads: Uploads) -> None:
    data = bytes(range(256)) * 5000
    uploads.begin("u", "a\u202eb.png", len(data))
    assert uploads.piece("u", 0, data[:PIECE_BYTES]) is None
    assert uploads.held_bytes == PIECE_BYTES
    assert uploads.piece("u", 1, data[PIECE_BYTES:]) == ("a\ufffdb.png", data)
    assert len(uploads) == uploads.held_bytes == 0


@pytest.mark.parametrize(
    ("order", "length"), [(1, PIECE_BYTES), (0, 5), (0, 0), (-1, PIECE_BYTES), (0, PIECE_BYTES + 1)]
)
def test_a_piece_that_does_not_follow_ends_the_upload(
    uploads: Uploads, order: int, length: int
) -> None:
    uploads.begin("u", "a.png", PIECE_BYTES + 3)
    with pytest.raises(RequestError, match=r"a\.png"):
        uploads.piece("u", order, bytes(length))
    assert len(uploads) == 0


def test_a_last_piece_longer_than_was_said_ends_the_upload(uploads: Uploads) -> None:
    uploads.begin("u", "a.png", 3)
    with pytest.raises(RequestError):
        uploads.piece("u", 0, b"abcd")


def test_too_large_and_empty_files_are_refused_before_a_byte(uploads: Uploads) -> None:
    with pytest.raises(ImageTooLarge) as refused:
        uploads.begin("u", "a.png", 3 * PIECE_BYTES + 1)
    assert refused.value.limit == "3.1 MB for an upload"
    assert "max_bytes" in refused.value.cure
    with pytest.raises(UnsupportedImage, match="empty"):
        uploads.begin("u", "a.png", 0)


def test_four_at_a_time(uploads: Uploads, clock: Clock) -> None:
    for number in range(4):
        uploads.begin(str(number), "a.png", 9)
    with pytest.raises(RequestError, match="4 uploads"):
        uploads.begin("5", "a.png", 9)
    uploads.cancel("0")
    uploads.cancel("0")
    uploads.begin("5", "a.png", 9)
    clock.now = 11  # a page that was reloaded leaves its uploads behind
    uploads.begin("6", "a.png", 9)
    assert len(uploads) == 1


def test_an_abandoned_upload_is_let_go(uploads: Uploads, clock: Clock) -> None:
    uploads.begin("u", "a.png", PIECE_BYTES + 1)
    clock.now = 50
    uploads.piece("u", 0, bytes(PIECE_BYTES))
    clock.now = 109
    uploads.sweep()
    assert len(uploads) == 1
    clock.now = 110
    uploads.sweep()
    assert uploads.held_bytes == 0
    with pytest.raises(RequestError, match="not under way"):
        uploads.piece("u", 1, b"x")


def test_the_same_upload_does_not_begin_twice(uploads: Uploads) -> None:
    uploads.begin("u", "a.png", 1)
    with pytest.raises(RequestError):
        uploads.begin("u", "a.png", 1)
