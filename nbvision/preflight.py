"""What is worth knowing before sending: of pictures, words, limits and money.

Each finding has a level, a value, a limit and a cure; an error is what the service is known
to refuse. The rules and figures are those of "Vision", "Coordinates and bounding boxes" and
"API overview" (platform.claude.com/docs, copies of August to October 2026).

What they warn of and cannot happen here is not looked for: nbvision encodes every picture in
a format and size that is taken, makes the frame smaller where there are many, puts pictures
before words, labels two or more, and has no sampling parameters, forced tools, prefill or
thinking budgets.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from itertools import pairwise, product
from math import ceil
from typing import Literal

from nbvision.catalogue import Model
from nbvision.errors import LimitExceeded
from nbvision.estimating import text_tokens, tokens_of
from nbvision.findings import Finding, Findings, Level
from nbvision.geometry import Fit, Size, Tier
from nbvision.images import SourceImage, open_image
from nbvision.platforms import Platform
from nbvision.prepared import PreparedImage, resized_note, side_limit_of
from nbvision.prompt_rules import of_words
from nbvision.referenced import GivenImage, RemoteImage, UploadedImage, frame_of
from nbvision.sent_checks import Asked, of_sent

__all__ = ["Task", "check_images", "require_sendable"]

Task = Literal["describe", "compare", "locate", "ask"]
Images = Sequence[GivenImage]

_TINY_SIDE = 200
_LARGEST_SIDE = 8000
_LITTLE_LEFT = 0.25  # of the pixels: below it small things are likely to be gone
_ORDER = ("error", "warn", "info")
_SOON = 5  # pictures more, at which it is time to say what they will not be sent with
# An error stops a call, so it takes a limit that is known; a guessed one only warns.
_LEVEL: dict[bool, Level] = {True: "error", False: "warn"}
# Prepared photographs come to about a third of a byte a pixel, in base64.
_BYTES_A_PIXEL = 0.34


def check_images(
    images: Sequence[GivenImage],
    model: Model,
    platform: Platform,
    *,
    prompt: str = "",
    system: str = "",
    task: Task = "ask",
    max_tokens: int | None = None,
    earlier: int = 0,
    held_by: str = "",
) -> Findings:
    """Return what is worth knowing about pictures and words, errors first.

    Parameters
    ----------
    images
        The pictures of one request, in order.
    model, platform
        Who would be asked, and where: their limits count.
    prompt, system
        The words, if they are to be looked at too.
    task
        For ``"locate"`` it weighs more that most of a picture's pixels will not be sent.
    max_tokens
        What the answer may have.
    earlier
        How many of the pictures were sent in earlier turns, and stay as they are.
    held_by
        Whose files can be named; empty if that is not known.

    Examples
    --------
    >>> from nbvision.catalogue import find_model
    >>> from nbvision.platforms import find_platform
    >>> from PIL import Image
    >>> tiny = open_image(Image.new("RGB", (90, 60)))
    >>> found = check_images([tiny], find_model("claude-opus-5-5"), find_platform("anthropic"))
    >>> found.codes, found[0].fix().size
    (('tiny',), Size(width=360, height=240))
    """
    side_limit = side_limit_of(len(images))
    found = [
        *_of_request(images, model, platform, earlier),
        *of_sent(images, Asked(model, platform, held_by), earlier=earlier, side_limit=side_limit),
        *of_words(f"{system}", f"{prompt}"),
        *_of_tokens(images, model, f"{system}\n{prompt}", max_tokens),
        *_of_model(model),
        *(_of_growth(images, model.tier) if earlier else ()),
    ]
    for number, image in enumerate(images, start=1):
        if not isinstance(image, RemoteImage):
            fit = _fit_of(image, model.tier, side_limit)
            found += _of_image(image, fit, number if len(images) > 1 else None, task)
    return Findings(sorted(found, key=lambda finding: _ORDER.index(finding.level)))


def require_sendable(findings: Findings) -> None:
    """Refuse what the service would refuse.

    Raises
    ------
    LimitExceeded
        With the first error among the findings, and what mends it.

    Examples
    --------
    >>> require_sendable(Findings([Finding("tiny", "warn", "90 × 60 px")]))
    """
    for first in findings.errors[:1]:
        where = f"image {first.image_number}: " if first.image_number else ""
        raise LimitExceeded(f"{where}{first.value}", limit=first.limit, cure=first.cure)


def _of_request(
    images: Images, model: Model, platform: Platform, earlier: int
) -> Iterator[Finding]:
    count = len(images)
    of_model = (model.images_per_request, model.id, not model.is_guessed)
    in_message = count - earlier
    of_place = (platform.images_per_message, f"a message on {platform.name}", True)
    for number, (most, where, is_known) in ((in_message, of_place), (count, of_model)):
        if most is not None and number > most:
            value, limit = f"{number} images", f"{most} for {where}"
            if number > in_message:
                value, cure = f"{value}, earlier turns included", "begin a new conversation"
                yield Finding("count", _LEVEL[is_known], value, limit, cure)
                continue
            cure = "send them in several requests: finding.fix() returns them in groups"
            groups = partial(_in_groups, images[earlier:], most)
            yield Finding("count", _LEVEL[is_known], value, limit, cure, None, groups)
    # The bytes themselves are counted when the request is built.
    expected, allowed = _expected_bytes(images, model.tier), platform.request_limit_bytes
    if expected > allowed:
        value = f"about {expected / 1e6:.0f} MB in one request"
        limit = f"{allowed / 1e6:.0f} MB on {platform.name}"
        upload = "name them instead: nv.upload; or " if "file" in platform.source_types else ""
        cure = f"{upload}send fewer pictures at once: finding.fix() returns them in groups"
        groups = partial(_in_groups, images[earlier:], max(1, int(count * allowed / expected)))
        yield Finding("request-size", "warn", value, limit, cure, None, groups)


def _of_growth(images: Images, tier: Tier) -> Iterator[Finding]:
    """Warn of a conversation that is about to have more pictures than its large ones allow."""
    limit = side_limit_of(len(images) + _SOON)
    if limit is None or side_limit_of(len(images)) is not None:
        return
    seen = (image for image in images if not isinstance(image, RemoteImage))
    large = sum(frame_of(image, tier).long_edge > limit for image in seen)
    if large:
        value = f"picture {len(images)} of a conversation, {large} of them above {limit} px a side"
        cure = "begin a new conversation before the 21st: pictures that were sent stay as they are"
        among = f"{limit} px a side among more than 20 images, earlier turns included"
        yield Finding("many-images-soon", "warn", value, among, cure)


def _expected_bytes(images: Images, tier: Tier) -> float:
    total, side_limit = 0.0, side_limit_of(len(images))
    for image in images:
        if isinstance(image, UploadedImage | RemoteImage):
            continue
        if isinstance(image, PreparedImage):
            total += image.base64_length
        else:
            total += frame_of(image, tier, side_limit).pixels * _BYTES_A_PIXEL
    return total


def _of_tokens(
    images: Images, model: Model, text: str, max_tokens: int | None
) -> Iterator[Finding]:
    most, is_known = model.max_output_tokens, not model.is_guessed
    if max_tokens is not None and max_tokens > most:
        value, limit = f"max_tokens={max_tokens:,}", f"{most:,} for {model.id}"
        yield Finding("max-tokens", _LEVEL[is_known], value, limit, "ask for less")
    side_limit = side_limit_of(len(images))
    seen = [image for image in images if not isinstance(image, RemoteImage)]
    visual = sum(tokens_of(frame_of(image, model.tier, side_limit), model.tier) for image in seen)
    total = visual + text_tokens(text, model)
    if total > model.context_tokens:
        # Only the pictures' tokens are certain.
        level = _LEVEL[is_known and visual > model.context_tokens]
        limit = f"{model.context_tokens:,} for {model.id}"
        cure = "send fewer pictures at once, or fewer words"
        yield Finding("context", level, f"about {total:,} tokens", limit, cure)
    if model.long_price_above is not None and total > model.long_price_above:
        limit = f"{model.long_price_above:,} at the lower price of {model.id}"
        cure = "the whole request costs the higher price; send fewer pictures at once"
        yield Finding("long-prompt", "info", f"about {total:,} tokens of input", limit, cure)


def _of_model(model: Model) -> Iterator[Finding]:
    if model.is_guessed:
        yield Finding("guessed-model", "info", f"{model.id} is {model.note}")
    if model.deprecated:
        # The day is the Anthropic API's; partner clouds keep their own.
        gone = model.retires is not None and model.retires <= date.today()  # noqa: DTZ011 - a day, anywhere
        when = f", {'retired' if gone else 'retires'} {model.retires}" if model.retires else ""
        cure = f"{'it may be gone already; ' if gone else ''}choose a current model"
        yield Finding("deprecated", "warn", f"{model.id} is deprecated{when}", cure=cure)


def _fit_of(image: SourceImage | PreparedImage, tier: Tier, side_limit: int | None) -> Fit:
    if isinstance(image, PreparedImage):
        return image.fit
    return Fit.of(image.size, tier, side_limit=side_limit)


def _of_image(
    given: SourceImage | PreparedImage, fit: Fit, number: int | None, task: Task
) -> Iterator[Finding]:
    image = given.source if isinstance(given, PreparedImage) else given
    for note in resized_note(fit, number):
        little = fit.resized.pixels < _LITTLE_LEFT * fit.original.pixels
        level: Level = "warn" if task == "locate" and little else "info"
        cure = f"{note.cure}: finding.fix() cuts the picture into crops"
        yield replace(note, level=level, cure=cure, repair=partial(_crops, image, fit.tier))
    if fit.original.long_edge > _LARGEST_SIDE:
        limit = f"{_LARGEST_SIDE} px a side in what is sent"
        cure = f"nothing to do: nbvision sends {fit.resized}"
        yield Finding("pixels", "info", f"{fit.original} px as it is", limit, cure, number)
    if min(fit.resized) < _TINY_SIDE:
        yield _tiny(image, number, fit)
    if task == "locate":
        value, cure = "places are approximate", "look at the overlay"
        yield Finding("locate-precision", "info", value, cure=cure, image_number=number)
    for noted in image.findings:
        level = "warn" if noted.level == "warn" else "info"
        yield replace(noted, level=level, image_number=number)


def _tiny(image: SourceImage, number: int | None, fit: Fit) -> Finding:
    value, cure = f"{fit.original} px", "send a larger picture"
    repair: Callable[[], object] | None = None
    factor = ceil(_TINY_SIDE / min(fit.original))
    larger = Size(fit.original.width * factor, fit.original.height * factor)
    if factor == 1:
        value = f"{fit.original} px becomes {fit.resized} px"
        cure = "send crops: finding.fix() cuts the picture into crops"
        repair = partial(_crops, image, fit.tier)
    elif fit.tier.fits(larger):
        # A thin strip, enlarged, would only be shrunk again.
        cure += "; finding.fix() enlarges it, which adds no detail"
        repair = partial(_at_size, image, larger)
    limit = f"{_TINY_SIDE} px a side for reliable answers"
    return Finding("tiny", "warn", value, limit, cure, number, repair)


def _in_groups(images: Images, most: int) -> list[list[GivenImage]]:
    return [list(images[first : first + most]) for first in range(0, len(images), most)]


def _crops(image: SourceImage, tier: Tier) -> list[SourceImage]:
    """Cut a picture, row by row, into crops that are sent as they are."""
    width, height = image.size
    columns = rows = 1
    while not tier.fits(Size(ceil(width / columns), ceil(height / rows))):
        is_wide = width * rows >= height * columns
        columns, rows = columns + is_wide, rows + (not is_wide)
    edges_x = [width * cut // columns for cut in range(columns + 1)]
    edges_y = [height * cut // rows for cut in range(rows + 1)]
    places = product(pairwise(edges_y), pairwise(edges_x))
    return [image.crop(x, y, right, bottom) for (y, bottom), (x, right) in places]


def _at_size(image: SourceImage, size: Size) -> SourceImage:
    from PIL.Image import Resampling

    return open_image(image.pixels.resize(size, Resampling.LANCZOS))
