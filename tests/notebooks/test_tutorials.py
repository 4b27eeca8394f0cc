"""Every tutorial runs, is what its text says, and keeps the shape readers learn from."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
import refresh

import nbvision
from nbvision.replies_folder import RepliesFolder

TEXTS = refresh.texts()
EXPECTED = {
    "01_first_look",
    "02_what_the_model_sees",
    "03_counting_tokens",
    "04_from_picture_to_request",
    "05_boxes_come_home",
    "06_small_things",
    "07_two_pictures",
    "08_pick_and_preview",
    "09_magics",
    "10_real_models",
    "11_correct_the_boxes",
    "12_files_and_long_conversations",
    "13_free_reruns",
}
each_tutorial = pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)


def stored(text: Path) -> Any:
    return nbformat.read(refresh.notebook_of(text), as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def forms(cells: list[Any]) -> list[list[set[str]]]:
    return [
        [set(output.get("data", {output.output_type: ""})) for output in c.outputs] for c in cells
    ]


def test_the_tutorials_are_all_there() -> None:
    assert {text.stem for text in TEXTS} >= EXPECTED


@each_tutorial
def test_it_runs_without_key_or_network_and_shows_what_is_stored(text: Path) -> None:
    fresh = refresh.normalise(refresh.run(refresh.read_text(text)))
    assert forms(code_cells(fresh)) == forms(code_cells(stored(text)))


@each_tutorial
def test_it_is_answered_from_the_replies_beside_it(text: Path) -> None:
    before = {path.name: path.read_bytes() for path in refresh.REPLIES.iterdir()}
    runs = refresh.run_offline(text)
    assert [str(cell) for each in runs for cell in each.unanswered] == []
    assert {name for each in runs for name in each.used} <= before.keys()
    assert {path.name: path.read_bytes() for path in refresh.REPLIES.iterdir()} == before


def test_the_replies_are_whole_and_small() -> None:
    folder = RepliesFolder(refresh.REPLIES)
    files = list(folder.files())
    assert files
    assert folder.problems() == []
    assert sum(path.stat().st_size for path in files) <= 600_000


@each_tutorial
def test_text_and_notebook_have_the_same_cells(text: Path) -> None:
    written = [(c.cell_type, c.source) for c in refresh.read_text(text).cells]
    assert [(c.cell_type, c.source) for c in stored(text).cells] == written


@each_tutorial
def test_stored_outputs_are_counted_in_order_and_free_of_errors(text: Path) -> None:
    counts = []
    for cell in code_cells(stored(text)):
        tags = cell.metadata.get("tags", [])
        failed = any(output.output_type == "error" for output in cell.outputs)
        assert failed == ("raises-exception" in tags), cell.source
        counts.append(cell.execution_count)
    assert counts == list(range(1, len(counts) + 1))


@each_tutorial
def test_it_is_small_and_holds_no_path_key_or_widget_state(text: Path) -> None:
    data = refresh.notebook_of(text).read_text(encoding="utf-8")
    assert len(data) <= 300_000
    assert not re.search(r"/(home|root|Users|tmp|work)/|sk-ant-|AKIA[0-9A-Z]{12}", data)
    assert "widgets" not in stored(text).metadata


@each_tutorial
def test_it_has_one_lesson_and_short_cells(text: Path) -> None:
    cells = stored(text).cells
    first = cells[0].source.splitlines()
    assert first[0].startswith("# ")
    assert "**Lesson:**" in cells[0].source
    headings = [line for c in cells if c.cell_type == "markdown" for line in c.source.splitlines()]
    assert sum(line.startswith("# ") for line in headings) == 1
    assert "What you now know" in cells[-1].source
    assert len(code_cells(stored(text))) <= 12
    assert all(len(c.source.splitlines()) <= 12 for c in code_cells(stored(text)))


@each_tutorial
def test_a_picture_with_its_words_comes_within_three_cells(text: Path) -> None:
    shown = [o for c in code_cells(stored(text))[:3] for o in c.outputs if "data" in o]
    assert any(re.search(r'<img [^>]*alt="[^"]+"', o.data.get("text/html", "")) for o in shown)


def test_every_public_name_is_met_in_a_tutorial() -> None:
    words = "\n".join(text.read_text(encoding="utf-8") for text in TEXTS)
    functions = [name for name in nbvision.__all__ if name.islower() and name != "find_model"]
    assert [name for name in functions if f"nv.{name}" not in words] == []


def test_all_together_stay_small() -> None:
    assert sum(refresh.notebook_of(text).stat().st_size for text in TEXTS) <= 3_000_000
