"""Kernels that are killed in the middle of asking, again and again; what is left is counted.

``python tests/killing.py 300`` kills three hundred; the suite kills thirty. One process imports
everything and forks a kernel at a time: each goes through the questions in order, says aloud
which are answered, and is killed at a random moment. The next begins again a little earlier.
Another kernel, that nobody kills, asks each question at about the same moment: it waits for the
answer of the one that is killed, or asks itself.
The questions go to a practice server in yet another process of which every arrival is counted.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from itertools import count
from pathlib import Path

from PIL import Image

import nbvision as nv
from nbvision.practice import PracticeServer
from nbvision.store import open_store

_LONGEST_LIFE_SECONDS = 0.3
_AGAIN = 10  # questions that a new kernel asks once more


def heard_of(heard: Path) -> int:
    """Return the last question that somebody has said to be answered."""
    return max([0, *map(int, heard.read_text().split())])


def ask(
    first: int, last: float, url: str, token: str, said: int, *, behind: Path | None = None
) -> None:
    """Be a kernel: ask one question after another and say what is answered.

    ``behind`` is where others say it: then nothing is asked before they have come so far.
    """
    picture = nv.open_image(Image.new("RGB", (56, 56), "teal"))
    backend = nv.connect("anthropic", base_url=url, api_key=token, model="practice-standard")
    for number in count(first):
        while behind is not None and number > heard_of(behind) + 1:
            if behind.with_name("over").exists():
                return
            time.sleep(0.001)
        if number > last:
            break
        nv.ask(picture, f"Question {number}", backend=backend)
        os.write(said, b"%d\n" % number)


def kill(kills: int, url: str, token: str, heard: Path) -> None:
    """Fork kernels and kill them; let the last one finish."""
    ask(0, 0, url, token, os.open(os.devnull, os.O_WRONLY))  # everything is imported
    said = os.open(heard, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    rng = random.Random(time.time_ns())  # noqa: S311 - moments, no secrets
    living = os.fork()
    if not living:
        ask(0, float("inf"), url, token, os.open(os.devnull, os.O_WRONLY), behind=heard)
        os._exit(0)
    for left in range(kills, -1, -1):
        done = heard_of(heard)
        child = os.fork()
        if not child:
            ask(
                max(0, done - _AGAIN) if left else 0,
                float("inf") if left else done,
                url,
                token,
                said,
            )
            os._exit(0)
        if left:
            time.sleep(rng.uniform(0, _LONGEST_LIFE_SECONDS))
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    heard.with_name("over").touch()
    _, status = os.waitpid(living, 0)
    assert status == 0, "the one that nobody killed did not come through"


def count_what_is_left(kills: int, folder: Path) -> dict[str, int]:
    """Kill that many kernels, and return what was found; raise if anything is wrong."""
    heard, data = folder / "heard", {"NBVISION_DATA": str(folder / "data")}
    with PracticeServer() as server:
        server._house.arrivals._kept = deque(maxlen=None)  # type: ignore[union-attr]
        made = subprocess.run(
            [
                sys.executable,
                "-W",
                "ignore",
                __file__,
                "kill",
                str(kills),
                server.url,
                server.token,
                str(heard),
            ],
            env={**os.environ, **data},
            check=False,
            capture_output=True,
            text=True,
        )
        assert (made.returncode, made.stderr) == (0, "")
        arrived = Counter(
            request.body["messages"][0]["content"][-1]["text"]
            for request in server.requests
            if request.body is not None
        )
    acknowledged = {f"Question {number}" for number in heard.read_text().split()}
    store = open_store(data)
    assert store is not None
    calls = store.history(limit=100_000)
    answered = Counter(call.prompt for call in calls if call.outcome == "answered")
    unknown = Counter(call.prompt for call in calls if call.outcome == "unknown")
    broken = store._database.rows("PRAGMA integrity_check")
    store.close()
    assert broken == [("ok",)]
    assert {call.outcome for call in calls} <= {"answered", "unknown"}
    assert acknowledged <= set(answered), "an acknowledged answer was lost"
    assert max(answered.values()) == 1, "a kept answer was asked for again"
    assert sum(unknown.values()) <= kills, "more than one unknown call for a kill"
    for prompt, times in arrived.items():
        assert times <= answered[prompt] + unknown[prompt], f"{prompt} was sent without an intent"
    return {
        "kills": kills,
        "answered": len(answered),
        "acknowledged": len(acknowledged),
        "unknown": sum(unknown.values()),
        "arrived": sum(arrived.values()),
    }


if __name__ == "__main__":
    if sys.argv[1] == "kill":
        kill(int(sys.argv[2]), sys.argv[3], sys.argv[4], Path(sys.argv[5]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            print(count_what_is_left(int(sys.argv[1]), Path(scratch)))  # noqa: T201 - a script
