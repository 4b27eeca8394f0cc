"""Past calls found by words, model and time; quick among a million."""

from typing import Any

from nbvision.store.database import Database
from nbvision.store.records import PastCall
from nbvision.store.spelling import (
    is_parted,
    model_word,
    pair_words,
    searched_words,
    word_condition,
)
from nbvision.store.values import BILLION, utc

__all__ = [
    "PAST_COLUMNS",
    "lowest_number",
    "past_call",
    "search_statement",
]

PAST_COLUMNS = (
    "number, asked_at, outcome, backend, model, sample, prompt, text, input_tokens, "
    "output_tokens, dollars, most_dollars, seconds, attempts, error"
)
_FEW = 100_000


def past_call(row: tuple[Any, ...]) -> PastCall:
    """Return a row of `PAST_COLUMNS` as a value."""
    fields = dict(zip(PAST_COLUMNS.split(", "), row, strict=True))
    dollars, most = fields["dollars"], fields["most_dollars"]
    fields["asked_at"] = utc(fields["asked_at"])
    fields["dollars"] = None if dollars is None else dollars / BILLION
    fields["most_dollars"] = None if most is None else most / BILLION
    return PastCall(**fields)


def lowest_number(database: Database, since: int) -> int | None:
    """Return a number below which no call is that new; None if none is.

    Without it a search would look through all older calls for what is not there. Numbers and
    times need not be in the same order, as clocks are set back.
    """
    statement = f"SELECT number FROM calls WHERE asked_at >= ? LIMIT {_FEW}"
    found = database.rows(f"SELECT min(+number), count(*) FROM ({statement})", (since,))
    number, count = found[0]
    return 0 if count == _FEW else number


def search_statement(
    search: str, model: str, since: tuple[int, int] | None, limit: int, *, has_index: bool
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
    words = searched_words(search) or [search.strip()]
    through, patterns = _looked_through(words)
    match = _matching(words)
    if not has_index or not match:
        statement = f"SELECT {PAST_COLUMNS} FROM calls WHERE {through}{more} {tail}"
        return statement, [*patterns, *values, limit]
    if model:
        match += f' "{model_word(model)}"'
    columns = PAST_COLUMNS.replace("prompt, text", "calls.prompt, calls.text")
    within, bounds = ("", []) if since is None else (" AND words.rowid >= ?", [since[1]])
    parted, parts = _looked_through([word for word in words if is_parted(word)])
    # Within the index first: to fetch each call with a common word takes far longer.
    by_index = (
        f"SELECT {columns} FROM words CROSS JOIN calls ON calls.number = words.rowid "
        f"WHERE words MATCH ?{within} AND {parted}{more} ORDER BY words.rowid DESC LIMIT ?"
    )
    beside = (
        f"SELECT {PAST_COLUMNS} FROM calls INDEXED BY calls_to_index "
        f"WHERE is_indexed = 0 AND {through}{more} {tail}"
    )
    statement = f"SELECT * FROM ({by_index}) UNION ALL SELECT * FROM ({beside}) {tail}"
    by_index_values = [match, *bounds, *parts, *values, limit]
    return statement, [*by_index_values, *patterns, *values, limit, limit]


def _matching(words: list[str]) -> str:
    """Return what the index is asked for; empty if it can say nothing."""
    asked = []
    for word in words:
        asked += pair_words(word) if is_parted(word) else [word_condition(word)]
    return " ".join(dict.fromkeys(filter(None, asked)))


def _looked_through(words: list[str]) -> tuple[str, list[str]]:
    """Return a condition that every word stands somewhere in prompt or answer."""
    patterns = []
    for word in words:
        escaped = word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
        patterns.append(f"%{escaped}%")
    one = "(calls.prompt LIKE ? ESCAPE '\\' OR calls.text LIKE ? ESCAPE '\\')"
    doubled = [pattern for pattern in patterns for _ in range(2)]
    return " AND ".join([one] * len(patterns)) or "1", doubled
