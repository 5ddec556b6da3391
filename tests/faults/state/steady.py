"""A process that stores one step after another and tells each one that is stored, until it is killed.

Run as `python -m tests.faults.state.steady DIRECTORY TOLD BOOT SEED`. TOLD is a file of two numbers, written after each
commit: the judged position that was stored, and how many findings were.
"""

from __future__ import annotations

import os
import random
import struct
import sys
import time
from dataclasses import replace
from pathlib import Path

from auditwatch.errors import StateUnwritable
from auditwatch.ledger.damage import Finding
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import Policy, Standing, TrailState, begin
from auditwatch.state.store import Store, trail_key
from auditwatch.trail.kinds import Kind

KEY = trail_key("risk", "/var/log/risk.jsonl")
TOLD = struct.Struct("<QQ")


def found(offset: int) -> Finding:
    """One damaged line; its id is its offset."""
    return Finding(f"f{offset:010x}", 1, offset, 9, Kind.TORN, f"{offset:064x}", 1, False, 1.0, 1.0)


def first() -> TrailState:
    """A trail at its first look."""
    active = Segment(1, "risk.jsonl", 1, 1, 1 << 40, 1.0)
    return replace(begin("risk", Policy("0" * 16)), first_seen=1.0, standing=Standing.PRESENT, active=active)


def findings_in(state: TrailState) -> int:
    """How many findings a trail has, over all segments."""
    return sum(len(segment.findings) for segment in state.segments)


def grown(state: TrailState, dice: random.Random) -> tuple[TrailState, tuple[tuple[int, Finding], ...]]:
    """The next step: mostly growth, now and then a finding or a rotation."""
    active = state.active
    assert active
    chance, judged = dice.random(), active.judged + 100
    after = replace(active, judged=judged, read=judged, lines=active.lines + 1)
    if chance < 0.1:
        one = found(active.judged)
        return replace(state, active=replace(after, findings=(*active.findings, one))), ((active.number, one),)
    if chance < 0.12:
        closed = replace(after, closed=True, name=f"risk.jsonl.{active.number}")
        fresh = Segment(active.number + 1, "risk.jsonl", 1, active.number + 1, 1 << 40, 1.0, judged=judged, read=judged)
        return replace(state, active=fresh, closed=(*state.closed, closed), next_number=fresh.number + 1), ()
    return replace(state, active=after), ()


def tell(descriptor: int, state: TrailState) -> None:
    """That this state is stored."""
    assert state.active
    os.pwrite(descriptor, TOLD.pack(state.active.judged, findings_in(state)), 0)


def main(directory: str, told: str, boot: str, seed: str) -> None:
    """Store steps for ever; a step that finds no room is tried again."""
    dice = random.Random(seed)
    descriptor = os.open(told, os.O_RDWR | os.O_CREAT, 0o600)
    store = Store.open(directory, 1.0, boot)
    state = store.load(KEY)
    if state is None:
        state = first()
        store.commit(KEY, None, state)
    tell(descriptor, state)  # the last one before a kill was perhaps not told
    os.write(1, b"begun\n")
    while True:
        after, findings = grown(state, dice)
        try:
            store.commit(KEY, state, after, findings)
        except StateUnwritable as error:
            if not Path(directory).exists() or "disk I/O" in str(error):
                raise SystemExit(3) from error  # the power is cut
            time.sleep(0.001)  # no test waits for this: a program that meets a full disk does not spin
            continue
        state = after
        tell(descriptor, state)


if __name__ == "__main__":
    main(*sys.argv[1:])
