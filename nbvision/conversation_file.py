"""A conversation as one JSON file: written whole or not at all, and believed only where it holds.

The format is numbered. Words, answers and numbers stand as text that can be read and compared;
each picture stands once, as the very bytes that were sent, under the sha256 of these bytes. What
can be computed from the rest (the text of an answer, its usage) is not written twice.

A file may come from anyone: whatever is in it is checked before anything of it is used, and every
mistake is one error that names its place. Nothing is sent, and no name in it is opened.
"""

import base64
import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from nbvision.catalogue import find_model
from nbvision.decoding import Encoded, open_bytes
from nbvision.errors import LimitExceeded, NbvisionError, RequestError
from nbvision.findings import Finding, Findings, Level
from nbvision.geometry import Fit, Size, Tier, resized_size
from nbvision.image_formats import check_size
from nbvision.json_fields import Fields, is_whole, json_of
from nbvision.markup import plain
from nbvision.platforms import find_platform
from nbvision.prepared import PreparedImage
from nbvision.referenced import RemoteImage, SentImage, UploadedImage
from nbvision.request import Request, RequestMessage
from nbvision.response import parse_response, require_usable
from nbvision.results import Cost, Reply
from nbvision.sent_frame import SentFrame, sent_frame
from nbvision.turns import Turn

__all__ = ["SavedConversation", "read_conversation", "write_conversation"]

_FORMAT = 1
_LARGEST_BYTES = 300_000_000
_LONGEST_NAME = 500
_LONGEST_URL = 8_000
_MOST_TOKENS = 10**7
_MOST_MARKS = 4
_LARGEST_EDGE, _MOST_PATCHES = 8_000, 82_000  # of any tier: the services take no longer side
_FARTHEST_CROP = 10**6
_UNUSABLE = (OSError, ValueError, RuntimeError)  # what a path can be: gone, no path, no home
_LEVELS = ("info", "warn", "error")
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
    data, shown = _as_json(saved), _shown(path)
    if len(data) > _LARGEST_BYTES:
        raise LimitExceeded(
            f"a conversation of {len(data) / 1e6:.0f} MB",
            limit=f"{_LARGEST_BYTES / 1e6:.0f} MB",
            cure="fork it earlier, or send smaller pictures",
        )
    try:
        target = Path(path).expanduser()
        _put_in_place(data, Path(os.path.realpath(target)))  # a link stays one
    except _UNUSABLE as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
    else:
        return target
    raise RequestError(
        f"cannot write {shown}: {reason}", cure="choose a folder that exists and may be written"
    )


def read_conversation(path: str | Path) -> SavedConversation:
    """Return what `write_conversation` has written.

    Raises
    ------
    RequestError
        If there is no such file, or anything in it is not as it was written.
    """
    shown = _shown(path)
    data = _bytes_of(Path(path), shown)
    try:
        return _conversation(Fields(json_of(data)))
    except NbvisionError as error:
        reason, limit = error.value, error.limit
    raise RequestError(
        f"{shown} cannot be loaded: {plain(reason)[:500]}",
        limit=limit,
        cure="load a file that chat.save(path) has written, unchanged",
    )


def _shown(path: object) -> str:
    if not isinstance(path, str | os.PathLike):
        raise RequestError(f"path={path!r}"[:200], limit="a path: text, or a Path")
    return plain(Path(path).name)[:200]


# -- writing ---------------------------------------------------------------------------------


def _put_in_place(data: bytes, target: Path) -> None:
    """Write a file beside its place and move it there: nobody sees half of it."""
    beside = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.tmp")
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _as_json(saved: SavedConversation) -> bytes:
    pictures: dict[str, dict[str, str]] = {}
    content = {
        "format": _FORMAT,
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
    return _HALF.sub("\ufffd", name)[:_LONGEST_NAME]


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


# -- reading ---------------------------------------------------------------------------------


def _bytes_of(path: Path, shown: str) -> bytes:
    try:
        path = path.expanduser()
        if not stat.S_ISREG(path.stat().st_mode):
            reason = "it is not a regular file"
        elif path.stat().st_size > _LARGEST_BYTES:
            reason = f"it has more than {_LARGEST_BYTES / 1e6:.0f} MB"
        else:
            with path.open("rb") as file:
                return file.read(_LARGEST_BYTES)
    except _UNUSABLE as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
    raise RequestError(f"{shown} cannot be loaded: {reason}", cure="check the name and the folder")


def _conversation(file: Fields) -> SavedConversation:
    if (number := file.whole("format")) != _FORMAT:
        raise RequestError(f"format {number} is not known here", limit=f"format {_FORMAT}")
    settings = ("system", "model", "max_tokens", "effort", "cache")
    file.require_only("format", *settings, "turns", "pictures")
    pictures = dict(_pictures(file))
    turns: list[Turn] = []
    for fields in file.each("turns"):
        turns.append(_turn(fields, turns[-1] if turns else None, pictures))
    return SavedConversation(
        system=file.text_or_none("system"),
        model=file.text_or_none("model"),
        max_tokens=file.whole_or_none("max_tokens", least=1, most=_MOST_TOKENS),
        effort=file.text_or_none("effort"),
        cache=file.flag("cache"),
        turns=tuple(turns),
    )


def _pictures(file: Fields) -> Iterator[tuple[str, Encoded]]:
    pictures = file.fields("pictures")
    for name in file.mapping("pictures"):
        fields = pictures.fields(name)
        fields.require_only("media_type", "data")
        place = pictures.place_of(name)
        try:
            data = base64.b64decode(fields.text("data"), validate=True)
        except ValueError:
            data = b""
        if hashlib.sha256(data).hexdigest() != name:
            raise RequestError(f"{place} is not what was sent: its sha256 is another")
        encoded, _ = open_bytes(data)
        if f"image/{encoded.kind.lower()}" != fields.text("media_type") or encoded.orientation > 1:
            raise RequestError(f"{place} is a {encoded.kind}, which is not what it says")
        encoded.decode(None)
        yield name, encoded


def _turn(fields: Fields, before: Turn | None, pictures: dict[str, Encoded]) -> Turn:
    fields.require_only("prompt", "blocks", "asked", "reply")
    blocks = tuple(_blocks(fields, pictures))
    if not blocks or not isinstance(blocks[-1], str):
        raise RequestError(f"{fields.place_of('blocks')} does not end with words")
    said: tuple[RequestMessage, ...] = ()
    if before is not None:
        answer = RequestMessage("assistant", (before.reply.text,))
        said = (*before.reply.request.messages, answer)
    request = _request(fields.fields("asked"), (*said, RequestMessage("user", blocks)))
    images = tuple(block for block in blocks if not isinstance(block, str))
    first = len(request.images) - len(images) + 1
    return Turn(fields.text("prompt"), images, first, _reply(fields.fields("reply"), request))


def _blocks(fields: Fields, pictures: dict[str, Encoded]) -> Iterator[str | SentImage]:
    for place, block in fields.items("blocks"):
        if not isinstance(block, str):
            yield _image(Fields(block, place), pictures)
        elif block.strip() and is_whole(block):
            yield block
        else:
            raise RequestError(f"{place} holds no words, or half a character")


def _request(asked: Fields, messages: tuple[RequestMessage, ...]) -> Request:
    asked.require_only(
        "model", "platform", "max_tokens", "system", "effort", "schema", "cached_until"
    )
    model_id = asked.text("model", longest=_LONGEST_NAME)
    marks = set()
    for place, mark in asked.items("cached_until", most=_MOST_MARKS):
        at, number = Fields({"at": mark}, place).wholes("at", 2, least=-1)
        blocks = messages[at].blocks if 0 <= at < len(messages) else ()
        if (at, number) != (-1, 0) and not 0 <= number < len(blocks):
            raise RequestError(f"{place} marks a block that is not there")
        marks.add((at, number))
    return Request(
        model_id=model_id,
        model=find_model(model_id),
        platform=find_platform(asked.text("platform", longest=_LONGEST_NAME)),
        messages=messages,
        max_tokens=asked.whole("max_tokens", least=1, most=_MOST_TOKENS),
        system=asked.text_or_none("system"),
        effort=asked.text_or_none("effort"),
        schema=None if asked.is_null("schema") else asked.mapping("schema"),
        cached_until=frozenset(marks),
    )


def _reply(fields: Fields, request: Request) -> Reply:
    money = ("dollars", "price_note", "saved_dollars")
    fields.require_only("backend", "seconds", *money, "findings", "request_id", "message")
    response = parse_response(fields.mapping("message"), fields.text_or_none("request_id"))
    return Reply(
        response=require_usable(response),
        request=request,
        backend=fields.text("backend", longest=_LONGEST_NAME),
        cost=Cost(
            fields.number_or_none("dollars"),
            fields.text("price_note"),
            fields.number_or_none("saved_dollars"),
        ),
        findings=_findings(fields, "findings"),
        seconds=fields.number("seconds"),
    )


def _image(fields: Fields, pictures: dict[str, Encoded]) -> SentImage:
    if "url" in fields:
        fields.require_only("url")
        url = fields.text("url", longest=_LONGEST_URL)
        if not re.fullmatch(r"https?://[^\s\x00-\x1f\x7f]+", url, re.IGNORECASE):
            raise RequestError(f"{fields.place_of('url')} is no address of a picture")
        return RemoteImage(url)
    fields.require_only("picture", "name", "fit", "findings", "findings_of_source", "file")
    encoded = pictures.get(fields.text("picture"))
    if encoded is None:
        raise RequestError(f"{fields.place_of('picture')} is not among the pictures")
    fit = _fit(fields.fields("fit"), encoded.size)
    name = plain(fields.text("name", longest=_LONGEST_NAME))
    source = sent_frame(name, encoded, fit, _findings(fields, "findings_of_source"))
    media_type = f"image/{encoded.kind.lower()}"
    known = (encoded.data, media_type, fit, _findings(fields, "findings"), source)
    if "file" not in fields:
        return PreparedImage(*known)
    file = fields.fields("file")
    file.require_only("id", "held_by", "expires_at")
    name, held_by = (file.text(field, longest=_LONGEST_NAME) for field in ("id", "held_by"))
    return UploadedImage(*known, name, held_by, _moment(file, "expires_at"))


def _moment(fields: Fields, name: str) -> datetime | None:
    words = fields.text_or_none(name)
    with suppress(ValueError):
        moment = None if words is None else datetime.fromisoformat(words)
        if moment is None or moment.tzinfo is not None:
            return moment
    raise RequestError(f"{fields.place_of(name)} is no moment with its time zone")


def _fit(fields: Fields, size: Size) -> Fit:
    """Return how the original became the frame, if the rule says that it did."""
    fields.require_only("original", "resized", "tier", "crop_origin")
    original = Size(*fields.wholes("original", 2, least=1))
    resized = Size(*fields.wholes("resized", 2, least=1))
    check_size(original, is_reducible=True)
    fit = Fit(original, resized, _tier(fields), (0, 0))
    if resized != size or resized_size(original, fit.tier) != resized:
        raise RequestError(
            f"{fields.place_of('resized')} is {resized}",
            limit=f"{size}, as the picture is, and {resized_size(original, fit.tier)} by the rule",
        )
    x, y = fields.wholes("crop_origin", 2, most=_FARTHEST_CROP)
    return Fit(original, resized, fit.tier, (x, y))


def _tier(fields: Fields) -> Tier:
    found = [value for _, value in fields.items("tier", most=3)]
    tier = Fields(dict(zip(("name", "edge", "tokens"), found, strict=False)), "tier")
    return Tier(
        tier.text("name", longest=_LONGEST_NAME),
        tier.whole("edge", least=28, most=_LARGEST_EDGE),
        tier.whole("tokens", least=1, most=_MOST_PATCHES),
    )


def _findings(fields: Fields, name: str) -> Findings:
    return Findings(_finding(each) for each in fields.each(name))


def _finding(fields: Fields) -> Finding:
    fields.require_only("code", "level", "value", "limit", "cure", "image_number")
    level = fields.text("level")
    if level not in _LEVELS:
        raise RequestError(f"{fields.place_of('level')} is none", limit=", ".join(_LEVELS))
    return Finding(
        fields.text("code", longest=_LONGEST_NAME),
        cast("Level", level),
        fields.text("value"),
        fields.text("limit"),
        fields.text("cure"),
        fields.whole_or_none("image_number", least=1),
    )
