"""Who answers in this kernel: chosen once by `connect`, said why, changed by one line."""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nbvision.backends.anthropic_api import AnthropicBackend
from nbvision.backends.first_party import anthropic_door
from nbvision.backends.offline import is_practice, offline_backend, origin_of, stands_for
from nbvision.backends.protocol import Backend
from nbvision.backends.tokens import Token
from nbvision.budget import Budget
from nbvision.catalogue import DEFAULT_PRACTICE_MODEL
from nbvision.errors import NotConnected
from nbvision.replies_folder import RepliesFolder, Surroundings

__all__ = ["BACKENDS", "SECRETS", "connect", "connected", "current"]

_SIGNED = frozenset({"region", "profile", "api_key"})
# Who can answer, and what each takes besides a model.
BACKENDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "anthropic": frozenset({"base_url", "api_key", "platform"}),
        "bedrock": _SIGNED | {"endpoint_url"},
        "bedrock-converse": _SIGNED | {"endpoint_url"},
        "bedrock-messages": _SIGNED | {"base_url"},
        "bedrock-mantle": _SIGNED | {"base_url"},
        "vertex": frozenset({"region", "project_id", "access_token", "base_url"}),
        "google-cloud": frozenset(
            {"region", "project_id", "workspace_id", "access_token", "base_url"}
        ),
        "foundry": frozenset({"resource", "api_key", "access_token", "base_url"}),
        "aws": _SIGNED | {"workspace_id", "base_url"},
        "practice": frozenset({"words_per_second"}),
    }
)
# What must not be kept where a line of code is kept.
SECRETS = frozenset({"api_key", "access_token"})
_NAMES = tuple(BACKENDS)
# Where each is made; the module, and the packages it needs, are read when it is asked for.
_MADE_BY = {
    "anthropic": ("first_party", "anthropic_door"),
    "bedrock": ("bedrock", "BedrockBackend"),
    "bedrock-converse": ("converse", "ConverseBackend"),
    "bedrock-messages": ("aws_doors", "bedrock_messages_door"),
    "bedrock-mantle": ("aws_doors", "mantle_door"),
    "vertex": ("google", "vertex_door"),
    "google-cloud": ("google", "google_cloud_door"),
    "foundry": ("foundry", "foundry_door"),
    "aws": ("aws_doors", "aws_door"),
}
# What people call them; the value is what is typed instead.
_ALSO_CALLED = {
    "amazon": "'bedrock'",
    "azure": "'foundry'",
    "converse": "'bedrock-converse'",
    "gcp": "'vertex'",
    "google": "'vertex'",
    "litellm": "'anthropic', base_url='http://localhost:4000'",
    "mantle": "'bedrock-mantle'",
    "microsoft": "'foundry'",
    "ollama": "'anthropic', base_url='http://localhost:11434'",
}
_WORDS_PER_SECOND = 80.0
_NOT_A_MODEL = "it measures pixels and is not a language model"
_MOST_NAMED = 3

_lock = threading.Lock()
_starting = threading.Lock()  # a server takes its time, and asking who is connected must not
_chosen: Backend | None = None
# One server for each process and pace; a forked child starts its own.
_servers: dict[tuple[int, float | None], tuple[str, str]] = {}


def connect(
    name: str | None = None,
    *,
    model: str | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    platform: str | None = None,
    region: str | None = None,
    profile: str | None = None,
    endpoint_url: str | None = None,
    project_id: str | None = None,
    workspace_id: str | None = None,
    resource: str | None = None,
    access_token: Token | None = None,
    words_per_second: float | None = _WORDS_PER_SECOND,
    replies: str | Path | RepliesFolder | None = None,
    offline: bool = False,
    budget: float | Budget | None = None,
    store: bool | None = None,
) -> Backend:
    """Choose who answers the calls that follow in this kernel, and return it.

    Nothing is sent. Without a name, a key in ``ANTHROPIC_API_KEY`` chooses the Anthropic API,
    one in ``AWS_BEARER_TOKEN_BEDROCK`` Amazon Bedrock, and no key the practice server.

    Parameters
    ----------
    name
        ``"anthropic"`` (also any server that speaks its Messages API), ``"bedrock"``,
        ``"bedrock-converse"``, ``"bedrock-messages"``, ``"bedrock-mantle"``, ``"vertex"``,
        ``"google-cloud"``, ``"foundry"``, ``"aws"`` or ``"practice"``.
    model
        A model id as the backend spells it; asked when a call names none.
    base_url, endpoint_url
        Another address; the latter for what goes through boto3.
    api_key
        Otherwise the environment's; a server on this machine needs none.
    platform
        For ``anthropic`` with ``base_url``: ``"anthropic"`` if that server can do all that
        the Anthropic API can; otherwise it is asked for little (``"compatible"``).
    region, profile
        As boto3 knows them; ``region`` also as Google does.
    project_id, workspace_id, resource
        For Google Cloud, for Anthropic's platform on Google Cloud and AWS, for Foundry.
    access_token
        For Google Cloud and Foundry: a token, or a function that returns one.
    words_per_second
        For ``practice``: how fast it writes; None for at once.
    replies
        A folder beside the notebook, where answers are stored and found again.
    offline
        Only answer from there, and ask no service: no key is needed, and what is left out here is
        as the folder knows it. ``NBVISION_OFFLINE`` in the environment says offline too, and
        names a folder that answers as well.
    budget
        How many US dollars calls may cost in all; kept over restarts, for each notebook. One
        with a name, ``nv.Budget.of(1.00, "lesson")``, is shared by all that name it.
    store
        Whether answers are also kept in this person's own store; by default all but practice
        answers are.

    Raises
    ------
    NotConnected
        If there is no key, region or such a backend, or an argument is another's.
    ModelNotFound
        If the model id is in another backend's spelling.
    RequestError
        If ``replies`` is no folder, or ``budget`` no amount of money.

    Examples
    --------
    >>> connect("practice").model
    'practice-high'
    """
    around = Surroundings.of(os.environ)
    folder = around.folder_for(replies, offline=offline)
    offline = offline or around.folder is not None
    given: dict[str, Any] = {"base_url": base_url, "api_key": api_key, "platform": platform}
    given |= {"region": region, "profile": profile, "endpoint_url": endpoint_url}
    given |= {"project_id": project_id, "workspace_id": workspace_id, "resource": resource}
    given["access_token"] = access_token
    given = {key: value for key, value in given.items() if value is not None}
    # None is a pace of its own, so only the default says that none was given.
    paced = {"words_per_second"} if words_per_second != _WORDS_PER_SECOND else set()
    _check_text(given | ({} if model is None else {"model": model}))
    chosen, why = (name, "") if name is not None else _choose(os.environ)
    # Who packs has the key, and asked through what is set here.
    is_own = not offline or (around.is_packing and (name is not None or chosen != "practice"))
    known = None if folder is None or is_own else stands_for(folder.origins(), name, model, given)
    if known is not None and name is None:
        chosen, why = known.backend, "the folder of replies says who gave them"
    _check(chosen, given.keys() | paced, why)
    # Practice is inside this process and costs nothing: a folder is filled with what it says.
    offline = offline and not (around.is_packing and (chosen == "practice" or is_practice(given)))
    if offline:
        connect_here = _practice_here(chosen, model, given, words_per_second)
        backend: Backend = offline_backend(chosen, model, given, known, connect_here)
        backend.why = f"{backend.why}; {why}" if why else backend.why
    elif chosen == "practice":
        backend = _practice(model, words_per_second, why)
    else:
        backend = _made(chosen, model, given)
        backend.why = f"{backend.why}; {why}" if why else backend.why
    if folder is not None:
        folder = folder.asked_through(origin_of(backend, name, model, given), around.report)
    backend.keeping = replace(
        backend.keeping,
        replies=folder,
        is_offline=offline,
        is_packing=around.is_packing,
        budget=budget if isinstance(budget, Budget | None) else Budget.of(budget),
        in_store=backend.keeping.in_store if store is None else store,
    )
    global _chosen  # noqa: PLW0603 - the one piece of state: who was connected last
    with _lock:
        _chosen = backend
    return backend


def connected() -> Backend | None:
    """Return whom `connect` chose last, or None; never connects."""
    with _lock:
        return _chosen


def current(backend: Backend | None = None) -> Backend:
    """Return the given backend, else the connected one; connect if there is none.

    Raises
    ------
    NotConnected
        As `connect`; also if what is given is no backend.
    """
    if backend is not None and not hasattr(backend, "stream"):
        raise NotConnected(
            f"backend={backend!r}"[:200],
            limit="what nv.connect returns",
            cure='backend=nv.connect("practice"), say',
        )
    return backend or connected() or connect()


def _choose(environment: Mapping[str, str]) -> tuple[str, str]:
    for key in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        if environment.get(key):
            return "anthropic", f"chosen because {key} is set"
    if environment.get("AWS_BEARER_TOKEN_BEDROCK"):
        return "bedrock", "chosen because AWS_BEARER_TOKEN_BEDROCK is set"
    # AWS credentials lie on many machines for other purposes; nobody's pictures and money go
    # out because of them unless Bedrock is asked for by name.
    has_aws = environment.get("AWS_PROFILE") or environment.get("AWS_ACCESS_KEY_ID")
    aws = "AWS credentials are used only when asked for: " if has_aws else ""
    return "practice", (
        f"chosen because no key is set; {_NOT_A_MODEL}. "
        f'For a model: {aws}nv.connect("bedrock"), or set ANTHROPIC_API_KEY'
    )


def _check(name: str, given: set[str], why: str) -> None:
    if name not in BACKENDS:
        guess = str(name).casefold().replace("_", "-")[:40]
        near = get_close_matches(guess, _ALSO_CALLED.keys() | BACKENDS.keys(), 1) or ["anthropic"]
        cure = f"nv.connect({_ALSO_CALLED.get(near[0], repr(near[0]))})".replace("'", '"')
        if "claude" in guess:
            who = "bedrock" if "anthropic." in guess else "anthropic"
            cure = f'a model is asked for with model=: nv.connect("{who}", model=…)'
        raise NotConnected(f"no backend {name!r}"[:200], limit=", ".join(_NAMES), cure=cure)
    if misplaced := sorted(given - BACKENDS[name]):
        fitting = [other for other in _NAMES if given <= BACKENDS[other]][:_MOST_NAMED]
        named = " or ".join(f'nv.connect("{other}", {misplaced[0]}=…)' for other in fitting)
        raise NotConnected(
            f"{misplaced[0]}= means nothing to {name}"
            + (f", {why.partition(';')[0]}" if why else ""),
            limit=f"{name} takes model, {', '.join(sorted(BACKENDS[name]))}",
            cure=named or "leave out what belongs to another backend",
        )


def _check_text(given: Mapping[str, object]) -> None:
    for name, value in given.items():
        if not isinstance(value, str) and name != "access_token":
            raise NotConnected(f"{name}= is of type {type(value).__name__}", limit="text")


def _made(name: str, model: str | None, given: dict[str, Any]) -> Backend:
    module, maker = _MADE_BY[name]
    make = getattr(import_module(f"nbvision.backends.{module}"), maker)
    if not maker.endswith("_door"):
        backend: Backend = make(model=model, **given)
        return backend
    return AnthropicBackend(make(**given), model=model)


def _practice_here(
    name: str, model: str | None, given: dict[str, Any], words_per_second: float | None
) -> Callable[[], Backend] | None:
    """Return what connects to a practice server of this process; None for other places."""
    if name == "practice":
        return lambda: _practice(model, words_per_second, "")
    return (lambda: _made(name, model, given)) if is_practice(given) else None


def _practice(model: str | None, words_per_second: float | None, why: str) -> Backend:
    url, token = _practice_server(words_per_second)
    return AnthropicBackend(
        anthropic_door(name="practice", base_url=url, api_key=token),
        model=model or DEFAULT_PRACTICE_MODEL,
        why=why or f"a server inside this kernel, no key needed; {_NOT_A_MODEL}",
    )


def _practice_server(words_per_second: float | None) -> tuple[str, str]:
    from nbvision.practice import PracticeServer

    with _starting:
        place = (os.getpid(), words_per_second)
        if place not in _servers:
            server = PracticeServer(words_per_second=words_per_second).start()
            _servers[place] = (server.url, server.token)
        return _servers[place]
