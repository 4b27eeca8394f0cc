"""One stored reply as a file: what stands in it, and what is believed of it.

Keys are sorted, words stand line by line, and what changes from day to day is left out, so
that a difference between two versions says something. What is read may come from anybody: it
is checked like a service's reply.
"""

import base64
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nbvision.response import Response, parse_response, require_usable
from nbvision.store import Intent

__all__ = [
    "Newer",
    "StoredReply",
    "Unusable",
    "contents_of",
    "is_same_answer",
    "json_in",
    "reply_in",
    "require_reply",
    "text_of",
]

_FORMAT = 1
_MOST_BYTES = 8_000_000
_MERGE_MARK = b"<<<<<<< "


class Unusable(Exception):
    """A file that cannot be used; the words say why."""


class Newer(Unusable):
    """A file of a format yet unknown."""


@dataclass(frozen=True, slots=True)
class StoredReply:
    """An answer from the folder.

    Attributes
    ----------
    response
        The answer, read and found usable.
    asked_at
        When it was asked for, in UTC.
    """

    response: Response
    asked_at: datetime


def contents_of(
    intent: Intent, response: Response, asked_at: datetime, *, thumbnails: bool
) -> dict[str, Any]:
    """Return what is written of a request and its answer.

    Parameters
    ----------
    intent, response, asked_at
        What was asked, what came, and when.
    thumbnails
        Whether a small JPEG of each picture is part of it.
    """
    pictures = []
    for picture in intent.pictures:
        kept: dict[str, Any] = {"name": picture.name, "source": picture.source, **picture.fit}
        if thumbnails and picture.thumbnail is not None:
            kept["thumbnail"] = base64.b64encode(picture.thumbnail()).decode("ascii")
        pictures.append(kept)
    return {
        "format": _FORMAT,
        "name": intent.name,
        "sample": intent.sample,
        "asked_on": f"{asked_at.astimezone(UTC):%Y-%m-%d}",
        "backend": intent.backend,
        "model": intent.model,
        "parameters": intent.parameters,
        "prompt": intent.prompt.split("\n"),
        "pictures": pictures,
        "message": _with_lines(response.raw),
    }


def text_of(found: Mapping[str, Any]) -> bytes:
    """Return JSON as it is written: sorted, a value to the line, the same on every machine.

    A number that is none becomes null: a service's own client may have let one through.
    """
    plain = json.loads(json.dumps(found), parse_constant=lambda _: None)
    text = json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode("utf-8", "backslashreplace")


def json_in(path: Path) -> dict[str, Any]:
    """Return what a file says, if its form is known.

    Raises
    ------
    FileNotFoundError
        If there is none.
    Unusable
        If it cannot be read, or was not written here.
    """
    data = _bytes_of(path)
    try:
        found = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        is_merge = data.startswith(_MERGE_MARK) or b"\n" + _MERGE_MARK in data
        raise Unusable("it holds the marks of a merge" if is_merge else "it is not JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("format"), int):
        raise Unusable("it is no stored reply")
    if found["format"] > _FORMAT:
        raise Newer("a newer nbvision wrote it")
    return found


def require_reply(found: Mapping[str, Any], intent: Intent) -> None:
    """Refuse what answers another request.

    Raises
    ------
    Unusable
        If it does.
    """
    if found.get("name") != intent.name or found.get("sample") != intent.sample:
        raise Unusable("it answers another request")


def reply_in(found: Mapping[str, Any]) -> StoredReply:
    """Return the answer that a file holds.

    Raises
    ------
    Unusable
        If it holds none.
    AnswerError
        If that is no usable answer.
    """
    response = require_usable(parse_response(_without_lines(found.get("message"))))
    try:
        day = datetime.strptime(str(found.get("asked_on")), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Unusable("it does not say when it was asked") from None
    return StoredReply(response, day)


def is_same_answer(found: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two files say the same, but for the day and what the service's memory had read."""
    return _lasting(found) == _lasting(new)


def _lasting(found: Mapping[str, Any]) -> dict[str, Any]:
    message = found.get("message")
    kept = {key: value for key, value in found.items() if key not in {"asked_on", "message"}}
    if isinstance(message, Mapping):
        kept["message"] = {k: v for k, v in message.items() if k not in {"id", "usage"}}
    # As JSON has it: a tuple and a list are the same there.
    plain: dict[str, Any] = json.loads(text_of(kept))
    return plain


def _bytes_of(path: Path) -> bytes:
    """Read a plain file of bounded size: no link, pipe or device, and no waiting for one."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        number = os.open(path, flags | getattr(os, "O_BINARY", 0))
        with os.fdopen(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise Unusable("it is no file")
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unusable(f"it cannot be read ({error.strerror})") from None
    if len(data) > _MOST_BYTES:
        raise Unusable(f"it has more than {_MOST_BYTES / 1e6:.0f} MB")
    return data


def _with_lines(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message with the words of its text blocks as lines, and without its passing name."""
    return {
        **{key: value for key, value in message.items() if key != "id"},
        "content": [
            {**block, "text": block["text"].split("\n")} if block.get("type") == "text" else block
            for block in message["content"]
        ],
    }


def _without_lines(message: object) -> object:
    if not isinstance(message, Mapping) or not isinstance(message.get("content"), list):
        raise Unusable("it holds no message")
    return {**message, "content": [_joined(block) for block in message["content"]]}


def _joined(block: object) -> object:
    if not isinstance(block, Mapping) or block.get("type") != "text":
        return block
    lines = block.get("text")
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise Unusable("its words are no lines")
    return {**block, "text": "\n".join(lines)}


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)
