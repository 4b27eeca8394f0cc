"""The main job once, on a real photograph, without a key: what ``make demo`` runs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import nbvision as nv
from nbvision.backends import Backend
from nbvision.errors import NbvisionError
from nbvision.markup import escape, rich
from nbvision.previewing import Preview

__all__ = ["run_demo"]

_MODELS = ("claude-haiku-4-5", "claude-opus-5-5")


def run_demo(
    folder: Path, *, say: Callable[..., None] = print, backend: Backend | None = None
) -> Path:
    """Run the whole flow on the samples and leave one self-contained HTML page.

    Parameters
    ----------
    folder
        Where the page goes; made if it is not there.
    say
        What prints; takes a string, and ``end`` like `print`.
    backend
        Who answers; the practice server if it is not given.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    NbvisionError
        If any step fails, or the folder cannot be written.
    """
    page = _Page(folder)
    asked = backend or nv.connect("practice")
    say(f"Who answers: {asked.name}, {asked.model}\n  {asked.why}\n")
    page.add("Who answers", f"{asked.name}, {asked.model}: {asked.why}")
    _show_frame(say, page, asked)
    _describe(say, page, asked)
    _compare(say, page, asked)
    for sample in (nv.samples.photo, nv.samples.shapes):
        _locate(say, page, asked, sample)
    return page.write()


class _Page:
    """The pieces of one HTML page."""

    def __init__(self, folder: Path) -> None:
        self._parts: list[str] = []
        self._path = folder / "index.html"
        # What cannot be written is known before anything is asked; an older page stays till then.
        self._put("a", "")

    def add(self, heading: str, *contents: object) -> None:
        body = "".join(f"<div>{escape(content)}</div>" for content in contents)
        self._parts.append(f"<section><h2>{escape(heading)}</h2>{body}</section>")

    def write(self) -> Path:
        self._put("w", _HEAD + "".join(self._parts) + "</main></html>")
        return self._path

    def _put(self, mode: str, words: str) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open(mode, encoding="utf-8") as file:
                file.write(words)
        except OSError as error:
            raise NbvisionError(
                f"cannot write {self._path}: {error.strerror}", cure="name another folder"
            ) from None


def _show_frame(say: Callable[..., None], page: _Page, backend: Backend) -> None:
    photo = nv.open_image(nv.samples.photo)
    say(f"The photograph: {photo.size} px, {nv.samples.photo.licence}")
    for model in _MODELS:
        fit = nv.fit(photo.size, model=model)
        price = nv.estimate(photo, models=model)
        say(
            f"  {model:<18} looks at {fit.resized}, padded to {fit.padded}: "
            f"{fit.visual_tokens:,} visual tokens, {price.rows[0].dollars_in_words} to send"
        )
    preview = nv.preview(photo, backend=backend, boxes=nv.samples.photo.truth)
    page.add("What the model sees", _html(preview))
    say("")


def _describe(say: Callable[..., None], page: _Page, backend: Backend) -> None:
    say("Describe the photograph:\n  ", end="")
    reply = nv.describe(
        nv.samples.photo, backend=backend, on_text=lambda text: say(text, end="", flush=True)
    )
    say(
        f"\n  [{reply.usage.input_tokens:,} tokens in, {reply.usage.output_tokens:,} out, "
        f"{reply.cost}]\n"
    )
    page.add("Describe", _html(reply))


def _compare(say: Callable[..., None], page: _Page, backend: Backend) -> None:
    say("Compare two pictures of a shelf:\n  ", end="")
    reply = nv.compare(
        [nv.samples.shelf_before, nv.samples.shelf_after],
        backend=backend,
        on_text=lambda text: say(text, end="", flush=True),
    )
    say(f"\n  [{reply.usage.input_tokens:,} tokens in, {reply.cost}]\n")
    page.add("Compare", _html(reply))


def _locate(
    say: Callable[..., None], page: _Page, backend: Backend, sample: nv.samples.Sample
) -> None:
    found = nv.locate(sample, sample.prompt, backend=backend)
    say(
        f"Locate “{sample.prompt}” in {sample.name}; boxes in original pixels ({found.image.size}):"
    )
    for line in _scores(found, sample):
        say(f"  {line}")
    say("")
    page.add(f"Locate “{sample.prompt}”", *_scores(found, sample), _html(found))


def _scores(found: nv.Detections, sample: nv.samples.Sample) -> Iterator[str]:
    for box in found.boxes:
        edges = ", ".join(f"{edge:.0f}" for edge in box.xyxy)
        best = max((box.iou(truth) for truth in sample.truth), default=0.0)
        yield f"{box.label:<24} [{edges}]  IoU with the truth {best:.2f}"
    if not found.boxes:
        yield "nothing found"


def _html(result: nv.Reply | nv.Detections | Preview) -> rich:
    return rich(result._repr_mimebundle_()["text/html"])


_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>nbvision demo</title>
<meta name="viewport" content="width=device-width">
<style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem}
h2{margin:2rem 0 .5rem;border-bottom:1px solid #ccc}table{border-collapse:collapse}
td,th{padding:.2rem .8rem .2rem 0;text-align:left}img{max-width:100%}</style>
<main><h1>From a picture to boxes on its own pixels</h1>"""
