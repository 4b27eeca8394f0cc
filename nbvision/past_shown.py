"""How past calls are shown: as a table with small pictures, and one by one.

A page of history stays below 300 kB whatever was asked, and nothing in it depends on seeing
colours.
"""

import io
from collections.abc import Callable, Iterator, Sequence

from PIL import Image

from nbvision.box_reader import read_boxes
from nbvision.errors import UnreadableAnswer
from nbvision.geometry import Size
from nbvision.markup import escape, image_tag, one_line, plain, rich, table
from nbvision.prompts import subject_of
from nbvision.results import Cost
from nbvision.store import PastCall, SentPicture

__all__ = ["SHOWN_ROWS", "call_in_words", "call_shown", "calls_in_words", "calls_shown", "subject"]

SHOWN_ROWS = 20
_SHOWN_WORDS = 160
_SHOWN_NAME = 40
_SHOWN_TEXT = 20_000
_SMALL, _LARGE = 48, 160  # heights in pixels
_MOST_SMALL, _MOST_LARGE = 3, 20
_MOST_PICTURE_BYTES = 150_000  # a third more as text, and words beside them
_HEAD = ("call", "pictures", "prompt", "reply")
_COLUMN = "overflow-wrap:anywhere;min-width:7em"
_SIDE_BY_SIDE = "display:flex;flex-wrap:wrap;gap:3px;align-items:center"
_WRAPS = "white-space:pre-wrap;overflow-wrap:anywhere;max-width:60em;margin:.2em 0 .8em"
# Why a call has no answer, in words that say what it may have cost.
_OUTCOMES = {
    "unknown": "unknown: under way, or its kernel ended; it may have been billed",
    "interrupted": "interrupted: it may have been billed",
    "unreadable": "unreadable: not given as an answer again",
    "refused": "refused by the model",
    "truncated": "truncated",
    "failed": "failed",
}

_ANY_FRAME = Size(1_000_000, 1_000_000)  # of the places only the labels are shown

KeptPicture = tuple[SentPicture, bytes | None]


def subject(call: PastCall) -> str:
    """Return what was asked, of a call that locates what was to be found."""
    found = subject_of(call.prompt)
    return call.prompt if found is None else f"locate: {found}"


def answer(call: PastCall) -> str:
    """Return what came of a call, of one that located which things were found.

    Their numbers are in pixels of a frame that is not kept; `HistoryCall.detections` brings
    them home.
    """
    if call.outcome != "answered" or subject_of(call.prompt) is None:
        return call.text
    try:
        found = read_boxes(call.text, _ANY_FRAME)
    except UnreadableAnswer:
        return call.text
    counts = [
        *([_counted(len(found.boxes), "box", "boxes")] if found.boxes else []),
        *([_counted(len(found.points), "point", "points")] if found.points else []),
    ]
    labels = [box.label for box in found.boxes] + [point.label for point in found.points]
    named = ", ".join(map(one_line, labels[:_SHOWN_WORDS]))
    return f"{' and '.join(counts)}: {named}" if counts else "nothing found"


def _counted(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def call_in_words(call: PastCall) -> str:
    """Return one call as text, whole."""
    said = "" if call.outcome == "answered" else f"{_outcome(call)}\n"
    return f"{_title(call)}\n{said}\n{subject(call)}\n\n→ {call.text[:_SHOWN_TEXT]}"


def calls_in_words(calls: Sequence[PastCall], most: int = SHOWN_ROWS) -> str:
    """Return the newest calls as text, one line each, and a last line that sums all of them up.

    Parameters
    ----------
    calls
        The newest first.
    most
        How many lines.
    """
    if not calls:
        return "no calls"
    lines = [
        f"{call.number}  {call.asked_at:%Y-%m-%d %H:%M}  {one_line(subject(call))[:60]}  →  "
        f"{_outcome_and_text(call)[:80]}  ({one_line(call.model)}, {_cost(call)})"
        for call in calls[:most]
    ]
    return "\n".join([*lines, _caption(calls, most)])


def call_shown(call: PastCall, pictures: Sequence[KeptPicture]) -> rich:
    """Return one call as HTML, whole, with its thumbnails."""
    room = _Room()
    shown = " ".join(
        room.picture(picture, data, _LARGE) for picture, data in pictures[:_MOST_LARGE]
    )
    more = _more(len(pictures) - _MOST_LARGE)
    said = "" if call.outcome == "answered" else f"<div>{_marked(_outcome(call))}</div>"
    cut = plain(call.text, limit=_SHOWN_TEXT)
    is_cut = len(call.text) > _SHOWN_TEXT
    rest = "<div><small>(only the beginning is shown)</small></div>" if is_cut else ""
    return rich(
        f"<div><b>{escape(_title(call))}</b></div>{said}<div>{shown}{more}</div>"
        f"<div><small>prompt</small></div>"
        f'<div style="{_WRAPS}">{escape(plain(subject(call), limit=_SHOWN_TEXT))}</div>'
        f'<div><small>reply</small></div><div style="{_WRAPS}">{escape(cut)}</div>{rest}'
    )


def calls_shown(
    calls: Sequence[PastCall], pictures_of: Callable[[int], Sequence[KeptPicture]] | None
) -> rich:
    """Return the newest calls as a table.

    Parameters
    ----------
    calls
        The newest first.
    pictures_of
        Gives what is kept of the pictures of a call.
    """
    if not calls:
        return rich("<div>no calls</div>")
    shown = table(
        _HEAD, _rows(calls[:SHOWN_ROWS], pictures_of), caption=f"{_caption(calls)}; times in UTC"
    )
    return rich(f'<div style="overflow-x:auto">{shown}</div>')


def _rows(
    calls: Sequence[PastCall], pictures_of: Callable[[int], Sequence[KeptPicture]] | None
) -> Iterator[tuple[object, ...]]:
    room = _Room()
    for call in calls:
        pictures = pictures_of(call.number) if pictures_of else ()
        small = " ".join(
            room.picture(picture, data, _SMALL) for picture, data in pictures[:_MOST_SMALL]
        )
        yield (
            _place(call),
            rich(f'<div style="{_SIDE_BY_SIDE}">{small}{_more(len(pictures) - _MOST_SMALL)}</div>'),
            _wrapped(_shortened(subject(call))),
            _answer(call),
        )


def _place(call: PastCall) -> rich:
    """Return when a call was, who was asked and what it cost."""
    sample = f"<br>sample {call.sample}" if call.sample else ""
    return rich(
        f'<div style="{_COLUMN}"><b>{call.number}</b><br><small>'
        f'<span style="white-space:nowrap">{call.asked_at:%Y-%m-%d %H:%M}</span>'
        f"<br>{escape(one_line(call.model))}{sample}<br>"
        f"{escape(_cost(call))}</small></div>"
    )


def _answer(call: PastCall) -> rich:
    text = _wrapped(_shortened(answer(call)))
    if call.outcome == "answered":
        return text
    error = f"<br><small>{escape(_shortened(call.error))}</small>" if call.error else ""
    return rich(f"{_marked(_outcome(call))}{error}{text}")


class _Room:
    """How many bytes of pictures a page may still hold."""

    def __init__(self) -> None:
        self._left = _MOST_PICTURE_BYTES

    def picture(self, picture: SentPicture, data: bytes | None, height: int) -> rich:
        """Return a thumbnail, or its name where there is none or no more room."""
        name = _shortened(picture.source, _SHOWN_NAME)
        small = None if data is None else _no_higher(data, height)
        if small is None or len(small) > self._left:
            return rich(f"<small>{escape(name)}</small>")
        self._left -= len(small)
        style = f"max-height:{height}px;max-width:{2 * height}px"
        return image_tag(small, "image/jpeg", alt=name, style=style)


def _no_higher(data: bytes, height: int) -> bytes | None:
    """Return a thumbnail in as many pixels as are shown; None if it is no picture after all."""
    try:
        with Image.open(io.BytesIO(data)) as kept:
            kept.thumbnail((2 * height, height))
            small = io.BytesIO()
            kept.convert("RGB").save(small, "JPEG", quality=80)
    except (OSError, ValueError, SyntaxError):
        return None
    return small.getvalue()


def _marked(words: str) -> rich:
    return rich(f"<b>⚠ {escape(words)}</b>")


def _outcome(call: PastCall) -> str:
    return _OUTCOMES.get(call.outcome, call.outcome)


def _outcome_and_text(call: PastCall) -> str:
    text = one_line(answer(call), empty="")
    return text if call.outcome == "answered" else f"[{_outcome(call)}] {text}".strip()


def _cost(call: PastCall) -> str:
    if call.dollars is None and call.most_dollars is not None:
        return f"at most {Cost(call.most_dollars)}"
    return "cost not known" if call.dollars is None else str(Cost(call.dollars))


def _title(call: PastCall) -> str:
    again = f" · sample {call.sample}" if call.sample else ""
    return (
        f"call {call.number} · {call.asked_at:%Y-%m-%d %H:%M} UTC · {one_line(call.model)}{again}"
        f" · {call.input_tokens:,} tokens in, {call.output_tokens:,} out · {_cost(call)}"
    )


def _caption(calls: Sequence[PastCall], most: int = SHOWN_ROWS) -> str:
    known = [call.dollars for call in calls if call.dollars is not None]
    more = f", the newest {most} shown" if len(calls) > most else ""
    unknown = len(calls) - len(known)
    unsure = f"; the cost of {unknown} is not known" if unknown else ""
    count = "1 call" if len(calls) == 1 else f"{len(calls):,} calls"
    return f"{count}, {Cost(sum(known))}{unsure}{more}"


def _more(count: int) -> rich:
    return rich(f" <small>and {count} more</small>" if count > 0 else "")


def _wrapped(text: str) -> rich:
    # A long word, such as an address, would widen the table beyond the page.
    return rich(f'<div style="{_COLUMN}">{escape(text)}</div>' if text else "")


def _shortened(text: str, most: int = _SHOWN_WORDS) -> str:
    # Only as much is cleaned as could be shown.
    words = one_line(text[: 20 * most], empty="")
    return words if len(words) <= most else f"{words[:most]}…"
