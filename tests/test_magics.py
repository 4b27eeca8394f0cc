"""The magics, in a real IPython shell, against the practice server."""

import builtins
import gc
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient
from other_server import OtherServer, other_server
from PIL import Image
from pydantic import BaseModel
from traitlets.config import Config

import nbvision as nv
from nbvision.backends.connection import BACKENDS
from nbvision.backends.connection import SECRETS as SECRET_ARGUMENTS
from nbvision.errors import (
    BudgetExceeded,
    ImageNotFound,
    LimitExceeded,
    NotConnected,
    RequestError,
    UnsafeSource,
    UnsupportedImage,
)
from nbvision.magics.cures import in_magics
from nbvision.magics.line import read_line, words_of
from nbvision.magics.options import KEPT, options_of
from nbvision.magics.pictures import MOST_PICTURES
from nbvision.spending import spent, start_again
from nbvision.store import Store


class Shape(BaseModel):
    """What one test asks for."""

    count: int


@pytest.fixture(scope="module")
def running() -> Iterator[InteractiveShell]:
    quiet = Config(
        {"HistoryManager": {"enabled": False}, "InteractiveShell": {"colors": "nocolor"}}
    )
    shell = InteractiveShell.instance(config=quiet)
    yield shell
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    InteractiveShell.clear_instance()


@pytest.fixture
def shell(
    running: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[InteractiveShell]:
    """A shell with the magics loaded, in a folder with pictures, asking the practice server."""
    monkeypatch.chdir(tmp_path)
    for number in (1, 2, 10):
        colours = {1: "red", 2: "lime", 10: "blue"}
        Image.new("RGB", (240, 220), colours[number]).save(tmp_path / f"img{number}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "my photos").mkdir()
    Image.new("RGB", (300, 300), "white").save(tmp_path / "my photos" / "a b.png")
    nv.connect("practice", words_per_second=None)
    start_again()
    # A doctest leaves its last value there, and a shell then keeps its own to itself.
    monkeypatch.delattr(builtins, "_", raising=False)
    # A reset looks for garbage; what is loaded by now is none, and searching it takes longer than
    # a test.
    gc.freeze()
    running.reset(new_session=False)
    running.run_line_magic("load_ext", "nbvision")
    running.push({"nv": nv})
    yield running
    running.run_line_magic("unload_ext", "nbvision")


def result(shell: InteractiveShell, code: str) -> Any:
    """Run a cell and return what it shows; an error of the cell is raised."""
    done = shell.run_cell(code, store_history=True)
    done.raise_error()
    return done.result


# -- what a cell becomes ---------------------------------------------------------------------


def test_a_cell_is_the_plain_call_and_its_result_is_the_cells(shell: InteractiveShell) -> None:
    reply = result(shell, "%%describe img1.png\nWhich colour is this?\n")
    assert isinstance(reply, nv.Reply)
    assert reply.request.messages[0].blocks[1] == "Which colour is this?"
    assert shell.user_ns["_"] is reply
    assert reply in shell.user_ns["Out"].values()


def test_a_line_alone_asks_the_default_prompt(shell: InteractiveShell) -> None:
    for code in ("%describe img1.png", "%%describe img1.png", "%%describe img1.png\n\n  \n"):
        assert result(shell, code).request.messages[0].blocks[1] == "Describe this image."


def test_a_line_magic_can_be_assigned(shell: InteractiveShell) -> None:
    assert result(shell, "kept = %describe img1.png") is None
    assert isinstance(shell.user_ns["kept"], nv.Reply)


PROMPTS = [
    "{nv} {1+1} {{}}",
    "$nv ${HOME} $(ls)",
    "%%ask is a word\n  indented",
    "ends?",
    "!ls\n?x",
]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_is_sent_as_it_stands(shell: InteractiveShell, prompt: str) -> None:
    reply = result(shell, f"%%ask img1.png\n{prompt}\n")
    assert reply.request.messages[0].blocks[1] == prompt


def test_the_line_is_not_expanded_either(shell: InteractiveShell) -> None:
    reply = result(shell, '%%ask img1.png --system "{nv} $nv"\nWhat?')
    assert reply.request.system == "{nv} $nv"


def test_code_can_run_a_magic(shell: InteractiveShell) -> None:
    reply = shell.run_cell_magic("ask", "img1.png", "What is this?")
    assert reply.request.messages[0].blocks[1] == "What is this?"
    assert isinstance(shell.run_line_magic("describe", "img1.png"), nv.Reply)


def test_comparing_labels_the_pictures(shell: InteractiveShell) -> None:
    reply = result(shell, "%compare nv.samples.shelf_before nv.samples.shelf_after")
    assert reply.text.startswith("From Image 1 to Image 2")


def test_locating_gives_boxes_in_original_pixels(shell: InteractiveShell) -> None:
    found = result(shell, "%%locate nv.samples.photo\nthe red bowl")
    assert found[0].iou(nv.samples.photo.truth[0]) > 0.9


def test_options_travel(shell: InteractiveShell) -> None:
    line = "img1.png --model practice-standard --system='Be brief.' --max-tokens 1_000 --effort low"
    request = result(shell, f"%%ask {line}\nWhat?").request
    assert (request.model_id, request.system) == ("practice-standard", "Be brief.")
    assert (request.max_tokens, request.effort) == (1000, "low")


def test_points_are_asked_for(shell: InteractiveShell) -> None:
    found = result(shell, "%%locate nv.samples.shapes --kind points\nevery circle")
    assert [spot.label for spot in found.points] == ["red circle", "red circle"]
    assert not found.boxes


@pytest.mark.parametrize("magic", ["describe", "compare", "locate", "ask"])
def test_thinking_can_be_shown(shell: InteractiveShell, magic: str) -> None:
    pictures = "img1.png img2.png" if magic == "compare" else "img1.png"
    model = "--model claude-opus-5-5"
    found = result(shell, f"%%{magic} {pictures} {model} --thinking summarized\nevery square")
    reply = found.reply if magic == "locate" else found
    assert reply.request.thinking == "summarized"
    assert reply.thinking


def test_thinking_is_a_setting_that_a_line_takes_back(shell: InteractiveShell) -> None:
    shown = result(shell, "%nbvision --model claude-opus-5-5 --thinking summarized")
    assert "--thinking summarized" in repr_of(shown)
    assert result(shell, "%describe img1.png").request.thinking == "summarized"
    assert result(shell, "%describe img1.png --thinking=").request.thinking is None


def test_into_keeps_the_result_and_shows_nothing(shell: InteractiveShell) -> None:
    assert result(shell, "%%ask img1.png --into reply\nWhat?") is None
    assert isinstance(shell.user_ns["reply"], nv.Reply)


def test_a_schema_is_a_variable(shell: InteractiveShell) -> None:
    shell.push({"Shape": Shape, "number": 3})
    reply = result(shell, "%%ask nv.samples.shapes --schema Shape\nevery shape")
    assert reply.parsed == Shape(count=9)
    with pytest.raises(RequestError, match="number is a int"):
        result(shell, "%%ask nv.samples.shapes --schema number\nevery shape")


# -- how words become pictures ---------------------------------------------------------------


class Picker:
    """Has what every widget that picks has."""

    def __init__(self, images: object) -> None:
        self._images = images

    @property
    def images(self) -> object:
        if isinstance(self._images, Exception):
            raise self._images
        return self._images


def sizes(shell: InteractiveShell, line: str) -> list[tuple[int, int]]:
    reply = result(shell, f"%describe {line}")
    return [tuple(image.source.size) for image in reply.images]


def test_every_way_to_name_pictures(shell: InteractiveShell, tmp_path: Path) -> None:
    array = np.zeros((230, 210, 3), np.uint8)
    photo = nv.open_image(tmp_path / "img1.png")
    shell.push(
        {
            "photo": photo,
            "photos": [photo, array, "img2.png"],
            "pick": Picker((photo, photo)),
            "reply": nv.describe(photo),
            "grid": {"a": 1},
        }
    )
    small, white = (240, 220), (300, 300)
    assert sizes(shell, "photo") == [small]
    assert sizes(shell, "$photo") == [small]
    assert sizes(shell, "photos") == [small, (210, 230), small]
    assert sizes(shell, "photos[1] photos[-1]") == [(210, 230), small]
    assert sizes(shell, "photos[1:]") == [(210, 230), small]
    assert sizes(shell, "pick.images") == [small, small]
    assert sizes(shell, "pick") == [small, small]
    assert sizes(shell, "reply") == [small]
    assert sizes(shell, "nv.samples.page") == [(1075, 1520)]
    assert sizes(shell, '"my photos/a b.png" img2.png') == [white, small]
    assert sizes(shell, "'my photos/*'") == [white]
    assert sizes(shell, f"{tmp_path}/img1.png") == [small]
    assert sizes(shell, "**/*.png")[-1] == white


def test_patterns_count_as_people_do(shell: InteractiveShell) -> None:
    reply = result(shell, "%describe img*.png")
    assert [image.source.source for image in reply.images] == ["img1.png", "img2.png", "img10.png"]


def test_a_picker_widget_is_a_word(shell: InteractiveShell) -> None:
    picker = nv.ImagePicker(".")
    picker.select("img1.png", "img2.png")
    shell.push({"picker": picker})
    assert sizes(shell, "picker.images") == [(240, 220), (240, 220)]
    picker.close()


def test_an_address_is_a_word(shell: InteractiveShell) -> None:
    with pytest.raises(nv.NbvisionError, match="http"):
        result(shell, "%describe http://127.0.0.1:1/a.png")


def test_a_name_for_two_things_is_refused_and_both_can_be_said(shell: InteractiveShell) -> None:
    Image.new("RGB", (300, 300)).save("double", "PNG")
    shell.push({"double": nv.open_image("img1.png")})
    with pytest.raises(RequestError, match="both a variable and a file") as caught:
        result(shell, "%describe double")
    assert caught.value.cure == '$double is the variable, "double" the file'
    assert sizes(shell, "$double") == [(240, 220)]
    assert sizes(shell, '"double"') == [(300, 300)]
    assert sizes(shell, "./double") == [(300, 300)]


def test_a_folder_and_a_list_may_share_a_name(shell: InteractiveShell, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    shell.push({"photos": ["img1.png"]})
    assert sizes(shell, "photos") == [(240, 220)]


def test_names_are_looked_up_and_nothing_is_called(shell: InteractiveShell) -> None:
    for word in ("open('x','w')", "nv.connect()", "[1,2]", "photo.__class__()", "lambda:0"):
        with pytest.raises(nv.NbvisionError):
            result(shell, f'%describe $"{word}"' if " " in word else f"%describe {word}")
    assert not Path("x").exists()


MISTAKES = [
    ("img7.png", ImageNotFound, "no variable and no file img7.png", "did you mean img"),
    ("fotos", ImageNotFound, "no variable and no file fotos", "kernel runs in"),
    ("phot", ImageNotFound, "no variable and no file phot", "did you mean photo?"),
    ("$phot", RequestError, "no variable phot", "did you mean photo?"),
    ("'my photos'", ImageNotFound, "my photos is a folder", '"my photos/*"'),
    ("img*.jpg", ImageNotFound, r"no file matches img\*\.jpg", "kernel runs in"),
    ("*.txt", ImageNotFound, "1 files, none a picture by its name", ""),
    ("notes.txt", UnsupportedImage, "notes.txt", ""),
    ("number", UnsupportedImage, "number: a int", ""),
    ("nothing", RequestError, "nothing holds no picture", ""),
    ("broken", RequestError, "broken cannot be read: ZeroDivisionError", ""),
    ("photo[9]", UnsupportedImage, "", ""),
    ("listed[9]", RequestError, r"listed\[9\] cannot be read: IndexError", ""),
    ("''", ImageNotFound, "an empty word", ""),
    ("a\x00b", ImageNotFound, "no file a", ""),
    ("it's.jpg", RequestError, "a quotation mark ' that is not closed", 'between " and "'),
    ("nv.samples.nope", ImageNotFound, "nv has no samples.nope, nor is there such a file", ""),
    ("file:///etc/passwd", UnsafeSource, "scheme 'file'", ""),
    ("$", RequestError, r"no variable \(nothing\)", ""),
    ("img1.png --into nv", RequestError, "--into nv, which is a module", ""),
    ("", RequestError, "no picture after %describe", "%describe photo.jpg"),
    ("img1.png --modle x", RequestError, "no option --modle", "did you mean --model?"),
    ("img1.png --zzz x", RequestError, "no option --zzz", "%describe --help"),
    ("img1.png --model", RequestError, "--model without its value", "--model VALUE"),
    ("img1.png --model --system x", RequestError, "--model without its value", ""),
    ("img1.png --model a --model=b", RequestError, "--model twice", ""),
    ("img1.png --max-tokens many", RequestError, "--max-tokens many", ""),
    ("img1.png --max-tokens 0", RequestError, "--max-tokens 0", ""),
    ("img1.png --effort huge", RequestError, "--effort huge", ""),
    ("img1.png --thinking all", RequestError, "--thinking all", ""),
    ("img1.png --kind points", RequestError, "no option --kind", "%describe --help"),
    ("img1.png --into 2x", RequestError, "--into 2x", "--into found"),
    ("img1.png --into class", RequestError, "--into class", ""),
    ("img1.png --into a.b", RequestError, "--into a.b", ""),
    ("img1.png --into list", RequestError, "Python's own list", "--into my_list"),
]


@pytest.mark.parametrize(("line", "kind", "value", "cure"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named_before_anything_is_sent(
    shell: InteractiveShell, line: str, kind: type[nv.NbvisionError], value: str, cure: str
) -> None:
    photo = nv.open_image("img1.png")
    shell.push({"photo": photo, "number": 3, "nothing": [], "listed": [photo]})
    shell.push({"broken": Picker(ZeroDivisionError())})
    if line == "photo[9]":
        kind, value = RequestError, r"photo\[9\] cannot be read: TypeError"
    with pytest.raises(kind, match=value) as caught:
        shell.run_line_magic("describe", line)
    assert cure in caught.value.cure
    assert spent() == ()


def test_an_error_shows_its_lines_and_no_trace(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not shell.run_cell("%%describe img1.png --modle x\nWhat?").success
    shown = capsys.readouterr().out
    assert shown.splitlines()[0] == "RequestError: %%describe has no option --modle"
    assert "limit: --model, --system" in shown
    assert "did you mean --model?" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("%locate img1.png", "nothing to locate"),
        ("%%locate img1.png\n \n", "nothing to locate"),
        ("%ask img1.png", "nothing is asked"),
        ("%%ask img1.png", "nothing is asked"),
        ("%compare img1.png", "1 image to compare"),
        ("%%locate img1.png img2.png\nx", "2 images to locate in"),
    ],
)
def test_what_is_missing_is_said(shell: InteractiveShell, code: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        result(shell, code)


@pytest.mark.parametrize("kind", ["spots", ""])
def test_a_kind_is_one_of_two(shell: InteractiveShell, kind: str) -> None:
    with pytest.raises(RequestError, match=rf"--kind {kind or '.nothing.'}") as caught:
        result(shell, f"%%locate img1.png --kind={kind}\na door")
    assert caught.value.limit == "boxes, points"
    assert spent() == ()


CURES = [
    ("%%compare img1.png\nWhat?", "%%compare before.png after.png"),
    ("%compare img1.png", "%%compare before.png after.png"),
    ("%%locate img1.png img2.png\nx", "%%locate in a cell for each picture"),
    ("%%ask img1.png --schema Plain\nWhat?", "--schema MyModel, a class"),
    ("%describe img1.png --model claude-haiku-4-5 --thinking summarized", "leave --thinking out"),
    ("%nbvision connect bedrock", "%nbvision connect bedrock --region us-east-1, or set"),
    ("%nbvision connect bedrock-mantle", "%nbvision connect bedrock-mantle --region us-east-1"),
    ("%nbvision connect foundry", "%nbvision connect foundry --resource …, or set"),
    ("%nbvision connect ollama", "connect anthropic --base-url http://localhost:11434"),
    ("%nbvision connect claude-opus-5-5", "%nbvision connect anthropic --model …"),
    ("%nbvision connect practice --resource x", "%nbvision connect foundry --resource …"),
    ("%nbvision connect bedrock --region a --model claude-opus-5-5", "--model us.anthropic."),
    ("%nbvision --project-id x", "%nbvision connect vertex --project-id …"),
    ("%nbvision --base-url x", "%nbvision connect anthropic --base-url …"),
]


@pytest.mark.parametrize(("code", "cure"), CURES)
def test_a_cure_is_what_a_magic_takes(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch, code: str, cure: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "ANTHROPIC_FOUNDRY_RESOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    shell.push({"Plain": int})
    with pytest.raises(nv.NbvisionError) as caught:
        result(shell, code)
    assert cure in caught.value.cure
    assert "nv.connect(" not in caught.value.cure
    assert "=" not in caught.value.cure


@pytest.mark.parametrize(
    "cure",
    [
        'nv.connect("foundry", api_key=…)',
        "make it for this model: nv.prepare(image, model='x')",
        "keys go into api_key= or the environment",
    ],
)
def test_a_cure_that_is_pythons_stays(cure: str) -> None:
    assert in_magics(RequestError("x", cure=cure)) == cure


@pytest.mark.parametrize(
    ("cure", "typed"),
    [
        ("raise the budget: nv.connect(budget=0.12)", "%nbvision connect --budget 0.12"),
        ('replies="my lesson.replies"', '--replies "my lesson.replies"'),
        ("run it without offline=True", "run it without --offline"),
        (
            'nv.connect("practice", replies="a.replies", offline=True, store=False)',
            "%nbvision connect practice --replies a.replies --offline --no-store",
        ),
        ("nv.connect(replies='a')", "%nbvision connect --replies a"),
        ("connect without budget=", "connect without --budget"),
    ],
)
def test_what_is_said_of_stored_answers_is_what_a_magic_takes(cure: str, typed: str) -> None:
    assert in_magics(RequestError("x", cure=cure)).endswith(typed)


def test_names_of_files_are_no_arguments() -> None:
    error = ImageNotFound("x", cure="did you mean model=a.png?")
    assert in_magics(error) == "did you mean model=a.png?"


def test_patterns_are_bounded(shell: InteractiveShell, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(MOST_PICTURES + 1):
        (tmp_path / "many" / f"{number}.png").touch()
    with pytest.raises(LimitExceeded, match=r"matches 601 pictures"):
        result(shell, "%describe many/*")
    shell.push({"photos": ["img1.png"] * MOST_PICTURES})
    with pytest.raises(LimitExceeded, match="601 pictures on one line"):
        result(shell, "%describe photos img1.png")


# -- the line --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("", []),
        ("  a\tb  ", ["a", "b"]),
        ("'a b' \"c'd\"", ["a b", "c'd"]),
        ('--system="be brief" x', ["--system=be brief", "x"]),
        ("a'b c'd", ["ab cd"]),
        ('""', [""]),
        (r"C:\pics\a.png \\host\b", [r"C:\pics\a.png", r"\\host\b"]),
    ],
)
def test_words_are_split_at_spaces_outside_quotes(line: str, texts: list[str]) -> None:
    assert [word.text for word in words_of(line)] == texts


def test_a_word_in_quotes_is_no_option() -> None:
    read = read_line('"--odd name.png"', "%describe", ["model"])
    assert [word.text for word in read.words] == ["--odd name.png"]


SECRETS = [
    "connect anthropic --api-key sk-ant-secret",
    "connect anthropic sk-ant-api03-secret",
    "connect bedrock --api-key=ABSKsecret",
    "--token secret",
    "connect vertex --access-token secret",
    "connect foundry --access_token=secret",
    "connect foundry --API_KEY secret",
    "connect vertex --region ya29.secret",
    "--system 'the key is sk-ant-secret'",
]


@pytest.mark.parametrize("line", SECRETS)
def test_a_key_is_refused_and_not_repeated(shell: InteractiveShell, line: str) -> None:
    with pytest.raises(RequestError, match="a key on the line") as caught:
        shell.run_line_magic("nbvision", line)
    assert "secret" not in str(caught.value)
    assert "ANTHROPIC_API_KEY" in caught.value.cure
    assert "keep cells" in caught.value.limit


# -- %nbvision -------------------------------------------------------------------------------


def test_settings_hold_for_all_magics_until_they_are_taken_back(shell: InteractiveShell) -> None:
    line = '%nbvision --model practice-standard --system "Be brief." --max-tokens 500'
    assert "--model practice-standard, --system Be brief." in repr_of(result(shell, line))
    request = result(shell, "%%ask img1.png --max-tokens 600\nWhat?").request
    assert (request.model_id, request.system) == ("practice-standard", "Be brief.")
    assert request.max_tokens == 600
    result(shell, "%nbvision --system=")
    assert result(shell, "%describe img1.png").request.system is None
    result(shell, "%nbvision reset")
    assert result(shell, "%describe img1.png").request.model_id == "practice-high"


def repr_of(shown: Any) -> str:
    words: str = shown._repr_mimebundle_()["text/plain"]
    return words


def test_what_was_spent_is_counted_whoever_asked(shell: InteractiveShell) -> None:
    first = result(shell, "%describe img1.png")
    second = nv.describe("img2.png", model="practice-standard")
    status = result(shell, "%nbvision")
    assert status.total.answers == 2
    assert status.total.output_tokens == first.usage.output_tokens + second.usage.output_tokens
    assert "2 answers" in repr_of(status)
    assert "$0.00" in repr_of(status)
    assert {row.model for row in status.rows} == {"practice-high", "practice-standard"}
    assert "<th" in status._repr_mimebundle_()["text/html"]
    assert result(shell, "%nbvision reset").total.answers == 0


@pytest.fixture
def says() -> Iterator[Callable[[str, str], OtherServer]]:
    running: list[Any] = []

    def connect(model: str, text: str) -> OtherServer:
        place = other_server(lambda _: text)
        running.append(place)
        found = place.__enter__()
        nv.connect("anthropic", model=model, base_url=found.url, api_key="none")
        return found

    yield connect
    for place in running:
        place.__exit__(None, None, None)


def test_prices_that_are_not_known_are_said(shell: InteractiveShell, says: Any) -> None:
    says("claude-of-another-house", "A wall.")
    result(shell, "%describe img1.png")
    assert "1 answer of unknown price" in repr_of(result(shell, "%nbvision"))
    says("claude-opus-5-5", "A wall.")
    result(shell, "%describe img1.png")
    assert "$0.000184 and 1 answer of unknown price" in repr_of(result(shell, "%nbvision"))


def test_an_unreadable_answer_was_paid_all_the_same(shell: InteractiveShell, says: Any) -> None:
    says("claude-opus-5-5", "no boxes here")
    with pytest.raises(nv.NbvisionError):
        result(shell, "%%locate img1.png\na door")
    assert result(shell, "%nbvision").total.answers == 1


def test_what_never_arrived_anywhere_is_not_counted(shell: InteractiveShell) -> None:
    nv.connect("anthropic", base_url="http://127.0.0.1:9", api_key="none")
    with pytest.raises(nv.NbvisionError):
        result(shell, "%describe img1.png")
    assert result(shell, "%nbvision").total.broken_off == 0


def test_connecting_by_magic(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert result(shell, "%nbvision connect practice --model practice-standard").name == "practice"
    assert "practice answers, with practice-standard" in repr_of(result(shell, "%nbvision"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "from-the-environment")
    assert result(shell, "%nbvision connect anthropic").name == "anthropic"
    assert "from-the-environment" not in repr_of(result(shell, "%nbvision"))
    bedrock = result(shell, "%nbvision connect bedrock --region eu-west-1")
    assert bedrock.name == "bedrock"


def test_every_backend_can_be_connected_with_what_it_takes(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_FOUNDRY_API_KEY", "from-the-environment")
    monkeypatch.setenv("ANTHROPIC_AWS_API_KEY", "from-the-environment")
    foundry = result(shell, "%nbvision connect foundry --resource school")
    assert "https://school.services.ai.azure.com/anthropic" in foundry.why
    aws = result(shell, "%nbvision connect aws --region us-east-1 --workspace-id w")
    assert aws.name == "aws"
    url = "--base-url http://localhost:4000"
    gateway = result(shell, f"%nbvision connect anthropic {url} --platform compatible")
    assert gateway.platform.name == "compatible"


def test_options_come_from_the_table_without_what_is_secret() -> None:
    assert all(options_of(name)[-len(KEPT) :] == KEPT for name in BACKENDS)
    offered = {name: set(options_of(name)) - set(KEPT) for name in BACKENDS}
    assert offered["vertex"] == {"model", "region", "project-id", "base-url"}
    assert offered["google-cloud"] == offered["vertex"] | {"workspace-id"}
    assert offered["practice"] == {"model"}
    taken = (
        set(inspect.signature(nv.connect).parameters)
        - {"name", "words_per_second"}
        - SECRET_ARGUMENTS
    )
    names = {name.replace("-", "_") for name in set().union(*offered.values(), KEPT)}
    assert names - {"no_store"} == taken


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("conect practice", "%nbvision conect practice"),
        ("connect a b", "%nbvision connect a b"),
        ("connect --system x", "connect --system"),
        ("connect practice --region x", "region= means nothing to practice"),
        ("--region x", "--region without connect"),
        ("reset --model x", "reset with options"),
        ("--effort none", "--effort none"),
        ("--replies lesson.replies", "--replies without connect"),
        ("--offline", "--offline without connect"),
        ("--since 2026-11-20", "--since without history"),
        ("connect --offline", "offline=True without stored replies"),
        ("connect practice --offline=no", "--offline=no"),
        ("connect practice --store --no-store", "--store and --no-store"),
        ("connect practice --budget lots", "--budget lots"),
        ("connect practice --budget=", r"--budget \(nothing\)"),
        ("connect practice --budget -1", "--budget -1"),
        ("connect practice --budget 1e9", "--budget 1e9"),
        ("connect practice --budget nan", "--budget nan"),
        ("connect practice --replies", "--replies without its value"),
        ("connect practice --replies --offline", "--replies without its value"),
        ("history --system x", "history --system"),
        ("history --limit 0", "--limit 0"),
        ("history --limit 999999999", "limit=999999999"),
        ("history --since yesterday", "since='yesterday'"),
        ("history", "no calls are kept here"),
        ("forget 17", "%nbvision forget"),
    ],
)
def test_mistakes_with_settings_are_named(shell: InteractiveShell, line: str, words: str) -> None:
    with pytest.raises(nv.NbvisionError, match=words):
        shell.run_line_magic("nbvision", line)


def test_a_line_offline_is_answered_by_stored_replies_alone(
    shell: InteractiveShell, tmp_path: Path
) -> None:
    kept = result(shell, "%nbvision connect practice --replies 'my lesson.replies'").keeping
    assert (kept.replies.path, kept.is_offline) == (Path("my lesson.replies"), False)
    assert result(shell, "%%ask img1.png\nWhich colour?").from_store is None
    assert len([*(tmp_path / "my lesson.replies").iterdir()]) == 1
    shell.run_line_magic("nbvision", "connect practice --offline --replies 'my lesson.replies'")
    assert result(shell, "%%ask img1.png\nWhich colour?").from_store is not None
    with pytest.raises(NotConnected, match="no stored reply") as caught:
        result(shell, "%%ask img1.png\nWhich shape?")
    assert "without --offline" in caught.value.cure


def test_what_is_kept_is_chosen_on_the_line(shell: InteractiveShell) -> None:
    keeping = result(shell, "%nbvision connect practice --store --budget $0.50").keeping
    assert (keeping.in_store, keeping.budget.dollars) == (True, 0.5)
    assert result(shell, "%nbvision connect practice --no-store").keeping.in_store is False
    usual = result(shell, "%nbvision connect practice").keeping
    assert (usual.in_store, usual.budget) == (False, None)


def test_a_line_asks_anew_or_for_another_sample(shell: InteractiveShell, store: Store) -> None:
    shell.run_line_magic("nbvision", "connect practice --store")
    lines = ("", "", "--refresh", "--sample 1", "--sample=1", "--sample 0")
    found = [result(shell, f"%describe img1.png {line}").from_store is None for line in lines]
    assert found == [True, False, True, True, False, False]
    assert [call.sample for call in store.history()] == [1, 0, 0]


def test_a_line_says_what_a_call_may_cost(shell: InteractiveShell) -> None:
    assert result(shell, "%describe img1.png --budget $0.01").text
    nv.connect("anthropic", api_key="none")
    for code in ("%describe img1.png --budget .001", "%%locate img1.png --budget=0\nit"):
        with pytest.raises(BudgetExceeded) as caught:
            result(shell, code)
        assert "allow this call more: --budget 0." in caught.value.cure


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--refresh=yes", "--refresh=yes"),
        ("--refresh --refresh", "--refresh twice"),
        ("--sample -1", "--sample -1"),
        ("--sample one", "--sample one"),
        ("--sample", "--sample without its value"),
        ("--budget cheap", "--budget cheap"),
        ("--refesh", "did you mean --refresh"),
    ],
)
def test_mistakes_of_asking_again_are_named(shell: InteractiveShell, line: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        shell.run_line_magic("describe", f"img1.png {line}")


def test_history_is_a_line(shell: InteractiveShell, store: Store) -> None:
    shell.run_line_magic("nbvision", "connect practice --store")
    for prompt in ("Which colour is the wall?", "Which colour is the door?"):
        result(shell, f"%%ask img1.png\n{prompt}")
    assert len(result(shell, "%nbvision history")) == 2
    (door,) = result(shell, "%nbvision history colour door --since 2026-01-01 --limit 5")
    assert door.prompt == "Which colour is the door?"
    assert len(result(shell, "%nbvision history --model another")) == 0
    assert len(store.history()) == 2


def test_help_is_words(shell: InteractiveShell) -> None:
    assert "%nbvision connect practice" in repr_of(result(shell, "%nbvision --help"))
    assert "--into NAME" in repr_of(result(shell, "%describe --help"))
    found = shell.object_inspect("%%locate", detail_level=0)
    assert "every window" in found["docstring"]


# -- completion ------------------------------------------------------------------------------


def completed(shell: InteractiveShell, code: str) -> list[str]:
    with provisionalcompleter():
        found = list(shell.Completer.completions(code, len(code)))
    return [code[: each.start] + each.text for each in found]


def kinds(shell: InteractiveShell, code: str) -> set[str]:
    with provisionalcompleter():
        return {each.type for each in shell.Completer.completions(code, len(code))}


def test_models_are_offered(shell: InteractiveShell) -> None:
    assert "%%describe --model claude-opus-5-5" in completed(shell, "%%describe --model claude-op")
    assert "%describe --model=claude-opus-5-5" in completed(shell, "%describe --model=claude-op")
    assert "%nbvision --model practice-high" in completed(shell, "%nbvision --model ")


PLACES = [
    ("anthropic", {"api_key": "none"}, "claude-opus-5-5"),
    ("bedrock", {"region": "us-east-1"}, "us.anthropic.claude-opus-5-5"),
    ("bedrock-converse", {"region": "us-east-1"}, "us.anthropic.claude-opus-5-5"),
    ("bedrock-mantle", {"region": "us-east-1", "api_key": "none"}, "anthropic.claude-opus-5-5"),
    (
        "vertex",
        {"region": "global", "project_id": "p", "access_token": "none"},
        "claude-haiku-4-5@20251001",
    ),
]


@pytest.mark.parametrize(("name", "given", "model"), PLACES)
def test_models_are_spelled_as_the_connected_place_spells_them(
    shell: InteractiveShell, name: str, given: dict[str, str], model: str
) -> None:
    start = "%describe img1.png --model "
    nv.connect(name, **given)  # type: ignore[arg-type]
    found = [text.removeprefix(start) for text in completed(shell, start)]
    assert model in found
    assert "None" not in found
    assert not [each for each in found if each.startswith("practice")]
    if name.startswith("bedrock"):
        assert not [each for each in found if each.startswith("claude")]
    nv.connect("practice")
    start = f"%nbvision connect {name} --model "
    assert start + model in completed(shell, start)
    assert start + "practice-high" not in completed(shell, start)


def test_every_backend_and_its_options_are_offered(shell: InteractiveShell) -> None:
    start = "%nbvision connect "
    assert completed(shell, start) == [start + name for name in BACKENDS]
    assert completed(shell, start + "goo") == [start + "google-cloud"]
    assert completed(shell, start + "vertex --pro") == [start + "vertex --project-id"]
    assert completed(shell, start + "foundry --res") == [start + "foundry --resource"]
    assert completed(shell, start + "foundry ") == [
        f"{start}foundry --{name}" for name in ("model", "base-url", "resource", *KEPT)
    ]
    assert completed(shell, start + "--work") == [start + "--workspace-id"]
    assert completed(shell, start + "anthropic --platform c")[0].endswith(" compatible")
    assert completed(shell, "%nbvision --th") == ["%nbvision --thinking"]


def test_kinds_and_thinking_are_offered(shell: InteractiveShell) -> None:
    start = "%%locate img1.png --kind "
    assert completed(shell, start) == [start + "boxes", start + "points"]
    assert completed(shell, "%%ask a.png --thinking=s") == ["%%ask a.png --thinking=summarized"]
    assert completed(shell, "%%locate a.png --k") == ["%%locate a.png --kind"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("%describe --model claude", "model"),
        ("%describe --mo", "option"),
        ("%describe --effort ", "level"),
        ("%%locate --kind ", "value"),
        ("%describe my\\ photos/../img", "path"),
        ("%describe ./", "path"),
        ("%nbvision connect ", "backend"),
        ("%nbvision ", "keyword"),
        ("%describe --into ", "variable"),
    ],
)
def test_what_is_offered_says_what_it_is(shell: InteractiveShell, code: str, kind: str) -> None:
    assert kinds(shell, code) == {kind}


def test_in_a_folder_only_its_pictures_are_offered(shell: InteractiveShell) -> None:
    Path("photos").mkdir()
    assert completed(shell, "%describe photos/") == ["%describe photos/"]
    Image.new("RGB", (8, 8)).save("photos/a.png")
    assert completed(shell, "%describe photos/") == ["%describe photos/a.png"]
    assert completed(shell, "%describe 'photos/") == ["%describe 'photos/a.png'"]
    assert completed(shell, '%describe "ph') == ['%describe "photos/']
    assert completed(shell, '%describe "none') == ['%describe "none']


def test_names_to_keep_are_offered_without_files_and_magics(shell: InteractiveShell) -> None:
    shell.push({"kept": 1})
    assert completed(shell, "%describe a.png --into ") == [
        f"%describe a.png --into {name}" for name in ("reply", "kept")
    ]
    assert completed(shell, "%%locate a.png --into f") == ["%%locate a.png --into found"]
    assert completed(shell, "%describe a.png --into im") == ["%describe a.png --into im"]


def test_forms_of_answers_are_offered(shell: InteractiveShell) -> None:
    shell.push({"Shape": Shape, "form": {"type": "object"}, "number": 3, "module": nv})
    start = "%%ask a.png --schema "
    assert completed(shell, start) == [start + "Shape", start + "form"]
    assert completed(shell, start + "im") == [start + "im"]
    assert start + "nv.Reply" in completed(shell, start + "nv.Rep")


def test_options_and_efforts_are_offered(shell: InteractiveShell) -> None:
    assert completed(shell, "%%ask a.png --sch") == ["%%ask a.png --schema"]
    assert completed(shell, "%%ask a.png --effort x") == ["%%ask a.png --effort xhigh"]
    assert completed(shell, "%nbvision con") == ["%nbvision connect"]
    assert completed(shell, "%nbvision connect pr") == ["%nbvision connect practice"]


def test_folders_of_replies_are_offered(shell: InteractiveShell) -> None:
    for folder in ("a.replies", "b c.replies", "course/d.replies"):
        Path(folder).mkdir(parents=True)
    start = "%nbvision connect practice --replies "
    assert completed(shell, start) == [
        start + text for text in ("a.replies", '"b c.replies"', "course/", '"my photos/')
    ]
    assert completed(shell, start + "course/") == [start + "course/d.replies"]
    assert completed(shell, start + "zz") == [start + "zz"]


def test_after_an_option_that_stands_alone_come_pictures(shell: InteractiveShell) -> None:
    assert "%describe --refresh img1.png" in completed(shell, "%describe --refresh im")
    assert completed(shell, "%describe --ref") == ["%describe --refresh"]
    assert completed(shell, "%nbvision connect --offline --rep") == [
        "%nbvision connect --offline --replies"
    ]


def test_what_narrows_history_is_offered(shell: InteractiveShell) -> None:
    assert completed(shell, "%nbvision hi") == ["%nbvision history"]
    start = "%nbvision history door "
    assert completed(shell, start + "--") == [
        start + option for option in ("--model", "--since", "--limit")
    ]
    assert start + "--model practice-high" in completed(shell, start + "--model practice")


def test_pictures_are_offered_before_other_files(shell: InteractiveShell) -> None:
    Path("img.txt").touch()
    assert completed(shell, "%%describe img") == [
        f"%%describe img{number}.png" for number in (1, 2, 10)
    ]
    assert completed(shell, '%describe "my photos/') == ['%describe "my photos/a b.png"']
    assert '%describe "my photos/' in completed(shell, "%describe my")


def test_other_lines_are_left_alone(shell: InteractiveShell) -> None:
    assert not [text for text in completed(shell, "x = 'describe --mo") if "--model" in text]


# -- coming and going ------------------------------------------------------------------------


def test_unloading_gives_back_what_had_the_name(running: InteractiveShell) -> None:
    running.register_magic_function(lambda line: f"mine {line}", "line", "ask")
    running.run_line_magic("load_ext", "nbvision")
    running.run_line_magic("reload_ext", "nbvision")
    running.run_line_magic("unload_ext", "nbvision")
    assert running.run_line_magic("ask", "x") == "mine x"
    assert running.find_cell_magic("describe") is None
    assert running.find_line_magic("nbvision") is None
    del running.magics_manager.magics["line"]["ask"]
    assert not [
        each for each in running.input_transformers_cleanup if "nbvision" in each.__module__
    ]


def test_in_a_notebook_results_and_errors_show(tmp_path: Path) -> None:
    cells = [
        "%load_ext nbvision\n%nbvision connect practice",
        "import nbvision as nv",
        "%%describe nv.samples.page\nIn {one} word, for $5?",
        "%%locate nv.samples.shapes\nevery shape",
        "%%describe no-such.png",
        "%nbvision",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    client = NotebookClient(
        notebook, timeout=60, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    outputs = [cell.outputs[-1] for cell in notebook.cells if cell.outputs]
    assert outputs[1].output_type == outputs[2].output_type == "execute_result"
    assert "practice answer" in outputs[1].data["text/html"]
    assert "image/jpeg" in outputs[2].data
    assert outputs[3].ename == "ImageNotFound"
    assert len(outputs[3].traceback) == 2
    assert "2 answers" in outputs[4].data["text/plain"]
    assert len(json.dumps(notebook)) < 400_000
