"""What each magic takes on its line: its options, and the values that some of them have."""

from collections.abc import Mapping
from typing import get_args

from nbvision.backends.connection import BACKENDS, SECRETS
from nbvision.prompts import Kind
from nbvision.request import Thinking

__all__ = ["AGAIN", "FLAGS", "KEPT", "OPTIONS", "PAST", "PLACE", "SETTINGS", "VALUES", "options_of"]

# A pace is for demonstrations, and nothing a line of settings needs.
_NOT_ON_A_LINE = SECRETS | {"words_per_second"}
SETTINGS = ("model", "system", "max-tokens", "effort", "thinking")
AGAIN = ("refresh", "sample", "budget")
"""What one call says of stored answers and of money."""
KEPT = ("replies", "offline", "budget", "store", "no-store")
"""What ``%nbvision connect`` takes for every backend, beside its place."""
PAST = ("model", "since", "limit")
"""What narrows ``%nbvision history``."""
FLAGS = frozenset({"refresh", "offline", "store", "no-store"})
"""Options that stand alone, without a value."""


def options_of(backend: str) -> tuple[str, ...]:
    """Return what ``%nbvision connect`` takes for a backend; keys and tokens stay out of cells.

    Examples
    --------
    >>> options_of("vertex")[:5]
    ('model', 'base-url', 'project-id', 'region', 'replies')
    """
    taken = sorted(BACKENDS[backend] - _NOT_ON_A_LINE)
    return ("model", *(name.replace("_", "-") for name in taken), *KEPT)


PLACE = tuple(dict.fromkeys(option for backend in BACKENDS for option in options_of(backend)))
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "describe": (*SETTINGS, *AGAIN, "into"),
    "compare": (*SETTINGS, *AGAIN, "into"),
    "locate": (*SETTINGS, "kind", *AGAIN, "into"),
    "ask": (*SETTINGS, *AGAIN, "into", "schema"),
    "nbvision": (*SETTINGS, *PLACE[1:], *PAST[1:]),
}
VALUES: Mapping[str, tuple[str, ...]] = {
    "effort": ("low", "medium", "high", "xhigh", "max"),
    "kind": get_args(Kind),
    "thinking": get_args(Thinking),
    "platform": ("anthropic", "compatible"),
}
