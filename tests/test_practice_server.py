"""The practice server through the real clients: what a lesson, or a test, may rely on."""

import base64
import gc
import inspect
import io
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import boto3
import httpx2
import pytest
from anthropic import Anthropic
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from PIL import Image, ImageDraw

from nbvision.errors import NotConnected, RequestError
from nbvision.practice import FAULTS, PracticeServer
from nbvision.practice.dialect import check_schema, smallest_value
from nbvision.practice.rejections import Rejected

MODEL = "claude-opus-5-5"
PROFILE = "us.anthropic.claude-sonnet-5-5"
WORDS = {"type": "text", "text": "Describe this image."}
BOXES = {
    "type": "object",
    "properties": {
        "boxes": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "label": {"type": "string"},
                    "box": {"type": "array", "items": {"type": "number"}},
                },
                "required": ["label", "box"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["boxes"],
    "additionalProperties": False,
}


def picture(size: tuple[int, int] = (400, 300), kind: str = "PNG", **options: Any) -> bytes:
    """A white picture with a red square of a quarter of its height."""
    image = Image.new("RGB", size, "white")
    side = size[1] // 4
    ImageDraw.Draw(image).rectangle((side, side, 2 * side - 1, 2 * side - 1), fill="red")
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def block(data: bytes | None = None, media_type: str = "image/png", **more: Any) -> dict[str, Any]:
    text = base64.b64encode(picture() if data is None else data).decode()
    source = {"type": "base64", "media_type": media_type, "data": text}
    return {"type": "image", "source": source, **more}


def asks(*blocks: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(blocks or (block(), WORDS))}]


# The SDKs leave the sockets of broken streams to the collector, which warns of them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestWarning"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
    ),
]


@pytest.fixture(autouse=True)
def collected(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect what a broken call has left, within the test that broke it."""
    yield
    if "faults.push" in inspect.getsource(request.function):
        gc.collect()


@pytest.fixture(scope="module")
def server() -> Iterator[PracticeServer]:
    with PracticeServer() as running:
        yield running


@pytest.fixture(autouse=True)
def no_faults_left(server: PracticeServer) -> Iterator[None]:
    yield
    assert server.faults.pending == ()


@pytest.fixture(scope="module")
def client(server: PracticeServer) -> Iterator[Anthropic]:
    with Anthropic(base_url=server.url, api_key=server.token, max_retries=0, timeout=20) as one:
        yield one


@pytest.fixture(scope="module")
def bedrock(server: PracticeServer) -> Iterator[Any]:
    config = Config(retries={"total_max_attempts": 1}, read_timeout=20)
    one = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id=server.token,
        aws_secret_access_key="anything",
        config=config,
    )
    yield one
    one.close()


def create(client: Anthropic, messages: Any = None, **more: Any) -> anthropic.types.Message:
    settled = {"model": MODEL, "max_tokens": 500, **more}
    return client.messages.create(messages=messages or asks(), **settled)


def refusal(client: Anthropic, messages: Any = None, **more: Any) -> str:
    """What a 400 says."""
    with pytest.raises(anthropic.BadRequestError) as caught:
        create(client, messages, **more)
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id
    return str(caught.value.body["error"]["message"])  # type: ignore[index]


def invoke(bedrock: Any, model: str = PROFILE, **more: Any) -> dict[str, Any]:
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 500,
        "messages": asks(),
    } | more
    sent = {name: value for name, value in body.items() if value is not None}
    reply = bedrock.invoke_model(modelId=model, body=json.dumps(sent))
    return dict(json.loads(reply["body"].read()))


# The two ways to be answered


def test_a_message_has_the_documented_shape(client: Anthropic) -> None:
    reply = create(client)
    assert reply.id.startswith("msg_practice_")
    assert (reply.type, reply.role, reply.stop_reason) == ("message", "assistant", "end_turn")
    assert reply.model == f"practice-{MODEL}"
    assert reply._request_id
    assert "not a language model" in reply.content[0].text  # type: ignore[union-attr]


def test_a_stream_has_the_documented_events(server: PracticeServer, client: Anthropic) -> None:
    events = list(create(client, stream=True))  # type: ignore[call-overload]
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[2:-3] == ["content_block_delta"] * len(kinds[2:-3])
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert len(kinds) > 7
    assert events[0].message.usage.input_tokens == events[-2].usage.input_tokens
    assert server.requests[-1].body["stream"] is True  # type: ignore[index]


def test_a_stream_carries_the_words_of_the_plain_reply(client: Anthropic) -> None:
    plain = create(client)
    with client.messages.stream(model=MODEL, max_tokens=500, messages=asks()) as stream:
        text = stream.get_final_text()
        last = stream.get_final_message()
    assert text == plain.content[0].text  # type: ignore[union-attr]
    assert (last.usage.output_tokens, last.stop_reason) == (plain.usage.output_tokens, "end_turn")


def test_the_same_question_has_the_same_answer_on_bedrock(client: Anthropic, bedrock: Any) -> None:
    reply = invoke(bedrock)
    assert reply["content"][0]["text"] == create(client).content[0].text  # type: ignore[union-attr]
    assert reply["model"] == "practice-claude-sonnet-5-5"


def test_bedrocks_frames_are_read_by_botocore(bedrock: Any) -> None:
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 500, "messages": asks()}
    reply = bedrock.invoke_model_with_response_stream(modelId=PROFILE, body=json.dumps(body))
    events = [json.loads(event["chunk"]["bytes"]) for event in reply["body"]]
    text = "".join(e["delta"]["text"] for e in events if e["type"] == "content_block_delta")
    assert events[0]["type"] == "message_start"
    assert "ping" in [event["type"] for event in events]
    assert events[-1]["type"] == "message_stop"
    assert events[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] > 1
    assert text == invoke(bedrock)["content"][0]["text"]
    assert reply["ResponseMetadata"]["RequestId"]


def test_bedrock_takes_a_bearer_token(server: PracticeServer) -> None:
    """The SDK's client sends one; boto3 does so over https only."""
    with anthropic.AnthropicBedrock(
        base_url=server.url, api_key=server.token, aws_region="us-east-1"
    ) as one:
        reply = one.messages.create(model=PROFILE, max_tokens=500, messages=asks())  # type: ignore[arg-type]
    assert reply.stop_reason == "end_turn"
    assert server.requests[-1].headers["authorization"] == "<hidden>"


def test_the_sdks_own_bedrock_client_is_served(server: PracticeServer) -> None:
    with anthropic.AnthropicBedrock(
        base_url=server.url,
        aws_access_key=server.token,
        aws_secret_key="anything",
        aws_region="us-east-1",
    ) as one:
        reply = one.messages.create(model=PROFILE, max_tokens=9, messages=asks())  # type: ignore[arg-type]
        with one.messages.stream(model=PROFILE, max_tokens=500, messages=asks()) as stream:  # type: ignore[arg-type]
            assert stream.get_final_message().stop_reason == "end_turn"
    assert reply.stop_reason == "max_tokens"


def test_an_arn_and_a_dated_id_name_models(bedrock: Any) -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-5-5"
    assert invoke(bedrock, arn)["model"] == "practice-claude-opus-5-5"
    old = "anthropic.claude-3-sonnet-20240229-v1:0"
    assert invoke(bedrock, old)["model"] == "practice-claude-3-sonnet-20240229"


# What it sees


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-haiku-4-5"])
def test_boxes_are_in_the_frame_of_the_models_tier(client: Anthropic, model: str) -> None:
    form = {"format": {"type": "json_schema", "schema": BOXES}}
    find = {"type": "text", "text": "Find in the image: the red square"}
    messages = asks(block(picture((4000, 3000))), find)
    reply = create(client, messages, model=model, output_config=form)
    (found,) = json.loads(reply.content[0].text)["boxes"]  # type: ignore[union-attr]
    width = {"claude-opus-5-5": 2212, "claude-haiku-4-5": 1270}[model]
    edge = 750 * width / 4000
    assert found["box"] == pytest.approx([edge, edge, 2 * edge, 2 * edge], abs=2)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_looks_at_the_upright_picture(client: Anthropic, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = picture((600, 400), "JPEG", exif=exif, quality=95)
    reply = create(client, asks(block(data, "image/jpeg"), WORDS))
    shown = "600 × 400" if orientation < 5 else "400 × 600"
    assert shown in reply.content[0].text  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_the_four_formats_are_taken(client: Anthropic, kind: str) -> None:
    data = picture(kind=kind)
    reply = create(client, asks(block(data, f"image/{kind.lower()}"), WORDS))
    assert "400 × 300" in reply.content[0].text  # type: ignore[union-attr]


def test_webp_sizes_are_read_from_all_three_headers(client: Anthropic) -> None:
    layered = Image.new("RGBA", (30, 20), (255, 0, 0, 90))
    for options in ({"lossless": True}, {"quality": 80}, {"quality": 80, "exif": b"Exif\0\0MM"}):
        data = io.BytesIO()
        layered.save(data, "WEBP", **options)
        reply = create(client, asks(block(data.getvalue(), "image/webp"), WORDS))
        assert "30 × 20" in reply.content[0].text  # type: ignore[union-attr]


def test_transparent_is_white(client: Anthropic) -> None:
    data = io.BytesIO()
    Image.new("RGBA", (60, 60), (0, 0, 0, 0)).save(data, "PNG")
    reply = create(client, asks(block(data.getvalue()), WORDS))
    assert "white 100%" in reply.content[0].text  # type: ignore[union-attr]


def test_pictures_go_by_the_labels_before_them(client: Anthropic) -> None:
    dark = io.BytesIO()
    Image.new("RGB", (400, 300), "black").save(dark, "PNG")
    named = [{"type": "text", "text": text} for text in ("Before:", "After:", "What differs?")]
    messages = asks(named[0], block(), named[1], block(dark.getvalue()), named[2])
    text = create(client, messages).content[0].text  # type: ignore[union-attr]
    assert "From Before to After" in text


def test_a_later_turn_sees_the_earlier_picture(client: Anthropic) -> None:
    first = create(client)
    turns = [*asks(), first.to_param(), {"role": "user", "content": "And its colours?"}]
    assert "red" in create(client, turns).content[0].text  # type: ignore[union-attr]


# Tokens


def test_a_count_is_what_the_message_costs(client: Anthropic) -> None:
    counted = client.messages.count_tokens(model=MODEL, messages=asks(), system="Be brief.")  # type: ignore[arg-type]
    assert counted.input_tokens == create(client, system="Be brief.").usage.input_tokens


def test_pictures_cost_their_patches(client: Anthropic) -> None:
    def cost(model: str, *blocks: Any) -> int:
        return client.messages.count_tokens(model=model, messages=asks(*blocks)).input_tokens  # type: ignore[arg-type]

    data = block(picture((3840, 2160)))
    assert cost(MODEL, data, WORDS) - cost(MODEL, WORDS) == 4784
    assert cost("claude-haiku-4-5", data, WORDS) - cost("claude-haiku-4-5", WORDS) == 1560


def test_the_same_words_are_more_tokens_for_newer_models(client: Anthropic) -> None:
    words = {"type": "text", "text": "word " * 400}
    counts = [
        client.messages.count_tokens(model=model, messages=asks(words)).input_tokens  # type: ignore[arg-type]
        for model in ("claude-haiku-4-5", MODEL)
    ]
    assert counts[1] / counts[0] == pytest.approx(1.3, abs=0.03)


def test_max_tokens_ends_the_words(client: Anthropic) -> None:
    reply = create(client, max_tokens=3)
    assert (reply.stop_reason, reply.usage.output_tokens) == ("max_tokens", 3)
    assert len(reply.content[0].text) <= 20  # type: ignore[union-attr]


def test_a_stop_sequence_ends_the_words(client: Anthropic) -> None:
    reply = create(client, stop_sequences=["pixels", "no such words"])
    assert (reply.stop_reason, reply.stop_sequence) == ("stop_sequence", "pixels")
    assert reply.content[0].text == "A picture of 400 × 300 "  # type: ignore[union-attr]


# Models


def test_the_models_api_pages_through_practice_ids(client: Anthropic) -> None:
    ids = [model.id for model in client.models.list(limit=4)]
    assert ids == [model.id for model in client.models.list()]
    assert len(ids) == len(set(ids)) > 10
    assert all(model_id.startswith("practice-") for model_id in ids)


def test_a_model_says_its_limits(client: Anthropic) -> None:
    model = client.models.retrieve("claude-haiku-4-5")
    assert (model.max_input_tokens, model.max_tokens, model.line) == (200_000, 64_000, "haiku")
    assert model.capabilities is not None
    assert model.capabilities.image_input.supported


@pytest.mark.parametrize("model", ["gpt-9", "claude-nobody-9", "practice-nobody", "", "../x"])
def test_no_model_of_this_name(client: Anthropic, model: str) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        create(client, model=model)
    assert caught.value.body["error"]["message"] == f"model: {model}"  # type: ignore[index]


# What is refused, with the words of the documentation


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"extra_body": {"colour": 1}}, "colour: Extra inputs are not permitted"),
        ({"extra_body": {"temperature": 1.0}}, "temperature: not accepted since"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"max_tokens": 200_000, "stream": True}, "max_tokens: 200000 > 128000"),
        ({"extra_body": {"max_tokens": True}}, "max_tokens: Input should be a valid integer"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "thinking.type"),
        ({"thinking": {"type": "disabled"}}, "thinking.type"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"output_config": {"effort": "enormous"}}, "output_config.effort"),
        ({"stop_sequences": [" "]}, "stop_sequences"),
        ({"system": 3}, "system"),
        ({"extra_body": {"messages": []}}, "at least one message"),
    ],
)
def test_a_wrong_parameter_is_named(client: Anthropic, more: dict[str, Any], words: str) -> None:
    assert words in refusal(client, **more)


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([{"role": "assistant", "content": "x"}], "first message must use"),
        ([{"role": "system", "content": "x"}], "messages.0.role"),
        ([{"role": "user", "content": []}], "non-empty content"),
        ([{"role": "user", "content": "  "}], "non-whitespace"),
        ([{"role": "user"}], "messages.0.content: Field required"),
        ([*asks(), {"role": "assistant", "content": "It is"}], "prefill"),
        (asks({"type": "video"}), "Input tag 'video'"),
        (asks({"type": "document", "source": {}}), "documents"),
        (asks({"type": "text", "text": "x", "colour": 1}), "Extra inputs"),
        (asks({"type": "image"}), "source: Field required"),
        (asks(block(source={"type": "url", "url": "http://x"})), "fetches nothing"),
        (asks(block(more=1)), "Extra inputs"),
        (asks(block(b"\x89PNG nothing of the kind")), "Could not process image"),
        (asks(block(picture()[:200])), "Could not process image"),
        (asks(block(media_type="image/jpeg")), "appears to be a image/png"),
        (asks(block(media_type="image/bmp")), "media_type"),
        (asks(*[block(cache_control={"type": "ephemeral"})] * 5), "maximum of 4 blocks"),
    ],
)
def test_a_wrong_message_is_named(client: Anthropic, messages: Any, words: str) -> None:
    assert words in refusal(client, messages)


def test_base64_is_read_strictly(client: Anthropic) -> None:
    wrong = block()
    wrong["source"]["data"] += "*"
    assert "Invalid base64 data" in refusal(client, asks(wrong))


def test_ten_megabytes_of_base64_are_too_many(client: Anthropic) -> None:
    data = picture() + bytes(7_500_000)
    assert "image exceeds 10 MB maximum" in refusal(client, asks(block(data)))


def test_five_megabytes_of_base64_are_too_many_on_bedrock(bedrock: Any) -> None:
    data = picture() + bytes(3_750_000)
    with pytest.raises(bedrock.exceptions.ValidationException, match="image exceeds 5 MB maximum"):
        invoke(bedrock, messages=asks(block(data)))


def test_eight_thousand_pixels_are_the_end(client: Anthropic) -> None:
    assert "8000 pixels" in refusal(client, asks(block(picture((8001, 4)))))
    assert create(client, asks(block(picture((8000, 4))))).stop_reason == "end_turn"


def test_many_images_may_have_two_thousand_pixels(client: Anthropic) -> None:
    large, small = block(picture((2001, 8))), block(picture((20, 8)))
    assert "many-image requests: 2000" in refusal(client, asks(large, *[small] * 20))
    assert create(client, asks(large, *[small] * 19), max_tokens=9).stop_reason == "max_tokens"


def test_a_hundred_images_are_enough_for_a_small_context(client: Anthropic) -> None:
    messages = asks(*[block(picture((20, 8)))] * 101)
    assert "too many images: 101 > 100" in refusal(client, messages, model="claude-haiku-4-5")


def test_an_oversized_image_is_refused_where_it_asks_for_that(client: Anthropic) -> None:
    strict = {"oversized_image": "error"}
    large = block(picture((2000, 1500)), transformations=strict)
    words = refusal(client, asks(WORDS, large), model="claude-haiku-4-5")
    assert "messages.0.content.1: image is 2000x1500" in words
    assert "1270x952" in words
    assert create(client, asks(large)).stop_reason == "end_turn"


def test_counting_honours_transformations_too(client: Anthropic) -> None:
    large = block(picture((3000, 2500)), transformations={"oversized_image": "error"})
    with pytest.raises(anthropic.BadRequestError, match="the largest size that fits"):
        client.messages.count_tokens(model=MODEL, messages=asks(large))  # type: ignore[arg-type]


def test_a_large_request_is_refused_with_413(client: Anthropic) -> None:
    words = {"type": "text", "text": "x" * 32_000_001}
    with pytest.raises(anthropic.RequestTooLargeError):
        create(client, asks(words))


def test_a_prompt_longer_than_the_context_is_refused(client: Anthropic) -> None:
    words = {"type": "text", "text": "x" * 1_000_000}
    assert "prompt is too long" in refusal(client, asks(words), model="claude-haiku-4-5")


def test_older_models_take_sampling_with_the_older_version(client: Anthropic) -> None:
    old = {"extra_headers": {"anthropic-version": "2023-06-01"}, "extra_body": {"temperature": 1}}
    assert create(client, model="claude-haiku-4-5", **old).stop_reason == "end_turn"
    assert "not supported by this model" in refusal(client, **old)


def test_an_unknown_version_is_refused(client: Anthropic) -> None:
    headers = {"anthropic-version": "2020-01-01"}
    assert "is not a valid version" in refusal(client, extra_headers=headers)


def test_who_is_refused_before_the_end_is_told_that_the_connection_ends(
    server: PracticeServer,
) -> None:
    with httpx2.Client() as client:
        for _ in range(20):  # a kept connection would be closed under the next request
            reply = client.get(f"{server.url}/v1/files", headers={"x-api-key": "another-key"})
            assert (reply.status_code, reply.headers["connection"]) == (401, "close")


def test_a_wrong_key_is_refused_with_401(server: PracticeServer) -> None:
    with (
        Anthropic(base_url=server.url, api_key="sk-ant-real-looking", max_retries=0) as one,
        pytest.raises(anthropic.AuthenticationError) as caught,
    ):
        create(one)
    assert caught.value.type == "authentication_error"
    assert "real-looking" not in repr(server.requests)
    assert server.requests[-1].body is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"anthropic_version": None}, "anthropic_version: Field required"),
        ({"anthropic_version": "2023-06-01"}, "bedrock-2023-05-31"),
        ({"speed": "fast"}, "speed: Extra inputs are not permitted"),
        ({"stream": True}, "stream: Extra inputs"),
        ({"cache_control": {"type": "ephemeral"}}, "cache_control: Extra inputs"),
        ({"output_config": {"format": {}}}, "output_config.format: Extra inputs"),
        ({"temperature": 1.0}, "not supported by this model"),
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"messages": asks(block(transformations={}))}, "transformations: Extra inputs"),
        ({"messages": asks(block(source={"type": "url"}))}, "Input tag 'url'"),
    ],
)
def test_bedrock_refuses_what_it_does_not_know(
    bedrock: Any, more: dict[str, Any], words: str
) -> None:
    with pytest.raises(bedrock.exceptions.ValidationException, match=words):
        invoke(bedrock, **more)


@pytest.mark.parametrize("model", ["claude-opus-5-5", "meta.llama", "us.anthropic.claude-x"])
def test_bedrock_knows_only_its_own_ids(bedrock: Any, model: str) -> None:
    with pytest.raises(bedrock.exceptions.ValidationException, match="identifier is invalid"):
        invoke(bedrock, model)


def test_bedrock_asks_for_a_profile(bedrock: Any) -> None:
    with pytest.raises(bedrock.exceptions.ValidationException, match="inference profile"):
        invoke(bedrock, "anthropic.claude-opus-5-5")


def test_bedrock_takes_schemas_for_the_generation_that_is_documented(bedrock: Any) -> None:
    config = {"format": {"type": "json_schema", "schema": BOXES}}
    reply = invoke(bedrock, "us.anthropic.claude-sonnet-4-6", output_config=config)
    assert "boxes" in json.loads(reply["content"][0]["text"])


def test_bedrock_refuses_another_key(server: PracticeServer) -> None:
    one = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="anything",
    )
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        invoke(one)
    one.close()


# Structured outputs: any schema of the dialect

PLAIN = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer"},
        {"type": ["number", "null"]},
        {"type": "boolean"},
        {"type": "null"},
        {"type": "string", "format": "date"},
        {"enum": ["red", 3, None]},
        {"const": "x"},
        {"const": 1.5, "type": "number"},
        {"$ref": "#/$defs/colour"},
        {},
    ]
)
NAMES = st.sampled_from(["box", "label", "x1", "count", "colour", "things", "width"])


def closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties)[::2],
        "additionalProperties": False,
    }


def nested(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.dictionaries(NAMES, inner, max_size=3).map(closed),
        st.builds(
            lambda i, n: {"type": "array", "items": i, "minItems": n}, inner, st.integers(0, 1)
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts}),
        inner.map(lambda part: {"allOf": [part, {"description": "beside"}]}),
    )


SCHEMAS = st.recursive(PLAIN, nested, max_leaves=8).map(
    lambda schema: {**schema, "$defs": {"colour": {"enum": ["red", "blue"]}}}
)


@settings(max_examples=60, deadline=None)
@given(schema=SCHEMAS)
def test_an_answer_follows_its_schema(client: Anthropic, schema: dict[str, Any]) -> None:
    try:
        check_schema(schema)
    except Rejected:
        return
    form = {"format": {"type": "json_schema", "schema": schema}}
    reply = create(client, asks(WORDS), max_tokens=8000, output_config=form)
    value = json.loads(reply.content[0].text)  # type: ignore[union-attr]
    Draft202012Validator(schema).validate(value)


@settings(max_examples=300, deadline=None)
@given(schema=SCHEMAS)
def test_the_smallest_value_follows_its_schema(schema: dict[str, Any]) -> None:
    try:
        check_schema(schema)
    except Rejected:
        return
    Draft202012Validator(schema).validate(smallest_value(schema))


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "object", "properties": {}}, "additionalProperties"),
        ({"type": "integer", "minimum": 1}, "'minimum' is not supported"),
        ({"type": "string", "maxLength": 9}, "'maxLength' is not supported"),
        ({"type": "string", "format": "colour"}, "format must be one of"),
        ({"type": "array", "items": {}, "minItems": 4}, "minItems may be 0 or 1"),
        ({"type": "colour"}, "type must be one of"),
        ({"$ref": "http://example.org/x"}, "does not lead into this schema"),
        ({"$ref": "#"}, "recursive"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}, "recursive"),
        ({"enum": [{"a": 1}]}, "enum and const take"),
        ({"enum": []}, "not empty"),
        ({"oneOf": [{}]}, "'oneOf' is not supported"),
        ({"type": "string", "const": 3}, "no value can follow"),
        (closed({f"p{n}": {} for n in range(60)}), "30 optional properties"),
        (3, "a schema is a JSON object"),
    ],
)
def test_a_schema_outside_the_dialect_is_refused(
    client: Anthropic, schema: Any, words: str
) -> None:
    form = {"format": {"type": "json_schema", "schema": schema}}
    assert words in refusal(client, output_config=form)


def test_a_schema_that_doubles_with_every_step_is_refused_quickly(client: Anthropic) -> None:
    twice = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)} | {
        "d40": {}
    }
    form = {"format": {"type": "json_schema", "schema": {"$ref": "#/$defs/d0", "$defs": twice}}}
    start = time.monotonic()
    assert "too complex" in refusal(client, output_config=form)
    assert time.monotonic() - start < 2


# Faults, at both doors


STATUSES = {
    "rate_limited": (429, "ThrottlingException"),
    "rate_limited_hour": (429, "ThrottlingException"),
    "monthly_limit": (429, "ThrottlingException"),
    "spend_limit": (400, "ServiceQuotaExceededException"),
    "overloaded": (529, "ServiceUnavailableException"),
    "server_error": (500, "InternalServerException"),
}


@pytest.mark.parametrize("kind", STATUSES)
def test_a_fault_before_the_answer_is_an_error_at_both_doors(
    server: PracticeServer, client: Anthropic, bedrock: Any, kind: str
) -> None:
    server.faults.push(kind, times=2)
    with pytest.raises(anthropic.APIStatusError) as caught:
        create(client)
    assert caught.value.status_code == STATUSES[kind][0]
    waits = {"rate_limited": "1", "rate_limited_hour": "3600"}
    assert caught.value.response.headers.get("retry-after") == waits.get(kind)
    with pytest.raises(ClientError, match=STATUSES[kind][1]):
        invoke(bedrock)
    assert create(client).stop_reason == "end_turn"


def test_the_clients_own_retry_gets_through(server: PracticeServer) -> None:
    server.faults.push("overloaded")
    with Anthropic(base_url=server.url, api_key=server.token, max_retries=1) as one:
        assert create(one).stop_reason == "end_turn"


def test_a_reset_is_a_lost_connection(
    server: PracticeServer, client: Anthropic, bedrock: Any
) -> None:
    server.faults.push("reset", times=2)
    with pytest.raises(anthropic.APIConnectionError):
        create(client)
    with pytest.raises(Exception, match=r"closed|reset"):  # botocore's own, by name
        invoke(bedrock)


@pytest.mark.parametrize("kind", ["refusal", "truncated", "empty"])
def test_an_answer_may_end_badly(
    server: PracticeServer, client: Anthropic, bedrock: Any, kind: str
) -> None:
    server.faults.push(kind, times=3)
    plain, aws = create(client), invoke(bedrock)
    with client.messages.stream(model=MODEL, max_tokens=500, messages=asks()) as stream:
        streamed = stream.get_final_message()
    reason = {"refusal": "refusal", "truncated": "max_tokens", "empty": "end_turn"}[kind]
    assert plain.stop_reason == streamed.stop_reason == aws["stop_reason"] == reason
    assert bool(plain.content) == bool(streamed.content) == bool(aws["content"])
    assert (plain.stop_details is not None) == (kind == "refusal")


PLAIN_FAULTS = {
    "cut": b'{"id"',
    "ends_early": b'{"id"',
    "bad_json": b'{"id"',
    "bad_utf8": b"\xff\xfe",
    "html": b"<!doctype html>",
    "other_json": b"chat.completion",
    "null": b"null",
    "nan_usage": b"NaN",
    "error_event": b"overloaded_error",
    "disorder": b'{"id"',
    "checksum": b'{"id"',
}


@pytest.mark.parametrize("kind", PLAIN_FAULTS)
def test_a_plain_reply_may_be_broken(server: PracticeServer, kind: str) -> None:
    server.faults.push(kind)
    status, data = raw_post(server, stream=False)
    assert status.startswith(b"HTTP/1.1 200")
    assert PLAIN_FAULTS[kind] in data


STREAM_FAULTS = {
    "cut": b"text_delta",
    "ends_early": b"\r\n0\r\n\r\n",
    "bad_json": b'"text_del\n',
    "bad_utf8": b"\xff\xfe",
    "nan_usage": b"NaN",
    "error_event": b"event: error",
    "disorder": b'"index": 3',
    "checksum": b'"text_del\n',
}


@pytest.mark.parametrize("kind", STREAM_FAULTS)
def test_a_stream_may_be_broken_in_the_middle(server: PracticeServer, kind: str) -> None:
    server.faults.push(kind)
    status, data = raw_post(server, stream=True)
    assert status.startswith(b"HTTP/1.1 200")
    assert STREAM_FAULTS[kind] in data
    goes_on = kind in {"bad_json", "bad_utf8", "nan_usage", "disorder", "checksum"}
    assert (b"message_stop" in data) == goes_on
    assert data.endswith(b"0\r\n\r\n") == (kind != "cut")


def raw_post(server: PracticeServer, *, stream: bool) -> tuple[bytes, bytes]:
    """Everything that comes back, byte for byte."""
    import socket

    port = int(server.url.rpartition(":")[2])
    body = json.dumps({"model": MODEL, "max_tokens": 500, "messages": asks(), "stream": stream})
    head = (
        f"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nx-api-key: {server.token}\r\n"
        f"anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\n"
        f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=20) as one:
        one.sendall(head.encode() + body.encode())
        data = b"".join(iter(lambda: one.recv(65536), b""))
    first, _, rest = data.partition(b"\r\n")
    return first, rest


def test_the_clients_see_a_broken_stream(server: PracticeServer, client: Anthropic) -> None:
    server.faults.push("error_event")
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        list(create(client, stream=True))  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("kind", "what"),
    [("error_event", "Overloaded"), ("checksum", "Checksum"), ("cut", "ended|broken|Incomplete")],
)
def test_botocore_sees_a_broken_stream(
    server: PracticeServer, bedrock: Any, kind: str, what: str
) -> None:
    server.faults.push(kind)
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 500, "messages": asks()}
    reply = bedrock.invoke_model_with_response_stream(modelId=PROFILE, body=json.dumps(body))
    with pytest.raises(Exception, match=what):  # botocore's and urllib3's own, by name
        list(reply["body"])


@pytest.mark.parametrize("stream", [False, True])
def test_silence_lasts_until_the_client_gives_up(server: PracticeServer, *, stream: bool) -> None:
    server.faults.push("stall")
    with (
        Anthropic(base_url=server.url, api_key=server.token, max_retries=0, timeout=0.3) as one,
        pytest.raises((anthropic.APITimeoutError, httpx2.ReadTimeout)),
    ):
        list(create(one, stream=stream))


def test_a_drip_keeps_a_client_waiting_with_pings(server: PracticeServer) -> None:
    """The SDK swallows them and never times out, so that this one is read by hand."""
    server.faults.push("drip")
    pings = 0
    with httpx2.stream(
        "POST",
        f"{server.url}/v1/messages",
        headers={"x-api-key": server.token, "anthropic-version": "2026-10-21"},
        json={"model": MODEL, "max_tokens": 500, "messages": asks(), "stream": True},
    ) as reply:
        for line in reply.iter_lines():
            pings += line == "event: ping"
            if pings == 4:
                break
    assert pings == 4


def test_a_redirect_points_to_another_origin(server: PracticeServer) -> None:
    server.faults.push("redirect")
    status, data = raw_post(server, stream=False)
    port = server.url.rpartition(":")[2]
    assert status.startswith(b"HTTP/1.1 307")
    assert f"Location: http://localhost:{port}/v1/messages".encode() in data


def test_every_fault_has_its_test(client: Anthropic) -> None:
    tested = {*STATUSES, *PLAIN_FAULTS, *STREAM_FAULTS, "reset", "refusal", "truncated", "empty"}
    assert tested | {"stall", "drip", "redirect"} == set(FAULTS)
    assert create(client).stop_reason == "end_turn"


def test_an_unknown_fault_is_refused(server: PracticeServer) -> None:
    with pytest.raises(RequestError, match="no fault 'flood'"):
        server.faults.push("flood")
    with pytest.raises(RequestError, match="times=0"):
        server.faults.push("cut", times=0)


# A class of thirty


def test_thirty_stream_at_once_without_waiting_for_each_other() -> None:
    with PracticeServer(words_per_second=40) as server:
        one = Anthropic(base_url=server.url, api_key=server.token, max_retries=0)

        def read(_: int) -> tuple[float, float, int]:
            start = time.monotonic()
            with one.messages.stream(model=MODEL, max_tokens=500, messages=asks()) as stream:
                pieces = [(time.monotonic() - start, text) for text in stream.text_stream]
            return pieces[0][0], pieces[-1][0], sum(len(text.split()) for _, text in pieces)

        start = time.monotonic()
        with one, ThreadPoolExecutor(30) as students:
            seen = list(students.map(read, range(30)))
        took = time.monotonic() - start
    words = seen[0][2]
    assert all(count == words for _, _, count in seen)
    assert max(first for first, _, _ in seen) < 4
    assert took < 4 + 2 * words / 40


# Its life


def test_it_tells_what_arrived_without_secrets(server: PracticeServer, client: Anthropic) -> None:
    create(client)
    arrived = server.requests[-1]
    assert (arrived.method, arrived.path) == ("POST", "/v1/messages")
    assert arrived.body["max_tokens"] == 500  # type: ignore[index]
    assert server.token not in repr(arrived) + repr(dict(arrived.headers))
    assert len(repr(arrived)) < 100


def test_a_closed_server_is_gone_and_may_start_again() -> None:
    server = PracticeServer().start()
    port = int(server.url.rpartition(":")[2])
    server.close()
    server.close()
    with pytest.raises(NotConnected):
        _ = server.url
    with PracticeServer(port) as again, again.start() as same:
        assert same.url.endswith(f":{port}")
        with pytest.raises(NotConnected, match="is taken"):
            PracticeServer(port).start()


@pytest.mark.parametrize("port", [-1, 65_536, True])
def test_a_strange_port_is_refused(port: int) -> None:
    with pytest.raises(RequestError, match="port="):
        PracticeServer(port)


@pytest.mark.parametrize("pace", [0, -1.0, float("nan"), float("inf")])
def test_a_strange_pace_is_refused(pace: float) -> None:
    with pytest.raises(RequestError, match="words_per_second"):
        PracticeServer(words_per_second=pace)
