"""The name of a request: the same for the same question, on any machine; another for any other."""

import io
import subprocess
import sys
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import nbvision as nv
from nbvision.catalogue import find_model
from nbvision.fingerprint import _API_VERSIONS, Fingerprint, picture_name, words_of
from nbvision.platforms import find_platform, platforms
from nbvision.prepared import PreparedImage
from nbvision.referenced import RemoteImage, UploadedImage
from nbvision.request import Request, RequestMessage, build_request

MODEL = "claude-haiku-4-5"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


def picture(
    colour: tuple[int, int, int] = (10, 120, 130), at: tuple[int, int] | None = None
) -> Any:
    image = Image.new("RGB", (60, 40), (10, 120, 130))
    if at is not None:
        image.putpixel(at, colour)
    return nv.prepare(image, model=MODEL)


def request(prompt: str = "What is this?", images: Any = (), **more: Any) -> Request:
    platform = more.pop("platform", "anthropic")
    known = {"model": find_model(MODEL), "platform": find_platform(platform)}
    return build_request(list(images), prompt, model_id=MODEL, **known, **more)


def name(asked: Request, address: str = "") -> str:
    return Fingerprint(asked, address).name


@settings(max_examples=60, deadline=None)
@given(first=TEXT, second=TEXT)
def test_any_other_word_gets_another_name(first: str, second: str) -> None:
    assert (name(request(first)) == name(request(second))) == (first == second)


@settings(max_examples=30, deadline=None)
@given(
    x=st.integers(0, 59),
    y=st.integers(0, 39),
    colour=st.tuples(*[st.integers(0, 255)] * 3),
)
def test_one_changed_pixel_misses(x: int, y: int, colour: tuple[int, int, int]) -> None:
    whole, changed = picture(), picture(colour, (x, y))
    is_same = colour == (10, 120, 130)
    assert (picture_name(whole) == picture_name(changed)) == is_same
    assert (name(request(images=[whole])) == name(request(images=[changed]))) == is_same


CHANGES: list[dict[str, Any]] = [
    {"max_tokens": 100},
    {"system": "Be brief."},
    {"effort": "low"},
    {"schema": {"type": "object"}},
    {"schema": {"type": "array"}},
    {"platform": "bedrock"},
    {"platform": "practice"},
]


def test_every_parameter_counts() -> None:
    names = [name(request(**change)) for change in ({}, *CHANGES)]
    names.append(name(replace(request(), model_id="claude-haiku-4-5-20251001")))
    names.append(name(request(), "http://127.0.0.1:8000"))
    names.append(name(replace(request(), thinking="summarized")))
    names.append(name(request(earlier=[RequestMessage("user", ("Hello",))])))
    assert len(set(names)) == len(names)


def test_the_order_of_keys_does_not_matter() -> None:
    one = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "number"}}}
    other = {"properties": {"b": {"type": "number"}, "a": {"type": "string"}}, "type": "object"}
    assert list(one) != list(other)
    assert name(request(schema=one)) == name(request(schema=other))


def test_every_place_has_its_version() -> None:
    assert set(_API_VERSIONS) == {place.name for place in platforms()}
    assert len({name(request(platform=place)) for place in _API_VERSIONS}) == len(_API_VERSIONS)


def test_pictures_in_another_order_are_another_question() -> None:
    one, other = picture(), picture((0, 0, 0), (1, 1))
    assert name(request(images=[one, other])) != name(request(images=[other, one]))


def test_marks_for_the_services_cache_do_not_change_an_answer() -> None:
    asked = request(images=[picture()], system="Be brief.")
    marked = replace(asked, cached_until=frozenset({(-1, 0), (0, 0), (0, 1)}))
    assert "cache_control" in str(marked.body())
    assert Fingerprint(marked).exact == Fingerprint(asked).exact
    assert "cache_control" not in str(words_of(marked))


def test_an_uploaded_picture_is_named_as_its_bytes_are() -> None:
    sent = picture()
    lying = UploadedImage(
        sent.data, sent.media_type, sent.fit, sent.findings, sent.source, "file_1", "here"
    )
    other = replace(lying, file_id="file_2", expires_at=datetime(2027, 1, 1, tzinfo=UTC))
    names = {name(request(images=[image])) for image in (sent, lying, other)}
    assert len(names) == 1


def test_a_picture_at_an_address_is_never_known() -> None:
    there = Fingerprint(request(images=[RemoteImage("https://example.org/a.jpg")]))
    assert not there.is_known
    assert Fingerprint(request(images=[picture()])).is_known
    assert there.name != name(request(images=[RemoteImage("https://example.org/b.jpg")]))


def png(image: Image.Image, level: int) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=level)
    return data.getvalue()


def test_a_png_is_named_by_its_pixels_and_a_jpeg_by_its_bytes() -> None:
    sent = picture()
    pixels = sent.pixels
    slow, quick = (replace(sent, data=png(pixels, level)) for level in (9, 1))
    assert slow.data != quick.data
    assert picture_name(slow) == picture_name(quick)
    assert Fingerprint(request(images=[slow])).exact != Fingerprint(request(images=[quick])).exact
    photograph = nv.prepare(Image.effect_noise((200, 200), 60).convert("RGB"), model=MODEL)
    assert photograph.media_type == "image/jpeg"
    assert picture_name(photograph) == f"jpeg:{photograph.sha256}"
    assert picture_name(replace(photograph, data=photograph.data + b"\0")) != picture_name(
        photograph
    )


def test_a_pictures_name_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from nbvision import fingerprint

    sent, decoded = picture(), []
    pixels = PreparedImage.pixels.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(
        PreparedImage, "pixels", property(lambda self: decoded.append(self) or pixels(self))
    )
    monkeypatch.setattr(fingerprint, "_names_of_pixels", {})
    assert picture_name(sent) == picture_name(sent) == picture_name(replace(sent))
    assert len(decoded) == 1
    assert picture_name(replace(sent, data=png(Image.new("RGB", (60, 40)), 3))) != picture_name(
        sent
    )


def test_names_do_not_outlive_their_pictures() -> None:
    from nbvision import fingerprint

    before = len(fingerprint._names)
    for red in range(20):
        picture_name(picture((red, 0, 0), (3, 3)))
    assert len(fingerprint._names) <= before + 1


# One grey pixel as PNG, written out by hand, so that these bytes are the same everywhere.
def one_pixel() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return len(data).to_bytes(4, "big") + checked + zlib.crc32(checked).to_bytes(4, "big")

    header = (1).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    stored = zlib.compress(b"\0" + b"\x80" * 3, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", stored) + chunk(b"IEND", b"")
    )


GOLDEN = {
    "words": "8059a6692e1663866b6799a88c32f9428a3ea8fd8deae98762316504f2cc5256",
    "picture": "0e2b23fc800e7cd0758eb072853e908a8d68bab22d817fa4c8ec92ef2d7b4f25",
    "bedrock": "d90156b7f33399fdf08496e1ecdd53324eeed595f8dcf1005fee045b63b49191",
}


def golden() -> dict[str, str]:
    grey = replace(picture(), data=one_pixel())
    return {
        "words": name(request("Was ist das? 何ですか")),
        "picture": name(request(images=[grey], system="Be brief.", effort="low")),
        "bedrock": name(request(images=[grey], platform="bedrock", schema={"type": "object"})),
    }


def test_names_are_for_ever() -> None:
    """If this fails, every stored reply in the world is lost: raise the rule's number knowingly."""
    assert golden() == GOLDEN


def test_names_are_the_same_in_another_process() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import test_fingerprint as t\n"
    code += "print(t.golden())"
    made = subprocess.run(
        [sys.executable, "-c", code, str(__file__).rpartition("/")[0]],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "77", "PYTHONPATH": ":".join(filter(None, sys.path))},
    )
    assert made.stdout.strip() == str(golden())
