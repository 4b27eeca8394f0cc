"""What the practice server remembers of the requests it has read: digests of their beginnings.

As documented in "Prompt caching" (platform.claude.com/docs, 2026): a beginning is kept up to each
marked block, if it has the model's least number of tokens, for five minutes (or an hour) from the
start of the request, and again from each time it is read. From each mark twenty blocks are looked
at backwards, the mark's own being the first. No text and no pixel is kept.
"""

import hashlib
import json
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbvision.practice.played_models import PlayedModel
from nbvision.practice.rejections import Rejected

__all__ = ["NOTHING_CACHED", "Cached", "Prefix", "PromptCache", "read_prefixes"]

_MOST_MARKS = 4
_LOOKED_BACK = 20
_MOST_KEPT = 10_000
_PARTS_OF_A_PLACE = 4  # messages.0.content.1: what follows is within that block
_LIVES = {"5m": 300.0, "1h": 3600.0}


@dataclass(frozen=True, slots=True)
class Prefix:
    """The beginning of a request up to and with one block.

    Attributes
    ----------
    digest
        Of everything in it, of the model and of the manner of asking.
    tokens
        How many it has.
    ttl
        ``"5m"`` or ``"1h"`` if the block is marked, else empty.
    is_long_enough
        Whether it has the model's least number of tokens.
    """

    digest: bytes
    tokens: int
    ttl: str
    is_long_enough: bool


@dataclass(frozen=True, slots=True)
class Cached:
    """Tokens of one request that were read from the cache, and written to it by ttl."""

    read: int = 0
    written_5m: int = 0
    written_1h: int = 0

    @property
    def written(self) -> int:
        """Those written, for however long."""
        return self.written_5m + self.written_1h


NOTHING_CACHED = Cached()


class PromptCache:
    """Digests and when each ends.

    Parameters
    ----------
    clock
        Seconds that only grow.
    most
        How many digests are kept; the one unused longest goes first.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, most: int = _MOST_KEPT
    ) -> None:
        self._clock = clock
        self._most = most
        self._ends: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends)

    def now(self) -> float:
        """Return the time by which lives are counted."""
        return self._clock()

    def look_up(self, prefixes: Sequence[Prefix], started: float) -> Cached:
        """Return what a request reads and will write; what it reads lives on from its start."""
        found = max(self._hits(prefixes), default=-1)
        read = 0
        if found >= 0:
            read = prefixes[found].tokens
            self._refresh(prefixes[found].digest, started)
        written, until = dict.fromkeys(_LIVES, 0), read
        for prefix in _marked(prefixes[found + 1 :]):
            written[prefix.ttl] += prefix.tokens - until
            until = prefix.tokens
        return Cached(read, written["5m"], written["1h"])

    def keep(self, prefixes: Sequence[Prefix], started: float) -> None:
        """Remember what an answered request has marked."""
        for prefix in _marked(prefixes):
            life = _LIVES[prefix.ttl]
            _, longest = self._ends.pop(prefix.digest, (0.0, 0.0))
            self._ends[prefix.digest] = (started + max(life, longest), max(life, longest))
        while len(self._ends) > self._most:
            self._ends.popitem(last=False)

    def _hits(self, prefixes: Sequence[Prefix]) -> Iterator[int]:
        for mark, prefix in enumerate(prefixes):
            if not prefix.ttl:
                continue
            for at in range(mark, max(-1, mark - _LOOKED_BACK), -1):
                if self._is_alive(prefixes[at].digest):
                    yield at
                    break

    def _is_alive(self, digest: bytes) -> bool:
        end, _ = self._ends.get(digest, (0.0, 0.0))
        if end > self._clock():
            return True
        self._ends.pop(digest, None)
        return False

    def _refresh(self, digest: bytes, started: float) -> None:
        _, life = self._ends.pop(digest)
        self._ends[digest] = (started + life, life)


def read_prefixes(
    body: Mapping[str, Any],
    model: PlayedModel,
    place_name: str,
    visual_tokens: Mapping[str, int],
    words_as_tokens: Callable[[int], int],
) -> tuple[Prefix, ...]:
    """Return the beginnings of a request, one for each block; none if nothing is marked.

    Parameters
    ----------
    body
        The request, checked but for the marks of its system prompt.
    model, place_name
        Who is asked, and where: neither reads what another has kept.
    visual_tokens
        Of each picture, by its place: ``messages.0.content.1``.
    words_as_tokens
        Tokens of so many bytes of text.

    Raises
    ------
    Rejected
        400, if a mark of the system prompt cannot be read, or there are more than four marks.
    """
    blocks = list(_blocks(body))
    ttls = [_ttl(block, place) for place, _, block in blocks]
    if body.get("cache_control") and blocks:
        ttls[-1] = ttls[-1] or _ttl(body, "")
    marks = len([ttl for ttl in ttls if ttl])
    if marks > _MOST_MARKS:
        raise Rejected(
            400,
            f"A maximum of {_MOST_MARKS} blocks with cache_control may be provided. Found {marks}.",
        )
    if not marks:
        return ()
    output = body.get("output_config") or {}
    root = [place_name, model.id, body.get("tools"), output.get("format")]
    # What changes how the model thinks leaves the system prompt's beginning as it was.
    manner = [output.get("effort"), body.get("thinking"), body.get("tool_choice")]
    of_block: Counter[str] = Counter()
    for at, tokens in visual_tokens.items():
        of_block[".".join(at.split(".")[:_PARTS_OF_A_PLACE])] += tokens
    digest, prefixes, seen, written = _digest(b"", root), [], 0, 0
    for (place, role, block), ttl in zip(blocks, ttls, strict=True):
        bare = {name: value for name, value in block.items() if name != "cache_control"}
        digest = _digest(digest, [role, manner if role else None, bare])
        seen += of_block[place]
        written += _bytes_of_words(block)
        tokens = seen + words_as_tokens(written)
        is_long_enough = tokens >= model.cache_minimum
        prefixes.append(Prefix(digest, tokens, ttl, is_long_enough))
    return tuple(prefixes)


def _marked(prefixes: Sequence[Prefix]) -> Iterator[Prefix]:
    return (prefix for prefix in prefixes if prefix.ttl and prefix.is_long_enough)


def _blocks(body: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield place, role and content of each block: the system prompt's have no role."""
    for number, block in enumerate(_as_blocks(body.get("system"))):
        yield f"system.{number}", "", block
    for turn, message in enumerate(body["messages"]):
        for number, block in enumerate(_as_blocks(message["content"])):
            yield f"messages.{turn}.content.{number}", message["role"], block


def _as_blocks(value: object) -> list[Mapping[str, Any]]:
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    return value if isinstance(value, list) else []


def _ttl(holder: Mapping[str, Any], place: str) -> str:
    """Return for how long a mark keeps; empty where there is none."""
    mark = holder.get("cache_control")
    if mark is None:
        return ""
    ttl = mark.get("ttl", "5m") if isinstance(mark, dict) else None
    kind = mark.get("type") if isinstance(mark, dict) else None
    if kind != "ephemeral" or not isinstance(ttl, str) or ttl not in _LIVES:
        at = f"{place}.cache_control".lstrip(".")
        raise Rejected(400, f"{at}: Input should be ephemeral, with a ttl of '5m' or '1h'")
    return ttl


def _digest(before: bytes, value: object) -> bytes:
    words = json.dumps(value, sort_keys=True).encode("ascii")
    return hashlib.sha256(before + words).digest()


def _bytes_of_words(block: Mapping[str, Any]) -> int:
    if block.get("type") == "tool_result":
        return sum(_bytes_of_words(inner) for inner in _as_blocks(block.get("content", "")))
    text = block.get("text")
    return len(text.encode()) if isinstance(text, str) else 0
