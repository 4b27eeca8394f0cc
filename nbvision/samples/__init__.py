"""Small pictures with their truth, to learn with and to test against.

>>> from nbvision import samples
>>> samples.names()
('page', 'photo', 'shapes', 'shelf_after', 'shelf_before')
>>> samples.shapes.prompt
'every shape'
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from nbvision.errors import ImageNotFound
from nbvision.geometry import Box

__all__ = ["Sample", "load", "names"]

_FOLDER = Path(__file__).parent
_OWN = "drawn for nbvision, MIT licence"
_ABOUT = {
    "photo": (
        "photo.jpg",
        "the red bowl",
        "A halved fig in a red bowl on concrete; a photograph.",
        'Trevor "Freespace", 2018, CC BY 4.0',
    ),
    "shapes": ("shapes.png", "every shape", "Plain coloured shapes, two of them small.", _OWN),
    "shelf_before": ("shelf_before.png", "the orange ball", "A shelf, before.", _OWN),
    "shelf_after": (
        "shelf_after.png",
        "the cyan triangle",
        "The same shelf after three changes; the truth tells them.",
        _OWN,
    ),
    "page": ("page.png", "", "A page of print with a table: A4 at 130 dots per inch.", _OWN),
}


@dataclass(frozen=True, slots=True)
class Sample(os.PathLike[str]):
    """A picture that comes with the package; anything that takes a path takes it.

    Attributes
    ----------
    name
        Its name here.
    path
        Where it lies.
    truth
        The boxes that are right, in original pixels: of what ``prompt`` asks for, or of what
        changed.
    prompt
        What to look for in it; empty if there is nothing.
    note, licence
        What it shows; who made it, and how it may be used.
    """

    name: str
    path: Path
    truth: tuple[Box, ...]
    prompt: str
    note: str
    licence: str

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Sample({self.name!r}: {self.note} {len(self.truth)} true boxes; {self.licence})"


def names() -> tuple[str, ...]:
    """Return the names of all samples."""
    return tuple(sorted(_ABOUT))


def load(name: str) -> Sample:
    """Return a sample by name.

    Raises
    ------
    ImageNotFound
        If there is none of this name.
    """
    if name not in _ABOUT:
        raise ImageNotFound(f"no sample {name!r}", limit=", ".join(names()))
    file, prompt, note, licence = _ABOUT[name]
    rows = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    truth = tuple(_box(row["box"], row["label"]) for row in rows)
    return Sample(name, _FOLDER / file, truth, prompt, note, licence)


def __getattr__(name: str) -> Sample:
    if name in _ABOUT:
        return load(name)
    raise AttributeError(f"no sample {name!r}; there are {', '.join(names())}")


def __dir__() -> list[str]:
    return [*__all__, *names()]


def _box(edges: list[int], label: str) -> Box:
    left, top, right, bottom = edges
    return Box(left, top, right, bottom, label)
