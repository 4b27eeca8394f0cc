"""What ``%nbvision`` shows: who answers, what the magics ask with, and what has been spent."""

from dataclasses import dataclass, fields
from typing import Any

from nbvision.backends import Backend, connected
from nbvision.budget import short_name
from nbvision.markup import bundle, escape, one_line, rich, table
from nbvision.results import Cost
from nbvision.runs import Run, open_runs
from nbvision.spending import Spent, spent

__all__ = ["Settings", "Status", "status_of"]

_HEAD = ("who", "model", "answers", "tokens in", "tokens out", "cost")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the magics of this kernel ask with, where a line says nothing else."""

    model: str | None = None
    system: str | None = None
    max_tokens: int | None = None
    effort: str | None = None
    thinking: str | None = None

    def __str__(self) -> str:
        given = [
            f"--{field.name.replace('_', '-')} {one_line(str(value))[:80]}"
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None
        ]
        return ", ".join(given) or "the defaults; %nbvision --model … --system … sets others"


@dataclass(frozen=True, slots=True, repr=False)
class Status:
    """Who answers in this kernel, and what it has cost.

    Attributes
    ----------
    backend
        Who was connected last; None if nobody yet.
    settings
        What the magics ask with.
    rows
        What was spent, by who answered and with which model.
    runs
        The runs that this kernel is in.
    """

    backend: Backend | None
    settings: Settings
    rows: tuple[Spent, ...]
    runs: tuple[Run, ...] = ()

    @property
    def total(self) -> Spent:
        """All rows together."""
        together = Spent()
        for row in self.rows:
            together = together.plus(row)
        return together

    def in_words(self) -> str:
        """Return it as lines of text."""
        lines = self._lines()
        if len(self.rows) > 1:
            lines += ["  ".join(cells) for cells in self._table()]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Status({self._sum()})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        shown = "".join(f"<div>{escape(line)}</div>" for line in self._lines())
        rows = table(_HEAD, self._table()) if self.rows else ""
        return bundle(self.in_words(), markup=rich(shown + rows))

    def _lines(self) -> list[str]:
        lines = [self._who(), f"magics ask with: {self.settings}", self._sum()]
        budget = None if self.backend is None else self.backend.keeping.budget
        if budget is not None:
            lines.append(f"budget {short_name(budget.name)}: {budget}")
        return lines + [f"under way: {one}" for one in self.runs]

    def _who(self) -> str:
        if self.backend is None:
            return "nobody is connected yet: the first question connects, or %nbvision connect"
        return f"{self.backend.name} answers, with {self.backend.model}: {self.backend.why}"

    def _sum(self) -> str:
        total = self.total
        words = (
            f"spent in this kernel so far: {total.answers} answer{_s(total.answers)}, "
            f"{total.input_tokens:,} tokens in, {total.output_tokens:,} out, {_cost(total)}"
        )
        if total.broken_off:
            words += f"; {total.broken_off} broke off, which may have cost something too"
        return words

    def _table(self) -> list[tuple[str, ...]]:
        return [
            (
                row.who,
                one_line(row.model),
                str(row.answers),
                f"{row.input_tokens:,}",
                f"{row.output_tokens:,}",
                _cost(row),
            )
            for row in self.rows
        ]


def status_of(settings: Settings) -> Status:
    """Return the state of this kernel; nobody is connected by looking.

    Examples
    --------
    >>> status_of(Settings(model="claude-haiku-4-5")).settings.model
    'claude-haiku-4-5'
    """
    return Status(connected(), settings, spent(), open_runs())


def _cost(row: Spent) -> str:
    if not row.unpriced:
        return str(Cost(row.dollars))
    unknown = f"{row.unpriced} answer{_s(row.unpriced)} of unknown price"
    return f"{Cost(row.dollars)} and {unknown}" if row.answers > row.unpriced else unknown


def _s(count: int) -> str:
    return "" if count == 1 else "s"
