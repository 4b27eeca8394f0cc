"""``nbvision demo | practice | replies | history | forget``: the command line."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nbvision.errors import NbvisionError, RequestError

if TYPE_CHECKING:
    from nbvision.packing import Packed

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0, or 1 with the error's value, limit and cure on stderr."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except NbvisionError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    from nbvision import __version__

    parser = argparse.ArgumentParser(
        prog="nbvision", description="See what Claude sees: vision prompting in Jupyter."
    )
    parser.add_argument("--version", action="version", version=f"nbvision {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    demo = commands.add_parser("demo", help="the main job on a real photograph, without a key")
    demo.add_argument("--output", type=Path, default=Path("demo_output"), metavar="FOLDER")
    demo.set_defaults(run=_demo)
    practice = commands.add_parser("practice", help="run the practice server for other clients")
    practice.add_argument("--port", type=int, default=0, help="0 takes a free one")
    practice.set_defaults(run=_practice)
    _add_replies(commands.add_parser("replies", help="stored replies beside a notebook"))
    history = commands.add_parser("history", help="show what was asked before")
    history.add_argument("words", nargs="*", help="of the prompt or the answer")
    history.add_argument("--model", default="", metavar="ID")
    history.add_argument("--since", metavar="DAY", help="such as 2026-11-01")
    history.add_argument("--limit", type=int, default=20)
    history.set_defaults(run=_history)
    forget = commands.add_parser("forget", help="delete past calls from this person's store")
    forget.add_argument("numbers", type=int, nargs="*", help="as nv.history() shows them")
    forget.add_argument("--before", metavar="DAY", help="such as 2026-11-01")
    forget.add_argument("--everything", action="store_true")
    forget.add_argument("--yes", action="store_true", help="do not ask whether it is meant")
    forget.set_defaults(run=_forget)
    return parser


def _add_replies(replies: argparse.ArgumentParser) -> None:
    actions = replies.add_subparsers(required=True, metavar="action")
    check = actions.add_parser("check", help="are all files of a folder whole?")
    check.add_argument("folder", type=Path)
    check.add_argument(
        "notebook",
        type=Path,
        nargs="?",
        help="run it, asking no service, and say which cells lack a reply",
    )
    check.set_defaults(run=_replies)
    packing = actions.add_parser(
        "pack", help="run a notebook, asking no service, and put the replies it needs beside it"
    )
    packing.add_argument("notebook", type=Path)
    packing.add_argument("folder", type=Path, nargs="?", help="lesson.replies for lesson.ipynb")
    packing.add_argument("--prune", action="store_true", help="delete replies that no cell uses")
    packing.set_defaults(run=_pack)


def _demo(options: argparse.Namespace) -> None:
    from nbvision.demo import run_demo

    page = run_demo(options.output)
    print(f"Look at {page}")
    print("Next: make lab, then open notebooks/01_first_look.ipynb")


def _replies(options: argparse.Namespace) -> None:
    from nbvision.replies_folder import RepliesFolder

    folder = RepliesFolder(options.folder)
    count, problems = len(list(folder.files())), folder.problems()
    if problems or not count:
        raise RequestError(
            "\n".join(problems) or f"no stored replies in {folder.path.name}",
            limit=f"{count - len(problems)} of {count} are whole",
            cure="ask again with a connection and replies= the same folder",
        )
    print(f"{count} stored repl{'y' if count == 1 else 'ies'}, all whole")
    if options.notebook is not None:
        from nbvision.packing import packed_before

        _say(packed_before(options.notebook, options.folder))


def _pack(options: argparse.Namespace) -> None:
    from nbvision.packing import pack, told_of

    packed = pack(
        options.notebook,
        options.folder,
        prune=options.prune,
        on_cell=lambda cell: print(told_of(cell), flush=True),
    )
    _say(packed)


def _say(packed: "Packed") -> None:
    print(packed)
    if not packed.is_complete:
        raise RequestError(
            f"{packed.notebook.name} does not run from {packed.folder.name} alone",
            cure="run the cells that are named with a connection, and pack again",
        )


def _history(options: argparse.Namespace) -> None:
    from nbvision.past_calls import history
    from nbvision.past_shown import calls_in_words

    words = " ".join(options.words)
    found = history(words, model=options.model, since=options.since, limit=options.limit)
    print(calls_in_words([one.call for one in found], options.limit))


def _forget(options: argparse.Namespace) -> None:
    from nbvision.past_calls import forget, to_forget

    which = {"before": options.before, "everything": options.everything}
    found = to_forget(*options.numbers, **which)
    # Numbers were read somewhere; a day, or everything, may be more than one thinks.
    if found and not options.yes and (options.before or options.everything):
        _require_meant(f"{_calls(found)} would be deleted for good")
    print(f"{_calls(forget(*options.numbers, **which))} forgotten")


def _require_meant(what: str) -> None:
    """Ask a person at a terminal; refuse where there is none."""
    if not sys.stdin.isatty():
        raise RequestError(what, limit="nobody is here to ask", cure="--yes")
    print(f"{what}. Is it meant? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().casefold() not in {"y", "yes"}:
        raise RequestError("nothing was deleted", cure="answer y, or give --yes")


def _calls(count: int) -> str:
    return f"{count:,} call{'' if count == 1 else 's'}"


def _practice(options: argparse.Namespace) -> None:
    from nbvision.practice import serve_forever

    serve_forever(port=options.port)
