"""Run the tutorials in fresh kernels and write them in one normal form: ``make notebooks``.

``text/NN_name.py`` is what people edit and review; ``NN_name.ipynb`` carries the outputs. The
normal form leaves out what differs from run to run and says nothing: timings, random cell
ids, widget state, versions.
"""

import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
# What a kernel needs of its surroundings; keys, profiles and proxies stay outside.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "VIRTUAL_ENV")

# Widgets are stored as the pictures and words that every viewer can show.
_FREEZE = "import nbvision\nnbvision.freeze_widgets()"

# Loaded by every Python that starts with this folder on its path: a tutorial that reaches for
# anything but this machine fails.
_LOOPBACK_ONLY = """
import socket

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


def run(notebook: Any, *, timeout_seconds: int = 120) -> Any:
    """Run a notebook top to bottom in a fresh kernel that can reach this machine only."""
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "sitecustomize.py").write_text(_LOOPBACK_ONLY)
        surroundings = {name: os.environ[name] for name in _KEPT if name in os.environ}
        surroundings |= {
            "PYTHONPATH": folder,
            "IPYTHONDIR": str(scratch / "ipython"),
            "MPLCONFIGDIR": str(scratch / "matplotlib"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "NBVISION_DATA": "off",
        }
        notebook.cells.append(nbformat.v4.new_code_cell(_FREEZE))
        client = NotebookClient(
            notebook,
            timeout=timeout_seconds,
            kernel_name="python3",
            record_timing=False,
            store_widget_state=False,
            resources={"metadata": {"path": folder}},
            extra_arguments=["--log-level=ERROR"],
        )
        client.execute(env=surroundings)
    del notebook.cells[-1]
    return notebook


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


def main(names: list[str]) -> None:
    """Refresh the tutorials whose names begin like one of ``names``, or all."""
    chosen = [text for text in texts() if not names or text.stem.startswith(tuple(names))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for line in pool.map(refresh, chosen):
            print(line)  # noqa: T201 - a command prints


if __name__ == "__main__":
    main(sys.argv[1:])
