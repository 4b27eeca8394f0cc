"""The ask panel in a page: words as they come, boxes that land, errors that stay in place."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Locator
from stage import Stage
from streams import Slow, words
from wire import Answer, Arrived, Connection, answer_well, wire

import nbvision as nv

Put = Callable[[Callable[[], Any]], Stage]


def button(stage: Stage, name: str) -> Locator:
    return stage.root.get_by_role("button", name=name, exact=True)


def press(stage: Stage, name: str) -> None:
    """Click a button as soon as the kernel's word has brought it."""
    found = button(stage, name)
    stage.until(lambda: found.is_visible() and found.is_enabled())
    found.click()


@contextmanager
def answered_by(put: Put, answer: Answer, **options: Any) -> Iterator[Stage]:
    with wire(answer) as server:
        backend = nv.connect("anthropic", base_url=server.url, api_key="not-a-key")
        stage = put(lambda: nv.AskPanel(nv.samples.shapes, backend=backend, **options))
        yield stage
        stage.panel.close()


def test_boxes_are_found_drawn_and_listed(put: Put) -> None:
    practice = nv.connect("practice", words_per_second=None)
    subject = nv.samples.shapes.prompt
    stage = put(lambda: nv.AskPanel(nv.samples.shapes, subject, task="locate", backend=practice))
    stage.until(lambda: stage.root.get_by_role("img").count() > 0)
    button(stage, "Ask").click()
    stage.until(lambda: stage.panel.result is not None)
    stage.until(lambda: stage.root.locator("ol li").count() == 9)
    # Each is drawn twice: a dark seam, and the line.
    assert stage.root.locator("svg rect").count() == 18
    drawn = stage.root.locator("svg rect").nth(1)
    box = stage.panel.result[0]
    assert float(drawn.get_attribute("x") or 0) == box.left
    assert float(drawn.get_attribute("width") or 0) == box.width
    assert stage.root.locator("svg").get_attribute("viewBox") == "0 0 3000 2000"
    assert stage.violations() == []


def test_the_estimate_and_the_warnings_stand_before_the_click(put: Put) -> None:
    with answered_by(put, answer_well) as stage:
        stage.sees("to send, and $")
        stage.root.get_by_label("Prompt (Enter asks").fill("How many shapes are there?")
        stage.sees("locate them and count the boxes")
        assert stage.panel.prompt == "How many shapes are there?"


def test_what_is_being_typed_is_never_overwritten(put: Put) -> None:
    with answered_by(put, answer_well) as stage:
        field = stage.root.get_by_label("Prompt (Enter asks")
        field.fill("What is")
        stage.panel.prompt = "something else"
        stage.pump()
        assert field.input_value() == "What is"
        stage.root.get_by_text("Model and options").click()
        stage.panel.system = "Be brief."
        stage.until(lambda: stage.root.get_by_label("System prompt").input_value() == "Be brief.")


def test_words_arrive_while_they_are_written_and_stop_keeps_them(put: Put) -> None:
    slow = Slow(words(2000), seconds_between=0.004)
    with answered_by(put, slow) as stage:
        button(stage, "Ask").click()
        log = stage.root.locator(".nbv-answer")
        stage.until(lambda: "word40 " in (log.text_content() or ""))
        assert "nbv-coming" in (log.get_attribute("class") or "")
        assert button(stage, "Ask").is_disabled()
        button(stage, "Stop").click()
        stage.sees("stopped; what had arrived is kept")
        assert (log.text_content() or "").startswith("word0 word1 ")
        stage.until(lambda: button(stage, "Ask").is_enabled())
        assert slow.left_at or stage.until(lambda: slow.left_at)


def test_a_missed_piece_is_noticed_and_the_whole_asked_for(put: Put) -> None:
    slow = Slow(words(400), seconds_between=0.004)
    with answered_by(put, slow) as stage:
        button(stage, "Ask").click()
        log = stage.root.locator(".nbv-answer")
        stage.until(lambda: "word10 " in (log.text_content() or ""))
        while stage.panel.comm.fresh.qsize() < 3:
            stage.page.wait_for_timeout(5)
        stage.panel.comm.fresh.get()  # lost on the way
        stage.until(lambda: stage.panel.result is not None)
        stage.until(lambda: log.text_content() == "".join(slow.pieces))


def test_an_error_says_value_limit_and_cure_and_can_be_tried_again(put: Put) -> None:
    times = iter([False, True])

    def first_fails(connection: Connection, arrived: Arrived) -> None:
        if next(times, True):
            answer_well(connection, arrived)
        else:
            error = {"type": "authentication_error", "message": "invalid x-api-key"}
            connection.reply({"type": "error", "error": error}, 401)

    with answered_by(put, first_fails) as stage:
        button(stage, "Ask").click()
        stage.sees("invalid x-api-key")
        assert "→" in stage.root.get_by_role("alert").first.inner_text()
        assert stage.violations() == []
        press(stage, "Try again")
        stage.sees("A red door.")
        stage.until(lambda: not button(stage, "Try again").is_visible())


def test_an_answer_can_be_copied(put: Put) -> None:
    with answered_by(put, answer_well) as stage:
        button(stage, "Ask").click()
        stage.sees("A red door.")
        press(stage, "Copy")
        # A page of no origin may not write to the clipboard: the words are selected instead.
        stage.until(lambda: "cop" in stage.root.inner_text())
        assert "A red door." in stage.page.evaluate(
            "async () => getSelection().toString() || await navigator.clipboard.readText()"
        )


def test_enter_asks_and_shift_enter_starts_a_line(put: Put) -> None:
    with answered_by(put, answer_well) as stage:
        field = stage.root.get_by_label("Prompt (Enter asks")
        field.fill("What")
        field.press("Shift+Enter")
        field.press_sequentially("is it?")
        field.press("Enter")
        stage.sees("A red door.")
        assert stage.panel.prompt == "What\nis it?"


def test_markup_from_the_model_is_text(put: Put) -> None:
    evil = '<img src=x onerror="window.harmed=1"><b>bold</b>'
    with answered_by(put, Slow([evil])) as stage:
        button(stage, "Ask").click()
        stage.sees(evil)
        assert stage.root.locator("[onerror], b").count() == 0


def test_a_silent_kernel_is_noticed_and_forgiven(put: Put) -> None:
    with answered_by(put, answer_well) as stage:
        stage.is_connected = False
        button(stage, "Ask").click()
        stage.sees("Not connected")
        stage.is_connected = True
        press(stage, "Ask")
        stage.sees("A red door.")
        assert "Not connected" not in stage.root.inner_text()


def test_it_fits_a_narrow_place_and_leaves_no_listener(put: Put) -> None:
    with answered_by(put, answer_well) as stage:
        stage.page.set_viewport_size({"width": 400, "height": 800})
        stage.sees("to send")
        assert stage.page.evaluate("() => document.body.scrollWidth") <= 400
        stage.page.evaluate("window.leave()")
        left = stage.page.evaluate("[window.listening.length, window.modelListeners.size]")
        assert left == [0, 0]


FREE = "stored answer, free"


@pytest.mark.usefixtures("store")
def test_a_stored_answer_is_said_and_asked_anew_by_keyboard(put: Put) -> None:
    with answered_by(put, answer_well) as stage:
        button(stage, "Ask").click()
        stage.sees("A red door.")
        stage.sees(FREE)
        assert not button(stage, "Ask again").is_visible()
        press(stage, "Ask")
        stage.sees("answered; stored, $0.00, from ")
        again = button(stage, "Ask again")
        stage.until(again.is_visible)
        assert stage.violations() == []
        price = stage.page.locator(f"#{again.get_attribute('aria-describedby')}")
        assert price.inner_text().startswith("asks anew: about ")
        again.focus()
        stage.page.keyboard.press("Enter")
        stage.until(lambda: len(stage.panel.results) == 3)
        stage.until(lambda: not again.is_visible())
        assert [reply.from_store is None for reply in stage.panel.results] == [True, False, True]
        # Who was on the button is not left nowhere.
        assert button(stage, "Ask").evaluate("(element) => element === document.activeElement")
        stage.root.get_by_label("Prompt (Enter asks").fill("What else is there?")
        stage.sees("to send, and $")
        assert stage.violations() == []


@pytest.mark.usefixtures("store")
def test_what_cannot_be_paid_says_why_and_that_nothing_was_sent(put: Put) -> None:
    with wire(answer_well) as server:
        backend = nv.connect("anthropic", base_url=server.url, api_key="not-a-key", budget=0.0001)
        stage = put(lambda: nv.AskPanel(nv.samples.shapes, backend=backend))
        button(stage, "Ask").click()
        stage.sees("could cost $")
        alert = stage.root.get_by_role("alert").first.inner_text()
        assert "lower max_tokens" in alert
        assert "nothing was sent; asking again is not paid twice" in alert
        assert stage.violations() == []
        assert server.arrived == []
