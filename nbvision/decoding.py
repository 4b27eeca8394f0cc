"""Bytes to right-looking RGB pixels: every mode, every orientation, at full or reduced scale.

Pillow does the decoding, by the classes named here and no others. Hostile bytes can make a
decoder raise almost anything, so `guarded` is the one edge where everything it raises becomes
an error of ours.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageCms, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from nbvision.errors import DamagedImage, ImageError, NbvisionError, UnsupportedImage
from nbvision.findings import Finding
from nbvision.geometry import Size
from nbvision.image_formats import (
    check_size,
    declared_sizes,
    is_decoded_by_rows,
    png_orientation_chunk,
    recognise,
    require_whole,
)

__all__ = [
    "Decoded",
    "Encoded",
    "guarded",
    "notes_on",
    "open_bytes",
    "orientation_of",
    "to_rgb",
    "turn_upright",
    "turned_note",
]

_CLASSES: dict[str, Any] = {
    "PNG": PngImageFile,
    "JPEG": JpegImageFile,
    "GIF": GifImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
    "TIFF": TiffImageFile,
    "AVIF": AvifImageFile,
}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
_MAX_PROFILE_BYTES = 4_000_000
_STANDARD_STEPS = 3685  # sum of the standard's table for light
_STRONG_STEPS = _STANDARD_STEPS * 50 / 35
_PROFILE_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}
_BAND = 1_000_000  # values that are scaled at a time
# Pillow remarks on odd metadata; that is said in findings, or in an error, where it matters.
_REMARKS = r"PIL\.(Tiff|Png)ImagePlugin"


@dataclass(frozen=True, slots=True)
class Encoded:
    """A picture as bytes, decoded anew each time it is asked for.

    Attributes
    ----------
    size
        Stored width and height in pixels, before the orientation is applied.
    orientation
        EXIF orientation, 1 to 8.
    frames
        1, or more than 1 for an animation or several pages; GIF and TIFF are read only as
        far as the second.
    """

    data: bytes
    kind: str
    size: Size
    mode: str
    orientation: int
    frames: int

    def decode(self, at_least: Size | None) -> Image.Image:
        """Return RGB pixels as stored, reduced by a whole factor if the format can.

        Parameters
        ----------
        at_least
            Smallest stored size in pixels that will do; None for full size.

        Raises
        ------
        DamagedImage
            If the bytes do not decode.
        """
        with guarded(self.kind):
            image = _open(self.data, self.kind)
            if at_least is not None and isinstance(image, JpegImageFile):
                image.draft(None, at_least)
            image.load()
            rgb = to_rgb(image)
            # Pillow writes what stands in info, such as a comment, into whatever it saves.
            rgb.info = {}
            return rgb


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture that came as pixels; RGB, upright."""

    image: Image.Image
    mode: str
    kind: str = "pixels"
    orientation: int = 1
    frames: int = 1

    @property
    def size(self) -> Size:
        """Width and height in pixels."""
        return Size(*self.image.size)

    def decode(self, at_least: Size | None) -> Image.Image:  # noqa: ARG002 - the same as Encoded's
        """Return the pixels."""
        return self.image


@contextmanager
def guarded(kind: str) -> Iterator[None]:
    """Turn whatever a decoder raises into `DamagedImage`; ours pass through.

    Raises
    ------
    DamagedImage
        For anything but an error of this package.
    """
    failure: NbvisionError | None = None
    _hush_remarks()
    try:
        yield
    except NbvisionError:
        raise
    except MemoryError:
        failure = DamagedImage(f"a {kind} that asks for more memory than there is")
    except Exception as error:  # noqa: BLE001 - the edge: a decoder given hostile bytes raises anything
        failure = DamagedImage(
            f"a {kind} that does not decode: {type(error).__name__}",
            cure="export it again, as PNG or JPEG",
        )
    if failure is not None:
        raise failure


def _hush_remarks() -> None:
    """Keep Pillow's remarks out of the notebook; filters cannot be undone among threads."""
    entry = ("ignore", None, UserWarning, re.compile(_REMARKS), 0)
    if entry not in warnings.filters:
        warnings.filterwarnings("ignore", category=UserWarning, module=_REMARKS)


def open_bytes(data: bytes) -> tuple[Encoded, list[Finding]]:
    """Return a picture's bytes with what their header says, checked to hold together.

    Raises
    ------
    UnsupportedImage, DamagedImage, ImageTooLarge
        Before anything large is allocated.
    """
    kind = recognise(data)
    with guarded(kind):
        require_whole(data, kind)
        for stated in declared_sizes(data, kind):
            check_size(stated, is_reducible=False)
        reducible = kind == "JPEG" and is_decoded_by_rows(data)
        image = _open(data, kind)
        size = check_size(image.size, is_reducible=reducible)
        block = png_orientation_chunk(data) if kind == "PNG" else b""
        orientation, findings = orientation_of(image, block)
        if kind == "TIFF" and orientation > 1:
            # Pillow turns TIFF by itself, and alone of all formats.
            findings.append(turned_note(orientation))
            orientation = 1
        frames = _frames(image, kind)
        # JPEG and PNG have shown that they are whole; the others show it by decoding, and HEIC
        # shows only then how large it is.
        if kind not in {"JPEG", "PNG"}:
            image.load()
            size = check_size(image.size, is_reducible=False)
        encoded = Encoded(data, kind, size, image.mode, orientation, frames)
        return encoded, findings + notes_on(image) + _compression_note(image)


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return an image turned by an EXIF orientation, 1 to 8."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def to_rgb(image: Image.Image) -> Image.Image:
    """Return any mode as sRGB over white.

    Transparent places become white. 16-bit values are scaled, not cut. Floats from 0 to 1 are
    scaled; wide integers and floats from 0 to 255 are taken as they are; others are stretched
    from their lowest to their highest. A colour profile other than sRGB is applied.
    """
    profile = image.info.get("icc_profile")
    if image.mode == "La":
        image = image.convert("LA")
    if _is_wide(image):
        image = _from_wide_values(image)
    elif _has_transparency(image):
        image = _over_white(image.convert("RGBA"))
    elif image.mode in {"P", "1"}:
        image = image.convert("RGB")
    converted = _apply_profile(image, profile) if profile else None
    if converted is None and image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    rgb = converted or image
    return rgb if rgb.mode == "RGB" else rgb.convert("RGB")


def _open(data: bytes, kind: str) -> ImageFile.ImageFile:
    if kind == "HEIC":
        return _open_heic(data)
    image: ImageFile.ImageFile = _CLASSES[kind](io.BytesIO(data))
    return image


def _open_heic(data: bytes) -> ImageFile.ImageFile:
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise UnsupportedImage(
            "a HEIC picture, and the decoder for it is not installed",
            cure='pip install "nbvision[heic]"',
        ) from None
    image: ImageFile.ImageFile = HeifImageFile(io.BytesIO(data))  # type: ignore[no-untyped-call]
    return image


def _frames(image: Image.Image, kind: str) -> int:
    if kind in {"GIF", "TIFF"}:
        # Counting every frame of a hostile file takes as long as it likes.
        return 2 if getattr(image, "is_animated", False) else 1
    return int(getattr(image, "n_frames", 1))


def orientation_of(image: Image.Image, block: bytes = b"") -> tuple[int, list[Finding]]:
    """Return the EXIF orientation of an image or block, 1 to 8, and what is to be said of it."""
    try:
        if block:
            exif = Image.Exif()
            exif.load(block)
        else:
            exif = Image.Image.getexif(image)
        found = exif.get(_ORIENTATION, 1)
    except ImageError:
        raise
    except Exception:  # noqa: BLE001 - the edge: EXIF of hostile bytes raises anything
        note = Finding("metadata", "info", "the EXIF block cannot be read", cure="it is left out")
        return 1, [note]
    return (found if found in _TURNS else 1), []


def turned_note(orientation: int) -> Finding:
    """Return what is said of a picture that was turned."""
    return Finding("rotated", "info", f"EXIF orientation {orientation}: turned upright")


def notes_on(image: Image.Image) -> list[Finding]:
    """Return what `to_rgb` will do to an image, from its header."""
    notes = []
    if _has_transparency(image):
        notes.append(Finding("flattened", "info", "what is transparent becomes white"))
    if image.mode in {"CMYK", "LAB", "YCbCr", "HSV"} or _is_wide(image):
        notes.append(Finding("converted", "info", f"{image.mode} pixels were converted to RGB"))
    profile = image.info.get("icc_profile")
    name = _profile_name(profile, _mode_before_profile(image)) if profile else ""
    if name is None:
        words = "the colour profile cannot be read, or is for other pixels; left out"
        notes.append(Finding("profile", "info", words))
    elif profile and "srgb" not in name.lower():
        notes.append(Finding("profile", "info", "the colour profile was applied, giving sRGB"))
    return notes


def _compression_note(image: Image.Image) -> list[Finding]:
    """Say that a JPEG was compressed so strongly that details are gone; from its header."""
    tables = getattr(image, "quantization", None)
    steps = sum(tables[0]) if tables and len(tables.get(0, ())) == 64 else 0  # noqa: PLR2004 - 8 × 8
    if steps <= _STRONG_STEPS:
        return []
    # The standard's own table, scaled by 50 / quality below quality 50 (ITU-T T.81, annex K).
    quality = max(1, round(50 * _STANDARD_STEPS / steps))
    value = f"strong JPEG compression, about quality {quality}"
    return [
        Finding("low-quality", "warn", value, cure="small details may be gone; use the original")
    ]


def _is_wide(image: Image.Image) -> bool:
    return image.mode in {"I", "F"} or image.mode.startswith("I;16")


def _has_transparency(image: Image.Image) -> bool:
    return image.mode in {"LA", "La", "PA", "RGBA", "RGBa"} or "transparency" in image.info


def _over_white(image: Image.Image) -> Image.Image:
    background = Image.new("RGB", image.size, "white")
    background.paste(image, mask=image.getchannel("A"))
    return background


def _from_wide_values(image: Image.Image) -> Image.Image:
    import numpy as np

    values = np.asarray(image)
    low, high = _range_of(values, image.mode)
    factor = 255 / (high - low or 1.0)
    clear = image.info.get("transparency")
    grey = np.empty(values.shape, np.uint8)
    # Bands: at once it would take eight bytes a pixel, several times over.
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        band = values[top : top + rows].astype(np.float64)
        known = np.clip(np.nan_to_num(band, nan=low), low, high)
        scaled = np.rint((known - low) * factor).astype(np.uint8)
        if isinstance(clear, int):
            scaled[band == clear] = 255
        grey[top : top + rows] = scaled
    return Image.fromarray(grey).convert("RGB")


def _range_of(values: Any, mode: str) -> tuple[float, float]:
    """Return which values become black and white."""
    import numpy as np

    if mode not in {"I", "F"}:
        return 0.0, 65535.0
    is_finite = np.isfinite(values)
    if not is_finite.any():
        return 0.0, 1.0
    first = values.flat[int(np.argmax(is_finite))]
    low = float(np.min(values, where=is_finite, initial=first))
    high = float(np.max(values, where=is_finite, initial=first))
    # What a range holds says how it was meant: Pillow itself makes floats of 0 to 255.
    for widest in (1.0, 255.0) if mode == "F" else (255.0, 65535.0):
        if low >= 0 and high <= widest:
            return 0.0, widest
    return low, high


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Return the image in sRGB, or None where the profile does not apply or is sRGB already."""
    name = _profile_name(profile, image.mode)
    if name is None or "srgb" in name.lower():
        return None
    try:
        return ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None  # made for another mode; viewers leave it out too


def _mode_before_profile(image: Image.Image) -> str:
    is_made_rgb = _has_transparency(image) or image.mode in {"P", "1"} or _is_wide(image)
    return "RGB" if is_made_rgb else image.mode


def _profile_name(profile: bytes, mode: str) -> str | None:
    """Return how a profile calls itself, or None if it cannot be read or is for other pixels."""
    if len(profile) > _MAX_PROFILE_BYTES:
        return None
    try:
        read = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        is_fitting = read.profile.xcolor_space.strip() == _PROFILE_SPACES.get(mode)
        return str(ImageCms.getProfileDescription(read)) if is_fitting else None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
