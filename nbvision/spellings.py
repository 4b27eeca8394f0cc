r"""JSON values as literals: of Python, of JSON between shell heredocs, of YAML.

Any text may be in a prompt. Here it becomes a literal that means exactly that text and can end
neither early nor elsewhere: without line breaks, control or bidirectional characters of its own.

>>> print(as_python("'); import os #\n"))
"'); import os #\n"
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nbvision.errors import RequestError

__all__ = ["PictureFile", "as_json_around", "as_python", "as_yaml"]

_STEP = "    "
_WIDTH = 88
_PLAIN_KEY = re.compile(r"[a-z][a-z_]{2,}")  # two letters could be YAML's "no" and "on"
_YAML_WORDS = {"yes", "off", "true", "false", "null"}


@dataclass(frozen=True, slots=True)
class PictureFile:
    """Stands in a body where the data of a picture would; `name` is of our own making."""

    name: str


def as_python(value: Any, indent: str = "") -> str:
    """Return a value as a Python literal, in lines; a picture as ``picture("its file")``.

    >>> print(as_python({"system": "it's " * 14, "messages": [{"role": "user"}]}))
    {
        "system": "it's it's it's it's it's it's it's it's it's it's it's it's it's it's ",
        "messages": [{"role": "user"}],
    }
    """
    deeper = indent + _STEP
    if isinstance(value, dict):
        pieces = [f"{_python_text(key)}: {as_python(item, deeper)}" for key, item in value.items()]
        return _laid_out(pieces, "{}", indent, ends_with_comma=True)
    if isinstance(value, list):
        pieces = [as_python(item, deeper) for item in value]
        return _laid_out(pieces, "[]", indent, ends_with_comma=True)
    if isinstance(value, PictureFile):
        return f"picture({_python_text(value.name)})"
    return _python_text(value) if isinstance(value, str) else repr(value)


def as_json_around(value: Any) -> Iterator[str | PictureFile]:
    r"""Yield a value as lines of JSON, cut where the data of a picture belongs.

    >>> list(as_json_around({"data": PictureFile("image_1.png")}))
    ['{\n    "data":', PictureFile(name='image_1.png'), '}']
    """
    # No JSON holds a NUL, which it escapes: it can mark the places to cut.
    before, *others = _json(value, "").split("\0")
    yield before.rstrip(" ")
    for piece in others:
        name, _, text = piece.partition("\1")
        yield PictureFile(name)
        yield text.strip("\n").rstrip(" ")


def as_yaml(value: Any) -> str:
    r"""Return a value as a YAML document in which a picture is ``@data://`` and its file.

    The `ant` command takes text that begins with ``@`` for the name of a file, and ``\@`` for
    an ``@``; it has no spelling for text that begins with ``\@``.

    Raises
    ------
    RequestError
        If there is such text.

    Examples
    --------
    >>> print(as_yaml({"system": "@home", "messages": [{"role": "user"}]}), end="")
    system: "\\@home"
    messages:
      - role: "user"
    """
    return "".join(f"{line}\n" for line in _yaml_lines(value))


def _json(value: Any, indent: str) -> str:
    deeper = indent + _STEP
    if isinstance(value, PictureFile):
        return f"\0{value.name}\1"
    if isinstance(value, dict):
        pieces = [f"{_quoted(key)}: {_json(item, deeper)}" for key, item in value.items()]
        return _laid_out(pieces, "{}", indent)
    if isinstance(value, list):
        return _laid_out([_json(item, deeper) for item in value], "[]", indent)
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _laid_out(
    pieces: list[str], brackets: str, indent: str, *, ends_with_comma: bool = False
) -> str:
    """Return the pieces of a list or dict on one line if they fit, else on a line each."""
    start, end = brackets[0], brackets[1]
    line = f"{start}{', '.join(pieces)}{end}"
    if len(indent) + len(line) < _WIDTH and not set(line) & {"\n", "\0"}:
        return line
    deeper = indent + _STEP
    last = "," if ends_with_comma else ""
    between = f",\n{deeper}"
    return f"{start}\n{deeper}{between.join(pieces)}{last}\n{indent}{end}"


def _python_text(text: str) -> str:
    """Return text as Python's `repr` has it, in double quotes where that is no less plain."""
    shown = repr(text)
    is_plain = shown[0] == "'" and '"' not in shown and "\\'" not in shown
    return f'"{shown[1:-1]}"' if is_plain else shown


def _quoted(text: str) -> str:
    """Return text as a JSON string; what an editor would not show plainly is escaped."""
    return "".join(
        c if c.isprintable() else _escape(c) for c in json.dumps(text, ensure_ascii=False)
    )


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1]


def _yaml_lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            name = key if _PLAIN_KEY.fullmatch(key) and key not in _YAML_WORDS else _yaml_text(key)
            if isinstance(item, dict | list) and item:
                yield f"{name}:"
                yield from (f"  {line}" for line in _yaml_lines(item))
            else:
                yield f"{name}: {_yaml_scalar(item)}"
    elif isinstance(value, list) and value:
        for item in value:
            first, *others = _yaml_lines(item)
            yield f"- {first}"
            yield from (f"  {line}" for line in others)
    else:
        yield _yaml_scalar(value)


def _yaml_scalar(value: Any) -> str:
    if isinstance(value, PictureFile):
        return json.dumps(f"@data://{value.name}")
    if not isinstance(value, str):
        return json.dumps(value)
    if value.startswith("\\@"):
        raise RequestError(
            "text that begins with \\@",
            limit="the ant command reads it as @",
            cure="begin it with a space, or export another form",
        )
    return _yaml_text(f"\\{value}" if value.startswith("@") else value)


def _yaml_text(text: str) -> str:
    shown = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else _yaml_escape(c) for c in shown)


def _yaml_escape(character: str) -> str:
    # YAML has no surrogate pairs.
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - four digits
