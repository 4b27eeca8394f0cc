"""One place that speaks the Messages shape: how its client is made, and what is its own."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbvision.backends.addresses import require_private
from nbvision.catalogue import Model, find_model
from nbvision.errors import ModelNotFound, NbvisionError, NotConnected
from nbvision.markup import plain
from nbvision.platforms import Platform

__all__ = [
    "OLDER",
    "Door",
    "address_of",
    "id_at",
    "require_given",
    "require_name",
    "require_spelling",
    "setting",
]

# The version of the API that every server and model takes.
OLDER = {"anthropic-version": "2023-06-01"}
_DATED = re.compile(r"-\d{8}$")
# What can stand in a host's name and cannot lead to another host.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
# How each place spells a model, and an example of it.
_SPELLINGS = {
    "api": "claude-opus-5-5",
    "bedrock": "us.anthropic.claude-opus-5-5",
    "mantle": "anthropic.claude-opus-5-5",
    "vertex": "claude-haiku-4-5@20251001",
}


def _none(_: Exception) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Door:
    """One place that speaks the Messages shape.

    Attributes
    ----------
    name
        As `connect` calls it.
    platform
        What it takes.
    model
        Asked when nobody names one.
    address
        Where requests go, if that was said; otherwise the client knows.
    make
        Returns the official client around the connections it is given.
    extra_body
        Fields that the client would otherwise fill in its own way.
    sign
        Signs a request that is ready to go, where the client does not.
    explain
        Returns the error of ours for an exception that only this door's client raises, or None.
    names_waits
        Whether a 429 without a time to wait means that the month's money is used up.
    """

    name: str
    platform: Platform
    model: str
    make: Callable[[Any], Any]
    address: str = ""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    sign: Callable[[Any], None] | None = None
    explain: Callable[[Exception], NbvisionError | None] = _none
    names_waits: bool = False


def address_of(base_url: str | None, variable: str = "") -> str:
    """Return the address that was given, or the environment's; empty if there is none.

    Raises
    ------
    NotConnected
        If it would get the key and the pictures unencrypted.
    """
    address = base_url or os.environ.get(variable) or ""
    if address or base_url is not None:
        require_private(address)
    return address


def setting(given: str | None, *variables: str) -> str | None:
    """Return what was given, or the first of these variables that is set and not empty."""
    return given or next(filter(None, (os.environ.get(name) for name in variables)), None)


def require_given(value: str | None, what: str, cure: str) -> str:
    """Return a setting that cannot be done without.

    Raises
    ------
    NotConnected
        Saying what is missing, and where to put it; also if it cannot travel.

    Examples
    --------
    >>> setting("given", "A_VARIABLE"), setting(None, "A_VARIABLE_THAT_IS_NOT_SET")
    ('given', None)
    """
    if not value:
        raise NotConnected(f"no {what}", cure=cure)
    if not value.isascii() or not value.isprintable() or " " in value:
        raise NotConnected(f"{plain(value)[:80]!r} is no {what}", limit="no spaces", cure=cure)
    return value


def require_name(value: str | None, what: str, cure: str) -> str:
    """Return a region or resource, which becomes part of a host's name.

    Raises
    ------
    NotConnected
        If there is none, or the key would go to another host with it.
    """
    found = require_given(value, what, cure)
    if not _NAME.fullmatch(found):
        raise NotConnected(
            f"{plain(found)[:80]!r} is no {what}", limit="letters, digits and hyphens", cure=cure
        )
    return found


def id_at(model: Model, ids: str) -> str | None:
    """Return how a place spells a model; None where the model is not offered there.

    Parameters
    ----------
    model
        One of the catalogue.
    ids
        Whose spelling, as in `Platform.model_ids`.

    Examples
    --------
    >>> id_at(find_model("claude-opus-5-5"), "mantle")
    'anthropic.claude-opus-5-5'
    """
    return model.id if ids in {"api", "any"} else model.platform_ids.get(ids)


def require_spelling(model_id: str, platform: Platform) -> None:
    """Refuse a model id in another place's spelling: the id goes over the wire as typed.

    Only what is known to be another's is refused; a name that says nothing may be somebody's
    own, such as a deployment's.

    Raises
    ------
    ModelNotFound
        Naming this place's spelling, if the catalogue knows it.

    Examples
    --------
    >>> from nbvision.platforms import find_platform
    >>> require_spelling("claude-opus-5-5", find_platform("bedrock-mantle"))
    Traceback (most recent call last):
    nbvision.errors.ModelNotFound: 'claude-opus-5-5' is not how bedrock-mantle spells a model
      limit: spelled like 'anthropic.claude-opus-5-5'
      cure:  model="anthropic.claude-opus-5-5"
    """
    here, theirs = platform.model_ids, _spelling(model_id)
    is_plain = here == "vertex" and theirs == "api" and not _DATED.search(model_id)
    if here == "any" or not theirs or theirs == here or is_plain:
        return
    if here == "bedrock" and theirs == "mantle":
        return  # older models answer to it there
    known = find_model(model_id)
    right = None if known.is_guessed else id_at(known, here)
    other = 'nv.models() lists the known ones; or connect elsewhere: nv.connect("bedrock")'
    raise ModelNotFound(
        f"{plain(model_id)[:120]!r} is not how {platform.name} spells a model",
        limit=f"spelled like {_SPELLINGS[here]!r}",
        cure=f'model="{right}"' if right else other,
    )


def _spelling(model_id: str) -> str:
    """Return which place spells a model so; empty if it cannot be told."""
    if model_id.startswith("arn:aws") or re.match(r"[a-z-]{2,8}\.anthropic\.", model_id):
        return "bedrock"
    if model_id.startswith("anthropic."):
        return "bedrock" if re.search(r"-v\d", model_id) else "mantle"
    if re.match(r"claude-.*@\d{8}$", model_id):
        return "vertex"
    return "api" if model_id.startswith("claude-") else ""
