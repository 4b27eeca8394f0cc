"""A picture of which only the frame that was sent is left."""

from dataclasses import dataclass

from PIL import Image

from nbvision.decoding import Encoded, guarded
from nbvision.findings import Findings
from nbvision.geometry import Fit, Size
from nbvision.source_image import DecodedFrame, SourceImage

__all__ = ["SentFrame", "sent_frame"]


@dataclass(frozen=True, slots=True, repr=False)
class SentFrame(SourceImage):
    """A picture you owned: its size is the original's, its pixels are those that were sent.

    They are enlarged when they are asked for, so that a box in original pixels lies where it
    lay; detail that was not sent is not there.

    Attributes
    ----------
    name
        What the original was called.
    sent_region
        What the frame shows, in pixels of the upright full picture: left, top, right, bottom.
    """

    name: str
    sent_region: tuple[int, int, int, int]

    @property
    def full_size(self) -> Size:
        """How far the full picture reached at least: what lay beyond was not sent."""
        return Size(*self.sent_region[2:])

    @property
    def pixels(self) -> Image.Image:
        """The frame enlarged to the original's size, at each use."""
        frame = self.decode()
        with guarded(self.format):
            return frame.image.resize(self.size, Image.Resampling.BICUBIC, box=frame.box)

    def decode(self, at_least: Size | None = None) -> DecodedFrame:  # noqa: ARG002 - there is one size
        """Return the frame as it was sent, and where in it this picture lies."""
        image = self._origin.decode(None)
        x, y, right, bottom = self.sent_region
        across, down = image.width / (right - x), image.height / (bottom - y)
        edges = self.region
        box = ((edges[0] - x) * across, (edges[1] - y) * down)
        box_end = ((edges[2] - x) * across, (edges[3] - y) * down)
        return DecodedFrame(image, (*box, *box_end), 1)


def sent_frame(name: str, encoded: Encoded, fit: Fit, findings: Findings) -> SentFrame:
    """Return the picture of a frame: its pixels the frame's, its size and place the original's.

    Examples
    --------
    >>> import io
    >>> from nbvision.decoding import open_bytes
    >>> from nbvision.geometry import STANDARD
    >>> data, fit = io.BytesIO(), Fit.of((3000, 1000), STANDARD)
    >>> Image.new("RGB", fit.resized).save(data, "PNG")
    >>> sent_frame("wall.png", open_bytes(data.getvalue())[0], fit, Findings())
    SourceImage('from wall.png, as it was sent', 3000 × 1000, PNG)
    """
    x, y = fit.crop_origin
    region = (x, y, x + fit.original.width, y + fit.original.height)
    source = f"from {name}, as it was sent"
    return SentFrame(source, region, findings, encoded, name, region)
