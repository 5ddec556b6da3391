"""Status and findings as plain values, for the endpoints and for the command line; the shape is in docs/http.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from auditwatch.ledger.damage import Acknowledgement, Finding, FindingState, Rebaseline, ViolationRow
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.writes import Writes, by_reason
from auditwatch.trail.counters import TIMED_OUT, WAIT_BOUNDS_SECONDS
from auditwatch.trail.ids import unlisted_id, write_failures_id
from auditwatch.trail.kinds import HYGIENE, Kind, Violation
from auditwatch.trail.verdict import Verdict
from auditwatch.trail.words import count_text
from auditwatch.web.facts import Facts
from auditwatch.web.snapshot import RunStatus, Snapshot, TrailSnapshot
from auditwatch.web.wording import visible

FINDINGS_PER_ANSWER: Final = 1000
"""The most findings in one answer; `total` says how many there are."""

LONG_WAIT_SECONDS: Final = 1.0
"""Waiting for the locks counts as long from here on; one of the bounds that writers count by."""


def status_json(snapshot: Snapshot, now: float | None = None) -> dict[str, Any]:
    """What `/api/v1/status` answers; `now` defaults to the time of the snapshot."""
    at = snapshot.at if now is None else now
    trails = [_trail(Facts.of(trail), at) for trail in snapshot.trails]
    return {
        "version": snapshot.agent.version,
        "host": visible(snapshot.agent.host),
        "at": snapshot.at,
        "started": snapshot.agent.started,
        "revision": snapshot.revision,
        "verdict": Verdict.worst(trail["verdict"] for trail in trails),
        "state_writable": snapshot.agent.state_writable,
        "trails": trails,
    }


def verdict_sentence(facts: Facts, now: float) -> str:
    """What the verdict means, and what it does not."""
    failed = facts.failures_open
    if not failed:
        return _sentence(facts, now)
    missing = "write failed: its record" if failed == 1 else "writes failed: their records"
    return f"{_sentence(facts, now)} {failed:,} {missing} may be missing."


def _sentence(facts: Facts, now: float) -> str:
    verdict = facts.verdict(now)
    if verdict is Verdict.DAMAGED:
        return _damage_sentence(facts)
    if verdict is Verdict.UNCHECKED:
        return _unchecked_sentence(facts)
    if not facts.total_bytes:
        return "Empty: there is nothing to judge yet."
    noted = facts.damage.acknowledged
    but = f", except {count_text(noted, 'acknowledged line')}" if noted else ""
    return f"Every line is well-formed{but}. Missing lines cannot be detected: no sequence numbers were checked."


def _damage_sentence(facts: Facts) -> str:
    parts = []
    if new := facts.damage.open - facts.damage.inherited:
        parts.append(f"{count_text(new, 'damaged line')} found since watching began")
    if inherited := facts.damage.inherited:
        there = "was" if inherited == 1 else "were"
        parts.append(f"{count_text(inherited, 'damaged line')} {there} there before watching began")
    if broken := facts.violations_open:
        parts.append(f"{count_text(broken, 'violation')} of order or history")
    return "; ".join(parts).capitalize() + "."


def _unchecked_sentence(facts: Facts) -> str:
    trouble = facts.trouble()
    if trouble is not None:
        return trouble.message
    if not facts.trail.state.files:
        return "Not looked at yet."
    return "Still reading: no damage found so far."


def _trail(facts: Facts, now: float) -> dict[str, Any]:
    trail, state, trouble = facts.trail, facts.trail.state, facts.trouble()
    return {
        "name": visible(trail.name),
        "path": visible(trail.path),
        "verdict": facts.verdict(now),
        "basis": list(facts.basis),
        "text": visible(verdict_sentence(facts, now)),
        "standing": state.standing.value,
        "up": facts.is_up,
        "trouble": None if trouble is None else {"reason": trouble.reason, "message": visible(trouble.message)},
        "bytes": _bytes(facts),
        "lines": facts.lines,
        "corrupt_lines": _totals(facts),
        "by_kind": {
            kind.value: {"open": t.open, "inherited": t.inherited, "acknowledged": t.acknowledged}
            for kind, t in facts.tallies.items()
        },
        "violations": {
            kind.value: {"open": facts.violations[kind], "acknowledged": facts.violations_acknowledged[kind]}
            for kind in Violation
        },
        "writes": _writes(facts),
        "appended": {"bytes": state.appended_bytes, "lines": state.appended_lines, "last": state.last_append},
        "unlisted": _unlisted(facts),
        "first_seen": state.first_seen,
        "step": state.step,
        "last_damage": facts.last_damage,
        "rotations": state.rotations,
        "oldest_proof": trail.oldest_proof,
        "rebaselines": [_rebaseline(one) for one in state.rebaselines],
        "catching_up": facts.catching_up,
        "runs": {mode.value: _run(run) for mode, run in trail.runs.items()},
        "sample_corrupt_ratio_upper_bound": trail.sample_bound,
        "watcher": {"up": trail.watcher_up, "polling": trail.watcher_polling, "spared": trail.is_spared},
        "expired": {"segments": state.expired, "unverified": state.expired_unread},
        "segments": [_segment(segment) for segment in state.files],
        "copies": [visible(name) for name in state.copies],
    }


def _bytes(facts: Facts) -> dict[str, int]:
    return {
        "active": facts.active_bytes,
        "segments": facts.closed_bytes,
        "verified": facts.verified,
        "unverified": facts.unverified,
        "pending": facts.pending,
    }


def _totals(facts: Facts) -> dict[str, int]:
    damage = facts.damage
    return {
        "open": damage.open,
        "inherited": damage.inherited,
        "acknowledged": damage.acknowledged,
        "hygiene": facts.hygiene_open,
        "paging": facts.trail.state.paging_lines,
    }


def _writes(facts: Facts) -> dict[str, Any]:
    writes, note = facts.writes, facts.trail.state.writes_note
    return {
        "counters_up": facts.counters_up,
        "counters_trouble": visible(writes.trouble) or None,
        "counted": bool(writes.id),
        "stored": writes.total.stored,
        "failed": by_reason(writes.total.failed),
        "open": facts.failures_open,
        "open_by_reason": by_reason(writes.failures_open),
        "acknowledged": sum(writes.acknowledged),
        "acknowledgement": _note(note),
        "id": write_failures_id(facts.trail.name),
        "last_failure": writes.last_failure,
        "lock_waits": lock_waits(writes),
    }


def _unlisted(facts: Facts) -> dict[str, Any]:
    """Damaged lines that are only counted, because their segments have too many."""
    state = facts.trail.state
    counted = [tally for segment in state.segments for tally in segment.unlisted.values()]
    return {
        "id": unlisted_id(state.name),
        "open": sum(tally.open for tally in counted),
        "acknowledged": sum(tally.acknowledged for tally in counted),
        "acknowledgement": _note(state.unlisted_note),
    }


def lock_waits(writes: Writes) -> dict[str, int]:
    """Appends that waited longer than a second for the locks, and those that gave up."""
    over = WAIT_BOUNDS_SECONDS.index(LONG_WAIT_SECONDS) + 1
    waits = writes.total.lock_waits
    return {"over_1s": sum(waits[over:TIMED_OUT]), "timed_out": waits[TIMED_OUT]}


def _run(run: RunStatus) -> dict[str, Any]:
    return {
        "runs": run.runs,
        "errors": run.errors,
        "last_attempt": run.last_attempt,
        "last_success": run.last_success,
        "corrupt_lines": run.corrupt_lines,
        "interval_seconds": run.interval_seconds,
        "progress": run.progress,
    }


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "name": visible(segment.name),
        "directory": visible(segment.directory) or None,
        "closed": segment.closed,
        "bytes": segment.size,
        "verified": segment.judged,
        "pending": segment.pending,
        "lines": segment.lines,
    }


@dataclass(frozen=True, slots=True)
class FindingsQuery:
    """Which findings and violations to show.

    Attributes:
        trail: Only those of the trail with this name; None = of all trails.
        kind: Only those of this kind; None = of all kinds.
        since: Only those found at or after this time.
        open_only: Leave out what was acknowledged.
        inherited_only: Only damage that was there before watching began.
        newest_first: Whether the newest come first, those of one look in the order of their places.
        limit: The most findings, and the most violations, in the answer.
        offset: How many of each to leave out first.
    """

    trail: str | None = None
    kind: Kind | Violation | None = None
    since: float = 0.0
    open_only: bool = False
    inherited_only: bool = False
    newest_first: bool = False
    limit: int = FINDINGS_PER_ANSWER
    offset: int = 0

    def trails(self, snapshot: Snapshot) -> Iterator[TrailSnapshot]:
        """The trails asked for."""
        return (trail for trail in snapshot.trails if self.trail in (None, trail.name))

    def has(self, kind: Kind | Violation, seen: float, *, is_open: bool, is_inherited: bool = False) -> bool:
        """Whether one of this kind, found at this time, is asked for."""
        is_meant = (is_open or not self.open_only) and (is_inherited or not self.inherited_only)
        return self.kind in (None, kind) and seen >= self.since and is_meant

    @property
    def page(self) -> slice:
        """Which of all that match are listed."""
        return slice(self.offset, self.offset + self.limit)


def findings_json(snapshot: Snapshot, wanted: FindingsQuery = FindingsQuery()) -> dict[str, Any]:
    """What `/api/v1/findings` answers: places and kinds, never contents and never hashes of lines.

    `total` counts all that are stored and match, `beyond` those that are only counted because their segment has too
    many, and `beyond_ids` are the ids that stand for them, one a trail.
    """
    found = [place for trail in wanted.trails(snapshot) for place in _findings(trail, wanted)]
    broken = [row for trail in wanted.trails(snapshot) for row in _violations(trail, wanted)]
    if wanted.newest_first:
        found.sort(key=lambda place: -place[2].first_seen)
        broken.sort(key=lambda row: -row["latest"]["seen"])
    as_open = replace(wanted, open_only=True)
    return {
        "at": snapshot.at,
        "revision": snapshot.revision,
        "total": len(found),
        "beyond": sum(_beyond(trail, wanted) for trail in wanted.trails(snapshot)),
        "beyond_open": sum(_beyond(trail, as_open) for trail in wanted.trails(snapshot)),
        "beyond_ids": [unlisted_id(trail.name) for trail in wanted.trails(snapshot) if _beyond(trail, wanted)],
        "findings": [_finding(*place) for place in found[wanted.page]],
        "violations": broken[wanted.page],
        "violations_total": len(broken),
        "open_total": sum(f.state is FindingState.OPEN for _, _, f in found)
        + sum(r["state"] == "open" for r in broken),
        "rebaselines": _rebaselines(snapshot, wanted),
    }


def _findings(trail: TrailSnapshot, wanted: FindingsQuery) -> Iterator[tuple[TrailSnapshot, Segment, Finding]]:
    for segment in trail.state.segments:
        for finding in segment.findings:
            is_open, inherited = finding.state is FindingState.OPEN, finding.inherited
            if wanted.has(finding.kind, finding.first_seen, is_open=is_open, is_inherited=inherited):
                yield trail, segment, finding


def _finding(trail: TrailSnapshot, segment: Segment, finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "trail": visible(trail.name),
        "segment": visible(segment.name),
        "kind": finding.kind.value,
        "hygiene": finding.kind in HYGIENE,
        "line": finding.line,
        "offset": finding.offset,
        "length": finding.length,
        "records_inside": finding.records_inside,
        "state": finding.state.value,
        "inherited": finding.inherited,
        "first_seen": finding.first_seen,
        "last_seen": finding.last_seen,
        "acknowledgement": _note(finding.acknowledgement),
    }


def _violations(trail: TrailSnapshot, wanted: FindingsQuery) -> Iterator[dict[str, Any]]:
    return (
        _violation(trail, row)
        for row in trail.state.violations
        if wanted.has(row.kind, row.seen, is_open=row.acknowledgement is None)
    )


def _violation(trail: TrailSnapshot, row: ViolationRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "trail": visible(trail.name),
        "segment": visible(row.segment),
        "kind": row.kind.value,
        "detail": visible(row.detail),
        "seen": row.seen,
        "count": row.count,
        "latest": {
            "segment": visible(row.latest_segment or row.segment),
            "detail": visible(row.latest or row.detail),
            "seen": row.latest_seen or row.seen,
        },
        "state": "open" if row.acknowledgement is None else "acknowledged",
        "acknowledgement": _note(row.acknowledgement),
    }


def _rebaseline(one: Rebaseline) -> dict[str, Any]:
    return {
        "at": one.at,
        "by": visible(one.by),
        "reason": visible(one.reason),
        "proof": visible(one.proof),
        "violations": one.violations,
    }


def _rebaselines(snapshot: Snapshot, wanted: FindingsQuery) -> list[dict[str, Any]]:
    """Nothing about them is open, and they have no kind."""
    if wanted.open_only or wanted.kind is not None:
        return []
    return [
        {"trail": visible(trail.name), **_rebaseline(one)}
        for trail in wanted.trails(snapshot)
        for one in trail.state.rebaselines
        if one.at >= wanted.since
    ]


def _note(note: Acknowledgement | None) -> dict[str, Any] | None:
    return None if note is None else {"at": note.at, "by": visible(note.by), "reason": visible(note.reason)}


def _beyond(trail: TrailSnapshot, wanted: FindingsQuery) -> int:
    """Damaged lines that were only counted: no time is known for them, so `since` cannot leave them out."""
    return sum(_counted(segment.unlisted.items(), wanted) for segment in trail.state.segments)


def _counted(tallies: Iterable[tuple[Kind, Any]], wanted: FindingsQuery) -> int:
    asked = (tally for kind, tally in tallies if wanted.kind in (None, kind))
    if wanted.inherited_only:
        return sum(tally.inherited for tally in asked)
    return sum(tally.open + (0 if wanted.open_only else tally.acknowledged) for tally in asked)
