"""A root that nothing leads out of, and what is in its folders."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nbvision.errors import ImageNotFound, UnsafeSource
from nbvision.widgets import folder
from nbvision.widgets.folder import Listing, Root, arranged, natural_key


@pytest.fixture
def place(tmp_path: Path) -> Path:
    inside = tmp_path / "inside"
    (inside / "sub").mkdir(parents=True)
    (inside / "a.jpg").write_bytes(b"a")
    (inside / "sub" / "b.png").write_bytes(b"b")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "c.jpg").write_bytes(b"c")
    return inside


@pytest.fixture(params=["walks", "compares"])
def root(place: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Root:
    # Where a system cannot walk from handle to handle, what was opened is compared.
    monkeypatch.setattr(folder, "_CAN_WALK", request.param == "walks")
    return Root(place)


def scanned(root: Root, *parts: str) -> Listing:
    listing = root.scan(parts)
    assert listing is not None
    return listing


def test_lists_folders_and_pictures_and_nothing_else(root: Root, place: Path) -> None:
    for name in ("notes.txt", ".hidden.jpg", "B.JPEG", "x.heic", "jpg"):
        (place / name).write_bytes(b"")
    (place / ".git").mkdir()
    os.mkfifo(place / "pipe.png")
    listing = scanned(root)
    assert listing.folders == ("sub",)
    assert listing.pictures == ("a.jpg", "B.JPEG", "x.heic")
    assert listing.name(0) == "sub"
    assert listing.is_folder(0)
    assert listing.numbers_of(["x.heic", "gone.jpg"]) == [3]


def test_links_inside_are_followed_and_those_that_lead_out_do_not_exist(
    root: Root, place: Path
) -> None:
    (place / "link.jpg").symlink_to(place / "a.jpg")
    (place / "out.jpg").symlink_to(place.parent / "secret.jpg")
    (place / "away").symlink_to(place.parent / "outside")
    (place / "again").symlink_to(place)
    (place / "broken.jpg").symlink_to(place / "nowhere.jpg")
    listing = scanned(root)
    assert listing.folders == ("again", "sub")
    assert listing.pictures == ("a.jpg", "link.jpg")
    assert root.read(("link.jpg",)) == b"a"
    assert scanned(root, "again", "again", "sub").parts == ("sub",)
    for parts in (("out.jpg",), ("away", "c.jpg"), ("..", "secret.jpg"), ("away",)):
        with pytest.raises(UnsafeSource, match="leads out of inside"):
            root.open(parts)
    with pytest.raises(UnsafeSource):
        root.scan(("away",))


@pytest.mark.parametrize("act", [lambda r: r.open(("sub", "b.png")), lambda r: r.scan(("sub",))])
def test_an_exchange_between_the_check_and_the_opening_is_noticed(
    place: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Root], object]
) -> None:
    inside = Root._inside

    def exchanged(self: Root, parts: folder.Parts) -> folder.Parts:
        found = inside(self, parts)
        (place / "sub").rename(place / "before")
        (place / "sub").symlink_to(place.parent / "outside")
        return found

    monkeypatch.setattr(Root, "_inside", exchanged)
    (place.parent / "outside" / "b.png").write_bytes(b"secret")
    with pytest.raises(ImageNotFound):
        act(Root(place))


def test_names_from_python_are_relative_to_the_root(root: Root, place: Path) -> None:
    assert root.parts_of("sub/b.png") == ("sub", "b.png")
    assert root.parts_of(place / "a.jpg") == ("a.jpg",)
    assert root.parts_of("sub/../a.jpg") == ("a.jpg",)
    for name in ("../secret.jpg", "/etc/passwd", "sub/../../secret.jpg"):
        with pytest.raises(UnsafeSource):
            root.parts_of(name)


def test_what_cannot_be_opened_says_why_and_not_where(root: Root, place: Path) -> None:
    os.mkfifo(place / "pipe.png")
    (place / "d.jpg").mkdir()
    with pytest.raises(ImageNotFound, match=r"^gone.jpg is not there any more") as gone:
        root.open(("gone.jpg",))
    assert str(place) not in str(gone.value)
    with pytest.raises(UnsafeSource, match="not a regular file"):
        root.open(("pipe.png",))
    with pytest.raises(UnsafeSource, match="not a regular file"):
        root.open(("d.jpg",))
    with pytest.raises(ImageNotFound):
        root.open(("a\0b.jpg",))
    with pytest.raises(ImageNotFound):
        root.scan(("a.jpg",))


def test_a_root_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for wrong in (tmp_path / "nowhere", tmp_path / "file", "a\0b"):
        with pytest.raises(ImageNotFound, match="there is no folder"):
            Root(wrong)


def test_a_folder_that_may_not_be_read_says_so(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ImageNotFound, match="sub may not be read"):
        root.scan(("sub",))


def test_reading_ends_when_nobody_wants_it(root: Root, place: Path) -> None:
    for number in range(1500):
        (place / f"{number}.png").touch()
    told: list[int] = []
    assert root.scan((), told.append, lambda: False) is None
    assert told == [1000]


def test_names_that_are_no_text_can_be_listed_and_opened(root: Root, place: Path) -> None:
    (Path(os.fsdecode(os.fsencode(place) + b"/caf\xe9.jpg"))).write_bytes(b"e")
    listing = scanned(root)
    (name,) = (name for name in listing.pictures if name.startswith("caf"))
    assert root.read((name,)) == b"e"


def test_searches_names_in_any_case_and_spelling() -> None:
    listing = Listing((), ("Cats",), ("cat2.png", "dog.png", "cafe\u0301.png"))
    assert list(arranged(listing, search="CAT")) == [0, 1]
    assert list(arranged(listing, search="caf\u00e9")) == [3]
    assert list(arranged(listing)) == [0, 1, 2, 3]


def test_sorts_by_count_date_and_bytes(root: Root, place: Path) -> None:
    names = ["img10.png", "img2.png", "img002.png", "x" + "9" * 5000]
    assert sorted(names, key=natural_key)[:3] == ["img002.png", "img2.png", "img10.png"]
    (place / "z.png").write_bytes(b"large")
    os.utime(place / "z.png", (1, 1))
    listing = scanned(root)
    for order, expected in (
        ("newest", ["sub", "a.jpg", "z.png"]),
        ("largest", ["sub", "z.png", "a.jpg"]),
    ):
        figures = root.figures(listing, order)  # type: ignore[arg-type]
        shown = arranged(listing, figures=figures)
        assert [listing.name(number) for number in shown] == expected
