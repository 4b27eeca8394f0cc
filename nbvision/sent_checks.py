"""Whether a picture that was prepared, uploaded or named before can be sent as it is, now.

Its bytes are not changed any more: what does not fit this model or this place is an error that
names the cure. A conversation's earlier pictures are such pictures too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nbvision.catalogue import Model
from nbvision.findings import Finding
from nbvision.platforms import Platform
from nbvision.prepared import PreparedImage, is_over_limit, limit_in_words
from nbvision.referenced import GivenImage, RemoteImage, UploadedImage

__all__ = ["Asked", "of_sent"]

_ANEW = "begin a new conversation: pictures that were sent stay as they are"


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked, as far as pictures are concerned.

    Attributes
    ----------
    model, platform
        Their tier and limits count.
    held_by
        Whose files can be named; empty if that is not known.
    """

    model: Model
    platform: Platform
    held_by: str = ""


def of_sent(
    images: Sequence[GivenImage], asked: Asked, *, earlier: int, side_limit: int | None
) -> Iterator[Finding]:
    """Yield what keeps pictures from being sent as they are, and what only the service sees.

    Parameters
    ----------
    images
        All of a request.
    asked
        Who is asked.
    earlier
        How many of them were sent in earlier turns.
    side_limit
        The longest side in pixels among so many; None for the tier's own.
    """
    for number, image in enumerate(images, start=1):
        if isinstance(image, RemoteImage):
            found = _of_remote(image, asked)
        elif isinstance(image, PreparedImage):
            found = _of_prepared(image, asked, side_limit)
        else:
            continue
        for finding in found:
            yield _numbered(finding, number, len(images), is_earlier=number <= earlier)


def _numbered(finding: Finding, number: int, count: int, *, is_earlier: bool) -> Finding:
    is_stuck = is_earlier and finding.level == "error"
    return Finding(
        finding.code,
        finding.level,
        finding.value,
        finding.limit,
        _ANEW if is_stuck else finding.cure,
        number if count > 1 else None,
    )


def _of_remote(image: RemoteImage, asked: Asked) -> Iterator[Finding]:
    if "url" not in asked.platform.source_types:
        yield _not_taken(f"the address {image.source}", asked, "fetch it here: nv.open_image(url)")
    yield Finding(
        "remote",
        "info",
        f"the service fetches {image.source} and learns the address; nobody here sees the picture",
        cure="to preview it, or to find places in it: nv.open_image(url)",
    )


def _of_prepared(image: PreparedImage, asked: Asked, side_limit: int | None) -> Iterator[Finding]:
    model, platform, frame = asked.model, asked.platform, image.fit.resized
    is_uploaded = isinstance(image, UploadedImage)
    again = "nv.upload" if is_uploaded else "nv.prepare"
    if isinstance(image, UploadedImage):
        yield from _of_uploaded(image, asked)
    elif is_over_limit(len(image.data), platform):
        value = f"a prepared picture of {len(image.data) / 1e6:.1f} MB"
        cure = "give the picture itself: it is prepared for the place that is asked"
        yield Finding("bytes", "error", value, limit_in_words(platform), cure)
    if not model.tier.fits(frame):
        made = "uploaded" if is_uploaded else "prepared"
        value = f"a picture {made} at {frame}, which {model.id} would resize"
        limit = f"edge {model.tier.edge_limit}, {model.tier.visual_token_limit} visual tokens"
        cure = f"make it for this model: {again}(image, model={model.id!r})"
        yield Finding("frame", "error", value, limit, cure)
    elif side_limit is not None and frame.long_edge > side_limit:
        cure = "give the pictures themselves: they are prepared for as many as there are"
        if is_uploaded:
            cure = "upload them together: nv.upload([…]) prepares them for as many as there are"
        limit = f"{side_limit} px a side among more than 20 images, earlier turns included"
        yield Finding("many-images", "error", f"a picture prepared at {frame}", limit, cure)


def _of_uploaded(image: UploadedImage, asked: Asked) -> Iterator[Finding]:
    if "file" not in asked.platform.source_types:
        cure = "give the picture itself: uploaded.source"
        yield _not_taken(f"the file {image.file_id[:80]}", asked, cure)
    elif asked.held_by and image.held_by != asked.held_by:
        value = f"the file {image.file_id[:80]} lies at {image.held_by}"
        limit = f"the files of {asked.held_by}"
        cure = "upload it there too: nv.upload(uploaded.source)"
        yield Finding("elsewhere", "error", value, limit, cure)
    elif image.is_expired:
        value = f"the file {image.file_id[:80]} has expired"
        limit = f"it was kept until {image.expires_at:%Y-%m-%d %H:%M} UTC"
        cure = "upload it again: nv.upload(uploaded.source)"
        yield Finding("expired", "error", value, limit, cure)


def _not_taken(what: str, asked: Asked, cure: str) -> Finding:
    taken = ", ".join(sorted(asked.platform.source_types))
    limit = f"{taken} on {asked.platform.name}"
    return Finding("source", "error", f"{what}, which is not taken there", limit, cure)
