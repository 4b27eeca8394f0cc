"""A past call as the value it once gave: a reply, or boxes on the picture that is left of it."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from PIL import Image, ImageChops, ImageStat

from nbvision.box_reader import BoxReading, read_boxes
from nbvision.catalogue import find_model
from nbvision.decoding import Decoded
from nbvision.detections import Detections
from nbvision.errors import RequestError, UnreadableAnswer
from nbvision.findings import Finding, Findings
from nbvision.geometry import HIGH, STANDARD, Fit, Size
from nbvision.platforms import find_platform
from nbvision.request import Request, RequestMessage
from nbvision.response import parse_response
from nbvision.results import Cost, Reply
from nbvision.source_image import SourceImage
from nbvision.store import PastCall, SentPicture

__all__ = ["reopened_detections", "reopened_reply"]

_MOST_ENLARGED = 40_000_000  # pixels: a thumbnail gains nothing from more
_ANOTHER_PICTURE = 12.0  # mean difference of 256 levels; encoders of one picture stay below 3

KeptPicture = tuple[SentPicture, bytes | None]


def reopened_reply(
    call: PastCall, kept: Mapping[str, Any], pictures: Sequence[KeptPicture]
) -> Reply:
    """Return the reply of a call as far as it is kept; its pictures are lines that name them.

    Parameters
    ----------
    call
        The call.
    kept
        Its request and answer, as the store has them.
    pictures
        What is kept of its pictures.

    Raises
    ------
    RequestError
        If it has no answer.
    """
    if kept["message"] is None:
        raise RequestError(
            f"call {call.number} has no answer: {call.outcome}",
            cure="ask again; what is kept of it shows in nv.history()",
        )
    return Reply(
        response=parse_response(kept["message"], kept["request_id"]),
        request=_request_of(kept, pictures, call),
        backend=call.backend,
        cost=Cost(0.0, f"it cost {Cost(call.dollars)} on {call.asked_at:%Y-%m-%d}"),
        findings=_not_kept(pictures),
        seconds=call.seconds,
        from_store=call.asked_at,
    )


def reopened_detections(
    call: PastCall, reply: Reply, pictures: Sequence[KeptPicture], image: SourceImage | None
) -> Detections:
    """Return the boxes of a past answer, in pixels of the picture that was asked about.

    Parameters
    ----------
    call, reply
        The call, and its answer.
    pictures
        What is kept of its pictures.
    image
        That picture, if it is at hand; otherwise its thumbnail stands for it, enlarged.

    Raises
    ------
    RequestError
        If it was not about one picture, its answer holds no places, or ``image`` is another.
    """
    fits = [fit for picture, _ in pictures if (fit := _fit_of(picture.fit)) is not None]
    if len(pictures) != 1 or len(fits) != 1:
        raise RequestError(
            f"call {call.number} with {len(pictures)} pictures",
            limit="one picture whose size was known",
            cure=f"nv.history().call({call.number}).reply() has the words",
        )
    (fit,), ((picture, thumbnail),) = fits, pictures
    reading = _reading(reply.text, fit.resized)
    if reading is None:
        raise RequestError(
            f"no boxes or points in the answer of call {call.number}",
            cure=f"nv.history().call({call.number}).reply() has the words",
        )
    if image is None:
        shown, about = _enlarged(thumbnail, picture.source, fit), reply.findings
    else:
        shown = _fitting(image, fit, call.number)
        about = _doubts(shown, thumbnail)
    return Detections(
        reply=replace(reply, findings=Findings([*about, *reading.findings])),
        image=shown,
        boxes=tuple(fit.to_original(box) for box in reading.boxes),
        points=tuple(fit.to_original(point) for point in reading.points),
        boxes_in_resized=reading.boxes,
    )


def _reading(text: str, frame: Size) -> BoxReading | None:
    try:
        return read_boxes(text, frame)
    except UnreadableAnswer:
        return None


def _fit_of(kept: Mapping[str, Any]) -> Fit | None:
    """Return the fit that was kept; None for a picture that the service fetched."""
    try:
        original, resized = Size(*kept["original"]), Size(*kept["resized"])
        left, top = kept["crop_origin"]
    except (KeyError, TypeError, ValueError):
        return None
    tier = HIGH if kept.get("tier") == HIGH.name else STANDARD
    return Fit(original, resized, tier, (left, top))


def _enlarged(thumbnail: bytes | None, source: str, fit: Fit) -> SourceImage:
    """Return the thumbnail at the size of the picture, at its place in the whole one."""
    (left, top), (width, height) = fit.crop_origin, fit.original
    full = Size(left + width, top + height)
    if thumbnail is None or full.pixels > _MOST_ENLARGED:
        raise RequestError(
            f"{source} is not kept" if thumbnail is None else f"{source} of {full} pixels",
            limit="what a thumbnail can stand for",
            cure='give the picture: .detections("photo.jpg")',
        )
    pixels = Image.new("RGB", full, "white")
    with Image.open(io.BytesIO(thumbnail)) as small:
        enlarged = small.convert("RGB").resize(fit.original, Image.Resampling.BICUBIC)
    pixels.paste(enlarged, fit.crop_origin)
    region = (left, top, full.width, full.height)
    name = f"{source.removesuffix(', cropped')}, from its thumbnail"
    return SourceImage(name, region, Findings(), Decoded(pixels, "RGB"))


def _fitting(image: SourceImage, fit: Fit, number: int) -> SourceImage:
    """Return the picture, or the part of it that was asked about."""
    (left, top), (width, height) = fit.crop_origin, fit.original
    right, bottom = left + width, top + height
    if image.crop_origin == fit.crop_origin and image.size == fit.original:
        return image
    is_whole = image.crop_origin == (0, 0) and (left, top) != (0, 0)
    if is_whole and right <= image.size.width and bottom <= image.size.height:
        return image.crop(left, top, right, bottom)
    raise RequestError(
        f"{image.source} of {image.size} px",
        limit=f"call {number} was about a picture of {fit.original} px"
        + (f" at ({left}, {top}) of a larger one" if (left, top) != (0, 0) else ""),
        cure="give the picture that was asked about; nv.history() shows its thumbnail",
    )


def _doubts(image: SourceImage, thumbnail: bytes | None) -> Findings:
    """Return whether it looks like another picture than the one whose thumbnail was kept."""
    if thumbnail is None:
        return Findings()
    with (
        Image.open(io.BytesIO(thumbnail)) as kept,
        Image.open(io.BytesIO(image.thumbnail(max(kept.size)))) as now,
    ):
        levels = ImageStat.Stat(ImageChops.difference(kept.convert("RGB"), now.resize(kept.size)))
    if sum(levels.mean) / len(levels.mean) <= _ANOTHER_PICTURE:
        return Findings()
    cure = "look whether it is the one that was asked about"
    unlike = "the picture looks unlike its thumbnail"
    return Findings([Finding("another-picture", "warn", unlike, cure=cure)])


def _request_of(
    kept: Mapping[str, Any], pictures: Sequence[KeptPicture], call: PastCall
) -> Request:
    """Return the request as far as it is kept: each picture is a line that names it."""
    names = iter(pictures)
    parameters = kept["parameters"] or {}
    output = parameters.get("output_config") or {}
    messages = tuple(
        RequestMessage(
            message["role"],
            tuple(
                block["text"] if "text" in block else _line_for(next(names, None))
                for block in message["content"]
            ),
        )
        for message in kept["messages"] or ()
    )
    return Request(
        model_id=call.model,
        model=find_model(call.model),
        platform=find_platform(kept["place"]),
        messages=messages,
        max_tokens=parameters.get("max_tokens", 0),
        system=parameters.get("system"),
        effort=output.get("effort"),
        schema=(output.get("format") or {}).get("schema"),
        thinking=(parameters.get("thinking") or {}).get("display"),
    )


def _line_for(kept: KeptPicture | None) -> str:
    if kept is None:
        return "[a picture that is not kept]"
    fit = _fit_of(kept[0].fit)
    size = "" if fit is None else f", {fit.original} px"
    return f"[{kept[0].source}{size}; the picture is not kept]"


def _not_kept(pictures: Sequence[KeptPicture]) -> Findings:
    if not pictures:
        return Findings()
    some = "the picture is" if len(pictures) == 1 else f"{len(pictures)} pictures are"
    cure = "open the file again to look closer"
    return Findings([Finding("not-kept", "info", f"{some} not kept, only a thumbnail", cure=cure)])
