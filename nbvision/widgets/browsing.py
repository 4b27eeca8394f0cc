"""Where a person is among the folders: what was read, what is searched, in which order."""

import threading
from array import array
from collections.abc import Callable

from nbvision.widgets.folder import Listing, Order, Parts, Root, arranged
from nbvision.widgets.messages import error_words

__all__ = ["Browsing"]


class Browsing:
    """One folder after another, read in the background; a newer wish ends an older one.

    Parameters
    ----------
    root
        What a person may look into.
    lock
        Guards every attribute here; held while ``on_change`` is called.
    run
        Runs what reads disks in a thread of its own.
    on_change
        Called when another folder, search or order is there to be shown.
    on_progress
        Told how many entries were read so far.

    Attributes
    ----------
    listing, number
        What the folder held, and a number that changes with every reading.
    shown, view
        The numbers of the entries to show, in order, and a number that changes with them.
    search, order
        By which they were chosen.
    read_count
        How many entries were read so far; None when reading has ended.
    trouble
        Why the folder cannot be read: value, limit and cure; empty if it can.
    start
        Which entry a person comes from, if it is shown here.
    """

    def __init__(
        self,
        root: Root,
        lock: threading.RLock,
        *,
        run: Callable[[Callable[[], object]], None],
        on_change: Callable[[], None],
        on_progress: Callable[[int], None],
    ) -> None:
        self.root, self._lock = root, lock
        self._run, self._on_change, self._on_progress = run, on_change, on_progress
        self.listing, self.number = Listing(()), 0
        self.shown, self.view = array("L"), 0
        self.search = ""
        self.order: Order = "name"
        self.read_count: int | None = None
        self.trouble: dict[str, str] = {}
        self.start: int | None = None
        self._figures: dict[Order, array[float]] = {}
        self._wish = 0

    def read(self, parts: Parts, *, coming_from: str | None = None) -> None:
        """Read a folder and show it; the search ends."""
        with self._lock:
            self._wish += 1
            wish = self._wish
            self.read_count = 0
            if parts != self.listing.parts:
                self.search = ""
        self._run(lambda: self._read(wish, parts, coming_from))

    def rearrange(self, *, search: str | None = None, order: Order | None = None) -> None:
        """Show the same folder by another search or order."""
        with self._lock:
            self.search = self.search if search is None else search
            self.order = self.order if order is None else order
            if self.read_count is not None:
                return  # what is being read will be shown by these
            self._wish += 1
            wish = self._wish
        self._run(lambda: self._show(wish, self.listing, is_new=False))

    def changed(self) -> None:
        """Say that what stands in front of the folder has changed, and with it all places."""
        with self._lock:
            self.view += 1
            self._on_change()

    def leave(self) -> None:
        """End what is being read, and let go of it."""
        self._wish += 1
        self.listing, self.shown, self._figures = Listing(self.listing.parts), array("L"), {}

    def _is_wanted(self, wish: int) -> bool:
        return wish == self._wish

    def _read(self, wish: int, parts: Parts, coming_from: str | None) -> None:
        def tell(count: int) -> None:
            with self._lock:
                if self._is_wanted(wish):
                    self.read_count = count
                    self._on_progress(count)

        try:
            listing = self.root.scan(parts, tell, lambda: self._is_wanted(wish))
        except Exception as error:  # noqa: BLE001 - whatever it is stands where the pictures would
            self._fail(wish, parts, error)
            return
        if listing is not None:
            self._show(wish, listing, is_new=True, coming_from=coming_from)

    def _fail(self, wish: int, parts: Parts, error: Exception) -> None:
        with self._lock:
            if self._is_wanted(wish):
                self.trouble = error_words(error)
                self._put(Listing(parts), array("L"), is_new=True)

    def _show(
        self, wish: int, listing: Listing, *, is_new: bool, coming_from: str | None = None
    ) -> None:
        while True:
            with self._lock:
                if not self._is_wanted(wish):
                    return
                search, order = self.search, self.order
                figures = None if is_new else self._figures.get(order)
            if order != "name" and figures is None:
                figures = self.root.figures(listing, order)
            shown = arranged(listing, search=search, figures=figures)
            with self._lock:
                if not self._is_wanted(wish):
                    return
                if (search, order) != (self.search, self.order):
                    continue
                self.trouble = {}
                self._put(listing, shown, is_new=is_new, coming_from=coming_from)
                if figures is not None:
                    self._figures[order] = figures
                return

    def _put(
        self,
        listing: Listing,
        shown: "array[int]",
        *,
        is_new: bool,
        coming_from: str | None = None,
    ) -> None:
        self.start = None
        if is_new:
            self.listing, self._figures = listing, {}
            self.number += 1
            if coming_from in listing.folders:
                self.start = listing.folders.index(coming_from)
        self.shown, self.read_count = shown, None
        self.view += 1
        self._on_change()
