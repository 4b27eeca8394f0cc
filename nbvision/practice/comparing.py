"""How two frames differ: the places that changed, or that they are of different things."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from nbvision.practice.describing import summary
from nbvision.practice.seeing import Frame, colour_map, colour_shares, without_slivers
from nbvision.practice.wording import brightness, listed, place_of

__all__ = ["Change", "changes", "compare"]

_DIFFERENCE = 40  # of 255, in any channel: above what JPEG does to equal pictures
_MOST_NAMED = 6
_ASPECT_TOLERANCE = 0.02
_REACH = 0.012  # of the longer side: pieces of one change lie closer together than this
_LEAST_PIXELS, _LEAST_SHARE = 4, 0.00002
_WHOLE = 0.5  # of the frame inside changed boxes: these are not two states of one scene
_SCENE_REST = 0.02  # of the frame, after one change of light is taken out
_SAMPLED = 512  # pixels of the longer side are enough to judge the light
_MOST_PIXELS = 20_000  # of a place are enough to name its colour
_TONE = 10  # of 255 in mean brightness: lighter or darker to the eye

Edges = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Change:
    """A place where two frames of one size differ.

    Attributes
    ----------
    box
        Left, top, right, bottom in pixels of the first frame; edges between pixels.
    area
        Pixels that differ.
    words
        The colour on each side.
    """

    box: Edges
    area: int
    words: str


def compare(frames: Sequence[Frame], names: Sequence[str]) -> str:
    """Say how each later frame differs from the first.

    Parameters
    ----------
    frames
        Each height × width × 3, RGB; those of the first's proportions are scaled to its size.
    names
        What each is called.

    Examples
    --------
    >>> black = np.zeros((40, 60, 3), np.uint8)
    >>> changed = black.copy()
    >>> changed[10:20, 10:30] = 255
    >>> compare([black, changed], ["Image 1", "Image 2"])
    'From Image 1 to Image 2, 1 place changed: at the middle (10, 10 to 30, 20) black became white.'
    """
    first, pieces = frames[0], []
    for frame, name in zip(frames[1:], names[1:], strict=True):
        aspects = [f.shape[1] / f.shape[0] for f in (first, frame)]
        if abs(aspects[0] / aspects[1] - 1) > _ASPECT_TOLERANCE:
            pieces.append(
                f"{names[0]} and {name} have different proportions, so they are compared as "
                f"wholes. {names[0]}: {summary(first)} {name}: {summary(frame)}"
            )
        else:
            pieces.append(_difference(first, frame, names[0], name))
    return " ".join(pieces)


def changes(first: Frame, second: Frame) -> list[Change]:
    """Return the places where two frames differ, the largest first.

    A second frame of another size is scaled to the first's; then differences a pixel or two
    wide are left out, which scaling alone makes along every edge.

    Examples
    --------
    >>> black = np.zeros((40, 60, 3), np.uint8)
    >>> changes(black, black)
    []
    """
    is_scaled = first.shape != second.shape
    second = _resized_like(second, first)
    apart = _apart(first, second)
    if is_scaled:
        apart = without_slivers(without_slivers(apart))
    reach = max(3, round(max(apart.shape) * _REACH))
    labels, _ = ndimage.label(ndimage.maximum_filter(apart, size=reach))
    found = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        inside = apart[place] & (labels[place] == number)
        area = int(inside.sum())
        if area >= max(_LEAST_PIXELS, _LEAST_SHARE * apart.size):
            rows = np.flatnonzero(inside.any(axis=1)) + place[0].start
            columns = np.flatnonzero(inside.any(axis=0)) + place[1].start
            box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
            found.append(Change(box, area, _became(first[place][inside], second[place][inside])))
    return sorted(found, key=lambda change: (-change.area, change.box))


def _apart(first: Frame, second: Frame) -> Any:
    distance = np.maximum(first, second) - np.minimum(first, second)
    return distance.max(axis=2) > _DIFFERENCE


def _became(before: Any, after: Any) -> str:
    """Say the main colour of some pixels on each side, or how its tone changed."""
    step = 1 + len(before) // _MOST_PIXELS
    before, after = before[::step], after[::step]
    was, became = (colour_shares(colour_map(pixels[None]))[0][0] for pixels in (before, after))
    if was != became:
        return f"{was} became {became}"
    lighter = float(after.mean()) - float(before.mean())
    if abs(lighter) < _TONE:
        return f"{was} became another {was}"
    return f"{was} became {'lighter' if lighter > 0 else 'darker'}"


def _resized_like(frame: Frame, other: Frame) -> Frame:
    if frame.shape == other.shape:
        return frame
    size = (other.shape[1], other.shape[0])
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))


def _difference(first: Frame, second: Frame, first_name: str, second_name: str) -> str:
    pair = f"{first_name} and {second_name}"
    found = changes(first, second)
    second = _resized_like(second, first)
    if not found:
        share = float(_apart(first, second).mean())
        return (
            f"{pair} {f'differ only along edges ({share:.2%})' if share else 'show no difference'}."
        )
    height, width = first.shape[:2]
    covered = sum((r - left) * (b - top) for left, top, r, b in (c.box for c in found))
    if covered > _WHOLE * height * width and found[0].area < height * width:
        if light := _change_of_light(first, second):
            return f"{second_name} is {light} than {first_name} throughout; nothing else changed."
        return _as_wholes(first, second, first_name, second_name)
    return _places(found, (height, width), first_name, second_name)


def _places(
    found: Sequence[Change], shape: tuple[int, int], first_name: str, second_name: str
) -> str:
    height, width = shape
    words = [
        f"at the {place_of(change.box, width, height)} ({change.box[0]}, {change.box[1]} to "
        f"{change.box[2]}, {change.box[3]}) {change.words}"
        for change in found[:_MOST_NAMED]
    ]
    more = len(found) - len(words)
    rest = f" There {'is 1' if more == 1 else f'are {more}'} smaller." if more > 0 else ""
    count = f"{len(found)} places" if len(found) > 1 else "1 place"
    return f"From {first_name} to {second_name}, {count} changed: {listed(words)}.{rest}"


def _change_of_light(first: Frame, second: Frame) -> str:
    """Return "brighter" or "darker" where that alone tells two frames apart, else nothing."""
    step = max(1, max(first.shape) // _SAMPLED)
    first, second = first[::step, ::step], second[::step, ::step]
    before, after = first.mean(axis=(0, 1)), second.mean(axis=(0, 1))
    scaled = np.clip(first * (after / np.maximum(before, 1)), 0, 255).astype(np.uint8)
    shifted = np.clip(first + (after - before), 0, 255).astype(np.uint8)
    if min(_apart(f, second).mean() for f in (scaled, shifted)) > _SCENE_REST:
        return ""
    return "brighter" if after.mean() > before.mean() else "darker"


def _as_wholes(first: Frame, second: Frame, first_name: str, second_name: str) -> str:
    words = []
    for frame, name in ((first, first_name), (second, second_name)):
        shares = colour_shares(colour_map(frame))[:3]
        colours = listed([f"{colour} {share:.0%}" for colour, share in shares])
        words.append(f"{name} is {brightness(frame)}, by colour {colours}")
    return (
        f"{first_name} and {second_name} differ nearly everywhere, so no single places are named. "
        f"{'; '.join(words)}."
    )
