"""What the practice server says of its thinking: the measurements it made before it answered."""

from collections.abc import Sequence

from nbvision.practice.seeing import Frame, Region, colour_map, ground_of, regions
from nbvision.practice.words import Phrase, read_phrases

__all__ = ["thoughts"]

_MOST_FRAMES = 4
_MOST_REGIONS = 8


def thoughts(frames: Sequence[Frame], prompt: str) -> str:
    """Return what was measured for an answer, a line for each picture and one for the words.

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.full((100, 100, 3), 255, np.uint8)
    >>> frame[20:40, 30:50] = 200, 20, 30
    >>> print(thoughts([frame], "the red square"))
    Image 1 has 100 × 100 pixels on white. Taken apart by colour, 1 region stands out: \
red square [30, 20, 50, 40].
    Known words: red, square.
    """
    lines = [_seen(frame, number) for number, frame in enumerate(frames[:_MOST_FRAMES], start=1)]
    if len(frames) > _MOST_FRAMES:
        lines.append(f"There are {len(frames) - _MOST_FRAMES} more images.")
    return "\n".join([*lines, _known(read_phrases(prompt))])


def _seen(frame: Frame, number: int) -> str:
    height, width = frame.shape[:2]
    named = colour_map(frame)
    found = regions(named)
    start = f"Image {number} has {width} × {height} pixels on {ground_of(named)}. "
    if not found:
        return f"{start}Taken apart by colour, no region stands out."
    count = "1 region stands" if len(found) == 1 else f"{len(found)} regions stand"
    more = len(found) - _MOST_REGIONS
    rest = f", and {more} more" if more > 0 else ""
    named_regions = "; ".join(_named(region) for region in found[:_MOST_REGIONS])
    return f"{start}Taken apart by colour, {count} out: {named_regions}{rest}."


def _named(region: Region) -> str:
    return f"{region.label} [{', '.join(map(str, region.box))}]"


def _known(phrases: Sequence[Phrase]) -> str:
    words = [word for phrase in phrases for word in (*phrase.colours, *phrase.shapes, phrase.size)]
    known = list(dict.fromkeys(filter(None, words)))
    if known:
        return f"Known words: {', '.join(known)}."
    return "The words ask for anything." if phrases else "No word of the question is known."
