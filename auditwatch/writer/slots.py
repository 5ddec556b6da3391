"""Slots in the counters file: opening the file, claiming a slot, and folding what dead processes left.

A slot is owned by an open-file-description lock on its bytes, which ends with its process in every pid namespace.
A process that claims a slot first folds the counts of dead processes into slot 0, under a lock on the header. All of
this happens outside the locks of appends; every failure here is an OSError, and the caller goes on without counting.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import time
from typing import Final

from auditwatch.trail import counters
from auditwatch.trail.counters import FILE_BYTES, SLOT_BYTES, SLOTS, Header, Slot

_FLAGS: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_FLOCK: Final = "hhqqi"  # struct flock of 64-bit Linux, in native alignment
_HEADER_ATTEMPTS: Final = 20
# Poison has to be declared: the holder of the header may merely be waiting for the processor on a busy machine.
_POISON_ATTEMPTS: Final = 5000
_HEADER_NAP_SECONDS: Final = 1e-3

# Ready, because a signal handler may raise in any function that would make it; harmless where nothing is locked.
_UNLOCK_HEADER: Final = struct.pack(_FLOCK, fcntl.F_UNLCK, os.SEEK_SET, 0, SLOT_BYTES, 0)


def claim(descriptor: int) -> tuple[int, bytes]:
    """Claim a slot and zero it; the file is laid out first if necessary.

    Returns:
        The offset of the slot, and the id of the file.

    Raises:
        OSError: If the file is locked (EAGAIN), full, of a later version, or cannot be written.
    """
    try:
        _lock_header(descriptor)
        header = _header(descriptor)
        _fold_dead(descriptor)
        for number in range(1, SLOTS):
            offset = counters.slot_offset(number)
            if _try_lock(descriptor, offset):
                os.pwrite(descriptor, bytes(SLOT_BYTES), offset)
                return offset, header.id
    finally:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _UNLOCK_HEADER)
    raise OSError(errno.EBUSY, "all slots of the counters file are taken")


def open_counters(path: str, trail_path: str) -> int:
    """The counters file, created with the mode and the group of the trail.

    Raises:
        OSError: If it cannot be opened or is not a regular file, or if the trail that it is created for is not one.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        trail = os.stat(trail_path)
        if not stat.S_ISREG(trail.st_mode):
            raise OSError(errno.EINVAL, "the trail is not a regular file") from None
        descriptor = os.open(path, _FLAGS | os.O_CREAT, 0o600)
        _dress(descriptor, trail)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "the counters file is not a regular file")
    return descriptor


def is_same_file(descriptor: int, path: str, identity: bytes) -> bool:
    """Whether the open file still has its name and its id: it was not deleted, replaced or truncated."""
    header = counters.decode_header(os.pread(descriptor, SLOT_BYTES, 0))
    if header is None or header.id != identity:
        return False
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def poisoned(descriptor: int) -> tuple[int, int]:
    """Device and inode of the file that must not be written any more; zeros if there is none.

    Raises:
        OSError: If the file cannot be read.
    """
    header = counters.decode_header(os.pread(descriptor, SLOT_BYTES, 0))
    return (0, 0) if header is None else (header.poisoned_device, header.poisoned_inode)


def poison(descriptor: int, device: int, inode: int) -> None:
    """Declare to all writers, present and future, that a file must not be written any more.

    Raises:
        OSError: If it cannot be stored.
    """
    try:
        _lock_header(descriptor, _POISON_ATTEMPTS)
        _set_poison(descriptor, _header(descriptor), device, inode)
    finally:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _UNLOCK_HEADER)
    os.fsync(descriptor)


def take_back_poison(descriptor: int, device: int, inode: int) -> None:
    """Allow this file to be written again; what another process has since declared about another file stays.

    Raises:
        OSError: If it cannot be stored.
    """
    try:
        _lock_header(descriptor)
        header = _header(descriptor)
        if (header.poisoned_device, header.poisoned_inode) == (device, inode):
            _set_poison(descriptor, header, 0, 0)
    finally:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _UNLOCK_HEADER)


def _set_poison(descriptor: int, header: Header, device: int, inode: int) -> None:
    block = counters.encode_header(header._replace(poisoned_device=device, poisoned_inode=inode))
    os.pwrite(descriptor, block, 0)


def _dress(descriptor: int, trail: os.stat_result) -> None:
    try:
        os.fchown(descriptor, -1, trail.st_gid)
    except PermissionError:
        # Not a member of the trail's group: then its mode must not open the file to a different group.
        return
    os.fchmod(descriptor, stat.S_IMODE(trail.st_mode) & 0o666)


def _header(descriptor: int) -> Header:
    block = os.pread(descriptor, SLOT_BYTES, 0)
    header = counters.decode_header(block)
    if header is not None:
        return header
    if block.startswith(counters.MAGIC):
        raise OSError(errno.EINVAL, "the counters file is of another version")
    header = Header(os.urandom(16))
    # Room first: a preallocated file can be updated on a full disk.
    os.posix_fallocate(descriptor, 0, FILE_BYTES)
    os.pwrite(descriptor, counters.encode_header(header).ljust(FILE_BYTES, b"\0"), 0)
    return header


def _fold_dead(descriptor: int) -> None:
    for offset in _used(descriptor):
        if _try_lock(descriptor, offset):
            _fold(descriptor, offset)
            _unlock(descriptor, offset)


def _used(descriptor: int) -> list[int]:
    """Offsets of the slots in use; first one whose folding was interrupted, while its mark still says how far."""
    data = os.pread(descriptor, FILE_BYTES, 0)
    offsets = (counters.slot_offset(number) for number in range(1, SLOTS))
    blocks = {offset: data[offset : offset + SLOT_BYTES] for offset in offsets}
    used = [offset for offset, block in blocks.items() if any(block)]
    return sorted(used, key=lambda offset: counters.folding_mark(blocks[offset].ljust(SLOT_BYTES, b"\0")) is None)


def _fold(descriptor: int, offset: int) -> None:
    """Move one dead slot into slot 0; a kill at any point neither loses nor doubles its counts.

    The slot is first marked with the odd generation just below the one that slot 0 will have, so that the next process
    after a kill sees whether slot 0 already has its counts.
    """
    block = os.pread(descriptor, SLOT_BYTES, offset)
    base_offset = counters.slot_offset(0)
    base = counters.decode_slot(os.pread(descriptor, SLOT_BYTES, base_offset)) or Slot()
    mark, dead = counters.folding_mark(block), counters.decode_unsettled_slot(block)
    if dead is not None and (mark is None or mark > base.generation):
        os.pwrite(descriptor, struct.pack("<Q", base.generation + 1), offset)
        total = base.plus(dead)._replace(generation=base.generation + 2)
        os.pwrite(descriptor, counters.encode_slot(total), base_offset)
    os.pwrite(descriptor, bytes(SLOT_BYTES), offset)


def _lock_header(descriptor: int, attempts: int = _HEADER_ATTEMPTS) -> None:
    for _ in range(attempts):
        if _try_lock(descriptor, 0):
            return
        time.sleep(_HEADER_NAP_SECONDS)
    raise OSError(errno.EAGAIN, "the counters file is locked")


def _try_lock(descriptor: int, offset: int) -> bool:
    try:
        _set_lock(descriptor, fcntl.F_WRLCK, offset)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _unlock(descriptor: int, offset: int) -> None:
    _set_lock(descriptor, fcntl.F_UNLCK, offset)


def _set_lock(descriptor: int, kind: int, offset: int) -> None:
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, kind, os.SEEK_SET, offset, SLOT_BYTES, 0))
