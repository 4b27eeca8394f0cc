"""What this process has spent so far: every answer counts once, whoever asked for it.

One tally for each process, since a kernel has one purse. It holds numbers and names of models
only: no words, no pictures, no key.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from nbvision.errors import RequestError

__all__ = ["Spent", "count_broken_off", "count_exchange", "spent", "start_again"]


@dataclass(frozen=True, slots=True)
class Spent:
    """What answers cost together.

    Attributes
    ----------
    who, model
        Who answered, and with which model; empty in a sum of several.
    answers
        How many came to an end.
    broken_off
        How many were sent and broke off: what they cost is not known.
    input_tokens, output_tokens
        Of the answers that came to an end.
    dollars
        What those cost whose price is known.
    unpriced
        How many of them have no known price.

    Examples
    --------
    >>> Spent(answers=2, dollars=0.5).plus(Spent(answers=1, unpriced=1)).answers
    3
    """

    who: str = ""
    model: str = ""
    answers: int = 0
    broken_off: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: float = 0.0
    unpriced: int = 0

    def plus(self, other: "Spent") -> "Spent":
        """Return both together, under this one's names."""
        return replace(
            self,
            answers=self.answers + other.answers,
            broken_off=self.broken_off + other.broken_off,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            dollars=self.dollars + other.dollars,
            unpriced=self.unpriced + other.unpriced,
        )


Note = Callable[[str, int, int, float | None], None]

_lock = threading.Lock()
# By process as well: a forked child has spent nothing of its own yet.
_rows: dict[tuple[int, str, str], Spent] = {}


@contextmanager
def count_exchange(who: str, model: str) -> Iterator[Note]:
    """Count what happens within as one exchange.

    The block is given a function to note the answer with: the model as the service names it,
    tokens in, tokens out, and dollars or None. An exchange that ends without one is counted as
    broken off, unless the error says that nothing can have been billed.

    Examples
    --------
    >>> with count_exchange("practice", "practice-example") as note:
    ...     note("practice-example", 1200, 40, 0.0)
    >>> [row.answers for row in spent() if row.model == "practice-example"]
    [1]
    """
    noted = False

    def note(answered: str, tokens_in: int, tokens_out: int, dollars: float | None) -> None:
        nonlocal noted
        noted = True
        row = Spent(
            answers=1,
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            dollars=dollars or 0.0,
            unpriced=int(dollars is None),
        )
        _add(who, answered, row)

    try:
        yield note
    except BaseException as error:
        # Errors that know say so; an interrupt, or an answer cut off, may have cost something.
        default = not isinstance(error, RequestError)
        if not noted and getattr(error, "may_have_been_billed", default):
            _add(who, model, Spent(broken_off=1))
        raise


def count_broken_off(who: str, model: str, times: int) -> None:
    """Count what was sent, broke off and was sent again."""
    if times:
        _add(who, model, Spent(broken_off=times))


def spent() -> tuple[Spent, ...]:
    """Return what this process has spent, one row for each model at each place."""
    with _lock:
        return tuple(row for (process, *_), row in _rows.items() if process == os.getpid())


def start_again() -> None:
    """Begin to count at nothing."""
    with _lock:
        _rows.clear()


def _add(who: str, model: str, more: Spent) -> None:
    with _lock:
        place = (os.getpid(), who, model)
        _rows[place] = _rows.get(place, Spent(who, model)).plus(more)
