"""Run the tutorials in fresh kernels and write them in one normal form: ``make notebooks``.

``make replies`` stores what practice answers in them, so that they run where nothing answers.

``text/NN_name.py`` is what people edit and review; ``NN_name.ipynb`` carries the outputs. The
normal form leaves out what differs from run to run and says nothing: timings, random cell
ids, widget state, versions.
"""

import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient

from nbvision.cell_runs import CellRun, run_cells
from nbvision.reply_file import is_same_answer, json_in

FOLDER = Path(__file__).parent
REPLIES = FOLDER / "tutorials.replies"
_REPLIES_ONLY = "--replies"
_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
# What a kernel needs of its surroundings; keys, profiles and proxies stay outside.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "VIRTUAL_ENV")

# Widgets are stored as the pictures and words that every viewer can show.
_FREEZE = "import nbvision\nnbvision.freeze_widgets()"

# Loaded by every Python that starts with this folder on its path: a tutorial that reaches for
# anything but this machine fails.
# `jsonschema` makes forty parsers out of what is hidden here, a second for each kernel, for a
# check of formats that nobody asks for. Garbage of so short a life is looked for rarely: each
# look goes through all that was imported.
_LOOPBACK_ONLY = """
import gc
import socket
import sys

gc.set_threshold(50_000, 50, 50)
sys.modules["rfc3987_syntax"] = None

_connect = socket.socket.connect

def connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
        raise OSError(f"tutorials stay on this machine; asked for {address!r}")
    return _connect(self, address)

socket.socket.connect = connect
"""


def texts() -> list[Path]:
    """Return the tutorials' text forms, in order."""
    return sorted((FOLDER / "text").glob("*.py"))


def notebook_of(text: Path) -> Path:
    """Return where a text form's notebook lies."""
    return FOLDER / f"{text.stem}.ipynb"


def read_text(text: Path) -> Any:
    """Return a tutorial as a notebook without outputs."""
    return jupytext.read(text, fmt="py:percent")


@cache
def _list_of_fonts() -> TemporaryDirectory[str]:
    # Made by the first kernel that draws, read by the others.
    return TemporaryDirectory(ignore_cleanup_errors=True)


@contextmanager
def surroundings() -> Iterator[tuple[Path, dict[str, str]]]:
    """Give a folder and an environment in which a kernel can reach this machine only."""
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "sitecustomize.py").write_text(_LOOPBACK_ONLY)
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        yield (
            scratch,
            kept
            | {
                # The package that lies beside the tutorials, wherever another is installed.
                "PYTHONPATH": f"{folder}{os.pathsep}{FOLDER.parent}",
                "IPYTHONDIR": str(scratch / "ipython"),
                "MPLCONFIGDIR": _list_of_fonts().name,
                "OPENBLAS_NUM_THREADS": "1",
                "AWS_EC2_METADATA_DISABLED": "true",
                "NBVISION_DATA": "off",
            },
        )


def run(notebook: Any, *, timeout_seconds: int = 120) -> Any:
    """Run a notebook top to bottom in a fresh kernel that can reach this machine only."""
    with surroundings() as (folder, environment):
        notebook.cells.append(nbformat.v4.new_code_cell(_FREEZE))
        client = NotebookClient(
            notebook,
            timeout=timeout_seconds,
            kernel_name="python3",
            record_timing=False,
            store_widget_state=False,
            resources={"metadata": {"path": str(folder)}},
            extra_arguments=["--log-level=ERROR"],
        )
        client.execute(env=environment)
    del notebook.cells[-1]
    return notebook


def run_offline(text: Path) -> tuple[CellRun, ...]:
    """Run a tutorial from its stored replies alone."""
    return _run_cells(text, REPLIES, is_packing=False)


def _run_cells(text: Path, replies: Path, *, is_packing: bool) -> tuple[CellRun, ...]:
    with surroundings() as (folder, environment):
        return run_cells(
            read_text(text),
            notebook_of(text).name,
            replies,
            folder=folder,
            is_packing=is_packing,
            environment=environment,
            patience_seconds=120,
        )


def normalise(notebook: Any) -> Any:
    """Return the notebook with nothing left that differs between two equal runs."""
    notebook.metadata = nbformat.from_dict({"kernelspec": _KERNEL})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"{number:02d}"
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            cell.outputs = [*_normal_outputs(cell.outputs)]
    return notebook


# What tells two equal runs apart within the words: ports, ids, seconds, days, moments.
_PASSING = (
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r"(req|file)_practice_[0-9a-f]+"), r"\1_practice_ID"),
    (re.compile(r"\b20\d\d-\d\d-\d\d \d\d:\d\d\b"), "2026-01-01 00:00"),
    (re.compile(r"\b\d+\.\d s\b"), "1.0 s"),
    (re.compile(r"(stored, \$0\.00, from )\d{4}-\d\d-\d\d"), r"\g<1>2026-11-21"),
)


def _settled(value: Any) -> Any:
    if isinstance(value, list):
        return [_settled(item) for item in value]
    if isinstance(value, dict):
        return nbformat.from_dict({name: _settled(item) for name, item in value.items()})
    if isinstance(value, str):
        for pattern, word in _PASSING:
            value = pattern.sub(word, value)
    return value


def _normal_outputs(outputs: list[Any]) -> Iterator[Any]:
    for output in map(_settled, outputs):
        if "data" not in output:
            yield output
            continue
        output.metadata = nbformat.from_dict({})
        output.data.pop("application/vnd.jupyter.widget-view+json", None)
        # A progress display ends empty: there is nothing to keep of it.
        if any(output.data.values()):
            yield output


def refresh(text: Path) -> str:
    """Run one tutorial and write its notebook; return a line about it."""
    notebook = normalise(run(read_text(text)))
    target = notebook_of(text)
    nbformat.write(notebook, target)
    return f"{target.name}: {target.stat().st_size / 1000:.0f} kB"


def store_replies(text: Path, replies: Path) -> str:
    """Store what practice answers in a tutorial, and return a line about it."""
    runs = _run_cells(text, replies, is_packing=True)
    used = {name for each in runs for name in each.used}
    failed = [f"; cell {each.number}: {each.error}" for each in runs if each.error]
    return f"{text.stem}: {len(used)} replies{''.join(failed)}"


def take_over(fresh: Path, *, all_of_them: bool) -> None:
    """Put new replies in the place of the old; one that says the same stays as it is."""
    REPLIES.mkdir(exist_ok=True)
    for new in fresh.iterdir():
        old = REPLIES / new.name
        if not old.exists() or not is_same_answer(json_in(old), json_in(new)):
            old.write_bytes(new.read_bytes())
    for old in REPLIES.iterdir():
        if all_of_them and not (fresh / old.name).exists():
            old.unlink()


def main(arguments: list[str]) -> None:
    """Refresh the tutorials whose names begin like one of those given, or all.

    With ``--replies`` it is their replies.
    """
    names = [name for name in arguments if name != _REPLIES_ONLY]
    chosen = [text for text in texts() if not names or text.stem.startswith(tuple(names))]
    with TemporaryDirectory() as fresh, ThreadPoolExecutor(os.cpu_count()) as pool:
        is_about_replies = _REPLIES_ONLY in arguments
        step = partial(store_replies, replies=Path(fresh)) if is_about_replies else refresh
        for line in pool.map(step, chosen):
            print(line)  # noqa: T201 - a command prints
        if is_about_replies:
            take_over(Path(fresh), all_of_them=not names)


if __name__ == "__main__":
    main(sys.argv[1:])
