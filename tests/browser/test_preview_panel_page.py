"""The preview as a person meets it: frames, zoom, pixels, fixes."""

import base64
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hostile_pictures import noise, saved
from PIL import Image
from stage import Stage

import nbvision as nv
from nbvision import samples
from nbvision.backends import connection
from nbvision.errors import DamagedImage
from nbvision.findings import Finding, Findings
from nbvision.prepared import prepare_image
from nbvision.widgets import preparing, preview_panel
from nbvision.widgets.front_end import module
from nbvision.widgets.messages import Message
from nbvision.widgets.panel import Panel
from nbvision.widgets.preview_panel import PreviewPanel

HAIKU, OPUS = "claude-haiku-4-5", "claude-opus-5-5"
DARK = """:root { --jp-layout-color0: #111; --jp-layout-color2: #424242;
    --jp-content-font-color1: #fff }"""
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"

Put = Callable[[Callable[[], Any]], Stage]


@pytest.fixture(autouse=True)
def _nobody_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_chosen", None)


def opened(put: Put, image: object = samples.page, **options: Any) -> Stage:
    """A stage whose picture is there."""
    stage = put(lambda: PreviewPanel(image, **{"model": HAIKU, **options}))
    settled(stage)
    return stage


def settled(stage: Stage) -> None:
    """Wait until all is made, delivered and decoded."""
    stage.until(lambda: not stage.panel._made.is_working)
    stage.pump()
    script = """() => [...document.querySelectorAll(".nbv-lens img")].filter((i) => !i.hidden)
        .every((i) => i.complete && i.naturalWidth > 0)"""
    stage.until(lambda: stage.page.evaluate(script))
    stage.page.evaluate("() => new Promise((done) => setTimeout(done, 1))")


def press(stage: Stage, name: str) -> None:
    stage.root.get_by_role("button", name=name, exact=True).click()
    stage.pump()


def fact(stage: Stage, what: str) -> str:
    row = stage.root.locator("tr").filter(has=stage.page.get_by_role("rowheader", name=what))
    return row.locator("td").inner_text()


def lens(stage: Stage) -> Any:
    return stage.root.locator(".nbv-lens")


def readout(stage: Stage) -> str:
    return stage.root.locator(".nbv-lens-readout").inner_text()


def paper(stage: Stage) -> dict[str, float]:
    return stage.root.locator(".nbv-lens-paper").bounding_box()


def point_at(stage: Stage, x: float, y: float) -> str:
    """Point at a place of the shown frame, in shares of it; return what is read there."""
    box = paper(stage)
    stage.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    return readout(stage)


def numbers(words: str) -> dict[str, tuple[int, int]]:
    parts = [part.rsplit(" ", 2) for part in words.split(" · ")]
    return {name: (int(x.rstrip(",")), int(y)) for name, x, y in parts}


# -- the picture ---------------------------------------------------------------------------------


def test_what_is_shown_is_what_is_sent_byte_for_byte(put: Put) -> None:
    stage = opened(put, None)
    stage.page.evaluate(
        """() => {
          window.blobs = [];
          const make = URL.createObjectURL;
          URL.createObjectURL = (blob) => { window.blobs.push(blob); return make(blob); };
        }"""
    )
    stage.panel.image = samples.photo
    settled(stage)
    script = """(wanted) => Promise.all(window.blobs.map((blob) => new Promise((done) => {
        const reader = new FileReader();
        reader.onload = () => done(reader.result);
        reader.readAsDataURL(blob); })))"""
    shown = stage.page.evaluate(script)
    ready = nv.prepare(samples.photo, model=HAIKU)
    expected = f"data:{ready.media_type};base64,{base64.b64encode(ready.data).decode()}"
    assert len(shown) == 2
    assert expected in shown
    seen = stage.root.locator(".nbv-lens img:not([hidden])")
    assert seen.evaluate("(i) => [i.naturalWidth, i.naturalHeight]") == [*ready.fit.resized]


def test_the_three_frames_have_their_sizes_and_padding_is_named(put: Put) -> None:
    stage = opened(put)
    fit = stage.panel.fit
    press(stage, "100 %")
    for frame in ("original", "resized", "padded"):
        press(stage, frame)
        size = getattr(fit, frame)
        assert (paper(stage)["width"], paper(stage)["height"]) == (size.width, size.height)
        button = stage.root.get_by_role("button", name=frame, exact=True)
        assert button.get_attribute("aria-pressed") == "true"
        alt = stage.root.locator(".nbv-lens img:not([hidden])").get_attribute("alt")
        assert alt == f"page.png, {frame}, {size.width} × {size.height} pixels"
    assert "Padding: 9 px below" in stage.root.inner_text()
    hatch = stage.root.locator(".nbv-lens-padding")
    box = hatch.evaluate("(p) => { const b = p.getBBox(); return [b.x, b.y, b.width, b.height] }")
    assert box == [0, 1307, 924, 9]
    # The picture itself is not stretched over the padding.
    image = stage.root.locator(".nbv-lens img:not([hidden])")
    assert image.bounding_box()["height"] == 1307


def test_the_grid_is_one_element_and_lies_on_patches_at_every_zoom(put: Put) -> None:
    stage = opened(put)
    grid = stage.root.locator(".nbv-lens-grid")
    assert grid.count() == 0
    stage.root.get_by_label("patch grid").check()
    for zoom in ("Fit", "50 %", "400 %"):
        press(stage, zoom)
        assert grid.count() == 1
        path = grid.get_attribute("d")
        lines = [part.split(" ") for part in path.split("M")[1:]]
        across, down = [x for x, y in lines if y[0] == "0"], [x for x, _ in lines if x == "0"]
        assert (len(across), len(down)) == (924 // 28 - 1, 1316 // 28 - 1)
        scale = paper(stage)["width"] / 924
        assert [float(x) for x in across] == [round(28 * n * scale) + 0.5 for n in range(1, 33)]
    press(stage, "original")
    assert grid.count() == 0
    assert stage.root.get_by_label("patch grid").is_disabled()


def test_boxes_lie_on_all_three_frames_and_labels_are_text(put: Put) -> None:
    boxes = [nv.Box(100, 200, 600, 400, HOSTILE), nv.Box(0, 1300, 1075, 1520)]
    stage = opened(put, boxes=boxes)
    fit = stage.panel.fit
    for frame in ("original", "resized", "padded"):
        press(stage, frame)
        press(stage, "100 %")
        place = boxes[0] if frame == "original" else fit.to_resized(boxes[0])
        drawn = stage.root.locator(".nbv-lens-boxes > div").first
        style = drawn.evaluate("(e) => [e.style.left, e.style.top, e.style.width, e.style.height]")
        found = [float(length.removesuffix("px")) for length in style]
        expected = [place.left, place.top, place.width, place.height]
        assert found == pytest.approx(expected, abs=0.01)
        assert drawn.inner_text() == f"1 {HOSTILE}"
    stage.panel.boxes = ()
    stage.pump()
    assert stage.root.locator(".nbv-lens-boxes > div").count() == 0


# -- zoom and pixels -----------------------------------------------------------------------------


def test_zoom_by_buttons_and_keys(put: Put) -> None:
    stage = opened(put)
    image = stage.root.locator(".nbv-lens img:not([hidden])")
    widths = {"50 %": 462, "100 %": 924, "200 %": 1848, "400 %": 3696}
    for name, width in widths.items():
        press(stage, name)
        assert paper(stage)["width"] == width
        rendering = image.evaluate("(i) => i.style.imageRendering")
        assert rendering == ("pixelated" if width > 924 else "auto")
    press(stage, "Fit")
    whole = paper(stage)
    assert whole["height"] <= 460
    lens(stage).focus()
    seen = []
    for key in ("+", "+", "=", "+", "+", "-", "0"):
        stage.page.keyboard.press(key)
        seen.append(round(paper(stage)["width"]))
    assert seen == [462, 924, 1848, 3696, 3696, 1848, round(whole["width"])]
    fit_button = stage.root.get_by_role("button", name="Fit", exact=True)
    assert fit_button.get_attribute("aria-pressed") == "true"


def test_the_wheel_with_control_zooms_where_it_points(put: Put) -> None:
    stage = opened(put, samples.photo)
    press(stage, "100 %")
    place = lens(stage).bounding_box()
    at = (place["x"] + 150, place["y"] + 100)
    stage.page.mouse.move(*at)
    before = numbers(readout(stage))
    stage.page.keyboard.down("Control")
    stage.page.mouse.wheel(0, -100)
    stage.page.keyboard.up("Control")
    stage.page.wait_for_function("document.querySelector('.nbv-lens-paper').offsetWidth > 2000")
    stage.page.mouse.move(at[0] + 1, at[1])
    after = numbers(readout(stage))
    assert before["resized"] == pytest.approx(after["resized"], abs=1)


def test_dragging_pans(put: Put) -> None:
    stage = opened(put, samples.photo)
    press(stage, "200 %")
    scrolled = "(e) => [e.scrollLeft, e.scrollTop]"
    before = lens(stage).evaluate(scrolled)
    place = lens(stage).bounding_box()
    stage.page.mouse.move(place["x"] + 300, place["y"] + 200)
    stage.page.mouse.down()
    stage.page.mouse.move(place["x"] + 250, place["y"] + 230, steps=3)
    stage.page.mouse.up()
    after = lens(stage).evaluate(scrolled)
    assert [after[0] - before[0], after[1] - before[1]] == [50, -30]


def test_the_pixel_under_the_pointer_is_read_in_every_frame(put: Put) -> None:
    stage = opened(put, samples.photo)
    fit = stage.panel.fit
    for frame in ("resized", "padded"):
        press(stage, frame)
        for share in ((0.2, 0.3), (0.7, 0.6), (0.01, 0.9)):
            found = numbers(point_at(stage, *share))
            x, y = found[frame]
            home = fit.to_original(nv.Point(x + 0.5, y + 0.5))
            assert found["original"] == (int(home.x), int(home.y))
            assert found["patch"] == (x // 28, y // 28)
            size = getattr(fit, frame)
            assert (x, y) == pytest.approx((share[0] * size.width, share[1] * size.height), abs=4)
    assert "padding, not in your picture" in point_at(stage, 0.999, 0.5)
    press(stage, "original")
    found = numbers(point_at(stage, 0.5, 0.5))
    sent = fit.to_resized(nv.Point(found["original"][0] + 0.5, found["original"][1] + 0.5))
    assert found["resized"] == (int(sent.x), int(sent.y))


def test_pixels_are_read_by_keys_and_said_aloud(put: Put) -> None:
    stage = opened(put, samples.photo)
    press(stage, "400 %")
    lens(stage).focus()
    stage.page.keyboard.press("ArrowRight")
    first = numbers(readout(stage))["resized"]
    stage.page.keyboard.press("ArrowRight")
    stage.page.keyboard.press("Shift+ArrowDown")
    assert numbers(readout(stage))["resized"] == (first[0] + 1, first[1] + 28)
    line = stage.root.locator(".nbv-lens-readout")
    assert line.get_attribute("aria-live") == "polite"
    mark = stage.root.locator(".nbv-lens-mark")
    for _ in range(12):
        stage.page.keyboard.press("Shift+ArrowLeft")
    inside, place = mark.bounding_box(), lens(stage).bounding_box()
    assert place["x"] <= inside["x"] <= place["x"] + place["width"]
    stage.page.keyboard.press("Shift+ArrowUp")
    press(stage, "padded")
    assert mark.is_hidden()


def test_keys_of_the_picture_never_reach_the_notebook(put: Put) -> None:
    stage = opened(put)
    stage.page.evaluate(
        """() => { window.reached = [];
          document.getElementById("stage").addEventListener("keydown",
            (event) => window.reached.push(event.key)); }"""
    )
    lens(stage).focus()
    for key in ("x", "b", "+", "0", "ArrowDown", "Enter", "Control+s", "Escape"):
        stage.page.keyboard.press(key)
    assert stage.page.evaluate("window.reached") == ["Control", "s", "Escape"]
    assert lens(stage).get_attribute("data-lm-suppress-shortcuts") == "true"


def test_a_state_that_comes_again_keeps_zoom_scroll_and_focus(put: Put) -> None:
    stage = opened(put, samples.photo)
    press(stage, "padded")
    press(stage, "400 %")
    lens(stage).focus()
    lens(stage).evaluate("(e) => e.scrollTo(700, 900)")
    stage.page.keyboard.press("ArrowLeft")
    read = readout(stage)
    stage.panel._post_state()
    settled(stage)
    assert lens(stage).evaluate("(e) => [e.scrollLeft, e.scrollTop]") == [700, 900]
    assert stage.page.evaluate("document.activeElement.getAttribute('role')") == "group"
    assert readout(stage) == read
    assert stage.root.locator(".nbv-lens-padding").count() == 1


# -- models --------------------------------------------------------------------------------------


def test_choosing_a_model_gives_its_numbers_at_once_and_its_bytes_later(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = opened(put, samples.photo)
    let_go = threading.Event()

    def slow(*given: Any) -> Any:
        assert let_go.wait(10)
        return prepare_image(*given)

    monkeypatch.setattr(preparing, "prepare_image", slow)
    stage.root.get_by_label("Model").select_option(OPUS)
    stage.pump()
    row = nv.estimate(samples.photo, models=OPUS, count=False).rows[0]
    assert fact(stage, "Visual tokens") == f"{row.visual_tokens:,}"
    assert fact(stage, "Resized") == f"{nv.fit((2572, 1740), model=OPUS).resized} px"
    assert fact(stage, "Sent as") == "preparing …"
    assert stage.root.get_by_role("status").filter(has_text="Preparing").count() == 1
    assert stage.root.locator(".nbv-lens img:not([hidden])").count() == 0
    let_go.set()
    settled(stage)
    ready = nv.prepare(samples.photo, model=OPUS)
    assert fact(stage, "Sent as") == f"{ready.media_type}, {len(ready.data) / 1000:,.0f} kB"
    assert stage.root.get_by_role("status").filter(has_text="Preparing").count() == 0


def test_numbers_of_twelve_megapixels_follow_each_choice(put: Put) -> None:
    photograph = Image.effect_noise((500, 375), 40).resize((4000, 3000)).convert("RGB")
    stage = opened(put, saved(photograph, "JPEG", quality=90))
    for model in (OPUS, HAIKU):
        fit = nv.fit((4000, 3000), model=model)
        stage.root.get_by_label("Model").select_option(model)
        stage.until(lambda fit=fit: fact(stage, "Visual tokens") == f"{fit.visual_tokens:,}")


def test_a_kernel_that_is_gone_gives_the_menu_back_what_is_true(put: Put) -> None:
    stage = opened(put)
    stage.is_connected = False
    stage.page.clock.install()
    menu = stage.root.get_by_label("Model")
    menu.select_option(OPUS)
    stage.page.clock.run_for(3100)
    assert "Not connected" in stage.root.inner_text()
    assert menu.input_value() == HAIKU


# -- findings and fixes --------------------------------------------------------------------------


def test_crops_by_button_step_and_undo(put: Put) -> None:
    stage = opened(put, samples.photo, boxes=samples.photo.truth)
    press(stage, "Cut into crops")
    stage.until(lambda: len(stage.panel.images) == 4)
    settled(stage)
    assert "Crop 1 of 4" in stage.root.inner_text()
    # The button is gone; whoever pressed it by key is not thrown to the top of the page.
    assert stage.page.evaluate("document.activeElement.textContent") == "Undo"
    press(stage, "Next")
    settled(stage)
    assert "Crop 2 of 4" in stage.root.inner_text()
    assert fact(stage, "Original") == "1286 × 870 px, cut at 1286, 0"
    x, y = numbers(point_at(stage, 0.5, 0.5))["original"]
    assert (x, y) == pytest.approx((1286 + 643, 435), abs=4)
    press(stage, "Previous")
    settled(stage)
    previous = stage.root.get_by_role("button", name="Previous")
    assert previous.get_attribute("aria-disabled") == "true"
    press(stage, "Undo")
    settled(stage)
    assert stage.panel.image.size == (2572, 1740)
    assert "Crop" not in stage.root.inner_text().replace("Cut into crops", "")


def test_findings_are_text_and_a_fix_that_fails_says_so_in_place(
    put: Put, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    def repair() -> object:
        raise DamagedImage(f"no room {HOSTILE}", cure="close something")

    found = Findings([Finding("odd", "error", HOSTILE, HOSTILE, HOSTILE, repair=repair)])
    monkeypatch.setattr("nbvision.widgets.preview_words.check_images", lambda *_: found)
    monkeypatch.setattr(preview_panel, "check_images", lambda *_: found)
    picture = tmp_path / "<b>x onerror=1.png"
    picture.write_bytes(samples.shapes.path.read_bytes())
    stage = opened(put, picture)
    assert f"odd {HOSTILE} (limit: {HOSTILE}) → {HOSTILE}" in " ".join(
        stage.root.get_by_role("listitem").first.inner_text().replace("(error)", "").split()
    )
    press(stage, "Fix odd")
    stage.sees(f"no room {HOSTILE} → close something")
    assert "<b>x onerror=1.png" in stage.root.inner_text()
    assert stage.page.title() == "nbvision"
    assert stage.root.locator("img[src=x], b:has-text('x onerror')").count() == 0
    press(stage, "Dismiss")
    stage.panel._post_state()
    stage.pump()
    assert "no room" not in stage.root.inner_text()
    press(stage, "Fix odd")
    stage.sees("no room")


def test_an_empty_panel_says_how_to_fill_it_and_a_damaged_picture_leaves_it_usable(
    put: Put,
) -> None:
    stage = opened(put, None)
    assert 'panel.image = "photo.jpg"' in stage.root.inner_text()
    assert lens(stage).is_hidden()
    assert stage.violations() == []
    with pytest.raises(DamagedImage):
        stage.panel.image = samples.photo.path.read_bytes()[:2000]
    stage.sees("cut off")
    stage.panel.image = samples.page
    settled(stage)
    assert "cut off" not in stage.root.inner_text()
    assert lens(stage).is_visible()
    stage.panel.image = None
    stage.sees("No picture yet")


@pytest.mark.parametrize("size", [(1, 3000), (3000, 1), (28, 28), (1, 1)])
def test_odd_shapes_can_be_seen_and_read(put: Put, size: tuple[int, int]) -> None:
    stage = opened(put, noise(size))
    for frame in ("original", "resized", "padded"):
        press(stage, frame)
        for zoom in ("Fit", "400 %"):
            press(stage, zoom)
            image = stage.root.locator(".nbv-lens img:not([hidden])").bounding_box()
            assert min(image["width"], image["height"]) >= 1
            lens(stage).focus()
            stage.page.keyboard.press("ArrowDown")
            assert readout(stage).startswith(frame)


# -- access, look, end ---------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1100, 420])
@pytest.mark.parametrize("css", ["", DARK], ids=["light", "dark"])
def test_axe_finds_nothing_and_nothing_sticks_out(put: Put, width: int, css: str) -> None:
    stage = opened(put, samples.photo, boxes=samples.photo.truth)
    stage.page.set_viewport_size({"width": width, "height": 900})
    stage.page.add_style_tag(content=css or "p {}")
    stage.root.get_by_label("patch grid").check()
    press(stage, "padded")
    press(stage, "Cut into crops")
    stage.until(lambda: len(stage.panel.images) == 4)
    settled(stage)
    assert stage.violations() == []
    root = stage.root.evaluate("(e) => [e.scrollWidth, e.clientWidth]")
    assert root[0] <= root[1]
    ground = stage.root.evaluate("(e) => getComputedStyle(e).backgroundColor")
    assert ground == ("rgb(17, 17, 17)" if css else "rgb(255, 255, 255)")


def test_every_control_is_reached_by_tab_and_has_a_name(put: Put) -> None:
    stage = opened(put, samples.photo)
    script = """() => { const e = document.activeElement;
        return e.getAttribute("aria-label") ?? e.textContent }"""
    stage.page.evaluate("document.activeElement.blur()")
    seen = []
    for _ in range(12):
        stage.page.keyboard.press("Tab")
        seen.append(stage.page.evaluate(script)[:14])
    assert seen[1:4] == ["original", "resized", "padded"]
    assert seen[5:] == [
        "Picture: + and",
        "Fit",
        "50 %",
        "100 %",
        "200 %",
        "400 %",
        "Cut into crops",
    ]


class Two(Panel):
    """A widget with two previews as its parts."""

    _esm = module("preview_panel", "previewPanelView").replace(
        "export default host(previewPanelView)",
        """export default host(({ channel, root, ...rest }) => {
          for (const name of ["left", "right"]) {
            const place = h("section", { "aria-label": name, class: "nbv-body" });
            root.append(place);
            previewPanelView({ channel: channel.part(name), root: place, ...rest });
          }
        })""",
    )
    _css = PreviewPanel._css

    def __init__(self) -> None:
        super().__init__()
        self.left = PreviewPanel(samples.page, model=HAIKU, inside=(self, "left"))
        self.right = PreviewPanel(None, model=HAIKU, inside=(self, "right"))

    def _on_hello(self, _: Message) -> None:
        self.left._post_state()
        self.right._post_state()


def test_two_previews_are_parts_of_one_widget(put: Put) -> None:
    stage = put(Two)
    left, right = (stage.root.get_by_role("region", name=name) for name in ("left", "right"))
    thread = threading.Thread(target=lambda: setattr(stage.panel.right, "image", samples.photo))
    thread.start()
    stage.until(lambda: "photo.jpg" in right.inner_text() and "page.png" in left.inner_text())
    right.get_by_label("Model").select_option(OPUS)
    left.get_by_role("button", name="padded").click()
    right.get_by_role("button", name="padded").click()
    stage.until(
        lambda: not (stage.panel.left._made.is_working or stage.panel.right._made.is_working)
    )
    stage.pump()
    assert (stage.panel.left.model, stage.panel.right.model) == (HAIKU, OPUS)
    assert left.locator(".nbv-lens-legend").inner_text().startswith("Padding: 9 px below")
    stage.until(lambda: stage.root.locator(".nbv-lens img:not([hidden])").count() == 2)
    ids = "() => [...document.querySelectorAll('[id]')].map((e) => e.id)"
    found = stage.page.evaluate(ids)
    assert len(found) == len(set(found))
    assert stage.violations() == []


def test_the_menu_is_not_thrown_back_while_a_choice_is_under_way(put: Put) -> None:
    stage = opened(put)
    menu = stage.root.get_by_label("Model")
    menu.select_option(OPUS)
    stage.page.evaluate(
        "(s) => window.deliver([[s, []]])",
        {**stage.panel._fields(), "type": "state", "part": "", "pictures": []},
    )
    assert menu.input_value() == OPUS
    stage.pump()
    assert (stage.panel.model, menu.input_value()) == (OPUS, OPUS)
    stage.panel.model = "claude-opus-9"
    stage.pump()
    assert menu.input_value() == "claude-opus-9"


def test_leaving_leaves_nothing_behind(put: Put) -> None:
    stage = opened(put)
    stage.page.evaluate("window.leave()")
    assert stage.page.evaluate("window.listening") == []
    assert stage.page.evaluate("window.modelListeners.size") == 0
    assert stage.page.locator(".nbvision").count() == 0


def test_traffic_is_numbers_then_pictures_once(put: Put) -> None:
    stage = opened(put, samples.photo)
    stage.traffic.clear()
    stage.panel.boxes = samples.photo.truth
    stage.root.get_by_label("Model").select_option("claude-sonnet-4-6")
    stage.pump()
    settled(stage)
    assert [kind for kind, _ in stage.traffic] == ["state", "state", "answer"]
    assert all(size < 6000 for _, size in stage.traffic)
