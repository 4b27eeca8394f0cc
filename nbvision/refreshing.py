"""The models that are known: shipped with the package, or asked for by one explicit line.

What a notebook does follows from its lines. So a list of models that another notebook has
asked for is used only where a line says so; without one, the catalogue of the installed
version holds, on every machine and every day.
"""

from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any, Literal

from nbvision.backends import Backend, current
from nbvision.catalogue import known_models, use_models
from nbvision.errors import ModelNotFound, RequestError, UnreadableAnswer
from nbvision.model_listing import ListedModel, merged, read_page
from nbvision.model_store import load_listing, store_listing
from nbvision.model_table import ModelTable

__all__ = ["models"]

_MOST_PAGES = 50
_MOST_MODELS = 10_000


def models(
    *, refresh: bool | Literal["stored"] = False, backend: Backend | None = None
) -> ModelTable:
    """Return the models that are known in this kernel, newest first; shown as a table.

    Nothing is sent unless ``refresh=True`` says so. From that line on, everything in this
    kernel knows the refreshed limits, ends and capabilities; other kernels do not. Prices and
    tiers are the catalogue's: the Models API has none. A new id's tier is guessed by the
    stated rule, and its price is not known.

    Parameters
    ----------
    refresh
        True asks the Models API of who is connected, which is free, and keeps the list in the
        user's cache folder; ``"stored"`` takes what was kept there last, without asking.
    backend
        Who is asked; by default who is connected.

    Raises
    ------
    RequestError
        If who is asked has no Models API, or nothing was stored.
    BackendError
        If nobody answered.
    UnreadableAnswer
        If what came is no list of models. What was known before stays.

    Examples
    --------
    >>> models()[0].id
    'claude-fable-5-2'
    """
    if refresh == "stored":
        _use_stored()
    elif refresh is True:
        asked = current(backend)
        listed = _listed(asked)
        source, today = f"Models API of {asked.name}", datetime.now(UTC).date()
        _use(listed, source, today)
        if asked.name != "practice":
            store_listing(listed, source, today)
    elif refresh is not False:
        raise RequestError(f"refresh={refresh!r}"[:200], limit='True, False or "stored"')
    return ModelTable(known_models())


def _use(listed: list[ListedModel], source: str, as_of: date) -> None:
    use_models(merged(listed, source, as_of))


def _use_stored() -> None:
    stored = load_listing()
    if stored is None:
        raise RequestError(
            "no list of models is stored here",
            cure="ask for one where there is a key: nv.models(refresh=True)",
        )
    _use(*stored)


def _listed(asked: Backend) -> list[ListedModel]:
    """Return all pages of the list, within bounds."""
    found: list[ListedModel] = []
    seen: set[str] = set()
    after: str | None = None
    for _ in range(_MOST_PAGES):
        rows, after = _page(asked, after)
        found += rows
        if after is None:
            return found
        if after in seen or len(found) > _MOST_MODELS:
            break
        seen.add(after)
    raise UnreadableAnswer(
        "the list of models does not end",
        limit=f"{_MOST_PAGES} pages, {_MOST_MODELS:,} models",
        cure="check the address: does the Models API answer there?",
    )


def _page(asked: Backend, after: str | None) -> tuple[list[ListedModel], str | None]:
    ask: Any = getattr(asked, "models_page", None)
    if ask is not None:
        with suppress(ModelNotFound):  # there is no such address
            return read_page(ask(after))
    raise RequestError(
        f"{asked.name} has no Models API",
        cure='ask where there is one: nv.models(refresh=True, backend=nv.connect("anthropic"))',
    )
