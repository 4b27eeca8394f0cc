"""How many calls a run has seen."""

from dataclasses import dataclass

__all__ = ["RunCalls"]


@dataclass(frozen=True, slots=True)
class RunCalls:
    """How many calls a run has seen, since its block was entered.

    Attributes
    ----------
    asked
        Sent to the service; those under way too.
    from_store
        Answered with a stored answer, or with that of an identical call under way.
    failed
        How many of those asked brought no usable answer.
    refused
        Not sent, since the budget had not enough left or the run was stopped.
    unpriced
        How many of those asked have no known price.

    Examples
    --------
    >>> print(RunCalls(asked=3, from_store=40, failed=1))
    3 asked (1 failed), 40 from store
    """

    asked: int = 0
    from_store: int = 0
    failed: int = 0
    refused: int = 0
    unpriced: int = 0

    def __str__(self) -> str:
        failed = f" ({self.failed} failed)" if self.failed else ""
        words = f"{self.asked} asked{failed}, {self.from_store} from store"
        words += f", {self.refused} refused" if self.refused else ""
        return words + (f", {self.unpriced} of unknown price" if self.unpriced else "")
