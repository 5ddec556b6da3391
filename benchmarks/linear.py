"""Whether the work on a damaged line is linear in its length: CPU time for n bytes, compared with that for 2n."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from auditwatch.salvage.dissect import dissect
from auditwatch.salvage.habits import Habits
from auditwatch.trail.judge.explain import explain, records_inside
from auditwatch.trail.rules import Rules

BYTES = 1 << 18
ROUNDS = 5

PIECES = {
    "records without newlines": b'{"event":"TRADE_APPROVED","details":{"symbol":"BTC-USD","quantity":0.5}}',
    "records cut by records": b'{"event":"TRADE_A{"event":"KILL_SWITCH","details":{"reason":"x"}}PPROVED","n":1}}',
    "heads": b'{"event":',
    "heads in strings": b'{"event":"{',
    "braces in strings": b'"{":',
    "closed too often": b'{"event":1}}',
    "open brackets": b"[",
    "quotes": b'"',
    "backslashes": b"\\",
    "escapes": b'"\\u00',
    "NULs and braces": b"\0{",
    "blanks": b"   ",
    "digits": b"1",
    "marks": b"\xef\xbb\xbf",
    "members": b'"a":1,',
}
HABITS = Habits(b'"event"')


def main() -> None:
    """Print a table; about 2.0 is linear, 4.0 is quadratic."""
    print(f"Lines of {BYTES >> 10} KiB and {BYTES >> 9} KiB, medians of {ROUNDS}; ratio about 2 is linear.\n")
    print("| line | explain, ms | ratio | salvage, ms | ratio |\n|---|---|---|---|---|")
    for name, piece in PIECES.items():
        print(f"| {name} | {_both(_explained, piece)} | {_both(_dissected, piece)} |")


def _explained(line: bytes) -> None:
    explain(line, Rules())
    records_inside(line)


def _dissected(line: bytes) -> None:
    dissect(line, HABITS)


def _both(work: Callable[[bytes], None], piece: bytes) -> str:
    once = b'{"event":"' + piece * (BYTES // len(piece))
    short, long = _seconds(work, once), _seconds(work, once + piece * (BYTES // len(piece)))
    return f"{1000 * short:.1f} | {long / short:.2f}"


def _seconds(work: Callable[[bytes], None], line: bytes) -> float:
    """Median CPU time, so that other work on the machine does not count."""
    taken = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        work(line)
        taken.append(time.process_time() - begun)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
