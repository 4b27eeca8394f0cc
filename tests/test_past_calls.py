"""What was asked before can be looked through, opened again, compared and forgotten."""

import io
import re
import time
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from other_server import other_server
from PIL import Image

import nbvision as nv
from nbvision.cli import main
from nbvision.comparing import Asked, CallDifference
from nbvision.errors import RequestError, StoreFailed
from nbvision.past_calls import HistoryCall
from nbvision.store import Ending, Intent, SentPicture, Store

HOSTILE = '<script>alert(1)</script>\n<img src=x onerror="alert(2)">'


@pytest.fixture
def asked(store: Store, tmp_path: Path) -> Store:
    """Ask three questions."""
    door, page = tmp_path / "door.png", tmp_path / "page.png"
    Image.new("RGB", (60, 40), "red").save(door)
    Image.new("RGB", (50, 70), "white").save(page)
    words = iter(["A teal wall.", "A wall, in\nteal.", HOSTILE])
    with other_server(lambda _: next(words)) as place:
        backend = nv.connect("anthropic", base_url=place.url, api_key="none")
        nv.describe(door, "What is it?", backend=backend, system="Be brief.")
        nv.ask([door, page], "What is it?\nIn verse.", backend=backend)
        nv.describe(page, f"Read it {HOSTILE}", backend=backend, effort="low")
    return store


def shown(result: Any) -> dict[str, str]:
    found: dict[str, str] = result._repr_mimebundle_()
    return found


def test_history_shows_what_was_asked_with_small_pictures(asked: Store) -> None:
    calls = nv.history()
    assert [call.number for call in calls] == [3, 2, 1]
    markup = shown(calls)["text/html"]
    assert markup.count("<img ") == 4
    assert 'alt="door.png"' in markup
    assert "A teal wall." in markup
    assert "3 calls, $" in shown(calls)["text/plain"]
    assert len(markup) < 100_000
    assert repr(calls) == "History(3 calls)"
    assert asked.pictures(2)[1][0].source == "page.png"


def test_history_is_inert(asked: Store) -> None:
    assert len(asked.history()) == 3
    for result in (nv.history(), nv.history().call(3).compare(nv.history().call(1))):
        assert "<script" not in shown(result)["text/html"]
        assert "onerror=&quot;" in shown(result)["text/html"]


def test_history_is_narrowed(asked: Store) -> None:
    assert len(asked.history()) == 3
    assert [call.number for call in nv.history("verse")] == [2]
    assert [call.number for call in nv.history(model="claude-opus-5-5", limit=1)] == [3]
    assert nv.history(model="another") == ()
    today = datetime.now(UTC)
    assert len(nv.history(since=f"{today:%Y-%m-%d}")) == 3
    assert nv.history(since=today + timedelta(days=1)) == ()


def test_history_becomes_a_frame(asked: Store) -> None:
    frame = nv.history().to_frame()
    assert list(frame.index) == [3, 2, 1]
    assert frame.loc[1, "text"] == "A teal wall."
    assert frame.loc[1, "asked_at"] == asked.history()[-1].asked_at


def test_a_past_call_opens_as_a_reply_that_says_what_is_not_kept(asked: Store) -> None:
    reply = nv.history().call(2).reply()
    assert reply.text == "A wall, in\nteal."
    assert reply.usage.output_tokens == 9
    assert reply.images == ()
    assert reply.findings.codes == ("not-kept",)
    assert "stored, $0.00, from" in reply.summary()
    blocks = reply.request.messages[0].blocks
    assert blocks[1] == "[door.png, 2000 × 1400 px; the picture is not kept]" or "not kept" in str(
        blocks[1]
    )
    assert blocks[-1] == "What is it?\nIn verse."
    assert "not kept" in shown(reply)["text/html"]
    assert nv.history().call(1).reply().request.system == "Be brief."
    assert nv.history().call(3).reply().request.effort == "low"
    assert asked.forget([2]) == 1
    with pytest.raises(RequestError, match="no call 2"):
        nv.history().call(2)


def test_a_call_without_an_answer_says_so(store: Store) -> None:
    intent = Intent("n", "e", "anthropic", "anthropic", "claude-haiku-4-5", "Hello")
    store.begin(intent)
    store.complete(store.begin(intent), Ending("failed", error="Overloaded"))
    for call, outcome in zip(nv.history(), ("failed", "unknown"), strict=True):
        with pytest.raises(RequestError, match=f"no answer: {outcome}"):
            call.reply()
    assert "the cost of 2 is not known" in str(nv.history())


def test_a_forgotten_call_cannot_be_opened(store: Store) -> None:
    store.begin(Intent("n", "e", "anthropic", "anthropic", "claude-haiku-4-5", "Hello"))
    (call,) = nv.history()
    assert nv.forget(call.number) == 1
    with pytest.raises(RequestError, match="was forgotten"):
        call.reply()


def test_two_calls_are_compared_line_by_line(asked: Store) -> None:
    assert len(asked.history()) == 3
    before, after = nv.history().call(1), nv.history().call(2)
    change = before.compare(after)
    assert "+In verse." in change.prompt
    assert "-A teal wall." in change.text
    assert "+A wall, in" in change.text
    assert str(before.compare(before)) == "call 1 → call 1\nprompt: the same\nreply: the same"


MISTAKES: list[Any] = [
    lambda: nv.history(since="yesterday"),
    lambda: nv.history(since=7),  # type: ignore[arg-type]
    lambda: nv.history(limit=0),
    lambda: nv.history(limit=True),
    nv.forget,
    lambda: nv.forget("all"),  # type: ignore[arg-type]
    lambda: nv.forget(before="soon"),
    lambda: nv.forget(0),
    lambda: nv.forget(2**63),
    lambda: nv.forget([1]),  # type: ignore[arg-type]
    lambda: nv.forget(everything="no"),  # type: ignore[arg-type]
    lambda: nv.history(7),  # type: ignore[arg-type]
    lambda: nv.history("x" * 10_000),
    lambda: nv.history(model=["m"]),  # type: ignore[arg-type]
    lambda: nv.history(model="m" * 10_000),
    lambda: nv.history(since="\ud800"),
    lambda: nv.history(limit=10**30),
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_errors_of_ours(store: Store, mistake: Any) -> None:
    store.begin(Intent("n", "e", "anthropic", "anthropic", "claude-haiku-4-5", "Hello"))
    with pytest.raises(RequestError):
        mistake()
    assert len(store.history()) == 1


def test_where_nothing_is_kept_history_says_so() -> None:
    for call in (nv.history, lambda: nv.forget(everything=True)):
        with pytest.raises(StoreFailed, match="no calls are kept"):
            call()


def test_a_call_shows_itself(asked: Store) -> None:
    call = nv.history("teal wall")[-1]
    assert isinstance(call, HistoryCall)
    assert repr(call).startswith("HistoryCall(1, 'What is it?', ")
    assert "→ A teal wall." in shown(call)["text/plain"]
    assert 'alt="door.png"' in shown(call)["text/html"]
    assert asked.history("teal wall")[-1] == call.call


def test_the_command_line_forgets(asked: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forget", "1"]) == 0
    assert main(["forget", "--everything", "--yes"]) == 0
    assert main(["forget"]) == 1
    out = capsys.readouterr()
    assert out.out == "1 call forgotten\n2 calls forgotten\n"
    assert "nothing to forget" in out.err
    assert asked.history() == []


# -- whatever is searched for ----------------------------------------------------------------


SEARCHES = {
    "teal": [2, 1],
    "TEA": [2, 1],
    "wall teal": [2, 1],
    "eal": [],
    "wäll": [2, 1],
    "wa\u0308ll": [2, 1],
    "": [3, 2, 1],
    "  \n": [3, 2, 1],
    '"teal wall"': [2, 1],
    "teal AND wall": [],
    "teal -wall": [2, 1],
    "text:teal": [],
    "teal*": [2, 1],
    "NEAR(teal wall)": [],
    '"': [3],
    "'": [],
    "%": [],
    "_": [],
    ")(": [],
    "'; DROP TABLE calls; --": [],
    '" OR prompt MATCH "x': [],
    "\x00": [3, 2, 1],
    "\ud800": [2, 1],
    "half \udfff": [],
    "🚪": [],
    "猫": [],
}


@pytest.mark.parametrize("has_index", [True, False])
def test_whatever_is_searched_for_is_searched_for(
    asked: Store, monkeypatch: pytest.MonkeyPatch, *, has_index: bool
) -> None:
    if not has_index:
        monkeypatch.setattr("nbvision.store.schema.has_word_index", lambda _: False)
    for search, numbers in SEARCHES.items():
        # Without it words are found anywhere, and accents count.
        without = {"eal": [2, 1], "wäll": [], "wa\u0308ll": []}
        expected = numbers if has_index else without.get(search, numbers)
        assert [call.number for call in nv.history(search)] == expected, ascii(search)
    for long in ("teal " * 200, "t " * 500, "?" * 1000):
        assert len(nv.history(long)) <= 3
    assert len(asked.history()) == 3


def test_words_of_a_language_without_spaces_are_found_anywhere(store: Store) -> None:
    for prompt in ("これは赤い猫です", "नमस्ते हिन्दी", "un café 🚪"):
        number = store.begin(Intent("n", "e", "anthropic", "anthropic", "m", prompt))
        store.complete(number, Ending("answered"))
    searches = {"猫": 1, "हिन्दी": 2, "CAFE": 3, "cafe\u0301": 3, "🚪": 3}
    assert {search: nv.history(search)[0].number for search in searches} == searches


@pytest.mark.parametrize(
    "since",
    [
        date(2020, 1, 1),
        datetime(2020, 1, 1),  # noqa: DTZ001 - local, as people write it
        datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        "2020-01-01T10:00+05:30",
        "20200101",
        "2020-W01",
    ],
)
def test_a_moment_is_taken_in_every_form(asked: Store, since: Any) -> None:
    assert len(nv.history(since=since)) == len(asked.history()) == 3


def test_a_moment_too_far_away_is_an_error_of_ours(asked: Store) -> None:
    farthest = datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))
    with pytest.raises(RequestError, match="since="):
        nv.history(since=farthest)
    assert len(asked.history()) == 3


# -- what is shown ---------------------------------------------------------------------------


def many(store: Store, count: int, pictures: int) -> None:
    """Keep calls with noisy pictures, which take the most bytes."""
    for number in range(count):
        noise = Image.effect_noise((160, 160), 100 + number % 50).convert("RGB")
        data = io.BytesIO()
        noise.save(data, "JPEG", quality=95)
        sent = tuple(
            SentPicture(f"{number}-{k}", f"{'long ' * 30}{k}.png", {}, data.getvalue)
            for k in range(pictures)
        )
        words = "A long question. " * 50
        made = store.begin(Intent("n", "e", "anthropic", "anthropic", "m", words, pictures=sent))
        store.complete(made, Ending("answered", 0.5, text=words))


def test_what_is_shown_of_many_calls_stays_small(store: Store) -> None:
    many(store, 100, 20)
    found = shown(nv.history())
    assert sum(map(len, found.values())) < 300_000
    assert found["text/html"].count("<img ") >= 20
    assert "100 calls, $50.0000, the newest 20 shown" in found["text/plain"]
    one = shown(nv.history()[0])
    assert sum(map(len, one.values())) < 300_000
    assert one["text/html"].count("<img ") > 3


def test_a_long_answer_is_shown_from_its_beginning(store: Store) -> None:
    number = store.begin(Intent("n", "e", "anthropic", "anthropic", "m", "Hello"))
    store.complete(number, Ending("answered", text="word " * 100_000))
    (call,) = nv.history()
    assert sum(map(len, shown(call).values())) < 60_000
    assert "only the beginning is shown" in shown(call)["text/html"]
    assert len(str(nv.history())) < 1000


@pytest.mark.parametrize("outcome", ["unknown", "refused", "truncated", "interrupted", "failed"])
def test_what_is_no_answer_is_marked(store: Store, outcome: str) -> None:
    intent = Intent("n", "e", "anthropic", "anthropic", "m", "Hello", most_dollars=0.05)
    number = store.begin(intent)
    if outcome != "unknown":
        store.complete(number, Ending(outcome, None, text="half a", error="it went wrong"))
    calls = nv.history()
    for found in (shown(calls), shown(calls[0])):
        assert f"⚠ {outcome}" in found["text/html"]
        assert outcome in found["text/plain"]
        assert "at most $0.0500" in found["text/html"]
    may_be_billed = outcome in {"unknown", "interrupted"}
    assert ("may have been billed" in str(calls)) == may_be_billed


def test_a_thumbnail_that_is_none_is_a_name(store: Store) -> None:
    broken = SentPicture("p", "door.png", {}, lambda: b"no picture")
    store.begin(Intent("n", "e", "anthropic", "anthropic", "m", "Hello", pictures=(broken,)))
    markup = shown(nv.history())["text/html"]
    assert "<img" not in markup
    assert "door.png" in markup


def test_no_calls_are_said_in_words(store: Store) -> None:
    said = shown(nv.history())
    assert said["text/plain"] == "no calls"
    assert "<div>no calls</div>" in said["text/html"]
    with pytest.raises(RequestError, match="no call 1 here"):
        nv.history().call(1)
    assert store.history() == []


def test_a_frame_has_times_and_numbers_even_without_rows(store: Store) -> None:
    intent = Intent("n", "e", "anthropic", "anthropic", "m", "Hello")
    for count in (0, 1):
        frame = nv.history().to_frame()
        assert len(frame) == count
        assert str(frame["asked_at"].dtype) == "datetime64[ns, UTC]"
        assert str(frame["dollars"].dtype) == "float64"
        assert str(frame["attempts"].dtype) == "int64"
        store.begin(intent)
    assert frame["dollars"].isna().all()
    assert frame.index.name == "number"


# -- what is opened again --------------------------------------------------------------------


@pytest.fixture
def located(store: Store) -> nv.Detections:
    """Locate things in a picture, and in a part of it."""
    backend = nv.connect("practice", words_per_second=None, store=True)
    found = nv.locate(nv.samples.shapes, "every shape", backend=backend)
    part = nv.open_image(nv.samples.shapes).crop(1900, 100, 2900, 1100)
    nv.locate(part, "every shape", backend=backend)
    assert len(store.history()) == 2
    return found


def test_boxes_come_home_again(located: nv.Detections) -> None:
    call = nv.history().call(1)
    again = call.detections()
    assert again.boxes == located.boxes
    assert again.image.size == located.image.size
    assert again.image.source == "shapes.png, from its thumbnail"
    assert "not-kept" in again.findings.codes
    assert "locate: every shape" in str(nv.history())
    assert len(again.overlay()) > 1000
    exact = call.detections(nv.samples.shapes)
    assert exact.boxes == located.boxes
    assert exact.findings.codes == ()


def test_the_table_names_what_was_found_and_no_pixels_of_another_frame(
    located: nv.Detections,
) -> None:
    said = shown(nv.history())
    first = f"{len(located.boxes)} boxes: {located.boxes[0].label}, "
    for form in ("text/plain", "text/html"):
        assert first in said[form]
        assert "{" not in said[form]
    assert nv.history()[0].text.startswith("{")  # nothing of the answer is lost


def test_boxes_in_a_part_come_home_to_the_whole(located: nv.Detections) -> None:
    call = nv.history().call(2)
    (triangle,) = [box for box in located.boxes if box.label == "green triangle"]
    for again in (call.detections(), call.detections(nv.samples.shapes)):
        (found,) = [box for box in again.boxes if box.label == "green triangle"]
        assert found.iou(triangle) > 0.95
        assert again.image.region == (1900, 100, 2900, 1100)
        assert len(again.overlay()) > 1000


def test_another_picture_is_told_apart(located: nv.Detections) -> None:
    call = nv.history().call(1)
    other = Image.new("RGB", located.image.size, "navy")
    assert call.detections(other).findings.codes == ("another-picture",)
    with pytest.raises(RequestError, match="100 × 100") as caught:
        call.detections(Image.new("RGB", (100, 100)))
    assert "3000 × 2000 px" in caught.value.limit


def test_words_have_no_boxes(asked: Store) -> None:
    assert len(asked.history()) == 3
    with pytest.raises(RequestError, match="no boxes or points"):
        nv.history().call(1).detections()
    with pytest.raises(RequestError, match="2 pictures"):
        nv.history().call(2).detections()


def test_a_difference_marks_a_number_as_a_whole() -> None:
    said = [Asked(name, "m", "", f"It is {share} of it.") for name, share in
            (("one", "5.5%"), ("two", "6.5%"))]  # fmt: skip
    markup = shown(CallDifference(*said))["text/html"]
    assert re.findall(r"</span>([^<]+)</(?:del|ins)>", markup) == ["5.5", "6.5"]


def test_a_difference_marks_words(asked: Store) -> None:
    calls = nv.history()
    change = calls.call(1).compare(calls.call(3))
    assert change.parameters["system"] == ("Be brief.", None)
    assert "system: Be brief. → not given" in str(change)
    markup = shown(change)["text/html"]
    assert "[removed] " in markup
    assert markup.count("<ins") == markup.count("</ins>") > 0
    assert "not given" in markup
    reply = calls.call(2).reply()
    in_hand = calls.call(1).compare(reply)
    assert in_hand.after.name == "this reply"
    assert in_hand.text == calls.call(1).compare(calls.call(2)).text
    with pytest.raises(RequestError, match="a str to compare with"):
        calls[0].compare("words")
    assert len(asked.history()) == 3


@pytest.mark.parametrize(
    ("before", "after"),
    [("a " * 50_000, "b " * 50_000), ("ab" * 5000, "ba" * 5000), ("x\n" * 9000, "\n" * 9000)],
)
def test_long_texts_are_compared_at_once(before: str, after: str) -> None:
    change = CallDifference(Asked("1", "m", before, ""), Asked("2", "m", after, ""))
    started = time.monotonic()
    assert sum(map(len, shown(change).values())) < 600_000
    assert time.monotonic() - started < 5


def test_breaks_between_lines_are_a_difference() -> None:
    change = CallDifference(Asked("1", "m", "a\nb", ""), Asked("2", "m", "a\r\nb", ""))
    assert change.prompt == "only the breaks between lines"


# -- what is deleted -------------------------------------------------------------------------


def test_what_is_shown_can_be_forgotten(asked: Store) -> None:
    assert nv.forget(*nv.history("verse")) == 1
    assert [call.number for call in asked.history()] == [3, 1]


class Terminal(io.StringIO):
    """Somebody who answers."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 3), ("", 3)])
def test_the_command_line_asks_before_much_is_deleted(
    asked: Store,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    left: int,
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert main(["forget", "--everything"]) == (1 if left else 0)
    assert "3 calls would be deleted for good. Is it meant?" in capsys.readouterr().out
    assert len(asked.history()) == left


def test_where_nobody_can_be_asked_much_is_not_deleted(
    asked: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["forget", "--before", "2999-01-01"]) == 1
    assert "--yes" in capsys.readouterr().err
    assert len(asked.history()) == 3
    assert main(["forget", "--before", "2999-01-01", "--yes"]) == 0
    assert main(["forget", "--everything"]) == 0
    assert capsys.readouterr().out == "3 calls forgotten\n0 calls forgotten\n"


def test_the_command_line_shows_history(asked: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "in", "verse", "--since", "2020-01-01"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("2  ")
    assert "1 call, $" in out
    many(asked, 22, 0)
    assert main(["history", "--limit", "24"]) == 0
    assert capsys.readouterr().out.count("→") == 24
    assert main(["history", "--since", "soon"]) == 1
    assert "since='soon'" in capsys.readouterr().err


def test_a_store_of_a_newer_version_is_read_and_not_written(
    asked: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked._database, "is_read_only", True)
    assert [call.number for call in nv.history("verse")] == [2]
    assert nv.history().call(1).reply().text == "A teal wall."
    with pytest.raises(StoreFailed, match="newer nbvision") as caught:
        nv.forget(1)
    assert "upgrade" in caught.value.cure


def test_names_of_pictures_are_shown_and_do_nothing(store: Store) -> None:
    data = io.BytesIO()
    Image.new("RGB", (20, 10)).save(data, "JPEG")
    sent = SentPicture("p", f'{HOSTILE}" onload="x', {}, data.getvalue)
    intent = Intent("n", "e", "anthropic", "anthropic", f"m{HOSTILE}", "Hello", pictures=(sent,))
    store.complete(store.begin(intent), Ending("failed", error=HOSTILE))
    for found in (nv.history(), nv.history()[0]):
        markup = shown(found)["text/html"]
        assert markup.count("<img ") == 1
        assert "<script" not in markup
        assert ' onerror="' not in markup
        assert ' onload="' not in markup


def test_printed_words_steer_no_terminal(store: Store) -> None:
    intent = Intent("n", "e", "anthropic", "anthropic", "m", "a\x1b[2Jb\u202ec\x00")
    for text in ("x\x1b]0;title\x07y", "x\u202ey"):
        store.complete(store.begin(intent), Ending("answered", text=text))
    newer, older = nv.history()
    for printed in (str(newer), str(newer.compare(older)), str(nv.history())):
        assert not {"\x1b", "\x00", "\x07", "\u202e"} & set(printed)


def test_a_clock_that_was_set_back_hides_no_call(store: Store) -> None:
    intent = Intent("n", "e", "anthropic", "anthropic", "m", "Hello")
    for _ in range(3):
        store.complete(store.begin(intent), Ending("answered", text="there"))
    with store._database.writing() as connection:
        connection.execute(
            "UPDATE calls SET asked_at = asked_at - 4 * 86400000000 WHERE number = 2"
        )
    yesterday = datetime.now(UTC) - timedelta(days=1)
    for search in ("", "there"):
        assert [call.number for call in nv.history(search, since=yesterday)] == [3, 1]
        assert nv.history(search, since=yesterday + timedelta(days=2)) == ()
