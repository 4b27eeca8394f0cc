"""Which parts of a request the service is to keep, and what that has saved.

A service keeps what it has read up to a marked block, for five minutes from each use, and reads
it again for a tenth of the price or less; writing costs a quarter more. What it keeps is found
again only if everything before the mark is the same, byte for byte.

The rules are those of "Prompt caching" (platform.claude.com/docs, copies of August to October
2026): at most four marks, no prefix shorter than the model's minimum, and at most twenty blocks
looked back from a mark. Nothing here leans on that looking back: what an earlier turn has kept
is marked again at the very same block, however many blocks have followed.
"""

from collections.abc import Sequence

from nbvision.catalogue import Model, model_cost
from nbvision.estimating import text_tokens
from nbvision.referenced import RemoteImage, SentImage
from nbvision.request import Request
from nbvision.response import Usage

__all__ = ["cache_in_words", "dollars_saved", "kept_until"]

Place = tuple[int, int]

_MOST_MARKS = 4
_SYSTEM: Place = (-1, 0)


def kept_until(request: Request, earlier: Sequence[Request] = ()) -> frozenset[Place]:
    """Return up to which blocks a conversation's next request is worth keeping.

    In the order of what they are worth: the end of the newest turn, which the next one reads;
    the end of the newest earlier turn that was sent alike, which this one reads; the last new
    picture, for the same pictures with other words; the system prompt, for other conversations.

    Parameters
    ----------
    request
        The request, whole but for its marks.
    earlier
        Those of the turns before it, oldest first, as they were sent.

    Returns
    -------
    frozenset
        Places as in `Request.cached_until`; empty where the platform takes no marks.

    Examples
    --------
    >>> from nbvision.inspection import build_request
    >>> from nbvision.samples import page
    >>> sorted(kept_until(build_request(page, "What is this?", model="claude-opus-5-5")))
    [(0, 0), (0, 1)]
    """
    if not request.platform.takes_cache_control or not request.messages:
        return frozenset()
    last = len(request.messages) - 1
    blocks = request.messages[last].blocks
    pictures = [(last, at) for at, block in enumerate(blocks) if not isinstance(block, str)]
    wanted = [
        (last, len(blocks) - 1),
        *[max(other.cached_until) for other in reversed(earlier) if _is_read_by(request, other)][
            :1
        ],
        *pictures[-1:],
        *([_SYSTEM] if request.system else []),
    ]
    worth = [
        place for place in wanted if _tokens_until(request, place) >= request.model.cache_minimum
    ]
    return frozenset(worth[:_MOST_MARKS])


def dollars_saved(model: Model, usage: Usage) -> float | None:
    """Return what a usage would have cost more without the cache; less than 0 if it cost less.

    Examples
    --------
    Half a million tokens read at $0.20 instead of $4 per million:

    >>> from nbvision.catalogue import find_model
    >>> round(dollars_saved(find_model("claude-opus-5-5"), Usage(0, 0, 500_000, 0)), 2)
    1.9
    """
    paid = model_cost(
        model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    without = model_cost(
        model, input_tokens=usage.total_input_tokens, output_tokens=usage.output_tokens
    )
    return None if paid is None or without is None else without - paid


def cache_in_words(usage: Usage, saved: float | None) -> str:
    """Return what came from the cache and what that saved; nothing if nothing did.

    Examples
    --------
    >>> cache_in_words(Usage(4000, 90, 1234, 444), 0.0031)
    '1,234 of 5,678 tokens in from the cache, $0.0031 saved'
    >>> cache_in_words(Usage(4000, 90), 0.0)
    ''
    """
    if not usage.cache_read_tokens:
        return ""
    words = f"{usage.cache_read_tokens:,} of {usage.total_input_tokens:,} tokens in from the cache"
    if not saved:  # not known, or practice, where nothing costs anything
        return words
    amount = f"${abs(saved):.4f}" if abs(saved) >= 0.001 else f"${abs(saved):.6f}"  # noqa: PLR2004 - a tenth of a cent
    return f"{words}, {amount} {'saved' if saved > 0 else 'more than without it'}"


def _is_read_by(request: Request, other: Request) -> bool:
    """Whether what an earlier request has kept is the beginning of this one.

    The service keeps apart by model, effort, thinking and form of the answer, so that a turn that
    locates and one that asks do not read each other's.
    """
    count = len(other.messages)
    return bool(
        other.cached_until
        and _manner(other) == _manner(request)
        and request.messages[:count] == other.messages
    )


def _manner(request: Request) -> tuple[object, ...]:
    schema = request.schema if request.sends_schema else None
    asked = (request.model_id, request.system, request.effort, request.thinking, schema)
    return (request.platform.name, *asked)


def _tokens_until(request: Request, place: Place) -> int:
    """Return about how many tokens a request has up to and with a block."""
    before = [
        block
        for at, message in enumerate(request.messages)
        for number, block in enumerate(message.blocks)
        if (at, number) <= place
    ]
    return text_tokens(request.system or "", request.model) + sum(
        _tokens(block, request.model) for block in before
    )


def _tokens(block: str | SentImage, model: Model) -> int:
    if isinstance(block, str):
        return text_tokens(block, model)
    # Of a size that is not known the largest is taken: a mark too many costs nothing.
    if isinstance(block, RemoteImage):
        return model.tier.visual_token_limit
    return block.visual_tokens
