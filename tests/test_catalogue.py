"""The catalogue says what the pages say, and guesses nothing in silence."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbvision as nv
from nbvision.catalogue import find_model, find_platform, model_cost, models
from nbvision.errors import RequestError
from nbvision.geometry import HIGH, STANDARD

# id: tier, context, input, output, cache read; as published, August to November 2026.
PUBLISHED = {
    "claude-fable-5-2": ("high", 1_000_000, 8, 40, None),
    "claude-haiku-5-5": ("high", 1_000_000, 0.10, 0.50, 0.01),
    "claude-sonnet-5-5": ("high", 1_000_000, 2, 10, 0.10),
    "claude-opus-5-5": ("high", 1_000_000, 4, 20, 0.20),
    "claude-fable-5-1": ("high", 1_000_000, 10, 50, 0.25),
    "claude-opus-5": ("high", 1_000_000, 5, 25, 0.50),
    "claude-sonnet-5": ("high", 1_000_000, 2, 10, 0.20),
    "claude-fable-5": ("high", 1_000_000, 10, 50, 1.00),
    "claude-opus-4-8": ("high", 1_000_000, 5, 25, 0.50),
    "claude-opus-4-7": ("high", 1_000_000, 5, 25, 0.50),
    "claude-opus-4-6": ("standard", 1_000_000, 5, 25, 0.50),
    "claude-sonnet-4-6": ("standard", 1_000_000, 3, 15, 0.30),
    "claude-haiku-4-5": ("standard", 200_000, 1, 5, 0.10),
    "claude-opus-4-5": ("standard", 200_000, 5, 25, 0.50),
    "claude-sonnet-4-5": ("standard", 200_000, 3, 15, 0.30),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_rows_are_as_published(name: str) -> None:
    tier, context, per_input, per_output, cache_read = PUBLISHED[name]
    model = find_model(name)
    assert (model.tier.name, model.context_tokens) == (tier, context)
    assert model.price is not None
    assert (model.price.input, model.price.output) == (per_input, per_output)
    assert model.price.cache_read == cache_read
    assert not model.is_guessed


def test_images_per_request_follow_the_context() -> None:
    assert find_model("claude-haiku-4-5").images_per_request == 100
    assert find_model("claude-opus-5-5").images_per_request == 600


def test_every_platforms_id_finds_its_own_row() -> None:
    for model in models():
        for spelled in model.platform_ids.values():
            assert find_model(spelled).id == model.id, spelled


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("global.anthropic.claude-sonnet-5-5", "claude-sonnet-5-5"),
        ("apac.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-5-5",
            "claude-opus-5-5",
        ),
    ],
)
def test_ids_are_read_in_every_spelling(spelled: str, name: str) -> None:
    assert find_model(spelled).id == name


@pytest.mark.parametrize(
    ("name", "tier"),
    [
        ("claude-opus-4-7-fast", HIGH),
        ("claude-opus-6", HIGH),
        ("claude-haiku-4-6", STANDARD),
        ("claude-3-opus-20240229", STANDARD),
        ("claude-3-7-sonnet", STANDARD),
        ("llava", STANDARD),
        ("", STANDARD),
    ],
)
def test_unknown_ids_follow_the_stated_rule_and_say_so(name: str, tier: object) -> None:
    model = find_model(name)
    assert model.is_guessed
    assert model.tier == tier
    assert "guessed" in model.note
    assert model.price is None


@given(st.text(max_size=300) | st.text(alphabet="claude-0123456789.:/@v", max_size=5000))
def test_any_text_is_taken(text: str) -> None:
    assert find_model(text).tier in {HIGH, STANDARD}


def test_practice_ids_cost_nothing_and_keep_the_tier() -> None:
    assert find_model("practice-claude-haiku-4-5").tier == STANDARD
    assert model_cost(find_model("practice-high"), input_tokens=10**6, output_tokens=10**6) == 0


def test_the_dearer_step_holds_for_the_whole_request() -> None:
    haiku = find_model("claude-haiku-5-5")
    assert model_cost(haiku, input_tokens=100_000, output_tokens=0) == pytest.approx(0.01)
    assert model_cost(haiku, input_tokens=100_001, output_tokens=0) == pytest.approx(0.0500005)
    dear = model_cost(haiku, input_tokens=1, output_tokens=0, cache_read_tokens=100_000)
    assert dear == pytest.approx((0.5 + 100_000 * 0.05) / 1e6)


def test_an_unknown_price_is_none_never_zero() -> None:
    assert model_cost(find_model("llava"), input_tokens=1, output_tokens=1) is None


def test_limits_of_the_places_are_as_documented() -> None:
    api, bedrock = find_platform("anthropic"), find_platform("bedrock")
    assert (api.image_base64_limit, api.request_limit_bytes) == (10_000_000, 32_000_000)
    assert (bedrock.image_base64_limit, bedrock.source_types) == (5_000_000, {"base64"})
    assert find_platform("bedrock-converse").image_raw_limit == 3_750_000
    assert find_platform("vertex").request_limit_bytes == 30_000_000
    assert (api.takes_transformations, bedrock.takes_transformations) == (True, False)
    with pytest.raises(RequestError, match="no platform"):
        find_platform("moon")


def test_the_table_shows_its_date_and_source() -> None:
    shown = nv.models()._repr_mimebundle_()
    assert "claude-opus-5-5" in shown["text/plain"]
    assert "As of 2026-" in shown["text/html"]
    assert all(model.as_of >= date(2026, 11, 1) and model.source for model in models())
