"""What people hold of an answer: the reply, its cost, and how it shows itself.

Model text and labels are hostile input: they reach HTML escaped, pictures as pixels, and the
display classes of IPython never, which would open a file or an address of that name.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from nbvision.caching import cache_in_words
from nbvision.export import Export, Form
from nbvision.findings import Findings
from nbvision.markup import bundle, escape, figure, image_tag, page, plain, rich
from nbvision.prompts import subject_of
from nbvision.referenced import RemoteImage, SentImage
from nbvision.request import Request
from nbvision.response import Citation, Response, Usage

__all__ = [
    "Cost",
    "Reply",
    "asked",
    "footer",
    "sent_pictures",
    "stored_in_words",
    "thoughts",
    "tokens_then",
]

_THUMBNAIL = 240
_NARROWEST_CAPTION = 120
_LONGEST_REPR = 60
_MOST_THUMBNAILS = 6


def _nothing() -> None:
    """Take nothing back: nothing was kept."""


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars, as far as they are known.

    Attributes
    ----------
    dollars
        What was paid; None where no price is known.
    note
        What else a reader should know of the price.
    saved
        What it would have been more without the service's cache; less than 0 if less. What a
        stored answer saves is not in it: nothing was asked.

    Examples
    --------
    >>> str(Cost(0.00423)), str(Cost(None))
    ('$0.0042', 'price not known')
    """

    dollars: float | None
    note: str = ""
    saved: float | None = None

    def __str__(self) -> str:
        if self.dollars is None:
            return "price not known"
        if self.dollars == 0:
            return "$0.00"
        return f"${self.dollars:.6f}" if self.dollars < 0.001 else f"${self.dollars:.4f}"  # noqa: PLR2004 - a tenth of a cent


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """An answer, with what was asked and what it cost.

    Attributes
    ----------
    response
        The parsed answer.
    request
        What was sent; shows itself with its pictures abridged.
    backend
        Who answered: ``"anthropic"``, ``"bedrock"`` or ``"practice"``.
    cost
        In US dollars by the catalogue.
    findings
        What was worth knowing of pictures and words, and of the answer.
    seconds
        From sending to the last word.
    parsed
        With a schema: the answer as data, or as the pydantic model that was asked for.
    from_store
        When it was asked for, in UTC, if it is a stored answer that cost nothing now.
    disown
        Keeps the answer from being given again.
    """

    response: Response
    request: Request
    backend: str
    cost: Cost
    findings: Findings = field(default_factory=Findings)
    seconds: float = 0.0
    parsed: Any = None
    from_store: datetime | None = None
    disown: Callable[[], None] = field(default=_nothing, compare=False)

    @property
    def text(self) -> str:
        """The words."""
        return self.response.text

    @property
    def thinking(self) -> str:
        """What is shown of the model's thinking; empty unless it was asked for."""
        return self.response.thinking

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Where the words come from; services cite documents, not pictures."""
        return self.response.citations

    @property
    def usage(self) -> Usage:
        """Tokens in and out; of a stored answer those it had when it was asked for."""
        return self.response.usage

    @property
    def stop_reason(self) -> str:
        """Why it ended."""
        return self.response.stop_reason

    @property
    def stop_in_words(self) -> str:
        """Why it ended, as one sentence."""
        return self.response.stop_in_words

    @property
    def model(self) -> str:
        """Who answered, as the service names itself."""
        return self.response.model

    @property
    def raw(self) -> Any:
        """The message as it came over the wire."""
        return self.response.raw

    @property
    def images(self) -> tuple[SentImage, ...]:
        """The pictures as they were sent."""
        return self.request.images

    def summary(self) -> str:
        """Return one line: who, how many tokens, how much, how long.

        Practice answers say that they are, and stored ones when they were asked for: what those
        were made of was paid then.
        """
        who = self.model if self.backend in self.model else f"{self.model} ({self.backend})"
        said = "practice answer, not a language model's · " if self.backend == "practice" else ""
        return f"{said}{plain(who)} · {self._paid()}"

    def _paid(self) -> str:
        usage = self.usage
        if self.from_store is not None:
            return f"{stored_in_words(self.from_store)} · {tokens_then(usage)}"
        cache = cache_in_words(usage, self.cost.saved)
        return (
            f"{usage.total_input_tokens:,} tokens in, {usage.output_tokens:,} out · "
            f"{self.cost}{cache and ' · '}{cache} · {self.seconds:.1f} s"
        )

    def export(self, form: Form = "python", folder: str | Path | None = None) -> Export:
        """Return code that asks this again without nbvision; see `Request.export`.

        Raises
        ------
        RequestError
            As there.

        Examples
        --------
        >>> import nbvision as nv
        >>> practice = nv.connect("practice", words_per_second=None)
        >>> reply = nv.describe(nv.samples.page, backend=practice)
        >>> reply.export("boto3").name
        'request_bedrock.py'
        """
        return self.request.export(form, folder)

    def to_html(self) -> str:
        """Return a page that needs nothing else: pictures, question, answer, cost.

        Everything in it is text and small still pictures; it runs nothing and loads nothing.

        Examples
        --------
        >>> import nbvision as nv
        >>> practice = nv.connect("practice", words_per_second=None)
        >>> html = nv.describe(nv.samples.page, backend=practice).to_html()
        >>> html[:15], "<script" in html
        ('<!doctype html>', False)
        """
        return page(self.model, asked(self.request), rich(self._repr_mimebundle_()["text/html"]))

    def __str__(self) -> str:
        return plain(self.text)

    def __repr__(self) -> str:
        words = " ".join(plain(self.text).split())
        cut = words if len(words) <= _LONGEST_REPR else f"{words[:_LONGEST_REPR]}…"
        return f"Reply({cut!r}, {self.summary()})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        words = plain(self.text)
        shown = self.images[:_MOST_THUMBNAILS]
        named = [
            (f"Image {number}: " * (len(shown) > 1) + _in_words(image), image)
            for number, image in enumerate(shown, start=1)
        ]
        markup = (
            f"{sent_pictures(named, _THUMBNAIL)}{thoughts(self)}"
            f'<div style="white-space:pre-wrap;max-width:60em;margin:.5em 0">{escape(words)}</div>'
            f"{footer(self)}"
        )
        before = f"(thinking) {plain(self.thinking)}\n\n" if self.thinking.strip() else ""
        ended = "" if self.stop_reason == "end_turn" else f"\n{self.stop_in_words}"
        return bundle(f"{before}{words}\n\n{self.summary()}{ended}", markup=markup)


def _in_words(image: SentImage) -> str:
    if isinstance(image, RemoteImage):
        return image.source
    return f"{image.source.source}, {image.fit.original} px"


def stored_in_words(*moments: datetime) -> str:
    """Return what every display says of stored answers: that they are, at no cost, and since when.

    The day is that of the reader's own clock. A reply in a folder beside a notebook keeps only
    its day, as midnight in UTC: that day is said to every reader alike.

    Parameters
    ----------
    *moments
        When they were asked for; one or more.

    Examples
    --------
    >>> stored_in_words(datetime(2026, 11, 20, tzinfo=UTC))
    'stored, $0.00, from 2026-11-20'
    """
    days = sorted({_day_of(moment) for moment in moments})
    later = f" to {days[-1]}" if len(days) > 1 else ""
    return f"stored, $0.00, from {days[0]}{later}"


def _day_of(moment: datetime) -> str:
    is_day = moment.astimezone(UTC).time() == time()
    return f"{moment.astimezone(UTC) if is_day else moment.astimezone():%Y-%m-%d}"


def tokens_then(usage: Usage) -> str:
    """Return how many tokens a stored answer had, so that they do not look as if paid now.

    Examples
    --------
    >>> tokens_then(Usage(1200, 40))
    '1,200 tokens in, 40 out then'
    """
    return f"{usage.total_input_tokens:,} tokens in, {usage.output_tokens:,} out then"


def sent_pictures(named: Iterable[tuple[str, SentImage]], long_edge: int) -> rich:
    """Return pictures side by side, each with its words; remote ones are words alone.

    Parameters
    ----------
    named
        The words, and the picture they are of.
    long_edge
        Of a thumbnail, in pixels.
    """
    shown = "".join(
        f'<div style="margin-right:.6em">{_sent_picture(words, image, long_edge)}</div>'
        for words, image in named
    )
    return rich(f'<div style="display:flex;flex-wrap:wrap">{shown}</div>')


def _sent_picture(words: str, image: SentImage, long_edge: int) -> rich:
    caption = rich(f"<small>{escape(words)}</small>")
    if isinstance(image, RemoteImage):
        return caption
    size = image.source.size
    width = round(size.width * min(1.0, long_edge / size.long_edge))
    tag = image_tag(image.source.thumbnail(long_edge), "image/jpeg", alt=words)
    return figure(tag, caption, width=max(_NARROWEST_CAPTION, width))


def thoughts(reply: Reply) -> rich:
    """Return what is shown of the thinking, folded away."""
    if not reply.thinking.strip():
        return rich("")
    return rich(
        "<details><summary><small>thinking</small></summary>"
        '<div style="white-space:pre-wrap;max-width:60em;margin:.5em 0;opacity:.75"><small>'
        f"{escape(plain(reply.thinking))}</small></div></details>"
    )


def footer(reply: Reply) -> rich:
    """Return the quiet line under every result, and what was worth knowing, folded away."""
    words = reply.summary()
    if reply.stop_reason != "end_turn":
        words += f" · {reply.stop_in_words}"
    line = f'<div style="opacity:.75"><small>{escape(words)}</small></div>'
    if not reply.findings:
        return rich(line)
    count = len(reply.findings)
    heading = f"{count} finding{'s' if count > 1 else ''}"
    opened = " open" if reply.findings.warnings else ""
    return rich(
        f"{line}<details{opened}><summary><small>{heading}</small></summary>"
        f"{reply.findings.to_html()}</details>"
    )


def asked(request: Request) -> rich:
    """Return the words that were asked, the system prompt first.

    Of what was to be found the subject is shown, and the words around it are folded away.
    """
    last = [block for block in request.messages[-1].blocks if isinstance(block, str)]
    words = last[-1] if last else ""
    subject = subject_of(words)
    lines = [("System", request.system)] if request.system else []
    lines += [("Asked", words if subject is None else subject)]
    shown = "".join(
        f'<p style="white-space:pre-wrap"><b>{name}:</b> {escape(said)}</p>' for name, said in lines
    )
    if subject is None:
        return rich(shown)
    return rich(
        f"{shown}<details><summary><small>the whole prompt</small></summary>"
        f'<p style="white-space:pre-wrap">{escape(words)}</p></details>'
    )
