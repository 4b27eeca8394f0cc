"""Whether what a form stands for was answered before; looked up before the click."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from nbvision.backends import Backend
from nbvision.catalogue import Model
from nbvision.errors import NbvisionError
from nbvision.images import SourceImage
from nbvision.kept_answers import kept_since
from nbvision.platforms import Platform
from nbvision.prepared import PreparedImage, side_limit_of
from nbvision.prompts import BOXES_SCHEMA
from nbvision.referenced import SentImage
from nbvision.request import Request, build_request, takes_schema

__all__ = ["Form", "StoredLook"]

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """What a form stands for.

    Attributes
    ----------
    images, words, system
        What would be sent.
    task
        What for.
    asked, model, platform, effort, max_tokens, backend
        Who would be asked, and how; no backend if nobody is connected.
    """

    images: tuple[SourceImage, ...]
    words: str
    system: str | None
    task: str
    asked: str
    model: Model
    platform: Platform
    effort: str | None
    max_tokens: int | None
    backend: Backend | None

    @property
    def key(self) -> Key:
        """Equal for two forms that stand for the same."""
        how = (self.asked, self.platform.name, self.effort, self.max_tokens, id(self.backend))
        return (tuple(map(id, self.images)), self.words, self.system, self.task, *how)


class StoredLook:
    """Finds stored answers in the background, for the newest form.

    Only with pictures that are prepared already: a look must not cost what asking does. All
    but the looking itself happens under the panel's lock.

    Parameters
    ----------
    run
        Runs an action in a thread of its own; of several, the newest.
    take
        Is given what was found: the form's key, and when its answer was asked for.
    """

    def __init__(
        self,
        run: Callable[[Callable[[], object]], object],
        take: Callable[[Key, datetime | None], object],
    ) -> None:
        self._run, self._take = run, take
        self._frames: dict[tuple[int, str, str, int | None], PreparedImage] = {}
        self._found: tuple[Key, datetime | None] | None = None

    def learn(self, frames: Iterable[SentImage], platform: Platform, count: int) -> None:
        """Keep pictures as they were prepared for a place, among so many, and look again."""
        limit = side_limit_of(count)
        for frame in frames:
            if isinstance(frame, PreparedImage):
                key = (id(frame.source), frame.fit.tier.name, platform.name, limit)
                self._frames[key] = frame
        self._found = None

    def keep_only(self, images: Iterable[SourceImage]) -> None:
        """Let go of the frames of all other pictures."""
        kept = {id(image) for image in images}
        self._frames = {key: frame for key, frame in self._frames.items() if key[0] in kept}

    def since(self, form: Form) -> datetime | None:
        """Return when the form's stored answer was asked for, as far as that is known by now."""
        if self._found is None or self._found[0] != form.key:
            self._found = (form.key, None)
            frames = self._frames_of(form)
            if frames is not None and form.backend is not None:
                self._run(lambda: self._take(form.key, _since(form, frames)))
        return self._found[1]

    def is_news(self, key: Key, moment: datetime | None) -> bool:
        """Take what was found; return whether it says something of the form on show."""
        if self._found is None or self._found != (key, None):
            return False
        self._found = (key, moment)
        return moment is not None

    def _frames_of(self, form: Form) -> list[PreparedImage] | None:
        place = (form.model.tier.name, form.platform.name, side_limit_of(len(form.images)))
        frames = [self._frames.get((id(image), *place)) for image in form.images]
        known = [frame for frame in frames if frame is not None]
        return known if known and len(known) == len(frames) else None


def _since(form: Form, frames: list[PreparedImage]) -> datetime | None:
    backend = form.backend
    if backend is None:
        return None
    try:
        request = _request(form, frames)
        return kept_since(request, backend.keeping, address=backend.address)
    except NbvisionError:
        return None  # asking says what is wrong, where it can be seen


def _request(form: Form, frames: list[PreparedImage]) -> Request:
    is_sent = form.task == "locate" and takes_schema(form.model, form.platform)
    return build_request(
        frames,
        form.words,
        model_id=form.asked,
        model=form.model,
        platform=form.platform,
        system=form.system,
        max_tokens=form.max_tokens,
        effort=form.effort,
        schema=BOXES_SCHEMA if is_sent else None,
    )
