"""A blank page that shows one real panel: its module in Chromium, its Python in the test.

Messages travel between the two as Jupyter delivers them. Playwright belongs to one thread,
so what a panel's own threads send is handed over when the test waits.
"""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Locator, Page

_PAGE = """<!doctype html><html lang="en"><head><title>nbvision</title></head>
<body><main><h1>A notebook</h1><div id="stage"></div></main></body></html>"""

_MOUNT = """
async ([esm, css]) => {
  const style = document.createElement("style");
  style.textContent = css;
  document.head.append(style);
  window.listening = [];
  for (const target of [window, document]) {
    const add = target.addEventListener.bind(target);
    target.addEventListener = (type, listener, options) => {
      const entry = [type];
      window.listening.push(entry);
      options?.signal?.addEventListener("abort", () =>
        window.listening.splice(window.listening.indexOf(entry), 1));
      add(type, listener, options);
    };
  }
  const decode = (text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return new DataView(bytes.buffer);
  };
  const encode = (view) => {
    const bytes = new Uint8Array(view.buffer ?? view, view.byteOffset ?? 0, view.byteLength);
    let text = "";
    for (let i = 0; i < bytes.length; i += 32768)
      text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    return btoa(text);
  };
  const listeners = new Set();
  window.outbox = [];
  const model = {
    get: () => undefined, set: () => undefined, save_changes: () => undefined,
    on: (name, listener) => listeners.add(listener),
    off: (name, listener) => listeners.delete(listener),
    send: (content, callbacks, buffers = []) =>
      window.outbox.push([JSON.parse(JSON.stringify(content)), buffers.map(encode)]),
  };
  window.modelListeners = listeners;
  window.deliver = (messages) => {
    for (const [content, buffers] of messages)
      for (const listener of [...listeners]) listener(content, buffers.map(decode));
  };
  const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
  const widget = (await import(url)).default;
  const el = document.getElementById("stage");
  window.leave = await widget.render({ model, el });
}
"""


class Stage:
    """A page with one panel; `until` and `pump` carry messages both ways.

    Attributes
    ----------
    page, panel
        The two ends.
    root
        The widget's element.
    is_connected
        Whether messages to the kernel arrive; False plays a kernel that is gone.
    traffic
        What the panel sent: (type, bytes).
    """

    def __init__(self, page: Page, panel: Any) -> None:
        self.page, self.panel, self.is_connected = page, panel, True
        self.traffic: list[tuple[str, int]] = []
        page.set_content(_PAGE)
        page.evaluate(_MOUNT, [panel._esm, panel._css])
        self.root: Locator = page.locator(".nbvision")
        self.pump()

    def pump(self) -> None:
        """Carry what waits on either side to the other."""
        for _ in range(3):
            for content, buffers in self.page.evaluate("() => window.outbox.splice(0)"):
                if self.is_connected:
                    views = [memoryview(base64.b64decode(text)) for text in buffers]
                    data = {"method": "custom", "content": content}
                    self.panel._handle_msg({"content": {"data": data}, "buffers": views})
            waiting = []
            queue = self.panel.comm.fresh if self.panel.comm is not None else None
            while queue is not None and not queue.empty():
                content, parts = queue.get()
                size = len(json.dumps(content)) + sum(map(len, parts))
                self.traffic.append((content["type"], size))
                encoded = [base64.b64encode(part).decode() for part in parts]
                waiting.append([json.loads(json.dumps(content)), encoded])
            if not waiting:
                return
            self.page.evaluate("(messages) => window.deliver(messages)", waiting)

    def until(self, condition: Callable[[], Any], *, seconds: float = 10.0) -> Any:
        """Carry messages until something is true; return it."""
        ends = time.monotonic() + seconds
        while True:
            self.pump()
            if found := condition():
                return found
            assert time.monotonic() < ends, f"it did not come true: {self.root.inner_text()}"
            self.page.wait_for_timeout(10)

    def sees(self, text: str, *, seconds: float = 10.0) -> None:
        """Wait until the widget shows these words."""
        self.until(lambda: text in self.root.inner_text(), seconds=seconds)

    def violations(self) -> list[str]:
        """Return what axe-core finds wrong inside the widget."""
        return violations(self.page, ".nbvision")


def violations(page: Page, selector: str) -> list[str]:
    """Return what axe-core finds wrong inside an element."""
    page.evaluate(AXE_FILE_PATH.read_text(encoding="utf-8"))
    found = page.evaluate("(selector) => axe.run(selector)", selector)
    return [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
