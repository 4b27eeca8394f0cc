"""What is worth knowing before sending, with value, limit and cure."""

import pytest
from PIL import Image

import nbvision as nv
from nbvision.catalogue import find_model, find_platform
from nbvision.errors import LimitExceeded
from nbvision.geometry import Size
from nbvision.images import SourceImage, open_image
from nbvision.preflight import check_images, estimate_request

OPUS, HAIKU = find_model("claude-opus-5-5"), find_model("claude-haiku-4-5")
API = find_platform("anthropic")
PLAIN = open_image(Image.new("RGB", (800, 600)))
LARGE = open_image(Image.new("RGB", (2400, 1000)))


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
    ],
)
def test_prompts_that_ask_for_the_doubtful_are_told(prompt: str, code: str) -> None:
    assert code in codes(prompt=prompt)


@pytest.mark.parametrize(
    "prompt",
    ["Describe this image.", "every window", "Find in the image: the red bowl [x1, y1, x2, y2]"],
)
def test_everyday_prompts_are_left_alone(prompt: str) -> None:
    assert codes(prompt=prompt) == {}


def test_a_resize_is_told_with_what_is_lost() -> None:
    finding = check_images([LARGE], HAIKU, API)[0]
    assert (finding.code, finding.level) == ("resized", "info")
    assert "2400 × 1000 → " in finding.value


def test_a_tiny_picture_is_told_and_can_be_enlarged() -> None:
    tiny = open_image(Image.new("RGB", (90, 60)))
    finding = check_images([tiny], OPUS, API)[0]
    assert (finding.code, finding.level) == ("tiny", "warn")
    assert min(finding.fix().size) >= 200


def test_more_than_twenty_large_pictures_are_an_error_that_can_be_mended() -> None:
    many = [LARGE] * 21
    found = check_images(many, OPUS, API)
    assert found.errors.codes == ("many-images",)
    mended = found.errors[0].fix()
    assert check_images(mended, OPUS, API).errors == ()


def test_twenty_large_pictures_are_fine_and_so_are_many_that_are_shrunk() -> None:
    assert not check_images([LARGE] * 20, OPUS, API).errors
    assert not check_images([LARGE] * 30, HAIKU, API).errors


def test_an_error_stops_a_call_before_it_is_sent() -> None:
    backend = nv.connect("practice", words_per_second=None)
    with pytest.raises(LimitExceeded, match="longer than 2000"):
        nv.describe([LARGE] * 21, backend=backend)


@pytest.mark.parametrize(
    ("count", "model", "platform", "code"),
    [(101, HAIKU, "anthropic", "count"), (21, HAIKU, "bedrock-converse", "count")],
)
def test_counts_are_limited_by_model_and_place(
    count: int, model: nv.Model, platform: str, code: str
) -> None:
    found = check_images([PLAIN] * count, model, find_platform(platform))
    assert code in found.errors.codes


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
