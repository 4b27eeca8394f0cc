"""What the model will see of a picture, before anything is sent: `nbvision.preview`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbvision.catalogue import Model, dollars_in_words, model_cost
from nbvision.draw import figure_bytes, preview_figure, shrunk
from nbvision.errors import RequestError
from nbvision.findings import Findings
from nbvision.geometry import Box, Fit
from nbvision.images import SourceImage
from nbvision.markup import bundle, image_tag, table
from nbvision.prepared import PreparedImage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Preview", "PreviewRow", "make_preview"]


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """How one model looks at the picture.

    Attributes
    ----------
    model
        Its id.
    fit
        Its sizes.
    dollars
        What the picture alone costs to send; None where no price is known.
    """

    model: str
    fit: Fit
    dollars: float | None

    @property
    def dollars_in_words(self) -> str:
        """The price with as many digits as it needs."""
        return dollars_in_words(self.dollars)


@dataclass(frozen=True, slots=True, repr=False)
class Preview:
    """A picture as a model sees it: original, resized and padded, from the bytes to send.

    Attributes
    ----------
    image
        The picture.
    prepared
        The very bytes that would be sent.
    rows
        The chosen model first, then one of each other kind.
    boxes
        In original pixels; drawn on all three.
    """

    image: SourceImage
    prepared: PreparedImage
    rows: tuple[PreviewRow, ...]
    boxes: tuple[Box, ...] = ()

    @property
    def fit(self) -> Fit:
        """How the original becomes what the model looks at."""
        return self.prepared.fit

    @property
    def findings(self) -> Findings:
        """What was done to the picture, and what is worth knowing."""
        return self.prepared.findings

    @property
    def figure(self) -> "Figure":
        """The three sizes side by side, as a matplotlib figure."""
        original, _ = shrunk(self.image.pixels)
        return preview_figure(original, self.prepared.pixels, self.fit, self.boxes)

    def in_words(self) -> str:
        """Return the sizes, tokens and prices as lines of text."""
        lines = [
            f"{row.model}: {row.fit.original} → {row.fit.resized}, padded to {row.fit.padded}, "
            f"{row.fit.visual_tokens:,} visual tokens, {row.dollars_in_words}"
            for row in self.rows
        ]
        return "\n".join([*lines, str(self.findings)])

    def __repr__(self) -> str:
        return f"Preview({self.image!r} for {self.rows[0].model}, {self.fit.resized})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        fit = self.fit
        alt = (
            f"{self.image.source} in three sizes: original {fit.original}, resized {fit.resized}, "
            f"padded {fit.padded} with its grid of 28 pixel patches"
        )
        data = figure_bytes(self.figure, "image/jpeg")
        tag = image_tag(data, "image/jpeg", alt=alt)
        head = ["model", "tier", "looks at", "padded to", "visual tokens", "$ for the picture"]
        rows = [
            (
                row.model,
                row.fit.tier.name,
                row.fit.resized,
                row.fit.padded,
                f"{row.fit.visual_tokens:,}",
                row.dollars_in_words,
            )
            for row in self.rows
        ]
        markup = f"{tag}{table(head, rows)}{self.findings.to_html() if self.findings else ''}"
        return bundle(self.in_words(), markup=markup, pictures={"image/jpeg": data})


def make_preview(
    image: SourceImage,
    prepared: PreparedImage,
    model: Model,
    others: Sequence[Model],
    *,
    boxes: Sequence[Box] = (),
) -> Preview:
    """Return the preview of a prepared picture, beside how other models would look at it."""
    given: Sequence[object] = boxes
    for place in given:
        if not isinstance(place, Box):
            raise RequestError(f"boxes hold {place!r}"[:200], limit="nv.Box values")
    rows = []
    for known in (model, *others):
        fit = Fit.of(image.size, known.tier, crop_origin=image.crop_origin)
        dollars = model_cost(known, input_tokens=fit.visual_tokens, output_tokens=0)
        rows.append(PreviewRow(known.id, fit, dollars))
    return Preview(image, prepared, tuple(rows), tuple(boxes))
