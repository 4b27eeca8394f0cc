"""The widgets' arithmetic, which is JavaScript without a page, tested by node."""

import os
import subprocess
from pathlib import Path

import environment
import pytest

import nbvision

FILES = sorted((Path(__file__).parent / "front_end").glob("*.mjs"))
STATIC = Path(nbvision.__file__).parent / "widgets" / "static"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.split(".")[0])
def test_arithmetic(file: Path) -> None:
    surroundings = {**os.environ, "NBVISION_STATIC": str(STATIC)}
    command = [environment.node(), "--test", str(file)]
    run = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"{run.stdout[-4000:]}\n{run.stderr[-2000:]}"


def test_there_is_something_to_run() -> None:
    assert FILES
