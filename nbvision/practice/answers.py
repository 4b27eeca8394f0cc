"""The practice server's answers: measured in the pixels that arrived, never canned.

It is not a language model, and every answer in words says so.
"""

import json
from collections.abc import Sequence
from typing import Any

from nbvision.practice.choosing import choose
from nbvision.practice.comparing import compare
from nbvision.practice.describing import summary
from nbvision.practice.seeing import COLOURS, Frame, Region
from nbvision.practice.wording import listed, place_of, with_article
from nbvision.practice.words import (
    asks_for_count,
    asks_to_be_short,
    is_about_the_picture,
    read_phrases,
)

__all__ = ["answer", "locate", "middle", "summary"]

_SIGNATURE = (
    "(The practice server measured this in the pixels it received. It is not a language model.)"
)
_MOST_NAMED = 20
_LONGEST = 20_000  # characters of a prompt that are looked at for the form of the answer
_BOX_WORDS = ("bounding box", "bounding_box", "bbox", "box_2d", "coordinates", "[x1")
_BOX_KEYS = ("box_2d", "bounding_box", "bbox")  # the last, "box", is what goes without saying


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

    Examples
    --------
    >>> answer([], "What is this?", "", [])[:37]
    'There is no picture in this request. '
    """
    if not frames:
        return f"There is no picture in this request. {_SIGNATURE}"
    names = [
        (labels[i] if i < len(labels) else "").strip(" :") or f"Image {i + 1}"
        for i in range(len(frames))
    ]
    form = prompt[:_LONGEST].lower()
    if "json" in form or "[x1" in form:
        return _as_json(frames, prompt, form, names)
    body = compare(frames, names) if len(frames) > 1 else _about_one(frames[0], prompt)
    manner = "It cannot follow a system prompt. " if system.strip() else ""
    return f"{body} {manner}{_SIGNATURE}"


def locate(frame: Frame, prompt: str) -> list[dict[str, Any]]:
    """Return the regions that match the prompt's words, as labels and boxes.

    Boxes are ``[x1, y1, x2, y2]`` in whole pixels of this frame. A prompt without a word that
    is known finds nothing.

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.full((100, 100, 3), 255, np.uint8)
    >>> frame[20:40, 30:50] = 200, 20, 30
    >>> locate(frame, "the red square")
    [{'label': 'red square', 'box': [30, 20, 50, 40]}]
    """
    return [{"label": r.label, "box": list(r.box)} for r in choose(frame, read_phrases(prompt))]


def middle(box: Sequence[int]) -> list[int]:
    """Return the pixel in the middle of a box: all that the practice server knows of a spot.

    >>> middle([30, 20, 50, 40])
    [40, 30]
    """
    left, top, right, bottom = box
    return [(left + right) // 2, (top + bottom) // 2]


def _as_json(frames: Sequence[Frame], prompt: str, form: str, names: Sequence[str]) -> str:
    """Return what was found in the form that the words ask for, as far as they name one."""
    key = next((name for name in _BOX_KEYS if name in form), "box")
    asks_for_points = '"point"' in form
    rows = [
        {"label": row["label"]}
        | ({"point": middle(row["box"])} if asks_for_points else {key: row["box"]})
        | ({"image": name} if len(frames) > 1 else {})
        for frame, name in zip(frames, names, strict=True)
        for row in locate(frame, prompt)
    ]
    if "json array" in form or "json list" in form:
        return json.dumps(rows)
    asks_for_boxes = any(word in form for word in _BOX_WORDS) or bool(read_phrases(prompt))
    if asks_for_points:
        return json.dumps({"points": rows})
    if asks_for_boxes:
        return json.dumps({"boxes": rows})
    words = compare(frames, names) if len(frames) > 1 else summary(frames[0], prompt)
    return json.dumps({"description": words}, ensure_ascii=False)


def _about_one(frame: Frame, prompt: str) -> str:
    phrases = read_phrases(prompt)
    if asks_for_count(prompt):
        return _counted(choose(frame, phrases)) if phrases else _unknown_words()
    if any(p.colours or p.shapes for p in phrases) and not is_about_the_picture(prompt):
        found = choose(frame, phrases)
        return _found(found, frame) if found else "I find none."
    words = summary(frame, prompt)
    is_known = phrases or is_about_the_picture(prompt) or asks_to_be_short(prompt)
    return words if is_known else f"{words} {_unknown_words()}"


def _counted(found: Sequence[Region]) -> str:
    if not found:
        return "I count none."
    labels = [with_article(region.label) for region in found[:_MOST_NAMED]]
    return f"I count {len(found)}: {listed(labels)}{_and_more(found)}."


def _found(found: Sequence[Region], frame: Frame) -> str:
    height, width = frame.shape[:2]
    words = [
        f"{with_article(region.label)} at the {place_of(region.box, width, height)}, "
        f"[{', '.join(map(str, region.box))}]"
        for region in found[:_MOST_NAMED]
    ]
    return f"I find {len(found)}: {'; '.join(words)}{_and_more(found)}."


def _and_more(found: Sequence[Region]) -> str:
    more = len(found) - _MOST_NAMED
    return f", and {more} more" if more > 0 else ""


def _unknown_words() -> str:
    return (
        "There is no word in the question that it knows; it knows colours "
        f"({', '.join(COLOURS)}), plain shapes, sizes and places."
    )
