"""Words as they arrive, in a real kernel; and an interrupt that keeps the part."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

SLOW = """
import nbvision as nv
practice = nv.connect("practice", words_per_second=30)
photo = nv.open_image(nv.samples.photo)
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[KernelManager, object]]:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(
        cwd=str(tmp_path_factory.mktemp("kernel")), extra_arguments=["--log-level=ERROR"]
    )
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(
    kernel: tuple[KernelManager, object], code: str, interrupt_after: float = 0
) -> list[dict[str, object]]:
    """Run a cell; give the messages it published."""
    manager, client = kernel
    message_id = client.execute(code)  # type: ignore[attr-defined]
    started, messages, interrupted = time.monotonic(), [], False
    while time.monotonic() - started < 60:
        if interrupt_after and not interrupted and time.monotonic() - started > interrupt_after:
            manager.interrupt_kernel()
            interrupted = True
        try:
            message = client.get_iopub_msg(timeout=0.2)  # type: ignore[attr-defined]
        except Empty:
            continue
        if message["parent_header"].get("msg_id") != message_id:
            continue
        messages.append(message)
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return messages
    raise AssertionError("the cell did not end")


def test_words_stream_in_one_output_that_is_gone_at_the_end(
    kernel: tuple[KernelManager, object],
) -> None:
    run(kernel, SLOW)
    messages = run(kernel, "nv.describe(photo)")
    shown = [m for m in messages if m["msg_type"] == "display_data"]
    updates = [m for m in messages if m["msg_type"] == "update_display_data"]
    assert len(shown) == 1
    assert "waiting for the first word" in shown[0]["content"]["data"]["text/plain"]  # type: ignore[index]
    assert len(updates) > 5
    assert max(len(json.dumps(m["content"])) for m in updates) < 20_000
    assert updates[-1]["content"]["data"] == {"text/plain": ""}  # type: ignore[index]
    assert not [m for m in messages if m["msg_type"] in {"error", "stream"}]


def test_a_run_shows_its_cost_in_a_line_that_is_gone_at_the_end(
    kernel: tuple[KernelManager, object],
) -> None:
    run(kernel, SLOW)
    call = "nv.describe(nv.samples.shapes, backend=practice)"
    messages = run(kernel, f"with nv.run(budget=0.5):\n  for _ in range(2): {call}")
    shown: dict[str, list[str]] = {}
    for message in messages:
        content: dict[str, Any] = message["content"]  # type: ignore[assignment]
        if message["msg_type"] in {"display_data", "update_display_data"}:
            words = content["data"]["text/plain"]
            shown.setdefault(content["transient"]["display_id"], []).append(words)
    (line,) = (words for words in shown.values() if words[0].startswith("this run: "))
    assert any("2 asked, 0 from store; $0.00 spent of $0.50, $0.50 left" in one for one in line)
    assert {words[-1] for words in shown.values()} == {""}


def test_an_interrupt_keeps_the_part_and_marks_it(kernel: tuple[KernelManager, object]) -> None:
    run(kernel, SLOW)
    started = time.monotonic()
    messages = run(kernel, "nv.describe(photo)", interrupt_after=1.8)
    assert time.monotonic() - started < 4
    errors = [m["content"]["ename"] for m in messages if m["msg_type"] == "error"]  # type: ignore[index]
    assert errors == ["KeyboardInterrupt"]
    last = [m for m in messages if m["msg_type"] == "update_display_data"][-1]
    words = last["content"]["data"]["text/plain"]  # type: ignore[index]
    assert "interrupted" in words
    assert "A picture of" in words


def test_a_magic_is_interrupted_as_a_call_is(kernel: tuple[KernelManager, object]) -> None:
    run(kernel, f"{SLOW}\n%load_ext nbvision")
    messages = run(kernel, "%%describe photo\nDescribe it.", interrupt_after=1.8)
    shown = [m["content"] for m in messages if m["msg_type"] == "update_display_data"]
    words = shown[-1]["data"]["text/plain"]  # type: ignore[index]
    assert "interrupted" in words
    assert "A picture of" in words
    status = run(kernel, "%nbvision")
    (told,) = [m["content"] for m in status if m["msg_type"] == "execute_result"]
    assert "broke off, which may have cost something" in told["data"]["text/plain"]  # type: ignore[index]


def test_many_pictures_show_how_far_they_are(kernel: tuple[KernelManager, object]) -> None:
    run(kernel, SLOW)
    messages = run(kernel, "nv.compare([photo.crop(left, 0, 2400, 1600) for left in range(12)])")
    shown = [
        m["content"]["data"]["text/plain"]  # type: ignore[index]
        for m in messages
        if m["msg_type"] in {"display_data", "update_display_data"}
    ]
    assert any("of 12" in words for words in shown)


def test_the_kernel_asks_again_after_an_interrupt(kernel: tuple[KernelManager, object]) -> None:
    run(kernel, SLOW)
    messages = run(kernel, "print(nv.describe(photo, 'Which colours?').stop_reason)")
    words = [m["content"]["text"] for m in messages if m["msg_type"] == "stream"]  # type: ignore[index]
    assert "".join(words) == "end_turn\n"


def test_an_error_shows_its_three_lines(kernel: tuple[KernelManager, object]) -> None:
    messages = run(kernel, "import nbvision as nv; nv.open_image('no-such.png')")
    error = next(m for m in messages if m["msg_type"] == "error")["content"]
    assert error["traceback"][0].startswith("ImageNotFound: there is no no-such.png")  # type: ignore[index]
    assert len(error["traceback"]) == 2  # type: ignore[index]


def test_outside_a_notebook_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    import nbvision as nv

    nv.describe(nv.samples.page, backend=nv.connect("practice", words_per_second=None))
    assert capsys.readouterr().out == ""


def test_the_command_line_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from nbvision.cli import main

    (tmp_path / "file").write_text("in the way")
    assert main(["demo", "--output", str(tmp_path / "file" / "page")]) == 1
    said = capsys.readouterr()
    assert "cannot write" in said.err
    assert said.out == ""  # before anything was asked


def test_the_demo_leaves_one_page_that_needs_nothing_else(tmp_path: Path) -> None:
    from nbvision.demo import run_demo

    lines: list[str] = []
    page = run_demo(tmp_path, say=lambda text, **_: lines.append(text)).read_text(encoding="utf-8")
    said = "".join(lines)
    assert "IoU with the truth 0.9" in said
    assert "3 places changed" in said
    assert page.count("<img ") == page.count("data:image/")
    assert "http" not in page.replace("http-equiv", "")


def test_the_practice_command_tells_how_to_reach_it() -> None:
    import subprocess

    command = [sys.executable, "-m", "nbvision", "practice", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = "".join(process.stdout.readline() for _ in range(6))
        process.terminate()
    assert "http://127.0.0.1:" in said
    assert "curl" in said
