"""Edits of a trail's history: what an intruder, a restore or an editor does to bytes that were judged."""

from __future__ import annotations

import gzip
import mmap
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.storms.rotators import content

ORDER: Final = frozenset(
    {"sequence_gap", "sequence_duplicate", "sequence_reordered", "chain_broken", "chain_restarted"}
)
"""What stamps may say besides, where other bytes lie: the chain is broken there as well."""

CHANGED: Final = frozenset({"rewritten"})
CUT: Final = frozenset({"truncated"})


@dataclass
class Target:
    """A trail to be edited.

    Attributes:
        trail: The active file.
        older: A copy of the active file as it was once, a proper prefix of it.
        dice: Decides where.
        is_stamped: Whether its lines carry stamps.
        note: What was done exactly, for who reproduces it.
    """

    trail: Path
    older: Path
    dice: random.Random
    is_stamped: bool
    note: str = ""

    def place(self) -> tuple[int, int]:
        """Start and end of a line somewhere in the active file, its newline included; never the first or last."""
        with self.trail.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(self.dice.randrange(0, size * 99 // 100))
            file.readline()
            start = file.tell()
            return start, start + len(file.readline())

    def lines(self) -> list[bytes]:
        return self.trail.read_bytes().splitlines(keepends=True)

    def pick(self, count: int) -> int:
        """The number of a line, from 1 to before the last."""
        return self.dice.randrange(1, count - 1)

    def closed(self, *, packed: bool) -> Path:
        """The closed segment that is, or is not, compressed."""
        return Path(f"{self.trail}.2.gz" if packed else f"{self.trail}.1")

    def poke(self, path: Path, offset: int, data: bytes) -> None:
        """Write in place, with nothing but these bytes changed."""
        descriptor = os.open(path, os.O_WRONLY)
        try:
            assert os.pwrite(descriptor, data, offset) == len(data)
        finally:
            os.close(descriptor)
        self.note += f"{len(data)} bytes at {offset} of {path.name}; "

    def rewrite(self, path: Path, data: bytes) -> None:
        """The same inode with other content, at one go: what lies beyond is cut off afterwards."""
        self.poke(path, 0, data)
        os.truncate(path, len(data))

    def swap_in(self, path: Path, data: bytes) -> None:
        """Another inode under the same name, by rename."""
        new = path.with_name(f".{path.name}.new")
        new.write_bytes(data)
        shutil.copystat(path, new)
        new.rename(path)
        self.note += f"{len(data)} bytes renamed over {path.name}; "


def flip(target: Target) -> None:
    start, end = target.place()
    at = target.dice.randrange(start, end)
    _flip(target, target.trail, at)


def _flip(target: Target, path: Path, at: int) -> None:
    with path.open("rb") as file:
        file.seek(at)
        byte = file.read(1)[0]
    target.poke(path, at, bytes([byte ^ (1 << target.dice.randrange(7))]))


def _other_value(line: bytes) -> bytes:
    """A line of the same length with another amount."""
    before, mark, rest = line.partition(b'"amount":')
    digit = rest[0:1]
    return before + mark + (b"7" if digit != b"7" else b"3") + rest[1:]


def same_length_value(target: Target) -> None:
    start, end = target.place()
    with target.trail.open("rb") as file:
        file.seek(start)
        line = file.read(end - start)
    target.poke(target.trail, start, _other_value(line))


def flip_and_restore_times(target: Target) -> None:
    status = target.trail.stat()
    flip(target)
    os.utime(target.trail, ns=(status.st_atime_ns, status.st_mtime_ns))


def flip_by_mapping(target: Target) -> None:
    start, end = target.place()
    at = target.dice.randrange(start, end - 1)
    with target.trail.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[at] ^= 1
    target.note += f"mapped byte {at}; "


def delete_a_line(target: Target) -> None:
    lines = target.lines()
    del lines[target.pick(len(lines))]
    target.rewrite(target.trail, b"".join(lines))


def delete_and_pad(target: Target) -> None:
    lines = target.lines()
    at = target.pick(len(lines))
    gone = lines.pop(at)
    lines[at - 1] = lines[at - 1][:-2] + b" " * len(gone) + lines[at - 1][-2:]
    target.rewrite(target.trail, b"".join(lines))


def insert_a_line(target: Target) -> None:
    lines = target.lines()
    lines.insert(target.pick(len(lines)), b'{"event":"KILL_SWITCH","amount":1}\n')
    target.rewrite(target.trail, b"".join(lines))


def swap_two_lines(target: Target) -> None:
    lines = target.lines()
    at = target.pick(len(lines) - 1)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    target.rewrite(target.trail, b"".join(lines))


def duplicate_a_line(target: Target) -> None:
    lines = target.lines()
    at = target.pick(len(lines))
    lines.insert(at, lines[at])
    target.rewrite(target.trail, b"".join(lines))


def replay_old_lines(target: Target) -> None:
    lines = target.lines()
    at = target.pick(len(lines) - 10)
    _append(target, b"".join(lines[at : at + target.dice.randrange(1, 8)]))


def _append(target: Target, data: bytes) -> None:
    descriptor = os.open(target.trail, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def cut_tail(target: Target) -> None:
    size = target.trail.stat().st_size
    keep = target.dice.choice([size - 1, target.dice.randrange(1, size - 1), target.place()[0]])
    os.truncate(target.trail, keep)
    target.note += f"truncated to {keep} of {size}; "


def empty(target: Target) -> None:
    os.truncate(target.trail, 0)


def cut_tail_and_grow(target: Target) -> None:
    """Within one write: shorter first, and longer than before at once."""
    start, _ = target.place()
    size = target.trail.stat().st_size
    os.truncate(target.trail, start)
    line = b'{"event":"FORGED","amount":1,"text":"' + b"x" * 400 + b'"}\n'
    _append(target, line * ((size - start) // len(line) + 2))
    target.note += f"truncated to {start}, then grown beyond {size}; "


def cut_head(target: Target) -> None:
    data = target.trail.read_bytes()
    target.rewrite(target.trail, data[target.place()[0] :])


def cut_head_by_rename(target: Target) -> None:
    data = target.trail.read_bytes()
    target.swap_in(target.trail, data[target.place()[0] :])


def replace(target: Target) -> None:
    target.swap_in(target.trail, _strange(target))


def _strange(target: Target) -> bytes:
    return b"".join(b'{"event":"FORGED","n":%d,"r":"%x"}\n' % (n, target.dice.randrange(1 << 60)) for n in range(500))


def replace_in_place(target: Target) -> None:
    data = _strange(target)
    target.rewrite(target.trail, data)


def restore_an_older_copy(target: Target) -> None:
    target.swap_in(target.trail, target.older.read_bytes())


def restore_an_older_copy_in_place(target: Target) -> None:
    target.rewrite(target.trail, target.older.read_bytes())


def restore_and_go_on(target: Target) -> None:
    """An older copy, and other lines after it."""
    target.swap_in(target.trail, target.older.read_bytes() + _strange(target))


def _sed(target: Target, *options: str) -> None:
    number = target.dice.randrange(2, 50)
    subprocess.run(["sed", *options, f"{number}s/amount/amounT/", target.trail], check=True)
    target.note += f"sed {' '.join(options)} {number}; "


def sed_in_place(target: Target) -> None:
    _sed(target, "-i")


def sed_with_backup_1(target: Target) -> None:
    """NAME.1 is a segment's name; there is one already, so another number."""
    _sed(target, "-i.0")


def sed_with_backup_bak(target: Target) -> None:
    _sed(target, "-i.bak")


def sed_that_deletes(target: Target) -> None:
    subprocess.run(["sed", "-i.0", f"{target.dice.randrange(2, 50)}d", target.trail], check=True)


def copy_and_edit(target: Target) -> None:
    shutil.copy2(target.trail, f"{target.trail}.0")
    same_length_value(target)


def copy_and_sed(target: Target) -> None:
    shutil.copy2(target.trail, f"{target.trail}.0")
    _sed(target, "-i")


def save_like_vim(target: Target) -> None:
    """Its default: the old file becomes a backup, a new one is written, the backup goes."""
    lines = target.lines()
    at = target.pick(len(lines))
    lines[at] = _other_value(lines[at])
    backup = Path(f"{target.trail}~")
    target.trail.rename(backup)
    target.trail.write_bytes(b"".join(lines))
    backup.unlink()


def save_by_vim(target: Target) -> None:
    command = ["vim", "-u", "NONE", "-es", "-c", "10s/amount/amounT/", "-c", "wq", str(target.trail)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)


def rsync_in_place(target: Target) -> None:
    """Blocks are written where they differ, and the time of the source is set."""
    status = target.trail.stat()
    same_length_value(target)
    os.utime(target.trail, ns=(status.st_atime_ns, status.st_mtime_ns - 10**9))


def rsync_over(target: Target) -> None:
    lines = target.lines()
    at = target.pick(len(lines))
    lines[at] = _other_value(lines[at])
    target.swap_in(target.trail, b"".join(lines))


def remove(target: Target) -> None:
    target.trail.unlink()


def remove_and_recreate(target: Target) -> None:
    target.trail.unlink()
    target.trail.write_bytes(_strange(target))


def remove_and_recreate_edited(target: Target) -> None:
    lines = target.lines()
    at = target.pick(len(lines))
    lines[at] = _other_value(lines[at])
    target.trail.unlink()
    target.trail.write_bytes(b"".join(lines))


def remove_and_recreate_empty(target: Target) -> None:
    target.trail.unlink()
    target.trail.touch()


def edit_closed(target: Target) -> None:
    path = target.closed(packed=False)
    _flip(target, path, target.dice.randrange(path.stat().st_size))


def edit_closed_by_rename(target: Target) -> None:
    path = target.closed(packed=False)
    lines = path.read_bytes().splitlines(keepends=True)
    at = target.pick(len(lines))
    lines[at] = _other_value(lines[at])
    target.swap_in(path, b"".join(lines))


def cut_closed(target: Target) -> None:
    path = target.closed(packed=False)
    os.truncate(path, target.dice.randrange(1, path.stat().st_size))


def empty_closed(target: Target) -> None:
    os.truncate(target.closed(packed=False), 0)


def delete_closed(target: Target) -> None:
    target.closed(packed=False).unlink()


def edit_compressed(target: Target) -> None:
    path = target.closed(packed=True)
    lines = content(path).splitlines(keepends=True)
    at = target.pick(len(lines))
    lines[at] = _other_value(lines[at])
    target.swap_in(path, gzip.compress(b"".join(lines), 1))


def drop_from_compressed(target: Target) -> None:
    path = target.closed(packed=True)
    lines = content(path).splitlines(keepends=True)
    target.swap_in(path, gzip.compress(b"".join(lines[: target.pick(len(lines))]), 1))


def flip_compressed(target: Target) -> None:
    path = target.closed(packed=True)
    _flip(target, path, target.dice.randrange(20, path.stat().st_size))


def cut_compressed(target: Target) -> None:
    path = target.closed(packed=True)
    os.truncate(path, target.dice.randrange(20, path.stat().st_size))


def delete_compressed(target: Target) -> None:
    target.closed(packed=True).unlink()


def delete_all_closed(target: Target) -> None:
    target.closed(packed=False).unlink()
    target.closed(packed=True).unlink()


@dataclass(frozen=True)
class Edit:
    """One kind of edit.

    Attributes:
        do: Performs it.
        names: The violations of which one is rightful.
        also: Those that may stand beside it.
        unstamped: The names without stamps, if others; none: then nothing can tell.
    """

    do: Callable[[Target], None]
    names: frozenset[str]
    also: frozenset[str] = frozenset()
    unstamped: frozenset[str] | None = None


def _edit(do: Callable[[Target], None], *names: str, also: frozenset[str] = ORDER) -> Edit:
    return Edit(do, frozenset(names), also)


EDITS: Final[dict[str, Edit]] = {
    "flip a bit": _edit(flip, "rewritten"),
    "flip a bit, times restored": _edit(flip_and_restore_times, "rewritten"),
    "flip a bit through a mapping": _edit(flip_by_mapping, "rewritten"),
    "value of the same length": _edit(same_length_value, "rewritten"),
    "delete a line": _edit(delete_a_line, "truncated", "rewritten"),
    "delete a line and pad": _edit(delete_and_pad, "rewritten"),
    "insert a line": _edit(insert_a_line, "rewritten"),
    "swap two lines": _edit(swap_two_lines, "rewritten"),
    "duplicate a line": _edit(duplicate_a_line, "rewritten"),
    "replay old lines": Edit(replay_old_lines, frozenset({"sequence_duplicate"}), unstamped=frozenset()),
    "cut the tail": _edit(cut_tail, "truncated"),
    "empty": _edit(empty, "emptied"),
    "cut the tail and grow": _edit(cut_tail_and_grow, "rewritten", "truncated", "rolled_back"),
    "cut the head": _edit(cut_head, "truncated", "rewritten"),
    "cut the head by rename": _edit(cut_head_by_rename, "rewritten"),
    "replace": _edit(replace, "replaced"),
    "replace in place": _edit(replace_in_place, "truncated", "rewritten"),
    "restore an older copy": _edit(restore_an_older_copy, "rolled_back"),
    "restore an older copy in place": _edit(restore_an_older_copy_in_place, "truncated", "rolled_back"),
    "restore an older copy and go on": _edit(restore_and_go_on, "rewritten", "rolled_back"),
    "sed -i": _edit(sed_in_place, "rewritten"),
    "sed -i.0": _edit(sed_with_backup_1, "replaced"),
    "sed -i.0 that deletes": _edit(sed_that_deletes, "replaced"),
    "sed -i.bak": _edit(sed_with_backup_bak, "replaced"),
    "cp NAME.0 and edit": _edit(copy_and_edit, "rewritten"),
    "cp NAME.0 and sed -i": _edit(copy_and_sed, "replaced", "rewritten"),
    "vim-like save": _edit(save_like_vim, "rewritten", "replaced"),
    "vim": _edit(save_by_vim, "rewritten", "replaced"),
    "rsync --inplace": _edit(rsync_in_place, "rewritten"),
    "rsync": _edit(rsync_over, "rewritten"),
    "rm": _edit(remove, "deleted"),
    "rm and recreate, strange": _edit(remove_and_recreate, "replaced"),
    "rm and recreate, edited": _edit(remove_and_recreate_edited, "rewritten"),
    "rm and recreate, empty": _edit(remove_and_recreate_empty, "replaced", "emptied", "deleted", "rolled_back"),
    "edit a closed segment": _edit(edit_closed, "rewritten"),
    "edit a closed segment by rename": _edit(edit_closed_by_rename, "rewritten"),
    "cut a closed segment": _edit(cut_closed, "truncated"),
    "empty a closed segment": _edit(empty_closed, "emptied", "truncated"),
    "delete a closed segment": _edit(delete_closed, "segment_missing"),
    "edit a compressed segment": _edit(edit_compressed, "rewritten"),
    "drop lines from a compressed segment": _edit(drop_from_compressed, "truncated"),
    "flip a bit of a compressed segment": _edit(flip_compressed, "archive_cut", "rewritten"),
    "cut a compressed segment": _edit(cut_compressed, "archive_cut"),
    "delete a compressed segment": _edit(delete_compressed, "segment_missing"),
    "delete all closed segments": _edit(delete_all_closed, "segment_missing"),
}
"""By name, with what it may be called: the rules of the ledger about identity, rotation and order."""
