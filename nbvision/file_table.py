"""The files at a service as a table."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, overload

from nbvision.markup import bundle, one_line, table
from nbvision.referenced import StoredFile

__all__ = ["FileTable"]

_MOST_SHOWN = 30
_HASHED = re.compile(r"^(nbvision-[0-9a-f]{8})[0-9a-f]{56}(?=\.)")
_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True, repr=False)
class FileTable:
    """Files at a service, the newest first; shows as a table.

    Attributes
    ----------
    rows
        What is there.
    held_by
        Where they lie.
    has_more
        Whether there are more than were listed.
    """

    rows: tuple[StoredFile, ...]
    held_by: str
    has_more: bool = False

    @property
    def size_bytes(self) -> int:
        """All of them together."""
        return sum(row.size_bytes for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[StoredFile]:
        return iter(self.rows)

    @overload
    def __getitem__(self, index: int) -> StoredFile: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[StoredFile, ...]: ...
    def __getitem__(self, index: int | slice) -> StoredFile | tuple[StoredFile, ...]:
        return self.rows[index]

    def summary(self) -> str:
        """Return one line: how many, how large, and where."""
        count = len(self.rows)
        words = f"{count}{'+' if self.has_more else ''} file{'' if count == 1 else 's'}"
        return f"{words}, {self.size_bytes / 1e6:.1f} MB, at {self.held_by}"

    def __repr__(self) -> str:
        return f"FileTable({self.summary()})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        head = ("id", "expires", "kB", "created", "name")
        rows = [
            (
                one_line(row.id)[:60],
                _when(row.expires_at),
                f"{row.size_bytes / 1000:,.0f}",
                f"{row.created_at:%Y-%m-%d %H:%M}",
                _short(one_line(row.name)),
            )
            for row in self.rows[:_MOST_SHOWN]
        ]
        more = len(self.rows) - len(rows)
        caption = self.summary() + (f"; the newest {len(rows)} are shown" if more else "")
        lines = [caption, *("  ".join(row) for row in rows)]
        markup = table(head, rows, caption=caption, unbroken=range(len(head)))
        return bundle("\n".join(lines), markup=markup)


def _short(name: str) -> str:
    """Return a file's name as a table has room for it: the first digits of a hash tell enough."""
    short = _HASHED.sub(r"\1…", name)
    return short if len(short) <= _LONGEST_NAME else f"{short[: _LONGEST_NAME - 1]}…"


def _when(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
