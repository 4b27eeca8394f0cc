"""What building and sending a request costs above the SDK's own time for the same body.

All get prepared pictures and words, and end with the whole answer read: the SDK from
``base64``, a dict and either ``client.messages.stream`` or its bare events; nbvision from
`build_request`, its own stream and its checks. A server in another process reads the body and
answers at once.
"""

import base64
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from anthropic import Anthropic
from PIL import Image

import nbvision as nv
from nbvision.catalogue import find_model
from nbvision.prepared import PreparedImage
from nbvision.request import build_request
from nbvision.response import StreamReader

ROUNDS = 41
MODEL = "claude-opus-5-5"
PROMPT = "What is in this image?"
# The least of a server, so that its time hides nothing: no parsing, one fixed answer.
SERVER = """
import json, socket, threading
message = {"id": "msg", "type": "message", "role": "assistant", "model": "claude-opus-5-5",
           "content": [], "stop_reason": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
events = [{"type": "message_start", "message": message},
          {"type": "content_block_start", "index": 0,
           "content_block": {"type": "text", "text": ""}},
          *({"type": "content_block_delta", "index": 0,
             "delta": {"type": "text_delta", "text": "word "}} for _ in range(200)),
          {"type": "content_block_stop", "index": 0},
          {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
           "usage": {"output_tokens": 200}}, {"type": "message_stop"}]
body = "".join(f"event: {e['type']}\\ndata: {json.dumps(e)}\\n\\n" for e in events).encode()
head = ("HTTP/1.1 200 OK\\r\\ncontent-type: text/event-stream\\r\\nrequest-id: r\\r\\n"
        f"content-length: {len(body)}\\r\\n\\r\\n").encode()
def serve(place):
    data = b""
    while True:
        while b"\\r\\n\\r\\n" not in data:
            piece = place.recv(1 << 20)
            if not piece:
                return
            data += piece
        fields, _, rest = data.partition(b"\\r\\n\\r\\n")
        left = int(fields.lower().split(b"content-length:")[1].split(b"\\r\\n")[0]) - len(rest)
        while left > 0:
            left -= len(place.recv(1 << 20))
        data = b""
        place.sendall(head + body)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


def messages_of(images: list[PreparedImage]) -> Any:
    content: list[Any] = []
    for number, image in enumerate(images, start=1):
        if len(images) > 1:
            content.append({"type": "text", "text": f"Image {number}:"})
        data = base64.b64encode(image.data).decode("ascii")
        source = {"type": "base64", "media_type": image.media_type, "data": data}
        block = {"type": "image", "source": source}
        content.append({**block, "transformations": {"oversized_image": "error"}})
    content.append({"type": "text", "text": PROMPT})
    return [{"role": "user", "content": content}]


def by_helper(client: Anthropic, images: list[PreparedImage]) -> str:
    messages = messages_of(images)
    with client.messages.stream(model=MODEL, max_tokens=8192, messages=messages) as stream:
        return stream.get_final_text()


def by_events(client: Anthropic, images: list[PreparedImage]) -> str:
    messages = messages_of(images)
    with client.messages.create(
        model=MODEL, max_tokens=8192, messages=messages, stream=True
    ) as events:
        return "".join(
            event.delta.text
            for event in events
            if event.type == "content_block_delta" and event.delta.type == "text_delta"
        )


def by_us(backend: nv.Backend, images: list[PreparedImage]) -> str:
    request = build_request(
        images, PROMPT, model_id=MODEL, model=find_model(MODEL), platform=backend.platform
    )
    reader = StreamReader()
    with backend.stream(request) as events:
        for event in events:
            reader.feed(event)
        return reader.response(request_id=events.request_id).text


def report() -> Iterator[str]:
    yield "## Building and sending a request\n"
    yield (
        f"From prepared pictures to the whole answer, 200 words streamed; medians of {ROUNDS} "
        "rounds, the ratio is the median of the rounds' ratios.\n"
    )
    yield "| pictures | body | SDK's helper | SDK's bare events | nbvision | to the bare events |"
    yield "|---|---|---|---|---|---|"
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)  # noqa: S603 - this interpreter, the code above
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        backend = nv.connect("anthropic", base_url=url, api_key="none", model=MODEL)
        with Anthropic(base_url=url, api_key="none", max_retries=0) as client:
            noise = Image.effect_noise((1100, 1400), 60).convert("RGB")
            picture = nv.prepare(noise, backend=backend)
            for count in (0, 1, 5, 15):
                yield _row(count, client, backend, [picture] * count)
        backend.close()
    finally:
        server.terminate()
        server.wait()
    yield ""


def _row(count: int, client: Anthropic, backend: nv.Backend, images: list[PreparedImage]) -> str:
    ways: dict[str, Callable[[], str]] = {
        "helper": lambda: by_helper(client, images),
        "events": lambda: by_events(client, images),
        "us": lambda: by_us(backend, images),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    order = list(ways)
    for number in range(-2, ROUNDS):  # the first two warm up
        order.append(order.pop(0))
        for name in order:
            started = time.perf_counter()
            assert ways[name]() == "word " * 200
            if number >= 0:
                spent[name].append(time.perf_counter() - started)
    ratio = median(us / bare for us, bare in zip(spent["us"], spent["events"], strict=True))
    size = sum(image.base64_length for image in images) / 1e6
    times = " | ".join(f"{1000 * median(each):.1f} ms" for each in spent.values())
    return f"| {count} | {size:.1f} MB | {times} | {ratio:.2f} |"


if __name__ == "__main__":
    print(*report(), sep="\n")
