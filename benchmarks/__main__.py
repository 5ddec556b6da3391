"""Run every benchmark, one after the other, and print their tables: `make benchmark`."""

from __future__ import annotations

import os
import platform

from benchmarks import append, latency, scrape, validation


def main() -> None:
    """Name the machine, then measure."""
    print(f"{platform.system()} {platform.release()}, CPython {platform.python_version()}, {os.cpu_count()} cores")
    for name, module in (("Full validation", validation), ("Append", append), ("Latency", latency), ("Scrape", scrape)):
        print(f"\n## {name}\n")
        module.main()


if __name__ == "__main__":
    main()
