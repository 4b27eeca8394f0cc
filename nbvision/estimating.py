"""Tokens and dollars of a request before it is sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from nbvision.catalogue import Model, dollars_in_words, model_cost
from nbvision.geometry import Fit, Size, Tier
from nbvision.markup import bundle, table
from nbvision.prepared import side_limit_of

__all__ = ["Estimate", "EstimateRow", "estimate_request", "text_tokens", "tokens_of"]

# A rule of thumb for English. Counted in bytes of UTF-8 it is the same there, and scripts that
# take more tokens for a character also take more bytes.
_BYTES_PER_TOKEN = 3.5
# Models from 4.7 on count the same text as about 30 % more tokens (models/haiku-5-5/overview).
_NEWER_TOKENS = 1.3


def text_tokens(text: str, model: Model) -> int:
    """Return about how many tokens a text has: 3.5 bytes of UTF-8 each, 30 % more from 4.7 on.

    A rule of thumb, for prices; the 30 % are from models/haiku-5-5/overview
    (platform.claude.com/docs, October 2026). The service's own counter knows better.

    Examples
    --------
    >>> from nbvision.catalogue import find_model
    >>> text_tokens("What is in this image?", find_model("claude-haiku-4-5"))
    7
    """
    factor = _NEWER_TOKENS if model.tier.name == "high" else 1.0
    return ceil(len(text.encode(errors="surrogatepass")) / _BYTES_PER_TOKEN * factor)


def tokens_of(size: Size | None, tier: Tier, side_limit: int | None = None) -> int:
    """Return the visual tokens of a picture of this size; the tier's most if it is not known.

    Examples
    --------
    >>> from nbvision.geometry import HIGH
    >>> tokens_of(Size(1000, 1000), HIGH), tokens_of(None, HIGH)
    (1296, 4784)
    """
    if size is None:
        return tier.visual_token_limit
    return Fit.of(size, tier, side_limit=side_limit).visual_tokens


@dataclass(frozen=True, slots=True)
class EstimateRow:
    """What one model would be sent, and what that costs; the answer comes on top.

    Attributes
    ----------
    model_id
        Who would be asked.
    visual_tokens, text_tokens
        Input, in parts; of a counted input, the text is what the pictures leave.
    dollars
        For the input; None where no price is known.
    dollars_per_1000_output_tokens
        What an answer of that length would add to this request.
    is_counted
        Whether the service's counter was asked.
    is_upper_bound
        Whether pictures of unknown size are in it, each at the most a picture can cost.
    """

    model_id: str
    visual_tokens: int
    text_tokens: int
    dollars: float | None
    dollars_per_1000_output_tokens: float | None
    is_counted: bool
    is_upper_bound: bool = False

    @property
    def visual_tokens_in_words(self) -> str:
        """The visual tokens, and whether they are the most there can be."""
        return f"{'at most ' if self.is_upper_bound else ''}{self.visual_tokens:,}"

    @property
    def dollars_in_words(self) -> str:
        """The price with as many digits as it needs."""
        return dollars_in_words(self.dollars)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a request would cost to send, for one model or several; shows as a table."""

    rows: tuple[EstimateRow, ...]

    @property
    def input_tokens(self) -> int:
        """Pictures and words together, for the first model."""
        return self.rows[0].visual_tokens + self.rows[0].text_tokens

    @property
    def dollars(self) -> float | None:
        """Of the first model."""
        return self.rows[0].dollars

    def __repr__(self) -> str:
        return f"Estimate({'; '.join(f'{r.model_id}: {r.dollars_in_words}' for r in self.rows)})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        head = ("model", "visual tokens", "text tokens", "$ to send", "$ / 1,000 answer tokens")
        rows, lines = [], []
        for row in self.rows:
            seen, words = row.visual_tokens_in_words, f"{row.text_tokens:,}"
            more = row.dollars_per_1000_output_tokens
            answer = "" if more is None else f"${more:.4f}"
            how = "" if row.is_counted else " (estimated)"
            rows.append((row.model_id, seen, words + how, row.dollars_in_words, answer))
            tokens = f"{seen} visual + {words} text tokens{how}"
            lines.append(f"{row.model_id}: {tokens}, {row.dollars_in_words} to send")
        return bundle("\n".join(lines), markup=table(head, rows))


def estimate_request(
    sizes: Sequence[Size | None],
    text: str,
    models: Sequence[Model],
    counted: Mapping[str, int] | None = None,
) -> Estimate:
    """Return tokens and dollars of a request, from the pictures' sizes alone.

    Parameters
    ----------
    sizes
        Of the upright originals, in pixels; None for a picture that only the service sees,
        which counts as the most a picture can cost.
    text
        Prompt and system words together.
    models
        Those to estimate for.
    counted
        Input tokens by model id where the service counted them.

    Examples
    --------
    >>> from nbvision.catalogue import find_model
    >>> estimate_request([Size(1000, 1000)], "Describe it.", [find_model("claude-haiku-4-5")])
    Estimate(claude-haiku-4-5: $0.00130)
    """
    rows = []
    side_limit, is_bound = side_limit_of(len(sizes)), None in sizes
    for model in models:
        visual = sum(tokens_of(size, model.tier, side_limit) for size in sizes)
        total = (counted or {}).get(model.id)
        words = text_tokens(text, model) if total is None else max(0, total - visual)
        dollars = model_cost(model, input_tokens=visual + words, output_tokens=0)
        # A long input makes the answer dearer too.
        both = model_cost(model, input_tokens=visual + words, output_tokens=1000)
        output = None if dollars is None or both is None else both - dollars
        is_counted = total is not None
        rows.append(EstimateRow(model.id, visual, words, dollars, output, is_counted, is_bound))
    return Estimate(tuple(rows))
