"""One exchange: pictures and words go out, one reply comes back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nbvision.attempts import Attempts, counted_in
from nbvision.backends import Backend, current, held_by
from nbvision.backends.stopping import require_wanted, stop_here
from nbvision.box_reader import read_boxes
from nbvision.budget import Budget, most_dollars, require_within
from nbvision.catalogue import Model, find_model
from nbvision.detections import Detections
from nbvision.errors import RequestError, UnreadableAnswer
from nbvision.findings import Findings
from nbvision.forms import AnswerForm
from nbvision.given import given_images, prepare_all
from nbvision.intents import cost_of
from nbvision.live import LiveText
from nbvision.preflight import Task, check_images, require_sendable
from nbvision.prepared import side_limit_of
from nbvision.referenced import SentImage, require_seen
from nbvision.remembering import Remembered, remembered
from nbvision.request import Request, RequestMessage, Thinking, build_request, images_of
from nbvision.response import Response
from nbvision.results import Cost, Reply
from nbvision.runs import call_in_runs
from nbvision.spending import count_broken_off, count_exchange
from nbvision.stream_reader import StreamReader

__all__ = ["How", "exchange", "found_in", "parsed_by"]

_SAMPLES = 2**31  # more than anybody asks for, and few enough for every file


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
    refresh: bool = False
    sample: int = 0
    budget: float | Budget | None = None

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
        *,
        refresh: bool = False,
        sample: int = 0,
        budget: float | Budget | None = None,
    ) -> "How":
        """Return who is asked and how, from what a call was given."""
        asked = current(backend)
        chosen = model or asked.model
        _check_sample(sample)
        if not isinstance(budget, Budget | None):
            budget = Budget.of(budget).dollars
        known, asking = find_model(chosen), (system, max_tokens, effort, on_text)
        return cls(asked, chosen, known, *asking, thinking, refresh, sample, budget)


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
        answer = _answer(how, request, live)
    if answer.from_store is not None and how.on_text is not None:
        how.on_text(answer.response.text)
    return Reply(
        response=answer.response,
        request=request,
        backend=how.backend.name,
        cost=_cost(answer, how.model_id),
        findings=findings,
        seconds=answer.seconds,
        from_store=answer.from_store,
        disown=answer.disown,
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
    try:
        reading = read_boxes(reply.text, seen.fit.resized)
    except UnreadableAnswer:
        reply.disown()
        raise
    return Detections(
        reply=replace(reply, findings=Findings((*reply.findings, *reading.findings))),
        image=seen.source,
        boxes=tuple(seen.fit.to_original(box) for box in reading.boxes),
        points=tuple(seen.fit.to_original(point) for point in reading.points),
        boxes_in_resized=reading.boxes,
    )


def parsed_by(form: AnswerForm, reply: Reply) -> Reply:
    """Return a reply with its answer as data; one that cannot be read is not given again.

    Raises
    ------
    UnreadableAnswer
        If the answer does not follow the form.
    """
    try:
        parsed = form.read(reply.text, reply.response)
    except UnreadableAnswer:
        reply.disown()
        raise
    return replace(reply, parsed=parsed)


def _answer(how: How, request: Request, live: LiveText) -> Remembered:
    """Return the stored answer, or ask; the runs around here see it."""
    keeping = how.backend.keeping
    budgets = [one for one in (keeping.budget, how.budget) if isinstance(one, Budget)]
    limit = None if isinstance(how.budget, Budget) else how.budget
    with call_in_runs() as call:

        def require_allowed() -> None:
            call.require_going()
            if limit is not None:
                require_within(limit, request)

        def ask(attempts: Attempts) -> Response:
            call.sent()
            if limit is not None:
                _hold_within(limit, request, attempts)
            return _counted(how, request, live, attempts)

        answer = remembered(
            request,
            ask,
            keeping=keeping,
            backend=how.backend.name,
            address=how.backend.address,
            sample=how.sample,
            refresh=how.refresh,
            require_wanted=require_wanted,
            on_wait=live.note,
            allowances=(*(one.allowance() for one in budgets), *call.allowances),
            before_sending=require_allowed,
        )
        call.answered(_cost(answer, how.model_id).dollars)
    return answer


def _hold_within(limit: float, request: Request, attempts: Attempts) -> None:
    """Let what may have been billed be sent again only if the call's own limit holds that too."""
    is_affordable, most = attempts.is_affordable, most_dollars(request) or 0.0
    attempts.is_affordable = lambda: (attempts.unsure + 2) * most <= limit and is_affordable()


def _counted(how: How, request: Request, live: LiveText, attempts: Attempts) -> Response:
    """Send a request, and count what it cost; a stored answer is none of this."""
    who = (how.backend.name, how.model_id)
    try:
        with counted_in(attempts), count_exchange(*who) as note:
            response = _stream(how, request, live)
            dollars, usage = cost_of(response, how.model_id).dollars, response.usage
            note(response.model, usage.total_input_tokens, usage.output_tokens, dollars)
    finally:
        count_broken_off(*who, attempts.unsure)
    return response


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


def _cost(answer: Remembered, model_id: str) -> Cost:
    if answer.from_store is not None:
        return Cost(0.0, saved=0.0)
    return cost_of(answer.response, model_id)


def _check_sample(sample: object) -> None:
    if type(sample) is not int or not 0 <= sample < _SAMPLES:
        raise RequestError(
            f"sample={sample!r}"[:200], limit=f"a whole number from 0 to {_SAMPLES - 1:,}"
        )
