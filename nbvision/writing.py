"""Files of a person's own, written whole or not at all."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

__all__ = ["put_in_place"]

_PRIVATE, _SHARED = 0o600, 0o666


def put_in_place(data: bytes, path: Path, *, is_private: bool = True) -> None:
    """Write a file beside its place and move it there: nobody sees half of it.

    It holds pictures and words of a person, so that a new file is theirs alone; one that is
    replaced keeps its rights, and a link stays one.

    Parameters
    ----------
    data, path
        What is written, and where.
    is_private
        False for a file that is meant for others: it gets the rights that new files get here.

    Raises
    ------
    OSError
        If it cannot be written; what stood there before stays.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "chat.json"
    ...     put_in_place(b"{}", path)
    ...     path.read_bytes(), oct(path.stat().st_mode & 0o777)
    (b'{}', '0o600')
    """
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".nbvision-{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(beside, flags, _PRIVATE if is_private else _SHARED)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with suppress(OSError):
            beside.chmod(target.stat().st_mode & 0o777)
        beside.replace(target)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
