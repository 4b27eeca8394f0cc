"""Runs: calls that belong together, counted together, paid from one budget, stopped as one.

A run is a context's: what is called within the block belongs to it, in `to_thread` and in a
task as well. Runs may lie within one another; a call belongs to all that are around it.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar
from uuid import uuid4

from nbvision.backends.stopping import require_wanted
from nbvision.budget import UNNAMED, Budget, ledger
from nbvision.errors import RequestError, RunStopped, SpendLimitReached, StoreFailed
from nbvision.live import LiveText
from nbvision.markup import bundle, escape, one_line, rich
from nbvision.run_calls import RunCalls
from nbvision.store import Allowance, Lease, Taken
from nbvision.store.notices import notice
from nbvision.store.values import dollars_in_words

__all__ = ["Run", "call_in_runs", "open_runs", "run"]

_LONGEST_NAME = 100
_OVER = "wait inside the with block for its threads and tasks"

P = ParamSpec("P")
Result = TypeVar("Result")


class Run(AbstractContextManager["Run"]):
    """Calls that belong together; made by `run`, and entered once.

    Attributes
    ----------
    name
        What it is called; empty if it has no name.
    budget
        What its calls may cost; None if they are only counted.
    why
        Why it was stopped; empty if it was not.
    """

    def __init__(self, name: str, budget: Budget | None, *, waits: bool) -> None:
        self.name = name
        self.budget = budget
        self.why = ""
        self._waits = waits
        self._allowance = self._paid_from()
        self._lock = threading.Lock()
        self._counted = RunCalls()
        self._around: tuple[Run, ...] = (self,)
        self._pid = 0
        self._is_over = False
        self._spent: Taken | None = None
        self._lease: Lease | None = None
        self._live: LiveText | None = None
        self._leaving = ExitStack()

    @property
    def calls(self) -> RunCalls:
        """How many calls there were since the block was entered."""
        return self._counted

    @property
    def spent(self) -> Taken:
        """What its calls have cost; under a name, in earlier times too."""
        if self._spent is not None:
            return self._spent
        return ledger().allowances.taken(self._allowance.name)

    @property
    def left(self) -> float | None:
        """How many US dollars its calls may still cost at worst; None without a budget."""
        return None if self.budget is None else max(0.0, self.budget.dollars - self.spent.most)

    @property
    def is_stopped(self) -> bool:
        """Whether the service has said that the money is used up, so that nothing is sent."""
        return bool(self.why)

    def wrap(self, function: Callable[P, Result]) -> Callable[P, Result]:
        """Return a function whose calls belong to this run, whatever thread it runs in.

        They belong to the runs around this one, too.

        A thread that was started by hand, or by an executor, knows of no run: give it
        ``run.wrap(work)`` instead of ``work``.

        Examples
        --------
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> import nbvision as nv
        >>> practice = nv.connect("practice", words_per_second=None)
        >>> def count(sample):
        ...     return len(nv.locate(sample, "every shape", backend=practice))
        >>> with nv.run() as run, ThreadPoolExecutor(2) as pool:
        ...     list(pool.map(run.wrap(count), [nv.samples.shapes] * 2))
        [9, 9]
        >>> run.calls.asked
        2
        """

        @wraps(function)
        def within(*args: P.args, **kwargs: P.kwargs) -> Result:
            token = _here.set((*dict.fromkeys((*_here.get(), *self._around)),))
            try:
                return function(*args, **kwargs)
            finally:
                _here.reset(token)

        return within

    def __enter__(self) -> Self:
        self._require_new()
        try:
            self._begin(self._leaving)
        except BaseException as error:
            self._is_over = True
            self._leaving.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leaving.__exit__(kind, error, trace)

    def __str__(self) -> str:
        parts = [str(self._counted), self._money()]
        if self._lease is not None and self._lease.is_lost:
            parts.append("another kernel has taken it over while this one slept")
        if self.why:
            parts.append(f"stopped: {one_line(self.why)[:300]}")
        return f"{_called(self.name)}: {'; '.join(parts)}"

    def __repr__(self) -> str:
        return f"Run({self.name!r}, {self._counted})" if self.name else f"Run({self._counted})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return bundle(str(self), markup=rich(f"<div>{escape(self)}</div>"))

    def require_going(self) -> None:
        """Let a call be sent only if the run goes on.

        Raises
        ------
        RunStopped
            If it was stopped.
        RequestError
            If its block was left.
        """
        if self.why:
            raise RunStopped(
                f"{_called(self.name)} was stopped, so nothing was sent: {self.why}",
                cure="raise the limit in the service's console, then leave the run and begin "
                "it again: what is stored answers for free",
            )
        if self._is_over:
            raise RequestError(f"{_called(self.name)} is over, so nothing was sent", cure=_OVER)

    def stop(self, why: str) -> None:
        """Let nothing more be sent in this run; what is under way comes to its end.

        Parameters
        ----------
        why
            What later calls in it are told.
        """
        with self._lock:
            self.why = self.why or why

    def count(self, **more: int) -> None:
        """Count calls by the fields of `RunCalls`."""
        with self._lock:
            counts = {name: getattr(self._counted, name) + by for name, by in more.items()}
            self._counted = replace(self._counted, **counts)
        if self._live is not None and threading.current_thread() is threading.main_thread():
            self._live.progress(str(self).partition(": ")[2])

    def _begin(self, leaving: ExitStack) -> None:
        # How each step is undone is said before the step: an interrupt may come after it.
        if self.name:
            leaving.callback(_let_go_here, self)
            _hold_here(self)
            self._lease = self._leased(leaving)
        leaving.callback(self._close)
        self._pid = os.getpid()
        self._live = _live_line(self.name, leaving)
        leaving.callback(self._leave)
        self._around = (*_here.get(), self)
        _here.set(self._around)
        _open.append(self)

    def _leave(self) -> None:
        """Let no further call belong to it."""
        self._is_over = True
        # Not by a token: the block may be left in another context than it was entered in.
        _here.set(tuple(one for one in _here.get() if one is not self))
        if self in _open:
            _open.remove(self)

    def _money(self) -> str:
        try:
            spent = self.spent
        except StoreFailed:
            return "what is spent cannot be read"
        if self.budget is None:
            return f"{spent} spent"
        left = dollars_in_words(max(0.0, self.budget.dollars - spent.most))
        return f"{spent} spent of {dollars_in_words(self.budget.dollars)}, {left} left"

    def _paid_from(self) -> Allowance:
        own = f"run:{self.name}" if self.name else f"{UNNAMED}{uuid4().hex}"
        name, dollars = own, None
        if self.budget is not None:
            name, dollars = self.budget.name, self.budget.dollars
            if name != own and not name.startswith(UNNAMED):
                return self.budget.allowance()
        if self.name:
            whose, before = f"the budget of {_called(self.name)}", f"nv.run({self.name!r}, budget="
        else:
            whose, before = "this run's budget", "nv.run(budget="
        return Allowance(name, dollars, whose, before)

    def _require_new(self) -> None:
        if self._pid:
            raise RequestError(
                f"{_called(self.name)} was entered before",
                limit="a run is entered once",
                cure=f"begin it again: with nv.run({self.name!r} …)" if self.name else "nv.run(…)",
            )

    def _leased(self, leaving: ExitStack) -> Lease | None:
        """Hold the name among all kernels, until the block is left."""
        store = ledger()
        name = f"run:{self.name}"
        if not self._waits:
            lease = store.leases.take(name)
            if lease is None:
                raise RequestError(
                    f"another kernel is in {_called(self.name)}",
                    limit="one at a time",
                    cure="wait until it is done, or interrupt it there; without wait=False this "
                    "waits by itself",
                )
            leaving.callback(lease.release)
            return lease
        live = _live_line(self.name, leaving)
        held = store.leases.holding(
            name,
            require_wanted=require_wanted,
            on_wait=lambda: live.note("another kernel is in it; waiting until it is done"),
        )
        return leaving.enter_context(held)

    def _close(self) -> None:
        """Keep the sums as they are now; a run without a name leaves nothing behind."""
        self._leave()  # again: an interrupt may have ended it
        try:
            self._spent = self.spent
            if not self.name:
                ledger().allowances.empty(self._allowance.name)
        except StoreFailed as error:
            notice(f"{error.value}; what {_called(self.name)} has cost is not known")


def run(
    name: str | None = None,
    *,
    budget: float | Budget | None = None,
    wait: bool = True,
) -> Run:
    """Begin calls that belong together: ``with nv.run("shelves", budget=0.50) as run:``.

    They are counted together and paid from one budget. If the service says that the money is
    used up (`SpendLimitReached`), the run stops: nothing more is sent in it, while stored
    answers are still given.

    Parameters
    ----------
    name
        What was spent is kept under it, so that a restart does not refill the budget, and one
        kernel at a time is in a run of this name. Without it the budget ends with the block.
    budget
        How many US dollars the calls may cost in all, besides what the connection's budget
        says. A `Budget` with a name is shared by all that name it.
    wait
        Whether to wait, if another kernel is in this run, until it is done.

    Raises
    ------
    RequestError
        If the name is none or the budget no amount; on entering, if this kernel is in the run
        already, or another is and ``wait`` is False.
    StoreFailed
        On entering, if the store cannot be written.

    Examples
    --------
    >>> import nbvision as nv
    >>> practice = nv.connect("practice", words_per_second=None)
    >>> with nv.run(budget=0.50) as shelves:
    ...     for sample in (nv.samples.shelf_before, nv.samples.shelf_after):
    ...         _ = nv.describe(sample, backend=practice)
    >>> print(shelves)
    this run: 2 asked, 0 from store; $0.00 spent of $0.50, $0.50 left
    """
    _check_name(name)
    if budget is not None and not isinstance(budget, Budget):
        budget = Budget.of(budget, f"run:{name}" if name else f"{UNNAMED}{uuid4().hex}")
    return Run(name or "", budget, waits=wait)


def _check_name(name: object) -> None:
    is_name = isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME
    if name is not None and not (is_name and one_line(str(name), empty="") == name):
        limit = f"one line of 1 to {_LONGEST_NAME} characters"
        raise RequestError(f"name={name!r}"[:200], limit=limit, cure='nv.run("shelves"), say')


class CallInRuns:
    """One call, as the runs around it see it.

    Attributes
    ----------
    allowances
        What it is paid from, besides the connection's budget.
    """

    def __init__(self, runs: tuple[Run, ...]) -> None:
        self._runs = runs
        self._is_sent = False
        self.allowances = tuple(one._allowance for one in runs)  # noqa: SLF001 - of this module

    def require_going(self) -> None:
        """Let it be sent only if all of them go on; see `Run.require_going`."""
        for one in self._runs:
            one.require_going()

    def sent(self) -> None:
        """Count that it is sent."""
        self.require_going()
        self._is_sent = True
        self._count(asked=1)

    def answered(self, dollars: float | None) -> None:
        """Count that it has an answer."""
        if not self._is_sent:
            self._count(from_store=1)
        elif dollars is None:
            self._count(unpriced=1)

    def broke(self, error: BaseException) -> None:
        """Count that it has none; stop the runs if the money is used up."""
        if self._is_sent:
            self._count(failed=1)
        elif isinstance(error, RequestError | RunStopped):
            self._count(refused=1)
        if isinstance(error, SpendLimitReached) and not isinstance(error, RunStopped):
            for one in self._runs:
                one.stop(error.value)

    def _count(self, **more: int) -> None:
        for one in self._runs:
            one.count(**more)


@contextmanager
def call_in_runs() -> Iterator[CallInRuns]:
    """Let the runs around here see one call, and how it ends.

    Examples
    --------
    >>> with call_in_runs() as call:
    ...     call.allowances
    ()
    """
    call = CallInRuns(_here.get())
    try:
        yield call
    except BaseException as error:
        call.broke(error)
        raise


def open_runs() -> tuple[Run, ...]:
    """Return the runs that this process is in, in any thread.

    Examples
    --------
    >>> with run() as one:
    ...     open_runs()[-1] is one
    True
    """
    return tuple(one for one in _open if one._pid == os.getpid())  # noqa: SLF001 - of this module


_here: ContextVar[tuple[Run, ...]] = ContextVar("nbvision_runs", default=())
_open: list[Run] = []
# By process as well: a forked child is in none of its parent's runs by name.
_named: dict[tuple[int, str], Run] = {}


def _begin_anew() -> None:
    """Leave to the parent of a forked child what its runs hold; its threads may hold the locks."""
    for one in _open:
        one._lock, one._leaving = threading.Lock(), ExitStack()  # noqa: SLF001 - of this module
        one._leaving.callback(one._leave)  # noqa: SLF001 - of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def _hold_here(one: Run) -> None:
    place = (os.getpid(), one.name)
    held = _named.setdefault(place, one)
    if held is not one and not held._is_over:  # noqa: SLF001 - of this module
        raise RequestError(
            f"this kernel is in {_called(one.name)} already",
            limit="once at a time",
            cure="leave it first, or name this one otherwise",
        )
    _named[place] = one  # in place of one whose end was interrupted


def _let_go_here(one: Run) -> None:
    if _named.get(place := (os.getpid(), one.name)) is one:
        del _named[place]


def _live_line(name: str, leaving: ExitStack) -> LiveText:
    """Return a line that goes when the block is left, by an interrupt too: no answer is cut."""
    live = LiveText(_called(name))
    leaving.callback(live.__exit__, None, None, None)
    return live


def _called(name: str) -> str:
    return f'the run "{name}"' if name else "this run"
