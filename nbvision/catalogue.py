"""Models: tiers, limits, prices, ids, with date and source.

The data is in ``catalogue.toml``. An id that is not there gets a stated rule and says that it
is guessed: generations from 4.7 on look at pictures in the high tier, earlier ones in the
standard tier.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

from nbvision.errors import RequestError
from nbvision.geometry import HIGH, STANDARD, Tier
from nbvision.markup import bundle, table

__all__ = [
    "DEFAULT_BEDROCK_MODEL",
    "DEFAULT_MODEL",
    "DEFAULT_PRACTICE_MODEL",
    "Model",
    "ModelTable",
    "Price",
    "dollars_in_words",
    "find_model",
    "learn_tier",
    "model_cost",
    "models",
]

DEFAULT_MODEL = "claude-opus-5-5"
DEFAULT_BEDROCK_MODEL = "us.anthropic.claude-sonnet-5-5"
DEFAULT_PRACTICE_MODEL = "practice-high"

_HIGH_SINCE = (4, 7)
_STRUCTURED_SINCE = (4, 5)  # build-with-claude/structured-outputs
_LONGEST_ID = 2048  # Bedrock's own limit for a model identifier
_LARGE_CONTEXT, _IMAGES, _IMAGES_IN_LARGE = 1_000_000, 100, 600
_CACHE_MINIMUM, _NEWEST_CACHE_MINIMUM = 1024, 512
_MILLION = 1_000_000
_GENERATION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
# Anything before the last "anthropic." or "/" says where, not which: us., global., an ARN.
_PLACE = re.compile(r"^.*[/.](?=(?:anthropic\.)?claude-)|^anthropic\.(?=claude-)")
_VERSION = re.compile(r"(?:@|-)\d{8}(?=$|-v\d)|-v\d+(?::\w+)*(?:\[\w+\])?$")
_PRACTICE = "practice-"
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
    images_per_request: int = 100
    cache_minimum: int = _CACHE_MINIMUM
    released: date | None = None
    deprecated: bool = False
    retires: date | None = None
    not_before: date | None = None
    platform_ids: Mapping[str, str] = field(default_factory=dict, hash=False)
    is_guessed: bool = False
    note: str = ""


def find_model(model_id: str) -> Model:
    """Return what is known of a model id, in any platform's spelling.

    Parameters
    ----------
    model_id
        An API id, a Bedrock id, inference profile or ARN, a Google Cloud id with ``@``, or a
        practice id. Any text is taken; what is not known is guessed and says so.

    Examples
    --------
    >>> find_model("us.anthropic.claude-sonnet-4-5-20250929-v1:0").id
    'claude-sonnet-4-5'
    >>> find_model("claude-opus-9").tier.name, find_model("claude-opus-9").is_guessed
    ('high', True)
    """
    if not isinstance(model_id, str):
        raise RequestError(f"model={model_id!r}"[:200], limit="a model id", cure="nv.models()")
    known = _looked_up(model_id)
    tier = _learned.get(known.id)
    return known if tier is None else replace(known, tier=tier)


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


_HEAD = ("model", "tier", "context", "$ in / out per million", "on Bedrock", "ends", "note")


class ModelTable(tuple[Model, ...]):
    """Models as a table, newest first."""

    __slots__ = ()

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for model in self:
            price = model.price
            yield (
                model.id,
                model.tier.name,
                f"{model.context_tokens:,}",
                f"{price.input:g} / {price.output:g}" if price else "not published",
                model.platform_ids.get("bedrock", ""),
                _end_of(model),
                "; ".join(filter(None, (model.note, _long_note(model)))),
            )

    def __repr__(self) -> str:
        return f"ModelTable({len(self)} models)"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return bundle(str(self), markup=table(_HEAD, self._rows(), caption=_caption()))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002, FBT001 - IPython's protocol
        # IPython prints tuples its own way unless told otherwise.
        printer.text(str(self))

    def __str__(self) -> str:
        rows = [_HEAD, *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
        lines = (
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )
        return "\n".join([*lines, _caption()])


def models() -> ModelTable:
    """Return the models of the catalogue, newest first; shown as a table.

    Examples
    --------
    >>> models()[0].id
    'claude-fable-5-2'
    """
    return ModelTable(_by_id().values())


def _looked_up(model_id: str) -> Model:
    if model_id.startswith(_PRACTICE):
        return _practice_model(model_id)
    plain_id = _plain_id(model_id)
    known = _by_id().get(plain_id)
    return known if known is not None else _guess(plain_id)


def _caption() -> str:
    days = [model.as_of for model in _by_id().values()]
    return (
        f"As of {min(days)} to {max(days)}; each row has its as_of and source. "
        "Bedrock's regional profiles (us., eu., jp., au., apac.) cost 10 % more than global."
    )


def _end_of(model: Model) -> str:
    if model.retires is not None:
        return f"{model.retires}"
    return f"not before {model.not_before}" if model.not_before else ""


def _long_note(model: Model) -> str:
    price, above = model.long_price, model.long_price_above
    return f"{price.input:g} / {price.output:g} above {above:,} tokens" if price else ""


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
        images_per_request=_IMAGES_IN_LARGE if row["context"] >= _LARGE_CONTEXT else _IMAGES,
        cache_minimum=_data()["cache_minimums"].get(row["id"], _CACHE_MINIMUM),
        released=row.get("released"),
        deprecated=row.get("deprecated", False),
        retires=row.get("retires"),
        not_before=row.get("not_before"),
        platform_ids=_platform_ids(row),
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


def _plain_id(model_id: str) -> str:
    text = model_id[:_LONGEST_ID].strip()
    return _VERSION.sub("", _VERSION.sub("", _PLACE.sub("", text)))


def _guess(plain_id: str) -> Model:
    found = _GENERATION.search(plain_id)
    generation = (int(found[1]), int(found[2] or 0)) if found else (0, 0)
    is_high = generation >= _HIGH_SINCE
    ended = _data()["retired"].get(plain_id)
    return Model(
        id=plain_id,
        tier=HIGH if is_high else STANDARD,
        context_tokens=200_000,
        max_output_tokens=128_000 if is_high else 64_000,
        price=None,
        structured_outputs=generation >= _STRUCTURED_SINCE,
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
    like = find_model(asked) if asked not in tiers and not asked.startswith(_PRACTICE) else None
    is_guessed = like.is_guessed if like else asked not in tiers
    note = "the practice server answers; it is not a language model"
    return Model(
        id=model_id,
        tier=like.tier if like else tiers.get(asked, HIGH),
        context_tokens=like.context_tokens if like else 1_000_000,
        max_output_tokens=like.max_output_tokens if like else 128_000,
        price=Price(0, 0, 0, 0, 0, 0, 0),
        images_per_request=like.images_per_request if like else 600,
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
