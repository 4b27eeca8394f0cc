"""What a browser may say, and what it may not."""

import pytest

from nbvision.errors import RequestError
from nbvision.widgets.messages import Message, error_words

READERS = {
    "whole": lambda m: m.whole("it", least=1, most=9),
    "number": lambda m: m.number("it", least=0, most=1),
    "text": lambda m: m.text("it", longest=3),
    "one_of": lambda m: m.one_of("it", ("a", "b")),
    "items": lambda m: m.items("it", most=2),
    "numbers": lambda m: m.numbers("it", 2, least=0, most=9),
}
WRONG = {
    "whole": [None, True, 1.0, "1", 0, 10, [1], {}],
    "number": [None, True, "0.5", -0.1, 1.1, float("nan"), float("inf"), [0.5], 10**400],
    "text": [None, 1, "four", ["a"], True],
    "one_of": [None, "c", 1, ["a"], "", {}],
    "items": [None, {}, "ab", [1], [{}, {}, {}], [[]]],
    "numbers": [None, [1], [1, 2, 3], [1, "2"], [1, float("nan")], [1, 10], "12"],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in WRONG.items() for v in values])
def test_what_does_not_belong_is_refused(name: str, value: object) -> None:
    with pytest.raises(RequestError) as caught:
        READERS[name](Message("say", {"it": value}))
    assert caught.value.limit
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", READERS)
def test_a_missing_field_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="it is None"):
        READERS[name](Message("say", {}))


def test_what_belongs_is_read() -> None:
    values = [3, 0.5, "abc", "a", [{"x": 1}], [1, 2.5]]
    read = [
        reader(Message("say", {"it": value}))
        for reader, value in zip(READERS.values(), values, strict=True)
    ]
    assert read[:4] == [3, 0.5, "abc", "a"]
    assert read[4][0].whole("x", most=1) == 1
    assert read[5] == [1.0, 2.5]


@pytest.mark.parametrize("buffers", [(), (b"a", b"b"), (b"abcd",)])
def test_one_binary_part_within_its_limit(buffers: tuple[bytes, ...]) -> None:
    with pytest.raises(RequestError):
        Message("say", {}, buffers).buffer(most_bytes=3)
    assert Message("say", {}, (memoryview(b"abc"),)).buffer(most_bytes=3) == b"abc"


def test_a_foreign_error_is_told_with_its_place() -> None:
    def fails() -> None:
        raise ValueError("two\nlines")

    with pytest.raises(ValueError, match="two") as caught:
        fails()
    words = error_words(caught.value)
    assert words["value"].startswith("ValueError: two in fails, line ")
