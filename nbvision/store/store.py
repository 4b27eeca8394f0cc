"""The store: intent before sending, ending after; answers given again; history and money."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from nbvision.errors import StoreFailed
from nbvision.store.allowances import Allowance, Allowances
from nbvision.store.database import Database, patiently
from nbvision.store.entering import (
    enter_beginning,
    enter_ending,
    new_thumbnails,
    newest_answer,
)
from nbvision.store.forgetting import count_of, forget
from nbvision.store.indexing import index_now_and_then, index_words
from nbvision.store.leases import Lease, Leases, delete, let_go
from nbvision.store.records import Ending, Intent, Kept, PastCall, SentPicture, Spent
from nbvision.store.searching import (
    PAST_COLUMNS,
    lowest_number,
    past_call,
    search_statement,
)
from nbvision.store.values import BILLION, from_json, microseconds_of, utc

__all__ = ["Store"]

_NAME_OF = """
SELECT name FROM calls WHERE exact = ? AND sample = ? AND outcome = 'answered'
ORDER BY number DESC LIMIT 1
"""
_ANSWERS = """
SELECT number, asked_at, message, request_id FROM calls
WHERE name = ? AND sample = ? AND outcome = 'answered' ORDER BY number DESC LIMIT 20
"""


class Store:
    """What this person's notebooks asked, what came back and what it cost.

    Parameters
    ----------
    database
        The file, opened; `open_store` finds it.

    Attributes
    ----------
    allowances
        What calls are paid from.
    leases
        Names that one kernel holds at a time.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from nbvision.store import Ending, Intent, open_store
    >>> folder = TemporaryDirectory()
    >>> store = open_store({"NBVISION_DATA": folder.name})
    >>> number = store.begin(Intent("a", "b", "anthropic", "anthropic", "claude-haiku-4-5", "Hi"))
    >>> store.complete(number, Ending("answered", 0.25, message={"id": "msg_1"}))
    >>> store.find("b", "a").message, store.spent().dollars
    ({'id': 'msg_1'}, 0.25)
    >>> store.close(); folder.cleanup()
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.leases = Leases(database)
        self.path = database.path
        self.allowances = Allowances(database)

    @property
    def is_read_only(self) -> bool:
        """Whether a newer nbvision wrote it, so that it is not written."""
        return self._database.is_read_only

    @property
    def is_gone(self) -> bool:
        """Whether its file was deleted since it was opened."""
        return self._database.is_gone()

    def begin(self, intent: Intent, *, allowances: Sequence[Allowance] = ()) -> int:
        """Keep that a call is about to be sent, and return its number.

        Parameters
        ----------
        intent
            The call.
        allowances
            What it is paid from. Checked and taken in one step, so that two kernels cannot both
            take the last cent.

        Raises
        ------
        BudgetExceeded
            If what was spent, what is under way and this call at its worst are more than that.
        StoreFailed
            If it cannot be written; nothing should be sent then.
        """
        thumbnails = new_thumbnails(self._database, intent)
        with self._database.writing() as connection:
            return enter_beginning(connection, intent, thumbnails, allowances)

    def begin_alone(
        self, intent: Intent, newest: int, *, allowances: Sequence[Allowance] = ()
    ) -> tuple[int, Lease] | None:
        """Do as `begin`, unless another kernel asks the same or has been answered meanwhile.

        All in one step, so that of two that ask at once one is told to wait, and takes nothing
        from its budget.

        Parameters
        ----------
        intent, allowances
            As for `begin`.
        newest
            What `newest` said before it was found that no stored answer will do.

        Returns
        -------
        The call's number and the lease that `complete` ends; None if there is something to
        wait for or to look at.

        Raises
        ------
        BudgetExceeded, StoreFailed
            As `begin`.
        """
        thumbnails = new_thumbnails(self._database, intent)
        lease, number = None, 0
        try:
            with self._database.writing() as connection:
                if newest_answer(connection, intent.exact, intent.sample) == newest:
                    name = _asking(intent.exact, intent.sample)
                    lease = self.leases.claim(connection, name)
                if lease is None:
                    return None
                number = enter_beginning(connection, intent, thumbnails, allowances)
        except BaseException as error:
            let_go(lease)
            if lease is not None and number and not isinstance(error, Exception):
                self._take_back(number, lease, error)
            raise
        return number, lease

    def _take_back(self, number: int, lease: Lease, error: BaseException) -> None:
        """End a call whose caller was interrupted before it had its number: nothing was sent."""
        with suppress(StoreFailed), self._database.writing() as connection:
            # Both were kept together, or neither was: then the number is another's by now.
            if delete(connection, lease):
                ending = Ending("interrupted", 0.0, 0.0, error=type(error).__name__)
                enter_ending(connection, number, ending)

    def newest(self, exact: str, sample: int) -> int:
        """Return the number of the newest answer to a request, usable or not; 0 for none.

        Raises
        ------
        StoreFailed
            If the file cannot be read.
        """
        with self._database.reading() as connection:
            return patiently(lambda: newest_answer(connection, exact, sample))

    def is_being_asked(self, exact: str, sample: int) -> bool:
        """Whether a living kernel asks this just now, or nobody can say since the file is locked.

        Raises
        ------
        StoreFailed
            If the file cannot be used.
        """
        return not self.leases.is_free(_asking(exact, sample))

    def complete(self, number: int, ending: Ending, lease: Lease | None = None) -> None:
        """Keep how a call ended; what a budget had taken for it becomes what it cost.

        Parameters
        ----------
        number, ending
            Which call, and how.
        lease
            What keeps others from asking the same: over in the same step, or, if nothing can
            be written, by its silence.

        Raises
        ------
        StoreFailed
            If it cannot be written.
        """
        try:
            with self._database.writing() as connection:
                enter_ending(connection, number, ending)
                if lease is not None:
                    delete(connection, lease)
        except Exception:
            let_go(lease)
            raise
        let_go(lease)
        index_now_and_then(self._database, number)

    def find(self, exact: str, name: str = "", *, sample: int = 0) -> Kept | None:
        """Return the newest whole and usable answer to a request; None if there is none.

        Parameters
        ----------
        exact, name
            The request's names; see `Fingerprint`. One may be empty.
        sample
            Which of several independent answers.

        Raises
        ------
        StoreFailed
            If the file cannot be read.
        """
        return next(self.answers(exact, name, sample=sample), None)

    def answers(self, exact: str, name: str = "", *, sample: int = 0) -> Iterator[Kept]:
        """Give the answers that `find` chooses from, the newest first; the last twenty at most.

        The bytes of a PNG differ between machines; an answer by the exact name says the other,
        under which a newer one may be.

        Raises
        ------
        StoreFailed
            If the file cannot be read.
        """
        if exact:
            named = self._database.rows(_NAME_OF, (exact, sample))
            name = named[0][0] if named else name
        if not name:
            return
        for number, asked_at, message, request_id in self._database.rows(_ANSWERS, (name, sample)):
            if (said := from_json(message)) is not None:
                yield Kept(number, utc(asked_at), said, request_id)

    def disown(self, number: int, exact: str) -> None:
        """Keep an answer, but never give it again: it turned out not to be usable.

        Nothing happens if the call of that number is another: one of another store.

        Raises
        ------
        StoreFailed
            If it cannot be written.
        """
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE calls SET outcome = 'unreadable' "
                "WHERE number = ? AND exact = ? AND outcome = 'answered'",
                (number, exact),
            )

    def history(
        self,
        search: str = "",
        *,
        model: str = "",
        since: datetime | None = None,
        limit: int = 100,
    ) -> list[PastCall]:
        """Return past calls, the newest first.

        Parameters
        ----------
        search
            Words that stand in the prompt or the answer, each by its beginning.
        model
            Only calls to this model id.
        since
            Only calls from then on.
        limit
            How many at most.

        Raises
        ------
        StoreFailed
            If the file cannot be read.
        """
        has_index = bool(search.strip()) and index_words(self._database)
        after = None
        if since is not None:
            moment = microseconds_of(since)
            number = lowest_number(self._database, moment)
            if number is None:
                return []
            after = (moment, number)
        statement, values = search_statement(search, model, after, limit, has_index=has_index)
        return [past_call(row) for row in self._database.rows(statement, values)]

    def details(self, number: int) -> dict[str, Any] | None:
        """Return all that is kept of one call but its pictures; None if it is not there."""
        rows = self._database.rows(
            f"SELECT {PAST_COLUMNS}, parameters, messages, message, request_id, place "
            "FROM calls WHERE number = ?",
            (number,),
        )
        if not rows:
            return None
        *past, parameters, messages, message, request_id, place = rows[0]
        return {
            "call": past_call(tuple(past)),
            "parameters": from_json(parameters),
            "messages": from_json(messages),
            "message": from_json(message),
            "request_id": request_id,
            "place": place,
        }

    def pictures(self, number: int) -> list[tuple[SentPicture, bytes | None]]:
        """Return the pictures of a call, each with its thumbnail as JPEG if there is one."""
        rows = self._database.rows(
            "SELECT sent.name, source, fit, thumbnail FROM call_pictures AS sent "
            "LEFT JOIN pictures ON pictures.name = sent.name WHERE call = ? ORDER BY position",
            (number,),
        )
        return [
            (SentPicture(name, source, from_json(fit) or {}), thumbnail)
            for name, source, fit, thumbnail in rows
        ]

    def forget(
        self,
        numbers: Iterable[int] = (),
        *,
        before: datetime | None = None,
        everything: bool = False,
    ) -> int:
        """Delete calls, and thumbnails that no other call has; return how many.

        What they cost stays counted in their budgets. The text is overwritten on the disk; where
        another kernel is reading it just then, a notice says that the log still has it.

        Parameters
        ----------
        numbers
            Which calls.
        before
            Also all that are older.
        everything
            All calls.

        Raises
        ------
        StoreFailed
            If the file cannot be written.
        """
        return forget(self._database, numbers, before, everything=everything)

    def count(
        self,
        numbers: Iterable[int] = (),
        *,
        before: datetime | None = None,
        everything: bool = False,
    ) -> int:
        """Return how many calls `forget` would delete, given the same."""
        return count_of(self._database, numbers, before, everything=everything)

    def spent(self, *, since: datetime | None = None) -> Spent:
        """Return what calls have cost, by what is still kept of them.

        Parameters
        ----------
        since
            Only calls from then on.
        """
        start = 0 if since is None else microseconds_of(since)
        (row,) = self._database.rows(
            "SELECT total(dollars), total(coalesce(dollars, most_dollars)), "
            "count(*) - count(dollars) FROM calls WHERE asked_at >= ?",
            (start,),
        )
        return Spent(row[0] / BILLION, row[1] / BILLION, row[2])

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._database.close()

    def __repr__(self) -> str:
        return f"Store({self.path.name!r})"


def _asking(exact: str, sample: int) -> str:
    return f"call:{exact}:{sample}"
