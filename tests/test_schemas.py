"""A form that cannot be sent is named before anybody is asked; one that can is held to."""

import datetime as dt
import enum
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from other_server import other_server
from pydantic import BaseModel, ConfigDict, Field, field_validator

import nbvision as nv
from nbvision.backends import Backend
from nbvision.errors import RequestError, UnreadableAnswer
from nbvision.forms import answer_form
from nbvision.practice.dialect import check_schema
from nbvision.practice.rejections import Rejected
from nbvision.prompts import BOXES_SCHEMA
from nbvision.schemas import dialect_findings

SHAPES = nv.samples.shapes
Says = Callable[[str], Backend]


@pytest.fixture
def says() -> Iterator[Says]:
    """Give a backend whose answer is always these words."""
    with ExitStack() as running:

        def connect(text: str) -> Backend:
            place = running.enter_context(other_server(lambda _: text))
            return nv.connect(
                "anthropic",
                platform="anthropic",
                model="claude-opus-5-5",
                base_url=place.url,
                api_key="none",
            )

        yield connect


@pytest.fixture(scope="module")
def practice() -> Backend:
    return nv.connect("practice", words_per_second=None)


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


CANNOT: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "object"}, r"\$ takes further", "additionalProperties"),
    ({"properties": {"a": {"type": "null"}}}, r"\$ takes further", "additionalProperties"),
    (closed(a=closed() | {"additionalProperties": True}), r"\$\.properties\.a takes", "false"),
    (closed(a={"type": ["object", "null"]}), r"\$\.properties\.a takes further", "false"),
    (closed(n={"type": "integer", "minimum": 0}), r"\$\.properties\.n has minimum", "pydantic"),
    (closed(n={"type": "number", "multipleOf": 2}), "multipleOf", "description"),
    (closed(n={"type": "number", "exclusiveMaximum": 2}), "exclusiveMaximum", "description"),
    (closed(w={"type": "string", "maxLength": 5}), "maxLength", "description"),
    (
        closed(w={"type": "array", "items": {"type": "string", "minLength": 1}}),
        "minLength",
        "description",
    ),
    (closed(l={"type": "array", "minItems": 4}), "minItems above 1", "description"),
    (closed(l={"type": "array", "maxItems": 4}), "maxItems", "description"),
    (
        closed(l={"type": "array", "items": {"type": "object"}}),
        r"\$\.properties\.l\.items",
        "false",
    ),
    ({"anyOf": [{"type": "null"}, {"type": "object"}]}, r"\$\.anyOf\[1\] takes", "false"),
    (closed(a={"$ref": "#"}), "leads back to itself", "levels"),
    (
        closed(a={"$ref": "#/$defs/A"}) | {"$defs": {"A": closed(a={"$ref": "#/$defs/A"})}},
        r"\$\.\$defs\.A\.properties\.a leads back",
        "levels",
    ),
    (
        {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}},
        "leads back to itself",
        "levels",
    ),
    (closed(a={"$ref": "other.json"}), "leads out of it", "$defs"),
    (closed(a={"$ref": "https://e.example/x"}), "leads out of it", "$defs"),
    (closed(a={"$ref": "#/$defs/None"}), "leads nowhere", "$defs"),
    (closed(a={"$ref": "#/required/7"}), "leads nowhere", "$defs"),
    (closed(**{f"p{i}": {"type": "null"} for i in range(25)}) | {"required": []}, "25 opt", "null"),
    (closed(w={"type": "string", "pattern": "("}), "pattern that cannot", "regular"),
    (
        closed(**{"a b": {"type": "number", "minimum": 0}}),
        r'\$\.properties\["a b"\]',
        "description",
    ),
]


@pytest.mark.parametrize(("schema", "place", "cure"), CANNOT, ids=range(len(CANNOT)))
def test_what_cannot_be_sent_is_named_with_place_and_cure(
    schema: dict[str, Any], place: str, cure: str
) -> None:
    with other_server(lambda _: "{}") as other:
        backend = nv.connect("anthropic", platform="anthropic", base_url=other.url, api_key="none")
        with pytest.raises(RequestError, match=place) as caught:
            nv.ask(SHAPES, "?", schema=schema, backend=backend)
        assert other.arrived == []
    assert cure in caught.value.cure


CAN: list[dict[str, Any]] = [
    BOXES_SCHEMA,
    closed(l={"type": "array", "items": {"type": "string"}, "minItems": 1}),
    closed(a={"anyOf": [{"type": "string"}, {"type": "null"}]}),
    closed(a={"type": ["string", "null"]}),
    closed(a={"$ref": "#/$defs/A"}, b={"$ref": "#/$defs/A"}) | {"$defs": {"A": closed()}},
    closed(minimum={"type": "string"}, maxLength={"type": "string"}),
    closed(a={"enum": ["x", 1, None]}, b={"const": "y"}),
    closed(d={"type": "string", "format": "date"}),
    closed(**{f"p{i}": {"type": "null"} for i in range(24)}) | {"required": []},
]


@pytest.mark.parametrize("schema", CAN, ids=range(len(CAN)))
def test_what_the_dialect_has_is_sent_as_it_is(practice: Backend, schema: dict[str, Any]) -> None:
    reply = nv.ask(SHAPES, "every shape", schema=schema, backend=practice)
    assert reply.request.body()["output_config"]["format"]["schema"] == schema
    assert reply.parsed is not None


class Holder:
    def __repr__(self) -> str:
        return "Holder()"


def itself() -> dict[str, Any]:
    loop: dict[str, Any] = {"type": "object"}
    loop["properties"] = {"a": [loop]}
    return loop


def deep(levels: int) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "null"}
    for _ in range(levels):
        made = {"type": "array", "items": made}
    return made


def spread(levels: int) -> dict[str, Any]:
    """A dict of few objects, each used twice: written out it is 2 ** levels long."""
    made: dict[str, Any] = {"type": "null"}
    for _ in range(levels):
        made = {"anyOf": [made, made]}
    return made


NOT_SCHEMAS: list[tuple[Any, str]] = [
    (int, "schema=<class 'int'>"),
    (dict, "schema="),
    (list[int], "schema="),
    ("a string", "schema='a string'"),
    (b"x", "schema="),
    (3, "schema=3"),
    (True, "schema=True"),
    ([], r"schema=\[\]"),
    ([{"type": "object"}], "schema="),
    (lambda: None, "schema=<function"),
    (Holder(), r"schema=Holder\(\)"),
    ({"type": "nothing"}, r"\$\.type"),
    ({"type": 3}, r"\$\.type"),
    ({"properties": []}, r"\$\.properties"),
    ({"properties": {"a": 3}}, r"\$\.properties\.a"),
    ({"required": "a"}, r"\$\.required"),
    ({"items": 5}, r"\$\.items"),
    ({"anyOf": []}, r"\$\.anyOf"),
    ({"$ref": 5}, r"\$ref"),
    ({"const": float("nan")}, r"\$\.const is nan"),
    ({"enum": [1, float("inf")]}, r"\$\.enum\[1\] is inf"),
    ({"const": 10**400}, "bits"),
    ({"const": {1, 2}}, "const is"),
    ({"const": b"x"}, "const is b'x'"),
    ({"const": dt.date(2026, 1, 1)}, "const is datetime"),
    ({"const": Holder()}, r"const is Holder\(\)"),
    ({3: {}}, "a key that is a number"),
    ({None: {}}, "a key that is None"),
    ({"title": "\ud800"}, "half a character"),
    ({"\udfff": 1}, "half a character"),
    (itself(), "holds itself"),
    (deep(200), "nested deeper"),
    (spread(25), "a million characters"),
    ({"description": "x" * 10_000_000}, "a million characters"),
]


@pytest.mark.parametrize(("schema", "words"), NOT_SCHEMAS, ids=range(len(NOT_SCHEMAS)))
@pytest.mark.parametrize("is_sent", [True, False], ids=["sent", "in words"])
def test_what_is_no_schema_is_refused_quickly(
    schema: Any,
    words: str,
    is_sent: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    started = time.process_time()
    with pytest.raises(RequestError, match=words) as caught:
        answer_form(schema, is_sent=is_sent)
    assert len(str(caught.value)) < 1500
    assert time.process_time() - started < 5


def test_a_chain_of_references_is_followed_only_so_far() -> None:
    definitions: dict[str, Any] = {f"D{i}": {"$ref": f"#/$defs/D{i + 1}"} for i in range(2000)}
    definitions["D2000"] = {"type": "null"}
    with pytest.raises(RequestError, match="too deep"):
        answer_form({"$ref": "#/$defs/D0", "$defs": definitions})


def test_a_form_keeps_its_own_copy() -> None:
    schema = closed(n={"type": "integer"})
    form = answer_form(schema)
    schema["properties"]["n"]["type"] = "string"
    assert form.read('{"n": 3}') == {"n": 3}


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Thing(BaseModel):
    label: str = Field(max_length=40, description="what it is")
    colour: Colour | None = None
    count: int = Field(ge=0, le=99)
    tags: list[str] = Field(default_factory=list, max_length=3)
    seen: dt.date | None = None


class Round(BaseModel):
    kind: Literal["round"]
    radius: float = Field(gt=0)


class Flat(BaseModel):
    kind: Literal["flat"]
    sides: tuple[int, int]


class Room(BaseModel):
    things: list[Thing] = Field(min_length=1)
    shape: Annotated[Round | Flat, Field(discriminator="kind")]


ROOM = {
    "things": [{"label": "ball", "colour": "red", "count": 2, "seen": "2026-01-02"}],
    "shape": {"kind": "flat", "sides": [3, 4]},
}


def test_a_rich_model_goes_out_in_the_dialect_and_comes_back_whole(says: Says) -> None:
    reply = nv.ask(SHAPES, "?", schema=Room, backend=says(json.dumps(ROOM)))
    sent = reply.request.body()["output_config"]["format"]["schema"]
    check_schema(sent)
    assert "maximum: 99" in json.dumps(sent)
    assert reply.parsed == Room.model_validate(ROOM)
    assert reply.parsed.things[0].colour is Colour.RED


WRONG: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda room: room["things"][0].update(count=-1), r"\$\.things\[0\]\.count"),
    (lambda room: room["things"][0].update(count=100), r"\$\.things\[0\]\.count"),
    (lambda room: room["things"][0].update(label="x" * 41), r"\$\.things\[0\]\.label"),
    (lambda room: room["things"][0].update(tags=list("abcd")), r"\$\.things\[0\]\.tags"),
    (lambda room: room.update(things=[]), r"\$\.things"),
    (lambda room: room.update(shape={"kind": "round", "radius": 0}), r"\$\.shape\.round\.radius"),
    (lambda room: room.update(shape={"kind": "other"}), r"\$\.shape"),
    (lambda room: room.pop("shape"), r"\$\.shape: Field required"),
]


@pytest.mark.parametrize(("spoil", "place"), WRONG, ids=range(len(WRONG)))
def test_rules_that_were_only_words_are_held_to_all_the_same(
    says: Says, spoil: Callable[[dict[str, Any]], object], place: str
) -> None:
    room = json.loads(json.dumps(ROOM))
    spoil(room)
    with pytest.raises(UnreadableAnswer, match=place) as caught:
        nv.ask(SHAPES, "?", schema=Room, backend=says(json.dumps(room)))
    assert json.loads(caught.value.text) == room
    assert caught.value.response is not None


def test_a_request_that_is_only_built_has_its_schema_checked_too() -> None:
    request = nv.build_request(SHAPES, "?", model="claude-opus-5-5", schema=Room)
    assert request.schema == answer_form(Room).sent
    with pytest.raises(RequestError, match="takes further"):
        nv.build_request(SHAPES, "?", model="claude-opus-5-5", schema={"type": "object"})


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    day: dt.date


def test_a_strict_model_reads_dates_from_text() -> None:
    assert answer_form(Strict).read('{"day": "2026-01-02"}') == Strict(day=dt.date(2026, 1, 2))


class WithKeys(BaseModel):
    counts: dict[str, int]


class Anything(BaseModel):
    value: Any


class Node(BaseModel):
    name: str
    inner: list["Node"] = []


class Callback(BaseModel):
    do: Callable[[], int]


class TooMany(BaseModel):
    things: list[Annotated[int, Field(ge=0)]]
    inner: WithKeys | None = None


MODELS: list[tuple[type[BaseModel], str, str]] = [
    (WithKeys, r"\$\.properties\.counts takes keys of any name", "a list of objects"),
    (Anything, r"\$\.properties\.value can be anything", "give the field a type"),
    (Node, "leads back to itself", "as many levels"),
    (Callback, "Callback has no JSON schema", "another type"),
    (TooMany, r"\$\.\$defs\.WithKeys\.properties\.counts", "a list of objects"),
]


@pytest.mark.parametrize(("model", "words", "cure"), MODELS, ids=[m[0].__name__ for m in MODELS])
def test_a_model_that_no_answer_could_fill_is_refused_with_the_cure(
    practice: Backend, model: type[BaseModel], words: str, cure: str
) -> None:
    with pytest.raises(RequestError, match=words) as caught:
        nv.ask(SHAPES, "?", schema=model, backend=practice)
    assert cure in caught.value.cure


@pytest.mark.parametrize(
    ("model", "answer"),
    [
        (WithKeys, {"counts": {"red": 3}}),
        (Anything, {"value": [1]}),
        (Node, {"name": "a", "inner": [{"name": "b"}]}),
        (Room, ROOM),
    ],
)
def test_words_can_ask_for_what_a_schema_cannot(
    model: type[BaseModel], answer: dict[str, Any]
) -> None:
    with other_server(lambda _: json.dumps(answer)) as place:
        backend = nv.connect("bedrock", region="us-east-1", endpoint_url=place.url, api_key="none")
        reply = nv.ask(SHAPES, "?", schema=model, backend=backend)
        assert "output_config" not in place.arrived[0].body
        assert "JSON schema" in place.arrived[0].content[-1]["text"]
        backend.close()
    assert reply.parsed == model.model_validate(answer)


def test_an_instance_is_refused_and_its_class_named() -> None:
    with pytest.raises(RequestError, match="schema=WithKeys"):
        answer_form(WithKeys(counts={}))


class Fragile(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def _looked_up(cls, value: int) -> int:
        return {1: 10}[value]


def test_a_model_that_breaks_does_not_lose_the_words() -> None:
    assert answer_form(Fragile).read('{"n": 1}') == Fragile.model_construct(n=10)
    with pytest.raises(UnreadableAnswer, match="Fragile failed: KeyError") as caught:
        answer_form(Fragile).read('{"n": 2}')
    assert caught.value.text == '{"n": 2}'


def test_a_schema_that_names_an_address_fetches_nothing() -> None:
    schema = closed(a={"type": "string"}) | {
        "$id": "https://e.example/schema.json",
        "$schema": "https://e.example/dialect",
    }
    assert answer_form(schema).read('{"a": "b"}') == {"a": "b"}


def test_a_reference_by_a_name_that_is_not_there_keeps_the_words() -> None:
    form = answer_form(closed(a={"$ref": "#nowhere"}), is_sent=False)
    with pytest.raises(UnreadableAnswer, match="cannot be applied"):
        form.read('{"a": 1}')


names = st.sampled_from(["a", "b"])
loose = st.recursive(
    st.sampled_from(
        [{"type": "string"}, {"type": "null"}, {"$ref": "#/$defs/A"}, {}, {"enum": [1]}]
    ),
    lambda inner: st.one_of(
        st.builds(lambda p: closed(**p), st.dictionaries(names, inner)),
        st.builds(lambda p: {"type": "object", "properties": p}, st.dictionaries(names, inner)),
        st.builds(lambda i: {"type": "array", "items": i}, inner),
        st.builds(lambda i: {"anyOf": i}, st.lists(inner, min_size=1, max_size=2)),
        st.builds(lambda i: {"type": "array", "items": i, "maxItems": 3}, inner),
        st.builds(lambda i: {"type": "integer", "minimum": 0, "not": i}, inner),
    ),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(schema=loose, defined=loose)
def test_what_the_service_takes_is_never_refused_here(
    schema: dict[str, Any], defined: dict[str, Any]
) -> None:
    whole = {**schema, "$defs": {"A": defined}}
    try:
        check_schema(whole)
    except Rejected:
        return
    assert dialect_findings(whole) == ()


junk = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4) | st.binary(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("type", "properties", "items", "$ref", "$defs", "anyOf", "required"),
                    *("enum", "minItems", "pattern", "additionalProperties", "not", "$id"),
                ]
            )
            | st.integers(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(junk, st.booleans())
def test_whatever_is_given_is_a_form_or_an_error_of_ours(value: Any, is_sent: bool) -> None:  # noqa: FBT001 - drawn
    try:
        form = answer_form(value, is_sent=is_sent)
    except RequestError as error:
        assert error.value  # noqa: PT017 - any other exception fails the test
        return
    try:
        form.read('{"a": [1, null]}')
    except UnreadableAnswer as error:
        assert error.text  # noqa: PT017 - the same
