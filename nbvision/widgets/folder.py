"""A folder of pictures, seen from inside a root that nothing leads out of.

Names are never trusted twice: what was listed may have been exchanged for a link since. So a
place is resolved, found to lie inside, and then walked to part by part without following any
link; what a link leads to is opened under its real name, or not at all.
"""

import os
import re
import stat
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from nbvision.errors import (
    ImageError,
    ImageNotFound,
    ImageTooLarge,
    RequestError,
    UnsafeSource,
)
from nbvision.markup import plain

__all__ = ["ORDERS", "SUFFIXES", "Listing", "Order", "Parts", "Root", "arranged", "natural_key"]

Order = Literal["name", "newest", "largest"]
Parts = tuple[str, ...]

ORDERS: tuple[Order, ...] = ("name", "newest", "largest")
_OF_EACH_FORMAT = {
    "PNG": ".png",
    "JPEG": ".jpg .jpeg .jpe .jfif",
    "GIF": ".gif",
    "WEBP": ".webp",
    "BMP": ".bmp .dib",
    "TIFF": ".tif .tiff",
    "AVIF": ".avif",
    "HEIC": ".heic .heif .hif",
}
SUFFIXES = frozenset(" ".join(_OF_EACH_FORMAT.values()).split())
_MOST_ENTRIES = 200_000  # more rows than that no browser scrolls
_TOLD_EACH = 1000  # entries between two words about progress
_MOST_BYTES = 300_000_000
_DIGITS = re.compile(r"\d+")
_CAN_WALK = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
# A folder on the way may be passed through without being readable.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder held when it was read: names alone, in natural order.

    An entry's number counts the folders first and goes on with the pictures.

    Attributes
    ----------
    parts
        Where the folder is: names from the root down.
    folders, pictures
        Names, as the system spells them.
    is_cut
        Whether there were more entries than are listed.
    """

    parts: Parts
    folders: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    is_cut: bool = False

    def __len__(self) -> int:
        return len(self.folders) + len(self.pictures)

    def is_folder(self, number: int) -> bool:
        """Whether the entry of this number is a folder."""
        return number < len(self.folders)

    def name(self, number: int) -> str:
        """Return an entry's name as the system spells it."""
        first = len(self.folders)
        return self.folders[number] if number < first else self.pictures[number - first]

    def numbers_of(self, names: Iterable[str]) -> list[int]:
        """Return the numbers of the pictures with these names, as far as they are here."""
        wanted, first = set(names), len(self.folders)
        if not wanted:
            return []
        return [first + n for n, name in enumerate(self.pictures) if name in wanted]


class Root:
    """The folder that a person may look into; paths out of it do not exist.

    Parameters
    ----------
    root
        The folder, absolute or relative to where the kernel runs.

    Raises
    ------
    ImageNotFound
        If there is no such folder.
    RequestError
        If it is no path.

    Examples
    --------
    >>> Root(".").parts_of("sub/../a.jpg")
    ('a.jpg',)
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        if not isinstance(root, str | os.PathLike):
            raise RequestError(
                f"root={root!r}"[:200],
                limit="one folder, as text or a Path",
                cure="pictures themselves: picker.add(image)",
            )
        shown = plain(str(root))
        try:
            self.path = Path(root).expanduser().resolve(strict=True)
            is_folder = self.path.is_dir()
        except (OSError, RuntimeError, ValueError):
            is_folder = False
        if not is_folder:
            raise ImageNotFound(f"there is no folder {shown}", cure="check root=")

    @property
    def name(self) -> str:
        """What is shown of the root: its name, and nothing of where it is."""
        return plain(self.path.name) or "files"

    def parts_of(self, name: str | os.PathLike[str]) -> Parts:
        """Return the place of a name that was written in Python, relative to the root.

        Raises
        ------
        UnsafeSource
            If it leads outside.
        """
        whole = os.path.normpath(self.path / name)
        try:
            return Path(whole).relative_to(self.path).parts
        except ValueError:
            return self._inside((whole,))

    def open(self, parts: Parts) -> BinaryIO:
        """Return a picture's file, opened for reading; close it.

        Raises
        ------
        ImageNotFound, UnsafeSource
            If it is gone, may not be read, is no regular file, or leads outside.
        """
        shown = _shown(parts)
        with _in_our_words(shown):
            handle = self._opened(self._inside(parts), _READ)
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                os.close(handle)
                raise UnsafeSource(f"{shown} is not a regular file")
            return os.fdopen(handle, "rb")

    def count_bytes(self, parts: Parts) -> int:
        """Return how many bytes a picture's file has; raises as `open` does."""
        with self.open(parts) as file:
            return os.fstat(file.fileno()).st_size

    def read(self, parts: Parts) -> bytes:
        """Return a picture's bytes.

        Raises
        ------
        ImageNotFound, UnsafeSource
            As for `open`.
        ImageTooLarge
            If it has more bytes than nbvision opens.
        """
        with self.open(parts) as file, _in_our_words(_shown(parts)):
            data = file.read(_MOST_BYTES + 1) or b""
        if len(data) > _MOST_BYTES:
            raise ImageTooLarge(
                f"{_shown(parts)} has more than {_MOST_BYTES / 1e6:.0f} MB",
                limit=f"{_MOST_BYTES / 1e6:.0f} MB",
                cure="is it a picture? crop or shrink it first",
            )
        return data

    def scan(
        self,
        parts: Parts,
        on_progress: Callable[[int], None] = lambda _: None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Listing | None:
        """Read a folder; None where nobody wants it any more.

        Parameters
        ----------
        parts
            Which folder.
        on_progress
            Told how many entries were read so far, now and then.
        is_wanted
            Asked now and then; when it says no, reading stops.

        Raises
        ------
        ImageNotFound, UnsafeSource
            If it is gone, may not be read, or leads outside.
        """
        folders: list[str] = []
        pictures: list[str] = []
        with _in_our_words(_shown(parts) or "the folder"):
            place = self._inside(parts)
            with self._entries(place) as entries:
                for count, entry in enumerate(entries, start=1):
                    if count % _TOLD_EACH == 0:
                        on_progress(count)
                        if not is_wanted():
                            return None
                    kind = self._kind(place, entry)
                    if kind is not None:
                        (folders if kind == "folder" else pictures).append(entry.name)
                    if len(folders) + len(pictures) > _MOST_ENTRIES:
                        break
        is_cut = len(folders) + len(pictures) > _MOST_ENTRIES
        for names in (folders, pictures):
            names.sort(key=natural_key)
        return Listing(place, tuple(folders), tuple(pictures[:_MOST_ENTRIES]), is_cut)

    def figures(self, listing: Listing, order: Order) -> "array[float]":
        """Return what pictures are ordered by, largest first: seconds since 1970, or bytes."""
        found = array("d", bytes(8 * len(listing.pictures)))
        with suppress(OSError, ImageError), self._handle(listing.parts) as folder:
            for number, name in enumerate(listing.pictures):
                path = name if folder is not None else self.path.joinpath(*listing.parts, name)
                with suppress(OSError):
                    status = os.stat(path, dir_fd=folder, follow_symlinks=False)
                    found[number] = status.st_mtime if order == "newest" else status.st_size
        return found

    def _inside(self, parts: Parts) -> Parts:
        """Return where a place really is, links resolved, or refuse it."""
        with _in_our_words(_shown(parts)):
            real = Path(os.path.realpath(self.path.joinpath(*parts)))
        if not real.is_relative_to(self.path):
            raise UnsafeSource(
                f"{_shown(parts[-1:])} leads out of {self.name}",
                limit="what lies inside",
                cure="give a root= that holds it",
            )
        return real.relative_to(self.path).parts

    def _opened(self, place: Parts, flags: int) -> int:
        """Open a place that holds no links; if one has been put there since, fail."""
        if not _CAN_WALK:
            handle = os.open(self.path.joinpath(*place), flags)
            found = self.path.joinpath(*self._inside(place)).stat()
            if not os.path.samestat(os.fstat(handle), found):
                os.close(handle)
                raise UnsafeSource(f"{_shown(place)} was exchanged")
            return handle
        # The root is real: a link in its place has been put there since.
        if not place:
            return os.open(self.path, flags | os.O_NOFOLLOW)
        at = os.open(self.path, _PASS | os.O_NOFOLLOW)
        for part in place[:-1]:
            before = at
            try:
                at = os.open(part, _PASS | os.O_NOFOLLOW, dir_fd=before)
            finally:
                os.close(before)
        try:
            return os.open(place[-1], flags | os.O_NOFOLLOW, dir_fd=at)
        finally:
            os.close(at)

    @contextmanager
    def _handle(self, place: Parts) -> Iterator[int | None]:
        """Hold a folder open, where the system can; None where it goes by names."""
        if not _CAN_WALK:
            yield None
            return
        handle = self._opened(place, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            yield handle
        finally:
            os.close(handle)

    @contextmanager
    def _entries(self, place: Parts) -> Iterator[Iterator["os.DirEntry[str]"]]:
        with self._handle(place) as handle:
            found = os.scandir(handle if handle is not None else self.path.joinpath(*place))
            with found as entries:
                yield entries

    def _kind(self, place: Parts, entry: "os.DirEntry[str]") -> str | None:
        """Return ``"folder"`` or ``"picture"``, or None for what is not shown."""
        name = entry.name
        if name.startswith(".") or name == "__pycache__":
            return None
        _, dot, suffix = name.rpartition(".")
        is_named_picture = f"{dot}{suffix}".lower() in SUFFIXES
        try:
            if entry.is_symlink():
                mode = self.path.joinpath(*self._inside((*place, name))).stat().st_mode
                is_folder, is_file = stat.S_ISDIR(mode), stat.S_ISREG(mode)
            else:
                is_folder = entry.is_dir(follow_symlinks=False)
                is_file = is_named_picture and entry.is_file(follow_symlinks=False)
        except (OSError, ImageError):
            return None
        if is_folder:
            return "folder"
        return "picture" if is_file and is_named_picture else None


def arranged(
    listing: Listing,
    *,
    search: str = "",
    figures: "array[float] | None" = None,
) -> "array[int]":
    """Return the numbers of the entries to show, in order: folders, then pictures.

    Parameters
    ----------
    search
        Part of a name, in whichever case; empty for all.
    figures
        What to order pictures by, largest first, from `Root.figures`; None for names.

    Examples
    --------
    >>> list(arranged(Listing((), ("cats",), ("a2.jpg", "Cat10.png")), search="CAT"))
    [0, 2]
    """
    needle = _folded(search)
    first = len(listing.folders)
    names = (*listing.folders, *listing.pictures)
    numbers = [n for n, name in enumerate(names) if not needle or needle in _folded(name)]
    if figures is not None:
        numbers.sort(key=lambda n: (n >= first, -figures[n - first] if n >= first else n))
    return array("L", numbers)


def natural_key(name: str) -> tuple[str, str]:
    """Return what sorts names as people count: img2 before img10.

    Examples
    --------
    >>> sorted(["img10.png", "Img2.png", "img1.png"], key=natural_key)
    ['img1.png', 'Img2.png', 'img10.png']
    """
    return _DIGITS.sub(_counted, _folded(name)), name


def _counted(found: "re.Match[str]") -> str:
    digits = found[0].lstrip("0")
    return f"{len(digits):03}{digits}"  # the longer number is the larger


def _folded(name: str) -> str:
    # Some systems store é as two characters.
    return unicodedata.normalize("NFC", name).casefold()


def _shown(parts: Parts) -> str:
    return plain("/".join(parts))[:300]


@contextmanager
def _in_our_words(shown: str) -> Iterator[None]:
    failure: ImageError
    try:
        yield
    except PermissionError:
        failure = ImageNotFound(f"{shown} may not be read", cure="check its permissions")
    except (FileNotFoundError, NotADirectoryError):
        failure = ImageNotFound(f"{shown} is not there any more", cure="read the folder again")
    except IsADirectoryError:
        failure = UnsafeSource(f"{shown} is not a regular file")
    except (OSError, ValueError) as error:
        failure = ImageNotFound(f"{shown} cannot be opened: {type(error).__name__}")
    else:
        return
    raise failure
