"""What every widget of ours keeps to in a real JupyterLab: keys, access, files, one origin."""

from typing import Any

import environment
import pytest
from lab import Lab, OpenNotebook
from make_screenshots import CELLS, lay_out, take, use_workbench
from stage import violations

KERNELS = ["python3", *(f"ipykernel-{version}" for version in environment.KERNELS)]
START = 'import nbvision as nv\nnv.connect("practice", words_per_second=None)\n'
WIDGETS = {
    "picker": "nv.ImagePicker(nv.samples.photo.path.parent)",
    "preview": "nv.PreviewPanel(nv.samples.page, model='claude-haiku-4-5')",
    "ask": "nv.AskPanel(nv.samples.shapes, 'every shape', task='locate')",
    "editor": "nv.BoxEditor(nv.samples.shapes, nv.samples.shapes.truth)",
    "conversation": "nv.ConversationPanel('Be brief.')",
    "workbench": "nv.Workbench(nv.samples.photo.path.parent)",
}
FOCUSABLE = (
    'button:not(:disabled), input:not(:disabled):not([type="file"]), select:not(:disabled), '
    "textarea, summary, "
    '[tabindex]:not([tabindex="-1"])'
)


def show(notebook: OpenNotebook) -> None:
    notebook.run_all()
    notebook.wait_for(lambda: notebook.widget().locator(FOCUSABLE).count() > 2, "the widget")


@pytest.mark.parametrize("name", WIDGETS)
def test_keys_stay_in_the_widget_and_axe_finds_nothing(lab: Lab, name: str) -> None:
    cells = [f"{START}panel = {WIDGETS[name]}\npanel", "'the cell below'"]
    with lab.notebook(cells, name=f"keys-{name}", dark=name in {"ask", "workbench"}) as notebook:
        show(notebook)
        assert violations(notebook.page, ".nbvision") == []
        before = notebook.sources()
        reached = 0
        for key in ("x", "b", "Delete", "Enter", "d", "ArrowDown"):
            parts = notebook.widget().locator(FOCUSABLE)
            for number in range(parts.count()):
                part = parts.nth(number)
                if not part.is_visible():
                    continue
                part.focus()
                reached += 1
                notebook.page.keyboard.press(key)
        assert reached > 12
        assert notebook.sources() == before
        assert notebook.widget().count() == 1
        assert notebook.page.locator(".jp-Notebook .jp-CodeCell").count() == len(cells)


def test_combinations_stay_the_notebooks(lab: Lab) -> None:
    cell = f"{START}panel = {WIDGETS['ask']}\npanel"
    with lab.notebook([cell], name="combinations") as notebook:
        show(notebook)
        notebook.widget().get_by_role("button", name="Locate").focus()
        notebook.page.keyboard.press("Control+s")
        saved = "() => !window.panel.context.model.dirty"
        notebook.page.wait_for_function(saved)


@pytest.mark.parametrize("kernel", KERNELS)
def test_files_of_any_size_arrive_and_too_large_ones_are_refused_aloud(
    lab: Lab, kernel: str, tmp_path: Any
) -> None:
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(1).integers(0, 256, (2000, 2100, 3), dtype=np.uint8)
    large, middle, over = tmp_path / "large.png", tmp_path / "middle.png", tmp_path / "over.png"
    Image.fromarray(noise).save(large, compress_level=0)
    Image.fromarray(noise[:1200, :1400]).save(middle, compress_level=0)
    over.write_bytes(b"x" * 14_000_000)
    cell = f"{START}picker = nv.ImagePicker('.', max_bytes=13_000_000)\npicker"
    with lab.notebook([cell], kernel=kernel, name=f"upload-{kernel}") as notebook:
        show(notebook)
        files = [large, *(tmp_path / f"{n}.png" for n in "abc"), over]
        for each in files[1:4]:
            each.write_bytes(middle.read_bytes())
        notebook.widget().get_by_label("Upload pictures").set_input_files(files)
        notebook.until("len(picker.images) == 4", seconds=40)
        sizes = "sorted(image.size for image in picker.images)"
        assert notebook.python(f"[tuple(size) for size in {sizes}]") == repr(
            [(1400, 1200)] * 3 + [(2100, 2000)]
        )
        text = notebook.widget().inner_text()
        assert "over.png has 14.0 MB" in text
        assert "limit: 13.0 MB" in text


def test_the_workbench_goes_from_a_folder_to_boxes(lab: Lab) -> None:
    lay_out(lab.work)
    with lab.notebook(CELLS, name="bench") as notebook:
        notebook.run_all()
        use_workbench(notebook)
        assert notebook.python("round(bench.result[0].iou(nv.samples.photo.truth[0]), 2)") == "0.99"
        notebook.wait_for(lambda: len(notebook.outputs()[0][1]["data"]) == 3, "a still result")
        assert len(take(notebook)) > 50_000
        notebook.do("nv.freeze_widgets()")
        notebook.wait_for(lambda: "text/html" in notebook.outputs()[0][0]["data"], "frozen")
        assert notebook.page.locator(".nbvision").count() == 0


def test_widgets_stand_side_by_side_in_a_row(lab: Lab) -> None:
    row = "HBox([nv.ImagePicker('.'), nv.PreviewPanel(nv.samples.page)])"
    cell = f"{START}from ipywidgets import HBox\n{row}"
    with lab.notebook([cell], name="row") as notebook:
        show(notebook)
        widths = [notebook.widget(n).evaluate("(root) => root.clientWidth") for n in (0, 1)]
        assert min(widths) > 300


def test_a_question_that_a_restart_has_cut_off_can_be_asked_again(lab: Lab) -> None:
    cell = START.replace("None", "5") + "panel = nv.AskPanel(nv.samples.photo)\npanel"
    with lab.notebook([cell], name="cut-off") as notebook:
        show(notebook)
        widget = notebook.widget()
        widget.get_by_role("button", name="Ask", exact=True).click()
        words = widget.locator(".nbv-answer")
        notebook.wait_for(lambda: len(words.text_content() or "") > 20, "words")
        notebook.page.evaluate("() => window.panel.sessionContext.session.kernel.restart()")
        widget.get_by_role("button", name="Stop", exact=True).click()
        widget.get_by_text("what had arrived is kept").wait_for()
        assert not widget.get_by_role("button", name="Stop", exact=True).is_visible()
        assert len(words.text_content() or "") > 20


def test_what_was_answered_before_a_widget_is_shown_stands_below_it_too(lab: Lab) -> None:
    made = f"{START}panel = nv.AskPanel(nv.samples.shapes, 'every shape', task='locate')\n"
    cell = f"{made}panel.ask()\npanel.wait(60)\npanel"
    with lab.notebook([cell], name="before") as notebook:
        show(notebook)
        assert "red circle" in notebook.outputs()[0][1]["data"]["text/plain"]
        notebook.wait_for(
            lambda: "the answer stands below" in (notebook.widget().text_content() or ""), "words"
        )


def test_dollars_and_a_models_words_are_no_formulas(lab: Lab) -> None:
    words = r"$5 and then $6, \\(a\\), $$b$$"
    cells = [
        "import nbvision as nv\nfrom nbvision.markup import bundle, escape, rich",
        # What a formula looks like here, so that its absence says something.
        f"from IPython.display import HTML\nHTML('<p>{words}</p>')",
        f"from IPython.display import display\nmarkup = rich('<p>{words}</p>')",
        "display(bundle('words', markup=markup), raw=True)",
        "with nv.run(budget=0.5) as run:\n    pass\nrun",
    ]
    with lab.notebook(cells, name="dollars") as notebook:
        notebook.run_all()
        formulas = notebook.page.locator("mjx-container")
        notebook.wait_for(formulas.count, "the formulas of another's HTML")
        assert formulas.count() == 3
        outputs = notebook.page.locator(".jp-OutputArea-output")
        assert [outputs.nth(at).locator("mjx-container").count() for at in range(3)] == [3, 0, 0]
        assert "$0.00 spent of $0.50" in outputs.nth(2).inner_text()
