"""What can be said of one frame: size, light, contrast, colours, what stands where."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nbvision.practice.seeing import Frame, Region, colour_map, colour_shares, ground_of, regions
from nbvision.practice.wording import brightness, listed, place_of, size_of, with_article
from nbvision.practice.words import asks_to_be_short

__all__ = ["summary"]

_MOST_NAMED = 6
_MOST_IN_SHORT = 3
_LEAST_SHARE = 0.005  # of the frame, for a colour to be named
_MOST_THINGS = 60  # more separate regions than this are print or texture
_SHARE_OF_LARGEST = 0.08  # of the largest region's area, to be named beside it
_THINGS_SHARE = 0.03  # of the frame, covered by what is taller than print: not only print
_LETTER_HEIGHT = 0.05  # of the frame's height: print is lower than this
_MOST_ROWS = 200  # more rows of marks than this are texture, not print
_EDGE_STEP = 32  # of 255 between neighbouring pixels: a sharp edge
_SAMPLED = 1_000  # pixels of the longer side are enough for contrast and edges
_SOFT, _STRONG = 25, 60  # spread of brightness, of 255


def summary(frame: Frame, prompt: str = "") -> str:
    """Return what can be said of one frame, as sentences; as one if the prompt wants it short.

    Parameters
    ----------
    frame
        Height × width × 3, RGB.
    prompt
        The words that were asked; where they ask for colours, only these are told.

    Examples
    --------
    >>> summary(np.full((60, 80, 3), 255, np.uint8), "Describe it in one sentence.")
    'A picture of 80 × 60 pixels, bright, mostly white.'
    """
    named = colour_map(frame)
    height, width = named.shape
    start = f"A picture of {width} × {height} pixels, {brightness(frame)}"
    shares = [row for row in colour_shares(named) if row[1] >= _LEAST_SHARE]
    if asks_to_be_short(prompt):
        return f"{start}, mostly {shares[0][0]}{_in_short(named)}."
    colours = listed([f"{name} {share:.0%}" for name, share in shares[:_MOST_NAMED]])
    pieces = [f"{start}. By colour: {colours}."]
    if "colour" not in prompt.lower() and "color" not in prompt.lower():
        pieces.append(_contrast(frame))
        pieces.extend(_what_stands_where(named))
    return " ".join(pieces)


def _contrast(frame: Frame) -> str:
    """Say how far brightness spreads, and how much of the frame is sharp edges."""
    step = max(1, max(frame.shape) // _SAMPLED)
    # A sample of whole pixels, each with its neighbours: thinning first would invent edges.
    grey = frame[:, :, 1]
    here = grey[:-1:step, :-1:step].astype(np.int16)
    beside, under = grey[:-1:step, 1::step], grey[1::step, :-1:step]
    steps = np.maximum(np.abs(beside - here), np.abs(under - here))
    share = float((steps >= _EDGE_STEP).mean()) if steps.size else 0.0
    spread = float(grey[::step, ::step].std())
    words = "soft" if spread < _SOFT else "strong" if spread > _STRONG else "middling"
    edges = f"{share:.1%}" if share >= 0.001 else "almost none"  # noqa: PLR2004 - what one digit shows
    return f"Contrast is {words}; {edges} of it is sharp edges."


def _in_short(named: Any) -> str:
    found = regions(named)
    if not found:
        return ""
    if _is_print_or_texture(found, named.shape):
        return ", with many small marks as print or texture has"
    labels = [with_article(region.label) for region in _largest(found)[:_MOST_IN_SHORT]]
    return f", with {listed(labels)}"


def _is_print_or_texture(found: Sequence[Region], shape: tuple[int, int]) -> bool:
    height, width = shape
    tall = _LETTER_HEIGHT * height
    things = sum(r.area for r in found if r.box[3] - r.box[1] >= tall and r.shape != "line")
    return len(found) > _MOST_THINGS and things < _THINGS_SHARE * height * width


def _largest(found: Sequence[Region]) -> list[Region]:
    return [region for region in found if region.area >= _SHARE_OF_LARGEST * found[0].area]


def _what_stands_where(named: Any) -> Iterator[str]:
    height, width = named.shape
    found = regions(named)
    if not found:
        yield "No region stands out from the ground."
        return
    if _is_print_or_texture(found, named.shape):
        yield _print_or_texture(found, height, ground_of(named))
        return
    shown = _largest(found)[:_MOST_NAMED]
    words = [
        f"{with_article(region.label)} at the {place_of(region.box, width, height)}, "
        f"about {size_of(region)}"
        for region in shown
    ]
    yield f"What stands out: {'; '.join(words)}."
    rest = len(found) - len(shown)
    if rest:
        yield f"There {'is 1 smaller region' if rest == 1 else f'are {rest} smaller regions'}."


def _print_or_texture(found: Sequence[Region], height: int, ground: str) -> str:
    tall = _LETTER_HEIGHT * height
    marks = sorted(
        (r.box[1], r.box[3]) for r in found if r.box[3] - r.box[1] < tall and r.shape != "line"
    )
    rows, end = 0, -1
    for top, bottom in marks:
        if top >= end:
            rows += 1
        end = max(end, bottom)
    count = f"It holds {len(found)} small separate marks"
    if 1 < rows <= _MOST_ROWS and len(marks) > len(found) / 2:
        return (
            f"{count} on {ground}, in {rows} rows, as print has; the practice server cannot read."
        )
    return f"{count}, as print or texture does; the practice server cannot read."
