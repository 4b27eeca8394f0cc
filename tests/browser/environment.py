"""What the browser tests need beside Python packages: a browser, and other kernels.

    python tests/browser/environment.py

finds a Chromium or installs Playwright's, and puts two older versions of ipykernel into
folders of their own: where a widget's callbacks run differs between them. A test that finds
something missing fails; it is never skipped.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

KERNELS = ("6.31.0", "7.3.0")
FOLDER = Path(sys.prefix) / "share" / "nbvision-tests"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
_CURE = "run: python tests/browser/environment.py"


def chromium() -> str:
    """Return the path of a Chromium: named by NBVISION_CHROMIUM, installed, or Playwright's."""
    named = os.environ.get("NBVISION_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, _NAMES)), None) or _playwrights()
    if found is None or not Path(found).exists():
        raise RuntimeError(f"no Chromium for the browser tests; {_CURE}")
    return found


def _playwrights() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def node() -> str:
    """Return the path of the node that Playwright carries."""
    from playwright._impl._driver import compute_driver_executable

    return str(compute_driver_executable()[0])


def kernel_folder(version: str) -> Path:
    """Return the folder that holds this version of ipykernel."""
    folder = FOLDER / f"ipykernel-{version}"
    if not (folder / "ipykernel").is_dir():
        raise RuntimeError(f"no ipykernel {version} for the browser tests; {_CURE}")
    return folder


def prepare() -> None:
    """Install what is missing."""
    for version in KERNELS:
        folder = FOLDER / f"ipykernel-{version}"
        if not (folder / "ipykernel").is_dir():
            FOLDER.mkdir(parents=True, exist_ok=True)
            fresh = tempfile.mkdtemp(dir=FOLDER)
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
            subprocess.run([*command, "--target", fresh, f"ipykernel=={version}"], check=True)
            Path(fresh).rename(folder)
    try:
        chromium()
    except RuntimeError:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


if __name__ == "__main__":
    prepare()
