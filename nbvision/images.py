"""Any picture becomes a `SourceImage`: upright, right-looking RGB that knows where it came from.

Dispatch is on type: a string is a path or an http(s) address, encoded data is bytes. What the
bytes are is decided by the bytes.
"""

import base64
import binascii
import io
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from nbvision.decoding import (
    Decoded,
    guarded,
    notes_on,
    open_bytes,
    to_rgb,
    turn_upright,
)
from nbvision.errors import ImageError, ImageNotFound, ImageTooLarge, UnsafeSource, UnsupportedImage
from nbvision.fetching import fetch
from nbvision.image_formats import check_size
from nbvision.markup import plain
from nbvision.source_image import DecodedFrame, SourceImage, source_image

__all__ = ["DecodedFrame", "SourceImage", "open_image"]

_MAX_FILE_BYTES = 500_000_000
_ACCEPTED = (
    "a path, an http(s) URL, bytes, a binary file, a Pillow image, a numpy array, "
    "a matplotlib Figure, an upload or a SourceImage"
)


def open_image(source: object) -> SourceImage:
    """Open a picture from anything that commonly holds one.

    Parameters
    ----------
    source
        A path (``str``, ``Path``, any ``os.PathLike``); an http(s) address; bytes of a
        picture or of a ``data:`` URL; a binary file; a Pillow image of any mode; a numpy
        array of height × width (× 1, 3 or 4), ``bool``, ``uint8``, ``uint16`` or floats from
        0 to 1; a matplotlib ``Figure``; the value of an ipywidgets ``FileUpload`` with one
        file; or a `SourceImage`, which is returned as it is.

    Raises
    ------
    ImageNotFound
        If nothing is there, or it may not be read.
    UnsafeSource
        If the address or path is one that is not opened for anybody.
    UnsupportedImage
        If it is not a picture in PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF or HEIC.
    DamagedImage
        If it is cut off, altered or does not decode.
    ImageTooLarge
        If it has more bytes or pixels than this package decodes.

    Examples
    --------
    >>> open_image(Image.new("RGBA", (40, 30)))
    SourceImage('Pillow image', 40 × 30, pixels)
    """
    if isinstance(source, SourceImage):
        return source
    if isinstance(source, str | os.PathLike):
        return _from_name(os.fspath(source))
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source))
    if isinstance(source, Image.Image):
        return _from_pillow(source)
    if _is_a(source, "numpy", "ndarray"):
        return _from_array(source)
    if _is_a(source, "matplotlib.figure", "Figure"):
        return _from_figure(source)
    if isinstance(source, Mapping) and "content" in source:
        name = Path(str(source.get("name", "upload"))).name
        return _from_bytes(bytes(source["content"]), f"upload {plain(name)}")
    if isinstance(source, tuple | list) and len(source) == 1:
        return open_image(source[0])
    if hasattr(source, "read"):
        return _from_file(source)
    raise UnsupportedImage(f"a {type(source).__name__}", limit=_ACCEPTED)


def _is_a(value: object, module: str, name: str) -> bool:
    """Whether value is of a class of a library that may not be loaded; it is not loaded for it."""
    known = getattr(sys.modules.get(module), name, None)
    return known is not None and isinstance(value, known)


def _from_name(name: str | bytes) -> SourceImage:
    text = os.fsdecode(name)
    scheme, separator, _ = text.partition(":")
    if scheme.lower() in {"http", "https"} and separator:
        address = urlsplit(text)
        return _from_bytes(fetch(text), plain(f"{address.hostname}{address.path}"))
    if "://" in text:
        raise UnsafeSource(
            f"an address of scheme {plain(scheme)!r}",
            limit="http and https",
            cure="download it, or give its path",
        )
    if scheme.lower() == "data":
        raise UnsupportedImage(
            "a data: URL as text", cure="give it as bytes: nv.open_image(url.encode())"
        )
    path = Path(text).expanduser()
    return _from_bytes(_read(path), plain(path.name))


def _read(path: Path) -> bytes:
    shown = plain(str(path))
    failure: ImageError
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageNotFound(f"{shown} is a folder", cure="name one picture in it")
        if not stat.S_ISREG(status.st_mode):
            # Reading a device or a pipe may never end.
            raise UnsafeSource(f"{shown} is not a regular file")
        _check_bytes(status.st_size, shown)
        return path.read_bytes()
    except PermissionError:
        failure = ImageNotFound(f"{shown} may not be read", cure="check its permissions")
    except (FileNotFoundError, NotADirectoryError):
        failure = ImageNotFound(
            f"there is no {shown}", cure=f"check the name; this kernel runs in {plain(_here())}"
        )
    except (OSError, ValueError) as error:
        failure = ImageNotFound(f"{shown[:200]} cannot be opened: {type(error).__name__}")
    raise failure


def _here() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return "a folder that is gone"


def _check_bytes(count: int, what: str) -> None:
    if count > _MAX_FILE_BYTES:
        raise ImageTooLarge(
            f"{what} has {count / 1e6:,.0f} MB",
            limit=f"{_MAX_FILE_BYTES / 1e6:.0f} MB",
            cure="is it a picture? crop or shrink it first",
        )


def _from_file(file: Any) -> SourceImage:
    try:
        data = file.read(_MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        failure = ImageNotFound(f"the file cannot be read: {type(error).__name__}")
    else:
        if isinstance(data, bytes | bytearray):
            _check_bytes(len(data), "the file")
            return _from_bytes(bytes(data), f"file, {_in_words(len(data))}")
        failure = ImageNotFound("a text file", cure='open it as bytes: open(path, "rb")')
    raise failure


def _from_bytes(data: bytes, source: str = "") -> SourceImage:
    if data[:5].lower() == b"data:":
        data = _from_data_url(data)
    _check_bytes(len(data), "the picture")
    encoded, findings = open_bytes(data)
    return source_image(source or f"bytes, {_in_words(len(data))}", encoded, findings)


def _from_data_url(url: bytes) -> bytes:
    head, comma, body = url.partition(b",")
    if not comma or not head.lower().endswith(b";base64"):
        raise UnsupportedImage("a data: URL that is not base64", limit="data:image/…;base64,…")
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        failure = UnsupportedImage("a data: URL whose base64 is broken", cure="copy it again")
    raise failure


def _from_pillow(image: Image.Image) -> SourceImage:
    check_size(image.size, is_reducible=False)
    with guarded("Pillow image"):
        findings = notes_on(image)
        orientation = image.getexif().get(0x0112, 1)
        upright = turn_upright(to_rgb(image), orientation)
        # The caller may go on drawing on theirs.
        kept = upright.copy() if upright is image else upright
        kept.info = {}
    return source_image("Pillow image", Decoded(kept, image.mode), findings)


def _from_array(array: Any) -> SourceImage:
    import numpy as np

    shape = array.shape
    if len(shape) == 3 and shape[2] == 1:  # noqa: PLR2004 - height, width, channels
        array = array[:, :, 0]
    if array.ndim != 2 and not (array.ndim == 3 and shape[2] in {3, 4}):  # noqa: PLR2004 - the same
        cure = "move the channels last: array.transpose(1, 2, 0)" if len(shape) == 3 else ""  # noqa: PLR2004 - the same
        raise UnsupportedImage(
            f"an array of shape {shape}", limit="height × width, or × 1, 3 or 4", cure=cure
        )
    check_size((shape[1], shape[0]), is_reducible=False)
    kind = array.dtype
    if kind == np.bool_:
        array = array.astype(np.uint8) * 255
    elif kind == np.uint16:
        array = np.rint(array / 257).astype(np.uint8)
    elif np.issubdtype(kind, np.floating):
        low, high = float(array.min()), float(array.max())
        # NaN fails both comparisons.
        if not (low >= 0 and high <= 1):
            raise UnsupportedImage(
                f"floats from {low:g} to {high:g}", limit="0 to 1", cure="divide by the maximum"
            )
        array = np.rint(array * 255).astype(np.uint8)
    elif kind != np.uint8:
        raise UnsupportedImage(
            f"an array of {kind}",
            limit="uint8, uint16, bool, or floats from 0 to 1",
            cure="array.astype('uint8')",
        )
    image = Image.fromarray(np.ascontiguousarray(array))
    rgb = to_rgb(image)
    words = f"array {' × '.join(map(str, shape))}"
    return source_image(words, Decoded(rgb.copy(), image.mode), notes_on(image))


def _from_figure(drawn: Any) -> SourceImage:
    data = io.BytesIO()
    drawn.savefig(data, format="png", dpi="figure", facecolor="white")
    return _from_bytes(data.getvalue(), "matplotlib figure")


def _in_words(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"  # noqa: PLR2004 - a million
