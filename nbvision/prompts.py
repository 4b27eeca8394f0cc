"""The words we send and the schemas we ask for: text only.

Coordinates are asked for in words as absolute pixels, one box as ``[x1, y1, x2, y2]``, one
point as ``[x, y]``; the
documentation reports worse results for relative or 0-1000 coordinates ("Coordinates and
bounding boxes", platform.claude.com/docs, copy of August 2026).
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

__all__ = [
    "BOXES_SCHEMA",
    "COMPARE",
    "DESCRIBE",
    "POINTS_SCHEMA",
    "Kind",
    "in_words",
    "label_for",
    "locate_prompt",
    "subject_of",
]

DESCRIBE = "Describe this image."
COMPARE = "How are these images different?"

Kind = Literal["boxes", "points"]
"""What things are marked by where they are found."""


def _places_schema(kind: Kind, name: str) -> dict[str, Any]:
    # The schema dialect cannot say how many numbers: the reader checks it.
    place = {"type": "array", "items": {"type": "number"}}
    item = {
        "type": "object",
        "properties": {"label": {"type": "string"}, name: place},
        "required": ["label", name],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {kind: {"type": "array", "items": item}},
        "required": [kind],
        "additionalProperties": False,
    }


BOXES_SCHEMA: dict[str, Any] = _places_schema("boxes", "box")
"""What `locate` asks for where the platform has structured outputs."""
POINTS_SCHEMA: dict[str, Any] = _places_schema("points", "point")
"""The same for points."""

_ASKED: Mapping[Kind, tuple[str, str]] = {
    "boxes": ("one tight bounding box", "as [x1, y1, x2, y2]: left, top, right, bottom"),
    "points": ("one point", "as [x, y]"),
}
_JSON: Mapping[Kind, str] = {
    "boxes": '{"boxes": [{"label": "what it is", "box": [x1, y1, x2, y2]}]}',
    "points": '{"points": [{"label": "what it is", "point": [x, y]}]}',
}


def label_for(number: int) -> str:
    """Return the text that stands before the image of this number, counted from 1.

    >>> label_for(2)
    'Image 2:'
    """
    return f"Image {number}:"


def locate_prompt(
    subject: str,
    width: int,
    height: int,
    *,
    schema_is_sent: bool,
    where: str = "the image",
    kind: Kind = "boxes",
) -> str:
    """Return the words that ask for boxes or points in pixels of the frame the model looks at.

    Parameters
    ----------
    subject
        What to find, in the user's words: ``"every window"``.
    width, height
        Size of the resized, unpadded frame in pixels.
    schema_is_sent
        Whether structured outputs carry the form of the answer; if not, words do.
    where
        Which image, if there are several: ``"Image 2"``.
    kind
        ``"boxes"`` or ``"points"``.

    Examples
    --------
    >>> print(locate_prompt("every window", 924, 1307, schema_is_sent=True))
    Find in the image: every window
    Give one tight bounding box for each, in absolute pixel coordinates of this 924 × 1307 image \
(origin top left, x to the right, y down), as [x1, y1, x2, y2]: left, top, right, bottom. \
Label each with a few words. If there is none, give an empty list.
    """
    mark, form = _ASKED[kind]
    words = (
        f"Find in {where}: {subject}\n"
        f"Give {mark} for each, in absolute pixel coordinates of this "
        f"{width} × {height} image (origin top left, x to the right, y down), {form}. "
        "Label each with a few words. If there is none, give an empty list."
    )
    if schema_is_sent:
        return words
    return f"{words}\nAnswer with one JSON object and nothing else, in this form: {_JSON[kind]}"


_LOCATE = re.compile(
    rf"Find in [^:\n]*: (.*)\nGive (?:{'|'.join(mark for mark, _ in _ASKED.values())}) for each",
    re.DOTALL,
)


def subject_of(prompt: str) -> str | None:
    """Return what `locate_prompt` was to find; None if these are other words.

    >>> subject_of(locate_prompt("every window", 924, 1307, schema_is_sent=True))
    'every window'
    """
    found = _LOCATE.match(prompt)
    return found[1] if found else None


def in_words(schema_as_json: str) -> str:
    """Return the words that ask for a JSON answer where no schema can be sent.

    >>> in_words('{"type": "object"}')
    'Answer with one JSON value and nothing else. It must follow this JSON schema: \
{"type": "object"}'
    """
    return (
        "Answer with one JSON value and nothing else. "
        f"It must follow this JSON schema: {schema_as_json}"
    )
