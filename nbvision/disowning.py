"""What is done with an answer that is here already: nothing about it may lose the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from nbvision.errors import NbvisionError, StoreFailed
from nbvision.store import open_store
from nbvision.store.notices import notice

__all__ = ["Disowning", "copied", "safely"]

Error = TypeVar("Error", bound=NbvisionError)


@dataclass(frozen=True, slots=True)
class Disowning:
    """Takes back what was kept of an answer; a value, so that replies may travel.

    Attributes
    ----------
    number, exact
        The call in the store, and its exact name.
    file
        The file in a folder of replies.

    Examples
    --------
    >>> Disowning()()
    """

    number: int | None = None
    exact: str = ""
    file: Path | None = None

    def __call__(self) -> None:
        """Take it back; what cannot be is said in a notice."""
        number, file = self.number, self.file
        # The environment may name another store by now, where that number is another call's.
        store = None if number is None else open_store()
        if store is not None and number is not None:
            safely(lambda: store.disown(number, self.exact))
        if file is not None:
            safely(lambda: file.unlink(missing_ok=True))


def safely(action: Callable[[], object]) -> None:
    """Keep something of an answer that is here: that it cannot be kept must not lose it.

    Nor may an interrupt: the action is done again before it is heard, so that doing it twice
    has to be the same as once.

    Examples
    --------
    >>> safely(lambda: None)
    """
    try:
        _attempt(action)
    except KeyboardInterrupt:
        _attempt(action)
        raise


def copied(error: Error) -> Error:
    """Return an error of its own for one more thread: a traceback grows where one is raised.

    Examples
    --------
    >>> error = StoreFailed("no", cure="yes")
    >>> copied(error) is error, str(copied(error)) == str(error)
    (False, True)
    """
    made = type(error).__new__(type(error), *error.args)
    made.__dict__.update(error.__dict__)
    made.__cause__ = error.__cause__
    made.__suppress_context__ = error.__suppress_context__
    return made


def _attempt(action: Callable[[], object]) -> None:
    try:
        action()
    except StoreFailed as error:
        notice(f"{error.value}; the answer itself is here")
    except Exception as error:  # noqa: BLE001 - whatever it is, the answer has been paid for
        notice(f"not kept, for a {type(error).__name__}; the answer itself is here")
