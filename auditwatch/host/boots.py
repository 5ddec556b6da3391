"""Which boot of the machine this is: what a process wrote survives its kill, and not the end of the boot."""

from __future__ import annotations

from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id(source: Path = _BOOT_ID) -> str:
    """The kernel's name for this boot; empty where it has none, and then no two moments are known to be of one boot."""
    try:
        return source.read_text().strip()
    except OSError:
        return ""
