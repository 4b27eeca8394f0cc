"""Keys that left this process, so that no error repeats them.

Some servers say no with the key that they refuse, and what a notebook shows is saved, mailed
and committed. A key is known here from the moment it is sent: nobody can repeat one earlier.
"""

import base64
import logging
import re
from collections.abc import Mapping
from urllib.parse import quote

__all__ = ["hide_in_logs", "note_key", "note_keys", "without_keys"]

_PIECE = 12  # a shorter piece gives nothing away, and could be a word
_MOST_KEYS = 64  # tokens expire and are replaced
_HIDDEN = "[key]"
_HEADERS = frozenset(
    {"api-key", "authorization", "cookie", "proxy-authorization", "x-amz-security-token"}
    | {"x-api-key", "x-goog-api-key"}
)
# Of a signature the rest are names of headers, which are no secret and stand in other errors.
_SIGNATURE = re.compile(r"\b(?:Credential|Signature)=([^,/\s]+)")
_LOGGED = re.compile(rf"(?i)\b({'|'.join(_HEADERS)})\b['\"]?\s*[:=]\s*b?['\"]?([^'\"\n]+)")
# A filter holds for its own logger only, not for those below it.
_LOGGERS = (
    *("anthropic", "anthropic._base_client", "httpx2", "httpcore2.connection"),
    *("httpcore2.http11", "httpcore2.http2", "httpcore2.proxy", "urllib3.connectionpool"),
    *("botocore.auth", "botocore.endpoint", "botocore.handlers", "botocore.hooks"),
    *("botocore.httpsession", "botocore.parsers", "botocore.retryhandler", "botocore.client"),
)

# The newest first, each with all its pieces. Replaced whole and never changed, so that any thread
# may read it, and a forked child finds no lock held.
_known: tuple[tuple[str, frozenset[str]], ...] = ()


def note_keys(headers: Mapping[str, str | bytes]) -> None:
    """Remember what a request carries to be let in.

    Parameters
    ----------
    headers
        Of a request that is about to be sent.

    Examples
    --------
    >>> note_keys({"x-api-key": "sk-example-of-a-key-0123456789"})
    >>> without_keys("refused: sk-example-of-a-key-0123456789")
    'refused: [key]'
    """
    for name, value in headers.items():
        if name.casefold() in _HEADERS:
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            for key in _SIGNATURE.findall(text) or text.split():
                note_key(key)


def hide_in_logs() -> None:
    """Keep keys out of what the services' own clients log, which at DEBUG is every header."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if _hide not in logger.filters:
            logger.addFilter(_hide)


def without_keys(text: str) -> str:
    """Return a text with every piece of a key that was sent replaced, however it is spelled.

    Examples
    --------
    >>> without_keys("no key here")
    'no key here'
    """
    found = {piece for _, pieces in _known for piece in pieces if piece in text}
    parts: list[str] = []
    end = 0
    for start in range(len(text) - _PIECE + 1) if found else ():
        if text[start : start + _PIECE] in found:
            if start > end or not parts:
                parts += [text[end:start], _HIDDEN]
            end = start + _PIECE
    return "".join([*parts, text[end:]])


def note_key(key: str) -> None:
    """Remember one key."""
    global _known  # noqa: PLW0603 - what this process has sent is one thing
    if len(key) < _PIECE:
        return
    others = tuple(known for known in _known if known[0] != key)
    mine = next((pieces for known, pieces in _known if known == key), None) or _pieces_of(key)
    _known = ((key, mine), *others)[:_MOST_KEYS]


def _hide(record: logging.LogRecord) -> bool:
    words = record.getMessage()
    # Credentials of a provider are first seen here, before they are sent.
    note_keys(dict(_LOGGED.findall(words)))
    record.msg, record.args = without_keys(words), None
    return True


def _pieces_of(key: str) -> frozenset[str]:
    data = key.encode()
    forms = [key, quote(key, safe=""), data.hex()]
    # base64 spells the same bytes in three ways, by where they stand.
    forms += [base64.b64encode(b"x" * shift + data).decode()[4:-4] for shift in range(3)]
    return frozenset(
        form[start : start + _PIECE] for form in forms for start in range(len(form) - _PIECE + 1)
    )
