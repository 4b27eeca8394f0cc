"""The words we send and the schemas we ask for: text only.

Coordinates are asked for in words as absolute pixels, one box as ``[x1, y1, x2, y2]``; the
documentation reports worse results for relative or 0-1000 coordinates ("Coordinates and
bounding boxes", platform.claude.com/docs, copy of August 2026).
"""

from typing import Any

__all__ = [
    "BOXES_SCHEMA",
    "COMPARE",
    "DESCRIBE",
    "in_words",
    "label_for",
    "locate_prompt",
]

DESCRIBE = "Describe this image."
COMPARE = "How are these images different?"

BOXES_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "boxes": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "label": {"type": "string"},
                    # The schema dialect cannot say "exactly four": the reader checks it.
                    "box": {"type": "array", "items": {"type": "number"}},
                },
                "required": ["label", "box"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["boxes"],
    "additionalProperties": False,
}
"""What `locate` asks for where the platform has structured outputs."""

_JSON_BOXES = (
    "Answer with one JSON object and nothing else, in this form: "
    '{"boxes": [{"label": "what it is", "box": [x1, y1, x2, y2]}]}'
)


def label_for(number: int) -> str:
    """Return the text that stands before the image of this number, counted from 1.

    >>> label_for(2)
    'Image 2:'
    """
    return f"Image {number}:"


def locate_prompt(
    subject: str, width: int, height: int, *, schema_is_sent: bool, where: str = "the image"
) -> str:
    """Return the words that ask for boxes in pixels of the frame the model looks at.

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

    Examples
    --------
    >>> print(locate_prompt("every window", 924, 1307, schema_is_sent=True))
    Find in the image: every window
    Give one tight bounding box for each, in absolute pixel coordinates of this 924 × 1307 image \
(origin top left, x to the right, y down), as [x1, y1, x2, y2]: left, top, right, bottom. \
Label each with a few words. If there is none, give an empty list.
    """
    words = (
        f"Find in {where}: {subject}\n"
        f"Give one tight bounding box for each, in absolute pixel coordinates of this "
        f"{width} × {height} image (origin top left, x to the right, y down), "
        "as [x1, y1, x2, y2]: left, top, right, bottom. "
        "Label each with a few words. If there is none, give an empty list."
    )
    return words if schema_is_sent else f"{words}\n{_JSON_BOXES}"


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
