"""Which cells of a notebook have no stored reply: it is run, and nothing is sent."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbvision.errors import RequestError
from nbvision.replies_folder import OFFLINE

__all__ = ["UnansweredCell", "unanswered_cells"]

_PATIENCE_SECONDS = 600
_MARK = "no stored reply"


@dataclass(frozen=True, slots=True)
class UnansweredCell:
    """A cell that asks what no stored reply answers.

    Attributes
    ----------
    number
        Its place among the code cells, counted from 1.
    words
        Which call it is.
    """

    number: int
    words: str

    def __str__(self) -> str:
        return f"cell {self.number}: {self.words}"


def unanswered_cells(notebook: Path, replies: Path) -> list[UnansweredCell]:
    """Run a notebook in a fresh kernel that sends nothing, and return what is not answered.

    A cell that needs an earlier one fails with it; run again when the replies are there.

    Parameters
    ----------
    notebook
        The file; it is not changed.
    replies
        The folder that answers, unless the notebook names one itself.

    Raises
    ------
    RequestError
        If the notebook cannot be read or run.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    try:
        found = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise RequestError(f"{notebook.name} cannot be read ({type(error).__name__})") from None
    client = NotebookClient(
        found,
        timeout=_PATIENCE_SECONDS,
        allow_errors=True,
        resources={"metadata": {"path": str(notebook.resolve().parent)}},
    )
    try:
        client.execute(env={**os.environ, OFFLINE: str(replies.resolve())})
    except (CellTimeoutError, DeadKernelError) as error:
        raise RequestError(f"{notebook.name} cannot be run ({type(error).__name__})") from None
    cells = [cell for cell in found.cells if cell.cell_type == "code"]
    return [
        UnansweredCell(number, words)
        for number, cell in enumerate(cells, start=1)
        for words in _missing_in(cell)
    ]


def _missing_in(cell: Any) -> list[str]:
    return [
        str(output.evalue).splitlines()[0]
        for output in cell.outputs
        if output.output_type == "error" and str(output.evalue).startswith(_MARK)
    ]
