"""Preparing one picture: time as a ratio to naive Pillow, bytes sent, fidelity, memory."""

import io
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image, ImageOps

import nbvision as nv
from benchmarks.pictures import make
from benchmarks.pipelines import PIPELINES

ROUNDS = 7
MODELS = {"standard": "claude-haiku-4-5", "high": "claude-opus-5-5"}
PEAK = "next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1]"


def frame_of(path: Path, model: str) -> tuple[int, int]:
    return nv.fit(nv.open_image(path).size, model=model).resized


def ratios(path: Path, model: str) -> tuple[dict[str, tuple[float, float]], float]:
    """Return each pipeline's median ratios to naive, by clock and by CPU, and naive's ms.

    What uses threads gains by the clock while cores are idle; the CPU ratio is what it costs
    when they are not.
    """
    size, shuffled = frame_of(path, model), Random(1)
    rounds: list[dict[str, tuple[float, float]]] = []
    for _ in range(ROUNDS):
        names = list(PIPELINES)
        shuffled.shuffle(names)
        spent = {}
        for name in names:
            started, used = time.perf_counter(), time.process_time()
            PIPELINES[name](path, size, model)
            spent[name] = (time.perf_counter() - started, time.process_time() - used)
        rounds.append(spent)
    base = [r["naive Pillow"] for r in rounds]
    found = {
        name: (
            median(r[name][0] / b[0] for r, b in zip(rounds, base, strict=True)),
            median(r[name][1] / b[1] for r, b in zip(rounds, base, strict=True)),
        )
        for name in PIPELINES
    }
    return found, 1000 * median(b[0] for b in base)


def fidelity(path: Path, model: str) -> dict[str, float]:
    """Return each pipeline's signal to noise of light, in dB, against LANCZOS in floats."""
    size = frame_of(path, model)
    whole = ImageOps.exif_transpose(Image.open(path)).convert("L").convert("F")
    best = np.asarray(whole.resize(size, Image.Resampling.LANCZOS))
    found = {}
    for name, pipeline in PIPELINES.items():
        if name != "file as it is":
            frame = Image.open(io.BytesIO(pipeline(path, size, model))).convert("L")
            error = float(np.mean((np.asarray(frame, dtype=float) - np.clip(best, 0, 255)) ** 2))
            found[name] = float(10 * np.log10(255**2 / max(error, 1e-9)))
    return found


def peak_memory(path: Path, name: str, model: str) -> int:
    """Return the MB that a fresh process's peak grows by."""
    size = frame_of(path, model)
    code = (
        "import sys; from pathlib import Path; from benchmarks.pipelines import PIPELINES\n"
        f"run = PIPELINES[{name!r}]\n"
        f"run(Path(sys.argv[2]), (64, 48), {model!r}); before = int({PEAK})\n"
        f"run(Path(sys.argv[1]), {tuple(size)}, {model!r}); print((int({PEAK}) - before) // 1024)"
    )
    small = path.parent / "small.jpg"
    Image.new("RGB", (80, 60)).save(small)
    done = subprocess.run(  # noqa: S603 - this interpreter, this code
        [sys.executable, "-c", code, str(path), str(small)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def report(paths: dict[str, Path]) -> Iterator[str]:
    yield "## Preparing one picture\n"
    yield (
        f"Time by the clock / of the CPU as ratios to naive Pillow, medians of {ROUNDS} rounds; "
        "kB sent; dB of light.\n"
    )
    yield (
        "| picture, tier | naive | "
        + " | ".join(n for n in PIPELINES if n != "naive Pillow")
        + " |"
    )
    yield "|---" * (len(PIPELINES) + 1) + "|"
    for name, path in paths.items():
        for tier, model in MODELS.items():
            times, scale = ratios(path, model)
            light, size = fidelity(path, model), frame_of(path, model)
            plain = len(PIPELINES["naive Pillow"](path, size, model)) / 1000
            cells = [f"1 ({scale:.0f} ms), {plain:.0f} kB, {light['naive Pillow']:.0f} dB"]
            for other, pipeline in PIPELINES.items():
                if other != "naive Pillow":
                    sent = len(pipeline(path, size, model)) / 1000
                    fine = f", {light[other]:.0f} dB" if other in light else ""
                    clock, cpu = times[other]
                    cells.append(f"{clock:.2f} / {cpu:.2f}, {sent:.0f} kB{fine}")
            yield f"| {name}, {tier} | " + " | ".join(cells) + " |"
    yield (
        "\nPeak memory above idle for the 48 MP JPEG, standard tier: "
        + ", ".join(
            f"{name} {peak_memory(paths['48 MP JPEG'], name, MODELS['standard'])} MB"
            for name in PIPELINES
        )
        + ".\n"
    )


if __name__ == "__main__":
    with TemporaryDirectory() as scratch:
        print(*report(make(Path(scratch))), sep="\n")
