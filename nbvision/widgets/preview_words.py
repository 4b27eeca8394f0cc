"""What a preview says of a picture, as the browser is told it: numbers, findings, boxes."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from nbvision.catalogue import Model, dollars_in_words, model_cost
from nbvision.findings import Finding, Findings
from nbvision.geometry import Box, Fit
from nbvision.images import SourceImage
from nbvision.markup import plain
from nbvision.platforms import Platform
from nbvision.preflight import check_images
from nbvision.prepared import PreparedImage

__all__ = [
    "boxes_in_words",
    "facts",
    "findings_in_words",
    "fit_in_numbers",
    "fit_of",
    "merged",
    "told",
    "total",
]

_LONGEST = 2000
_FEW_KILOBYTES = 10
_LONGEST_LABEL = 200
# A widget has a button where the plain functions tell of a call.
_CALL = re.compile(r"[:;,]? finding\.fix\(\).*")


def fit_of(image: SourceImage, model: Model) -> Fit:
    """Return how a picture becomes what a model looks at; a crop's places come home from it."""
    return Fit.of(image.size, model.tier, crop_origin=image.crop_origin)


def told(
    images: Sequence[SourceImage],
    at: int,
    noun: str,
    model: Model,
    platform: Platform,
    *,
    prepared: PreparedImage | None,
    is_preparing: bool,
) -> dict[str, Any]:
    """Return what a browser is told of one of several pictures: numbers alone, so at once.

    Parameters
    ----------
    at
        Which of the pictures, counted from 0.
    noun
        What each of them is called.
    prepared
        What is sent of it; None while or because there is nothing.
    is_preparing
        Whether that is still to come.
    """
    image, fit = images[at], fit_of(images[at], model)
    waits = "preparing …" if is_preparing else "could not be prepared"
    return {
        "image": plain(image.source),
        "fit": fit_in_numbers(fit),
        "facts": facts(fit, model, prepared, waits),
        "total": total([fit_of(each, model) for each in images], model, noun.lower()),
        "findings": findings_in_words(merged(check_images([image], model, platform), prepared)),
        "is_preparing": is_preparing,
    }


def fit_in_numbers(fit: Fit) -> dict[str, list[int]]:
    """Return a fit as lists of width and height, and where the picture was cut from.

    Examples
    --------
    >>> from nbvision.geometry import STANDARD
    >>> fit_in_numbers(Fit.of((1075, 1520), STANDARD))["padded"]
    [924, 1316]
    """
    return {
        "original": [*fit.original],
        "resized": [*fit.resized],
        "padded": [*fit.padded],
        "origin": [*fit.crop_origin],
    }


def facts(fit: Fit, model: Model, prepared: PreparedImage | None, waits: str) -> list[list[str]]:
    """Return a table of two columns: the sizes in pixels, what they cost, what is sent.

    Parameters
    ----------
    prepared
        What is sent; None while it is not known.
    waits
        What stands in its place until then.
    """
    kept = fit.resized.pixels / fit.original.pixels
    sent = waits
    if prepared is not None:
        kilobytes = len(prepared.data) / 1000
        digits = 1 if kilobytes < _FEW_KILOBYTES else 0
        sent = f"{prepared.media_type}, {kilobytes:,.{digits}f} kB"
    x, y = fit.crop_origin
    cut = f", cut at {x}, {y}" if x or y else ""
    return [
        ["Original", f"{fit.original} px{cut}"],
        ["Resized", f"{fit.resized} px"],
        ["Padded", f"{fit.padded} px"],
        ["Pixels kept", f"{kept:.1%}" if fit.is_resized else "all"],
        ["Visual tokens", f"{fit.visual_tokens:,}"],
        ["Price to send", dollars_in_words(_dollars(model, fit))],
        ["Sent as", sent],
    ]


def total(fits: Sequence[Fit], model: Model, noun: str) -> str:
    """Return what several pictures cost together; nothing for one.

    Examples
    --------
    >>> from nbvision.catalogue import find_model
    >>> from nbvision.geometry import STANDARD
    >>> total([Fit.of((560, 280), STANDARD)] * 2, find_model("claude-haiku-4-5"), "crop")
    '2 crops together: 400 visual tokens, $0.00040'
    """
    if len(fits) < 2:  # noqa: PLR2004 - one picture's numbers stand in the table
        return ""
    tokens = sum(fit.visual_tokens for fit in fits)
    dollars = model_cost(model, input_tokens=tokens, output_tokens=0)
    price = dollars_in_words(dollars)
    return f"{len(fits)} {noun}s together: {tokens:,} visual tokens, {price}"


def merged(checked: Findings, prepared: PreparedImage | None) -> list[Finding]:
    """Return what the check found, and what only the encoding could tell, each once."""
    said = {(finding.code, finding.value) for finding in checked}
    more = prepared.findings if prepared is not None else Findings()
    return [*checked, *(found for found in more if (found.code, found.value) not in said)]


def findings_in_words(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """Return findings as text; ``fix`` is the word for what would mend one, where it can be.

    Examples
    --------
    >>> findings_in_words([Finding("tiny", "warn", "90 px", cure="send a larger one")])[0]["fix"]
    ''
    """
    found, offered = [], set()
    for finding in findings:
        fix = _fix_in_words(finding) if finding.is_fixable else ""
        found.append(
            {
                "code": finding.code,
                "level": finding.level,
                "value": plain(finding.value)[:_LONGEST],
                "limit": plain(finding.limit)[:_LONGEST],
                "cure": plain(_CALL.sub("", finding.cure))[:_LONGEST],
                "fix": "" if fix in offered else fix,
            }
        )
        offered.add(fix)
    return found


def boxes_in_words(boxes: Iterable[Box]) -> list[dict[str, Any]]:
    """Return boxes as objects with their edges in pixels of the original."""
    return [
        {
            **dict(zip(("left", "top", "right", "bottom"), box.xyxy, strict=True)),
            "label": plain(str(box.label))[:_LONGEST_LABEL],
        }
        for box in boxes
    ]


def _dollars(model: Model, fit: Fit) -> float | None:
    return model_cost(model, input_tokens=fit.visual_tokens, output_tokens=0)


def _fix_in_words(finding: Finding) -> str:
    if "crops" in finding.cure:
        return "Cut into crops"
    named = {"tiny": "Enlarge", "many-images": "Shrink"}
    return named.get(finding.code, f"Fix {finding.code}")
