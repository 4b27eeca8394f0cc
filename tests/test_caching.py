"""What is marked to be kept, what the practice server makes of it over HTTP, and what it saves."""

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import anthropic
import boto3
import pytest
from anthropic import Anthropic
from botocore.config import Config
from doors import every_door
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from wire import EVENTS, SSE, Arrived, Connection, answer_well, sse, wire

import nbvision as nv
from nbvision.backends import Backend
from nbvision.caching import cache_in_words, dollars_saved, kept_until
from nbvision.catalogue import find_model, known_models
from nbvision.platforms import find_platform
from nbvision.practice import PracticeServer, played_models
from nbvision.practice.prompt_cache import Prefix, PromptCache
from nbvision.referenced import RemoteImage
from nbvision.request import Request, RequestMessage
from nbvision.response import Usage

LARGE = Image.new("RGB", (1000, 800), "teal")  # 1,044 visual tokens
SMALL = Image.new("RGB", (60, 60), "teal")
MARK = {"type": "ephemeral"}


def request(*turns: tuple[object, ...], system: str | None = None, **more: Any) -> Request:
    """Return a conversation's request: a tuple of pictures and words for each turn of the user."""
    model_id = more.pop("model_id", "claude-opus-5-5")
    messages: list[RequestMessage] = []
    for turn in turns:
        if messages:
            messages.append(RequestMessage("assistant", ("Yes.",)))
        blocks = [
            nv.prepare(block, model=model_id) if isinstance(block, Image.Image) else block
            for block in turn
        ]
        messages.append(RequestMessage("user", tuple(blocks)))  # type: ignore[arg-type]
    platform = find_platform(more.pop("platform", "anthropic"))
    model = find_model(model_id)
    return Request(model_id, model, platform, tuple(messages), system=system, **more)


def marked(made: Request, *earlier: Request) -> Request:
    return replace(made, cached_until=kept_until(made, earlier))


def test_the_end_and_the_last_picture_are_marked() -> None:
    made = request(("Image 1:", LARGE, "Image 2:", LARGE, "What differs?"))
    assert kept_until(made) == {(0, 3), (0, 4)}


def test_a_turn_without_a_picture_has_one_mark_and_reads_the_one_before() -> None:
    first = marked(request((LARGE, "What is it?")))
    second = request((LARGE, "What is it?"), ("And what colour?",))
    second = Request(
        second.model_id, second.model, second.platform, (*first.messages, *second.messages[1:])
    )
    assert kept_until(second, [first]) == {(0, 1), (2, 0)}


@pytest.mark.parametrize("changed", [{"effort": "low"}, {"system": "Be brief."}, {"model_id": ""}])
def test_what_was_asked_in_another_manner_is_not_read(changed: dict[str, Any]) -> None:
    first = marked(request((LARGE, "What is it?")))
    if "model_id" in changed:
        changed = {"model_id": "claude-sonnet-5-5", "model": find_model("claude-sonnet-5-5")}
    words = RequestMessage("user", ("And what colour?",))
    second = replace(first, messages=(*first.messages, words), **changed)
    assert kept_until(second, [first]) == {(1, 0)}


def test_a_long_system_prompt_is_marked_for_other_conversations() -> None:
    made = request((LARGE, "What is it?"), system="Be brief. " * 400)
    assert kept_until(made) == {(-1, 0), (0, 0), (0, 1)}


def test_nothing_below_the_models_minimum_is_marked() -> None:
    assert kept_until(request((SMALL, "What is it?"))) == frozenset()
    assert kept_until(request((LARGE, "What is it?"), model_id="claude-haiku-4-5")) == frozenset()
    whole = request(*[(LARGE, "What is it?")] * 4, model_id="claude-haiku-4-5")
    assert kept_until(whole) == {(6, 0), (6, 1)}


def test_a_picture_of_unknown_size_counts_as_a_large_one() -> None:
    assert kept_until(request((RemoteImage("https://a.example/b.png"), "What is it?")))


def test_nothing_is_marked_where_blocks_take_no_marks() -> None:
    made = request((LARGE, "What is it?"), platform="bedrock-converse")
    assert not made.platform.takes_cache_control
    assert kept_until(made) == frozenset()


def test_every_model_of_the_catalogue_has_the_minimum_that_the_other_side_has() -> None:
    for model in known_models():
        assert model.cache_minimum == played_models.find_model(model.id).cache_minimum, model.id
    assert {model.cache_minimum for model in known_models()} == {512, 1024, 2048, 4096}


def test_the_words_of_what_was_saved() -> None:
    assert cache_in_words(Usage(4000, 90, 1234, 444), 0.0031).endswith("cache, $0.0031 saved")
    assert cache_in_words(Usage(0, 1, 10), 0.0000031).endswith("$0.000003 saved")
    assert cache_in_words(Usage(0, 1, 10, 10**6), -0.5).endswith("$0.5000 more than without it")
    for unknown in (None, 0.0):
        assert cache_in_words(Usage(0, 1, 10), unknown) == "10 of 10 tokens in from the cache"


def test_writing_costs_a_quarter_more_and_reading_a_twentieth() -> None:
    opus = find_model("claude-opus-5-5")
    assert dollars_saved(opus, Usage(0, 0, 0, 10**6)) == pytest.approx(-1)
    assert dollars_saved(opus, Usage(0, 0, 10**6, 0)) == pytest.approx(3.8)
    assert dollars_saved(find_model("claude-of-another-house"), Usage(1, 1)) is None


def test_a_reply_and_a_conversation_say_what_came_from_the_cache() -> None:
    def cached(connection: Connection, _: Arrived) -> None:
        counts = {"cache_read_input_tokens": 1234, "cache_creation_input_tokens": 400}
        usage = {"input_tokens": 4044, "output_tokens": 1, **counts}
        begun = {**EVENTS[0], "message": {**EVENTS[0]["message"], "usage": usage}}
        connection.reply(b"".join(map(sse, [begun, *EVENTS[1:]])), content_type=SSE)

    with wire(cached) as server:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key="not-a-key"
        )
        chat = nv.Conversation(backend=backend)
        reply = chat.ask("What is this?", SMALL)
        backend.close()
    words = "1,234 of 5,678 tokens in from the cache, $0.0043 saved"
    assert words in reply.summary()
    assert words in chat.summary()
    assert reply.cost.saved == pytest.approx((1234 * 3.8 - 400 * 1) / 1e6)
    assert chat.cost.saved == reply.cost.saved


# -- an earlier turn is never altered ----------------------------------------------------------


def answer_in_form(connection: Connection, arrived: Arrived) -> None:
    """Answer a turn that locates with no boxes, any other with words."""
    if b'"format"' not in arrived.body:
        return answer_well(connection, arrived)
    said = {**EVENTS[2], "delta": {"type": "text_delta", "text": '{"boxes": []}'}}
    events = [*EVENTS[:2], said, *EVENTS[3:]]
    return connection.reply(b"".join(map(sse, events)), content_type=SSE)


STEPS = st.lists(
    st.sampled_from(["words", "picture", "pictures", "locate", "undo", "fork"]), max_size=9
)


@given(steps=STEPS)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_was_sent_is_sent_again_byte_for_byte(steps: list[str]) -> None:
    with wire(answer_in_form) as server:
        backend = nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key="not-a-key"
        )
        chat = nv.Conversation("Be brief. " * 400, backend=backend)
        sent: list[bytes] = []  # by each turn that still stands
        for step in ["picture", *steps]:
            if step == "undo":
                if len(sent) > 1:
                    chat.undo()
                    sent.pop()
                continue
            if step == "fork":
                chat = chat.fork()
                continue
            if step == "locate":
                chat.locate("every door", image_number=1)
            else:
                pictures = {"picture": [LARGE], "pictures": [SMALL] * 12}.get(step, [])
                chat.ask(f"What of {step}?", *pictures)
            body = server.arrived[-1].json
            check_marks(body)
            sent.append(bare_messages(body))
            assert all(sent[-1].startswith(before[:-1]) for before in sent)
            assert len(sent) == len(chat.turns)
        backend.close()


def check_marks(body: dict[str, Any]) -> None:
    blocks = [*body["system"], *(b for m in body["messages"] for b in m["content"])]
    marks = [block["cache_control"] for block in blocks if "cache_control" in block]
    assert 1 <= len(marks) <= 4
    assert all(mark == MARK for mark in marks)
    assert blocks[-1].get("cache_control") == MARK


def bare_messages(body: dict[str, Any]) -> bytes:
    for message in body["messages"]:
        for block in message["content"]:
            block.pop("cache_control", None)
    return json.dumps(body["messages"]).encode()


# -- over HTTP, from every door ----------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[PracticeServer]:
    with PracticeServer() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: PracticeServer) -> Iterator[Anthropic]:
    with Anthropic(base_url=server.url, api_key=server.token, max_retries=0, timeout=20) as one:
        yield one


def practice_door(name: str, server: PracticeServer) -> Backend:
    if name == "anthropic":
        return nv.connect(
            "anthropic", platform="anthropic", base_url=server.url, api_key=server.token
        )
    return nv.connect("bedrock", region="us-east-1", endpoint_url=server.url, api_key=server.token)


@every_door
def test_the_second_turn_reads_what_the_first_has_written(
    name: str, server: PracticeServer
) -> None:
    backend = practice_door(name, server)
    chat = nv.Conversation(f"Say it to {name}.", backend=backend)
    first = chat.ask("What is this?", nv.samples.shapes).usage
    second = chat.ask("And what colour?").usage
    third = chat.ask("And this?", nv.samples.page).usage
    assert first.cache_read_tokens == 0
    assert first.cache_write_tokens > nv.fit((3000, 2000), model="claude-opus-5-5").visual_tokens
    assert second.cache_read_tokens == first.cache_write_tokens
    assert third.cache_read_tokens == second.cache_read_tokens + second.cache_write_tokens
    assert all(0 < usage.input_tokens < 20 for usage in (first, second, third))
    backend.close()


@every_door
def test_without_the_cache_nothing_is_read_or_written(name: str, server: PracticeServer) -> None:
    backend = practice_door(name, server)
    chat = nv.Conversation("No cache.", backend=backend, cache=False)
    for words in ("What is this?", "And what colour?"):
        usage = chat.ask(words, *([] if chat.turns else [nv.samples.shapes])).usage
        assert (usage.cache_read_tokens, usage.cache_write_tokens) == (0, 0)
    assert "cache" not in chat.summary()
    backend.close()


def test_a_plain_reply_counts_as_a_streamed_one_does(server: PracticeServer) -> None:
    backend = practice_door("anthropic", server)
    made = marked(request((LARGE, "How light is it?")))
    written = backend.send(made).message
    read = backend.send(made).message
    assert isinstance(written, dict)
    assert isinstance(read, dict)
    assert written["usage"]["cache_creation_input_tokens"] > 1000
    assert written["usage"]["cache_creation"]["ephemeral_5m_input_tokens"] > 1000
    assert (
        read["usage"]["cache_read_input_tokens"] == written["usage"]["cache_creation_input_tokens"]
    )
    assert read["usage"]["cache_creation_input_tokens"] == 0
    backend.close()


def test_a_single_call_keeps_nothing(server: PracticeServer) -> None:
    backend = practice_door("anthropic", server)
    nv.describe(nv.samples.shapes, backend=backend)
    assert b"cache_control" not in json.dumps(server.requests[-1].body).encode()
    backend.close()


def test_asking_and_locating_by_turns_each_reads_its_own(server: PracticeServer) -> None:
    backend = practice_door("anthropic", server)
    chat = nv.Conversation("By turns.", backend=backend)
    asked = chat.ask("What is this?", nv.samples.shapes).usage
    located = chat.locate("the red circle").usage
    again = chat.ask("And what colour?").usage
    once_more = chat.locate("the purple diamond").usage
    assert located.cache_read_tokens == 0
    assert again.cache_read_tokens == asked.cache_write_tokens
    assert once_more.cache_read_tokens == located.cache_write_tokens
    backend.close()


def test_the_same_pictures_with_other_words_are_read(server: PracticeServer) -> None:
    backend = practice_door("anthropic", server)
    chat = nv.Conversation("Other words.", backend=backend)
    chat.ask("What is this?", nv.samples.shapes)
    chat.undo()
    usage = chat.ask("What is shown?", nv.samples.shapes).usage
    assert usage.cache_read_tokens > nv.fit((3000, 2000), model="claude-opus-5-5").visual_tokens
    backend.close()


def test_a_turn_of_more_blocks_than_are_looked_back_is_read_all_the_same(
    server: PracticeServer,
) -> None:
    backend = practice_door("anthropic", server)
    chat = nv.Conversation("Many.", backend=backend)
    chat.ask("What is this?", LARGE)
    before = chat.usage
    usage = chat.ask("And these?", [SMALL] * 15).usage
    assert usage.cache_read_tokens == before.cache_write_tokens
    assert (
        chat.ask("And now?").usage.cache_read_tokens
        == before.cache_write_tokens + usage.cache_write_tokens
    )
    backend.close()


def block(picture: Image.Image, **more: Any) -> dict[str, Any]:
    data = io.BytesIO()
    picture.save(data, "PNG")
    text = base64.b64encode(data.getvalue()).decode()
    return {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": text},
        **more,
    }


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def usage_of(client: Anthropic, *blocks: dict[str, Any], **more: Any) -> anthropic.types.Usage:
    messages: Any = [{"role": "user", "content": list(blocks)}]
    settled = {"model": "claude-opus-5-5", "max_tokens": 50, **more}
    return client.messages.create(messages=messages, **settled).usage


@pytest.mark.parametrize("between", [18, 19])
def test_twenty_blocks_are_looked_back(client: Anthropic, between: int) -> None:
    start = [block(Image.new("RGB", (900, 700 + between)), cache_control=MARK)]
    written = usage_of(client, *start, text("What is it?")).cache_creation_input_tokens
    bare = [{k: v for k, v in start[0].items() if k != "cache_control"}]
    filling = [text(f"{number}.") for number in range(between)]
    usage = usage_of(client, *bare, *filling, text("What is it?", cache_control=MARK))
    assert usage.cache_read_input_tokens == (written if between == 18 else 0)


def test_a_changed_earlier_picture_misses(client: Anthropic) -> None:
    words = text("What is it?", cache_control=MARK)
    tall = Image.new("RGB", (800, 1000), "navy")
    first = usage_of(client, block(tall), block(LARGE), words)
    assert usage_of(client, block(tall), block(LARGE), words).cache_read_input_tokens
    tall.putpixel((0, 0), (1, 2, 3))
    changed = usage_of(client, block(tall), block(LARGE), words)
    assert changed.cache_read_input_tokens == 0
    assert changed.cache_creation_input_tokens == first.cache_creation_input_tokens


def test_another_model_or_system_prompt_misses(client: Anthropic) -> None:
    asked = block(Image.new("RGB", (1000, 600), "olive")), text("What is it?", cache_control=MARK)
    usage_of(client, *asked)
    assert usage_of(client, *asked).cache_read_input_tokens
    assert not usage_of(client, *asked, model="claude-sonnet-5-5").cache_read_input_tokens
    assert not usage_of(client, *asked, system="Be brief.").cache_read_input_tokens


def test_marks_that_move_do_not_matter(client: Anthropic) -> None:
    picture = Image.new("RGB", (1000, 700), "pink")
    usage_of(client, block(picture, cache_control=MARK), text("What is it?"))
    usage = usage_of(client, block(picture), text("What is it?", cache_control=MARK))
    assert usage.cache_read_input_tokens == 900


def test_too_little_is_not_kept_and_no_error_says_so(client: Anthropic) -> None:
    asked = block(SMALL, cache_control=MARK), text("What is it?", cache_control=MARK)
    for _ in range(2):
        usage = usage_of(client, *asked)
        assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (0, 0)


def test_a_streams_first_and_last_counts_are_the_same(client: Anthropic) -> None:
    content = [block(Image.new("RGB", (840, 840), "plum")), text("What is it?", cache_control=MARK)]
    for read in (False, True):
        messages: Any = [{"role": "user", "content": content}]
        with client.messages.create(
            model="claude-opus-5-5", max_tokens=50, messages=messages, stream=True
        ) as stream:
            events = list(stream)
        begun = next(event.message.usage for event in events if event.type == "message_start")
        ended = next(event.usage for event in events if event.type == "message_delta")
        for usage in (begun, ended):
            assert bool(usage.cache_read_input_tokens) is read
            assert bool(usage.cache_creation_input_tokens) is not read
        assert begun.input_tokens == ended.input_tokens < 20


def test_an_hour_is_counted_apart(client: Anthropic) -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    usage = usage_of(
        client,
        block(LARGE, cache_control=mark),
        text("What, for an hour? " * 80, cache_control=MARK),
    )
    assert usage.cache_creation is not None
    assert usage.cache_creation.ephemeral_1h_input_tokens > 1000
    assert usage.cache_creation.ephemeral_5m_input_tokens > 100
    assert usage.input_tokens < 20


def test_the_top_level_mark_is_the_last_block(client: Anthropic) -> None:
    asked = block(Image.new("RGB", (800, 800), "gold")), text("What is it?")
    assert usage_of(client, *asked, cache_control=MARK).cache_creation_input_tokens
    assert usage_of(client, *asked, cache_control=MARK).cache_read_input_tokens


def test_a_fifth_mark_is_refused_wherever_it_stands(client: Anthropic) -> None:
    words = [text(f"{number}.", cache_control=MARK) for number in range(4)]
    with pytest.raises(anthropic.BadRequestError, match="maximum of 4 blocks"):
        usage_of(client, *words, system=[text("Be brief.", cache_control=MARK)])
    with pytest.raises(anthropic.BadRequestError, match="ttl of '5m' or '1h'"):
        usage_of(client, text("one"), system=[text("Be brief.", cache_control={"type": "no"})])


def test_bedrock_refuses_the_top_level_field_and_counts_in_its_headers(
    server: PracticeServer,
) -> None:
    runtime = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id=server.token,
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}),
    )
    content = [block(LARGE), text("What is it?", cache_control=MARK)]
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": content}],
    }
    asks = {"modelId": "us.anthropic.claude-sonnet-5-5", "body": json.dumps(body)}
    runtime.invoke_model(**asks)
    reply = runtime.invoke_model(**asks)
    headers = reply["ResponseMetadata"]["HTTPHeaders"]
    assert json.loads(reply["body"].read())["usage"]["cache_read_input_tokens"] > 1000
    assert int(headers["x-amzn-bedrock-cache-read-input-token-count"]) > 1000
    assert int(headers["x-amzn-bedrock-input-token-count"]) < 20
    body["cache_control"] = MARK
    with pytest.raises(runtime.exceptions.ValidationException, match="cache_control: Extra inputs"):
        runtime.invoke_model(**{**asks, "body": json.dumps(body)})
    runtime.close()


def test_a_beginning_lives_five_minutes_from_each_reading() -> None:
    time = [0.0]
    cache = PromptCache(clock=lambda: time[0], most=3)
    prefix = Prefix(b"a", 1000, "5m", is_long_enough=True)
    cache.keep([prefix], 0.0)
    for now, reads in ((299.0, 1000), (598.0, 1000), (898.0, 0)):
        time[0] = now
        assert cache.look_up([prefix], now).read == reads
    for name in (b"b", b"c", b"d", b"e"):
        cache.keep([Prefix(name, 1000, "5m", is_long_enough=True)], 900.0)
    assert len(cache) == 3


def test_a_refused_request_keeps_nothing(server: PracticeServer, client: Anthropic) -> None:
    asked = block(Image.new("RGB", (1000, 500), "lime")), text("What is it?", cache_control=MARK)
    server.faults.push("overloaded")
    with pytest.raises(anthropic.OverloadedError):
        usage_of(client, *asked)
    assert usage_of(client, *asked).cache_read_input_tokens == 0
    assert usage_of(client, *asked).cache_read_input_tokens > 0
