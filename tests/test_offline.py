"""Without a key, and with nothing sent, a reader is answered as the author was: at every door."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from doors import ADDRESSES_OF, KEY, OPTIONS, THROUGH_BOTO, WITH_TOKEN, door, every_door
from PIL import Image
from wire import answer_well, wire

import nbvision as nv
from nbvision.backends import Backend
from nbvision.backends.connection import BACKENDS
from nbvision.backends.offline import stands_for
from nbvision.catalogue import DEFAULT_MODEL
from nbvision.errors import NotConnected
from nbvision.origins import Origin
from nbvision.replies_folder import OFFLINE, RepliesFolder
from nbvision.results import Reply

PICTURE = Image.new("RGB", (60, 40), "teal")
NOTHING_THERE = "http://127.0.0.1:9"


def connect(name: str, **more: Any) -> Backend:
    """Connect as a notebook does whose environment names the address."""
    key = {"access_token": KEY} if name in WITH_TOKEN else {"api_key": KEY}
    asked = "anthropic" if name == "compatible" else name
    return nv.connect(asked, **{**OPTIONS[name], **key, **more})


def origin_file(folder: Path) -> Path:
    (found,) = folder.glob("_origin.*.json")
    return found


def shown(backend: Backend) -> str:
    return nv.describe(PICTURE, backend=backend).text


@every_door
def test_every_door_finds_its_replies_by_the_address_it_was_given(
    name: str, tmp_path: Path
) -> None:
    with wire(answer_well) as place:
        text = shown(door(name, place.url, replies=tmp_path))
        origin_file(tmp_path).unlink()  # in the same surroundings it is not needed
        assert shown(door(name, place.url, replies=tmp_path, offline=True)) == text
        assert len(place.arrived) == 1
    with pytest.raises(NotConnected, match="no stored reply"):
        shown(door(name, NOTHING_THERE, replies=tmp_path, offline=True))


@pytest.mark.parametrize("name", ADDRESSES_OF)
def test_every_door_finds_its_replies_by_the_address_of_the_environment(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with wire(answer_well) as place:
        monkeypatch.setenv(ADDRESSES_OF[name], place.url)
        text = shown(connect(name, replies=tmp_path))
        origin = origin_file(tmp_path)
        known = origin.read_bytes()
        origin.unlink()
        assert shown(connect(name, replies=tmp_path, offline=True)) == text
        # A reader has no such variable, or another one: the folder knows.
        origin.write_bytes(known)
        monkeypatch.delenv(ADDRESSES_OF[name])
        assert shown(connect(name, replies=tmp_path, offline=True)) == text
        monkeypatch.setenv(ADDRESSES_OF[name], NOTHING_THERE)
        assert shown(connect(name, replies=tmp_path, offline=True)) == text
        assert len(place.arrived) == 1
    assert place.url.encode() not in b"".join(each.read_bytes() for each in tmp_path.iterdir())


def test_no_backend_needs_anything_of_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody's")
    for name in BACKENDS:
        backend = nv.connect(name, replies=tmp_path, offline=True)
        assert backend.name == name
        with pytest.raises(NotConnected, match="no stored reply"):
            shown(backend)


def test_of_foundry_each_resource_is_another(tmp_path: Path) -> None:
    addresses = {
        nv.connect("foundry", resource=each, api_key=KEY).address for each in ("school", "lab")
    }
    offline = {
        nv.connect("foundry", resource=each, replies=tmp_path, offline=True).address
        for each in ("school", "lab")
    }
    assert offline == addresses
    assert len(addresses) == 2


@pytest.fixture
def author(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose author had a key and named nothing."""
    folder = tmp_path / "lesson.replies"
    with wire(answer_well) as place:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", place.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        nv.describe(PICTURE, backend=nv.connect(replies=folder))
    for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name)
    return folder


def test_who_was_chosen_for_the_author_is_chosen_for_the_reader(author: Path) -> None:
    backend = nv.connect(replies=author, offline=True)
    assert backend.name == "anthropic"
    assert "the folder of replies says who" in backend.why
    assert nv.describe(PICTURE, backend=backend).from_store is not None


def test_a_reader_s_own_key_changes_nothing(author: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", KEY)
    backend = nv.connect(replies=author, offline=True)
    assert nv.describe(PICTURE, backend=backend).from_store is not None


def test_a_default_model_of_another_version_is_known(
    author: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbvision.backends.offline.DEFAULT_MODEL", "claude-haiku-4-5")
    assert nv.connect(replies=author, offline=True).model == DEFAULT_MODEL


def test_what_the_notebook_says_is_not_overruled(author: Path) -> None:
    assert nv.connect("practice", replies=author, offline=True).name == "practice"
    asked = nv.connect("anthropic", model="claude-haiku-4-5", replies=author, offline=True)
    assert asked.model == "claude-haiku-4-5"
    both = [Origin("anthropic", "anthropic"), Origin("bedrock", "bedrock")]
    assert stands_for(both, None, None, {}) is None


@pytest.mark.parametrize(
    "origin",
    [
        {},
        {"backend": None},
        {"backend": "<script>"},
        {"backend": "anthropic", "place": "../x"},
        {"backend": "anthropic", "place": "anthropic", "said": "x"},
        {"backend": "a" * 10_000},
    ],
)
def test_a_stranger_s_origin_chooses_nobody_unknown(
    tmp_path: Path, origin: dict[str, object]
) -> None:
    (tmp_path / "_origin.0.json").write_text(json.dumps({"format": 1, **origin}))
    assert nv.connect(replies=tmp_path, offline=True).name == "practice"


def test_refresh_means_nothing_where_nothing_is_sent(tmp_path: Path) -> None:
    practice = nv.connect("practice", words_per_second=None, replies=tmp_path)
    text = nv.describe(PICTURE, backend=practice).text
    offline = nv.connect("practice", replies=tmp_path, offline=True)
    assert nv.describe(PICTURE, backend=offline, refresh=True).text == text


def test_what_a_stranger_s_folder_says_is_shown_and_does_nothing(tmp_path: Path) -> None:
    practice = nv.connect("practice", words_per_second=None, replies=tmp_path)
    nv.describe(PICTURE, backend=practice)
    (path,) = RepliesFolder(tmp_path).files()
    found = json.loads(path.read_text(encoding="utf-8"))
    found["message"]["content"][0]["text"] = ["<script>alert(1)</script>"]
    found["message"]["model"] = "<img src=x onerror=alert(1)>"
    path.write_text(json.dumps(found))
    reply = nv.describe(PICTURE, backend=nv.connect("practice", replies=tmp_path, offline=True))
    shown = reply._repr_mimebundle_()["text/html"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script" not in shown
    assert "<img src=x" not in shown


def at(name: str, url: str, **more: Any) -> Backend:
    where = "endpoint_url" if name in THROUGH_BOTO else "base_url"
    return nv.connect(name, api_key=KEY, **{where: url}, **more)


def test_uploads_are_named_and_answered_without_sending(tmp_path: Path) -> None:
    with wire(answer_well) as place:
        online = at("anthropic", place.url, platform="anthropic", replies=tmp_path)
        text = nv.describe(PICTURE, backend=online).text
    given: Mapping[str, Any] = {"platform": "anthropic", "replies": tmp_path, "offline": True}
    backend = at("anthropic", place.url, **given)
    first, again = (nv.upload(PICTURE, backend=backend) for _ in range(2))
    assert first.file_id == again.file_id
    assert hashlib.sha256(first.data).hexdigest()[:24] in first.file_id
    assert nv.describe(first, backend=backend).text == text
    with pytest.raises(NotConnected, match="offline"):
        nv.files(backend=backend)
    with pytest.raises(NotConnected, match="offline"):
        nv.delete_files(first, backend=backend)


def test_what_only_a_service_can_say_is_refused_with_a_cure(tmp_path: Path) -> None:
    backend = nv.connect("anthropic", replies=tmp_path, offline=True)
    with pytest.raises(NotConnected, match="offline=True"):
        nv.prove(PICTURE, backend=backend)
    with pytest.raises(NotConnected, match="offline=True"):
        nv.models(refresh=True, backend=backend)
    assert not nv.estimate(PICTURE, "What?", backend=backend).rows[0].is_counted


def test_practice_on_this_machine_counts_and_keeps_files_but_does_not_answer(
    tmp_path: Path,
) -> None:
    backend = nv.connect("practice", replies=tmp_path, offline=True)
    assert nv.prove(PICTURE, backend=backend).agrees
    assert nv.models(refresh=True, backend=backend)
    uploaded = nv.upload(PICTURE, backend=backend)
    assert uploaded.file_id in [row.id for row in nv.files(backend=backend)]
    assert nv.delete_files(uploaded, backend=backend) == [uploaded.file_id]
    with pytest.raises(NotConnected, match="no stored reply"):
        nv.describe(PICTURE, backend=backend)


def test_conversations_panels_and_awaited_calls_are_answered_offline(tmp_path: Path) -> None:
    def lesson(backend: Backend) -> list[str]:
        chat = nv.Conversation(backend=backend)
        said = [chat.ask("What is this?", nv.samples.shapes).text, chat.ask("And what else?").text]
        awaited = asyncio.run(nv.to_thread(nv.describe, nv.samples.page, backend=backend))
        panel = nv.AskPanel(nv.samples.shapes, backend=backend)
        panel.ask()
        shown = panel.wait(seconds=30)
        panel.close()
        assert isinstance(shown, Reply)
        return [*said, awaited.text, shown.text]

    practice = nv.connect("practice", words_per_second=None, replies=tmp_path)
    said = lesson(practice)
    assert lesson(nv.connect("practice", replies=tmp_path, offline=True)) == said
    assert len(list(RepliesFolder(tmp_path).files())) == len(said)


def test_the_folder_of_the_environment_answers_besides_the_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, around = tmp_path / "own", tmp_path / "around"
    practice = nv.connect("practice", words_per_second=None, replies=around)
    text = nv.describe(PICTURE, backend=practice).text
    monkeypatch.setenv(OFFLINE, str(around))
    assert nv.describe(PICTURE, backend=nv.connect("practice", replies=own)).text == text
    assert len(list(RepliesFolder(own).files())) == 1
