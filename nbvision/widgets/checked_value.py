"""Values of a panel that Python sets and observes: made what they must be, or refused."""

from collections.abc import Callable, Iterable
from typing import Any

from traitlets import TraitType

from nbvision.errors import RequestError
from nbvision.geometry import Box
from nbvision.images import SourceImage

__all__ = ["Checked", "as_boxes", "as_pictures"]


class Checked(TraitType[Any, Any]):
    """A value that is set under its panel's lock, from any thread; never sent by itself.

    Parameters
    ----------
    check
        Returns what is to be kept of a value that was set, or raises; given the panel too.
    default
        The value until one is set.
    """

    def __init__(self, check: Callable[[Any, Any], Any], default: Any) -> None:
        super().__init__(default_value=default, allow_none=True)
        self._check = check

    def set(self, obj: Any, value: Any) -> None:
        """Check a value, which may take a while, and keep it."""
        checked = self._check(obj, value)
        with obj._lock:
            super().set(obj, checked)


def as_boxes(values: Iterable[object]) -> tuple[Box, ...]:
    """Return boxes as a tuple.

    Raises
    ------
    RequestError
        If one of them is no box.

    Examples
    --------
    >>> as_boxes([Box(1, 2, 3, 4)])
    (Box(left=1, top=2, right=3, bottom=4, label=''),)
    """
    found: list[Box] = []
    for place in values:
        if not isinstance(place, Box):
            raise RequestError(f"boxes hold {place!r}"[:200], limit="nv.Box values")
        found.append(place)
    return tuple(found)


def as_pictures(fixed: object) -> tuple[SourceImage, ...]:
    """Return what a fix gave as pictures, groups of them one after the other.

    Raises
    ------
    RequestError
        If there is none.

    Examples
    --------
    >>> from PIL import Image
    >>> from nbvision.images import open_image
    >>> small = open_image(Image.new("RGB", (9, 9)))
    >>> len(as_pictures([[small, small], [small]]))
    3
    """
    if isinstance(fixed, SourceImage):
        return (fixed,)
    if not isinstance(fixed, list | tuple) or not fixed:
        raise RequestError(f"the fix returned {type(fixed).__name__}", limit="pictures")
    return tuple(picture for part in fixed for picture in as_pictures(part))
