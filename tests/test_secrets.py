"""Keys go in every way there is, and no piece of one comes out anywhere but on the wire.

A real notebook is run in a real kernel against a server that is not ours, some of whose replies
repeat the key. Whatever the notebook shows, writes, logs or saves is searched for each piece of
12 characters of each key: as it is, in hexadecimal, quoted as in an address, and in base64.
"""

import base64
import json
import logging
import os
import re
import secrets
import textwrap
import time
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from wire import MESSAGE, Arrived, Connection, answer_well, wire

import nbvision
from nbvision import keys
from nbvision.catalogue import find_model
from nbvision.errors import NbvisionError
from nbvision.keeping import Keeping
from nbvision.referenced import RemoteImage
from nbvision.remembering import remembered
from nbvision.request import build_request
from nbvision.response import parse_response
from nbvision.store import Store

PIECE = 12
# What every key of a kind begins with gives nothing away.
_COMMON = ("sk-ant-api03-", "sk-ant-oat01-", "bedrock-api-key-", "ya29.", "X-Amz-Signature=")
IN_ENVIRONMENT = {
    "ANTHROPIC_API_KEY": "sk-ant-api03-ZxCvBnM1qWeRtY2uIoP3aSdFgH4jKlZ5",
    "ANTHROPIC_AUTH_TOKEN": "sk-ant-oat01-Mn8bVc7xZa6sDf5gHj4kLq3wEr2tYu1i",
    "AWS_BEARER_TOKEN_BEDROCK": "bedrock-api-key-YmVkcm9jazEyMzQ1Njc4OTBhYmNkZWZn",
    "AWS_ACCESS_KEY_ID": "AKIAQ3EGRI7TTVJXW5NB",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYzK3y9QsVtLm2",
    "AWS_SESSION_TOKEN": "FwoGZXIvYXdzEJr+Rk9PQkFSL2Jhei9xdXV4",
    "ANTHROPIC_FOUNDRY_API_KEY": "f0undry9Kd8Js7Ha6Lg5Pf4Od3Is2Ua1Yt0Re",
}
GIVEN = {
    "PLANTED_KEY": "sk-ant-api03-Q7rT2mXv9LkPz4WbN8sD1fGhJ6yC3eUa",
    "PLANTED_TOKEN": "ya29.A0ARrdaM-k9Vq2Lx7Tz5Np3Jw8Hs6Gf4Db1Cy",
    "PLANTED_ADDRESS": "https://example.org/door.jpg?X-Amz-Signature=9f8e7d6c5b4a39281706f5e4d3c2",
    "PLANTED_PASSWORD": "hunter2-Tr0ub4dor-and-3-horses",
}
SECRETS = {**IN_ENVIRONMENT, **GIVEN}

DEEDS = [
    """
    import copy, logging, os, pickle, sys, traceback, warnings
    logging.basicConfig(level=logging.DEBUG, filename="everything.log", force=True)
    import PIL.Image
    import nbvision as nv
    from nbvision.errors import NbvisionError
    url = os.environ["PLACE"]

    def planted(name):  # a function: tracebacks with their variables show a value
        return os.environ[f"PLANTED_{name}"]
    """,
    # Every door, its key typed, from the environment, or from a function.
    """
    def doors():
        typed, boto = {"base_url": url, "replies": "lesson.replies"}, {"region": "us-east-1"}
        typed_key, token = {"api_key": planted("KEY")}, planted("TOKEN")
        yield nv.connect("anthropic", **typed, **typed_key, budget=5)
        yield nv.connect("anthropic", **typed)
        for name in ("bedrock", "bedrock-converse"):
            yield nv.connect(name, endpoint_url=url, replies="lesson.replies", **boto)
            yield nv.connect(name, endpoint_url=url, **boto, **typed_key)
        for name in ("bedrock-messages", "bedrock-mantle"):
            yield nv.connect(name, **typed, **boto)
            yield nv.connect(name, **typed, **boto, **typed_key)
        yield nv.connect("aws", **typed, **boto, **typed_key, workspace_id="wrkspc_1")
        yield nv.connect("vertex", **typed, region="us-east5", project_id="p", access_token=token)
        yield nv.connect("google-cloud", **typed, project_id="p", workspace_id="wrkspc_1",
                         access_token=lambda: token)
        yield nv.connect("foundry", **typed, **typed_key)
        yield nv.connect("foundry", **typed)
        os.environ.pop("AWS_BEARER_TOKEN_BEDROCK", None)  # from here on it is signed
        yield nv.connect("bedrock", endpoint_url=url, **boto)
        yield nv.connect("bedrock-converse", endpoint_url=url, **boto)
        yield nv.connect("bedrock-messages", **typed, **boto)
    """,
    """
    picture, asked = PIL.Image.new("RGB", (60, 40), "teal"), []
    for number, backend in enumerate(doors()):
        print(backend, repr(backend), backend.why, vars(backend).keys(), backend.capabilities)
        display(backend)
        for status in (200, 400, 401, 402):
            try:
                asked.append(nv.ask(picture, f"Status {status}, door {number}", backend=backend))
            except NbvisionError as error:
                print(error, repr(error), vars(error), error.args)
                print("".join(traceback.format_exception(error)))
                with_locals = traceback.TracebackException.from_exception
                print("".join(with_locals(error, capture_locals=True).format()))
    print(asked)
    display(*asked, *(reply.request for reply in asked))
    """,
    "%xmode Verbose",
    'nv.ask(picture, "Status 401, shown with arguments", backend=next(doors()))',
    "%xmode Context",
    "%env NBVISION_TRACEBACK=full",
    'nv.ask(picture, "Status 401, shown in full", backend=next(doors()))',
    # What refuses its input repeats it nowhere.
    """
    def tried(deed):
        try:
            print(deed())
        except Exception as error:
            print(type(error).__name__, error)
            logging.exception("tried")
    url, boto = os.environ["PLACE"], {"region": "us-east-1"}
    tried(lambda: nv.connect("practice", api_key=planted("KEY")))
    tried(lambda: nv.connect("bedrock", region="us-east-1", access_token=planted("TOKEN")))
    tried(lambda: nv.connect("anthropic", api_key=planted("KEY") + " "))
    tried(lambda: nv.connect("anthropic", api_key=planted("KEY") + "\\n"))
    tried(lambda: nv.connect("anthropic", api_key=planted("KEY").encode()))
    tried(lambda: nv.connect("anthropic", api_key=planted("KEY"), base_url="http://example.org"))
    tried(lambda: nv.connect("anthropic", base_url=f"http://me:{planted('PASSWORD')}@localhost:1"))
    tried(lambda: pickle.dumps(next(doors())))
    tried(lambda: copy.deepcopy(next(doors())))
    tried(lambda: nv.open_image(planted("ADDRESS")))
    tried(lambda: nv.remote_image(planted("ADDRESS")))
    """,
    """
    nv.load_ipython_extension(get_ipython())
    shell = get_ipython()
    shell.run_line_magic("nbvision", "")
    tried(lambda: shell.run_line_magic("nbvision", f"connect anthropic --api-key {planted('KEY')}"))
    tried(lambda: shell.run_line_magic("nbvision", f"connect anthropic --api-key={planted('KEY')}"))
    display(shell.run_line_magic("nbvision", ""))
    """,
    # What goes out as a file, a widget or a value.
    """
    backend = next(doors())
    panel = nv.AskPanel(picture, backend=backend)
    display(panel)
    print(panel.get_state())
    chat = nv.Conversation("Be brief.", backend=backend)
    tried(lambda: chat.ask("What is this?", picture))
    tried(lambda: chat.ask("And that?"))
    tried(lambda: chat.save("chat.json"))
    for reply in asked:
        for form in ("python", "curl", "boto3", "ant"):
            tried(lambda: reply.export(form))
        open("reply.html", "a").write(reply.to_html())
    """,
    """
    display(nv.history())
    print(nv.history(), nv.history().to_frame().to_string())
    for call in nv.history():
        print(call, vars(call.call) if hasattr(call.call, "__dict__") else call.call)
        tried(lambda: call.reply())
    nv.freeze_widgets()
    """,
    # What else goes out, and each no that comes back with the key.
    """
    able = nv.connect("anthropic", base_url=url, platform="anthropic", api_key=planted("KEY"))
    for number, backend in enumerate((able, nv.connect("bedrock", endpoint_url=url, **boto))):
        tried(lambda: nv.models(refresh=True, backend=backend))
        tried(lambda: nv.upload(picture, backend=backend))
        tried(lambda: nv.files(backend=backend))
        tried(lambda: nv.prove(picture, backend=backend))
        with nv.run(f"shelf {number}", budget=1.00) as run:
            tried(lambda: nv.ask(picture, f"Status 402, in run {number}", backend=backend))
        display(run, run.why)
        for panel in (nv.ConversationPanel(backend=backend), nv.Workbench(backend=backend)):
            display(panel)
            print(panel.get_state())
    display(nv.budgets())
    nv.freeze_widgets()
    for form in ("python", "curl", "boto3", "ant"):
        tried(lambda: open(f"reply.{form}", "w").write(str(asked[0].export(form))))
    """,
    """
    import nbformat, subprocess
    cells = ["import os, nbvision as nv, PIL.Image",
             "nv.connect('anthropic', base_url=os.environ['PLACE'])",
             "nv.ask(PIL.Image.new('RGB', (60, 40), 'teal'), 'Status 200, door 1')",
             "nv.connect(api_key=os.environ['PLANTED_KEY'] + ' ')"]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(made, "lesson.ipynb")
    print(nv.pack("lesson.ipynb"))
    deed = "import os, nbvision as nv, nbvision.cli as cli; print(cli.main(['history']))"
    deed += "; nv.connect(api_key=os.environ['PLANTED_KEY'] + ' ')"
    ran = subprocess.run([sys.executable, "-c", deed], capture_output=True, text=True)
    print(ran.returncode, ran.stdout, ran.stderr)
    """,
]


def pieces(secret: str) -> Iterator[bytes]:
    for common in _COMMON:
        before, found, after = secret.partition(common)
        secret = after if found else before
    data = secret.encode()
    forms = [data, data.hex().encode(), urllib.parse.quote(secret, safe="").encode()]
    # base64 has three forms, by what stands before.
    forms += [base64.b64encode(b"x" * shift + data)[4:-4] for shift in range(3)]
    for form in forms:
        for start in range(len(form) - PIECE + 1):
            yield form[start : start + PIECE]


def found_in(data: bytes) -> list[str]:
    """Return the names of the keys of which a piece is there."""
    return [
        name for name, secret in SECRETS.items() if any(piece in data for piece in pieces(secret))
    ]


def repeats_the_key(connection: Connection, arrived: Arrived) -> None:
    """Answer, or say no as some servers do: with the key that they refuse, in every place."""
    status = re.search(rb"Status (4..)", arrived.body)
    is_asked = re.search(r"(?i)/messages[? ]|converse|invoke|rawpredict", arrived.line)
    if status is None and is_asked:
        answer_well(connection, arrived)
        return
    names = ("x-api-key", "api-key", "authorization", "x-amz-security-token")
    key = " ".join(arrived.headers.get(name, "") for name in names)
    said = {"type": "error", "error": {"type": "authentication_error", "message": f"no: {key}"}}
    body = {**said, "message": f"no: {key}", "request_id": f"req_{key}"}
    connection.reply(
        body, int(status[1] if status else 401), request_id=f"req_{key}", x_amzn_requestid=key
    )


def test_no_piece_of_a_key_is_in_anything_a_notebook_leaves(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(textwrap.dedent(deed).strip()) for deed in DEEDS]
    with wire(repeats_the_key) as place:
        surroundings = {
            **SECRETS,
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "IPYTHONDIR": str(tmp_path / "ipython"),
            "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
            "NBVISION_DATA": str(tmp_path / "data"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "PLACE": place.url,
            "PYTHONPATH": str(Path(nbvision.__file__).parents[1]),
        }
        client = NotebookClient(
            notebook,
            timeout=60,
            allow_errors=True,
            ipython_hist_file=str(tmp_path / "history.sqlite"),
            resources={"metadata": {"path": str(tmp_path)}},
            extra_arguments=["--log-level=ERROR"],
        )
        client.execute(env=surroundings)
        sent = b"".join(json.dumps(dict(arrived.headers)).encode() for arrived in place.arrived)
    # It ran to its end, and the keys were really used.
    ends = [output.ename for cell in notebook.cells for output in cell.outputs if "ename" in output]
    assert ends == ["AccessDenied", "AccessDenied"]
    used = {"ANTHROPIC_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_BEARER_TOKEN_BEDROCK"}
    used |= {"ANTHROPIC_FOUNDRY_API_KEY", "AWS_SESSION_TOKEN", "PLANTED_KEY", "PLANTED_TOKEN"}
    assert {*found_in(sent)} == used
    nbformat.write(notebook, tmp_path / "saved.ipynb")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    kept = {"saved.ipynb", "everything.log", "calls.sqlite", "history.sqlite", "chat.json"}
    kept |= {"lesson.ipynb", "reply.html", "reply.curl"}
    assert kept <= {path.name for path in files}
    found = {str(path): found_in(path.read_bytes() + str(path).encode()) for path in files}
    assert {path: keys for path, keys in found.items() if keys} == {}


def test_a_signed_address_is_not_kept(store: Store, tmp_path: Path) -> None:
    address = RemoteImage(GIVEN["PLANTED_ADDRESS"])
    backend = nbvision.connect("practice")
    request = build_request(
        [address], "What is it?", model_id="claude-haiku-4-5",
        model=find_model("claude-haiku-4-5"), platform=backend.platform,
    )  # fmt: skip
    for _ in range(2):
        remembered(
            request, lambda _: parse_response(MESSAGE), keeping=Keeping(), backend="anthropic"
        )
    assert len(store.history()) == 2  # what lies at an address may be another picture by now
    for path in filter(Path.is_file, tmp_path.rglob("*")):
        assert found_in(path.read_bytes()) == []


@pytest.fixture
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_known", {})


@pytest.mark.usefixtures("_no_keys")
@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("none", "none such"),
        ("anthropic", "anthropic has no model claude-opus-5-5"),
        ("0" * 20, "the request 000000000000 and the hash ab0000000000000cd"),
        ("sk-ant-api03-Q7rT2mXv9LkPz4WbN8sD", "a key begins with sk-ant-api03-"),
        ("sk-ant-api03-Q7rT2mXv9LkPz4WbN8sD", "no file test-key-1234.png at 127.0.0.1:4000"),
    ],
)
def test_what_is_no_key_is_said(key: str, said: str) -> None:
    keys.note_keys({"x-api-key": key})
    assert str(NbvisionError(said)) == said


@pytest.mark.usefixtures("_no_keys")
@pytest.mark.parametrize("key", ["sk-12345", "test-key-1234", "-" * 16, "a+b/c=d?e&f-1234"])
def test_a_short_key_is_hidden_whole(key: str) -> None:
    keys.note_keys({"authorization": f"Bearer {key}"})
    for said in (key, urllib.parse.quote(key, safe="")):
        assert str(NbvisionError(f"no: <{said}>")) == "no: <[key]>"


@pytest.mark.usefixtures("_no_keys")
def test_signing_a_thousand_requests_pushes_no_key_out() -> None:
    keys.note_keys({"x-api-key": GIVEN["PLANTED_KEY"]})
    for number in range(1000):
        signed = f"Credential=AKIAQ3EGRI7TTVJXW5NB/20261121, Signature={number:064x}"
        keys.note_keys({"authorization": f"AWS4-HMAC-SHA256 {signed}"})
    assert found_in(str(NbvisionError(GIVEN["PLANTED_KEY"] + signed)).encode()) == []
    assert f"{999:064x}" not in str(NbvisionError(signed))


@pytest.mark.usefixtures("_no_keys")
def test_keys_that_are_sent_at_once_are_all_known() -> None:
    sent = [secrets.token_urlsafe(40) for _ in range(30)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(keys.note_key, sent))
    assert keys.without_keys(" ".join(sent)) == " ".join(["[key]"] * 30)


@pytest.mark.usefixtures("_no_keys")
def test_long_tokens_and_long_texts_take_no_time() -> None:
    for _ in range(100):
        keys.note_key(secrets.token_hex(700))
    started = time.process_time()
    keys.without_keys(secrets.token_hex(100_000))
    assert time.process_time() - started < 2  # seconds; it was a minute


@pytest.mark.usefixtures("_no_keys")
def test_a_log_is_cut_searched_in_its_errors_and_never_in_the_way(
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = GIVEN["PLANTED_KEY"]
    keys.note_key(key)
    keys.hide_in_logs()
    log = logging.getLogger("anthropic._base_client")
    with caplog.at_level(logging.DEBUG, log.name):
        log.debug("x" * 5_000_000)
        log.debug("broken", exc_info=ValueError(key))
        log.debug("{'content': 'Authorization: international-cooperation, in words'}")
        record = logging.LogRecord(log.name, logging.DEBUG, "", 1, "%d %d", ("one",), None)
        assert log.filter(record)
    assert len(caplog.records[0].getMessage()) < 110_000
    assert found_in(caplog.text[-1000:].encode()) == []
    assert "ValueError: " in caplog.text[-1000:]
    assert str(NbvisionError("international-cooperation.png")) == "international-cooperation.png"


@pytest.mark.parametrize("name", SECRETS)
def test_the_search_would_find_a_key(name: str) -> None:
    secret = SECRETS[name].encode()
    forms = [secret, secret[-14:], secret.hex().encode(), base64.b64encode(b"a" + secret)]
    for form in forms:
        assert name in found_in(b"before " + form + b" after")
