"""The four calls, from picture to result, over real HTTP."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from other_server import Arrived, other_server
from PIL import Image
from pydantic import BaseModel

import nbvision as nv
from nbvision.backends import Backend
from nbvision.errors import (
    ImageNotFound,
    LimitExceeded,
    RequestError,
    UnreadableAnswer,
)

PICTURE = Image.new("RGB", (200, 100), "white")
Says = Callable[[str], Backend]


@pytest.fixture
def says() -> Iterator[Says]:
    """Give a backend whose answer is always these words."""
    with ExitStack() as running:

        def connect(text: str) -> Backend:
            place = running.enter_context(other_server(lambda _: text))
            return nv.connect(
                "anthropic", model="claude-opus-5-5", base_url=place.url, api_key="none"
            )

        yield connect


@pytest.fixture(scope="module")
def practice() -> Backend:
    return nv.connect("practice", words_per_second=None)


def test_a_description_keeps_words_usage_and_request(says: Says) -> None:
    reply = nv.describe(PICTURE, backend=says("A white wall."))
    assert reply.text == "A white wall."
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (1, 9)
    assert reply.request.images[0].fit.original == (200, 100)


def test_the_words_arrive_in_pieces(says: Says) -> None:
    pieces: list[str] = []
    reply = nv.describe(PICTURE, backend=says("one two three"), on_text=pieces.append)
    assert len(pieces) == 2
    assert "".join(pieces) == reply.text


def test_comparing_takes_two(practice: Backend) -> None:
    with pytest.raises(RequestError, match="1 image to compare"):
        nv.compare([PICTURE], backend=practice)


def test_the_practice_server_finds_the_samples_truth(practice: Backend) -> None:
    sample = nv.samples.shapes
    found = nv.locate(sample, sample.prompt, backend=practice)
    assert len(found.boxes) == len(sample.truth)
    for truth in sample.truth:
        assert max(box.iou(truth) for box in found.boxes) >= 0.9


def test_no_boxes_is_a_result(says: Says) -> None:
    assert nv.locate(PICTURE, "a door", backend=says('{"boxes": []}')).boxes == ()


def test_boxes_that_cannot_be_read_are_an_error_that_keeps_the_words(says: Says) -> None:
    with pytest.raises(UnreadableAnswer) as caught:
        nv.locate(PICTURE, "a door", backend=says("I see a door at the left."))
    assert caught.value.text == "I see a door at the left."


def test_doubtful_boxes_come_with_a_finding(says: Says) -> None:
    answer = '{"boxes": [{"label": "door", "box": [0.1, 0.2, 0.5, 0.9]}]}'
    found = nv.locate(PICTURE, "a door", backend=says(answer))
    assert found.findings.warnings


MISTAKES = [
    (lambda b: nv.describe([], backend=b), "no picture"),
    (lambda b: nv.locate(PICTURE, " ", backend=b), "nothing to locate"),
    (lambda b: nv.describe(PICTURE, 3, backend=b), "prompt is a int"),
    (lambda b: nv.ask(PICTURE, b"x", backend=b), "prompt is a bytes"),
    (lambda b: nv.describe(PICTURE, system=3, backend=b), "system is a int"),
    (lambda b: nv.describe(PICTURE, "\ud800", backend=b), "half a character"),
    (lambda b: nv.describe(PICTURE, model=3, backend=b), "model=3"),
    (lambda _: nv.describe(PICTURE, backend="practice"), "backend='practice'"),
    (lambda _: nv.check(PICTURE, backend="practice"), "backend='practice'"),
    (lambda b: nv.preview(PICTURE, boxes=[(1, 2, 3, 4)], backend=b), "boxes hold"),
    (lambda _: nv.fit((0, 5)), "size="),
    (lambda _: nv.fit((1, 2, 3)), "size="),
    (lambda _: nv.fit(nv.samples.photo), "size="),
    (lambda _: nv.fit((1.5, 2)), "size="),
]


@pytest.mark.parametrize(("mistake", "words"), MISTAKES, ids=range(len(MISTAKES)))
def test_common_mistakes_are_named_before_anything_is_sent(
    practice: Backend, mistake: Callable[[Backend], object], words: str
) -> None:
    with pytest.raises(nv.NbvisionError, match=words):
        mistake(practice)


def test_locating_takes_one_picture(practice: Backend) -> None:
    with pytest.raises(RequestError, match="2 images"):
        nv.locate([PICTURE, PICTURE], "a door", backend=practice)


class Wall(BaseModel):
    colour: str
    height: float


def test_an_answer_becomes_the_model_that_was_asked_for(says: Says) -> None:
    reply = nv.ask(PICTURE, "?", schema=Wall, backend=says('{"colour": "white", "height": 2.4}'))
    assert reply.parsed == Wall(colour="white", height=2.4)


def test_an_answer_of_another_form_is_an_error_that_keeps_the_words(says: Says) -> None:
    with pytest.raises(UnreadableAnswer) as caught:
        nv.ask(PICTURE, "?", schema=Wall, backend=says('{"colour": "white"}'))
    assert caught.value.text == '{"colour": "white"}'


def test_a_schema_as_a_dict_is_checked_too(says: Says) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    assert nv.ask(PICTURE, "?", schema=schema, backend=says('{"n": 3}')).parsed == {"n": 3}
    with pytest.raises(UnreadableAnswer):
        nv.ask(PICTURE, "?", schema=schema, backend=says('{"n": "three"}'))


def test_a_schema_of_no_kind_is_refused_before_sending(practice: Backend) -> None:
    with pytest.raises(RequestError, match="schema"):
        nv.ask(PICTURE, "?", schema=int, backend=practice)


def test_a_missing_picture_is_found_before_anybody_is_asked() -> None:
    with pytest.raises(ImageNotFound, match=r"no-such\.png"):
        nv.describe("no-such.png")


@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_a_strange_max_tokens_is_refused(practice: Backend, value: object) -> None:
    with pytest.raises(RequestError, match="max_tokens"):
        nv.describe(PICTURE, max_tokens=value, backend=practice)  # type: ignore[arg-type]


def test_more_tokens_than_the_model_writes_are_refused(practice: Backend) -> None:
    with pytest.raises(LimitExceeded, match="max_tokens"):
        nv.describe(PICTURE, max_tokens=10_000_000, backend=practice)


def test_the_model_of_one_call_can_differ(says: Says) -> None:
    reply = nv.describe(PICTURE, model="claude-haiku-4-5", backend=says("x"))
    assert reply.model == "claude-haiku-4-5"
    assert reply.request.model.tier.name == "standard"


def test_system_words_travel(says: Says) -> None:
    reply = nv.describe(PICTURE, system="Answer in French.", backend=says("Un mur."))
    assert reply.request.body()["system"] == "Answer in French."


def test_a_request_is_shown_without_the_pictures_bytes(practice: Backend) -> None:
    request = nv.build_request(PICTURE, "What is this?", backend=practice)
    shown = json.dumps(request.abridged())
    assert "200 × 100" in request.abridged()["messages"][0]["content"][0]["source"]["data"]
    assert request.images[0].base64() not in shown
    assert "base64" not in repr(request)


def test_a_saved_request_is_the_whole_body(practice: Backend, tmp_path: object) -> None:
    request = nv.build_request(PICTURE, "What is this?", backend=practice)
    path = request.save(f"{tmp_path}/request.json")
    assert json.loads(path.read_text()) == request.body()


def test_an_empty_prompt_is_refused(practice: Backend) -> None:
    with pytest.raises(RequestError, match="prompt is empty"):
        nv.build_request(PICTURE, "  ", backend=practice)


def test_all_pictures_of_a_request_arrive() -> None:
    def answer(arrived: Arrived) -> str:
        return str(len(arrived.pictures))

    with other_server(answer) as place:
        backend = nv.connect("anthropic", platform="anthropic", base_url=place.url, api_key="none")
        assert nv.ask([PICTURE] * 3, "How many?", backend=backend).text == "3"
