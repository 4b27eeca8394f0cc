"""Calls as they enter the file, begin and end: each step within a transaction that is open."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from sqlite3 import Connection
from typing import Any

from nbvision.errors import NbvisionError, StoreFailed
from nbvision.store.allowances import Allowance, settle, take
from nbvision.store.database import Database
from nbvision.store.records import Ending, Intent
from nbvision.store.values import billionths, now_microseconds, storable, storable_count, to_json

__all__ = ["enter_beginning", "enter_ending", "new_thumbnails", "newest_answer"]


def new_thumbnails(database: Database, intent: Intent) -> list[tuple[str, bytes]]:
    """Return those of pictures that the store has not seen; made before it is locked.

    One that cannot be made is left out: its file may be gone, and the call goes out all the same.
    """
    if not intent.pictures:
        return []
    by_name = {picture.name: picture for picture in intent.pictures}
    marks = ", ".join("?" * len(by_name))
    statement = f"SELECT name FROM pictures WHERE name IN ({marks})"
    seen = {name for (name,) in database.rows(statement, tuple(by_name))}
    made = []
    for name, picture in by_name.items():
        if name not in seen and picture.thumbnail:
            with suppress(NbvisionError, OSError, ValueError, MemoryError):
                made.append((name, picture.thumbnail()))
    return made


def newest_answer(connection: Connection, exact: str, sample: int) -> int:
    """Return the number of the newest answer to a request, usable or not; 0 for none."""
    rows = connection.execute(
        "SELECT number FROM calls WHERE exact = ? AND sample = ? AND outcome = 'answered' "
        "ORDER BY number DESC LIMIT 1",
        (exact, sample),
    )
    (number,) = rows.fetchone() or (0,)
    return int(number)


def enter_beginning(
    connection: Connection,
    intent: Intent,
    thumbnails: Sequence[tuple[str, bytes]],
    allowances: Sequence[Allowance],
) -> int:
    """Enter that a call is about to be sent, take what it may cost, and return its number."""
    most = billionths(intent.most_dollars)
    row = {
        "asked_at": now_microseconds(),
        "name": intent.name,
        "exact": intent.exact,
        "sample": intent.sample,
        "backend": intent.backend,
        "place": intent.place,
        "model": intent.model,
        "parameters": to_json(intent.parameters),
        "messages": to_json(intent.messages),
        "prompt": storable(intent.prompt),
        "most_dollars": most,
    }
    number = _insert(connection, "calls", row)
    if allowances and most != 0:
        take(connection, allowances, most, number=_taking(number))
    connection.executemany(
        "INSERT OR IGNORE INTO pictures (name, thumbnail) VALUES (?, ?)", thumbnails
    )
    connection.executemany(
        "INSERT INTO call_pictures (call, position, name, source, fit) VALUES (?, ?, ?, ?, ?)",
        [
            (number, position, picture.name, storable(picture.source), to_json(picture.fit))
            for position, picture in enumerate(intent.pictures)
        ],
    )
    return number


def enter_ending(connection: Connection, number: int, ending: Ending) -> None:
    """Enter how a call ended, once, and settle what was taken for it."""
    dollars, unsure = billionths(ending.dollars), ending.unsure_attempts
    row = {
        "outcome": ending.outcome,
        "dollars": None if unsure else dollars,
        "seconds": ending.seconds if math.isfinite(ending.seconds) else 0.0,
        "attempts": storable_count(ending.attempts),
        "input_tokens": storable_count(ending.input_tokens),
        "output_tokens": storable_count(ending.output_tokens),
        "cache_read_tokens": storable_count(ending.cache_read_tokens),
        "cache_write_tokens": storable_count(ending.cache_write_tokens),
        "answered_by": storable(ending.answered_by),
        "request_id": None if ending.request_id is None else storable(ending.request_id),
        "text": storable(ending.text),
        "message": None if ending.message is None else to_json(ending.message),
        "error": storable(ending.error),
    }
    is_over = connection.execute(
        "SELECT 1 FROM calls WHERE number = ? AND outcome <> 'unknown'", (number,)
    ).fetchone()
    if is_over:
        return
    connection.execute(
        f"UPDATE calls SET {', '.join(f'{column} = ?' for column in row)}, "
        "most_dollars = CASE ? WHEN 0 THEN most_dollars "
        "ELSE most_dollars * ? + coalesce(?, most_dollars) END "
        "WHERE number = ?",
        (*row.values(), unsure, unsure, dollars, number),
    )
    # Even if the call was forgotten meanwhile.
    settle(connection, _taking(number), dollars)


def _taking(number: int) -> int:
    """Return what a call settles by; below zero, where nothing else's number is."""
    return -number


def _insert(connection: Connection, table: str, row: Mapping[str, Any]) -> int:
    marks = ", ".join("?" * len(row))
    statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"
    number = connection.execute(statement, tuple(row.values())).lastrowid
    if number is None:
        raise StoreFailed("the record of calls gave no number")
    return number
