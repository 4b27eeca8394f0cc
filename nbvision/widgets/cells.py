"""Which widgets a cell has made: running it again closes those of the run before.

Without this a kernel keeps every instance for ever, views or not: neither ``del`` nor a new
run frees a widget. JupyterLab and Notebook name the cell in each request; elsewhere nothing
is known of cells, and widgets live until `close`.
"""

import threading
import weakref
from collections.abc import Mapping
from typing import Any, Protocol

__all__ = ["close_earlier", "shell"]


class Closable(Protocol):
    """Something that frees what it holds."""

    def close(self) -> None:
        """Free it."""


_lock = threading.Lock()
_made: dict[str, tuple[str, list["weakref.ref[Closable]"]]] = {}


def shell() -> Any:
    """Return IPython's shell when a Jupyter kernel runs it, else None."""
    from IPython import get_ipython

    found = get_ipython()
    return found if getattr(found, "kernel", None) is not None else None


def close_earlier(widget: Closable) -> None:
    """Remember that the running cell made this widget; close what an earlier run of it made."""
    found = shell()
    if found is None:
        return
    request: Mapping[str, Any] = found.kernel.get_parent("shell") or {}
    cell = (request.get("metadata") or {}).get("cellId")
    run = (request.get("header") or {}).get("msg_id")
    if not cell or not run:
        return
    with _lock:
        last_run, made = _made.get(cell, ("", []))
        earlier = [] if last_run == run else made
        _made[cell] = (run, [*([] if earlier else made), weakref.ref(widget)])
    for reference in earlier:
        if (old := reference()) is not None:
            old.close()
            _let_go(found, old)


def _let_go(shell: Any, old: Closable) -> None:
    """Drop what the output history keeps of a closed widget; it would hold its pictures.

    ``_``, ``__`` and ``___`` move on by themselves, and are left to IPython.
    """
    history = shell.user_ns.get("Out", {})
    for number in [number for number, value in history.items() if value is old]:
        del history[number]
        shell.drop_by_id({f"_{number}": old})
