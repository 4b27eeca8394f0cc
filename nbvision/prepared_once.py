"""A picture that was prepared before is not prepared again: a stored answer comes at once.

What is kept goes by the picture's content, never by its file's name or date, so that a changed
file is prepared anew. It stays in this process's memory, the last used first, up to a limit.
"""

import os
import threading
from collections import OrderedDict

from nbvision.catalogue import Model
from nbvision.findings import Finding, Findings
from nbvision.geometry import Fit
from nbvision.images import SourceImage
from nbvision.platforms import Platform
from nbvision.prepared import PreparedImage, prepare_image

__all__ = ["prepared_once"]

_MOST_BYTES = 100_000_000  # a hundred photographs or so

_Key = tuple[str, str, str, int | None, int | None, int | None]
_Sent = tuple[bytes, str, Fit, tuple[Finding, ...]]

_lock = threading.Lock()
_kept: OrderedDict[_Key, _Sent] = OrderedDict()


def _begin_anew() -> None:
    """Give a forked child a lock and a memory of its own: a thread of the parent may hold both."""
    global _lock, _kept
    _lock, _kept = threading.Lock(), OrderedDict()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def prepared_once(
    image: SourceImage, model: Model, platform: Platform, side_limit: int | None = None
) -> PreparedImage:
    """Return what `prepare_image` does, at once if the same picture was prepared so before.

    Parameters
    ----------
    image, model, platform, side_limit
        As for `prepare_image`.

    Raises
    ------
    DamagedImage, LimitExceeded
        As `prepare_image`.

    Examples
    --------
    >>> from nbvision import samples
    >>> from nbvision.catalogue import find_model
    >>> from nbvision.images import open_image
    >>> from nbvision.platforms import find_platform
    >>> wanted = find_model("claude-haiku-4-5"), find_platform("anthropic")
    >>> first = prepared_once(open_image(samples.shapes), *wanted)
    >>> prepared_once(open_image(samples.shapes), *wanted).data is first.data
    True
    """
    limits = (platform.image_raw_limit, platform.image_base64_limit, side_limit)
    key = (image.sha256, image.format, model.tier.name, *limits)
    with _lock:
        found = _kept.get(key)
        if found is not None:
            _kept.move_to_end(key)
    if found is not None:
        data, media_type, fit, notes = found
        return PreparedImage(data, media_type, fit, Findings((*image.findings, *notes)), image)
    made = prepare_image(image, model, platform, side_limit=side_limit)
    _keep(key, (made.data, made.media_type, made.fit, made.findings[len(image.findings) :]))
    return made


def _keep(key: _Key, sent: _Sent) -> None:
    with _lock:
        _kept[key] = sent
        while sum(len(data) for data, *_ in _kept.values()) > _MOST_BYTES:
            _kept.popitem(last=False)
