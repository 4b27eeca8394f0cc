"""What was asked before: a table to look through, a call to open again, two to compare."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from nbvision.comparing import Asked, CallDifference
from nbvision.detections import Detections
from nbvision.errors import RequestError, StoreFailed
from nbvision.fingerprint import words_of
from nbvision.images import open_image
from nbvision.markup import bundle, one_line, plain
from nbvision.past_shown import call_in_words, call_shown, calls_in_words, calls_shown, subject
from nbvision.reopening import KeptPicture, reopened_detections, reopened_reply
from nbvision.request import Request
from nbvision.results import Cost, Reply
from nbvision.store import PastCall, Store, open_store
from nbvision.tables import pandas

__all__ = ["CallDifference", "History", "HistoryCall", "forget", "history", "to_forget"]

_MOST = 100_000
_LONGEST_SEARCH = 1000
_LARGEST_NUMBER = 2**63 - 1
# What text and time become in a frame, also in one without rows.
_KINDS = {
    "asked_at": "datetime64[ns, UTC]",
    "sample": "int64",
    "input_tokens": "int64",
    "output_tokens": "int64",
    "dollars": "float64",
    "most_dollars": "float64",
    "seconds": "float64",
    "attempts": "int64",
}


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
    def outcome(self) -> str:
        """``"answered"``, or what kept it from being an answer."""
        return self.call.outcome

    @property
    def cost(self) -> Cost:
        """What it cost then."""
        return Cost(self.call.dollars)

    @property
    def pictures(self) -> list[KeptPicture]:
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
        return reopened_reply(self.call, self._kept(), self.pictures)

    def detections(self, image: object = None) -> Detections:
        """Open the call again as boxes and points, in pixels of the picture it was about.

        Parameters
        ----------
        image
            That picture, anything `open_image` takes. Otherwise its thumbnail, enlarged, stands
            for it: the numbers are the same, and the picture is blurred.

        Raises
        ------
        RequestError
            If it has no answer, was not about one picture, its answer holds no places, or
            ``image`` has another size than that picture.
        ImageError
            If ``image`` cannot be opened.

        Examples
        --------
        >>> import nbvision as nv
        >>> nv.history("every shape")[0].detections().boxes  # doctest: +SKIP
        """
        opened = None if image is None else open_image(image)
        return reopened_detections(self.call, self.reply(), self.pictures, opened)

    def compare(self, other: "HistoryCall | Reply") -> CallDifference:
        """Return what changed from this call to another, or to a reply in hand.

        Raises
        ------
        RequestError
            If it is neither, or a call was forgotten.
        """
        if isinstance(other, Reply):
            return CallDifference(self._asked(), _asked_in_hand(other))
        if not isinstance(other, HistoryCall):
            raise RequestError(
                f"a {type(other).__name__} to compare with",
                limit="a call of nv.history(), or a reply",
                cure="nv.history().call(17)",
            )
        return CallDifference(self._asked(), other._asked())  # noqa: SLF001 - another of the same kind

    def _kept(self) -> dict[str, Any]:
        kept = self._store.details(self.number)
        if kept is None:
            raise RequestError(f"call {self.number} was forgotten")
        return kept

    def _asked(self) -> Asked:
        call, kept = self.call, self._kept()
        parameters = kept["parameters"] or {}
        return Asked(f"call {call.number}", call.model, call.prompt, call.text, parameters)

    def __str__(self) -> str:
        return plain(call_in_words(self.call))

    def __repr__(self) -> str:
        said = one_line(subject(self.call), empty="")[:60]
        return f"HistoryCall({self.number}, {said!r}, {self.call.model!r}, {self.call.outcome})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return bundle(str(self), markup=call_shown(self.call, self.pictures))


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
        raise RequestError(
            f"no call {number!r} here"[:200],
            limit=f"{len(self)} calls, from {self[-1].number} to {self[0].number}"
            if self
            else "none is kept here: a stored answer that is given again is no call",
            cure="look further back, nv.history(limit=1000), unless it was forgotten"
            if self
            else "ask something first",
        )

    def to_frame(self) -> Any:
        """Return the calls as a pandas DataFrame, one row each, indexed by their number.

        Times are in UTC, and what is not known of money is NaN.

        Raises
        ------
        RequestError
            If pandas is not installed.
        """
        pd = pandas()
        names = [name for name in PastCall.__slots__ if name != "number"]
        rows = [[getattr(one.call, name) for name in names] for one in self]
        index = pd.Index([one.number for one in self], dtype="int64", name="number")
        return pd.DataFrame(rows, index=index, columns=names).astype(_KINDS)

    def __str__(self) -> str:
        return calls_in_words([one.call for one in self])

    def __repr__(self) -> str:
        return f"History({len(self)} calls)"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002, FBT001 - IPython's protocol
        # IPython prints tuples its own way unless told otherwise.
        printer.text(str(self))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        pictures = self[0]._store.pictures if self else None  # noqa: SLF001 - the same room
        markup = calls_shown([one.call for one in self], pictures)
        return bundle(str(self), markup=markup)


def history(
    search: str = "",
    *,
    model: str = "",
    since: datetime | date | str | None = None,
    limit: int = 100,
) -> History:
    """Return what was asked before, the newest first; shown as a table.

    Parameters
    ----------
    search
        Words of the prompt or the answer, each by its beginning; all of them must be there.
        Accents and capitals make no difference, and signs between words are no operators.
    model
        Only calls to this model id.
    since
        Only calls from then on: a day such as ``"2026-11-20"`` in UTC, or a moment. A
        `datetime` without a zone is this machine's time, as everywhere in Python.
    limit
        How many at most.

    Raises
    ------
    RequestError
        If ``since`` is no moment, ``limit`` no number, or there is too much to search for.
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
    words, named = _text("search", search), _text("model", model)
    moment = _moment("since", since)
    store = _the_store()
    found = store.history(words, model=named, since=moment, limit=limit)
    return History(HistoryCall(call, store) for call in found)


def forget(
    *calls: int | HistoryCall,
    before: datetime | date | str | None = None,
    everything: bool = False,
) -> int:
    """Delete past calls for good, and return how many.

    What they cost stays counted in budgets. Replies in a folder beside a notebook are files of
    that folder and are not touched.

    Parameters
    ----------
    *calls
        Their numbers, as `history` shows them, or the calls: ``*nv.history("passport")``.
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
    numbers, moment = _which(calls, before, everything)
    return _the_store().forget(numbers, before=moment, everything=everything)


def to_forget(
    *calls: int | HistoryCall,
    before: datetime | date | str | None = None,
    everything: bool = False,
) -> int:
    """Return how many calls `forget` would delete; nothing is deleted.

    Raises
    ------
    RequestError, StoreFailed
        As there.

    Examples
    --------
    >>> to_forget(everything=True)  # doctest: +SKIP
    1204
    """
    numbers, moment = _which(calls, before, everything)
    return _the_store().count(numbers, before=moment, everything=everything)


def _which(
    calls: tuple[object, ...], before: object, everything: object
) -> tuple[list[int], datetime | None]:
    """Return what is to be forgotten, checked."""
    if type(everything) is not bool:
        raise RequestError(f"everything={everything!r}"[:200], limit="True or False")
    if not (calls or before or everything):
        raise RequestError(
            "nothing to forget: no call is named, as when a search finds none",
            cure='nv.forget(17), nv.forget(before="2026-11-01") or nv.forget(everything=True)',
        )
    return [_number(call) for call in calls], _moment("before", before)


def _the_store() -> Store:
    """Return this person's store.

    Raises
    ------
    StoreFailed
        If nothing is kept.
    """
    store = open_store()
    if store is None:
        raise StoreFailed(
            "no calls are kept here", cure="let NBVISION_DATA name a folder that may be written"
        )
    return store


def _number(call: object) -> int:
    number = call.number if isinstance(call, HistoryCall) else call
    if type(number) is not int or not 1 <= number <= _LARGEST_NUMBER:
        raise RequestError(
            f"call {call!r}"[:200],
            limit="numbers as nv.history() shows them",
            cure='nv.forget(17), or nv.forget(*nv.history("some words"))',
        )
    return number


def _text(name: str, given: object) -> str:
    if not isinstance(given, str):
        raise RequestError(f"{name}= is of type {type(given).__name__}", limit="text")
    if len(given) > _LONGEST_SEARCH:
        raise RequestError(
            f"{name}= of {len(given):,} characters",
            limit=f"{_LONGEST_SEARCH:,}",
            cure="a few words are enough",
        )
    # Half a character has no UTF-8, which is what is searched, and a zero ends a text in SQLite.
    return given.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")


def _moment(name: str, given: object) -> datetime | None:
    if given is None:
        return None
    try:
        if isinstance(given, datetime):
            return given.astimezone(UTC)
        found = datetime.fromisoformat(given.isoformat() if isinstance(given, date) else given)  # type: ignore[arg-type]
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        pass
    raise RequestError(
        f"{name}={given!r}"[:200],
        limit='a day such as "2026-11-20", or a datetime',
        cure=f'nv.history(since="{datetime.now(UTC):%Y-%m-%d}") is today'
        if name == "since"
        else "",
    )


def _asked_in_hand(reply: Reply) -> Asked:
    request: Request = reply.request
    words: Mapping[str, Any] = words_of(request, lambda _: "")
    last = [block for block in request.messages[-1].blocks if isinstance(block, str)]
    return Asked(
        "this reply",
        request.model_id,
        last[-1] if last else "",
        reply.text,
        {name: value for name, value in words.items() if name not in {"messages", "model"}},
    )
