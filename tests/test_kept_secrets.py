"""No file that is written for keeping holds any piece of a key."""

import base64
import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import DOORS, door
from PIL import Image
from wire import Arrived, Connection, answer_well, wire

import nbvision as nv
from nbvision.errors import NbvisionError
from nbvision.store import Store

PICTURE = Image.new("RGB", (60, 40), "teal")
ARGUMENT = "sk-ant-api03-Q7rT2mXv9LkPz4WbN8sD1fGhJ6yC3eUa"
VARIABLE = "sk-ant-api03-ZxCvBnM1qWeRtY2uIoP3aSdFgH4jKlZ5"
BEARER = "bedrock-api-key-YmVkcm9jazEyMzQ1Njc4OTBhYmNkZWZn"
SIGNED = "X-Amz-Signature-9f8e7d6c5b4a39281706f5e4d3c2b1a0"
SECRETS = [ARGUMENT, VARIABLE, BEARER, SIGNED]
PIECE = 12


def pieces(secret: str) -> Iterator[bytes]:
    data = secret.encode()
    forms = [data, data.hex().encode(), urllib.parse.quote(secret, safe="").encode()]
    # base64 has three forms, by what stands before.
    forms += [base64.b64encode(b"x" * shift + data)[4:-4] for shift in range(3)]
    for form in forms:
        for start in range(len(form) - PIECE + 1):
            yield form[start : start + PIECE]


def assert_clean(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        data = path.read_bytes() + path.name.encode()
        for secret in SECRETS:
            # What every key of a kind begins with gives nothing away.
            for piece in pieces(
                secret.removeprefix("sk-ant-api03-").removeprefix("bedrock-api-key-")
            ):
                assert piece not in data, f"{path.name} holds a piece of a key"


def repeats_the_key(connection: Connection, arrived: Arrived) -> None:
    """Say no as some servers do, with the key that they refuse."""
    key = arrived.headers.get("x-api-key") or arrived.headers.get("authorization", "")
    body = {"type": "error", "error": {"type": "authentication_error", "message": f"no: {key}"}}
    connection.reply(body, 401, request_id=f"req-{key[:60]}")


@pytest.mark.parametrize("answer", [answer_well, repeats_the_key])
def test_no_file_holds_a_piece_of_a_key(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", VARIABLE)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", BEARER)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", BEARER)
    beside = tmp_path / "lesson.replies"
    with wire(answer) as place:  # type: ignore[arg-type]
        where = {"base_url": place.url}
        at_aws = {"region": "us-east-1", "endpoint_url": place.url}
        backends = [
            nv.connect("anthropic", api_key=ARGUMENT, replies=beside, **where),  # type: ignore[arg-type]
            nv.connect("anthropic", replies=beside, budget=5, **where),  # type: ignore[arg-type]
            nv.connect("bedrock", api_key=ARGUMENT, replies=beside, **at_aws),  # type: ignore[arg-type]
            *(door(name, place.url, ARGUMENT, replies=beside) for name in DOORS),
        ]
        for number, backend in enumerate(backends):
            try:
                nv.describe(PICTURE, f"Question {number}", backend=backend)
            except NbvisionError:
                assert answer is repeats_the_key
            backend.close()
        sent = [json.dumps(dict(arrived.headers)) for arrived in place.arrived]
    assert ARGUMENT in sent[0]
    assert VARIABLE in sent[1]
    assert len(store.history("question")) == len(backends)
    assert_clean(tmp_path)


def test_a_signed_address_is_not_kept(store: Store, tmp_path: Path) -> None:
    from wire import MESSAGE

    from nbvision.catalogue import find_model
    from nbvision.keeping import Keeping
    from nbvision.referenced import RemoteImage
    from nbvision.remembering import remembered
    from nbvision.request import build_request
    from nbvision.response import parse_response

    address = RemoteImage(f"https://example.org/door.jpg?signature={SIGNED}")
    backend = nv.connect("practice")
    request = build_request(
        [address], "What is it?", model_id="claude-haiku-4-5",
        model=find_model("claude-haiku-4-5"), platform=backend.platform,
    )  # fmt: skip
    for _ in range(2):
        remembered(
            request, lambda _: parse_response(MESSAGE), keeping=Keeping(), backend="anthropic"
        )
    assert len(store.history()) == 2  # what lies at an address may be another picture by now
    assert_clean(tmp_path)


def test_the_search_would_find_a_key(tmp_path: Path) -> None:
    for form in (ARGUMENT, ARGUMENT[20:34], base64.b64encode(f"a{ARGUMENT}".encode()).decode()):
        (tmp_path / "file").write_text(f"before {form} after")
        with pytest.raises(AssertionError, match="a piece of a key"):
            assert_clean(tmp_path)
