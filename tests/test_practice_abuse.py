"""What others may do to the practice server, over raw sockets: it stays up, quiet and bounded."""

import base64
import gc
import io
import json
import logging
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from nbvision.errors import RequestError
from nbvision.practice import PracticeServer

PATIENCE = 1.0
SCOPE = "20261121/us-east-1/bedrock/aws4_request"
BODY = json.dumps(
    {"model": "practice-high", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}
).encode()


@pytest.fixture(scope="module")
def server() -> Iterator[PracticeServer]:
    with PracticeServer(patience_seconds=PATIENCE) as running:
        yield running


def port_of(server: PracticeServer) -> int:
    return int(server.url.rpartition(":")[2])


def headers_of(server: PracticeServer, **changed: str | None) -> dict[str, str]:
    """A good request's headers; `_` stands for `-`, and None leaves one out."""
    good: dict[str, str | None] = {
        "host": f"127.0.0.1:{port_of(server)}",
        "x-api-key": server.token,
        "anthropic-version": "2026-10-21",
        "content-type": "application/json",
        "connection": "close",
    }
    good |= {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in good.items() if value is not None}


def connected(server: PracticeServer) -> socket.socket:
    # Generous: on a busy machine the largest pictures queue for a long time.
    return socket.create_connection(("127.0.0.1", port_of(server)), timeout=60)


def exchange(
    server: PracticeServer,
    headers: dict[str, str],
    body: bytes = BODY,
    line: str = "POST /v1/messages",
) -> tuple[int, bytes]:
    """Send one request as given; return the status, 0 for none, and all that came back."""
    headers = {"content-length": str(len(body))} | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
    with connected(server) as one:
        one.sendall(f"{line} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
        return answer_on(one)


def answer_on(one: socket.socket) -> tuple[int, bytes]:
    data = b""
    try:
        while piece := one.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return (int(data[9:12]) if data.startswith(b"HTTP/1.1 ") else 0), data


def is_well(server: PracticeServer) -> bool:
    return exchange(server, headers_of(server))[0] == 200


@pytest.fixture(autouse=True)
def stays_well(server: PracticeServer) -> Iterator[None]:
    yield
    assert is_well(server)


# Who may come in


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"])
def test_every_name_of_this_machine_is_answered(server: PracticeServer, name: str) -> None:
    assert exchange(server, headers_of(server, host=f"{name}:{port_of(server)}"))[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1", "localhost:1", "127.0.0.1.evil.example:{port}", "0.0.0.0:{port}"],
)
def test_another_host_is_refused(server: PracticeServer, host: str) -> None:
    headers = headers_of(server, host=host.format(port=port_of(server)))
    assert exchange(server, headers)[0] == 403
    assert exchange(server, headers, b"", "GET /v1/models")[0] == 403


def test_no_host_and_two_hosts_are_refused(server: PracticeServer) -> None:
    assert exchange(server, headers_of(server, host=None))[0] in {400, 403}
    twice = headers_of(server) | {"Host": "evil.example"}
    assert exchange(server, twice)[0] in {400, 403}


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "", "http://127.0.0.1:1", "http://127.0.0.1:{port}.evil.org"],
)
def test_a_web_page_is_refused(server: PracticeServer, origin: str) -> None:
    origin = origin.format(port=port_of(server)) or " "
    status, data = exchange(server, headers_of(server, origin=origin))
    assert status == 403
    assert b"access-control" not in data.lower()


def test_its_own_origin_is_let_in(server: PracticeServer) -> None:
    assert exchange(server, headers_of(server, origin=server.url))[0] == 200


def test_a_preflight_gets_no_leave(server: PracticeServer) -> None:
    headers = headers_of(server, origin="http://evil.example", access_control_request_method="POST")
    status, data = exchange(server, headers, b"", "OPTIONS /v1/messages")
    assert status == 403
    assert b"access-control-allow" not in data.lower()


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "", "application/x-json"])
def test_what_a_page_may_send_unasked_is_refused(server: PracticeServer, kind: str) -> None:
    assert exchange(server, headers_of(server, content_type=kind or None))[0] == 400


@pytest.mark.parametrize(
    "line",
    [
        *("POST /v1/messages", "GET /v1/models", "POST /nowhere"),
        *("POST /v1/files", "GET /v1/files", "DELETE /v1/files/x", "GET /v1/files/x/content"),
    ],
)
@pytest.mark.parametrize("key", [None, "", "wrong", "é", "x" * 9000])
def test_no_door_opens_without_the_token(
    server: PracticeServer, line: str, key: str | None
) -> None:
    assert exchange(server, headers_of(server, x_api_key=key), BODY, line)[0] == 401


def test_a_prefix_of_the_token_is_not_the_token(server: PracticeServer) -> None:
    for key in (server.token[:-1], f"{server.token}x", server.token.upper()):
        assert exchange(server, headers_of(server, x_api_key=key))[0] == 401
        bearer = headers_of(server, x_api_key=None, authorization=f"Bearer {key}")
        assert exchange(server, bearer)[0] == 401


@pytest.mark.parametrize(
    "credential",
    [
        "AWS4-HMAC-SHA256 Credential={token}",
        f"AWS4-HMAC-SHA256 Credential={{token}}/{SCOPE}, SignedHeaders=host, Signature=short",
        "AWS4-HMAC-SHA256 Credential={token}/today/x/y/z, SignedHeaders=host, Signature={hex}",
        f"AWS4-HMAC-SHA256 Credential=AKIA/{SCOPE}, SignedHeaders=host, Signature={{hex}}",
        "AWS4-HMAC-SHA256 " + "x" * 8000,
        "Bearer wrong",
        "Basic {token}",
    ],
)
def test_bedrock_wants_a_signature_in_form_or_the_token(
    server: PracticeServer, credential: str
) -> None:
    shown = credential.format(token=server.token, hex="0" * 64)
    headers = headers_of(server, x_api_key=None, authorization=shown)
    status, data = exchange(server, headers, BODY, "POST /model/practice-high/invoke")
    assert status == 403
    assert b"x-amzn-errortype" in data.lower()


def test_secrets_are_kept_nowhere(server: PracticeServer) -> None:
    real = "sk-ant-api03-not-a-real-key-but-like-one"
    exchange(server, headers_of(server, x_api_key=real, cookie=f"a={real}"))
    kept = json.dumps([[dict(r.headers), r.body, r.path] for r in server.requests])
    assert real not in kept
    assert server.token not in kept


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.org", ""])
def test_it_listens_on_this_machine_only(host: str) -> None:
    with pytest.raises(RequestError, match="host="):
        PracticeServer(host=host)


@pytest.mark.parametrize("token", ["", "two words", "tab\t", "line\n", "ü", "x" * 300])
def test_a_token_that_cannot_travel_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(RequestError) as caught:
        PracticeServer(token=token)
    assert not token.strip() or token not in str(caught.value)


# Bodies


@pytest.mark.parametrize("length", ["32000001", "99999999999999999999"])
def test_a_large_body_is_refused_before_it_is_read(server: PracticeServer, length: str) -> None:
    with connected(server) as one:
        headers = headers_of(server) | {"content-length": length}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        one.sendall(f"POST /v1/messages HTTP/1.1\r\n{head}\r\n".encode())
        first = one.recv(65536)
    assert first.startswith(b"HTTP/1.1 413")
    assert b"request_too_large" in first


def test_bedrock_stops_at_twenty_megabytes(server: PracticeServer) -> None:
    headers = headers_of(server, x_api_key=None, authorization=f"Bearer {server.token}")
    body = b" " * 20_000_001
    status, data = exchange(server, headers, body, "POST /model/practice-high/invoke")
    assert status == 413
    assert b"RequestEntityTooLarge" in data


def test_expect_is_answered_with_413_at_once(server: PracticeServer) -> None:
    headers = headers_of(server, expect="100-continue") | {"content-length": "40000000"}
    status, data = exchange(server, headers, b"")
    assert status == 413
    assert b"100 (Continue)" not in data


def test_a_chunked_body_is_counted(server: PracticeServer) -> None:
    piece = b"%x\r\n%s\r\n" % (1_000_000, b" " * 1_000_000)
    with connected(server) as one:
        headers = headers_of(server, transfer_encoding="chunked")
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        one.sendall(f"POST /v1/messages HTTP/1.1\r\n{head}\r\n".encode())
        for _ in range(34):
            one.sendall(piece)
        one.sendall(b"0\r\n\r\n")
        assert answer_on(one)[0] == 413


def test_a_chunked_body_within_the_limit_is_read(server: PracticeServer) -> None:
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    with connected(server) as one:
        headers = headers_of(server, transfer_encoding="chunked")
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        one.sendall(f"POST /v1/messages HTTP/1.1\r\n{head}\r\n".encode() + body)
        assert answer_on(one)[0] == 200


@pytest.mark.parametrize(
    "length", ["-1", "x", "1e3", "5, 6", "+5", "0x10", "5\r\ncontent-length: 6"]
)
def test_a_strange_length_is_refused(server: PracticeServer, length: str) -> None:
    status, _ = exchange(server, headers_of(server) | {"content-length": length})
    assert status in {0, 400}


def test_length_and_chunks_together_are_refused(server: PracticeServer) -> None:
    headers = headers_of(server, transfer_encoding="chunked")
    assert exchange(server, headers, b"0\r\n\r\n")[0] in {0, 400}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe{}",
        b'{"max_tokens": NaN}',
        b'{"max_tokens": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"model": "\\ud800"}',
        b"a=b&c=d",
        BODY + b"x",
    ],
)
def test_what_is_not_one_json_object_is_a_400(server: PracticeServer, body: bytes) -> None:
    status, data = exchange(server, headers_of(server), body)
    assert status == 400
    assert b"invalid_request_error" in data


def test_a_compressed_body_is_refused(server: PracticeServer) -> None:
    body = zlib.compress(b" " * 1_000_000)
    assert exchange(server, headers_of(server, content_encoding="gzip"), body)[0] == 400


# Pictures


def asking(*pictures: bytes, media_type: str = "image/png") -> bytes:
    blocks = [
        {
            "type": "image",
            "source": {
                "type": "base64",
                "media_type": media_type,
                "data": base64.b64encode(data).decode(),
            },
        }
        for data in pictures
    ]
    message = {"role": "user", "content": blocks}
    body = {"model": "practice-high", "max_tokens": 90, "messages": [message]}
    return json.dumps(body).encode()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IEND", b"")


HOSTILE = {
    "900 megapixels": png(30_000, 30_000, chunk(b"IDAT", zlib.compress(bytes(100_000)))),
    "no pixels": png(200, 200, chunk(b"IDAT", b"")),
    "zero sides": png(0, 200),
    "text bomb": png(
        9, 9, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000), 9)), chunk(b"IDAT", b"")
    ),
    "profile bomb": png(
        9, 9, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(50_000_000), 9)), chunk(b"IDAT", b"")
    ),
    "half of a png": png(500, 500, chunk(b"IDAT", zlib.compress(bytes(500 * 1501))[:90])),
    "endless jpeg markers": b"\xff\xd8\xff" + b"\xff" * 1_000_000,
    "jpeg without a frame": b"\xff\xd8\xff\xe0\x00\x02\xff\xd9",
    "webp of 268 megapixels": b"RIFF\x1e\0\0\0WEBPVP8L\x11\0\0\0\x2f\xff\xff\xff\x0f" + bytes(12),
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp"])
def test_a_hostile_picture_is_a_quick_400(server: PracticeServer, name: str, kind: str) -> None:
    start = time.monotonic()
    body = asking(HOSTILE[name], media_type=f"image/{kind}")
    assert exchange(server, headers_of(server), body)[0] == 400
    assert time.monotonic() - start < 5


def test_the_largest_picture_stays_within_memory(server: PracticeServer) -> None:
    """8000 × 8000 from 200 kB: four at a time are decoded one after the other."""
    data = io.BytesIO()
    Image.new("RGB", (8000, 8000), "navy").save(data, "PNG")
    body = asking(data.getvalue())
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak_megabytes()
    done: list[int] = []
    threads = [
        threading.Thread(target=lambda: done.append(exchange(server, headers_of(server), body)[0]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [200] * 4
    # One takes 500 to 1,000 by the allocator's mood; four at once would take four times that.
    assert peak_megabytes() - before < 1600


def peak_megabytes() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if "VmHWM" in line)


def test_flipped_bytes_give_a_picture_or_a_400(server: PracticeServer) -> None:
    whole = io.BytesIO()
    Image.effect_noise((64, 48), 90).convert("RGB").save(whole, "JPEG")
    for at in range(2, len(whole.getvalue()), 41):
        data = bytearray(whole.getvalue())
        data[at] ^= 0x55
        status, _ = exchange(
            server, headers_of(server), asking(bytes(data), media_type="image/jpeg")
        )
        assert status in {200, 400}


# Protocol


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost : x\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\n folded\r\n\r\n",
        b"\0" * 4000 + b"\r\n\r\n",
    ],
)
def test_what_is_not_http_is_dropped(server: PracticeServer, sent: bytes) -> None:
    with connected(server) as one:
        one.sendall(sent)
        one.shutdown(socket.SHUT_WR)
        assert answer_on(one)[0] in {0, 400, 403}


def test_headers_without_end_are_dropped(server: PracticeServer) -> None:
    with connected(server) as one:
        one.sendall(b"GET / HTTP/1.1\r\n")
        try:
            for _ in range(100):
                one.sendall(b"x: " + b"y" * 1000 + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert answer_on(one)[0] in {0, 400, 431}


@pytest.mark.parametrize("line", ["GET /", "GET /../../etc/passwd", "GET /%2e%2e/x", "GET /v1"])
def test_other_addresses_are_404(server: PracticeServer, line: str) -> None:
    assert exchange(server, headers_of(server), b"", line)[0] == 404


@pytest.mark.parametrize(
    "line",
    [
        *("GET /v1/messages", "PUT /v1/messages", "DELETE /v1/models", "BREW /v1/models"),
        *("PUT /v1/files", "DELETE /v1/files", "PATCH /v1/files/x", "DELETE /v1/files/x/content"),
    ],
)
def test_other_methods_are_405(server: PracticeServer, line: str) -> None:
    assert exchange(server, headers_of(server), BODY, line)[0] == 405


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=99999", "after_id=../x", "limit=²"])
def test_a_strange_page_is_a_400(server: PracticeServer, query: str) -> None:
    line = f"GET /v1/models?{query}"
    assert exchange(server, headers_of(server), b"", line)[0] == 400


def test_several_requests_in_one_write_are_all_answered(server: PracticeServer) -> None:
    headers = headers_of(server, connection=None) | {"content-length": str(len(BODY))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"POST /v1/messages HTTP/1.1\r\n{head}\r\n".encode() + BODY
    last = request.replace(b"content-type", b"connection: close\r\ncontent-type")
    with connected(server) as one:
        one.sendall(request * 4 + last)
        assert answer_on(one)[1].count(b"HTTP/1.1 200") == 5


# Slowness and crowds


@pytest.mark.parametrize("after_headers", [False, True])
def test_a_slow_sender_is_dropped(server: PracticeServer, *, after_headers: bool) -> None:
    start = time.monotonic()
    with connected(server) as one:
        if after_headers:
            headers = headers_of(server) | {"content-length": "1000"}
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            one.sendall(f"POST /v1/messages HTTP/1.1\r\n{head}\r\n".encode())
        else:
            one.sendall(b"POST /v1/messages HTTP/1.1\r\n")
        assert answer_on(one)[0] == 0
    assert time.monotonic() - start < 2 * PATIENCE + 2


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_thousand_connections_do_not_take_the_kernels_files(server: PracticeServer) -> None:
    open_before = open_files()
    crowd = []
    for _ in range(1000):
        crowd.append(socket.create_connection(("127.0.0.1", port_of(server)), timeout=10))
        if len(crowd) == 300:  # this side's own files are bounded, too
            for one in crowd:
                one.close()
            crowd.clear()
    time.sleep(0.3)
    assert open_files() - open_before - len(crowd) <= 210
    for one in crowd:
        one.close()
    wait_for(lambda: open_files() <= open_before + 2)


def wait_for(state: object) -> None:
    limit = time.monotonic() + 8
    while not state():  # type: ignore[operator]
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_a_client_that_leaves_takes_its_work_along() -> None:
    with PracticeServer(words_per_second=2) as server:
        body = BODY.replace(b'"max_tokens"', b'"stream": true, "max_tokens"')
        headers = headers_of(server) | {"content-length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        with connected(server) as one:
            one.sendall(f"POST /v1/messages HTTP/1.1\r\n{head}\r\n".encode() + body)
            assert b"message_start" in one.recv(4096)
            works = server._house.works  # type: ignore[union-attr]
            assert len(works) == 1
        wait_for(lambda: not works)


def test_memory_comes_back_after_large_requests(server: PracticeServer) -> None:
    body = BODY.replace(b"Hi", b"x" * 3_000_000)
    for _ in range(40):
        assert exchange(server, headers_of(server), body)[0] == 200
    assert sum(arrival.size_bytes for arrival in server.requests) <= 64_000_000
    wait_for(lambda: server._house.held_bytes == 0)  # type: ignore[union-attr]


def test_no_memory_is_held_for_those_who_are_turned_away(server: PracticeServer) -> None:
    for _ in range(10):
        exchange(server, headers_of(server, x_api_key="wrong"), b"x" * 1_000_000)
    gc.collect()
    wait_for(lambda: server._house.held_bytes == 0)  # type: ignore[union-attr]


def test_nothing_is_logged_or_printed(
    server: PracticeServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    server.faults.push("server_error")
    for headers in (headers_of(server), headers_of(server, x_api_key="wrong"), {"host": "x"}):
        exchange(server, headers)
    exchange(server, headers_of(server), b"{")
    exchange(server, headers_of(server, x_api_key="wrong"), BODY, "PUT /v1/messages")
    exchange(server, headers_of(server), BODY, "BREW /v1/models")
    server.faults.push("reset")
    exchange(server, headers_of(server))
    assert [
        r for r in caplog.records if r.name.startswith(("tornado", "nbvision", "asyncio"))
    ] == []
    assert capfd.readouterr() == ("", "")


# Its end


def test_closing_ends_streams_and_frees_the_port() -> None:
    threads = set(threading.enumerate())
    server = PracticeServer().start()
    port = port_of(server)
    server.faults.push("stall")
    headers = headers_of(server) | {"content-length": str(len(BODY))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with connected(server) as one:
        one.sendall(f"POST /v1/messages HTTP/1.1\r\n{head}\r\n".encode() + BODY)
        wait_for(lambda: server._house.works)  # type: ignore[union-attr]
        start = time.monotonic()
        server.close()
        assert time.monotonic() - start < 3
        assert answer_on(one)[0] == 0
    with socket.create_server(("127.0.0.1", port)):
        pass
    assert set(threading.enumerate()) <= threads


@pytest.mark.parametrize("ending", ["pass", "raise SystemExit(0)", "server.close()"])
def test_the_interpreter_ends_while_it_runs(ending: str) -> None:
    code = f"""
import threading
from nbvision.practice import PracticeServer
server = PracticeServer(words_per_second=1).start()
server.faults.push("stall")
def ask():
    import urllib.request
    body = {BODY!r}
    headers = {{"x-api-key": server.token, "anthropic-version": "2026-10-21",
               "content-type": "application/json"}}
    urllib.request.urlopen(urllib.request.Request(server.url + "/v1/messages", body, headers))
threading.Thread(target=ask, daemon=True).start()
while not server.requests: pass
{ending}
"""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "ResourceWarning" not in done.stderr
    assert time.monotonic() - start < 10


def test_a_fork_neither_answers_nor_holds_the_port() -> None:
    code = """
import os, socket, time
from nbvision.practice import PracticeServer
server = PracticeServer().start()
port = int(server.url.rpartition(":")[2])
ready, tell = os.pipe()
child = os.fork()
if not child:
    assert not server.is_running
    server.close()
    os.write(tell, b"x")
    time.sleep(20)
    os._exit(0)
os.read(ready, 1)
server.close()
socket.create_server(("127.0.0.1", port)).close()
os.kill(child, 9)
os.waitpid(child, 0)
print("free")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == "free\n", done.stderr


def test_serving_alone_says_how_to_ask_and_ends_with_ctrl_c() -> None:
    code = "from nbvision.practice import serve_forever; serve_forever()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        lines = [running.stdout.readline() for _ in range(8)]  # type: ignore[union-attr]
        running.send_signal(2)
        rest, errors = running.communicate(timeout=10)
    assert running.returncode == 0
    assert errors == ""
    assert "curl http://127.0.0.1:" in "".join(lines)
    assert "not a language model" in lines[1]
    assert "stopped" in rest
