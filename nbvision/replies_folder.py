"""Replies beside the notebook: a folder of small JSON files that git can hold.

One file for each request and sample, named after the first words and the request's name, so
that it is found on any machine without looking through the folder.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from nbvision.errors import NbvisionError, RequestError, StoreFailed
from nbvision.origins import Origin, origin_in
from nbvision.reply_file import (
    Newer,
    StoredReply,
    Unusable,
    contents_of,
    is_same_answer,
    json_in,
    reply_in,
    require_reply,
    text_of,
)
from nbvision.response import Response
from nbvision.store import Intent
from nbvision.store.notices import notice
from nbvision.writing import put_in_place

__all__ = [
    "OFFLINE",
    "PACKING",
    "REPORT",
    "RepliesFolder",
    "StoredReply",
    "Surroundings",
    "folder_of",
]

OFFLINE = "NBVISION_OFFLINE"
"""In the environment it names a folder of replies that alone may answer."""
REPORT = "NBVISION_REPORT"
"""It names the file that is told which replies are used and which are missing."""
PACKING = "NBVISION_PACKING"
"""Set, it fills that folder from this person's store, and with what practice says."""

_MOST_FILES = 100_000
_WORDS_IN_NAME = 5
_LONGEST_WORDS = 40
_HASH_IN_NAME = 16
_ENDING = ".json"
_REPLIES = f"[!_]*{_ENDING}"
_ORIGINS = f"_origin.*{_ENDING}"
_MOST_ORIGINS = 200
# Of any ending, Windows takes these for devices.
_DEVICES = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)\d)")


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
        self._origin: Origin | None = None
        self._report: Path | None = None

    def asked_through(self, origin: Origin, report: Path | None = None) -> "RepliesFolder":
        """Return this folder for one connection: its replies come from there.

        Parameters
        ----------
        origin
            Who is asked.
        report
            A file that is told what is used and what is missing.
        """
        bound = RepliesFolder(self.path, thumbnails=self._thumbnails)
        bound._origin, bound._report = origin, report
        return bound

    def read(self, intent: Intent) -> StoredReply | None:
        """Return the reply to a request; None if there is none that can be used.

        A file that cannot be used is left as it is, and a notice names it.
        """
        path = self.path_of(intent)
        try:
            found = json_in(path)
            require_reply(found, intent)
            reply = reply_in(found)
        except FileNotFoundError:
            return None
        except (Unusable, NbvisionError) as error:
            notice(f"the stored reply {path.name} is not used: {_reason(error)}")
            return None
        self._tell("used", path.name)
        return reply

    def write(self, intent: Intent, response: Response, asked_at: datetime) -> Path:
        """Write a reply, whole or not at all; one that cannot be read is kept beside it.

        One that says the same already stays as it is.

        Raises
        ------
        StoreFailed
            If it cannot be written, or a newer nbvision wrote what is there.
        """
        path = self.path_of(intent)
        try:
            self._write(path, intent, response, asked_at)
        except Exception as error:  # noqa: BLE001 - the answer is here, and may have been paid for
            failed = error if isinstance(error, StoreFailed) else _not_written(path, error)
            self.miss(failed.value)
            raise failed from None
        self._tell("used", path.name)
        return path

    def origins(self) -> list[Origin]:
        """Return through which connections its replies came."""
        found = [self._origin_of(path) for path in self._named(_ORIGINS, _MOST_ORIGINS)]
        return sorted(origin for origin in found if origin is not None)

    def miss(self, words: str) -> None:
        """Tell the report which reply is missing."""
        self._tell("missing", words)

    def files(self) -> Iterator[Path]:
        """Yield the files of replies, by name."""
        yield from self._named(_REPLIES, _MOST_FILES)

    def is_reply(self, path: Path) -> bool:
        """Whether a file of the folder is a stored reply, whole and usable."""
        return not self._problem(path)

    def problems(self) -> list[str]:
        """Return what is wrong with files of the folder, one line each."""
        found = ((path.name, self._problem(path)) for path in self.files())
        return [f"{name}: {reason}" for name, reason in found if reason]

    def __repr__(self) -> str:
        return f"RepliesFolder({self.path.name!r})"

    def path_of(self, intent: Intent) -> Path:
        """Return the file of a request, which need not exist."""
        words = "-".join(re.findall(r"[a-z0-9]+", intent.prompt.lower())[:_WORDS_IN_NAME])
        start = words[:_LONGEST_WORDS].strip("-") or "call"
        if _DEVICES.fullmatch(start):
            start = f"{start}-"
        sample = f".s{intent.sample}" if intent.sample else ""
        return self.path / f"{start}.{intent.name[:_HASH_IN_NAME]}{sample}{_ENDING}"

    def _write(self, path: Path, intent: Intent, response: Response, asked_at: datetime) -> None:
        new = contents_of(intent, response, asked_at, thumbnails=self._thumbnails)
        if not self._has(path, intent, new):
            self._put(path, text_of(new))
            self._tell("wrote", path.name)
        self._keep_origin()

    def _named(self, pattern: str, most: int) -> list[Path]:
        try:
            return sorted(self.path.glob(pattern))[:most]
        except OSError:
            return []

    @staticmethod
    def _problem(path: Path) -> str:
        try:
            reply_in(json_in(path))
        except (OSError, Unusable, NbvisionError) as error:
            return _reason(error)
        return ""

    def _has(self, path: Path, intent: Intent, new: Mapping[str, object]) -> bool:
        """Whether it says this already; what is no reply makes room, and is kept aside."""
        try:
            found = json_in(path)
            require_reply(found, intent)
        except FileNotFoundError:
            return False
        except Newer:
            raise StoreFailed(
                f"{path.name} was written by a newer nbvision", cure="upgrade nbvision"
            ) from None
        except Unusable:
            _set_aside(path)
            return False
        return is_same_answer(found, new)

    def _keep_origin(self) -> None:
        origin = self._origin
        if origin is None or origin.is_plain:
            return
        path = self.path / origin.file_name
        if self._origin_of(path) == origin:
            return
        if os.path.lexists(path):
            _set_aside(path)
        self._put(path, text_of(origin.written()))

    @staticmethod
    def _origin_of(path: Path) -> Origin | None:
        try:
            return origin_in(json_in(path))
        except FileNotFoundError:
            return None
        except Unusable as error:
            notice(f"{path.name} beside the replies is not used: {error}")
            return None

    def _put(self, path: Path, data: bytes) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            put_in_place(data, path, is_private=False)
        except OSError as error:
            raise _not_written(path, error) from None

    def _tell(self, event: str, words: str) -> None:
        if self._report is not None:
            with suppress(OSError), self._report.open("a", encoding="utf-8") as file:
                # One write: other threads and processes tell theirs.
                file.write(json.dumps({event: words}) + "\n")


class _Paired(RepliesFolder):
    """The folder that a notebook names, and behind it the one of the environment.

    Parameters
    ----------
    own, behind
        The two.
    fills
        Whether what the first has or gets goes into the second too.
    copies
        Whether what the second has goes into the first, as an answer would.
    """

    def __init__(
        self, own: RepliesFolder, behind: RepliesFolder, *, fills: bool, copies: bool
    ) -> None:
        super().__init__(own.path)
        self._own, self._behind = own, behind
        self._fills, self._copies = fills, copies

    def asked_through(self, origin: Origin, report: Path | None = None) -> "RepliesFolder":
        own = self._own.asked_through(origin)
        behind = self._behind.asked_through(origin, report)
        return _Paired(own, behind, fills=self._fills, copies=self._copies)

    def read(self, intent: Intent) -> StoredReply | None:
        found = self._own.read(intent)
        if found is None:
            found = self._behind.read(intent)
            if found is not None and self._copies:
                _try_to_copy(self._own, intent, found)
        elif self._fills:
            _try_to_copy(self._behind, intent, found)
        return found

    def write(self, intent: Intent, response: Response, asked_at: datetime) -> Path:
        try:
            return self._own.write(intent, response, asked_at)
        finally:
            if self._fills:
                self._behind.write(intent, response, asked_at)

    def origins(self) -> list[Origin]:
        return [*self._own.origins(), *self._behind.origins()]

    def miss(self, words: str) -> None:
        self._behind.miss(words)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the environment says of stored replies.

    Attributes
    ----------
    folder
        The folder that alone answers, if one is named.
    report
        Who is told of it.
    is_packing
        Whether it is filled.
    """

    folder: Path | None = None
    report: Path | None = None
    is_packing: bool = False

    def in_words(self) -> str:
        """Return it as one line, by which a kernel says what its replies come from."""
        return json.dumps([str(self.folder), str(self.report), self.is_packing])

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Surroundings":
        """Read them.

        Examples
        --------
        >>> Surroundings.of({"NBVISION_OFFLINE": "lesson.replies"}).folder.name
        'lesson.replies'
        """
        folder, report = environment.get(OFFLINE), environment.get(REPORT)
        if not folder:
            return cls()
        is_packing = bool(environment.get(PACKING))
        return cls(Path(folder), Path(report) if report else None, is_packing)

    def folder_for(self, replies: object, *, offline: bool) -> RepliesFolder | None:
        """Return where replies are, by these and by what `connect` was given.

        Raises
        ------
        RequestError
            If that is no folder, or there is none though nothing else may answer.
        """
        own = None if replies is None else folder_of(replies)
        if self.folder is None:
            if own is None and offline:
                raise RequestError(
                    "offline=True without stored replies", cure='replies="lesson.replies"'
                )
            return own
        around = RepliesFolder(self.folder)
        if own is None or os.path.realpath(own.path) == os.path.realpath(around.path):
            return around
        return _Paired(own, around, fills=self.is_packing, copies=not offline)


def folder_of(replies: object) -> RepliesFolder:
    """Return the folder that is meant by ``replies=``.

    Raises
    ------
    RequestError
        If that is no path of a folder.
    """
    if isinstance(replies, RepliesFolder):
        return replies
    if isinstance(replies, str | Path) and str(replies) and "\0" not in str(replies):
        with suppress(RuntimeError):  # it begins with ~ and a name that nobody has here
            return RepliesFolder(replies)
    raise RequestError(f"replies={replies!r}"[:200], limit="the path of a folder")


def _not_written(path: Path, error: Exception) -> StoreFailed:
    why = error.strerror if isinstance(error, OSError) else type(error).__name__
    return StoreFailed(
        f"{path.name} cannot be written to {path.parent.name}: {why}",
        cure="free some space, or connect with another replies=",
    )


def _set_aside(path: Path) -> None:
    """Rename what is no reply; nothing that was kept before is written over."""
    names = (f"{path.name}.unusable{number}" for number in ("", *range(2, 100)))
    aside = next((path.with_name(n) for n in names if not os.path.lexists(path.with_name(n))), None)
    if aside is None:
        raise StoreFailed(
            f"{path.name} is no reply, and a hundred such are kept already",
            cure="delete those that end in .unusable",
        )
    with suppress(OSError):
        path.rename(aside)
        notice(f"{path.name} could not be read and is kept as {aside.name}")


def _try_to_copy(folder: RepliesFolder, intent: Intent, found: StoredReply) -> None:
    try:
        folder.write(intent, found.response, found.asked_at)
    except StoreFailed as error:
        notice(f"{error.value}; the reply itself is here")


def _reason(error: Exception) -> str:
    return error.value if isinstance(error, NbvisionError) else str(error)
