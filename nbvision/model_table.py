"""Models as a table."""

from collections.abc import Iterator
from typing import Any

from nbvision.catalogue import Model
from nbvision.markup import bundle, table

__all__ = ["ModelTable"]

_HEAD = (
    "model",
    "tier",
    "context",
    "$ in / out per million",
    "on Bedrock",
    "ends",
    "as of",
    "note",
)


class ModelTable(tuple[Model, ...]):
    """Models as a table, newest first."""

    __slots__ = ()

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for model in self:
            price = model.price
            yield (
                model.id,
                model.tier.name,
                f"{model.context_tokens:,}",
                f"{price.input:g} / {price.output:g}" if price else "not published",
                model.platform_ids.get("bedrock", ""),
                _end_of(model),
                str(model.as_of),
                "; ".join(filter(None, (model.note, _long_note(model)))),
            )

    def __repr__(self) -> str:
        return f"ModelTable({len(self)} models)"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return bundle(str(self), markup=self._to_html())

    def _to_html(self) -> str:
        # A notebook's window is no wider than this: what belongs to a model's id stands below
        # it, and the days of the rows are in the caption.
        head = ("model, on Bedrock", "tier", "context", "$ in / out\nper million", "ends", "note")
        rows = (
            (f"{name}\n{bedrock}", tier, context, price, ends.replace("before ", "before\n"), note)
            for name, tier, context, price, bedrock, ends, _, note in self._rows()
        )
        return table(head, rows, caption=self._caption(), unbroken=range(len(head) - 1))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002, FBT001 - IPython's protocol
        # IPython prints tuples its own way unless told otherwise.
        printer.text(str(self))

    def __str__(self) -> str:
        rows = [_HEAD, *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
        lines = (
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )
        return "\n".join([*lines, self._caption()])

    def _caption(self) -> str:
        days = [model.as_of for model in self]
        span = f"As of {min(days)} to {max(days)}; each" if days else "Each"
        return (
            f"{span} row has its as_of and source. "
            "Bedrock's regional profiles (us., eu., jp., au., apac.) "
            "cost 10\N{NO-BREAK SPACE}% more than global."
        )


def _end_of(model: Model) -> str:
    if model.retires is not None:
        return f"{model.retires}"
    return f"not before {model.not_before}" if model.not_before else ""


def _long_note(model: Model) -> str:
    price, above = model.long_price, model.long_price_above
    return f"{price.input:g} / {price.output:g} above {above:,} tokens" if price else ""
