"""Amazon Bedrock's runtime through boto3: `InvokeModel` and its response stream."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from nbvision.backends.aws import RuntimeBackend, hang_up, request_id, translated
from nbvision.backends.protocol import Answer, EventStream
from nbvision.backends.reading import MOST_BYTES, bounded, decoded, seconds_for
from nbvision.request import Request

__all__ = ["BedrockBackend"]

_API_VERSION = "bedrock-2023-05-31"
_PIECE_BYTES = 256  # a piece waits until it is full, and the deadline with it


class BedrockBackend(RuntimeBackend):
    """Asks Claude on Amazon Bedrock, in the Messages API's own shape; see `connect`."""

    name = "bedrock"

    def _send(self, request: Request) -> Answer:
        reply = self._client.invoke_model(**_call(request))
        pieces = reply["body"].iter_chunks(_PIECE_BYTES)
        body = b"".join(bounded(pieces, seconds=seconds_for(request.max_tokens)))
        return Answer(decoded(body), request_id(reply))

    def _stream(self, request: Request) -> EventStream:
        reply = self._client.invoke_model_with_response_stream(**_call(request))
        return EventStream(
            _events(reply["body"]),
            close=lambda: hang_up(reply["body"]),
            request_id=request_id(reply),
            translate=translated,
            longest_seconds=seconds_for(request.max_tokens),
        )

    def _counted(self, request: Request) -> dict[str, Any]:
        return {"invokeModel": {"body": _call(request)["body"]}}


def _call(request: Request) -> dict[str, Any]:
    """Return the request as `InvokeModel` takes it: the model beside the body."""
    body = request.body()
    model_id = body.pop("model")
    return {
        "modelId": model_id,
        "contentType": "application/json",
        "accept": "application/json",
        # As compact as `Request.size_bytes` counts it.
        "body": json.dumps(
            {"anthropic_version": _API_VERSION, **body}, ensure_ascii=False, separators=(",", ":")
        ).encode(),
    }


def _events(body: Any) -> Iterator[Mapping[str, Any]]:
    def pieces() -> Iterator[bytes]:
        for event in body:
            chunk = event.get("chunk") if isinstance(event, Mapping) else None
            if chunk is not None:
                yield chunk["bytes"]

    for data in bounded(pieces(), seconds=float("inf"), most_bytes=MOST_BYTES):
        yield decoded(data)
