"""A notebook is run offline, and the cells that have no stored reply are named."""

from pathlib import Path

import nbformat
import pytest

import nbvision as nv
from nbvision.cli import main
from nbvision.errors import RequestError
from nbvision.unanswered import unanswered_cells

ROOT = Path(nv.__file__).parents[1]


@pytest.fixture(autouse=True)
def _this_package(monkeypatch: pytest.MonkeyPatch) -> None:
    # The kernel starts elsewhere and must find the package under test.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def notebook(path: Path, *cells: str) -> Path:
    sources = ("import nbvision as nv", *cells)
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in sources])
    nbformat.write(made, path)
    return path


def test_cells_without_a_reply_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "lesson.replies"
    backend = nv.connect("practice", words_per_second=None, replies=folder)
    nv.describe(nv.samples.page, backend=backend)
    lesson = notebook(
        tmp_path / "lesson.ipynb",
        'nv.connect("practice")\nnv.describe(nv.samples.page)',
        'nv.describe(nv.samples.page, "Who wrote it?")',
        "1 / 0",
    )
    before = lesson.read_bytes()
    assert [str(cell)[:60] for cell in unanswered_cells(lesson, folder)] == [
        'cell 3: no stored reply to "Who wrote it?" about page.png, a'
    ]
    assert lesson.read_bytes() == before
    assert len(list(folder.iterdir())) == 1
    assert main(["replies", "check", str(folder), str(lesson)]) == 1
    assert "cell 3: no stored reply" in capsys.readouterr().err


def test_a_notebook_that_is_none_is_an_error_of_ours(tmp_path: Path) -> None:
    for name, content in (("none.ipynb", None), ("bad.ipynb", "no notebook")):
        if content is not None:
            (tmp_path / name).write_text(content)
        with pytest.raises(RequestError, match="cannot be read"):
            unanswered_cells(tmp_path / name, tmp_path)
