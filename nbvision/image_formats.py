"""What kind of picture some bytes are, and whether they hold together: headers only.

The bytes decide, never a name or a declared type. Nothing here decodes a picture, so nothing
here can be made to allocate what a header promises.
"""

import re
import struct
import zlib
from collections.abc import Iterator

from nbvision.errors import DamagedImage, ImageError, ImageTooLarge, UnsupportedImage
from nbvision.geometry import Size

__all__ = [
    "FORMATS",
    "check_size",
    "declared_sizes",
    "is_decoded_by_rows",
    "png_orientation_chunk",
    "recognise",
    "require_whole",
]

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIC")

# JPEGs that are decoded by rows do so at a reduced scale in little memory; all else is
# decoded whole, at four bytes a pixel. The smaller figure is Pillow's own line for a
# decompression bomb.
_MAX_PIXELS_REDUCIBLE = 250_000_000
_MAX_PIXELS_WHOLE = 89_478_485
_MAX_PIXELS_ANIMATED_WEBP = 20_000_000  # its decoder takes 16 bytes a pixel for one frame
# Files of a few MB can hold millions of empty parts, each of which costs a reader time and
# memory; a camera writes some hundreds. The pixels of a GIF come in parts of 255 bytes.
_MAX_PARTS = 100_000
_MAX_PARTS_GIF = 1_000_000
_MAX_SCANS = 200  # passes over all pixels; encoders write about ten
# Within a JPEG's pixels FF is followed by 00 or D0 to D7; one of these begins a segment.
_NEXT_SEGMENT = re.compile(rb"\xff[\xc4\xcc\xd9-\xdd\xe0-\xef\xfe]")

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
        If the end is missing, a checksum does not agree, or it consists of more parts than
        any picture needs.
    ImageTooLarge
        If it is an animation of more pixels than its decoder can hold in little memory.
    """
    if kind == "PNG":
        for _ in _png_chunks(data):
            pass
    elif kind == "JPEG":
        _require_whole_jpeg(data)
    elif kind == "GIF":
        _require_whole_gif(data)
    elif kind in {"WEBP", "BMP"} and len(data) < _stated_length(data, kind):
        raise _cut_off(kind)
    elif kind == "WEBP":
        _check_animation(data)


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
        elif fourcc == b"VP8 " and len(data) >= 30:
            width, height = struct.unpack("<HH", data[26:30])
            yield width & 0x3FFF, height & 0x3FFF
    elif kind in {"AVIF", "HEIC"}:
        at = data.find(b"ispe", 0, 1 << 16)
        while at >= 0:
            if at + 16 <= len(data):
                width, height = struct.unpack(">II", data[at + 8 : at + 16])
                yield width, height
            at = data.find(b"ispe", at + 4, 1 << 16)


def is_decoded_by_rows(data: bytes) -> bool:
    """Whether a JPEG holds all colours in one pass; else its decoder keeps every coefficient."""
    components = 0
    for marker, at in _jpeg_segments(data):
        if marker in {0xC0, 0xC1} and at + 9 < len(data):
            components = data[at + 9]
        elif marker == 0xDA:
            return 0 < components == data[at + 4]
    return False


def png_orientation_chunk(data: bytes) -> bytes:
    """Return a PNG's EXIF block, wherever it stands in the file; empty if there is none."""
    return next((body for name, body in _png_chunks(data) if name == b"eXIf"), b"")


def _check_animation(data: bytes) -> None:
    is_animated = data[12:16] == b"VP8X" and len(data) > 20 and data[20] & 0x02
    for width, height in declared_sizes(data, "WEBP"):
        if is_animated and width * height > _MAX_PIXELS_ANIMATED_WEBP:
            raise ImageTooLarge(
                f"an animation of {width} × {height}",
                limit=f"{_MAX_PIXELS_ANIMATED_WEBP / 1e6:.0f} megapixels for animated WebP",
                cure="save the frame you need as PNG",
            )


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
    for _ in range(_MAX_PARTS):
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
        if name == b"IEND":
            break
    else:
        raise _too_many_parts("PNG", "chunks", _MAX_PARTS)
    if b"IDAT" not in seen:
        raise DamagedImage("a PNG without pixels", cure="export it again")


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (marker, position) of each segment up to and with the end of the first picture."""
    at = 2
    for _ in range(_MAX_PARTS):
        if at + 2 > len(data) or data[at] != 0xFF:
            return
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        yield marker, at
        if marker == 0xD9:
            return
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            found = _NEXT_SEGMENT.search(data, at)
            at = found.start() if found else len(data)
    raise _too_many_parts("JPEG", "segments", _MAX_PARTS)


def _require_whole_jpeg(data: bytes) -> None:
    markers = [marker for marker, _ in _jpeg_segments(data)]
    scans = markers.count(0xDA)
    if not scans or markers[-1] != 0xD9:
        raise _cut_off("JPEG")
    if scans > _MAX_SCANS:
        raise _too_many_parts("JPEG", "scans", _MAX_SCANS)


def _require_whole_gif(data: bytes) -> None:
    """Walk to the second frame, which is as far as the decoder is let."""
    at, frames = 13 + _gif_colours(data, 10), 0
    for _ in range(_MAX_PARTS_GIF):
        if at >= len(data) or data[at] == 0x3B or frames == 2:
            break
        if data[at] == 0x2C:
            frames += 1
            at = _after_blocks(data, at + 11 + _gif_colours(data, at + 9))
            if frames == 1 and at > len(data):
                raise _cut_off("GIF")
        else:
            at = _after_blocks(data, at + 2) if data[at] == 0x21 else at + 1
    else:
        raise _too_many_parts("GIF", "blocks", _MAX_PARTS_GIF)
    if not frames:
        raise _cut_off("GIF")


def _after_blocks(data: bytes, at: int) -> int:
    """Return where a GIF's chain of blocks has ended; past the data if it has not."""
    for _ in range(_MAX_PARTS_GIF):
        if at >= len(data):
            return len(data) + 1
        if data[at] == 0:
            return at + 1
        at += 1 + data[at]
    raise _too_many_parts("GIF", "blocks", _MAX_PARTS_GIF)


def _gif_colours(data: bytes, flags_at: int) -> int:
    """Return how many bytes the table of colours takes, from the byte with its flags."""
    flags = data[flags_at] if flags_at < len(data) else 0
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _too_many_parts(kind: str, parts: str, limit: int) -> DamagedImage:
    return DamagedImage(
        f"a {kind} of more {parts} than a picture needs",
        limit=f"{limit:,}",
        cure="export it again",
    )


def _cut_off(kind: str) -> DamagedImage:
    return DamagedImage(f"a {kind} that is cut off", cure="download or copy the file again")
