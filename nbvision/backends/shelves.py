"""What a backend's shelf of files is, seen from the rest of the package."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from nbvision.markup import plain

__all__ = ["Shelf", "StoredFile"]


@dataclass(frozen=True, slots=True, repr=False)
class StoredFile:
    """A file that lies at a service.

    Attributes
    ----------
    id
        The service's name for it.
    name
        What it was called when it was uploaded.
    media_type, size_bytes
        What it is.
    created_at, expires_at
        In UTC; it is deleted at ``expires_at``, or never if that is None.
    """

    id: str
    name: str
    media_type: str
    size_bytes: int
    created_at: datetime
    expires_at: datetime | None = None

    def seconds_left(self) -> float:
        """Return how long it will be there, by this machine's clock."""
        if self.expires_at is None:
            return float("inf")
        return (self.expires_at - datetime.now(UTC)).total_seconds()

    def __repr__(self) -> str:
        return f"StoredFile({plain(self.id)[:80]!r}, {plain(self.name)[:120]!r})"


class Shelf(Protocol):
    """Where a service keeps files.

    Attributes
    ----------
    held_by
        The backend's name and address; a key is never in it.
    """

    @property
    def held_by(self) -> str:
        """The backend's name and address; a key is never in it."""

    def upload(
        self, name: str, data: bytes, media_type: str, *, expires_in: int | None = None
    ) -> StoredFile:
        """Store bytes under a name; names need not be different.

        Raises
        ------
        BackendError
            If it is not known to be stored.
        """

    def find(self, ids: Sequence[str]) -> list[StoredFile]:
        """Return those of these files that are still there."""

    def pages(self, most: int) -> tuple[list[StoredFile], bool]:
        """Return the newest files, no more than so many, and whether there are more."""

    def delete(self, file_id: str) -> bool:
        """Delete a file; return whether it was still there."""
