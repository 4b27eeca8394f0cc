"""Text that is safe to show: the only room where HTML is made.

Model text, file names, labels and error messages are hostile input. They enter markup
through `escape` alone, and every picture carries its alt text.
"""

import base64
import html
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence

__all__ = ["bundle", "escape", "figure", "image_tag", "one_line", "page", "plain", "rich", "table"]

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
# The joiners are part of how Persian, Hindi and emoji are written.
_KEPT = {"\n", "\t", "\u200c", "\u200d"}


# Notebooks make a formula of what stands between two dollars, unless told otherwise: the first
# word tells MathJax 2, in exported pages; the second MathJax 3 and later, in JupyterLab.
_NO_FORMULAS = "tex2jax_ignore mathjax_ignore"


class rich(str):  # noqa: N801 - reads as a word at the call: rich("<b>…</b>")
    """Markup that this package made itself; `escape` passes it through unchanged.

    >>> escape(rich("<b>1</b>")), escape("<b>1</b>")
    ('<b>1</b>', '&lt;b&gt;1&lt;/b&gt;')
    """

    __slots__ = ()


def plain(text: str, *, limit: int = 200_000) -> str:
    r"""Clean text for display: no control, bidirectional or unpaired surrogate characters.

    The data itself is never changed, only what is shown of it.

    >>> plain("a\x1b[31mred\x00\u202eb")
    'ared\ufffd\ufffdb'
    """
    text = _ANSI.sub("", text[:limit]).replace("\r\n", "\n")
    return "".join(
        c if c in _KEPT or unicodedata.category(c) not in {"Cc", "Cf", "Cs"} else "\ufffd"
        for c in text
    )


def one_line(label: str, *, empty: str = "no label") -> str:
    r"""Return a label that cannot pass for further lines of a list.

    >>> one_line("door\n2. window"), one_line(" ")
    ('door 2. window', 'no label')
    """
    return " ".join(plain(label).split()) or empty


def escape(text: object) -> str:
    """Return text as HTML that shows exactly these characters and does nothing.

    >>> escape('<img src=x onerror="alert(1)">')
    '&lt;img src=x onerror=&quot;alert(1)&quot;&gt;'
    """
    return text if isinstance(text, rich) else html.escape(plain(str(text)), quote=True)


def image_tag(data: bytes, media_type: str, *, alt: str, style: str = "max-width:100%") -> rich:
    """Return an ``<img>`` that carries its bytes and its alt text."""
    encoded = base64.b64encode(data).decode("ascii")
    source = f"data:{escape(media_type)};base64,{encoded}"
    return rich(f'<img src="{source}" alt="{escape(alt)}" style="{escape(style)}">')


def figure(image: rich, caption: object = "", *, width: int | None = None) -> rich:
    """Return an image with its caption as one ``<figure>``, no wider than ``width`` pixels."""
    words = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    limit = "" if width is None else f";max-width:{width}px;overflow-wrap:anywhere"
    return rich(f'<figure style="margin:0{limit}">{image}{words}</figure>')


def table(
    header: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    caption: str = "",
    unbroken: Collection[int] = (),
) -> rich:
    """Return a ``<table>`` with column headings; every cell is escaped.

    Parameters
    ----------
    header, rows
        What stands in the cells.
    caption
        What stands above them.
    unbroken
        The columns, from 0, whose cells break only where they say so: ids, dates, numbers.

    Examples
    --------
    >>> "&lt;a&gt;</td></tr></tbody></table>" in table(["name"], [["<a>"]])
    True
    """
    # Notebooks align cells to the right, which suits numbers and nothing else.
    left = ' style="text-align:left"'
    whole = ' style="text-align:left;white-space:pre"'
    # Beside cells that keep to one line, words that wrap would be left a sliver.
    words = ' style="text-align:left;min-width:18em"' if unbroken else left
    head = "".join(f'<th scope="col"{left}>{escape(cell)}</th>' for cell in header)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{whole if column in unbroken else words}>{escape(cell)}</td>"
            for column, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    # Centred over a table wider than the window, a caption is out of sight.
    title = f"<caption{left}>{escape(caption)}</caption>" if caption else ""
    return rich(f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width"><title>{title}</title>
<style>:root{{color-scheme:light dark}}
body{{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem}}
table{{border-collapse:collapse}}td,th{{padding:.2rem .8rem .2rem 0;text-align:left}}</style>
<main>{body}</main></html>
"""


def page(title: object, *parts: rich) -> str:
    """Return a whole page that loads nothing and runs nothing, whatever is in it.

    >>> "<title>&lt;b&gt;</title>" in page("<b>", rich("<p>words</p>"))
    True
    """
    return _PAGE.format(title=escape(title), body="".join(map(escape, parts)))


def bundle(
    text: str, *, markup: str = "", pictures: Mapping[str, bytes] | None = None
) -> dict[str, str]:
    """Return a Jupyter mimebundle: always ``text/plain``, and what else there is.

    Parameters
    ----------
    text
        What a terminal, a screen reader or Markdown export shows.
    markup
        HTML made by this module.
    pictures
        Still pictures by media type, as bytes.
    """
    shown = {"text/plain": plain(text)}
    if markup:
        # Some viewers take no kind of str but str.
        shown["text/html"] = f'<div class="{_NO_FORMULAS}">{markup}</div>'
    for media_type, data in (pictures or {}).items():
        shown[media_type] = base64.b64encode(data).decode("ascii")
    return shown
