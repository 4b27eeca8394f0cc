"""The shape of the package: imports go one way, and importing it costs nothing."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nbvision"

# A module imports only from rows above its own.
ROWS = [
    {"errors", "geometry", "markup"},
    {"findings"},
]


def row_of(module: str) -> int:
    for number, row in enumerate(ROWS):
        if module in row:
            return number
    raise AssertionError(f"{module} stands in no row: say where it belongs")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nbvision."):
            names.add((node.module or "").split(".")[1])
        if isinstance(node, ast.Import):
            names.update(a.name.split(".")[1] for a in node.names if a.name.startswith("nbvision."))
    return names


def test_imports_go_one_way() -> None:
    modules = [p for p in PACKAGE.glob("*.py") if p.stem != "__init__"]
    assert modules
    for path in modules:
        for name in imported(path):
            assert row_of(name) < row_of(path.stem), f"{path.stem} imports {name}"


def test_importing_nbvision_loads_nothing_heavy() -> None:
    heavy = ["anthropic", "boto3", "matplotlib", "numpy", "ipywidgets", "PIL", "scipy"]
    code = f"import sys, nbvision; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_no_file_grows_into_a_warehouse() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert path.read_text().count("\n") <= 450, path.name
