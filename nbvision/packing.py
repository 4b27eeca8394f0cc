"""The replies that a notebook needs are put into the folder beside it; no service is asked."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from nbvision.cell_runs import CellRun, UnansweredCell, is_under_way, notebook_in, run_cells
from nbvision.errors import RequestError, StoreFailed
from nbvision.live import LiveText
from nbvision.markup import bundle, escape, one_line, rich, table
from nbvision.replies_folder import RepliesFolder, folder_of

__all__ = ["Packed", "pack", "packed_before", "replies_beside", "told_of"]

_ENDING = ".replies"
_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True, repr=False)
class Packed:
    """What `pack` did; shows as a table of what is left to do.

    Attributes
    ----------
    notebook, folder
        What was run, and where its replies are now.
    written
        The files that are new or have changed.
    present
        Those that were used and stood there already.
    missing
        The calls without a reply.
    failed
        The cells that failed for another reason, with it: what they would have asked is not
        known.
    unused
        The replies that this notebook does not use; another one may.
    deleted
        Those of them that were deleted.

    Examples
    --------
    >>> Packed(Path("lesson.ipynb"), Path("lesson.replies"), ("a.json",), ("b.json", "c.json"))
    Packed(lesson.ipynb: 1 reply written to lesson.replies, 2 were there; every call has one)
    """

    notebook: Path
    folder: Path
    written: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    missing: tuple[UnansweredCell, ...] = ()
    failed: tuple[tuple[int, str], ...] = ()
    unused: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every call has a reply, and every cell was run to its end."""
        return not self.missing and not self.failed

    def summary(self) -> str:
        """Return one line: how many replies, and whether any are missing."""
        new, count = len(self.written), len(self.missing)
        there = f"{_counted(new, 'reply', 'replies')} written to {one_line(self.folder.name)}"
        there += f", {len(self.present)} {'was' if len(self.present) == 1 else 'were'} there"
        lacking = f"{_counted(count, 'call lacks', 'calls lack')} one" if count else ""
        failed = f"{_counted(len(self.failed), 'cell', 'cells')} failed" if self.failed else ""
        rest = ", ".join(filter(None, (lacking, failed))) or "every call has one"
        return f"{one_line(self.notebook.name)}: {there}; {rest}"

    def __str__(self) -> str:
        more = [f"  {what} {which}: {words}" for what, which, words in self._rows()]
        return "\n".join([self.summary(), *more])

    def __repr__(self) -> str:
        return f"Packed({self.summary()})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        rows = self._rows()
        shown = table(("", "which", "what"), rows) if rows else rich("")
        return bundle(str(self), markup=f"<div>{escape(self.summary())}{shown}</div>")

    def _rows(self) -> list[tuple[str, str, str]]:
        deleted = "deleted, as no cell uses it"
        kept = "used by no cell; prune=True deletes it"
        rows = [
            *(("no reply", f"cell {cell.number}", cell.words) for cell in self.missing),
            *(("failed", f"cell {number}", words) for number, words in self.failed),
            *(("reply", name, deleted if name in self.deleted else kept) for name in self.unused),
        ]
        shown = [(what, one_line(which), one_line(words)) for what, which, words in rows]
        more = len(shown) - _MOST_SHOWN
        return shown[:_MOST_SHOWN] + ([("and", f"{more} more", "")] if more > 0 else [])


def pack(
    notebook: str | Path,
    replies: str | Path | RepliesFolder | None = None,
    *,
    prune: bool = False,
    on_cell: Callable[[CellRun], None] | None = None,
) -> Packed:
    r"""Put the replies that a notebook needs beside it, so that anybody can run it for free.

    It is run in a fresh kernel, from its own folder, and no service is asked: the folder answers,
    and then this person's store, where its calls were kept when they were paid for. Practice,
    which is inside that kernel and costs nothing, answers as ever. The notebook itself is not
    changed. Whatever else a cell does, it does: it may fetch a picture from an address, write
    files, or ask a service without this package; one that packs this very notebook does nothing.

    Parameters
    ----------
    notebook
        The file; as it was saved last.
    replies
        The folder; beside ``lesson.ipynb`` it is ``lesson.replies`` if this is left out.
    prune
        Whether replies that no cell has used are deleted. They are only named otherwise: another
        notebook may use them. Nothing is deleted if a call lacks a reply, or a cell failed.
    on_cell
        Called with each cell as it is done.

    Raises
    ------
    RequestError
        If the notebook cannot be read or run, ends its kernel, or a cell takes ten minutes.
    StoreFailed
        If the folder cannot be written.

    Examples
    --------
    >>> import nbformat, tempfile
    >>> import nbvision as nv
    >>> folder = tempfile.TemporaryDirectory()
    >>> lesson = Path(folder.name) / "lesson.ipynb"
    >>> cell = nbformat.v4.new_code_cell(
    ...     "import nbvision as nv\nnv.connect('practice')\nnv.describe(nv.samples.page)"
    ... )
    >>> nbformat.write(nbformat.v4.new_notebook(cells=[cell]), lesson)
    >>> nv.pack(lesson)
    Packed(lesson.ipynb: 1 reply written to lesson.replies, 0 were there; every call has one)
    >>> folder.cleanup()
    """
    path = _notebook_path(notebook)
    found = notebook_in(path)
    folder = folder_of(replies_beside(path) if replies is None else replies)
    _require_writable(folder.path)
    before = {each.name for each in folder.files()}
    with LiveText(path.name) as live:

        def told(cell: CellRun) -> None:
            live.progress(told_of(cell))
            if on_cell is not None:
                on_cell(cell)

        try:
            runs = run_cells(
                found,
                path.name,
                folder.path,
                folder=path.resolve().parent,
                is_packing=True,
                told=told,
            )
        finally:
            with suppress(OSError):
                folder.path.rmdir()  # one that stayed empty
    return _packed(path, folder, runs, before, prune=prune and not is_under_way(path))


def packed_before(notebook: Path, replies: Path) -> Packed:
    """Run a notebook from a folder of replies alone, and return what `pack` would find to do.

    No service is asked and nothing is packed. A cell that needs an earlier one fails with it.

    Parameters
    ----------
    notebook, replies
        The file, and the folder that answers besides the one that the notebook may name.

    Raises
    ------
    RequestError
        If the notebook cannot be read or run.
    """
    folder = RepliesFolder(replies)
    before = {each.name for each in folder.files()}
    runs = run_cells(
        notebook_in(notebook), notebook.name, folder.path, folder=notebook.resolve().parent
    )
    return _packed(notebook, folder, runs, before, prune=False)


def told_of(cell: CellRun) -> str:
    """Return a line about a cell that is done.

    Examples
    --------
    >>> told_of(CellRun(3, 12, used=("a.json",), wrote=("a.json",)))
    'cell 3 of 12: 1 reply written'
    """
    new = len(cell.wrote)
    said = [
        f"{_counted(new, 'reply', 'replies')} written" if new else "",
        f"{len(set(cell.used) - set(cell.wrote))} there"
        if set(cell.used) > set(cell.wrote)
        else "",
        *(one_line(words)[:120] for words in cell.missing),
        f"failed, {cell.error}" if cell.error else "",
    ]
    return f"cell {cell.number} of {cell.of}: {'; '.join(filter(None, said)) or 'asks nothing'}"


def replies_beside(notebook: Path) -> Path:
    """Return the folder of replies that belongs to a notebook.

    Examples
    --------
    >>> replies_beside(Path("lessons/lesson.ipynb")).name
    'lesson.replies'
    """
    return notebook.with_name(notebook.stem + _ENDING)


def _notebook_path(notebook: object) -> Path:
    if not isinstance(notebook, str | Path) or not str(notebook):
        raise RequestError(
            f"notebook={notebook!r}"[:200], limit="the path of a notebook", cure='"lesson.ipynb"'
        )
    return Path(notebook).expanduser()


def _require_writable(folder: Path) -> None:
    """Refuse before the notebook is run, which may take long."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise RequestError(f"{one_line(folder.name)} is no folder", cure='replies="lesson.replies"')
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise StoreFailed(
            f"{one_line(folder.name)} cannot be written: {error.strerror}",
            cure="replies= a folder that may be written",
        ) from None


def _packed(
    path: Path,
    folder: RepliesFolder,
    runs: tuple[CellRun, ...],
    before: set[str],
    *,
    prune: bool,
) -> Packed:
    there = [each.name for each in folder.files()]
    wrote = {name for run in runs for name in run.wrote}
    used = {name for run in runs for name in run.used}
    missing = tuple(cell for run in runs for cell in run.unanswered)
    failed = tuple((run.number, run.error) for run in runs if run.error)
    # Whatever else lies there is somebody's.
    unused = [name for name in there if name not in used and folder.is_reply(folder.path / name)]
    deleted = []
    if prune and not missing and not failed:
        for name in unused:
            (folder.path / name).unlink(missing_ok=True)
            deleted.append(name)
    return Packed(
        notebook=path,
        folder=folder.path,
        written=tuple(name for name in there if name in wrote),
        present=tuple(name for name in there if name in used - wrote and name in before),
        missing=missing,
        failed=failed,
        unused=tuple(unused),
        deleted=tuple(deleted),
    )


def _counted(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
