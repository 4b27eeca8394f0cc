"""Prepared images and words become a request; nothing is sent here.

Building and sending are two acts: a `Request` can be shown, saved and counted by anyone,
and no key or client is needed to make one.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard

from nbvision.catalogue import Model
from nbvision.errors import LimitExceeded, RequestError
from nbvision.export import Export, Form, export_body
from nbvision.markup import bundle, escape, rich
from nbvision.platforms import Platform
from nbvision.prepared import PreparedImage
from nbvision.prompts import in_words, label_for
from nbvision.referenced import RemoteImage, SentImage, UploadedImage
from nbvision.writing import put_in_place

__all__ = [
    "Request",
    "RequestMessage",
    "Thinking",
    "build_request",
    "images_of",
    "takes_schema",
]

Thinking = Literal["summarized"]
"""How thinking may be asked to be shown, in the Messages API's word."""

# Thinking counts toward max_tokens on current models, so a short limit cuts answers off.
_MAX_TOKENS = 8192
_KEPT = {"type": "ephemeral"}  # for five minutes, and again from each time it is read


@dataclass(frozen=True, slots=True)
class RequestMessage:
    """One message: words and images, in the order they are sent."""

    role: Literal["user", "assistant"]
    blocks: tuple[str | SentImage, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """Everything that is sent, before it is sent.

    Attributes
    ----------
    model_id
        The model as typed; it goes over the wire in this spelling.
    model, platform
        What the catalogue says of it, and of the place it is asked at.
    messages
        In order; images stand before the words about them.
    system, max_tokens, effort, schema
        As in the Messages API; ``schema`` is a JSON schema for the answer.
    thinking
        ``"summarized"`` asks to see a summary of the thinking; None leaves it to the model.
    cached_until
        Up to which blocks the service is to keep what it has read, each as (message, block)
        counted from 0; (-1, 0) is the system prompt.
    """

    model_id: str
    model: Model
    platform: Platform
    messages: tuple[RequestMessage, ...]
    max_tokens: int = _MAX_TOKENS
    system: str | None = None
    effort: str | None = None
    schema: dict[str, Any] | None = None
    cached_until: frozenset[tuple[int, int]] = frozenset()
    thinking: Thinking | None = None

    @property
    def images(self) -> tuple[SentImage, ...]:
        """The pictures of all messages, in order."""
        return images_of(self.messages)

    @property
    def sends_schema(self) -> bool:
        """Whether the answer's form travels as a schema; otherwise words ask for it."""
        return self.schema is not None and takes_schema(self.model, self.platform)

    def body(self) -> dict[str, Any]:
        """Return the body as the Messages API's own dict, pictures included."""
        return self._body(_spelled_out)

    def abridged(self) -> dict[str, Any]:
        """Return the body with each picture's data named instead of spelled out."""
        return self._body(_abridged)

    @property
    def size_bytes(self) -> int:
        """How long the body is on the wire as the Messages API's JSON, streamed.

        The pictures' base64 is counted, not made: near the limit a copy of it is large.
        """
        bare = self._body(_without_data) | {"stream": True}
        text = json.dumps(bare, ensure_ascii=False, separators=(",", ":"))
        pictures = sum(image.base64_length for image in self.images if _is_embedded(image))
        return len(text.encode(errors="surrogatepass")) + pictures

    def save(self, path: str | Path) -> Path:
        """Write the whole body as JSON, ready for ``curl --data @path``; no key is in it.

        Raises
        ------
        RequestError
            If the file cannot be written.
        """
        target = Path(path).expanduser()
        try:
            put_in_place(json.dumps(self.body(), ensure_ascii=False).encode(), target)
        except OSError as error:
            raise RequestError(
                f"cannot write {target.name}: {error.strerror}",
                cure="choose a folder that exists and may be written",
            ) from None
        return target

    def export(self, form: Form = "python", folder: str | Path | None = None) -> Export:
        """Return code that sends this request without nbvision; with a folder, write it there.

        Parameters
        ----------
        form
            ``"python"``: the `anthropic` SDK. ``"curl"``: a script for bash. ``"boto3"``: Amazon
            Bedrock. ``"ant"``: YAML for the `ant` command. Ids of models are translated.
        folder
            Where to write code and pictures; nothing there is overwritten.

        Raises
        ------
        RequestError
            If the form is not known or cannot carry this request, or writing fails.

        Examples
        --------
        >>> import nbvision as nv
        >>> practice = nv.connect("practice", words_per_second=None)
        >>> request = nv.build_request(nv.samples.page, "What is this?", backend=practice)
        >>> list(request.export("curl").files)
        ['image_1.png']
        """
        made = export_body(self.body(), form)
        if folder is not None:
            made.save(folder)
        return made

    def _body(self, source_of: Callable[[SentImage], dict[str, str]]) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.model_id, "max_tokens": self.max_tokens}
        if self.system:
            marked = [{"type": "text", "text": self.system, "cache_control": _KEPT}]
            body["system"] = marked if (-1, 0) in self.cached_until else self.system
        body["messages"] = [
            {
                "role": message.role,
                "content": [
                    self._block(block, (at, number), source_of)
                    for number, block in enumerate(message.blocks)
                ],
            }
            for at, message in enumerate(self.messages)
        ]
        if self.thinking is not None:
            body["thinking"] = {"type": "adaptive", "display": self.thinking}
        output: dict[str, Any] = {}
        if self.effort is not None:
            output["effort"] = self.effort
        if self.sends_schema:
            output["format"] = {"type": "json_schema", "schema": self.schema}
        if output:
            body["output_config"] = output
        return body

    def _block(
        self,
        block: str | SentImage,
        place: tuple[int, int],
        source_of: Callable[[SentImage], dict[str, str]],
    ) -> dict[str, Any]:
        content_block: dict[str, Any]
        if isinstance(block, str):
            content_block = {"type": "text", "text": block}
        else:
            content_block = {"type": "image", "source": source_of(block)}
            # Pre-resized, so this never fires; if our sizes were wrong, the service says so
            # instead of silently moving every coordinate.
            if self.platform.takes_transformations and isinstance(block, PreparedImage):
                content_block["transformations"] = {"oversized_image": "error"}
        if place in self.cached_until:
            content_block["cache_control"] = _KEPT
        return content_block

    def __repr__(self) -> str:
        words = sum(len(b) for m in self.messages for b in m.blocks if isinstance(b, str))
        pictures = f"{len(self.images)} image{'' if len(self.images) == 1 else 's'}"
        return (
            f"Request({self.model_id!r}, {pictures}, {words} characters of text, "
            f"max_tokens={self.max_tokens})"
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        shown = json.dumps(self.abridged(), indent=2, ensure_ascii=False)
        markup = rich(f'<pre style="white-space:pre-wrap">{escape(shown)}</pre>')
        return bundle(shown, markup=markup)


def build_request(
    images: Sequence[SentImage],
    prompt: str,
    *,
    model_id: str,
    model: Model,
    platform: Platform,
    system: str | None = None,
    max_tokens: int | None = None,
    effort: str | None = None,
    schema: dict[str, Any] | None = None,
    earlier: Sequence[RequestMessage] | None = None,
    thinking: Thinking | None = None,
) -> Request:
    """Return a request: images first, then words; images are labelled if there are several.

    Where the platform has no structured outputs, a ``schema`` is asked for in words. With
    ``earlier`` messages, which may be none yet, it continues a conversation: every image is
    labelled, and their numbers go on.

    Raises
    ------
    RequestError
        If there are no words, ``max_tokens`` is not a positive integer, or the model is known
        not to take the effort or to show its thinking.
    LimitExceeded
        If ``max_tokens`` is above what the model can write, or the request is larger than the
        platform takes.
    """
    for name, words in (("prompt", prompt), ("system", system or "")):
        _check_words(name, words)
    if not prompt.strip():
        raise RequestError("the prompt is empty", cure="say what you want to know of the picture")
    if schema is not None and not takes_schema(model, platform):
        prompt = f"{prompt}\n{in_words(json.dumps(schema, ensure_ascii=False))}"
    _check_effort(effort, model)
    request = Request(
        model_id=model_id,
        model=model,
        platform=platform,
        messages=(*(earlier or ()), RequestMessage("user", (*_labelled(images, earlier), prompt))),
        max_tokens=_checked_max_tokens(max_tokens, model),
        system=system,
        effort=effort,
        schema=schema,
        thinking=_checked_thinking(thinking, model),
    )
    _check_size(request)
    return request


def images_of(messages: Iterable[RequestMessage]) -> tuple[SentImage, ...]:
    """Return the pictures of messages, in order."""
    return tuple(
        block for message in messages for block in message.blocks if not isinstance(block, str)
    )


def takes_schema(model: Model, platform: Platform) -> bool:
    """Whether an answer's form can be sent as a schema to this model at this place."""
    return model.structured_outputs and platform.structured_outputs


def _labelled(
    images: Sequence[SentImage], earlier: Sequence[RequestMessage] | None
) -> Iterable[str | SentImage]:
    before = len(images_of(earlier or ()))
    for number, image in enumerate(images, start=before + 1):
        # In a conversation more may follow, and what has been said is not said anew.
        if len(images) > 1 or earlier is not None:
            yield label_for(number)
        yield image


def _checked_max_tokens(max_tokens: int | None, model: Model) -> int:
    if max_tokens is None:
        return min(_MAX_TOKENS, model.max_output_tokens)
    if not _is_whole(max_tokens) or max_tokens < 1:
        raise RequestError(f"max_tokens={max_tokens!r}", limit="a whole number from 1 up")
    if max_tokens > model.max_output_tokens:
        raise LimitExceeded(
            f"max_tokens={max_tokens:,}",
            limit=f"{model.max_output_tokens:,} for {model.id}",
            cure="ask for less; only what is written is billed",
        )
    return max_tokens


def _checked_thinking(thinking: Thinking | None, model: Model) -> Thinking | None:
    if thinking is None:
        return None
    if thinking != "summarized":
        raise RequestError(
            f"thinking={thinking!r}"[:200],
            limit='"summarized", or nothing',
            cure="leave thinking= out to have the model's own default",
        )
    if not model.shows_thinking:
        raise RequestError(
            f"thinking={thinking!r} for {model.id}",
            limit="models from 4.7 on; earlier ones think by a budget, which is not offered",
            cure="choose a newer model with model=, or leave thinking= out",
        )
    return thinking


def _check_effort(effort: str | None, model: Model) -> None:
    if effort is not None and model.efforts is not None and effort not in model.efforts:
        raise RequestError(
            f"effort={effort!r}"[:200],
            limit=f"{model.id} takes {', '.join(model.efforts) or 'no effort'}",
            cure="leave it out for the model's own default",
        )


def _check_words(name: str, words: object) -> None:
    if not isinstance(words, str):
        raise RequestError(f"{name} is a {type(words).__name__}", limit="text")
    try:
        words.encode()
    except UnicodeEncodeError:
        pass
    else:
        return
    raise RequestError(f"{name} holds half a character", cure="write it again; it was cut apart")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_size(request: Request) -> None:
    """Refuse a body that is larger than the platform takes, by the bytes it really has."""
    size, limit = request.size_bytes, request.platform.request_limit_bytes
    if size <= limit:
        return
    pictures = sum(image.base64_length for image in request.images if _is_embedded(image))
    upload = "upload the pictures once and name them: nv.upload; or "
    raise LimitExceeded(
        f"a body of {size / 1e6:.2f} MB, of which {pictures / 1e6:.2f} MB are "
        f"{sum(map(_is_embedded, request.images))} pictures",
        limit=f"{limit / 1e6:.0f} MB on {request.platform.name}",
        cure=f"{upload if 'file' in request.platform.source_types else ''}send fewer or smaller "
        "pictures in one request",
    )


def _is_embedded(image: SentImage) -> TypeGuard[PreparedImage]:
    """Whether a picture's bytes travel in the request itself."""
    return isinstance(image, PreparedImage) and not isinstance(image, UploadedImage)


def _spelled_out(image: SentImage) -> dict[str, str]:
    """Return how a picture travels: named by the service's id or an address, or as its bytes."""
    if isinstance(image, RemoteImage):
        return {"type": "url", "url": image.url}
    return _named_or(image, image.base64)


def _abridged(image: SentImage) -> dict[str, str]:
    """Return the same for people: what is long, or may hold a signature, is left out."""
    if isinstance(image, RemoteImage):
        return {"type": "url", "url": f"https://{image.source}"}
    kilobytes = len(image.data) / 1000
    return _named_or(
        image, lambda: f"<{image.media_type}, {image.fit.resized}, {kilobytes:.0f} kB>"
    )


def _without_data(image: SentImage) -> dict[str, str]:
    return _spelled_out(image) if isinstance(image, RemoteImage) else _named_or(image, str)


def _named_or(image: PreparedImage, data_of: Callable[[], str]) -> dict[str, str]:
    if isinstance(image, UploadedImage):
        return {"type": "file", "file_id": image.file_id}
    return {"type": "base64", "media_type": image.media_type, "data": data_of()}
