"""What a browser is shown of a picture, made in the background: the newest wish wins."""

import threading
from collections.abc import Callable
from typing import Any

from nbvision.catalogue import Model
from nbvision.images import SourceImage
from nbvision.platforms import Platform
from nbvision.prepared import PreparedImage, prepare_image

__all__ = ["Preparing"]

_DISPLAY_EDGE = 1568  # pixels of the long side of the original's copy, as a browser gets it

PictureMessage = tuple[dict[str, str], bytes]


class Preparing:
    """The bytes that would be sent of one picture, and a copy of it for display.

    One thread works at a time, on what is wanted now: what was wanted before it was done is
    dropped. All but the work itself happens under the lock.

    Parameters
    ----------
    lock
        The panel's.
    run
        Runs an action in a thread of its own.
    when_made
        Is given each picture as it is ready to be sent to a browser.
    when_failed
        Is given what went wrong.

    Attributes
    ----------
    prepared
        The very bytes to send; None until they are there.
    is_working
        Whether anything is being made.

    Examples
    --------
    >>> from nbvision import samples
    >>> from nbvision.catalogue import find_model
    >>> from nbvision.platforms import find_platform
    >>> from nbvision.images import open_image
    >>> made = []
    >>> work = Preparing(threading.RLock(), lambda action: action(), made.append, made.append)
    >>> page = open_image(samples.page)
    >>> work.want(page, find_model("claude-haiku-4-5"), find_platform("anthropic"))
    >>> work.start()
    >>> [about["media_type"] for about, _ in made]
    ['image/png', 'image/jpeg']
    """

    def __init__(
        self,
        lock: threading.RLock,
        run: Callable[[Callable[[], object]], None],
        when_made: Callable[[PictureMessage], None],
        when_failed: Callable[[Exception], None],
    ) -> None:
        self._lock, self._run = lock, run
        self._when_made, self._when_failed = when_made, when_failed
        self._wanted: tuple[SourceImage, Model, Platform] | None = None
        self._copy = b""
        self._has_tried_bytes = self._has_tried_copy = False
        self._image_turn = self._sent_turn = 0
        self.prepared: PreparedImage | None = None
        self.is_working = False

    @property
    def is_preparing(self) -> bool:
        """Whether the bytes to send are still to come."""
        return self._wanted is not None and not self._has_tried_bytes

    @property
    def keys(self) -> dict[str, str]:
        """Names of the pictures that are right now, made or not."""
        return {"original": f"o{self._image_turn}", "sent": f"s{self._sent_turn}"}

    def want(self, image: SourceImage | None, model: Model, platform: Platform) -> None:
        """Say what is wanted from now on; models of one tier are sent the same bytes."""
        last, self._wanted = self._wanted, None if image is None else (image, model, platform)
        is_same_image = last is not None and last[0] is image
        if not is_same_image:
            self._image_turn += 1
            self._copy, self._has_tried_copy = b"", False
        is_same = is_same_image and last is not None and _decisive(last) == (model.tier, platform)
        if not is_same or self.prepared is None:
            self._sent_turn += 1
            self.prepared, self._has_tried_bytes = None, False

    def start(self) -> None:
        """Make what is wanted and not there."""
        if not self.is_working:
            self.is_working = True
            self._run(self._work)

    def pictures(self) -> list[PictureMessage]:
        """Return what is ready: what a browser must know of each picture, and its bytes."""
        found: list[PictureMessage] = []
        if self.prepared is not None:
            about = {"frame": "sent", "media_type": self.prepared.media_type}
            found.append((about | {"key": self.keys["sent"]}, self.prepared.data))
        if self._copy:
            about = {"frame": "original", "media_type": "image/jpeg"}
            found.append((about | {"key": self.keys["original"]}, self._copy))
        return found

    def free(self) -> None:
        """Let go of the copy and of work under way; the bytes to send stay readable."""
        self._wanted, self._copy = None, b""

    def _work(self) -> None:
        try:
            while self._one():
                pass
        except BaseException:
            with self._lock:
                self.is_working = False
            raise

    def _one(self) -> bool:
        """Make one thing that is wanted; return False if there is none."""
        with self._lock:
            wanted, keys, lacks_bytes = self._wanted, self.keys, not self._has_tried_bytes
            if wanted is None or (self._has_tried_bytes and self._has_tried_copy):
                self.is_working = False
                return False
        image, model, platform = wanted
        result: Any
        try:
            if lacks_bytes:
                result = prepare_image(image, model, platform)
            else:
                result = image.thumbnail(_DISPLAY_EDGE)
        except Exception as error:  # noqa: BLE001 - whatever it is belongs into the widget
            result = error
        which = "sent" if lacks_bytes else "original"
        with self._lock:
            if self._wanted is not None and keys[which] == self.keys[which]:
                self._take(which, result)
        return True

    def _take(self, which: str, result: Any) -> None:
        """Keep what was made, or that it cannot be."""
        if which == "sent":
            self._has_tried_bytes = True
        else:
            self._has_tried_copy = True
        if isinstance(result, Exception):
            self._when_failed(result)
            return
        if which == "sent":
            self.prepared = result
        else:
            self._copy = result
        made = next(made for made in self.pictures() if made[0]["frame"] == which)
        self._when_made(made)


def _decisive(wanted: tuple[SourceImage, Model, Platform]) -> tuple[object, object]:
    _, model, platform = wanted
    return model.tier, platform
