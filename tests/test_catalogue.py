"""The catalogue says what the pages say, and guesses nothing in silence."""

import re
import time
import tomllib
from dataclasses import replace
from datetime import date
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbvision as nv
from nbvision.catalogue import find_model, model_cost
from nbvision.errors import RequestError
from nbvision.geometry import HIGH, STANDARD
from nbvision.platforms import find_platform
from nbvision.practice import played_models
from nbvision.refreshing import models

# id: tier, context, most output, input, output, cache read, released, earliest or certain end;
# as published from August to November 2026.
PUBLISHED = {
    "fable-5-2": ("high", 1_000_000, 128_000, 8, 40, None, "2026-11-09", "2027-11-09"),
    "mythos-5-2": ("high", 1_000_000, 128_000, 8, 40, None, "2026-11-09", None),
    "haiku-5-5": ("high", 1_000_000, 128_000, 0.10, 0.50, 0.01, "2026-10-07", "2027-10-07"),
    "sonnet-5-5": ("high", 1_000_000, 128_000, 2, 10, 0.10, "2026-09-28", "2027-09-28"),
    "opus-5-5": ("high", 1_000_000, 128_000, 4, 20, 0.20, "2026-09-22", "2027-09-22"),
    "fable-5-1": ("high", 1_000_000, 128_000, 10, 50, 0.25, "2026-09-01", "2027-09-01"),
    "mythos-5-1": ("high", 1_000_000, 128_000, 10, 50, 0.25, "2026-09-01", "2027-09-01"),
    "opus-5": ("high", 1_000_000, 128_000, 5, 25, 0.50, "2026-07-24", "2027-07-24"),
    "sonnet-5": ("high", 1_000_000, 128_000, 2, 10, 0.20, "2026-06-30", "2027-06-30"),
    "fable-5": ("high", 1_000_000, 128_000, 10, 50, 1.00, "2026-06-09", "2027-06-09"),
    "opus-4-8": ("high", 1_000_000, 128_000, 5, 25, 0.50, "2026-05-28", "2027-05-28"),
    "opus-4-7": ("high", 1_000_000, 128_000, 5, 25, 0.50, "2026-04-16", "2027-04-16"),
    "opus-4-6": ("standard", 1_000_000, 128_000, 5, 25, 0.50, "2026-02-05", "2027-02-05"),
    "sonnet-4-6": ("standard", 1_000_000, 64_000, 3, 15, 0.30, "2026-02-17", "2027-02-17"),
    "haiku-4-5": ("standard", 200_000, 64_000, 1, 5, 0.10, "2025-10-15", "2026-10-15"),
    "opus-4-5": ("standard", 200_000, 64_000, 5, 25, 0.50, "2025-11-24", "2026-11-24"),
    "sonnet-4-5": ("standard", 200_000, 64_000, 3, 15, 0.30, "2025-09-29", "2026-11-30"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_rows_are_as_published(name: str) -> None:
    model = find_model(f"claude-{name}")
    assert model.price is not None
    end = model.retires or model.not_before
    assert PUBLISHED[name] == (
        model.tier.name,
        model.context_tokens,
        model.max_output_tokens,
        model.price.input,
        model.price.output,
        model.price.cache_read,
        str(model.released),
        end and str(end),
    )
    assert not model.is_guessed


def test_every_current_id_has_a_row_and_no_other() -> None:
    known = {model.id.removeprefix("claude-") for model in models()}
    assert known == PUBLISHED.keys() | {"mythos-5"}


def test_batches_cost_half_and_cache_writes_what_is_published() -> None:
    price = find_model("claude-opus-5-5").price
    assert price is not None
    assert (price.batch_input, price.batch_output) == (2, 10)
    assert (price.cache_write_5m, price.cache_write_1h) == (5, 8)


def test_long_prompts_have_a_price_of_their_own_on_haiku_alone() -> None:
    stepped = [model for model in models() if model.long_price_above is not None]
    assert [model.id for model in stepped] == ["claude-haiku-5-5"]
    price = stepped[0].long_price
    assert price is not None
    assert (price.input, price.output, price.cache_read) == (0.50, 2.50, 0.05)


def test_the_only_deprecated_model_is_the_one_that_ends() -> None:
    assert [m.id for m in models() if m.deprecated] == ["claude-sonnet-4-5"]
    assert find_model("claude-sonnet-4-5").retires == date(2026, 11, 30)


def test_images_per_request_follow_the_context() -> None:
    assert find_model("claude-haiku-4-5").images_per_request == 100
    assert find_model("claude-opus-5-5").images_per_request == 600


def test_every_platforms_id_finds_its_own_row() -> None:
    for model in models():
        for spelled in model.platform_ids.values():
            assert find_model(spelled).id == model.id, spelled


@pytest.mark.parametrize("place", ["", "us.", "eu.", "jp.", "au.", "apac.", "global."])
def test_every_bedrock_profile_and_arn_finds_its_own_row(place: str) -> None:
    arn = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/"
    for model in models():
        if "bedrock" in model.platform_ids:
            plain_id = model.platform_ids["bedrock"].removeprefix("us.")
            for name in (f"{place}{plain_id}", f"{arn}{place}{plain_id}"):
                found = find_model(name)
                is_regional = place not in {"", "global."}
                assert (found is model) is not is_regional
                assert replace(found, price=None, long_price=None) == replace(
                    model, price=None, long_price=None
                )
                if model.price and is_regional:  # regional profiles cost 10 % more
                    assert found.price
                    assert found.price.input == pytest.approx(1.1 * model.price.input)
                    assert found.price.output == pytest.approx(1.1 * model.price.output)


def test_mantle_ids_are_the_api_ids_of_models_that_are_there() -> None:
    mantle = {m.id: m.platform_ids["mantle"] for m in models() if "mantle" in m.platform_ids}
    assert mantle["claude-haiku-4-5"] == "anthropic.claude-haiku-4-5"
    assert not mantle.keys() & {"claude-fable-5-2", "claude-opus-4-6", "claude-sonnet-4-5"}


def test_google_cloud_writes_dates_with_an_at_sign() -> None:
    assert find_model("claude-haiku-4-5").platform_ids["vertex"] == "claude-haiku-4-5@20251001"
    assert find_model("claude-opus-5-5").platform_ids["vertex"] == "claude-opus-5-5"


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("anthropic.claude-3-sonnet-20240229-v1:0:200k", "claude-3-sonnet"),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", "claude-opus-4-1"),
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


def test_schemas_are_sent_to_unknown_models_only_from_the_generation_that_takes_them() -> None:
    assert find_model("claude-opus-6").structured_outputs
    assert not find_model("claude-3-opus-20240229").structured_outputs
    assert not find_model("llava").structured_outputs


@pytest.mark.parametrize(
    ("name", "ended"),
    [("claude-3-opus-20240229", date(2026, 1, 5)), ("claude-opus-4-1", date(2026, 8, 5))],
)
def test_ids_that_ended_are_known_to_have_ended(name: str, ended: date) -> None:
    model = find_model(name)
    assert (model.deprecated, model.retires, model.is_guessed) == (True, ended, True)


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)  # half characters too


@given(ANY_TEXT | st.text(alphabet="claude-0123456789.:/@v[]\n", max_size=5000))
def test_any_text_is_taken(text: str) -> None:
    for name in (text, f"practice-{text}", f"us.anthropic.{text}"):
        assert find_model(name).tier in {HIGH, STANDARD}


@pytest.mark.parametrize(
    "part",
    ["-v1", "-v1:a", ".", "/", "anthropic.", "claude-", "@20250101", "-20250101", "practice-", " "],
)
def test_hostile_ids_take_no_time(part: str) -> None:
    started = time.perf_counter()
    find_model(part * (1_000_000 // len(part)))
    assert time.perf_counter() - started < 0.2


@pytest.mark.parametrize("wrong", [None, 3, b"claude-opus-5-5", ["claude-opus-5-5"]])
def test_what_is_no_text_is_refused_with_a_cure(wrong: Any) -> None:
    with pytest.raises(RequestError, match="model="):
        find_model(wrong)


def test_practice_ids_cost_nothing_and_keep_the_tier() -> None:
    assert find_model("practice-claude-haiku-4-5").tier == STANDARD
    assert model_cost(find_model("practice-high"), input_tokens=10**6, output_tokens=10**6) == 0
    assert find_model("practice-us.anthropic.claude-haiku-4-5-20251001-v1:0").tier == STANDARD
    assert (find_model("practice-high").tier, find_model("practice-standard").tier) == (
        HIGH,
        STANDARD,
    )


@pytest.mark.parametrize("name", ["practice-x", "practice-", "practice-practice-high"])
def test_practice_ids_of_nobody_are_guesses_that_say_so(name: str) -> None:
    model = find_model(name)
    assert model.is_guessed
    assert "guessed" in model.note
    assert not find_model("practice-claude-opus-5-5").is_guessed


def test_the_practice_server_has_the_same_limits_in_a_table_of_its_own() -> None:
    for model in models():
        for spelled in (model.id, *model.platform_ids.values()):
            played = played_models.find_model(spelled.replace("@", "-"))
            assert (played.tier.name, played.context_tokens) == (
                model.tier.name,
                model.context_tokens,
            ), spelled
            assert played.images_per_request == model.images_per_request


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
    assert (bedrock.image_base64_limit, bedrock.source_types) == (5_000_000, frozenset({"base64"}))
    assert find_platform("bedrock-converse").image_raw_limit == 3_750_000
    assert bedrock.request_limit_bytes == 20_000_000
    assert find_platform("bedrock-converse").images_per_message == 20
    vertex = find_platform("vertex")
    assert (vertex.request_limit_bytes, vertex.image_base64_limit) == (30_000_000, 5_000_000)
    assert find_platform("practice").image_base64_limit == api.image_base64_limit
    assert (api.takes_transformations, bedrock.takes_transformations) == (True, False)
    with pytest.raises(RequestError, match="no platform"):
        find_platform("moon")


def test_the_table_shows_dates_prices_and_ends() -> None:
    shown = nv.models()._repr_mimebundle_()
    for form in ("text/plain", "text/html"):
        assert "us.anthropic.claude-opus-5-5" in shown[form]
        assert "As of 2026-08-22 to 2026-11-19" in shown[form]
        assert "2026-11-30" in shown[form]
        assert "0.5 / 2.5 above 100,000 tokens" in shown[form]


def test_as_html_the_table_is_narrow() -> None:
    shown = nv.models()._repr_mimebundle_()["text/html"]
    assert "claude-opus-5-5\nus.anthropic.claude-opus-5-5</td>" in shown
    longest = [max(map(len, cell.split("\n"))) for cell in re.findall(r"pre\">([^<]*)</td>", shown)]
    assert max(longest) < 45  # characters


def test_the_newest_stand_first() -> None:
    released = [model.released for model in models()]
    assert released == sorted(released, key=str, reverse=True)


def test_every_row_says_when_it_was_true_and_by_what() -> None:
    text = resources.files("nbvision").joinpath("catalogue.toml").read_text(encoding="utf-8")
    for row in tomllib.loads(text)["models"]:
        assert date(2026, 8, 22) <= row["as_of"] <= date(2026, 11, 20), row["id"]
        assert row["source"], row["id"]
