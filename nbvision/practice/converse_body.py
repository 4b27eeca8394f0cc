"""Bedrock's Converse shape becomes a body of the Messages API, read strictly.

Every member is one of the service model of boto3 1.44.5, "bedrock-runtime"; what a model of
Claude does not take through it, and what no practice server has, is refused by name.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from nbvision.practice.blocks import invalid, known_fields
from nbvision.practice.places import BEDROCK, Place
from nbvision.practice.questions import BEDROCK_VERSION, parse_json

__all__ = ["CONVERSE", "CONVERSE_COUNTING", "messages_body"]

_FORMATS = ("png", "jpeg", "gif", "webp")
_MOST_BYTES = 3_750_000
_MOST_IMAGES = 20  # in one message
_TTLS = ("5m", "1h")
_MOST_TOKENS = 4096  # where none is named: AWS says only "the model's own"
_IGNORED = {"requestMetadata", "performanceConfig", "serviceTier"}
_NOT_PLAYED = {
    *("guardrailConfig", "promptVariables", "additionalModelResponseFieldPaths"),
}
_FIELDS = {
    *("messages", "system", "inferenceConfig", "toolConfig", "outputConfig"),
    *("additionalModelRequestFields", *_IGNORED, *_NOT_PLAYED),
}
_INFERENCE = {
    "maxTokens": "max_tokens",
    "temperature": "temperature",
    "topP": "top_p",
    "stopSequences": "stop_sequences",
}

CONVERSE: Place = replace(BEDROCK)
CONVERSE_COUNTING: Place = replace(BEDROCK, is_counting=True)
Block = dict[str, Any]


def messages_body(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body that asks the same in the Messages API's shape.

    Raises
    ------
    Rejected
        400, naming the place of the first mistake.

    Examples
    --------
    >>> body = messages_body({"messages": [{"role": "user", "content": [{"text": "Hello?"}]}]})
    >>> body["messages"]
    [{'role': 'user', 'content': [{'type': 'text', 'text': 'Hello?'}]}]
    """
    fields = known_fields(given, "", _FIELDS)
    for name in _NOT_PLAYED & fields.keys():
        raise invalid(name, "the practice server has nothing of the kind")
    body: dict[str, Any] = {"anthropic_version": BEDROCK_VERSION, "max_tokens": _MOST_TOKENS}
    body["messages"] = [
        _message(message, f"messages.{number}")
        for number, message in enumerate(_list(fields.get("messages"), "messages"))
    ]
    if "system" in fields:
        body["system"] = _blocks(fields["system"], "system", {"text": _text})
    inference = known_fields(fields.get("inferenceConfig", {}), "inferenceConfig", {*_INFERENCE})
    body |= {_INFERENCE[name]: value for name, value in inference.items()}
    if "outputConfig" in fields:
        body["output_config"] = _output(fields["outputConfig"])
    if "toolConfig" in fields:
        body |= _tools(fields["toolConfig"])
    more = fields.get("additionalModelRequestFields", {})
    if not isinstance(more, dict) or more.keys() & body.keys():
        raise invalid("additionalModelRequestFields", "Input should hold what no other field says")
    return body | more


def _message(message: object, place: str) -> dict[str, Any]:
    fields = known_fields(message, place, {"role", "content"})
    role, content = fields.get("role"), _list(fields.get("content"), f"{place}.content")
    if role not in ("user", "assistant"):
        raise invalid(f"{place}.role", "Member must satisfy enum value set: [user, assistant]")
    count = sum(1 for block in content if isinstance(block, dict) and "image" in block)
    if count and role != "user":
        raise invalid(place, "images are only allowed if the role is user")
    if count > _MOST_IMAGES:
        raise invalid(place, f"too many images: {count} > {_MOST_IMAGES} in one message")
    taken = _USER_BLOCKS if role == "user" else _ASSISTANT_BLOCKS
    return {"role": role, "content": _blocks(content, f"{place}.content", taken)}


def _blocks(
    blocks: object, place: str, taken: Mapping[str, Callable[[Any, str], Block]]
) -> list[Block]:
    """Return the blocks; a cache point marks the one before it."""
    read: list[Block] = []
    for number, block in enumerate(_list(blocks, place)):
        at = f"{place}.{number}"
        fields = known_fields(block, at, {*taken, "cachePoint"})
        if len(fields) != 1:
            raise invalid(at, f"exactly one member of a union must be set, found {len(fields)}")
        [(kind, value)] = fields.items()
        if kind != "cachePoint":
            read.append(taken[kind](value, f"{at}.{kind}"))
        elif read:
            read[-1]["cache_control"] = _cache_point(value, f"{at}.cachePoint")
        else:
            raise invalid(at, "a cachePoint needs content before it")
    return read


def _text(value: object, place: str) -> Block:
    if not isinstance(value, str):
        raise invalid(place, "Input should be a valid string")
    return {"type": "text", "text": value}


def _image(value: object, place: str) -> Block:
    fields = known_fields(value, place, {"format", "source"})
    if fields.get("format") not in _FORMATS:
        raise invalid(f"{place}.format", f"Member must satisfy enum value set: {[*_FORMATS]}")
    source = known_fields(fields.get("source"), f"{place}.source", {"bytes", "s3Location"})
    if "s3Location" in source:
        raise invalid(f"{place}.source", "the practice server reads no bucket; send the bytes")
    data = source.get("bytes")
    size = len(_decoded(data, f"{place}.source.bytes"))
    if not 1 <= size <= _MOST_BYTES:
        raise invalid(place, f"an image has from 1 to {_MOST_BYTES} bytes, not {size}")
    return {
        "type": "image",
        "source": {"type": "base64", "media_type": f"image/{fields['format']}", "data": data},
    }


def _thought(value: object, place: str) -> Block:
    fields = known_fields(value, place, {"reasoningText", "redactedContent"})
    if "redactedContent" in fields:
        return {"type": "redacted_thinking", "data": fields["redactedContent"]}
    told = known_fields(
        fields.get("reasoningText"), f"{place}.reasoningText", {"text", "signature"}
    )
    return {"type": "thinking", "thinking": told.get("text"), "signature": told.get("signature")}


def _tool_use(value: object, place: str) -> Block:
    fields = known_fields(value, place, {"toolUseId", "name", "input"})
    return {
        "type": "tool_use",
        "id": fields.get("toolUseId"),
        "name": fields.get("name"),
        "input": fields.get("input"),
    }


def _tool_result(value: object, place: str) -> Block:
    fields = known_fields(value, place, {"toolUseId", "content", "status"})
    content = _blocks(fields.get("content"), f"{place}.content", {"text": _text, "image": _image})
    return {
        "type": "tool_result",
        "tool_use_id": fields.get("toolUseId"),
        "content": content,
        "is_error": fields.get("status") == "error",
    }


_USER_BLOCKS: Mapping[str, Callable[[Any, str], Block]] = {
    "text": _text,
    "image": _image,
    "toolResult": _tool_result,
}
_ASSISTANT_BLOCKS: Mapping[str, Callable[[Any, str], Block]] = {
    "text": _text,
    "reasoningContent": _thought,
    "toolUse": _tool_use,
}


def _cache_point(value: object, place: str) -> Block:
    fields = known_fields(value, place, {"type", "ttl"})
    if fields.get("type") != "default" or fields.get("ttl", "5m") not in _TTLS:
        raise invalid(place, "Input should be of type 'default', with a ttl of '5m' or '1h'")
    return {"type": "ephemeral", "ttl": fields.get("ttl", "5m")}


def _output(value: object) -> Block:
    fields = known_fields(value, "outputConfig", {"textFormat", "effort"})
    config: Block = {"effort": fields["effort"]} if "effort" in fields else {}
    if "textFormat" in fields:
        place = "outputConfig.textFormat"
        form = known_fields(fields["textFormat"], place, {"type", "structure"})
        if form.get("type") != "json_schema":
            raise invalid(f"{place}.type", "Member must satisfy enum value set: [json_schema]")
        structure = known_fields(form.get("structure"), f"{place}.structure", {"jsonSchema"})
        at = f"{place}.structure.jsonSchema"
        named = known_fields(structure.get("jsonSchema"), at, {"schema", "name", "description"})
        config["format"] = {"type": "json_schema", "schema": _schema(named.get("schema"), at)}
    return config


def _schema(text: object, place: str) -> Any:
    if not isinstance(text, str):
        raise invalid(f"{place}.schema", "Input should be a JSON schema as text")
    return parse_json(text.encode("utf-8", "backslashreplace"))


def _tools(value: object) -> Block:
    fields = known_fields(value, "toolConfig", {"tools", "toolChoice"})
    tools = []
    for number, tool in enumerate(_list(fields.get("tools"), "toolConfig.tools")):
        at = f"toolConfig.tools.{number}"
        spec = known_fields(known_fields(tool, at, {"toolSpec"}).get("toolSpec"), at, _SPEC)
        schema = known_fields(spec.get("inputSchema"), f"{at}.inputSchema", {"json"})
        tools.append({"name": spec.get("name"), "input_schema": schema.get("json")})
    choice = fields.get("toolChoice")
    if choice is None:
        return {"tools": tools}
    chosen = known_fields(choice, "toolConfig.toolChoice", {"auto", "any", "tool"})
    return {"tools": tools, "tool_choice": {"type": next(iter(chosen), None)}}


_SPEC = {"name", "description", "inputSchema", "strict"}


def _list(value: object, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise invalid(place, "Input should be a list" if value is not None else "Field required")
    return value


def _decoded(data: object, place: str) -> bytes:
    try:
        return base64.b64decode(data if isinstance(data, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise invalid(place, "Input should be base64") from None
