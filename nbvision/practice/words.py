"""What a prompt asks for, as far as colour, shape, size and place words go.

Words that are not known are not guessed at; answers say which ones are.
"""

import re
from dataclasses import dataclass

from nbvision.practice.seeing import COLOURS

__all__ = ["Asked", "asks_for_boxes", "asks_for_count", "read_words"]

_COLOUR_WORDS = {name: name for name in COLOURS} | {
    "gray": "grey",
    "silver": "grey",
    "crimson": "red",
    "scarlet": "red",
    "golden": "yellow",
    "gold": "yellow",
    "turquoise": "cyan",
    "teal": "cyan",
    "navy": "blue",
    "violet": "purple",
    "lilac": "purple",
    "magenta": "pink",
    "rose": "pink",
    "dark": "black",
}
_SHAPE_WORDS = {
    "circle": "circle",
    "disc": "circle",
    "disk": "circle",
    "dot": "dot",
    "ball": "circle",
    "round": "circle",
    "square": "square",
    "rectangle": "rectangle",
    "triangle": "triangle",
    "line": "line",
    "ellipse": "ellipse",
    "oval": "ellipse",
    "diamond": "diamond",
}
_ANY_SHAPE = {"shape", "object", "thing", "region", "item", "everything"}
_WORD = re.compile(r"[a-z]+")
_LONGEST = 2_000  # characters of a prompt that are looked at
_MANY = {"every", "each", "all", "any", "both", "everything"}


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of a prompt that the practice server knows.

    Attributes
    ----------
    colours, shapes
        Which to look for; empty means any.
    size
        ``"largest"``, ``"smallest"``, ``"large"``, ``"small"`` or nothing.
    sides
        Of ``left``, ``right``, ``top``, ``bottom``, ``middle``.
    wants_many
        False where the words speak of one thing.
    is_understood
        Whether there was any word to look for.
    """

    colours: tuple[str, ...]
    shapes: tuple[str, ...]
    size: str
    sides: frozenset[str]
    wants_many: bool
    is_understood: bool


def read_words(prompt: str) -> Asked:
    """Return what the subject of a prompt asks for.

    The subject is the first line; what follows is how to answer.

    Examples
    --------
    >>> read_words("Find in the image: every small red circle at the left").shapes
    ('circle',)
    """
    subject = next((line for line in prompt[:_LONGEST].splitlines() if line.strip()), "")
    words = _WORD.findall(subject.lower())
    singular = [_singular(word) for word in words]
    colours = tuple(dict.fromkeys(_COLOUR_WORDS[w] for w in singular if w in _COLOUR_WORDS))
    shapes = tuple(dict.fromkeys(_SHAPE_WORDS[w] for w in singular if w in _SHAPE_WORDS))
    is_any = any(word in _ANY_SHAPE for word in singular)
    plural = any(
        a != b and (b in _SHAPE_WORDS or b in _ANY_SHAPE)
        for a, b in zip(words, singular, strict=True)
    )
    many = bool(_MANY & set(words)) or plural or len(colours) > 1 or "how" in words
    return Asked(
        colours=colours,
        shapes=shapes,
        size=_size(words),
        sides=_sides(words),
        wants_many=many or not {"the", "a", "an"} & set(words),
        is_understood=bool(colours or shapes or is_any),
    )


def asks_for_boxes(prompt: str) -> bool:
    """Whether boxes as JSON are asked for."""
    text = prompt[: 10 * _LONGEST].lower()
    speaks_of_places = "bounding box" in text or "coordinates" in text or "bbox" in text
    return speaks_of_places and ("json" in text or "[x1, y1, x2, y2]" in text)


def asks_for_count(prompt: str) -> bool:
    """Whether things are to be counted."""
    return "how many" in prompt[:_LONGEST].lower()


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and len(word) > 3 else word  # noqa: PLR2004 - "is", "gas"


def _size(words: list[str]) -> str:
    for found, known in (
        ("largest", {"largest", "biggest"}),
        ("smallest", {"smallest", "tiniest"}),
        ("large", {"large", "big"}),
        ("small", {"small", "tiny", "little"}),
    ):
        if known & set(words):
            return found
    return ""


def _sides(words: list[str]) -> frozenset[str]:
    names = {
        "left": "left",
        "right": "right",
        "top": "top",
        "upper": "top",
        "bottom": "bottom",
        "lower": "bottom",
        "middle": "middle",
        "center": "middle",
        "centre": "middle",
    }
    return frozenset(names[word] for word in words if word in names)
