"""Words and signs as the index of past calls has them, and as it is asked for them.

The index splits words at spaces and finds them by their beginning. What is written without
spaces, and every sign, stands in it two characters at a time instead, spelled in letters that
occur in no text of the index: so a part of a sentence is found, and a sign too. The model is
one more word. What is found so has all that was searched for, but perhaps not side by side.
"""

import re
import unicodedata
from functools import lru_cache
from hashlib import blake2b

__all__ = [
    "LONGEST_INDEXED",
    "indexed",
    "is_parted",
    "model_word",
    "pair_words",
    "searched_words",
    "word_condition",
]

LONGEST_INDEXED = 20
"""Beginnings of words up to so many characters are found without gathering all of them."""

# Letters of languages with spaces between words, as SQLite's own table of 2012 knows them.
_SPACED = (
    r"0-9A-Za-z\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02c1\u0370-\u0373\u0376"
    r"\u0377\u037b-\u037d\u0386\u0388-\u03f5\u03f7-\u0481\u048a-\u0527\u0531-\u0556\u0561-\u0587"
    r"\u05d0-\u05ea\u0620-\u064a\u0660-\u0669\u066e\u066f\u0671-\u06d3\u06f0-\u06fc\u10a0-\u10c5"
    r"\u10d0-\u10fa\u1200-\u1248\u1e00-\u1f15\u1f18-\u1fbc\uac00-\ud7a3"
)
_RUN = re.compile(rf"[^\s{_SPACED}]+")
# All numbers of characters are below 0x220 << 11.
_BITS, _FIRST, _SECOND = 11, 0x4E00, 0x5800
_MODEL, _NAMED = 0x9000, 0x6000


def indexed(prompt: str, text: str, model: str) -> str:
    """Return what the index gets of a call; the same when it is taken out again.

    Examples
    --------
    >>> indexed("Where?", "there", "m").startswith("Where  there ")
    True
    """
    whole = f"{prompt}\n{text}"
    if not whole.isascii():
        whole = _without_marks(whole)
    pairs = {pair for run in set(_RUN.findall(whole)) for pair in _pairs(run)}
    words = _RUN.sub(" ", whole).replace("\n", " ")
    return " ".join([words, model_word(model), *map(_spelled, sorted(pairs))])


def searched_words(search: str) -> list[str]:
    """Return letters and digits with the marks on them; what stands between is no operator.

    Examples
    --------
    >>> searched_words('"teal" -wall')
    ['teal', 'wall']
    """
    kept = [c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in search]
    return "".join(kept).split()


def is_parted(word: str) -> bool:
    """Whether the index has a word in pairs, so that only the text says whether it is there."""
    return _RUN.search(_without_marks(word)) is not None


def pair_words(search: str) -> list[str]:
    """Return conditions of the index: words of one or two characters without spaces, or signs."""
    conditions = []
    for run in _RUN.findall(_without_marks(search)):
        if len(run) == 1:
            conditions.append(f'"{_spelled(run)}"*')
        else:
            conditions += [f'"{_spelled(run[at : at + 2])}"' for at in range(len(run) - 1)]
    return list(dict.fromkeys(conditions))


def word_condition(word: str) -> str:
    """Return the condition of the index that a word begins so; empty for marks alone."""
    bare = _without_marks(word)
    return f'"{bare}"*' if bare else ""


@lru_cache(maxsize=1000)
def model_word(model: str) -> str:
    """Return a word that stands for a model, and that no text has."""
    digest = int.from_bytes(blake2b(model.encode(errors="replace"), digest_size=5).digest())
    return chr(_MODEL) + "".join(chr(_NAMED + (digest >> shift & 0xFFF)) for shift in (0, 12, 24))


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run))]


@lru_cache(maxsize=20_000)
def _spelled(characters: str) -> str:
    parts = [(ord(c) >> _BITS, ord(c) & (1 << _BITS) - 1) for c in characters]
    return "".join(chr(_FIRST + high) + chr(_SECOND + low) for high, low in parts)


def _without_marks(text: str) -> str:
    if text.isascii():
        return text
    marks = [c for c in set(text) if unicodedata.category(c)[0] == "M"]
    return text.translate(dict.fromkeys(map(ord, marks))) if marks else text
