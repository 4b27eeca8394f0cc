"""The preview: what it says of a picture, how it comes by it, and what it refuses."""

import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hostile_pictures import noise, saved
from PIL import Image
from widget_comm import heard, say, sent, until

import nbvision as nv
from nbvision import samples
from nbvision.backends import connection
from nbvision.errors import DamagedImage, NbvisionError, NotConnected, RequestError
from nbvision.findings import Finding, Findings
from nbvision.prepared import prepare_image
from nbvision.widgets import preparing, preview_panel
from nbvision.widgets.model_menu import model_choices
from nbvision.widgets.panel import Panel
from nbvision.widgets.preview_panel import PreviewPanel
from nbvision.widgets.preview_words import findings_in_words

HAIKU, OPUS = "claude-haiku-4-5", "claude-opus-5-5"


@pytest.fixture(autouse=True)
def _nobody_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_chosen", None)


def shown(panel: Any) -> dict[str, Any]:
    """What the browser was told last."""
    return heard(panel, "state")[-1]


def fact(panel: Any, what: str) -> str:
    return dict(shown(panel)["facts"])[what]


def made(image: object = samples.page, **options: Any) -> PreviewPanel:
    """A panel that a browser has said hello to, with its picture there."""
    panel = PreviewPanel(image, **{"model": HAIKU, **options})
    say(panel, "hello")
    settled(panel)
    return panel


def settled(panel: PreviewPanel) -> None:
    until(lambda: not panel._made.is_working)


class Gate:
    """Stands before `prepare_image`; lets one picture through at a time."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.opened = threading.Semaphore(0)
        self.asked: list[str] = []

    def __call__(self, image: Any, model: Any, platform: Any) -> Any:
        self.asked.append(model.id)
        self.arrived.release()
        assert self.opened.acquire(timeout=10)
        return prepare_image(image, model, platform)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    found = Gate()
    monkeypatch.setattr(preparing, "prepare_image", found)
    yield found
    found.opened.release(100)


# -- what is said --------------------------------------------------------------------------------


def test_the_browser_gets_the_very_bytes_that_would_be_sent() -> None:
    for source in (samples.page, samples.photo, noise((2000, 1500))):
        panel = made(source)
        ready = nv.prepare(panel.image, model=HAIKU)
        panel_sent = [m for m in sent(panel, "picture") if m[0]["frame"] == "sent"]
        say(panel, "hello")
        state, buffers = sent(panel, "state")[-1]
        assert buffers[0] == ready.data == panel.prepared.data
        assert state["pictures"][0]["media_type"] == ready.media_type
        assert all(data == [ready.data] for _, data in panel_sent)


def test_the_original_comes_as_a_copy_never_as_itself() -> None:
    data = saved(noise((2000, 900)), "JPEG", quality=95)
    panel = made(data)
    say(panel, "hello")
    state, buffers = sent(panel, "state")[-1]
    assert [about["frame"] for about in state["pictures"]] == ["sent", "original"]
    with Image.open(io.BytesIO(buffers[1])) as copy:
        assert (copy.format, copy.size) == ("JPEG", (1568, 706))
    assert data not in buffers


def test_the_numbers_are_those_of_the_plain_functions() -> None:
    panel = made(samples.photo)
    for model in (OPUS, "claude-sonnet-4-6", "practice-standard", HAIKU):
        assert "error" not in say(panel, "model", model=model)
        settled(panel)
        fit = nv.fit(panel.image.size, model=model)
        row = nv.estimate(panel.image, models=model, count=False).rows[0]
        state = shown(panel)
        assert panel.model == state["model"] == model
        assert panel.fit == fit
        assert state["fit"]["resized"] == [*fit.resized]
        assert state["fit"]["padded"] == [*fit.padded]
        assert fact(panel, "Visual tokens") == f"{row.visual_tokens:,}"
        assert fact(panel, "Price to send") == panel.preview.rows[0].dollars_in_words
        ready = nv.prepare(panel.image, model=model)
        assert fact(panel, "Sent as") == f"{ready.media_type}, {len(ready.data) / 1000:,.0f} kB"


def test_each_finding_stands_once() -> None:
    panel = made(samples.photo)
    assert [f["code"] for f in shown(panel)["findings"]] == ["resized", "encoded"]
    words = shown(panel)["findings"][0]
    assert (words["fix"], words["cure"]) == ("Cut into crops", "for small details send a crop")
    strip = made(Image.new("RGB", (1, 3000)))
    said = shown(strip)["findings"]
    assert [f["code"] for f in said] == ["tiny", "resized", "encoded"]
    assert [f["fix"] for f in said].count("Cut into crops") == 1


def test_two_findings_that_one_button_mends_have_one_button() -> None:
    both = [Finding(c, "warn", "", cure="in crops", repair=lambda: None) for c in ("a", "b")]
    assert [f["fix"] for f in findings_in_words(both)] == ["Cut into crops", ""]


def test_a_model_nobody_knows_is_guessed_and_says_so() -> None:
    panel = made(model="claude-opus-9")
    state = shown(panel)
    assert "not in the catalogue" in state["models"][0]["label"]
    assert "guessed-model" in [f["code"] for f in state["findings"]]
    assert fact(panel, "Price to send") == "price not known"
    with pytest.raises(RequestError, match="model=3"):
        panel.model = 3
    assert panel.model == "claude-opus-9"


def test_small_and_thin_pictures_have_numbers_too() -> None:
    panel = made(Image.new("RGB", (28, 28), "teal"))
    assert (fact(panel, "Visual tokens"), panel.prepared.pixels.size) == ("1", (28, 28))
    assert "kB" in fact(panel, "Sent as")
    assert fact(panel, "Sent as") != "image/png, 0 kB"
    panel.image = Image.new("RGB", (1, 3000))
    settled(panel)
    assert shown(panel)["fit"]["padded"] == [28, 1568]


def test_everything_said_is_json_and_text(tmp_path: Any) -> None:
    name = tmp_path / "<img src=x onerror=alert(1)>\u202e\x07.png"
    name.write_bytes(samples.shapes.path.read_bytes())
    box = nv.Box(1, 1, 9, 9, "\ud800<b>" + "x" * 5000)
    panel = made(name, boxes=[box])
    state = shown(panel)
    json.dumps(state, ensure_ascii=False).encode()
    assert state["image"] == "<img src=x onerror=alert(1)>\ufffd\ufffd.png"
    assert len(state["boxes"][0]["label"]) == 200
    weird = Finding("x", "warn", "\ud800<script>" + "y" * 9000, "\x1b[31m", "\u202e")
    assert all(len(f["value"]) <= 2000 for f in findings_in_words(Findings([weird])))
    json.dumps(findings_in_words([weird]), ensure_ascii=False).encode()


# -- the menu ------------------------------------------------------------------------------------


def test_the_menu_has_current_models_first_and_deprecated_ones_last() -> None:
    choices = model_choices(HAIKU)
    known = {model.id: model for model in nv.models()}
    assert {c["id"] for c in choices} == {*known, "practice-high", "practice-standard"}
    old = [c for c in choices if c["group"] == "Deprecated"]
    assert choices[-len(old) :] == old
    assert all(known[c["id"]].deprecated and "(deprecated" in c["label"] for c in old)


def test_the_menu_begins_with_who_is_connected_and_offers_nobody_twice() -> None:
    backend = nv.connect("practice", model="practice-standard")
    panel = made(model=None)
    assert panel.model == "practice-standard"
    choices = shown(panel)["models"]
    assert choices[0] == {
        "id": "practice-standard",
        "label": "practice-standard",
        "group": "Connected: practice",
    }
    ids = [c["id"] for c in choices]
    assert len(ids) == len(set(ids))
    assert model_choices(OPUS, backend)[0]["id"] == "practice-standard"
    with pytest.raises(NotConnected):
        PreviewPanel(backend="practice")


# -- time ----------------------------------------------------------------------------------------


def test_numbers_of_a_large_photograph_come_at_once_while_its_bytes_are_made() -> None:
    photograph = Image.effect_noise((500, 375), 40).resize((4000, 3000)).convert("RGB")
    panel = PreviewPanel(saved(photograph, "JPEG", quality=90), model=HAIKU)
    say(panel, "hello")
    for model in (OPUS, HAIKU, OPUS):
        told = len(heard(panel, "state"))
        say(panel, "model", model=model)
        state = heard(panel, "state")[told]  # it is there before the handler returns
        assert state["is_preparing"]
        assert state["fit"]["resized"] == [*nv.fit((4000, 3000), model=model).resized]
    settled(panel)
    assert panel.prepared.data == nv.prepare(panel.image, model=OPUS).data


def test_a_stale_preparation_is_dropped_and_the_newest_wins(gate: Gate) -> None:
    panel = PreviewPanel(samples.photo, model=HAIKU)
    say(panel, "hello")
    assert gate.arrived.acquire(timeout=10)
    for model in (OPUS, "claude-opus-4-6", OPUS):
        say(panel, "model", model=model)
    assert panel.prepared is None
    gate.opened.release(2)
    settled(panel)
    assert gate.asked == [HAIKU, OPUS]
    delivered = [m for m in sent(panel, "picture") if m[0]["frame"] == "sent"]
    assert [data for _, data in delivered] == [[nv.prepare(samples.photo, model=OPUS).data]]
    assert delivered[0][0]["key"] == shown(panel)["keys"]["sent"]


def test_models_of_one_tier_are_sent_the_same_bytes_once(gate: Gate) -> None:
    panel = PreviewPanel(samples.page, model=HAIKU)
    say(panel, "hello")
    gate.opened.release()
    settled(panel)
    say(panel, "model", model="claude-sonnet-4-6")
    settled(panel)
    assert gate.asked == [HAIKU]
    assert fact(panel, "Sent as") != "preparing …"
    assert len([m for m in sent(panel, "picture") if m[0]["frame"] == "sent"]) == 1


def test_a_picture_set_while_another_is_prepared_replaces_it(gate: Gate) -> None:
    panel = PreviewPanel(samples.photo, model=HAIKU)
    say(panel, "hello")
    assert gate.arrived.acquire(timeout=10)
    panel.image = samples.shapes
    assert shown(panel)["image"] == "shapes.png"
    gate.opened.release(2)
    settled(panel)
    assert panel.prepared.source.source == "shapes.png"


def test_nothing_is_sent_before_a_browser_asks() -> None:
    panel = PreviewPanel(samples.page, model=HAIKU)
    settled(panel)
    assert panel.comm.sent == []


# -- values --------------------------------------------------------------------------------------


def test_image_model_and_boxes_can_be_set_and_observed() -> None:
    panel, seen = made(None), []
    for name in ("image", "model", "boxes"):
        panel.observe(lambda change: seen.append((change.name, change.new)), names=name)
    panel.image = samples.shapes
    panel.model = OPUS
    panel.boxes = [nv.Box(1, 2, 3, 4, "door")]
    assert [name for name, _ in seen] == ["image", "model", "boxes"]
    assert isinstance(seen[0][1], nv.SourceImage)
    assert shown(panel)["boxes"] == [
        {"left": 1, "top": 2, "right": 3, "bottom": 4, "label": "door"}
    ]
    assert panel.preview.boxes == panel.boxes
    with pytest.raises(RequestError, match="boxes hold"):
        panel.boxes = [(1, 2, 3, 4)]
    panel.image = None
    assert (panel.image, panel.fit, panel.preview, panel.images) == (None, None, None, [])
    assert shown(panel)["image"] is None


def test_a_picture_may_be_set_from_any_thread() -> None:
    panel = made(None)
    pictures = [Image.new("RGB", (20 + n, 20)) for n in range(24)]
    threads = [threading.Thread(target=lambda p=p: setattr(panel, "image", p)) for p in pictures]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settled(panel)
    assert panel.images == [panel.image]
    assert shown(panel)["fit"]["original"] == [*panel.image.size]
    assert panel.prepared.source is panel.image
    assert panel.prepared.fit.original == panel.image.size


def test_several_pictures_are_stepped_through() -> None:
    panel = made(None)
    panel.images = [samples.page, samples.shapes, samples.shapes]
    assert panel.image.source == "page.png"
    say(panel, "step", to=2)
    assert panel.image is panel.images[2]
    assert shown(panel)["place"] == {"at": 2, "count": 3, "noun": "Picture"}
    assert shown(panel)["total"].startswith("3 pictures together: ")
    panel.image = panel.images[0]
    assert shown(panel)["place"]["at"] == 0
    panel.image, panel.boxes = panel.images[1], [nv.Box(1, 2, 3, 4)]
    panel.images = [*panel.images, samples.photo]
    assert shown(panel)["place"] == {"at": 1, "count": 4, "noun": "Picture"}
    assert len(panel.boxes) == 1
    panel.image = samples.photo
    assert len(panel.images) == 1
    panel.images = []
    assert panel.image is None


def test_boxes_go_with_their_picture() -> None:
    box = nv.Box(10, 10, 40, 40, "door")
    panel = made(Image.new("RGB", (90, 60)), boxes=[box])
    fixed(panel, "tiny")
    assert (panel.image.size, panel.boxes) == ((360, 240), ())
    say(panel, "undo")
    assert panel.boxes == (box,)
    panel.image = samples.photo
    assert panel.boxes == ()
    panel.boxes = [box]
    fixed(panel, "resized")
    assert panel.boxes == (box,)
    panel.images = [samples.page, samples.shapes]
    assert panel.boxes == ()


def test_who_is_connected_later_counts_from_the_next_choice_on() -> None:
    panel = made(samples.page)
    nv.connect("bedrock", region="eu-west-1", api_key="none", model="anthropic.claude-haiku-4-5")
    panel.boxes = [nv.Box(1, 2, 3, 4)]
    assert not shown(panel)["is_preparing"]
    assert shown(panel)["models"][0]["group"] == "Connected: bedrock"
    panel.model = None
    settled(panel)
    assert panel.model == "anthropic.claude-haiku-4-5"
    assert panel.prepared is not None


def test_a_message_that_cannot_be_sent_does_not_end_all_preparing() -> None:
    panel = PreviewPanel(None, model=HAIKU)
    broken = ConnectionError("the socket is gone")

    def fail(_: object) -> None:
        raise broken

    when_made, panel._made._when_made = panel._made._when_made, fail
    panel.image = samples.page
    settled(panel)
    assert "socket is gone" in heard(panel, "error")[0]["value"]
    panel._made._when_made = when_made
    panel.image = samples.shapes
    settled(panel)
    assert panel.prepared.source.source == "shapes.png"


# -- errors --------------------------------------------------------------------------------------


def test_what_cannot_be_opened_is_told_in_both_places_and_changes_nothing() -> None:
    panel = made(samples.page)
    with pytest.raises(DamagedImage):
        panel.image = samples.photo.path.read_bytes()[:3000]
    assert panel.image.source == "page.png"
    assert shown(panel)["error"]["value"]
    panel.image = samples.shapes
    settled(panel)
    assert shown(panel)["error"] is None
    assert panel.prepared is not None
    with pytest.raises(NbvisionError):
        PreviewPanel("there is no such picture.png")


def test_what_cannot_be_prepared_is_told_in_place_and_the_next_one_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def damaged(*_: Any) -> Any:
        raise DamagedImage("the third row is damaged", cure="copy it again")

    panel = made(None)
    with monkeypatch.context() as patch:
        patch.setattr(preparing, "prepare_image", damaged)
        panel.image = samples.shapes
        settled(panel)
    state = shown(panel)
    assert (state["error"]["value"], state["error"]["cure"]) == (
        "the third row is damaged",
        "copy it again",
    )
    assert (fact(panel, "Sent as"), state["is_preparing"]) == ("could not be prepared", False)
    assert panel.prepared is None
    panel.image = samples.page
    settled(panel)
    assert shown(panel)["error"] is None
    assert panel.prepared.data == nv.prepare(samples.page, model=HAIKU).data


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("model", {}),
        ("model", {"model": 3}),
        ("model", {"model": "claude-" * 5000}),
        ("model", {"model": {"id": HAIKU}}),
        ("step", {"to": 1}),
        ("step", {"to": -1}),
        ("step", {"to": True}),
        ("step", {"to": 1e99}),
        ("fix", {}),
        ("fix", {"code": ["resized"]}),
        ("fix", {"code": "tiny\ud800"}),
        ("fix", {"code": "x" * 101}),
        ("state", {}),
        ("__init__", {}),
    ],
)
def test_what_a_browser_may_not_say_is_refused(kind: str, fields: dict[str, Any]) -> None:
    panel = made(samples.page)
    image, model = panel.image, panel.model
    answer = say(panel, kind, **fields)
    json.dumps(answer, ensure_ascii=False).encode()
    assert answer["error"]["value"]
    assert (panel.image, panel.model) == (image, model)


def test_an_empty_panel_takes_every_message_calmly() -> None:
    panel = made(None)
    for kind, fields in (("step", {"to": 0}), ("undo", {}), ("fix", {"code": "resized"})):
        assert "error" not in say(panel, kind, **fields)
    assert panel.image is None


# -- fixes ---------------------------------------------------------------------------------------


def fixed(panel: PreviewPanel, code: str) -> None:
    assert "error" not in say(panel, "fix", code=code)

    def is_fixed() -> bool:
        with panel._lock:  # what a fix changes is whole only under it
            return not panel._is_fixing

    until(is_fixed)
    settled(panel)


def test_crops_are_stepped_through_and_undone() -> None:
    panel = made(samples.photo)
    whole = panel.image
    fixed(panel, "resized")
    assert len(panel.images) == 4
    assert shown(panel)["place"] == {"at": 0, "count": 4, "noun": "Crop"}
    assert shown(panel)["undo"]
    say(panel, "step", to=3)
    settled(panel)
    left, top = panel.image.crop_origin
    assert shown(panel)["fit"]["origin"] == [left, top]
    assert fact(panel, "Original").endswith(f"cut at {left}, {top}")
    assert panel.prepared.data == nv.prepare(panel.image, model=HAIKU).data
    tokens = sum(nv.fit(crop.size, model=HAIKU).visual_tokens for crop in panel.images)
    assert shown(panel)["total"].startswith(f"4 crops together: {tokens:,} visual tokens, $")
    say(panel, "undo")
    settled(panel)
    assert panel.image is whole
    assert (panel.images, shown(panel)["undo"]) == ([whole], False)


def test_a_fix_that_gives_one_picture_takes_its_place_among_several() -> None:
    small = Image.new("RGB", (90, 60))
    panel = made(small)
    fixed(panel, "tiny")
    assert (panel.image.size, len(panel.images)) == ((360, 240), 1)
    panel.images = [samples.page, small, samples.shapes]
    assert not shown(panel)["undo"]
    say(panel, "step", to=1)
    fixed(panel, "tiny")
    assert [image.size.width for image in panel.images] == [1075, 360, 3000]
    assert shown(panel)["place"] == {"at": 1, "count": 3, "noun": "Picture"}


@pytest.mark.parametrize("outcome", [ValueError("no room"), [], None, ["a.png"]])
def test_a_fix_that_fails_is_told_in_place(
    monkeypatch: pytest.MonkeyPatch, outcome: object
) -> None:
    def repair() -> object:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    panel = made(samples.shapes)
    broken = Findings([Finding("odd", "warn", "odd", repair=repair)])
    monkeypatch.setattr(preview_panel, "check_images", lambda *_: broken)
    image = panel.image
    fixed(panel, "odd")
    assert shown(panel)["error"]["value"]
    assert (shown(panel)["is_fixing"], panel.image) == (False, image)


def test_a_slow_fix_blocks_nothing_and_gives_way_to_a_newer_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_go = threading.Event()

    def repair() -> object:
        assert let_go.wait(10)
        return nv.open_image(samples.page)

    panel = made(samples.shapes)
    slow = Findings([Finding("slow", "warn", "slow", repair=repair)])
    monkeypatch.setattr(preview_panel, "check_images", lambda *_: slow)
    say(panel, "fix", code="slow")
    assert shown(panel)["is_fixing"]
    say(panel, "fix", code="slow")
    assert "under way" in say(panel, "undo")["error"]["value"]
    panel.image = samples.photo
    let_go.set()
    until(lambda: not panel._is_fixing)
    assert panel.image.source == "photo.jpg"
    assert not shown(panel)["undo"]


# -- parts, ends ---------------------------------------------------------------------------------


class Whole(Panel):
    _esm, _css = PreviewPanel._esm, PreviewPanel._css

    def _state(self) -> tuple[dict[str, Any], list[bytes]]:
        return {}, []

    def _still(self) -> dict[str, str]:
        return {"text/plain": ""}


def test_a_part_speaks_through_the_whole_and_shares_its_lock() -> None:
    whole = Whole()
    panel = PreviewPanel(None, model=HAIKU, inside=(whole, "preview"))
    assert panel._lock is whole._lock
    say(whole, "hello", part="preview")
    thread = threading.Thread(target=lambda: setattr(panel, "image", samples.page))
    thread.start()
    thread.join()
    settled(panel)
    told = [fields for fields in heard(whole, "state") if fields["part"] == "preview"]
    assert told[-1]["image"] == "page.png"
    assert [m["part"] for m in heard(whole, "picture")] == ["preview", "preview"]
    say(whole, "model", part="preview", model=OPUS)
    assert panel.model == OPUS
    whole.close()
    panel.image = samples.shapes


def test_the_still_form_is_the_plain_preview() -> None:
    panel = made(samples.page, boxes=[nv.Box(1, 2, 30, 40, "a <b>")])
    assert (
        panel._still()
        == nv.preview(panel.image, model=HAIKU, boxes=panel.boxes)._repr_mimebundle_()
    )
    assert "nv.preview(image" in panel._repr_mimebundle_()[0]["text/plain"]
    assert "no picture" in made(None)._still()["text/plain"]


def test_the_still_form_of_what_cannot_be_prepared_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def damaged(*_: Any, **__: Any) -> Any:
        raise DamagedImage("the third row is damaged")

    panel = made(samples.page)
    monkeypatch.setattr(preview_panel.inspection, "preview", damaged)
    assert "third row" in panel._still()["text/plain"]


def test_closing_drops_work_under_way(gate: Gate) -> None:
    panel = PreviewPanel(samples.page, model=HAIKU)
    assert gate.arrived.acquire(timeout=10)
    panel.close()
    gate.opened.release()
    settled(panel)
    assert panel.image.source == "page.png"
    panel.image = samples.shapes
    panel.close()


def test_a_failing_observer_is_told_and_nothing_is_lost() -> None:
    panel = made(samples.page)

    def fail(_: object) -> None:
        raise KeyError("mine")

    panel.observe(fail, names="model")
    assert "KeyError" in say(panel, "model", model=OPUS)["error"]["value"]
    assert panel.model == OPUS


def test_a_fix_and_its_undo_can_be_called_from_python() -> None:
    panel = PreviewPanel(nv.samples.page, model=HAIKU)
    panel.fix("resized")
    until(lambda: len(panel.images) > 1)
    panel.undo()
    assert len(panel.images) == 1
    with pytest.raises(RequestError):
        panel.fix("no such finding")
