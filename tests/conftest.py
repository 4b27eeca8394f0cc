"""No test writes into a real home: nothing is kept unless a test asks for a store of its own.

Many tests count the requests that arrive; an answer that was kept would be one too few.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbvision.store import OFF, Store, open_store

# Set when it is imported, so that whatever tests start inherits it.
os.environ["NBVISION_DATA"] = OFF


def pytest_configure(config: pytest.Config) -> None:
    """Let budgets be kept in memory without a word: that is what nearly all tests do."""
    config.addinivalue_line("filterwarnings", "ignore:nbvision. budgets are kept:UserWarning")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Keep calls in a folder of this test's own."""
    monkeypatch.setenv("NBVISION_DATA", str(tmp_path / "data"))
    made = open_store()
    assert made is not None
    yield made
    made.close()
