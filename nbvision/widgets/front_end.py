"""The browser's side of each widget: plain modules and styles, joined when imported.

A widget's module cannot import its neighbours from a relative path, so the files that it
names are put before it, each once. The text is handed over, never a path: anywidget watches
paths, and would hold every instance for ever.
"""

import re
from functools import cache
from importlib import resources

__all__ = ["module", "styles"]

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z_]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class)\b)", re.MULTILINE)


def module(name: str, view: str) -> str:
    """Return a widget's whole module, which draws itself by the function ``view``.

    Examples
    --------
    >>> "export default" in module("picker", "pickerView")
    True
    """
    joined = "\n".join(_EXPORT.sub("", _IMPORT.sub("", _text(file))) for file in _in_order(name))
    return f"{joined}\nexport default host({view});\n"


def styles(*names: str) -> str:
    """Return the styles that all widgets share, and those of the ones named."""
    folder = resources.files("nbvision.widgets") / "static"
    files = [folder / f"{name}.css" for name in ("panel", *names)]
    return "\n".join(file.read_text(encoding="utf-8") for file in files if file.is_file())


def _in_order(name: str) -> list[str]:
    """Return a module and all that it imports, each after what it needs itself."""
    found: dict[str, None] = {}
    for needed in _IMPORT.findall(_text(name)):
        found |= dict.fromkeys(_in_order(needed))
    return [*found, name]


@cache
def _text(name: str) -> str:
    file = resources.files("nbvision.widgets") / "static" / f"{name}.js"
    return file.read_text(encoding="utf-8")
