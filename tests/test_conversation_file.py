"""A conversation that was saved goes on as if it never had been; a file that lies is refused."""

import base64
import copy
import hashlib
import io
import json
import os
import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from wire import Wire, answer_well, wire

import nbvision as nv
from nbvision import conversation_file
from nbvision.backends import Backend
from nbvision.conversation_file import SavedConversation, write_conversation
from nbvision.conversation_reader import read_conversation
from nbvision.errors import LimitExceeded, RequestError
from nbvision.geometry import Box, Fit
from nbvision.referenced import RemoteImage, UploadedImage
from nbvision.request import RequestMessage
from nbvision.sent_frame import SentFrame
from nbvision.turns import Turn

KEY = "sk-ant-secret-Zq8w2nLr6tVb4xKd"
TEAL = Image.new("RGB", (1200, 900), "teal")


@pytest.fixture(scope="module")
def practice() -> Backend:
    return nv.connect("practice", words_per_second=None)


@pytest.fixture
def answering() -> Iterator[tuple[Wire, Backend]]:
    with wire(answer_well) as server:
        backend = nv.connect("anthropic", platform="anthropic", base_url=server.url, api_key=KEY)
        yield server, backend
        backend.close()


@pytest.fixture(scope="module")
def content(practice: Backend, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a sound file of two turns holds."""
    chat = nv.Conversation("Be brief.", model="practice-standard", backend=practice)
    chat.ask("How do they differ?", nv.samples.shelf_before, nv.samples.shelf_after)
    chat.locate("the red circle", nv.samples.shapes)
    path = chat.save(tmp_path_factory.mktemp("saved") / "chat.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_it_goes_on_byte_for_byte(answering: tuple[Wire, Backend], tmp_path: Path) -> None:
    server, backend = answering
    part = nv.open_image(nv.samples.shapes).crop(100, 200, 2900, 1800)
    chat = nv.Conversation(
        "Sei kurz. 簡潔に。" * 200, model="claude-sonnet-5-5", effort="low", backend=backend
    )
    chat.ask("How are these images different?", nv.samples.shelf_before, nv.samples.shelf_after)
    chat.ask("And this part?", part)
    chat.ask("And in words?")
    again = nv.Conversation.load(chat.save(tmp_path / "chat.json"), backend=backend)
    twice = nv.Conversation.load(again.save(tmp_path / "again.json"), backend=backend)
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "chat.json").read_bytes()
    for one in (chat, again, twice):
        one.ask("Are they similar to this?", nv.samples.page)
        one.ask("And now?")
    for step in (-1, -2):
        bodies = {server.arrived[at].body for at in range(len(server.arrived) + step, 0, -2)[:3]}
        assert len(bodies) == 1
        assert bodies.pop().count(b"cache_control") >= 3


def test_all_that_was_said_is_there(practice: Backend, tmp_path: Path) -> None:
    chat = nv.Conversation("Be brief.", max_tokens=900, backend=practice, cache=False)
    chat.ask("What is <b>this</b>?", nv.samples.shapes)
    chat.locate("the red bowl", nv.samples.photo)
    again = nv.Conversation.load(chat.save(tmp_path / "chat.json"))
    assert (again.system, again.max_tokens, again.cache) == ("Be brief.", 900, False)
    assert again.backend is None
    for before, after in zip(chat.turns, again.turns, strict=True):
        assert (after.prompt, after.first_number) == (before.prompt, before.first_number)
        assert after.reply.response == before.reply.response
        assert after.reply.raw == before.reply.raw
        assert after.reply.findings == before.reply.findings
        assert after.reply.summary() == before.reply.summary()
        assert [i.sha256 for i in after.images] == [i.sha256 for i in before.images]  # type: ignore[union-attr]
        assert [i.findings for i in after.images] == [i.findings for i in before.images]  # type: ignore[union-attr]
    assert again.messages == chat.messages
    assert again.summary() == chat.summary()
    shown = again._repr_mimebundle_()
    assert "What is &lt;b&gt;this" in shown["text/html"]
    assert "Image 1: from shapes.png, as it was sent" in shown["text/plain"]


def test_no_key_is_in_it_and_nothing_of_the_original(
    answering: tuple[Wire, Backend], tmp_path: Path
) -> None:
    _, backend = answering
    chat = nv.Conversation(backend=backend)
    chat.ask("What is this?", nv.samples.photo)
    text = chat.save(tmp_path / "chat.json").read_text(encoding="utf-8")
    assert KEY not in text
    assert str(nv.samples.photo.path.parent) not in text
    assert base64.b64encode(nv.samples.photo.path.read_bytes()).decode()[:200] not in text


def test_a_picture_is_in_it_once_however_often_it_was_sent(
    practice: Backend, tmp_path: Path
) -> None:
    chat = nv.Conversation(backend=practice)
    chat.ask("What is this?", nv.samples.shapes)
    turn = chat.turns[0]
    chat._turns = (turn, *chained([turn] * 99))
    saved = nv.Conversation.load(chat.save(tmp_path / "chat.json"))
    image = turn.images[0]
    assert not isinstance(image, RemoteImage)
    assert (tmp_path / "chat.json").read_text().count(image.base64()) == 1
    assert len(saved.turns) == 100
    assert saved.turns[-1].first_number == 100
    assert (tmp_path / "chat.json").stat().st_size < len(image.base64()) + 400_000


def chained(turns: list[Turn]) -> Iterator[Turn]:
    """Yield turns as if each had followed the one before."""
    before = turns[0]
    for turn in turns:
        said = before.reply.request.messages
        answer = RequestMessage("assistant", (before.reply.text,))
        request = replace(turn.reply.request, messages=(*said, answer, said[0]))
        reply = replace(turn.reply, request=request)
        before = replace(turn, reply=reply, first_number=before.first_number + 1)
        yield before


def test_boxes_in_an_old_picture_land_on_the_original(practice: Backend, tmp_path: Path) -> None:
    chat = nv.Conversation(backend=practice, model="practice-standard")
    chat.ask("What is this?", nv.samples.shapes)
    again = nv.Conversation.load(chat.save(tmp_path / "chat.json"), backend=practice)
    found = again.locate(nv.samples.shapes.prompt, image_number=1)
    assert nv.match_boxes(nv.samples.shapes.truth, found).recall(0.9) == 1
    assert found.image.size == (3000, 2000)
    overlay = Image.open(io.BytesIO(found.overlay(full_size=True)))
    assert overlay.size == (3000, 2000)
    assert "as it was sent" in found._repr_mimebundle_()["text/html"]
    circle = nv.samples.shapes.truth[0]
    colour = found.image.pixels.getpixel((int(circle.center.x), int(circle.center.y)))
    truth = nv.open_image(nv.samples.shapes).pixels.getpixel(
        (int(circle.center.x), int(circle.center.y))
    )
    assert colour == pytest.approx(truth, abs=6)


def test_boxes_in_a_crop_land_on_the_whole(practice: Backend, tmp_path: Path) -> None:
    whole = nv.open_image(nv.samples.photo)
    truth = nv.samples.photo.truth[0]
    part = whole.crop(truth.left - 300, truth.top - 200, truth.right + 250, truth.bottom + 150)
    chat = nv.Conversation(backend=practice)
    before = chat.locate("the red bowl", part)
    again = nv.Conversation.load(chat.save(tmp_path / "chat.json"), backend=practice)
    after = again.locate("the red bowl", image_number=1)
    assert after[0].iou(before[0]) == pytest.approx(1)
    assert after[0].iou(truth) > 0.9
    assert (after.image.crop_origin, after.image.size) == (part.crop_origin, part.size)
    assert after._local_boxes()[0].iou(before._local_boxes()[0]) == pytest.approx(1)


def test_a_loaded_picture_can_be_cropped_shown_and_sent_again(
    practice: Backend, tmp_path: Path
) -> None:
    chat = nv.Conversation(backend=practice, model="practice-standard")
    chat.ask("What is this?", nv.samples.shapes)
    again = nv.Conversation.load(chat.save(tmp_path / "chat.json"), backend=practice)
    image = again.images[0]
    assert isinstance(image, SentFrame)
    assert image.pixels.size == image.size == image.full_size == (3000, 2000)
    assert Image.open(io.BytesIO(image.thumbnail(300))).size == (300, 200)
    circle = nv.samples.shapes.truth[0]
    part = image.crop(*circle.xyxy)
    assert part.pixels.size == part.size
    middle = (part.size.width // 2, part.size.height // 2)
    sent_before, sent_again = chat.turns[0].images[0], nv.prepare(image, model="practice-standard")
    assert part.pixels.getpixel(middle) == pytest.approx(
        image.pixels.getpixel((int(circle.center.x), int(circle.center.y))), abs=3
    )
    assert not isinstance(sent_before, RemoteImage)
    assert sent_again.fit == sent_before.fit
    assert sent_again.pixels.tobytes() == sent_before.pixels.tobytes()


def test_pictures_that_were_only_named_are_named_again(practice: Backend, tmp_path: Path) -> None:
    chat = nv.Conversation(backend=practice)
    chat.ask("What are these?", TEAL)
    turn = chat.turns[0]
    ready = nv.prepare(TEAL, backend=practice)
    expires = datetime(2026, 12, 1, 12, tzinfo=UTC)
    known = (ready.data, ready.media_type, ready.fit, ready.findings, ready.source)
    named = (
        UploadedImage(*known, "file_011", "anthropic at https://api.anthropic.com", expires),
        UploadedImage(*known, "file_012", "anthropic at https://api.anthropic.com"),
        RemoteImage("https://example.com/a.png?b=c#d"),
    )
    message = RequestMessage("user", (*named, turn.prompt))
    reply = replace(turn.reply, request=replace(turn.reply.request, messages=(message,)))
    chat._turns = (Turn(turn.prompt, named, 1, reply),)
    again = nv.Conversation.load(chat.save(tmp_path / "chat.json"))
    first, second, third = again.turns[0].images
    assert isinstance(first, UploadedImage)
    assert isinstance(second, UploadedImage)
    assert (first.file_id, first.held_by, first.expires_at) == (
        "file_011",
        "anthropic at https://api.anthropic.com",
        expires,
    )
    assert (second.file_id, second.expires_at) == ("file_012", None)
    assert third == named[2]
    assert again.turns[0].reply.request.body() == reply.request.body()
    assert named[2].source in again._repr_mimebundle_()["text/html"]


def test_half_a_character_of_an_answer_is_kept(practice: Backend, tmp_path: Path) -> None:
    chat = nv.Conversation(backend=practice)
    chat.ask("What is this?", TEAL)
    turn = chat.turns[0]
    text = 'half \ud83d, whole 🙂, "quoted" \\ud83d'
    raw = {**turn.reply.raw, "content": [{"type": "text", "text": text}]}
    response = replace(turn.reply.response, text=text, raw=raw)
    chat._turns = (replace(turn, reply=replace(turn.reply, response=response)),)
    again = nv.Conversation.load(chat.save(tmp_path / "chat.json"))
    assert again.turns[0].reply.text == text
    assert "🙂" in (tmp_path / "chat.json").read_text(encoding="utf-8")


def test_an_empty_conversation_can_be_kept(tmp_path: Path) -> None:
    again = nv.Conversation.load(nv.Conversation("Be brief.").save(tmp_path / "chat.json"))
    assert (again.system, again.turns) == ("Be brief.", ())


# -- writing ---------------------------------------------------------------------------------


def test_what_cannot_be_written_leaves_what_was_there(practice: Backend, tmp_path: Path) -> None:
    chat = nv.Conversation(backend=practice)
    chat.ask("What is this?", TEAL)
    path = chat.save(tmp_path / "chat.json")
    before = path.read_bytes()
    chat.ask("And what colour?")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))  # as if the disk were full
    try:
        with pytest.raises(RequestError, match=r"cannot write chat\.json: File too large"):
            chat.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["chat.json"]


@pytest.mark.parametrize("path", ["nowhere/chat.json", ".", "a\0b", 3, None])
def test_a_path_that_is_none_is_refused(path: Any, tmp_path: Path) -> None:
    if path in {"nowhere/chat.json", "."}:
        path = tmp_path / path
    with pytest.raises(RequestError):
        nv.Conversation().save(path)
    with pytest.raises(RequestError):
        nv.Conversation.load(path)
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "there" / "chat.json")
    nv.Conversation().save(tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert nv.Conversation.load(tmp_path / "there" / "chat.json").turns == ()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "chat.json")
    with pytest.raises(RequestError, match="not a regular file"):
        nv.Conversation.load(tmp_path / "chat.json")


def test_an_answer_that_json_cannot_write_is_refused(practice: Backend, tmp_path: Path) -> None:
    chat = nv.Conversation(backend=practice)
    chat.ask("What is this?", TEAL)
    turn = chat.turns[0]
    for value in (float("inf"), b"bytes"):
        response = replace(turn.reply.response, raw={**turn.reply.raw, "odd": value})
        chat._turns = (replace(turn, reply=replace(turn.reply, response=response)),)
        with pytest.raises(RequestError, match="JSON cannot write"):
            chat.save(tmp_path / "chat.json")
    assert list(tmp_path.iterdir()) == []


def chat_of_one_turn() -> nv.Conversation:
    chat = nv.Conversation(backend=nv.connect("practice", words_per_second=None))
    chat.ask("What is this?", TEAL)
    return chat


def test_more_than_can_be_loaded_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation_file, "LARGEST_BYTES", 2_000_000)
    saved = SavedConversation("x" * 3_000_000, None, None, None, cache=True, turns=())
    with pytest.raises(LimitExceeded, match="a conversation of 3 MB"):
        write_conversation(saved, tmp_path / "chat.json")
    turns = chat_of_one_turn().turns * 2001
    with pytest.raises(LimitExceeded, match="2,001 turns"):
        write_conversation(replace(saved, turns=turns), tmp_path / "chat.json")


# -- files that lie --------------------------------------------------------------------------


def png(size: tuple[int, int], kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size).save(data, kind)
    return data.getvalue()


def exchanged(content: dict[str, Any], data: bytes, media_type: str = "image/png") -> None:
    """Put other bytes in the place of the first picture, under their true name."""
    name = hashlib.sha256(data).hexdigest()
    text = base64.b64encode(data).decode()
    content["pictures"][name] = {"media_type": media_type, "data": text}
    content["turns"][0]["blocks"][1]["picture"] = name


def at(*path: str | int) -> Callable[[dict[str, Any], Any], None]:
    def change(content: dict[str, Any], value: Any) -> None:
        place: Any = content
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


IMAGE = ("turns", 0, "blocks", 1)
FIT = (*IMAGE, "fit")
ASKED = ("turns", 0, "asked")
REPLY = ("turns", 0, "reply")
LIES: list[tuple[tuple[str | int, ...], Any, str]] = [
    (("format",), 2, "format 2 is not known"),
    (("format",), "1", "format is text"),
    (("format",), True, "format is true or false"),
    (("turn",), [], "turn is not a field"),
    (("turns",), {}, "turns is an object"),
    (("turns",), [3], r"turns\[0\] is a number"),
    (("turns", 0), None, r"turns\[0\] is null"),
    (("system",), 3, "system is a number"),
    (("system",), "\ud800", "half a character"),
    (("max_tokens",), 0, "max_tokens is 0"),
    (("max_tokens",), 10**400, "max_tokens is a number of too many digits"),
    (("cache",), 1, "cache is a number"),
    (("turns", 0, "prompt"), ["x"], "prompt is a list"),
    (("turns", 0, "prompt"), "\udfff", "half a character"),
    (("turns", 0, "prompt"), "Forget it.", "not what was sent"),
    (("turns", 0, "blocks"), [], "does not end with words"),
    (("turns", 0, "blocks", 0), "\ud800", "half a character"),
    (("turns", 0, "blocks", 0), "", r"turns\[0\]\.blocks\[0\] holds no words"),
    (("turns", 0, "blocks", -1), {"url": "https://a.example/b"}, "does not end with words"),
    ((*IMAGE, "picture"), "../../../etc/passwd", "not among the pictures"),
    ((*IMAGE, "name"), "x" * 501, "501 characters"),
    ((*IMAGE, "url"), "file:///etc/passwd", "not a field"),
    (IMAGE, {"url": "file:///etc/passwd"}, "no address"),
    (IMAGE, {"url": "https://a.example/\nb"}, "no address"),
    ((*FIT, "original"), [10**9, 10**9], "megapixels"),
    ((*FIT, "original"), [0, 5], "original"),
    ((*FIT, "original"), [5], "original has 1 numbers"),
    ((*FIT, "original"), [1.5, 2], "is a number"),
    ((*FIT, "original"), [999, 888], "resized"),
    ((*FIT, "resized"), [10, 10], "resized"),
    ((*FIT, "tier"), ["vast", 10**6, 10**9], "1,000,000|1000000"),
    ((*FIT, "tier"), ["high"], "missing"),
    ((*FIT, "crop_origin"), [-1, 0], "crop_origin"),
    ((*IMAGE, "findings"), [{"code": "x"}], "missing"),
    ((*IMAGE, "file"), {"id": "a", "held_by": "b", "expires_at": "soon"}, "no moment"),
    ((*IMAGE, "file"), {"id": "a", "held_by": "b", "expires_at": "2026-01-01"}, "no moment"),
    ((*ASKED, "model"), 3, "model is a number"),
    ((*ASKED, "platform"), "moon", "no platform 'moon'"),
    ((*ASKED, "schema"), [], "schema is a list"),
    ((*ASKED, "cached_until"), [[0, 99]], "not there"),
    ((*ASKED, "cached_until"), [[7, 0]], "not there"),
    ((*ASKED, "cached_until"), [[0, 0]] * 5, "5 items"),
    ((*REPLY, "message"), {}, r"turns\[0\]\.reply\.message: the reply is no message"),
    ((*REPLY, "message", "content"), [], "no words"),
    ((*REPLY, "message", "stop_reason"), "refusal", "declined"),
    ((*REPLY, "message", "stop_reason"), "max_tokens", "stopped"),
    ((*REPLY, "message", "usage", "input_tokens"), -1, "token counts"),
    ((*REPLY, "seconds"), "1", "seconds is text"),
    ((*REPLY, "dollars"), True, "dollars is true or false"),
    (
        (*REPLY, "findings"),
        [
            {
                "code": "a",
                "level": "fatal",
                "value": "",
                "limit": "",
                "cure": "",
                "image_number": None,
            }
        ],
        "level is none",
    ),
    (("pictures",), [], "pictures is a list"),
    (("pictures",), {}, "not among the pictures"),
]


@pytest.mark.parametrize(("path", "value", "words"), LIES, ids=range(len(LIES)))
def test_a_lie_is_one_error_that_names_its_place(
    content: dict[str, Any], path: tuple[str | int, ...], value: Any, words: str, tmp_path: Path
) -> None:
    changed = copy.deepcopy(content)
    at(*path)(changed, value)
    assert_refused(json.dumps(changed).encode(), words, tmp_path)


def assert_refused(data: bytes, words: str, folder: Path) -> None:
    path = folder / "chat.json"
    path.write_bytes(data)
    with pytest.raises(RequestError, match=words) as caught:
        nv.Conversation.load(path)
    assert caught.value.__context__ is None
    assert len(str(caught.value)) < 2000


PICTURES: list[tuple[Callable[[], bytes], str, str]] = [
    (lambda: b"not a picture", "image/png", "do not begin like a picture"),
    (lambda: b"", "image/png", "no bytes"),
    (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png", "SVG"),
    (lambda: png((900, 600)), "image/png", "resized"),
    (lambda: png((900, 600)), "image/jpeg", "not what it says"),
    (lambda: png((900, 600))[:-20], "image/png", "cut off"),
    (lambda: png((900, 600), "JPEG")[:-2], "image/jpeg", "cut off"),
    (lambda: png((900, 600), "BMP"), "image/bmp", "not what it says"),
    (lambda: png((8000, 8000)), "image/png", "no frame that was sent"),
]


@pytest.mark.parametrize(("make", "media_type", "words"), PICTURES, ids=range(len(PICTURES)))
def test_another_picture_is_refused(
    content: dict[str, Any],
    make: Callable[[], bytes],
    media_type: str,
    words: str,
    tmp_path: Path,
) -> None:
    changed = copy.deepcopy(content)
    exchanged(changed, make(), media_type)
    assert_refused(json.dumps(changed).encode(), words, tmp_path)


@pytest.mark.parametrize("junk", ["", "@@@@", "AAA", "AAAA", "\u00e9" * 8])
def test_bytes_under_another_name_are_refused(
    content: dict[str, Any], junk: str, tmp_path: Path
) -> None:
    changed = copy.deepcopy(content)
    next(iter(changed["pictures"].values()))["data"] = junk
    assert_refused(json.dumps(changed).encode(), "sha256", tmp_path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON"),
        (b"{}", "format is missing"),
        (b"[]", "it is a list"),
        (b"null", "it is null"),
        (b'{"format": 1, "format": 1}', "twice"),
        (b'{"format": NaN}', "NaN"),
        (b'{"format": 1e999}', "1e999"),
        (b'{"format": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 100_000, "too deep"),
        (b'\xff\xfe{"format": 1}', "not JSON"),
        (b"\x80\x04\x95pickle", "not JSON"),
    ],
)
def test_what_is_no_file_of_this_kind_is_refused(data: bytes, words: str, tmp_path: Path) -> None:
    assert_refused(data, words, tmp_path)


def test_a_file_cut_anywhere_is_refused(content: dict[str, Any], tmp_path: Path) -> None:
    whole = json.dumps(content, indent=1).encode()
    for share in range(0, 100, 7):
        assert_refused(whole[: len(whole) * share // 100], "not JSON", tmp_path)


def test_a_name_is_never_opened_and_shown_as_words(content: dict[str, Any], tmp_path: Path) -> None:
    changed = copy.deepcopy(content)
    at(*IMAGE, "name")(changed, "<img src=x onerror=alert(1)>\u202e/etc/passwd")
    path = tmp_path / "chat.json"
    path.write_text(json.dumps(changed))
    shown = nv.Conversation.load(path)._repr_mimebundle_()
    assert "<img src=x" not in shown["text/html"]
    assert "\u202e" not in "".join(shown.values())


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=4,
)


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_other_value_loads_whole_or_is_refused(
    content: dict[str, Any], tmp_path: Path, data: st.DataObject
) -> None:
    changed = copy.deepcopy(content)
    places = [place for place in places_of(changed) if place]
    at(*data.draw(st.sampled_from(places)))(changed, data.draw(JUNK))
    path = tmp_path / "chat.json"
    path.write_text(json.dumps(changed))
    try:
        loaded = nv.Conversation.load(path)
    except RequestError:
        return
    loaded._repr_mimebundle_()
    assert loaded.in_words()
    for turn in loaded.turns:
        turn.reply.request.body()


def places_of(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield place
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for name, item in inner:
        yield from places_of(item, (*place, name))


def test_the_frame_keeps_the_place_of_its_picture() -> None:
    """A box drawn on the frame lies where it lay on the original."""
    fit = Fit.of((3000, 1000), nv.find_model("claude-haiku-4-5").tier, crop_origin=(500, 250))
    box = fit.to_resized(Box(800, 300, 1400, 900))
    assert fit.to_original(box).iou(Box(800, 300, 1400, 900)) == pytest.approx(1)


def test_reading_sends_nothing(answering: tuple[Wire, Backend], tmp_path: Path) -> None:
    server, backend = answering
    chat = nv.Conversation(backend=backend)
    chat.ask("What is this?", TEAL)
    chat.save(tmp_path / "chat.json")
    read_conversation(tmp_path / "chat.json")
    nv.Conversation.load(tmp_path / "chat.json", backend=backend)
    assert len(server.arrived) == 1


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "chat.json"
    with path.open("wb") as file:
        file.truncate(301_000_000)  # a hole: nothing is written, and nothing may be read
    with pytest.raises(RequestError, match="more than 300 MB"):
        nv.Conversation.load(path)


@pytest.mark.parametrize("depth", [100, 400, 5000])
def test_a_deeply_nested_answer_loads_whole_or_is_refused(
    content: dict[str, Any], depth: int, tmp_path: Path
) -> None:
    changed = copy.deepcopy(content)
    at(*REPLY, "message", "odd")(changed, "HERE")
    nested = json.dumps(changed).replace('"HERE"', "[" * depth + "]" * depth)
    path = tmp_path / "chat.json"
    path.write_text(nested)
    if depth > 1000:
        with pytest.raises(RequestError, match="too deep"):
            nv.Conversation.load(path)
        return
    loaded = nv.Conversation.load(path)
    assert loaded.in_words()
    assert loaded.save(path) == path
