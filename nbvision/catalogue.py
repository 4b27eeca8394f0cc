"""Models: tiers, limits, prices, ids, with date and source.

The data is in ``catalogue.toml``. An id that is not there gets a stated rule and says that it
is guessed: generations from 4.7 on look at pictures in the high tier, earlier ones in the
standard tier.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

from nbvision.errors import RequestError
from nbvision.geometry import HIGH, STANDARD, Tier

__all__ = [
    "DEFAULT_BEDROCK_MODEL",
    "DEFAULT_MANTLE_MODEL",
    "DEFAULT_MODEL",
    "DEFAULT_PRACTICE_MODEL",
    "Model",
    "Price",
    "dollars_in_words",
    "find_model",
    "images_in",
    "known_models",
    "learn_tier",
    "model_cost",
    "plain_id",
    "priced_at",
    "shipped_model",
    "shipped_models",
    "use_models",
]

DEFAULT_MODEL = "claude-opus-5-5"
DEFAULT_BEDROCK_MODEL = "us.anthropic.claude-sonnet-5-5"
DEFAULT_MANTLE_MODEL = "anthropic.claude-sonnet-5-5"
DEFAULT_PRACTICE_MODEL = "practice-high"

_HIGH_SINCE = (4, 7)
_STRUCTURED_SINCE = (4, 5)  # build-with-claude/structured-outputs
_ADAPTIVE_SINCE = (4, 7)  # earlier ones think by a budget of tokens only
_LONGEST_ID = 2048  # Bedrock's own limit for a model identifier
_LARGE_CONTEXT, _IMAGES, _IMAGES_IN_LARGE = 1_000_000, 100, 600
_CACHE_MINIMUM, _NEWEST_CACHE_MINIMUM = 1024, 512
_MILLION = 1_000_000
_GENERATION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
# Anything before the last "anthropic." or "/" says where, not which: us., global., an ARN.
_PLACE = re.compile(r"^.*[/.](?=(?:anthropic\.)?claude-)|^anthropic\.(?=claude-)")
_VERSION = re.compile(r"(?:@|-)\d{8}(?=$|-v\d)|-v\d+(?::\w+)*(?:\[\w+\])?$")
_PRACTICE = "practice-"
# A region's profile on Bedrock, also as part of an ARN (models/overview, October 2026).
_REGIONAL = re.compile(r"(?:^|/)(?:us|eu|jp|au|apac)\.anthropic\.")
_REGIONAL_FACTOR = 1.1
# What a service has said of itself, against the catalogue; see `learn_tier`.
_learned: dict[str, Tier] = {}


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens; None where no price is published."""

    input: float
    output: float
    cache_read: float | None = None
    cache_write_5m: float | None = None
    cache_write_1h: float | None = None
    batch_input: float | None = None
    batch_output: float | None = None

    @classmethod
    def of(cls, per_input: float, per_output: float, cache_read: float | None) -> "Price":
        """Return a price with what follows from it by the published factors."""
        return cls(
            input=per_input,
            output=per_output,
            cache_read=cache_read,
            cache_write_5m=per_input * 1.25,
            cache_write_1h=per_input * 2,
            batch_input=per_input / 2,
            batch_output=per_output / 2,
        )


@dataclass(frozen=True, slots=True)
class Model:
    """What is known of a model.

    Attributes
    ----------
    id
        The Anthropic API's id.
    tier
        How large a picture it looks at.
    context_tokens, max_output_tokens, images_per_request
        Its limits.
    price, long_price, long_price_above
        What it costs; a second price holds for the whole request when its input is longer than
        ``long_price_above`` tokens.
    structured_outputs
        Whether it takes a JSON schema for its answer, where the platform does too.
    shows_thinking
        Whether it can be asked to show a summary of its thinking.
    efforts
        The levels of effort it takes; None where not known.
    cache_minimum
        Tokens that a prefix has at least before it is kept.
    released, deprecated, retires, not_before
        Its life, by the Anthropic API's dates: the day it ends, or the earliest day it may;
        None where not known.
    platform_ids
        Its id on other platforms.
    as_of, source
        When the row was true, and by what.
    is_guessed
        True for an id that is not in the catalogue.
    note
        What else a reader should know.
    """

    id: str
    tier: Tier
    context_tokens: int
    max_output_tokens: int
    price: Price | None
    as_of: date
    source: str
    long_price: Price | None = None
    long_price_above: int | None = None
    structured_outputs: bool = True
    shows_thinking: bool = True
    images_per_request: int = 100
    cache_minimum: int = _CACHE_MINIMUM
    released: date | None = None
    deprecated: bool = False
    retires: date | None = None
    not_before: date | None = None
    platform_ids: Mapping[str, str] = field(default_factory=dict, hash=False)
    efforts: tuple[str, ...] | None = None
    is_guessed: bool = False
    note: str = ""


def find_model(model_id: str) -> Model:
    """Return what is known of a model id, in any platform's spelling.

    Parameters
    ----------
    model_id
        An API id, a Bedrock id, inference profile or ARN, a Google Cloud id with ``@``, or a
        practice id. Any text is taken; what is not known is guessed and says so. What
        ``nv.models(refresh=True)`` has brought into this kernel goes before what was shipped.

    Examples
    --------
    >>> find_model("us.anthropic.claude-sonnet-4-5-20250929-v1:0").id
    'claude-sonnet-4-5'
    >>> find_model("claude-opus-9").tier.name, find_model("claude-opus-9").is_guessed
    ('high', True)
    """
    if not isinstance(model_id, str):
        raise RequestError(f"model={model_id!r}"[:200], limit="a model id", cure="nv.models()")
    known = _refreshed.get(plain_id(model_id)) or shipped_model(model_id)
    tier = _learned.get(known.id)
    return priced_at(model_id, known if tier is None else replace(known, tier=tier))


def priced_at(model_id: str, model: Model) -> Model:
    """Return a model with the prices of the place that an id names.

    Bedrock's regional profiles cost 10 % more than its global ones.

    Examples
    --------
    >>> ids = ("global.anthropic.claude-opus-5-5", "us.anthropic.claude-opus-5-5")
    >>> [find_model(name).price.input for name in ids]
    [4, 4.4]
    """
    if _REGIONAL.search(model_id[:_LONGEST_ID]) is None:
        return model
    return replace(model, price=_dearer(model.price), long_price=_dearer(model.long_price))


def _dearer(price: Price | None) -> Price | None:
    if price is None:
        return None
    dollars = ((name, getattr(price, name)) for name in Price.__slots__)
    # To a thousandth of a cent, as prices are named.
    return Price(**{name: each and round(each * _REGIONAL_FACTOR, 5) for name, each in dollars})


def learn_tier(model_id: str, tier: Tier | None) -> None:
    """Use another tier for a model, as long as this process lives; None ends that.

    Examples
    --------
    >>> learn_tier("claude-opus-9", STANDARD)
    >>> find_model("us.anthropic.claude-opus-9").tier.name
    'standard'
    >>> learn_tier("claude-opus-9", None)
    """
    known = find_model(model_id).id
    if tier is None:
        _learned.pop(known, None)
    else:
        _learned[known] = tier


def shipped_model(model_id: str) -> Model:
    """Return what the shipped catalogue says of a model id; see `find_model`."""
    if model_id.startswith(_PRACTICE):
        return _practice_model(model_id)
    name = plain_id(model_id)
    known = _by_id().get(name)
    return known if known is not None else _guess(name)


def model_cost(
    model: Model,
    *,
    input_tokens: int,
    output_tokens: int,
    cache_read_tokens: int = 0,
    cache_write_tokens: int = 0,
) -> float | None:
    """Return US dollars for a usage, or None where no price is known.

    Parameters
    ----------
    model
        Whose price.
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens
        As the API counts them: input without what was read from or written to the cache;
        writes at the 5-minute price.

    Examples
    --------
    One picture of 1296 tokens at $1 per million, a thousand times:

    >>> round(1000 * model_cost(find_model("claude-haiku-4-5"), input_tokens=1296,
    ...                         output_tokens=0), 2)
    1.3
    """
    total_input = input_tokens + cache_read_tokens + cache_write_tokens
    is_long = model.long_price_above is not None and total_input > model.long_price_above
    price = model.long_price if is_long else model.price
    if price is None:
        return None
    read = price.cache_read if price.cache_read is not None else price.input
    written = price.cache_write_5m if price.cache_write_5m is not None else price.input
    return (
        input_tokens * price.input
        + output_tokens * price.output
        + cache_read_tokens * read
        + cache_write_tokens * written
    ) / _MILLION


def known_models() -> tuple[Model, ...]:
    """Return the models that are known here, newest first: the shipped ones, or refreshed.

    Examples
    --------
    >>> known_models()[0].id
    'claude-fable-5-2'
    """
    known = tuple(_refreshed.values()) or shipped_models()
    return tuple(
        replace(model, tier=_learned[model.id]) if model.id in _learned else model
        for model in known
    )


def shipped_models() -> tuple[Model, ...]:
    """Return the models of the catalogue as it was shipped, newest first."""
    return tuple(_by_id().values())


def use_models(models: Iterable[Model]) -> None:
    """Let these models be the known ones in this process; none at all are the shipped ones."""
    global _refreshed  # noqa: PLW0603 - replaced whole, so that a thread sees one list or the other
    _refreshed = {model.id: model for model in models}


_refreshed: Mapping[str, Model] = {}


def images_in(context_tokens: int) -> int:
    """Return how many pictures a request may hold, which follows the size of the context."""
    return _IMAGES_IN_LARGE if context_tokens >= _LARGE_CONTEXT else _IMAGES


@cache
def _data() -> dict[str, Any]:
    text = resources.files("nbvision").joinpath("catalogue.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def _by_id() -> dict[str, Model]:
    return {row["id"]: _model(row) for row in _data()["models"]}


def _model(row: Mapping[str, Any]) -> Model:
    price = long_price = None
    if "input" in row:
        price = Price.of(row["input"], row["output"], row.get("cache_read"))
    if "long_input" in row:
        long_price = Price.of(row["long_input"], row["long_output"], row.get("long_cache_read"))
    return Model(
        id=row["id"],
        tier=HIGH if row["tier"] == "high" else STANDARD,
        context_tokens=row["context"],
        max_output_tokens=row["max_output"],
        price=price,
        long_price=long_price,
        long_price_above=row.get("long_above"),
        images_per_request=images_in(row["context"]),
        cache_minimum=_data()["cache_minimums"].get(row["id"], _CACHE_MINIMUM),
        released=row.get("released"),
        deprecated=row.get("deprecated", False),
        retires=row.get("retires"),
        not_before=row.get("not_before"),
        platform_ids=_platform_ids(row),
        shows_thinking=_generation(row["id"]) >= _ADAPTIVE_SINCE,
        as_of=row["as_of"],
        source=row["source"],
        note=row.get("note", ""),
    )


def _platform_ids(row: Mapping[str, Any]) -> dict[str, str]:
    dated = row.get("dated")
    ids = {"vertex": f"{row['id']}@{dated}" if dated else row["id"]}
    if dated:
        ids["anthropic"] = f"{row['id']}-{dated}"
    if "bedrock" in row:
        ids["bedrock"] = f"us.{row['bedrock']}"
        if row.get("mantle", True):
            ids["mantle"] = f"anthropic.{row['id']}"
    return ids


def plain_id(model_id: str) -> str:
    """Return a model id without place, date and version; a practice id stays as it is.

    Examples
    --------
    >>> plain_id("us.anthropic.claude-haiku-4-5-20251001-v1:0")
    'claude-haiku-4-5'
    """
    if model_id.startswith(_PRACTICE):
        return model_id
    text = model_id[:_LONGEST_ID].strip()
    return _VERSION.sub("", _VERSION.sub("", _PLACE.sub("", text)))


def _generation(name: str) -> tuple[int, int]:
    found = _GENERATION.search(name)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def _guess(name: str) -> Model:
    generation = _generation(name)
    is_high = generation >= _HIGH_SINCE
    ended = _data()["retired"].get(name)
    return Model(
        id=name,
        tier=HIGH if is_high else STANDARD,
        context_tokens=200_000,
        max_output_tokens=128_000 if is_high else 64_000,
        price=None,
        structured_outputs=generation >= _STRUCTURED_SINCE,
        # An id that tells no generation is left to the service.
        shows_thinking=generation >= _ADAPTIVE_SINCE or generation == (0, 0),
        deprecated=ended is not None,
        retires=ended,
        as_of=_data()["as_of"],
        source=_data()["tiers"]["rule"],
        is_guessed=True,
        note=f"not in the catalogue; tier guessed: {_data()['tiers']['rule']}",
    )


def _practice_model(model_id: str) -> Model:
    asked = model_id.removeprefix(_PRACTICE)
    tiers = {"high": HIGH, "standard": STANDARD}
    like = shipped_model(asked) if asked not in tiers and not asked.startswith(_PRACTICE) else None
    is_guessed = like.is_guessed if like else asked not in tiers
    note = "the practice server answers; it is not a language model"
    return Model(
        id=model_id,
        tier=like.tier if like else tiers.get(asked, HIGH),
        context_tokens=like.context_tokens if like else 1_000_000,
        max_output_tokens=like.max_output_tokens if like else 128_000,
        price=Price(0, 0, 0, 0, 0, 0, 0),
        images_per_request=like.images_per_request if like else 600,
        shows_thinking=like.shows_thinking if like else True,
        cache_minimum=like.cache_minimum if like else _NEWEST_CACHE_MINIMUM,
        as_of=_data()["as_of"],
        source="the practice server",
        is_guessed=is_guessed,
        note=f"not in the catalogue; tier guessed; {note}" if is_guessed else note,
    )


def dollars_in_words(dollars: float | None) -> str:
    """Return a price before sending: hundred-thousandths of a dollar, as one picture costs them.

    Examples
    --------
    >>> dollars_in_words(0.01896), dollars_in_words(0), dollars_in_words(None)
    ('$0.01896', '$0.00', 'price not known')
    """
    if dollars is None:
        return "price not known"
    return f"${dollars:.5f}" if dollars else "$0.00"
