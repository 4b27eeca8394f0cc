"""Where the constants in ``nbvision/prepared.py`` come from: reduced decodes, and flatness."""

from collections.abc import Iterator
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from benchmarks.pictures import make, page
from nbvision.catalogue import find_model
from nbvision.geometry import Fit, Size
from nbvision.images import SourceImage, open_image

MARGINS = (1.0, 1.25, 1.5, 2.0, 2.5)
MODELS = {"standard": "claude-haiku-4-5", "high": "claude-opus-5-5"}


def light_lost(image: SourceImage, fit: Fit, margin: float) -> float:
    """Return the dB of light kept by a decode to `margin` times the target, unencoded."""
    size = fit.resized
    least = Size(ceil(size.width * margin), ceil(size.height * margin))
    decoded = image.decode(least)
    frame = decoded.image.resize(size, Image.Resampling.LANCZOS, box=decoded.box).convert("L")
    whole = image.decode().image.convert("L").convert("F")
    best = np.clip(np.asarray(whole.resize(size, Image.Resampling.LANCZOS)), 0, 255)
    error = float(np.mean((np.asarray(frame, dtype=float) - best) ** 2))
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def equal_neighbours(image: SourceImage) -> float:
    """Return the share of pixels that equal their right-hand neighbour, as decoded."""
    pixels = np.asarray(image.decode().image)
    return float((pixels[:, 1:] == pixels[:, :-1]).all(axis=2).mean())


def report(paths: dict[str, Path]) -> Iterator[str]:
    large = paths["48 MP JPEG"].with_name("large_page.jpg")
    page(4960, 7016).save(large, quality=92)
    images = {
        "48 MP JPEG": open_image(paths["48 MP JPEG"]),
        "300 dpi page JPEG": open_image(paths["300 dpi page JPEG"]),
        "600 dpi page JPEG": open_image(large),
    }
    yield "## Why text is decoded to twice the target\n"
    yield "dB of light against a full decode in floats, before encoding, by margin.\n"
    yield "| picture, tier | " + " | ".join(f"{margin} ×" for margin in MARGINS) + " |"
    yield "|---" * (len(MARGINS) + 1) + "|"
    for name, image in images.items():
        for tier, model in MODELS.items():
            fit = Fit.of(image.size, find_model(model).tier)
            cells = [f"{light_lost(image, fit, margin):.0f}" for margin in MARGINS]
            yield f"| {name}, {tier} | " + " | ".join(cells) + " |"
    shares = [f"{name} {equal_neighbours(open_image(path)):.2f}" for name, path in paths.items()]
    yield "\nShare of pixels that equal their right-hand neighbour: " + ", ".join(shares) + ".\n"


if __name__ == "__main__":
    with TemporaryDirectory() as scratch:
        print(*report(make(Path(scratch))), sep="\n")
