"""Pictures made to be right, and pictures made to do harm."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageCms
from pillow_heif import from_pillow

ORIENTATION = 0x0112

# Code that prints its own process's peak memory in MB. Not ru_maxrss: a child inherits that
# of the process that started it.
PEAK = "int(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1]) // 1024"


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def quadrants(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Red, green, blue and white quarters: any turn or flip shows."""
    width, height = size
    image = Image.new("RGB", size, "white")
    image.paste("red", (0, 0, width // 2, height // 2))
    image.paste("lime", (width // 2, 0, width, height // 2))
    image.paste("blue", (0, height // 2, width // 2, height))
    return image


def noise(size: tuple[int, int] = (64, 48)) -> Image.Image:
    values = np.random.default_rng(7).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def heic(image: Image.Image) -> bytes:
    data = io.BytesIO()
    from_pillow(image).save(data)
    return data.getvalue()


def valid_files() -> dict[str, bytes]:
    """One small file of each kind that is taken."""
    image = quadrants()
    return {
        "png": saved(image, "PNG"),
        "png palette": saved(image.convert("P"), "PNG", transparency=0),
        "png 16 bit": saved(Image.fromarray(np.full((4, 6), 40000, np.uint16)), "PNG"),
        "png alpha": saved(image.convert("RGBA"), "PNG"),
        "jpeg": saved(image, "JPEG"),
        "jpeg progressive": saved(noise(), "JPEG", progressive=True),
        "jpeg cmyk": saved(image.convert("CMYK"), "JPEG"),
        "gif": saved(image, "GIF"),
        "webp": saved(image, "WEBP"),
        "webp lossless": saved(image, "WEBP", lossless=True),
        "bmp": saved(image, "BMP"),
        "tiff": saved(image, "TIFF"),
        "tiff packed": saved(image, "TIFF", compression="tiff_lzw"),
        "avif": saved(image, "AVIF"),
        "heic": heic(image),
    }


def png_chunk(name: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)


def png_of(width: int, height: int, *chunks: bytes, pixels: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [png_chunk(b"IHDR", header), *chunks, png_chunk(b"IDAT", zlib.compress(pixels, 9))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + png_chunk(b"IEND", b"")


def hostile_files() -> Iterator[tuple[str, bytes]]:
    """Yield files that promise more than they are, or are not what they say."""
    yield "nothing", b""
    yield "one byte", b"\x89"
    yield "png bomb", png_of(30_000, 30_000, pixels=b"\0" * 1_000_000)
    yield "png of no width", png_of(0, 10)
    yield (
        "png text bomb",
        png_of(
            4,
            4,
            png_chunk(b"zTXt", b"k\0\0" + zlib.compress(b"A" * 100_000_000, 9)),
            pixels=b"\0" * 3,
        ),
    )
    yield (
        "png without pixels",
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0))
        + png_chunk(b"IEND", b""),
    )
    yield "webp bomb", b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\xff\xff\xff\x0f" + b"\0" * 9
    yield "gif bomb", b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\0\0\0;"
    yield (
        "bmp bomb",
        saved(quadrants((4, 4)), "BMP")[:18] + struct.pack("<ii", 60_000, 60_000) + b"\0" * 60,
    )
    yield "tiff bomb", saved(quadrants((4, 4)), "TIFF").replace(b"\x04\0\0\0", b"\xff\xff\0\0")
    yield "webp lossy bomb", _declared(saved(quadrants(), "WEBP"), 26, "<HH", 16383, 16383)
    moving = saved(quadrants(), "WEBP", save_all=True, append_images=[noise()])
    yield "animated webp bomb", _declared(moving, 24, "<HBHB", 9998, 0, 7999, 0)
    yield "png of a million chunks", png_of(4, 4, png_chunk(b"abCd", b"") * 1_000_000)
    yield "png of a million empty pixel chunks", png_of(4, 4, png_chunk(b"IDAT", b"") * 1_000_000)
    yield "zeros after a png's name", b"\x89PNG\r\n\x1a\n" + bytes(50_000_000)
    jpeg = saved(noise(), "JPEG", progressive=True)
    yield "jpeg of a million segments", jpeg[:2] + b"\xff\xfe\0\2" * 1_000_000 + jpeg[2:]
    scan = jpeg[jpeg.rindex(b"\xff\xda") :][:20]
    yield "jpeg of 3000 scans", jpeg[:-2] + scan * 3000 + b"\xff\xd9"
    large = _declared(jpeg, jpeg.index(b"\xff\xc2") + 5, ">HH", 3800, 65500)
    yield "progressive jpeg bomb", large
    yield "arithmetic progressive jpeg bomb", large.replace(b"\xff\xc2", b"\xff\xca", 1)
    yield "gif of endless comments", b"GIF89a\1\0\1\0\0\0\0" + b"\x21\xfe\1a\0" * 1_100_000
    yield "gif of one endless comment", b"GIF89a\1\0\1\0\0\0\0\x21\xfe" + b"\1a" * 1_100_000
    yield "gif cut", saved(noise(), "GIF")[:-40]
    yield "avif of nothing", b"\0\0\0\x20ftypavif" + b"\0" * 60
    yield "heic of nothing", b"\0\0\0\x20ftypheic" + b"\0" * 60
    yield "video", b"\0\0\0\x20ftypmp42" + b"\0" * 60
    yield "svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    yield "svg with a preamble", b'\xef\xbb\xbf  <?xml version="1.0"?><svg/>'
    yield "pdf", b"%PDF-1.7\n"
    yield "eps", b"%!PS-Adobe-3.0 EPSF-3.0\n"
    yield "zip", b"PK\x03\x04" + b"\0" * 30
    yield "html", b"<!DOCTYPE html><html></html>"
    yield "text", b"not a picture at all"
    yield "jpeg header alone", b"\xff\xd8\xff\xe0\0\x10JFIF\0"
    yield "jpeg without an end", saved(noise(), "JPEG")[:-40]
    yield "png cut", saved(noise(), "PNG")[:-40]
    flipped = bytearray(saved(noise(), "PNG"))
    flipped[len(flipped) // 2] ^= 1
    yield "png with one bit flipped", bytes(flipped)
    yield "webp cut", saved(noise(), "WEBP")[:-40]
    yield "tiff cut", saved(noise(), "TIFF")[:-400]


def _declared(data: bytes, at: int, layout: str, *sides: int) -> bytes:
    """The same file with another size written in its header."""
    stated = struct.pack(layout, *sides)
    return data[:at] + stated + data[at + len(stated) :]


def swapped_profile() -> bytes:
    """A colour profile in which red is blue: applied or not, one sees it."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
