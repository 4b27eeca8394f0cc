"""Pictures that a browser sends in pieces: begun, checked, put together, or let go.

A notebook server drops messages of 10 MiB and more without a word, so that a file travels in
pieces of 1 MiB, each acknowledged before the next.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nbvision.errors import ImageTooLarge, RequestError, UnsupportedImage
from nbvision.markup import plain
from nbvision.widgets.messages import Message, error_words
from nbvision.widgets.panel import Panel

__all__ = ["PIECE_BYTES", "TakesUploads", "Uploads"]

PIECE_BYTES = 1 << 20
_MOST_UNDER_WAY = 4
_SILENT_SECONDS = 60.0
_YIELDING_SECONDS = 10.0  # after which one that is silent makes room for another
_LONGEST_ID = 64
_LONGEST_NAME = 1000


@dataclass(slots=True)
class _Upload:
    name: str
    total: int
    heard: float
    pieces: int = 0
    data: bytearray = field(default_factory=bytearray)


class Uploads:
    """The uploads under way, each checked against what it said it would be.

    Parameters
    ----------
    max_bytes
        The most that one file may have.
    clock
        Returns seconds that never go back.

    Examples
    --------
    >>> uploads = Uploads(max_bytes=100)
    >>> uploads.begin("1", "a.png", 3)
    >>> uploads.piece("1", 0, b"abc")
    ('a.png', b'abc')
    """

    def __init__(self, max_bytes: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.max_bytes = max_bytes
        self._clock = clock
        self._under_way: dict[str, _Upload] = {}
        self._arrived: set[str] = set()

    def __len__(self) -> int:
        return len(self._under_way)

    @property
    def held_bytes(self) -> int:
        """What has arrived of all of them."""
        return sum(len(upload.data) for upload in self._under_way.values())

    def begin(self, identity: str, name: str, total: int) -> None:
        """Start an upload of so many bytes.

        Raises
        ------
        ImageTooLarge, UnsupportedImage, RequestError
            If it is over the limit, empty, or there are too many under way.
        """
        shown = plain(name)[:200] or "a picture"
        if total > self.max_bytes:
            raise ImageTooLarge(
                f"{shown} has {total / 1e6:,.1f} MB",
                limit=f"{self.max_bytes / 1e6:,.1f} MB for an upload",
                cure="put it into the folder, or raise max_bytes=",
            )
        if total < 1:
            raise UnsupportedImage(f"{shown} is empty", cure="choose another file")
        if identity in self._under_way:
            raise RequestError("this upload has begun already", cure="choose the file again")
        self.sweep(_SILENT_SECONDS)
        if len(self._under_way) >= _MOST_UNDER_WAY:
            self.sweep(_YIELDING_SECONDS)
        if len(self._under_way) >= _MOST_UNDER_WAY:
            raise RequestError(
                f"{len(self._under_way)} uploads are under way",
                limit=f"{_MOST_UNDER_WAY} at a time",
                cure="wait for one to end, then choose the file again",
            )
        self._under_way[identity] = _Upload(shown, total, self._clock())

    def piece(self, identity: str, order: int, data: bytes) -> tuple[str, bytes] | None:
        """Take the next piece; return name and bytes when it was the last.

        Raises
        ------
        RequestError
            If it does not follow on what came before; the upload is then let go.
        """
        upload = self._under_way.get(identity)
        if upload is None:
            raise RequestError("this upload is not under way", cure="choose the file again")
        expected = min(PIECE_BYTES, upload.total - len(upload.data))
        if order != upload.pieces or len(data) != expected:
            del self._under_way[identity]
            raise RequestError(
                f"piece {order} of {upload.name} with {len(data):,} bytes",
                limit=f"piece {upload.pieces} with {expected:,} bytes",
                cure="choose the file again",
            )
        upload.data += data
        upload.pieces += 1
        upload.heard = self._clock()
        if len(upload.data) < upload.total:
            return None
        del self._under_way[identity]
        self._arrived.add(identity)
        return upload.name, bytes(upload.data)

    def cancel(self, identity: str) -> None:
        """Let an upload go; one that is gone already is no error."""
        self._under_way.pop(identity, None)
        self._arrived.discard(identity)

    def is_wanted(self, identity: str) -> bool:
        """Whether a file that has arrived was not cancelled since."""
        return identity in self._arrived

    def clear(self) -> None:
        """Let all go."""
        self._under_way.clear()
        self._arrived.clear()

    def sweep(self, silent_seconds: float = _SILENT_SECONDS) -> None:
        """Let those go that nothing was heard of for so long."""
        now = self._clock()
        for identity, upload in list(self._under_way.items()):
            if now - upload.heard >= silent_seconds:
                del self._under_way[identity]


class TakesUploads(Panel):
    """A panel that takes uploads; it sets ``_uploads`` and gives `_take_upload`.

    The browser's side is ``uploading.js``.
    """

    _uploads: Uploads
    _is_sweeping = False

    def _take_upload(self, upload: str, name: str, data: bytes) -> None:
        """Take a file that has arrived, under the lock; call `_end_upload` when it is opened."""
        raise NotImplementedError

    def _end_upload(self, upload: str, error: BaseException | None = None) -> None:
        """Tell the browser that a file was taken, or why not; any thread may."""
        self._uploads.cancel(upload)
        words: dict[str, Any] = {} if error is None else {"error": error_words(error)}
        self._post("upload_end", upload=upload, **words)

    def _on_upload_begin(self, message: Message) -> None:
        upload = message.text("upload", longest=_LONGEST_ID)
        name = message.text("name", longest=_LONGEST_NAME)
        self._uploads.begin(upload, name, message.whole("bytes", most=1 << 50))
        self._sweep_later()

    def _on_upload_piece(self, message: Message) -> None:
        upload = message.text("upload", longest=_LONGEST_ID)
        order = message.whole("order", most=1 << 30)
        found = self._uploads.piece(upload, order, message.buffer(most_bytes=PIECE_BYTES))
        if found is not None:
            self._take_upload(upload, *found)

    def _on_upload_cancel(self, message: Message) -> None:
        self._uploads.cancel(message.text("upload", longest=_LONGEST_ID))

    def _sweep_later(self) -> None:
        if not self._is_sweeping:
            self._is_sweeping = True
            self._soon(_SILENT_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._is_sweeping = False
        self._uploads.sweep()
        if len(self._uploads):
            self._sweep_later()
