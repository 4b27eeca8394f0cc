"""The image picker in a real JupyterLab: large uploads, a pasted screenshot, keys, a frozen end."""

from pathlib import Path

import pytest
from lab import Lab, OpenNotebook
from PIL import Image

MADE = """
import nbvision as nv
from nbvision.widgets.picker import ImagePicker
picker = ImagePicker("pictures")
picker
"""


@pytest.fixture
def _pictures(lab: Lab) -> None:
    folder = lab.work / "pictures"
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    for name, colour in (("a.png", "red"), ("b.png", "green"), ("sub/c.png", "blue")):
        Image.new("RGB", (640, 480), colour).save(folder / name)


def ready(notebook: OpenNotebook) -> None:
    notebook.run_all()
    notebook.widget().locator(".nbv-tile img").nth(1).wait_for()


@pytest.mark.usefixtures("_pictures")
def test_large_files_arrive_and_a_screenshot_is_pasted(lab: Lab, tmp_path: Path) -> None:
    with lab.notebook([MADE], name="picker") as notebook:
        ready(notebook)
        widget = notebook.widget()
        for number, size in enumerate((12_500_000, 5_000_000, 5_000_000)):
            path = tmp_path / f"large{number}.bmp"
            Image.new("RGB", (1000, 1000)).save(path)
            with path.open("ab") as file:
                file.write(bytes(size - path.stat().st_size))
        files = sorted(tmp_path.glob("*.bmp"))
        widget.get_by_label("Upload pictures").set_input_files(files)
        notebook.until("len(picker.images) == 3", seconds=60)
        notebook.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        notebook.page.evaluate("""async () => {
          const canvas = document.createElement("canvas");
          const blob = await new Promise((done) => canvas.toBlob(done));
          await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
        }""")
        widget.get_by_role("listbox").focus()
        notebook.page.keyboard.press("Control+v")
        notebook.until("len(picker.images) == 4")
        assert len(notebook.sources()) == 1


@pytest.mark.usefixtures("_pictures")
def test_keys_stay_in_the_grid_and_a_cell_reads_what_was_just_chosen(lab: Lab) -> None:
    with lab.notebook([MADE, "read = len(picker.images)"], name="picker-keys") as notebook:
        ready(notebook)
        sources = notebook.sources()
        notebook.widget().get_by_role("listbox").focus()
        for key in ("x", "b", "Delete", "a"):
            notebook.page.keyboard.press(key)
        notebook.run_cell(1)
        assert notebook.python("read") == "2"
        assert notebook.sources() == sources
        notebook.do("picker.freeze()")
        notebook.page.locator(".jp-OutputArea img[alt='Thumbnail of b.png']").wait_for()
