"""What a prompt asks for, as far as colour, shape, size and place words go.

Words that are not known are not guessed at; answers say which ones are.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from nbvision.practice.seeing import COLOURS

__all__ = ["Phrase", "asks_for_count", "asks_to_be_short", "is_about_the_picture", "read_phrases"]

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
    "stripe": "line",
    "ellipse": "ellipse",
    "oval": "ellipse",
    "diamond": "diamond",
    "rhombus": "diamond",
}
_THINGS = set("shape object thing region item everything anything".split())  # noqa: SIM905 - a list of words reads best as one
_MANY = set("every each all any both everything anything".split())  # noqa: SIM905 - the same
_NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8}
_SIZES = {
    "largest": "largest",
    "biggest": "largest",
    "smallest": "smallest",
    "tiniest": "smallest",
    "large": "large",
    "big": "large",
    "small": "small",
    "tiny": "small",
    "little": "small",
}
_SIDES = {
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
_ENDS = {
    "leftmost": "left",
    "rightmost": "right",
    "topmost": "top",
    "uppermost": "top",
    "highest": "top",
    "bottommost": "bottom",
    "lowest": "bottom",
}
_OPPOSITES = ({"left", "right"}, {"top", "bottom"})
_ARTICLES = {"the", "a", "an"}
_NEXT = {"and", "or", "plus"}
_NOT = {"not", "except", "without", "excluding", "non"}
# Where one thing stands to another is not known: what follows these is not looked for.
_RELATIONS = set("above below beside between near behind inside under next than touching".split())  # noqa: SIM905 - the same
_WHOLE = set("image picture photo photograph frame page it".split())  # noqa: SIM905 - the same
_SMALL_WORDS = set(  # between a colour and its noun, or after both; none is a noun itself
    "in on at of is are be that which with to from by as this these those there i you me for "  # noqa: SIM905 - the same
    "coloured colored colour color json only dark light bright pale deep please half part side "
    "corner bounding box boxes".split()
)
_FORM_WORDS = set("json answer format label coordinates pixel pixels schema key keys".split())  # noqa: SIM905 - the same
_ABOUT_WORDS = set(
    "describe description image images picture pictures photo photograph see show shows look "  # noqa: SIM905 - the same
    "caption summarise summarize colour colours color colors compare different differ "
    "difference differences changed".split()
)
_SHORT = ("one sentence", "a sentence", "short", "brief", "concise", "in a few words")
_WORD = re.compile(r"[a-z]+|,")
_UNIT_END = re.compile(r"[.;:!?](?=\s)|[\n\r]")
_LONGEST = 2_000  # characters of a prompt that are looked at


@dataclass(slots=True)
class Phrase:
    """One thing a prompt asks for.

    Attributes
    ----------
    colours, shapes
        Which to look for; empty means any.
    size
        ``"largest"``, ``"smallest"``, ``"large"``, ``"small"`` or nothing.
    sides
        Of ``left``, ``right``, ``top``, ``bottom``, ``middle``: the half it stands in.
    end
        The side it is nearest to of all, if the words say "leftmost" and the like.
    most
        How many at most; 0 for as many as there are.
    is_excluded
        Whether the words say *not* this.
    """

    colours: list[str] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)
    size: str = ""
    sides: set[str] = field(default_factory=set)
    end: str = ""
    most: int = 0
    is_excluded: bool = False
    has_noun: bool = False
    has_article: bool = False
    is_many: bool = False

    @property
    def is_understood(self) -> bool:
        """Whether there is any word to look for."""
        return bool(self.colours or self.shapes or self.has_noun)

    def close(self) -> None:
        """Settle what only the whole phrase tells: how many, and sides that cancel out."""
        for pair in _OPPOSITES:
            if pair <= self.sides:
                self.sides -= pair
        is_one = self.has_article and not self.is_many and len(self.colours) < 2  # noqa: PLR2004 - more than one
        if not self.most and (is_one or self.end):
            self.most = 1
        if self.size in {"largest", "smallest"} and not self.most:
            self.most = 1

    def join(self, other: "Phrase") -> None:
        """Take over the words of one that turned out to have no noun."""
        self.colours += [c for c in other.colours if c not in self.colours]
        self.sides |= other.sides
        self.size = self.size or other.size
        self.end = self.end or other.end


def read_phrases(prompt: str) -> tuple[Phrase, ...]:
    """Return what a prompt asks for, one phrase a thing; nothing if no word is known.

    The subject is the first sentence or line with a known word; what follows is how to answer.

    Examples
    --------
    >>> [(p.colours, p.shapes) for p in read_phrases("Find: every red circle and blue square")]
    [(['red'], ['circle']), (['blue'], ['square'])]
    >>> read_phrases("Find: the philosopher")
    ()
    """
    for unit in _UNIT_END.split(prompt[:_LONGEST].lower()):
        words = _WORD.findall(unit)
        phrases = _Reading().phrases(words)
        known = any(phrase.colours or phrase.shapes for phrase in phrases)
        if known or (phrases and not _FORM_WORDS & set(words)):
            return tuple(phrases)
    return ()


def asks_for_count(prompt: str) -> bool:
    """Whether things are to be counted.

    Examples
    --------
    >>> asks_for_count("How many circles?")
    True
    """
    start = prompt[:_LONGEST].lower()
    return "how many" in start or start.startswith("count ")


def asks_to_be_short(prompt: str) -> bool:
    """Whether one sentence is enough.

    Examples
    --------
    >>> asks_to_be_short("Describe this image in one sentence.")
    True
    """
    start = prompt[:_LONGEST].lower()
    return any(words in start for words in _SHORT)


def is_about_the_picture(prompt: str) -> bool:
    """Whether the words ask for what can be measured of a whole picture, or nothing at all.

    Examples
    --------
    >>> is_about_the_picture("Describe this image."), is_about_the_picture("Who wrote it?")
    (True, False)
    """
    words = set(_WORD.findall(prompt[:_LONGEST].lower()))
    return not words or bool(words & _ABOUT_WORDS)


class _Reading:
    """Reads one sentence word by word; a new phrase begins after an "and" that brings a noun."""

    def __init__(self) -> None:
        self._done: list[Phrase] = []
        self._phrase = Phrase()
        self._is_next = False  # an "and", "or" or comma stands between the noun and this word

    def phrases(self, words: Sequence[str]) -> list[Phrase]:
        for word, after in pairwise([*self._known_part(words), ""]):
            self._read(word, after)
        self._finish()
        found = [phrase for phrase in self._done if phrase.is_understood]
        for phrase in found:
            phrase.close()
        # "Not the red ones" leaves everything else.
        return [Phrase(), *found] if found and all(p.is_excluded for p in found) else found

    @staticmethod
    def _known_part(words: Sequence[str]) -> Iterator[str]:
        """Yield the words up to one that relates two things; "left of the image" relates none.

        "The middle of the circle" is a spot on one thing: the circle is what is looked for.
        """
        for i, word in enumerate(words):
            is_of = word in _SIDES and words[i + 1 : i + 2] == ["of"]
            if is_of and _SIDES[word] == "middle" and not _WHOLE & set(words[i + 2 : i + 4]):
                continue
            if word in _RELATIONS or (is_of and not _WHOLE & set(words[i + 2 : i + 4])):
                return
            yield word

    def _read(self, word: str, after: str) -> None:
        singular = word[:-1] if word.endswith("s") and len(word) > 3 else word  # noqa: PLR2004 - "is", "gas"
        is_plural = singular != word
        if word == "," or word in _NEXT:
            self._is_next = True
        elif word in _NOT:
            self._begin(is_excluded=True)
        elif word == "dark" and after not in _COLOUR_WORDS:
            self._current().colours.append("black")
        elif singular in _COLOUR_WORDS:
            self._current().join(Phrase([_COLOUR_WORDS[singular]]))
        elif singular in _SHAPE_WORDS or singular in _THINGS:
            self._noun(singular, is_plural=is_plural)
        elif not self._is_detail(word) and self._is_wanting_noun(word):
            self._noun("", is_plural=is_plural and not word.endswith("ss"))

    def _is_detail(self, word: str) -> bool:
        """Take in a word on size, place or number; whether it was one."""
        if word in _ARTICLES or word in _MANY or word in _NUMBERS:
            if self._is_next and self._phrase.has_noun:
                self._begin()
            if not self._phrase.has_noun:
                self._phrase.has_article |= word in _ARTICLES
                self._phrase.is_many |= word in _MANY
                self._phrase.most = _NUMBERS.get(word, self._phrase.most)
        elif word in _SIZES:
            self._current().size = _SIZES[word]
        elif word in _SIDES:
            self._phrase.sides.add(_SIDES[word])
        elif word in _ENDS:
            self._current().end = _ENDS[word]
        else:
            return False
        return True

    def _is_wanting_noun(self, word: str) -> bool:
        phrase = self._phrase
        is_open = bool(phrase.colours or phrase.size) and not phrase.has_noun
        return is_open and word not in _SMALL_WORDS and word not in _WHOLE

    def _noun(self, singular: str, *, is_plural: bool) -> None:
        if singular in _SHAPE_WORDS and _SHAPE_WORDS[singular] not in self._phrase.shapes:
            self._phrase.shapes.append(_SHAPE_WORDS[singular])
        self._phrase.has_noun = True
        self._phrase.is_many |= is_plural or singular in _MANY
        self._is_next = False

    def _current(self) -> Phrase:
        if self._is_next and self._phrase.has_noun:
            self._begin()
        return self._phrase

    def _begin(self, *, is_excluded: bool = False) -> None:
        self._finish()
        self._phrase = Phrase(is_excluded=is_excluded)
        self._is_next = False

    def _finish(self) -> None:
        """Keep the phrase; one without a noun only says more of the one before it."""
        before = self._done[-1] if self._done else None
        if before is None or self._phrase.has_noun or self._phrase.is_excluded:
            self._done.append(self._phrase)
        elif before.is_excluded == self._phrase.is_excluded:
            before.join(self._phrase)
