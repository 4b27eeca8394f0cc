"""The Models API over the shipped catalogue: one explicit line, bounded, and never half."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from doors import KEY, asked, assert_nothing_foreign_hangs_on, door
from hypothesis import given
from hypothesis import strategies as st
from wire import Answer, Arrived, Connection

import nbvision as nv
from nbvision.backends import Backend
from nbvision.backends.anthropic_api import AnthropicBackend
from nbvision.backends.first_party import anthropic_door
from nbvision.catalogue import find_model, shipped_models, use_models
from nbvision.errors import (
    AccessDenied,
    AnswerError,
    ConnectionLost,
    NbvisionError,
    RequestError,
    UnreadableAnswer,
)
from nbvision.model_listing import ListedModel, merged, read_page, read_row
from nbvision.practice import PracticeServer
from nbvision.widgets.model_menu import model_choices

TODAY = datetime.now(UTC).date()
OPUS: dict[str, Any] = {
    "type": "model",
    "id": "claude-opus-5-5",
    "display_name": "Claude Opus 5.5",
    "created_at": "2026-09-22T00:00:00Z",
    "lifecycle": "deprecated",
    "deprecated_at": "2027-08-01T00:00:00Z",
    "retires_at": "2027-10-01T12:00:00Z",
    "line": "opus",
    "max_input_tokens": 500_000,
    "max_tokens": 64_000,
    "capabilities": {
        "image_input": {"supported": True},
        "structured_outputs": {"supported": False},
        "effort": {
            "supported": True,
            "low": {"supported": True},
            "medium": {"supported": True},
            "high": {"supported": True},
            "xhigh": None,
            "max": {"supported": False},
        },
        "thinking": {"supported": True, "types": {"adaptive": {"supported": True}}},
    },
}
NEW = OPUS | {
    "id": "claude-haiku-6-20270301",
    "created_at": "2027-03-01T00:00:00Z",
    "lifecycle": "active",
    "retires_at": None,
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    yield tmp_path / "nbvision" / "models.json"
    use_models([])


def page(*rows: Any, **more: Any) -> Answer:
    body = {"data": [*rows], "has_more": False, "first_id": None, "last_id": None, **more}
    return lambda connection, _: connection.reply(body)


def test_limits_ends_and_abilities_are_laid_over_the_catalogue() -> None:
    before = find_model("claude-opus-5-5")
    with asked("anthropic", page(NEW, OPUS)) as (backend, place):
        table = nv.models(refresh=True, backend=backend)
        assert place.arrived[0].line.startswith("GET /v1/models?limit=1000 ")
    model = find_model("global.anthropic.claude-opus-5-5")
    assert model in table
    assert (model.context_tokens, model.max_output_tokens) == (500_000, 64_000)
    assert (model.deprecated, model.retires) == (True, date(2027, 10, 1))
    assert model.images_per_request == 100
    assert model.efforts == ("low", "medium", "high")
    assert not model.structured_outputs
    assert (model.as_of, "Models API of anthropic" in model.source) == (TODAY, True)
    assert (model.price, model.tier, model.platform_ids) == (
        before.price,
        before.tier,
        before.platform_ids,
    )
    assert not model.is_guessed


def test_a_new_id_is_marked_and_what_is_not_listed_stays() -> None:
    with asked("anthropic", page(NEW)) as (backend, _):
        table = nv.models(refresh=True, backend=backend)
    new = table[0]
    assert (new.id, new.tier.name, new.price, new.is_guessed) == (
        "claude-haiku-6",
        "high",
        None,
        True,
    )
    assert "listed by the Models API" in new.note
    assert find_model("claude-haiku-6-20270301") is new
    assert set(table[1:]) == set(shipped_models())
    assert find_model("claude-sonnet-5-5").as_of < date(2026, 12, 1)
    assert "claude-haiku-6" in table._repr_mimebundle_()["text/html"]
    assert str(TODAY) in str(table)


def test_all_pages_are_read() -> None:
    def answer(connection: Connection, arrived: Arrived) -> None:
        second = "after_id=claude-haiku-6-20270301" in arrived.line
        row, more = (OPUS, {}) if second else (NEW, {"has_more": True, "last_id": NEW["id"]})
        page(row, **more)(connection, arrived)

    with asked("anthropic", answer) as (backend, place):
        nv.models(refresh=True, backend=backend)
        assert len(place.arrived) == 2
    assert find_model("claude-opus-5-5").as_of == find_model("claude-haiku-6").as_of == TODAY


def test_the_practice_servers_list_is_read_and_not_stored(cache: Path) -> None:
    with PracticeServer(words_per_second=None) as server:
        door = anthropic_door(name="practice", base_url=server.url, api_key=server.token)
        practice = AnthropicBackend(door, model="practice-high")
        table = nv.models(refresh=True, backend=practice)
    known = {model.id: model for model in table}
    assert known["practice-high"].price == find_model("practice-high").price
    assert find_model("practice-claude-haiku-4-5").context_tokens == 200_000
    assert known["practice-high"].efforts == ("low", "medium", "high", "xhigh", "max")
    assert not cache.exists()
    offered = [choice["id"] for choice in model_choices("practice-high", practice)]
    assert offered.count("practice-high") == 1


def test_nothing_is_sent_and_nothing_changes_without_a_refresh(cache: Path) -> None:
    with asked("anthropic", page(NEW)) as (backend, place):
        assert tuple(nv.models(backend=backend)) == shipped_models()
        assert place.connections == 0
        nv.models(refresh=True, backend=backend)
        assert nv.models()[0].id == "claude-haiku-6"
    assert cache.exists()
    code = "import nbvision as nv; print(nv.find_model('claude-haiku-6').source)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Models API" not in shown.stdout


def test_what_was_stored_is_used_by_an_explicit_line_only(cache: Path) -> None:
    with asked("anthropic", page(NEW, OPUS)) as (backend, _):
        fresh = nv.models(refresh=True, backend=backend)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.parent.stat().st_mode) == 0o700
    assert [found.name for found in cache.parent.iterdir()] == ["models.json"]
    assert KEY not in cache.read_text()
    use_models([])
    assert find_model("claude-haiku-6").note.startswith("not in")
    stored = nv.models(refresh="stored")
    assert tuple(stored) == tuple(fresh)
    assert stored[0].as_of == TODAY


def spoil(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def write(cache: Path) -> None:
        kept = json.loads(cache.read_text())
        changed = change(kept)
        cache.write_text(json.dumps(kept if changed is None else changed))

    return write


SPOILED: dict[str, Callable[[Path], object]] = {
    "absent": lambda cache: cache.unlink(),
    "empty": lambda cache: cache.write_text(""),
    "cut": lambda cache: cache.write_text(cache.read_text()[:-20]),
    "no text": lambda cache: cache.write_bytes(b"\xff\xfe\x00"),
    "deep": lambda cache: cache.write_text("[" * 100_000),
    "newer": spoil(lambda kept: kept.update(format=2)),
    "a list": spoil(lambda _: []),
    "no models": spoil(lambda kept: kept.update(models=7)),
    "a wrong row": spoil(lambda kept: kept["models"].append({"id": 7})),
    "no day": spoil(lambda kept: kept.update(as_of="soon")),
    "no source": spoil(lambda kept: kept.update(source=None)),
    "writable by all": lambda cache: cache.chmod(0o666),
    "too large": lambda cache: cache.write_text(" " * 4_000_001),
    "a folder": lambda cache: (cache.unlink(), cache.mkdir()),
    "a link": lambda cache: (cache.rename(cache.with_name("x")), cache.symlink_to("x")),
    "a pipe": lambda cache: (cache.unlink(), os.mkfifo(cache)),
}


@pytest.mark.skipif(sys.platform == "win32", reason="rights and pipes are another matter there")
@pytest.mark.parametrize("kind", SPOILED)
def test_a_file_that_cannot_be_trusted_is_no_file(kind: str, cache: Path) -> None:
    with asked("anthropic", page(NEW)) as (backend, _):
        nv.models(refresh=True, backend=backend)
    use_models([])
    SPOILED[kind](cache)
    with pytest.raises(RequestError, match="no list of models is stored") as caught:
        nv.models(refresh="stored")
    assert "refresh=True" in caught.value.cure
    assert tuple(nv.models()) == shipped_models()


def test_a_home_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    with asked("anthropic", page(NEW)) as (backend, _):
        assert nv.models(refresh=True, backend=backend)[0].id == "claude-haiku-6"


def test_without_a_cache_variable_the_home_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    with asked("anthropic", page(NEW)) as (backend, _):
        nv.models(refresh=True, backend=backend)
    assert len(list(tmp_path.rglob("nbvision/models.json"))) == 1


@pytest.mark.parametrize("wrong", ["yes", 1, None, "Stored"])
def test_another_wish_is_refused(wrong: Any) -> None:
    with pytest.raises(RequestError, match="refresh="):
        nv.models(refresh=wrong)


def test_a_door_without_a_list_says_where_there_is_one() -> None:
    backend = door("bedrock", "http://127.0.0.1:9")
    with pytest.raises(RequestError, match="no Models API") as caught:
        nv.models(refresh=True, backend=backend)
    assert 'nv.connect("anthropic")' in caught.value.cure
    nowhere: Answer = lambda c, _: c.reply({"error": {"type": "not_found_error"}}, 404)  # noqa: E731
    with asked("anthropic", nowhere) as (here, _), pytest.raises(RequestError, match="no Models"):
        nv.models(refresh=True, backend=here)


def endless(connection: Connection, arrived: Arrived) -> None:
    """Name a next page for ever."""
    asked_after = re.search(r"after_id=claude-(\d+)", arrived.line)
    name = f"claude-{int(asked_after[1]) + 1 if asked_after else 1}"
    page(NEW | {"id": name}, has_more=True, last_id=name)(connection, arrived)


LISTED = {"id": "claude-opus-6", "lifecycle": "active"}
HOSTILE: dict[str, tuple[Answer, type[NbvisionError]]] = {
    "a login page": (
        lambda c, _: c.reply(b"<!doctype html>", content_type="text/html"),
        UnreadableAnswer,
    ),
    "in disguise": (lambda c, _: c.reply(b"<!doctype html>"), UnreadableAnswer),
    "nothing": (lambda c, _: c.reply(b""), UnreadableAnswer),
    "null": (lambda c, _: c.reply(None), UnreadableAnswer),
    "no page": (lambda c, _: c.reply({"message": "unknown operation"}), UnreadableAnswer),
    "data is an object": (page(data={}), UnreadableAnswer),
    "a row is a number": (page(7), UnreadableAnswer),
    "NaN": (page(OPUS | {"max_tokens": float("nan")}), UnreadableAnswer),
    "a count as text": (page(OPUS | {"max_tokens": "many"}), UnreadableAnswer),
    "a count that is true": (page(OPUS | {"max_tokens": True}), UnreadableAnswer),
    "a count below one": (page(OPUS | {"max_tokens": 0}), UnreadableAnswer),
    "a count beyond all": (page(OPUS | {"max_input_tokens": 10**30}), UnreadableAnswer),
    "an id with a line break": (page(OPUS | {"id": "claude\nopus"}), UnreadableAnswer),
    "an id without end": (page(OPUS | {"id": "c" * 10**6}), UnreadableAnswer),
    "no such day": (page(OPUS | {"retires_at": "2027-02-31T00:00:00Z"}), UnreadableAnswer),
    "another life": (page(OPUS | {"lifecycle": "undead"}), UnreadableAnswer),
    "abilities are a list": (page(OPUS | {"capabilities": [1]}), UnreadableAnswer),
    "an ability is true": (
        page(OPUS | {"capabilities": {"image_input": True}}),
        UnreadableAnswer,
    ),
    "a page after nothing": (page(has_more=True, last_id="a"), UnreadableAnswer),
    "more, but not after what": (page(OPUS, has_more=True), UnreadableAnswer),
    "round and round": (page(OPUS, has_more=True, last_id="claude-opus-5-5"), UnreadableAnswer),
    "pages without end": (endless, UnreadableAnswer),
    "more rows than there are models": (
        page(*[LISTED] * 10_001, has_more=True, last_id="a"),
        UnreadableAnswer,
    ),
    "refused": (lambda c, _: c.reply({}, 403), AccessDenied),
    "reset": (lambda c, _: c.reset(), ConnectionLost),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_list_is_one_error_and_changes_nothing(kind: str, cache: Path) -> None:
    answer, error = HOSTILE[kind]
    with asked("anthropic", answer) as (backend, place), pytest.raises(error) as caught:
        nv.models(refresh=True, backend=backend)
    assert len(place.arrived) <= 50
    assert caught.value.cure
    assert_nothing_foreign_hangs_on(caught.value)
    assert tuple(nv.models()) == shipped_models()
    assert not cache.exists()


ROWS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*OPUS, "supported", "low", "effort"]), inner, max_size=6)
    ),
    max_leaves=12,
)


@given(ROWS, st.sampled_from([*OPUS]))
def test_any_row_is_read_or_refused(value: object, field: str) -> None:
    for row in (value, OPUS | {field: value}, OPUS | {"capabilities": {"effort": value}}):
        try:
            found = read_row(row)
        except AnswerError:
            continue
        assert read_row(found.as_row()) == found
        assert merged([found], "a test", TODAY)


def test_the_first_of_two_spellings_counts_and_old_days_are_no_days() -> None:
    twice = [
        ListedModel("claude-opus-5-5-20260922", "active", context_tokens=5),
        ListedModel("claude-opus-5-5", "active", context_tokens=6),
    ]
    rows = {model.id: model for model in merged(twice, "a test", TODAY)}
    assert rows["claude-opus-5-5"].context_tokens == 5
    assert read_row(OPUS | {"created_at": "1970-01-01T00:00:00Z"}).released is None
    assert read_page({"data": [], "has_more": False}) == ([], None)


def test_an_effort_that_the_model_does_not_take_is_refused_before_sending() -> None:
    practice: Backend = nv.connect("practice", words_per_second=None)
    options: dict[str, Any] = {"model": "claude-opus-5-5", "backend": practice}
    assert nv.build_request(nv.samples.shapes, effort="max", **options).effort == "max"
    known = find_model("claude-opus-5-5")
    use_models([replace(known, efforts=("low", "high"))])
    assert nv.build_request(nv.samples.shapes, effort="high", **options).effort == "high"
    with pytest.raises(RequestError, match="effort='max'") as caught:
        nv.build_request(nv.samples.shapes, effort="max", **options)
    assert caught.value.limit == "claude-opus-5-5 takes low, high"
    use_models([replace(known, efforts=())])
    with pytest.raises(RequestError, match="effort='low'"):
        nv.build_request(nv.samples.shapes, effort="low", **options)
