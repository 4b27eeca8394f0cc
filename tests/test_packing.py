"""A notebook that was run for money is packed for those without a key: nothing is sent."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from doors import ADDRESSES_OF, KEY, OPTIONS
from nbclient import NotebookClient
from PIL import Image
from wire import answer_well, wire

import nbvision as nv
from nbvision.cell_runs import notebook_in, run_cells
from nbvision.cli import main
from nbvision.errors import NbvisionError, RequestError
from nbvision.packing import Packed
from nbvision.store import Store

# Kernels start elsewhere and must find the package under test.
ROOT = Path(nv.__file__).parents[1]
KEYS = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AWS_API_KEY",
    "ANTHROPIC_FOUNDRY_API_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_SECRET_ACCESS_KEY",
)
PRACTICE = "nv.connect('practice', words_per_second=None)"


@pytest.fixture(autouse=True)
def _this_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def notebook(path: Path, *cells: str, kernel: str = "", raises: tuple[int, ...] = ()) -> Path:
    made = [nbformat.v4.new_code_cell(cell) for cell in ("import nbvision as nv", *cells)]
    for number in raises:
        made[number].metadata["tags"] = ["raises-exception"]
    found = nbformat.v4.new_notebook(cells=made)
    if kernel:
        found.metadata["kernelspec"] = {"name": kernel, "display_name": kernel}
    nbformat.write(found, path)
    return path


def test_what_the_store_has_is_packed_and_nothing_is_sent(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (60, 40), "teal").save(tmp_path / "door.png")
    lesson = notebook(
        tmp_path / "lesson.ipynb",
        "nv.connect(replies='own') and None",
        "nv.describe('door.png')",
        "nv.describe('door.png', refresh=True)\nnv.describe('door.png', 'Never asked.')",
        "try:\n    nv.ask('door.png', 'Whose?')\nexcept nv.NbvisionError:\n    pass",
        "nv.ask('door.png', 'Shown to fail.')",
        "1 / 0",
        raises=(5,),
    )
    with wire(answer_well) as place:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", place.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        text = nv.describe(tmp_path / "door.png", backend=nv.connect()).text
        before = lesson.read_bytes()
        packed = nv.pack(lesson)
        again = nv.pack(lesson)
        assert len(place.arrived) == 1
    assert lesson.read_bytes() == before
    assert len(store.history()) == 1
    assert (len(packed.written), len(packed.present)) == (1, 0)
    assert (again.written, again.present) == ((), packed.written)
    assert [(cell.number, cell.words[:28]) for cell in packed.missing] == [
        (4, 'no stored reply to "Never as'),
        (5, 'no stored reply to "Whose?" '),
    ]
    assert packed.failed == ((7, "ZeroDivisionError: division by zero"),)
    assert not packed.is_complete
    # A reader has neither key nor store.
    for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("NBVISION_DATA", "off")
    reader = nv.connect(replies=packed.folder, offline=True)
    assert nv.describe(tmp_path / "door.png", backend=reader).text == text


def test_whatever_door_a_notebook_names_nothing_is_dialled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = "nv.describe(nv.samples.page, 'At %s.', backend=nv.connect(%r, **%r))"
    options = {each: given for each, given in OPTIONS.items() if each != "compatible"}
    cells = [asks % (each, each, given) for each, given in options.items()]
    lesson = notebook(tmp_path / "lesson.ipynb", *cells)
    with wire(answer_well) as place:
        for variable in ADDRESSES_OF.values():
            monkeypatch.setenv(variable, place.url)
        for variable in KEYS:
            monkeypatch.setenv(variable, KEY)
        packed = nv.pack(lesson)
        assert (place.connections, place.arrived) == (0, [])
    said = [cell.words.partition(" about ")[0] for cell in packed.missing]
    assert said == [f'no stored reply to "At {each}."' for each in options]
    assert not packed.folder.exists()


def test_what_no_cell_uses_is_named_and_deleted_only_if_asked(tmp_path: Path) -> None:
    lesson = notebook(tmp_path / "lesson.ipynb", PRACTICE, "nv.describe(nv.samples.page)")
    folder = tmp_path / "lesson.replies"
    practice = nv.connect("practice", words_per_second=None, replies=folder)
    nv.describe(nv.samples.shapes, backend=practice)
    (folder / "package.json").write_text("{}")
    (unused,) = {path.name for path in folder.iterdir()} - {"package.json"}
    packed = nv.pack(lesson)
    assert (packed.unused, packed.deleted, packed.is_complete) == ((unused,), (), True)
    assert (folder / unused).exists()
    pruned = nv.pack(str(lesson), folder, prune=True)
    assert pruned.deleted == (unused,)
    assert {path.name for path in folder.iterdir()} == {"package.json", *packed.written}


def test_nothing_is_deleted_while_a_call_lacks_its_reply(tmp_path: Path) -> None:
    folder = tmp_path / "lesson.replies"
    practice = nv.connect("practice", words_per_second=None, replies=folder)
    nv.describe(nv.samples.shapes, backend=practice)
    lesson = notebook(
        tmp_path / "lesson.ipynb", "nv.connect('bedrock')", "nv.describe(nv.samples.page)"
    )
    packed = nv.pack(lesson, prune=True)
    assert (len(packed.missing), len(packed.unused), packed.deleted) == (1, 1, ())
    assert len(list(folder.iterdir())) == 1


def test_a_reply_that_could_not_be_written_is_said_to_be_missing(tmp_path: Path) -> None:
    lesson = notebook(tmp_path / "lesson.ipynb", PRACTICE, "nv.describe(nv.samples.page)")
    (name,) = nv.pack(lesson).written
    path = tmp_path / "lesson.replies" / name
    newer = json.dumps({**json.loads(path.read_text()), "format": 2})
    path.write_text(newer)
    packed = nv.pack(lesson, prune=True)
    assert not packed.is_complete
    assert [cell.number for cell in packed.missing] == [3]
    assert path.read_text() == newer


def test_a_check_names_what_lacks_a_reply_and_what_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "lesson.replies"
    practice = nv.connect("practice", words_per_second=None, replies=folder)
    nv.describe(nv.samples.page, backend=practice)
    cells = (PRACTICE, "nv.describe(nv.samples.page)", "nv.describe(nv.samples.page, 'Who?')")
    lesson = notebook(tmp_path / "lesson.ipynb", *cells)
    before = lesson.read_bytes()
    assert main(["replies", "check", str(folder), str(lesson)]) == 1
    assert lesson.read_bytes() == before
    said = capsys.readouterr()
    assert 'no reply cell 4: no stored reply to "Who?" about page.png' in said.out
    assert "lesson.ipynb does not run from lesson.replies alone" in said.err
    # A cell that fails says nothing of what those after it would have asked.
    assert main(["replies", "check", str(folder), str(notebook(lesson, *cells[:2], "1 / 0"))]) == 1
    said = capsys.readouterr()
    assert "failed cell 4: ZeroDivisionError" in said.out
    assert main(["replies", "check", str(folder), str(notebook(lesson, *cells[:2]))]) == 0
    assert "every call has one" in capsys.readouterr().out
    assert len(list(folder.iterdir())) == 1


def test_what_it_shows_is_bounded_and_escaped() -> None:
    names = tuple(f"<script>{number}.json" for number in range(500))
    packed = Packed(Path("<b>.ipynb"), Path("<i>"), unused=names)
    shown = packed._repr_mimebundle_()
    assert "<script>" not in shown["text/html"]
    assert "<b>" not in shown["text/html"]
    assert len(shown["text/html"]) < 6000
    assert "and 480 more" in shown["text/plain"]
    assert len(repr(packed)) < 120


def text(words: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "bad.ipynb").write_text(words)
        return folder / "bad.ipynb"

    return make


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: folder / "none.ipynb",
        lambda folder: folder,
        text("no notebook"),
        text("[]"),
        text('{"nbformat": 4}'),
        text('{"nbformat": 9, "nbformat_minor": 0, "cells": [], "metadata": {}}'),
        text("[" * 100_000),
        lambda _: 5,
        lambda _: "",
    ],
)
def test_what_is_no_notebook_is_an_error_of_ours(
    tmp_path: Path, make: Callable[[Path], Any]
) -> None:
    with pytest.raises(RequestError):
        nv.pack(make(tmp_path))
    assert not list(tmp_path.glob("*.replies"))


def test_a_folder_that_cannot_be_filled_is_said_before_anything_is_run(tmp_path: Path) -> None:
    lesson = notebook(tmp_path / "lesson.ipynb", "open('ran', 'w')")
    (tmp_path / "lesson.replies").write_text("a file")
    with pytest.raises(RequestError, match="no folder"):
        nv.pack(lesson)
    with pytest.raises(NbvisionError, match="cannot be written"):
        nv.pack(lesson, "/proc/lesson.replies")
    assert not (tmp_path / "ran").exists()


def test_a_kernel_that_is_not_installed_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"julia-9.*\n.*python3"):
        nv.pack(notebook(tmp_path / "lesson.ipynb", kernel="julia-9"))


@pytest.mark.parametrize(
    "files",
    [
        {"__init__.py": "", "replies_folder.py": ""},
        {
            "__init__.py": "",
            "replies_folder.py": "class Surroundings:\n"
            "    of = classmethod(lambda cls, _: cls())\n"
            '    in_words = lambda self: \'["None", "None", false]\'',
        },
        {"__init__.py": "import no_such_package"},
    ],
)
def test_a_kernel_whose_nbvision_might_send_runs_no_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    older = tmp_path / "older"
    (older / "nbvision").mkdir(parents=True)
    for name, text in files.items():
        (older / "nbvision" / name).write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(older))
    lesson = notebook(tmp_path / "lesson.ipynb")
    found = nbformat.read(lesson, as_version=4)
    found.cells[0].source = "open('ran', 'w')"
    nbformat.write(found, lesson)
    with pytest.raises(RequestError, match=r"lesson\.ipynb has no nbvision that is known"):
        nv.pack(lesson)
    assert not (tmp_path / "ran").exists()


def test_a_kernel_whose_own_surroundings_overrule_ours_runs_no_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specification = tmp_path / "share" / "kernels" / "eager"
    specification.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (specification / "kernel.json").write_text(
        json.dumps({"argv": command, "display_name": "eager", "env": {"NBVISION_OFFLINE": ""}})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    lesson = notebook(tmp_path / "lesson.ipynb", "open('ran', 'w')", kernel="eager")
    with pytest.raises(RequestError, match="has no nbvision that is known"):
        nv.pack(lesson)
    assert not (tmp_path / "ran").exists()


def test_a_cell_that_asks_a_person_or_exits_fails_alone(tmp_path: Path) -> None:
    lesson = notebook(
        tmp_path / "lesson.ipynb",
        PRACTICE,
        "input('your name?')",
        "import sys; sys.exit(3)",
        "nv.describe(nv.samples.page)",
    )
    packed = nv.pack(lesson)
    assert [number for number, _ in packed.failed] == [3, 4]
    assert len(packed.written) == 1


def test_a_cell_that_ends_its_kernel_ends_the_packing(tmp_path: Path) -> None:
    lesson = notebook(tmp_path / "lesson.ipynb", PRACTICE, "import os; os._exit(1)")
    with pytest.raises(RequestError, match=r"cell 3 of lesson\.ipynb ended its kernel"):
        nv.pack(lesson)


def test_a_notebook_that_packs_itself_is_run_once(tmp_path: Path) -> None:
    lesson = notebook(
        tmp_path / "lesson.ipynb",
        PRACTICE,
        "nv.describe(nv.samples.page)",
        "from pathlib import Path\nruns = Path('runs')",
        # Where it fails, it ends all the same.
        "runs.write_text('x' + (runs.read_text() if runs.exists() else ''))",
        "len(runs.read_text()) > 2 or nv.pack('lesson.ipynb', prune=True)",
        "import nbvision.cli\nnbvision.cli.main(['replies', 'pack', 'lesson.ipynb', '--prune'])",
    )
    packed = nv.pack(lesson)
    assert (tmp_path / "runs").read_text() == "x"
    assert len(packed.written) == 1
    assert (packed.failed, packed.missing, packed.unused) == ((), (), ())
    assert nv.pack(lesson).present == packed.written


def test_a_cell_that_hangs_is_given_up(tmp_path: Path) -> None:
    lesson = notebook(tmp_path / "lesson.ipynb", "import time; time.sleep(60)")
    with pytest.raises(RequestError, match=r"cell 2 of lesson\.ipynb does not end"):
        run_cells(
            notebook_in(lesson), lesson.name, tmp_path / "r", folder=tmp_path, patience_seconds=1
        )


def test_an_interrupt_ends_it_and_its_kernel(tmp_path: Path) -> None:
    lesson = notebook(
        tmp_path / "lesson.ipynb",
        "import os; open('kernel', 'w').write(str(os.getpid()))",
        "import time; time.sleep(60)",
    )

    def number() -> int:
        kernel = tmp_path / "kernel"
        return int(kernel.read_text() or 0) if kernel.exists() else 0

    def interrupt() -> None:
        while not number():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        nv.pack(lesson)
    for _ in range(100):  # one that is dead is known until it is buried
        if not is_known(number()):
            break
        time.sleep(0.05)
    assert not is_known(number())


def is_known(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_works_inside_a_notebook_and_one_of_version_3_too(tmp_path: Path) -> None:
    old = nbformat.v3.new_notebook(
        worksheets=[
            nbformat.v3.new_worksheet(
                cells=[
                    nbformat.v3.new_code_cell(
                        input=f"import nbvision as nv\n{PRACTICE}\nnv.describe(nv.samples.page)"
                    )
                ]
            )
        ]
    )
    (tmp_path / "old.ipynb").write_text(nbformat.v3.writes_json(old))
    outer = nbformat.read(notebook(tmp_path / "outer.ipynb", "nv.pack('old.ipynb')"), as_version=4)
    NotebookClient(outer, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output.data["text/plain"] for output in outer.cells[1].outputs if "data" in output]
    assert shown[-1].startswith("old.ipynb: 1 reply written to old.replies")


def test_the_command_line_packs_and_says_each_cell(tmp_path: Path) -> None:
    page = tmp_path / "page.png"
    Image.new("RGB", (60, 40), "teal").save(page)
    lesson = notebook(
        tmp_path / "lesson.ipynb",
        f"%load_ext nbvision\n{PRACTICE}",
        f"%%ask {json.dumps(str(page))}\nWhat is this?",
        "nv.connect('bedrock'); nv.ask(nv.samples.page, 'And now?')",
    )
    command = [sys.executable, "-m", "nbvision", "replies", "pack", str(lesson)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = ran.stdout.splitlines()
    assert lines[2] == "cell 3 of 4: 1 reply written"
    assert lines[3].startswith('cell 4 of 4: no stored reply to "And now?"')
    assert ran.returncode == 1
    assert "does not run from lesson.replies alone" in ran.stderr
    assert main(["replies", "check", str(tmp_path / "lesson.replies")]) == 0
