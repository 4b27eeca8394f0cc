"""One Chromium for a session, one clean page for a test."""

from collections.abc import Callable, Iterator
from typing import Any

import environment
import pytest
from lab import Lab
from playwright.sync_api import Browser, Page, sync_playwright
from stage import Stage
from widget_comm import recording


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = environment.chromium()
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=path, headless=True, args=environment.FLAGS
        )
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails its test for any error of its own."""
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    context.set_default_timeout(15_000)
    found = context.new_page()
    troubles: list[str] = []
    found.on("pageerror", lambda error: troubles.append(f"page error: {error}"))
    found.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
    yield found
    context.close()
    assert not troubles, troubles


@pytest.fixture
def put(page: Page) -> Iterator[Callable[[Callable[[], Any]], Stage]]:
    """Put a panel on a blank page; it is made inside, so that its connection is the stage's."""
    with recording():
        yield lambda make: Stage(page, make())


@pytest.fixture(scope="session")
def lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for a session, its kernels each test's own."""
    found = Lab(tmp_path_factory.mktemp("lab"), browser)
    yield found
    found.close()
