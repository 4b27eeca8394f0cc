"""The conversation panel in a page: turns, pictures by file, drop and paste, taking back."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from stage import Stage
from wire import Arrived, Connection, answer_well, wire

import nbvision as nv

Put = Callable[[Callable[[], Any]], Stage]


def png(width: int = 300, height: int = 200) -> bytes:
    data = io.BytesIO()
    nv.open_image(nv.samples.shapes).pixels.resize((width, height)).save(data, "PNG")
    return data.getvalue()


def conversation(put: Put, **options: Any) -> Stage:
    practice = nv.connect("practice", words_per_second=None)
    return put(lambda: nv.ConversationPanel(backend=practice, **options))


def send(stage: Stage, words: str) -> None:
    field = stage.root.get_by_label("Say (Enter asks")
    field.fill(words)
    field.press("Enter")


def attach(stage: Stage, *names: str) -> None:
    files = [{"name": name, "mimeType": "image/png", "buffer": png()} for name in names]
    stage.root.get_by_label("Add pictures").set_input_files(files)  # type: ignore[arg-type]
    stage.until(lambda: len(stage.panel.images) == len(names))


def test_two_pictures_then_two_more_are_numbered_on(put: Put) -> None:
    stage = conversation(put, system="Answer briefly.")
    stage.sees("Answer briefly.")
    attach(stage, "a.png", "b.png")
    send(stage, "How do these differ?")
    stage.until(lambda: len(stage.panel.chat.turns) == 1)
    attach(stage, "c.png", "d.png")
    send(stage, "And these?")
    stage.until(lambda: len(stage.panel.chat.turns) == 2)
    stage.until(lambda: stage.root.locator(".nbv-turns > li").count() == 2)
    alts = [image.get_attribute("alt") for image in stage.root.get_by_role("img").all()]
    assert [alt.split(":")[0] for alt in alts if alt] == [f"Image {n}" for n in (1, 2, 3, 4)]
    assert [kind for kind, _ in stage.traffic].count("picture") == 4
    assert stage.violations() == []


def test_a_failed_turn_gives_its_words_and_pictures_back(put: Put) -> None:
    def broken(connection: Connection, _: Arrived) -> None:
        connection.reply({"type": "error", "error": {"type": "api_error", "message": "no"}}, 418)

    with wire(broken) as server:
        elsewhere = nv.connect("anthropic", base_url=server.url, api_key="not-a-key")
        stage = put(lambda: nv.ConversationPanel(backend=elsewhere))
        attach(stage, "a.png")
        send(stage, "What is this?")
        stage.until(lambda: stage.root.get_by_role("button", name="Try again").is_visible())
        assert stage.root.get_by_label("Say (Enter asks").input_value() == "What is this?"
        assert len(stage.panel.images) == 1
        assert stage.panel.chat.turns == ()
        assert stage.violations() == []


def test_the_last_turn_can_be_taken_back(put: Put) -> None:
    stage = conversation(put)
    attach(stage, "a.png")
    send(stage, "What is this?")
    stage.until(lambda: stage.root.locator(".nbv-turns > li").count() == 1)
    back = stage.root.get_by_role("button", name="Take back")
    stage.until(lambda: back.is_visible() and back.is_enabled())
    back.click()
    stage.until(lambda: stage.root.locator(".nbv-turns > li").count() == 0)
    assert stage.root.get_by_label("Say (Enter asks").input_value() == "What is this?"
    stage.until(lambda: stage.root.get_by_role("button", name="Remove").count() == 1)
    stage.root.get_by_role("button", name="Remove").click()
    stage.until(lambda: not stage.panel.images)


def test_a_picture_can_be_dropped_and_pasted(put: Put) -> None:
    stage = conversation(put)
    give = """
    ([kind, bytes]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(bytes)], "shot.png", { type: "image/png" }));
      const target = document.querySelector(".nbvision textarea");
      const event = kind === "drop"
        ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
        : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true });
      target.dispatchEvent(event);
    }"""
    for number, kind in enumerate(("drop", "paste"), start=1):
        stage.page.evaluate(give, [kind, list(png())])
        stage.until(lambda wanted=number: len(stage.panel.images) == wanted)
    stage.until(lambda: stage.root.locator(".nbv-waiting img[src]").count() == 2)


def test_leaving_takes_every_listener_along(put: Put) -> None:
    stage = conversation(put)
    stage.page.evaluate("window.leave()")
    assert stage.page.evaluate("[window.listening.length, window.modelListeners.size]") == [0, 0]


def test_a_remote_picture_is_named_and_never_fetched_by_the_page(put: Put) -> None:
    stage = conversation(put)
    stage.panel.add(nv.remote_image("https://example.org/<img src=x>.jpg".replace(" ", "%20")))
    stage.panel.add(nv.samples.shapes)
    waiting = stage.root.locator(".nbv-waiting")
    stage.until(lambda: waiting.locator("li").count() == 2)
    assert waiting.locator(".nbv-remote").inner_text() == "at example.org/<img%20src=x>.jpg"
    alts = [image.get_attribute("alt") for image in waiting.get_by_role("img").all()]
    assert [alt.partition(":")[0] for alt in alts if alt] == ["Image 2"]
    assert stage.violations() == []


@pytest.mark.usefixtures("store")
def test_a_stored_turn_is_said_and_asked_anew_in_its_place(put: Put) -> None:
    with wire(answer_well) as server:
        backend = nv.connect("anthropic", base_url=server.url, api_key="not-a-key")
        nv.Conversation(backend=backend).ask("What is this?", nv.samples.shapes)
        stage = put(lambda: nv.ConversationPanel(backend=backend))
        stage.panel.add(nv.samples.shapes)
        send(stage, "What is this?")
        turn = stage.root.locator(".nbv-turns > li")
        stage.until(lambda: "stored, $0.00, from " in "".join(turn.all_inner_texts()))
        again = stage.root.get_by_role("button", name="Ask again", exact=True)
        stage.until(again.is_visible)
        stage.sees("answered, turn 1; stored, $0.00, from ")
        stage.sees("asks anew: 12 tokens, $")
        assert stage.violations() == []
        again.focus()
        stage.page.keyboard.press("Enter")
        stage.until(lambda: len(server.arrived) == 2)
        stage.until(lambda: not again.is_visible())
        stage.until(lambda: turn.count() == 1 and "stored" not in turn.inner_text())
        assert stage.root.get_by_label("Say (Enter asks").input_value() == ""
        assert stage.violations() == []
