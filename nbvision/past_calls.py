"""What was asked before: a table to look through, a call to open again, two to compare."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nbvision.catalogue import find_model
from nbvision.errors import RequestError, StoreFailed
from nbvision.findings import Finding, Findings
from nbvision.markup import bundle, escape, image_tag, one_line, plain, rich, table
from nbvision.platforms import find_platform
from nbvision.request import Request, RequestMessage
from nbvision.response import parse_response
from nbvision.results import Cost, Reply
from nbvision.store import PastCall, SentPicture, Store, open_store

__all__ = ["CallDifference", "History", "HistoryCall", "forget", "history"]

_MOST = 100_000
_SHOWN_ROWS = 20
_SHOWN_WORDS = 120
_THUMBNAIL_HEIGHT = 48
_MOST_THUMBNAILS = 4
_HEAD = ("call", "asked (UTC)", "pictures", "prompt", "reply", "model", "cost", "outcome")


@dataclass(frozen=True, slots=True, repr=False)
class HistoryCall:
    """One call of the past.

    Attributes
    ----------
    call
        When it was, what was asked, what came back and what it cost.
    """

    call: PastCall
    _store: Store

    @property
    def number(self) -> int:
        """Its place in the order of all calls."""
        return self.call.number

    @property
    def prompt(self) -> str:
        """The words that were asked."""
        return self.call.prompt

    @property
    def text(self) -> str:
        """The words that came back."""
        return self.call.text

    @property
    def cost(self) -> Cost:
        """What it cost then."""
        return Cost(self.call.dollars)

    @property
    def pictures(self) -> list[tuple[SentPicture, bytes | None]]:
        """What is kept of its pictures: a name, where it came from, its fit, and a thumbnail."""
        return self._store.pictures(self.number)

    def reply(self) -> Reply:
        """Open the call again.

        The words, the parameters and the whole answer are as they were. The pictures are not
        kept: in the request each is a line that names it, and ``reply.images`` is empty.

        Raises
        ------
        RequestError
            If it has no answer, or was forgotten.
        """
        kept = self._store.details(self.number)
        if kept is None:
            raise RequestError(f"call {self.number} was forgotten")
        if kept["message"] is None:
            raise RequestError(
                f"call {self.number} has no answer: {self.call.outcome}",
                cure="ask again; what is kept of it shows in nv.history()",
            )
        asked_at = self.call.asked_at
        return Reply(
            response=parse_response(kept["message"], kept["request_id"]),
            request=_request_of(kept, self.pictures, self.call),
            backend=self.call.backend,
            cost=Cost(0.0, f"it cost {self.cost} on {asked_at:%Y-%m-%d}"),
            findings=_not_kept(self.pictures),
            seconds=self.call.seconds,
            from_store=asked_at,
        )

    def compare(self, other: "HistoryCall") -> "CallDifference":
        """Return how prompt and answer differ from this call to another."""
        return CallDifference(self.call, other.call)

    def __repr__(self) -> str:
        said = one_line(self.prompt, empty="")[:60]
        return f"HistoryCall({self.number}, {said!r}, {self.call.model!r}, {self.call.outcome})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        found: dict[str, str] = History((self,))._repr_mimebundle_()
        return found


class History(tuple[HistoryCall, ...]):
    """Past calls as a table, the newest first."""

    __slots__ = ()

    def call(self, number: int) -> HistoryCall:
        """Return the call of this number.

        Raises
        ------
        RequestError
            If it is not among these.
        """
        for one in self:
            if one.number == number:
                return one
        raise RequestError(f"no call {number!r} here"[:200], limit=f"{len(self)} calls")

    def to_frame(self) -> Any:
        """Return the calls as a pandas DataFrame, one row each, indexed by their number.

        Raises
        ------
        RequestError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise RequestError(
                "pandas is not installed", cure='pip install "nbvision[frame]"'
            ) from None
        names = [name for name in PastCall.__slots__ if name != "number"]
        rows = [[getattr(one.call, name) for name in names] for one in self]
        return pd.DataFrame(rows, index=[one.number for one in self], columns=names)

    def __str__(self) -> str:
        lines = [
            f"{one.number}  {one.call.asked_at:%Y-%m-%d %H:%M}  {one_line(one.prompt)[:60]}  →  "
            f"{one_line(one.text, empty=one.call.outcome)[:60]}  ({one.call.model}, {one.cost})"
            for one in self[:_SHOWN_ROWS]
        ]
        return "\n".join([*lines, self._caption()])

    def __repr__(self) -> str:
        return f"History({len(self)} calls)"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002, FBT001 - IPython's protocol
        # IPython prints tuples its own way unless told otherwise.
        printer.text(str(self))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        markup = table(_HEAD, self._rows(), caption=self._caption())
        return bundle(str(self), markup=markup)

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for one in self[:_SHOWN_ROWS]:
            call = one.call
            yield (
                call.number,
                f"{call.asked_at:%Y-%m-%d %H:%M}",
                _thumbnails(one.pictures),
                _shortened(call.prompt),
                _shortened(call.text),
                call.model,
                str(one.cost),
                call.outcome,
            )

    def _caption(self) -> str:
        known = [one.call.dollars for one in self if one.call.dollars is not None]
        more = f", the newest {_SHOWN_ROWS} shown" if len(self) > _SHOWN_ROWS else ""
        unknown = len(self) - len(known)
        unsure = f"; the cost of {unknown} is not known" if unknown else ""
        count = "1 call" if len(self) == 1 else f"{len(self)} calls"
        return f"{count}, {Cost(sum(known))}{unsure}{more}"


@dataclass(frozen=True, slots=True, repr=False)
class CallDifference:
    """How prompt and answer changed from one call to another.

    Attributes
    ----------
    before, after
        The two calls.
    """

    before: PastCall
    after: PastCall

    @property
    def prompt(self) -> str:
        """The prompts' difference, line by line; empty if there is none."""
        return _difference(self.before.prompt, self.after.prompt)

    @property
    def text(self) -> str:
        """The answers' difference, line by line; empty if there is none."""
        return _difference(self.before.text, self.after.text)

    def __str__(self) -> str:
        parts = (("prompt", self.prompt), ("reply", self.text))
        return "\n".join(f"{name}:\n{lines or '  the same'}" for name, lines in parts)

    def __repr__(self) -> str:
        return f"CallDifference({self.before.number}, {self.after.number})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        markup = f'<pre style="white-space:pre-wrap">{escape(plain(str(self)))}</pre>'
        return bundle(str(self), markup=rich(markup))


def history(
    search: str = "",
    *,
    model: str = "",
    since: datetime | str | None = None,
    limit: int = 100,
) -> History:
    """Return what was asked before, the newest first; shown as a table.

    Parameters
    ----------
    search
        Words of the prompt or the answer, each by its beginning; all of them must be there.
    model
        Only calls to this model id.
    since
        Only calls from then on: a moment, or a day such as ``"2026-11-20"`` in UTC.
    limit
        How many at most.

    Raises
    ------
    RequestError
        If ``since`` is no moment, or ``limit`` no number.
    StoreFailed
        If nothing is kept, or it cannot be read.

    Examples
    --------
    >>> import nbvision as nv
    >>> nv.history("door", model="claude-opus-5-5")  # doctest: +SKIP
    History(3 calls)
    """
    if type(limit) is not int or not 1 <= limit <= _MOST:
        raise RequestError(f"limit={limit!r}"[:200], limit=f"1 to {_MOST:,}")
    store = _the_store()
    found = store.history(str(search), model=model, since=_moment(since), limit=limit)
    return History(HistoryCall(call, store) for call in found)


def forget(*calls: int, before: datetime | str | None = None, everything: bool = False) -> int:
    """Delete past calls for good, and return how many.

    What they cost stays counted in budgets. Replies in a folder beside a notebook are files of
    that folder and are not touched.

    Parameters
    ----------
    *calls
        Their numbers, as `history` shows them.
    before
        Also all calls before this moment or day.
    everything
        All of them.

    Raises
    ------
    RequestError
        If nothing is named, or not by numbers.
    StoreFailed
        If nothing is kept, or it cannot be written.

    Examples
    --------
    >>> import nbvision as nv
    >>> nv.forget(17, 18)  # doctest: +SKIP
    2
    """
    if not (calls or before or everything):
        raise RequestError(
            "nothing to forget",
            cure='nv.forget(17), nv.forget(before="2026-11-01") or nv.forget(everything=True)',
        )
    if wrong := [call for call in calls if type(call) is not int]:
        raise RequestError(f"call {wrong[0]!r}"[:200], limit="numbers as nv.history() shows them")
    return _the_store().forget(calls, before=_moment(before), everything=everything)


def _the_store() -> Store:
    store = open_store()
    if store is None:
        raise StoreFailed(
            "no calls are kept here", cure="let NBVISION_DATA name a folder that may be written"
        )
    return store


def _moment(given: datetime | str | None) -> datetime | None:
    if given is None or isinstance(given, datetime):
        return given
    try:
        found = datetime.fromisoformat(given)
    except (TypeError, ValueError):
        raise RequestError(
            f"since={given!r}"[:200], limit='a datetime, or a day such as "2026-11-20"'
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _request_of(
    kept: dict[str, Any], pictures: list[tuple[SentPicture, bytes | None]], call: PastCall
) -> Request:
    """Return the request as far as it is kept: each picture is a line that names it."""
    names = iter(pictures)
    parameters = kept["parameters"] or {}
    output = parameters.get("output_config") or {}
    messages = tuple(
        RequestMessage(
            message["role"],
            tuple(
                block["text"] if "text" in block else _line_for(next(names, None))
                for block in message["content"]
            ),
        )
        for message in kept["messages"] or ()
    )
    return Request(
        model_id=call.model,
        model=find_model(call.model),
        platform=find_platform(kept["place"]),
        messages=messages,
        max_tokens=parameters.get("max_tokens", 0),
        system=parameters.get("system"),
        effort=output.get("effort"),
        schema=(output.get("format") or {}).get("schema"),
        thinking=(parameters.get("thinking") or {}).get("display"),
    )


def _line_for(picture: tuple[SentPicture, bytes | None] | None) -> str:
    if picture is None:
        return "[a picture that is not kept]"
    width, height = picture[0].fit.get("original", ("?", "?"))
    return f"[{picture[0].source}, {width} × {height} px; the picture is not kept]"


def _not_kept(pictures: list[tuple[SentPicture, bytes | None]]) -> Findings:
    if not pictures:
        return Findings()
    some = "the picture is" if len(pictures) == 1 else f"{len(pictures)} pictures are"
    cure = "open the file again to look closer"
    return Findings([Finding("not-kept", "info", f"{some} not kept, only a thumbnail", cure=cure)])


def _thumbnails(pictures: list[tuple[SentPicture, bytes | None]]) -> rich:
    style = f"max-height:{_THUMBNAIL_HEIGHT}px"
    return rich(
        " ".join(
            escape(picture.source)
            if data is None
            else image_tag(data, "image/jpeg", alt=picture.source, style=style)
            for picture, data in pictures[:_MOST_THUMBNAILS]
        )
    )


def _shortened(text: str) -> str:
    words = one_line(text, empty="")
    return words if len(words) <= _SHOWN_WORDS else f"{words[:_SHOWN_WORDS]}…"


def _difference(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
    return "\n".join([*lines][2:])  # the first two would name files
