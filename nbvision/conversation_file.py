"""A conversation as one JSON file, written whole or not at all.

The format is numbered. Words, answers and numbers stand as text that can be read and compared;
each picture stands once, as the very bytes that were sent, under the sha256 of these bytes. What
can be computed from the rest (the text of an answer, its usage) is not written twice.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbvision.errors import LimitExceeded, RequestError
from nbvision.findings import Findings
from nbvision.markup import plain
from nbvision.prepared import PreparedImage
from nbvision.referenced import RemoteImage, SentImage, UploadedImage
from nbvision.results import Reply
from nbvision.sent_frame import SentFrame
from nbvision.turns import Turn
from nbvision.writing import put_in_place

__all__ = [
    "FORMAT",
    "LARGEST_BYTES",
    "LONGEST_NAME",
    "MOST_TURNS",
    "UNUSABLE",
    "SavedConversation",
    "shown_name",
    "write_conversation",
]

FORMAT = 1
LARGEST_BYTES = 300_000_000
LONGEST_NAME = 500  # of a picture; what services name may be longer
MOST_TURNS = 2_000  # each holds what was sent before it
UNUSABLE = (OSError, ValueError, RuntimeError)  # what a path can be: gone, no path, no home
_HALF = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class SavedConversation:
    """What a file holds: settings, and turns."""

    system: str | None
    model: str | None
    max_tokens: int | None
    effort: str | None
    cache: bool
    turns: tuple[Turn, ...]


def write_conversation(saved: SavedConversation, path: str | Path) -> Path:
    """Write a conversation beside the path, then put it in its place at once.

    Raises
    ------
    RequestError
        If it cannot be written; what stood there before stays.
    """
    if len(saved.turns) > MOST_TURNS:
        raise LimitExceeded(f"{len(saved.turns):,} turns", limit=f"{MOST_TURNS:,} in one file")
    data, shown = _as_json(saved), shown_name(path)
    if len(data) > LARGEST_BYTES:
        raise LimitExceeded(
            f"a conversation of {len(data) / 1e6:.0f} MB",
            limit=f"{LARGEST_BYTES / 1e6:.0f} MB",
            cure="fork it earlier, or send smaller pictures",
        )
    try:
        target = Path(path).expanduser()
        put_in_place(data, target)
    except UNUSABLE as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
    else:
        return target
    raise RequestError(
        f"cannot write {shown}: {reason}", cure="choose a folder that exists and may be written"
    )


def shown_name(path: object) -> str:
    """Return the name of a path, safe to show.

    Raises
    ------
    RequestError
        If it is no path.
    """
    if not isinstance(path, str | os.PathLike):
        raise RequestError(f"path={path!r}"[:200], limit="a path: text, or a Path")
    return plain(Path(path).name)[:200]


def _as_json(saved: SavedConversation) -> bytes:
    pictures: dict[str, dict[str, str]] = {}
    content = {
        "format": FORMAT,
        "system": saved.system,
        "model": saved.model,
        "max_tokens": saved.max_tokens,
        "effort": saved.effort,
        "cache": saved.cache,
        "turns": [_turn_as_json(turn, pictures) for turn in saved.turns],
        "pictures": pictures,
    }
    try:
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        reason = type(error).__name__
    else:
        # An answer may hold half a character, which UTF-8 cannot write and JSON can.
        whole = _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
        return f"{whole}\n".encode()
    raise RequestError(
        f"an answer holds what JSON cannot write ({reason})", cure="chat.undo(), then save"
    )


def _stored_as_json(reply: Reply) -> dict[str, str]:
    """Return since when an answer is stored, if it is: of one that was asked there is no word."""
    return {} if reply.from_store is None else {"from_store": reply.from_store.isoformat()}


def _turn_as_json(turn: Turn, pictures: dict[str, dict[str, str]]) -> dict[str, Any]:
    reply, request = turn.reply, turn.reply.request
    return {
        "prompt": turn.prompt,
        "blocks": [
            block if isinstance(block, str) else _image_as_json(block, pictures)
            for block in request.messages[-1].blocks
        ],
        "asked": {
            "model": request.model_id,
            "platform": request.platform.name,
            "max_tokens": request.max_tokens,
            "system": request.system,
            "effort": request.effort,
            "schema": request.schema,
            "thinking": request.thinking,
            "cached_until": [list(place) for place in sorted(request.cached_until)],
        },
        "reply": {
            "backend": reply.backend,
            "seconds": reply.seconds,
            "dollars": reply.cost.dollars,
            "price_note": reply.cost.note,
            "saved_dollars": reply.cost.saved,
            "findings": _findings_as_json(reply.findings),
            "request_id": reply.response.request_id,
            "message": reply.raw,
            **_stored_as_json(reply),
        },
    }


def _image_as_json(image: SentImage, pictures: dict[str, dict[str, str]]) -> dict[str, Any]:
    if isinstance(image, RemoteImage):
        return {"url": image.url}
    name, fit = image.sha256, image.fit
    pictures[name] = {"media_type": image.media_type, "data": image.base64()}
    found: dict[str, Any] = {
        "picture": name,
        "name": _name_of(image),
        "fit": {
            "original": list(fit.original),
            "resized": list(fit.resized),
            "tier": [fit.tier.name, fit.tier.edge_limit, fit.tier.visual_token_limit],
            "crop_origin": list(fit.crop_origin),
        },
        "findings": _findings_as_json(image.findings),
        "findings_of_source": _findings_as_json(image.source.findings),
    }
    if isinstance(image, UploadedImage):
        expires = image.expires_at.isoformat() if image.expires_at else None
        held = {"id": image.file_id, "held_by": image.held_by, "expires_at": expires}
        found["file"] = held
    return found


def _name_of(image: PreparedImage) -> str:
    """Return the picture's name; one that was loaded before keeps the name it had."""
    source = image.source
    name = source.name if isinstance(source, SentFrame) else source.source
    return _HALF.sub("\ufffd", name)[:LONGEST_NAME]


def _findings_as_json(findings: Findings) -> list[dict[str, Any]]:
    return [
        {
            "code": each.code,
            "level": each.level,
            "value": each.value,
            "limit": each.limit,
            "cure": each.cure,
            "image_number": each.image_number,
        }
        for each in findings
    ]
