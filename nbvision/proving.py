"""Proof instead of promise: a service's free token counter says whether our rule is its own.

The counter refuses a picture that would be resized, if its block says so, and names the largest
size that fits; it counts a picture by its size. So what this package computes can be held against
what the service does, without a paid call.
"""

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from struct import pack
from typing import Any

from nbvision.backends import Backend, current
from nbvision.catalogue import Model, find_model, learn_tier
from nbvision.errors import NotConnected, RequestError, RequestRejected
from nbvision.findings import Findings
from nbvision.geometry import (
    HIGH,
    STANDARD,
    Fit,
    Size,
    Tier,
    padded_size,
    resized_size,
    visual_tokens,
)
from nbvision.given import seen_image
from nbvision.images import SourceImage, open_image
from nbvision.markup import bundle, plain, rich, table
from nbvision.platforms import Platform
from nbvision.prepared import PreparedImage, prepare_image
from nbvision.request import Request, RequestMessage

__all__ = ["Proof", "ProofRow", "prove"]

_WORDS = "Describe this image."
_LARGEST_SIDE = 8000  # no service takes a longer one, whatever a block says
_TAKEN = {"JPEG", "PNG", "GIF", "WEBP"}
# Larger than any tier in both ways: the one finds the limit of patches, the other of the edge.
_SQUARE, _STRIP = Size(4000, 4000), Size(8000, 400)
_PLACE = re.compile(r"\bmessages\.0\.content\.0\b")
_SIZE = re.compile(r"(?<![\w.])(\d{1,6}) ?[x×] ?(\d{1,6})(?!\w)")
_HEAD = ("model", "asked", "by our rule", "the service says", "agrees")
_AGREES = {True: "yes", False: "NO", None: "not asked"}


@dataclass(frozen=True, slots=True)
class ProofRow:
    """One thing that was asked.

    Attributes
    ----------
    model_id
        Of which model.
    asked
        What, in words.
    predicted, said
        By our rule, and by the service.
    agrees
        Whether they are the same; None where it could not be asked.
    """

    model_id: str
    asked: str
    predicted: str
    said: str
    agrees: bool | None


@dataclass(frozen=True, slots=True, repr=False)
class Proof:
    """What was predicted of a picture, and what the service said; shows as a table.

    Attributes
    ----------
    rows
        One for each thing that was asked, of each model.
    tiers
        For each model the tier by which the service resizes; None where its answers follow
        no rule that is known here, or it named none.
    """

    rows: tuple[ProofRow, ...]
    tiers: Mapping[str, Tier | None]

    @property
    def agrees(self) -> bool:
        """Whether something was asked and every answer is as predicted."""
        known = [row.agrees for row in self.rows if row.agrees is not None]
        return bool(known) and all(known)

    @property
    def tier(self) -> Tier | None:
        """The tier of the first model, by the service's own numbers."""
        return next(iter(self.tiers.values()))

    def remember(self) -> None:
        """Use the tiers that the service named, in this kernel, until it ends.

        For a model that the catalogue guesses, or has wrong: a tier too high is refused with
        every picture, one too low loses detail without a word. Nothing is written to disk.

        Raises
        ------
        RequestError
            If the service named no tier for one of the models.
        """
        for model_id, tier in self.tiers.items():
            if tier is None:
                raise RequestError(
                    f"no tier is known for {plain(model_id)[:100]}",
                    cure="look at the rows: the service named none",
                )
        for model_id, tier in self.tiers.items():
            learn_tier(model_id, tier)

    def verdict(self) -> str:
        """Return one sentence."""
        known = [row.agrees for row in self.rows if row.agrees is not None]
        if not known:
            return "Nothing could be asked."
        wrong = known.count(False)
        if not wrong:
            whole = f"All {len(known)} answers are" if len(known) > 1 else "The one answer is"
            return f"{whole} as predicted; nothing was paid."
        return (
            f"{wrong} of {len(known)} answers differ from our rule; nothing was paid. "
            "proof.tier is what the service named, proof.remember() uses it."
        )

    def _lines(self) -> Iterator[str]:
        for row in self.rows:
            sign = {True: "=", False: "≠", None: "?"}[row.agrees]
            yield f"{row.model_id}: {row.asked}: {row.predicted} {sign} {row.said}"

    def __str__(self) -> str:
        return plain("\n".join([*self._lines(), self.verdict()]))

    def __repr__(self) -> str:
        return f"Proof({', '.join(self.tiers)}: {'agrees' if self.agrees else 'does not agree'})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        cells = [
            (row.model_id, row.asked, row.predicted, row.said, _AGREES[row.agrees])
            for row in self.rows
        ]
        return bundle(str(self), markup=rich(table(_HEAD, cells, caption=self.verdict())))


def prove(
    image: object, *, model: str | Sequence[str] | None = None, backend: Backend | None = None
) -> Proof:
    """Ask the service's free counter whether it treats a picture as this package predicts.

    Five free questions for each model: whether the picture as it is would be resized, whether
    our frame would, how many tokens our frame has, and which is the largest size that fits of
    two pictures that are too large for anyone. Nothing is paid.

    Parameters
    ----------
    image
        Anything `describe` takes but a remote picture. Where the original has more bytes than
        the platform takes, or came turned or cropped, a flat picture of its size stands for it:
        counters look at sizes alone.
    model
        A model id, or several; by default the one that is connected.
    backend
        Who is asked; by default who is connected.

    Raises
    ------
    RequestError
        If the service has no counter, or no model is named.
    ImageError, BackendError
        If the picture cannot be prepared, or nobody answers.

    Examples
    --------
    >>> import nbvision as nv
    >>> practice = nv.connect("practice", words_per_second=None)
    >>> proof = nv.prove(nv.samples.page, model="practice-standard", backend=practice)
    >>> proof.agrees, proof.tier.name
    (True, 'standard')
    """
    asked = current(backend)
    ids = _ids(model, asked)
    source = seen_image(image)
    rows: list[ProofRow] = []
    tiers: dict[str, Tier | None] = {}
    for model_id in dict.fromkeys(ids):
        counter = _Counter(asked, model_id, find_model(model_id))
        named: dict[Size, Size] = {}
        rows += _rows(counter, source, named)
        tiers[model_id] = _tier_of(named, counter.model.tier)
    return Proof(tuple(rows), tiers)


def _ids(model: object, asked: Backend) -> list[str]:
    given = model if isinstance(model, list | tuple) else [model or asked.model]
    ids = [each for each in given if isinstance(each, str)]
    if not ids or len(ids) != len(given):
        raise RequestError(
            f"model={model!r}"[:200], limit="a model id or a list of them", cure="nv.models()"
        )
    return ids


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a counter said of one picture: tokens, or why not."""

    tokens: int | None
    largest: Size | None
    words: str

    @property
    def in_words(self) -> str:
        if self.tokens is not None:
            return "accepted"
        return _rejected(self.largest) if self.largest else f"rejected: {self.words}"


@dataclass(frozen=True, slots=True)
class _Counter:
    """One model at one service."""

    backend: Backend
    model_id: str
    model: Model

    @property
    def platform(self) -> Platform:
        return self.backend.platform

    def count(self, *images: PreparedImage) -> int:
        """Return the tokens of pictures and a few words."""
        message = RequestMessage("user", (*images, _WORDS))
        request = Request(self.model_id, self.model, self.platform, (message,))
        tokens = self.backend.count_tokens(request) if self.platform.counts_tokens else None
        if tokens is None and self.backend.keeping.is_offline:
            raise NotConnected(
                "offline: the token counter is not asked",
                cure='connect without offline=True, or to practice: nv.connect("practice")',
            )
        if tokens is None:
            raise RequestError(
                f"{self.platform.name} has no free token counter",
                cure='nv.connect("anthropic") has one, and so has nv.connect("practice")',
            )
        return tokens

    def ask(self, image: PreparedImage) -> _Answer:
        """Return the tokens of a picture, or the rejection."""
        try:
            return _Answer(self.count(image), None, "")
        except RequestRejected as error:
            # What follows is ours: the status and the request's name.
            words = error.value.partition(" [status")[0]
        return _Answer(None, _largest_in(words, image.fit.resized), plain(words)[:300])


def _rows(counter: _Counter, source: SourceImage, named: dict[Size, Size]) -> Iterator[ProofRow]:
    model_id, tier = counter.model_id, counter.model.tier
    alone = counter.count()
    frame = prepare_image(source, counter.model, counter.platform)
    if counter.platform.takes_transformations:
        yield _of_original(counter, source, named)
    answer = counter.ask(frame)
    size, patches = frame.fit.resized, frame.visual_tokens
    refuses = counter.platform.takes_transformations
    said = answer.in_words if refuses or answer.tokens is None else "no word on resizing there"
    agrees = answer.tokens is not None if refuses or answer.tokens is None else None
    yield ProofRow(model_id, f"our frame, {size}", "accepted", said, agrees)
    if answer.tokens is None:
        yield ProofRow(model_id, "its visual tokens", f"{patches:,}", "not counted", None)
    else:
        seen = answer.tokens - alone
        yield ProofRow(model_id, "its visual tokens", f"{patches:,}", f"{seen:,}", seen == patches)
    if counter.platform.takes_transformations:
        for large in (_SQUARE, _STRIP):
            yield _of_size(counter, _flat(large, tier), f"a flat picture, {large}", named)


def _of_original(counter: _Counter, source: SourceImage, named: dict[Size, Size]) -> ProofRow:
    size, tier = source.size, counter.model.tier
    if size.long_edge > _LARGEST_SIDE:
        predicted = _rejected(resized_size(size, tier))
        said = f"not asked: no service takes more than {_LARGEST_SIDE:,} px a side"
        return ProofRow(counter.model_id, f"the original, {size}", predicted, said, None)
    data = source.original_bytes
    limit = counter.platform.image_base64_limit
    is_taken = data is not None and source.format in _TAKEN
    if data is None or not is_taken or (limit is not None and 4 * ceil(len(data) / 3) > limit):
        words = f"a flat picture of the original's size, {size}"
        return _of_size(counter, _flat(size, tier), words, named)
    fit = Fit(size, size, tier)
    whole = PreparedImage(data, f"image/{source.format.lower()}", fit, Findings(), source)
    return _of_size(counter, whole, f"the original, {size}", named)


def _of_size(
    counter: _Counter, image: PreparedImage, words: str, named: dict[Size, Size]
) -> ProofRow:
    """Ask whether a picture fits as it is, and note which size the service names."""
    size = image.fit.resized
    expected = resized_size(size, counter.model.tier)
    answer = counter.ask(image)
    if answer.largest is not None:
        named[size] = answer.largest
    elif answer.tokens is not None:
        named[size] = size
    fits = expected == size
    predicted = "accepted" if fits else _rejected(expected)
    agrees = answer.tokens is not None if fits else answer.largest == expected
    return ProofRow(counter.model_id, words, predicted, answer.in_words, agrees)


def _rejected(largest: Size) -> str:
    return f"rejected, {largest} would fit"


def _largest_in(words: str, sent: Size) -> Size | None:
    """Return the largest size that a rejection names; None if it is not read for certain."""
    sizes = [Size(int(width), int(height)) for width, height in _SIZE.findall(words)]
    if not _PLACE.search(words) or len(sizes) != 2 or sizes[0] != sent:  # noqa: PLR2004 - the picture's and the largest
        return None
    largest = sizes[1]
    is_smaller = largest != sent and largest.width <= sent.width and largest.height <= sent.height
    return largest if is_smaller and min(largest) >= 1 else None


def _tier_of(named: Mapping[Size, Size], expected: Tier) -> Tier | None:
    """Return the tier by whose rule the named sizes come about."""
    if _SQUARE not in named or _STRIP not in named:
        return None
    smaller = [largest for size, largest in named.items() if largest != size]
    if not smaller:
        return None
    edge = padded_size(named[_STRIP]).long_edge
    found = Tier("as the service counts", edge, max(visual_tokens(size) for size in smaller))
    for tier in (expected, HIGH, STANDARD, found):
        if all(resized_size(size, tier) == largest for size, largest in named.items()):
            return tier
    return None


def _flat(size: Size, tier: Tier) -> PreparedImage:
    """Return a black PNG of one bit a pixel: some kilobytes, whatever its size."""
    rows = bytes(1 + ceil(size.width / 8)) * size.height
    header = pack(">IIBBBBB", *size, 1, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        pack(">I", len(body)) + name + body + pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )
    return PreparedImage(data, "image/png", Fit(size, size, tier), Findings(), open_image(data))
