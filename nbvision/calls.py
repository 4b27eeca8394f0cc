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
from dataclasses import replace
from typing import Any

from nbvision.backends import Backend
from nbvision.errors import RequestError, UnreadableAnswer
from nbvision.exchange import How, exchange, found_in
from nbvision.given import as_list, given_image
from nbvision.json_reader import read_json
from nbvision.prompts import BOXES_SCHEMA, COMPARE, DESCRIBE, locate_prompt
from nbvision.referenced import frame_of, require_seen
from nbvision.request import takes_schema
from nbvision.results import Detections, Reply

__all__ = ["ask", "compare", "describe", "locate"]


def describe(
    image: object,
    prompt: str | None = None,
    *,
    model: str | None = None,
    system: str | None = None,
    max_tokens: int | None = None,
    effort: str | None = None,
    backend: Backend | None = None,
    on_text: Callable[[str], None] | None = None,
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
    backend
        Who answers; by default what `connect` chose last.
    on_text
        Called with each piece of text as it arrives; a notebook shows them by itself.

    Raises
    ------
    ImageError, RequestError
        Before anything is sent.
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
    how = How.of(backend, model, system, max_tokens, effort, on_text)
    return exchange(image, prompt or DESCRIBE, "describe", how)


def compare(
    images: object,
    prompt: str | None = None,
    *,
    model: str | None = None,
    system: str | None = None,
    max_tokens: int | None = None,
    effort: str | None = None,
    backend: Backend | None = None,
    on_text: Callable[[str], None] | None = None,
) -> Reply:
    """Ask how pictures differ; they are labelled "Image 1:", "Image 2:" and so on.

    Parameters
    ----------
    images
        Two or more pictures, each anything `describe` takes.
    prompt
        The words; "How are these images different?" by default.
    model, system, max_tokens, effort, backend, on_text
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
    how = How.of(backend, model, system, max_tokens, effort, on_text)
    return exchange(found, prompt or COMPARE, "compare", how)


def locate(
    image: object,
    subject: str,
    *,
    model: str | None = None,
    system: str | None = None,
    max_tokens: int | None = None,
    effort: str | None = None,
    backend: Backend | None = None,
    on_text: Callable[[str], None] | None = None,
) -> Detections:
    """Find things in a picture; the boxes are in pixels of the original.

    Parameters
    ----------
    image
        One picture, anything `describe` takes but a remote one: its size is not known. For a
        crop made with `SourceImage.crop` the boxes are in pixels of the picture it was cropped
        from.
    subject
        What to find: ``"every window"``.
    model, system, max_tokens, effort, backend, on_text
        As in `describe`.

    Raises
    ------
    RequestError
        If there is more than one picture, or nothing to find.
    UnreadableAnswer
        If the answer holds no boxes that can be read. *No boxes found* is not an error: it
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
    """
    if len(as_list(image)) != 1:
        raise RequestError(
            f"{len(as_list(image))} images to locate in",
            limit="one at a time, so that every box belongs to a picture",
            cure="call locate once for each picture",
        )
    if not str(subject).strip():
        raise RequestError("nothing to locate", cure='say what: nv.locate(image, "every window")')
    how = How.of(backend, model, system, max_tokens, effort, on_text)
    given = require_seen(given_image(as_list(image)[0]))
    schema_is_sent = takes_schema(how.model, how.backend.platform)
    # The frame's size belongs in the words, and it is known from numbers alone.
    frame = frame_of(given, how.model.tier)
    words = locate_prompt(subject, *frame, schema_is_sent=schema_is_sent)
    reply = exchange(given, words, "locate", how, BOXES_SCHEMA if schema_is_sent else None)
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
    backend: Backend | None = None,
    on_text: Callable[[str], None] | None = None,
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
        JSON data or as an instance of the class, validated on this side in any case.
    model, system, max_tokens, effort, backend, on_text
        As in `describe`.

    Raises
    ------
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
    how = How.of(backend, model, system, max_tokens, effort, on_text)
    if schema is None:
        return exchange(images, prompt, "ask", how)
    form = _json_schema(schema)
    reply = exchange(images, prompt, "ask", how, form)
    return replace(reply, parsed=_parsed(reply, schema, form))


def _json_schema(schema: Mapping[str, Any] | type) -> dict[str, Any]:
    if isinstance(schema, Mapping):
        return dict(schema)
    from anthropic import transform_schema
    from pydantic import BaseModel

    if issubclass(schema, BaseModel):
        return dict(transform_schema(schema))
    raise RequestError(
        f"schema={schema!r}", limit="a JSON schema as a dict, or a pydantic model class"
    )


def _parsed(reply: Reply, schema: Mapping[str, Any] | type, form: dict[str, Any]) -> Any:
    from jsonschema import ValidationError as SchemaError
    from jsonschema import validate
    from pydantic import BaseModel
    from pydantic import ValidationError as ModelError

    data = read_json(reply.text)
    try:
        if isinstance(schema, type) and issubclass(schema, BaseModel):
            return schema.model_validate(data)
        validate(data, form)
    except (SchemaError, ModelError) as error:
        first = str(error).splitlines()[0]
        failure = UnreadableAnswer(
            f"the answer does not follow the schema: {first}",
            cure="the words are kept in error.text; say in the prompt what was missing",
            text=reply.text,
            response=reply.response,
        )
    else:
        return data
    raise failure
