"""Which kind of file system a path or an open file is on, read from the mount table."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

MOUNTINFO: Final = "/proc/self/mountinfo"
FDINFO: Final = "/proc/self/fdinfo"


class FilesystemKind(StrEnum):
    """Kinds of file systems, as far as locks, appends and change notifications are concerned."""

    LOCAL = "local"
    NETWORK = "network"
    OVERLAY = "overlay"
    OTHER = "other"


_TYPES: Final = {
    FilesystemKind.LOCAL: (
        "ext2 ext3 ext4 xfs btrfs zfs f2fs bcachefs jfs reiserfs tmpfs ramfs vfat exfat ntfs3 nilfs2 ubifs"
    ),
    FilesystemKind.NETWORK: (
        "nfs nfs4 cifs smb3 smbfs 9p virtiofs ceph afs lustre glusterfs gpfs beegfs ocfs2 gfs2 orangefs"
    ),
    FilesystemKind.OVERLAY: "overlay aufs",
}
_KIND_OF: Final = {name: kind for kind, names in _TYPES.items() for name in names.split()}


class Mount(NamedTuple):
    """One line of the mount table.

    Attributes:
        id: The kernel's number for the mount.
        point: Where it is mounted.
        type: The kernel's name for the file system, with a subtype after a dot (`fuse.sshfs`).
    """

    id: int
    point: str
    type: str

    @property
    def kind(self) -> FilesystemKind:
        """The kind of file system. FUSE counts as network, because its backend is unknown."""
        if self.type.startswith("fuse") and self.type != "fusectl":
            return FilesystemKind.NETWORK
        return _KIND_OF.get(self.type, FilesystemKind.OTHER)


def of_path(path: str, *, mountinfo: str = MOUNTINFO) -> Mount | None:
    """The mount that contains a path, links resolved; None where the kernel does not say.

    The path itself need not exist: its nearest existing parent then decides.
    """
    real = os.path.realpath(path)
    above = [mount for mount in _mounts(mountinfo) if _holds(mount.point, real)]
    # If several mounts have the same point, the last one covers the others: max() would keep the first.
    return max(reversed(above), key=lambda mount: len(mount.point), default=None)


def of_descriptor(descriptor: int, *, mountinfo: str = MOUNTINFO, fdinfo: str = FDINFO) -> Mount | None:
    """The mount that contains an open file, even if it was renamed or removed; None where the kernel does not say."""
    number = re.search(r"^mnt_id:\s*(\d+)$", _read(f"{fdinfo}/{descriptor}"), re.MULTILINE)
    if number is None:
        return None
    return next((mount for mount in _mounts(mountinfo) if mount.id == int(number[1])), None)


def is_network(mount: Mount | None) -> bool:
    """Whether locks and appends may work differently there than on a local disk."""
    return mount is not None and mount.kind is FilesystemKind.NETWORK


def reports_changes(mount: Mount | None) -> bool:
    """Whether inotify is reliable there; if the file system is unknown, it is not."""
    return mount is not None and mount.kind is FilesystemKind.LOCAL


def parse_mountinfo(text: str) -> list[Mount]:
    r"""The mounts in the order of the table (proc_pid_mountinfo(5)); lines that cannot be parsed are left out.

    >>> parse_mountinfo("36 35 98:0 / /mnt/a\\040b rw - nfs4 host:/x rw\n")
    [Mount(id=36, point='/mnt/a b', type='nfs4')]
    """
    return [mount for line in text.splitlines() if (mount := _mount(line)) is not None]


def _mount(line: str) -> Mount | None:
    left, separator, right = line.partition(" - ")
    fields, types = left.split(" "), right.split(" ")
    if not separator or len(fields) < 6 or not fields[0].isdecimal():
        return None
    return Mount(int(fields[0]), _unescaped(fields[4]), types[0])


def _unescaped(field: str) -> str:
    """The field decoded: the kernel writes blank, tab, newline and backslash in octal."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _mounts(mountinfo: str) -> tuple[Mount, ...]:
    return _parsed(_read(mountinfo))


@lru_cache(maxsize=1)
def _parsed(text: str) -> tuple[Mount, ...]:
    """Remembered, because the table is asked for each of many trails, and seldom changes."""
    return tuple(parse_mountinfo(text))


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError as error:
        if error.errno is None:  # a signal handler raised it
            raise
        return ""


def _holds(point: str, path: str) -> bool:
    return point in ("/", path) or path.startswith(point + "/")
