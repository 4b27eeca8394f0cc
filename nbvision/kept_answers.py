"""Whether a request was answered before: looked up, and nothing else done."""

from datetime import datetime

from nbvision.fingerprint import Fingerprint
from nbvision.intents import intent_of
from nbvision.keeping import Keeping
from nbvision.request import Request

__all__ = ["kept_since"]


def kept_since(
    request: Request, keeping: Keeping, *, address: str = "", sample: int = 0
) -> datetime | None:
    """Return when the answer that would be given was asked for, in UTC; None if there is none.

    Nothing is sent, written or read of the answer.

    Parameters
    ----------
    request
        What would be sent.
    keeping
        What is kept, and where.
    address
        Where it would be sent, if that is not the service's own address.
    sample
        Which of several independent answers.

    Raises
    ------
    StoreFailed
        If the store cannot be read.

    Examples
    --------
    >>> from nbvision.inspection import build_request
    >>> from nbvision.samples import page
    >>> request = build_request(page, "What is this?", model="claude-haiku-4-5")
    >>> kept_since(request, Keeping(in_store=False)) is None
    True
    """
    names = Fingerprint(request, address)
    if not (keeping.is_on and names.is_known):
        return None
    if keeping.replies is not None:
        reply = keeping.replies.read(intent_of(request, names, "", sample))
        if reply is not None:
            return reply.asked_at
    store = keeping.store
    if store is None or keeping.is_offline:
        return None
    kept = store.find(names.exact, sample=sample) or store.find("", names.name, sample=sample)
    return None if kept is None else kept.asked_at
