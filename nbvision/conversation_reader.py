"""A conversation's file is read: whatever is in it is checked before anything of it is used.

A file may come from anyone. Every mistake is one error that names its place; nothing is sent, and
no name in it is opened.
"""

import base64
import hashlib
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import cast

from nbvision.catalogue import find_model
from nbvision.conversation_file import (
    FORMAT,
    LARGEST_BYTES,
    LONGEST_NAME,
    MOST_TURNS,
    UNUSABLE,
    SavedConversation,
    shown_name,
)
from nbvision.decoding import Encoded, open_bytes
from nbvision.errors import NbvisionError, RequestError
from nbvision.findings import Finding, Findings, Level
from nbvision.geometry import Fit, Size, Tier, resized_size, visual_tokens
from nbvision.image_formats import check_size, recognise
from nbvision.json_fields import Fields, is_whole, json_of
from nbvision.markup import plain
from nbvision.platforms import find_platform
from nbvision.prepared import PreparedImage
from nbvision.referenced import RemoteImage, SentImage, UploadedImage
from nbvision.request import Request, RequestMessage
from nbvision.response import parse_response, require_usable
from nbvision.results import Cost, Reply
from nbvision.sent_frame import sent_frame
from nbvision.turns import Turn

__all__ = ["read_conversation"]

_LONGEST_ID = 3_000  # Bedrock's names of models have up to 2,048 characters
_LONGEST_URL = 20_000
_MOST_TOKENS = 10**7
_MOST_MARKS = 4
_LARGEST_EDGE, _MOST_PATCHES = 8_000, 20_000  # of a tier: four times the largest there is
_MOST_PICTURES = 1_000  # all are sent with each turn, and no model takes as many
_KINDS = {"PNG": "image/png", "JPEG": "image/jpeg"}
_FARTHEST_CROP = 10**6
_FIRST_YEAR, _LAST_YEAR = 2020, 9000  # of an answer; the last ones cannot be said everywhere
_LEVELS = ("info", "warn", "error")


def read_conversation(path: str | Path) -> SavedConversation:
    """Return what `write_conversation` has written.

    Raises
    ------
    RequestError
        If there is no such file, or anything in it is not as it was written.
    """
    shown = shown_name(path)
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


def _bytes_of(path: Path, shown: str) -> bytes:
    try:
        path = path.expanduser()
        if not stat.S_ISREG(path.stat().st_mode):
            reason = "it is not a regular file"
        elif path.stat().st_size > LARGEST_BYTES:
            reason = f"it has more than {LARGEST_BYTES / 1e6:.0f} MB"
        else:
            with path.open("rb") as file:
                return file.read(LARGEST_BYTES)
    except UNUSABLE as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
    raise RequestError(f"{shown} cannot be loaded: {reason}", cure="check the name and the folder")


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Say where it stands that is refused by those who know nothing of this file."""
    try:
        yield
    except NbvisionError as error:
        reason, limit = error.value, error.limit
    else:
        return
    raise RequestError(f"{place}: {reason}", limit=limit)


def _conversation(file: Fields) -> SavedConversation:
    if (number := file.whole("format")) != FORMAT:
        raise RequestError(f"format {number} is not known here", limit=f"format {FORMAT}")
    settings = ("system", "model", "max_tokens", "effort", "cache")
    file.require_only("format", *settings, "turns", "pictures")
    pictures = dict(_pictures(file))
    turns: list[Turn] = []
    for fields in file.each("turns", most=MOST_TURNS):
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
    pictures, names = file.fields("pictures"), file.mapping("pictures")
    if len(names) > _MOST_PICTURES:
        raise RequestError(f"{len(names):,} pictures", limit=f"{_MOST_PICTURES:,}")
    for name in names:
        fields = pictures.fields(name)
        fields.require_only("media_type", "data")
        place = pictures.place_of(name)
        try:
            data = base64.b64decode(fields.text("data", longest=LARGEST_BYTES), validate=True)
        except ValueError:
            data = b""
        if hashlib.sha256(data).hexdigest() != name:
            raise RequestError(f"{place} is not what was sent: its sha256 is another")
        with _at(place):
            kind = recognise(data)
        if _KINDS.get(kind) != fields.text("media_type"):
            raise RequestError(f"{place} is a {kind}, which is not what it says")
        with _at(place):
            encoded, _ = open_bytes(data)
        if encoded.orientation > 1 or visual_tokens(encoded.size) > _MOST_PATCHES:
            raise RequestError(f"{place} is no frame that was sent: {encoded.size}, or turned")
        with _at(place):
            encoded.decode(None)
        yield name, encoded


def _turn(fields: Fields, before: Turn | None, pictures: dict[str, Encoded]) -> Turn:
    fields.require_only("prompt", "blocks", "asked", "reply")
    blocks = tuple(_blocks(fields, pictures))
    if not blocks or not isinstance(blocks[-1], str):
        raise RequestError(f"{fields.place_of('blocks')} does not end with words")
    prompt = fields.text("prompt")
    if not blocks[-1].startswith(prompt):  # the form of the answer may follow, in words
        raise RequestError(f"{fields.place_of('prompt')} is not what was sent")
    said: tuple[RequestMessage, ...] = ()
    if before is not None:
        answer = RequestMessage("assistant", (before.reply.text,))
        said = (*before.reply.request.messages, answer)
    request = _request(fields.fields("asked"), (*said, RequestMessage("user", blocks)))
    images = tuple(block for block in blocks if not isinstance(block, str))
    first = len(request.images) - len(images) + 1
    return Turn(prompt, images, first, _reply(fields.fields("reply"), request))


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
        *("model", "platform", "max_tokens", "system"),
        *("effort", "schema", "thinking", "cached_until"),
    )
    thinking = asked.text_or_none("thinking")
    if thinking not in (None, "summarized"):
        raise RequestError(f"{asked.place_of('thinking')} is neither null nor summarized")
    model_id = asked.text("model", longest=_LONGEST_ID)
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
        platform=find_platform(asked.text("platform", longest=LONGEST_NAME)),
        messages=messages,
        max_tokens=asked.whole("max_tokens", least=1, most=_MOST_TOKENS),
        system=asked.text_or_none("system"),
        effort=asked.text_or_none("effort"),
        schema=None if asked.is_null("schema") else asked.mapping("schema"),
        thinking="summarized" if thinking else None,
        cached_until=frozenset(marks),
    )


def _reply(fields: Fields, request: Request) -> Reply:
    money = ("dollars", "price_note", "saved_dollars")
    known = ("backend", "seconds", *money, "findings", "request_id", "message")
    fields.require_only(*known, "from_store")
    message, request_id = fields.mapping("message"), fields.text_or_none("request_id")
    with _at(fields.place_of("message")):
        response = require_usable(parse_response(message, request_id))
    return Reply(
        response=response,
        request=request,
        backend=fields.text("backend", longest=LONGEST_NAME),
        cost=Cost(
            fields.number_or_none("dollars"),
            fields.text("price_note"),
            fields.number_or_none("saved_dollars"),
        ),
        findings=_findings(fields, "findings"),
        seconds=fields.number("seconds"),
        from_store=_stored_since(fields) if "from_store" in fields else None,
    )


def _stored_since(fields: Fields) -> datetime | None:
    moment = _moment(fields, "from_store")
    if moment is not None and not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise RequestError(f"{fields.place_of('from_store')} is in the year {moment.year}")
    if moment is not None and fields.number_or_none("dollars") != 0:
        raise RequestError(f"{fields.place_of('dollars')} of a stored answer is not 0")
    return moment


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
    name = plain(fields.text("name", longest=LONGEST_NAME))
    source = sent_frame(name, encoded, fit, _findings(fields, "findings_of_source"))
    known = (encoded.data, _KINDS[encoded.kind], fit, _findings(fields, "findings"), source)
    if "file" not in fields:
        return PreparedImage(*known)
    file = fields.fields("file")
    file.require_only("id", "held_by", "expires_at")
    name, held_by = (file.text(field, longest=_LONGEST_ID) for field in ("id", "held_by"))
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
    with _at(fields.place_of("original")):
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
        tier.text("name", longest=LONGEST_NAME),
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
        fields.text("code", longest=LONGEST_NAME),
        cast("Level", level),
        fields.text("value"),
        fields.text("limit"),
        fields.text("cure"),
        fields.whole_or_none("image_number", least=1),
    )
