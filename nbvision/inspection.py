"""What can be known before sending: the fit, the frame, the findings, the price.

Each function answers for the model that is named, else for the one that is connected, else
for the catalogue's default. None of them connects or pays, and only `estimate` may send: to
the connected service's free counter.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nbvision.backends import Backend, connected, current, held_by
from nbvision.catalogue import DEFAULT_MODEL, Model, find_model
from nbvision.errors import (
    AccessDenied,
    BackendError,
    LimitExceeded,
    ModelNotFound,
    RequestError,
    RequestRejected,
    UnreadableAnswer,
)
from nbvision.estimating import Estimate, estimate_request
from nbvision.findings import Findings
from nbvision.forms import answer_form
from nbvision.geometry import Box, Fit, Size
from nbvision.given import given_image, given_images, prepare_all, seen_image
from nbvision.platforms import Platform, find_platform
from nbvision.preflight import Task, check_images, require_sendable
from nbvision.prepared import PreparedImage, prepare_image, side_limit_of
from nbvision.previewing import Preview, make_preview
from nbvision.prompts import DESCRIBE
from nbvision.referenced import GivenImage, RemoteImage, UploadedImage, require_seen
from nbvision.request import Request, Thinking, takes_schema
from nbvision.request import build_request as request_from

__all__ = ["build_request", "check", "estimate", "fit", "prepare", "preview"]

# The price beside the price: one current model of each size, shown next to the chosen one.
_COMPARED = ("claude-haiku-4-5", "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5")


def fit(size: tuple[int, int], *, model: str | None = None, backend: Backend | None = None) -> Fit:
    """Return how a picture of this size becomes what the model looks at.

    Parameters
    ----------
    size
        (width, height) of the upright original in pixels.
    model, backend
        Whose resolution tier decides; see the module's rule.

    Raises
    ------
    RequestError
        If it is no width and height of whole pixels.

    Examples
    --------
    >>> fit((4032, 3024), model="claude-opus-5-5").resized
    Size(width=2212, height=1659)
    """
    if not _is_size(size):
        raise RequestError(
            f"size={size!r}"[:200],
            limit="(width, height) in whole pixels from 1 up",
            cure="for a picture: nv.fit(nv.open_image(source).size)",
        )
    return Fit.of(size, asked_of(model, backend)[1].tier)


def prepare(
    image: object,
    *,
    model: str | None = None,
    backend: Backend | None = None,
    exact: bool = False,
) -> PreparedImage:
    """Return the very bytes that would be sent for a picture, and how they came about.

    Parameters
    ----------
    image
        Anything `open_image` takes; of a prepared picture, the one it was made from.
    model, backend
        For whom; see the module's rule.
    exact
        Resize from the full decode and send without loss, whatever it costs: for the smallest
        print.

    Raises
    ------
    ImageError
        If the picture cannot be opened or made to fit the platform's byte limit.

    Examples
    --------
    >>> from nbvision import samples
    >>> ready = prepare(samples.page, model="claude-haiku-4-5")
    >>> ready.media_type, ready.fit.resized, ready.visual_tokens
    ('image/png', Size(width=924, height=1307), 1551)
    """
    _, known, platform = asked_of(model, backend)
    return prepare_image(seen_image(image), known, platform, exact=exact)


def check(
    images: object,
    *,
    model: str | None = None,
    backend: Backend | None = None,
    prompt: str = "",
    system: str = "",
    task: Task = "ask",
) -> Findings:
    """Return what is worth knowing about pictures and words, without sending them.

    Parameters
    ----------
    images
        One picture or a list of them, each anything `describe` takes.
    prompt, system
        The words, if they are to be checked too.
    task
        ``"describe"``, ``"compare"``, ``"locate"`` or ``"ask"``: some findings weigh more
        where exact places are asked for.

    Raises
    ------
    ImageError
        If a picture cannot be opened.

    Examples
    --------
    >>> from nbvision import samples
    >>> check(samples.page, model="claude-haiku-4-5", prompt="Who is this?").codes
    ('people', 'resized')
    """
    _, known, platform = asked_of(model, backend)
    return check_images(
        given_images(images),
        known,
        platform,
        prompt=prompt,
        system=system,
        task=task,
        held_by=_held_by(backend),
    )


def estimate(
    images: object,
    prompt: str | None = None,
    *,
    models: str | Iterable[str] | None = None,
    backend: Backend | None = None,
    count: bool = True,
) -> Estimate:
    """Return tokens and dollars before sending, a row for each model.

    Visual tokens are exact by the published rule; a picture that only the service sees counts
    as the most one can cost. The words are counted by the service for the model that is
    connected, and for those that are named here if it serves them; without its counter, where
    it does not get all the pictures, and for all others, they are estimated.

    Parameters
    ----------
    images
        One picture or a list of them, each anything `describe` takes.
    prompt
        The words; by default those of `describe`.
    models
        One model id or several; by default the one in use and one current model of each size.
    count
        Whether to ask the connected service's counter, which is free and gets the pictures;
        False sends nothing.

    Raises
    ------
    ImageError
        If a picture cannot be opened.

    Examples
    --------
    >>> from nbvision import samples
    >>> estimate(samples.page, models="claude-haiku-4-5")
    Estimate(claude-haiku-4-5: $0.00156)
    """
    chosen, _, platform = asked_of(None, backend)
    ids = [models] if isinstance(models, str) else list(models or _beside(chosen))
    given = given_images(images)
    words = prompt or DESCRIBE
    asked = current(backend) if backend is not None else connected()
    counted: dict[str, int] = {}
    # What is only named is not looked at when tokens are counted.
    is_whole = not any(isinstance(image, UploadedImage | RemoteImage) for image in given)
    if count and is_whole and asked is not None and platform.counts_tokens:
        # Beside the one in use, those that were asked for: each gets the pictures once more.
        wanted = [name for name in ids if name == asked.model or models is not None]
        counted = _counted(asked, wanted, list(given), words)
    known = [find_model(name) for name in ids]
    return estimate_request([_size_of(image) for image in given], words, known, counted)


def preview(
    image: object,
    *,
    model: str | None = None,
    backend: Backend | None = None,
    boxes: Sequence[Box] = (),
) -> Preview:
    """Show a picture as it is, as it is sent, and as the model pads it, with its price.

    The middle picture is decoded from the very bytes that would be sent.

    Parameters
    ----------
    image
        Anything `open_image` takes, or what `prepare` or `upload` has made of it.
    boxes
        In original pixels, drawn on all three.

    Raises
    ------
    ImageError
        If the picture cannot be opened or prepared.
    RequestError
        If only the service sees it.

    Examples
    --------
    >>> from nbvision import samples
    >>> preview(samples.page, model="claude-haiku-4-5").fit.padded
    Size(width=924, height=1316)
    """
    _, known, platform = asked_of(model, backend)
    for place in boxes:
        if not isinstance(place, Box):
            raise RequestError(
                f"boxes hold {place!r}"[:200], limit="nv.Box values", cure="points: found.plot()"
            )
    given = require_seen(given_image(image))
    prepared = given if isinstance(given, PreparedImage) else prepare_image(given, known, platform)
    others = [find_model(name) for name in _COMPARED if name != known.id]
    return make_preview(prepared.source, prepared, known, others, boxes=boxes)


def build_request(
    images: object,
    prompt: str = DESCRIBE,
    *,
    model: str | None = None,
    backend: Backend | None = None,
    system: str | None = None,
    max_tokens: int | None = None,
    effort: str | None = None,
    schema: Mapping[str, Any] | type | None = None,
    thinking: Thinking | None = None,
) -> Request:
    """Return a request that can be shown, saved and counted without being sent.

    Raises
    ------
    ImageError
        If a picture cannot be opened or prepared.
    RequestError
        If the request is over a documented limit, or its schema cannot be sent.

    Examples
    --------
    >>> from nbvision import samples
    >>> build_request(samples.page, "What is this?", model="claude-opus-5-5")
    Request('claude-opus-5-5', 1 image, 13 characters of text, max_tokens=8192)
    """
    chosen, known, platform = asked_of(model, backend)
    is_sent = takes_schema(known, platform)
    form = None if schema is None else answer_form(schema, is_sent=is_sent).sent
    given = given_images(images)
    found = check_images(
        given, known, platform, prompt=prompt, system=system or "", held_by=_held_by(backend)
    )
    require_sendable(found)
    return request_from(
        prepare_all(given, known, platform, side_limit=side_limit_of(len(given))),
        prompt,
        model_id=chosen,
        model=known,
        platform=platform,
        system=system,
        max_tokens=max_tokens,
        effort=effort,
        schema=form,
        thinking=thinking,
    )


def _size_of(image: GivenImage) -> Size | None:
    if isinstance(image, RemoteImage):
        return None
    return image.fit.resized if isinstance(image, PreparedImage) else image.size


def _beside(chosen: str) -> list[str]:
    """Return a model's id and those that are compared with it: each model once."""
    known = find_model(chosen).id
    return [chosen, *(name for name in _COMPARED if name != known)]


def _held_by(backend: Backend | None) -> str:
    """Return where the asked service's files lie; empty if nobody is connected."""
    return held_by(current(backend) if backend is not None else connected())


def _counted(
    asked: Backend, ids: Sequence[str], sources: Sequence[GivenImage], words: str
) -> dict[str, int]:
    """Return the input tokens of each model that the connected service counts for.

    Without the counter there is still the estimate; the table says which it is.
    """
    counted: dict[str, int] = {}
    for name in ids:
        # The practice server plays other models and counts words by a rule of thumb.
        is_served = asked.platform.model_ids == "api" and asked.name != "practice"
        if name != asked.model and not (is_served and name.startswith("claude-")):
            continue
        try:
            request = build_request(sources, words, model=name, backend=asked)
            if (tokens := asked.count_tokens(request)) is not None:
                counted[request.model.id] = tokens
        except (LimitExceeded, ModelNotFound, AccessDenied, RequestRejected):
            continue  # of this model alone
        except (BackendError, UnreadableAnswer):
            break
    return counted


def _is_size(value: object) -> bool:
    if not isinstance(value, tuple | list) or len(value) != 2:  # noqa: PLR2004 - width and height
        return False
    return all(isinstance(side, int) and side >= 1 for side in value)


def asked_of(model: str | None, backend: Backend | None) -> tuple[str, Model, Platform]:
    """Return whom the question is about: the id as typed, what is known of it, and where."""
    asked = current(backend) if backend is not None else connected()
    chosen = model or (asked.model if asked else DEFAULT_MODEL)
    return chosen, find_model(chosen), asked.platform if asked else find_platform("anthropic")
