"""Thumbnails made in the background: for what is looked at now, and not for what was passed."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from nbvision.findings import Findings
from nbvision.geometry import Size
from nbvision.images import SourceImage
from nbvision.widgets.engine import engine
from nbvision.widgets.messages import error_words

__all__ = ["LONG_EDGE", "Thumbnail", "Thumbnails", "failed", "thumbnail_of"]

LONG_EDGE = 160  # pixels
_WORDS = {"rotated": "turned", "tiny": "tiny", "resized": "shrunk", "animated": "first frame"}
_MOST_BYTES = 4_000_000
_MOST_THREADS = 4
_MOST_VIEWERS = 8


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture and a few words, or why there is none.

    Attributes
    ----------
    data
        A JPEG of at most 160 px; empty where it failed.
    size
        Of the upright original, in pixels.
    words
        What is worth knowing: a word, and a sentence for it.
    error
        Value, limit and cure; empty where it worked.
    """

    data: bytes = field(default=b"", repr=False)
    size: Size | None = None
    words: tuple[tuple[str, str], ...] = ()
    error: dict[str, str] = field(default_factory=dict)


def thumbnail_of(image: SourceImage, findings: Findings) -> Thumbnail:
    """Return the thumbnail of a picture, with what was found worth knowing.

    Raises
    ------
    DamagedImage
        If it does not decode after all.

    Examples
    --------
    >>> from nbvision import check, open_image, samples
    >>> page = open_image(samples.page)
    >>> thumbnail_of(page, check(page, model="claude-haiku-4-5")).words[0][0]
    'shrunk'
    """
    words: dict[str, str] = {}
    for finding in findings:
        if finding.code in _WORDS:
            limit = f" (limit: {finding.limit})" if finding.limit else ""
            words.setdefault(_WORDS[finding.code], f"{finding.value}{limit}")
    return Thumbnail(image.thumbnail(LONG_EDGE), image.size, tuple(words.items()))


def failed(error: BaseException) -> Thumbnail:
    """Return what stands where a thumbnail could not be made."""
    return Thumbnail(error=error_words(error))


class Thumbnails:
    """A few threads that make what is wanted, newest wish first, and a small memory of it.

    Parameters
    ----------
    make
        Makes the thumbnail of a key. It is first told that the picture must not be a large
        one, and returns None if it is; large ones are made one at a time, after all others.
    on_made
        Told of each, in the thread that made it.
    most_bytes
        How much is remembered.

    Examples
    --------
    >>> found = threading.Event()
    >>> thumbnails = Thumbnails(lambda key, large: Thumbnail(key), lambda key, made: found.set())
    >>> thumbnails.want("view", [b"cat"])
    {}
    >>> found.wait(5), thumbnails.want("view", [b"cat"])[b"cat"].size
    (True, None)
    """

    def __init__(
        self,
        make: Callable[[Hashable, bool], Thumbnail | None],
        on_made: Callable[[Hashable, Thumbnail], None],
        *,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self._make, self._on_made, self._most_bytes = make, on_made, most_bytes
        self._lock = threading.Lock()
        self._made: OrderedDict[Hashable, Thumbnail] = OrderedDict()
        self._bytes = 0
        self._wanted: OrderedDict[str, list[Hashable]] = OrderedDict()
        self._running: dict[Hashable, bool] = {}
        self._large: set[Hashable] = set()
        self._threads = 0
        self._most_threads = min(_MOST_THREADS, os.cpu_count() or 1)
        self._age = 0

    def want(self, viewer: str, keys: Sequence[Hashable]) -> dict[Hashable, Thumbnail]:
        """Say what one viewer looks at, most urgent first; what it wanted before is dropped.

        Returns
        -------
        dict
            Those that are there already; of the others ``on_made`` will be told.
        """
        with self._lock:
            known = {key: self._made[key] for key in keys if key in self._made}
            for key in known:
                self._made.move_to_end(key)
            self._wanted[viewer] = [key for key in keys if key not in known]
            self._wanted.move_to_end(viewer)
            while len(self._wanted) > _MOST_VIEWERS:
                self._wanted.popitem(last=False)
            starting = min(len(self._wanted[viewer]), self._most_threads) - self._threads
            self._threads += max(0, starting)
        for _ in range(starting):
            engine().work(self._run)
        return known

    def keep(self, key: Hashable, thumbnail: Thumbnail) -> None:
        """Remember a thumbnail that was made elsewhere."""
        with self._lock:
            self._remember(key, thumbnail)

    def drop(self, key: Hashable) -> None:
        """Forget one."""
        with self._lock:
            gone = self._made.pop(key, None)
            self._bytes -= len(gone.data) if gone else 0

    def forget(self) -> None:
        """Drop what is remembered and wanted; what is being made is not remembered."""
        with self._lock:
            self._age += 1
            self._made.clear()
            self._wanted.clear()
            self._large.clear()
            self._bytes = 0

    @property
    def held_bytes(self) -> int:
        """How much is remembered."""
        return self._bytes

    def _run(self) -> None:
        while (job := self._next()) is not None:
            key, may_be_large, age = job
            try:
                thumbnail = self._make(key, may_be_large)
            except BaseException as error:  # noqa: BLE001 - whatever it is, its tile says so
                thumbnail = failed(error)
            with self._lock:
                self._running.pop(key, None)
                if age != self._age:
                    continue
                if thumbnail is None:
                    self._large.add(key)
                    continue
                self._large.discard(key)
                self._remember(key, thumbnail)
                for keys in self._wanted.values():
                    if key in keys:
                        keys.remove(key)
            self._on_made(key, thumbnail)

    def _next(self) -> tuple[Hashable, bool, int] | None:
        """Take the most urgent wish, or leave."""
        with self._lock:
            later: Hashable | None = None
            for keys in reversed(self._wanted.values()):
                for key in keys:
                    if key in self._running:
                        continue
                    if key not in self._large:
                        self._running[key] = False
                        return key, False, self._age
                    later = key if later is None else later
            if later is not None and not any(self._running.values()):
                self._running[later] = True
                return later, True, self._age
            self._threads -= 1
            return None

    def _remember(self, key: Hashable, thumbnail: Thumbnail) -> None:
        old = self._made.pop(key, None)
        self._made[key] = thumbnail
        self._bytes += len(thumbnail.data) - (len(old.data) if old else 0)
        while self._bytes > self._most_bytes or len(self._made) > self._most_bytes // 500:
            _, gone = self._made.popitem(last=False)
            self._bytes -= len(gone.data)
