"""Measure everything and print it as Markdown: ``make bench``."""

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import choices, folder, importing, pictures, preparing, sending, store


def report() -> Iterator[str]:
    libraries = ", ".join(
        f"{name} {version(name)}" for name in ("pillow", "pyvips", "numpy", "anthropic")
    )
    yield f"Python {platform.python_version()}, {libraries}; {platform.machine()}.\n"
    with TemporaryDirectory() as scratch:
        paths = pictures.make(Path(scratch))
        yield from preparing.report(paths)
        yield from folder.report(paths)
        yield from choices.report(paths)
    yield from sending.report()
    yield from store.report()
    yield from importing.report()


def main() -> None:
    for line in report():
        print(line)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
