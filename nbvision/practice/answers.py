"""The practice server's answers: measured in the pixels that arrived, never canned.

It is not a language model, and every answer in words says so.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from nbvision.practice.seeing import (
    COLOURS,
    Frame,
    Region,
    colour_map,
    colour_shares,
    regions,
)
from nbvision.practice.words import Asked, asks_for_boxes, asks_for_count, read_words

__all__ = ["answer", "locate", "summary"]

_SIGNATURE = (
    "(The practice server measured this in the pixels it received. It is not a language model.)"
)
_DIFFERENCE = 40  # of 255, in any channel: above what JPEG does to equal pictures
_MOST_NAMED = 6
_MOST_THINGS = 60  # more separate regions than this are print or texture
_SHARE_OF_LARGEST = 0.08  # in a busy picture, smaller pieces are crumbs of the same thing
_ASPECT_TOLERANCE = 0.02


def answer(frames: Sequence[Frame], prompt: str, system: str, labels: Sequence[str]) -> str:
    """Return an answer in words, or boxes as JSON where the prompt asks for such.

    Parameters
    ----------
    frames
        Each height × width × 3, RGB: the resized, unpadded pictures.
    prompt, system
        The words that came with them; a system prompt is only acknowledged.
    labels
        What each picture is called in the request; "Image 1" and so on where it is not.
    """
    if not frames:
        return f"There is no picture in this request. {_SIGNATURE}"
    if asks_for_boxes(prompt):
        return json.dumps({"boxes": locate(frames[0], prompt)})
    names = [
        (labels[i] if i < len(labels) else "").strip(" :") or f"Image {i + 1}"
        for i in range(len(frames))
    ]
    if len(frames) > 1:
        body = _compare(frames, names)
    elif asks_for_count(prompt):
        body = _count(frames[0], prompt)
    else:
        body = summary(frames[0], prompt)
    manner = "It cannot follow a system prompt. " if system.strip() else ""
    return f"{body} {manner}{_SIGNATURE}"


def locate(frame: Frame, prompt: str) -> list[dict[str, Any]]:
    """Return the regions that match the prompt's words, as labels and boxes.

    Boxes are ``[x1, y1, x2, y2]`` in whole pixels of this frame. A prompt without a word that
    is known finds nothing.
    """
    return [{"label": r.label, "box": list(r.box)} for r in _matching(frame, read_words(prompt))]


def summary(frame: Frame, prompt: str = "") -> str:
    """Return what can be said of one frame: size, light, colours, what stands where."""
    named = colour_map(frame)
    height, width = named.shape
    shares = [(name, share) for name, share in colour_shares(named) if share >= 0.005]
    colours = _listed([f"{name} {share:.0%}" for name, share in shares[:_MOST_NAMED]])
    pieces = [f"A picture of {width} × {height} pixels, {_light(frame)}. By colour: {colours}."]
    if "colour" not in prompt.lower() and "color" not in prompt.lower():
        pieces.extend(_what_stands_where(named))
    return " ".join(pieces)


def _what_stands_where(named: Any) -> Iterator[str]:
    height, width = named.shape
    found = regions(named)
    if len(found) > _MOST_THINGS:
        yield (
            f"It holds {len(found)} small separate marks, as print or texture does; "
            "the practice server cannot read."
        )
        return
    largest = [region for region in found if region.area >= _SHARE_OF_LARGEST * found[0].area]
    shown = largest[:_MOST_NAMED]
    if not shown:
        yield "No region stands out from the ground."
        return
    words = [
        f"{_article(region.label)} at the {_place(region, width, height)}, about "
        f"{region.box[2] - region.box[0]} × {region.box[3] - region.box[1]} px"
        for region in shown
    ]
    yield f"What stands out: {_listed(words)}."
    if len(found) > len(shown):
        yield f"There are {len(found) - len(shown)} smaller regions."


def _count(frame: Frame, prompt: str) -> str:
    asked = read_words(prompt)
    if not asked.is_understood:
        return _unknown_words()
    found = _matching(frame, asked)
    if not found:
        return "I count none."
    return f"I count {len(found)}: {_listed([_article(region.label) for region in found])}."


def _unknown_words() -> str:
    return (
        "There is no word in the question that it knows; it knows colours "
        f"({', '.join(COLOURS)}), plain shapes, sizes and places."
    )


def _matching(frame: Frame, asked: Asked) -> list[Region]:
    if not asked.is_understood:
        return []
    named = colour_map(frame)
    height, width = named.shape
    found = regions(named, asked.colours or None)
    if asked.shapes:
        found = [r for r in found if r.shape in asked.shapes or _is_kind_of(r.shape, asked.shapes)]
    found = [r for r in found if _stands(r, asked.sides, width, height)]
    if not found:
        return []
    # A drawing's small shapes are things; a photograph's are crumbs of the large one.
    if all(region.shape == "region" for region in found[:3]):
        found = [r for r in found if r.area >= _SHARE_OF_LARGEST * found[0].area]
    match asked.size:
        case "largest":
            found = found[:1]
        case "smallest":
            found = found[-1:]
        case "large" | "small":
            middle = (found[0].area * found[-1].area) ** 0.5
            is_large = asked.size == "large"
            found = [r for r in found if (r.area >= middle) == is_large]
        case _:
            found = found if asked.wants_many else found[:1]
    return sorted(found, key=lambda region: (region.box[1], region.box[0]))


def _is_kind_of(shape: str, asked: Sequence[str]) -> bool:
    kinds = {"square": {"rectangle"}, "circle": {"ellipse"}, "dot": {"circle", "square"}}
    return bool(kinds.get(shape, set()) & set(asked))


def _stands(region: Region, sides: frozenset[str], width: int, height: int) -> bool:
    x, y = region.center
    tests = {
        "left": x < width / 2,
        "right": x > width / 2,
        "top": y < height / 2,
        "bottom": y > height / 2,
        "middle": abs(x / width - 0.5) < 1 / 6 and abs(y / height - 0.5) < 1 / 6,
    }
    return all(tests[side] for side in sides)


def _compare(frames: Sequence[Frame], names: Sequence[str]) -> str:
    first, pieces = frames[0], []
    for frame, name in zip(frames[1:], names[1:], strict=True):
        pair = f"{names[0]} and {name}"
        aspects = [f.shape[1] / f.shape[0] for f in (first, frame)]
        if abs(aspects[0] / aspects[1] - 1) > _ASPECT_TOLERANCE:
            pieces.append(
                f"{pair} have different proportions, so they are compared as wholes. "
                f"{names[0]}: {summary(first)} {name}: {summary(frame)}"
            )
            continue
        same_size = _resized_like(frame, first)
        pieces.append(_differences(first, same_size, names[0], name))
    return " ".join(pieces)


def _resized_like(frame: Frame, other: Frame) -> Frame:
    if frame.shape == other.shape:
        return frame
    size = (other.shape[1], other.shape[0])
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))


def _differences(first: Frame, second: Frame, first_name: str, second_name: str) -> str:
    apart = np.abs(first.astype(np.int16) - second).max(axis=2) > _DIFFERENCE
    if not apart.any():
        return f"{first_name} and {second_name} show no difference."
    changed = float(apart.mean())
    # Pieces of one change lie close together.
    reach = max(3, round(max(apart.shape) * 0.012))
    joined = ndimage.maximum_filter(apart, size=reach)
    labels, _ = ndimage.label(joined)
    places = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        inside = apart[place] & (labels[place] == number)
        if inside.sum() >= max(4, 0.00002 * apart.size):
            rows, columns = np.nonzero(inside)
            top, left = place[0].start, place[1].start
            box = (
                left + int(columns.min()),
                top + int(rows.min()),
                left + int(columns.max()) + 1,
                top + int(rows.max()) + 1,
            )
            places.append((int(inside.sum()), box))
    if not places:
        return f"{first_name} and {second_name} differ only in single pixels ({changed:.2%})."
    places.sort(reverse=True)
    height, width = apart.shape
    words = [
        f"at the {_place_of(box, width, height)} ({box[0]}, {box[1]} to {box[2]}, {box[3]}) "
        f"{_main_colour(first, box)} became {_main_colour(second, box)}"
        for _, box in places[:_MOST_NAMED]
    ]
    more = len(places) - len(words)
    rest = f" There are {more} smaller differences." if more > 0 else ""
    count = f"{len(places)} places" if len(places) > 1 else "1 place"
    return f"From {first_name} to {second_name}, {count} changed: {_listed(words)}.{rest}"


def _main_colour(frame: Frame, box: tuple[int, int, int, int]) -> str:
    left, top, right, bottom = box
    inset_x, inset_y = (right - left) // 4, (bottom - top) // 4
    part = frame[top + inset_y : bottom - inset_y, left + inset_x : right - inset_x]
    return colour_shares(colour_map(np.ascontiguousarray(part)))[0][0]


def _light(frame: Frame) -> str:
    step = max(1, max(frame.shape) // 512)
    mean = float(frame[::step, ::step].mean())
    if mean < 70:
        return "dark"
    return "bright" if mean > 185 else "of middle brightness"


def _place(region: Region, width: int, height: int) -> str:
    return _place_of(region.box, width, height)


def _place_of(box: tuple[int, int, int, int], width: int, height: int) -> str:
    x, y = (box[0] + box[2]) / 2 / width, (box[1] + box[3]) / 2 / height
    column = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
    row = "upper" if y < 1 / 3 else "lower" if y > 2 / 3 else ""
    if row and column:
        return f"{row} {column}"
    if row or column:
        return {"upper": "top", "lower": "bottom"}.get(row, column)
    return "middle"


def _article(label: str) -> str:
    return f"an {label}" if label[0] in "aeiou" else f"a {label}"


def _listed(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
