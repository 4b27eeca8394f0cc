"""The schema dialect of structured outputs: what is taken, and a value for any such schema.

From "Structured outputs" (platform.claude.com/docs, copy of August 2026): objects are closed
with ``additionalProperties: false``; no bounds on numbers, lengths or counts (``minItems`` 0
or 1 apart); no recursion; references only within the schema; at most 24 optional properties.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbvision.practice.rejections import Rejected

__all__ = ["check_schema", "smallest_value"]

Schema = Mapping[str, Any]
_TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "date": "2026-01-01",
    "duration": "PT0S",
    "email": "nobody@example.org",
    "hostname": "example.org",
    "uri": "https://example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_WORDS = {"title", "description", "default", "examples", "$schema", "$id", "$comment"}
_KNOWN = _WORDS | {
    *("type", "enum", "const", "anyOf", "allOf", "$ref", "$defs", "definitions"),
    *("properties", "required", "additionalProperties", "items", "minItems", "format"),
}
_DEEPEST = 48
_MOST_NODES = 4000
_MOST_OPTIONAL = 24


def check_schema(schema: object) -> Schema:
    """Return the schema, if it is in the dialect and some value follows it.

    Raises
    ------
    Rejected
        400, naming the place and what is wrong there.
    """
    if not isinstance(schema, Mapping):
        raise _wrong("", "a schema is a JSON object")
    reading = _Reading(schema)
    reading.check(schema, "", 0, ())
    for group in ("$defs", "definitions"):
        for name, part in _mapping(schema.get(group, {}), group).items():
            reading.check(part, f"{group}.{name}", 1, ())
    if reading.optional > _MOST_OPTIONAL:
        raise _wrong("", f"{reading.optional} optional properties; at most {_MOST_OPTIONAL}")
    smallest_value(schema)
    return schema


def smallest_value(schema: Schema) -> Any:
    """Return a small value that follows a schema of the dialect.

    Raises
    ------
    Rejected
        400, if no value can follow it.

    Examples
    --------
    >>> smallest_value({"anyOf": [{"type": "array"}, {"type": "null"}]})
    []
    """
    filling = _Filling(schema)
    for value in filling.values(schema, 0):
        return value
    raise _wrong("", "no value can follow this schema")


def _wrong(place: str, what: str) -> Rejected:
    where = f"output_config.format.schema{'.' if place else ''}{place}"
    return Rejected(400, f"{where}: {what}")


def _mapping(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(place, "must be an object")
    return value


def _resolve(root: Schema, reference: object) -> Schema | None:
    """Return where an inner reference leads; None for any other."""
    if reference == "#":
        return root
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    place: object = root
    for part in reference[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        place = place.get(key) if isinstance(place, Mapping) else None
    return place if isinstance(place, Mapping) else None


@dataclass
class _Reading:
    """One walk through a schema, references followed."""

    root: Schema
    nodes: int = 0
    optional: int = 0

    def check(self, schema: object, place: str, depth: int, above: tuple[str, ...]) -> None:
        self.nodes += 1
        if depth > _DEEPEST or self.nodes > _MOST_NODES:
            raise _wrong("", "schema is too complex")
        if not isinstance(schema, Mapping):
            raise _wrong(place, "a schema is a JSON object")
        unknown = [name for name in schema if name not in _KNOWN]
        if unknown:
            raise _wrong(place, f"{unknown[0]!r} is not supported")
        if "$ref" in schema:
            self._check_reference(schema["$ref"], place, depth, above)
        self._check_words(schema, place)
        for name in ("anyOf", "allOf"):
            for number, part in enumerate(_branches(schema, name, place)):
                self.check(part, f"{place}.{name}.{number}".lstrip("."), depth + 1, above)
        if "items" in schema:
            self.check(schema["items"], f"{place}.items".lstrip("."), depth + 1, above)
        self._check_object(schema, place, depth, above)

    def _check_reference(
        self, reference: object, place: str, depth: int, above: tuple[str, ...]
    ) -> None:
        target = _resolve(self.root, reference)
        if target is None:
            raise _wrong(place, f"$ref {reference!r} does not lead into this schema")
        if reference in above or target is self.root:
            raise _wrong(place, "recursive schemas are not supported")
        self.check(target, place, depth + 1, (*above, str(reference)))

    def _check_words(self, schema: Schema, place: str) -> None:
        kinds = _types(schema)
        if not set(kinds) <= set(_TYPES) or ("type" in schema and not kinds):
            raise _wrong(place, f"type must be one of {', '.join(_TYPES)}")
        if schema.get("minItems", 0) not in (0, 1) or isinstance(schema.get("minItems"), bool):
            raise _wrong(place, "minItems may be 0 or 1")
        if "format" in schema and schema["format"] not in tuple(_FORMATS):
            raise _wrong(place, f"format must be one of {', '.join(_FORMATS)}")
        choices = schema.get("enum", [None])
        if not isinstance(choices, list) or not choices:
            raise _wrong(place, "enum must be a list that is not empty")
        if any(isinstance(c, Mapping | list) for c in (*choices, schema.get("const"))):
            raise _wrong(place, "enum and const take strings, numbers, booleans and null")

    def _check_object(self, schema: Schema, place: str, depth: int, above: tuple[str, ...]) -> None:
        is_object = "object" in _types(schema) or "properties" in schema
        if is_object and schema.get("additionalProperties") is not False:
            raise _wrong(place, "For 'object' type, 'additionalProperties' must be set to false")
        if schema.get("additionalProperties", False) is not False:
            raise _wrong(place, "'additionalProperties' must be false")
        properties = _mapping(schema.get("properties", {}), place)
        required = schema.get("required", [])
        if not isinstance(required, list) or not all(isinstance(n, str) for n in required):
            raise _wrong(place, "required must be a list of names")
        self.optional += len(set(properties) - set(required))
        for name, part in properties.items():
            self.check(part, f"{place}.properties.{name}".lstrip("."), depth + 1, above)


def _types(schema: Schema) -> list[str]:
    kind = schema.get("type", [])
    kinds = kind if isinstance(kind, list) else [kind]
    return [k if isinstance(k, str) else "?" for k in kinds]


def _branches(schema: Schema, name: str, place: str) -> Sequence[object]:
    if name not in schema:
        return ()
    branches = schema[name]
    if not isinstance(branches, list) or not branches:
        raise _wrong(place, f"{name} must be a list that is not empty")
    return branches


@dataclass
class _Filling:
    """Values of one schema: every alternative is merged with what stands beside it."""

    root: Schema
    tries: int = field(default=0)

    def values(self, schema: Schema, depth: int) -> Iterator[Any]:
        """Yield values that follow, the plainest first."""
        for plain in self._plain(schema, depth):
            yield from self._of_plain(plain, depth)

    def _plain(self, schema: Schema, depth: int) -> Iterator[dict[str, Any]]:
        """Yield the schema without references and alternatives: one for each way through."""
        self.tries += 1
        if self.tries > _MOST_NODES or depth > 4 * _DEEPEST:
            raise _wrong("", "schema is too complex")
        rest = dict(schema)
        if "$ref" in rest:
            target = _resolve(self.root, rest.pop("$ref"))
            parts: list[Schema] = [target or {}, rest]
            yield from self._merged(parts, depth)
        elif "allOf" in rest:
            parts = [*rest.pop("allOf"), rest]
            yield from self._merged(parts, depth)
        elif "anyOf" in rest:
            for branch in sorted(rest.pop("anyOf"), key=_is_null):
                yield from self._merged([branch, rest], depth)
        else:
            yield rest

    def _merged(self, parts: Sequence[Schema], depth: int) -> Iterator[dict[str, Any]]:
        first, *others = parts
        if not others:
            yield from self._plain(first, depth + 1)
            return
        for mine in self._plain(first, depth + 1):
            for theirs in self._merged(others, depth + 1):
                yield _both(mine, theirs)

    def _of_plain(self, schema: Schema, depth: int) -> Iterator[Any]:
        if "choices" in schema or "enum" in schema or "const" in schema:
            yield from (c for c in _choices(schema) if _is_of(c, schema))
            return
        kinds = _allowed_types(schema)
        for kind in sorted(kinds, key=lambda k: (k == "null", _TYPES.index(k))):
            match kind:
                case "object":
                    yield from self._objects(schema, depth)
                case "array":
                    yield from self._arrays(schema, depth)
                case "string":
                    yield _FORMATS.get(_format(schema), "practice")
                case "integer" | "number":
                    yield 0
                case "boolean":
                    yield False
                case _:
                    yield None

    def _objects(self, schema: Schema, depth: int) -> Iterator[Any]:
        properties: Mapping[str, Any] = schema.get("properties", {})
        required: Sequence[str] = schema.get("required", ())
        if not set(required) <= set(properties):
            return
        filled = {}
        for name in properties:
            if name not in required:
                continue
            for value in self.values(properties[name], depth + 1):
                filled[name] = value
                break
            else:
                return
        yield filled

    def _arrays(self, schema: Schema, depth: int) -> Iterator[Any]:
        if not schema.get("minItems"):
            yield []
            return
        for value in self.values(schema.get("items", {}), depth + 1):
            yield [value]
            return


def _is_null(schema: object) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def _both(mine: Schema, theirs: Schema) -> dict[str, Any]:
    """Return the schema of what follows both; neither has alternatives left."""
    merged = {**theirs, **mine}
    if "type" in mine and "type" in theirs:
        merged["type"] = sorted(_allowed_types(mine) & _allowed_types(theirs))
    if _has_choices(mine) and _has_choices(theirs):
        merged["choices"] = [c for c in _choices(mine) if _is_among(c, _choices(theirs))]
        merged.pop("enum", None)
        merged.pop("const", None)
    if "items" in mine and "items" in theirs:
        merged["items"] = {"allOf": [mine["items"], theirs["items"]]}
    merged["minItems"] = max(mine.get("minItems", 0), theirs.get("minItems", 0))
    if "format" in mine and "format" in theirs and mine["format"] != theirs["format"]:
        merged["type"] = sorted(_allowed_types(merged) - {"string"})
    merged["required"] = [*mine.get("required", ()), *theirs.get("required", ())]
    merged["properties"] = _both_properties(mine, theirs)
    return merged


def _both_properties(mine: Schema, theirs: Schema) -> dict[str, Any]:
    ours: Mapping[str, Any] = mine.get("properties", {})
    others: Mapping[str, Any] = theirs.get("properties", {})
    names = set(ours) | set(others)
    if mine.get("additionalProperties") is False:
        names &= set(ours)
    if theirs.get("additionalProperties") is False:
        names &= set(others)
    return {
        name: {"allOf": [part[name] for part in (ours, others) if name in part]}
        for name in sorted(names)
    }


def _allowed_types(schema: Schema) -> set[str]:
    kinds = set(_types(schema)) if "type" in schema else set(_TYPES)
    return kinds | {"integer"} if "number" in kinds else kinds


def _format(schema: Schema) -> str:
    return str(schema.get("format", ""))


def _has_choices(schema: Schema) -> bool:
    return "choices" in schema or "enum" in schema or "const" in schema


def _choices(schema: Schema) -> list[Any]:
    choices: list[Any] = list(schema.get("choices", schema.get("enum", [])))
    if "const" not in schema:
        return choices
    const = schema["const"]
    is_bound = "choices" in schema or "enum" in schema
    return [const] if not is_bound or _is_among(const, choices) else []


def _is_among(value: object, choices: Sequence[object]) -> bool:
    """Whether JSON's equality holds with one: 1 is 1.0 and is not true."""
    return any(
        value == choice and isinstance(value, bool) == isinstance(choice, bool)
        for choice in choices
    )


def _is_of(value: object, schema: Schema) -> bool:
    kinds = _allowed_types(schema)
    if isinstance(value, bool):
        return "boolean" in kinds
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return bool(kinds & {"integer", "number"})
    if isinstance(value, float):
        return "number" in kinds
    if isinstance(value, str):
        return "string" in kinds
    return "null" in kinds
