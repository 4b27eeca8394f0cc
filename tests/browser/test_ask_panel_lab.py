"""The ask panel in a real JupyterLab: streaming, stopping, what stays, what never runs."""

import json
import re
import time
from pathlib import Path

import environment
import ipykernel
import pytest
from lab import Lab, OpenNotebook
from streams import Slow, words
from wire import answer_well, wire

import nbvision as nv

SAYS = "stored, $0.00, from "
KERNELS = ["python3", *(f"ipykernel-{version}" for version in environment.KERNELS)]
PRACTICE = """
import nbvision as nv
nv.connect("practice", words_per_second=None)
panel = nv.AskPanel(nv.samples.photo, "the red bowl", task="locate")
panel
"""
OTHER = """
import nbvision as nv
nv.connect("anthropic", base_url={url!r}, api_key="not-a-key")
panel = nv.AskPanel(nv.samples.shapes)
panel
"""


def press(notebook: OpenNotebook, name: str) -> None:
    notebook.widget().get_by_role("button", name=name, exact=True).click()


@pytest.mark.parametrize("kernel", KERNELS)
def test_words_stream_and_stop_closes_the_connection_at_once(lab: Lab, kernel: str) -> None:
    slow = Slow(words(2000), seconds_between=0.005)
    with wire(slow) as server:
        name = f"stop-{kernel}"
        with lab.notebook([OTHER.format(url=server.url)], kernel=kernel, name=name) as notebook:
            notebook.run_all()
            press(notebook, "Ask")
            shown = notebook.widget().locator(".nbv-answer")
            notebook.wait_for(lambda: "word30 " in (shown.text_content() or ""), "words")
            stopped_at = time.monotonic()
            press(notebook, "Stop")
            notebook.wait_for(lambda: slow.left_at, "the server sees it", seconds=3)
            assert slow.left_at[0] - stopped_at < 0.5
            notebook.until("panel._run.state == 'stopped'")
            assert notebook.python("panel.text.startswith('word0 word1 ')") == "True"
            widget = notebook.widget()
            notebook.wait_for(lambda: "been billed" in (widget.text_content() or ""), "a notice")
            version = notebook.python("__import__('ipykernel').__version__")
            assert version.strip("'") in {kernel.removeprefix("ipykernel-"), ipykernel.__version__}


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_long_answer_is_light_and_whole(lab: Lab, kernel: str) -> None:
    slow = Slow(words(2000, "word{:05d} ".format))
    slow.seconds_between = 0.001
    with wire(slow) as server:
        name = f"long-{kernel}"
        with lab.notebook([OTHER.format(url=server.url)], kernel=kernel, name=name) as notebook:
            notebook.run_all()
            notebook.page.evaluate(
                """() => {
                  window.longTasks = [];
                  new PerformanceObserver((list) => window.longTasks.push(
                    ...list.getEntries().map((entry) => entry.duration)))
                    .observe({ type: "longtask" });
                }"""
            )
            received = notebook.count_received()
            press(notebook, "Ask")
            notebook.until("panel.result is not None", seconds=30)
            shown = notebook.widget().locator(".nbv-answer")
            whole = "".join(slow.pieces)
            notebook.wait_for(lambda: shown.text_content() == whole, "the whole answer")
            assert notebook.python("panel.result.text") == repr(whole)
            # Each frame has its envelope, and a busy machine needs more of them; to send the whole
            # text with each would take 20 MB.
            assert received() < 800_000
            assert notebook.page.evaluate("() => Math.max(0, ...window.longTasks)") <= 200


def test_what_was_answered_stays_when_the_notebook_is_opened_again(lab: Lab) -> None:
    cells = [PRACTICE, "panel.freeze()"]
    with lab.notebook(cells[:1], name="kept") as notebook:
        notebook.run_all()
        press(notebook, "Ask")
        notebook.until("panel.result is not None")
        notebook.wait_for(lambda: len(notebook.outputs()[0][1]["data"]) == 3, "a still result")
        notebook.do("panel.freeze()")
        notebook.wait_for(lambda: "text/html" in notebook.outputs()[0][0]["data"], "frozen")
        notebook.save()
    saved = json.loads((lab.work / "kept.ipynb").read_text())
    outputs = saved["cells"][0]["outputs"]
    assert {"text/plain", "text/html", "image/jpeg"} == set(outputs[0]["data"])
    assert "widget-view" not in json.dumps(outputs)
    with lab.opened("kept.ipynb") as notebook:
        text = notebook.page.locator(".jp-Notebook").inner_text()
        assert "red region" in text
        assert "not found" not in text
        assert notebook.page.locator(".jp-Notebook img[alt*='red region']").count() == 1
    exported = export(lab.work / "kept.ipynb")
    assert "red region" in exported
    body = exported.split("<main>")[1]
    assert re.search(r'<img [^>]*alt="[^"]*red region[^"]*"', exported)
    assert not re.search(r'(src|href)="(?!data:|#)', body), "it needs the network"


def export(path: Path) -> str:
    """Return the notebook as a page of HTML."""
    from nbconvert import HTMLExporter

    return str(HTMLExporter().from_filename(str(path))[0])


def test_an_answer_that_is_markup_never_becomes_any(lab: Lab) -> None:
    evil = "<img src=x onerror='window.harmed=1'><script>window.harmed=1</script> # so"
    with wire(Slow([evil, " **end**"])) as server:
        cell = OTHER.format(url=server.url).replace("nv.samples.shapes", "picture")
        setup = (
            "import shutil, nbvision as nv; name = '<img src=x onerror=\"window.harmed=2\">.png'\n"
        )
        setup += "nv.open_image(nv.samples.shapes).pixels.resize((300, 300)).save('x.png')\n"
        setup += "shutil.copy('x.png', name); picture = name"
        with lab.notebook([setup, cell], name="markup") as notebook:
            notebook.run_all()
            notebook.wait_for(lambda: notebook.widget().locator("img").count(), "a thumbnail")
            press(notebook, "Ask")
            notebook.until("panel.result is not None")
            notebook.wait_for(lambda: "text/html" in notebook.outputs()[1][1]["data"], "still")
            notebook.page.wait_for_timeout(200)
            assert evil in (notebook.page.locator(".jp-Notebook").text_content() or "")
            assert notebook.page.evaluate("() => window.harmed") is None


def test_a_restarted_kernel_is_noticed(lab: Lab) -> None:
    with lab.notebook([PRACTICE], name="restarted") as notebook:
        notebook.run_all()
        notebook.page.evaluate("() => window.panel.sessionContext.session.kernel.restart()")
        press(notebook, "Ask")
        notebook.wait_for(
            lambda: "Not connected" in (notebook.widget().text_content() or ""), "a notice"
        )


def test_running_a_cell_again_leaves_one_live_instance_and_flat_memory(lab: Lab) -> None:
    cell = PRACTICE + "preview = nv.PreviewPanel(nv.samples.photo)\npreview"
    with lab.notebook([cell], name="again") as notebook:
        live = "len(__import__('ipywidgets').widgets.widget._instances)"
        held = "__import__('psutil').Process().memory_info().rss"

        def run() -> None:
            notebook.run_all()
            notebook.until("preview.prepared is not None")

        def measure() -> tuple[int, int]:
            # What was freed goes back to the system first, where the allocator can do that.
            notebook.do("import ctypes, gc; gc.collect()")
            notebook.do("getattr(ctypes.CDLL(None), 'malloc_trim', lambda _: None)(0)")
            return int(notebook.python(live)), int(notebook.python(held))

        for _ in range(10):
            run()
        count, size = measure()
        for _ in range(20):
            run()
        assert measure()[0] == count
        # Twenty instances hold 70 MB; what is still being freed goes in a moment.
        notebook.wait_for(lambda: measure()[1] - size < 40_000_000, "the memory of before")
        assert notebook.page.locator(".nbvision").count() == 1


def still(notebook: OpenNotebook) -> str:
    """What stays of the first cell's answer, as the document holds it."""
    return "".join(notebook.outputs()[0][1]["data"].get("text/html", ""))


def test_a_stored_answer_is_free_and_is_asked_anew_on_request(lab: Lab, tmp_path: Path) -> None:
    kept = f"import os; os.environ['NBVISION_DATA'] = {str(tmp_path / 'data')!r}\n"
    with wire(answer_well) as server:
        cell = kept + OTHER.format(url=server.url)
        for name, count in (("stored", 1), ("restarted-stored", 2)):
            with lab.notebook([cell], name=name) as notebook:
                notebook.run_all()
                assert notebook.python("nv.__file__") == repr(nv.__file__)
                press(notebook, "Ask")
                notebook.until("len(panel.results) == 1")
                press(notebook, "Ask")
                notebook.until("len(panel.results) == 2")
                widget = notebook.widget()
                notebook.wait_for(lambda w=widget: SAYS in w.inner_text(), "it says so")
                notebook.wait_for(lambda n=notebook: SAYS in still(n), "so does what stays")
                assert len(server.arrived) == count
                press(notebook, "Ask again")
                notebook.until("len(panel.results) == 3 and panel.result.from_store is None")
                notebook.wait_for(lambda w=widget: SAYS not in w.inner_text(), "it is new")
                assert len(server.arrived) == count + 1


def test_an_exception_in_a_handler_is_seen(lab: Lab) -> None:
    fails = "panel.observe(lambda change: 1 / 0, names='result')"
    with lab.notebook([PRACTICE, fails], name="fails") as notebook:
        notebook.run_all()
        press(notebook, "Ask")
        notebook.wait_for(
            lambda: "ZeroDivisionError" in (notebook.widget().text_content() or ""), "the error"
        )
