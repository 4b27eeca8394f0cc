"""The content blocks of a request, read strictly."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nbvision.practice.pictures import Picture, read_header
from nbvision.practice.places import Place
from nbvision.practice.rejections import Rejected
from nbvision.practice.stored_files import FileShelf, picture_data

__all__ = ["Content", "invalid", "known_fields", "read_messages", "read_system"]

_MEDIA_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_MOST_MESSAGES = 100_000
_MOST_BREAKPOINTS = 4
_LONGEST_LABEL = 60
_USER_BLOCKS = {"text", "image", "document", "tool_result"}
_ASSISTANT_BLOCKS = {"text", "tool_use", "thinking", "redacted_thinking"}


@dataclass
class Content:
    """What the messages hold, in their order.

    Attributes
    ----------
    texts
        Number of the message and words, for each text.
    pictures
        Every picture, wherever it stands.
    labels
        The texts that only name the picture after them; they are among ``texts``.
    last_role
        Who has spoken last.
    files
        Where pictures that are named are looked up.
    unseen
        How many pictures are only named where tokens are counted: nobody fetches them then.
    """

    texts: list[tuple[int, str]] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    labels: set[int] = field(default_factory=set)
    last_role: str = "user"
    breakpoints: int = 0
    files: FileShelf | None = None
    unseen: int = 0

    @property
    def characters(self) -> int:
        """Length of all texts in bytes of UTF-8."""
        return sum(len(text.encode()) for _, text in self.texts)

    @property
    def prompt(self) -> str:
        """The words of the last message, labels left out."""
        if not self.texts:
            return ""
        last = max(turn for turn, _ in self.texts)
        return "\n".join(
            text
            for number, (turn, text) in enumerate(self.texts)
            if turn == last and number not in self.labels
        )


def invalid(place: str, what: str) -> Rejected:
    """Return the rejection of what stands at a place in the body."""
    return Rejected(400, f"{place}: {what}" if place else what)


def known_fields(value: object, place: str, known: set[str] | frozenset[str]) -> dict[str, Any]:
    """Return the object at a place, if it has no other fields than these.

    Raises
    ------
    Rejected
        400, naming the first field that is not known.
    """
    if not isinstance(value, dict):
        raise invalid(place, "Input should be a valid dictionary")
    for name in value:
        if name not in known:
            raise invalid(f"{place}.{name}".lstrip("."), "Extra inputs are not permitted")
    return value


def read_system(value: object) -> str:
    """Return the words of the system prompt: a text, or a list of text blocks."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise invalid("system", "Input should be a valid string or list")
    content = Content()
    for number, block in enumerate(value):
        place = f"system.{number}"
        if not isinstance(block, dict) or block.get("type") != "text":
            raise invalid(place, "Input should be a text block")
        _read_text(block, place, 0, content)
    return "\n".join(text for _, text in content.texts)


def read_messages(value: object, where: Place, files: FileShelf | None = None) -> Content:
    """Return the content of ``messages``.

    Raises
    ------
    Rejected
        400, naming the place of the first mistake.
    """
    if not isinstance(value, list):
        raise invalid("messages", "Input should be a valid list")
    if not value:
        raise invalid("messages", "at least one message is required")
    if len(value) > _MOST_MESSAGES:
        raise invalid("messages", f"at most {_MOST_MESSAGES} messages")
    content = Content(files=files)
    for number, message in enumerate(value):
        place = f"messages.{number}"
        known_fields(message, place, {"role", "content"})
        role = message.get("role")
        if role not in ("user", "assistant"):
            raise invalid(f"{place}.role", "Input should be 'user' or 'assistant'")
        if number == 0 and role != "user":
            raise invalid("messages", 'first message must use the "user" role')
        _read_message(message, number, where, content)
        content.last_role = role
    if content.breakpoints > _MOST_BREAKPOINTS:
        raise invalid(
            "",
            f"A maximum of {_MOST_BREAKPOINTS} blocks with cache_control may be provided. "
            f"Found {content.breakpoints}.",
        )
    return content


def _read_message(message: Mapping[str, Any], turn: int, where: Place, content: Content) -> None:
    place = f"messages.{turn}.content"
    given = message.get("content")
    if isinstance(given, str):
        _read_text({"type": "text", "text": given}, place, turn, content)
        return
    if not isinstance(given, list):
        what = "Field required" if given is None else "Input should be a valid string or list"
        raise invalid(place, what)
    if not given:
        raise invalid(f"messages.{turn}", "all messages must have non-empty content")
    taken = _USER_BLOCKS if message["role"] == "user" else _ASSISTANT_BLOCKS
    _read_blocks(given, place, turn, taken=taken, where=where, content=content)


def _read_blocks(
    blocks: list[Any], place: str, turn: int, *, taken: set[str], where: Place, content: Content
) -> None:
    label = ""
    for number, block in enumerate(blocks):
        at = f"{place}.{number}"
        kind = block.get("type") if isinstance(block, dict) else None
        if not isinstance(kind, str) or kind not in taken:
            expected = ", ".join(f"'{name}'" for name in sorted(taken))
            raise invalid(
                at, f"Input tag '{kind}' found using 'type' does not match any of {expected}"
            )
        if "cache_control" in block:
            content.breakpoints += _read_cache_control(block["cache_control"], at)
        match kind:
            case "text":
                label = _read_text(block, at, turn, content)
                continue
            case "image":
                if label:
                    content.labels.add(len(content.texts) - 1)
                _read_image(block, at, turn, label, where=where, content=content)
            case "document":
                raise invalid(at, "the practice server reads pictures, not documents")
            case "tool_result":
                _read_tool_result(block, at, turn, where, content)
            case _:
                pass
        label = ""


def _read_text(block: Mapping[str, Any], place: str, turn: int, content: Content) -> str:
    """Keep the words; return them if they could be a picture's label."""
    known_fields(block, f"{place}.text", {"type", "text", "cache_control", "citations"})
    text = block.get("text")
    if text is None:
        raise invalid(f"{place}.text.text", "Field required")
    if not isinstance(text, str):
        raise invalid(f"{place}.text.text", "Input should be a valid string")
    if not text.strip():
        raise invalid("messages", "text content blocks must contain non-whitespace text")
    if block.get("citations"):
        raise invalid(f"{place}.text.citations", "citations are not permitted in requests")
    content.texts.append((turn, text))
    is_label = len(text) <= _LONGEST_LABEL and (text.rstrip().endswith(":") or len(text) <= 20)  # noqa: PLR2004 - a few words
    return text.strip(" :\n") if is_label else ""


def _read_image(
    block: Mapping[str, Any], place: str, turn: int, label: str, *, where: Place, content: Content
) -> None:
    at = f"{place}.image"
    known = {"type", "source", "cache_control"}
    if where.takes_transformations:
        known.add("transformations")
    known_fields(block, at, known)
    refuses = _read_transformations(block.get("transformations"), f"{at}.transformations")
    data, media_type = _read_source(block.get("source"), f"{at}.source", where, content.files)
    if data is None:
        content.unseen += 1
        return
    # What is named is looked at after it has been fetched, and then has no place.
    is_named = not media_type
    header = read_header(data)
    if header is None:
        raise invalid("" if is_named else place, "Could not process image")
    found, size = header
    if not is_named and found != media_type:
        raise invalid(
            f"{at}.source.base64.data",
            f"The image was specified using the {media_type} media type, but the image "
            f"appears to be a {found} image",
        )
    content.pictures.append(
        Picture(data, found, size, place, refuses, label, turn, is_named=is_named)
    )


def _read_source(
    source: object, place: str, where: Place, files: FileShelf | None
) -> tuple[bytes | None, str]:
    """Return bytes and media type: no bytes if nobody fetches them, no type of a file."""
    if source is None:
        raise invalid(place, "Field required")
    kind = source.get("type") if isinstance(source, dict) else None
    if not isinstance(source, dict) or kind not in where.source_types:
        expected = ", ".join(f"'{name}'" for name in sorted(where.source_types))
        raise invalid(
            place, f"Input tag '{kind}' found using 'type' does not match any of {expected}"
        )
    if kind == "url":
        known_fields(source, f"{place}.url", {"type", "url"})
        if where.is_counting:
            return None, ""
        raise invalid(f"{place}.url", "the practice server fetches nothing; send base64")
    if kind == "file":
        known_fields(source, f"{place}.file", {"type", "file_id"})
        return (None if where.is_counting else picture_data(files, source)), ""
    known_fields(source, f"{place}.base64", {"type", "media_type", "data"})
    media_type, data = source.get("media_type"), source.get("data")
    if media_type not in _MEDIA_TYPES:
        expected = ", ".join(f"'{name}'" for name in _MEDIA_TYPES)
        raise invalid(f"{place}.base64.media_type", f"Input should be one of {expected}")
    if not isinstance(data, str):
        what = "Field required" if data is None else "Input should be a valid string"
        raise invalid(f"{place}.base64.data", what)
    if len(data) > where.image_base64_limit and not where.is_counting:
        limit = where.image_base64_limit
        raise invalid(
            f"{place}.base64",
            f"image exceeds {limit // 1_000_000} MB maximum: {len(data)} bytes > {limit} bytes",
        )
    try:
        return base64.b64decode(data, validate=True), media_type
    except (binascii.Error, ValueError):
        raise invalid(f"{place}.base64.data", "Invalid base64 data") from None


def _read_transformations(value: object, place: str) -> bool:
    if value is None:
        return False
    chosen = known_fields(value, place, {"oversized_image"}).get("oversized_image", "downsize")
    if chosen not in ("downsize", "error"):
        raise invalid(f"{place}.oversized_image", "Input should be 'downsize' or 'error'")
    return bool(chosen == "error")


def _read_cache_control(value: object, place: str) -> int:
    if value is None:
        return 0
    at = f"{place}.cache_control"
    fields = known_fields(value, at, {"type", "ttl"})
    if fields.get("type") != "ephemeral" or fields.get("ttl", "5m") not in ("5m", "1h"):
        raise invalid(at, "Input should be ephemeral, with a ttl of '5m' or '1h'")
    return 1


def _read_tool_result(
    block: Mapping[str, Any], place: str, turn: int, where: Place, content: Content
) -> None:
    known = {"type", "tool_use_id", "content", "is_error", "cache_control"}
    known_fields(block, f"{place}.tool_result", known)
    given = block.get("content", "")
    if isinstance(given, list):
        at = f"{place}.tool_result.content"
        _read_blocks(given, at, turn, taken={"text", "image"}, where=where, content=content)
    elif isinstance(given, str):
        content.texts.append((turn, given))
    else:
        raise invalid(f"{place}.tool_result.content", "Input should be a valid string or list")
