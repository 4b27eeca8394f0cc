"""A request's body becomes a question: everything documented is checked on the way."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbvision.geometry import resized_size, visual_tokens
from nbvision.practice.blocks import Content, invalid, known_fields, read_messages, read_system
from nbvision.practice.dialect import check_schema
from nbvision.practice.pictures import check_fit, check_sides
from nbvision.practice.places import Place
from nbvision.practice.played_models import (
    PlayedModel,
    find_model,
    is_bedrock_id,
    is_inference_profile,
    is_spelled_for,
)
from nbvision.practice.prompt_cache import NOTHING_CACHED, Cached, Prefix, read_prefixes
from nbvision.practice.rejections import Rejected
from nbvision.practice.stored_files import FileShelf

__all__ = ["Question", "parse_json", "read_question"]

API_VERSIONS = ("2023-06-01", "2026-10-21")
BEDROCK_VERSION = "bedrock-2023-05-31"
VERTEX_VERSION = "vertex-2023-10-16"
_SAMPLING = ("temperature", "top_p", "top_k")
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_MANY = 20
_OVERHEAD_TOKENS = 7
_BYTES_A_TOKEN = 4
_NEW_TOKENIZER = 1.3
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Question:
    """A request that has passed every check; its pictures are not yet decoded.

    Attributes
    ----------
    model
        Who is asked.
    content, system
        The pictures and words.
    max_tokens, stop_sequences, schema
        The bounds of the answer.
    is_streamed
        Whether the answer is sent in pieces.
    input_tokens
        Patches plus an approximation of the words.
    thinking
        ``"summarized"`` or ``"omitted"``: what is shown of thinking; None if none was asked for.
    prefixes
        The request's beginnings, block by block, if any block is marked to be kept.
    cached
        What the cache has served of it, and will keep.
    """

    model: PlayedModel
    content: Content
    system: str
    max_tokens: int
    stop_sequences: tuple[str, ...]
    schema: Mapping[str, Any] | None
    is_streamed: bool
    input_tokens: int
    thinking: str | None = None
    prefixes: tuple[Prefix, ...] = ()
    cached: Cached = NOTHING_CACHED

    @property
    def fresh_tokens(self) -> int:
        """Input neither read from the cache nor written to it: what ``input_tokens`` says."""
        return self.input_tokens - self.cached.read - self.cached.written


def parse_json(raw: bytes) -> dict[str, Any]:
    """Return the object that a body holds.

    Raises
    ------
    Rejected
        400, for anything else than one JSON object in UTF-8.
    """
    try:
        body = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
        if _SURROGATE.search(raw):
            json.dumps(body, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise Rejected(400, "The request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise Rejected(400, "The request body is not a JSON object")
    return body


def read_question(
    body: dict[str, Any],
    where: Place,
    *,
    version: str = "",
    model_id: str = "",
    files: FileShelf | None = None,
) -> Question:
    """Return the question of a body.

    Parameters
    ----------
    body
        The parsed body.
    where
        The service that is played.
    version
        Value of the ``anthropic-version`` header.
    model_id
        The model in the address, where it stands there.
    files
        Where pictures that are named are looked up.

    Raises
    ------
    Rejected
        With the documented status and words.
    """
    model_id = model_id or _named_model(body, where)
    model = _bedrock_model(model_id) if where.ids == "bedrock" else _api_model(model_id, where)
    known_fields(body, "", where.fields)
    if where.name == "bedrock":
        _check_bedrock_version(body, model)
    if where.name == "vertex":
        version = _vertex_version(body)
    _check_sampling(body, model, version)
    content = read_messages(_required(body, "messages"), where, files)
    system = read_system(body.get("system"))
    _check_turns(content, model)
    thinking = _read_thinking(body, model)
    _check_tools(body, model)
    schema = _read_output_config(body, where, model)
    _check_pictures(content, where, model)
    tokens = _input_tokens(content, system, body, model)
    if tokens > model.context_tokens:
        raise invalid("", f"prompt is too long: {tokens} tokens > {model.context_tokens} maximum")
    is_streamed = body.get("stream", False)
    if not isinstance(is_streamed, bool):
        raise invalid("stream", "Input should be a valid boolean")
    return Question(
        model,
        content,
        system,
        1 if where.is_counting else _max_tokens(body, model),
        _stop_sequences(body),
        schema,
        is_streamed,
        tokens,
        thinking,
        _prefixes(body, where, content, model),
    )


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _required(body: Mapping[str, Any], name: str) -> Any:
    if body.get(name) is None:
        raise invalid(name, "Field required")
    return body[name]


def _named_model(body: Mapping[str, Any], where: Place) -> str:
    model_id = _required(body, "model")
    if not isinstance(model_id, str):
        raise invalid("model", "Input should be a valid string")
    if not where.is_counting:
        _required(body, "max_tokens")
    return model_id


def _api_model(model_id: str, where: Place) -> PlayedModel:
    if not is_spelled_for(model_id, where.ids):
        raise Rejected(404, f"model: {model_id[:200]}")
    return find_model(model_id)


def _bedrock_model(model_id: str) -> PlayedModel:
    if not is_bedrock_id(model_id):
        raise Rejected(400, "The provided model identifier is invalid.")
    try:
        model = find_model(model_id)
    except Rejected:
        raise Rejected(400, "The provided model identifier is invalid.") from None
    if model.is_new and not model.is_stand_in and not is_inference_profile(model_id):
        raise Rejected(
            400,
            f"Invocation of model ID {model_id[:200]} with on-demand throughput isn't supported. "
            "Retry your request with the ID or ARN of an inference profile that contains "
            "this model.",
        )
    return model


def _check_bedrock_version(body: Mapping[str, Any], model: PlayedModel) -> None:
    version = _required(body, "anthropic_version")
    # The SDK's own Bedrock client sends the newest version of the API; only the models before
    # 4.7 are documented to refuse it.
    if version != BEDROCK_VERSION and not (model.is_new and version == API_VERSIONS[-1]):
        raise invalid("", f"anthropic_version: Input should be '{BEDROCK_VERSION}'")


def _vertex_version(body: Mapping[str, Any]) -> str:
    """Return the version, which travels in the body there; the SDK's own is newer."""
    version = str(_required(body, "anthropic_version"))
    if version not in (VERTEX_VERSION, API_VERSIONS[-1]):
        raise invalid("", f"anthropic_version: Input should be '{VERTEX_VERSION}'")
    return version


def _check_sampling(body: Mapping[str, Any], model: PlayedModel, version: str) -> None:
    for name in _SAMPLING:
        if name not in body:
            continue
        if version == API_VERSIONS[-1]:
            raise invalid(name, f"not accepted since anthropic-version {version}")
        if model.is_new:
            raise invalid("", f"`{name}` is not supported by this model")
        value = body[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise invalid(name, "Input should be a valid number")


def _check_turns(content: Content, model: PlayedModel) -> None:
    if content.last_role == "assistant" and not model.takes_prefill:
        raise invalid(
            "",
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message.",
        )


def _read_thinking(body: Mapping[str, Any], model: PlayedModel) -> str | None:
    """Return how thinking is to be shown, if it was asked for."""
    if body.get("thinking") is None:
        return None
    known = {"type", "budget_tokens", "display"}
    thinking = known_fields(body["thinking"], "thinking", known)
    kind = thinking.get("type")
    if kind not in ("adaptive", "disabled", "between_tools", "enabled"):
        raise invalid(
            "thinking.type",
            "Input should be 'adaptive', 'between_tools', 'disabled' or 'enabled'",
        )
    if kind == "enabled" and model.is_new:
        raise invalid("thinking.type", "'enabled' is not supported by this model; use 'adaptive'")
    if kind == "adaptive" and not model.is_new:
        raise invalid("thinking.type", "'adaptive' is not supported by this model")
    if kind == "disabled" and model.thinks_always:
        raise invalid("thinking.type", "'disabled' is not supported by this model")
    display = thinking.get("display") or ("omitted" if model.is_new else "summarized")
    if display not in ("summarized", "omitted"):
        raise invalid("thinking.display", "Input should be 'summarized' or 'omitted'")
    return str(display) if kind in ("adaptive", "enabled") else None


def _check_tools(body: Mapping[str, Any], model: PlayedModel) -> None:
    tools = body.get("tools", [])
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise invalid("tools", "Input should be a list of tools")
    choice = body.get("tool_choice")
    if choice is None:
        return
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind not in ("auto", "none", "any", "tool"):
        raise invalid("tool_choice.type", "Input should be 'auto', 'any', 'tool' or 'none'")
    if kind in ("any", "tool"):
        who = "this model" if not model.takes_forced_tools else "the practice server"
        raise invalid("tool_choice", f"forcing a tool is not supported by {who}")


def _read_output_config(
    body: Mapping[str, Any], where: Place, model: PlayedModel
) -> Mapping[str, Any] | None:
    if body.get("output_config") is None:
        return None
    known = {"effort", "format"} if where.takes_schema(model) else {"effort"}
    config = known_fields(body["output_config"], "output_config", known)
    effort = config.get("effort")
    if effort is not None and effort not in _EFFORTS:
        raise invalid("output_config.effort", f"Input should be one of {', '.join(_EFFORTS)}")
    if config.get("format") is None:
        return None
    form = known_fields(config["format"], "output_config.format", {"type", "schema"})
    if form.get("type") != "json_schema":
        raise invalid("output_config.format.type", "Input should be 'json_schema'")
    if "schema" not in form:
        raise invalid("output_config.format.schema", "Field required")
    return check_schema(form["schema"])


def _check_pictures(content: Content, where: Place, model: PlayedModel) -> None:
    pictures = content.pictures
    count = len(pictures) + content.unseen
    if count > model.images_per_request:
        raise invalid("messages", f"too many images: {count} > {model.images_per_request}")
    for picture in pictures:
        if not where.is_counting:
            check_sides(picture, is_one_of_many=count > _MANY)
        check_fit(picture, model.tier)


def _input_tokens(
    content: Content, system: str, body: Mapping[str, Any], model: PlayedModel
) -> int:
    """Return patches plus words; the words are a stated approximation: 4 bytes a token."""
    seen = _visual_tokens(content, model).values()
    written = content.characters + len(system.encode())
    written += sum(len(json.dumps(tool)) for tool in body.get("tools") or ())
    return sum(seen) + _OVERHEAD_TOKENS + _words_as_tokens(written, model)


def _prefixes(
    body: Mapping[str, Any], where: Place, content: Content, model: PlayedModel
) -> tuple[Prefix, ...]:
    seen = _visual_tokens(content, model)
    return read_prefixes(body, model, where.name, seen, lambda n: _words_as_tokens(n, model))


def _visual_tokens(content: Content, model: PlayedModel) -> dict[str, int]:
    return {p.place: visual_tokens(resized_size(p.size, model.tier)) for p in content.pictures}


def _words_as_tokens(count_bytes: int, model: PlayedModel) -> int:
    factor = _NEW_TOKENIZER if model.is_new else 1.0
    return math.ceil(count_bytes / _BYTES_A_TOKEN * factor)


def _max_tokens(body: Mapping[str, Any], model: PlayedModel) -> int:
    value = _required(body, "max_tokens")
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid("max_tokens", "Input should be a valid integer")
    if value < 1:
        raise invalid("max_tokens", "Input should be greater than or equal to 1")
    if value > model.max_output_tokens:
        raise invalid(
            "max_tokens",
            f"{value} > {model.max_output_tokens}, which is the maximum allowed number of "
            f"output tokens for {model.id}",
        )
    return value


def _stop_sequences(body: Mapping[str, Any]) -> tuple[str, ...]:
    value = body.get("stop_sequences") or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise invalid("stop_sequences", "Input should be a list of strings")
    if any(not item.strip() for item in value):
        raise invalid("stop_sequences", "each stop sequence must contain non-whitespace")
    return tuple(value)
