"""Answers in the form of a JSON schema, filled with what was measured."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nbvision.practice.answers import locate, middle, summary
from nbvision.practice.seeing import COLOURS, Frame, colour_map, colour_shares

__all__ = ["fill", "schema_in_words"]

_DEEPEST = 40
_BOX_NAMES = {"box", "bbox", "bounding_box", "xyxy", "coordinates"}
_POINT_NAMES = {"point", "center", "centre", "position"}
_EDGES = {"left": 0, "top": 1, "right": 2, "bottom": 3, "x1": 0, "y1": 1, "x2": 2, "y2": 3}
_MARK = "must follow this JSON schema:"
_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "nobody@example.org",
    "uri": "https://example.org",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "hostname": "example.org",
    "duration": "PT0S",
}


def schema_in_words(prompt: str) -> Mapping[str, Any] | None:
    """Return the schema that a prompt carries in its words, if it does."""
    _, mark, rest = prompt.rpartition(_MARK)
    if not mark:
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(rest.strip())
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, Mapping) else None


def fill(schema: Mapping[str, Any], frames: Sequence[Frame], prompt: str) -> Any:
    """Return a value that follows the schema, of what can be seen in the first frame."""
    return _Filler(schema, frames[0] if frames else None, prompt).value(schema, "", None, 0)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _resolve(reference: object, root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    place: Any = root
    for part in str(reference).removeprefix("#").strip("/").split("/"):
        place = place if not part else _mapping(place).get(part)
    return place if str(reference).startswith("#") and isinstance(place, Mapping) else None


@dataclass(frozen=True)
class _Filler:
    """Fills one schema from one frame."""

    root: Mapping[str, Any]
    frame: Frame | None
    prompt: str

    def value(self, schema: Any, name: str, thing: Mapping[str, Any] | None, depth: int) -> Any:
        """Return a value for a schema; ``name`` is its property, ``thing`` what it speaks of."""
        if not isinstance(schema, Mapping) or depth > _DEEPEST:
            return {}
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._choose(schema["enum"], thing)
        if inner := self._inner(schema):
            return self.value(inner, name, thing, depth + 1)
        kind = schema.get("type")
        match kind[0] if isinstance(kind, list) and kind else kind:
            case "array":
                return self._array(schema, name, thing, depth)
            case "string":
                return self._words(schema, name, thing)
            case "integer" | "number":
                return self._number(name, thing)
            case "boolean":
                return bool(self._things)
            case "null":
                return None
            case _:
                properties = _mapping(schema.get("properties"))
                return {p: self.value(s, p, thing, depth + 1) for p, s in properties.items()}

    def _inner(self, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the schema that this one stands for: a reference's, a choice's or a sum."""
        if "$ref" in schema:
            return _resolve(schema["$ref"], self.root)
        for many in ("anyOf", "oneOf"):
            if schema.get(many):
                return _mapping(schema[many][0])
        merged: dict[str, Any] = {}
        for part in schema.get("allOf", ()):
            merged |= _mapping(part)
        return merged or None

    @cached_property
    def _things(self) -> list[dict[str, Any]]:
        return [] if self.frame is None else locate(self.frame, self.prompt)

    @cached_property
    def _colours(self) -> list[str]:
        if self.frame is None:
            return [COLOURS[0]]
        return [name for name, share in colour_shares(colour_map(self.frame)) if share >= 0.01]  # noqa: PLR2004 - one percent

    def _array(
        self, schema: Mapping[str, Any], name: str, thing: Mapping[str, Any] | None, depth: int
    ) -> list[Any]:
        items = schema.get("items", {})
        if name.lower() in _BOX_NAMES and thing is not None:
            return list(thing["box"])
        if name.lower() in _POINT_NAMES and thing is not None:
            return middle(thing["box"])
        kind = _mapping(items).get("type")
        if kind == "object" or "$ref" in _mapping(items):
            return [self.value(items, name, found, depth + 1) for found in self._things]
        if kind == "string":
            return self._colours if "enum" not in items else [self.value(items, name, thing, depth)]
        if schema.get("minItems"):
            return [self.value(items, name, thing, depth + 1)]
        return []

    def _words(self, schema: Mapping[str, Any], name: str, thing: Mapping[str, Any] | None) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        if "colour" in name.lower() or "color" in name.lower():
            return str(thing["label"]).split()[0] if thing else self._colours[0]
        if thing is not None:
            return str(thing["label"])
        return "" if self.frame is None else summary(self.frame, self.prompt)

    def _number(self, name: str, thing: Mapping[str, Any] | None) -> int:
        low = name.lower()
        if thing is not None and low in _EDGES:
            return int(thing["box"][_EDGES[low]])
        if thing is not None and low in {"x", "y"}:
            return middle(thing["box"])["xy".index(low)]
        if self.frame is not None and low in {"width", "height"}:
            return int(self.frame.shape[1 if low == "width" else 0])
        return len(self._things)

    def _choose(self, options: Sequence[Any], thing: Mapping[str, Any] | None) -> Any:
        seen = str(thing["label"]).split() if thing else self._colours
        return next((option for option in options if option in seen), options[0])
