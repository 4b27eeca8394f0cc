"""Two questions and their answers side by side: what changed, word by word."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbvision.markup import bundle, escape, one_line, plain, rich, table

__all__ = ["Asked", "CallDifference"]

# A number is one word, with its point: half of "5.5" says nothing.
_WORD = re.compile(r"\s+|\d+(?:[.,]\d+)*(?!\w)|\w+|[^\w\s]")
_MOST_WORDS = 3000  # comparing takes the product of both; a longer text is compared by lines
_MOST_SHOWN = 20_000
_MOST_IN_WORDS = 200_000
_LONGEST_VALUE = 200
_LINE = 'style="white-space:pre-wrap;overflow-wrap:anywhere;max-width:60em;margin:.2em 0 .8em"'
# Underlined and struck through, so that nothing depends on seeing colours; the tint is let
# through by light pages and dark ones.
_MARKS = {
    "ins": ("added", "text-decoration:underline;background:rgba(46,160,67,.25)"),
    "del": ("removed", "text-decoration:line-through;background:rgba(248,81,73,.25)"),
}
_UNSEEN = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked and what came back, as far as two such can be compared.

    Attributes
    ----------
    name
        What it is called: ``"call 17"``.
    model
        Who was asked.
    prompt, text
        The words of both sides.
    parameters
        All else that was sent, by name.
    """

    name: str
    model: str
    prompt: str
    text: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, repr=False)
class CallDifference:
    """How prompt and answer changed from one call to another.

    Attributes
    ----------
    before, after
        The two.

    Examples
    --------
    >>> before = Asked("call 1", "claude-haiku-4-5", "What is it?", "A wall.")
    >>> after = Asked("call 2", "claude-haiku-4-5", "What is it?", "A teal wall.")
    >>> print(CallDifference(before, after))
    call 1 → call 2
    prompt: the same
    reply:
    -A wall.
    +A teal wall.
    """

    before: Asked
    after: Asked

    @property
    def parameters(self) -> dict[str, tuple[Any, Any]]:
        """What else was asked otherwise, the model first: by name, before and after."""
        both: dict[str, tuple[Any, Any]] = {"model": (self.before.model, self.after.model)}
        names = dict.fromkeys([*self.before.parameters, *self.after.parameters])
        both |= {
            name: (self.before.parameters.get(name), self.after.parameters.get(name))
            for name in sorted(names)
        }
        return {name: (old, new) for name, (old, new) in both.items() if old != new}

    @property
    def prompt(self) -> str:
        """The prompts' difference, line by line; empty if there is none."""
        return _by_lines(self.before.prompt, self.after.prompt)

    @property
    def text(self) -> str:
        """The answers' difference, line by line; empty if there is none."""
        return _by_lines(self.before.text, self.after.text)

    def __str__(self) -> str:
        lines = [self._title()]
        lines += [
            f"{name}: {_value(old)} → {_value(new)}" for name, (old, new) in self.parameters.items()
        ]
        for name, changed in (("prompt", self.prompt), ("reply", self.text)):
            lines.append(f"{name}:\n{changed}" if changed else f"{name}: the same")
        return plain("\n".join(lines), limit=_MOST_IN_WORDS)

    def __repr__(self) -> str:
        return f"CallDifference({self.before.name!r}, {self.after.name!r})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        rows = [(name, _value(old), _value(new)) for name, (old, new) in self.parameters.items()]
        head = ("asked otherwise", self.before.name, self.after.name)
        parts = [f"<div><b>{escape(self._title())}</b></div>", table(head, rows) if rows else ""]
        words = (
            ("prompt", self.before.prompt, self.after.prompt),
            ("reply", self.before.text, self.after.text),
        )
        for name, before, after in words:
            shown = _by_words(before, after) if before != after else rich("<i>the same</i>")
            parts.append(f"<div><small>{name}</small></div><div {_LINE}>{shown}</div>")
        return bundle(str(self), markup=rich("".join(parts)))

    def _title(self) -> str:
        return f"{self.before.name} → {self.after.name}"


def _by_lines(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
    changed = [line for line in [*lines][2:] if not line.startswith("@@")]  # no files, no places
    if not changed and before != after:
        return "only the breaks between lines"
    return "\n".join(changed)


def _by_words(before: str, after: str) -> rich:
    """Return both texts as one, with what was removed and what was added marked."""
    old, new = _pieces(before), _pieces(after)
    matcher = difflib.SequenceMatcher(str.isspace, old, new)
    shown = rich("".join(_marked(matcher, old, new)))
    is_cut = max(len(before), len(after)) > _MOST_SHOWN
    return rich(f"{shown} <small>(only the beginning is shown)</small>") if is_cut else shown


def _pieces(text: str) -> list[str]:
    cut = plain(text, limit=_MOST_SHOWN)
    words = _WORD.findall(cut)
    return words if len(words) <= _MOST_WORDS else cut.splitlines(keepends=True)


def _marked(
    matcher: "difflib.SequenceMatcher[str]", old: list[str], new: list[str]
) -> Iterator[str]:
    for kind, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        removed, added = "".join(old[old_from:old_to]), "".join(new[new_from:new_to])
        if kind == "equal":
            yield escape(added)
            continue
        if removed:
            yield _mark("del", removed)
        if added:
            yield _mark("ins", added)


def _mark(tag: str, words: str) -> str:
    said, style = _MARKS[tag]
    # Few screen readers say these elements by themselves.
    return f'<{tag} style="{style}"><span style="{_UNSEEN}">[{said}] </span>{escape(words)}</{tag}>'


def _value(value: Any) -> str:
    shown = "not given" if value is None else one_line(str(value), empty="(nothing)")
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}…"
