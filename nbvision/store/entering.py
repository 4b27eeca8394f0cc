"""Calls as they enter the file, begin and end: each step within a transaction that is open."""

from collections.abc import Mapping, Sequence
from sqlite3 import Connection
from typing import Any

from nbvision.errors import StoreFailed
from nbvision.store.allowances import Allowance, settle, take
from nbvision.store.database import Database
from nbvision.store.records import Ending, Intent
from nbvision.store.values import billionths, now_microseconds, storable, to_json

__all__ = ["enter_beginning", "enter_ending", "new_thumbnails", "newest_answer"]


def new_thumbnails(database: Database, intent: Intent) -> list[tuple[str, bytes]]:
    """Return those of pictures that the store has not seen; made before it is locked."""
    by_name = {picture.name: picture for picture in intent.pictures}
    marks = ", ".join("?" * len(by_name))
    statement = f"SELECT name FROM pictures WHERE name IN ({marks})"
    seen = {name for (name,) in database.rows(statement, tuple(by_name))}
    return [
        (name, picture.thumbnail())
        for name, picture in by_name.items()
        if name not in seen and picture.thumbnail
    ]


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
        "taking": take(connection, allowances, most) if allowances and most != 0 else None,
    }
    number = _insert(connection, "calls", row)
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
    dollars = billionths(ending.dollars)
    row = {
        "outcome": ending.outcome,
        "dollars": dollars,
        "seconds": ending.seconds,
        "attempts": ending.attempts,
        "input_tokens": ending.input_tokens,
        "output_tokens": ending.output_tokens,
        "cache_read_tokens": ending.cache_read_tokens,
        "cache_write_tokens": ending.cache_write_tokens,
        "answered_by": storable(ending.answered_by),
        "request_id": ending.request_id,
        "text": storable(ending.text),
        "message": None if ending.message is None else to_json(ending.message),
        "error": storable(ending.error),
    }
    known = connection.execute(
        f"UPDATE calls SET {', '.join(f'{column} = ?' for column in row)} "
        "WHERE number = ? AND outcome = 'unknown' RETURNING taking",
        (*row.values(), number),
    ).fetchall()
    if known and known[0][0] is not None:
        settle(connection, known[0][0], dollars)


def _insert(connection: Connection, table: str, row: Mapping[str, Any]) -> int:
    marks = ", ".join("?" * len(row))
    statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"
    number = connection.execute(statement, tuple(row.values())).lastrowid
    if number is None:
        raise StoreFailed("the record of calls gave no number")
    return number
