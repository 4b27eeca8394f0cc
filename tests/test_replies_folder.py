"""Replies beside the notebook: small files that git can hold, and that nobody need trust."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from wire import MESSAGE

import nbvision as nv
from nbvision.cli import main
from nbvision.errors import RequestError, StoreFailed
from nbvision.origins import Origin
from nbvision.replies_folder import RepliesFolder, Surroundings
from nbvision.response import parse_response
from nbvision.store import Intent, SentPicture, StoreNotice, notices

NAME = "0123456789abcdef" * 4
THEN = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)
SHOWN = SentPicture("jpeg:12", "door.jpg", {"original": [9, 8]}, lambda: b"small")
INTENT = Intent(
    NAME, "exact", "practice", "practice", "practice-high", "Describe this image!\nBe brief.",
    parameters={"max_tokens": 8192}, pictures=(SHOWN,),
)  # fmt: skip
TEXT = "A red door.\n\nAnd “a wall”, 壁 \ud83d\udeaa.".encode("utf-16", "surrogatepass").decode(
    "utf-16"
)
ANSWER = parse_response({**MESSAGE, "content": [{"type": "text", "text": TEXT}]})


@pytest.fixture(autouse=True)
def _notices_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_said", set())


@pytest.fixture
def folder(tmp_path: Path) -> RepliesFolder:
    return RepliesFolder(tmp_path / "lesson.replies")


@pytest.fixture
def path(folder: RepliesFolder) -> Path:
    return folder.write(INTENT, ANSWER, THEN)


def test_what_is_written_is_read(folder: RepliesFolder) -> None:
    assert folder.read(INTENT) is None
    folder.write(INTENT, ANSWER, THEN)
    found = folder.read(INTENT)
    assert found is not None
    assert found.response.text == TEXT
    assert found.response.usage == ANSWER.usage
    assert found.asked_at.date() == THEN.date()
    assert folder.read(replace(INTENT, sample=1)) is None
    assert folder.read(replace(INTENT, name="f" * 64)) is None
    assert folder.problems() == []


def test_a_file_reads_like_text_and_is_the_same_when_written_again(
    folder: RepliesFolder, path: Path
) -> None:
    assert path.name == "describe-this-image-be-brief.0123456789abcdef.json"
    data = path.read_text(encoding="utf-8")
    found = json.loads(data)
    assert list(found) == sorted(found)
    assert found["message"]["content"][0]["text"] == TEXT.split("\n")
    assert found["prompt"] == ["Describe this image!", "Be brief."]
    assert '"A red door.",\n' in data
    assert "壁" in data
    assert "small" not in data
    folder.write(INTENT, ANSWER, THEN.replace(hour=1))
    assert path.read_text(encoding="utf-8") == data
    assert [each.name for each in folder.path.iterdir()] == [path.name]


def test_samples_lie_side_by_side(folder: RepliesFolder) -> None:
    for sample in (0, 1, 2):
        folder.write(replace(INTENT, sample=sample), ANSWER, THEN)
    assert [each.name.split(".", 1)[1] for each in folder.files()] == [
        "0123456789abcdef.json",
        "0123456789abcdef.s1.json",
        "0123456789abcdef.s2.json",
    ]
    assert folder.read(replace(INTENT, sample=2)) is not None


def test_thumbnails_are_kept_if_asked_for(tmp_path: Path) -> None:
    folder = RepliesFolder(tmp_path / "r", thumbnails=True)
    found = json.loads(folder.write(INTENT, ANSWER, THEN).read_text())
    assert found["pictures"] == [
        {"name": "jpeg:12", "original": [9, 8], "source": "door.jpg", "thumbnail": "c21hbGw="}
    ]


@pytest.mark.parametrize("prompt", ["../../etc/passwd", "", "何ですか", "CON", "a" * 500, "\0"])
def test_no_prompt_leads_out_of_the_folder(folder: RepliesFolder, prompt: str) -> None:
    written = folder.write(replace(INTENT, prompt=prompt), ANSWER, THEN)
    assert written.parent == folder.path
    assert len(written.name) < 80
    assert folder.read(replace(INTENT, prompt=prompt)) is not None


def changed(**more: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | more))

    return change


def message(**more: Any) -> Callable[[Path], None]:
    lined = {**MESSAGE, "content": [{"type": "text", "text": ["A door."]}]}
    return changed(message={**lined, **more})


def conflict(path: Path) -> None:
    path.write_text("<<<<<<< ours\n" + path.read_text(encoding="utf-8"))


def huge(path: Path) -> None:
    path.write_bytes(b" " * 9_000_000)


def deep(path: Path) -> None:
    path.write_text("[" * 100_000)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


DAMAGES = [
    conflict,
    huge,
    deep,
    pipe,
    link,
    lambda path: path.write_bytes(b"\xff\xfe"),
    lambda path: path.write_text("null"),
    lambda path: path.write_text('{"format": NaN}'),
    changed(format="1"),
    changed(name="f" * 64),
    changed(sample=3),
    changed(asked_on="<script>"),
    changed(message=None),
    changed(message={"content": "x"}),
    message(content=[{"type": "text", "text": "not lines"}]),
    message(content=[{"type": "text", "text": [1]}]),
    message(content=[None]),
    message(stop_reason="refusal"),
    message(stop_reason="max_tokens"),
    message(usage={"input_tokens": -1, "output_tokens": 1}),
    message(role="user"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_good_reply_is_named_and_not_given(
    folder: RepliesFolder, path: Path, damage: Callable[[Path], None]
) -> None:
    damage(path)
    with pytest.warns(StoreNotice, match=path.name):
        assert folder.read(INTENT) is None
    assert os.path.lexists(path)


def test_problems_are_listed_for_the_whole_folder(folder: RepliesFolder, path: Path) -> None:
    folder.write(replace(INTENT, sample=1), ANSWER, THEN)
    conflict(path)
    assert folder.problems() == [f"{path.name}: it holds the marks of a merge"]


def test_what_cannot_be_read_is_kept_when_a_new_reply_comes(
    folder: RepliesFolder, path: Path
) -> None:
    conflict(path)
    data = path.read_bytes()
    with pytest.warns(StoreNotice, match="kept as"):
        folder.write(INTENT, ANSWER, THEN)
    assert folder.read(INTENT) is not None
    assert path.with_name(f"{path.name}.unusable").read_bytes() == data


def test_nothing_that_was_kept_aside_is_written_over(folder: RepliesFolder, path: Path) -> None:
    broken = [b"<<<<<<< ours\n1", b"<<<<<<< ours\n2"]
    for data in broken:
        path.write_bytes(data)
        with pytest.warns(StoreNotice, match="kept as"):
            folder.write(INTENT, ANSWER, THEN)
    aside = sorted(folder.path.glob("*.unusable*"), key=lambda each: each.name)
    assert [each.read_bytes() for each in aside] == broken
    assert folder.read(INTENT) is not None


@pytest.mark.parametrize(
    "passing",
    [
        {"id": "msg_other"},
        {"usage": {"input_tokens": 4, "output_tokens": 2, "cache_read_input_tokens": 1296}},
    ],
)
def test_the_same_answer_on_another_day_leaves_the_file_as_it_is(
    folder: RepliesFolder, path: Path, passing: dict[str, Any]
) -> None:
    data = path.read_bytes()
    again = parse_response({**ANSWER.raw, **passing})
    folder.write(INTENT, again, THEN.replace(year=2027))
    assert path.read_bytes() == data
    assert b"msg_" not in data


def test_another_answer_changes_its_own_lines_only(folder: RepliesFolder, path: Path) -> None:
    before = path.read_text(encoding="utf-8").splitlines()
    content = [{"type": "text", "text": TEXT.replace("red", "green")}]
    folder.write(INTENT, parse_response({**ANSWER.raw, "content": content}), THEN)
    after = path.read_text(encoding="utf-8").splitlines()
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert [line.strip() for line in changed] == ['"A green door.",']


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_of_windows_read_the_same(folder: RepliesFolder, path: Path, mark: bytes) -> None:
    path.write_bytes(mark + path.read_bytes().replace(b"\n", b"\r\n"))
    data = path.read_bytes()
    found = folder.read(INTENT)
    assert found is not None
    assert found.response.text == TEXT
    folder.write(INTENT, ANSWER, THEN)
    assert path.read_bytes() == data


@pytest.mark.parametrize("prompt", ["Con", "NUL?", "com1", "prn."])
def test_no_name_is_a_device_of_windows(folder: RepliesFolder, prompt: str) -> None:
    stem = folder.path_of(replace(INTENT, prompt=prompt)).name.partition(".")[0]
    assert stem not in {"con", "nul", "com1", "prn"}


@pytest.mark.usefixtures("path")
def test_a_reply_is_found_without_looking_through_the_folder(
    folder: RepliesFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "listdir", refuse)
    assert folder.read(INTENT) is not None
    folder.write(INTENT, ANSWER, THEN)


def test_many_write_the_same_reply_at_once(folder: RepliesFolder) -> None:
    origin = Origin("anthropic", "anthropic")
    bound = folder.asked_through(origin)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: bound.write(INTENT, ANSWER, THEN), range(40)))
    assert folder.read(INTENT) is not None
    assert folder.origins() == [origin]
    assert len(list(folder.path.iterdir())) == 2


def test_of_origins_that_come_at_once_none_is_lost(folder: RepliesFolder) -> None:
    origins = [Origin("anthropic", "anthropic", model=f"model {number}") for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        for each in origins:
            pool.submit(folder.asked_through(each).write, INTENT, ANSWER, THEN)
    assert folder.origins() == sorted(origins)
    assert len(list(folder.files())) == 1


@pytest.mark.parametrize(
    ("raw", "picture"),
    [
        ({"score": float("nan"), "usage": {**MESSAGE["usage"], "x": float("-inf")}}, SHOWN),
        ({}, replace(SHOWN, fit={"scale": float("nan")})),
    ],
)
def test_a_number_that_is_none_is_kept_as_none(
    folder: RepliesFolder, raw: dict[str, Any], picture: SentPicture
) -> None:
    intent = replace(INTENT, pictures=(picture,))
    for _ in range(2):
        data = folder.write(intent, parse_response({**MESSAGE, **raw}), THEN).read_bytes()
        assert b"null" in data
    assert folder.read(intent) is not None
    assert len(list(folder.path.iterdir())) == 1


def nested() -> Any:
    found: list[Any] = []
    for _ in range(20_000):
        found = [found]
    return found


@pytest.mark.parametrize("value", [nested(), object()])
def test_what_cannot_be_written_is_an_error_that_does_not_lose_the_answer(
    folder: RepliesFolder, value: object
) -> None:
    with pytest.raises(StoreFailed, match="cannot be written"):
        folder.write(INTENT, parse_response({**MESSAGE, "more": value}), THEN)
    assert folder.read(INTENT) is None


def test_a_thumbnail_that_fails_does_not_lose_the_answer(tmp_path: Path) -> None:
    def fail() -> bytes:
        raise ZeroDivisionError

    folder = RepliesFolder(tmp_path, thumbnails=True)
    with pytest.raises(StoreFailed, match="cannot be written"):
        folder.write(replace(INTENT, pictures=(replace(SHOWN, thumbnail=fail),)), ANSWER, THEN)


def test_the_report_names_a_reply_that_could_not_be_written(
    folder: RepliesFolder, path: Path, tmp_path: Path
) -> None:
    changed(format=2)(path)
    report = tmp_path / "report"
    with pytest.raises(StoreFailed):
        folder.asked_through(Origin("practice", said=("backend",)), report).write(
            INTENT, ANSWER, THEN
        )
    (line,) = report.read_text().splitlines()
    assert json.loads(line)["missing"].startswith(f"{path.name} was written by a newer nbvision")


@pytest.mark.parametrize("path", ["a\0b", "~nobody-of-this-name/r"])
def test_a_folder_that_can_be_none_is_said_before_anything_is_asked(path: str) -> None:
    with pytest.raises(RequestError, match="replies="):
        nv.connect("practice", replies=path)


def test_a_reply_behind_is_given_where_the_notebook_s_own_folder_cannot_be_written(
    folder: RepliesFolder,
) -> None:
    folder.write(INTENT, ANSWER, THEN)
    both = Surroundings(folder.path).folder_for("/proc/nbvision", offline=False)
    assert both is not None
    with pytest.warns(StoreNotice, match="cannot be written"):
        found = both.read(INTENT)
    assert found is not None


def test_others_may_read_what_is_meant_for_them(path: Path) -> None:
    mask = os.umask(0o022)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_broken_origin_is_kept_aside(folder: RepliesFolder, tmp_path: Path) -> None:
    origin = Origin("anthropic", "anthropic")
    bound = folder.asked_through(origin)
    bound.write(INTENT, ANSWER, THEN)
    (file,) = folder.path.glob("_origin.*.json")
    precious = tmp_path / "precious"
    precious.write_text("<<<<<<< ours")
    file.unlink()
    file.symlink_to(precious)
    with pytest.warns(StoreNotice, match=file.name):
        bound.write(INTENT, ANSWER, THEN)
    assert folder.origins() == [origin]
    assert precious.read_text() == "<<<<<<< ours"
    assert file.with_name(f"{file.name}.unusable").is_symlink()
    assert len(list(folder.files())) == 1


def test_a_newer_format_is_neither_given_nor_overwritten(folder: RepliesFolder, path: Path) -> None:
    changed(format=2)(path)
    data = path.read_bytes()
    with pytest.warns(StoreNotice, match="newer nbvision"):
        assert folder.read(INTENT) is None
    with pytest.raises(StoreFailed, match="newer nbvision"):
        folder.write(INTENT, ANSWER, THEN)
    assert path.read_bytes() == data


def test_a_folder_that_cannot_be_written_is_a_typed_error() -> None:
    with pytest.raises(StoreFailed, match="cannot be written"):
        RepliesFolder("/proc/nbvision").write(INTENT, ANSWER, THEN)


def test_the_command_line_checks_a_folder(
    folder: RepliesFolder, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replies", "check", str(folder.path)]) == 0
    conflict(path)
    assert main(["replies", "check", str(folder.path)]) == 1
    assert main(["replies", "check", str(folder.path.with_name("none"))]) == 1
    said = capsys.readouterr()
    assert said.out == "1 stored reply, all whole\n"
    assert f"{path.name}: it holds the marks of a merge" in said.err
