"""A request as code that sends it without nbvision: the SDK, curl, boto3, or the `ant` command.

The code is made from the body that goes over the wire and from nothing else, so that it sends
what was sent. Pictures stand beside it as files, with the very bytes; a key is in neither.

Words of a prompt reach a file of code only through `spellings`, as literals of its language.
"""

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from nbvision.catalogue import find_model
from nbvision.errors import RequestError
from nbvision.markup import bundle, escape, rich
from nbvision.platforms import find_platform
from nbvision.prompts import in_words
from nbvision.spellings import PictureFile, as_json_around, as_python, as_yaml

__all__ = ["FORMS", "Export", "Form", "export_body"]

Form = Literal["python", "curl", "boto3", "ant"]
FORMS: tuple[Form, ...] = ("python", "curl", "boto3", "ant")

_NAMES: Mapping[Form, str] = {
    "python": "request.py",
    "curl": "request.sh",
    "boto3": "request_bedrock.py",
    "ant": "request.yaml",
}
_ENDINGS = {"image/jpeg": "jpg", "image/png": "png", "image/gif": "gif", "image/webp": "webp"}
_SHOWN_CHARACTERS = 20_000  # a notebook keeps its outputs
_API_VERSION, _BEDROCK_VERSION = "2026-10-21", "bedrock-2023-05-31"


@dataclass(frozen=True, slots=True, repr=False)
class Export:
    """Code that sends a request, and the pictures that belong beside it.

    Attributes
    ----------
    name
        The file the code belongs in.
    text
        The code; ``print(export)`` shows it plainly.
    files
        The pictures by file name, as the very bytes that are sent.
    """

    name: str
    text: str
    files: Mapping[str, bytes]

    def save(self, folder: str | Path) -> Path:
        r"""Write code and pictures into a folder, and return where the code is.

        The folder is made if there is none. A file that is there already stays if it is the
        same; nothing is overwritten.

        Raises
        ------
        RequestError
            If another file of one of the names is there, or the folder cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Export("request.sh", "true\n", {}).save(folder).read_text()
        'true\n'
        """
        place = Path(folder).expanduser()
        contents = {**self.files, self.name: self.text.encode()}
        try:
            place.mkdir(parents=True, exist_ok=True)
            missing = [name for name, data in contents.items() if not _is_there(place, name, data)]
            for name in missing:
                _write_new(place / name, contents[name])
        except OSError as error:
            raise RequestError(
                f"cannot write to {place.name or place}: {error.strerror}",
                cure="choose a folder that may be written",
            ) from None
        return place / self.name

    def __reduce__(self) -> tuple[object, ...]:
        # A view of a dictionary is neither pickled nor copied; what it shows is.
        return _export, (self.name, self.text, dict(self.files))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        beside = f" and {', '.join(self.files)}" if self.files else ""
        return f"Export({self.name!r}{beside[:150]}, {len(self.text):,} characters)"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        shown = self.text[:_SHOWN_CHARACTERS]
        cut = len(self.text) - len(shown)
        if cut:
            shown += f"\n… and {cut:,} characters more; export.text holds all"
        sizes = [f"{name} ({len(data) / 1000:.0f} kB)" for name, data in self.files.items()]
        beside = f"{self.name}, beside it {', '.join(sizes)}" if sizes else self.name
        markup = rich(
            f"<div><small>{escape(beside)}</small></div>"
            f'<pre style="white-space:pre-wrap"><code>{escape(shown)}</code></pre>'
        )
        return bundle(f"{beside}\n\n{shown}", markup=markup)


def _export(name: str, text: str, files: Mapping[str, bytes]) -> Export:
    return Export(name, text, MappingProxyType(dict(files)))


def export_body(body: Mapping[str, Any], form: Form) -> Export:
    """Return code that sends a request.

    Parameters
    ----------
    body
        The body of the Messages API, pictures included.
    form
        ``"python"``: the `anthropic` SDK, streaming. ``"curl"``: a script for bash with curl and
        base64. ``"boto3"``: Amazon Bedrock's InvokeModel. ``"ant"``: YAML for the `ant` command,
        by its public documentation and source of 2026; it was not run against the command.

    Raises
    ------
    RequestError
        If there is no such form, or it cannot carry what the request holds.

    Examples
    --------
    >>> asked = {"model": "claude-opus-5-5", "max_tokens": 9, "messages": []}
    >>> print(export_body(asked, "ant"))
    # Sends one request: ant messages create < request.yaml
    model: "claude-opus-5-5"
    max_tokens: 9
    messages: []
    <BLANKLINE>
    """
    if form not in FORMS:
        raise RequestError(f"no form {form!r}"[:200], limit=", ".join(FORMS))
    files: dict[str, bytes] = {}
    named = _with_blocks(_plain_data(body), lambda block: _named(block, files))
    write = {"python": _python, "curl": _curl, "boto3": _boto3, "ant": _ant}[form]
    notes = _comments(list(_too_large(files))) if form == "boto3" else ""
    return Export(_NAMES[form], notes + write(named), MappingProxyType(files))


def _too_large(files: Mapping[str, bytes]) -> Iterator[str]:
    """Yield which pictures Amazon Bedrock will refuse for their size."""
    most = find_platform("bedrock").image_base64_limit
    for name, data in files.items():
        length = 4 * -(-len(data) // 3)
        if most is not None and length > most:
            yield (
                f"{name} is {length / 1e6:.1f} MB as base64; Bedrock takes {most / 1e6:g} MB: "
                'prepare it for there: nv.prepare(image, backend=nv.connect("bedrock")).'
            )


def _plain_data(body: Mapping[str, Any]) -> Any:
    """Return the body as JSON has it: no other value has a spelling in code."""
    try:
        return json.loads(json.dumps(body, allow_nan=False))
    except (TypeError, ValueError) as error:
        words = str(error)[:100]
    raise RequestError(
        f"a request that is not JSON: {words}", cure="look at the schema: numbers, text, lists"
    )


def _with_blocks(body: dict[str, Any], change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Return a body with each block of its messages changed."""
    messages = [
        {**message, "content": [change(block) for block in message["content"]]}
        for message in body["messages"]
    ]
    return {**body, "messages": messages}


def _named(block: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
    """Return a block with a picture's data replaced by the file it is in."""
    if block["type"] != "image" or block["source"]["type"] != "base64":
        return block
    source = block["source"]
    data = base64.b64decode(source["data"])
    known = [name for name, other in files.items() if other == data]
    ending = _ENDINGS.get(source["media_type"], "bin")
    name = known[0] if known else f"image_{len(files) + 1}.{ending}"
    files[name] = data
    return {**block, "source": {**source, "data": PictureFile(name)}}


_HERE = """\
# The pictures lie beside this file.
FOLDER = Path(__file__).parent if "__file__" in globals() else Path()


def picture(name):
    return base64.b64encode((FOLDER / name).read_bytes()).decode("ascii")


"""


def _sources(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return where the pictures of a body come from."""
    blocks = (block for message in body["messages"] for block in message["content"])
    return [block["source"] for block in blocks if block["type"] == "image"]


def _has_files(body: dict[str, Any]) -> bool:
    return any(source["type"] == "base64" for source in _sources(body))


def _python(body: dict[str, Any]) -> str:
    request, notes = _for_the_api(body)
    has_files = _has_files(request)
    imports = "import base64\nfrom pathlib import Path\n\n" if has_files else ""
    return (
        "# Sends one request. Needs: pip install anthropic; the key is read from "
        "ANTHROPIC_API_KEY.\n"
        f"{_comments(notes)}{imports}import anthropic\n\n{_HERE if has_files else ''}"
        f"REQUEST = {as_python(request)}\n\n"
        "with anthropic.Anthropic() as client, client.messages.stream(**REQUEST) as stream:\n"
        "    for text in stream.text_stream:\n"
        '        print(text, end="", flush=True)\n'
        "print()\n"
    )


def _boto3(body: dict[str, Any]) -> str:
    model_id, request, notes = _for_bedrock(body)
    has_files = _has_files(request)
    base, path = ("import base64\n", "from pathlib import Path\n") if has_files else ("", "")
    return (
        "# Sends one request to Amazon Bedrock. Needs: pip install boto3; credentials, profile "
        "and region\n# are read from the environment, as boto3 and the AWS guides name them.\n"
        f"{_comments(notes)}{base}"
        f"import json\nimport os\n{path}\nimport boto3\nfrom botocore.config import Config\n\n"
        f"{_HERE if has_files else ''}"
        f"MODEL_ID = {as_python(model_id)}\nREQUEST = {as_python(request)}\n\n"
        "# boto3 would repeat an answer that is slow to come, and each is billed.\n"
        'config = Config(read_timeout=600, retries={"total_max_attempts": 1})\n'
        'client = boto3.client(\n    "bedrock-runtime", '
        'region_name=os.environ.get("AWS_REGION"), config=config\n)\n'
        "reply = client.invoke_model(modelId=MODEL_ID, body=json.dumps(REQUEST))\n"
        'message = json.loads(reply["body"].read())\n'
        'print("".join(part["text"] for part in message["content"] if part["type"] == "text"))\n'
        "client.close()\n"
    )


_CURL_HEAD = """\
#!/usr/bin/env bash
# Sends one request. Needs bash, curl and base64; the key is read from ANTHROPIC_API_KEY.
"""
_CURL_START = """\
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]:-.}")"  # the pictures lie beside this script
: "${ANTHROPIC_API_KEY:?is not set}"
address=${ANTHROPIC_BASE_URL:-https://api.anthropic.com}

picture() {
  printf '"'
  base64 < "$1" | tr -d '\\n'
  printf '"\\n'
}

request() {
"""
_CURL_END = f"""\
}}

# The key goes in by a file descriptor: what stands on a command line is seen by every user.
request | curl --silent --show-error --fail-with-body "${{address%/}}/v1/messages" \\
  --header 'content-type: application/json' \\
  --header 'anthropic-version: {_API_VERSION}' \\
  --header @<(printf 'x-api-key: %s\\n' "$ANTHROPIC_API_KEY") \\
  --data-binary @-
"""


def _curl(body: dict[str, Any]) -> str:
    request, notes = _for_the_api(body)
    parts = []
    for piece in as_json_around(request):
        if isinstance(piece, PictureFile):
            parts.append(f"  picture {piece.name}\n")
        else:
            # A quoted delimiter switches every expansion off, and no line of JSON reads JSON.
            parts.append(f"  cat <<'JSON'\n{piece}\nJSON\n")
    return f"{_CURL_HEAD}{_comments(notes)}{_CURL_START}{''.join(parts)}{_CURL_END}"


def _ant(body: dict[str, Any]) -> str:
    request, notes = _for_the_api(body)
    here = ", in the folder that holds the pictures" if _has_files(request) else ""
    head = f"# Sends one request: ant messages create < request.yaml{here}\n"
    return f"{head}{_comments(notes)}{as_yaml(request)}"


def _comments(notes: list[str]) -> str:
    return "".join(f"# {note}\n" for note in notes)


def _for_the_api(body: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a body under the id the Anthropic API has for its model, and what to know of it."""
    model_id, notes = body["model"], list(_cautions(body))
    known, is_of_a_cloud = find_model(model_id), _is_of_bedrock(model_id) or "@" in model_id
    if is_of_a_cloud and not known.is_guessed:
        model_id = known.id
        notes.append("The model's id is the Anthropic API's; it was asked at another place.")
    return {**body, "model": model_id}, notes


def _for_bedrock(body: dict[str, Any]) -> tuple[str, dict[str, Any], list[str]]:
    """Return a model's Bedrock id, the body as InvokeModel takes it, and what to know of it."""
    model_id, notes = body["model"], list(_cautions(body))
    ids = find_model(model_id).platform_ids
    if not _is_of_bedrock(model_id) or model_id == ids.get("mantle"):
        translated = ids.get("bedrock")
        if translated is not None:
            model_id = translated
            notes.append(
                "The model's id is Bedrock's; us. is the region's group: eu., jp., global."
            )
        else:
            notes.append("No id on Bedrock is known of this model: put one in.")
    request = {key: value for key, value in body.items() if key != "model"}
    request = _with_blocks(request, _for_invoke)
    output = dict(request.pop("output_config", {}))
    if form := output.pop("format", None):
        request["messages"] = _asking_in_words(request["messages"], form.get("schema"))
        notes.append("Words ask for the form of the answer: InvokeModel takes no schema.")
    if output:
        request["output_config"] = output
    return model_id, {"anthropic_version": _BEDROCK_VERSION, **request}, notes


def _is_of_bedrock(model_id: str) -> bool:
    return "anthropic." in model_id or model_id.startswith("arn:")


def _cautions(body: dict[str, Any]) -> Iterator[str]:
    if body["model"].startswith("practice-"):
        yield "A practice model answers at the practice server only: put in another id elsewhere."
    if any(source["type"] == "file" for source in _sources(body)):
        yield "A picture is named by the id of an upload, which only its own workspace can see."
    if any("?" in source.get("url", "") for source in _sources(body)):
        yield "A picture's address may carry a signature: look before you share this."


def _for_invoke(block: dict[str, Any]) -> dict[str, Any]:
    """Return a block without what Bedrock does not take; refuse what cannot be left out."""
    if block["type"] == "image" and block["source"]["type"] != "base64":
        raise RequestError(
            f"a picture named by {block['source']['type']}",
            limit="InvokeModel takes pictures as bytes",
            cure='open it here: nv.open_image(…), or export("python")',
        )
    return {key: value for key, value in block.items() if key != "transformations"}


def _asking_in_words(messages: list[dict[str, Any]], schema: Any) -> list[dict[str, Any]]:
    *earlier, last = messages
    *before, words = last["content"]
    asked = f"{words['text']}\n{in_words(json.dumps(schema, ensure_ascii=False))}"
    return [*earlier, {**last, "content": [*before, {**words, "text": asked}]}]


def _is_there(folder: Path, name: str, data: bytes) -> bool:
    """Whether exactly this file is there already; refuse another, and never follow a link."""
    path = folder / name
    if path.is_file() and not path.is_symlink():
        if path.stat().st_size == len(data) and path.read_bytes() == data:
            return True
    elif not os.path.lexists(path):
        return False
    raise RequestError(
        f"another {name} is in that folder",
        limit="nothing is overwritten",
        cure="choose an empty folder, or remove it",
    )


def _write_new(path: Path, data: bytes) -> None:
    # O_EXCL follows no link: what came there meanwhile is an error, never overwritten.
    mode = 0o777 if path.suffix == ".sh" else 0o666
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError:
        path.unlink(missing_ok=True)
        raise
