"""The preview in a real JupyterLab: the bytes, the keys, and what stays when it is frozen."""

from lab import Lab, OpenNotebook
from stage import violations

MADE = """
import nbvision as nv
from nbvision.widgets.preview_panel import PreviewPanel
panel = PreviewPanel(nv.samples.photo, model="claude-haiku-4-5", boxes=nv.samples.photo.truth)
panel
"""
SHOWN = ".nbv-lens img:not([hidden])"


def ready(notebook: OpenNotebook) -> None:
    notebook.until("panel.prepared and not panel._made.is_working")
    notebook.widget().locator(SHOWN).wait_for()


def test_the_frame_follows_the_model_and_keys_stay_with_the_picture(lab: Lab) -> None:
    with lab.notebook([MADE, "1 + 1"], name="preview") as notebook:
        notebook.run_all()
        ready(notebook)
        widget = notebook.widget()
        before = widget.locator(SHOWN).evaluate("(i) => i.naturalWidth")
        widget.get_by_label("Model").select_option("claude-opus-5-5")
        notebook.until("panel.prepared and panel.prepared.fit.resized.width > 2000")
        size = "(i) => i.naturalWidth"
        image = widget.locator(SHOWN)
        notebook.wait_for(lambda: image.count() and image.evaluate(size) != before, "new bytes")
        assert str(image.evaluate(size)) == notebook.python("panel.prepared.pixels.width")
        sources = notebook.sources()
        widget.locator(".nbv-lens").focus()
        for key in ("x", "b", "Delete", "Enter", "+", "+", "ArrowRight", "0"):
            notebook.page.keyboard.press(key)
        assert notebook.sources() == sources
        assert widget.locator(".nbv-lens-readout").inner_text().startswith("resized ")


def test_crops_and_colours_in_the_dark(lab: Lab) -> None:
    with lab.notebook([MADE], name="preview-dark", dark=True) as notebook:
        notebook.run_all()
        ready(notebook)
        widget = notebook.widget()
        widget.get_by_role("button", name="padded", exact=True).click()
        widget.get_by_role("button", name="Cut into crops").click()
        notebook.until("len(panel.images) == 4")
        ready(notebook)
        widget.get_by_text("Crop 1 of 4").wait_for()
        assert violations(notebook.page, ".nbvision") == []


def test_what_is_frozen_is_there_when_the_notebook_is_opened_again(lab: Lab) -> None:
    with lab.notebook([MADE, "panel.freeze()"], name="preview-frozen") as notebook:
        notebook.run_all()
        notebook.save()
    with lab.opened("preview-frozen.ipynb") as notebook:
        figure = notebook.page.locator(".jp-OutputArea img[alt*='in three sizes']")
        figure.first.wait_for()
        assert "model not found" not in notebook.page.locator(".jp-Notebook").inner_text()
