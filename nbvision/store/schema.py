"""The tables, as numbered steps: an older file is brought forward, a newer one left alone."""

import sqlite3

from nbvision.store.spelling import LONGEST_INDEXED

__all__ = ["APPLICATION_ID", "VERSION", "has_word_index", "migrate"]

APPLICATION_ID = 0x6E627673  # "nbvs": whose file this is, in SQLite's own header

# Each step stands for ever as it was released; a change is a further step. Money is whole
# billionths of a dollar and time whole microseconds of UTC, so that sums and order are exact.
_STEPS = (
    """
    CREATE TABLE calls (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        asked_at INTEGER NOT NULL,
        outcome TEXT NOT NULL DEFAULT 'unknown',
        name TEXT NOT NULL,
        exact TEXT NOT NULL,
        sample INTEGER NOT NULL,
        backend TEXT NOT NULL,
        place TEXT NOT NULL,
        model TEXT NOT NULL,
        parameters TEXT NOT NULL,
        messages TEXT NOT NULL,
        prompt TEXT NOT NULL,
        most_dollars INTEGER,
        dollars INTEGER,
        seconds REAL NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        input_tokens INTEGER NOT NULL DEFAULT 0,
        output_tokens INTEGER NOT NULL DEFAULT 0,
        cache_read_tokens INTEGER NOT NULL DEFAULT 0,
        cache_write_tokens INTEGER NOT NULL DEFAULT 0,
        answered_by TEXT NOT NULL DEFAULT '',
        request_id TEXT,
        text TEXT NOT NULL DEFAULT '',
        message TEXT,
        error TEXT NOT NULL DEFAULT '',
        is_indexed INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX calls_by_exact ON calls (exact, sample, number) WHERE outcome = 'answered';
    CREATE INDEX calls_by_name ON calls (name, sample, number) WHERE outcome = 'answered';
    CREATE INDEX calls_by_model ON calls (model, number);
    CREATE INDEX calls_by_time ON calls (asked_at, dollars, most_dollars);
    CREATE INDEX calls_to_index ON calls (number) WHERE is_indexed = 0;
    CREATE TABLE pictures (
        name TEXT PRIMARY KEY,
        thumbnail BLOB
    ) WITHOUT ROWID;
    CREATE TABLE call_pictures (
        call INTEGER NOT NULL,
        position INTEGER NOT NULL,
        name TEXT NOT NULL,
        source TEXT NOT NULL,
        fit TEXT NOT NULL,
        PRIMARY KEY (call, position)
    ) WITHOUT ROWID;
    CREATE INDEX call_pictures_by_name ON call_pictures (name);
    CREATE TABLE budgets (
        name TEXT PRIMARY KEY,
        spent INTEGER NOT NULL,
        allowed INTEGER,
        used_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE leases (
        name TEXT PRIMARY KEY,
        holder TEXT NOT NULL,
        beat INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE takings (
        budget TEXT NOT NULL,
        number INTEGER NOT NULL,
        most INTEGER NOT NULL,
        PRIMARY KEY (budget, number)
    ) WITHOUT ROWID;
    CREATE INDEX takings_by_number ON takings (number);
    """,
)
VERSION = len(_STEPS)

# No step of its own: it may be missing where SQLite was built without it, and is made when it
# can be.
# What goes in is said by `spelling`; if that changes, a step drops the table and says of each call
# that it is not indexed. Only rows are kept, no places in them: that is a quarter of the bytes.
_WORD_INDEX = f"""
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (
    words_of, content = '', detail = none, columnsize = 0,
    prefix = '{" ".join(map(str, range(1, LONGEST_INDEXED + 1)))}',
    tokenize = "unicode61 remove_diacritics 2"
)
"""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file to this version, within the transaction that is open."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    for step in _STEPS[found:]:
        for statement in step.split(";"):
            connection.execute(statement)
    if found < VERSION:
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def has_word_index(connection: sqlite3.Connection) -> bool:
    """Whether words can be looked up by index; made if it is missing and can be."""
    try:
        connection.execute(_WORD_INDEX)
    except sqlite3.OperationalError:
        return False
    return True
