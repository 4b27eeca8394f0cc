"""The workbench: what is picked is previewed and asked about, mended pictures included."""

from pathlib import Path
from typing import Any

import pytest
from ipywidgets.widgets.widget import _instances
from PIL import Image
from widget_comm import heard, say, until

import nbvision as nv
from nbvision.detections import Detections
from nbvision.errors import ImageNotFound, RequestError


def bench(**options: Any) -> nv.Workbench:
    practice = nv.connect("practice", words_per_second=None)
    return nv.Workbench(nv.samples.photo.path.parent, backend=practice, **options)


def test_what_is_picked_is_previewed_and_asked_about() -> None:
    made = bench(task="locate")
    made.picker.select("shapes.png")
    assert [image.source for image in made.images] == ["shapes.png"]
    until(lambda: made.preview_panel.image is not None)
    made.ask_panel.prompt = nv.samples.shapes.prompt
    made.ask()
    result = made.wait(seconds=60)
    assert isinstance(result, Detections)
    assert len(result) == 9
    assert made.result is result
    assert "red circle" in made._still()["text/plain"]


def test_the_form_begins_with_what_was_given() -> None:
    made = bench(prompt="Which shapes?", system="Be brief.", effort="low", max_tokens=900)
    form = made.ask_panel
    assert (form.prompt, form.system, form.effort) == ("Which shapes?", "Be brief.", "low")
    assert form.max_tokens == 900
    with pytest.raises(RequestError):
        bench(effort="enormous")


def test_a_fix_in_the_preview_is_what_is_asked_about() -> None:
    made = bench(model="claude-haiku-4-5")
    made.picker.select("page.png")
    until(lambda: made.preview_panel.prepared is not None)
    say(made, "fix", part="preview", code="resized")
    until(lambda: len(made.images) > 1)
    assert made.images == made.preview_panel.images
    say(made, "undo", part="preview")
    until(lambda: len(made.images) == 1)


def test_one_model_for_both() -> None:
    made = bench(model="claude-haiku-4-5")
    assert made.ask_panel.model == "claude-haiku-4-5"
    made.ask_panel.model = "claude-opus-5-5"
    assert made.preview_panel.model == "claude-opus-5-5"
    made.preview_panel.model = "claude-sonnet-5-5"
    assert made.ask_panel.model == "claude-sonnet-5-5"
    assert made.picker.model == "claude-sonnet-5-5"


def test_the_backends_own_model_holds_for_all_three() -> None:
    practice = nv.connect("practice", model="practice-standard", words_per_second=None)
    nv.connect("practice", words_per_second=None)
    made = nv.Workbench(nv.samples.photo.path.parent, backend=practice)
    assert made.picker.model == made.preview_panel.model == "practice-standard"


def test_pictures_set_in_the_preview_are_what_is_asked_about() -> None:
    made = bench()
    made.preview_panel.images = [nv.samples.shapes]
    made.preview_panel.images = [*made.preview_panel.images, nv.samples.page]
    assert [image.source for image in made.ask_panel.images] == ["shapes.png", "page.png"]


def test_each_part_speaks_through_the_whole() -> None:
    made = bench()
    for part in ("picker", "preview", "ask"):
        assert "error" not in say(made, "hello", part=part)
    assert {fields["part"] for fields in heard(made, "state")} >= {"picker", "preview", "ask"}
    assert "error" in say(made, "hello", part="no such part")


@pytest.mark.parametrize("root", [["a.png"], 3, None, b"x", 5.0])
@pytest.mark.parametrize("kind", [nv.Workbench, nv.ImagePicker])
def test_a_root_that_is_no_folder_is_our_error(kind: Any, root: object) -> None:
    before = set(_instances)
    with pytest.raises(RequestError, match="root=") as refused:
        kind(root)
    assert refused.value.limit == "one folder, as text or a Path"
    assert set(_instances) == before


def test_a_folder_that_is_not_there_leaves_nothing_behind(tmp_path: Path) -> None:
    before = set(_instances)
    with pytest.raises(ImageNotFound):
        nv.Workbench(tmp_path / "missing")
    assert set(_instances) == before


def test_closing_closes_the_parts() -> None:
    made = bench()
    parts = [made.picker, made.preview_panel, made.ask_panel]
    made.close()
    assert [part._is_closed for part in parts] == [True] * 3


def test_two_pictures_can_be_compared(tmp_path: Path) -> None:
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        Image.new("RGB", (300, 200), colour).save(tmp_path / name)
    practice = nv.connect("practice", words_per_second=None)
    made = nv.Workbench(tmp_path, task="compare", backend=practice)
    made.picker.select("a.png", "b.png")
    made.ask()
    result = made.wait(seconds=60)
    assert result is not None
    assert len(result.images) == 2


def test_a_click_right_after_a_choice_asks_about_what_was_chosen() -> None:
    made = bench()
    fields = {"task": "describe", "prompt": "", "system": "", "model": "", "effort": ""}
    for name in ("shapes.png", "page.png", "photo.jpg"):
        made.picker.clear()
        made.picker.select(name)
        say(made, "ask", part="ask", **fields)
        result = made.wait(seconds=60)
        assert result is not None
        assert [image.source.source for image in result.images] == [name]


def test_it_does_not_tell_where_its_folder_lies() -> None:
    made = bench()
    assert str(nv.samples.photo.path.parent) not in made._repr_mimebundle_()[0]["text/plain"]
