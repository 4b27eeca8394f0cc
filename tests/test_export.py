"""Exported code sends what was sent: run for real, and compared on the wire."""

import ast
import base64
import contextlib
import io
import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from doors import KEY, door
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from wire import Wire, answer_well, wire

import nbvision as nv
from nbvision.errors import RequestError
from nbvision.export import FORMS, Export
from nbvision.inspection import prepare
from nbvision.platforms import find_platform
from nbvision.practice import PracticeServer
from nbvision.prompts import BOXES_SCHEMA
from nbvision.referenced import RemoteImage, UploadedImage
from nbvision.request import Request, RequestMessage

BASH = shutil.which("bash") or "bash"
every_form = pytest.mark.parametrize("form", FORMS)

NASTY = [
    'it\'s "quoted" and `ticked` and $(touch pwned) and ${HOME} and $HOME',
    "first\nJSON\n  JSON\nEOF\n'\n\"\"\"\n'''\nlast",
    "back\\slash \\n \\u0041 \\x41 {braces} %s %(x)s {{}}",
    "ends with a backslash \\",
    "\r\n\t\x00\x01\x1b[31m\x7f\x85\u2028\u2029\ufeff",
    "\u202eleft to right\u202c \U000e0041 \U0001f5bc \u00e9\u4e2d\u6587",
    "@image_1.png",
    "@data:///etc/passwd",
    "- yaml: [no, *anchor, &a, !!python/object, # not a comment]",
    "'; import os; os.mkdir('pwned') #",
    "---\n...\n? : |\n",
    "~ null true 0x1F 1e3 <<",
]


def picture(colour: str, size: tuple[int, int] = (60, 40)) -> nv.PreparedImage:
    return prepare(Image.new("RGB", size, colour), model="claude-opus-5-5")


def request_of(*messages: RequestMessage, **more: Any) -> Request:
    asked = nv.build_request(Image.new("RGB", (9, 9)), "x", model="claude-opus-5-5")
    # Whoever was connected by then: it is the Anthropic API's body that is exported.
    place = find_platform("anthropic")
    return replace(asked, messages=messages, platform=place, **more)


def user(*blocks: Any) -> RequestMessage:
    return RequestMessage("user", blocks)


RED, BLUE = picture("red"), picture("blue")
PHOTO = prepare(nv.samples.photo, model="claude-opus-5-5")
UPLOADED = UploadedImage(
    RED.data, RED.media_type, RED.fit, RED.findings, RED.source, "file_01", "anthropic"
)
REQUESTS = {
    "one": request_of(user(PHOTO, "What is this?")),
    "labelled": request_of(
        user("Image 1:", RED, "Image 2:", BLUE, "How do they differ?"),
        system="Be brief.\nAnswer in French.",
        effort="low",
    ),
    "located": request_of(user(RED, "Find it"), schema=BOXES_SCHEMA, max_tokens=99),
    "conversation": request_of(
        user("Image 1:", RED, "What?"),
        RequestMessage("assistant", ("Red.",)),
        user("Image 2:", BLUE, "Image 3:", RED, "And these?"),
        system="Remember.",
        cached_until=frozenset({(-1, 0), (0, 1), (2, 3)}),
    ),
    "without pictures": request_of(user("Hello")),
}
NAMED = {
    "address": request_of(user(RemoteImage("https://example.com/a.png?q='x'"), "What?")),
    "upload": request_of(user(UPLOADED, "What?")),
}


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """A server that keeps what arrives, and an environment in which exported code finds it."""
    with wire(answer_well) as found:
        point_at(found.url, KEY, monkeypatch)
        yield found


def point_at(url: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # boto3 keeps the credentials of the first client in a process.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


def run(export: Export, folder: Path) -> str:
    """Save and run it, Python in this process, scripts by bash; return what it prints."""
    code = export.save(folder)
    if code.suffix == ".py":
        with contextlib.redirect_stdout(io.StringIO()) as said:
            runpy.run_path(str(code))
        return said.getvalue()
    done = subprocess.run([BASH, str(code)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return json_text(done.stdout.decode())


def sent_by_nbvision(request: Request, place: Wire) -> dict[str, Any]:
    backend = door("anthropic", place.url)
    with backend.stream(request) as events:
        assert list(events)
    backend.close()
    return place.arrived[-1].json


@pytest.mark.parametrize("name", [*REQUESTS, *NAMED])
@pytest.mark.parametrize("form", ["python", "curl"])
def test_exported_code_sends_what_was_sent(
    form: Any, name: str, place: Wire, tmp_path: Path
) -> None:
    request = {**REQUESTS, **NAMED}[name]
    sent = sent_by_nbvision(request, place)
    assert run(request.export(form), tmp_path).strip() == "A red door."
    assert len(place.arrived) == 2
    assert {**place.arrived[-1].json, "stream": True} == sent
    assert place.arrived[-1].headers["anthropic-version"] == "2026-10-21"


@pytest.mark.parametrize("name", REQUESTS)
def test_exported_boto3_sends_what_bedrock_takes(name: str, place: Wire, tmp_path: Path) -> None:
    request = REQUESTS[name]
    assert run(request.export("boto3"), tmp_path) == "A red door.\n"
    arrived = place.arrived[-1]
    assert arrived.line.split()[1] == "/model/us.anthropic.claude-opus-5-5/invoke"
    text = json.dumps(arrived.json)
    assert "transformations" not in text
    assert '"format"' not in text
    assert ("It must follow this JSON schema" in text) == (request.schema is not None)
    assert [base64.b64decode(data) for data in pictures_in(arrived.json)] == [
        image.data for image in request.images if isinstance(image, nv.PreparedImage)
    ]


def pictures_in(body: dict[str, Any]) -> list[str]:
    blocks = (block for message in body["messages"] for block in message["content"])
    return [block["source"]["data"] for block in blocks if block["type"] == "image"]


def as_ant_reads(value: Any, folder: Path) -> Any:
    """The `ant` command's documented rule for text in a piped body."""
    if isinstance(value, dict):
        return {key: as_ant_reads(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [as_ant_reads(item, folder) for item in value]
    if isinstance(value, str) and value.startswith("\\@"):
        return value[1:]
    if isinstance(value, str) and value.startswith("@data://"):
        data = (folder / value.removeprefix("@data://")).read_bytes()
        return base64.b64encode(data).decode()
    assert not (isinstance(value, str) and value.startswith("@")), "would be read as a file"
    return value


@pytest.mark.parametrize("name", [*REQUESTS, *NAMED])
def test_exported_yaml_reads_back_as_the_body(name: str, tmp_path: Path) -> None:
    request = {**REQUESTS, **NAMED}[name]
    document = request.export("ant", tmp_path).text
    assert as_ant_reads(yaml.safe_load(document), tmp_path) == request.body()


def test_a_picture_named_by_others_cannot_go_to_bedrock() -> None:
    for request in NAMED.values():
        with pytest.raises(RequestError, match="a picture named by"):
            request.export("boto3")


def test_what_a_reader_should_know_stands_above_the_code() -> None:
    assert "may carry a signature" in NAMED["address"].export().text
    assert "only its own workspace" in NAMED["upload"].export("ant").text
    assert "workspace" not in REQUESTS["one"].export().text


def test_the_same_picture_twice_is_one_file() -> None:
    assert list(REQUESTS["conversation"].export().files) == ["image_1.png", "image_2.png"]


@every_form
def test_code_holds_neither_pictures_nor_key(form: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    export = REQUESTS["one"].export(form)
    assert len(export.text) < 3000
    assert PHOTO.base64()[100:160] not in export.text
    assert export.files == {"image_1.jpg": PHOTO.data}
    assert KEY not in export.text + repr(export) + str(export._repr_mimebundle_())


def test_a_reply_and_detections_export_their_request(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with PracticeServer() as server:
        point_at(server.url, server.token, monkeypatch)
        practice = nv.connect("anthropic", model="claude-opus-5-5")
        reply = nv.describe(nv.samples.shapes, backend=practice)
        found = nv.locate(nv.samples.shapes, "every shape", backend=practice)
        plain = reply.export("python", tmp_path)
        command = [sys.executable, str(tmp_path / plain.name)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == f"{reply.text}\n"
        assert run(found.export("curl"), tmp_path / "found") == found.text
        assert run(reply.export("boto3"), tmp_path) == f"{reply.text}\n"
        practice.close()


def json_text(reply: str) -> str:
    content = json.loads(reply)["content"]
    return "".join(part["text"] for part in content if part["type"] == "text")


def nasty_request(words: str) -> Request:
    schema = {"type": "object", "properties": {words[:200]: {"const": words}}}
    return request_of(user(RED, words), system=words or None, schema=schema)


@pytest.mark.parametrize("form", ["python", "curl", "boto3"])
def test_hostile_words_arrive_as_they_are_and_run_nothing(
    form: Any, place: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, words in enumerate(NASTY):
        run(request_of(user(RED, words), system=words).export(form), tmp_path / str(number))
        arrived = place.arrived[-1].json
        assert arrived["system"] == words
        assert arrived["messages"][0]["content"][1]["text"] == words
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        str(number) for number in range(len(NASTY))
    )


texts = st.one_of(st.text(), st.sampled_from(NASTY), st.text("'\"\\$`{}\n@JSON#-: "))


@settings(deadline=None, max_examples=150)
@given(texts)
def test_any_words_are_one_literal_of_python(words: str) -> None:
    request = nasty_request(words)
    tree = ast.parse(request.export("python").text)
    (assigned,) = [
        node
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "REQUEST"
    ]
    scope = {"picture": lambda _: RED.base64()}
    assert eval(ast.unparse(assigned.value), scope) == request.body()  # noqa: S307 - our own code


@settings(deadline=None, max_examples=60)
@given(texts)
def test_any_words_are_what_bash_prints(words: str) -> None:
    request = nasty_request(words)
    export = request.export("curl")
    body, _, _ = export.text.partition("# The key goes in")
    script = body.replace('base64 < "$1"', f"printf '%s' {RED.base64()}") + "\nrequest\n"
    environment = {"ANTHROPIC_API_KEY": "any", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [BASH], input=script.encode(), capture_output=True, check=True, env=environment
    )
    assert json.loads(done.stdout) == request.body()


@settings(deadline=None, max_examples=150)
@given(texts)
def test_any_words_are_one_scalar_of_yaml(tmp_path_factory: Any, words: str) -> None:
    request = nasty_request(words)
    if words.startswith("\\@"):
        with pytest.raises(RequestError, match="begins with"):
            request.export("ant")
        return
    folder = tmp_path_factory.mktemp("ant")
    document = request.export("ant", folder).text
    assert as_ant_reads(yaml.safe_load(document), folder) == request.body()


def test_an_export_shows_itself_escaped_and_small() -> None:
    shown = request_of(user("<script>alert(1)</script>" * 5000)).export()._repr_mimebundle_()
    assert "<script" not in shown["text/html"]
    assert "&lt;script&gt;" in shown["text/html"]
    assert len("".join(shown.values())) < 120_000
    assert "characters more" in shown["text/plain"]


def test_forms_stand_in_one_folder_and_share_their_pictures(tmp_path: Path) -> None:
    for form in (*FORMS, *FORMS):
        REQUESTS["one"].export(form, tmp_path / "new" / "folder")
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "image_1.jpg",
        "request.py",
        "request.sh",
        "request.yaml",
        "request_bedrock.py",
    ]
    assert os.access(tmp_path / "new" / "folder" / "request.sh", os.X_OK)


def test_nothing_is_overwritten_and_nothing_is_written_by_halves(tmp_path: Path) -> None:
    (tmp_path / "image_1.jpg").write_text("somebody's")
    with pytest.raises(RequestError, match=r"another image_1\.jpg"):
        REQUESTS["one"].export("python", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["image_1.jpg"]
    assert (tmp_path / "image_1.jpg").read_text() == "somebody's"


def _link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "outside.py")


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [_link, _folder])
def test_links_and_folders_in_the_way_are_refused(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    make(inside / "request.py")
    with pytest.raises(RequestError, match=r"another request\.py"):
        REQUESTS["one"].export("python", inside)
    assert not (tmp_path / "outside.py").exists()


def test_a_folder_that_cannot_be_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RequestError, match="cannot write to"):
        REQUESTS["one"].export("python", tmp_path / "file")


def test_an_unknown_form_names_the_known_ones() -> None:
    with pytest.raises(RequestError, match="python, curl, boto3, ant"):
        REQUESTS["one"].export("javascript")  # type: ignore[arg-type]


class Sly:
    """What would run if its `repr` became code."""

    def __repr__(self) -> str:
        return "__import__('os').abort()"


def test_a_picture_that_bedrock_will_not_take_is_named_above_its_code() -> None:
    large = replace(RED, data=b"x" * 3_750_001)
    code = request_of(user(large)).export("boto3").text
    assert code.startswith("# image_1.png is 5.0 MB as base64; Bedrock takes 5 MB: prepare it")
    for form in ("python", "curl", "ant"):
        assert "Bedrock takes" not in request_of(user(large)).export(form).text
    assert "Bedrock takes" not in request_of(user(RED)).export("boto3").text


@pytest.mark.parametrize("value", [Sly(), float("nan"), {1, 2}])
def test_only_json_becomes_code(value: object) -> None:
    with pytest.raises(RequestError, match="not JSON"):
        request_of(user("x"), schema={"const": value}).export()


@pytest.mark.parametrize(
    ("model", "form", "named"),
    [
        ("us.anthropic.claude-sonnet-5-5", "python", '"claude-sonnet-5-5"'),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "curl", '"claude-sonnet-4-5"'),
        ("us.anthropic.claude-sonnet-5-5", "boto3", '"us.anthropic.claude-sonnet-5-5"'),
        ("claude-haiku-4-5", "boto3", '"us.anthropic.claude-haiku-4-5-20251001-v1:0"'),
        ("anthropic.claude-opus-5-5", "boto3", '"us.anthropic.claude-opus-5-5"'),
        ("claude-haiku-4-5@20251001", "ant", '"claude-haiku-4-5"'),
        ("claude-opus-99", "boto3", "No id on Bedrock is known"),
        ("practice-high", "python", "A practice model answers at the practice server only"),
    ],
)
def test_a_models_id_is_the_one_of_the_place(model: str, form: Any, named: str) -> None:
    assert named in request_of(user("x"), model_id=model).export(form).text
