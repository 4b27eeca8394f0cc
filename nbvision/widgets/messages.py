"""What a browser sends, checked before it is believed.

Whoever can write to a notebook's socket can send anything: every field is read through one of
these, with the type and the limit that it must have.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbvision.errors import (
    AnswerError,
    BackendError,
    NbvisionError,
    NotConnected,
    RequestError,
    RunStopped,
)

__all__ = ["Message", "error_words", "retry_words", "sendable"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message: a type, fields and binary parts.

    Every reader raises `RequestError` where a field is not what it must be.

    Examples
    --------
    >>> Message("zoom", {"percent": 200}).whole("percent", most=800)
    200
    """

    type: str
    fields: Mapping[str, Any]
    buffers: Sequence[memoryview | bytes] = field(default=(), repr=False)

    def whole(self, name: str, *, least: int = 0, most: int) -> int:
        """Return a whole number from ``least`` to ``most``."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise _wrong(self, name, f"a whole number from {least} to {most}")
        return value

    def number(self, name: str, *, least: float, most: float) -> float:
        """Return a number from ``least`` to ``most``."""
        return _number(self, name, self.fields.get(name), least, most)

    def text(self, name: str, *, longest: int) -> str:
        """Return text of at most so many characters."""
        value = self.fields.get(name)
        if not isinstance(value, str) or len(value) > longest:
            raise _wrong(self, name, f"text of at most {longest} characters")
        return value

    def one_of(self, name: str, values: Collection[str]) -> str:
        """Return one of several words."""
        value = self.fields.get(name)
        if not isinstance(value, str) or value not in values:
            raise _wrong(self, name, f"one of {', '.join(values)}")
        return value

    def items(self, name: str, *, most: int) -> list["Message"]:
        """Return a list of objects, each to be read like a message."""
        value = self.fields.get(name)
        is_list = isinstance(value, list) and len(value) <= most
        if not is_list or not all(isinstance(item, Mapping) for item in value or ()):
            raise _wrong(self, name, f"a list of at most {most} objects")
        return [Message(f"{self.type}.{name}", item) for item in value or ()]

    def numbers(self, name: str, count: int, *, least: float, most: float) -> list[float]:
        """Return a list of exactly so many numbers from ``least`` to ``most``."""
        value = self.fields.get(name)
        if not isinstance(value, list) or len(value) != count:
            raise _wrong(self, name, f"a list of {count} numbers")
        return [_number(self, name, item, least, most) for item in value]

    def buffer(self, *, most_bytes: int) -> bytes:
        """Return the one binary part."""
        if len(self.buffers) != 1 or len(memoryview(self.buffers[0]).cast("B")) > most_bytes:
            raise _wrong(self, "buffers", f"one of at most {most_bytes:,} bytes")
        return bytes(self.buffers[0])


def sendable(value: Any) -> Any:
    """Return a message with text that can be sent: half a character cannot.

    Examples
    --------
    >>> sendable({"text": "a" + chr(0xD800)}) == {"text": "a" + chr(0xFFFD)}
    True
    """
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {name: sendable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [sendable(item) for item in value]
    return value


def error_words(error: BaseException) -> dict[str, str]:
    """Return what a widget shows of an error: value, limit and cure.

    Examples
    --------
    >>> error_words(RequestError("3 images", limit="2", cure="send fewer"))
    {'value': '3 images', 'limit': '2', 'cure': 'send fewer'}
    """
    if isinstance(error, NbvisionError):
        return {"value": error.value, "limit": error.limit, "cure": error.cure}
    lines = str(error).strip().splitlines()
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = ""
    if frame is not None:
        code = frame.tb_frame.f_code
        place = f" in {code.co_name}, line {frame.tb_lineno}"
    words = f": {lines[0][:300]}" if lines else ""
    return {
        "value": f"{type(error).__name__}{words}{place}",
        "limit": "",
        "cure": "a function that observes this widget failed, or nbvision did",
    }


def retry_words(error: BaseException) -> str:
    """Return what asking once more means after this error, for the money.

    Examples
    --------
    >>> retry_words(RequestError("3 images", limit="2"))
    'nothing was sent; asking again is not paid twice'
    """
    if not isinstance(error, NbvisionError):
        return ""
    if getattr(error, "may_have_been_billed", isinstance(error, AnswerError)):
        return "it may have been billed; asking again is paid anew"
    is_unsent = not isinstance(error, BackendError) or isinstance(error, NotConnected | RunStopped)
    return f"nothing was {'sent' if is_unsent else 'billed'}; asking again is not paid twice"


def _number(message: Message, name: str, value: object, least: float, most: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:  # type: ignore[operator]
        raise _wrong(message, name, f"a number from {least:g} to {most:g}")
    return float(value)  # type: ignore[arg-type]


def _wrong(message: Message, name: str, limit: str) -> RequestError:
    shown = repr(message.fields.get(name))[:60]
    return RequestError(f"{message.type}: {name} is {shown}", limit=limit)
