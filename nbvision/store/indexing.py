"""The index of words: kept up as calls end, finished when somebody searches, and cleaned."""

import time
from contextlib import suppress
from sqlite3 import Connection

from nbvision.errors import StoreFailed
from nbvision.store import schema
from nbvision.store.database import Database
from nbvision.store.notices import notice
from nbvision.store.spelling import indexed

__all__ = ["clean_index", "has_index", "index_now_and_then", "index_words", "take_out"]

_AT_ONCE = 1000
_EVERY = 256
_MANY = 20_000
_PER_SECOND = 10_000
_REST_SECONDS = 0.03  # longer than others sleep between two looks at the lock
_PAGES = 200
_TRIES = 25  # each waits a moment for one who writes just now
_DUE = "is_indexed = 0 AND outcome <> 'unknown'"


def index_words(database: Database) -> bool:
    """Bring the index of words up to date; return whether there is one.

    A call that has not ended is left out until it has. Nobody is kept from writing for longer
    than one part takes, and nobody is waited for: what the index lacks is looked through.
    """
    if database.is_read_only or not _made(database):
        return False
    ((due,),) = database.rows(f"SELECT count(*) FROM calls WHERE {_DUE}")
    if due > _MANY:
        notice(
            f"{due:,} past calls are prepared for searching, which takes about "
            f"{due / _PER_SECOND:.0f} seconds, once; it can be stopped and goes on the next time"
        )
    tries = _TRIES
    while due > 0 and tries > 0:
        with database.writing_now() as connection:
            count = None if connection is None else _index_part(connection)
        if count is None:
            tries = 0 if due <= _AT_ONCE else tries - 1  # few are looked through as quickly
            continue
        due, tries = (0 if count < _AT_ONCE else due - count), _TRIES
        if due > 0:
            time.sleep(_REST_SECONDS)
    return True


def index_now_and_then(database: Database, number: int) -> None:
    """Index what has ended, at one call of some; if that cannot be done now, later."""
    if number % _EVERY:
        return
    with suppress(StoreFailed):
        if _made(database):
            with database.writing_now() as connection:
                if connection is not None:
                    _index_part(connection)


def take_out(connection: Connection, which: str) -> None:
    """Take calls out of the index, within the transaction that is open."""
    rows = connection.execute(
        f"SELECT number, prompt, text, model FROM calls WHERE is_indexed AND {which}"
    )
    connection.executemany(
        "INSERT INTO words (words, rowid, words_of) VALUES ('delete', ?, ?)",
        ((number, indexed(prompt, text, model)) for number, prompt, text, model in rows),
    )


def clean_index(database: Database) -> None:
    """Join the parts of the index: until then it still has the words that were taken out.

    In small steps, between which others write.
    """
    pages = -_PAGES  # at first all parts are marked to be joined
    while True:
        with database.writing() as connection:
            before = connection.total_changes
            connection.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (pages,))
            # One change is the command itself.
            if connection.total_changes - before < 2 and pages > 0:  # noqa: PLR2004 - as said
                return
        pages = _PAGES
        time.sleep(0)


def has_index(database: Database) -> bool:
    """Whether the file has an index of words."""
    return bool(database.rows("SELECT 1 FROM sqlite_master WHERE name = 'words'"))


def _made(database: Database) -> bool:
    if has_index(database):
        return True
    with database.writing_now() as connection:
        return connection is not None and schema.has_word_index(connection)


def _index_part(connection: Connection) -> int:
    due = f"SELECT number, prompt, text, model FROM calls WHERE {_DUE} ORDER BY number"
    rows = connection.execute(f"{due} LIMIT {_AT_ONCE}").fetchall()
    connection.executemany(
        "INSERT INTO words (rowid, words_of) VALUES (?, ?)",
        ((number, indexed(prompt, text, model)) for number, prompt, text, model in rows),
    )
    if rows:
        connection.execute(
            f"UPDATE calls SET is_indexed = 1 WHERE {_DUE} AND number BETWEEN ? AND ?",
            (rows[0][0], rows[-1][0]),
        )
    return len(rows)
