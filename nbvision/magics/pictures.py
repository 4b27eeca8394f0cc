"""How a word on the line of a magic becomes pictures.

======================  ======================================================
``https://…``           an address (also ``http:`` and ``data:``)
``$photo``              a variable of the notebook, never a file
``"photo"``             a file or pattern, never a variable
``photo``               a variable, else a file; both at once is refused
``nv.samples.shapes``   an attribute, or an item ``photos[0]``, or some ``photos[:3]``
``photos/*.jpg``        the pictures that match, in the order people count
======================  ======================================================

Names are looked up, not evaluated: attributes and items are read, nothing is called.
"""

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

from nbvision.errors import ImageNotFound, LimitExceeded, NbvisionError, RequestError
from nbvision.given import given_image
from nbvision.magics.line import Word
from nbvision.markup import one_line
from nbvision.widgets.folder import SUFFIXES, natural_key

__all__ = ["pictures_of", "public_names", "value_of"]

MOST_PICTURES = 600  # more than the largest request takes
_MOST_MATCHES = 100_000
_MOST_COMPARED = 2000  # names, for "did you mean"
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*://|data:)", re.IGNORECASE)
_NAME = r"[^\W\d]\w*"
_STEP = re.compile(rf"\.({_NAME})|\[(-?\d{{1,9}})\]|\[(-?\d{{0,9}}):(-?\d{{0,9}})\]")
_PATH_OF_NAMES = re.compile(rf"({_NAME})(?:{_STEP.pattern})*")
_MISSING = object()


def pictures_of(words: Iterable[Word], variables: Mapping[str, Any]) -> list[Any]:
    """Return the pictures that words name, in their order.

    Raises
    ------
    ImageNotFound
        If a word names nothing.
    RequestError
        If it names both a variable and a file, or a variable that holds no picture.
    LimitExceeded
        If there are more than a request can take.
    ImageError
        As `open_image`, saying which word it was.

    Examples
    --------
    >>> import nbvision as nv
    >>> [found] = pictures_of([Word("nv.samples.page")], {"nv": nv})
    >>> found
    SourceImage('page.png', 1075 × 1520, PNG)
    """
    found: list[Any] = []
    for word in words:
        found += _pictures(word, variables)
        if len(found) > MOST_PICTURES:
            raise LimitExceeded(
                f"{len(found):,} pictures on one line",
                limit=f"{MOST_PICTURES} in one request",
                cure="name fewer, or ask in several cells",
            )
    return found


def value_of(name: str, variables: Mapping[str, Any]) -> Any:
    """Return what a variable holds, or an attribute or item of it.

    Raises
    ------
    RequestError
        If there is none of this name.

    Examples
    --------
    >>> value_of("sizes[-1]", {"sizes": [1, 2, 3]})
    3
    """
    value = _look_up(name, variables)
    if value is _MISSING:
        raise RequestError(
            f"no variable {_shown(name)}",
            cure=_near(name, public_names(variables)) or "check its name",
        )
    return value


def public_names(variables: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names that the user gave.

    Examples
    --------
    >>> list(public_names({"photo": 1, "_": 2, "In": 3}))
    ['photo']
    """
    # IPython puts some names of its own among the user's.
    own = {"In", "Out", "get_ipython", "exit", "quit", "open"}
    return (name for name in tuple(variables) if not name.startswith("_") and name not in own)


def _pictures(word: Word, variables: Mapping[str, Any]) -> list[Any]:
    text = word.text
    if not text:
        raise ImageNotFound("an empty word", cure="name a picture between the quotes")
    if _ADDRESS.match(text):
        return [_opened(text, text)]
    if text.startswith("$") and word.quoted_at is None:
        return _pictures_in(text, value_of(text[1:], variables))
    value = _MISSING if word.quoted_at is not None else _look_up(text, variables)
    path = _path(text)
    if value is not _MISSING:
        if path is not None and path.is_file():
            raise RequestError(
                f"{_shown(text)} is both a variable and a file",
                limit="one of them",
                cure=f'${_shown(text)} is the variable, "{_shown(text)}" the file',
            )
        return _pictures_in(text, value)
    if path is not None and path.is_dir():
        raise ImageNotFound(
            f"{_shown(text)} is a folder", cure=f'its pictures are "{_shown(text.rstrip("/"))}/*"'
        )
    if path is not None and os.path.lexists(path):
        return [_opened(text, path)]
    if glob.has_magic(text):
        return [_opened(match, match) for match in _matches(text)]
    raise _nothing(word, variables)


def _path(text: str) -> Path | None:
    """Return the path a word would be; None for what no path can be."""
    try:
        path = Path(text).expanduser()
        os.path.lexists(path)
    except (OSError, ValueError, RuntimeError):
        return None
    return path


def _matches(pattern: str) -> list[str]:
    """Return the pictures a pattern matches, in the order people count."""
    found = glob.iglob(str(Path(pattern).expanduser()), recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
    names = list(islice(found, _MOST_MATCHES))
    pictures = [
        name for name in names if Path(name).suffix.lower() in SUFFIXES and not Path(name).is_dir()
    ]
    if len(pictures) > MOST_PICTURES:
        more = "at least " if len(names) == _MOST_MATCHES else ""
        raise LimitExceeded(
            f"{_shown(pattern)} matches {more}{len(pictures):,} pictures",
            limit=f"{MOST_PICTURES} in one request",
            cure="narrow the pattern",
        )
    if pictures:
        return sorted(pictures, key=natural_key)
    if names:
        raise ImageNotFound(
            f"{_shown(pattern)} matches {len(names):,} files, none a picture by its name",
            limit=" ".join(sorted(SUFFIXES)),
        )
    raise ImageNotFound(
        f"no file matches {_shown(pattern)}",
        cure=f"check the pattern; {_here()}",
    )


def _pictures_in(name: str, value: Any) -> list[Any]:
    """Return the pictures that a value is or holds: itself, a list, or a picker's."""
    if not isinstance(value, list | tuple):
        inside = _read(name, lambda: getattr(value, "images", None))
        value = inside if isinstance(inside, list | tuple) else [value]
    if not value:
        raise RequestError(f"{_shown(name)} holds no picture", cure="choose or open one first")
    return [_opened(name, item) for item in value]


def _opened(name: str, source: Any) -> Any:
    """Return a picture; an error says by which word it was meant."""
    try:
        return given_image(source)
    except NbvisionError as error:
        if _shown(name) in error.value:
            raise
        failure = type(error)(f"{_shown(name)}: {error.value}", limit=error.limit, cure=error.cure)
    raise failure


def _look_up(name: str, variables: Mapping[str, Any]) -> Any:
    """Return what a name leads to, or `_MISSING`; attributes are read, nothing is called."""
    names = _PATH_OF_NAMES.fullmatch(name)
    if names is None:
        return _MISSING
    value = variables.get(names[1], _MISSING)
    for step in _STEP.finditer(name, names.end(1)):
        if value is _MISSING:
            break
        value = _stepped(name, value, step)
    return value


def _stepped(name: str, value: Any, step: "re.Match[str]") -> Any:
    attribute, index, start, end = step.groups()
    if attribute:
        return _read(name, lambda: getattr(value, attribute, _MISSING))
    if index:
        return _read(name, lambda: value[int(index)])
    some = slice(int(start) if start else None, int(end) if end else None)
    return _read(name, lambda: value[some])


def _read(name: str, read: Callable[[], Any]) -> Any:
    failure: NbvisionError
    try:
        return read()
    except NbvisionError:
        raise
    except Exception as error:  # noqa: BLE001 - the edge: properties and items are the caller's code
        failure = RequestError(f"{_shown(name)} cannot be read: {type(error).__name__}")
    raise failure


def _nothing(word: Word, variables: Mapping[str, Any]) -> ImageNotFound:
    shown = _shown(word.text)
    names = _PATH_OF_NAMES.fullmatch(word.text) if word.quoted_at is None else None
    what = f"no variable and no file {shown}" if names else f"no file {shown}"
    if names and names[1] in variables:
        rest = _shown(word.text[names.end(1) :].lstrip("."))
        what = f"{names[1]} has no {rest}, nor is there such a file"
    known = [*(public_names(variables) if names else ()), *_files_beside(word.text)]
    return ImageNotFound(what, cure=_near(word.text, known) or f"check the name; {_here()}")


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(islice(known, _MOST_COMPARED)), 1, 0.7)
    return f"did you mean {_shown(near[0])}?" if near else ""


def _files_beside(text: str) -> Iterator[str]:
    """Yield the files of the folder that a path names, spelled as the path is."""
    head = text[: len(text) - len(os.path.basename(text))]  # noqa: PTH119 - the text stays as it was typed
    try:
        with os.scandir(Path(head or ".").expanduser()) as entries:
            for entry in islice(entries, _MOST_COMPARED):
                yield head + entry.name
    except (OSError, ValueError, RuntimeError):
        return


def _here() -> str:
    try:
        return f"this kernel runs in {_shown(str(Path.cwd()))}"
    except OSError:
        return "the folder this kernel runs in is gone"


def _shown(text: str) -> str:
    return one_line(text, empty="(nothing)")[:200]
