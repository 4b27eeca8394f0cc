"""Widgets without a browser: the protocol as a browser would speak it."""

from collections.abc import Iterator

import pytest
from widget_comm import recording


@pytest.fixture(autouse=True)
def _recorded() -> Iterator[None]:
    with recording():
        yield
