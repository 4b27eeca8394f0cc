"""Take the pictures that the README shows, in a real JupyterLab: ``make screenshots``.

What is photographed is what the tests drive, so that the pictures stay true.
"""

import io
import shutil
import tempfile
from pathlib import Path

import environment
from lab import Lab, OpenNotebook
from PIL import Image
from playwright.sync_api import sync_playwright

from nbvision import samples

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
CELLS = [
    """import nbvision as nv

nv.connect("practice")
bench = nv.Workbench("photos", task="locate")
bench"""
]


def lay_out(work: Path) -> None:
    """Put the sample pictures into a folder as a person would have them."""
    target = work / "photos"
    target.mkdir(exist_ok=True)
    for sample in (samples.photo, samples.shapes, samples.page, samples.shelf_before):
        shutil.copy(sample, target / Path(sample).name)
    shutil.copy(samples.shelf_after, target / Path(samples.shelf_after).name)


def use_workbench(notebook: OpenNotebook) -> None:
    """Pick the photograph, ask where the bowl is, and wait for the answer."""
    bench = notebook.widget()
    bench.get_by_role("option", name="photo.jpg").click()
    notebook.until("len(bench.images) == 1")
    notebook.until("bench.preview_panel.prepared is not None")
    field = bench.get_by_label("What to find")
    field.fill("the red bowl")
    field.press("Enter")
    notebook.until("bench.result is not None")
    bench.get_by_text("the answer stands below").wait_for()


def take(notebook: OpenNotebook) -> bytes:
    """Return the workbench and its answer as a PNG."""
    return notebook.page.locator(".jp-Cell-outputArea").first.screenshot()


def main() -> None:
    """Write the pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=environment.chromium(), args=environment.FLAGS
        )
        lab = Lab(Path(folder), browser)
        try:
            lay_out(lab.work)
            with lab.notebook(CELLS, name="workbench", height=2400) as notebook:
                notebook.run_all()
                use_workbench(notebook)
                notebook.page.mouse.move(0, 0)
                notebook.page.wait_for_timeout(500)
                picture = Image.open(io.BytesIO(take(notebook))).convert("RGB")
                picture.save(FOLDER / "workbench.jpg", quality=88, optimize=True)
        finally:
            lab.close()
            browser.close()


if __name__ == "__main__":
    main()
