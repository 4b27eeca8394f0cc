"""The store: how long a stored answer takes, many kernels writing, a million calls searched.

``python -m benchmarks.store`` makes the million in a scratch folder, which takes minutes and
a few GB there; another count can be given.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

import nbvision as nv
from nbvision.catalogue import find_model
from nbvision.keeping import Keeping
from nbvision.platforms import find_platform
from nbvision.prepared import PreparedImage, prepare_image
from nbvision.remembering import remembered
from nbvision.request import build_request
from nbvision.response import parse_response
from nbvision.store import Ending, Intent, Store, open_store

ROUNDS = 41
MODELS = {"standard": "claude-haiku-4-5", "high": "claude-opus-5-5"}
MESSAGE: dict[str, Any] = {
    "id": "msg",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-5-5",
    "content": [{"type": "text", "text": "word " * 200}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 4000, "output_tokens": 200},
}
WRITER = """
import sys, time
from nbvision.store import Ending, Intent, open_store
store, worst = open_store(), 0.0
for number in range(int(sys.argv[2])):
    started = time.perf_counter()
    asked = Intent("n", f"{sys.argv[1]}-{number}", "anthropic", "anthropic", "m", "Hello " * 20)
    number, lease = store.begin_alone(asked, store.newest(asked.exact, 0))
    store.complete(number, Ending("answered", 0.001, text="word " * 200, message={}), lease)
    worst = max(worst, time.perf_counter() - started)
print(worst)
"""
SUBJECTS = "door window chair bowl tree street bridge car dog cat lamp table book page chart plot"
COMMON, RARE = "window", "quagga"
MODEL_OF_ODD = "claude-sonnet-5-5"
BUSY = """
import time
from nbvision.store import Intent, open_store
store, worst = open_store(), 0.0
intent = Intent("n", "busy", "anthropic", "anthropic", "m", "Hello")
print("ready", flush=True)
while True:
    started = time.perf_counter()
    store.begin(intent)
    worst = max(worst, time.perf_counter() - started)
    print(worst, flush=True)
    time.sleep(0.05)
"""


def report(count: int = 1_000_000) -> Iterator[str]:
    with TemporaryDirectory() as scratch:
        os.environ["NBVISION_DATA"] = scratch
        yield from _served()
    with TemporaryDirectory() as scratch:
        yield from _writers(Path(scratch))
    with TemporaryDirectory() as scratch:
        yield from _searched(Path(scratch), count)
    os.environ.pop("NBVISION_DATA")


def _ms(action: Callable[[], object], rounds: int = ROUNDS) -> tuple[float, float]:
    """Return median and worst, in milliseconds."""
    spent = []
    for _ in range(rounds):
        started = time.perf_counter()
        action()
        spent.append(1000 * (time.perf_counter() - started))
    return median(spent), max(spent)


def _served() -> Iterator[str]:
    yield "## A stored answer\n"
    yield (
        "From the built request to the reply, in milliseconds: with the file just opened, "
        f"and the median of {ROUNDS} further ones. Each picture is new to the process.\n"
    )
    yield "| picture | sent | first | again | a call of another machine's PNG |"
    yield "|---|---|---|---|---|"
    noise = Image.effect_noise((4000, 3000), 60).convert("RGB")
    for name, picture in (("photograph", noise), ("page", nv.samples.page)):
        for tier, model in MODELS.items():
            sent = prepare_image(
                nv.open_image(picture), find_model(model), find_platform("anthropic")
            )
            yield _served_row(f"{name}, {tier}", sent, model)
    yield ""


def _served_row(name: str, sent: PreparedImage, model: str) -> str:
    def ask(image: PreparedImage) -> float:
        request = build_request(
            [image],
            "What is in this image?",
            model_id=model,
            model=find_model(model),
            platform=find_platform("anthropic"),
        )
        started = time.perf_counter()
        found = remembered(
            request, lambda _: parse_response(MESSAGE), keeping=Keeping(), backend="anthropic"
        )
        assert (found.from_store is None) == is_new
        return 1000 * (time.perf_counter() - started)

    is_new = True
    ask(sent)
    is_new = False
    store = open_store()
    assert store is not None
    store.close()
    first = ask(_copy(sent))
    again = median(ask(_copy(sent)) for _ in range(ROUNDS))
    other = "" if sent.media_type == "image/jpeg" else f"{ask(_copy(sent, level=1)):.1f} ms"
    size = f"{len(sent.data) / 1000:.0f} kB {sent.media_type}"
    return f"| {name} | {size} | {first:.1f} ms | {again:.1f} ms | {other} |"


def _copy(image: PreparedImage, level: int | None = None) -> PreparedImage:
    """Return an equal picture that nobody has named yet."""
    import io
    from dataclasses import replace

    data = io.BytesIO()
    if level is not None:
        image.pixels.save(data, "PNG", compress_level=level)
    return replace(image, data=data.getvalue() or bytes(bytearray(image.data)))


def _writers(folder: Path) -> Iterator[str]:
    yield "## Kernels writing at once\n"
    yield "Each call is two transactions, both on the disk before the next.\n"
    yield "A lease is held meanwhile.\n"
    yield "| kernels | calls each | calls a second | worst wait | lost | errors |"
    yield "|---|---|---|---|---|---|"
    for kernels, each in ((1, 500), (4, 200), (16, 500)):
        data = folder / str(kernels)
        environment = {**os.environ, "NBVISION_DATA": str(data)}
        started = time.perf_counter()
        running = [
            subprocess.Popen(  # noqa: S603 - this interpreter, the code above
                [sys.executable, "-c", WRITER, str(number), str(each)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(kernels)
        ]
        said = [writer.communicate() for writer in running]
        seconds = time.perf_counter() - started
        store = _opened(data)
        lost = kernels * each - len(store.history(limit=100_000))
        worst = max(float(out) for out, _ in said)
        errors = sum(bool(err) for _, err in said)
        store.close()
        yield (
            f"| {kernels} | {each} | {kernels * each / seconds:,.0f} | {worst:.2f} s "
            f"| {lost} | {errors} |"
        )
    yield ""


class _Waiting:
    """Another kernel that writes all the time."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, "NBVISION_DATA": str(folder)}
        self._running = subprocess.Popen(  # noqa: S603 - this interpreter, the code above
            [sys.executable, "-c", BUSY], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert self._running.stdout is not None
        assert self._running.stdout.readline() == "ready\n"

    def worst(self) -> float:
        self._running.terminate()
        out, _ = self._running.communicate()
        return float(out.splitlines()[-1])


def _size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e9


def _searched(folder: Path, count: int) -> Iterator[str]:
    store = _opened(folder)
    _fill(store, count)
    store.close()  # the log goes into the file
    before, wait = _size(folder), _Waiting(folder)
    started = time.perf_counter()
    store.history(RARE)
    seconds = time.perf_counter() - started
    worst = wait.worst()
    store.close()
    yield f"## {count:,} calls searched\n"
    yield (
        f"{before:.2f} GB without the index of words, which took {seconds:.0f} s, once, and "
        f"{_size(folder) - before:.2f} GB. Meanwhile another kernel waited at most "
        f"{worst:.2f} s to write. A store that grew call by call has its index already, at "
        f"{1e6 * seconds / count:.0f} µs for each. The newest hundred.\n"
    )
    yield "| search | found | median | worst |"
    yield "|---|---|---|---|"
    # The first call was made now; all others lie a minute apart.
    late = datetime.fromtimestamp(1_760_000_000 + 60 * (count - 100), UTC)
    early = datetime.fromtimestamp(1_760_000_000, UTC)
    asks: dict[str, Callable[[], list[Any]]] = {
        "nothing: the newest": store.history,
        "a word in every eighth call": lambda: store.history(COMMON),
        "two words": lambda: store.history(f"{COMMON} bridge"),
        "a word in ten calls": lambda: store.history(RARE),
        "no such word": lambda: store.history("xylophone"),
        "the beginning of many words": lambda: store.history("b"),
        "a word, one of two models": lambda: store.history(COMMON, model="claude-opus-5-5"),
        "a rare word, a rare model": lambda: store.history(RARE, model="claude-haiku-4-5"),
        "a common word, a rare model": lambda: store.history(COMMON, model="rare"),
        "a common word, no such model": lambda: store.history(COMMON, model="none"),
        "a common and a rare word": lambda: store.history(f"{COMMON} {RARE}"),
        "a word in every call": lambda: store.history("where"),
        "that, a rare model": lambda: store.history("where", model="rare"),
        "the last hundred minutes": lambda: store.history(since=late),
        "a common word, since then": lambda: store.history(COMMON, since=late),
        "a word in every call, since then": lambda: store.history("where", since=late),
        "a model, since then": lambda: store.history(model="claude-opus-5-5", since=late),
        "word, model and time": lambda: store.history(COMMON, model="rare", since=late),
        "nothing so new": lambda: store.history(COMMON, since=late + timedelta(days=9000)),
        "a sign that is nowhere": lambda: store.history("§"),
        "a sign that is everywhere": lambda: store.history("?"),
        "two signs, never side by side": lambda: store.history("?)"),
        "an emoji": lambda: store.history("🚪"),
        "words without spaces": lambda: store.history("赤い猫"),
        "the beginnings of two words": lambda: store.history("w t"),
        "words that are never together": lambda: store.history("even odd"),
        "a word, never of this model": lambda: store.history("even", model=MODEL_OF_ODD),
        "a long word in every call": lambda: store.history("photographically"),
        "a word in every call, no such model": lambda: store.history("where", model="none"),
        "that, since a long time ago": lambda: store.history("where", model="none", since=early),
        "a stored answer": lambda: [store.find("exact-500")],
    }
    for name, ask in asks.items():
        found = len(ask())
        middle, worst = _ms(ask, 11)
        yield f"| {name} | {found} | {middle:.1f} ms | {worst:.1f} ms |"
    started = time.perf_counter()
    store.spent()
    yield f"\nAdding up what all of them cost: {1000 * (time.perf_counter() - started):.0f} ms.\n"
    store.close()


def _fill(store: Store, count: int) -> None:
    """Write calls as `Store` does, many in one transaction."""
    rng = random.Random(7)
    words = SUBJECTS.split()
    models = ["claude-opus-5-5", "claude-sonnet-5-5"]
    number = store.begin(Intent("n", "e", "anthropic", "anthropic", "m", "The first"))
    store.complete(number, Ending("answered", 0.01, message={}))
    rows = (
        (
            1_760_000_000_000_000 + 60_000_000 * i,
            f"name-{i}",
            f"exact-{i}",
            "rare" if i % 100_000 == 0 else models[i % 2],
            f"Where is the {rng.choice(words)}? ({i})",
            " ".join(rng.choices(words, k=2))
            + " stands there, "
            + "as it has for years, " * 12
            + ("odd" if i % 2 else "even")
            + " photographically "
            + (RARE if i % (count // 10) == 0 else ""),
            rng.randrange(10**7),
        )
        for i in range(count)
    )
    with store._database.writing() as connection:  # noqa: SLF001 - a million the quick way
        connection.executemany(
            "INSERT INTO calls (asked_at, name, exact, model, prompt, text, dollars, outcome, "
            "sample, backend, place, parameters, messages, message) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, 'answered', 0, 'a', 'a', '{}', '[]', '{}')",
            rows,
        )


def _opened(folder: Path) -> Store:
    store = open_store({"NBVISION_DATA": str(folder)})
    assert store is not None
    return store


if __name__ == "__main__":
    print(*report(*map(int, sys.argv[1:])), sep="\n")
