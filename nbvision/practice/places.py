"""The two services that the practice server plays, one row each."""

from dataclasses import dataclass

from nbvision.practice.played_models import PlayedModel

__all__ = ["API", "BEDROCK", "COUNTING", "Place"]

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
        ``"anthropic"`` or ``"bedrock"``.
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
    """

    name: str
    fields: frozenset[str]
    body_limit_bytes: int
    image_base64_limit: int
    source_types: frozenset[str]
    takes_transformations: bool
    is_counting: bool = False

    def takes_schema(self, model: PlayedModel) -> bool:
        """Whether ``output_config.format`` is known: on Bedrock to the 4.5 and 4.6 models only."""
        if self.name == "anthropic":
            return model.generation >= (4, 5)
        return (4, 5) <= model.generation <= (4, 6)


API = Place(
    name="anthropic",
    fields=_BOTH | _API_ONLY,
    body_limit_bytes=32_000_000,
    image_base64_limit=10_000_000,
    source_types=frozenset({"base64", "url", "file"}),
    takes_transformations=True,
)
COUNTING = Place(
    name="anthropic",
    fields=_COUNTED,
    body_limit_bytes=32_000_000,
    image_base64_limit=10_000_000,
    source_types=frozenset({"base64", "url", "file"}),
    takes_transformations=True,
    is_counting=True,
)
BEDROCK = Place(
    name="bedrock",
    fields=_BOTH | {"anthropic_version", "anthropic_beta"},
    body_limit_bytes=20_000_000,
    image_base64_limit=5_000_000,
    source_types=frozenset({"base64"}),
    takes_transformations=False,
)
