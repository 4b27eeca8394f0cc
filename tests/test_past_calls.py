"""What was asked before can be looked through, opened again, compared and forgotten."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from other_server import other_server
from PIL import Image

import nbvision as nv
from nbvision.cli import main
from nbvision.errors import RequestError, StoreFailed
from nbvision.past_calls import HistoryCall
from nbvision.store import Ending, Intent, Store

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
    assert main(["forget", "--everything"]) == 0
    assert main(["forget"]) == 1
    out = capsys.readouterr()
    assert out.out == "1 call forgotten\n2 calls forgotten\n"
    assert "nothing to forget" in out.err
    assert asked.history() == []
