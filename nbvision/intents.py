"""A request as the intent to send it, and an answer or error as how that ended."""

import re
from dataclasses import replace

from nbvision.attempts import Attempts
from nbvision.budget import most_dollars
from nbvision.caching import dollars_saved
from nbvision.catalogue import find_model, model_cost, plain_id, priced_at
from nbvision.errors import (
    AnswerError,
    BackendError,
    Interrupted,
    NbvisionError,
    Refused,
    Truncated,
)
from nbvision.fingerprint import Fingerprint, picture_name, words_of
from nbvision.referenced import RemoteImage, SentImage
from nbvision.request import Request
from nbvision.response import Response
from nbvision.results import Cost
from nbvision.store import Ending, Intent, SentPicture

__all__ = ["answered", "broken_off", "cost_of", "intent_of"]

_THUMBNAIL = 160
# The forms that Anthropic and AWS use; what has another could be anything, a key included.
_REQUEST_ID = re.compile(r"req_\w{1,48}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def cost_of(response: Response, model_id: str) -> Cost:
    """Return what an answer cost by the catalogue, and what caching saved.

    Parameters
    ----------
    response
        The answer: who gave it decides the price.
    model_id
        Who was asked, as typed: the place decides it too.
    """
    model, usage = priced_at(model_id, find_model(plain_id(response.model))), response.usage
    dollars = model_cost(
        model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    return Cost(dollars, model.note, dollars_saved(model, usage))


def intent_of(request: Request, names: Fingerprint, backend: str, sample: int) -> Intent:
    """Return a request as the store takes it before it is sent.

    Parameters
    ----------
    request, names
        What would be sent, and its names.
    backend
        Who is asked.
    sample
        Which of several independent answers.
    """
    words = words_of(request)
    prompts = [
        block
        for message in request.messages[-1:]
        for block in message.blocks
        if isinstance(block, str)
    ]
    return Intent(
        name=names.name,
        exact=names.exact,
        backend=backend,
        place=request.platform.name,
        model=request.model_id,
        prompt=prompts[-1] if prompts else "",
        sample=sample,
        parameters={k: v for k, v in words.items() if k not in {"messages", "model"}},
        messages=tuple(words["messages"]),
        pictures=tuple(_sent(image) for image in request.images),
        most_dollars=most_dollars(request),
    )


def _sent(image: SentImage) -> SentPicture:
    if isinstance(image, RemoteImage):
        return SentPicture(picture_name(image), "a picture at an address")
    fit = image.fit
    return SentPicture(
        name=picture_name(image),
        source=image.source.source,
        fit={
            "original": list(fit.original),
            "resized": list(fit.resized),
            "crop_origin": list(fit.crop_origin),
            "tier": fit.tier.name,
        },
        thumbnail=lambda: image.source.thumbnail(_THUMBNAIL),
    )


def answered(response: Response, model_id: str, seconds: float, attempts: Attempts) -> Ending:
    """Return how a call ended that brought a whole and usable answer.

    Parameters
    ----------
    response, model_id
        The answer, and who was asked.
    seconds, attempts
        How long it took, and how often it was sent.
    """
    return Ending(
        outcome="answered",
        dollars=cost_of(response, model_id).dollars,
        seconds=seconds,
        attempts=attempts.count,
        unsure_attempts=attempts.unsure,
        text=response.text,
        message=response.raw,
        answered_by=response.model,
        request_id=_known_form(response.request_id),
        input_tokens=response.usage.input_tokens,
        output_tokens=response.usage.output_tokens,
        cache_read_tokens=response.usage.cache_read_tokens,
        cache_write_tokens=response.usage.cache_write_tokens,
    )


def broken_off(error: BaseException, model_id: str, seconds: float, attempts: Attempts) -> Ending:
    """Return how a call ended that brought no answer; what it cost is often not known.

    Parameters
    ----------
    error, model_id
        What ended it, and who was asked.
    seconds, attempts
        How long it took, and how often it was sent.

    Examples
    --------
    >>> ending = broken_off(KeyboardInterrupt(), "claude-opus-5-5", 1.5, Attempts())
    >>> ending.outcome, ending.dollars
    ('interrupted', None)
    """
    said = error.value if isinstance(error, AnswerError) else type(error).__name__
    made = Ending("failed", 0.0, seconds, attempts.count, unsure_attempts=attempts.unsure)
    if isinstance(error, BackendError):
        # Not the service's words: some repeat the key that they refuse.
        said += f" (status {error.status})" if error.status else ""
        dollars = None if error.may_have_been_billed else 0.0
        named = _known_form(error.request_id)
        return replace(made, dollars=dollars, error=said, request_id=named)
    if isinstance(error, NbvisionError) and not isinstance(error, AnswerError):
        return replace(made, error=said)  # refused here, not sent
    if not isinstance(error, AnswerError):
        return replace(made, outcome="interrupted", dollars=None, error=said)
    kinds = ((Refused, "refused"), (Truncated, "truncated"), (Interrupted, "interrupted"))
    outcome = next((name for kind, name in kinds if isinstance(error, kind)), "unreadable")
    if isinstance(error.response, Response):
        whole = answered(error.response, model_id, seconds, attempts)
        return replace(whole, outcome=outcome, error=said)
    # One that was stopped while it waited for its turn was not sent.
    dollars = None if getattr(error, "may_have_been_billed", True) else 0.0
    return replace(made, outcome=outcome, dollars=dollars, text=error.text, error=said)


def _known_form(request_id: str | None) -> str | None:
    return request_id if request_id and _REQUEST_ID.fullmatch(request_id) else None
