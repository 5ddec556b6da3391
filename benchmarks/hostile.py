"""Files made to exhaust their readers: time, and the peak memory of each process beyond its imports.

    python -m benchmarks.hostile [DIRECTORY]

Writes the files into a temporary directory in DIRECTORY (2 GB and some holes). The command validates each of them;
/proc says how much memory it and its worker processes used.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

LIMIT_MIB = 32
MIB = 1 << 20

_COMMAND = [sys.executable, "-m", "auditwatch", "validate", "--format", "json", "--jobs", "2"]
_IMPORTS = {
    "command": "import auditwatch.cli.validate as _, auditwatch.cli.main",
    "worker": "import auditwatch.validation.workers.process",
}


def sparse(path: Path) -> None:
    """A hole of 10 GB between two records."""
    with path.open("wb") as file:
        file.write(b'{"a":1}\n')
        file.seek(10_000_000_000)
        file.write(b'\n{"b":2}\n')


def pending(path: Path) -> None:
    """A hole of 10 GB after a record."""
    with path.open("wb") as file:
        file.write(b'{"a":1}\n')
        file.truncate(10_000_000_000)


def one_line(path: Path) -> None:
    """One line of 2 GB."""
    with path.open("wb") as file:
        file.write(b'{"a":"')
        for _ in range(2000):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n')


def blank_lines(path: Path) -> None:
    """A million blank lines."""
    path.write_bytes(b"\n" * 1_000_000)


def objects(path: Path) -> None:
    """Lines that are lists of objects, as long as a line may be, and one that is longer."""
    line = b"[" + b",".join([b"{}"] * (MIB // 3 - 1)) + b"]\n"
    path.write_bytes((line + line * 10) * 5 + line.replace(b"\n", b",") * 20 + b"\n")


def damaged_lines(path: Path) -> None:
    """A million lines, none of which is whole."""
    path.write_bytes(b'{"event":"TRADE_A{"event":"KILL_SWITCH"}\n' * 1_000_000)


FILES: dict[str, Callable[[Path], None]] = {
    "10 GB of hole between two records": sparse,
    "10 GB of hole after a record": pending,
    "one line of 2 GB": one_line,
    "a million empty lines": blank_lines,
    "[{},{},...] as long as lines may be, and longer": objects,
    "a million damaged lines": damaged_lines,
}


def peak_bytes(pid: int) -> int:
    """The most memory that a process ever held; 0 once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def children(pid: int) -> list[int]:
    """The processes that this one started."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def imports_alone(statement: str) -> int:
    """The peak memory of a process that only does the same imports."""
    own = "import re, pathlib; print(re.search('VmHWM:\\s+(\\d+)', pathlib.Path('/proc/self/status').read_text())[1])"
    done = subprocess.run([sys.executable, "-c", f"{statement}\n{own}"], capture_output=True, check=True)
    return int(done.stdout) * 1024


def measured(path: Path) -> tuple[float, int, int, str]:
    """Seconds, peak memory of the command and of any worker, and the verdict."""
    begun = time.perf_counter()
    with (  # a file, because a pipe would fill up: it is not read meanwhile
        tempfile.TemporaryFile() as output,
        subprocess.Popen([*_COMMAND, str(path)], stdout=output) as process,
    ):
        command = worker = 0
        while process.poll() is None:
            command = max(command, peak_bytes(process.pid))
            worker = max([worker, *map(peak_bytes, children(process.pid))])
            time.sleep(0.002)
        seconds = time.perf_counter() - begun
        output.seek(0)
        answer = json.loads(output.read())
    return seconds, command, worker, f"{answer['verdict']}, {answer['corrupt_lines']:,} corrupt"


def _beyond(held: int, base: float) -> str:
    return f"{max(0.0, held / MIB - base):.0f}" if held else "-"


def main(directory: str | None = None) -> None:
    """Print the table."""
    alone = {who: imports_alone(statement) for who, statement in _IMPORTS.items()}
    command_alone, worker_alone = alone["command"] / MIB, alone["worker"] / MIB
    print(
        f"imports alone: command {command_alone:.0f} MiB, worker {worker_alone:.0f} MiB; goal: {LIMIT_MIB} MiB more\n"
    )
    print("| file | seconds | command + MiB | worker + MiB | verdict |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=directory) as place:
        for name, write in FILES.items():
            path = Path(place) / "trail.jsonl"
            write(path)
            seconds, command, worker, verdict = measured(path)
            more = [_beyond(command, command_alone), _beyond(worker, worker_alone)]
            print(f"| {name} | {seconds:.2f} | {more[0]} | {more[1]} | {verdict} |", flush=True)
            os.unlink(path)


if __name__ == "__main__":
    main(sys.argv[1] if sys.argv[1:] else None)
