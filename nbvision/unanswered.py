"""Which cells of a notebook have no stored reply: it is run, and nothing is sent."""

from pathlib import Path

from nbvision.cell_runs import UnansweredCell, notebook_in, run_cells

__all__ = ["UnansweredCell", "unanswered_cells"]


def unanswered_cells(notebook: Path, replies: Path) -> list[UnansweredCell]:
    """Run a notebook in a fresh kernel that sends nothing, and return what is not answered.

    A cell that needs an earlier one fails with it; run again when the replies are there. A cell
    with the tag ``raises-exception`` shows an error and needs no reply.

    Parameters
    ----------
    notebook
        The file; it is not changed.
    replies
        The folder that answers, besides the one that the notebook itself may name.

    Raises
    ------
    RequestError
        If the notebook cannot be read or run.
    """
    runs = run_cells(
        notebook_in(notebook), notebook.name, replies, folder=notebook.resolve().parent
    )
    return [cell for run in runs for cell in run.unanswered]
