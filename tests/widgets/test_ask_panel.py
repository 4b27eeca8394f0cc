"""The ask panel without a browser: the state of a question, and what hostile messages do."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ipywidgets import HBox
from streams import Slow, words
from widget_comm import heard, say, sent, until
from wire import wire

import nbvision as nv
from nbvision.detections import Detections
from nbvision.errors import ImageNotFound, RequestError
from nbvision.results import Reply

FIELDS = {"task": "describe", "prompt": "", "system": "", "model": "", "effort": ""}


def practice() -> nv.Backend:
    return nv.connect("practice", words_per_second=None)


@contextmanager
def slow_panel(slow: Slow, **options: Any) -> Iterator[nv.AskPanel]:
    with wire(slow) as server:
        backend = nv.connect("anthropic", base_url=server.url, api_key="not-a-key")
        panel = nv.AskPanel(nv.samples.shapes, backend=backend, **options)
        yield panel
        panel.close()


@pytest.mark.parametrize(
    ("task", "images", "kind"),
    [
        ("describe", [nv.samples.shapes], Reply),
        ("compare", [nv.samples.shelf_before, nv.samples.shelf_after], Reply),
        ("locate", [nv.samples.shapes], Detections),
    ],
)
def test_each_task_returns_what_its_plain_function_does(
    task: Any, images: list[object], kind: type
) -> None:
    backend = practice()
    panel = nv.AskPanel(images, "every shape" if task == "locate" else None, backend=backend)
    answer = say(panel, "ask", **{**FIELDS, "task": task, "prompt": panel.prompt})
    assert "error" not in answer
    result = panel.wait(seconds=60)
    assert type(result) is kind
    plain: Any = {"describe": nv.describe, "compare": nv.compare, "locate": nv.locate}[task]
    asked = images if task == "compare" else images[0]
    same = (
        plain(asked, "every shape", backend=backend)
        if task == "locate"
        else plain(asked, backend=backend)
    )
    assert result is not None
    assert result.text == same.text
    assert panel.results == [result]


def test_pieces_carry_their_place_and_give_the_whole() -> None:
    slow = Slow(words(300), seconds_between=0.001)
    with slow_panel(slow) as panel:
        panel.ask()
        panel.wait(seconds=30)
        begun = "".join(piece["piece"] for piece in heard(panel, "text"))
        offsets = [piece["offset"] for piece in heard(panel, "text")]
        lengths = [len(piece["piece"]) for piece in heard(panel, "text")]
        assert "".join(slow.pieces).startswith(begun)
        assert offsets == [sum(lengths[:n]) for n in range(len(lengths))]
        assert panel.text == "".join(slow.pieces)
        seconds = heard(panel, "state")[-1]["run"]["seconds"]
        assert len(offsets) <= 2 + 20 * seconds


def test_stop_keeps_the_words_and_tells_the_server() -> None:
    slow = Slow(words(2000), seconds_between=0.005)
    with slow_panel(slow) as panel:
        panel.ask()
        until(lambda: "word20 " in panel.text)
        stopped_at = time.monotonic()
        say(panel, "stop")
        panel.wait(seconds=5)
        until(lambda: slow.left_at)
        assert slow.left_at[0] - stopped_at < 0.5
        kept = panel.text
        assert panel._run is not None
        panel._run._add("too late")
        assert panel.text == kept
        assert panel.result is None
        assert heard(panel, "state")[-1]["run"]["state"] == "stopped"
        panel.ask()
        until(lambda: "word1 " in panel.text)
        panel.stop()


def test_a_second_click_joins_the_first() -> None:
    with slow_panel(Slow(words(40), seconds_between=0.005)) as panel:
        for _ in range(3):
            say(panel, "ask", **FIELDS)
        panel.wait(seconds=30)
        assert panel._run is not None
        assert panel._run.number == 1
        assert len(panel.results) == 1


def test_nothing_is_sent_by_looking_and_typing() -> None:
    slow = Slow(["hello"])
    with wire(slow) as server:
        backend = nv.connect("anthropic", base_url=server.url, api_key="not-a-key")
        panel = nv.AskPanel(nv.samples.shapes, backend=backend)
        say(panel, "hello")
        say(panel, "settings", **{**FIELDS, "prompt": "Who is this?", "model": "claude-haiku-4-5"})
        until(lambda: heard(panel, "pictures"))
        assert server.arrived == []
        state = heard(panel, "state")[-1]
        assert "tokens" in state["estimate"]["words"]
        assert any("person" in note for note in state["estimate"]["notes"])
        assert panel.model == "claude-haiku-4-5"


def test_an_error_stays_in_its_place_with_its_cure() -> None:
    panel = nv.AskPanel([], backend=practice())
    say(panel, "ask", **FIELDS)
    assert panel.wait(seconds=10) is None
    assert heard(panel, "state")[-1]["run"]["error"] == {
        "value": "no picture",
        "limit": "one or more",
        "cure": "choose a picture first",
    }
    panel.images = nv.samples.page
    say(panel, "ask", **{**FIELDS, "task": "compare"})
    panel.wait(seconds=10)
    assert "1 image to compare" in heard(panel, "state")[-1]["run"]["error"]["value"]


@pytest.mark.parametrize(
    "fields",
    [
        {**FIELDS, "task": "delete"},
        {**FIELDS, "prompt": "x" * 200_001},
        {**FIELDS, "model": 3},
        {**FIELDS, "effort": "huge"},
        {**FIELDS, "system": None},
    ],
)
def test_a_message_that_does_not_fit_changes_nothing(fields: dict[str, Any]) -> None:
    panel = nv.AskPanel(nv.samples.page, "as it was", backend=practice())
    for kind in ("settings", "ask"):
        assert "error" in say(panel, kind, **fields)
    assert (panel.prompt, panel.task, panel._run) == ("as it was", "describe", None)


@pytest.mark.parametrize("kind", [None, 1, "", "no_such", "_state", "hello\n", "__class__", [], {}])
def test_a_message_of_no_known_type_is_answered_with_an_error(kind: object) -> None:
    panel = nv.AskPanel(backend=practice())
    assert "error" in say(panel, kind)


def test_a_picture_that_cannot_be_opened_is_an_error_in_python() -> None:
    panel = nv.AskPanel(nv.samples.page, backend=practice())
    with pytest.raises(ImageNotFound):
        panel.images = "no-such.png"
    assert len(panel.images) == 1


def test_it_follows_a_widget_that_has_pictures() -> None:
    source = nv.AskPanel(nv.samples.page, backend=practice())
    panel = nv.AskPanel(source, backend=practice())
    source.images = [nv.samples.shapes, nv.samples.photo]
    assert [image.source for image in panel.images] == ["shapes.png", "photo.jpg"]
    panel.close()
    source.images = []
    assert len(panel.images) == 2


def test_it_composes_and_leaves_no_base64_in_its_repr() -> None:
    panel = nv.AskPanel(nv.samples.page, backend=practice())
    HBox([panel])
    data, _ = panel._repr_mimebundle_()
    assert "nv.describe" in data["text/plain"]
    assert set(data) == {"text/plain", "application/vnd.jupyter.widget-view+json"}
    assert len(repr(panel)) < 100


def test_closing_stops_what_is_under_way_and_results_stay() -> None:
    slow = Slow(words(2000), seconds_between=0.005)
    with slow_panel(slow) as panel:
        panel.ask()
        until(lambda: panel.text)
        panel.close()
        until(lambda: slow.left_at)
        assert panel.text
        panel.close()


def test_pictures_travel_small() -> None:
    panel = nv.AskPanel([nv.samples.photo] * 3, backend=practice())
    until(lambda: sent(panel, "pictures"))
    fields, buffers = sent(panel, "pictures")[-1]
    assert (fields["count"], fields["region"]) == (3, [0, 0, 2572, 1740])
    assert len(buffers) == 4
    assert max(map(len, buffers)) < 200_000


def test_half_a_character_in_an_answer_hangs_nothing() -> None:
    with slow_panel(Slow(["half \ud800 a character"])) as panel:
        panel.ask()
        result = panel.wait(seconds=10)
        assert result is not None
        assert "half" in result.text


def test_boxes_belong_to_the_picture_that_is_shown() -> None:
    backend = practice()
    crop = nv.open_image(nv.samples.shapes).crop(200, 150, 1800, 1700)
    panel = nv.AskPanel(crop, nv.samples.shapes.prompt, task="locate", backend=backend)
    panel.ask()
    found = panel.wait(seconds=60)
    assert isinstance(found, Detections)
    shown = heard(panel, "state")[-1]["boxes"]
    assert [row[:4] for row in shown] == [list(box.xyxy) for box in found]
    until(lambda: sent(panel, "pictures"))
    assert heard(panel, "pictures")[-1]["region"] == [200, 150, 1800, 1700]
    panel.images = nv.samples.photo
    assert heard(panel, "state")[-1]["boxes"] == []


def test_the_estimate_counts_the_words_that_are_sent() -> None:
    panel = nv.AskPanel(nv.samples.shapes, "every shape", task="locate", backend=practice())
    located = heard(panel, "state")[-1]["estimate"]["words"]
    panel.task = "describe"
    assert heard(panel, "state")[-1]["estimate"]["words"] != located


def test_a_setting_that_came_from_python_is_kept_when_another_is_typed() -> None:
    panel = nv.AskPanel(nv.samples.page, backend=practice())
    panel.system = "Be brief."
    say(panel, "settings", prompt="What is this?")
    assert (panel.prompt, panel.system) == ("What is this?", "Be brief.")


def test_an_observer_may_wait_ask_again_and_fail() -> None:
    panel = nv.AskPanel(nv.samples.page, backend=practice())
    told: list[Any] = []

    def watch(change: Any) -> None:
        told.append(panel.wait(seconds=5))
        if len(told) == 1:
            panel.ask()
        told.append(change["new"].no_such_thing)

    panel.observe(watch, names="result")
    panel.ask()
    until(lambda: len(panel.results) == 2)
    panel.wait(seconds=10)
    until(lambda: len(heard(panel, "error")) == 2)
    assert told == panel.results
    assert "AttributeError" in heard(panel, "error")[0]["value"]


def test_a_backend_that_ends_its_thread_ends_the_question() -> None:
    class Broken:
        name, model, why = "practice", "practice-high", ""
        platform, address, keeping = practice().platform, "", practice().keeping

        def stream(self, *_: object, **__: object) -> None:
            raise SystemExit(3)

    panel = nv.AskPanel(nv.samples.page, backend=Broken())  # type: ignore[arg-type]
    panel.ask()
    assert panel.wait(seconds=10) is None
    assert "SystemExit" in heard(panel, "state")[-1]["run"]["error"]["value"]


def test_a_closed_panel_sends_nothing() -> None:
    with wire(Slow(["hello"])) as server:
        backend = nv.connect("anthropic", base_url=server.url, api_key="not-a-key")
        panel = nv.AskPanel(nv.samples.page, backend=backend)
        panel.close()
        with pytest.raises(RequestError, match="closed"):
            panel.ask()
        assert server.arrived == []


def test_freezing_stops_what_is_under_way_and_keeps_the_words() -> None:
    slow = Slow(words(2000), seconds_between=0.005)
    with slow_panel(slow) as panel:
        panel.ask()
        until(lambda: "word5 " in panel.text)
        panel.freeze()
        assert "word5 " in panel._still()["text/plain"]
        assert "stopped" in panel._still()["text/plain"]
        until(lambda: slow.left_at)


@pytest.mark.parametrize(("name", "value"), [("task", "delete"), ("effort", "huge"), ("task", 3)])
def test_a_setting_that_is_not_known_is_refused(name: str, value: object) -> None:
    panel = nv.AskPanel(nv.samples.page, backend=practice())
    with pytest.raises(RequestError, match=name):
        setattr(panel, name, value)
    with pytest.raises(RequestError, match=name):
        nv.AskPanel(**{name: value})  # type: ignore[arg-type]
    assert (panel.task, panel.effort) == ("describe", "")
