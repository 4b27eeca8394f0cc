"""The API's own dict becomes a `Response`: checked before it is believed.

Both SDKs hand on some broken replies as success: HTML with status 200, an empty body, ``null``.
So every shape is checked here, and what does not have it is an `UnreadableAnswer` that keeps
whatever words there were.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbvision.errors import (
    AccessDenied,
    BackendError,
    ModelNotFound,
    Overloaded,
    RateLimited,
    Refused,
    RequestRejected,
    ServiceFailed,
    SpendLimitReached,
    TimedOut,
    Truncated,
    UnreadableAnswer,
)
from nbvision.markup import plain

__all__ = [
    "ERROR_TYPES",
    "NO_MESSAGE_CURE",
    "Citation",
    "Response",
    "Usage",
    "kind_of",
    "parse_response",
    "require_usable",
]

ERROR_TYPES: Mapping[str, type[BackendError]] = {
    "invalid_request_error": RequestRejected,
    "authentication_error": AccessDenied,
    "billing_error": SpendLimitReached,
    "permission_error": AccessDenied,
    "not_found_error": ModelNotFound,
    "conflict_error": RequestRejected,
    "request_too_large": RequestRejected,
    "rate_limit_error": RateLimited,
    "api_error": ServiceFailed,
    "timeout_error": TimedOut,
    "overloaded_error": Overloaded,
}
"""What each error type of the API is in this package's tree."""

_TRUNCATED: Mapping[str, str] = {
    "max_tokens": "raise max_tokens (thinking counts toward it)",
    "model_context_window_exceeded": "send fewer or smaller pictures, or shorter words",
}
_DECLINED: Mapping[str, str] = {
    "refusal": "say what the picture is needed for, or ask differently",
    "guardrail_intervened": "look at the guardrail of your account, or ask differently",
    "content_filtered": "ask differently, or send another picture",
}
_MALFORMED = {"malformed_model_output", "malformed_tool_use"}
_STOPS: Mapping[str, str] = {
    "end_turn": "The model said all it meant to.",
    "max_tokens": "The answer reached max_tokens and was cut off.",
    "stop_sequence": "A stop sequence came up, and the answer ends before it.",
    "tool_use": "The model waits for the result of a tool.",
    "pause_turn": "The service paused a long turn; it goes on if it is asked to.",
    "refusal": "The model declined to answer.",
    "model_context_window_exceeded": "The model's context was full, and the answer was cut off.",
    # These are Bedrock's, of its Converse operation.
    "guardrail_intervened": "A guardrail of the account stopped the answer.",
    "content_filtered": "A content filter of the service stopped the answer.",
    "malformed_model_output": "The model wrote what the service could not read.",
    "malformed_tool_use": "The model called a tool in a form that the service could not read.",
}
_CATEGORIES: Mapping[str, str] = {
    "cyber": "harm to computers",
    "bio": "harm to living things",
    "frontier_llm": "building a competing model",
    "reasoning_extraction": 'repeating its thinking as text; thinking="summarized" shows it',
    "general_harms": "other harm",
}
"""What a refusal may be about; each can also meet a harmless question."""
_PLACES: Mapping[str, tuple[str, str]] = {
    "characters": ("start_char_index", "end_char_index"),
    "pages": ("start_page_number", "end_page_number"),
    "blocks": ("start_block_index", "end_block_index"),
}
_WORDY = {"text", "thinking"}
_MOST_TOKENS = 10**12
NO_MESSAGE_CURE = "ask again; if it stays so, what answers at this address is not the Messages API"


@dataclass(frozen=True, slots=True)
class Usage:
    """What was counted and is billed.

    Attributes
    ----------
    input_tokens
        Without those read from or written to the prompt cache.
    output_tokens
        Thinking included.
    cache_read_tokens, cache_write_tokens
        Input read from and written to the cache.
    thinking_tokens
        The part of ``output_tokens`` that was thinking, as far as the service says.
    """

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    thinking_tokens: int = 0

    @property
    def total_input_tokens(self) -> int:
        """All input, however it was served."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens


@dataclass(frozen=True, slots=True)
class Citation:
    """A place in a document that the model names as its source.

    Attributes
    ----------
    quote
        The words that are cited.
    title, url
        Of the document, where they are known.
    document
        Which document of the request, counted from 0.
    start, end
        Where in it, as the service counts: characters and blocks from 0, pages from 1, and
        the end is the first that is no longer cited.
    unit
        ``"characters"``, ``"pages"`` or ``"blocks"``; empty where no place is told.
    """

    quote: str
    title: str = ""
    url: str = ""
    document: int | None = None
    start: int | None = None
    end: int | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, whole.

    Attributes
    ----------
    text
        The words of all text blocks.
    thinking
        The words of thinking blocks, where they are shown; often empty.
    stop_reason, stop_details
        Why it ended, and what a refusal says about itself.
    usage
        What it cost in tokens.
    model
        Who answered, as the service names itself.
    id, request_id
        The service's names for the message and for the request.
    raw
        The message as it came.
    citations
        Where the words come from, in the order of the text; of documents only.
    """

    text: str
    thinking: str
    stop_reason: str
    stop_details: Mapping[str, Any] | None
    usage: Usage
    model: str
    id: str
    request_id: str | None
    raw: Mapping[str, Any] = field(repr=False)
    citations: tuple[Citation, ...] = ()

    @property
    def stop_in_words(self) -> str:
        """Why it ended, as one sentence."""
        unknown = f"It ended with {plain(self.stop_reason, limit=80)}, which is not known here."
        return _STOPS.get(self.stop_reason, unknown)

    @property
    def is_complete(self) -> bool:
        """Whether the model said all it meant to."""
        return self.stop_reason in {"end_turn", "stop_sequence", "tool_use"}


def parse_response(message: object, request_id: str | None = None) -> Response:
    """Read a message as the API returns it.

    Parameters
    ----------
    message
        The decoded JSON body.
    request_id
        From the reply's headers.

    Raises
    ------
    UnreadableAnswer
        If it is anything but a whole message; ``text`` keeps what could be read.

    Examples
    --------
    >>> parse_response({
    ...     "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5-5",
    ...     "content": [{"type": "text", "text": "A door."}], "stop_reason": "end_turn",
    ...     "usage": {"input_tokens": 1296, "output_tokens": 4}}).text
    'A door.'
    """
    if not isinstance(message, Mapping):
        raise UnreadableAnswer(
            f"the reply is {kind_of(message)}, not a message", cure=NO_MESSAGE_CURE
        )
    content = message.get("content")
    text = _joined(content, "text") if isinstance(content, list) else ""
    if message.get("type") != "message" or not isinstance(content, list):
        words = "the reply is no message of the Messages API"
        raise UnreadableAnswer(words, cure=NO_MESSAGE_CURE, text=text)
    stop_reason, model = message.get("stop_reason"), message.get("model")
    details, name = message.get("stop_details"), message.get("id")
    if message.get("role") != "assistant" or not isinstance(name, str | None):
        raise UnreadableAnswer(
            "the reply is no assistant's message", cure=NO_MESSAGE_CURE, text=text
        )
    if not all(isinstance(value, str) and value for value in (stop_reason, model)):
        words = "the reply does not say why it ended or who answered"
        raise UnreadableAnswer(words, cure=NO_MESSAGE_CURE, text=text)
    if not all(_is_whole(block) for block in content):
        raise UnreadableAnswer(
            "a part of the reply cannot be read", cure=NO_MESSAGE_CURE, text=text
        )
    return Response(
        text=text,
        thinking=_joined(content, "thinking", between="\n\n"),
        stop_reason=str(stop_reason),
        stop_details=details if isinstance(details, Mapping) else None,
        usage=_usage(message.get("usage"), text),
        model=str(model),
        id=name or "",
        request_id=request_id,
        raw=message,
        citations=tuple(_citations(content)),
    )


def require_usable(response: Response) -> Response:
    """Return the response if it is an answer.

    Raises
    ------
    Truncated
        If it stopped at ``max_tokens`` or at the end of the context.
    Refused
        If the model declined, or a filter stopped it.
    UnreadableAnswer
        If there is not a word in it, or none that the service could read.
    """
    text, usage, ended = response.text, response.usage, response.stop_reason
    if cure := _TRUNCATED.get(ended):
        raise Truncated(
            f"the answer stopped after {usage.output_tokens:,} tokens",
            limit=ended,
            cure=f"{cure}; error.text keeps the words",
            text=text,
            response=response,
        )
    if cure := _DECLINED.get(ended):
        reason = _why_declined(response.stop_details or {})
        what = _STOPS[ended].rstrip(".")
        raise Refused(
            what[0].lower() + what[1:] + (f" ({reason})" if reason else ""),
            cure=cure,
            text=text,
            response=response,
        )
    if not text.strip() or ended in _MALFORMED:
        raise UnreadableAnswer(
            "the answer cannot be used" if text.strip() else "the answer has no words",
            limit=response.stop_in_words,
            cure="ask again, or ask differently",
            text=text,
            response=response,
        )
    return response


def _why_declined(details: Mapping[str, Any]) -> str:
    """Return the category and the explanation, as far as a refusal gives them."""
    category, explanation = details.get("category"), details.get("explanation")
    words = [category, explanation] if isinstance(category, str) else [explanation]
    if isinstance(category, str) and category in _CATEGORIES:
        words[0] = f"{category}, {_CATEGORIES[category]}"
    return ": ".join(plain(w, limit=500) for w in words if isinstance(w, str) and w)


def _citations(content: list[Any]) -> Iterator[Citation]:
    """Yield what can be read of the citations; the rest stays in ``raw``."""
    for block in content:
        found = block.get("citations") if block.get("type") == "text" else None
        for given in found if isinstance(found, list) else ():
            if isinstance(given, Mapping) and isinstance(given.get("cited_text"), str):
                yield _citation(given)


def _citation(given: Mapping[str, Any]) -> Citation:
    def words(*names: str) -> str:
        return next((given[n] for n in names if isinstance(given.get(n), str)), "")

    def number(*names: str) -> int | None:
        return next((int(given[n]) for n in names if _is_count(given.get(n))), None)

    unit = next((u for u, (start, _) in _PLACES.items() if _is_count(given.get(start))), "")
    start, end = _PLACES.get(unit, ("", ""))
    return Citation(
        quote=given["cited_text"],
        title=words("document_title", "title"),
        url=words("url", "source"),
        document=number("document_index", "search_result_index"),
        start=number(start),
        end=number(end),
        unit=unit,
    )


def _joined(content: list[Any], kind: str, between: str = "") -> str:
    found = (
        block[kind]
        for block in content
        if isinstance(block, Mapping)
        and block.get("type") == kind
        and isinstance(block.get(kind), str)
    )
    return between.join(words for words in found if words)


def _is_whole(block: object) -> bool:
    """Whether a block has a type and its words; those of thinking may be withheld."""
    if not isinstance(block, Mapping) or not isinstance(block.get("type"), str):
        return False
    of, words = block["type"], block.get(block["type"])
    return isinstance(words, str) or of not in _WORDY or (of == "thinking" and words is None)


def _usage(usage: object, text: str) -> Usage:
    found = usage if isinstance(usage, Mapping) else {}
    plain_counts = [found.get(name) for name in ("input_tokens", "output_tokens")]
    # Caches may be absent or null; the two plain counts may not.
    caches = [found.get(f"cache_{name}_input_tokens") for name in ("read", "creation")]
    counts = [*plain_counts, *(0 if count is None else count for count in caches)]
    if not all(_is_count(count) for count in counts):
        words = "the reply's token counts cannot be read"
        raise UnreadableAnswer(words, cure=NO_MESSAGE_CURE, text=text)
    details = found.get("output_tokens_details")
    thinking = details.get("thinking_tokens") if isinstance(details, Mapping) else None
    # Only told, never billed apart: what cannot be read is not known.
    told = thinking if _is_count(thinking) else 0
    return Usage(*(int(count or 0) for count in (*counts, told)))


def _is_count(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # The bounds come first: they hold off what is not finite or too long for a float.
    return 0 <= value <= _MOST_TOKENS and value == int(value)


def kind_of(value: object) -> str:
    """Return what a value is, in words.

    >>> kind_of(None), kind_of([])
    ('nothing', 'a list')
    """
    return "nothing" if value is None else f"a {type(value).__name__}"
