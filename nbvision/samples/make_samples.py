"""Draws the sample pictures: ``python -m nbvision.samples.make_samples FOLDER``.

Each is drawn four times too large and reduced, so that edges are smooth, and every edge that
is drawn is written down: the truth comes from the drawing, not from looking at it. The
photograph is not made here; see README.md beside this file.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

__all__ = ["draw_page", "draw_shapes", "draw_shelf", "main"]

_OVERSIZE = 4
_PAPER, _INK = (252, 251, 248), (32, 34, 40)
_RED, _BLUE, _GREEN = (206, 32, 41), (26, 86, 190), (22, 138, 72)
_YELLOW, _PURPLE, _ORANGE = (250, 204, 21), (126, 48, 176), (244, 124, 18)
_CYAN = (24, 176, 196)

Colour = tuple[int, int, int]
Edges = tuple[int, int, int, int]


class _Canvas:
    """A picture drawn in final pixels at four times the size, with the truth of what is on it."""

    def __init__(self, width: int, height: int, ground: Colour) -> None:
        self._size = (width, height)
        self._image = Image.new("RGB", (width * _OVERSIZE, height * _OVERSIZE), ground)
        self._draw = ImageDraw.Draw(self._image)
        self.truth: list[dict[str, Any]] = []

    def shape(
        self, kind: str, edges: Edges, colour: Colour, label: str = "", radius: int = 0
    ) -> None:
        left, top, right, bottom = (edge * _OVERSIZE for edge in edges)
        box = (left, top, right - 1, bottom - 1)
        middle_x, middle_y = (left + right) // 2, (top + bottom) // 2
        if kind == "ellipse":
            self._draw.ellipse(box, fill=colour)
        elif kind == "triangle":
            points = [(middle_x, top), (right - 1, bottom - 1), (left, bottom - 1)]
            self._draw.polygon(points, fill=colour)
        elif kind == "diamond":
            points = [
                (middle_x, top),
                (right - 1, middle_y),
                (middle_x, bottom - 1),
                (left, middle_y),
            ]
            self._draw.polygon(points, fill=colour)
        else:
            self._draw.rounded_rectangle(box, radius=radius * _OVERSIZE, fill=colour)
        if label:
            self.truth.append({"label": label, "box": list(edges)})

    def text(
        self, at: tuple[int, int], words: str, font: str, size: int, colour: Colour = _INK
    ) -> None:
        place = (at[0] * _OVERSIZE, at[1] * _OVERSIZE)
        self._draw.text(place, words, font=_font(font, size * _OVERSIZE), fill=colour)

    def finish(self) -> Image.Image:
        return self._image.resize(self._size, Image.Resampling.BOX)


def draw_shapes() -> tuple[Image.Image, list[dict[str, Any]]]:
    """Return a drawing of plain coloured shapes, 3000 × 2000, and the box of each."""
    canvas = _Canvas(3000, 2000, _PAPER)
    canvas.shape("ellipse", (220, 200, 820, 800), _RED, "red circle")
    canvas.shape("rectangle", (1120, 240, 1640, 760), _BLUE, "blue square")
    canvas.shape("triangle", (1980, 220, 2640, 800), _GREEN, "green triangle")
    canvas.shape("rectangle", (240, 1180, 1040, 1540), _YELLOW, "yellow rectangle")
    canvas.shape("diamond", (1300, 1060, 1800, 1660), _PURPLE, "purple diamond")
    canvas.shape("ellipse", (2060, 1160, 2740, 1560), _ORANGE, "orange ellipse")
    canvas.shape("ellipse", (880, 880, 980, 980), _RED, "small red circle")
    canvas.shape("rectangle", (2780, 900, 2870, 990), _CYAN, "small cyan square")
    canvas.shape("rectangle", (220, 1760, 2780, 1784), _INK, "black line")
    return canvas.finish(), canvas.truth


def draw_shelf(*, is_after: bool) -> tuple[Image.Image, list[dict[str, Any]]]:
    """Return a shelf, 1800 × 1200: before, with its ball's box; after, with that of each change."""
    canvas = _Canvas(1800, 1200, (238, 232, 220))
    for top in (520, 1040):
        canvas.shape("rectangle", (80, top, 1720, top + 36), (148, 98, 58))
        canvas.shape("rectangle", (80, top + 36, 1720, top + 50), (110, 70, 40))
    third = _GREEN if is_after else _BLUE
    books = [(_RED, 300), (_INK, 340), (third, 320), (_YELLOW, 270), (_PURPLE, 330)]
    for number, (colour, tall) in enumerate(books):
        left = 180 + number * 84
        edges = (left, 520 - tall, left + 76, 520)
        canvas.shape("rectangle", edges, colour, radius=6)
        canvas.shape("rectangle", (left + 14, 520 - tall + 40, left + 62, 520 - tall + 52), _PAPER)
        if number == 2:  # noqa: PLR2004 - the third book is the one that is exchanged
            canvas.truth.append({"label": "the blue book became green", "box": list(edges)})
    canvas.shape("ellipse", (860, 260, 1080, 520), (180, 90, 60))
    canvas.shape("rectangle", (930, 210, 1010, 300), (180, 90, 60), radius=10)
    ball = (1300, 340, 1480, 520)
    if is_after:
        canvas.truth.append({"label": "the orange ball is gone", "box": list(ball)})
    else:
        canvas.truth.clear()
        canvas.shape("ellipse", ball, _ORANGE, "orange ball")
    canvas.shape("rectangle", (240, 860, 480, 1040), (92, 130, 140), radius=24)
    canvas.shape("rectangle", (268, 888, 452, 918), (70, 104, 114), radius=10)
    for number, width in enumerate((420, 380, 330)):
        top = 1040 - (number + 1) * 58
        colour = (_BLUE, (222, 214, 196), _RED)[number]
        canvas.shape("rectangle", (640, top, 640 + width, top + 52), colour, radius=6)
    canvas.shape("rectangle", (1240, 820, 1420, 1040), (250, 250, 250), radius=16)
    if is_after:
        canvas.shape("triangle", (1500, 860, 1680, 1040), _CYAN, "a cyan triangle came")
    return canvas.finish(), canvas.truth


_HOURS = [
    ("Monday", "closed", ""),
    ("Tuesday", "10:00 – 18:00", "4.50"),
    ("Wednesday", "10:00 – 18:00", "4.50"),
    ("Thursday", "10:00 – 21:00", "4.50"),
    ("Friday", "10:00 – 18:00", "4.50"),
    ("Saturday", "09:00 – 19:00", "6.00"),
    ("Sunday", "09:00 – 17:00", "6.00"),
]
_PARAGRAPHS = [
    "The lamp was lit for the first time in the autumn of 1871 and has been turned by the same",
    "clockwork ever since. Visitors climb 164 steps; there is a bench after every forty. In wind",
    "above force eight the gallery is closed, and the guide decides. Children under ten climb in",
    "company, dogs wait below, where there is water and shade.",
    "",
    "The keeper's house shows how the coast was charted: sounding leads, a pantograph, and the",
    "first sheet of the survey, with its corrections in red. Photographs may be taken everywhere,",
    "without flash in the chart room. The smallest print of this page is set in 9 pixels.",
]
_SMALL = (
    "Prices in euros. Last entry forty minutes before closing. "
    "Printed on paper from the island's own mill."
)


def draw_page() -> tuple[Image.Image, list[dict[str, Any]]]:
    """Return a page of print with a table, 1075 × 1520: A4 at 130 dots per inch."""
    canvas = _Canvas(1075, 1520, (255, 255, 255))
    canvas.text((90, 90), "The lighthouse at Skarnes", "DejaVuSerif-Bold", 46)
    canvas.text((92, 164), "A leaflet for visitors", "DejaVuSerif-Italic", 24, (90, 94, 104))
    for number, line in enumerate(_PARAGRAPHS):
        canvas.text((92, 250 + number * 34), line, "DejaVuSerif", 18)
    canvas.text((90, 590), "Opening hours", "DejaVuSerif-Bold", 30)
    canvas.shape("rectangle", (90, 648, 985, 650), _INK)
    header = ("Day", "Open", "Entry")
    for row, cells in enumerate([header, *_HOURS]):
        font = "DejaVuSans-Bold" if row == 0 else "DejaVuSans"
        for left, cell in zip((100, 420, 800), cells, strict=True):
            canvas.text((left, 664 + row * 52), cell, font, 21)
        canvas.shape("rectangle", (90, 704 + row * 52, 985, 705 + row * 52), (170, 174, 182))
    canvas.text((92, 1110), _SMALL, "DejaVuSans", 9)
    canvas.shape("rectangle", (90, 1180, 985, 1400), (228, 238, 244), radius=12)
    canvas.text((130, 1222), "Tonight", "DejaVuSerif-Bold", 26)
    canvas.text(
        (130, 1276), "The lamp is lit at 17:42. Come up and count the seconds:", "DejaVuSerif", 20
    )
    canvas.text((130, 1312), "one turn takes thirty.", "DejaVuSerif", 20)
    return canvas.finish(), canvas.truth


def main(arguments: Sequence[str]) -> None:
    """Draw all samples into a folder."""
    folder = Path(arguments[0])
    drawn = {
        "shapes": draw_shapes(),
        "shelf_before": draw_shelf(is_after=False),
        "shelf_after": draw_shelf(is_after=True),
        "page": draw_page(),
    }
    for name, (image, truth) in drawn.items():
        image.save(folder / f"{name}.png", optimize=True)
        (folder / f"{name}.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")


def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    from matplotlib import get_data_path

    return ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", size)


if __name__ == "__main__":
    main(sys.argv[1:])
