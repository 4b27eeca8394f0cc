"""What a person should know of the store, said once."""

import warnings

__all__ = ["StoreNotice", "notice"]

_said: set[str] = set()


class StoreNotice(UserWarning):
    """The store works otherwise than usual: off, slower, or anew."""


def notice(words: str) -> None:
    """Say something about the store, once in a process."""
    if words not in _said:
        _said.add(words)
        warnings.warn(f"nbvision: {words}", StoreNotice, stacklevel=2)
