"""How much importing the writer adds to a program's start, in an installation without the extra `agent`.

    python -m benchmarks.import_time

This package is installed into a fresh virtual environment, with orjson, which it needs. Then interpreters are started
in turns, so that all of them see the same machine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNS = 41
PROGRAMS = {
    "python": "pass",
    "orjson": "import orjson",
    "AuditWriter": "from auditwatch import AuditWriter",
    "... and opened": "from auditwatch import AuditWriter; AuditWriter('audit.jsonl')",
    "AuditHandler": "from auditwatch import AuditHandler",
    "asyncio": "import asyncio",
}


def installation(directory: str) -> str | None:
    """The interpreter of a fresh environment with this package alone; None if it cannot be installed."""
    venv.create(directory, with_pip=True)
    python = os.path.join(directory, "bin", "python")
    command = [python, "-m", "pip", "install", "--quiet", str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return python if done.returncode == 0 else None


def measure(python: str) -> dict[str, list[float]]:
    """Milliseconds of each run of each program, after one run to warm up."""
    found: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(1 + RUNS):
        for name, code in PROGRAMS.items():
            began = time.perf_counter()
            subprocess.run([python, "-c", code], check=True, cwd=os.path.dirname(python))
            found[name].append((time.perf_counter() - began) * 1e3)
    return {name: runs[1:] for name, runs in found.items()}


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as directory:
        python = installation(directory)
        if python is None:
            print("NOT RUN: the package cannot be installed into a fresh environment here", file=sys.stderr)
            return
        medians = {name: statistics.median(runs) for name, runs in measure(python).items()}
    print(f"medians of {RUNS} starts each, in turns; an environment with this package and orjson alone")
    print(f"{'import':<14}{'ms':>8}{'over python':>14}")
    for name, median in medians.items():
        print(f"{name:<14}{median:>8.1f}{median - medians['python']:>14.1f}")


if __name__ == "__main__":
    main()
