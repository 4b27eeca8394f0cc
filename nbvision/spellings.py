r"""JSON values as literals: of Python, of JSON between shell heredocs, of YAML.

Any text may be in a prompt. Here it becomes a literal that means exactly that text and can end
neither early nor elsewhere: without line breaks, control or bidirectional characters of its own.

>>> as_python("'); import os #\n")
'"\'); import os #\\n"'
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nbvision.errors import RequestError

__all__ = ["PictureFile", "as_json_around", "as_python", "as_yaml"]

_STEP = "    "
_PLAIN_KEY = re.compile(r"[a-z][a-z_]{2,}")  # two letters could be YAML's "no" and "on"
_YAML_WORDS = {"yes", "off", "true", "false", "null"}


@dataclass(frozen=True, slots=True)
class PictureFile:
    """Stands in a body where the data of a picture would; `name` is of our own making."""

    name: str


def as_python(value: Any, indent: str = "") -> str:
    """Return a value as a Python literal, in lines; a picture as ``picture("its file")``.

    >>> print(as_python({"system": "it's", "messages": []}))
    {
        'system': "it's",
        'messages': [],
    }
    """
    deeper = indent + _STEP
    if isinstance(value, dict) and value:
        lines = (f"{deeper}{key!r}: {as_python(item, deeper)},\n" for key, item in value.items())
        return f"{{\n{''.join(lines)}{indent}}}"
    if isinstance(value, list) and value:
        lines = (f"{deeper}{as_python(item, deeper)},\n" for item in value)
        return f"[\n{''.join(lines)}{indent}]"
    if isinstance(value, PictureFile):
        return f"picture({value.name!r})"
    return repr(value)


def as_json_around(value: Any) -> Iterator[str | PictureFile]:
    r"""Yield a value as lines of JSON, cut where the data of a picture belongs.

    >>> list(as_json_around({"data": PictureFile("image_1.png")}))
    ['{\n    "data":', PictureFile(name='image_1.png'), '}']
    """
    text = ""
    for piece in _json_pieces(value, ""):
        if isinstance(piece, PictureFile):
            yield text.strip("\n").rstrip(" ")
            yield piece
            text = ""
        else:
            text += piece
    yield text.strip("\n")


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


def _json_pieces(value: Any, indent: str) -> Iterator[str | PictureFile]:
    deeper = indent + _STEP
    if isinstance(value, PictureFile):
        yield value
    elif isinstance(value, dict) and value:
        comma = "{\n"
        for key, item in value.items():
            yield f"{comma}{deeper}{_quoted(key)}: "
            yield from _json_pieces(item, deeper)
            comma = ",\n"
        yield f"\n{indent}}}"
    elif isinstance(value, list) and value:
        comma = "[\n"
        for item in value:
            yield f"{comma}{deeper}"
            yield from _json_pieces(item, deeper)
            comma = ",\n"
        yield f"\n{indent}]"
    else:
        yield _quoted(value) if isinstance(value, str) else json.dumps(value)


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
