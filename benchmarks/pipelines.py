"""How a file becomes what is sent: ours, and what people would use instead.

Each takes a path and the size of the frame, and returns the encoded bytes.
"""

import base64
import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageOps

import nbvision as nv

Pipeline = Callable[[Path, tuple[int, int], str], bytes]


def ours(path: Path, _: tuple[int, int], model: str) -> bytes:
    return nv.prepare(path, model=model).data


def naive(path: Path, size: tuple[int, int], _: str) -> bytes:
    """Do what a careful person writes with Pillow."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    data = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(data, "JPEG", quality=90)
    return data.getvalue()


def thumbnail(path: Path, size: tuple[int, int], _: str) -> bytes:
    """Pillow's own shortcut: bicubic from a reduced decode."""
    image = Image.open(path)
    image.thumbnail((max(size), max(size)))
    data = io.BytesIO()
    ImageOps.exif_transpose(image).convert("RGB").resize(size).save(data, "JPEG", quality=90)
    return data.getvalue()


def pyvips_thumbnail(path: Path, size: tuple[int, int], _: str) -> bytes:
    """Use the fastest library there is for this, at its best setting."""
    import pyvips

    image = pyvips.Image.thumbnail(str(path), size[0], height=size[1], size="force")
    encoded: bytes = image.write_to_buffer(".jpg", Q=90, keep="none")
    return encoded


def as_it_is(path: Path, _: tuple[int, int], __: str) -> bytes:
    """Read the file and encode it, as LLM frameworks do."""
    data = path.read_bytes()
    base64.b64encode(data)
    return data


PIPELINES: dict[str, Pipeline] = {
    "naive Pillow": naive,
    "nbvision": ours,
    "Pillow thumbnail()": thumbnail,
    "pyvips": pyvips_thumbnail,
    "file as it is": as_it_is,
}
