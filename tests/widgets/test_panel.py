"""What all panels have in common: their modules, their errors, their end."""

import gc
import inspect
import re
import subprocess
import threading
import weakref
from importlib import resources
from pathlib import Path
from typing import Any

import environment
import pytest
from ipywidgets.widgets.widget import _instances
from widget_comm import heard, say, until

import nbvision as nv
from nbvision.widgets import cells
from nbvision.widgets.engine import engine
from nbvision.widgets.messages import Message
from nbvision.widgets.panel import Panel

STATIC = Path(str(resources.files("nbvision.widgets") / "static"))
PANELS: dict[str, Any] = {
    "ImagePicker": lambda: nv.ImagePicker(nv.samples.photo.path.parent),
    "PreviewPanel": lambda: nv.PreviewPanel(nv.samples.page, model="claude-haiku-4-5"),
    "AskPanel": lambda: nv.AskPanel(nv.samples.page),
    "BoxEditor": lambda: nv.BoxEditor(nv.samples.shapes, nv.samples.shapes.truth),
    "ConversationPanel": nv.ConversationPanel,
    "Workbench": lambda: nv.Workbench(nv.samples.photo.path.parent),
}
every_panel = pytest.mark.parametrize("make", PANELS.values(), ids=PANELS)


@every_panel
def test_its_module_stands_alone_and_parses(make: Any, tmp_path: Path) -> None:
    panel: Panel = make()
    text = panel._esm
    assert not re.search(r"^import |^export (?!default)", text, flags=re.MULTILINE)
    (tmp_path / "module.mjs").write_text(text, encoding="utf-8")
    command = [environment.node(), "--check", str(tmp_path / "module.mjs")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert len(text) < 90_000


@every_panel
def test_it_says_in_words_how_to_do_without_it(make: Any) -> None:
    panel: Panel = make()
    data, _ = panel._repr_mimebundle_()
    assert re.search(r"nv\.\w+\(", data["text/plain"])
    assert len(data["text/plain"]) < 300
    assert len(repr(panel)) < 200
    still = panel._still()
    assert still["text/plain"]
    assert all("alt=" in tag for tag in re.findall(r"<img [^>]*", still.get("text/html", "")))


@every_panel
@pytest.mark.parametrize(
    "content", [None, [], "text", 3, {"type": "hello", "part": []}, {"id": {}}]
)
def test_anything_at_all_may_arrive(make: Any, content: object) -> None:
    panel: Panel = make()
    panel._handle_msg(
        {"content": {"data": {"method": "custom", "content": content}}, "buffers": []}
    )
    assert heard(panel, "answer")


@every_panel
def test_what_a_browser_can_call_takes_a_message_and_nothing_else(make: Any) -> None:
    panel: Panel = make()
    for name in dir(type(panel)):
        if name.startswith("_on_"):
            given = list(inspect.signature(getattr(type(panel), name)).parameters.values())
            assert [each.annotation for each in given[1:]] in ([Message], ["Message"]), name


@every_panel
def test_closing_frees_it_and_its_layout(make: Any) -> None:
    before = set(_instances)
    panel: Panel = make()
    panel.close()
    panel.close()
    assert set(_instances) == before
    until(lambda: not any(t.name == "nbvision-work" for t in threading.enumerate()))


@every_panel
def test_a_closed_one_is_freed_at_once_with_its_pictures(make: Any) -> None:
    gc.disable()
    try:
        panel: Panel = make()
        say(panel, "hello")
        reference = weakref.ref(panel)
        panel.close()
        del panel
        until(lambda: reference() is None, seconds=5)
    finally:
        gc.enable()


@every_panel
def test_it_greets_each_view_with_all_that_it_needs(make: Any) -> None:
    panel: Panel = make()
    for part in panel._parts or {"": panel}:
        assert "error" not in say(panel, "hello", part=part)
    kinds = {fields["part"] for fields in heard(panel, "state")}
    assert kinds >= set(panel._parts or {""})


@pytest.mark.parametrize("file", sorted(STATIC.glob("*.js")), ids=lambda file: file.name)
def test_no_module_makes_markup_of_text_or_reaches_out(file: Path) -> None:
    code = re.sub(r"^\s*//.*$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    banned = r"(inner|outer)HTML|insertAdjacentHTML|document\.write|eval\(|Function\(|console\."
    assert not re.search(banned, code)
    addresses = re.findall(r"https?://[^\s\"'`]+", code)
    assert set(addresses) <= {"http://www.w3.org/2000/svg", "https://…"}
    assert file.stat().st_size < 30_000


@pytest.mark.parametrize("file", sorted(STATIC.glob("*.css")), ids=lambda file: file.name)
def test_styles_touch_our_own_elements_only(file: Path) -> None:
    text = re.sub(r"/\*.*?\*/", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    selectors = re.findall(r"([^{}]+)\{", text)
    listed = ",".join(s for s in selectors if not s.strip().startswith("@"))
    for selector in re.split(r",(?![^()]*\))", listed):
        words = selector.strip()
        if words and not re.fullmatch(r"(from|to|\d+%)", words):
            # The row that holds a widget is ipywidgets' own.
            assert words.startswith((".nbv", ":is(.nbv", ".widget-hbox > :has(> .nbv")), words


def test_no_two_styles_use_one_class_for_two_things() -> None:
    found: dict[str, set[str]] = {}
    for file in STATIC.glob("*.css"):
        for name in re.findall(r"\.(nbv-[\w-]+)", file.read_text(encoding="utf-8")):
            found.setdefault(name, set()).add(file.stem)
    shared = {name: files for name, files in found.items() if "panel" not in files}
    assert {name: files for name, files in shared.items() if len(files) > 1} == {}


def test_a_mistake_in_a_handler_is_shown_in_the_widget() -> None:
    panel = nv.AskPanel(nv.samples.page)
    panel.observe(lambda _: {}["missing"], names="prompt")
    fields = {"task": "describe", "prompt": "new", "system": "", "model": "", "effort": ""}
    error = say(panel, "settings", **fields)["error"]
    assert error["value"].startswith("KeyError: 'missing' in <lambda>, line")


def test_what_fails_in_the_background_is_shown_too() -> None:
    panel = nv.AskPanel(nv.samples.page)
    panel._in_background(lambda: 1 // 0)
    panel._soon(0, lambda: 1 // 0)
    until(lambda: len(heard(panel, "error")) == 2)
    assert all("ZeroDivisionError" in error["value"] for error in heard(panel, "error"))


def test_the_engine_lives_on_after_a_failure() -> None:
    def fails() -> None:
        raise RuntimeError("broken")

    assert isinstance(engine().work(fails).exception(timeout=5), RuntimeError)
    done = threading.Event()
    engine().later(0.01, done.set)
    assert done.wait(5)
    assert engine() is engine()


class FakeKernel:
    """A shell whose cells and runs a test names."""

    def __init__(self) -> None:
        self.kernel = self
        self.user_ns: dict[str, Any] = {"Out": {}}
        self.at("a", "1")

    def at(self, cell: str, run: str) -> None:
        self.request = {"metadata": {"cellId": cell}, "header": {"msg_id": run}}

    def drop_by_id(self, names: dict[str, Any]) -> None:
        for name in names:
            self.user_ns.pop(name)

    def get_parent(self, _: str) -> dict[str, Any]:
        return self.request


def test_a_cell_that_runs_again_closes_what_it_made_before(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = FakeKernel()
    monkeypatch.setattr(cells, "shell", lambda: kernel)
    first, beside = nv.AskPanel(), nv.AskPanel()
    kernel.at("b", "2")
    elsewhere = nv.AskPanel()
    assert [first._is_closed, beside._is_closed] == [False, False]
    kernel.user_ns |= {"Out": {1: first, 2: 3}, "_1": first, "_": first, "__": 3}
    kernel.at("a", "3")
    again = nv.AskPanel()
    assert kernel.user_ns == {"Out": {2: 3}, "_": first, "__": 3}
    assert [first._is_closed, beside._is_closed] == [True, True]
    assert [elsewhere._is_closed, again._is_closed] == [False, False]


def test_stills_and_frozen_widgets_outside_a_notebook() -> None:
    panel = nv.AskPanel(nv.samples.page)
    panel.freeze()
    assert panel._is_closed
    nv.freeze_widgets()


def test_collecting_a_panel_takes_no_lock() -> None:
    # Starting a thread under the lock waits for the thread; if that one collects a panel
    # first, and collecting takes the lock, both wait for ever.
    panel = nv.AskPanel(nv.samples.page)
    with panel._lock:
        collector = threading.Thread(target=panel.__del__, daemon=True)
        collector.start()
        collector.join(timeout=5)
    assert not collector.is_alive()
    panel.close()
