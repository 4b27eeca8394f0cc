"""Any picture becomes a `SourceImage`: upright, right-looking RGB that knows where it came from.

Dispatch is on type: a string is a path or an address, encoded data is bytes. What the bytes
are is decided by the bytes.
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
    orientation_of,
    to_rgb,
    turn_upright,
    turned_note,
)
from nbvision.errors import (
    DamagedImage,
    ImageError,
    ImageNotFound,
    ImageTooLarge,
    UnsafeSource,
    UnsupportedImage,
)
from nbvision.fetching import fetch
from nbvision.image_formats import check_size
from nbvision.markup import plain
from nbvision.source_image import DecodedFrame, SourceImage, source_image

__all__ = ["DecodedFrame", "SourceImage", "open_image"]

_MAX_FILE_BYTES = 300_000_000
_ACCEPTED = (
    "a path, an http(s) URL, bytes, a binary file, a Pillow image, a numpy array, "
    "a matplotlib Figure, an upload or a SourceImage"
)


def open_image(source: object) -> SourceImage:
    """Open a picture from anything that commonly holds one.

    Parameters
    ----------
    source
        A path (``str``, ``Path``, any ``os.PathLike``); an http(s) address; a ``data:`` URL as
        text or bytes; bytes of a picture; a binary file, read from where it stands; a Pillow
        image of any mode; a numpy array of height × width (× 1, 3 or 4), ``bool``, ``uint8``,
        ``uint16`` or floats from 0 to 1; a matplotlib ``Figure``; the value of an ipywidgets
        ``FileUpload`` with one file; or a `SourceImage`, which is returned as it is.

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
        return _from_buffer(source)
    if isinstance(source, Image.Image):
        return _from_pillow(source)
    if _is_a(source, "numpy", "ndarray"):
        return _from_array(source)
    if _is_a(source, "matplotlib.figure", "Figure"):
        return _from_figure(source)
    if isinstance(source, Mapping) and "content" in source:
        return _from_upload(source["content"], str(source.get("name", "upload")))
    if isinstance(source, tuple | list):
        return _from_only_one(source)
    if hasattr(source, "read") and not isinstance(source, type):
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
        data, address = fetch(text), urlsplit(text)
        return _from_bytes(data, plain(f"{address.hostname}{address.path}"))
    if scheme.lower() == "data" and separator:
        return _from_bytes(text.encode(errors="replace"))
    if "://" in text:
        raise UnsafeSource(
            f"an address of scheme {plain(scheme)!r}",
            limit="http and https",
            cure="download it, or give its path",
        )
    return _from_bytes(_read(Path(text)), plain(Path(text).name))


def _read(path: Path) -> bytes:
    shown = plain(str(path))
    failure: ImageError
    try:
        path = path.expanduser()
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageNotFound(f"{shown} is a folder", cure="name one picture in it")
        if not stat.S_ISREG(status.st_mode):
            # Reading a device or a pipe may never end.
            raise UnsafeSource(f"{shown} is not a regular file")
        _check_bytes(status.st_size, shown)
        # It may have become something else, or longer, since.
        with open(path, "rb", opener=_without_waiting) as file:
            data = file.read(_MAX_FILE_BYTES + 1) or b""
        _check_bytes(len(data), shown)
    except PermissionError:
        failure = ImageNotFound(f"{shown} may not be read", cure="check its permissions")
    except (FileNotFoundError, NotADirectoryError):
        failure = ImageNotFound(
            f"there is no {shown}", cure=f"check the name; this kernel runs in {plain(_here())}"
        )
    except (OSError, ValueError, RuntimeError) as error:
        failure = ImageNotFound(f"{shown[:200]} cannot be opened: {type(error).__name__}")
    else:
        return data
    raise failure


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


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


def _from_buffer(buffer: Any, source: str = "") -> SourceImage:
    try:
        _check_bytes(memoryview(buffer).nbytes, "the picture")
        data = bytes(buffer)
    except (TypeError, ValueError):
        failure = UnsupportedImage(
            f"a {type(buffer).__name__} that cannot be read", cure="give the bytes of a picture"
        )
    else:
        return _from_bytes(data, source)
    raise failure


def _from_upload(content: Any, name: str) -> SourceImage:
    return _from_buffer(content, f"upload {plain(Path(name).name)}")


def _from_only_one(several: tuple[object, ...] | list[object]) -> SourceImage:
    if len(several) == 1 and not isinstance(several[0], tuple | list):
        return open_image(several[0])
    raise UnsupportedImage(
        f"a {type(several).__name__} of {len(several)}",
        limit="one picture at a time",
        cure="open them one by one" if several else "choose a file first",
    )


def _from_file(file: Any) -> SourceImage:
    failure: ImageError
    try:
        data = _read_file(file)
    except ImageError:
        raise
    except UnicodeDecodeError:
        failure = ImageNotFound("a text file", cure='open it as bytes: open(path, "rb")')
    except Exception as error:  # noqa: BLE001 - the edge: what a foreign object's read raises is its own
        failure = ImageNotFound(f"the file cannot be read: {type(error).__name__}")
    else:
        return _from_bytes(data, f"file, {_in_words(len(data))}")
    raise failure


def _read_file(file: Any) -> bytes:
    data = io.BytesIO()
    # A raw file may give less than it was asked for.
    while piece := file.read(_MAX_FILE_BYTES + 1 - data.tell()):
        if isinstance(piece, str):
            raise ImageNotFound("a text file", cure='open it as bytes: open(path, "rb")')
        data.write(piece)
        _check_bytes(data.tell(), "the file")
    if not data.tell():
        raise ImageNotFound("nothing is left to read in the file", cure="file.seek(0)")
    return data.getvalue()


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
        # Pillow turns TIFF as it loads; what it says of the turn holds only afterwards.
        image.load()
        findings = notes_on(image)
        orientation, remarks = orientation_of(image)
        if orientation > 1:
            findings.append(turned_note(orientation))
        upright = turn_upright(to_rgb(image), orientation)
        # The caller may go on drawing on theirs.
        kept = upright.copy() if upright is image else upright
        kept.info = {}
    return source_image("Pillow image", Decoded(kept, image.mode), findings + remarks)


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
    kind = array.dtype.newbyteorder("=")
    array = array.astype(kind, copy=False)
    if kind == np.bool_:
        array = array.astype(np.uint8) * 255
    elif kind == np.uint16:
        array = ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
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
    width, height = drawn.get_size_inches() * drawn.dpi
    check_size((int(width), int(height)), is_reducible=False)
    data = io.BytesIO()
    failure: ImageError
    try:
        drawn.savefig(data, format="png", dpi="figure")
    except Exception as error:  # noqa: BLE001 - the edge: a figure runs artists and text of the caller's
        words = (plain(str(error)).strip() or "no more is said").splitlines()[0][:200]
        failure = DamagedImage(
            f"the figure cannot be drawn: {type(error).__name__}: {words}",
            cure='figure.savefig("figure.png") shows where',
        )
    else:
        return _from_bytes(data.getvalue(), "matplotlib figure")
    raise failure


def _in_words(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"  # noqa: PLR2004 - a million
