"""What this machine can do to a writer. `python3 tests/faults/abilities.py` prints it; it needs nothing but Python.

A suite asks with `need`: what is missing is said as NOT RUN, which is a failure where everything must be run.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

FS_IOC_SHUTDOWN: Final = 0x8004587D

_CLONE_NEWNS: Final = 0x00020000
_MS_REC: Final = 0x4000
_MS_SLAVE: Final = 1 << 19


@contextmanager
def mounted(directory: Path, *options: str) -> Iterator[Path]:
    """A file system on a directory, made for the occasion and gone afterwards, whatever happens.

    Args:
        directory: Where.
        options: For `mount`, all but the directory.
    """
    keep_mounts_to_ourselves()
    directory.mkdir(exist_ok=True)
    subprocess.run(["mount", *options, directory], check=True, capture_output=True)
    try:
        yield directory
    finally:
        unmount(directory)


@cache
def keep_mounts_to_ourselves() -> None:
    """Have what this process mounts vanish with it, also by kill -9; a loop device goes with its mount."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) or libc.mount(b"none", b"/", None, _MS_REC | _MS_SLAVE, None):
        raise OSError(ctypes.get_errno(), "no mounts of one's own")


def unmount(directory: Path) -> None:
    """Unmount; lazily, if a process still has a file of it open. A loop device goes with its mount."""
    if subprocess.run(["umount", directory], capture_output=True, check=False).returncode:
        subprocess.run(["umount", "--lazy", directory], capture_output=True, check=False)


def image(path: Path, kind: str) -> Path:
    """A file that holds an empty file system."""
    size = {"ext4": 32 << 20, "xfs": 300 << 20}[kind]  # mkfs.xfs makes none below 300 MB
    with path.open("wb") as file:
        file.truncate(size)
    command = {"ext4": ["mkfs.ext4", "-q", "-F", path], "xfs": ["mkfs.xfs", "-q", "-f", path]}[kind]
    subprocess.run(command, check=True, capture_output=True)
    return path


def cut_power(mount: Path, flag: int) -> None:
    """Have a file system forget everything that is not on its disk.

    Args:
        mount: Where it is mounted.
        flag: 2: now; 1: once its journal is written, so that names and sizes are kept whose bytes are not.
    """
    descriptor = os.open(mount, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, FS_IOC_SHUTDOWN, struct.pack("I", flag))
    finally:
        os.close(descriptor)


def _works(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
    except OSError:
        return False


def _can_trace() -> bool:
    return _works("strace", "-o", "/dev/null", "-e", "inject=getppid:error=EIO:when=1", "true")


def _can_mount(kind: str) -> bool:
    if os.geteuid() or shutil.which(f"mkfs.{kind}") is None:
        return False
    with tempfile.TemporaryDirectory() as name:
        try:
            made = image(Path(name, "image"), kind)
            with mounted(Path(name, "mount"), "-o", "loop", str(made)) as mount:
                cut_power(mount, 2)
        except (OSError, subprocess.CalledProcessError):
            return False
    return True


def _can_mount_tmpfs() -> bool:
    if os.geteuid():
        return False
    with tempfile.TemporaryDirectory() as name:
        try:
            with mounted(Path(name, "mount"), "-t", "tmpfs", "tmpfs"):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


ABILITIES: Final[dict[str, Callable[[], bool]]] = {
    "root": lambda: os.geteuid() == 0,
    "tmpfs": _can_mount_tmpfs,
    "ext4": lambda: _can_mount("ext4"),
    "xfs": lambda: _can_mount("xfs"),
    "strace": _can_trace,
    "fiu-run": lambda: _works("fiu-run", "-x", "true"),
    "logrotate": lambda: _works("logrotate", "--version"),
    "xz": lambda: _works("xz", "--version"),
    "zstd": lambda: _works("zstd", "--version"),
    "vim": lambda: _works("vim", "--version"),
}
"""By name, and how to find out. For ext4 and xfs: a loop mount whose power can be cut."""


@cache
def has(ability: str) -> bool:
    """Whether this machine can do it, tried once."""
    return ABILITIES[ability]()


def need(*abilities: str) -> None:
    """Go on only where the machine can do all of these; else the test says NOT RUN."""
    import pytest  # not for who runs this file before anything is installed

    missing = [ability for ability in abilities if not has(ability)]
    if missing:
        pytest.skip(f"NOT RUN: this machine lacks {', '.join(missing)}")


if __name__ == "__main__":
    for ability in ABILITIES:
        print(f"{ability:<12} {'yes' if has(ability) else 'MISSING'}")  # noqa: T201  what it is for
