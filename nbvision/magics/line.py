"""The line of a magic: words, quotes and options; every mistake says its cure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from nbvision.backends.connection import SECRETS
from nbvision.errors import RequestError
from nbvision.magics.options import FLAGS
from nbvision.markup import one_line

__all__ = ["Line", "Word", "amount", "read_line", "whole_number", "words_of"]

_QUOTES = "\"'"
_NEAR = 0.7  # below, "kind" is near "into"
_KEYS = re.compile(r"sk-ant-|\bABSK\w|bedrock-api-key-|\bya29\.", re.IGNORECASE)
_AMOUNT = re.compile(r"\$?(?:[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})")
_KEY_OPTIONS = {
    *(f"--{name.replace('_', '-')}" for name in SECRETS),
    *("--auth-token", "--key", "--token", "--secret"),
}


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a line.

    Attributes
    ----------
    text
        Without its quotes.
    quoted_at
        Where in the text its first quotes began; None if there were none.
    """

    text: str
    quoted_at: int | None = None

    @property
    def is_option(self) -> bool:
        """Whether it names an option; in quotes it is a word like others."""
        return self.text.startswith("--") and self.quoted_at != 0


@dataclass(frozen=True, slots=True)
class Line:
    """What a line says: words in order, and options by name, without their dashes.

    One that stands alone has an empty value.
    """

    words: tuple[Word, ...]
    options: Mapping[str, str]


def words_of(line: str) -> list[Word]:
    r"""Return the words of a line; quotes of either kind hold spaces together.

    A backslash is a backslash, so that paths of Windows stay whole.

    Raises
    ------
    RequestError
        If quotes are not closed.

    Examples
    --------
    >>> [word.text for word in words_of('a.png "my photos/*.jpg" C:\\b.png')]
    ['a.png', 'my photos/*.jpg', 'C:\\b.png']
    """
    words: list[Word] = []
    text, quoted_at, closes, is_open = "", None, "", False
    for character in line:
        if closes:
            text, closes = (text, "") if character == closes else (text + character, closes)
        elif character in _QUOTES:
            quoted_at = len(text) if quoted_at is None else quoted_at
            closes, is_open = character, True
        elif not character.isspace():
            text, is_open = text + character, True
        elif is_open:
            words.append(Word(text, quoted_at))
            text, quoted_at, is_open = "", None, False
    if closes:
        other = _QUOTES.replace(closes, "")
        raise RequestError(
            f"a quotation mark {closes} that is not closed: {closes}{_shown(text)}",
            cure=f"close it, or put the word that has it between {other} and {other}",
        )
    if is_open:
        words.append(Word(text, quoted_at))
    return words


def read_line(line: str, magic: str, known: Sequence[str]) -> Line:
    """Return the words and options of a line.

    Parameters
    ----------
    line
        What stands behind the magic's name.
    magic
        Its name, for what is said of mistakes: ``"%%ask"``.
    known
        The options it takes, without dashes.

    Raises
    ------
    RequestError
        If an option is unknown, given twice, without its value or with one where it takes none,
        quotes are open, or there is a key.

    Examples
    --------
    >>> read_line("a.png --model claude-haiku-4-5", "%%ask", ["model"]).options
    {'model': 'claude-haiku-4-5'}
    """
    _refuse_keys(line)
    words: list[Word] = []
    options: dict[str, str] = {}
    rest = iter(words_of(line))
    for word in rest:
        if not word.is_option:
            words.append(word)
            continue
        name, equals, value = word.text.partition("=")
        option = _known(name, magic, known)
        if option in options:
            raise RequestError(f"{name} twice", limit="each option once", cure="leave one of them")
        if option in FLAGS and equals:
            raise RequestError(f"{_shown(word.text)}", limit="no value", cure=f"--{option} alone")
        is_whole = equals or option in FLAGS
        options[option] = value if is_whole else _value(name, rest)
    return Line(tuple(words), options)


def whole_number(name: str, text: str, *, least: int = 1) -> int:
    """Return the value of an option that counts something.

    Raises
    ------
    RequestError
        If it is not a whole number from ``least`` up.

    Examples
    --------
    >>> whole_number("--max-tokens", "2000")
    2000
    """
    plain = text.replace("_", "").replace(",", "")
    is_number = plain.isascii() and plain.isdigit() and 0 < len(plain) < 10  # noqa: PLR2004 - a milliard is too many of anything
    if not (is_number and int(plain) >= least):
        raise RequestError(f"{name} {_shown(text)}", limit=f"a whole number from {least} up")
    return int(plain)


def amount(name: str, text: str) -> float:
    """Return the value of an option that is money.

    Raises
    ------
    RequestError
        If it is no amount of US dollars.

    Examples
    --------
    >>> amount("--budget", "$0.50")
    0.5
    """
    if not _AMOUNT.fullmatch(text):
        raise RequestError(
            f"{name} {_shown(text)}", limit="US dollars", cure=f"{name} 0.50 is fifty cents"
        )
    return float(text.removeprefix("$"))


def _value(name: str, rest: Iterator[Word]) -> str:
    word = next(rest, None)
    if word is None or word.is_option:
        raise RequestError(
            f"{name} without its value", cure=f"{name} VALUE, in quotes if it has spaces"
        )
    return word.text


def _known(name: str, magic: str, known: Sequence[str]) -> str:
    if name[2:] in known:
        return name[2:]
    near = get_close_matches(name.casefold().replace("_", "-")[2:], known, 1, _NEAR)
    raise RequestError(
        f"{magic} has no option {_shown(name)}",
        limit=", ".join(f"--{option}" for option in known),
        cure=f"did you mean --{near[0]}?" if near else f"{magic} --help",
    )


def _refuse_keys(line: str) -> None:
    names = {part.partition("=")[0].lower().replace("_", "-") for part in line.split()}
    if names & _KEY_OPTIONS or _KEYS.search(line):
        raise RequestError(
            "a key on the line of a magic",
            limit="none: notebooks, histories and their copies keep cells",
            cure="set ANTHROPIC_API_KEY, or the variable of another backend, before the kernel "
            'starts; a token is given in Python, by a function: nv.connect("vertex", '
            "access_token=…); if a key stood here, delete the cell and make a new key",
        )


def _shown(text: str) -> str:
    return one_line(text, empty="(nothing)")[:100]
