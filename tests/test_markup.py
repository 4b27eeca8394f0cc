"""Hostile text shows as the characters it is made of, and does nothing."""

import base64
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbvision.markup import bundle, escape, figure, image_tag, page, plain, rich, table

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror="alert(1)">',
    "' onmouseover='alert(1)",
    "</td></tr></table><iframe src=javascript:alert(1)>",
    "<!--",
    "&lt;script&gt;",
    "]]><svg/onload=alert(1)>",
    "\x00<scr\x00ipt>",
    "\u202e<b>",
]


class Seen(HTMLParser):
    """What a browser would make of markup: its tags, their attributes, its words."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.words = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_text_makes_no_element_anywhere(text: str) -> None:
    tag = image_tag(b"x", "image/png", alt=text)
    seen = Seen(figure(tag, text) + table([text], [[text]], caption=text))
    assert set(seen.tags) == {
        *("figure", "img", "figcaption"),
        *("table", "caption", "thead", "tbody", "tr", "th", "td"),
    }
    assert seen.attributes == {"style", "src", "alt", "scope"}


@given(st.text())
def test_escaped_text_reads_as_its_plain_characters(text: str) -> None:
    seen = Seen(escape(text))
    assert seen.words == plain(text)
    assert seen.tags == []


@given(st.text())
def test_plain_text_is_what_it_was_and_stays_so(text: str) -> None:
    cleaned = plain(text)
    assert plain(cleaned) == cleaned
    assert cleaned.isprintable() or any(not c.isprintable() for c in text)


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "\u202etxt.exe",
        "\u2066a\u2069",
        "a\x08b",
        "\r",
        "\x9b",
    ],
)
def test_nothing_that_steers_a_terminal_or_turns_text_around_is_left(text: str) -> None:
    left = set(plain(text))
    assert not left & {*"\x1b\x07\x08\r\x9b\u202e\u2066\u2069"}


def test_half_a_character_can_be_written_to_a_file() -> None:
    assert plain("a\ud800b").encode() == "a\ufffdb".encode()


def test_words_of_all_scripts_and_joined_signs_are_left_alone() -> None:
    for text in (
        "Grüße",
        "漢字",
        "العربية",
        "שלום",
        "नमस्ते",
        "می\u200cخواهم",
        "👩‍🔬",
        "line\nline\tcell",
    ):
        assert plain(text) == text


def test_lines_end_as_lines_whoever_wrote_them() -> None:
    assert plain("one\r\ntwo") == "one\ntwo"


def test_endless_text_is_cut() -> None:
    assert len(plain("x" * 1_000_000)) == 200_000
    assert len(plain("x" * 50, limit=10)) == 10


def test_only_our_own_markup_passes() -> None:
    assert escape(rich("<b>1</b>")) == "<b>1</b>"
    assert escape("<b>1</b>") == "&lt;b&gt;1&lt;/b&gt;"
    assert escape(None) == "None"
    assert escape(str(rich("<b>"))) == "&lt;b&gt;"


def test_what_is_made_of_our_markup_by_hand_is_a_string_again() -> None:
    joined = rich("<b>") + "<script>"
    assert escape(joined) == "&lt;b&gt;&lt;script&gt;"


def test_a_table_has_headings_for_its_columns() -> None:
    made = table(["size", "tokens"], [[(1, 2), 3]], caption="Sizes")
    assert made.count('<th scope="col"') == 2
    assert '<caption style="text-align:left">Sizes</caption>' in made
    assert Seen(made).words == "Sizessizetokens(1, 2)3"


def test_ids_and_dates_stay_on_one_line_and_notes_do_not() -> None:
    made = table(["id", "note"], [["claude-opus-5-5", "a long note"]], unbroken=[0])
    assert '<td style="text-align:left;white-space:pre">claude-opus-5-5</td>' in made
    assert '<td style="text-align:left;min-width:18em">a long note</td>' in made


def test_a_caption_is_no_wider_than_its_picture() -> None:
    made = figure(image_tag(b"x", "image/png", alt="x"), "a long name", width=120)
    assert made.startswith('<figure style="margin:0;max-width:120px;overflow-wrap:anywhere">')


def test_a_page_follows_the_theme_of_the_system() -> None:
    assert ":root{color-scheme:light dark}" in page("a title")


def test_an_empty_table_is_still_a_table() -> None:
    assert Seen(table(["size"], [])).tags == ["table", "thead", "tr", "th", "tbody"]


def test_a_picture_carries_its_bytes_and_its_words() -> None:
    tag = image_tag(b"\x00\xff", "image/jpeg", alt='a "door"')
    assert f'src="data:image/jpeg;base64,{base64.b64encode(bytes([0, 255])).decode()}"' in tag
    assert 'alt="a &quot;door&quot;"' in tag


NO_FORMULAS = '<div class="tex2jax_ignore mathjax_ignore">'


def test_a_bundle_always_has_words() -> None:
    assert bundle("a\x1b[31mb") == {"text/plain": "ab"}
    whole = bundle("a", markup="<b>a</b>", pictures={"image/png": b"\x89"})
    assert whole == {
        "text/plain": "a",
        "text/html": f"{NO_FORMULAS}<b>a</b></div>",
        "image/png": "iQ==",
    }


def test_no_fixed_colours_are_set_so_that_dark_themes_stay_dark() -> None:
    made = figure(image_tag(b"x", "image/png", alt="x"), "x") + table(["a"], [["b"]])
    assert "color" not in made
    assert "background" not in made
