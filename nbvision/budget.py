"""What a call can cost at worst, and the budgets that hold it.

A budget has a name and is kept in the store: restarting a kernel does not refill it, and two
kernels with the same name share it. What a call may cost is taken before it is sent and
becomes what it did cost when it ends.
"""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbvision.catalogue import model_cost, priced_at
from nbvision.errors import RequestError
from nbvision.referenced import RemoteImage
from nbvision.request import Request

__all__ = ["Budget", "most_dollars"]

_HIDDEN_TOKENS = 1000  # what a service adds of its own: for a schema, a few hundred
# In one region, at Amazon and Google, a call costs 10 % more than the catalogue's price; not
# every id says so.
_REGIONAL = 1.1
_IN_REGIONS = ("bedrock", "vertex", "google-cloud")


@dataclass(frozen=True, slots=True)
class Budget:
    """An amount, and the name under which is kept what was taken from it.

    Attributes
    ----------
    dollars
        How much may be spent in all.
    name
        Whose it is; by default this notebook's, as far as Jupyter says which that is, else
        the working folder's.

    Examples
    --------
    >>> Budget.of(1, "lesson 3")
    Budget(dollars=1.0, name='lesson 3')
    """

    dollars: float
    name: str

    @classmethod
    def of(cls, dollars: Any, name: str | None = None) -> "Budget":
        """Return a budget of so many US dollars.

        Raises
        ------
        RequestError
            If it is no amount of money.
        """
        is_number = isinstance(dollars, int | float) and not isinstance(dollars, bool)
        if not (is_number and 0 <= dollars < math.inf):
            raise RequestError(
                f"budget={dollars!r}"[:200], limit="US dollars, from 0 up", cure="budget=1.00, say"
            )
        return cls(float(dollars), name or _name_of_this_notebook())


def most_dollars(request: Request) -> float | None:
    """Return what a request can cost at worst in US dollars; None if no price is known.

    Pictures count as they are billed, words one token a byte, which no text exceeds, and the
    answer as long as ``max_tokens`` allows.

    Examples
    --------
    >>> from nbvision.catalogue import find_model
    >>> from nbvision.platforms import find_platform
    >>> from nbvision.request import build_request
    >>> asked = build_request([], "What is this?", model_id="claude-haiku-4-5", max_tokens=1000,
    ...     model=find_model("claude-haiku-4-5"), platform=find_platform("anthropic"))
    >>> round(most_dollars(asked), 4)
    0.0061
    """
    words = len(json.dumps(request.abridged(), ensure_ascii=False).encode(errors="replace"))
    visual = sum(
        request.model.tier.visual_token_limit
        if isinstance(image, RemoteImage)
        else image.visual_tokens
        for image in request.images
    )
    tokens = words + visual + _HIDDEN_TOKENS
    written = tokens if request.cached_until else 0
    dollars = model_cost(
        request.model,
        input_tokens=tokens - written,
        output_tokens=request.max_tokens,
        cache_write_tokens=written,
    )
    if dollars is None:
        return None
    is_in_price = priced_at(request.model_id, request.model) is not request.model
    may_be_dearer = request.platform.name.startswith(_IN_REGIONS) and not is_in_price
    return dollars * _REGIONAL if may_be_dearer else dollars


def _name_of_this_notebook() -> str:
    return os.environ.get("JPY_SESSION_NAME") or str(Path.cwd())
