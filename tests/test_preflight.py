"""What is worth knowing before sending, with value, limit and cure."""

import time
from functools import cache
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import nbvision as nv
from nbvision.catalogue import find_model
from nbvision.errors import LimitExceeded
from nbvision.estimating import estimate_request, text_tokens
from nbvision.geometry import Size
from nbvision.images import SourceImage, open_image
from nbvision.platforms import find_platform
from nbvision.preflight import Task, _crops, check_images
from nbvision.prompts import COMPARE, DESCRIBE, locate_prompt

OPUS, HAIKU = find_model("claude-opus-5-5"), find_model("claude-haiku-4-5")
API = find_platform("anthropic")
PLAIN = open_image(Image.new("RGB", (800, 600)))
LARGE = open_image(Image.new("RGB", (2400, 1000)))
TASKS: tuple[Task, ...] = ("describe", "locate")


@cache
def canvas() -> SourceImage:
    return open_image(Image.new("RGB", (9000, 9000)))


def sized(width: int, height: int) -> SourceImage:
    return canvas().crop(0, 0, width, height)


def codes(*images: SourceImage, prompt: str = "", model: str = "claude-opus-5-5") -> dict[str, str]:
    found = check_images(images or [PLAIN], find_model(model), API, prompt=prompt)
    return {finding.code: finding.level for finding in found}


def test_a_plain_picture_needs_no_words() -> None:
    assert codes() == {}


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("Give normalized boxes", "normalised"),
        ("coordinates from 0-1000 please", "normalised"),
        ("How many birds are there?", "counting"),
        ("Who is this?", "people"),
        ("Is this AI-generated?", "ai-generated"),
        ("Diagnose this MRI", "medical"),
        ("When was this taken?", "metadata"),
        ("Remove the background", "editing"),
        ("Retouch this photo", "editing"),
        ("Give boxes with values from 0 to 1", "normalised"),
        ("0..1000 is the range of each coordinate", "normalised"),
        ("percent coordinates of the door", "normalised"),
        ("What time does the clock show?", "locate-precision"),
        ("Is this sexually explicit?", "explicit"),
    ],
)
def test_prompts_that_ask_for_the_doubtful_are_told(prompt: str, code: str) -> None:
    assert code in codes(prompt=prompt)


@pytest.mark.parametrize(
    "prompt",
    [
        "Describe this image.",
        "every window",
        "Where is the edit button?",
        "What does it draw attention to?",
        "Rate its sharpness from 0 to 100.",
        "Was it taken on 2020-10-01?",
        DESCRIBE,
        COMPARE,
        locate_prompt("the red bowl", 1000, 100, schema_is_sent=False),
    ],
)
def test_everyday_prompts_are_left_alone(prompt: str) -> None:
    assert codes(prompt=prompt) == {}


def test_a_resize_is_told_with_what_is_lost() -> None:
    finding = check_images([LARGE], HAIKU, API)[0]
    assert (finding.code, finding.level) == ("resized", "info")
    assert "2400 × 1000 → " in finding.value


def is_sent_whole(image: SourceImage, model: nv.Model) -> bool:
    return not nv.fit(image.size, model=model.id).is_resized


@given(st.integers(1, 9000), st.integers(1, 9000), st.sampled_from([OPUS, HAIKU]))
@settings(max_examples=40, deadline=None)
def test_crops_cover_the_picture_and_are_sent_as_they_are(
    width: int, height: int, model: nv.Model
) -> None:
    crops = _crops(sized(width, height), model.tier)
    assert all(is_sent_whole(crop, model) for crop in crops)
    assert sum(crop.size.pixels for crop in crops) == width * height
    origins = {crop.crop_origin for crop in crops}
    assert len(origins) == len(crops)


def test_a_resize_can_be_avoided_with_crops_whose_boxes_come_home() -> None:
    crops = check_images([LARGE], HAIKU, API)[0].fix()
    assert len(crops) > 1
    assert all(crop.full_size == LARGE.size for crop in crops)
    assert check_images(crops, HAIKU, API).codes == ()


def test_losing_most_pixels_weighs_more_where_places_are_asked_for() -> None:
    photo = sized(4000, 3000)
    levels = {
        task: [f.level for f in check_images([photo], HAIKU, API, task=task) if f.code == "resized"]
        for task in TASKS
    }
    assert levels == {"describe": ["info"], "locate": ["warn"]}


def test_a_picture_that_becomes_thin_when_resized_is_told() -> None:
    panorama = sized(8000, 400)
    found = {finding.code: finding for finding in check_images([panorama], OPUS, API)}
    assert found["tiny"].value == "8000 × 400 px becomes 2576 × 129 px"
    assert all(min(crop.size) >= 200 for crop in found["tiny"].fix())


def test_a_thin_strip_is_not_enlarged_beyond_what_is_sent() -> None:
    strip = next(f for f in check_images([sized(2000, 1)], OPUS, API) if f.code == "tiny")
    assert not strip.is_fixable


def test_more_pixels_a_side_than_the_service_takes_are_told() -> None:
    finding = next(f for f in check_images([sized(8001, 300)], OPUS, API) if f.code == "pixels")
    assert (finding.level, finding.cure) == ("info", "nothing to do: nbvision sends 2576 × 97")


def test_what_was_noticed_while_opening_is_told_with_the_pictures_number() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = BytesIO()
    Image.new("RGB", (800, 600)).save(data, "JPEG", quality=5, exif=exif)
    found = check_images([PLAIN, open_image(data.getvalue())], OPUS, API)
    told = {finding.code: (finding.level, finding.image_number) for finding in found}
    assert told == {"low-quality": ("warn", 2), "rotated": ("info", 2)}


def test_an_animation_is_told() -> None:
    data = BytesIO()
    frames = [Image.new("RGB", (300, 300), name) for name in ("red", "blue")]
    frames[0].save(data, "GIF", save_all=True, append_images=frames[1:])
    assert check_images([open_image(data.getvalue())], OPUS, API).warnings.codes == ("animated",)


def test_a_tiny_picture_is_told_and_can_be_enlarged() -> None:
    tiny = open_image(Image.new("RGB", (90, 60)))
    finding = check_images([tiny], OPUS, API)[0]
    assert (finding.code, finding.level) == ("tiny", "warn")
    assert min(finding.fix().size) >= 200


def test_large_pictures_among_many_are_told_that_they_are_sent_smaller() -> None:
    def sent_as(count: int) -> set[str]:
        found = check_images([LARGE] * count, OPUS, API)
        assert not found.errors
        return {f.value.partition(" before")[0] for f in found if f.code == "resized"}

    assert sent_as(20) == set()
    assert sent_as(21) == {"2400 × 1000 → 1988 × 828"}


def test_an_error_stops_a_call_before_it_is_sent() -> None:
    backend = nv.connect("practice", words_per_second=None)
    prepared = nv.prepare(LARGE, backend=backend)
    with pytest.raises(LimitExceeded, match="image 21: a picture prepared at 2400 × 1000"):
        nv.describe([PLAIN] * 20 + [prepared], backend=backend)


@pytest.mark.parametrize(
    ("count", "model", "platform", "code"),
    [(101, HAIKU, "anthropic", "count"), (21, HAIKU, "bedrock-converse", "count")],
)
def test_counts_are_limited_by_model_and_place(
    count: int, model: nv.Model, platform: str, code: str
) -> None:
    found = check_images([PLAIN] * count, model, find_platform(platform))
    assert code in found.errors.codes
    groups = next(f for f in found if f.code == code).fix()
    assert sum(map(len, groups)) == count
    assert not any(check_images(group, model, find_platform(platform)).errors for group in groups)


def test_a_limit_that_is_only_guessed_warns_and_stops_nothing() -> None:
    unknown = find_model("claude-opus-6")
    found = check_images([PLAIN] * 150, unknown, API, prompt="x" * 10**6, max_tokens=10**6)
    assert not found.errors
    assert set(found.warnings.codes) == {"count", "context", "max-tokens"}


def test_a_context_that_words_may_overfill_warns_and_one_that_pictures_do_is_an_error() -> None:
    def level(count: int, prompt: str) -> str:
        found = check_images([sized(1092, 1092)] * count, HAIKU, API, prompt=prompt)
        return next(f.level for f in found if f.code == "context")

    assert level(1, "x" * 800_000) == "warn"
    assert level(132, "") == "error"


def test_a_request_that_may_be_too_large_is_told_and_can_be_split() -> None:
    many = [sized(1900, 1900)] * 60
    found = check_images(many, OPUS, find_platform("bedrock"))
    large = next(f for f in found if f.code == "request-size")
    assert (large.level, large.limit) == ("warn", "20 MB on bedrock")
    assert sum(map(len, large.fix())) == 60
    assert "request-size" not in check_images(large.fix()[0], OPUS, find_platform("bedrock")).codes


def test_a_model_that_ended_is_told_with_its_day() -> None:
    found = check_images([PLAIN], find_model("claude-3-opus-20240229"), API)
    assert found.warnings[0].value == "claude-3-opus is deprecated, retired 2026-01-05"


def test_a_model_that_ends_or_is_unknown_is_told() -> None:
    assert codes(model="claude-sonnet-4-5")["deprecated"] == "warn"
    assert codes(model="claude-opus-9")["guessed-model"] == "info"


def test_a_long_prompt_says_that_it_costs_more() -> None:
    found = check_images([LARGE] * 20, find_model("claude-haiku-5-5"), API, prompt="x " * 60_000)
    assert "long-prompt" in found.codes


def test_errors_come_first_and_pictures_are_numbered() -> None:
    found = check_images([PLAIN, *[LARGE] * 21], HAIKU, find_platform("bedrock-converse"))
    assert [f.level for f in found] == sorted((f.level for f in found), key="error warn info".index)
    assert found[-1].image_number in range(1, 23)


def test_max_tokens_above_the_models_are_told() -> None:
    assert "max-tokens" in check_images([PLAIN], HAIKU, API, max_tokens=10**6).errors.codes


def test_an_estimate_adds_pictures_and_words() -> None:
    row = estimate_request([Size(1000, 1000)], "x" * 35, [HAIKU]).rows[0]
    assert (row.visual_tokens, row.text_tokens) == (1296, 10)
    assert row.dollars == pytest.approx(1306 / 1e6)
    assert not row.is_counted


def test_an_answer_to_a_long_prompt_is_estimated_at_the_dearer_price() -> None:
    haiku = find_model("claude-haiku-5-5")
    short, long = (
        estimate_request([Size(1900, 1900)] * count, "", [haiku]).rows[0] for count in (1, 40)
    )
    assert short.dollars_per_1000_output_tokens == pytest.approx(0.0005)
    assert long.dollars_per_1000_output_tokens == pytest.approx(0.0025)


def test_a_price_that_is_not_known_is_said_not_to_be() -> None:
    estimate = estimate_request([PLAIN.size], "", [find_model("claude-opus-6")])
    assert estimate.dollars is None
    assert "price not known" in estimate._repr_mimebundle_()["text/plain"]


def test_newer_models_count_the_same_words_as_more_tokens() -> None:
    assert text_tokens("x" * 350, HAIKU) == 100
    assert text_tokens("x" * 350, OPUS) == 130


def test_scripts_with_more_bytes_a_character_have_more_tokens() -> None:
    assert text_tokens("写真に何が写っていますか", HAIKU) > text_tokens("What is in it", HAIKU)
    assert text_tokens("\ud800", HAIKU) == 1


def test_hostile_words_take_no_time() -> None:
    for part in ("0 ", "box 0", "0" + " " * 50, "who ", "draw ", "\ud800", "edit this "):
        started = time.perf_counter()
        check_images([PLAIN], OPUS, API, prompt=part * 500_000, system=part * 500_000)
        assert time.perf_counter() - started < 1


def test_a_counted_request_says_so() -> None:
    backend = nv.connect("practice", words_per_second=None)
    estimate = nv.estimate(PLAIN, models="practice-high", backend=backend)
    assert estimate.rows[0].is_counted
    offline = nv.estimate(PLAIN, models="practice-high", backend=backend, count=False)
    assert not offline.rows[0].is_counted


def test_findings_show_themselves_and_what_they_cannot_mend() -> None:
    found = nv.check(Image.new("RGB", (90, 60)), model="claude-haiku-4-5", prompt="Who is this?")
    shown = found._repr_mimebundle_()
    assert "tiny" in shown["text/plain"]
    assert "<table>" in shown["text/html"]
    with pytest.raises(ValueError, match="no automatic fix"):
        next(f for f in found if f.code == "people").fix()
