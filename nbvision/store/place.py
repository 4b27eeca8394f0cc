"""Where the store lies: a private folder of this person's, and what kind of disk it is on."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from nbvision.errors import StoreFailed

__all__ = ["NETWORK", "alone", "data_folder", "disk_kind", "private_folder"]

NETWORK = frozenset(
    {
        *("9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs"),
        *("nfs4", "panfs", "smb2", "smb3", "smbfs", "virtiofs", "wekafs"),
        *("fuse.ceph-fuse", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "fuse.gcsfuse"),
        *("fuse.goofys", "fuse.rclone", "fuse.mount-s3", "fuse.vmhgfs-fuse"),
    }
)
"""Disks that several machines may share: SQLite's shared memory does not reach across them."""

_MOUNTS = Path("/proc/self/mountinfo")
_OTHERS_MAY_WRITE = 0o022


def data_folder(environment: Mapping[str, str]) -> Path:
    """Return where data of this person's is kept: ``NBVISION_DATA``, else as the system says."""
    if chosen := environment.get("NBVISION_DATA"):
        return _placed(chosen)
    from platformdirs import user_data_path

    return user_data_path("nbvision", appauthor=False)


@cache
def _placed(chosen: str) -> Path:
    """Return a path in full, once: a notebook that changes its folder keeps its record."""
    path = Path(chosen)
    with suppress(RuntimeError):  # there is no home: then it is a name like others
        path = path.expanduser()
    return path.absolute()


def private_folder(folder: Path) -> Path:
    """Make a folder that only this person can enter, or take one that only they can change.

    Raises
    ------
    StoreFailed
        If it cannot be made, is another person's, or others may write there.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise StoreFailed(
            f"no folder {folder.name} can be made for the record of calls: {error.strerror}",
            cure="set NBVISION_DATA to a folder that may be written, or to off",
        ) from None
    if sys.platform == "win32":
        return folder  # a user's folder is private there by its access list
    if found.st_uid != os.geteuid():
        raise StoreFailed(
            "the folder for the record of calls belongs to another user",
            cure="set NBVISION_DATA to a folder of your own, or to off",
        )
    if found.st_mode & _OTHERS_MAY_WRITE:
        raise StoreFailed(
            "others may write in the folder for the record of calls",
            cure="chmod 700 it, or set NBVISION_DATA to another folder, or to off",
        )
    return folder


def disk_kind(folder: Path) -> str:
    """Return the name of the file system that a folder is on; empty if nobody says.

    Only Linux says it in a file; elsewhere a home on the network is not recognised.
    """
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
        path = str(folder.resolve())
    except OSError:
        return ""
    best = ("", "")
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split(maxsplit=1)[:1]
        if len(fields) > 4 and kind:  # noqa: PLR2004 - the mount point is the fifth field
            point = fields[4].replace("\\040", " ")
            inside = path == point or path.startswith(point.rstrip("/") + "/")
            # Of mounts on one point the last is seen.
            if inside and len(point) >= len(best[0]):
                best = (point, kind[0])
    return best[1]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Make or move the file in here only: other kernels wait, where the disk has locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    number = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with suppress(OSError):
            fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)
