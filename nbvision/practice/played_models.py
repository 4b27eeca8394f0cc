"""The models that the practice server plays: its own table, apart from the package's.

A wrong row in a shared table would agree with itself on both sides of the wire. The facts are
those of the documentation's model overview and of the SDK's list of ids (anthropic 2.11.0,
November 2026).
"""

import re
from dataclasses import dataclass, replace
from functools import cache
from urllib.parse import unquote

from nbvision.geometry import HIGH, STANDARD, Tier
from nbvision.practice.rejections import Rejected

__all__ = [
    "PlayedModel",
    "find_model",
    "is_bedrock_id",
    "is_inference_profile",
    "is_spelled_for",
    "model_info",
    "models",
]

_PREFIX = "practice-"
# Family, generation, release, context and output tokens.
_ROWS = (
    ("fable", (5, 2), "2026-11-09", 1_000_000, 128_000),
    ("haiku", (5, 5), "2026-10-07", 1_000_000, 128_000),
    ("sonnet", (5, 5), "2026-09-28", 1_000_000, 128_000),
    ("opus", (5, 5), "2026-09-22", 1_000_000, 128_000),
    ("fable", (5, 1), "2026-09-01", 1_000_000, 128_000),
    ("opus", (5, 0), "2026-07-24", 1_000_000, 128_000),
    ("sonnet", (5, 0), "2026-06-30", 1_000_000, 128_000),
    ("fable", (5, 0), "2026-06-09", 1_000_000, 128_000),
    ("opus", (4, 8), "2026-05-28", 1_000_000, 128_000),
    ("opus", (4, 7), "2026-04-16", 1_000_000, 128_000),
    ("sonnet", (4, 6), "2026-02-17", 1_000_000, 64_000),
    ("opus", (4, 6), "2026-02-05", 1_000_000, 128_000),
    ("opus", (4, 5), "2025-11-24", 200_000, 64_000),
    ("haiku", (4, 5), "2025-10-15", 200_000, 64_000),
    ("sonnet", (4, 5), "2025-09-29", 200_000, 64_000),
)
_HIGH_FROM = (4, 7)
_ID = re.compile(r"claude-(?P<family>[a-z]+)-(?P<major>[1-9])(?:-(?P<minor>\d{1,2}))?(?!\d)")
_OLD_ID = re.compile(r"claude-(?P<major>[123])(?:[-.](?P<minor>\d))?(?:-(?P<family>[a-z]+))?(?!\d)")
_FAMILIES = {"haiku", "sonnet", "opus", "fable", "mythos", "instant", None}
_AWS_PLACE = re.compile(r"^(?:(?P<profile>[a-z]{2,6}(?:-gov)?)\.)?anthropic\.")
_STAND_INS = "practice"
_SPELLINGS = {
    "api": re.compile(r"claude-[a-z0-9-]+"),
    # Of models before 4.7 only Haiku 4.5 is not on the older address alone.
    "mantle": re.compile(r"anthropic\.claude-(?:haiku-4-5|[a-z]+-(?:4-[789]|[5-9])(?:-\d{1,2})?)"),
    "vertex": re.compile(r"claude-(?!.*-\d{8})[a-z0-9-]+(?:@\d{8})?"),
}


@dataclass(frozen=True, slots=True)
class PlayedModel:
    """What the practice server knows of the model it plays.

    Attributes
    ----------
    id
        What replies are signed with; it begins with ``practice-``.
    family, generation
        ``"opus"`` and ``(5, 5)`` for Opus 5.5; the stand-ins are of the newest generation.
    tier
        Its resolution tier.
    context_tokens, max_output_tokens
        Its documented limits.
    released
        Day of release, ISO 8601.
    """

    id: str
    family: str
    generation: tuple[int, int]
    tier: Tier
    context_tokens: int = 1_000_000
    max_output_tokens: int = 128_000
    released: str = "2026-11-20"

    @property
    def is_new(self) -> bool:
        """Whether it is of generation 4.7 or later: no sampling, 30 % more text tokens."""
        return self.generation >= _HIGH_FROM

    @property
    def is_stand_in(self) -> bool:
        """Whether it plays no model in particular: practice-high and practice-standard."""
        return self.family == _STAND_INS

    @property
    def takes_prefill(self) -> bool:
        """Whether a conversation may end with the assistant's words."""
        return self.generation < (4, 6)

    @property
    def takes_forced_tools(self) -> bool:
        """Whether ``tool_choice`` may be ``any`` or ``tool``."""
        return (self.family, self.generation) not in {
            ("fable", (5, 1)),
            ("fable", (5, 2)),
            ("opus", (5, 5)),
            ("sonnet", (5, 5)),
        }

    @property
    def thinks_always(self) -> bool:
        """Whether thinking cannot be switched off."""
        return self.family in {"fable", "mythos"} or (
            self.generation == (5, 5) and self.family in {"opus", "sonnet"}
        )

    @property
    def cache_minimum(self) -> int:
        """Tokens that a prefix has at least before it is kept (prompt-caching, 2026)."""
        if self.generation >= (4, 8):
            is_first_sonnet = (self.family, self.generation) == ("sonnet", (5, 0))
            return 1024 if is_first_sonnet or self.generation == (4, 8) else 512
        if self.generation == (4, 7):
            return 2048
        return 1024 if self.family == "sonnet" else 4096

    @property
    def images_per_request(self) -> int:
        """How many pictures one request may hold."""
        return 600 if self.context_tokens > 200_000 else 100  # noqa: PLR2004 - the documented step


def models() -> tuple[PlayedModel, ...]:
    """Return the models in the order in which the API lists them, the stand-ins first.

    >>> [model.id for model in models()][:3]
    ['practice-high', 'practice-standard', 'practice-claude-fable-5-2']
    """
    return tuple(_table().values())


def find_model(asked: str) -> PlayedModel:
    """Return the model behind an id in any spelling: API, Bedrock profile or ARN, practice.

    Raises
    ------
    Rejected
        404, if it is no id of a Claude model and none of the practice server.

    Examples
    --------
    >>> model = find_model("us.anthropic.claude-haiku-4-5-20251001-v1:0")
    >>> model.id, model.tier.name
    ('practice-claude-haiku-4-5-20251001', 'standard')
    """
    if asked in _table():
        return _table()[asked]
    bare = _bare(asked[:300])
    undated = re.sub(r"-20\d{6}$", "", bare)
    if f"{_PREFIX}{undated}" in _table() and undated.startswith("claude-"):
        return replace(_table()[f"{_PREFIX}{undated}"], id=f"{_PREFIX}{bare}")
    match = _OLD_ID.match(bare) or _ID.match(bare)
    if match is None or match["family"] not in _FAMILIES:
        raise Rejected(404, f"model: {asked[:200]}")
    generation = (int(match["major"]), int(match["minor"] or 0))
    return _unlisted(bare, match["family"] or "instant", generation)


def is_inference_profile(asked: str) -> bool:
    """Whether a Bedrock id names an inference profile: ``us.anthropic.…`` or its ARN.

    >>> is_inference_profile("us.anthropic.claude-opus-5-5")
    True
    """
    match = _AWS_PLACE.match(asked.rpartition("/")[2])
    return match is not None and match["profile"] is not None


def is_bedrock_id(asked: str) -> bool:
    """Whether an id is spelled as Bedrock spells it; the practice server's own ones count.

    >>> is_bedrock_id("claude-opus-5-5"), is_bedrock_id("practice-high")
    (False, True)
    """
    return _AWS_PLACE.match(asked.rpartition("/")[2]) is not None or asked.startswith(_PREFIX)


def is_spelled_for(asked: str, ids: str) -> bool:
    """Whether an id has a place's spelling: ``"api"``, ``"mantle"``, ``"vertex"`` or ``"any"``.

    >>> is_spelled_for("claude-haiku-4-5-20251001", "vertex"), is_spelled_for("x", "any")
    (False, True)
    """
    pattern = _SPELLINGS.get(ids)
    return pattern is None or asked.startswith(_PREFIX) or bool(pattern.fullmatch(asked))


def model_info(model: PlayedModel) -> dict[str, object]:
    """Return a row of the Models API."""
    yes, no = {"supported": True}, {"supported": False}
    levels = ("low", "medium", "high", "xhigh", "max")
    types = {
        "adaptive": yes if model.is_new else no,
        "between_tools": yes if model.generation >= (5, 5) else no,
        "disabled": no if model.thinks_always else yes,
        "enabled": no if model.is_new else yes,
    }
    return {
        "type": "model",
        "id": model.id,
        "display_name": f"{_title(model.id)} (practice server, not a language model)",
        "created_at": f"{model.released}T00:00:00Z",
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None if model.is_stand_in else model.family,
        "max_input_tokens": model.context_tokens,
        "max_tokens": model.max_output_tokens,
        "capabilities": {
            "batch": no,
            "citations": no,
            "code_execution": no,
            "context_management": {"supported": False},
            "effort": {"supported": True} | dict.fromkeys(levels, yes),
            "image_input": yes,
            "pdf_input": no,
            "server_tools": {"supported": False, "code_execution": no, "web_search": no},
            "structured_outputs": yes,
            "thinking": {"supported": True, "types": types},
        },
    }


@cache
def _table() -> dict[str, PlayedModel]:
    newest = (_STAND_INS, (5, 5))
    rows = [
        PlayedModel("practice-high", *newest, HIGH),
        PlayedModel("practice-standard", *newest, STANDARD),
    ]
    for family, generation, released, context, output in _ROWS:
        tier = HIGH if generation >= _HIGH_FROM else STANDARD
        model_id = f"{_PREFIX}claude-{family}-{_dashed(generation)}"
        rows.append(PlayedModel(model_id, family, generation, tier, context, output, released))
    return {row.id: row for row in rows}


def _unlisted(bare: str, family: str, generation: tuple[int, int]) -> PlayedModel:
    """Play a model that the table lacks, by the documented rule: 4.7 and later are high."""
    is_high = generation >= _HIGH_FROM
    size = (1_000_000, 128_000) if is_high else (200_000, 64_000)
    tier = HIGH if is_high else STANDARD
    return PlayedModel(f"{_PREFIX}{bare}", family, generation, tier, *size, "1970-01-01")


def _bare(asked: str) -> str:
    """Return the API's spelling of an id.

    >>> _bare("eu.anthropic.claude-opus-4-6-v1"), _bare("claude-haiku-4-5@20251001")
    ('claude-opus-4-6', 'claude-haiku-4-5-20251001')
    """
    name = unquote(asked).rpartition("/")[2] if asked.startswith("arn:") else asked
    name = _AWS_PLACE.sub("", name.removeprefix(_PREFIX))
    return re.sub(r"-v\d{1,3}(?::\d{1,3}k?)?$", "", name).replace("@", "-")


def _dashed(generation: tuple[int, int]) -> str:
    major, minor = generation
    return f"{major}-{minor}" if minor else str(major)


def _title(model_id: str) -> str:
    words = model_id.removeprefix(_PREFIX).split("-")
    return " ".join(word.capitalize() for word in words)
