"""``nbvision demo | practice``: the command line."""

import argparse
import sys
from pathlib import Path

from nbvision.errors import NbvisionError

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
    return parser


def _demo(options: argparse.Namespace) -> None:
    from nbvision.demo import run_demo

    page = run_demo(options.output)
    print(f"Look at {page}")
    print("Next: make lab, then open notebooks/01_first_look.ipynb")


def _practice(options: argparse.Namespace) -> None:
    from nbvision.practice import serve_forever

    serve_forever(port=options.port)
