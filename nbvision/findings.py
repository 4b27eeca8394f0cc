"""What is worth knowing before sending: findings with value, limit and cure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from nbvision.markup import bundle, table

__all__ = ["Finding", "Findings", "Level"]

Level = Literal["info", "warn", "error"]
_MARKS: dict[Level, str] = {"info": "·", "warn": "!", "error": "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth knowing about a picture or a request.

    Attributes
    ----------
    code
        A stable short name, such as ``"resized"`` or ``"many-images"``.
    level
        ``"info"`` to know, ``"warn"`` to consider, ``"error"`` would be refused.
    value, limit, cure
        What was found, what is allowed, what to do.
    image_number
        The picture it is about, counted from 1; None for the whole request.
    repair
        What `fix` calls, where a fix exists.

    Examples
    --------
    >>> print(Finding("tiny", "warn", "90 x 60 px", limit="200 px", cure="send a larger one"))
    ! tiny: 90 x 60 px (limit: 200 px) → send a larger one
    """

    code: str
    level: Level
    value: str
    limit: str = ""
    cure: str = ""
    image_number: int | None = None
    repair: Callable[[], Any] | None = field(default=None, compare=False, repr=False)

    @property
    def is_fixable(self) -> bool:
        """Whether `fix` can mend it."""
        return self.repair is not None

    def fix(self) -> Any:
        """Return the mended thing: a picture for a picture, a list of pictures for a request.

        Raises
        ------
        ValueError
            If there is no automatic fix; ``cure`` says what a person can do.
        """
        if self.repair is None:
            raise ValueError(f"{self.code}: no automatic fix; {self.cure or 'see the value'}")
        return self.repair()

    def __str__(self) -> str:
        where = f"image {self.image_number}: " if self.image_number else ""
        limit = f" (limit: {self.limit})" if self.limit else ""
        cure = f" → {self.cure}" if self.cure else ""
        return f"{_MARKS[self.level]} {self.code}: {where}{self.value}{limit}{cure}"


class Findings(tuple[Finding, ...]):
    """Findings in the order they were found; an empty one means nothing to say.

    Examples
    --------
    >>> print(Findings())
    nothing to note
    """

    __slots__ = ()

    @property
    def errors(self) -> "Findings":
        """Those that the service would refuse."""
        return Findings(f for f in self if f.level == "error")

    @property
    def warnings(self) -> "Findings":
        """Those worth considering before paying."""
        return Findings(f for f in self if f.level == "warn")

    @property
    def codes(self) -> tuple[str, ...]:
        """The short names, in order."""
        return tuple(f.code for f in self)

    def __str__(self) -> str:
        return "\n".join(str(f) for f in self) or "nothing to note"

    def __repr__(self) -> str:
        return f"Findings({', '.join(self.codes)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002, FBT001 - IPython's protocol
        # IPython prints tuples its own way unless told otherwise.
        printer.text(str(self))

    def to_html(self) -> str:
        """Return the findings as an HTML table."""
        # Of one picture no number has to be said.
        has_numbers = any(f.image_number for f in self)
        head = ["level", "what", *(["image"] if has_numbers else []), "value", "limit", "cure"]
        rows = [
            (
                f.level,
                f.code,
                *([f.image_number or ""] if has_numbers else []),
                f.value,
                f.limit,
                f.cure,
            )
            for f in self
        ]
        return table(head, rows)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return bundle(str(self), markup=self.to_html() if self else "")
