"""Preparing forty photographs at once: on all cores, against naive Pillow on one thread."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import nbvision as nv
from benchmarks.pictures import make
from benchmarks.pipelines import naive, pyvips_thumbnail
from nbvision.catalogue import find_model
from nbvision.given import prepare_all
from nbvision.platforms import find_platform

COUNT = 40


def report(paths: dict[str, Path]) -> Iterator[str]:
    model, platform = find_model("claude-haiku-4-5"), find_platform("anthropic")
    names = ["12 MP JPEG", "12 MP JPEG, turned", "12 MP JPEG, progressive", "4K screenshot PNG"]
    files = [paths[names[number % len(names)]] for number in range(COUNT)]
    sizes = [nv.fit(nv.open_image(file).size, model=model.id).resized for file in files]
    spent = {}
    started = time.perf_counter()
    for file, size in zip(files, sizes, strict=True):
        naive(file, size, model.id)
    spent["naive, one thread"] = time.perf_counter() - started
    started = time.perf_counter()
    for file, size in zip(files, sizes, strict=True):
        pyvips_thumbnail(file, size, model.id)
    spent["pyvips, one caller (its own threads)"] = time.perf_counter() - started
    started = time.perf_counter()
    prepare_all([nv.open_image(file) for file in files], model, platform)
    spent["nbvision"] = time.perf_counter() - started
    base = spent["naive, one thread"]
    yield f"## {COUNT} pictures at once\n"
    yield (
        "Times faster than naive Pillow on one thread: "
        + ", ".join(f"{name} {base / seconds:.1f}" for name, seconds in spent.items())
        + ".\n"
    )


if __name__ == "__main__":
    with TemporaryDirectory() as scratch:
        print(*report(make(Path(scratch))), sep="\n")
