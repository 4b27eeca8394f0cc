"""A picture you own, and its pixels as they are needed: upright, right-looking RGB."""

import hashlib
import io
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any

from PIL import Image

from nbvision.decoding import Decoded, Encoded, turn_upright, turned_note
from nbvision.errors import ImageError
from nbvision.findings import Finding, Findings
from nbvision.geometry import Size
from nbvision.markup import bundle, figure, image_tag

__all__ = ["DecodedFrame", "SourceImage", "source_image"]

_TURNED_SIDEWAYS = 5  # EXIF orientations from here on swap width and height
_LOSSLESS = {"PNG", "GIF", "BMP", "TIFF", "pixels"}

Region = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """RGB pixels as stored, perhaps reduced, and what is left to do with them.

    Attributes
    ----------
    image
        The decoded frame.
    box
        The part that is meant, in the frame's own pixels: left, top, right, bottom. A whole
        reduced frame may end within its last pixel.
    orientation
        The EXIF turn still to be applied: turning the small result costs less.
    """

    image: Image.Image
    box: Region
    orientation: int


@dataclass(frozen=True, slots=True, repr=False)
class SourceImage:
    """A picture you own: upright, in sRGB, decoded when it is needed.

    Attributes
    ----------
    source
        Where it came from, short and safe to show.
    region
        The part of the upright full picture that is meant, in its pixels: left, top, right,
        bottom.
    findings
        What was noticed or done on the way in.
    """

    source: str
    region: tuple[int, int, int, int]
    findings: Findings
    _origin: Encoded | Decoded

    @property
    def size(self) -> Size:
        """Upright width and height in pixels."""
        left, top, right, bottom = self.region
        return Size(right - left, bottom - top)

    @property
    def full_size(self) -> Size:
        """Upright size of the picture this was cropped from; `size` if it was not."""
        width, height = self._origin.size
        return Size(height, width) if self.orientation >= _TURNED_SIDEWAYS else Size(width, height)

    @property
    def crop_origin(self) -> tuple[int, int]:
        """Where the top left lies in the full picture, in pixels."""
        return self.region[:2]

    @property
    def format(self) -> str:
        """What the bytes were: ``"JPEG"``, ``"PNG"`` …, or ``"pixels"``."""
        return self._origin.kind

    @property
    def mode(self) -> str:
        """Pillow's name for how the pixels were stored."""
        return self._origin.mode

    @property
    def orientation(self) -> int:
        """The EXIF orientation that was found, 1 to 8; it has been applied."""
        return self._origin.orientation

    @property
    def frames(self) -> int:
        """1, or more for an animation or several pages; only the first is used."""
        return self._origin.frames

    @property
    def is_lossless_source(self) -> bool:
        """Whether no lossy compression is known to have touched the pixels."""
        return self.format in _LOSSLESS

    @property
    def pixels(self) -> Image.Image:
        """The upright RGB pixels as a Pillow image of your own; decoded at each use.

        Raises
        ------
        DamagedImage
            If the bytes do not decode after all.
        """
        frame = self.decode()
        cut = frame.image.crop(tuple(int(edge) for edge in frame.box))  # type: ignore[arg-type]
        return turn_upright(cut, frame.orientation)

    @property
    def original_bytes(self) -> bytes | None:
        """The bytes it came as, where these are this very picture: not turned, not cropped."""
        origin = self._origin
        is_whole = origin.size == self.size and self.orientation == 1
        return origin.data if isinstance(origin, Encoded) and is_whole else None

    @property
    def sha256(self) -> str:
        """A name for the content: of the bytes and the region, as hexadecimal."""
        origin = self._origin
        data = origin.data if isinstance(origin, Encoded) else origin.image.tobytes()
        name = hashlib.sha256(repr((self.region, origin.size)).encode())
        name.update(data)  # apart, so that a large one is not copied
        return name.hexdigest()

    def decode(self, at_least: Size | None = None) -> DecodedFrame:
        """Return the pixels as stored, reduced by a whole factor where the format can.

        Parameters
        ----------
        at_least
            Smallest upright size in pixels that `size` may be reduced to; None for full size.

        Raises
        ------
        DamagedImage
            If the bytes do not decode.
        """
        stored = self._origin.size
        wanted = None if at_least is None else self._whole_at(at_least)
        image = self._origin.decode(wanted)
        # Reduction rounds the frame up to whole pixels; the picture ends inside the last one.
        factor = max(1, round(stored.width / image.width), round(stored.height / image.height))
        left, top, right, bottom = _stored_region(self.region, stored, self.orientation)
        box = (left / factor, top / factor, right / factor, bottom / factor)
        return DecodedFrame(image, box, self.orientation)

    def crop(self, left: float, top: float, right: float, bottom: float) -> "SourceImage":
        """Return a part of the picture; boxes found in it come home to the full picture.

        Parameters
        ----------
        left, top, right, bottom
            Edges in pixels of this picture, widened to whole pixels and clamped to it.

        Raises
        ------
        ImageError
            If nothing is left.

        Examples
        --------
        >>> from nbvision.images import open_image
        >>> part = open_image(Image.new("RGB", (40, 30))).crop(10, 5, 20, 99)
        >>> part.size, part.crop_origin
        (Size(width=10, height=25), (10, 5))
        """
        width, height = self.size
        inside = (
            max(0, floor(left)),
            max(0, floor(top)),
            min(width, ceil(right)),
            min(height, ceil(bottom)),
        )
        if inside[0] >= inside[2] or inside[1] >= inside[3]:
            raise ImageError(
                f"a crop of {left, top, right, bottom} holds no pixel",
                limit=f"0 ≤ left < right ≤ {width} and 0 ≤ top < bottom ≤ {height}",
            )
        x, y = self.crop_origin
        region = (inside[0] + x, inside[1] + y, inside[2] + x, inside[3] + y)
        return replace(self, region=region, source=f"{self.source}, cropped")

    def thumbnail(self, long_edge: int = 400) -> bytes:
        """Return a small JPEG of the picture, never enlarged.

        Parameters
        ----------
        long_edge
            Its larger side in pixels at most.
        """
        width, height = self.size
        factor = min(1.0, long_edge / self.size.long_edge)
        small = Size(max(1, round(width * factor)), max(1, round(height * factor)))
        frame = self.decode(small)
        sideways = frame.orientation >= _TURNED_SIDEWAYS
        stored = (small.height, small.width) if sideways else small
        resized = frame.image.resize(stored, Image.Resampling.LANCZOS, box=frame.box)
        data = io.BytesIO()
        turn_upright(resized, frame.orientation).save(data, "JPEG", quality=85)
        return data.getvalue()

    def _whole_at(self, at_least: Size) -> Size:
        """Return the stored size of the whole picture when this region has the given size."""
        width = ceil(at_least.width * self.full_size.width / self.size.width)
        height = ceil(at_least.height * self.full_size.height / self.size.height)
        sideways = self.orientation >= _TURNED_SIDEWAYS
        return Size(height, width) if sideways else Size(width, height)

    def __repr__(self) -> str:
        turned = f", turned from orientation {self.orientation}" if self.orientation > 1 else ""
        return f"SourceImage({self.source!r}, {self.size}, {self.format}{turned})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        words = f"{self.source}, {self.size} px, {self.format}"
        notes = "; ".join(finding.value for finding in self.findings)
        caption = f"{words}: {notes}" if notes else words
        data = self.thumbnail()
        tag = image_tag(data, "image/jpeg", alt=f"Thumbnail of {words}")
        return bundle(caption, markup=figure(tag, caption), pictures={"image/jpeg": data})


def source_image(source: str, origin: Encoded | Decoded, findings: list[Finding]) -> SourceImage:
    """Return the picture of an origin, with what is to be said of its frames and its turn."""
    if origin.orientation > 1:
        findings = [turned_note(origin.orientation), *findings]
    if origin.frames > 1:
        frames = (
            "several frames or pages"
            if origin.kind in {"GIF", "TIFF"}
            else f"{origin.frames} frames"
        )
        note = Finding(
            "animated", "warn", frames, limit="the first is used", cure="send others singly"
        )
        findings = [note, *findings]
    width, height = origin.size
    if origin.orientation >= _TURNED_SIDEWAYS:
        width, height = height, width
    return SourceImage(source, (0, 0, width, height), Findings(findings), origin)


def _stored_region(region: Region, stored: Size, orientation: int) -> Region:
    """Return where an upright region lies in the stored picture, both in pixels."""
    width, height = stored
    left, top, right, bottom = region
    corners = [(left, top), (right, bottom)]
    match orientation:
        case 2:
            corners = [(width - x, y) for x, y in corners]
        case 3:
            corners = [(width - x, height - y) for x, y in corners]
        case 4:
            corners = [(x, height - y) for x, y in corners]
        case 5:
            corners = [(y, x) for x, y in corners]
        case 6:
            corners = [(y, height - x) for x, y in corners]
        case 7:
            corners = [(width - y, height - x) for x, y in corners]
        case 8:
            corners = [(width - y, x) for x, y in corners]
        case _:
            pass
    (x1, y1), (x2, y2) = corners
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
