"""How the practice server puts places, lists and light into words."""

from collections.abc import Sequence

import numpy as np

from nbvision.practice.seeing import Frame, Region

__all__ = ["brightness", "listed", "place_of", "size_of", "with_article"]

_THIRD = 1 / 3
_DARK, _BRIGHT = 70, 185  # mean of 255
_SAMPLED = 512  # pixels of the longer side are enough for a mean


def place_of(box: tuple[int, int, int, int], width: int, height: int) -> str:
    """Return the ninth of a frame that holds the middle of a box.

    Examples
    --------
    >>> place_of((0, 0, 10, 10), 300, 200), place_of((140, 90, 160, 110), 300, 200)
    ('upper left', 'middle')
    """
    x, y = (box[0] + box[2]) / 2 / width, (box[1] + box[3]) / 2 / height
    column = "left" if x < _THIRD else "right" if x > 1 - _THIRD else ""
    row = "upper" if y < _THIRD else "lower" if y > 1 - _THIRD else ""
    if row and column:
        return f"{row} {column}"
    if row or column:
        return {"upper": "top", "lower": "bottom"}.get(row, column)
    return "middle"


def size_of(region: Region) -> str:
    """Return width and height of a region in pixels.

    Examples
    --------
    >>> size_of(Region("red", "circle", (10, 10, 60, 60), 1963))
    '50 × 50 px'
    """
    left, top, right, bottom = region.box
    return f"{right - left} × {bottom - top} px"


def with_article(label: str) -> str:
    """Return a label as a thing.

    Examples
    --------
    >>> with_article("orange circle"), with_article("red circle")
    ('an orange circle', 'a red circle')
    """
    return f"an {label}" if label[0] in "aeiou" else f"a {label}"


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence.

    Examples
    --------
    >>> listed(["red", "green", "blue"])
    'red, green and blue'
    """
    if len(words) < 2:  # noqa: PLR2004 - a list takes two
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def brightness(frame: Frame) -> str:
    """Return how bright a frame is on the whole.

    Examples
    --------
    >>> brightness(np.zeros((4, 4, 3), np.uint8))
    'dark'
    """
    step = max(1, max(frame.shape) // _SAMPLED)
    mean = float(np.mean(frame[::step, ::step]))
    if mean < _DARK:
        return "dark"
    return "bright" if mean > _BRIGHT else "of middle brightness"
