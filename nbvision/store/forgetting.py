"""Calls are deleted, and what they said is overwritten wherever it stood on the disk."""

import math
import time
from collections.abc import Iterable
from datetime import datetime

from nbvision.store import schema
from nbvision.store.database import Database
from nbvision.store.indexing import clean_index, has_index, take_out
from nbvision.store.notices import notice
from nbvision.store.values import microseconds_of, to_json

__all__ = ["count_of", "forget"]

_OVERWRITING_SECONDS = 2.0
_BETWEEN_SECONDS = 0.05


def forget(
    database: Database, numbers: Iterable[int], before: datetime | None, *, everything: bool
) -> int:
    """Delete calls, and thumbnails that no other call has; return how many."""
    wanted, end = list(numbers), _end(before, everything=everything)
    with database.writing() as connection:
        connection.execute("CREATE TEMP TABLE gone AS SELECT number FROM calls WHERE 0")
        connection.executemany("INSERT INTO gone VALUES (?)", [(n,) for n in wanted])
        connection.execute("INSERT INTO gone SELECT number FROM calls WHERE asked_at < ?", (end,))
        is_indexed = has_index(database) and schema.has_word_index(connection)
        if is_indexed and everything:
            connection.execute("INSERT INTO words (words) VALUES ('delete-all')")
        elif is_indexed:
            take_out(connection, "number IN gone")
        connection.execute("DELETE FROM call_pictures WHERE call IN gone")
        count = connection.execute("DELETE FROM calls WHERE number IN gone").rowcount
        connection.execute(
            "DELETE FROM pictures WHERE name NOT IN (SELECT name FROM call_pictures)"
        )
        connection.execute("DROP TABLE gone")
    if is_indexed and count:
        clean_index(database)
    _overwrite(database)
    return count


def count_of(
    database: Database, numbers: Iterable[int], before: datetime | None, *, everything: bool
) -> int:
    """Return how many calls `forget` would delete, given the same."""
    # As JSON, because a statement takes only so many values.
    named = "number IN (SELECT value FROM json_each(?))"
    statement = f"SELECT count(*) FROM calls WHERE asked_at < ? OR {named}"
    values = (_end(before, everything=everything), to_json(list(numbers)))
    return int(database.rows(statement, values)[0][0])


def _end(before: datetime | None, *, everything: bool) -> float:
    return math.inf if everything else -1 if before is None else microseconds_of(before)


def _overwrite(database: Database) -> None:
    """Empty the log, which has the pages as they were; one who reads just now needs them."""
    ends = time.monotonic() + _OVERWRITING_SECONDS
    while True:
        ((is_busy, *_),) = database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        if not is_busy:
            return
        if time.monotonic() > ends:
            break
        time.sleep(_BETWEEN_SECONDS)
    notice(
        "what was forgotten is gone from the record of calls; its log, which another kernel is "
        "reading, has it until forget is called again after that, or the last kernel ends"
    )
