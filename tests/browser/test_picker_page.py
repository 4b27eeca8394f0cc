"""The image picker in a browser: grid, keys, uploads, drop, paste."""

import io
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator
from stage import Stage

import nbvision.widgets.choosing as choosing_module
from nbvision import open_image
from nbvision.errors import ImageNotFound
from nbvision.widgets.picker import ImagePicker

Put = Callable[[Callable[[], Any]], Stage]

_DROP = """(root, [kind, files]) => {
  const transfer = new DataTransfer();
  for (const [name, text] of files)
  {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type: "image/png" }));
  }
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true })
    : new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
  root.dispatchEvent(event);
  return event.defaultPrevented;
}"""


def picture(colour: str = "red", size: tuple[int, int] = (300, 200)) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, colour).save(data, "PNG")
    return data.getvalue()


def encoded(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    root = tmp_path / "holidays"
    (root / "sub").mkdir(parents=True)
    for name, colour in (("a2.png", "red"), ("a10.png", "blue"), ("c.png", "green")):
        (root / name).write_bytes(picture(colour))
    (root / "sub" / "x.png").write_bytes(picture("black"))
    (root / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return root


def grid(stage: Stage) -> Locator:
    return stage.root.get_by_role("listbox")


def tile(stage: Stage, name: str) -> Locator:
    found = stage.root.locator(".nbv-tile", has_text=name).first
    stage.until(found.is_visible)
    return found


def names(stage: Stage) -> list[str]:
    return stage.root.locator(".nbv-name").all_inner_texts()


def selected(stage: Stage, *expected: str) -> None:
    stage.until(lambda: stage.panel.selection == expected)
    marked = stage.root.locator('.nbv-tile[aria-selected="true"] .nbv-name')
    stage.until(lambda: sorted(marked.all_inner_texts()) == sorted(expected))


def press(stage: Stage, *keys: str) -> None:
    for key in keys:
        stage.page.keyboard.press(key)
        stage.pump()


def test_shows_folders_pictures_and_why_one_is_broken(put: Put, place: Path) -> None:
    stage = put(lambda: ImagePicker(place))
    stage.until(lambda: stage.root.locator(".nbv-tile img").count() == 3)
    assert names(stage) == ["sub", "a2.png", "a10.png", "broken.png", "c.png"]
    stage.sees("a PNG that is cut off")
    stage.sees("4 pictures")
    option = stage.root.get_by_role("option", name="a10.png")
    assert option.get_attribute("aria-posinset") == "3"
    assert option.get_attribute("aria-setsize") == "5"
    assert stage.violations() == []
    tile(stage, "a2.png").click()
    selected(stage, "a2.png")
    assert stage.violations() == []


def test_leaves_nothing_behind(put: Put, place: Path) -> None:
    stage = put(lambda: ImagePicker(place))
    tile(stage, "a2.png").click()
    stage.page.evaluate("window.leave()")
    assert stage.page.evaluate("[window.listening.length, window.modelListeners.size]") == [0, 0]


def test_the_mouse_selects_adds_and_ranges(put: Put, place: Path) -> None:
    stage = put(lambda: ImagePicker(place))
    tile(stage, "a2.png").click()
    selected(stage, "a2.png")
    tile(stage, "c.png").click(modifiers=["Control"])
    selected(stage, "a2.png", "c.png")
    tile(stage, "a2.png").click(modifiers=["Meta"])
    selected(stage, "c.png")
    tile(stage, "a10.png").hover()
    tile(stage, "a10.png").locator(".nbv-tick").click()
    selected(stage, "c.png", "a10.png")
    tile(stage, "a2.png").click()
    tile(stage, "a10.png").click(modifiers=["Shift"])
    selected(stage, "a2.png", "a10.png")
    stage.root.get_by_role("button", name="Clear").click()
    selected(stage)
    assert stage.root.get_by_role("button", name="Clear").is_disabled()
    stage.root.get_by_role("button", name="Select all").click()
    selected(stage, "a2.png", "a10.png", "c.png")
    stage.sees("it is not selected")


def test_the_keyboard_does_all_of_it(put: Put, place: Path) -> None:
    stage = put(lambda: ImagePicker(place))
    tile(stage, "c.png")
    grid(stage).focus()
    press(stage, "ArrowRight", " ")
    selected(stage, "a2.png")
    press(stage, "Shift+ArrowRight")
    selected(stage, "a2.png", "a10.png")
    press(stage, "End", "Enter")
    selected(stage, "c.png")
    press(stage, "a")
    selected(stage, "c.png", "a2.png", "a10.png")
    active = grid(stage).get_attribute("aria-activedescendant")
    assert stage.page.locator(f"#{active}").inner_text().startswith("c.png")
    press(stage, "Home", "Enter")
    stage.until(lambda: names(stage) == ["x.png"])
    assert stage.page.evaluate("document.activeElement.getAttribute('role')") == "listbox"
    press(stage, "Backspace")
    stage.until(lambda: len(names(stage)) == 5)
    active = grid(stage).get_attribute("aria-activedescendant")
    assert stage.page.locator(f"#{active}").inner_text().startswith("sub")


def test_folders_open_by_click_and_crumbs_lead_back(put: Put, place: Path) -> None:
    stage = put(lambda: ImagePicker(place))
    tile(stage, "sub").click()
    stage.until(lambda: names(stage) == ["x.png"])
    crumbs = stage.root.get_by_role("navigation", name="Folder")
    assert crumbs.get_by_role("listitem").all_inner_texts() == ["holidays", "sub"]
    crumbs.get_by_role("button", name="holidays").click()
    stage.until(lambda: len(names(stage)) == 5)
    assert stage.root.get_by_role("button", name="Up", exact=True).is_disabled()


def test_an_empty_folder_and_a_search_in_vain_say_so(put: Put, place: Path) -> None:
    stage = put(lambda: ImagePicker(place / "sub"))
    field = stage.root.get_by_label("Search names")
    tile(stage, "x.png")
    field.fill("zebra")
    stage.sees("No name holds these words.")
    stage.panel._post_state()
    stage.pump()
    assert field.input_value() == "zebra"
    field.fill("X")
    stage.until(lambda: names(stage) == ["x.png"])
    (place / "sub" / "x.png").unlink()
    field.fill("")
    stage.root.get_by_role("button", name="Refresh").click()
    stage.sees("No pictures here.")
    (place / "sub").rmdir()
    stage.root.get_by_role("button", name="Refresh").click()
    stage.sees("is not there any more")


def test_sorting_and_hostile_names(put: Put, tmp_path: Path) -> None:
    for count, name in enumerate(["<img src=x onerror=alert(1)>.png", "a\u202eb.png", "תמונה.png"]):
        (tmp_path / name).write_bytes(picture() + bytes(count))
        os.utime(tmp_path / name, (count, count))
    stage = put(lambda: ImagePicker(tmp_path))
    tile(stage, "onerror")
    stage.root.get_by_label("Sort by").select_option("newest")
    stage.until(lambda: names(stage)[:1] == ["תמונה.png"])
    assert names(stage)[1:] == ["a\ufffdb.png", "<img src=x onerror=alert(1)>.png"]
    assert stage.root.locator("img[src='x']").count() == 0


def test_a_long_folder_is_drawn_and_remembered_in_little(put: Put, tmp_path: Path) -> None:
    (tmp_path / "0000.png").write_bytes(picture())
    for number in range(1, 2000):
        (tmp_path / f"{number:04}.png").hardlink_to(tmp_path / "0000.png")
    stage = put(lambda: ImagePicker(tmp_path))
    stage.until(lambda: stage.root.locator(".nbv-tile img").count() > 10)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB
    most = 0
    for step in (1, 5, 10):
        grid(stage).evaluate(
            "(grid, share) => { grid.scrollTop = grid.scrollHeight * share }", step / 10
        )
        shown = f"{min(2000 * step // 10 + 8, 1995):04}.png"
        stage.until(
            lambda shown=shown: (
                stage.root.locator(".nbv-tile", has_text=shown).locator("img").count()
            )
        )
        most = max(most, stage.root.locator(".nbv-tile").count())
    assert most < 200
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000
    assert stage.panel._thumbnails.held_bytes < 5_000_000
    grid(stage).focus()
    press(stage, "End")
    last = stage.root.locator(".nbv-at")
    stage.until(lambda: last.get_attribute("aria-posinset") == "2000")


def test_uploads_several_files_with_progress_and_cancel(put: Put, place: Path) -> None:
    stage = put(lambda: ImagePicker(place, max_bytes=3_000_000))
    tile(stage, "c.png")
    files = stage.root.get_by_label("Upload pictures")
    long = picture("white") + bytes(2_500_000)
    files.set_input_files(
        [
            {"name": "one.png", "mimeType": "image/png", "buffer": picture("white")},
            {"name": "long.png", "mimeType": "image/png", "buffer": long},
            {"name": "huge.png", "mimeType": "image/png", "buffer": bytes(3_100_000)},
            {"name": "paper.png", "mimeType": "image/png", "buffer": b"%PDF-1.7"},
        ]
    )
    assert stage.root.get_by_role("progressbar", name="Upload of one.png").is_visible()
    assert stage.violations() == []
    stage.until(lambda: sorted(stage.panel.selection) == ["long.png", "one.png"])
    stage.until(lambda: {"one.png", "long.png"} < set(names(stage)))
    stage.sees("paper.png: this is a PDF document")
    stage.sees("huge.png has 3.1 MB (limit: 3.0 MB for an upload)")
    pieces = [image for image in stage.panel.images if image.source == "upload long.png"]
    assert pieces[0].size == (300, 200)
    stage.root.get_by_role("button", name="Dismiss the message on huge.png").click()
    assert "huge" not in stage.root.inner_text()
    tile(stage, "one.png").locator(".nbv-cross").click()
    stage.until(lambda: stage.panel.selection == ("long.png",))
    grid(stage).focus()
    press(stage, "Home", "Delete")
    stage.until(lambda: stage.panel.images == [])


def test_a_cancelled_upload_frees_its_memory(put: Put, place: Path) -> None:
    stage = put(lambda: ImagePicker(place))
    tile(stage, "c.png")
    file = {"name": "long.png", "mimeType": "image/png", "buffer": bytes(5_000_000)}
    stage.root.get_by_label("Upload pictures").set_input_files([file])
    stage.until(lambda: stage.panel._uploads.held_bytes)
    stage.root.get_by_role("button", name="Cancel long.png").click()
    stage.until(lambda: not len(stage.panel._uploads))
    assert stage.root.get_by_role("progressbar").count() == 0


def test_a_silent_kernel_ends_an_upload_with_a_message(put: Put, place: Path) -> None:
    stage = put(lambda: ImagePicker(place))
    tile(stage, "c.png")
    stage.page.clock.install()
    stage.is_connected = False
    file = {"name": "new.png", "mimeType": "image/png", "buffer": picture()}
    stage.root.get_by_label("Upload pictures").set_input_files([file])
    stage.until(lambda: stage.root.get_by_role("progressbar").count())
    stage.page.clock.fast_forward(21_000)
    stage.sees("new.png: the kernel did not answer, so the upload ended")


def test_pictures_are_dropped_and_pasted(put: Put, place: Path) -> None:
    stage = put(lambda: ImagePicker(place))
    body = stage.root.locator(".nbv-picker")
    tile(stage, "c.png")
    files = [["dropped.png", encoded(picture("white"))]]
    assert body.evaluate(_DROP, ["dragenter", files])
    assert stage.root.get_by_text("Drop pictures to add them").is_visible()
    body.evaluate(_DROP, ["drop", files])
    assert not stage.root.get_by_text("Drop pictures to add them").is_visible()
    stage.until(lambda: stage.panel.selection == ("dropped.png",))
    grid(stage).evaluate(_DROP, ["paste", [["image.png", encoded(picture("black"))]]])
    stage.until(lambda: len(stage.panel.selection) == 2)
    assert stage.panel.selection[1].startswith("pasted ")
    assert not body.evaluate(_DROP, ["paste", []])


def test_an_address_is_fetched_only_when_asked(
    put: Put, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch(source: object) -> Any:
        if not isinstance(source, str):
            return open_image(source)
        asked.append(source)
        if "gone" in source:
            raise ImageNotFound("it answered with status 404", cure="open it in a browser")
        return open_image(picture("white"))

    monkeypatch.setattr(choosing_module, "open_image", fetch)
    stage = put(lambda: ImagePicker(place))
    field = stage.root.get_by_label("Picture address")
    field.fill("https://example.com/cat.png")
    stage.pump()
    assert asked == []
    field.press("Enter")
    stage.until(lambda: len(stage.panel.images) == 1)
    stage.until(lambda: field.input_value() == "")
    field.fill("https://example.com/gone.png")
    stage.root.get_by_role("button", name="Fetch").click()
    stage.sees("it answered with status 404 → open it in a browser")


def test_one_at_a_time(put: Put, place: Path) -> None:
    stage = put(lambda: ImagePicker(place, multiple=False))
    tile(stage, "a2.png").click()
    selected(stage, "a2.png")
    tile(stage, "c.png").click(modifiers=["Control"])
    selected(stage, "c.png")
    assert not stage.root.get_by_role("button", name="Select all").is_visible()
    assert grid(stage).get_attribute("aria-multiselectable") == "false"


def test_what_python_does_is_shown(put: Put, place: Path) -> None:
    stage = put(lambda: ImagePicker(place))
    tile(stage, "c.png")
    stage.panel.select("c.png", "sub/x.png")
    stage.sees("2 selected: c.png, sub/x.png")
    stage.panel.add(Image.new("RGB", (50, 50)))
    stage.until(lambda: names(stage)[0] == "Pillow image")
    stage.sees("tiny")
    stage.panel.clear()
    stage.sees("0 selected")


def test_fits_a_narrow_notebook(put: Put, place: Path) -> None:
    stage = put(lambda: ImagePicker(place))
    tile(stage, "c.png")
    stage.page.set_viewport_size({"width": 420, "height": 800})
    stage.until(
        lambda: (
            tile(stage, "broken.png").bounding_box()["y"] > tile(stage, "sub").bounding_box()["y"]
        )
    )  # type: ignore[index]
    assert stage.root.evaluate("(root) => root.scrollWidth <= root.clientWidth")
    stage.page.emulate_media(color_scheme="dark")
    assert stage.violations() == []
