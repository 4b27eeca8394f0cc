"""What the Models API says of its models, read strictly, and laid over the shipped catalogue.

The API knows ids, limits, ends and capabilities. It knows neither prices nor tiers: those stay
the catalogue's, and a new id's tier is guessed by the stated rule.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, TypeVar

from nbvision.catalogue import Model, images_in, plain_id, shipped_model, shipped_models
from nbvision.errors import UnreadableAnswer

__all__ = ["ListedModel", "merged", "read_page", "read_row"]

EFFORTS = ("low", "medium", "high", "xhigh", "max")
_LIFECYCLES = ("active", "deprecated", "retired")
_ID = re.compile(r"[!-~]{1,200}")
_MOST_TOKENS = 10**9
_FIRST_YEAR = 2020  # a release that is not known is given as the epoch
_CURE = "ask again; if it stays so, what answers at this address is not the Models API"

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One row of the Models API; None for what it does not say.

    Attributes
    ----------
    id, released, lifecycle, retires
        Who it is; since when, and until when.
    context_tokens, max_output_tokens
        Its limits.
    structured_outputs, takes_images, efforts
        What it can do, and the levels of effort it takes.
    """

    id: str
    lifecycle: str
    released: date | None = None
    retires: date | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    structured_outputs: bool | None = None
    takes_images: bool | None = None
    efforts: tuple[str, ...] | None = None

    def as_row(self) -> dict[str, Any]:
        """Return the row in the API's own shape, as far as it is read here.

        Examples
        --------
        >>> row = ListedModel("claude-opus-6", "active", efforts=("low",))
        >>> read_row(row.as_row()) == row
        True
        """
        can: dict[str, Any] = {
            name: {"supported": value}
            for name, value in (
                ("structured_outputs", self.structured_outputs),
                ("image_input", self.takes_images),
            )
            if value is not None
        }
        if self.efforts is not None:
            levels = {level: {"supported": level in self.efforts} for level in EFFORTS}
            can["effort"] = {"supported": bool(self.efforts), **levels}
        return {
            "id": self.id,
            "lifecycle": self.lifecycle,
            "created_at": self.released and self.released.isoformat(),
            "retires_at": self.retires and self.retires.isoformat(),
            "max_input_tokens": self.context_tokens,
            "max_tokens": self.max_output_tokens,
            "capabilities": can,
        }


def read_page(page: object) -> tuple[list[ListedModel], str | None]:
    """Return a page's rows, and the id after which the next page begins; None if it is the last.

    Raises
    ------
    UnreadableAnswer
        If it is no page of models.
    """
    found = _mapping(page, "the page")
    rows, has_more, last = found.get("data"), found.get("has_more"), found.get("last_id")
    if not isinstance(rows, list) or not isinstance(has_more, bool | None):
        raise _broken("the page")
    if has_more and (not rows or not isinstance(last, str)):
        raise _broken("the way to the next page")
    return [read_row(row) for row in rows], last if has_more else None


def read_row(row: object) -> ListedModel:
    """Return one row.

    Raises
    ------
    UnreadableAnswer
        If a field has another type than the API documents, or a value that cannot be.

    Examples
    --------
    >>> read_row({"id": "claude-opus-6", "lifecycle": "active", "max_tokens": 9}).max_output_tokens
    9
    """
    found = _mapping(row, "a row")
    name, lifecycle = found.get("id"), found.get("lifecycle")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise _broken("an id")
    if lifecycle not in _LIFECYCLES:
        raise _broken(f"the lifecycle of {name}")
    can = _mapping(_given(found, "capabilities", dict, name) or {}, name)
    return ListedModel(
        id=name,
        lifecycle=str(lifecycle),
        released=_day(found, "created_at", name),
        retires=_day(found, "retires_at", name),
        context_tokens=_count(found, "max_input_tokens", name),
        max_output_tokens=_count(found, "max_tokens", name),
        structured_outputs=_supported(can, "structured_outputs", name),
        takes_images=_supported(can, "image_input", name),
        efforts=_efforts(can, name),
    )


def merged(listed: Iterable[ListedModel], source: str, as_of: date) -> list[Model]:
    """Return the shipped models with what was listed laid over them, newest first.

    What the API no longer lists stays as shipped. Of a model listed under several ids, the
    first counts.

    Examples
    --------
    >>> new = merged([ListedModel("claude-opus-6", "active")], "the API", date(2027, 1, 1))[-1]
    >>> new.id, new.tier.name, new.price, new.is_guessed
    ('claude-opus-6', 'high', None, True)
    """
    rows = {model.id: model for model in shipped_models()}
    seen = set()
    for one in listed:
        key = plain_id(one.id)
        if key not in seen:
            seen.add(key)
            rows[key] = _laid_over(shipped_model(one.id), one, source, as_of)
    # Sorting is stable: rows of one day keep their order, and those without a day go last.
    return sorted(rows.values(), key=lambda row: row.released or date.min, reverse=True)


def _laid_over(known: Model, one: ListedModel, source: str, as_of: date) -> Model:
    context = one.context_tokens or known.context_tokens
    can_schema, notes = one.structured_outputs, [known.note] if known.note else []
    if one.takes_images is False:
        notes.append("takes no pictures")
    if known.is_guessed:
        notes.insert(0, "listed by the Models API; price not known")
    return replace(
        known,
        context_tokens=context,
        max_output_tokens=one.max_output_tokens or known.max_output_tokens,
        images_per_request=images_in(context),
        structured_outputs=known.structured_outputs if can_schema is None else can_schema,
        released=one.released or known.released,
        deprecated=one.lifecycle != "active",
        retires=one.retires,
        efforts=one.efforts,
        as_of=as_of,
        source=f"{source}; tier and price: {known.source}",
        note="; ".join(notes),
    )


def _efforts(can: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    levels = _given(can, "effort", dict, name)
    if levels is None or _supported(can, "effort", name) is None:
        return None
    if not levels["supported"]:
        return ()
    return tuple(level for level in EFFORTS if _supported(levels, level, name))


def _supported(can: Mapping[str, Any], what: str, name: str) -> bool | None:
    found = _given(can, what, dict, name)
    return None if found is None else _given(found, "supported", bool, name)


def _count(row: Mapping[str, Any], field: str, name: str) -> int | None:
    value = _given(row, field, int, name)
    if value is not None and not 1 <= value <= _MOST_TOKENS:
        raise _broken(f"{field} of {name}")
    return value


def _day(row: Mapping[str, Any], field: str, name: str) -> date | None:
    text = _given(row, field, str, name)
    if text is None:
        return None
    try:
        day = datetime.fromisoformat(text).date()
    except ValueError:
        day = None
    if day is None:
        raise _broken(f"{field} of {name}")
    return day if day.year >= _FIRST_YEAR else None


def _given(row: Mapping[str, Any], field: str, kind: type[Kind], name: str) -> Kind | None:
    """Return a field's value, of exactly this type; None if it is absent or null."""
    value = row.get(field)
    if value is not None and type(value) is not kind:
        raise _broken(f"{field} of {name}")
    return value


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _broken(what)
    return value


def _broken(what: str) -> UnreadableAnswer:
    return UnreadableAnswer(f"the list of models cannot be read: {what}", cure=_CURE)
