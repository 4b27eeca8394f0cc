"""What a call can cost at worst, and the budgets that hold it.

A budget has a name and is kept in the store: restarting a kernel does not refill it, and two
kernels with the same name share it. What a call may cost is taken before it is sent and
becomes what it did cost when it ends.
"""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

from nbvision.catalogue import model_cost, priced_at
from nbvision.errors import RequestError, StoreFailed
from nbvision.markup import bundle, one_line, table
from nbvision.referenced import RemoteImage
from nbvision.request import Request
from nbvision.store import Allowance, Store, Taken, open_store, too_dear
from nbvision.store.notices import notice
from nbvision.store.opening import memory_store
from nbvision.store.values import dollars_in_words

__all__ = [
    "UNNAMED",
    "Budget",
    "Budgets",
    "budgets",
    "ledger",
    "most_dollars",
    "require_within",
    "short_name",
]

_HIDDEN_TOKENS = 1000  # what a service adds of its own: for a schema, a few hundred
# In one region, at Amazon and Google, a call costs 10 % more than the catalogue's price; not
# every id says so.
_REGIONAL = 1.1
_IN_REGIONS = ("bedrock", "vertex", "google-cloud")


UNNAMED = "unnamed run:"
"""How the name of a budget begins that ends with its run."""

_MOST_DOLLARS = 1_000_000.0
_LONGEST_NAME = 1000
_HEAD = ("budget", "amount", "spent", "left", "last used (UTC)")


@dataclass(frozen=True, slots=True)
class Budget:
    """An amount, and the name under which is kept what was taken from it.

    Attributes
    ----------
    dollars
        How much may be spent in all.
    name
        Whose it is; by default this notebook's, as far as Jupyter says which that is, else
        the working folder's.

    Examples
    --------
    >>> lesson = Budget.of(1, "lesson 3")
    >>> lesson, lesson.left
    (Budget(dollars=1.0, name='lesson 3'), 1.0)
    """

    dollars: float
    name: str

    @classmethod
    def of(cls, dollars: Any, name: Any = None) -> "Budget":
        """Return a budget of so many US dollars.

        Parameters
        ----------
        dollars
            Any number from 0 up; a `Budget` gives its own.
        name
            Calls that name the same share it, in whatever kernel or notebook they are.

        Raises
        ------
        RequestError
            If it is no amount of money, or no name.
        """
        if isinstance(dollars, Budget):
            dollars = dollars.dollars
        amount = _amount(dollars)
        if not 0 <= amount <= _MOST_DOLLARS:
            raise RequestError(
                f"budget={dollars!r}"[:200],
                limit=f"US dollars, from 0 to {_MOST_DOLLARS:,.0f}",
                cure="budget=1.00, say",
            )
        if name is not None and not (isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME):
            raise RequestError(
                f"name={name!r}"[:200], limit=f"text of 1 to {_LONGEST_NAME:,} characters"
            )
        return cls(amount, name or _name_of_this_notebook())

    @property
    def spent(self) -> Taken:
        """What was taken from it so far, and what may still come of calls under way."""
        return ledger().allowances.taken(self.name)

    @property
    def left(self) -> float:
        """How many US dollars calls may still cost at worst; 0 at least."""
        return max(0.0, self.dollars - self.spent.most)

    def reset(self) -> None:
        """Begin at nothing: forget what was taken from it, by any kernel.

        Calls that are under way meanwhile are not counted.

        Raises
        ------
        StoreFailed
            If it cannot be written.
        """
        ledger().allowances.empty(self.name)

    def allowance(self) -> Allowance:
        """Return it as calls are paid from it."""
        if self.name == _name_of_this_notebook():
            return Allowance(self.name, self.dollars, "this notebook's budget")
        return Allowance(
            self.name,
            self.dollars,
            f"the budget {one_line(self.name)[:100]!r}",
            "budget=nv.Budget.of(",
            f", {self.name!r})",
        )

    def __str__(self) -> str:
        amount = dollars_in_words(self.dollars)
        try:
            spent = self.spent
        except StoreFailed:
            return f"{amount}; what is spent cannot be read"
        left = dollars_in_words(max(0.0, self.dollars - spent.most))
        return f"{spent} spent of {amount}, {left} left"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return bundle(f"budget {one_line(self.name)[:200]}: {self}")


class Budgets(tuple[Budget, ...]):
    """Budgets as a table, the last used first; shows itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Budgets({len(self)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002, FBT001 - IPython's protocol
        # IPython prints tuples its own way unless told otherwise.
        printer.text(str(self))

    def __str__(self) -> str:
        rows = "\n".join(map("  ".join, self._rows()))
        return rows or "no budget has been used yet"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        rows = [*self._rows()]
        return bundle(str(self), markup=table(_HEAD, rows) if rows else "")

    def _rows(self) -> Iterator[tuple[str, ...]]:
        used = {one.name: one.used_at for one in ledger().allowances.kept()}
        for one in self:
            amount = dollars_in_words(one.dollars)
            left = dollars_in_words(one.left)
            when = f"{used[one.name]:%Y-%m-%d %H:%M}" if one.name in used else "never"
            yield short_name(one.name), amount, str(one.spent), left, when


def budgets() -> Budgets:
    """Return every budget that something was taken from, shown as a table.

    Each says what is ``spent`` and ``left``, and its ``reset()`` begins it anew.

    Raises
    ------
    StoreFailed
        If they cannot be read.

    Examples
    --------
    >>> import nbvision as nv
    >>> nv.budgets()  # doctest: +SKIP
    Budgets(2)
    """
    kept = ledger().allowances.kept()
    return Budgets(
        Budget(one.dollars, one.name)
        for one in kept
        if one.dollars is not None and not one.name.startswith(UNNAMED)
    )


def short_name(name: str) -> str:
    """Return a budget's name as it is shown: of a notebook's path only the notebook's name.

    Outputs are shared, and whose folder it lies in is nobody's business.

    Examples
    --------
    >>> short_name("/home/ada/lessons/doors.ipynb"), short_name("thesis")
    ('doors.ipynb', 'thesis')
    """
    return one_line(Path(name).name if Path(name).is_absolute() else name)[:200]


def ledger(*, is_taken_from: bool = False) -> Store:
    """Return where budgets are kept: this person's store, or else this process's memory.

    Parameters
    ----------
    is_taken_from
        Whether money is about to be taken, so that a person should know what is not kept.

    Examples
    --------
    >>> ledger().allowances.taken("a budget of nobody").most
    0.0
    """
    store = open_store()
    if store is not None and not store.is_read_only:
        return store
    if is_taken_from:
        notice("budgets are kept in this process's memory only: a restart refills them")
    return memory_store()


def require_within(budget: float, request: Request) -> None:
    """Let a request be sent only if it cannot cost more than so many US dollars.

    Raises
    ------
    BudgetExceeded
        If it can, or if its price is not known.
    """
    most = most_dollars(request)
    if most is None or most > budget:
        raise too_dear(most, budget)


def most_dollars(request: Request) -> float | None:
    """Return what a request can cost at worst in US dollars; None if no price is known.

    Pictures count as they are billed, words one token a byte, which no text exceeds, and the
    answer as long as ``max_tokens`` allows.

    Examples
    --------
    >>> from nbvision.catalogue import find_model
    >>> from nbvision.platforms import find_platform
    >>> from nbvision.request import build_request
    >>> asked = build_request([], "What is this?", model_id="claude-haiku-4-5", max_tokens=1000,
    ...     model=find_model("claude-haiku-4-5"), platform=find_platform("anthropic"))
    >>> round(most_dollars(asked), 4)
    0.0061
    """
    words = len(json.dumps(request.abridged(), ensure_ascii=False).encode(errors="replace"))
    visual = sum(
        request.model.tier.visual_token_limit
        if isinstance(image, RemoteImage)
        else image.visual_tokens
        for image in request.images
    )
    tokens = words + visual + _HIDDEN_TOKENS
    written = tokens if request.cached_until else 0
    dollars = model_cost(
        request.model,
        input_tokens=tokens - written,
        output_tokens=request.max_tokens,
        cache_write_tokens=written,
    )
    if dollars is None:
        return None
    is_in_price = priced_at(request.model_id, request.model) is not request.model
    may_be_dearer = request.platform.name.startswith(_IN_REGIONS) and not is_in_price
    return dollars * _REGIONAL if may_be_dearer else dollars


def _amount(given: Any) -> float:
    """Return any kind of number as a float; what is none is no amount either."""
    if isinstance(given, bool) or not isinstance(given, Real | Decimal):
        return math.nan
    try:
        return float(given)
    except (OverflowError, ValueError):  # too long a whole number; a signalling NaN
        return math.nan


def _name_of_this_notebook() -> str:
    return os.environ.get("JPY_SESSION_NAME") or str(Path.cwd())
