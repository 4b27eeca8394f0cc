"""What calls are paid from: taken at its worst before a call is sent, settled when it ends.

Several may hold one call: a connection's budget, a run's, that of a run around it. They are
taken from together, in one transaction, or not at all.
"""

import math
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Connection

from nbvision.errors import BudgetExceeded
from nbvision.store.database import Database
from nbvision.store.values import BILLION, billionths, dollars_in_words, now_microseconds, utc

__all__ = ["Allowance", "Allowances", "KeptAllowance", "Taken", "settle", "take", "too_dear"]

_SMALLEST_CURE = 0.01  # what is proposed is whole cents


@dataclass(frozen=True, slots=True)
class Allowance:
    """A name under which money is taken, and what that may come to.

    Attributes
    ----------
    name
        Under which the store keeps what was taken.
    dollars
        How much in all; None if it is only counted.
    whose
        What a refusal calls it.
    before, after
        The code that allows more, around the amount.

    Examples
    --------
    >>> Allowance("lesson", 1.0).allowing(1.5)
    'nv.connect(budget=1.5)'
    """

    name: str
    dollars: float | None
    whose: str = "the budget"
    before: str = "nv.connect(budget="
    after: str = ")"

    def allowing(self, dollars: float) -> str:
        """Return the line of code that allows so much."""
        return f"{self.before}{dollars:.9g}{self.after}"


@dataclass(frozen=True, slots=True)
class Taken:
    """What has been taken from a budget.

    Attributes
    ----------
    dollars
        What calls have cost, as far as that is known.
    unsure
        What the others may cost at worst: those under way, and those that ended without a
        word of their cost, as when a kernel was killed.

    Examples
    --------
    >>> str(Taken(0.25, 0.1)), Taken(0.25, 0.1).most
    ('$0.25 and at most $0.10 more', 0.35)
    """

    dollars: float = 0.0
    unsure: float = 0.0

    @property
    def most(self) -> float:
        """Both together."""
        return self.dollars + self.unsure

    def __str__(self) -> str:
        more = f" and at most {dollars_in_words(self.unsure)} more" if self.unsure else ""
        return f"{dollars_in_words(self.dollars)}{more}"


@dataclass(frozen=True, slots=True)
class KeptAllowance:
    """One budget as the store has it.

    Attributes
    ----------
    name
        Its name.
    dollars
        The amount that was last allowed; None if it was only counted.
    taken
        What was taken from it.
    used_at
        When it was last taken from, in UTC.
    """

    name: str
    dollars: float | None
    taken: Taken
    used_at: datetime


class Allowances:
    """The budgets of one file.

    Parameters
    ----------
    database
        The file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, allowances: Iterable[Allowance], most_dollars: float | None) -> int | None:
        """Take the worst a call can cost from all of these, and return what to settle it by.

        None if there is nothing to take, since the call is known to be free.

        Raises
        ------
        BudgetExceeded
            If one of them has not so much left; nothing was taken from any.
        StoreFailed
            If it cannot be written; nothing should be sent then.
        """
        asked = tuple(allowances)
        if not asked or most_dollars == 0:
            return None
        with self._database.writing() as connection:
            return take(connection, asked, billionths(most_dollars))

    def settle(self, taking: int, dollars: float | None) -> None:
        """Let what was taken become what the call cost; if that is not known, it stays taken.

        Raises
        ------
        StoreFailed
            If it cannot be written.
        """
        with self._database.writing() as connection:
            settle(connection, taking, billionths(dollars))

    def taken(self, name: str) -> Taken:
        """Return what was taken under a name.

        Raises
        ------
        StoreFailed
            If the file cannot be read.
        """
        with self._database.reading() as connection:
            spent, unsure = _taken(connection, name)
        return Taken(spent / BILLION, unsure / BILLION)

    def kept(self) -> list[KeptAllowance]:
        """Return all budgets that something was taken from, the last used first.

        Raises
        ------
        StoreFailed
            If the file cannot be read.
        """
        rows = self._database.rows(
            "SELECT name, allowed, spent, used_at, "
            "(SELECT coalesce(sum(most), 0) FROM takings WHERE budget = name) "
            "FROM budgets ORDER BY used_at DESC, name"
        )
        return [
            KeptAllowance(
                name,
                None if allowed is None else allowed / BILLION,
                Taken(spent / BILLION, unsure / BILLION),
                utc(used_at),
            )
            for name, allowed, spent, used_at, unsure in rows
        ]

    def empty(self, name: str) -> None:
        """Forget all that was taken under a name; calls under way are no more counted there.

        Raises
        ------
        StoreFailed
            If it cannot be written.
        """
        with self._database.writing() as connection:
            connection.execute("DELETE FROM takings WHERE budget = ?", (name,))
            connection.execute("DELETE FROM budgets WHERE name = ?", (name,))


def take(
    connection: Connection,
    allowances: Sequence[Allowance],
    most: int | None,
    *,
    number: int | None = None,
) -> int:
    """Take so many billionths within the transaction that is open; see `Allowances.take`.

    What it is settled by is a number of one's own, or a new one.
    """
    for one in allowances:
        allowed = billionths(one.dollars)
        if allowed is None:
            continue
        before = sum(_taken(connection, one.name))
        if most is None or before + most > allowed:
            raise _over(one, before / BILLION, None if most is None else most / BILLION)
    number = secrets.randbits(62) if number is None else number
    now = now_microseconds()
    for one in {one.name: one for one in allowances}.values():
        connection.execute(
            "INSERT INTO budgets (name, spent, allowed, used_at) VALUES (?, 0, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET "
            "allowed = excluded.allowed, used_at = excluded.used_at",
            (one.name, billionths(one.dollars), now),
        )
        connection.execute("INSERT INTO takings VALUES (?, ?, ?)", (one.name, number, most or 0))
    return number


def settle(connection: Connection, taking: int, dollars: int | None) -> None:
    """Settle within the transaction that is open; see `Allowances.settle`."""
    if dollars is None:
        return
    connection.execute(
        "UPDATE budgets SET spent = spent + ? "
        "WHERE name IN (SELECT budget FROM takings WHERE number = ?)",
        (dollars, taking),
    )
    connection.execute("DELETE FROM takings WHERE number = ?", (taking,))


def too_dear(most_dollars: float | None, limit: float) -> BudgetExceeded:
    """Return the refusal of a call by the amount that was given for it alone."""
    cure = "lower max_tokens, or allow this call more"
    if most_dollars is None:
        return _unpriced(f"{dollars_in_words(limit)} for this call")
    return BudgetExceeded(
        f"a call that could cost {dollars_in_words(most_dollars)}",
        limit=f"{dollars_in_words(limit)} for this call; nothing is spent",
        cure=f"{cure}: budget={_proposed(most_dollars):.9g}",
    )


def _taken(connection: Connection, name: str) -> tuple[int, int]:
    (row,) = connection.execute(
        "SELECT coalesce((SELECT spent FROM budgets WHERE name = ?), 0), "
        "coalesce((SELECT sum(most) FROM takings WHERE budget = ?), 0)",
        (name, name),
    ).fetchall()
    return int(row[0]), int(row[1])


def _over(one: Allowance, taken: float, asked: float | None) -> BudgetExceeded:
    """Return the refusal that says spent, asked, left and cure."""
    limit = one.dollars or 0.0
    held = f"{one.whose} is {dollars_in_words(limit)}, of which {dollars_in_words(taken)} is spent"
    if asked is None:
        return _unpriced(held)
    left = dollars_in_words(max(0.0, limit - taken))
    return BudgetExceeded(
        f"a call that could cost {dollars_in_words(asked)}",
        limit=f"{held} or under way and {left} left",
        cure=f"lower max_tokens, or raise the budget: {one.allowing(_proposed(taken + asked))}",
    )


def _unpriced(limit: str) -> BudgetExceeded:
    return BudgetExceeded(
        "a call whose price is not known, so that no budget can hold it",
        limit=limit,
        cure="choose a model with a price (nv.models()), or ask without a budget",
    )


def _proposed(dollars: float) -> float:
    """Return an amount in whole cents that is enough."""
    return math.ceil(dollars / _SMALLEST_CURE - 1e-6) * _SMALLEST_CURE
