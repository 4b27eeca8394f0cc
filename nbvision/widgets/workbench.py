"""Pick, see and ask in one: the first thing a newcomer meets."""

import os
from typing import Any, Literal

from traitlets import Any as AnyTrait

from nbvision.backends import Backend
from nbvision.detections import Detections
from nbvision.errors import NbvisionError
from nbvision.images import SourceImage
from nbvision.results import Reply
from nbvision.widgets.ask_panel import AskPanel
from nbvision.widgets.panel import Panel, Still, front_end, weakly
from nbvision.widgets.picker import ImagePicker
from nbvision.widgets.preview_panel import PreviewPanel

__all__ = ["Workbench"]


class Workbench(Panel):
    """A folder of pictures, what the model will see of them, and a form to ask about them.

    It remembers nothing: what is chosen and asked lives in this object alone.

    Parameters
    ----------
    root
        The folder to pick from; nothing outside it can be seen.
    prompt, task, system, max_tokens, effort
        What the form begins with, as in `AskPanel`.
    model, backend
        Who would be asked; by default who is connected.
    max_bytes
        The most that one uploaded picture may have, in bytes.

    Attributes
    ----------
    picker, preview_panel, ask_panel
        Its three parts, each as it is alone.
    result
        What was answered last: a `Reply`, or `Detections` in original pixels.

    Raises
    ------
    ImageNotFound
        If there is no such folder.
    RequestError
        If there is no such task or effort, or the root is no path.

    Examples
    --------
    >>> import nbvision as nv
    >>> bench = Workbench(backend=nv.connect("practice", words_per_second=None))
    >>> image = bench.picker.add(nv.samples.shapes)
    >>> [image.source for image in bench.images]
    ['shapes.png']
    """

    _esm, _css = front_end(
        "workbench", "workbenchView", "answer", "uploading", "picker", "preview_panel", "ask_panel"
    )
    _has_result = True

    result: Any = AnyTrait(None)

    def __init__(
        self,
        root: str | os.PathLike[str] = ".",
        *,
        prompt: str | None = None,
        task: Literal["describe", "compare", "locate"] = "describe",
        model: str | None = None,
        system: str | None = None,
        max_tokens: int | None = None,
        effort: str | None = None,
        backend: Backend | None = None,
        max_bytes: int = 100_000_000,
    ) -> None:
        self._picked: list[SourceImage] = []
        super().__init__()
        options: dict[str, Any] = {"model": model, "backend": backend}
        try:
            self.preview_panel = PreviewPanel(**options, inside=(self, "preview"))
            self.picker = ImagePicker(
                root, model=self.preview_panel.model, max_bytes=max_bytes, inside=(self, "picker")
            )
            options |= {"prompt": prompt, "task": task, "system": system, "effort": effort}
            self.ask_panel = AskPanel(**options, max_tokens=max_tokens, inside=(self, "ask"))
        except NbvisionError:
            self.close()
            raise
        self.ask_panel._take_followed = weakly(self._take_picked)
        self.preview_panel._tell_made = weakly(self._frame_made)
        self.picker.observe(self._take_picked, names="images")
        self.preview_panel.observe(self._previewed, names="images")
        self.preview_panel.observe(self._model_in_preview, names="model")
        self.ask_panel.observe(self._model_in_form, names="model")
        self.ask_panel.observe(self._answered, names="result")

    @property
    def images(self) -> list[SourceImage]:
        """The pictures that would be asked about: those chosen, with what was mended in them."""
        self._take_picked()
        return list(self.ask_panel.images)

    def ask(self, *, refresh: bool = False) -> None:
        """Ask about the pictures that are chosen, in the background; see `AskPanel.ask`."""
        self.ask_panel.ask(refresh=refresh)

    def stop(self) -> None:
        """Stop the question under way; the words that have arrived stay."""
        self.ask_panel.stop()

    def wait(self, seconds: float | None = None) -> Reply | Detections | None:
        """Wait for the question under way, and return `result`; see `AskPanel.wait`."""
        return self.ask_panel.wait(seconds)

    def _take_picked(self, _: Any = None) -> None:
        """Preview and ask about what is picked; waits for pictures that are being opened."""
        self.picker.images  # noqa: B018 - reading waits, which must not happen under the lock
        with self._lock:
            # Read again: what another thread has taken meanwhile must not be taken back.
            picked = list(self.picker.images)
            if picked != self._picked:
                self._picked = picked
                self.preview_panel.images = picked
                self.ask_panel.images = picked

    def _previewed(self, _: Any) -> None:
        """Ask about what the preview shows: a fix may have cut or enlarged it."""
        if self.preview_panel.images != list(self.ask_panel.images):
            self.ask_panel.images = self.preview_panel.images

    def _frame_made(self) -> None:
        """Let the form know what would be sent, so that it can tell what is stored."""
        if (frame := self.preview_panel.prepared) is not None:
            self.ask_panel._take_frame(frame)

    def _model_in_preview(self, change: Any) -> None:
        self.ask_panel.model = self.picker.model = change["new"]

    def _model_in_form(self, change: Any) -> None:
        if change["new"] and self.preview_panel.model != change["new"]:
            self.preview_panel.model = change["new"]

    def _answered(self, change: Any) -> None:
        self.result = change["new"]

    def _state(self) -> tuple[dict[str, Any], list[bytes]]:
        return {}, []

    def _result_so_far(self) -> Still | None:
        return self.ask_panel._result_so_far()

    def _still(self) -> Still:
        if self.ask_panel.text:
            return self.ask_panel._still()
        return self.preview_panel._still() if self.preview_panel.images else self.picker._still()

    def _in_words(self) -> str:
        return f"{self!r}: without widgets, nv.preview(image) and nv.describe(image) do the same"

    def __repr__(self) -> str:
        count, folder = len(self.ask_panel.images), self.picker._root.name
        return f"Workbench({folder!r}, {count} picture{'' if count == 1 else 's'} chosen)"
