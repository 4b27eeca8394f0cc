"""Pictures as they arrive: measured from their header, decoded within bounds, resized by rule.

The size is read from the header before any decoder runs, so that a small file cannot ask for
a large piece of memory.
"""

import struct
import threading
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from nbvision.geometry import Size, Tier, resized_size
from nbvision.practice.rejections import Rejected

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

__all__ = ["Picture", "read_header", "see"]

_SIDE_LIMIT = 8000
_LARGE = 12_000_000  # pixels from which pictures are decoded one at a time
_ORIENTATION = 0x0112
_SIDES_SWAPPED = (5, 6, 7, 8)
_one_large = threading.Lock()


@dataclass(frozen=True, slots=True)
class Picture:
    """One image block, before it is decoded.

    Attributes
    ----------
    data
        The file's bytes.
    media_type
        What the bytes are.
    size
        Stored width and height in pixels, from the header.
    place
        Where it stands: ``messages.0.content.1``.
    refuses_resizing
        Whether ``transformations.oversized_image`` is ``"error"``.
    label
        The short text that stands before it, if any.
    turn
        The number of its message.
    is_named
        Whether a file holds it: rejections then say no place.
    """

    data: bytes
    media_type: str
    size: Size
    place: str
    refuses_resizing: bool
    label: str
    turn: int
    is_named: bool = False

    @property
    def said_place(self) -> str:
        """Its place as rejections say it."""
        return "" if self.is_named else self.place


def read_header(data: bytes) -> tuple[str, Size] | None:
    """Return media type and stored size, or None if the bytes are no picture that is taken.

    >>> read_header(b"GIF89a" + bytes([44, 1, 200, 0]))
    ('image/gif', Size(width=300, height=200))
    """
    try:
        return _header_of(data)
    except (struct.error, IndexError):
        return None


def see(picture: Picture, tier: Tier) -> "np.ndarray":
    """Return the pixels a model of this tier looks at: RGB, upright, resized, unpadded.

    Raises
    ------
    Rejected
        400, if the bytes cannot be decoded.
    """
    if picture.size.pixels >= _LARGE:
        with _one_large:
            return _decoded(picture, tier)
    return _decoded(picture, tier)


def check_sides(picture: Picture, *, is_one_of_many: bool) -> None:
    """Refuse a picture with a side above the documented limits.

    Raises
    ------
    Rejected
        400.
    """
    where = f"{picture.place}.image.source.base64.data: " if picture.said_place else ""
    if picture.size.long_edge > _SIDE_LIMIT:
        raise Rejected(
            400,
            f"{where}At least one of the image dimensions exceed max allowed size: "
            f"{_SIDE_LIMIT} pixels",
        )
    if is_one_of_many and picture.size.long_edge > 2000:  # noqa: PLR2004 - documented
        raise Rejected(
            400,
            f"{where}At least one of the image dimensions exceed max allowed size for "
            "many-image requests: 2000 pixels",
        )


def check_fit(picture: Picture, tier: Tier) -> None:
    """Refuse a picture that would be resized although its block forbids it.

    Raises
    ------
    Rejected
        400, with its size and the largest that fits.
    """
    if picture.refuses_resizing and not tier.fits(picture.size):
        largest = resized_size(picture.size, tier)
        width, height = picture.size
        raise Rejected(
            400,
            f"{picture.said_place or 'messages'}: image is {width}x{height} pixels and "
            f"would be resized; the largest size that fits is {largest.width}x{largest.height}",
        )


def _decoded(picture: Picture, tier: Tier) -> "np.ndarray":
    import numpy as np
    from PIL import Image

    try:
        upright, is_turned = _upright(picture, tier)
    except Exception as error:
        # Hostile bytes: whatever a decoder raises, the picture is of no use.
        raise Rejected(
            400, f"{picture.said_place or 'messages'}: Could not process image"
        ) from error
    width, height = picture.size
    seen = resized_size(Size(height, width) if is_turned else picture.size, tier)
    if upright.size != tuple(seen):
        upright = upright.resize(seen, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(upright)


def _upright(picture: Picture, tier: Tier) -> tuple["Image.Image", bool]:
    """Return the picture as RGB, upright, perhaps at a smaller scale, and if its sides swapped."""
    from PIL import Image, ImageOps

    kind = picture.media_type.removeprefix("image/").upper()
    with Image.open(BytesIO(picture.data), formats=[kind]) as opened:
        if opened.size != tuple(picture.size):
            raise ValueError("the decoder and the header disagree on the size")
        # JPEG can leave detail out while decoding; at least the size that is needed stays.
        opened.draft("RGB", resized_size(picture.size, tier))
        orientation = _orientation(opened)
        upright = ImageOps.exif_transpose(opened) if orientation in range(2, 9) else opened
        return _flattened(upright), orientation in _SIDES_SWAPPED


def _orientation(image: "Image.Image") -> object:
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, OSError, KeyError, TypeError):
        return 1  # damaged notes about a picture do not damage the picture


def _flattened(image: "Image.Image") -> "Image.Image":
    """Return RGB: transparent over white, 16 bits scaled to 8."""
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I"):
        scaled = np.asarray(image).astype(np.uint32) >> 8
        return Image.fromarray(scaled.clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def _header_of(data: bytes) -> tuple[str, Size] | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
        return _sized("image/png", *struct.unpack(">II", data[16:24]))
    if data[:6] in {b"GIF87a", b"GIF89a"}:
        return _sized("image/gif", *struct.unpack("<HH", data[6:10]))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _sized("image/webp", *_webp_size(data))
    if data.startswith(b"\xff\xd8\xff"):
        return _sized("image/jpeg", *_jpeg_size(data))
    return None


def _sized(media_type: str, width: int, height: int) -> tuple[str, Size] | None:
    return (media_type, Size(width, height)) if width > 0 and height > 0 else None


def _webp_size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        return width, int.from_bytes(data[27:30], "little") + 1 if len(data) >= 30 else 0  # noqa: PLR2004 - length of the header
    if kind == b"VP8L":
        bits = struct.unpack("<I", data[21:25])[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while True:
        if data[at] != 0xFF:  # noqa: PLR2004 - every marker begins so
            return 0, 0
        marker = data[at + 1]
        if marker == 0xFF:  # noqa: PLR2004 - filling between markers
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # noqa: PLR2004 - markers without a length
            at += 2
            continue
        # The frame header's marker; C4, C8 and CC are tables.
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:  # noqa: PLR2004
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        if marker in {0xD9, 0xDA}:
            return 0, 0
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
