"""Which regions of a frame a prompt speaks of."""

from collections.abc import Sequence

from nbvision.practice.seeing import Frame, Region, colour_map, regions
from nbvision.practice.words import Phrase

__all__ = ["choose"]

_SHARE_OF_LARGEST = 0.08  # in a photograph, smaller pieces are crumbs of the same thing
_CRUMB_TEST = 3  # where so many of the largest have no plain shape, it is a photograph
_MIDDLE_REACH = 1 / 6  # of the frame, to either side of its middle
_KINDS = {"square": {"rectangle"}, "circle": {"ellipse"}}
_DOTS = {"circle", "square", "ellipse"}


def choose(frame: Frame, phrases: Sequence[Phrase]) -> list[Region]:
    """Return the regions that these phrases ask for, from top to bottom.

    Parameters
    ----------
    frame
        Height × width × 3, RGB.
    phrases
        What to look for and what to leave out; with none, nothing is found.

    Examples
    --------
    >>> import numpy as np
    >>> from nbvision.practice.words import read_phrases
    >>> frame = np.full((100, 100, 3), 255, np.uint8)
    >>> frame[20:40, 30:50] = 200, 20, 30
    >>> [region.label for region in choose(frame, read_phrases("the red square"))]
    ['red square']
    """
    if not phrases:
        return []
    named = colour_map(frame)
    height, width = named.shape
    size = (width, height)
    asked = [colour for phrase in phrases for colour in phrase.colours]
    is_any = any(not phrase.colours for phrase in phrases if not phrase.is_excluded)
    seen = [] if not is_any else regions(named)
    missing = [c for c in dict.fromkeys(asked) if c not in {region.colour for region in seen}]
    if missing:  # the ground, or all where only some colours are asked for
        seen = sorted([*seen, *regions(named, missing)], key=lambda region: -region.area)
    wanted = [r for p in phrases if not p.is_excluded for r in _chosen(seen, p, size)]
    unwanted = [r for p in phrases if p.is_excluded for r in _chosen(seen, p, size)]
    found = [region for region in dict.fromkeys(wanted) if region not in unwanted]
    return sorted(found, key=lambda region: (region.box[1], region.box[0]))


def _chosen(seen: Sequence[Region], phrase: Phrase, size: tuple[int, int]) -> list[Region]:
    """Return what one phrase asks for of the regions, which come largest first."""
    found = [r for r in seen if not phrase.colours or r.colour in phrase.colours]
    if phrase.shapes:
        found = [r for r in found if any(_is_a(r.shape, shape) for shape in phrase.shapes)]
    found = [r for r in found if _stands(r, phrase.sides, size)]
    if found and all(region.shape == "region" for region in found[:_CRUMB_TEST]):
        found = [r for r in found if r.area >= _SHARE_OF_LARGEST * found[0].area]
    if found and phrase.size in {"large", "small"}:
        middle = (found[0].area * found[-1].area) ** 0.5
        found = [r for r in found if (r.area >= middle) == (phrase.size == "large")]
    if phrase.size in {"smallest", "small"}:
        found = found[::-1]
    if phrase.end:
        found = sorted(found, key=lambda region: _distance(region, phrase.end))
    return found[: phrase.most or None]


def _is_a(shape: str, asked: str) -> bool:
    if shape == "dot":  # too small to tell
        return asked in _DOTS | {"dot"}
    return shape == asked or asked in _KINDS.get(shape, ()) or (asked == "dot" and shape in _DOTS)


def _stands(region: Region, sides: set[str], size: tuple[int, int]) -> bool:
    x, y = (part / whole for part, whole in zip(region.center, size, strict=True))
    tests = {
        "left": x < 1 / 2,
        "right": x > 1 / 2,
        "top": y < 1 / 2,
        "bottom": y > 1 / 2,
        "middle": abs(x - 1 / 2) < _MIDDLE_REACH and abs(y - 1 / 2) < _MIDDLE_REACH,
    }
    return all(tests[side] for side in sides)


def _distance(region: Region, end: str) -> int:
    left, top, right, bottom = region.box
    return {"left": left, "top": top, "right": -right, "bottom": -bottom}[end]
