"""Amazon Bedrock's runtime through boto3: `Converse` and `ConverseStream`.

The operations have a shape of their own for every vendor's models. What goes out and what
comes back is brought into it, and out of it, by pure functions.
"""

import json
from collections.abc import Iterator
from typing import Any

from nbvision.backends.aws import RuntimeBackend, hang_up, request_id, translated
from nbvision.backends.aws_connections import within
from nbvision.backends.converse_reply import message_events, message_of
from nbvision.backends.protocol import Answer, EventStream
from nbvision.backends.reading import seconds_for
from nbvision.errors import RequestError
from nbvision.prepared import PreparedImage
from nbvision.referenced import SentImage, UploadedImage
from nbvision.request import Request, RequestMessage

__all__ = ["ConverseBackend", "converse_call"]

_KEPT = {"cachePoint": {"type": "default"}}
_SCHEMA_NAME = "answer"


class ConverseBackend(RuntimeBackend):
    """Asks Claude on Amazon Bedrock through Converse; see `connect`.

    For roles that may use only this operation, and for one trail of all models' calls. It
    takes fewer pictures than `InvokeModel`: 20 in a message.
    """

    name = "bedrock-converse"

    def _send(self, request: Request) -> Answer:
        with within(seconds_for(request.max_tokens)):
            reply = self._client.converse(**converse_call(request))
        return Answer(message_of(reply, request.model_id), request_id(reply))

    def _stream(self, request: Request) -> EventStream:
        seconds = seconds_for(request.max_tokens)
        with within(seconds):
            reply = self._client.converse_stream(**converse_call(request))
        body, name = reply["stream"], request_id(reply)
        return EventStream(
            message_events(body, request.model_id, name),
            close=lambda: hang_up(body),
            request_id=name,
            translate=translated,
            longest_seconds=seconds,
        )

    def _counted(self, request: Request) -> dict[str, Any]:
        call = converse_call(request)
        return {"converse": {name: call[name] for name in ("messages", "system") if name in call}}


def converse_call(request: Request) -> dict[str, Any]:
    """Return a request as `Converse` and `ConverseStream` take it, pictures as raw bytes.

    Raises
    ------
    RequestError
        If a picture is only named by an address or an upload: Converse takes neither.

    Examples
    --------
    >>> from nbvision.catalogue import find_model
    >>> from nbvision.platforms import find_platform
    >>> from nbvision.request import build_request
    >>> request = build_request([], "Hello?", model_id="us.anthropic.claude-opus-5-5",
    ...     model=find_model("claude-opus-5-5"), platform=find_platform("bedrock-converse"))
    >>> converse_call(request)["messages"]
    [{'role': 'user', 'content': [{'text': 'Hello?'}]}]
    """
    call: dict[str, Any] = {
        "modelId": request.model_id,
        "messages": [
            {"role": message.role, "content": list(_blocks(message, at, request.cached_until))}
            for at, message in enumerate(request.messages)
        ],
        "inferenceConfig": {"maxTokens": request.max_tokens},
    }
    if request.system:
        is_kept = (-1, 0) in request.cached_until
        call["system"] = [{"text": request.system}, *([_KEPT] if is_kept else [])]
    output: dict[str, Any] = {}
    if request.effort is not None:
        output["effort"] = request.effort
    if request.sends_schema:
        schema = {"schema": json.dumps(request.schema), "name": _SCHEMA_NAME}
        output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    if output:
        call["outputConfig"] = output
    if request.thinking is not None:
        thinking = {"type": "adaptive", "display": request.thinking}
        call["additionalModelRequestFields"] = {"thinking": thinking}
    return call


def _blocks(
    message: RequestMessage, at: int, cached_until: frozenset[tuple[int, int]]
) -> Iterator[dict[str, Any]]:
    for number, block in enumerate(message.blocks):
        yield {"text": block} if isinstance(block, str) else {"image": _image(block)}
        if (at, number) in cached_until:
            yield _KEPT


def _image(image: SentImage) -> dict[str, Any]:
    if not isinstance(image, PreparedImage) or isinstance(image, UploadedImage):
        raise RequestError(
            "a picture that is only named",
            limit="Converse takes the bytes of a picture, no address and no upload",
            cure="open it with nv.open_image and send that",
        )
    return {
        "format": image.media_type.removeprefix("image/"),
        "source": {"bytes": image.data},
    }
