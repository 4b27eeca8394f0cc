"""An address is dialled only if it is public, and what it sends is bounded."""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hostile_pictures import quadrants, saved
from hypothesis import given
from hypothesis import strategies as st

from nbvision import fetching
from nbvision.errors import ImageError, ImageNotFound, ImageTooLarge, UnsafeSource
from nbvision.fetching import fetch, is_public
from nbvision.images import open_image

PNG = saved(quadrants(), "PNG")


def anywhere(address: object) -> bool:
    """Let a test dial this machine."""
    return address is not None


@contextmanager
def serving(pages: dict[str, tuple[int, dict[str, str], bytes]]) -> Iterator[tuple[str, list[str]]]:
    """Serve these pages on loopback; give the address and what was asked, headers included."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path}\n{self.headers}")
            status, headers, body = pages.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


PRIVATE = [
    "http://127.0.0.1/a.png",
    "http://localhost/a.png",
    "http://2130706433/a.png",
    "http://0x7f000001/a.png",
    "http://0177.0.0.1/a.png",
    "http://127.1/a.png",
    "http://0.0.0.0/a.png",
    "http://[::1]/a.png",
    "http://[::ffff:127.0.0.1]/a.png",
    "http://[64:ff9b::7f00:1]/a.png",
    "http://[2002:7f00:1::]/a.png",
    "http://10.0.0.1/a.png",
    "http://192.168.1.1/a.png",
    "http://172.16.0.1/a.png",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fe80::1]/a.png",
    "http://[fd00::1]/a.png",
    "http://224.0.0.1/a.png",
    "http://100.64.0.1/a.png",
    "http://[::7f00:1]/a.png",
    "http://[::ffff:0:7f00:1]/a.png",
    "http://[fec0::1]/a.png",
    "http://[::]/a.png",
]


@pytest.mark.parametrize("url", PRIVATE)
def test_no_private_address_in_any_spelling(url: str) -> None:
    with pytest.raises(ImageError) as caught:
        open_image(url)
    assert isinstance(caught.value, UnsafeSource | ImageNotFound)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@example.org/a.png",
        "http:///a.png",
        "http://[::1",
        "http://example.org:99999/a.png",
    ],
)
def test_strange_addresses_are_refused_and_secrets_not_repeated(url: str) -> None:
    with pytest.raises(UnsafeSource) as caught:
        fetch(url)
    assert "secret" not in str(caught.value)


def test_a_picture_comes_with_nothing_of_ours_but_a_name() -> None:
    with serving({"/a.png?size=2": (200, {}, PNG)}) as (url, asked):
        assert fetch(f"{url}/a.png?size=2", may_dial=anywhere) == PNG
    sent = asked[0].lower()
    assert "user-agent: nbvision" in sent
    assert not {"cookie", "authorization", "referer"} & {
        line.split(":")[0] for line in sent.splitlines()
    }


def test_a_redirect_is_checked_like_the_first_address() -> None:
    to = {"Location": "http://169.254.169.254/latest/meta-data/"}
    with serving({"/a": (302, to, b"")}) as (url, _):
        first = ipaddress.ip_address("127.0.0.1")
        with pytest.raises(UnsafeSource, match=r"169\.254"):
            fetch(f"{url}/a", may_dial=lambda address: address == first)


def test_a_redirect_to_another_scheme_is_refused() -> None:
    with (
        serving({"/a": (302, {"Location": "file:///etc/passwd"}, b"")}) as (url, _),
        pytest.raises(UnsafeSource, match="scheme"),
    ):
        fetch(f"{url}/a", may_dial=anywhere)


def test_a_redirect_that_cannot_be_read_is_refused() -> None:
    with (
        serving({"/a": (302, {"Location": "http://[::1"}, b"")}) as (url, _),
        pytest.raises(UnsafeSource, match="cannot be read"),
    ):
        fetch(f"{url}/a", may_dial=anywhere)


def test_redirects_end() -> None:
    with (
        serving({"/a": (302, {"Location": "/a"}, b"")}) as (url, asked),
        pytest.raises(ImageNotFound, match="without end"),
    ):
        fetch(f"{url}/a", may_dial=anywhere)
    assert len(asked) == 6


def test_a_relative_redirect_is_followed() -> None:
    pages = {"/a": (301, {"Location": "b.png"}, b""), "/b.png": (200, {}, PNG)}
    with serving(pages) as (url, _):
        assert fetch(f"{url}/a", may_dial=anywhere) == PNG


def test_what_is_not_there_is_said() -> None:
    with serving({}) as (url, _), pytest.raises(ImageNotFound, match="404"):
        fetch(f"{url}/none", may_dial=anywhere)


def test_too_much_is_cut_off() -> None:
    with (
        serving({"/big": (200, {}, b"x" * 33_000_000)}) as (url, _),
        pytest.raises(ImageTooLarge, match="sends more"),
    ):
        fetch(f"{url}/big", may_dial=anywhere)


@pytest.mark.parametrize("in_headers", [False, True])
def test_a_slow_drip_ends_at_the_deadline(*, in_headers: bool) -> None:
    class Drip(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not in_headers:
                self.send_response(200)
                self.end_headers()
            for _ in range(100):
                try:
                    self.wfile.write(b"x")
                    self.wfile.flush()
                except OSError:
                    return
                time.sleep(0.05)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Drip)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    started = time.monotonic()
    with pytest.raises(ImageError):
        fetch(f"http://127.0.0.1:{server.server_port}/", may_dial=anywhere, longest_seconds=0.5)
    assert time.monotonic() - started < 3
    server.shutdown()
    server.server_close()


def unproven() -> ssl.SSLContext:
    """TLS without certificates, so that a test needs none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("aNULL:@SECLEVEL=0")
    return context


@contextmanager
def dripping_over_tls() -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("aNULL:@SECLEVEL=0")

    def drip(listening: socket.socket) -> None:
        with suppress(OSError):
            raw, _ = listening.accept()
            with context.wrap_socket(raw, server_side=True) as client:
                client.recv(1000)
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                for _ in range(60):
                    client.sendall(b"x")
                    time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=[listening])
        thread.start()
        yield f"https://127.0.0.1:{listening.getsockname()[1]}/"
        thread.join()


def test_a_slow_drip_over_tls_ends_at_the_deadline_too() -> None:
    with dripping_over_tls() as url:
        started = time.monotonic()
        with pytest.raises(ImageTooLarge, match="too long"):
            fetch(url, may_dial=anywhere, tls=unproven, longest_seconds=0.5)
        assert time.monotonic() - started < 2


def test_a_server_that_proves_nothing_is_not_trusted() -> None:
    with dripping_over_tls() as url, pytest.raises(ImageNotFound, match="SSL"):
        fetch(url, may_dial=anywhere)


@given(st.ip_addresses())
def test_only_global_addresses_are_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast


def test_the_limits_are_those_that_are_stated() -> None:
    assert (fetching._MAX_BYTES, fetching._MAX_SECONDS) == (32_000_000, 15.0)
