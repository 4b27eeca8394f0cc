"""A `SourceImage` becomes exactly the bytes that are sent: the frame the model looks at.

Sizes come from `geometry` alone. The picture is decoded at a reduced scale where its format
can, resized with an averaging filter, turned upright last, and encoded anew: nothing of the
file but its pixels goes on.
"""

import base64
import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil
from typing import Any

from PIL import Image

from nbvision.catalogue import Model, Platform
from nbvision.decoding import guarded, turn_upright
from nbvision.errors import LimitExceeded
from nbvision.findings import Finding, Findings, Level
from nbvision.geometry import Fit, Size
from nbvision.images import DecodedFrame, SourceImage
from nbvision.markup import bundle, figure, image_tag
from nbvision.preflight import resized_note

__all__ = ["PreparedImage", "prepare_image"]

# Decoding to at least 1.25 times the target keeps text as sharp as a full decode does; at
# less, the reduced decode costs it about 10 dB (benchmarks/README.md).
_MARGIN = 1.25
# Photographs and noisy scans have hardly a pixel equal to its neighbour; drawings, screens
# and clean pages have most. Between the two lies a wide gap (tests/test_prepared.py).
_FLAT_SHARE = 0.5
_STRIPS = 4
_WORTH_STRIPS = 1_000_000  # pixels below which threads cost more than they save
_PHOTO_QUALITIES = (90, 85, 80, 75, 65, 55)
_FLAT_QUALITIES = (95, *_PHOTO_QUALITIES)


@dataclass(frozen=True, slots=True, repr=False)
class PreparedImage:
    """What the model gets of a picture, byte for byte, and how places travel back.

    Attributes
    ----------
    data
        The encoded picture that is sent; it has the size ``fit.resized``.
    media_type
        ``"image/png"`` or ``"image/jpeg"``.
    fit
        How the original became this frame; brings boxes home.
    findings
        What was done to the picture, and what the encoding cost.
    source
        The picture it was made from.
    """

    data: bytes
    media_type: str
    fit: Fit
    findings: Findings
    source: SourceImage

    @property
    def visual_tokens(self) -> int:
        """What the picture costs, in patches."""
        return self.fit.visual_tokens

    @property
    def base64_length(self) -> int:
        """Characters of base64 it is sent as; platforms limit these, not the bytes."""
        return 4 * ceil(len(self.data) / 3)

    def base64(self) -> str:
        """Return the data as it stands in the request."""
        return base64.b64encode(self.data).decode("ascii")

    @property
    def sha256(self) -> str:
        """A name for exactly these bytes, as hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def pixels(self) -> Image.Image:
        """What the bytes decode to: RGB of size ``fit.resized``."""
        with guarded(self.media_type):
            return Image.open(io.BytesIO(self.data)).convert("RGB")

    def __repr__(self) -> str:
        return (
            f"PreparedImage({self.fit.original} → {self.fit.resized}, {self.media_type}, "
            f"{len(self.data) / 1000:.0f} kB, {self.visual_tokens} visual tokens)"
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        words = (
            f"{self.source.source}: {self.fit.original} px sent as {self.fit.resized} px, "
            f"{self.media_type}, {len(self.data) / 1000:.0f} kB, {self.visual_tokens} visual tokens"
        )
        # A notebook keeps its outputs: it gets a picture of the frame, not the frame's bytes.
        small = self.pixels
        small.thumbnail((1000, 1000))
        data = io.BytesIO()
        small.save(data, "JPEG", quality=85)
        tag = image_tag(data.getvalue(), "image/jpeg", alt=f"What is sent of {words}")
        shown = figure(tag, words)
        return bundle(f"{words}\n{self.findings}", markup=shown)


def prepare_image(
    image: SourceImage, model: Model, platform: Platform, *, exact: bool = False
) -> PreparedImage:
    """Resize and encode a picture for a model at a place.

    Flat graphics and clean text become PNG if they came without loss, else JPEG at quality 95;
    photographs JPEG at 90; always without chroma subsampling. Within the platform's limit
    the quality steps down as far as 55; the size is never
    changed beyond what the service itself would do.

    Parameters
    ----------
    image
        The picture.
    model
        Its tier decides the size.
    platform
        Its limits decide how many bytes there may be.
    exact
        Resize from the full decode, whatever it costs in time and memory.

    Raises
    ------
    DamagedImage
        If the picture does not decode.
    LimitExceeded
        If even the lowest quality is over the platform's limit.
    """
    fit = Fit.of(image.size, model.tier, crop_origin=image.crop_origin)
    frame = _resized(image, fit, exact=exact)
    is_flat = _is_flat(frame)
    if is_flat and image.format == "JPEG" and not exact:
        # Drawings and text lose most by a reduced decode, and are rare as JPEG.
        frame = _resized(image, fit, exact=True)
    best = (_FLAT_QUALITIES if is_flat else _PHOTO_QUALITIES)[0]
    lossless = image.is_lossless_source
    for media_type, quality, data in _encodings(frame, is_flat=is_flat, is_lossless=lossless):
        if not _is_over(len(data), platform):
            findings = Findings((*image.findings, *_notes(fit, media_type, quality, data, best)))
            return PreparedImage(data, media_type, fit, findings, image)
    raise LimitExceeded(
        f"{image.source} has {len(data) / 1e6:.1f} MB at {fit.resized} and the lowest quality",
        limit=_limit_in_words(platform),
        cure="send a crop, or a smaller picture",
    )


def _resized(image: SourceImage, fit: Fit, *, exact: bool) -> Image.Image:
    width, height = fit.resized
    at_least = None if exact else Size(ceil(width * _MARGIN), ceil(height * _MARGIN))
    decoded = image.decode(at_least)
    sideways = decoded.orientation >= 5  # noqa: PLR2004 - EXIF: from 5 on the sides are swapped
    stored = (height, width) if sideways else (width, height)
    with guarded(image.format):
        return turn_upright(_lanczos(decoded, stored), decoded.orientation)


def _lanczos(decoded: DecodedFrame, size: tuple[int, int]) -> Image.Image:
    """Resize a frame, large ones in strips on threads: Pillow lets go of the interpreter.

    Each strip reads beyond its own rows as far as the filter reaches, so that the strips join
    without a seam.
    """
    image, (left, top, right, bottom) = decoded.image, decoded.box
    width, height = size
    count = min(_STRIPS, height)
    if (right - left) * (bottom - top) < _WORTH_STRIPS:
        return image.resize(size, Image.Resampling.LANCZOS, box=decoded.box)
    edges = [height * number // count for number in range(count + 1)]
    scale = (bottom - top) / height

    def strip(number: int) -> Image.Image:
        first, last = edges[number], edges[number + 1]
        box = (left, top + first * scale, right, min(bottom, top + last * scale))
        return image.resize((width, last - first), Image.Resampling.LANCZOS, box=box)

    resized = Image.new("RGB", size)
    with ThreadPoolExecutor(count) as pool:
        for number, piece in enumerate(pool.map(strip, range(count))):
            resized.paste(piece, (0, edges[number]))
    return resized


def _is_flat(frame: Image.Image) -> bool:
    """Whether most pixels equal their right-hand neighbour; looks at every eighth row."""
    import numpy as np

    rows = np.asarray(frame)[::8]
    if rows.shape[1] == 1:
        rows = np.asarray(frame).transpose(1, 0, 2)
    same = (rows[:, 1:] == rows[:, :-1]).all(axis=2)
    return bool(same.size == 0 or same.mean() >= _FLAT_SHARE)


def _encodings(
    frame: Image.Image, *, is_flat: bool, is_lossless: bool
) -> Iterator[tuple[str, int | None, bytes]]:
    """Yield media type, quality (None for lossless) and bytes, the best first."""
    # What a JPEG has lost, a PNG of it does not bring back; it only costs time and bytes.
    if is_flat and is_lossless:
        data = io.BytesIO()
        frame.save(data, "PNG", compress_level=3)
        yield "image/png", None, data.getvalue()
    for quality in _FLAT_QUALITIES if is_flat else _PHOTO_QUALITIES:
        data = io.BytesIO()
        frame.save(data, "JPEG", quality=quality, subsampling=0)
        yield "image/jpeg", quality, data.getvalue()


def _is_over(size_bytes: int, platform: Platform) -> bool:
    if platform.image_raw_limit is not None and size_bytes > platform.image_raw_limit:
        return True
    limit = platform.image_base64_limit
    return limit is not None and 4 * ceil(size_bytes / 3) > limit


def _limit_in_words(platform: Platform) -> str:
    if platform.image_raw_limit is not None:
        return f"{platform.image_raw_limit / 1e6:.2f} MB on {platform.name}"
    return f"{(platform.image_base64_limit or 0) / 1e6:.0f} MB of base64 on {platform.name}"


def _notes(
    fit: Fit, media_type: str, quality: int | None, data: bytes, best: int
) -> Iterator[Finding]:
    yield from resized_note(fit)
    how = "flat graphics or text, so PNG" if quality is None else f"JPEG at quality {quality}"
    level: Level = "info" if quality in {None, best} else "warn"
    cure = "" if level == "info" else "the byte limit asked for it; a crop keeps more"
    yield Finding("encoded", level, f"{how}, {len(data) / 1000:.0f} kB as {media_type}", cure=cure)
