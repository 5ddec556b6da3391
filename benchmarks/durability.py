"""What it costs to survive a power cut: sixteen threads that share syncs, compared with one sync per record.

    python -m benchmarks.durability

Each fdatasync is made to take at least 150 us, as on a good SSD, so that machines with a faster disk, or with one that
lies about syncs, give comparable figures.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable

from auditwatch import AuditWriter

THREADS = 16
RECORDS = 500
ROUNDS = 7
SYNC_SECONDS = 150e-6
RECORD = {"event": "TRADE_APPROVED", "details": {"symbol": "BTC-USD", "quantity": 0.25, "price": 64123.5}}

syncs = 0
true_fdatasync = os.fdatasync


def slow_fdatasync(descriptor: int) -> None:
    """The real fdatasync, then waiting like a disk would: without holding the interpreter lock."""
    global syncs  # noqa: PLW0603  one count for the whole run
    syncs += 1
    began = time.perf_counter()
    true_fdatasync(descriptor)
    left = SYNC_SECONDS - (time.perf_counter() - began)
    if left > 0:
        # A sleep of this length takes half as long again, so the last part is spent in short sleeps.
        end = time.perf_counter() + left
        while (left := end - time.perf_counter()) > 0:
            time.sleep(max(0.0, left - 60e-6))


def shared(path: str) -> Callable[[], None]:
    """This package's writer with `durability="power"`."""
    writer = AuditWriter(path, durability="power")
    return lambda: writer.append(RECORD)


def one_each(path: str) -> Callable[[], None]:
    """This package's writer, with one fdatasync per record, one after the other."""
    writer = AuditWriter(path)
    descriptor = os.open(path, os.O_RDWR)
    lock = threading.Lock()

    def append() -> None:
        with lock:
            writer.append(RECORD)
            os.fdatasync(descriptor)

    return append


WRITERS = {"one fdatasync a record": one_each, "AuditWriter, power": shared}


def measure(make: Callable[[str], Callable[[], None]], threads: int) -> tuple[float, float]:
    """Records per second, and records per sync."""
    global syncs  # noqa: PLW0603  one count for the whole run
    with tempfile.TemporaryDirectory() as directory:
        append = make(os.path.join(directory, "audit.jsonl"))
        append()
        barrier = threading.Barrier(threads + 1)

        def work() -> None:
            barrier.wait()
            for _ in range(RECORDS):
                append()

        running = [threading.Thread(target=work) for _ in range(threads)]
        for thread in running:
            thread.start()
        syncs = 0
        barrier.wait()
        began = time.perf_counter()
        for thread in running:
            thread.join()
        return threads * RECORDS / (time.perf_counter() - began), threads * RECORDS / syncs


def main() -> None:
    """Print the table."""
    os.fdatasync = slow_fdatasync
    try:
        _print()
    finally:
        os.fdatasync = true_fdatasync


def _print() -> None:
    print(f"medians of {ROUNDS} rounds, in turns")
    print(f"{'writer':<28}{'threads':>8}{'records/s':>12}{'ratio':>8}{'records/sync':>14}")
    for threads in (1, THREADS):
        rounds = [[measure(make, threads) for make in WRITERS.values()] for _ in range(ROUNDS)]
        medians = [
            [statistics.median(values) for values in zip(*found, strict=True)] for found in zip(*rounds, strict=True)
        ]
        for name, (speed, a_sync) in zip(WRITERS, medians, strict=True):
            print(f"{name:<28}{threads:>8}{speed:>12,.0f}{speed / medians[0][0]:>7.2f}x{a_sync:>14.2f}")


if __name__ == "__main__":
    main()
