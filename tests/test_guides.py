"""The examples of the guides this project began with, through the real clients.

Each is the request of a published page, asked of the practice server: the Bedrock post's
picture and question, and the vision guide's single image, several images and system prompt.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from anthropic import Anthropic
from botocore.config import Config

import nbvision as nv
from nbvision.practice import PracticeServer


@pytest.fixture(scope="module")
def server() -> Iterator[PracticeServer]:
    with PracticeServer() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: PracticeServer) -> Iterator[Anthropic]:
    with Anthropic(base_url=server.url, api_key=server.token, max_retries=0) as made:
        yield made


def image_block(sample: nv.samples.Sample) -> dict[str, Any]:
    data = base64.b64encode(sample.path.read_bytes()).decode()
    media_type = "image/png" if sample.path.suffix == ".png" else "image/jpeg"
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def test_the_bedrock_post_an_image_and_a_question(server: PracticeServer) -> None:
    runtime = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id=server.token,
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}),
    )
    question = {"type": "text", "text": "What is in this image?"}
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": [image_block(nv.samples.photo), question]}],
    }
    reply = runtime.invoke_model(
        modelId="us.anthropic.claude-sonnet-4-5-20250929-v1:0", body=json.dumps(body)
    )
    message = json.loads(reply["body"].read())
    runtime.close()
    assert message.keys() >= {"id", "type", "role", "content", "model", "stop_reason", "usage"}
    assert (message["type"], message["role"]) == ("message", "assistant")
    assert "red" in message["content"][0]["text"]
    assert message["usage"]["input_tokens"] > 1500


def test_the_same_through_this_package(server: PracticeServer) -> None:
    backend = nv.connect(
        "bedrock", region="us-east-1", endpoint_url=server.url, api_key=server.token
    )
    reply = nv.describe(nv.samples.photo, "What is in this image?", backend=backend)
    assert reply.raw.keys() >= {"id", "type", "role", "content", "model", "stop_reason", "usage"}
    assert "red" in reply.text


def test_the_guides_single_image(client: Anthropic) -> None:
    content = [image_block(nv.samples.photo), {"type": "text", "text": "Describe this image."}]
    message = ask(client, content)
    assert "pixels" in message.content[0].text


def test_the_guides_several_images_with_their_labels(client: Anthropic) -> None:
    content = [
        {"type": "text", "text": "Image 1:"},
        image_block(nv.samples.shelf_before),
        {"type": "text", "text": "Image 2:"},
        image_block(nv.samples.shelf_after),
        {"type": "text", "text": "How are these images different?"},
    ]
    message = ask(client, content)
    assert "From Image 1 to Image 2, 3 places changed" in message.content[0].text


def test_the_guides_several_images_with_a_system_prompt(client: Anthropic) -> None:
    content = [
        {"type": "text", "text": "Image 1:"},
        image_block(nv.samples.shelf_before),
        {"type": "text", "text": "Image 2:"},
        image_block(nv.samples.shelf_after),
        {"type": "text", "text": "How are these images different?"},
    ]
    message = ask(client, content, system="Respond only in Spanish.")
    assert "cannot follow a system prompt" in message.content[0].text


def test_the_guides_conversation_two_pictures_then_two_more(server: PracticeServer) -> None:
    backend = nv.connect("anthropic", base_url=server.url, api_key=server.token)
    chat = nv.Conversation(backend=backend)
    first = chat.ask(
        "How are these images different?", nv.samples.shelf_before, nv.samples.shelf_after
    )
    assert "From Image 1 to Image 2, 3 places changed" in first.text
    second = chat.ask(
        "Are these images similar to the first two?",
        nv.samples.shelf_after,
        nv.samples.shelf_before,
    )
    assert "From Image 3 to Image 4, 3 places changed" in second.text
    sent = server.requests[-1].body
    assert sent is not None
    labels = [
        block["text"]
        for message in sent["messages"]
        for block in message["content"]
        if block["type"] == "text" and block["text"].startswith("Image ")
    ]
    assert labels == ["Image 1:", "Image 2:", "Image 3:", "Image 4:"]
    assert second.usage.cache_read_tokens == first.usage.cache_write_tokens > 0
    backend.close()


def ask(client: Anthropic, content: list[dict[str, Any]], **more: Any) -> Any:
    return client.messages.create(
        model="claude-opus-5-5",
        max_tokens=1024,
        messages=[{"role": "user", "content": content}],  # type: ignore[typeddict-item]
        **more,
    )
