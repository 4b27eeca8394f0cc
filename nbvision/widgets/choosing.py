"""Pictures chosen and added: opened in the background, told to whoever observes."""

import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from traitlets import List

from nbvision.errors import ImageError, LimitExceeded, NbvisionError, RequestError, UnsafeSource
from nbvision.images import SourceImage, open_image
from nbvision.markup import bundle, image_tag, one_line, plain, table
from nbvision.widgets.chosen import Opener, Opening, opened
from nbvision.widgets.messages import Message
from nbvision.widgets.panel import Panel, Still, weakly
from nbvision.widgets.thumbnails import LONG_EDGE
from nbvision.widgets.uploads import TakesUploads, Uploads

__all__ = ["MOST_CHOSEN", "Choosing", "about_bytes", "giver", "still_of"]

MOST_CHOSEN = 600
_MOST_FETCHES = 4
_MOST_STILL = 24
_SECONDS_TO_OPEN = 60.0
_SECONDS_TO_TELL = 2.0


class _Images(List):  # type: ignore[type-arg]
    """The pictures chosen, as they are now: a list that is never behind the selection."""

    def get(self, obj: Any, cls: Any = None) -> Any:  # noqa: ARG002 - traitlets' own shape
        images = [opening.image for opening in obj._now_chosen()]
        obj._wait_until_told()
        return images

    def set(self, obj: Any, value: Any) -> None:
        obj._choose_these(value)

    def publish(self, obj: Any, value: list[SourceImage]) -> None:
        """Tell those who observe."""
        super().set(obj, value)


class Choosing(TakesUploads, Panel):
    """What a panel needs to hold a selection of pictures, and pictures of its own.

    A subclass gives `_selection_state`, `_shelf_changed` and `_show_broken`.

    Parameters
    ----------
    multiple
        Whether several may be selected.
    max_bytes
        The most that an uploaded file may have.
    """

    images = _Images()

    def __init__(
        self, *, multiple: bool, max_bytes: int, inside: "tuple[Panel, str] | None" = None
    ) -> None:
        self._multiple = multiple
        self._uploads = Uploads(max_bytes)
        self._opener = Opener(weakly(self._settle))
        self._chosen: dict[Hashable, Opening] = {}
        self._added: dict[Hashable, Opening] = {}  # by serial numbers below zero
        self._uploaded: dict[str, Opening] = {}
        self._fetching: set[str] = set()
        self._serial = 0
        self._is_publishing = self._must_publish = False
        self._publisher = 0
        self._told = threading.Event()
        self._told.set()
        super().__init__(inside=inside)

    def _selection_state(self) -> dict[str, Any]:
        """Return what a browser shows of the selection."""
        raise NotImplementedError

    def _shelf_changed(self) -> None:
        """Draw the added pictures anew; called under the lock."""
        raise NotImplementedError

    def _show_broken(self, opening: Opening, error: Exception) -> None:
        """Say on a picture's tile why it could not be opened; called under the lock."""
        raise NotImplementedError

    @property
    def selection(self) -> tuple[str, ...]:
        """The names of the selected pictures, in the order of `images`."""
        return tuple(opening.name for opening in self._now_chosen())

    def add(self, source: object) -> SourceImage:
        """Add a picture in front of the folder's, and select it; return it opened.

        Parameters
        ----------
        source
            Anything `nbvision.open_image` takes.

        Raises
        ------
        ImageError
            If it cannot be opened.
        """
        image = open_image(source)
        with self._lock:
            self._add(image.source, giver(image))
        return image

    def clear(self) -> None:
        """Select nothing; what was added stays in sight."""
        with self._lock:
            self._choose([])

    # -- the pictures chosen -----------------------------------------------------------------

    def _now_chosen(self) -> list[Opening]:
        """Return what is chosen and open, waiting for what is under way; in any thread."""
        with self._lock:
            openings = list(self._chosen.values())
        return opened(openings, seconds=_SECONDS_TO_OPEN)

    def _choose_these(self, sources: Iterable[object]) -> None:
        """Select exactly these pictures, as when the trait is set or linked."""
        images = [open_image(source) for source in sources]
        with self._lock:
            if [id(o.image) for o in self._chosen.values()] == [id(image) for image in images]:
                return
            known = {id(o.image): o for o in (*self._chosen.values(), *self._added.values())}
            self._check_count(len(images), "give fewer")
            openings = []
            for image in images:
                found = known.get(id(image))
                openings.append(found or self._new(image.source, giver(image)))
            self._choose(openings)
            self._shelf_changed()

    def _choose(self, openings: Sequence[Opening]) -> None:
        """Select exactly these, up to the limit; those that are new get opened."""
        kept = {opening.key: opening for opening in openings}
        chosen = dict(list(kept.items())[: self._most])
        for key, old in self._chosen.items():
            if key not in chosen and key not in self._added:
                old.is_wanted = False
        fresh = [opening for key, opening in chosen.items() if key not in self._chosen]
        for opening in fresh:
            opening.is_wanted = True
        self._chosen = chosen
        self._opener.open(opening for opening in fresh if opening.key not in self._added)
        self._changed()
        self._check_count(len(kept))

    @property
    def _most(self) -> int:
        return MOST_CHOSEN if self._multiple else 1

    def _check_count(self, count: int, cure: str = "the first of them are selected") -> None:
        if count > self._most:
            why = ", as many as a request may have" if self._multiple else ": multiple=False"
            limit = f"{self._most} selected at a time{why}"
            raise LimitExceeded(f"{count:,} pictures", limit=limit, cure=cure)

    def _changed(self) -> None:
        self._must_publish = True
        self._told.clear()
        self._post("selection", **self._selection_state())
        self._in_background(self._publish)

    def _wait_until_told(self) -> None:
        """Let observers hear of a change before whoever reads goes on with what they do.

        Not in an observer, nor under the lock, which an observer may need.
        """
        if threading.get_ident() != self._publisher and not _is_mine(self._lock):
            self._told.wait(_SECONDS_TO_TELL)

    def _publish(self) -> None:
        """Tell observers of the latest list, in one thread at a time and without the lock."""
        with self._lock:
            if self._is_publishing:
                return
            self._is_publishing = True
            self._publisher = threading.get_ident()
        while True:
            with self._lock:
                self._must_publish = False
            try:
                images = [o.image for o in self._now_chosen() if o.image is not None]
                with self._lock:
                    is_latest = not self._must_publish
                if is_latest:
                    type(self).images.publish(self, images)
            except Exception as error:  # noqa: BLE001 - an observer's error belongs into the widget
                self._show_error(error)
            with self._lock:
                if not self._must_publish:
                    self._is_publishing = False
                    self._publisher = 0
                    self._told.set()
                    return

    def _settle(self) -> None:
        """Take back what could not be opened, and say so where it stands."""
        with self._lock:
            ended = [(upload, o) for upload, o in self._uploaded.items() if o.is_done]
            for upload, opening in ended:
                del self._uploaded[upload]
                self._end_upload(upload, opening.error)
            known = {id(o): o for o in (*self._chosen.values(), *self._added.values())}
            broken = [opening for opening in known.values() if opening.error is not None]
            for opening in broken:
                self._chosen.pop(opening.key, None)
                self._added.pop(opening.key, None)
                if opening.error is not None:
                    self._show_broken(opening, opening.error)
            told = [o for o in broken if not any(o is other for _, other in ended)]
            if told:
                self._tell_broken(told)
            if any(isinstance(opening.key, int) for opening in broken):
                self._shelf_changed()
            self._post("selection", **self._selection_state())

    def _tell_broken(self, openings: Sequence[Opening]) -> None:
        first = openings[0]
        reason = first.error if isinstance(first.error, NbvisionError) else None
        words = reason.value if reason else type(first.error).__name__
        value = words if first.name in words else f"{first.name}: {words}"
        more = f", and {len(openings) - 1} more" if len(openings) > 1 else ""
        limit = reason.limit if reason else ""
        told = f"; {reason.cure}" if reason and reason.cure else ""
        cure = f"it is not selected{told}" if len(openings) == 1 else "they are not selected"
        self._show_error(ImageError(f"{value}{more}", limit=limit, cure=cure))

    # -- pictures added ----------------------------------------------------------------------

    def _new(self, name: str, work: Callable[[], tuple[SourceImage, int]]) -> Opening:
        if len(self._added) >= MOST_CHOSEN:
            raise LimitExceeded(
                f"{len(self._added)} pictures were added",
                limit=f"{MOST_CHOSEN}",
                cure="remove some, or put them into the folder",
            )
        self._serial -= 1
        opening = Opening(self._serial, name, work)
        self._added[self._serial] = opening
        self._opener.open([opening])
        return opening

    def _add(self, name: str, work: Callable[[], tuple[SourceImage, int]]) -> Opening:
        """Put a picture in front of the folder's, and select it."""
        before = list(self._chosen.values()) if self._multiple else []
        self._check_count(len(before) + 1, "clear the selection first")
        opening = self._new(name, work)
        self._choose([*before, opening])
        self._shelf_changed()
        return opening

    def _take_upload(self, upload: str, name: str, data: bytes) -> None:
        def work() -> tuple[SourceImage, int]:
            return replace(open_image(data), source=f"upload {name}"), len(data)

        self._uploaded[upload] = self._add(name, work)

    def _on_upload_cancel(self, message: Message) -> None:
        super()._on_upload_cancel(message)
        upload = message.text("upload", longest=64)
        self._fetching.discard(upload)
        if (arrived := self._uploaded.pop(upload, None)) is not None:
            self._remove(arrived)

    def _on_fetch(self, message: Message) -> None:
        upload = message.text("upload", longest=64)
        address = message.text("address", longest=4000).strip()
        if not address.lower().startswith(("http://", "https://")):
            # A path would lead out of the root.
            raise UnsafeSource(
                f"{plain(address)[:200]!r} is no picture address",
                limit="http:// and https://",
                cure="for a file: upload it",
            )
        if len(self._fetching) >= _MOST_FETCHES:
            raise RequestError(
                f"{len(self._fetching)} addresses are being fetched",
                limit=f"{_MOST_FETCHES} at a time",
                cure="wait for one",
            )
        self._fetching.add(upload)
        self._in_background(lambda: self._fetch(upload, address))

    def _fetch(self, upload: str, address: str) -> None:
        failure: Exception | None = None
        try:
            image = open_image(address)
            with self._lock:
                if upload in self._fetching and not self._is_closed:
                    self._add(image.source, giver(image))
        except Exception as error:  # noqa: BLE001 - it stands where the fetch was shown
            failure = error
        with self._lock:
            if upload in self._fetching:
                self._fetching.discard(upload)
                self._end_upload(upload, failure)

    def _on_remove(self, message: Message) -> None:
        serial = message.fields.get("number")
        opening = self._added.get(serial) if isinstance(serial, int) else None
        if opening is not None:
            self._remove(opening)

    def _remove(self, opening: Opening) -> None:
        self._added.pop(opening.key, None)
        opening.is_wanted = False
        self._choose([o for o in self._chosen.values() if o is not opening])
        self._shelf_changed()


def about_bytes(image: SourceImage) -> int:
    """Return about how many bytes an opened picture holds.

    Examples
    --------
    >>> from PIL import Image
    >>> about_bytes(open_image(Image.new("RGB", (100, 100))))
    30000
    """
    return image.size.pixels * 3 if image.format == "pixels" else image.size.pixels // 3


def giver(image: SourceImage) -> Callable[[], tuple[SourceImage, int]]:
    """Return what gives a picture that is open already, with about how many bytes it holds.

    Examples
    --------
    >>> from PIL import Image
    >>> giver(open_image(Image.new("RGB", (10, 10))))()
    (SourceImage('Pillow image', 10 × 10, pixels), 300)
    """
    return lambda: (image, about_bytes(image))


def still_of(chosen: Sequence[Opening]) -> Still:
    """Return pictures and words that stay of a selection; no more than 24 pictures.

    Examples
    --------
    >>> still_of([])
    {'text/plain': 'No pictures were selected.'}
    """
    if not chosen:
        return bundle("No pictures were selected.")
    lines = [f"{len(chosen)} pictures selected" if len(chosen) > 1 else "1 picture selected"]
    rows: list[tuple[str, str, str]] = []
    for opening in chosen:
        image = opening.image
        if image is None:
            continue
        lines.append(f"{one_line(opening.name)}, {image.size} px, {image.format}")
        if len(rows) < _MOST_STILL:
            data = image.thumbnail(LONG_EDGE)
            tag = image_tag(data, "image/jpeg", alt=f"Thumbnail of {opening.name}")
            rows.append((tag, opening.name, f"{image.size} px"))
    more = f", the first {len(rows)} shown" if len(chosen) > len(rows) else ""
    markup = table(("picture", "name", "size"), rows, caption=f"{lines[0]}{more}")
    return bundle("\n".join(lines), markup=markup)


def _is_mine(lock: Any) -> bool:
    """Whether this thread holds a reentrant lock."""
    return bool(lock._is_owned())
