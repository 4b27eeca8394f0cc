"""A call that was made before is answered from what is kept; any other is kept.

Before anything is sent, the intent is written; after the answer, how it ended. A kernel killed
between the two leaves a call of unknown outcome, which is the truth of it. Identical calls
under way at once in this process become one.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from nbvision.attempts import Attempts
from nbvision.budget import ledger, most_dollars
from nbvision.disowning import Disowning, copied, safely
from nbvision.errors import (
    AnswerError,
    BackendError,
    BudgetExceeded,
    Interrupted,
    NbvisionError,
    NotConnected,
    RunStopped,
    StoreFailed,
)
from nbvision.fingerprint import Fingerprint
from nbvision.intents import answered, broken_off, intent_of
from nbvision.keeping import Keeping
from nbvision.markup import one_line
from nbvision.prompts import subject_of
from nbvision.request import Request
from nbvision.response import Response, parse_response, require_usable
from nbvision.store import Allowance, Ending, Intent, Kept, Lease, Store

__all__ = ["Remembered", "remembered"]

_LOOK_SECONDS = 0.1  # between two looks at whether a waiting call is still wanted

Ask = Callable[[Attempts], Response]
"""Sends a request and returns the answer; counts further attempts in what it is given."""


def _nothing() -> None:
    """Let the waiting go on."""


def _not_said(_: str) -> None:
    """Tell nobody, and count nothing."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """An answer, and whether it is new.

    Attributes
    ----------
    response
        The answer, whole and usable.
    seconds
        From asking to the last word; next to nothing for one that was kept.
    from_store
        When it was asked for, if it was not asked for now; in UTC.
    disown
        Keeps the answer from being given again.
    """

    response: Response
    seconds: float
    from_store: datetime | None
    disown: Disowning


class _UnderWay:
    """A call that somebody in this process waits for, and where its answer is kept."""

    def __init__(self, keeping: Keeping) -> None:
        self.keeping = keeping
        self.is_over = threading.Event()
        self.result: Remembered | None = None
        self.error: NbvisionError | None = None


_lock = threading.Lock()
_under_way: dict[tuple[str, int], _UnderWay] = {}


def _begin_anew() -> None:
    """Forget in a forked child what only the parent waits for."""
    global _lock  # noqa: PLW0603 - a thread of the parent may have held it
    _lock = threading.Lock()
    _under_way.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def remembered(
    request: Request,
    ask: Ask,
    *,
    keeping: Keeping,
    backend: str,
    address: str = "",
    sample: int = 0,
    refresh: bool = False,
    require_wanted: Callable[[], None] = _nothing,
    on_wait: Callable[[str], None] = _not_said,
    allowances: Sequence[Allowance] = (),
    before_sending: Callable[[], None] = _nothing,
) -> Remembered:
    """Return the kept answer to a request, or ask and keep it.

    Who asks what is under way already waits for that answer. Of kernels this holds for those
    with one store: in a folder of replies nobody can see that another asks.

    Parameters
    ----------
    request
        What would be sent.
    ask
        Sends it.
    keeping
        What is kept, and where.
    backend, address
        Who answers, and where, if that is not the service's own address.
    sample
        Which of several independent answers.
    refresh
        Ask in any case; both answers are kept, and the new one is given from then on. Where
        nothing may be sent it means nothing.
    require_wanted
        Called while another's identical call is waited for; what it raises ends the waiting.
    on_wait
        Told in words what is waited for, once.
    allowances
        What it is paid from, if there is a limit.
    before_sending
        Called when no kept answer was found; if it raises, nothing is sent or taken.

    Raises
    ------
    NotConnected
        If nothing may be sent and there is no kept answer.
    BudgetExceeded
        If the call at its worst is more than the budget has left.
    StoreFailed
        If the intent cannot be written; nothing was sent.
    BackendError, AnswerError
        As asking does.
    """
    if not (keeping.is_on or allowances or keeping.is_offline):
        before_sending()
        started = time.monotonic()
        response = require_usable(ask(Attempts()))
        return Remembered(response, time.monotonic() - started, None, Disowning())
    call = _Call(request, keeping, backend, address, sample, allowances=allowances)
    wait = partial(_wait, require_wanted, on_wait)
    while True:
        # Where nothing is sent, the newest answer that is stored is as fresh as it gets.
        if (keeping.is_offline or not refresh) and (kept := call.kept()) is not None:
            return kept
        if keeping.is_offline:
            raise _missing(call.intent, keeping)
        before_sending()
        if refresh or not keeping.is_on:
            return call.ask(ask)
        mine = _UnderWay(keeping)
        with _lock:
            other = _under_way.setdefault(call.key, mine)
        if other is mine:
            if (result := _lead(call, ask, mine, wait)) is not None:
                return result
            continue
        wait(partial(other.is_over.wait, _LOOK_SECONDS), "this kernel")
        if other.result is not None:
            return call.shared(other.result, other.keeping)
        if other.error is not None:
            # One of its own: a traceback grows where an error is raised.
            raise copied(other.error)
        # The other was stopped or refused, which says nothing of this one: look and ask again.


def _lead(
    call: "_Call", ask: Ask, mine: _UnderWay, wait: Callable[[Callable[[], bool], str], None]
) -> Remembered | None:
    """Ask for all of this process; None after another kernel was waited for."""
    try:
        result = call.ask_alone(ask)
        if result is None:
            wait(call.is_over_elsewhere, "another kernel")
            return None
        # Those who wait have not paid for it either.
        asked_at = result.from_store or datetime.now(UTC)
        mine.result = Remembered(result.response, 0.0, asked_at, result.disown)
    except (Interrupted, BudgetExceeded, RunStopped):
        raise  # that is the leader's own affair: those who wait look again
    except NbvisionError as error:
        mine.error = error
        raise
    else:
        return result
    finally:
        with _lock:
            _under_way.pop(call.key, None)
        mine.is_over.set()


def _wait(
    require_wanted: Callable[[], None],
    on_wait: Callable[[str], None],
    is_over: Callable[[], bool],
    who: str,
) -> None:
    """Wait until it is over; each look takes a moment."""
    has_said = False
    while not is_over():
        if not has_said:
            on_wait(f"{who} is asking the same; waiting for its answer")
            has_said = True
        require_wanted()


class _Call:
    """One request, and what is kept of it."""

    def __init__(
        self,
        request: Request,
        keeping: Keeping,
        backend: str,
        address: str,
        sample: int,
        *,
        allowances: Sequence[Allowance],
    ) -> None:
        self._request = request
        self._keeping = keeping
        self._store = keeping.store
        self._fingerprint = Fingerprint(request, address)
        self._backend = backend
        self._sample = sample
        self._allowances = allowances
        self._intent: Intent | None = None
        self.key = (self._fingerprint.exact, sample)

    @property
    def intent(self) -> Intent:
        """The call as it is kept; made when it is needed."""
        if self._intent is None:
            self._intent = intent_of(self._request, self._fingerprint, self._backend, self._sample)
        return self._intent

    def kept(self) -> Remembered | None:
        """Return the kept answer, if there is one that may be given."""
        if not self._fingerprint.is_known:
            return None  # what lies at an address may be another picture by now
        started = time.monotonic()
        found = self._in_folder() or self._in_store()
        if found is None:
            return None
        response, asked_at, disown = found
        return Remembered(response, time.monotonic() - started, asked_at, disown)

    def ask(self, ask: Ask) -> Remembered:
        """Keep the intent, ask, and keep how it ended."""
        store = self._writable()
        number = None if store is None else store.begin(self.intent, allowances=self._allowances)
        return self._ask(ask, store, number)

    def ask_alone(self, ask: Ask) -> Remembered | None:
        """Do as `ask`, unless there is an answer by now; None while another kernel asks."""
        store = self._writable()
        if store is None or not self._fingerprint.is_known:
            return self.kept() or self.ask(ask)
        # Before the look: an answer that comes after it is another than the newest.
        newest = store.newest(*self.key)
        if (kept := self.kept()) is not None:
            return kept
        begun = store.begin_alone(self.intent, newest, allowances=self._allowances)
        if begun is None:
            return None
        number, lease = begun
        try:
            return self._ask(ask, store, number, lease)
        finally:
            lease.release()  # if an interrupt came before it was

    def shared(self, result: Remembered, where: Keeping) -> Remembered:
        """Return an answer that was waited for, kept wherever it is not kept yet."""
        asked_at = result.from_store or datetime.now(UTC)
        disown = result.disown
        mine, theirs = self._keeping.replies, where.replies
        if mine is not None and (theirs is None or mine.path != theirs.path):
            safely(lambda: self._write_to_folder(result.response, asked_at))
            disown = self._disowning(disown.number)
        store = self._writable()
        if store is not None and where.store is None:
            safely(lambda: self._enter(store, result.response))
        return replace(result, disown=disown)

    def _enter(self, store: Store, response: Response) -> None:
        ending = answered(response, self._request.model_id, 0.0, Attempts(count=0))
        store.complete(store.begin(self.intent), replace(ending, dollars=0.0))

    def is_over_elsewhere(self) -> bool:
        """Whether no other kernel asks this; waits a moment if one does."""
        if self._store is None or not self._store.is_being_asked(*self.key):
            return True
        time.sleep(_LOOK_SECONDS)
        return False

    def _writable(self) -> Store | None:
        return None if self._store is None or self._store.is_read_only else self._store

    def _ask(
        self, ask: Ask, store: Store | None, number: int | None, lease: Lease | None = None
    ) -> Remembered:
        taking = self._take() if store is None else None
        attempts = Attempts(is_affordable=partial(self._takes_more, store))
        asked_at, started = datetime.now(UTC), time.monotonic()
        model_id = self._request.model_id

        def end(make: Callable[[float], Ending]) -> float:
            seconds = time.monotonic() - started
            safely(lambda: _end(make(seconds), store, number, lease, taking))
            return seconds

        try:
            response = require_usable(ask(attempts))
        except BaseException as error:
            ended = error
            end(lambda seconds: broken_off(ended, model_id, seconds, attempts))
            if attempts.unsure and isinstance(error, BackendError | Interrupted):
                error.may_have_been_billed = True
            raise
        seconds = end(lambda seconds: answered(response, model_id, seconds, attempts))
        if self._keeping.replies is not None and self._fingerprint.is_known:
            safely(lambda: self._write_to_folder(response, asked_at))
        return Remembered(response, seconds, None, self._disowning(number))

    def _takes_more(self, store: Store | None) -> bool:
        """Leave what was taken for an attempt that may have been billed; take for another."""
        try:
            if store is None:
                self._take()
            else:
                store.allowances.take(self._allowances, self.intent.most_dollars)
        except (BudgetExceeded, StoreFailed):
            return False
        return True

    def _take(self) -> int | None:
        """Take what the call may cost where nothing else is kept of it."""
        if not self._allowances:
            return None
        most = most_dollars(self._request)
        is_limited = most != 0 and any(one.dollars is not None for one in self._allowances)
        return ledger(is_taken_from=is_limited).allowances.take(self._allowances, most)

    def _in_folder(self) -> tuple[Response, datetime, Disowning] | None:
        folder = self._keeping.replies
        found = None if folder is None else folder.read(self.intent)
        if found is None:
            return None
        # A file that was there may be somebody's work: only refresh=True replaces it.
        return found.response, found.asked_at, Disowning()

    def _in_store(self) -> tuple[Response, datetime, Disowning] | None:
        store = self._store
        if store is None or (self._keeping.is_offline and not self._keeping.is_packing):
            return None
        for found in self._stored(store):
            try:
                response = require_usable(parse_response(found.message, found.request_id))
            except (AnswerError, RecursionError):
                continue
            return self._as_stored(found, response)
        return None

    def _stored(self, store: Store) -> Iterator[Kept]:
        """Give what is stored of this call, the newest first; by its quicker name if that does."""
        is_found = False
        for found in store.answers(self._fingerprint.exact, sample=self._sample):
            is_found = True
            yield found
        if not is_found:
            yield from store.answers("", self._fingerprint.name, sample=self._sample)

    def _as_stored(self, found: Kept, response: Response) -> tuple[Response, datetime, Disowning]:
        if self._keeping.replies is not None:
            asked_at = found.asked_at
            safely(lambda: self._write_to_folder(response, asked_at))
        return response, found.asked_at, self._disowning(found.number)

    def _write_to_folder(self, response: Response, asked_at: datetime) -> None:
        if self._keeping.replies is not None:
            self._keeping.replies.write(self.intent, response, asked_at)

    def _disowning(self, number: int | None) -> "Disowning":
        folder = self._keeping.replies
        file = None if folder is None else folder.path_of(self.intent)
        return Disowning(number, self._fingerprint.exact, file)


def _end(
    ending: Ending,
    store: Store | None,
    number: int | None,
    lease: Lease | None,
    taking: int | None,
) -> None:
    if store is not None and number is not None:
        store.complete(number, ending, lease)
    if taking is not None:
        ledger().allowances.settle(taking, ending.dollars)


def _missing(intent: Intent, keeping: Keeping) -> NotConnected:
    pictures = ", ".join(picture.source for picture in intent.pictures)
    about = f" about {pictures}" if pictures else ""
    again = f", sample {intent.sample}" if intent.sample else ""
    words = one_line(subject_of(intent.prompt) or intent.prompt)
    missing = NotConnected(
        f'no stored reply to "{words[:100]}"{about[:200]}, asked of {intent.model}{again}',
        limit="offline: only stored replies answer",
        cure="run it once without offline=True, and keep the folder of replies",
    )
    if keeping.replies is not None:
        keeping.replies.miss(missing.value)
    return missing
