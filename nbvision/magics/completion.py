"""What Tab offers on the line of a magic: options, their values, and files that are pictures."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from nbvision.backends import connected
from nbvision.catalogue import known_models
from nbvision.widgets.folder import SUFFIXES, natural_key

__all__ = ["Completion", "offers"]

_MAGIC = re.compile(r"\s*%{1,2}(\w+)\s")
_MOST_ENTRIES = 2000
_PLACES = ("anthropic", "bedrock", "practice")


class Completion:
    """Offers completions to a shell."""

    def __init__(
        self, shell: Any, options: Mapping[str, Sequence[str]], efforts: Sequence[str]
    ) -> None:
        self._shell = shell
        self._options = options
        self._efforts = efforts
        self._matcher: Callable[[Any], Any] | None = None

    def add(self) -> None:
        """Begin to offer."""
        from IPython.core.completer import SimpleCompletion, context_matcher

        @context_matcher(identifier="nbvision")  # type: ignore[untyped-decorator]
        def matcher(context: Any) -> Any:
            fragment, found, is_all = offers(
                context.text_until_cursor, self._options, self._efforts
            )
            return {
                "completions": [SimpleCompletion(text) for text in found],
                "matched_fragment": fragment,
                "ordered": True,
                # Names of variables are offered by others; files are offered here.
                "suppress": bool(found) if is_all else {"IPCompleter.file_matcher"},
            }

        self._matcher = matcher
        self._shell.Completer.custom_matchers.append(matcher)

    def remove(self) -> None:
        """Offer nothing any more."""
        if self._matcher in self._shell.Completer.custom_matchers:
            self._shell.Completer.custom_matchers.remove(self._matcher)


def offers(
    text: str, options: Mapping[str, Sequence[str]], efforts: Sequence[str]
) -> tuple[str, list[str], bool]:
    """Return the fragment before the cursor, what it can become, and whether that is all.

    Examples
    --------
    >>> offers("%%describe --mo", {"describe": ["model", "effort"]}, [])
    ('--mo', ['--model'], True)
    """
    magic = _MAGIC.match(text)
    if magic is None or magic[1] not in options:
        return "", [], False
    line = text[magic.end() :]
    fragment = _last(line)
    before = line[: len(line) - len(fragment)].split()
    option, equals, value = fragment.partition("=")
    if equals and option.startswith("--"):
        found = _values(option, efforts)
        return value, [each for each in found if each.startswith(value)], True
    if before and before[-1].startswith("--") and "=" not in before[-1]:
        found = _values(before[-1], efforts)
        return fragment, [each for each in found if each.startswith(fragment)], bool(found)
    if fragment.startswith("-"):
        names = (f"--{name}" for name in options[magic[1]])
        return fragment, [name for name in names if name.startswith(fragment)], True
    if magic[1] == "nbvision":
        verbs = _PLACES if "connect" in before else ("connect", "reset", "help")
        return fragment, [verb for verb in verbs if verb.startswith(fragment)], True
    return fragment, list(_pictures(fragment)), False


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


def _values(option: str, efforts: Sequence[str]) -> list[str]:
    if option == "--model":
        backend = connected()
        own = [backend.model] if backend is not None else []
        place = "bedrock" if backend is not None and backend.name == "bedrock" else ""
        ids = [model.platform_ids.get(place, model.id) for model in known_models()]
        return list(dict.fromkeys([*own, *ids]))
    return list(efforts) if option == "--effort" else []


def _pictures(fragment: str) -> Iterator[str]:
    """Yield the folders and pictures whose path begins so; in quotes where spaces ask for it."""
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
        is_offered = is_folder or Path(entry).suffix.lower() in SUFFIXES
        if is_offered and entry.startswith(name) and (name or not entry.startswith(".")):
            path = f"{head}{entry}{'/' if is_folder else ''}"
            mark = quote or ('"' if " " in path else "")
            yield f"{mark}{path}" + ("" if is_folder else mark)
