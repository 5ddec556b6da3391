"""A scrape with 1,000 trails: our joined text compared with client_python's, from the same snapshot, in one run."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace

from prometheus_client import CollectorRegistry, generate_latest

from auditwatch.ledger.runs import Mode
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import Policy, Standing, TrailState
from auditwatch.web.collector import Exposition, SnapshotCollector
from auditwatch.web.snapshot import AgentStatus, RunStatus, Snapshot, TrailSnapshot, Volume

TRAILS = 1000
CHANGED = 100
"""Trails that grew since the previous scrape."""

ROUNDS = 60
PEER_ROUNDS = 10


def snapshot(trails: int = TRAILS) -> Snapshot:
    """An agent with this many quiet trails."""
    now = time.time()
    return Snapshot(now, 1, AgentStatus("0", "3", now), tuple(_trail(f"trail-{k:04}", now) for k in range(trails)))


def _trail(name: str, now: float) -> TrailSnapshot:
    segment = Segment(1, f"{name}.jsonl", 1, 1, 275_000, now, judged=275_000, read=275_000, lines=1000)
    state = TrailState(name, Policy("0" * 16), standing=Standing.PRESENT, active=segment, last_append=now)
    return TrailSnapshot(name, f"/var/log/{name}.jsonl", state, volume=Volume(1 << 34, 1 << 36, 1 << 20))


def _grown(before: Snapshot, first: int) -> Snapshot:
    """The same snapshot with `CHANGED` trails one line longer."""
    some = range(first, first + CHANGED)
    trails = tuple(_longer(t) if k in some else t for k, t in enumerate(before.trails))
    return replace(before, revision=before.revision + 1, trails=trails)


def _longer(trail: TrailSnapshot) -> TrailSnapshot:
    segment = trail.state.active
    if segment is None:
        return trail
    end = segment.size + 275
    grown = replace(segment, size=end, judged=end, read=end, lines=segment.lines + 1)
    return replace(trail, state=replace(trail.state, active=grown))


def _looked_at(before: Snapshot) -> Snapshot:
    """The same snapshot after every trail was looked at again, and is as it was."""
    trails = (replace(trail, runs={**trail.runs, Mode.TAIL: _later(trail)}) for trail in before.trails)
    return replace(before, revision=before.revision + 1, trails=tuple(trails))


def _later(trail: TrailSnapshot) -> RunStatus:
    run = trail.runs[Mode.TAIL]
    return replace(run, last_attempt=run.last_attempt + 10, last_success=run.last_success + 10)


def _seconds(action: Callable[[], object]) -> float:
    """Of CPU: a scrape does nothing else, and what else the machine does is not its cost."""
    start = time.process_time()
    action()
    return time.process_time() - start


def _line(name: str, seconds: list[float]) -> str:
    ordered = sorted(seconds)
    p50, p99 = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"{name:<52} p50 {p50 * 1000:7.1f} ms   p99 {p99 * 1000:7.1f} ms"


def main() -> None:
    """Print the figures of both sides."""
    current = snapshot()
    exposition = Exposition(lambda: current)
    peer = CollectorRegistry()
    peer.register(SnapshotCollector(lambda: current))
    first = _seconds(exposition.text)
    lines = exposition.text().count(b"\n")
    gc.collect()
    quiet = [_seconds(exposition.scrape) for _ in range(ROUNDS)]
    busy = []
    for turn in range(ROUNDS):
        current = _grown(current, turn * CHANGED % TRAILS)
        busy.append(_seconds(exposition.scrape))
    looked = []
    for _ in range(ROUNDS):
        current = _looked_at(current)
        looked.append(_seconds(exposition.scrape))
    peers = [_seconds(lambda: generate_latest(peer)) for _ in range(PEER_ROUNDS)]
    print(f"scrape, {TRAILS:,} trails, {lines:,} lines of text; CPU time")
    print(f"{'the very first, everything written once':<52} once {first * 1000:6.1f} ms")
    print(_line("auditwatch, nothing changed", quiet))
    print(_line(f"auditwatch, {CHANGED} trails changed since the last scrape", busy))
    print(_line("auditwatch, all trails looked at again since", looked))
    print(_line("client_python generate_latest, same snapshot", peers))


if __name__ == "__main__":
    main()
