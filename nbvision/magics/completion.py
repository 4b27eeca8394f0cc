"""What Tab offers on the line of a magic: options, their values, and files that are pictures."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

from nbvision.backends import connected
from nbvision.backends.connection import BACKENDS
from nbvision.backends.door import id_at
from nbvision.catalogue import known_models
from nbvision.magics.options import FLAGS, OPTIONS, PAST, PLACE, SETTINGS, VALUES, options_of
from nbvision.magics.pictures import public_names
from nbvision.platforms import find_platform
from nbvision.widgets.folder import SUFFIXES, natural_key

__all__ = ["Completion", "Offer", "offers"]

_MAGIC = re.compile(r"\s*%{1,2}(\w+)\s")
_MOST_ENTRIES = 2000
_REPLIES = ".replies"


@dataclass(frozen=True, slots=True)
class Offer:
    """What the word before the cursor can become.

    Attributes
    ----------
    fragment
        The part of it that is replaced.
    kind
        What is offered: a model, an option, a path.
    found
        The texts, in their order.
    is_all
        Whether nothing of anybody else's fits here.
    """

    fragment: str = ""
    kind: str = ""
    found: tuple[str, ...] = ()
    is_all: bool = False

    @property
    def shown(self) -> tuple[str, ...]:
        """What a shell is told: it asks others where it is told nothing, so the word stays."""
        return self.found or ((self.fragment,) if self.is_all and self.fragment else ())


class Completion:
    """Offers completions to a shell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._matcher: Callable[[Any], Any] | None = None

    def add(self) -> None:
        """Begin to offer."""
        from IPython.core.completer import SimpleCompletion, context_matcher

        @context_matcher(identifier="nbvision")  # type: ignore[untyped-decorator]
        def matcher(context: Any) -> Any:
            offer = offers(context.text_until_cursor, self._shell.user_ns)
            return {
                "completions": [SimpleCompletion(text, type=offer.kind) for text in offer.shown],
                "matched_fragment": offer.fragment,
                "ordered": True,
                # Names of variables are offered by others; files are offered here.
                "suppress": bool(offer.shown) if offer.is_all else {"IPCompleter.file_matcher"},
            }

        self._matcher = matcher
        self._shell.Completer.custom_matchers.append(matcher)

    def remove(self) -> None:
        """Offer nothing any more."""
        if self._matcher in self._shell.Completer.custom_matchers:
            self._shell.Completer.custom_matchers.remove(self._matcher)


def offers(text: str, variables: Mapping[str, Any]) -> Offer:
    """Return what the word before the cursor can become.

    Parameters
    ----------
    text
        The line up to the cursor.
    variables
        The notebook's.

    Examples
    --------
    >>> offers("%%describe --mo", {})
    Offer(fragment='--mo', kind='option', found=('--model',), is_all=True)
    """
    magic = _MAGIC.match(text)
    if magic is None or magic[1] not in OPTIONS:
        return Offer()
    line = text[magic.end() :]
    fragment = _last(line)
    before = line[: len(line) - len(fragment)].split()
    option, equals, value = fragment.partition("=")
    if not equals and _takes_a_value(before[-1:]) and not fragment.startswith("--"):
        option, equals, value = before[-1], " ", fragment
    if equals and option.startswith("--"):
        return _values(option[2:], value, magic[1], before, variables)
    if magic[1] == "nbvision":
        return _settings(fragment, before)
    if fragment.startswith("-"):
        return _offer(fragment, "option", (f"--{name}" for name in OPTIONS[magic[1]]))
    # The names that others offer have neither: they would follow the last "/".
    is_path = fragment[:1] in {'"', "'"} or "/" in fragment or os.sep in fragment
    return Offer(fragment, "path", tuple(_paths(fragment, _is_picture)), is_path)


def _takes_a_value(last: Sequence[str]) -> bool:
    """Whether what is typed now belongs to the word before it."""
    return bool(last) and "=" not in last[0] and last[0].removeprefix("--") not in FLAGS


def _offer(fragment: str, kind: str, texts: Iterable[str]) -> Offer:
    found = dict.fromkeys(text for text in texts if text.startswith(fragment))
    return Offer(fragment, kind, tuple(found), is_all=True)


def _last(line: str) -> str:
    """Return the word that is being typed, with the quotes it began with."""
    start = 0
    closes = ""
    for at, character in enumerate(line):
        if closes:
            closes = "" if character == closes else closes
        elif character in "\"'":
            closes = character
        elif character.isspace():
            start = at + 1
    return line[start:]


def _settings(fragment: str, before: Sequence[str]) -> Offer:
    """Return what ``%nbvision`` takes: verbs, then who to connect, then that one's options."""
    if before[:1] == ["history"]:
        return _offer(fragment, "option", (f"--{name}" for name in PAST))
    if "connect" not in before:
        if fragment.startswith("-"):
            return _offer(fragment, "option", (f"--{name}" for name in SETTINGS))
        return _offer(fragment, "keyword", ("connect", "history", "reset", "help"))
    named = _named(before)
    if not named and not fragment.startswith("-"):
        return _offer(fragment, "backend", BACKENDS)
    known = options_of(named) if named else PLACE
    return _offer(fragment, "option", (f"--{name}" for name in known))


def _named(before: Sequence[str]) -> str:
    """Return the backend that a line connects, if it names one."""
    after = before[before.index("connect") + 1 :] if "connect" in before else []
    return next((word for word in after if word in BACKENDS), "")


def _values(
    option: str, fragment: str, magic: str, before: Sequence[str], variables: Mapping[str, Any]
) -> Offer:
    if option == "model":
        return _offer(fragment, "model", _models(_named(before) if magic == "nbvision" else ""))
    if option == "replies":
        return Offer(fragment, "path", tuple(_paths(fragment, _holds_replies)), is_all=True)
    if option == "into":
        usual = "found" if magic == "locate" else "reply"
        return _offer(fragment, "variable", [usual, *_names(variables, _is_kept)])
    if option == "schema":
        # What follows a dot is offered by others.
        found = _offer(fragment, "variable", _names(variables, _is_schema))
        return Offer(fragment) if "." in fragment else found
    kind = "level" if option == "effort" else "value"
    return _offer(fragment, kind, VALUES.get(option, ()))


def _is_kept(value: object) -> bool:
    """Whether a result may be kept in place of this: modules stay."""
    return not isinstance(value, ModuleType)


def _is_schema(value: object) -> bool:
    """Whether this can be the form of an answer: a JSON schema, or a class."""
    return isinstance(value, Mapping | type)


def _names(variables: Mapping[str, Any], fits: Callable[[object], bool]) -> list[str]:
    return [name for name in public_names(variables) if fits(variables[name])]


def _models(named: str) -> list[str]:
    """Return model ids as they are spelled by who is named, else by who is connected."""
    backend = connected()
    if named and (backend is None or backend.name != named):
        own, name = [], named
        here = "api" if named == "practice" else find_platform(named).model_ids
    elif backend is not None:
        own, name, here = [backend.model], backend.name, backend.platform.model_ids
    else:
        own, name, here = [], "practice", "api"
    known = sorted(known_models(), key=lambda model: bool(model.deprecated))
    return own + [
        spelled
        for model in known
        # What is not offered at this place has no spelling.
        if (spelled := id_at(model, here)) is not None
        and (name == "practice" or not model.id.startswith("practice-"))
    ]


def _is_picture(name: str, is_folder: bool) -> str | None:  # noqa: FBT001 - as `_paths` calls it
    """Return what ends a path that is offered; None if it is not."""
    if is_folder:
        return "/"
    return "" if Path(name).suffix.lower() in SUFFIXES else None


def _holds_replies(name: str, is_folder: bool) -> str | None:  # noqa: FBT001 - as `_paths` calls it
    if not is_folder:
        return None
    return "" if name.endswith(_REPLIES) else "/"


def _paths(fragment: str, ending: Callable[[str, bool], str | None]) -> Iterator[str]:
    """Yield the paths that begin so and have an ending; in quotes where spaces ask for it."""
    quote = fragment[:1] if fragment[:1] in {'"', "'"} else ""
    typed = fragment[len(quote) :]
    name = os.path.basename(typed)  # noqa: PTH119 - the text stays as it was typed
    head = typed[: len(typed) - len(name)]
    try:
        with os.scandir(Path(head or ".").expanduser()) as entries:
            found = [(entry.name, entry.is_dir()) for entry in islice(entries, _MOST_ENTRIES)]
    except (OSError, ValueError, RuntimeError):
        return
    for entry, is_folder in sorted(found, key=lambda each: natural_key(each[0])):
        end = ending(entry, is_folder)
        if end is not None and entry.startswith(name) and (name or not entry.startswith(".")):
            path = f"{head}{entry}{end}"
            mark = quote or ('"' if " " in path else "")
            yield f"{mark}{path}" + ("" if end else mark)
