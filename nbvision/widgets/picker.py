"""Choose pictures from a folder, an upload, the clipboard or an address."""

import os
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from nbvision.errors import ImageNotFound
from nbvision.images import SourceImage, open_image
from nbvision.inspection import check, fit
from nbvision.markup import plain
from nbvision.widgets.browsing import Browsing
from nbvision.widgets.choosing import MOST_CHOSEN, Choosing, still_of
from nbvision.widgets.chosen import Opening, opened
from nbvision.widgets.folder import ORDERS, Parts, Root
from nbvision.widgets.messages import Message
from nbvision.widgets.panel import Panel, Still, front_end, weakly
from nbvision.widgets.thumbnail_post import ThumbnailPost
from nbvision.widgets.thumbnails import Thumbnail, failed, thumbnail_of

__all__ = ["ImagePicker"]

_MOST_ASKED = 400  # tiles on a large screen, and the next
_MOST_FIRST = 60
_MOST_NAMED = 3
_MOST_PLACES = 1_000_000
_SECONDS_TO_OPEN = 60.0
_LARGE_FILE = 20_000_000
_LARGE_PIXELS = 30_000_000


class ImagePicker(Choosing):
    """Choose pictures by eye: from a folder, by upload, drop, paste or address.

    Nothing outside ``root`` can be seen or opened, links included, and the browser never
    learns where it lies.

    Parameters
    ----------
    root
        The folder to look into.
    multiple
        Whether several pictures may be selected; up to 600.
    max_bytes
        The most that an uploaded file may have.
    model
        Whose limits the remarks on the pictures follow; by default the model in use.

    Attributes
    ----------
    images
        The selected pictures, in the order of selection: a trait to observe, link or set.
        Reading it waits for those that are being opened.

    Raises
    ------
    ImageNotFound
        If there is no such folder.
    RequestError
        If the root is no path.

    Examples
    --------
    >>> picker = ImagePicker(".")
    >>> page = picker.add("https://example.com/page.png")  # doctest: +SKIP
    >>> picker.images, picker.selection
    ([], ())
    """

    _esm, _css = front_end("picker", "pickerView", "uploading")

    def __init__(
        self,
        root: str | os.PathLike[str] = ".",
        *,
        multiple: bool = True,
        max_bytes: int = 100_000_000,
        model: str | None = None,
        inside: tuple[Panel, str] | None = None,
    ) -> None:
        fit((1, 1), model=model)  # a model that cannot be is refused here
        self._root, self._model = Root(root), model
        self._numbers: dict[Hashable, int] = {}  # of chosen files, in the listing shown
        self._looked = 0, _MOST_FIRST  # places whose names were asked for
        super().__init__(multiple=multiple, max_bytes=max_bytes, inside=inside)
        self._thumbnails = ThumbnailPost(
            weakly(self._make_thumbnail),
            self._lock,
            soon=weakly(self._soon),
            send=weakly(self._send_thumbnails),
        )
        self._browsing = Browsing(
            self._root,
            self._lock,
            run=weakly(self._in_background),
            on_change=weakly(self._show_folder),
            on_progress=weakly(self._show_progress),
        )
        self._browsing.read(())

    # -- from Python -------------------------------------------------------------------------

    @property
    def root(self) -> str:
        """The folder that can be looked into, absolute."""
        return str(self._root.path)

    @property
    def model(self) -> str | None:
        """The model whose findings stand on the thumbnails; None is the one in use."""
        return self._model

    @model.setter
    def model(self, model: str | None) -> None:
        fit((1, 1), model=model)  # a model that cannot be is refused here
        with self._lock:
            if model != self._model:
                self._model = model
                self._thumbnails.forget()
                self.refresh()

    def select(self, *names: str | os.PathLike[str]) -> None:
        """Select pictures by their names, beside those that are selected, and open them.

        Parameters
        ----------
        names
            Relative to `root`, such as ``"sub/b.png"``.

        Raises
        ------
        ImageNotFound, UnsafeSource
            If one is not there, or lies outside; then none is selected.
        ImageError
            If one is no picture; it is left out, and the others stay.
        LimitExceeded
            If there would be too many.
        """
        files = [self._root.parts_of(name) for name in names]
        for parts in files:
            self._root.open(parts).close()
        with self._lock:
            self._choose_keys([*(self._chosen if self._multiple else ()), *files])
            openings = [self._chosen[parts] for parts in files]
        opened(openings, seconds=_SECONDS_TO_OPEN)
        for error in filter(None, (opening.error for opening in openings)):
            raise error

    def refresh(self) -> None:
        """Read the folder again."""
        with self._lock:
            self._thumbnails.forget()
            self._browsing.read(self._browsing.listing.parts)

    def _opening(self, key: Hashable) -> Opening:
        """Return what is chosen or added under this key, or a new opening of a file."""
        found = self._chosen.get(key) or self._added.get(key)
        parts = key if isinstance(key, tuple) else ()
        return found or Opening(key, plain("/".join(parts)), lambda: self._open_file(parts))

    def _open_file(self, parts: Parts) -> tuple[SourceImage, int]:
        data = self._root.read(parts)
        return replace(open_image(data), source=plain("/".join(parts))), len(data)

    # -- what is shown -----------------------------------------------------------------------

    def _show_progress(self, count: int) -> None:
        self._post("reading", count=count)

    def _show_folder(self) -> None:
        """Draw another folder, search or order; called under the lock."""
        self._numbers.clear()
        self._thumbnails.renumber()
        self._post_state()
        # The names come along, so that nothing is blank in between.
        first, count = self._looked
        self._post_tiles(first if first < self._count() else 0, count)

    def _state(self) -> tuple[dict[str, Any], list[bytes]]:
        place = self._browsing
        listing = place.listing
        first = place.shown[: len(listing.folders)]
        folders = sum(listing.is_folder(number) for number in first)
        start = place.start if place.start in first else None
        return {
            "root": self._root.name,
            "crumbs": [plain(part) for part in listing.parts],
            "listing": place.number,
            "view": place.view,
            "added": len(self._added),
            "folders": folders,
            "pictures": len(place.shown) - folders,
            "of": len(listing.pictures),
            "is_cut": listing.is_cut,
            "search": place.search,
            "order": place.order,
            "reading": place.read_count,
            "trouble": place.trouble,
            "start": None if start is None else len(self._added) + first.index(start),
            "multiple": self._multiple,
            "max_bytes": self._uploads.max_bytes,
            **self._selection_state(),
        }, []

    def _selection_state(self) -> dict[str, Any]:
        openings = list(self._chosen.values())
        self._find_numbers()
        numbers = [key if isinstance(key, int) else self._numbers.get(key) for key in self._chosen]
        return {
            "chosen": [number for number in numbers if number is not None],
            "selected": len(openings),
            "names": [opening.name for opening in openings[:_MOST_NAMED]],
            "opening": sum(not opening.is_done for opening in openings),
            "most": self._most,
        }

    def _find_numbers(self) -> None:
        """Know the numbers of all chosen files that lie in the folder shown."""
        listing = self._browsing.listing
        lacking = [
            key[-1]
            for key in self._chosen
            if isinstance(key, tuple) and key[:-1] == listing.parts and key not in self._numbers
        ]
        for number in listing.numbers_of(lacking):
            self._numbers[*listing.parts, listing.name(number)] = number

    def _shelf_changed(self) -> None:
        self._browsing.changed()

    def _show_broken(self, opening: Opening, error: Exception) -> None:
        if isinstance(opening.key, int):
            self._thumbnails.drop(opening.key)
            return
        number = self._numbers.get(opening.key)
        self._thumbnails.show(opening.key, number, failed(error))

    # -- what a person looks at --------------------------------------------------------------

    def _number_at(self, position: int) -> int:
        """Return what stands at a place: a number of the folder's, or a serial below zero."""
        added = [key for key in self._added if isinstance(key, int)]
        if position < len(added):
            return added[position]
        return self._browsing.shown[position - len(added)]

    def _tile(self, position: int) -> list[Any]:
        number = self._number_at(position)
        if number < 0:
            return [number, "added", self._added[number].name]
        listing = self._browsing.listing
        kind = "folder" if listing.is_folder(number) else "picture"
        return [number, kind, plain(listing.name(number))]

    def _is_current(self, message: Message) -> bool:
        """Whether a message is about what is shown; if not, what is shown is on its way."""
        return message.whole("view", most=_MOST_PLACES) == self._browsing.view

    def _count(self) -> int:
        return len(self._added) + len(self._browsing.shown)

    def _on_look(self, message: Message) -> None:
        first = message.whole("first", most=_MOST_PLACES)
        count = message.whole("count", least=1, most=_MOST_ASKED)
        if self._is_current(message):
            self._looked = first, count
            self._post_tiles(first, count)

    def _post_tiles(self, first: int, count: int) -> None:
        places = range(first, min(first + count, self._count()))
        tiles = [self._tile(position) for position in places]
        if tiles:
            self._post("tiles", view=self._browsing.view, first=first, tiles=tiles)

    def _on_thumbs(self, message: Message) -> None:
        viewer = message.text("viewer", longest=64)
        count = message.whole("count", most=_MOST_ASKED)
        numbers = message.numbers("numbers", count, least=-_MOST_PLACES, most=_MOST_PLACES)
        if message.whole("listing", most=_MOST_PLACES) != self._browsing.number:
            return
        keys: dict[Hashable, int] = {}
        for number in map(int, numbers):
            key = self._key(number)
            if key is not None:
                keys[key] = number
        self._thumbnails.ask(viewer, keys)

    def _send_thumbnails(self, items: list[dict[str, object]], pictures: list[bytes]) -> None:
        self._post("thumbs", pictures, listing=self._browsing.number, items=items)

    def _key(self, number: int) -> Parts | int | None:
        """Return what a picture is called in here; None for a folder and what is not there."""
        if number < 0:
            return number if number in self._added else None
        listing = self._browsing.listing
        if number >= len(listing) or listing.is_folder(number):
            return None
        return (*listing.parts, listing.name(number))

    def _make_thumbnail(self, key: Hashable, may_be_large: bool) -> Thumbnail | None:  # noqa: FBT001 - the maker's shape
        opening = self._chosen.get(key)
        if isinstance(key, int):
            opening = self._added.get(key)
            if opening is not None and not may_be_large and not opening.is_done:
                return None  # it waits its turn behind the others
            if opening is not None:
                opening.wait(_SECONDS_TO_OPEN)
        if opening is not None and opening.image is not None:
            image = opening.image
        elif isinstance(key, tuple):
            if not may_be_large and self._root.count_bytes(key) > _LARGE_FILE:
                return None
            image = self._open_file(key)[0]
        else:
            raise ImageNotFound("it was removed")
        # A JPEG is decoded at a reduced size.
        if image.format != "JPEG" and image.size.pixels > _LARGE_PIXELS and not may_be_large:
            return None
        return thumbnail_of(image, check([image], model=self._model))

    # -- what a person does ------------------------------------------------------------------

    def _on_enter(self, message: Message) -> None:
        position = message.whole("position", most=_MOST_PLACES)
        if not self._is_current(message) or position >= self._count():
            return
        number, listing = self._number_at(position), self._browsing.listing
        if 0 <= number < len(listing.folders):
            self._browsing.read((*listing.parts, listing.name(number)))

    def _on_up(self, message: Message) -> None:
        parts = self._browsing.listing.parts
        level = message.whole("level", most=len(parts))
        left = parts[level] if level < len(parts) else None
        self._browsing.read(parts[:level], coming_from=left)

    def _on_search(self, message: Message) -> None:
        self._browsing.rearrange(search=message.text("text", longest=300))

    def _on_order(self, message: Message) -> None:
        by = message.one_of("by", ORDERS)
        self._browsing.rearrange(order=next(order for order in ORDERS if order == by))

    def _on_refresh(self, _: Message) -> None:
        self.refresh()

    def _on_clear(self, _: Message) -> None:
        self._choose([])

    def _on_choose(self, message: Message) -> None:
        how = message.one_of("how", ("only", "toggle", "range"))
        position = message.whole("position", most=_MOST_PLACES)
        anchor = message.whole("anchor", most=_MOST_PLACES)
        if not self._is_current(message) or max(position, anchor) >= self._count():
            return
        clicked = self._keys([position])
        if how == "range" and self._multiple:
            step = 1 if anchor <= position else -1
            self._choose_keys(self._keys(range(anchor, position + step, step)))
        elif how == "toggle" and set(clicked) & set(self._chosen):
            self._choose([o for o in self._chosen.values() if o.key not in clicked])
        elif how == "toggle" and self._multiple:
            self._choose_keys([*self._chosen, *clicked])
        else:
            self._choose_keys(clicked)

    def _on_choose_all(self, message: Message) -> None:
        if self._is_current(message) and self._multiple:
            self._choose_keys([*self._chosen, *self._keys(range(self._count()))])

    def _keys(self, positions: Iterable[int]) -> list[Hashable]:
        """Return the pictures at these places of the grid, as far as they are pictures."""
        keys = (self._key(self._number_at(position)) for position in positions)
        return [key for key in keys if key is not None]

    def _choose_keys(self, keys: Sequence[Hashable]) -> None:
        """Select exactly these; no more openings are made than may be chosen."""
        count = len(set(keys))
        within = list(dict.fromkeys(keys))[:MOST_CHOSEN]
        self._choose([self._opening(key) for key in within])
        self._check_count(count)

    # -- the end -----------------------------------------------------------------------------

    def _in_words(self) -> str:
        names = [opening.name for opening in self._chosen.values()]
        chosen = f": {', '.join(names[:_MOST_NAMED])}" if names else ""
        return (
            f"{len(names)} picture{'' if len(names) == 1 else 's'} selected{chosen}. "
            f'Where there are no widgets: nv.open_image("path/to/picture.jpg").'
        )

    def __repr__(self) -> str:
        return f"ImagePicker({self._root.name!r}, {len(self._chosen)} selected)"

    def _still(self) -> Still:
        return still_of(self._now_chosen())

    def _free(self) -> None:
        self._uploads.clear()
        self._fetching.clear()
        self._thumbnails.forget()
        self._browsing.leave()
        self._added.clear()
