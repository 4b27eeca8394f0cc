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
_WALL, _GILT = (238, 232, 220), (226, 186, 92)
_LEAVES = ((34, 130, 78), (46, 148, 92), (24, 104, 62))

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

    def polygon(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        self._draw.polygon([(x * _OVERSIZE, y * _OVERSIZE) for x, y in points], fill=colour)

    def ring(self, edges: Edges, colour: Colour, thick: int) -> None:
        left, top, right, bottom = (edge * _OVERSIZE for edge in edges)
        box = (left, top, right - 1, bottom - 1)
        self._draw.ellipse(box, outline=colour, width=thick * _OVERSIZE)

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
    canvas = _Canvas(1800, 1200, _WALL)
    _draw_boards(canvas)
    _draw_books(canvas, _GREEN if is_after else _BLUE)
    _draw_plant(canvas)
    _draw_radio(canvas)
    _draw_pile(canvas)
    _draw_mug(canvas)
    book, ball, pyramid = (348, 200, 424, 520), (1300, 340, 1480, 520), (1500, 860, 1680, 1040)
    if not is_after:
        canvas.shape("ellipse", ball, _ORANGE, "orange ball")
        canvas.shape("ellipse", (1334, 366, 1400, 420), (250, 158, 72))
        return canvas.finish(), canvas.truth
    canvas.shape("triangle", pyramid, _CYAN, "a cyan triangle came")
    canvas.polygon([(1590, 860), (1679.75, 1039.75), (1620, 1039.75)], (20, 150, 170))
    for edges, label in ((ball, "the orange ball is gone"), (book, "the blue book became green")):
        canvas.truth.insert(0, {"label": label, "box": list(edges)})
    return canvas.finish(), canvas.truth


def _draw_boards(canvas: _Canvas) -> None:
    for top in (520, 1040):
        for depth, colour in ((96, (233, 226, 213)), (78, (226, 218, 203))):
            canvas.shape("rectangle", (96, top + 30, 1704, top + depth), colour)
        for left in (260, 1500):  # the brackets
            canvas.shape(
                "rectangle", (left, top + 36, left + 20, top + 116), (58, 56, 58), radius=6
            )
        canvas.shape("rectangle", (80, top, 1720, top + 36), (148, 98, 58))
        canvas.shape("rectangle", (80, top, 1720, top + 5), (168, 116, 72))
        for number, (left, long) in enumerate(((150, 420), (640, 260), (980, 510), (1540, 130))):
            line = top + 13 + 5 * (number % 3)
            canvas.shape("rectangle", (left, line, left + long, line + 2), (132, 84, 48))
        canvas.shape("rectangle", (80, top + 36, 1720, top + 50), (110, 70, 40))


def _draw_books(canvas: _Canvas, third: Colour) -> None:
    books = [(_RED, 300), (_INK, 340), (third, 320), (_YELLOW, 270), (_PURPLE, 330)]
    for number, (colour, tall) in enumerate(books):
        left, top = 180 + number * 84, 520 - tall
        canvas.shape("rectangle", (left, top, left + 76, 520), colour, radius=6)
        for band in (top + 22, 480):
            canvas.shape("rectangle", (left, band, left + 76, band + 5), _GILT)
        canvas.shape("rectangle", (left + 14, top + 50, left + 62, top + 122), _PAPER, radius=3)
        for line, inset in ((66, 22), (80, 26), (94, 30)):
            edges = (left + inset, top + line, left + 76 - inset, top + line + 4)
            canvas.shape("rectangle", edges, (96, 98, 104))


def _draw_plant(canvas: _Canvas) -> None:
    leaves = [(-150, -150), (-96, -222), (-30, -262), (44, -250), (108, -206), (146, -132)]
    for number, (across, up) in enumerate(leaves):
        tip, foot = (970 + across, 372 + up), (970 + across // 12, 380)
        middle = ((tip[0] + foot[0]) / 2, (tip[1] + foot[1]) / 2)
        long = (across**2 + up**2) ** 0.5
        side = (-up / long * 24, across / long * 24)
        leaf = [foot, (middle[0] - side[0], middle[1] - side[1]), tip]
        canvas.polygon([*leaf, (middle[0] + side[0], middle[1] + side[1])], _LEAVES[number % 2])
        canvas.polygon([*leaf], _LEAVES[2])
    canvas.polygon([(884, 384), (1056, 384), (1032, 520), (908, 520)], (224, 134, 138))
    canvas.polygon([(1010, 384), (1056, 384), (1032, 520), (996, 520)], (206, 112, 120))
    canvas.shape("rectangle", (870, 360, 1070, 396), (234, 154, 156), radius=8)


def _draw_radio(canvas: _Canvas) -> None:
    canvas.polygon([(440, 872), (446, 872), (520, 742), (514, 740)], (96, 98, 104))
    for left in (270, 420):
        canvas.shape("rectangle", (left, 1030, left + 30, 1040), _INK)
    canvas.shape("rectangle", (240, 860, 480, 1032), (92, 130, 140), radius=24)
    canvas.shape("rectangle", (262, 884, 458, 922), (238, 226, 190), radius=8)
    for mark in range(9):
        left = 276 + mark * 20
        canvas.shape("rectangle", (left, 892, left + 3, 906 + 6 * (mark % 2)), _INK)
    canvas.shape("rectangle", (372, 884, 376, 922), _RED)
    for row in range(4):
        for column in range(6):
            left, top = 268 + column * 18, 942 + row * 18
            canvas.shape("ellipse", (left, top, left + 9, top + 9), (62, 94, 104))
    for left in (394, 394 + 34):
        canvas.shape("ellipse", (left, 962, left + 28, 990), (238, 226, 190))


def _draw_pile(canvas: _Canvas) -> None:
    pile = [(640, 420, _BLUE), (664, 380, (196, 178, 142)), (650, 330, _RED)]
    for number, (left, wide, colour) in enumerate(pile):
        top = 1040 - (number + 1) * 56
        canvas.shape("rectangle", (left, top, left + wide, top + 56), colour, radius=8)
        canvas.shape("rectangle", (left + 26, top + 8, left + wide, top + 48), (244, 240, 230))
        for line in (18, 28, 38):
            edges = (left + 26, top + line, left + wide, top + line + 2)
            canvas.shape("rectangle", edges, (218, 212, 198))


def _draw_mug(canvas: _Canvas) -> None:
    canvas.ring((1376, 892, 1470, 1000), (250, 250, 250), 20)
    canvas.ring((1374, 890, 1472, 1002), (206, 208, 212), 3)
    canvas.shape("rectangle", (1240, 850, 1420, 1040), (206, 208, 212), radius=18)
    canvas.shape("rectangle", (1243, 853, 1417, 1037), (250, 250, 250), radius=16)
    canvas.shape("rectangle", (1240, 850, 1420, 864), _BLUE, radius=6)
    canvas.shape("rectangle", (1268, 880, 1280, 1010), (236, 238, 242), radius=6)


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
