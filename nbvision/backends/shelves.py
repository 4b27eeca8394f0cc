"""What a backend's shelf of files is, seen from the rest of the package."""

from collections.abc import Sequence
from typing import Protocol

from nbvision.referenced import StoredFile

__all__ = ["Shelf"]


class Shelf(Protocol):
    """Where a service keeps files.

    Attributes
    ----------
    held_by
        The backend's name and address; a key is never in it.
    scope
        Another for every key there, in this kernel alone; no key can be told from it.
    can_list
        Whether it can say what lies there.
    """

    @property
    def scope(self) -> str:
        """Another for every key there, in this kernel alone; no key can be told from it."""

    @property
    def can_list(self) -> bool:
        """Whether it can say what lies there."""

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
