"""What is kept of the calls to a backend, and whether any are sent at all."""

from dataclasses import dataclass

from nbvision.budget import Budget
from nbvision.markup import one_line
from nbvision.replies_folder import RepliesFolder
from nbvision.store import Store, open_store

__all__ = ["Keeping"]


@dataclass(frozen=True, slots=True)
class Keeping:
    """What `connect` was told of it.

    Attributes
    ----------
    replies
        The folder beside the notebook, if there is one.
    is_offline
        Whether only that folder answers.
    budget
        What calls are paid from, if there is a limit.
    in_store
        Whether this person's own store is used. Not for practice answers: they cost nothing,
        follow the practice server as it grows, and would crowd out what was paid for.

    Examples
    --------
    >>> Keeping(in_store=False).is_on
    False
    """

    replies: RepliesFolder | None = None
    is_offline: bool = False
    budget: Budget | None = None
    in_store: bool = True

    @property
    def store(self) -> Store | None:
        """The store of this person, if it is used and can be."""
        return open_store() if self.in_store else None

    def in_words(self) -> str:
        """Return it as one line.

        Examples
        --------
        >>> Keeping(in_store=False).in_words()
        'answers are not kept'
        """
        parts = [] if self.budget is None else [f"budget: {self.budget}"]
        if self.replies is not None:
            answers = "only replies in" if self.is_offline else "replies in"
            parts.append(f"{answers} {one_line(self.replies.path.name)}")
        if not self.is_offline:
            parts.append("answers are kept" if self.is_on else "answers are not kept")
        return "; ".join(parts)

    @property
    def is_on(self) -> bool:
        """Whether answers are kept and given again."""
        return self.replies is not None or self.store is not None
