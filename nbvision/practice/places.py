"""The services that the practice server plays, one row each."""

from dataclasses import dataclass, replace
from typing import Literal

from nbvision.practice.played_models import PlayedModel

__all__ = [
    "API",
    "AWS",
    "BEDROCK",
    "BEDROCK_MESSAGES",
    "COUNTING",
    "FOUNDRY",
    "GOOGLE_CLOUD",
    "MANTLE",
    "VERTEX",
    "Place",
    "counting",
]

# From the first to the last generation whose models know ``output_config.format``.
_ALL_SINCE = ((4, 5), (99, 0))
_ON_BEDROCK = ((4, 5), (4, 6))
_NONE = ((99, 0), (0, 0))

_BOTH = frozenset(
    {
        *("max_tokens", "messages", "system", "stop_sequences", "metadata", "output_config"),
        *("thinking", "tools", "tool_choice", "temperature", "top_p", "top_k"),
    }
)
_COUNTED = frozenset(
    {
        *("model", "messages", "system", "output_config", "thinking", "tools", "tool_choice"),
        *("cache_control", "speed", "temperature", "top_p", "top_k"),
    }
)
_API_ONLY = frozenset(
    {
        *("model", "stream", "service_tier", "speed", "inference_geo", "cache_control"),
        *("container", "diagnostics"),
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """One service: what it takes and where it stops.

    Attributes
    ----------
    name
        As a client calls it.
    fields
        The body's fields that it knows.
    body_limit_bytes
        Largest request.
    image_base64_limit
        Longest base64 text of one picture, in characters.
    source_types
        Of image blocks.
    takes_transformations
        Whether an image block may hold ``transformations``. Whether Bedrock takes the field is
        not documented, so that it is refused there like any unknown one.
    is_counting
        Whether tokens are counted instead of an answer given.
    ids
        Whose spelling of model ids it takes; ``"any"`` takes every one.
    schemas
        From which generation to which models know ``output_config.format``.
    """

    name: str
    fields: frozenset[str]
    body_limit_bytes: int
    image_base64_limit: int
    source_types: frozenset[str]
    takes_transformations: bool
    is_counting: bool = False
    ids: Literal["any", "api", "bedrock", "mantle", "vertex"] = "any"
    schemas: tuple[tuple[int, int], tuple[int, int]] = _ALL_SINCE

    def takes_schema(self, model: PlayedModel) -> bool:
        """Whether ``output_config.format`` is known for this model."""
        first, last = self.schemas
        return first <= model.generation <= last


def counting(place: Place, *more: str) -> Place:
    """Return the place where the same service counts tokens; ``more`` are fields of its own."""
    return replace(place, fields=_COUNTED.union(more), is_counting=True)


API = Place(
    name="anthropic",
    fields=_BOTH | _API_ONLY,
    body_limit_bytes=32_000_000,
    image_base64_limit=10_000_000,
    source_types=frozenset({"base64", "url", "file"}),
    takes_transformations=True,
)
COUNTING = counting(API)
BEDROCK = Place(
    name="bedrock",
    fields=_BOTH | {"anthropic_version", "anthropic_beta"},
    body_limit_bytes=20_000_000,
    image_base64_limit=5_000_000,
    source_types=frozenset({"base64"}),
    takes_transformations=False,
    ids="bedrock",
    schemas=_ON_BEDROCK,
)
# The Messages API on Bedrock's runtime, and on its newer address.
BEDROCK_MESSAGES = replace(BEDROCK, name="bedrock-messages", fields=API.fields)
MANTLE = replace(BEDROCK_MESSAGES, name="bedrock-mantle", ids="mantle")
VERTEX = replace(
    API,
    name="vertex",
    fields=_BOTH | {"anthropic_version", "anthropic_beta", "stream"},
    body_limit_bytes=30_000_000,
    image_base64_limit=5_000_000,
    source_types=frozenset({"base64"}),
    takes_transformations=False,
    ids="vertex",
    schemas=_NONE,
)
GOOGLE_CLOUD = replace(
    API,
    name="google-cloud",
    body_limit_bytes=30_000_000,
    image_base64_limit=5_000_000,
    ids="api",
)
# Deployments on Azure's own machines know neither files nor schemas.
FOUNDRY = replace(
    API,
    name="foundry",
    source_types=frozenset({"base64"}),
    takes_transformations=False,
    schemas=_NONE,
)
AWS = replace(API, name="aws", ids="api")
