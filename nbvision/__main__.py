"""``python -m nbvision``: the command line."""

from nbvision.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
