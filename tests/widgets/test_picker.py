"""The image picker without a browser: what it shows, what it selects, what it refuses."""

import io
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from traitlets import HasTraits, List, link
from widget_comm import heard, say, sent, until

import nbvision.widgets.choosing as choosing_module
from nbvision import SourceImage, open_image
from nbvision.errors import ImageError, ImageNotFound, LimitExceeded, UnsafeSource, UnsupportedImage
from nbvision.widgets.picker import ImagePicker
from nbvision.widgets.uploads import PIECE_BYTES


def picture(colour: str = "red", size: tuple[int, int] = (300, 200)) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, colour).save(data, "PNG")
    return data.getvalue()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    root = tmp_path / "holidays"
    (root / "sub").mkdir(parents=True)
    for name, colour in (("a2.png", "red"), ("a10.png", "blue"), ("c.png", "green")):
        (root / name).write_bytes(picture(colour))
    (root / "sub" / "a2.png").write_bytes(picture("black"))
    return root


@pytest.fixture
def picker(place: Path) -> ImagePicker:
    return ready(ImagePicker(place))


def ready(picker: ImagePicker) -> ImagePicker:
    until(lambda: picker._browsing.read_count is None)
    return picker


def state(picker: ImagePicker) -> dict[str, Any]:
    return heard(picker, "state")[-1]


def names(picker: ImagePicker) -> list[str]:
    shown = state(picker)
    count = shown["added"] + shown["folders"] + shown["pictures"]
    if count:
        say(picker, "look", view=shown["view"], first=0, count=min(count, 400))
        return [name for _, _, name in heard(picker, "tiles")[-1]["tiles"]]
    return []


def choose(picker: ImagePicker, how: str, position: int, anchor: int | None = None) -> Any:
    view = state(picker)["view"]
    return say(picker, "choose", view=view, how=how, position=position, anchor=anchor or position)


def ask_thumbs(picker: ImagePicker, *numbers: int) -> Any:
    listing = state(picker)["listing"]
    fields = {"viewer": "v", "listing": listing, "count": len(numbers), "numbers": list(numbers)}
    return say(picker, "thumbs", **fields)


def upload(picker: ImagePicker, data: bytes, name: str = "new.png", identity: str = "u") -> Any:
    answer = say(picker, "upload_begin", upload=identity, name=name, bytes=len(data))
    for order, start in enumerate(range(0, len(data), PIECE_BYTES)):
        piece = data[start : start + PIECE_BYTES]
        answer = say(picker, "upload_piece", piece, upload=identity, order=order)
    return answer


# -- folders -----------------------------------------------------------------------------------


def test_shows_the_folder_and_never_where_it_is(picker: ImagePicker, place: Path) -> None:
    assert names(picker) == ["sub", "a2.png", "a10.png", "c.png"]
    ask_thumbs(picker, 1, 2, 3)
    until(lambda: heard(picker, "thumbs"))
    assert state(picker)["root"] == "holidays"
    assert str(place.parent) not in str([fields for fields, _ in picker.comm.sent])
    assert picker.root == str(place)


def test_enters_folders_and_comes_back_to_where_it_was(picker: ImagePicker) -> None:
    say(picker, "enter", view=state(picker)["view"], position=0)
    until(lambda: state(picker)["crumbs"] == ["sub"])
    assert names(picker) == ["a2.png"]
    say(picker, "up", level=0)
    until(lambda: state(picker)["crumbs"] == [])
    assert state(picker)["start"] == 0


def test_searches_and_sorts(picker: ImagePicker, place: Path) -> None:
    say(picker, "search", text="A2")
    until(lambda: names(picker) == ["a2.png"])
    say(picker, "search", text="nothing")
    until(lambda: names(picker) == [])
    say(picker, "search", text="")
    until(lambda: len(names(picker)) == 4)
    (place / "c.png").write_bytes(picture("green") + bytes(5000))
    picker.refresh()
    say(picker, "order", by="largest")
    until(lambda: names(picker)[:2] == ["sub", "c.png"])


def test_a_folder_that_is_gone_says_so(picker: ImagePicker, place: Path) -> None:
    say(picker, "enter", view=state(picker)["view"], position=0)
    until(lambda: state(picker)["crumbs"] == ["sub"])
    (place / "sub" / "a2.png").unlink()
    (place / "sub").rmdir()
    picker.refresh()
    until(lambda: state(picker)["trouble"])
    assert state(picker)["trouble"]["value"] == "sub is not there any more"
    say(picker, "up", level=0)
    until(lambda: names(picker)[:1] == ["a2.png"])


def test_a_newer_wish_ends_the_reading_of_a_folder(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1500):
        (place / f"{number}.png").touch()
    picker = ready(ImagePicker(place))
    told = threading.Event()
    original = picker._post

    def slow(kind: str, *rest: Any, **fields: Any) -> None:
        original(kind, *rest, **fields)
        if kind == "reading":
            told.set()
            time.sleep(0.02)

    monkeypatch.setattr(picker, "_post", slow)
    picker.refresh()
    assert told.wait(5)

    def has_entered() -> bool:
        say(picker, "enter", view=state(picker)["view"], position=0)
        return state(picker)["crumbs"] == ["sub"]

    until(has_entered)  # the reading may end first, and give what is shown another number


def test_hostile_names_are_cleaned_before_they_are_shown(tmp_path: Path) -> None:
    (tmp_path / "a\u202egpj.png").write_bytes(picture())
    (tmp_path / "<img src=x>.png").write_bytes(picture())
    (tmp_path / "tab\x1b[31m.png").write_bytes(picture())
    (tmp_path / "\udce9.png").write_bytes(picture())
    picker = ready(ImagePicker(tmp_path))
    assert set(names(picker)) == {"a\ufffdgpj.png", "<img src=x>.png", "tab.png", "\ufffd.png"}
    say(picker, "choose_all", view=state(picker)["view"])
    assert len(picker.images) == 4
    assert "\ufffd.png" in picker.selection


def test_a_root_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageNotFound):
        ImagePicker(tmp_path / "nowhere")


# -- thumbnails --------------------------------------------------------------------------------


def test_thumbnails_come_together_with_small_words(picker: ImagePicker, place: Path) -> None:
    (place / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (place / "empty.png").write_bytes(b"")
    picker.refresh()
    until(lambda: "broken.png" in names(picker))
    names(picker)
    numbers = {name: number for number, _, name in heard(picker, "tiles")[-1]["tiles"]}
    ask_thumbs(picker, *numbers.values(), 9999, -5)
    until(lambda: sum(len(m["items"]) for m in heard(picker, "thumbs")) == 5)
    messages = sent(picker, "thumbs")
    items = {item["number"]: item for fields, _ in messages for item in fields["items"]}
    assert items[numbers["a2.png"]]["size"] == "300 × 200"
    assert items[numbers["broken.png"]]["error"]["value"] == "a PNG that is cut off"
    assert "no bytes" in items[numbers["empty.png"]]["error"]["value"]
    pictures = [part for _, parts in messages for part in parts]
    assert len(pictures) == 3
    for data in pictures:
        with Image.open(io.BytesIO(data)) as small:
            assert small.format == "JPEG"
            assert max(small.size) <= 160


def test_thumbnails_of_another_listing_are_not_asked_for(picker: ImagePicker) -> None:
    fields = {"viewer": "v", "listing": 99, "count": 1, "numbers": [1]}
    assert "error" not in say(picker, "thumbs", **fields)
    assert picker._thumbnails.awaited == 0


# -- selecting ---------------------------------------------------------------------------------


def test_click_toggle_and_range(picker: ImagePicker) -> None:
    choose(picker, "only", 1)
    assert picker.selection == ("a2.png",)
    choose(picker, "toggle", 3)
    assert picker.selection == ("a2.png", "c.png")
    choose(picker, "toggle", 1)
    assert picker.selection == ("c.png",)
    choose(picker, "range", 1, 3)
    assert picker.selection == ("c.png", "a10.png", "a2.png")
    choose(picker, "range", 2, 1)
    assert picker.selection == ("a2.png", "a10.png")
    assert heard(picker, "selection")[-1]["chosen"] == [1, 2]
    choose(picker, "only", 0)  # a folder is no picture
    assert picker.selection == ()


def test_a_click_on_what_is_not_shown_any_more_does_nothing(picker: ImagePicker) -> None:
    view = state(picker)["view"]
    say(picker, "search", text="c")
    until(lambda: names(picker) == ["c.png"])
    say(picker, "choose", view=view, how="only", position=1, anchor=1)
    assert picker.selection == ()
    choose(picker, "only", 99)
    assert picker.selection == ()


def test_images_are_there_at_once_and_in_order(picker: ImagePicker) -> None:
    say(picker, "choose_all", view=state(picker)["view"])
    assert [image.source for image in picker.images] == ["a2.png", "a10.png", "c.png"]
    assert all(isinstance(image, SourceImage) for image in picker.images)
    picker.clear()
    assert picker.images == []


def test_the_selection_goes_over_several_folders(picker: ImagePicker) -> None:
    picker.select("a2.png", "sub/a2.png")
    picker.select("sub/a2.png")
    assert picker.selection == ("a2.png", "sub/a2.png")
    assert heard(picker, "selection")[-1]["chosen"] == [1]
    say(picker, "enter", view=state(picker)["view"], position=0)
    until(lambda: state(picker)["crumbs"] == ["sub"])
    assert state(picker)["chosen"] == [0]
    assert state(picker)["selected"] == 2


def test_names_that_lead_out_or_nowhere_select_nothing(picker: ImagePicker) -> None:
    for wrong, error in (("../x.png", UnsafeSource), ("gone.png", ImageNotFound)):
        with pytest.raises(error):
            picker.select("a2.png", wrong)
    assert picker.selection == ()


def test_what_is_no_picture_is_refused_and_the_others_stay(
    picker: ImagePicker, place: Path
) -> None:
    (place / "notes.txt").write_bytes(b"<html>")
    with pytest.raises(UnsupportedImage, match="HTML"):
        picker.select("a2.png", "notes.txt")
    assert picker.selection == ("a2.png",)


def test_one_at_a_time(place: Path) -> None:
    picker = ready(ImagePicker(place, multiple=False))
    choose(picker, "only", 1)
    choose(picker, "toggle", 2)
    assert picker.selection == ("a10.png",)
    choose(picker, "range", 3, 1)
    assert picker.selection == ("c.png",)
    say(picker, "choose_all", view=state(picker)["view"])
    assert picker.selection == ("c.png",)
    picker.add(Image.new("RGB", (9, 9)))
    assert picker.selection == ("Pillow image",)
    with pytest.raises(LimitExceeded):
        picker.images = [picture(), picture()]


def test_at_most_six_hundred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing_module, "MOST_CHOSEN", 2)
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(picture())
    picker = ready(ImagePicker(tmp_path))
    answer = say(picker, "choose_all", view=state(picker)["view"])
    assert answer["error"]["value"] == "4 pictures"
    assert "2 selected at a time" in answer["error"]["limit"]
    assert picker.selection == ("0.png", "1.png")
    with pytest.raises(LimitExceeded):
        picker.add(picture())


def test_what_disappeared_is_left_out_and_the_others_stay(picker: ImagePicker, place: Path) -> None:
    (place / "a10.png").unlink()
    say(picker, "choose_all", view=state(picker)["view"])
    assert picker.selection == ("a2.png", "c.png")
    assert len(picker.images) == 2
    error = until(lambda: heard(picker, "error"))[-1]
    assert error["value"] == "a10.png is not there any more"
    (item,) = until(lambda: heard(picker, "thumbs"))[-1]["items"]
    assert "not there any more" in item["error"]["value"]
    assert heard(picker, "selection")[-1]["selected"] == 2


def test_pictures_that_would_fill_the_memory_are_refused(picker: ImagePicker) -> None:
    picker._opener._most_bytes = 1000
    say(picker, "choose_all", view=state(picker)["view"])
    assert 0 < len(picker.images) < 3
    assert "memory" in until(lambda: heard(picker, "error"))[-1]["value"]


# -- observers ---------------------------------------------------------------------------------


def test_observers_hear_the_latest_list_and_may_read_it(picker: ImagePicker) -> None:
    seen: list[tuple[list[str], list[str]]] = []

    def look(change: Any) -> None:
        now = [image.source for image in picker.images]
        seen.append(([image.source for image in change["new"]], now))

    picker.observe(look, names="images")
    say(picker, "choose_all", view=state(picker)["view"])
    until(lambda: seen)
    assert seen == [(["a2.png", "a10.png", "c.png"],) * 2]
    picker.clear()
    until(lambda: seen[-1] == ([], []))


def test_whoever_reads_goes_on_when_observers_have_heard(picker: ImagePicker) -> None:
    heard_of: list[int] = []
    picker.observe(lambda change: heard_of.append(len(change["new"])), names="images")
    picker.select("a2.png")
    assert len(picker.images) == 1
    assert heard_of == [1]


def test_an_observer_that_waits_for_a_reader_does_not_stop_it(
    picker: ImagePicker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing_module, "_SECONDS_TO_TELL", 0.05)
    go = threading.Event()
    picker.observe(lambda _: go.wait(5), names="images")
    picker.select("a2.png")
    assert len(picker.images) == 1
    go.set()


def test_an_observer_may_select_and_its_error_is_shown(picker: ImagePicker) -> None:
    def react(change: Any) -> None:
        if len(change["new"]) == 1:
            picker.select("c.png")
        else:
            raise ValueError("of the observer")

    picker.observe(react, names="images")
    picker.select("a2.png")
    assert "of the observer" in until(lambda: heard(picker, "error"))[-1]["value"]
    assert picker.selection == ("a2.png", "c.png")
    picker.unobserve_all()


def test_reading_under_the_lock_does_not_wait_for_ever(picker: ImagePicker) -> None:
    with picker._lock:
        picker.select("a2.png", "a10.png", "c.png")
        assert len(picker.images) == 3


def test_links_both_ways(picker: ImagePicker) -> None:
    class Other(HasTraits):
        pictures = List()

    other = Other()
    with_link = link((picker, "images"), (other, "pictures"))
    picker.select("a2.png")
    until(lambda: len(other.pictures) == 1)
    until(lambda: not picker._is_publishing)
    mine = open_image(picture("white"))
    other.pictures = [mine, picker.images[0]]
    assert picker.images[0] is mine
    assert picker.selection == (mine.source, "a2.png")
    with_link.unlink()


# -- adding ------------------------------------------------------------------------------------


def test_an_upload_becomes_a_tile_in_front_and_is_selected(picker: ImagePicker) -> None:
    picker.select("c.png")
    data = picture(size=(700, 700)) + bytes(PIECE_BYTES)
    assert "error" not in upload(picker, data)
    assert picker.selection == ("c.png", "new.png")
    assert picker.images[1].source == "upload new.png"
    assert until(lambda: heard(picker, "upload_end")) == [
        {"part": "", "type": "upload_end", "upload": "u"}
    ]
    until(lambda: names(picker)[0] == "new.png")
    ask_thumbs(picker, -1)
    until(lambda: heard(picker, "thumbs"))
    say(picker, "remove", number=-1)
    assert picker.selection == ("c.png",)
    assert names(picker)[0] == "sub"


def test_an_upload_that_is_cancelled_at_the_last_moment_leaves_nothing(
    picker: ImagePicker,
) -> None:
    with picker._lock:  # so that it is not told as ended before
        upload(picker, picture())
        say(picker, "upload_cancel", upload="u")
    assert picker.images == []
    assert state(picker)["added"] == 0


def test_an_upload_that_is_no_picture_says_so_where_it_stood(picker: ImagePicker) -> None:
    upload(picker, b"%PDF-1.7", "paper.png")
    (end,) = until(lambda: heard(picker, "upload_end"))
    assert end["error"]["value"] == "this is a PDF document"
    assert picker.images == []
    until(lambda: state(picker)["added"] == 0)
    assert heard(picker, "error") == []


def test_an_upload_over_the_limit_is_refused_in_python_too(place: Path) -> None:
    picker = ready(ImagePicker(place, max_bytes=10))
    answer = say(picker, "upload_begin", upload="u", name="a.png", bytes=11)
    assert answer["error"]["limit"] == "0.0 MB for an upload"


def test_closing_frees_what_was_held_and_results_stay(picker: ImagePicker) -> None:
    picker.select("a2.png")
    assert len(picker.images) == 1
    say(picker, "upload_begin", upload="u", name="a.png", bytes=PIECE_BYTES * 2)
    say(picker, "upload_piece", bytes(PIECE_BYTES), upload="u", order=0)
    assert picker._uploads.held_bytes
    picker.close()
    assert picker._uploads.held_bytes == picker._thumbnails.held_bytes == 0
    assert len(picker.images) == 1


def test_only_web_addresses_are_fetched(
    picker: ImagePicker, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hostile in (str(place / "a2.png"), "file:///etc/passwd", "data:image/png;base64,AA", ""):
        answer = say(picker, "fetch", upload="f", address=hostile)
        assert answer["error"]["limit"] == "http:// and https://"

    def fetch(address: str) -> SourceImage:
        if "gone" in address:
            raise ImageError("answered with status 404")
        return open_image(picture())

    monkeypatch.setattr(choosing_module, "open_image", fetch)
    say(picker, "fetch", upload="f1", address=" https://example.com/a.png ")
    until(lambda: heard(picker, "upload_end"))
    assert len(picker.images) == 1
    say(picker, "fetch", upload="f2", address="https://example.com/gone.png")
    until(lambda: len(heard(picker, "upload_end")) == 2)
    assert heard(picker, "upload_end")[-1]["error"]["value"] == "answered with status 404"


def test_a_fetch_that_was_cancelled_adds_nothing(
    picker: ImagePicker, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, done = threading.Event(), threading.Event()

    def fetch(_: str) -> SourceImage:
        go.wait(5)
        done.set()
        return open_image(picture())

    monkeypatch.setattr(choosing_module, "open_image", fetch)
    for number in range(4):
        say(picker, "fetch", upload=str(number), address="https://example.com/a.png")
    answer = say(picker, "fetch", upload="5", address="https://example.com/a.png")
    assert answer["error"]["limit"] == "4 at a time"
    for number in range(4):
        say(picker, "upload_cancel", upload=str(number))
    go.set()
    assert done.wait(5)
    assert picker.images == []


# -- hostile messages --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("look", {"view": 1, "first": -1, "count": 1}),
        ("look", {"view": 1, "first": 0, "count": 10**9}),
        ("thumbs", {"viewer": "v", "listing": 1, "count": 2, "numbers": ["a", "b"]}),
        ("thumbs", {"viewer": "v", "listing": 1, "count": 2, "numbers": [1]}),
        ("thumbs", {"viewer": "v" * 65, "listing": 1, "count": 0, "numbers": []}),
        ("enter", {"view": 1, "position": "../.."}),
        ("up", {"level": 5}),
        ("search", {"text": "x" * 301}),
        ("order", {"by": "shape"}),
        ("choose", {"view": 1, "how": "steal", "position": 0, "anchor": 0}),
        ("choose", {"view": None, "how": "only", "position": 0, "anchor": 0}),
        ("upload_begin", {"upload": "u", "name": "n", "bytes": -1}),
        ("upload_begin", {"upload": 5, "name": "n", "bytes": 1}),
        ("upload_piece", {"upload": "u", "order": 0}),
        ("fetch", {"upload": "u", "address": "x" * 5000}),
        ("fetch", {"upload": "u", "address": None}),
    ],
)
def test_hostile_messages_are_answered_with_an_error(
    picker: ImagePicker, kind: str, fields: dict[str, Any]
) -> None:
    assert "error" in say(picker, kind, **fields)
    assert picker.images == []


def test_harmless_nonsense_is_passed_over(picker: ImagePicker) -> None:
    quiet: list[Callable[[], Any]] = [
        lambda: say(picker, "remove", number=[1]),
        lambda: say(picker, "remove", number=-77),
        lambda: say(picker, "enter", view=state(picker)["view"], position=3),
        lambda: say(picker, "upload_cancel", upload="nobody"),
    ]
    for act in quiet:
        assert "error" not in act()


# -- the end -----------------------------------------------------------------------------------


def test_the_still_form_shows_what_was_selected(picker: ImagePicker) -> None:
    assert picker._still() == {"text/plain": "No pictures were selected."}
    picker.select("a2.png")
    assert picker._in_words().startswith("1 picture selected: a2.png. ")
    picker.select("sub/a2.png")
    assert picker._in_words().startswith("2 pictures selected: a2.png, sub/a2.png. ")
    still = picker._still()
    assert still["text/plain"].splitlines() == [
        "2 pictures selected",
        "a2.png, 300 × 200 px, PNG",
        "sub/a2.png, 300 × 200 px, PNG",
    ]
    assert 'alt="Thumbnail of sub/a2.png"' in still["text/html"]
    assert len(still["text/html"]) < 10_000
    assert "nv.open_image" in picker._in_words()
    assert repr(picker) == "ImagePicker('holidays', 2 selected)"


def test_the_still_form_stays_small(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.png").write_bytes(picture())
    picker = ready(ImagePicker(tmp_path))
    say(picker, "choose_all", view=state(picker)["view"])
    still = picker._still()
    assert still["text/html"].count("<img") == 24
    assert "the first 24 shown" in still["text/html"]
    assert still["text/plain"].count("\n") == 30
