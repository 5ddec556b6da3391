"""For each reason why a trail could not be looked at, and why a write failed: what it is, its usual cause, what to do.

The two lists share some names: of a look they tell what the agent may or can do, of a write what a producer could not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from auditwatch.trail.causes import Cause

UNREADABLE_CAUSES: Final[Mapping[str, Cause]] = {
    "missing": Cause(
        "There is no file.",
        "The producer has not written yet, the path is wrong, or a directory is not mounted.",
        "Compare the path with the one that the producer writes; the agent takes the file up as soon as it is there.",
    ),
    "permission": Cause(
        "This user may not read the file, or may not search a directory on the way.",
        "The producer creates the file for itself alone, or a directory above is closed to others.",
        "Add the user to the group that may read the trail; the message names the part of the path that denies access.",
    ),
    "directory": Cause(
        "It is a directory.",
        "The path names the folder instead of the file, or a container created it because nothing was there to mount.",
        "Give the path of the file.",
    ),
    "not_regular": Cause(
        "It is a pipe, a socket or a device: reading it could take something away or never end.",
        "A producer writes into a pipe that a log shipper reads.",
        "Watch the file that the shipper writes.",
    ),
    "symlink": Cause(
        "It is a symbolic link, and following it was not asked for.",
        "A name like `current` that points to the file of the day.",
        "Give the path of the file, or set `follow_symlink: true`: then a link that moves is a rotation.",
    ),
    "io_error": Cause(
        "The system could not read the file, or its compressed data is damaged or cut off.",
        "A failing disk, a network file system that is away, or a copy that was broken off.",
        "See the kernel's log; save a copy of what can be read first.",
    ),
    "changed": Cause(
        "The file shrank, or another file took its place, while it was being read.",
        "It was rotated or truncated at that moment.",
        "Nothing: the next look says what happened. With `validate`, try again.",
    ),
    "hung": Cause(
        "The file system does not respond.",
        "A network mount whose server is away.",
        "Look after the mount; other trails are not affected, and the agent goes on by itself.",
    ),
    "unsupported": Cause(
        "Reading it needs a library that is not installed.",
        "A segment compressed with zstd, or a URL.",
        "Install what the message names; the trail's other files are judged.",
    ),
    "worker_died": Cause(
        "The process that judged it ended before it answered.",
        "The kernel killed it for its memory, or somebody did.",
        "See the kernel's log; the agent tries again.",
    ),
    "not_counters": Cause(
        "The file where the trail's writers count is not a counters file of this version.",
        "Another program owns a file of that name, or writers and agent are of different versions.",
        "Move the file away: a writer makes a new one with its next record. Damage is seen without it.",
    ),
}
"""By the reason that `Unreadable` gives; none of it is damage."""

WRITE_CAUSES: Final[Mapping[str, Cause]] = {
    "disk_full": Cause(
        "The volume had no room for the record; nothing of it is in the trail.",
        "Logs or dumps of another program, or segments that nobody moves away.",
        "Free space: the next append works without a restart. Look for the records in the producer's own log.",
    ),
    "quota": Cause(
        "The quota of the user, group or project is used up, or the file may not grow beyond a limit.",
        "As for disk_full, within one user's share; or `ulimit -f`.",
        "Free some of the share, or raise it.",
    ),
    "io_error": Cause(
        "The system could not write, or not make durable, what it had accepted.",
        "A failing disk, or a network file system that is away.",
        "See the kernel's log. After a failed sync the file is poisoned: rotate it away.",
    ),
    "read_only": Cause(
        "The file system is mounted read-only.",
        "The kernel does that after errors on the disk.",
        "See the kernel's log before you mount it for writing again.",
    ),
    "permission": Cause(
        "The producer may not write the file, or not create it.",
        "The file was created by another user, or is protected (`chattr +i`, a security module).",
        "Give the file to the producer's user or group.",
    ),
    "lock_timeout": Cause(
        "Another process or thread held the trail's lock for all of `lock_timeout`; nothing was stored.",
        "A stopped process, a program that locks the trail to read it, or a slow disk with a sync for each record.",
        "The message names the process that holds it: continue or end it.",
    ),
    "unserialisable": Cause(
        "The record cannot be written as JSON.",
        "NaN or infinity, a date without a time zone, or a type of the producer's own.",
        "The message names the field; give the writer a `default=` for types of your own.",
    ),
    "too_long": Cause(
        "The record is longer than `max_line_bytes`; it was not cut.",
        "A producer logs a whole payload.",
        "Log less of it, or raise `max_line_bytes` for writer and agent alike.",
    ),
    "poisoned": Cause(
        "An earlier sync of this file failed, or a part of a record could not be taken back: no writer appends to it.",
        "A disk that was full or failing at that moment.",
        "Rename the file; do not delete it. The next append begins a new one.",
    ),
    "logged": Cause(
        "A producer's log file says that a write failed. No log is read yet.",
        "Any of the others.",
        "See that log.",
    ),
    "other": Cause(
        "None of the other reasons.",
        "The writer is closed, the path is not a regular file, or it lies on a network file system.",
        "The message that the producer got says what it was.",
    ),
}
"""Of writes that failed in a producer, as metrics name them."""
