"""nbvision: see exactly what Claude sees, ask about it, and get boxes on your own pixels.

A picture of any kind becomes a `SourceImage` (`open_image`): upright, right-looking RGB. For
a model it becomes a `PreparedImage` (`prepare`): the very bytes that are sent, and the `Fit`
that says how the original became the frame the model looks at. `preview` shows that frame;
`check` and `estimate` say what is worth knowing before paying.

`describe`, `compare`, `locate` and `ask` send it, with words, to whoever answers: the
Anthropic API, Amazon Bedrock, or a practice server on this machine that needs no key
(`connect` chooses and says why). What comes back is a `Reply`, or `Detections` whose boxes
are in pixels of the original picture, because the `Fit` has travelled along.

>>> import nbvision as nv
>>> nv.fit((4032, 3024), model="claude-haiku-4-5").resized
Size(width=1270, height=952)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbvision import samples
    from nbvision.awaiting import to_thread
    from nbvision.backends import Backend, connect
    from nbvision.budget import Budget, budgets
    from nbvision.calls import ask, compare, describe, locate
    from nbvision.catalogue import Model, find_model
    from nbvision.conversation import Conversation
    from nbvision.detections import Detections
    from nbvision.errors import NbvisionError
    from nbvision.findings import Finding, Findings
    from nbvision.geometry import Box, Fit, Point, Size, Tier
    from nbvision.images import SourceImage, open_image
    from nbvision.inspection import build_request, check, estimate, fit, prepare, preview
    from nbvision.matching import match_boxes
    from nbvision.past_calls import forget, history
    from nbvision.prepared import PreparedImage
    from nbvision.proving import Proof, prove
    from nbvision.referenced import RemoteImage, UploadedImage, remote_image
    from nbvision.refreshing import models
    from nbvision.request import Request
    from nbvision.results import Reply
    from nbvision.runs import Run, run
    from nbvision.uploading import delete_files, files, upload
    from nbvision.widgets.ask_panel import AskPanel
    from nbvision.widgets.box_editor import BoxEditor
    from nbvision.widgets.conversation_panel import ConversationPanel
    from nbvision.widgets.panel import freeze_widgets
    from nbvision.widgets.picker import ImagePicker
    from nbvision.widgets.preview_panel import PreviewPanel
    from nbvision.widgets.workbench import Workbench

__version__ = "0.1.0"

# Where each public name lives. Modules load when a name of theirs is first used, so that
# importing the package costs a millisecond instead of the SDKs' two seconds.
_HOMES = {
    "awaiting": ["to_thread"],
    "backends": ["Backend", "connect"],
    "budget": ["Budget", "budgets"],
    "calls": ["ask", "compare", "describe", "locate"],
    "catalogue": ["Model", "find_model"],
    "conversation": ["Conversation"],
    "detections": ["Detections"],
    "errors": ["NbvisionError"],
    "findings": ["Finding", "Findings"],
    "geometry": ["Box", "Fit", "Point", "Size", "Tier"],
    "images": ["SourceImage", "open_image"],
    "inspection": ["build_request", "check", "estimate", "fit", "prepare", "preview"],
    "matching": ["match_boxes"],
    "past_calls": ["forget", "history"],
    "prepared": ["PreparedImage"],
    "proving": ["Proof", "prove"],
    "refreshing": ["models"],
    "referenced": ["RemoteImage", "UploadedImage", "remote_image"],
    "request": ["Request"],
    "results": ["Reply"],
    "runs": ["Run", "run"],
    "uploading": ["delete_files", "files", "upload"],
    "widgets.ask_panel": ["AskPanel"],
    "widgets.box_editor": ["BoxEditor"],
    "widgets.conversation_panel": ["ConversationPanel"],
    "widgets.panel": ["freeze_widgets"],
    "widgets.picker": ["ImagePicker"],
    "widgets.preview_panel": ["PreviewPanel"],
    "widgets.workbench": ["Workbench"],
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AskPanel",
    "Backend",
    "Box",
    "BoxEditor",
    "Budget",
    "Conversation",
    "ConversationPanel",
    "Detections",
    "Finding",
    "Findings",
    "Fit",
    "ImagePicker",
    "Model",
    "NbvisionError",
    "Point",
    "PreparedImage",
    "PreviewPanel",
    "Proof",
    "RemoteImage",
    "Reply",
    "Request",
    "Run",
    "Size",
    "SourceImage",
    "Tier",
    "UploadedImage",
    "Workbench",
    "ask",
    "budgets",
    "build_request",
    "check",
    "compare",
    "connect",
    "delete_files",
    "describe",
    "estimate",
    "files",
    "find_model",
    "fit",
    "forget",
    "freeze_widgets",
    "history",
    "locate",
    "match_boxes",
    "models",
    "open_image",
    "prepare",
    "preview",
    "prove",
    "remote_image",
    "run",
    "samples",
    "to_thread",
    "upload",
]


def __getattr__(name: str) -> Any:
    if name == "samples":
        return import_module("nbvision.samples")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'nbvision' has no attribute {name!r}")
    value = getattr(import_module(f"nbvision.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(ipython: Any) -> None:
    """Load the magics: ``%load_ext nbvision``."""
    import_module("nbvision.magics").load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Take them away again: ``%unload_ext nbvision``."""
    import_module("nbvision.magics").unload(ipython)
