"""The magics themselves: a line and a cell become one plain call, whose result they return."""

import builtins
import keyword
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from nbvision.backends import connect
from nbvision.backends.connection import BACKENDS
from nbvision.calls import ask, compare, describe, locate
from nbvision.errors import NbvisionError, RequestError
from nbvision.magics.completion import Completion
from nbvision.magics.cures import in_magics
from nbvision.magics.line import Line, Word, amount, read_line, whole_number
from nbvision.magics.options import (
    FLAGS,
    KEPT,
    OPTIONS,
    PAST,
    PLACE,
    SETTINGS,
    VALUES,
    options_of,
)
from nbvision.magics.pictures import pictures_of, value_of
from nbvision.magics.status import Settings, Status, status_of
from nbvision.markup import bundle, one_line
from nbvision.past_calls import history
from nbvision.spending import start_again

__all__ = ["load", "unload"]

_LINE_HELP = """
    pictures    a path, a pattern in quotes if it has spaces ("my photos/*.jpg"), an address,
                or a variable: photo, photos[:3], picker.images, nv.samples.shapes
                $photo is always the variable, "photo" always the file
    --model, --system, --max-tokens, --effort, --thinking summarized
                as in the function; for all magics of this kernel: %nbvision --model …
    --refresh   asks anew even if there is a stored answer; both are kept
    --sample N  which of several independent answers; each has a stored one of its own
    --budget X  how many US dollars this call may cost at worst
    --into NAME keeps the result under this name, and shows nothing, as an assignment does
"""
_HELP = {
    "describe": f"""Describe pictures: the cell holds the prompt, which may be left out.

    %describe photo.jpg

    %%describe photo.jpg --system "Answer in French."
    What is written on the sign?
{_LINE_HELP}""",
    "compare": f"""Compare pictures: the cell holds the prompt, which may be left out.

    %compare before.png after.png

    %%compare "shelf/*.png" --into difference
    What has been taken away?
{_LINE_HELP}""",
    "locate": f"""Find things in one picture: the cell says what.

    %%locate photo.jpg --into found
    every window

    %%locate photo.jpg --kind points
    the tip of every pencil
{_LINE_HELP}    --kind boxes, --kind points
                what is asked for; boxes where it is left out
""",
    "ask": f"""Ask anything about pictures: the cell holds the question.

    %%ask invoice.png --schema Invoice --into reply
    Read the number and the total.
{_LINE_HELP}    --schema NAME
                a variable: a JSON schema, or a pydantic model class; see reply.parsed
""",
    "nbvision": """Say who answers and what has been spent; set what the magics ask with.

    %nbvision                                     who answers, settings, spent so far
    %nbvision --model claude-haiku-4-5 --system "Be brief."
    %nbvision --system=                           takes a setting back
    %nbvision connect practice                    chooses who answers, as nv.connect does
    %nbvision connect anthropic --model claude-opus-5-5
    %nbvision connect bedrock --region us-east-1 --profile work
    %nbvision connect vertex --project-id my-project
    %nbvision connect --replies lesson.replies --offline
                                                  only stored replies answer; no key is needed
    %nbvision connect anthropic --budget 1.00     holds what calls may cost in all, over restarts
    %nbvision history                             what was asked before, as nv.history()
    %nbvision history red door --model claude-haiku-4-5 --since 2026-11-20 --limit 50
    %nbvision reset                               no settings, and the count begins at nothing

    --store and --no-store say whether answers are kept in your own store; otherwise all but
    practice answers are. Past calls are deleted by nv.forget(17), never by a magic.

    Whom it can connect, with what: Tab after "connect", and after a name and "--".
    A key or token never stands on a line: notebooks keep cells. Set ANTHROPIC_API_KEY, or the
    variable of another backend, before the kernel starts.
""",
}


@dataclass(frozen=True, slots=True)
class Help:
    """Words that show themselves as text."""

    words: str

    def __repr__(self) -> str:
        return self.words

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return bundle(self.words)


class Magics:
    """The magics of one shell, and their settings."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.settings = Settings()
        self.completion = Completion(shell)
        self.replaced: list[tuple[str, str, Any]] = []

    def describe(self, line: str, cell: str | None = None) -> Any:
        return self._run("describe", line, cell)

    def compare(self, line: str, cell: str | None = None) -> Any:
        return self._run("compare", line, cell)

    def locate(self, line: str, cell: str | None = None) -> Any:
        return self._run("locate", line, cell)

    def ask(self, line: str, cell: str | None = None) -> Any:
        return self._run("ask", line, cell)

    def nbvision(self, line: str) -> Any:
        if line.split()[:1] in (["--help"], ["-h"], ["help"]):
            return Help(_HELP["nbvision"])
        read = read_line(line, "%nbvision", OPTIONS["nbvision"])
        verb, *others = [word.text for word in read.words] or [""]
        if verb == "connect":
            return _connected(others, read.options)
        if verb == "history":
            return _history(others, read.options)
        if verb == "forget":
            # A cell is run again by Run All, and nothing brings back what was deleted.
            raise RequestError(
                "%nbvision forget", limit="never by a magic", cure="nv.forget(17), in Python"
            )
        if others or verb not in {"", "reset"}:
            raise RequestError(
                f"%nbvision {one_line(' '.join([verb, *others]))[:100]}",
                limit="connect, history, reset, help, or options",
                cure="%nbvision --help",
            )
        if verb == "reset":
            return self._reset(read.options)
        _refuse_places(read.options)
        self.settings = _settings(read.options, self.settings)
        return status_of(self.settings)

    def _reset(self, options: Mapping[str, str]) -> Status:
        if options:
            raise RequestError("reset with options", cure="%nbvision reset, then the options")
        self.settings = Settings()
        start_again()
        return status_of(self.settings)

    def _run(self, name: str, line: str, cell: str | None) -> Any:
        """Read line and cell whole before anything is sent; then ask, and keep or return it."""
        magic = f"%{name}" if cell is None else f"%%{name}"
        if line.split()[:1] in (["--help"], ["-h"]):
            return Help(_HELP[name])
        read = read_line(line, magic, OPTIONS[name])
        variables = self.shell.user_ns
        into = _name_for(read.options, variables)
        own = _own(name, read.options, variables) | _again(read.options)
        settings = _settings(read.options, self.settings)
        prompt = _prompt(name, cell, read)
        pictures = pictures_of(read.words, variables)
        if not pictures:
            raise RequestError(f"no picture after {magic}", cure=f"{magic} photo.jpg")
        result = _call(name, pictures, prompt, own)(
            model=settings.model,
            system=settings.system,
            max_tokens=settings.max_tokens,
            effort=settings.effort,
            thinking=settings.thinking,
        )
        if into is None:
            return result
        self.shell.push({into: result})
        return None


def load(shell: Any) -> None:
    """Add the magics, and their completions, to a shell."""
    from IPython.core.magic import no_var_expand

    unload(shell)
    magics = Magics(shell)
    for name in OPTIONS:
        kind = "line" if name == "nbvision" else "line_cell"
        for each in ("line", "cell") if kind == "line_cell" else ("line",):
            magics.replaced.append((each, name, _registered(shell, each).get(name)))
        function = _described(getattr(magics, name), _HELP[name])
        shell.register_magic_function(no_var_expand(function), kind, name)
    magics.completion.add()
    shell.input_transformers_cleanup.append(_alone)
    with _lock:
        _loaded[id(shell)] = magics


def unload(shell: Any) -> None:
    """Take the magics away again, and give back what had their names."""
    with _lock:
        magics = _loaded.pop(id(shell), None)
    if magics is None:
        return
    for kind, name, earlier in magics.replaced:
        if earlier is None:
            _registered(shell, kind).pop(name, None)
        else:
            _registered(shell, kind)[name] = earlier
    magics.completion.remove()
    shell.input_transformers_cleanup.remove(_alone)


_lock = threading.Lock()
_loaded: dict[int, Magics] = {}


def _registered(shell: Any, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = shell.magics_manager.magics[kind]
    return found


def _described(method: Callable[..., Any], words: str) -> Callable[..., Any]:
    """Return a function whose help is this, and whose errors advise what a line can say."""

    def magic(line: str, cell: str | None = None) -> Any:
        try:
            return method(line) if cell is None else method(line, cell)
        except NbvisionError as error:
            error.cure = in_magics(error)
            raise

    magic.__doc__ = words
    magic.__name__ = method.__name__
    return magic


def _alone(lines: list[str]) -> list[str]:
    """Read a cell magic without a cell as the line magic: IPython refuses it otherwise."""
    first, *others = lines or [""]
    names = tuple(f"%%{name}" for name in OPTIONS if name != "nbvision")
    is_alone = not any(line.strip() for line in others)
    return [first[1:]] if is_alone and first.split()[:1] in [[name] for name in names] else lines


def _connected(names: list[str], options: Mapping[str, str]) -> Any:
    if len(names) > 1:
        raise RequestError(
            f"%nbvision connect {one_line(' '.join(names))[:100]}",
            limit="one name",
            cure="%nbvision connect practice",
        )
    taken = options_of(names[0]) if names and names[0] in BACKENDS else PLACE
    if misplaced := sorted(options.keys() - set(PLACE)):
        raise RequestError(
            f"connect --{misplaced[0]}",
            limit=", ".join(f"--{name}" for name in taken),
            cure=f"%nbvision --{misplaced[0]} … in a line of its own",
        )
    given: dict[str, Any] = {
        name.replace("-", "_"): value for name, value in options.items() if name not in FLAGS
    }
    if "store" in options and "no-store" in options:
        raise RequestError("--store and --no-store", limit="one of them")
    given |= {"offline": True} if "offline" in options else {}
    given |= {"store": "store" in options} if options.keys() & {"store", "no-store"} else {}
    if "budget" in options:
        given["budget"] = amount("--budget", options["budget"])
    return connect(names[0] if names else None, **given)


def _history(words: list[str], options: Mapping[str, str]) -> Any:
    if misplaced := sorted(options.keys() - set(PAST)):
        raise RequestError(
            f"history --{misplaced[0]}",
            limit=", ".join(f"--{name}" for name in PAST),
            cure="%nbvision history red door --since 2026-11-20",
        )
    given: dict[str, Any] = dict(options)
    if "limit" in options:
        given["limit"] = whole_number("--limit", options["limit"])
    return history(" ".join(words), **given)


def _refuse_places(options: Mapping[str, str]) -> None:
    if past := sorted(options.keys() & set(PAST[1:])):
        raise RequestError(f"--{past[0]} without history", cure=f"%nbvision history --{past[0]} …")
    if kept := sorted(options.keys() & set(KEPT)):
        value = "" if kept[0] in FLAGS else " …"
        raise RequestError(
            f"--{kept[0]} without connect", cure=f"%nbvision connect --{kept[0]}{value}"
        )
    if places := sorted(options.keys() & set(PLACE[1:])):
        backend = next(name for name in BACKENDS if places[0] in options_of(name))
        raise RequestError(
            f"--{places[0]} without connect", cure=f"%nbvision connect {backend} --{places[0]} …"
        )


def _settings(options: Mapping[str, str], settings: Settings) -> Settings:
    """Return the settings with what a line says; an empty value takes one back."""
    for name in ("effort", "thinking"):
        if options.get(name):
            _require_value(name, options[name])
    given: dict[str, Any] = {
        name.replace("-", "_"): value or None for name, value in options.items() if name in SETTINGS
    }
    if given.get("max_tokens"):
        given["max_tokens"] = whole_number("--max-tokens", given["max_tokens"])
    return replace(settings, **given)


def _require_value(name: str, value: str) -> None:
    if value not in VALUES[name]:
        shown = one_line(value, empty="(nothing)")[:60]
        raise RequestError(f"--{name} {shown}", limit=", ".join(VALUES[name]))


def _own(name: str, options: Mapping[str, str], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that only this magic's function takes."""
    if "kind" in options:
        _require_value("kind", options["kind"])
        return {"kind": options["kind"]}
    return {"schema": _schema(options, variables)} if name == "ask" else {}


def _again(options: Mapping[str, str]) -> dict[str, Any]:
    """Return what the line says of stored answers and of money."""
    given: dict[str, Any] = {"refresh": True} if "refresh" in options else {}
    if "sample" in options:
        given["sample"] = whole_number("--sample", options["sample"], least=0)
    if "budget" in options:
        given["budget"] = amount("--budget", options["budget"])
    return given


def _name_for(options: Mapping[str, str], variables: Mapping[str, Any]) -> str | None:
    """Return the name to keep the result under; refuse what no assignment would take."""
    name = options.get("into")
    if name is None:
        return None
    if not name.isidentifier() or keyword.iskeyword(name):
        raise RequestError(
            f"--into {one_line(name)[:60]}", limit="a name of Python's", cure="--into found"
        )
    if hasattr(builtins, name):
        raise RequestError(
            f"--into {name}, which is Python's own {name}", cure=f"--into my_{name.strip('_')}"
        )
    if isinstance(variables.get(name), ModuleType):
        raise RequestError(f"--into {name}, which is a module here", cure="--into found")
    return name


def _schema(options: Mapping[str, str], variables: Mapping[str, Any]) -> Any:
    name = options.get("schema")
    if name is None:
        return None
    schema = value_of(name, variables)
    if not isinstance(schema, Mapping | type):
        raise RequestError(
            f"{name} is a {type(schema).__name__}",
            limit="a JSON schema as a dict, or a pydantic model class",
        )
    return schema


def _prompt(name: str, cell: str | None, read: Line) -> str | None:
    """Return the cell without the line breaks around it; it is changed in no other way."""
    words = (cell or "").strip("\r\n")
    if words.strip():
        return words
    if name in {"describe", "compare"}:
        return None
    line = " ".join(_spelled(word) for word in read.words)
    raise RequestError(
        "nothing to locate" if name == "locate" else "nothing is asked",
        cure=f"say it in the lines below: %%{name} {line or 'photo.jpg'}",
    )


def _spelled(word: Word) -> str:
    return word.text if word.quoted_at is None else f'"{word.text}"'


def _call(
    name: str, pictures: list[Any], prompt: str | None, own: Mapping[str, Any]
) -> Callable[..., Any]:
    images = pictures[0] if len(pictures) == 1 else pictures
    if name == "describe":
        return lambda **how: describe(images, prompt, **own, **how)
    if name == "compare":
        return lambda **how: compare(pictures, prompt, **own, **how)
    if name == "locate":
        return lambda **how: locate(images, prompt or "", **own, **how)
    return lambda **how: ask(images, prompt or "", **own, **how)
