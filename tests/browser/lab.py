"""A real JupyterLab, driven through its own application object, with nothing of the user's.

Waiting is on promises and on Python's state, never on time.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import environment
import nbformat
from jupyter_client.blocking.client import BlockingKernelClient
from playwright.sync_api import Browser, Locator, Page

import nbvision
from nbvision.store import OFF

_TREE = str(Path(nbvision.__file__).parents[1])  # what is tested, whatever is installed
_TOKEN = "only-for-tests"
_QUIET = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}


class Lab:
    """A running server; `notebook` opens one notebook in a page of its own."""

    def __init__(self, folder: Path, browser: Browser) -> None:
        self.folder, self._browser = folder, browser
        self.work = folder / "work"
        self.work.mkdir()
        self.log = folder / "lab.log"
        self._write_settings()
        self._write_kernels()
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--port=0"]
        command += ["--ServerApp.ip=127.0.0.1", f"--IdentityProvider.token={_TOKEN}"]
        command += ["--LabApp.expose_app_in_browser=True"]
        command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
        command += ["--LabApp.extension_manager=readonly", "--ServerApp.allow_root=True"]
        command += [f"--ServerApp.root_dir={self.work}"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=self._surroundings(), stdout=log, stderr=log, start_new_session=True
            )
        self.url = self._address()

    def _surroundings(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTER", "ANTHROPIC", "AWS_", "NBVISION"))
        }
        for name in ("CONFIG", "DATA", "RUNTIME"):
            kept[f"JUPYTER_{name}_DIR"] = str(self.folder / name.lower())
        kept["JUPYTERLAB_SETTINGS_DIR"] = str(self.folder / "settings")
        kept["JUPYTERLAB_WORKSPACES_DIR"] = str(self.folder / "workspaces")
        kept["IPYTHONDIR"] = str(self.folder / "ipython")
        kept["MPLCONFIGDIR"] = str(self.folder / "matplotlib")
        kept["PYTHONPATH"] = _TREE
        kept["NBVISION_DATA"] = OFF
        return kept

    def _write_settings(self) -> None:
        for name, settings in _QUIET.items():
            package, plugin = name.split(":")
            target = self.folder / "settings" / package / f"{plugin}.jupyterlab-settings"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(settings))

    def _write_kernels(self) -> None:
        """Offer the other ipykernels too; each runs the packages of this environment."""
        for version in environment.KERNELS:
            target = self.folder / "data" / "kernels" / f"ipykernel-{version}"
            target.mkdir(parents=True)
            spec = {
                "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                "display_name": f"ipykernel {version}",
                "language": "python",
                "env": {
                    "PYTHONPATH": os.pathsep.join([str(environment.kernel_folder(version)), _TREE])
                },
                "metadata": {"supported_features": ["kernel subshells"]},
            }
            (target / "kernel.json").write_text(json.dumps(spec))

    def _address(self) -> str:
        """Read the address from the server's own file: no port is guessed."""
        ends = time.monotonic() + 60
        file = self.folder / "runtime" / f"jpserver-{self._process.pid}.json"
        while time.monotonic() < ends:
            if file.exists() and (text := file.read_text()):
                return str(json.loads(text)["url"])
            assert self._process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def rest(self, path: str, method: str = "GET", body: object = None) -> Any:
        """Ask the server's REST interface."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"token {_TOKEN}"}
        asked = Request(f"{self.url}api/{path}", data=data, headers=headers, method=method)  # noqa: S310 - our own server
        with urlopen(asked, timeout=30) as reply:  # noqa: S310 - the same
            text = reply.read()
        return json.loads(text) if text else None

    def close(self) -> None:
        """End the kernels, then the server."""
        for session in self.rest("sessions"):
            self.rest(f"sessions/{session['id']}", "DELETE")
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)

    @contextmanager
    def notebook(
        self,
        cells: list[str],
        *,
        kernel: str = "python3",
        name: str = "test",
        dark: bool = False,
        height: int = 1000,
    ) -> Iterator["OpenNotebook"]:
        """Write a notebook of these cells, open it, and wait for its kernel."""
        path = f"{name}.ipynb"
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        made.metadata["kernelspec"] = {"name": kernel, "display_name": kernel}
        nbformat.write(made, self.work / path)
        with self.opened(path, dark=dark, height=height) as found:
            yield found

    @contextmanager
    def opened(
        self, path: str, *, dark: bool = False, height: int = 1000
    ) -> Iterator["OpenNotebook"]:
        """Open a notebook that lies in the server's folder."""
        size = {"width": 1280, "height": height}
        context = self._browser.new_context(viewport=size)  # type: ignore[arg-type]
        context.set_default_timeout(15_000)
        page = context.new_page()
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(f"page error: {error}"))
        page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
        page.on("request", lambda asked: _check_origin(asked.url, self.url, troubles))
        found = OpenNotebook(self, page, path)
        try:
            found.open(dark=dark)
            yield found
            assert not troubles, troubles
        except BaseException:
            keep = Path(os.environ.get("NBVISION_TEST_RESULTS", self.folder))
            page.screenshot(path=keep / f"failed-{Path(path).stem}.png")
            shutil.copy(self.log, keep / f"failed-{Path(path).stem}.log")
            raise
        finally:
            found.close()
            context.close()


def _check_origin(url: str, origin: str, troubles: list[str]) -> None:
    if not url.startswith((origin, "data:", "blob:", origin.replace("http", "ws", 1))):
        troubles.append(f"a request left the server: {url[:200]}")


class OpenNotebook:
    """One notebook in one page, with a client of its kernel beside it."""

    def __init__(self, lab: Lab, page: Page, path: str) -> None:
        self.lab, self.page, self.path = lab, page, path
        self._client: BlockingKernelClient | None = None

    def open(self, *, dark: bool = False) -> None:
        """Load the page and wait until the kernel has answered."""
        self.page.goto(f"{self.lab.url}lab/tree/{self.path}?token={_TOKEN}&reset")
        self.page.wait_for_function("() => window.jupyterapp?.shell")
        self.page.evaluate(
            """async (path) => {
              const app = window.jupyterapp;
              await app.started; await app.restored;
              const find = () => [...app.shell.widgets("main")]
                .find((widget) => widget.context?.path === path);
              while (!find()) await new Promise((done) => setTimeout(done, 20));
              const panel = find();
              window.panel = panel;
              await panel.revealed; await panel.context.ready; await panel.sessionContext.ready;
              // Now and then a kernel's first reply does not reach the page, and the notebook
              // would stay at "Connecting" for ever; to connect again asks again.
              const kernel = panel.sessionContext.session.kernel;
              const late = () => new Promise((done) => setTimeout(() => done("late"), 10000));
              for (let i = 0; i < 3 && (await Promise.race([kernel.info, late()])) === "late"; i++)
                await kernel.reconnect();
              await kernel.info;
            }""",
            self.path,
        )
        # A theme is the server's setting: the test before may have chosen the other.
        self.page.evaluate(
            """async (theme) => {
              if (document.body.dataset.jpThemeName !== theme)
                await window.jupyterapp.commands.execute("apputils:change-theme", { theme });
            }""",
            theme := "JupyterLab Dark" if dark else "JupyterLab Light",
        )
        self.page.locator(f'body[data-jp-theme-name="{theme}"]').wait_for(state="attached")

    def run_all(self) -> None:
        """Run all cells and wait for the last; an error in a cell fails here, with its text."""
        self.page.evaluate(
            """async () => {
              await window.jupyterapp.commands.execute("notebook:run-all-cells");
              await window.panel.sessionContext.session.kernel.requestExecute(
                { code: "", silent: true }).done;
            }"""
        )
        for cell in self.outputs():
            for output in cell:
                assert output["output_type"] != "error", "\n".join(output["traceback"])

    def run_cell(self, number: int) -> None:
        """Run the cell of this number, counted from 0."""
        self.page.evaluate(
            """async (number) => {
              window.panel.content.activeCellIndex = number;
              await window.jupyterapp.commands.execute("notebook:run-cell");
            }""",
            number,
        )

    def outputs(self) -> list[list[dict[str, Any]]]:
        """Return each cell's outputs as the document holds them."""
        cells: list[dict[str, Any]] = self.page.evaluate(
            "() => window.panel.context.model.toJSON().cells"
        )
        return [cell.get("outputs", []) for cell in cells]

    def sources(self) -> list[str]:
        """Return each cell's source as the document holds it."""
        cells: list[dict[str, Any]] = self.page.evaluate(
            "() => window.panel.context.model.toJSON().cells"
        )
        return [cell["source"] for cell in cells]

    def widget(self, number: int = 0) -> Locator:
        """Return a widget of ours, by its place on the page."""
        return self.page.locator(".nbvision").nth(number)

    def count_received(self) -> Callable[[], int]:
        """Count the bytes that the page receives from now on; call it for the sum."""
        session = self.page.context.new_cdp_session(self.page)
        sizes: list[int] = []
        session.on(
            "Network.webSocketFrameReceived",
            lambda event: sizes.append(len(event["response"]["payloadData"])),
        )
        session.send("Network.enable")
        return lambda: sum(sizes)

    def save(self) -> None:
        """Save the notebook and wait until it is written."""
        self.page.evaluate("() => window.panel.context.save()")

    def python(self, expression: str) -> str:
        """Return the ``repr`` of an expression in the kernel; the notebook does not notice."""
        reply = self._kernel().execute(
            "", silent=True, user_expressions={"it": expression}, reply=True, timeout=30
        )
        found = reply["content"]["user_expressions"]["it"]
        assert found["status"] == "ok", found
        return str(found["data"]["text/plain"])

    def do(self, code: str) -> None:
        """Run statements in the kernel beside the notebook."""
        reply = self._kernel().execute(code, silent=False, reply=True, timeout=60)
        assert reply["content"]["status"] == "ok", reply["content"]

    def until(self, expression: str, *, seconds: float = 15.0) -> None:
        """Wait until an expression in the kernel is true."""
        self.wait_for(lambda: self.python(f"bool({expression})") == "True", expression, seconds)

    def wait_for(self, condition: Callable[[], Any], what: str, seconds: float = 15.0) -> Any:
        """Wait until something is true, letting the page live meanwhile."""
        ends = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < ends, f"it did not come true: {what}"
            self.page.wait_for_timeout(25)
        return found

    def _kernel(self) -> BlockingKernelClient:
        if self._client is None:
            session = next(s for s in self.lab.rest("sessions") if s["path"] == self.path)
            file = self.lab.folder / "runtime" / f"kernel-{session['kernel']['id']}.json"
            self._client = BlockingKernelClient(connection_file=str(file))
            self._client.load_connection_file()
            self._client.start_channels()
        return self._client

    def close(self) -> None:
        """End the kernel."""
        if self._client is not None:
            self._client.stop_channels()
        for session in self.lab.rest("sessions"):
            if session["path"] == self.path:
                self.lab.rest(f"sessions/{session['id']}", "DELETE")
