"""What kind of picture some bytes are, and whether they hold together: headers only.

The bytes decide, never a name or a declared type. Nothing here decodes a picture, so nothing
here can be made to allocate what a header promises.
"""

import struct
import zlib
from collections.abc import Iterator

from nbvision.errors import DamagedImage, ImageError, ImageTooLarge, UnsupportedImage
from nbvision.geometry import Size

__all__ = ["FORMATS", "check_size", "png_orientation_chunk", "recognise", "require_whole"]

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIC")

# Baseline JPEGs decode at a reduced scale in little memory; all else is decoded whole, at
# four bytes a pixel. The smaller figure is Pillow's own line for a decompression bomb.
_MAX_PIXELS_REDUCIBLE = 250_000_000
_MAX_PIXELS_WHOLE = 89_478_485

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_NAMED = (
    (b"%PDF", "a PDF document", "render the page to a picture first"),
    (b"%!PS", "PostScript", "render it to PNG first"),
    (b"\xc5\xd0\xd3\xc6", "PostScript (EPS)", "render it to PNG first"),
    (b"PK\x03\x04", "a ZIP archive", "unpack it and give the picture inside"),
    (b"<svg", "an SVG drawing", "render it to PNG first"),
    (b"<?xml", "XML, perhaps an SVG drawing", "render it to PNG first"),
    (b"<!doctype html", "an HTML page", "give the address of the picture itself"),
    (b"<html", "an HTML page", "give the address of the picture itself"),
    (b"\x00\x00\x00\x0cjP", "JPEG 2000", "convert it to PNG"),
    (b"\xff\x0a", "JPEG XL", "convert it to PNG"),
    (b"\x00\x00\x00\x0cJXL", "JPEG XL", "convert it to PNG"),
    (b"8BPS", "a Photoshop file", "export it as PNG"),
)


def recognise(data: bytes) -> str:
    r"""Return the format that these bytes begin like: one of `FORMATS`.

    Raises
    ------
    UnsupportedImage
        If they begin like anything else; the error says like what.

    Examples
    --------
    >>> recognise(b"\x89PNG\r\n\x1a\n")
    'PNG'
    """
    head = data[:32]
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")):
        return "TIFF"
    if head.startswith(b"BM"):
        return "BMP"
    if head[4:8] == b"ftyp":
        return _recognise_heif(data)
    raise _not_a_picture(data)


def require_whole(data: bytes, kind: str) -> None:
    """Refuse bytes that are cut off or altered, as far as the headers tell.

    Raises
    ------
    DamagedImage
        If the end is missing, or a checksum does not agree.
    """
    if kind == "PNG":
        for _ in _png_chunks(data):
            pass
    elif kind == "JPEG":
        _require_whole_jpeg(data)
    elif kind in {"WEBP", "BMP"} and len(data) < _stated_length(data, kind):
        raise _cut_off(kind)


def check_size(size: tuple[int, int], *, is_reducible: bool) -> Size:
    """Return the size, or refuse it before a pixel is decoded.

    Raises
    ------
    DamagedImage
        If a side is zero.
    ImageTooLarge
        If there are more pixels than this package decodes.
    """
    found = Size(*size)
    if found.width < 1 or found.height < 1:
        raise DamagedImage(f"a picture of {found} pixels", cure="export it again")
    limit = _MAX_PIXELS_REDUCIBLE if is_reducible else _MAX_PIXELS_WHOLE
    if found.pixels > limit:
        raise ImageTooLarge(
            f"{found} is {found.pixels / 1e6:,.0f} megapixels",
            limit=f"{limit / 1e6:.0f} megapixels for this format",
            cure="crop or shrink it first; the model looks at 9 megapixels at most",
        )
    return found


def declared_sizes(data: bytes, kind: str) -> Iterator[tuple[int, int]]:
    """Yield the sizes that a WebP or AVIF header states, before a decoder trusts them."""
    if kind == "WEBP":
        fourcc = data[12:16]
        if fourcc == b"VP8X" and len(data) >= 30:
            width, height = (int.from_bytes(data[i : i + 3], "little") + 1 for i in (24, 27))
            yield width, height
        elif fourcc == b"VP8L" and len(data) >= 25:
            bits = int.from_bytes(data[21:25], "little")
            yield (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind in {"AVIF", "HEIC"}:
        at = data.find(b"ispe", 0, 1 << 16)
        while at >= 0:
            if at + 16 <= len(data):
                width, height = struct.unpack(">II", data[at + 8 : at + 16])
                yield width, height
            at = data.find(b"ispe", at + 4, 1 << 16)


def is_progressive(data: bytes) -> bool:
    """Whether a JPEG is progressive: its decoder then holds every coefficient at once."""
    return any(marker == 0xC2 for marker, _ in _jpeg_segments(data))


def png_orientation_chunk(data: bytes) -> bytes:
    """Return a PNG's EXIF block, wherever it stands in the file; empty if there is none."""
    return next((body for name, body in _png_chunks(data) if name == b"eXIf"), b"")


def _stated_length(data: bytes, kind: str) -> int:
    at, extra = (4, 8) if kind == "WEBP" else (2, 0)
    return int.from_bytes(data[at : at + 4], "little") + extra


def _recognise_heif(data: bytes) -> str:
    length = min(struct.unpack(">I", data[:4])[0], 256)
    brands = {data[8:12], *(data[i : i + 4] for i in range(16, min(length, len(data)), 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & _HEIC_BRANDS:
        return "HEIC"
    raise UnsupportedImage("a video or sound container, not a picture", cure="give one frame")


def _not_a_picture(data: bytes) -> ImageError:
    if not data:
        return UnsupportedImage("no bytes at all", cure="check that the file was written")
    start = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for head, name, cure in _NAMED:
        if start.startswith(head.lower()):
            return UnsupportedImage(f"this is {name}", limit=", ".join(FORMATS), cure=cure)
    return UnsupportedImage(
        "these bytes do not begin like a picture",
        limit=", ".join(FORMATS),
        cure="convert it to PNG or JPEG",
    )


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, seen = 8, set()
    while b"IEND" not in seen:
        if at + 12 > len(data):
            raise _cut_off("PNG")
        length, name = struct.unpack(">I4s", data[at : at + 8])
        end = at + 12 + length
        if end > len(data):
            raise _cut_off("PNG")
        body = memoryview(data)[at + 8 : end - 4]
        checksum = zlib.crc32(body, zlib.crc32(name))
        # Ancillary chunks (lower-case first letter) carry no pixels; viewers ignore them too.
        if name[:1].isupper() and checksum != struct.unpack(">I", data[end - 4 : end])[0]:
            raise DamagedImage(
                f"a PNG whose {name.decode('latin-1')!r} chunk was altered: its checksum disagrees",
                cure="export or download it again",
            )
        yield name, bytes(body) if name == b"eXIf" else b""
        seen.add(name)
        at = end
    if b"IDAT" not in seen:
        raise DamagedImage("a PNG without pixels", cure="export it again")


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (marker, position) of each segment up to and with the first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        yield marker, at
        if marker == 0xDA:
            return
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def _require_whole_jpeg(data: bytes) -> None:
    scan = next((at for marker, at in _jpeg_segments(data) if marker == 0xDA), None)
    # An FF within the scan's data is always followed by 00, so a later FF D9 is the end.
    if scan is None or data.find(b"\xff\xd9", scan) < 0:
        raise _cut_off("JPEG")


def _cut_off(kind: str) -> DamagedImage:
    return DamagedImage(f"a {kind} that is cut off", cure="download or copy the file again")
