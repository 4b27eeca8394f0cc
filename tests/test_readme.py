"""What the README and the docs show is what happens."""

import doctest
import re
from pathlib import Path

import pytest

import nbvision

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_example_runs(page: Path) -> None:
    failed, _ = doctest.testfile(str(page), module_relative=False)
    assert failed == 0


def test_the_readme_has_examples() -> None:
    assert len(doctest.DocTestParser().get_examples(PAGES[0].read_text(encoding="utf-8"))) > 8


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    places = [page.parent, Path(nbvision.__file__).parents[1]]
    lost = [to for to in links if "://" not in to and not any((p / to).exists() for p in places)]
    assert lost == []


def test_every_error_has_its_row() -> None:
    from nbvision import errors

    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert [name for name in errors.__all__ if name not in page] == []
