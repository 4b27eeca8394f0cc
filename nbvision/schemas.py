"""Which JSON schemas can be sent, and held to: what cannot is named by its place.

Structured outputs speak a dialect of JSON Schema ("Structured outputs",
platform.claude.com/docs, copy of August 2026). Only what is documented not to be in it is an
error here; what is not documented either way is left to the service.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from nbvision.errors import RequestError
from nbvision.findings import Finding, Findings
from nbvision.json_fields import is_whole
from nbvision.markup import plain

__all__ = [
    "broken_findings",
    "copied_schema",
    "dialect_findings",
    "lost_findings",
    "place_in_words",
]

_Schema = Mapping[str, Any]
_DEEPEST = 60
_DEEPEST_FOLLOWED = 150
_LONGEST_NAME = 80
_MOST_BITS = 1024
_MOST_VALUES = 100_000
_LONGEST = 1_000_000  # characters as JSON
_MOST_OPTIONAL = 24
_BOUNDS = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "maxItems"),
)
_BY_NAME = ("properties", "patternProperties", "dependentSchemas")
_BY_NUMBER = ("anyOf", "oneOf", "allOf", "prefixItems")
_ALONE = (
    *("items", "additionalProperties", "not", "if", "then", "else", "contains"),
    *("propertyNames", "unevaluatedItems", "unevaluatedProperties"),
)
_DEFINED = ("$defs", "definitions")
_TELLS_TYPE = ("type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref")
_PLAIN_NAME = re.compile(r"[\w$-]+")
_IN_WORDS = (
    "leave it out and say it in the description, or give a pydantic model: its rules go out as "
    "words, and the answer is held to them"
)
_CURES: Mapping[str, str] = {
    "open-object": 'write "additionalProperties": false there',
    "bound": _IN_WORDS,
    "recursive": "write out as many levels as you need",
    "reference": "put what it leads to under $defs, and write #/$defs/…",
    "optional": "list more of them under required, and let them be null",
    "free-keys": "use a list of objects with a field for the key and one for the value",
    "untyped": "give the field a type",
    "deep": "make it flatter",
    "pattern": "write a regular expression",
}


def dialect_findings(schema: Mapping[str, Any]) -> Findings:
    """Return what of a schema the dialect of structured outputs is documented not to express.

    Only what the root leads to is looked at.

    Examples
    --------
    >>> print(dialect_findings({"type": "object"}))
    ✗ open-object: $ takes further properties → write "additionalProperties": false there
    """
    walk = _Walk(schema)
    found = list(walk.findings(schema, "$", (), 0))
    if walk.optional > _MOST_OPTIONAL:
        value = f"$ has {walk.optional} optional properties, of at most {_MOST_OPTIONAL}"
        found.append(_finding("optional", value))
    return Findings(found)


@dataclass
class _Walk:
    """One walk through a schema, references followed."""

    root: _Schema
    optional: int = 0
    counted: set[int] = field(default_factory=set)
    followed: set[str] = field(default_factory=set)

    def findings(
        self, schema: _Schema, place: str, above: tuple[str, ...], depth: int
    ) -> Iterator[Finding]:
        """Yield what is wrong at a place and within; ``above`` are the references taken."""
        if depth > _DEEPEST_FOLLOWED:
            yield _finding("deep", f"{place} is nested too deep, references followed")
            return
        yield from self._here(schema, place)
        reference = schema.get("$ref")
        target = None if reference is None else _resolve(self.root, reference)
        if target is not None and (reference in above or target is self.root):
            yield _finding("recursive", f"{place} leads back to itself")
        elif target is not None and reference not in self.followed:
            within = "$" + str(reference)[1:].replace("/", ".")
            yield from self.findings(target, within, (*above, str(reference)), depth + 1)
            self.followed.add(str(reference))
        for inner, within in _parts(schema, place):
            yield from self.findings(inner, within, above, depth + 1)

    def _here(self, schema: _Schema, place: str) -> Iterator[Finding]:
        is_object = "object" in _types(schema) or "properties" in schema
        if is_object and schema.get("additionalProperties") is not False:
            yield _finding("open-object", f"{place} takes further properties")
        for name in _BOUNDS:
            if name in schema:
                yield _finding("bound", f"{place} has {name}")
        if schema.get("minItems", 0) not in {0, 1}:
            yield _finding("bound", f"{place} has minItems above 1")
        if id(schema) not in self.counted:
            self.counted.add(id(schema))
            named = set(schema.get("properties", ())) - set(schema.get("required", ()))
            self.optional += len(named)


def _finding(code: str, value: str) -> Finding:
    return Finding(code, "error", value, cure=_CURES[code])


def broken_findings(schema: _Schema) -> Iterator[Finding]:
    """Yield what can be held by nobody, sent as a schema or in words."""
    for part, place in _everywhere(schema, "$"):
        reference = part.get("$ref")
        if reference is not None and not reference.startswith("#"):
            yield _finding("reference", f"{place} leads out of it, to {reference!r}")
        elif reference is not None and _leads_nowhere(schema, reference):
            yield _finding("reference", f"{place} leads nowhere, to {reference!r}")
        try:
            re.compile(part.get("pattern", ""))
        except (re.error, OverflowError, RecursionError):
            yield _finding("pattern", f"{place} has a pattern that cannot be read")


def lost_findings(schema: _Schema) -> Iterator[Finding]:
    """Yield what of a pydantic model would be closed without a word: no answer could hold it."""
    for part, place in _everywhere(schema, "$"):
        is_free = (
            part.get("additionalProperties", False) is not False or "patternProperties" in part
        )
        if "object" in _types(part) and is_free and not part.get("properties"):
            yield _finding("free-keys", f"{place} takes keys of any name")
        if not any(name in part for name in _TELLS_TYPE):
            yield _finding("untyped", f"{place} can be anything")


def _everywhere(schema: _Schema, place: str) -> Iterator[tuple[_Schema, str]]:
    """Yield a schema and all within it, definitions included, each with its place."""
    yield schema, place
    for inner, within in _parts(schema, place, _DEFINED):
        yield from _everywhere(inner, within)


def _parts(
    schema: _Schema, place: str, also: tuple[str, ...] = ()
) -> Iterator[tuple[_Schema, str]]:
    """Yield the schemas directly within one."""
    for group in (*_BY_NAME, *also):
        for name, inner in schema.get(group, {}).items():
            if isinstance(inner, Mapping):
                yield inner, f"{place}.{group}{_step(name)}"
    for group in _BY_NUMBER:
        for number, inner in enumerate(schema.get(group, ())):
            if isinstance(inner, Mapping):
                yield inner, f"{place}.{group}{_step(number)}"
    for name in _ALONE:
        if isinstance(schema.get(name), Mapping):
            yield schema[name], f"{place}.{name}"


def _resolve(root: _Schema, reference: str) -> _Schema | None:
    """Return where a reference by places leads; None where it leads to no schema."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    found: Any = root
    for part in reference[2:].split("/") if reference != "#" else ():
        step = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            found = found[int(step)] if step.isdecimal() and int(step) < len(found) else None
        else:
            found = found.get(step) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _leads_nowhere(root: _Schema, reference: str) -> bool:
    # A name that a schema gives itself with $anchor is left to who applies it.
    return reference.startswith(("#/", "##")) and _resolve(root, reference) is None


def _types(schema: _Schema) -> list[str]:
    kind = schema.get("type", [])
    return kind if isinstance(kind, list) else [kind]


def place_in_words(path: Iterable[object]) -> str:
    """Return a place in a schema, or in an answer.

    >>> place_in_words(["boxes", 0, "my label"])
    '$.boxes[0]["my label"]'
    """
    return "$" + "".join(_step(step) for step in path)


def _step(name: object) -> str:
    if isinstance(name, str) and _PLAIN_NAME.fullmatch(name):
        return f".{name[:_LONGEST_NAME]}"
    return (
        f"[{name!r}]" if isinstance(name, int) else f'["{plain(str(name), limit=_LONGEST_NAME)}"]'
    )


def copied_schema(schema: object) -> dict[str, Any]:
    """Return a copy of a schema as plain JSON values, if it is one.

    Raises
    ------
    RequestError
        If it cannot be JSON, is too large, or is no JSON schema.
    """
    from jsonschema import Draft202012Validator

    copy = _Copy()
    found: dict[str, Any] = copy.of(schema, (), ())
    error = next(Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(found), None)
    if error is not None:
        words = plain(error.message, limit=200)
        raise RequestError(
            f"the schema at {place_in_words(error.absolute_path)}: {words}",
            limit="a JSON schema (draft 2020-12)",
            cure="see json-schema.org for what may stand there",
        )
    return found


@dataclass
class _Copy:
    """Copies what a person gave into plain JSON values."""

    values: int = 0
    characters: int = 0

    def of(self, value: Any, place: tuple[object, ...], above: tuple[int, ...]) -> Any:
        """Return the copy of one value; ``above`` are the containers that it is in."""
        self.values += 1
        if id(value) in above:
            raise _not_json(place, "holds itself", "write it out, or use $ref")
        if len(above) > _DEEPEST:
            raise _not_json(place, f"is nested deeper than {_DEEPEST} levels", "make it flatter")
        within = (*above, id(value))
        if isinstance(value, Mapping):
            return {
                self._name(name, place): self.of(inner, (*place, name), within)
                for name, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.of(inner, (*place, n), within) for n, inner in enumerate(value)]
        return self._plain(value, place)

    def _name(self, name: object, place: tuple[object, ...]) -> str:
        if not isinstance(name, str):
            words = f"has a key that is {_shown(name)}"
            raise _not_json(place, words, "name it with text")
        return str(self._plain(name, place))

    def _plain(self, value: object, place: tuple[object, ...]) -> object:
        self.characters += len(value) if isinstance(value, str) else 8
        if self.values > _MOST_VALUES or self.characters > _LONGEST:
            raise RequestError(
                "a schema of more than a million characters or a hundred thousand values",
                limit=f"{_LONGEST:,} characters, {_MOST_VALUES:,} values",
                cure="ask for less at once",
            )
        if isinstance(value, str):
            text = str.__str__(value)  # an Enum of text is its value
            if is_whole(text):
                return text
            raise _not_json(place, "holds half a character", "write it again; it was cut apart")
        if value is None or (isinstance(value, int) and value.bit_length() <= _MOST_BITS):
            return value
        if isinstance(value, float) and math.isfinite(value):
            return value
        raise _not_json(place, f"is {_shown(value)}", "use a value that JSON has")


def _shown(value: object) -> str:
    if isinstance(value, int):
        return f"a number of {value.bit_length()} bits"
    return plain(repr(value), limit=60)


def _not_json(place: tuple[object, ...], words: str, cure: str) -> RequestError:
    return RequestError(
        f"the schema at {place_in_words(place)} {words}", limit="JSON values", cure=cure
    )
