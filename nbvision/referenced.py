"""Pictures that a request names instead of carrying: uploaded before, or at an address.

An uploaded picture is a prepared one, byte for byte, that also lies at the service; its `Fit`
rides along, so that boxes still land. One at an address is fetched by the service: nobody here
has seen it, and nothing is known of its size.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from nbvision.errors import RequestError
from nbvision.images import SourceImage
from nbvision.prepared import PreparedImage

__all__ = ["RemoteImage", "SentImage", "UploadedImage", "require_seen", "sources_of"]

Picture = TypeVar("Picture")


@dataclass(frozen=True, slots=True, repr=False)
class UploadedImage(PreparedImage):
    """A prepared picture that lies at a service, to be named instead of sent again.

    Attributes
    ----------
    file_id
        The service's name for it.
    held_by
        Where it lies: the backend's name and address; a key is never in it.
    expires_at
        When the service deletes it, in UTC; None for never.
    """

    file_id: str
    held_by: str
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return f"UploadedImage({self.file_id!r}, {self.fit.original} → {self.fit.resized})"


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """A picture that the service fetches from an address; made by `remote_image`.

    Attributes
    ----------
    url
        Where it is; the service that is asked learns it.
    """

    url: str


SentImage = PreparedImage | RemoteImage
"""A picture of a request, however it travels; an `UploadedImage` is a `PreparedImage`."""


def sources_of(images: Iterable[SentImage]) -> list[SourceImage]:
    """Return the pictures themselves, without those that nobody here has seen."""
    return [image.source for image in images if isinstance(image, PreparedImage)]


def require_seen(image: Picture | RemoteImage) -> Picture:
    """Return a picture whose size is known here.

    Raises
    ------
    RequestError
        If only the service has seen it.
    """
    if isinstance(image, RemoteImage):
        raise RequestError(
            "places in a picture that only the service has seen",
            cure="fetch it here: nv.open_image(url)",
        )
    return image
