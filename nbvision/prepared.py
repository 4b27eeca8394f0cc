"""A `SourceImage` becomes exactly the bytes that are sent: the frame the model looks at.

Sizes come from `geometry` alone. The picture is decoded at a reduced scale where its format
can, resized with an averaging filter, turned upright last, and encoded anew: nothing of the
file but its pixels goes on.
"""

import base64
import hashlib
import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil
from typing import Any

from PIL import Image

from nbvision.catalogue import Model
from nbvision.decoding import guarded, turn_upright
from nbvision.errors import LimitExceeded
from nbvision.findings import Finding, Findings
from nbvision.geometry import Fit, Size
from nbvision.images import DecodedFrame, SourceImage
from nbvision.markup import bundle, figure, image_tag
from nbvision.platforms import Platform

__all__ = [
    "PreparedImage",
    "is_over_limit",
    "limit_in_words",
    "prepare_image",
    "resized_note",
    "side_limit_of",
]

_MANY, _MANY_SIDE = 20, 2000

# How many times the target a reduced decode is at least. Against a full decode a photograph
# keeps 52 dB of light at 1.25; clean text would fall to 33 to 43 dB there, and keeps 46 or
# more at 2. Twice also bounds what a huge drawing takes: less than 4 x 4 targets of pixels.
_PHOTO_MARGIN = 1.25
_FLAT_MARGIN = 2.0
# The share of pixels that equal their right-hand neighbour, measured as decoded: photographs
# 0.07 to 0.18, one enlarged threefold 0.33, noisy scans 0.05; half a screenshot and half a
# photograph 0.50 to 0.56, pages as JPEG 0.65 to 0.82, screens, plots and drawings 0.90 to 1.
# A photograph taken for a drawing costs bytes; a page taken for a photograph costs letters.
_FLAT_SHARE = 0.4
_SAMPLED_ROWS = 256
_STRIPS = 4
_WORTH_STRIPS = 1_000_000  # pixels below which threads cost more than they save
_PHOTO_QUALITIES = (90, 85, 80, 75, 65, 55)
_FLAT_QUALITIES = (95, *_PHOTO_QUALITIES)


@dataclass(frozen=True, slots=True, repr=False, weakref_slot=True)
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

    def in_words(self) -> str:
        """Return what it is made from, and what is sent of it, as one line."""
        return (
            f"{self.source.source}: {self.fit.original} px sent as {self.fit.resized} px, "
            f"{self.media_type}, {len(self.data) / 1000:.0f} kB, {self.visual_tokens} visual tokens"
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        words = self.in_words()
        # A notebook keeps its outputs: it gets a picture of the frame, not the frame's bytes.
        small = self.pixels
        small.thumbnail((1000, 1000))
        data = io.BytesIO()
        small.save(data, "JPEG", quality=85)
        tag = image_tag(data.getvalue(), "image/jpeg", alt=f"What is sent of {words}")
        shown = figure(tag, words)
        return bundle(f"{words}\n{self.findings}", markup=shown)


def side_limit_of(count: int) -> int | None:
    """Return the longest side in pixels of a picture among so many in a request, if it has one.

    Examples
    --------
    >>> side_limit_of(20), side_limit_of(21)
    (None, 2000)
    """
    return _MANY_SIDE if count > _MANY else None


def prepare_image(
    image: SourceImage,
    model: Model,
    platform: Platform,
    *,
    exact: bool = False,
    side_limit: int | None = None,
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
        Resize from the full decode and send without loss, whatever it costs in time, memory
        and bytes.
    side_limit
        The longest side in pixels that may be sent, where a request of many pictures is
        stricter than the tier; see `side_limit_of`.

    Raises
    ------
    DamagedImage
        If the picture does not decode.
    LimitExceeded
        If even the lowest quality, or with ``exact`` the lossless picture, is over the
        platform's limit.

    Examples
    --------
    >>> from nbvision.catalogue import find_model
    >>> from nbvision.platforms import find_platform
    >>> from nbvision.images import open_image
    >>> wide = open_image(Image.new("RGB", (3000, 1000), "teal"))
    >>> ready = prepare_image(wide, find_model("claude-haiku-4-5"), find_platform("bedrock"))
    >>> ready.media_type, ready.fit.resized, ready.visual_tokens
    ('image/png', Size(width=1568, height=523), 1064)
    """
    fit = Fit.of(image.size, model.tier, crop_origin=image.crop_origin, side_limit=side_limit)
    decoded, is_flat = _decoded(image, fit, exact=exact)
    frame = _resized(decoded, fit, image.format)
    del decoded  # the encoder need not have the large picture beside it
    lossless = exact or (is_flat and image.is_lossless_source)
    qualities = () if exact else _FLAT_QUALITIES if is_flat else _PHOTO_QUALITIES
    for number, encoded in enumerate(_encodings(frame, qualities, lossless=lossless)):
        media_type, quality, data = encoded
        if not is_over_limit(len(data), platform):
            how = "flat graphics or text, so PNG" if is_flat else "PNG, as exact=True asks for"
            how = how if quality is None else f"JPEG at quality {quality}"
            note = _encoded_note(
                f"{how}, {len(data) / 1000:.0f} kB as {media_type}", is_over_at_first=number > 0
            )
            findings = Findings((*image.findings, *resized_note(fit), note))
            return PreparedImage(data, media_type, fit, findings, image)
    raise LimitExceeded(
        f"{image.source} has {len(data) / 1e6:.1f} MB at {fit.resized} "
        + ("without loss" if exact else "and the lowest quality"),
        limit=limit_in_words(platform),
        cure="leave out exact=True, or send a crop" if exact else "send a crop",
    )


def resized_note(fit: Fit, image_number: int | None = None) -> Iterator[Finding]:
    """Yield what is said of a picture that is shrunk; nothing of one that is not.

    Examples
    --------
    >>> from nbvision.geometry import HIGH
    >>> [note.code for note in resized_note(Fit.of((4032, 3024), HIGH))]
    ['resized']
    """
    if fit.is_resized:
        share = fit.resized.pixels / fit.original.pixels
        yield Finding(
            "resized",
            "info",
            f"{fit.original} → {fit.resized} before sending: {share:.0%} of the pixels are left",
            f"edge {fit.tier.edge_limit}, {fit.tier.visual_token_limit} visual tokens",
            "for small details send a crop",
            image_number,
        )


def _decoded(image: SourceImage, fit: Fit, *, exact: bool) -> tuple[DecodedFrame, bool]:
    """Return the pixels to resize from, and whether they are flat graphics or text."""
    if exact:
        decoded = image.decode()
        return decoded, _is_flat(decoded)
    decoded = image.decode(_times(fit.resized, _PHOTO_MARGIN))
    is_flat = _is_flat(decoded)
    was_reduced = decoded.image.width * decoded.image.height < image.full_size.pixels
    if is_flat and was_reduced:
        # Drawings and text are rare as JPEG, so that looking twice costs little on the whole.
        decoded = image.decode(_times(fit.resized, _FLAT_MARGIN))
    return decoded, is_flat


def _times(size: Size, factor: float) -> Size:
    return Size(ceil(size.width * factor), ceil(size.height * factor))


def _resized(decoded: DecodedFrame, fit: Fit, kind: str) -> Image.Image:
    width, height = fit.resized
    sideways = decoded.orientation >= 5  # noqa: PLR2004 - EXIF: from 5 on the sides are swapped
    stored = (height, width) if sideways else (width, height)
    with guarded(kind):
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


def _is_flat(decoded: DecodedFrame) -> bool:
    """Whether many pixels equal their right-hand neighbour; looks at 256 rows at most.

    A picture one pixel wide has no neighbours and counts as flat: it costs nothing either way.
    """
    import numpy as np

    left, top, right, bottom = (int(edge) for edge in decoded.box)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    rows = decoded.image.resize(
        (right - left, min(bottom - top, _SAMPLED_ROWS)),
        Image.Resampling.NEAREST,
        box=(left, top, right, bottom),
    )
    # Four bytes a pixel: three channels are compared as one number.
    pixels = np.frombuffer(rows.tobytes("raw", "RGBX"), dtype=np.uint32).reshape(rows.height, -1)
    same = pixels[:, 1:] == pixels[:, :-1]
    return bool(same.size == 0 or same.mean() >= _FLAT_SHARE)


def _encodings(
    frame: Image.Image, qualities: Sequence[int], *, lossless: bool
) -> Iterator[tuple[str, int | None, bytes]]:
    """Yield media type, quality (None for lossless) and bytes, the best first."""
    if lossless:
        data = io.BytesIO()
        frame.save(data, "PNG", compress_level=3)
        yield "image/png", None, data.getvalue()
    for quality in qualities:
        data = io.BytesIO()
        frame.save(data, "JPEG", quality=quality, subsampling=0)
        yield "image/jpeg", quality, data.getvalue()


def is_over_limit(size_bytes: int, platform: Platform) -> bool:
    """Whether a picture of so many bytes is more than a place takes.

    Examples
    --------
    >>> from nbvision.platforms import find_platform
    >>> is_over_limit(4_000_000, find_platform("bedrock"))
    True
    """
    if platform.image_raw_limit is not None and size_bytes > platform.image_raw_limit:
        return True
    limit = platform.image_base64_limit
    return limit is not None and 4 * ceil(size_bytes / 3) > limit


def limit_in_words(platform: Platform) -> str:
    """Return how many bytes a picture may have at a place, as it is said to people."""
    if platform.image_raw_limit is not None:
        return f"{platform.image_raw_limit / 1e6:.2f} MB on {platform.name}"
    return f"{(platform.image_base64_limit or 0) / 1e6:.0f} MB of base64 on {platform.name}"


def _encoded_note(value: str, *, is_over_at_first: bool) -> Finding:
    if not is_over_at_first:
        return Finding("encoded", "info", value)
    cure = "the byte limit asked for it; a crop keeps more"
    return Finding("encoded", "warn", value, cure=cure)
