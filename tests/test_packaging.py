"""What is declared in several places says the same in all of them."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPENDENCIES = [Requirement(line) for line in PROJECT["dependencies"]]
CONDA_NAMES = {"matplotlib-base": "matplotlib"}


def test_conda_and_pip_have_the_same_floors() -> None:
    lines = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = [Requirement(line) for line in lines if isinstance(line, str)]
    floors = {CONDA_NAMES.get(r.name, canonicalize_name(r.name)): r.specifier for r in conda}
    assert floors.pop("python") == PROJECT["requires-python"]
    assert floors.pop("pip") == ""
    assert floors == {canonicalize_name(r.name): r.specifier for r in DEPENDENCIES}


def test_the_pinned_set_satisfies_every_floor() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    for requirement in DEPENDENCIES:
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)])


def test_the_installed_packages_satisfy_every_floor() -> None:
    for requirement in DEPENDENCIES:
        assert requirement.specifier.contains(version(requirement.name)), requirement


def test_every_dependency_earns_its_line() -> None:
    page = (ROOT / "docs" / "how_it_works.md").read_text()
    for requirement in DEPENDENCIES:
        assert f"| `{requirement.name}`" in page, requirement.name


def test_the_changelog_begins_with_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## (\S+)", changelog, flags=re.MULTILINE)[0] == PROJECT["version"]


def test_the_version_is_one() -> None:
    from nbvision import __version__

    assert __version__ == PROJECT["version"]
