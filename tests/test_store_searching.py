"""Past calls are found by words, signs and models, whatever the index splits."""

import random
import sqlite3
import time
from dataclasses import replace
from threading import Thread

import pytest
from test_store import ANSWER, INTENT, Store

from nbvision.store import StoreNotice, indexing, notices, spelling
from nbvision.store.schema import has_word_index

PROMPTS = [
    "Where is the Tür? (7)",
    "これは赤い猫です。",
    "นี่คือแมวสีแดง",
    "नमस्ते हिन्दी",
    "مُحَمَّد هنا",
    "un café 🚪?!",
    '100% sure_thing: a §3 {"x": [1]}',
    "iPhoneの写真",
    "ﾈｺ と 猫",
    "",
]
SEARCHES = {
    "tür": [0],
    "tur": [0],
    "赤い猫": [1],
    "猫": [8, 1],
    "猫赤": [],
    "です": [1],
    "แมว": [2],
    "हिन्दी": [3],
    "محمد": [4],
    "🚪": [5],
    "?!": [5],
    "!?": [],
    "?": [5, 0],
    "§": [6],
    "_": [6],
    "%": [6],
    '": [': [6],
    "の写真": [7],
    "iPhoneの": [7],
    "iPhon": [7],
    "ﾈｺ": [8],
    "sure thing 100": [6],
    "door": [],
}


@pytest.mark.parametrize("is_indexed", [True, False])
def test_every_writing_is_found(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, is_indexed: bool
) -> None:
    if not is_indexed:
        monkeypatch.setattr("nbvision.store.schema.has_word_index", lambda _: False)
    for prompt in PROMPTS:
        number = store.begin(replace(INTENT, prompt=prompt))
        store.complete(number, replace(ANSWER, text=""))
    found = {search: [call.number - 1 for call in store.history(search)] for search in SEARCHES}
    # Without it accents and marks count.
    assert found == SEARCHES | ({} if is_indexed else {"tur": [], "محمد": []})
    indexed = store._database.rows("SELECT sum(is_indexed) FROM calls")
    assert indexed == [(len(PROMPTS) if is_indexed else 0,)]


def test_every_letter_that_is_left_to_the_index_is_part_of_one_word() -> None:
    """What SQLite splits otherwise would be a phrase, which the index does not have."""
    connection = sqlite3.connect(":memory:")
    assert has_word_index(connection)
    connection.execute("CREATE VIRTUAL TABLE seen USING fts5vocab(words, 'row')")
    letters = [
        chr(n)
        for n in range(0x10000)
        if not 0xD800 <= n < 0xE000 and chr(n).isalnum() and not spelling.is_parted(chr(n))
    ]
    assert len(letters) > 10_000
    connection.executemany(
        "INSERT INTO words (rowid, words_of) VALUES (?, ?)",
        [(ord(letter), f"qq{letter}qq") for letter in letters],
    )
    (halves,) = connection.execute("SELECT count(*) FROM seen WHERE term = 'qq'").fetchone()
    assert halves == 0


def test_any_part_of_any_text_is_found(store: Store) -> None:
    rng = random.Random(5)  # noqa: S311 - any text
    signs = "ab É猫写ので🚪?!()é\u0301 %_\\\"'ไม้"
    for _ in range(60):
        made = "".join(rng.choices(signs, k=12))
        store.complete(store.begin(replace(INTENT, prompt=made)), replace(ANSWER, text=""))
    indexing.index_words(store._database)
    for call in store.history(limit=1000):
        parts = spelling.searched_words(call.prompt) or [call.prompt.strip()]
        for part in parts:
            found = [one.number for one in store.history(part, limit=1000)]
            assert call.number in found, ascii((part, call.prompt))


def test_a_model_is_found_with_a_word_and_only_that_model(store: Store) -> None:
    for model in ("claude-opus-5-5", "claude-opus-5"):
        store.complete(store.begin(replace(INTENT, model=model)), ANSWER)
    assert [call.model for call in store.history("door", model="claude-opus-5")] == [
        "claude-opus-5"
    ]
    assert store.history("claude") == []


def test_the_index_is_kept_up_as_calls_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_EVERY", 4)
    for _ in range(9):
        store.complete(store.begin(INTENT), ANSWER)
    assert store._database.rows("SELECT sum(is_indexed) FROM calls") == [(8,)]
    assert len(store.history("door")) == 9


def test_a_search_waits_for_nobody_who_writes(store: Store) -> None:
    for _ in range(3):
        store.complete(store.begin(INTENT), ANSWER)
    store.history("door")
    store.complete(store.begin(INTENT), ANSWER)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    assert len(store.history("door")) == 4
    assert time.monotonic() - started < 2
    other.close()


def test_many_that_are_not_indexed_are_said_and_can_be_stopped(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "_said", set())
    monkeypatch.setattr(indexing, "_MANY", 20)
    monkeypatch.setattr(indexing, "_AT_ONCE", 10)
    for _ in range(30):
        store.complete(store.begin(INTENT), ANSWER)

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(indexing.time, "sleep", stop)
        with pytest.warns(StoreNotice, match="30 past calls"), pytest.raises(KeyboardInterrupt):
            store.history("door")
    assert store._database.rows("SELECT sum(is_indexed) FROM calls") == [(10,)]
    assert len(store.history("door")) == 30
    assert store._database.rows("SELECT sum(is_indexed) FROM calls") == [(30,)]


def test_forgetting_some_leaves_the_index_sound_and_others_writing(store: Store) -> None:
    for n in range(300):
        prompt = f"word{n} 猫{chr(0x4E00 + n)}"
        store.complete(store.begin(replace(INTENT, prompt=prompt)), ANSWER)
    assert len(store.history("word", limit=1000)) == 300
    writing = Thread(target=lambda: [store.begin(INTENT) for _ in range(20)])
    writing.start()
    assert store.forget(range(1, 300, 2)) == 150
    writing.join()
    found = store.history("word", limit=1000)
    assert {call.number % 2 for call in found} == {0}
    assert store.history("word2") != []
    assert store.history("word0 猫一") == []
    store._database.rows("INSERT INTO words (words) VALUES ('integrity-check')")
