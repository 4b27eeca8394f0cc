"""A notebook is run cell by cell, in a fresh kernel in which no service is asked."""

import asyncio
import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nbvision.errors import RequestError
from nbvision.markup import one_line
from nbvision.replies_folder import OFFLINE, PACKING, REPORT, Surroundings

__all__ = ["CellRun", "UnansweredCell", "is_under_way", "notebook_in", "run_cells"]

_PATIENCE_SECONDS = 600
_LOOK_SECONDS = 0.1
_LEAVING_SECONDS = 20
_MOST_BYTES = 200_000_000
_MOST_NAMED = 5
_RAISES = "raises-exception"
_ANSWERING_SECONDS = 60
# Evaluated in the kernel, whose nbvision may be another version's, or none.
_SAID = (
    "__import__('nbvision.replies_folder').replies_folder"
    ".Surroundings.of(__import__('os').environ).in_words()"
)
# It names the notebooks that are run already, in the kernels that run them.
_UNDER_WAY = "NBVISION_UNDER_WAY"


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


@dataclass(frozen=True, slots=True)
class CellRun:
    """What came of one cell.

    Attributes
    ----------
    number, of
        Its place among the code cells, counted from 1, and how many there are.
    used, wrote
        The files of replies that it was answered from, and those that were written meanwhile.
    missing
        The calls that no reply answers; empty where the cell is tagged ``raises-exception``,
        whose error is what it shows.
    error
        Why it failed otherwise; empty if it did not.
    """

    number: int
    of: int
    used: tuple[str, ...] = ()
    wrote: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    error: str = ""

    @property
    def unanswered(self) -> list[UnansweredCell]:
        """The missing calls, each with the cell's number."""
        return [UnansweredCell(self.number, words) for words in self.missing]


def notebook_in(path: Path) -> Any:
    """Return a notebook without its outputs.

    Raises
    ------
    RequestError
        If the file cannot be read, or holds none.
    """
    import nbformat

    faults = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise RequestError(
                f"{path.name} has {path.stat().st_size / 1e6:,.0f} MB",
                limit=f"{_MOST_BYTES / 1e6:.0f} MB",
                cure="clear its outputs",
            )
        found = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        for cell in found.cells:
            if cell.cell_type == "code":
                cell.outputs = []
    except (*faults, nbformat.ValidationError) as error:
        raise RequestError(f"{path.name} cannot be read ({type(error).__name__})") from None
    return found


def is_under_way(notebook: Path) -> bool:
    """Whether a cell asks for the notebook that it is run from, which would never end."""
    return str(notebook.resolve()) in os.environ.get(_UNDER_WAY, "").splitlines()


def run_cells(
    notebook: Any,
    name: str,
    replies: Path,
    *,
    folder: Path,
    is_packing: bool = False,
    environment: Mapping[str, str] | None = None,
    patience_seconds: float = _PATIENCE_SECONDS,
    told: Callable[[CellRun], None] = lambda _: None,
) -> tuple[CellRun, ...]:
    """Run a notebook, and return what came of each cell; nothing if a cell of it asks for this.

    No service is asked. It may be called where a loop runs already, as in a kernel.

    Parameters
    ----------
    notebook, name
        Its cells, which get their outputs, and what it is called.
    replies
        The folder that answers.
    folder
        Where the kernel starts.
    is_packing
        Whether this person's store answers too, and fills the folder.
    environment
        Of the kernel; by default that of this process.
    patience_seconds
        How long one cell may take.
    told
        Is given each cell as it is done, in the thread that calls.

    Raises
    ------
    RequestError
        If there is no such kernel, it has not this nbvision, it ends, or a cell takes too long.
    """
    if is_under_way(folder / name):
        return ()
    with TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.jsonl"
        given = dict(os.environ if environment is None else environment)
        given[_UNDER_WAY] = "\n".join(
            [*filter(None, [given.get(_UNDER_WAY)]), str((folder / name).resolve())]
        )
        given |= {OFFLINE: str(replies.resolve()), REPORT: str(report)}
        given.pop(PACKING, None)
        given |= {PACKING: "1"} if is_packing else {}
        run = _Run(notebook, report, patience_seconds)
        thread = threading.Thread(target=run.begin, args=(given, folder), daemon=True)
        thread.start()
        seen = 0
        try:
            while thread.is_alive() or seen < len(run.done):
                thread.join(_LOOK_SECONDS if seen == len(run.done) else 0)
                for done in run.done[seen:]:
                    seen += 1
                    told(done)
        finally:
            run.stop()
            thread.join(_LEAVING_SECONDS)
    if run.failure is not None:
        raise _not_run(name, run.failure, run.at)
    return tuple(run.done)


class _Disobedient(Exception):
    """A kernel in which calls could be sent."""


class _Run:
    """One run, in a thread and a loop of its own."""

    def __init__(self, notebook: Any, report: Path, patience_seconds: float) -> None:
        self._notebook, self._report = notebook, report
        self._patience_seconds = patience_seconds
        self._read_bytes = 0
        self._stop: Callable[[], None] | None = None
        self._is_stopped = threading.Event()
        self.done: list[CellRun] = []
        self.failure: Exception | None = None
        self.at = 0

    def begin(self, environment: dict[str, str], folder: Path) -> None:
        """Run to the end, or until it is stopped."""
        try:
            asyncio.run(self._run(environment, folder))
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - whatever ends a kernel is said by `run_cells`
            self.failure = error

    def stop(self) -> None:
        """End the kernel; what was written stays."""
        self._is_stopped.set()
        if self._stop is not None:
            self._stop()

    async def _run(self, environment: dict[str, str], folder: Path) -> None:
        from nbclient import NotebookClient

        task, loop = asyncio.current_task(), asyncio.get_running_loop()

        def stop() -> None:
            if task is not None and not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)

        self._stop = stop
        client = NotebookClient(
            self._notebook,
            timeout=self._patience_seconds,
            allow_errors=True,
            store_widget_state=False,
            record_timing=False,
            resources={"metadata": {"path": str(folder)}},
            extra_arguments=["--log-level=ERROR"],
            shutdown_kernel="immediate",
        )
        client.reset_execution_trackers()
        cells = [(at, cell) for at, cell in enumerate(self._notebook.cells) if _is_code(cell)]
        async with client.async_setup_kernel(env=environment):
            await _require_obedient(client.kc, environment)
            for number, (at, cell) in enumerate(cells, start=1):
                if self._is_stopped.is_set():
                    return
                self.at = number
                await client.async_execute_cell(cell, at)
                self.done.append(self._told(number, len(cells), cell))

    def _told(self, number: int, of: int, cell: Any) -> CellRun:
        events: dict[str, dict[str, None]] = {"used": {}, "wrote": {}, "missing": {}}
        for line in self._new_lines():
            for event, words in json.loads(line).items():
                events[event][words] = None
        raises = _RAISES in cell.metadata.get("tags", [])
        used, wrote, missing = (tuple(events[each]) for each in ("used", "wrote", "missing"))
        error = "" if raises or missing else _error_of(cell)
        return CellRun(number, of, used, wrote, () if raises else missing, error)

    def _new_lines(self) -> list[bytes]:
        try:
            with self._report.open("rb") as file:
                file.seek(self._read_bytes)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        return whole.splitlines()


async def _require_obedient(kernel: Any, environment: Mapping[str, str]) -> None:
    """Refuse a kernel whose nbvision, if it has one, might not keep to stored replies."""
    asked = await kernel.execute_interactive(
        "",
        silent=True,
        store_history=False,
        user_expressions={"said": _SAID},
        allow_stdin=False,
        output_hook=lambda _: None,
        timeout=_ANSWERING_SECONDS,
    )
    said = asked["content"].get("user_expressions", {}).get("said", {})
    if said.get("data", {}).get("text/plain") != repr(Surroundings.of(environment).in_words()):
        raise _Disobedient


def _is_code(cell: Any) -> bool:
    return bool(cell.cell_type == "code")


def _error_of(cell: Any) -> str:
    for output in cell.outputs:
        if output.output_type == "error":
            words = one_line(str(output.evalue).partition("\n")[0], empty="")[:200]
            return f"{one_line(str(output.ename))[:80]}{': ' if words else ''}{words}"
    return ""


def _not_run(name: str, error: Exception, number: int) -> RequestError:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    if isinstance(error, NoSuchKernel):
        there = sorted(KernelSpecManager().find_kernel_specs())[:_MOST_NAMED]
        return RequestError(
            f"{name} wants the kernel {one_line(str(error.name))[:80]!r}, which is not installed",
            limit=", ".join(there) or "no kernel is",
            cure="open it, choose one of these, and save it",
        )
    if isinstance(error, CellTimeoutError):
        return RequestError(
            f"cell {number} of {name} does not end",
            cure="shorten it, or run the notebook without it",
        )
    if isinstance(error, DeadKernelError):
        return RequestError(
            f"cell {number} of {name} ended its kernel",
            cure="see what it does: no cell after it was run",
        )
    if isinstance(error, _Disobedient):
        return RequestError(
            f"the kernel of {name} has no nbvision that is known to send nothing",
            limit="none of its cells was run",
            cure="install this version of nbvision where that kernel runs, or choose another",
        )
    return RequestError(f"{name} cannot be run ({type(error).__name__})")
