"""Pictures that were chosen, opened in the background while the person goes on choosing."""

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from time import monotonic

from nbvision.errors import ImageError, LimitExceeded
from nbvision.images import SourceImage
from nbvision.widgets.engine import engine

__all__ = ["Opener", "Opening", "opened"]

_MOST_THREADS = 4
_MOST_BYTES = 2_000_000_000


class Opening:
    """A picture that is being opened, or was, or could not be.

    Parameters
    ----------
    key, name
        What the picker calls it, and what a person does.
    work
        Opens it, and says how many bytes it holds.

    Attributes
    ----------
    image, error
        One of them, once `is_done`.
    is_wanted
        Set to False by whoever lets it go.
    """

    def __init__(
        self, key: Hashable, name: str, work: Callable[[], tuple[SourceImage, int]]
    ) -> None:
        self.key, self.name = key, name
        self.image: SourceImage | None = None
        self.error: Exception | None = None
        self.is_wanted = True
        self.held_bytes = 0
        self._work: Callable[[], tuple[SourceImage, int]] | None = work
        self._done = threading.Event()

    @property
    def is_done(self) -> bool:
        """Whether it was opened, or failed."""
        return self._done.is_set()

    def run(self, room: Callable[[], int]) -> None:
        """Open the picture, unless nobody wants it; there may be no room for its bytes."""
        work, self._work = self._work, None  # it may hold the bytes of an upload
        try:
            if self.is_wanted and work is not None:
                image, held = work()
                if held > room():
                    raise LimitExceeded(  # noqa: TRY301 - told like all others
                        f"{self.name}: the pictures chosen would hold too much memory",
                        limit=f"{_MOST_BYTES / 1e9:.0f} GB",
                        cure="choose fewer at a time",
                    )
                self.image, self.held_bytes = image, held
        except Exception as error:  # noqa: BLE001 - whatever it is, its tile says so
            self.error = error
        finally:
            self._done.set()

    def wait(self, seconds: float) -> None:
        """Wait until it is done."""
        self._done.wait(seconds)


class Opener:
    """A few threads that open what was chosen, in order.

    While they work they take no lock that somebody who waits for the pictures could hold.

    Parameters
    ----------
    on_idle
        Called in such a thread when all is done that was asked for.
    most_bytes
        How much the pictures may hold together.

    Examples
    --------
    >>> from nbvision import open_image, samples
    >>> page = Opening("page", "page", lambda: (open_image(samples.page), 0))
    >>> Opener(lambda: None).open([page])
    >>> opened([page], seconds=5)[0].image.format
    'PNG'
    """

    def __init__(self, on_idle: Callable[[], None], *, most_bytes: int = _MOST_BYTES) -> None:
        self._on_idle, self._most_bytes = on_idle, most_bytes
        self._lock = threading.Lock()
        self._waiting: deque[Opening] = deque()
        self._known: weakref.WeakSet[Opening] = weakref.WeakSet()
        self._threads = 0

    def open(self, openings: Iterable[Opening]) -> None:
        """Open these, behind what waits already."""
        with self._lock:
            self._waiting.extend(openings)
            most = min(_MOST_THREADS, os.cpu_count() or 1)
            starting = max(0, min(len(self._waiting), most) - self._threads)
            self._threads += starting
        for _ in range(starting):
            engine().work(self._run)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads -= 1
                    is_last = self._threads == 0
                    break
                opening = self._waiting.popleft()
                self._known.add(opening)
            opening.run(self._room)
        if is_last:
            self._on_idle()

    def _room(self) -> int:
        with self._lock:
            held = sum(opening.held_bytes for opening in self._known if opening.is_wanted)
        return self._most_bytes - held


def opened(openings: Sequence[Opening], *, seconds: float) -> list[Opening]:
    """Return those that could be opened, waiting for those under way.

    Raises
    ------
    ImageError
        If they are not done after so many seconds: half a list would look like a whole one.

    Examples
    --------
    >>> opened([], seconds=1)
    []
    """
    ends = monotonic() + seconds
    for opening in openings:
        opening.wait(max(0.0, ends - monotonic()))
    late = sum(not opening.is_done for opening in openings)
    if late:
        raise ImageError(
            f"{late} pictures are still being opened",
            limit=f"{seconds:g} seconds",
            cure="read them again in a while",
        )
    return [opening for opening in openings if opening.image is not None]
