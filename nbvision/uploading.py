"""Pictures stored at the service once, and named in any number of requests after that.

What is uploaded is what would be sent: prepared for a model, byte for byte. It is found again
by its content, in this kernel and in later ones, because its name there is the bytes' hash;
whoever may store files in the same workspace is trusted not to misname them.
"""

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed, wait
from contextvars import copy_context
from functools import partial
from typing import Any, overload

from nbvision.backends import Backend, Shelf, StopSignal, current
from nbvision.backends.files import FILE_ID
from nbvision.backends.stopping import stop_here
from nbvision.catalogue import Model, find_model
from nbvision.errors import Interrupted, RequestError, UnreadableAnswer
from nbvision.file_table import FileTable
from nbvision.findings import Findings
from nbvision.given import as_list, given_image, prepare_all
from nbvision.live import LiveText
from nbvision.markup import one_line
from nbvision.platforms import platforms
from nbvision.preflight import require_sendable
from nbvision.prepared import PreparedImage, side_limit_of
from nbvision.referenced import GivenImage, StoredFile, UploadedImage, require_seen
from nbvision.sent_checks import Asked, of_sent

__all__ = ["delete_files", "files", "upload"]

_AT_ONCE = 4
_MOST_LISTED = 5000
_SHORTEST_SECONDS, _LONGEST_SECONDS = 3600, 7_776_000
_LEFT_AT_LEAST = 0.5  # of the time that is asked for: what is found may be older than now
_PREFIX = "nbvision-"
_ENDINGS = {"image/png": "png", "image/jpeg": "jpg"}

_CLOCKS_DIFFER_SECONDS = 300.0

_GLANCE_SECONDS = 0.1

Storing = Future[StoredFile]

# A future that is done already calls back at once, in the thread that holds the lock.
_lock = threading.RLock()
# What this kernel has stored or found, by place and id; and the places it has listed.
_known: dict[str, dict[str, StoredFile]] = {}
_listed: set[str] = set()
# What some thread is storing, by place, name and how long it is to last.
_under_way: dict[tuple[str, str, int | None], Storing] = {}


@overload
def upload(  # type: ignore[overload-overlap] # a list is an object too, and comes first
    image: list[Any] | tuple[Any, ...],
    *,
    model: str | None = None,
    backend: Backend | None = None,
    expires_in: int | None = None,
) -> list[UploadedImage]: ...
@overload
def upload(
    image: object,
    *,
    model: str | None = None,
    backend: Backend | None = None,
    expires_in: int | None = None,
) -> UploadedImage: ...
def upload(
    image: object,
    *,
    model: str | None = None,
    backend: Backend | None = None,
    expires_in: int | None = None,
) -> UploadedImage | list[UploadedImage]:
    """Store a picture at the service, to be named instead of sent again; or a list of them.

    It is prepared for the model first; of more than 20 at once, each is prepared as a request
    with all of them wants it. What is there already, with the same bytes and for about as long, is
    found and not stored again. An interrupt keeps those that are done.

    Parameters
    ----------
    image
        Anything `describe` takes but a remote picture, or a list of such.
    model
        Whose resolution tier decides; by default the one that is connected.
    backend
        Where to; by default what `connect` chose last.
    expires_in
        After how many seconds the service deletes it, from an hour to ninety days; it stays
        until it is deleted if this is left out.

    Returns
    -------
    UploadedImage or list[UploadedImage]
        One for a picture, a list for a list: what every call takes as a picture.

    Raises
    ------
    RequestError
        If the place keeps no files, or ``expires_in`` is out of bounds.
    ImageError
        If a picture cannot be opened or prepared.
    BackendError
        If it is not known to be stored; nothing is billed for files.

    Examples
    --------
    >>> import nbvision as nv
    >>> practice = nv.connect("practice", words_per_second=None)
    >>> shapes = nv.upload(nv.samples.shapes, backend=practice)
    >>> request = nv.build_request(shapes, "What is this?", backend=practice)
    >>> request.size_bytes < 500, len(shapes.data) > 5000
    (True, True)
    """
    asked = current(backend)
    shelf = _shelf_of(asked)
    _check_lasting(expires_in)
    known = find_model(model or asked.model)
    given = [require_seen(given_image(one)) for one in as_list(image)]
    with LiveText(f"files of {asked.name}") as live:
        # In the order that was asked for; the same content twice is stored once.
        named = [(_name_of(p), p) for p in _prepared(given, Asked(known, asked.platform), live)]
        wanted = dict(named)
        found = _found(shelf, wanted, expires_in)
        missing = {name: image for name, image in wanted.items() if name not in found}
        found |= _stored(shelf, missing, expires_in, live)
    uploaded = [_uploaded(picture, found[name], shelf.held_by) for name, picture in named]
    return uploaded if isinstance(image, list | tuple) else uploaded[0]


def files(*, backend: Backend | None = None) -> FileTable:
    """Return the files that lie at the service, the newest first: up to 5,000 of them.

    They are your organisation's, or your workspace's, whoever has stored them.

    Raises
    ------
    RequestError
        If the place keeps no files.
    BackendError
        If they cannot be listed.

    Examples
    --------
    >>> import nbvision as nv
    >>> practice = nv.connect("practice", words_per_second=None)
    >>> uploaded = nv.upload(nv.samples.shapes, backend=practice)
    >>> uploaded.file_id in [row.id for row in nv.files(backend=practice)]
    True
    """
    shelf = _shelf_of(current(backend))
    rows, has_more = shelf.pages(_MOST_LISTED)
    return FileTable(tuple(rows), shelf.held_by, has_more)


def delete_files(files: object, *, backend: Backend | None = None) -> list[str]:
    """Delete files at the service, and return the ids of those that were still there.

    Parameters
    ----------
    files
        Ids, rows of `files`, uploaded pictures, or lists of such; or the whole table.
    backend
        Where; by default what `connect` chose last.

    Raises
    ------
    RequestError
        If something is no file, lies elsewhere, or the place keeps none. Nothing is deleted
        then.
    BackendError
        If one cannot be deleted; those before it are gone.

    Examples
    --------
    >>> import nbvision as nv
    >>> practice = nv.connect("practice", words_per_second=None)
    >>> page = nv.upload(nv.samples.page, backend=practice, expires_in=3600)
    >>> len(nv.delete_files(page, backend=practice)), len(nv.delete_files(page, backend=practice))
    (1, 0)
    """
    asked = current(backend)
    shelf = _shelf_of(asked)
    ids = list(dict.fromkeys(_ids_of(files, shelf.held_by)))
    deleted = []
    with LiveText(f"files of {asked.name}") as live:
        for number, file_id in enumerate(ids, start=1):
            if shelf.delete(file_id):
                deleted.append(file_id)
            _forget(shelf.scope, [file_id])
            live.progress(f"deleting, {number} of {len(ids)}")
    return deleted


def _shelf_of(backend: Backend) -> Shelf:
    shelf: Shelf | None = getattr(backend, "files", None)
    if shelf is None:
        raise RequestError(
            f"{backend.platform.name} keeps no files",
            limit=", ".join(place.name for place in platforms() if "file" in place.source_types),
            cure="send the pictures themselves: nv.describe(image)",
        )
    return shelf


def _check_lasting(seconds: object) -> None:
    if seconds is None:
        return
    if type(seconds) is not int or not _SHORTEST_SECONDS <= seconds <= _LONGEST_SECONDS:
        raise RequestError(
            f"expires_in={seconds!r}"[:200],
            limit=f"whole seconds from {_SHORTEST_SECONDS:,} (an hour) to {_LONGEST_SECONDS:,} "
            "(ninety days)",
            cure="leave it out to keep the file until nv.delete_files",
        )


def _prepared(given: Sequence[GivenImage], asked: Asked, live: LiveText) -> list[PreparedImage]:
    """Return the pictures as they are to lie there; an uploaded one is made anew if need be."""
    side_limit = side_limit_of(len(given))
    fresh = [_anew(image, asked.model, side_limit) for image in given]
    require_sendable(Findings(of_sent(fresh, asked, earlier=0, side_limit=side_limit)))
    prepared = prepare_all(fresh, asked.model, asked.platform, live.progress, side_limit)
    return [image for image in prepared if isinstance(image, PreparedImage)]


def _anew(image: GivenImage, model: Model, side_limit: int | None) -> GivenImage:
    """Return an uploaded picture's bytes, or the picture itself if others are wanted now."""
    if not isinstance(image, UploadedImage):
        return image
    frame = image.fit.resized
    if model.tier.fits(frame) and frame.long_edge <= (side_limit or frame.long_edge):
        return image.carried()
    return image.source


def _name_of(image: PreparedImage) -> str:
    """Return what a picture is called there: its content, and nothing of its own name."""
    return f"{_PREFIX}{image.sha256}.{_ENDINGS[image.media_type]}"


def _found(
    shelf: Shelf, wanted: dict[str, PreparedImage], expires_in: int | None
) -> dict[str, StoredFile]:
    """Return what is there already, by name: the same bytes, for about as long."""
    with _lock:
        is_listed = not shelf.can_list or shelf.scope in _listed
    if not is_listed:
        rows, _ = shelf.pages(_MOST_LISTED)
        _remember(shelf.scope, [row for row in rows if row.name.startswith(_PREFIX)])
    with _lock:
        if shelf.can_list:
            _listed.add(shelf.scope)
        candidates = [row for row in _known.get(shelf.scope, {}).values() if row.name in wanted]
    if is_listed and candidates:
        # Somebody may have deleted one since.
        there = {row.id: row for row in shelf.find([row.id for row in candidates])}
        _forget(shelf.scope, [row.id for row in candidates if row.id not in there])
        candidates = [there[row.id] for row in candidates if row.id in there]
    return {row.name: row for row in candidates if _is_same(row, wanted[row.name], expires_in)}


def _is_same(row: StoredFile, image: PreparedImage, expires_in: int | None) -> bool:
    """Whether a file holds these bytes, and lasts as long as it is asked to: no less, no more."""
    if (row.media_type, row.size_bytes) != (image.media_type, len(image.data)):
        return False
    if expires_in is None or row.expires_at is None:
        return expires_in is None and row.expires_at is None
    longest = expires_in + _CLOCKS_DIFFER_SECONDS
    return _LEFT_AT_LEAST * expires_in <= row.seconds_left <= longest


def _stored(
    shelf: Shelf, missing: dict[str, PreparedImage], expires_in: int | None, live: LiveText
) -> dict[str, StoredFile]:
    """Store pictures, several at a time; what another thread is storing is waited for."""
    found: dict[str, StoredFile] = {}
    while len(found) < len(missing):
        wanted = {name: image for name, image in missing.items() if name not in found}
        pool = ThreadPoolExecutor(min(_AT_ONCE, len(wanted)))
        try:
            known, mine, others = _claimed(pool, shelf, wanted, expires_in)
            found |= known
            for future in as_completed(mine):
                found[mine[future]] = future.result()
                live.progress(f"uploading, {len(found)} of {len(missing)}")
            # Not as they are completed: that never tells of a future that was cancelled.
            for future, name in others.items():
                if (row := _shared(future)) is not None:
                    found[name] = row
        except BaseException:
            # Some may have been stored without our knowing: they are looked for next time.
            _unlist(shelf.scope)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return found


def _claimed(
    pool: ThreadPoolExecutor,
    shelf: Shelf,
    wanted: dict[str, PreparedImage],
    expires_in: int | None,
) -> tuple[dict[str, StoredFile], dict[Storing, str], dict[Storing, str]]:
    """Begin what nobody stores yet; return what is known by now, what was begun, and the rest."""
    mine: dict[Storing, str] = {}
    others: dict[Storing, str] = {}
    with _lock:
        # Another thread may have stored one since it was looked for.
        rows = [row for row in _known.get(shelf.scope, {}).values() if row.name in wanted]
        known = {r.name: r for r in rows if _is_same(r, wanted[r.name], expires_in)}
        for name in [name for name in wanted if name not in known]:
            key = (shelf.scope, name, expires_in)
            if key in _under_way and not _under_way[key].done():
                others[_under_way[key]] = name
                continue
            # A stop travels in the context, which threads of a pool do not have of themselves.
            run = copy_context().run
            future = pool.submit(run, _store, shelf, name, wanted[name], expires_in)
            _under_way[key] = future
            mine[future] = name
            future.add_done_callback(partial(_settle, key))
    return known, mine, others


def _store(shelf: Shelf, name: str, image: PreparedImage, expires_in: int | None) -> StoredFile:
    """Store one picture; it is remembered at once."""
    row = shelf.upload(name, image.data, image.media_type, expires_in=expires_in)
    if row.size_bytes != len(image.data):
        raise UnreadableAnswer(
            f"{len(image.data):,} bytes were stored as {row.size_bytes:,}",
            cure="upload it again",
        )
    _remember(shelf.scope, [row])
    return row


def _shared(future: Storing) -> StoredFile | None:
    """Wait for what another thread stores; None if that thread was stopped before it was done."""
    stop = stop_here() or StopSignal()
    while not future.done():
        wait([future], timeout=_GLANCE_SECONDS)
        stop.require_unset()
    try:
        return future.result()
    except (CancelledError, Interrupted):
        return None


def _settle(key: tuple[str, str, int | None], future: Storing) -> None:
    with _lock:
        if _under_way.get(key) is future:
            del _under_way[key]


def _uploaded(image: PreparedImage, row: StoredFile, held_by: str) -> UploadedImage:
    return UploadedImage(
        image.data,
        image.media_type,
        image.fit,
        image.findings,
        image.source,
        file_id=row.id,
        held_by=held_by,
        expires_at=row.expires_at,
    )


def _remember(scope: str, rows: Iterable[StoredFile]) -> None:
    with _lock:
        _known.setdefault(scope, {}).update({row.id: row for row in rows})


def _forget(scope: str, ids: Iterable[str]) -> None:
    with _lock:
        for file_id in ids:
            _known.get(scope, {}).pop(file_id, None)


def _unlist(scope: str) -> None:
    with _lock:
        _listed.discard(scope)


def _ids_of(files: object, held_by: str) -> list[str]:
    if isinstance(files, FileTable | UploadedImage) and files.held_by != held_by:
        raise RequestError(
            f"files that lie at {files.held_by}",
            limit=f"the files of {held_by}",
            cure="delete them there: nv.delete_files(files, backend=…)",
        )
    if isinstance(files, UploadedImage):
        return [files.file_id]
    if isinstance(files, StoredFile):
        return [files.id]
    if isinstance(files, FileTable | list | tuple):
        return [file_id for one in files for file_id in _ids_of(one, held_by)]
    # A file's name is no id; the service would say no more than that there is no such file.
    if isinstance(files, str) and FILE_ID.fullmatch(files) and files.startswith("file"):
        return [files]
    raise RequestError(
        f"{one_line(repr(files))[:100]} is no file",
        limit="ids, rows or the table of nv.files(), or what nv.upload returned",
        cure="nv.files() shows what is stored",
    )
