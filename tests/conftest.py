"""No test writes into a real home: nothing is kept unless a test asks for a store of its own.

Many tests count the requests that arrive; an answer that was kept would be one too few.
"""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Each worker collects everything: what costs it a second costs four. `jsonschema` makes forty
# parsers out of this for a check of formats that nothing here asks for, and the threads of BLAS
# spin beside those of the tests.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from nbvision.store import OFF, Store, open_store  # noqa: E402 - after the above

# Set when it is imported, so that whatever tests start inherits it.
os.environ["NBVISION_DATA"] = OFF


def pytest_configure(config: pytest.Config) -> None:
    """Let budgets be kept in memory without a word, and interrupts be heard."""
    config.addinivalue_line("filterwarnings", "ignore:nbvision. budgets are kept:UserWarning")
    # What a shell starts in the background ignores them, and all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage in what is collected: it all stays to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
        gc.set_threshold(20_000, 20, 20)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Keep calls in a folder of this test's own."""
    monkeypatch.setenv("NBVISION_DATA", str(tmp_path / "data"))
    made = open_store()
    assert made is not None
    yield made
    made.close()
