"""What it costs to import, in fresh processes, interpreter start-up taken off."""

import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

ROUNDS = 9
STATEMENTS = {
    "nothing": "pass",
    "import nbvision": "import nbvision",
    "nbvision.fit": "import nbvision as nv; nv.fit((4032, 3024), model='claude-opus-5-5')",
    "import anthropic": "import anthropic",
    "import boto3": "import boto3",
    "import matplotlib.pyplot": "import matplotlib.pyplot",
}


def report() -> Iterator[str]:
    rounds: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        spent = {}
        for name, code in STATEMENTS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - this interpreter, this code
            spent[name] = time.perf_counter() - started
        rounds.append(spent)
    net = {
        n: 1000 * median(r[n] - r["nothing"] for r in rounds) for n in STATEMENTS if n != "nothing"
    }
    yield "## Importing\n"
    yield (
        "Milliseconds above starting Python, and as a share of `import anthropic`: "
        + ", ".join(
            f"`{name}` {spent:.0f} ms ({spent / net['import anthropic']:.1%})"
            for name, spent in net.items()
        )
        + ".\n"
    )


if __name__ == "__main__":
    print(*report(), sep="\n")
