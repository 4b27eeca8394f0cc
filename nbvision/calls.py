"""The flow: picture and words in, a reply or boxes on your own pixels out.

=====================  =============================  ===========================
from                   by                             to
=====================  =============================  ===========================
anything               `open_image`                   `SourceImage`
`SourceImage`          `prepare_image`                `PreparedImage` with `Fit`
those and words        `build_request`                `Request`
`Request`              ``backend.stream``             the API's own events
those                  `StreamReader`                 `Response`
boxes and `Fit`        `Fit.to_original`              boxes in original pixels
all of it              `describe` … `ask`             `Reply`, `Detections`
=====================  =============================  ===========================
"""

from collections.abc import Callable, Mapping
from typing import Any

from nbvision.backends import Backend
from nbvision.budget import Budget
from nbvision.detections import Detections
from nbvision.errors import RequestError
from nbvision.exchange import How, exchange, found_in, parsed_by
from nbvision.forms import answer_form
from nbvision.given import as_list, given_image
from nbvision.prompts import (
    BOXES_SCHEMA,
    COMPARE,
    DESCRIBE,
    POINTS_SCHEMA,
    Kind,
    locate_prompt,
)
from nbvision.referenced import frame_of, require_seen
from nbvision.request import Thinking, takes_schema
from nbvision.results import Reply

__all__ = ["ask", "compare", "describe", "locate"]


def describe(
    image: object,
    prompt: str | None = None,
    *,
    model: str | None = None,
    system: str | None = None,
    max_tokens: int | None = None,
    effort: str | None = None,
    thinking: Thinking | None = None,
    backend: Backend | None = None,
    on_text: Callable[[str], None] | None = None,
    refresh: bool = False,
    sample: int = 0,
    budget: float | Budget | None = None,
) -> Reply:
    """Ask for a description of a picture, or of several together.

    Parameters
    ----------
    image
        Anything `open_image` takes, what `prepare`, `upload` or `remote_image` returns, or a
        list of such, mixed as you like.
    prompt
        The words; "Describe this image." by default.
    model
        A model id; by default the one that is connected.
    system
        A system prompt: persona, language, manner.
    max_tokens
        The most the model may write, its thinking included; 8192 by default.
    effort
        ``"low"`` to ``"max"``, where the model takes it; the model's own default otherwise.
    thinking
        ``"summarized"`` asks a model from 4.7 on to think as it sees fit and to show a summary,
        in ``reply.thinking``; otherwise the model does as it does by default.
    backend
        Who answers; by default what `connect` chose last.
    on_text
        Called with each piece of text as it arrives; a notebook shows them by itself.
    refresh
        Ask anew even if there is a stored answer; both are kept.
    sample
        Which of several independent answers: each number has a stored answer of its own.
    budget
        How many US dollars this call may cost at worst: above that it is not sent. A `Budget`
        is what it is paid from. A stored answer is given in any case.

    Raises
    ------
    ImageError, RequestError
        Before anything is sent.
    BudgetExceeded
        If it could cost more than ``budget``, the run's or the connection's has left; nothing
        was sent.
    BackendError
        If nobody answered; ``may_have_been_billed`` says what is known of the money.
    AnswerError
        If the answer broke off or was refused; ``text`` keeps what arrived.

    Examples
    --------
    >>> import nbvision as nv
    >>> practice = nv.connect("practice", words_per_second=None)
    >>> reply = nv.describe(nv.samples.shapes, backend=practice)
    >>> reply.model, reply.stop_reason
    ('practice-high', 'end_turn')
    """
    how = How.of(
        backend,
        model,
        system,
        max_tokens,
        effort,
        on_text,
        thinking,
        refresh=refresh,
        sample=sample,
        budget=budget,
    )
    return exchange(image, prompt or DESCRIBE, "describe", how)


def compare(
    images: object,
    prompt: str | None = None,
    *,
    model: str | None = None,
    system: str | None = None,
    max_tokens: int | None = None,
    effort: str | None = None,
    thinking: Thinking | None = None,
    backend: Backend | None = None,
    on_text: Callable[[str], None] | None = None,
    refresh: bool = False,
    sample: int = 0,
    budget: float | Budget | None = None,
) -> Reply:
    """Ask how pictures differ; they are labelled "Image 1:", "Image 2:" and so on.

    Parameters
    ----------
    images
        Two or more pictures, each anything `describe` takes.
    prompt
        The words; "How are these images different?" by default.
    model, system, max_tokens, effort, thinking, backend, on_text, refresh, sample, budget
        As in `describe`.

    Raises
    ------
    RequestError
        If there are fewer than two pictures.
    ImageError, BackendError, AnswerError
        As in `describe`.

    Examples
    --------
    >>> import nbvision as nv
    >>> practice = nv.connect("practice", words_per_second=None)
    >>> shelves = [nv.samples.shelf_before, nv.samples.shelf_after]
    >>> nv.compare(shelves, backend=practice).text[:45]
    'From Image 1 to Image 2, 3 places changed: at'
    """
    found = as_list(images)
    if len(found) < 2:  # noqa: PLR2004 - comparing takes two
        raise RequestError(
            f"{len(found)} image to compare",
            limit="two or more",
            cure="give a list: nv.compare([first, second])",
        )
    how = How.of(
        backend,
        model,
        system,
        max_tokens,
        effort,
        on_text,
        thinking,
        refresh=refresh,
        sample=sample,
        budget=budget,
    )
    return exchange(found, prompt or COMPARE, "compare", how)


def locate(
    image: object,
    subject: str,
    *,
    kind: Kind = "boxes",
    model: str | None = None,
    system: str | None = None,
    max_tokens: int | None = None,
    effort: str | None = None,
    thinking: Thinking | None = None,
    backend: Backend | None = None,
    on_text: Callable[[str], None] | None = None,
    refresh: bool = False,
    sample: int = 0,
    budget: float | Budget | None = None,
) -> Detections:
    """Find things in a picture; boxes and points are in pixels of the original.

    Parameters
    ----------
    image
        One picture, anything `describe` takes but a remote one: its size is not known. For a
        crop made with `SourceImage.crop` the boxes are in pixels of the picture it was cropped
        from.
    subject
        What to find: ``"every window"``.
    kind
        ``"boxes"``, or ``"points"`` where a spot says more than a box: ``"the tip of every
        pencil"``. They are in ``found.boxes`` and ``found.points``; what the model gives of the
        other kind is kept too.
    model, system, max_tokens, effort, thinking, backend, on_text, refresh, sample, budget
        As in `describe`.

    Raises
    ------
    RequestError
        If there is more than one picture, nothing to find, or no such kind.
    UnreadableAnswer
        If the answer holds no places that can be read. *Nothing found* is not an error: it
        is an empty result.
    ImageError, RequestError, BackendError, AnswerError
        As in `describe`.

    Examples
    --------
    >>> import nbvision as nv
    >>> practice = nv.connect("practice", words_per_second=None)
    >>> found = nv.locate(nv.samples.photo, "the red bowl", backend=practice)
    >>> round(found[0].iou(nv.samples.photo.truth[0]), 2)
    0.99
    >>> spots = nv.locate(nv.samples.shapes, "every circle", kind="points", backend=practice)
    >>> [spot.label for spot in spots.points]
    ['red circle', 'red circle']
    """
    if len(as_list(image)) != 1:
        raise RequestError(
            f"{len(as_list(image))} images to locate in",
            limit="one at a time, so that every box belongs to a picture",
            cure="call locate once for each picture",
        )
    if not str(subject).strip():
        raise RequestError("nothing to locate", cure='say what: nv.locate(image, "every window")')
    if kind not in ("boxes", "points"):
        raise RequestError(f"kind={kind!r}"[:200], limit='"boxes" or "points"')
    how = How.of(
        backend,
        model,
        system,
        max_tokens,
        effort,
        on_text,
        thinking,
        refresh=refresh,
        sample=sample,
        budget=budget,
    )
    given = require_seen(given_image(as_list(image)[0]))
    schema_is_sent = takes_schema(how.model, how.backend.platform)
    # The frame's size belongs in the words, and it is known from numbers alone.
    frame = frame_of(given, how.model.tier)
    words = locate_prompt(subject, *frame, schema_is_sent=schema_is_sent, kind=kind)
    form = BOXES_SCHEMA if kind == "boxes" else POINTS_SCHEMA
    reply = exchange(given, words, "locate", how, form if schema_is_sent else None)
    return found_in(reply, reply.request.images[0])


def ask(
    images: object,
    prompt: str,
    *,
    schema: Mapping[str, Any] | type | None = None,
    model: str | None = None,
    system: str | None = None,
    max_tokens: int | None = None,
    effort: str | None = None,
    thinking: Thinking | None = None,
    backend: Backend | None = None,
    on_text: Callable[[str], None] | None = None,
    refresh: bool = False,
    sample: int = 0,
    budget: float | Budget | None = None,
) -> Reply:
    """Ask anything about one picture or several.

    Parameters
    ----------
    images
        One picture or a list, each anything `describe` takes.
    prompt
        The words.
    schema
        A JSON schema, or a pydantic model class; ``reply.parsed`` then holds the answer as
        JSON data or as an instance of the class, validated on this side in any case. What the
        service cannot take of a model, such as ``Field(ge=0)``, goes out as words.
    model, system, max_tokens, effort, thinking, backend, on_text, refresh, sample, budget
        As in `describe`.

    Raises
    ------
    RequestError
        If the schema is none, or the service could not take it: the place and the cure are
        named, and nothing is sent.
    UnreadableAnswer
        If there is a schema and the answer does not follow it.
    ImageError, RequestError, BackendError, AnswerError
        As in `describe`.

    Examples
    --------
    >>> import nbvision as nv
    >>> from pydantic import BaseModel
    >>> class Shapes(BaseModel):
    ...     count: int
    >>> practice = nv.connect("practice", words_per_second=None)
    >>> nv.ask(nv.samples.shapes, "every shape", schema=Shapes, backend=practice).parsed
    Shapes(count=9)
    """
    how = How.of(
        backend,
        model,
        system,
        max_tokens,
        effort,
        on_text,
        thinking,
        refresh=refresh,
        sample=sample,
        budget=budget,
    )
    if schema is None:
        return exchange(images, prompt, "ask", how)
    form = answer_form(schema, is_sent=takes_schema(how.model, how.backend.platform))
    reply = exchange(images, prompt, "ask", how, form.sent)
    return parsed_by(form, reply)
