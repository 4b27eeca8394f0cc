"""The models that a widget's menu offers: who is connected, the catalogue's, the practice ones."""

from collections.abc import Iterable

from nbvision.backends import Backend, connected
from nbvision.backends.door import id_at
from nbvision.catalogue import DEFAULT_PRACTICE_MODEL, Model, find_model, known_models
from nbvision.markup import plain

__all__ = ["model_choices"]

_PRACTICE = (DEFAULT_PRACTICE_MODEL, "practice-standard")
_LONGEST_LABEL = 120


def model_choices(chosen: str, backend: Backend | None = None) -> list[dict[str, str]]:
    """Return what a menu of models offers: the id, its label and its group, in order.

    Ids are spelled as the connected place spells them.

    Parameters
    ----------
    chosen
        The model in use; an id that nobody else names gets a group of its own.
    backend
        Whose model stands first; by default the one that is connected, if any.

    Examples
    --------
    >>> next(choice for choice in model_choices("claude-opus-9") if "9" in choice["id"])["label"]
    'claude-opus-9 (not in the catalogue)'
    """
    asked = backend or connected()
    known = [model for model in known_models() if not model.id.startswith("practice-")]
    here = asked.platform.model_ids if asked else "api"

    def spelled(found: Iterable[Model]) -> list[str]:
        # What is not offered at this place is not offered in the menu.
        return [name for model in found if (name := id_at(model, here)) is not None]

    groups = {
        f"Connected: {asked.name}" if asked else "": [asked.model] if asked else [],
        "Chosen in Python": [chosen],
        "Claude": spelled(model for model in known if not model.deprecated),
        "Practice (no language model)": list(_PRACTICE),
        "Deprecated": spelled(model for model in known if model.deprecated),
    }
    offered = {name for group in groups if group != "Chosen in Python" for name in groups[group]}
    if chosen in offered:
        del groups["Chosen in Python"]
    found: dict[str, dict[str, str]] = {}
    for group, ids in groups.items():
        for name in ids:
            found.setdefault(name, {"id": name, "label": _label(name), "group": plain(group)})
    return list(found.values())


def _label(model_id: str) -> str:
    words = [plain(model_id)[:_LONGEST_LABEL]]
    if marks := ", ".join(_marks(find_model(model_id))):
        words.append(f"({marks})")
    return " ".join(words)


def _marks(model: Model) -> list[str]:
    marks = ["not in the catalogue"] if model.is_guessed else []
    if model.deprecated:
        marks.append("deprecated")
        marks += [f"ends {model.retires}"] if model.retires else []
    return marks
