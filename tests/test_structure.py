"""The shape of the package: imports go one way, and importing it costs nothing."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import nbvision

PACKAGE = Path(nbvision.__file__).parent

# A module imports only from rows above its own.
ROWS = [
    {"keys"},
    {"errors", "geometry", "markup"},
    {
        "attempts",
        "findings",
        "fetching",
        "catalogue",
        "comparing",
        "image_formats",
        "json_fields",
        "json_reader",
        "live",
        "matching",
        "platforms",
        "prompts",
        "run_calls",
        "samples",
        "spellings",
        "spending",
        "tables",
        "writing",
    },
    {"decoding", "export", "model_listing", "model_table", "prompt_rules", "schemas"},
    {"forms", "model_store", "source_image"},
    {"images", "labelling", "sent_frame"},
    {"prepared", "draw"},
    {"prepared_once", "referenced"},
    {"estimating", "file_table", "sent_checks", "given"},
    {"preflight"},
    {"request"},
    {"response", "box_reader", "fingerprint"},
    {"caching"},
    {"results", "previewing", "practice", "store", "stream_reader"},
    {"origins", "reply_file"},
    {"detections", "turns", "budget", "replies_folder", "past_shown"},
    {"conversation_file", "disowning", "keeping", "intents", "reopening", "cell_runs"},
    {"conversation_reader", "kept_answers", "packing", "remembering", "past_calls"},
    {"backends"},
    {"inspection", "refreshing", "runs", "uploading"},
    {"exchange", "proving"},
    {"awaiting", "calls", "conversation"},
    {"widgets"},
    {"demo", "magics"},
    {"cli"},
    {"__main__"},
]


def test_the_documented_rows_are_these() -> None:
    page = (Path(__file__).parents[1] / "docs" / "how_it_works.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| \d+ \|(.*)$", page, flags=re.MULTILINE)
    for row, line in zip(ROWS, lines, strict=False):
        aside = re.sub(r"\(.*\)|: [^·]*", " ", line)
        assert set(re.findall(r"`([a-z_]+)(?:/\*)?`", aside)) == row
    assert ROWS[len(lines) :] == [{"__main__"}]


def row_of(module: str) -> int:
    for number, row in enumerate(ROWS):
        if module in row:
            return number
    raise AssertionError(f"{module} stands in no row: say where it belongs")


def room_of(path: Path) -> str:
    """The top-level module or folder a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The rooms of ours that a file imports from, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative imports hide the room"
            if node.module == "nbvision":
                names.update(alias.name for alias in node.names)
            elif (node.module or "").startswith("nbvision."):
                names.add((node.module or "").split(".")[1])
        if isinstance(node, ast.Import):
            names.update(a.name.split(".")[1] for a in node.names if a.name.startswith("nbvision."))
    return names - {"__version__"}


MODULES = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def test_imports_go_one_way() -> None:
    assert MODULES
    for path in MODULES:
        for name in imported(path) - {room_of(path)}:
            assert row_of(name) < row_of(room_of(path)), f"{path} imports {name}"


def test_the_practice_server_shares_no_code_with_the_side_it_checks() -> None:
    for path in (PACKAGE / "practice").glob("*.py"):
        assert imported(path) <= {"practice", "geometry", "samples", "errors"}, path.name


def test_nothing_uses_pyplot() -> None:
    for path in MODULES:
        assert "pyplot" not in {
            part
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in [getattr(node, "module", None) or "", *(a.name for a in node.names)]
            for part in name.split(".")
        }, path.name


def test_no_public_function_has_the_name_of_a_module() -> None:
    modules = {room_of(path) for path in MODULES} - {"samples"}
    assert modules & set(nbvision.__all__) == set()


def test_the_front_door_offers_what_it_says() -> None:
    for name in nbvision.__all__:
        assert getattr(nbvision, name) is not None
    assert set(nbvision.__all__) <= set(dir(nbvision))


def test_importing_nbvision_loads_nothing_heavy() -> None:
    heavy = ["anthropic", "boto3", "matplotlib", "numpy", "ipywidgets", "PIL", "scipy"]
    code = f"import sys, nbvision; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_no_file_grows_into_a_warehouse() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert path.read_text().count("\n") <= 450, path.name
