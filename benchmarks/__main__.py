"""Run every benchmark, one after the other, and print their tables: `make benchmark`."""

from __future__ import annotations

import platform

from benchmarks import (
    append,
    durability,
    hostile,
    import_time,
    latency,
    linear,
    load,
    loggers,
    many_findings,
    rotations,
    scrape,
    validation,
)
from benchmarks.shapes import processor

MODULES = {
    "Full validation": validation,
    "Damaged lines": linear,
    "Hostile files": hostile,
    "Append": append,
    "Log lines": loggers,
    "Sharing a sync": durability,
    "Importing the writer": import_time,
    "Latency": latency,
    "Agent at a steady load": load,
    "After many rotations": rotations,
    "With many findings": many_findings,
    "Scrape": scrape,
}


def main() -> None:
    """Print the machine, then run all benchmarks."""
    system = f"{platform.system()} {platform.release()}, CPython {platform.python_version()}"
    print(f"{system}, {processor()}")
    for name, module in MODULES.items():
        print(f"\n## {name}\n")
        module.main()


if __name__ == "__main__":
    main()
