"""What an error of a plain call advises, in the words of a magic's line."""

import re

from nbvision.backends.connection import SECRETS
from nbvision.errors import ImageError, NbvisionError
from nbvision.magics.options import FLAGS, OPTIONS

__all__ = ["in_magics"]

_OF_FUNCTIONS = {
    "give a list: nv.compare([first, second])": "%%compare before.png after.png",
    "call locate once for each picture": "%%locate in a cell for each picture",
}
_VALUE = r"\"[^\"]*\"|'[^']*'|[\w…]+(?:\.\d+)?"
_CONNECT = re.compile(
    rf"nv\.connect\((?:([\"'])(?P<backend>[\w-]+)\1)?(?P<rest>(?:,? *\w+=(?:{_VALUE}))*)\)"
)
_ARGUMENT = re.compile(rf"(?<![\w.-])(\w+)=({_VALUE}|)")
_CALL = re.compile(r"\w\(")
_ARGUMENTS = {option.replace("-", "_") for options in OPTIONS.values() for option in options}


def in_magics(error: NbvisionError) -> str:
    """Return the cure of an error as it is typed in a magic, where it can be typed there.

    Examples
    --------
    >>> from nbvision.errors import NotConnected
    >>> in_magics(NotConnected("no region", cure='nv.connect("bedrock", region="us-east-1")'))
    '%nbvision connect bedrock --region us-east-1'
    """
    # The cure for a picture names files, which may be called anything.
    if isinstance(error, ImageError):
        return error.cure
    cure = _CONNECT.sub(_connect, _OF_FUNCTIONS.get(error.cure, error.cure))
    # Inside a call of Python's an argument is an argument.
    return cure if _CALL.search(cure) else _options(cure)


def _connect(call: "re.Match[str]") -> str:
    backend, arguments = call["backend"] or "", call["rest"].lstrip(", ")
    if any(argument[1] in SECRETS for argument in _ARGUMENT.finditer(arguments)):
        return call[0]
    words = ("%nbvision connect", backend, _options(arguments.replace(",", "")))
    return " ".join(word for word in words if word)


def _options(text: str) -> str:
    return _ARGUMENT.sub(_option, text)


def _option(argument: "re.Match[str]") -> str:
    name, value = argument.groups()
    if name not in _ARGUMENTS:
        return argument[0]
    if name == "store":
        return "--no-store" if value == "False" else "--store"
    if name in FLAGS:
        return f"--{name}"
    plain = value.strip("\"'")
    shown = f'"{plain}"' if " " in plain else plain
    return f"--{name.replace('_', '-')} {shown}".rstrip()
