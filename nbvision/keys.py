"""Keys that left this process, so that no error repeats them.

Some servers say no with the key that they refuse, and what a notebook shows is saved, mailed
and committed. A key is known here from the moment it is sent: nobody can repeat one earlier.
"""

import base64
import logging
import re
import time
import traceback
from collections.abc import Iterator, Mapping
from urllib.parse import quote

__all__ = ["hide_in_logs", "note_key", "note_keys", "without_keys"]

_PIECE = 12  # a shorter piece gives nothing away, and could be a word
_SHORTEST = 8  # a shorter key is a word such as "none"
_FEWEST_SIGNS = 5  # a piece with fewer is a line or a row of noughts
_MOST_KEYS = 32  # tokens expire and are replaced
_MOST_LOGGED = 100_000  # a picture as base64 is no use in a log
_HIDDEN = "[key]"
_HEADERS = frozenset(
    {"api-key", "authorization", "cookie", "proxy-authorization", "x-amz-security-token"}
    | {"x-api-key", "x-goog-api-key"}
)
# Who signs sends this name and no key. The signature, another for each request, would only push
# keys out of what is known.
_SIGNER = re.compile(r"\bCredential=([^,/\s]+)")
_SIGNATURE = re.compile(r"\bSignature=[0-9a-f]{12,}")
# What all keys of a kind begin with.
_KIND = re.compile(r"sk-ant-[a-z]+\d+-|bedrock-api-key-|ya29\.")
_LOGGED = re.compile(rf"(?i)\b({'|'.join(_HEADERS)})\b['\"]?\s*[:=]\s*b?['\"]?([^'\"\n]+)")
# A filter holds for its own logger only, not for those below it.
_LOGGERS = (
    *("anthropic", "anthropic._base_client", "httpx2", "httpcore2.connection"),
    *("httpcore2.http11", "httpcore2.http2", "httpcore2.proxy", "urllib3.connectionpool"),
    *("botocore.auth", "botocore.endpoint", "botocore.handlers", "botocore.hooks"),
    *("botocore.httpsession", "botocore.parsers", "botocore.retryhandler", "botocore.client"),
)

# Each with when it was sent last and all its pieces. Only ever changed by one step at a time, so
# that any thread may do it, and a forked child finds no lock held.
_known: dict[str, tuple[float, frozenset[str]]] = {}


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
            for key in _keys_in(text):
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
    text = _SIGNATURE.sub(f"Signature={_HIDDEN}", text)
    known = [(key, pieces) for key, (_, pieces) in list(_known.items())]
    for key in (key for key, pieces in known if not pieces):
        text = text.replace(key, _HIDDEN)
    starts = range(len(text) - _PIECE + 1)
    windows = {text[start : start + _PIECE] for start in starts} if known else set()
    found = {piece for _, pieces in known for piece in windows & pieces}
    parts: list[str] = []
    end = 0
    for start in starts if found else ():
        if text[start : start + _PIECE] in found:
            if start > end or not parts:
                parts += [text[end:start], _HIDDEN]
            end = start + _PIECE
    return "".join([*parts, text[end:]])


def note_key(key: str) -> None:
    """Remember one key; a short one only if it can be no word."""
    if len(key) < (_PIECE if _may_be_words(key) else _SHORTEST):
        return
    known = _known.get(key)
    pieces = frozenset(_pieces_of(key)) if known is None else known[1]
    _known[key] = (time.monotonic(), pieces)
    by_age = sorted((sent_at, each) for each, (sent_at, _) in list(_known.items()))
    for _, oldest in by_age[:-_MOST_KEYS]:
        _known.pop(oldest, None)


def _hide(record: logging.LogRecord) -> bool:
    try:
        words = record.getMessage()
    except Exception:  # noqa: BLE001 - it is for the handler to say, not for the call to break
        return True
    more = len(words) - _MOST_LOGGED
    words = f"{words[:_MOST_LOGGED]}… ({more:,} more characters)" if more > 0 else words
    # Credentials of a provider are first seen here, before they are sent. But bodies are logged
    # too, and what a person writes about a header is no key.
    for _, said in _LOGGED.findall(words):
        for key in _keys_in(said):
            if not _may_be_words(key):
                note_key(key)
    record.msg, record.args = without_keys(words), None
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = without_keys("".join(traceback.format_exception(*record.exc_info)))
        record.exc_info = None
    return True


def _keys_in(value: str) -> list[str]:
    return _SIGNER.findall(value) or value.split()


def _may_be_words(key: str) -> bool:
    return not (any(map(str.isdigit, key)) and any(map(str.isalpha, key)))


def _pieces_of(key: str) -> Iterator[str]:
    """Yield every piece of a key, however it is spelled; none of one that is too short."""
    data = key.encode()
    forms = [key, quote(key, safe=""), data.hex()]
    # base64 spells the same bytes in three ways, by where they stand, and has two alphabets.
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        forms += [encode(b"x" * shift + data).decode()[4:-4] for shift in range(3)]
    kind = _KIND.match(key)
    for form in forms if len(key) >= _PIECE else ():
        for start in range(len(form) - _PIECE + 1):
            piece = form[start : start + _PIECE]
            is_common = kind is not None and piece in kind[0]
            if not is_common and len(set(piece)) >= _FEWEST_SIGNS:
                yield piece
