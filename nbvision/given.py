"""The one way in: whatever a call was given becomes pictures that can be sent.

What holds a picture is opened; what is prepared, uploaded or at an address is left as it is.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count

from nbvision.catalogue import Model
from nbvision.errors import RequestError
from nbvision.images import open_image
from nbvision.platforms import Platform
from nbvision.prepared import PreparedImage
from nbvision.prepared_once import prepared_once
from nbvision.referenced import GivenImage, RemoteImage, SentImage, StoredFile, require_seen
from nbvision.source_image import SourceImage

__all__ = ["as_list", "given_image", "given_images", "prepare_all", "seen_image"]


def as_list(images: object) -> list[object]:
    """Return one picture or a list or tuple of them as a list.

    Raises
    ------
    RequestError
        If there is none.
    """
    found = list(images) if isinstance(images, list | tuple) else [images]
    if not found:
        raise RequestError("no picture", limit="one or more", cure="give a picture or a list")
    return found


def given_image(image: object) -> GivenImage:
    """Return a picture as a call has it: opened, unless it is prepared or only named.

    Raises
    ------
    ImageError
        If it cannot be opened.
    RequestError
        If it is only a row of `files`.

    Examples
    --------
    >>> from nbvision import samples
    >>> from nbvision.referenced import remote_image
    >>> given_image(samples.shapes).format, given_image(remote_image("https://example.org/a.png"))
    ('PNG', RemoteImage('example.org/a.png'))
    """
    if isinstance(image, StoredFile):
        raise RequestError(
            f"{image!r} is a file there, and nothing is known here of the picture in it",
            limit="pictures, and what nv.upload returns for them",
            cure="give nv.upload the picture: what lies there already is found, not sent again",
        )
    return image if isinstance(image, PreparedImage | RemoteImage) else open_image(image)


def given_images(images: object) -> list[GivenImage]:
    """Return one picture or several as a call has them.

    Raises
    ------
    RequestError
        If there is none.
    ImageError
        If one cannot be opened.
    """
    return [given_image(image) for image in as_list(images)]


def seen_image(image: object) -> SourceImage:
    """Return the picture itself, of a prepared one that it was made from.

    Raises
    ------
    RequestError
        If only the service has seen it.
    ImageError
        If it cannot be opened.
    """
    given = require_seen(given_image(image))
    return given.source if isinstance(given, PreparedImage) else given


def prepare_all(
    images: Sequence[GivenImage],
    model: Model,
    platform: Platform,
    on_progress: Callable[[str], None] | None = None,
    side_limit: int | None = None,
) -> list[SentImage]:
    """Prepare several pictures at once, in order; an interrupt ends it with those under way.

    No more threads than cores: Pillow lets go of the interpreter while it works, and each
    picture in flight costs memory. What is prepared, uploaded or at an address stays as it is.
    """

    def prepare(image: GivenImage) -> SentImage:
        if isinstance(image, SourceImage):
            return prepared_once(image, model, platform, side_limit)
        return image

    if sum(isinstance(image, SourceImage) for image in images) < 2:  # noqa: PLR2004 - one picture needs no pool
        return [prepare(image) for image in images]
    pool = ThreadPoolExecutor(min(len(images), cpu_count() or 1))
    try:
        return _counted(pool.map(prepare, images), len(images), on_progress)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _counted(
    images: Iterable[SentImage], count: int, on_progress: Callable[[str], None] | None
) -> list[SentImage]:
    prepared = []
    for image in images:
        prepared.append(image)
        if on_progress is not None:
            on_progress(f"preparing pictures, {len(prepared)} of {count}")
    return prepared
