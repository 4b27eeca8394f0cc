"""Thumbnails on their way to a browser: several in a message, few messages a second."""

import threading
from collections.abc import Callable, Hashable, Mapping
from time import monotonic

from nbvision.widgets.thumbnails import Thumbnail, Thumbnails

__all__ = ["ThumbnailPost"]

_SECONDS_BETWEEN = 0.05
_SECONDS_TO_GATHER = 0.01
_MOST_AWAITED = 2000


class ThumbnailPost:
    """Sends the thumbnails of what is looked at, by the numbers under which it was asked for.

    Parameters
    ----------
    make
        Makes a thumbnail, as for `Thumbnails`.
    lock
        Guards everything here.
    soon
        Runs something under the lock after so many seconds.
    send
        Sends a batch: the items, and the pictures of those that have one.
    """

    def __init__(
        self,
        make: Callable[[Hashable, bool], Thumbnail | None],
        lock: threading.RLock,
        *,
        soon: Callable[[float, Callable[[], object]], None],
        send: Callable[[list[dict[str, object]], list[bytes]], None],
    ) -> None:
        self._thumbnails = Thumbnails(make, self._take)
        self._lock, self._soon, self._send_batch = lock, soon, send
        self._awaited: dict[Hashable, int] = {}
        self._ready: dict[int, Thumbnail] = {}
        self._is_due = False
        self._sent_at = 0.0

    @property
    def held_bytes(self) -> int:
        """How much is remembered."""
        return self._thumbnails.held_bytes

    @property
    def awaited(self) -> int:
        """How many are asked for and not made yet."""
        return len(self._awaited)

    def ask(self, viewer: str, numbers: Mapping[Hashable, int]) -> None:
        """Send these to the browser, most urgent first; what a viewer asked before is dropped."""
        for key in numbers:
            self._awaited.pop(key, None)
        self._awaited.update(numbers)
        while len(self._awaited) > _MOST_AWAITED:
            del self._awaited[next(iter(self._awaited))]
        for key, thumbnail in self._thumbnails.want(viewer, list(numbers)).items():
            self._take(key, thumbnail)

    def show(self, key: Hashable, number: int | None, thumbnail: Thumbnail) -> None:
        """Replace a thumbnail, and send it if the browser has a number for it."""
        self._thumbnails.keep(key, thumbnail)
        if number is not None:
            self._awaited[key] = number
            self._take(key, thumbnail)

    def drop(self, key: Hashable) -> None:
        """Forget one."""
        self._thumbnails.drop(key)

    def renumber(self) -> None:
        """Send nothing any more by the numbers of before."""
        self._awaited.clear()
        self._ready.clear()

    def forget(self) -> None:
        """Forget all that was made and asked for."""
        self.renumber()
        self._thumbnails.forget()

    def _take(self, key: Hashable, thumbnail: Thumbnail) -> None:
        with self._lock:
            number = self._awaited.pop(key, None)
            if number is None:
                return
            self._ready[number] = thumbnail
            if not self._is_due:
                self._is_due = True
                wait = self._sent_at + _SECONDS_BETWEEN - monotonic()
                self._soon(max(_SECONDS_TO_GATHER, wait), self._send)

    def _send(self) -> None:
        self._is_due = False
        self._sent_at = monotonic()
        ready, self._ready = self._ready, {}
        items: list[dict[str, object]] = [
            {
                "number": number,
                "has_picture": bool(thumbnail.data),
                "size": str(thumbnail.size or ""),
                "words": thumbnail.words,
                "error": thumbnail.error,
            }
            for number, thumbnail in ready.items()
        ]
        if items:
            self._send_batch(items, [made.data for made in ready.values() if made.data])
