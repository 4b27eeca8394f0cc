"""The pictures that are measured: made anew in each run, so that anyone can repeat it."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ORIENTATION = 0x0112


def natural(width: int, height: int, seed: int = 5) -> Image.Image:
    """Return noise whose power falls with frequency, as that of photographs does."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), dtype=np.float32)
    side = 4
    while side < max(width, height):
        small = rng.normal(size=(max(2, height * side // width), side, 3)).astype(np.float32)
        for channel in range(3):
            layer = Image.fromarray(small[..., channel]).resize(
                (width, height), Image.Resampling.BICUBIC
            )
            total[..., channel] += np.asarray(layer) / side**0.55
        side *= 2
    low, high = np.percentile(total, [1, 99])
    image = Image.fromarray(np.clip((total - low) / (high - low) * 255, 0, 255).astype(np.uint8))
    drawn = ImageDraw.Draw(image)
    for number in range(12):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        drawn.ellipse((x, y, x + width // 12, y + height // 10), fill=colour)
        drawn.text((x, y), f"sign {number} " * 3, "white", font_size=width // 60)
    return image


def page(width: int, height: int) -> Image.Image:
    """Clean print: rows of words with a few boxes, as on a screen or a page."""
    image = Image.new("RGB", (width, height), "white")
    drawn = ImageDraw.Draw(image)
    for row in range(height // 44):
        drawn.text(
            (60, 20 + row * 44),
            "Invoice 20417, due 14 March, 1,280.50 net " * 4,
            (30, 30, 40),
            font_size=26,
        )
        if row % 9 == 0:
            drawn.rectangle((40, 12 + row * 44, width - 40, 56 + row * 44), outline=(20, 90, 200))
    return image


def make(folder: Path) -> dict[str, Path]:
    """Write all pictures into a folder; return their paths by name."""
    twelve, large = natural(4032, 3024), natural(8064, 6048, seed=6)
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    made = {
        "12 MP JPEG": (twelve, "a.jpg", {"quality": 90}),
        "12 MP JPEG, turned": (
            twelve.transpose(Image.Transpose.ROTATE_90),
            "b.jpg",
            {"quality": 90, "exif": turned},
        ),
        "12 MP JPEG, progressive": (twelve, "c.jpg", {"quality": 90, "progressive": True}),
        "48 MP JPEG": (large, "d.jpg", {"quality": 90}),
        "4K screenshot PNG": (page(3840, 2160), "e.png", {}),
        "300 dpi page JPEG": (page(2480, 3508), "f.jpg", {"quality": 92}),
    }
    paths = {}
    for name, (image, file, options) in made.items():
        paths[name] = folder / file
        image.save(paths[name], **options)
    return paths
