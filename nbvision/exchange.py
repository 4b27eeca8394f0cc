"""One exchange: pictures and words go out, one reply comes back."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nbvision.backends import Backend, current, held_by
from nbvision.backends.stopping import stop_here
from nbvision.box_reader import read_boxes
from nbvision.caching import dollars_saved
from nbvision.catalogue import Model, find_model, model_cost, plain_id, priced_at
from nbvision.detections import Detections
from nbvision.findings import Findings
from nbvision.given import given_images, prepare_all
from nbvision.live import LiveText
from nbvision.preflight import Task, check_images, require_sendable
from nbvision.prepared import side_limit_of
from nbvision.referenced import SentImage, require_seen
from nbvision.request import Request, RequestMessage, Thinking, build_request, images_of
from nbvision.response import Response, require_usable
from nbvision.results import Cost, Reply
from nbvision.spending import count_exchange
from nbvision.stream_reader import StreamReader

__all__ = ["How", "exchange", "found_in"]


@dataclass(frozen=True, slots=True)
class How:
    """Who is asked, and how: what all calls have in common."""

    backend: Backend
    model_id: str
    model: Model
    system: str | None
    max_tokens: int | None
    effort: str | None
    on_text: Callable[[str], None] | None
    thinking: Thinking | None = None

    @classmethod
    def of(  # noqa: PLR0917 - called with one line of names, in this order
        cls,
        backend: Backend | None,
        model: str | None,
        system: str | None,
        max_tokens: int | None,
        effort: str | None,
        on_text: Callable[[str], None] | None,
        thinking: Thinking | None = None,
    ) -> "How":
        """Return who is asked and how, from what a call was given."""
        asked = current(backend)
        chosen = model or asked.model
        looked_up = find_model(chosen)
        return cls(asked, chosen, looked_up, system, max_tokens, effort, on_text, thinking)


def exchange(  # noqa: PLR0917 - the first five are every call's
    images: object,
    prompt: str,
    task: Task,
    how: How,
    schema: dict[str, Any] | None = None,
    earlier: Sequence[RequestMessage] | None = None,
    kept: Callable[[Request], frozenset[tuple[int, int]]] | None = None,
) -> Reply:
    """Send pictures and words, and return the reply.

    Parameters
    ----------
    images
        One picture or several; in a conversation there may be none.
    prompt, task, how, schema
        The words, what they are for, who is asked, and the form of the answer.
    earlier
        In a conversation the messages before this one, which are sent again.
    kept
        Says up to which blocks of the request the service is to keep what it has read.

    Raises
    ------
    ImageError, RequestError
        Before anything is sent.
    BackendError, AnswerError
        If nobody answered, or not usably.
    """
    platform = how.backend.platform
    sent = images_of(earlier or ())
    is_words_only = earlier and isinstance(images, list) and not images
    given = [] if is_words_only else given_images(images)
    findings = check_images(
        [*sent, *given],
        how.model,
        platform,
        prompt=prompt,
        system=how.system or "",
        task=task,
        earlier=len(sent),
        held_by=held_by(how.backend),
    )
    require_sendable(findings)
    side_limit = side_limit_of(len(sent) + len(given))
    with LiveText(how.model_id) as live:
        request = build_request(
            prepare_all(given, how.model, platform, live.progress, side_limit),
            prompt,
            model_id=how.model_id,
            model=how.model,
            platform=platform,
            system=how.system,
            max_tokens=how.max_tokens,
            effort=how.effort,
            schema=schema,
            earlier=earlier,
            thinking=how.thinking,
        )
        if kept is not None:
            request = replace(request, cached_until=kept(request))
        started = time.monotonic()
        with count_exchange(how.backend.name, how.model_id) as note:
            response = _stream(how, request, live)
            cost, usage = _cost(response, how.model_id), response.usage
            note(response.model, usage.total_input_tokens, usage.output_tokens, cost.dollars)
        require_usable(response)
    return Reply(
        response=response,
        request=request,
        backend=how.backend.name,
        cost=cost,
        findings=findings,
        seconds=time.monotonic() - started,
    )


def found_in(reply: Reply, image: SentImage) -> Detections:
    """Read the boxes of an answer, and bring them home to the picture they are in.

    Raises
    ------
    UnreadableAnswer
        If the answer holds no boxes that can be read.
    RequestError
        If the service fetched the picture itself, so that its size is not known here.
    """
    seen = require_seen(image)
    reading = read_boxes(reply.text, seen.fit.resized)
    return Detections(
        reply=replace(reply, findings=Findings((*reply.findings, *reading.findings))),
        image=seen.source,
        boxes=tuple(seen.fit.to_original(box) for box in reading.boxes),
        points=tuple(seen.fit.to_original(point) for point in reading.points),
        boxes_in_resized=reading.boxes,
    )


def _stream(how: How, request: Request, live: LiveText) -> Response:
    """Send a request and read its events to the end; an interrupt leaves the part on show."""
    reader = StreamReader()
    live.note("asked, waiting for the first word")
    with how.backend.stream(request, on_wait=live.note, stop=stop_here()) as events:
        for event in events:
            text = reader.feed(event)
            if reader.is_thinking:
                live.progress("thinking …")
            if text:
                live.add(text)
                if how.on_text is not None:
                    how.on_text(text)
        return reader.response(request_id=events.request_id)


def _cost(response: Response, model_id: str) -> Cost:
    # Who answered decides the price, and the place where it was asked.
    model, usage = priced_at(model_id, find_model(plain_id(response.model))), response.usage
    dollars = model_cost(
        model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    return Cost(dollars, model.note, dollars_saved(model, usage))
