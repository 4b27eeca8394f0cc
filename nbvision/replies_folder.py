"""Replies beside the notebook: a folder of small JSON files that git can hold.

One file for each request and sample, named after the first words and the request's name, so
that it is found on any machine. Keys are sorted, words stand line by line, and what changes
from day to day is left out, so that a difference between two versions says something. What is
in such a folder may come from anybody: it is checked like a service's reply.
"""

import base64
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nbvision.errors import NbvisionError, StoreFailed
from nbvision.response import Response, parse_response, require_usable
from nbvision.store import Intent
from nbvision.store.notices import notice

__all__ = ["OFFLINE", "RepliesFolder", "StoredReply"]

OFFLINE = "NBVISION_OFFLINE"
"""In the environment it names a folder of replies that alone may answer."""

_FORMAT = 1
_MOST_BYTES = 8_000_000
_MOST_FILES = 100_000
_WORDS_IN_NAME = 5
_LONGEST_WORDS = 40
_HASH_IN_NAME = 16
_ENDING = ".json"


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


class RepliesFolder:
    """A folder of replies.

    Parameters
    ----------
    path
        The folder; made when the first reply is written.
    thumbnails
        Whether a small JPEG of each picture is written too.

    Examples
    --------
    >>> RepliesFolder("lesson.replies")
    RepliesFolder('lesson.replies')
    """

    def __init__(self, path: str | Path, *, thumbnails: bool = False) -> None:
        self.path = Path(path).expanduser()
        self._thumbnails = thumbnails

    def read(self, intent: Intent) -> StoredReply | None:
        """Return the reply to a request; None if there is none that can be used.

        A file that cannot be used is left as it is, and a notice names it.
        """
        path = self.path_of(intent)
        try:
            return _reply_in(_checked(path, intent.name, intent.sample))
        except FileNotFoundError:
            return None
        except (_Unusable, NbvisionError) as error:
            reason = error.value if isinstance(error, NbvisionError) else str(error)
            notice(f"the stored reply {path.name} is not used: {reason}")
            return None

    def write(self, intent: Intent, response: Response, asked_at: datetime) -> Path:
        """Write a reply, whole or not at all; one that cannot be read is kept beside it.

        Raises
        ------
        StoreFailed
            If it cannot be written, or a newer nbvision wrote what is there.
        """
        path = self.path_of(intent)
        self._make_room(path, intent)
        text = json.dumps(
            self._contents(intent, response, asked_at),
            indent=1,
            sort_keys=True,
            ensure_ascii=False,
            allow_nan=False,
        )
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with draft.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            raise StoreFailed(
                f"the reply cannot be written to {self.path.name}: {error.strerror}",
                cure="free some space, or connect with another replies=",
            ) from None
        finally:
            with suppress(OSError):
                draft.unlink()
        return path

    def files(self) -> Iterator[Path]:
        """Yield the files of replies, by name."""
        with suppress(OSError):
            yield from sorted(self.path.glob(f"*{_ENDING}"))[:_MOST_FILES]

    def problems(self) -> list[str]:
        """Return what is wrong with files of the folder, one line each."""
        found = []
        for path in self.files():
            try:
                _reply_in(_checked(path))
            except (OSError, _Unusable, NbvisionError) as error:
                reason = error.value if isinstance(error, NbvisionError) else str(error)
                found.append(f"{path.name}: {reason}")
        return found

    def __repr__(self) -> str:
        return f"RepliesFolder({self.path.name!r})"

    def path_of(self, intent: Intent) -> Path:
        """Return the file of a request, which need not exist."""
        words = "-".join(re.findall(r"[a-z0-9]+", intent.prompt.lower())[:_WORDS_IN_NAME])
        start = words[:_LONGEST_WORDS].strip("-") or "call"
        sample = f".s{intent.sample}" if intent.sample else ""
        return self.path / f"{start}.{intent.name[:_HASH_IN_NAME]}{sample}{_ENDING}"

    def _make_room(self, path: Path, intent: Intent) -> None:
        """Let a reply be replaced by a newer one; keep aside what is none."""
        try:
            _checked(path, intent.name, intent.sample)
        except FileNotFoundError:
            pass
        except _Newer:
            raise StoreFailed(
                f"{path.name} was written by a newer nbvision", cure="upgrade nbvision"
            ) from None
        except _Unusable:
            aside = path.with_name(f"{path.name}.unusable")
            with suppress(OSError):
                path.rename(aside)
                notice(f"{path.name} could not be read and is kept as {aside.name}")

    def _contents(self, intent: Intent, response: Response, asked_at: datetime) -> dict[str, Any]:
        pictures = []
        for picture in intent.pictures:
            kept: dict[str, Any] = {"name": picture.name, "source": picture.source, **picture.fit}
            if self._thumbnails and picture.thumbnail is not None:
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


class _Unusable(Exception):
    """A file that holds no reply."""


class _Newer(_Unusable):
    """A file of a format yet unknown."""


def _checked(path: Path, name: str | None = None, sample: int | None = None) -> dict[str, Any]:
    """Return what a file says, if it is the reply to this request."""
    try:
        found = json.loads(_bytes_of(path), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise _Unusable("it is not JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("format"), int):
        raise _Unusable("it is no stored reply")
    if found["format"] > _FORMAT:
        raise _Newer("a newer nbvision wrote it")
    if name is not None and (found.get("name") != name or found.get("sample") != sample):
        raise _Unusable("it answers another request")
    return found


def _bytes_of(path: Path) -> bytes:
    """Read a plain file of bounded size: no link, pipe or device, and no waiting for one."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        number = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _Unusable(f"it cannot be opened ({error.strerror})") from None
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise _Unusable("it is no file")
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise _Unusable(f"it has more than {_MOST_BYTES / 1e6:.0f} MB")
    return data


def _reply_in(found: Mapping[str, Any]) -> StoredReply:
    response = require_usable(parse_response(_without_lines(found.get("message"))))
    try:
        day = datetime.strptime(str(found.get("asked_on")), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise _Unusable("it does not say when it was asked") from None
    return StoredReply(response, day)


def _with_lines(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message with the words of its text blocks as lines."""
    return {
        **message,
        "content": [
            {**block, "text": block["text"].split("\n")} if block.get("type") == "text" else block
            for block in message["content"]
        ],
    }


def _without_lines(message: object) -> object:
    if not isinstance(message, Mapping) or not isinstance(message.get("content"), list):
        raise _Unusable("it holds no message")
    return {**message, "content": [_joined(block) for block in message["content"]]}


def _joined(block: object) -> object:
    if not isinstance(block, Mapping) or block.get("type") != "text":
        return block
    lines = block.get("text")
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise _Unusable("its words are no lines")
    return {**block, "text": "\n".join(lines)}


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)
