"""Past calls found by words, model and time; quick among a million."""

import re
import unicodedata
from typing import Any

from nbvision.store import schema
from nbvision.store.database import Database
from nbvision.store.records import PastCall
from nbvision.store.values import BILLION, utc

__all__ = [
    "PAST_COLUMNS",
    "index_words",
    "is_rare",
    "lowest_number",
    "past_call",
    "search_statement",
]

PAST_COLUMNS = (
    "number, asked_at, outcome, backend, model, sample, prompt, text, input_tokens, "
    "output_tokens, dollars, most_dollars, seconds, attempts, error"
)
# Written without spaces: the index has whole sentences as words, of which only the beginnings
# are found.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
)
_AT_ONCE = 5000
_FEW = 100_000
_RARE = 2000


def past_call(row: tuple[Any, ...]) -> PastCall:
    """Return a row of `PAST_COLUMNS` as a value."""
    fields = dict(zip(PAST_COLUMNS.split(", "), row, strict=True))
    dollars, most = fields["dollars"], fields["most_dollars"]
    fields["asked_at"] = utc(fields["asked_at"])
    fields["dollars"] = None if dollars is None else dollars / BILLION
    fields["most_dollars"] = None if most is None else most / BILLION
    return PastCall(**fields)


def index_words(database: Database) -> bool:
    """Bring the index of words up to date; return whether there is one.

    Calls do not wait for it: it is written when somebody searches. A call that has not ended
    is left out until it has.
    """
    if database.is_read_only:
        return False
    with database.writing() as connection:
        if not schema.has_word_index(connection):
            return False
    count = _AT_ONCE
    while count == _AT_ONCE:
        with database.writing() as connection:
            due = "SELECT number FROM calls WHERE is_indexed = 0 AND outcome <> 'unknown'"
            rows = connection.execute(f"{due} ORDER BY number LIMIT {_AT_ONCE}").fetchall()
            count = len(rows)
            if rows:
                ends = (rows[0][0], rows[-1][0])
                which = "is_indexed = 0 AND outcome <> 'unknown' AND number BETWEEN ? AND ?"
                connection.execute(
                    "INSERT INTO words (rowid, prompt, text) "
                    f"SELECT number, prompt, text FROM calls WHERE {which}",
                    ends,
                )
                connection.execute(f"UPDATE calls SET is_indexed = 1 WHERE {which}", ends)
    return True


def lowest_number(database: Database, since: int) -> int | None:
    """Return a number below which no call is that new; None if none is.

    Without it a search would look through all older calls for what is not there. Numbers and
    times need not be in the same order, as clocks are set back.
    """
    statement = f"SELECT number FROM calls WHERE asked_at >= ? LIMIT {_FEW}"
    found = database.rows(f"SELECT min(+number), count(*) FROM ({statement})", (since,))
    number, count = found[0]
    return 0 if count == _FEW else number


def is_rare(database: Database, model: str) -> bool:
    """Whether so few calls went to a model that they are better gathered first."""
    statement = f"SELECT 1 FROM calls WHERE model = ? LIMIT {_RARE}"
    ((count,),) = database.rows(f"SELECT count(*) FROM ({statement})", (model,))
    return bool(count < _RARE)


def search_statement(
    search: str,
    model: str,
    since: tuple[int, int] | None,
    limit: int,
    *,
    has_index: bool,
    is_model_rare: bool = False,
) -> tuple[str, list[Any]]:
    """Return the question for past calls, newest first, and its values.

    What the index does not hold, which is little, is looked through. Both parts come in order
    and end at the limit, so that a word that is everywhere is not gathered whole.
    """
    conditions: list[tuple[str, Any]] = []
    if model:
        conditions.append(("model = ?", model))
    if since is not None:
        conditions.append(("asked_at >= ?", since[0]))
        conditions.append(("calls.number >= ?", since[1]))
    more = "".join(f" AND {condition}" for condition, _ in conditions)
    values = [value for _, value in conditions]
    tail = "ORDER BY number DESC LIMIT ?"
    if not search.strip():
        return f"SELECT {PAST_COLUMNS} FROM calls WHERE 1{more} {tail}", [*values, limit]
    through, patterns = _looked_through(search)
    words = _words(search)
    if not has_index or not words or _UNSPACED.search(search):
        statement = f"SELECT {PAST_COLUMNS} FROM calls WHERE {through}{more} {tail}"
        return statement, [*patterns, *values, limit]
    columns = PAST_COLUMNS.replace("prompt, text", "calls.prompt, calls.text")
    # Within the index first: to fetch each call with a common word takes far longer.
    within, bounds = "", list[Any]()
    if since is not None:
        within, bounds = " AND words.rowid >= ?", [since[1]]
    if is_model_rare:
        within += " AND +words.rowid IN (SELECT number FROM calls WHERE model = ?)"
        bounds.append(model)
    by_index = (
        f"SELECT {columns} FROM words CROSS JOIN calls ON calls.number = words.rowid "
        f"WHERE words MATCH ?{within}{more} ORDER BY words.rowid DESC LIMIT ?"
    )
    beside = (
        f"SELECT {PAST_COLUMNS} FROM calls INDEXED BY calls_to_index "
        f"WHERE is_indexed = 0 AND {through}{more} {tail}"
    )
    statement = f"SELECT * FROM ({by_index}) UNION ALL SELECT * FROM ({beside}) {tail}"
    match = " ".join(f'"{word}"*' for word in words)
    return statement, [match, *bounds, *values, limit, *patterns, *values, limit, limit]


def _words(search: str) -> list[str]:
    """Return letters and digits with the marks on them; what stands between is no operator."""
    kept = [c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in search]
    return "".join(kept).split()


def _looked_through(search: str) -> tuple[str, list[str]]:
    """Return a condition that every word stands somewhere in prompt or answer."""
    patterns = []
    for word in _words(search) or [search.strip()]:
        escaped = word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
        patterns.append(f"%{escaped}%")
    one = "(prompt LIKE ? ESCAPE '\\' OR text LIKE ? ESCAPE '\\')"
    doubled = [pattern for pattern in patterns for _ in range(2)]
    return " AND ".join([one] * len(patterns)), doubled
