"""A trail's state over time: each event advances it, each commit stores it, growth of all trails together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from auditwatch.errors import StateUnwritable
from auditwatch.ledger.advance import advance
from auditwatch.ledger.damage import Finding, FindingState, ViolationRow
from auditwatch.ledger.effects import Commit, Need
from auditwatch.ledger.events import Event
from auditwatch.ledger.runs import Mode, RunRecord
from auditwatch.ledger.state import Policy, TrailState, begin, resume
from auditwatch.ledger.violations import news_of
from auditwatch.ledger.writes import Writes, by_reason, is_success_alone
from auditwatch.state.marks import is_growth_alone
from auditwatch.state.store import Store
from auditwatch.state.tables import Rows, TrailStep


@dataclass(frozen=True, slots=True)
class News:
    """What one step found, for the log.

    Attributes:
        trail: Its name.
        findings: New damage, including inherited damage.
        violations: New ones, and those that were seen again.
        failed: Failed writes that are new, by reason.
    """

    trail: str
    findings: tuple[Finding, ...] = ()
    violations: tuple[ViolationRow, ...] = ()
    failed: Mapping[str, int] = field(default_factory=dict)


GROWTH_SECONDS: Final = 1.0
"""Between two commits of nothing but growth: after a kill, what came in between is judged again."""

OnNews = Callable[[News], None]


class Growth:
    """What only grew since it was stored: one transaction for all trails, as each costs its pages and their journal."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[str, Recorder] = {}
        self._stored_at = float("-inf")

    def add(self, recorder: Recorder) -> None:
        """Store this one with the next transaction."""
        self._waiting[recorder.key] = recorder

    def discard(self, recorder: Recorder) -> None:
        """It was stored, or is retired."""
        if self._waiting.get(recorder.key) is recorder:
            del self._waiting[recorder.key]

    def keep_up(self) -> None:
        """Store all that wait, if it is time."""
        if self._waiting and time.monotonic() - self._stored_at >= GROWTH_SECONDS:
            self._stored_at = time.monotonic()
            self.save(tuple(self._waiting.values()))

    def save(self, recorders: Sequence[Recorder]) -> bool:
        """Store everything of these that is not stored yet, in one transaction; False if it cannot be written."""
        recorders = [recorder for recorder in recorders if not recorder.is_retired]
        if not recorders:
            return True
        try:
            self._store.commit_all([recorder.unsaved() for recorder in recorders])
        except StateUnwritable as error:
            for recorder in recorders:
                recorder.not_saved(str(error))
            return False
        for recorder in recorders:
            recorder.saved()
            self.discard(recorder)
        return True


class Recorder:
    """The state of one trail, in memory and in the store.

    A commit that fails loses nothing: the state in memory advances, and the next commit includes what is unsaved.

    Attributes:
        key: How the store knows the trail.
        state: As of the last event.
        failures: How many commits failed.
        trouble: Why the last one that was tried did not reach the store; empty if it did.
        is_retired: Whether another recorder may have taken over the trail; this one changes nothing any more.
    """

    def __init__(self, store: Store, key: str, policy: Policy, found: OnNews, growth: Growth | None = None) -> None:
        self._store = store
        self._growth = growth or Growth(store)
        self.key = key
        self._found = found
        self._saved = store.load(key)
        self._unsaved: dict[tuple[int, int, str], tuple[int, Finding]] = {}
        self._undropped: dict[tuple[int, int, str], tuple[int, Finding]] = {}
        self._unsaved_runs: set[Mode] = set()
        self._runs = {mode: store.run(key, mode) for mode in Mode}
        self.state: TrailState = resume(self._saved, policy) if self._saved else begin(key.partition("=")[0], policy)
        self.failures = 0
        self.is_retired = False
        self.trouble = ""

    def tell_loss(self) -> None:
        """Have the trail say what was lost of it, if anything was."""
        told = self._store.lost(self.key)
        if told is None:
            return
        self.apply(told)
        if self.is_saved:
            with suppress(StateUnwritable):  # it is told again, and knows it
                self._store.settle(self.key)

    def retire(self) -> None:
        """Save what is unsaved, then store nothing more: another recorder may take over the trail."""
        self.save()
        self._growth.discard(self)
        self.is_retired = True

    def apply(self, event: Event) -> tuple[Need, ...]:
        """Advance by one event, store what must be stored, report what is new; returns what is still to be done."""
        if self.is_retired:
            return ()
        before = self.state
        self.state, effects = advance(before, event)
        commits = [effect for effect in effects if isinstance(effect, Commit)]
        if commits:
            self._commit(commits, before)
        return tuple(effect for effect in effects if not isinstance(effect, Commit))

    def _commit(self, commits: Sequence[Commit], before: TrailState) -> None:
        """Store first, then report: a kill may lose a log line, never a finding."""
        changed = [pair for commit in commits for pair in commit.findings]
        for commit in commits:
            self._note(commit)
        if self._unsaved or self._undropped or not self._may_wait():
            self.save()
        else:
            self._growth.add(self)
            self.keep_up()
        findings = tuple(f for _, f in changed if f.first_seen == f.last_seen and f.state is FindingState.OPEN)
        violations = news_of(before.violations, self.state.violations)
        failed = _newly_failed(before.writes, self.state.writes)
        if findings or violations or failed:
            self._found(News(self.state.name, findings, violations, failed))

    def _may_wait(self) -> bool:
        """Whether what is unsaved is nothing but growth, of the trail and of what its writers stored."""
        saved, state = self._saved, self.state
        if saved is None or not is_success_alone(saved.writes, state.writes):
            return False
        alike = saved if saved.writes is state.writes else replace(saved, writes=state.writes)
        return is_growth_alone(alike, state)

    def store_anew(self) -> bool:
        """Store everything that is known, because the store may hold anything; False if it cannot be written."""
        self._saved = self._store.load(self.key)
        self._unsaved = _findings(self.state)
        stored = _findings(self._saved) if self._saved else {}
        self._undropped = {key: pair for key, pair in stored.items() if key not in self._unsaved}
        self._unsaved_runs = set(Mode)
        return self.save()

    def _note(self, commit: Commit) -> None:
        for rows, to, away_from in (
            (commit.findings, self._unsaved, self._undropped),
            (commit.dropped, self._undropped, self._unsaved),
        ):
            for number, finding in rows:
                key = number, finding.offset, finding.sha256
                to[key] = number, finding
                away_from.pop(key, None)

    def run(self, mode: Mode) -> RunRecord:
        """What is remembered of the runs of one mode."""
        return self._runs[mode]

    def record(self, mode: Mode, **changes: float) -> None:
        """Change a run record; it is stored with the next commit."""
        self._runs[mode] = replace(self._runs[mode], **changes)  # type: ignore[arg-type]  # int and float fields
        self._unsaved_runs.add(mode)

    def keep_up(self) -> None:
        """Store what is not stored yet, if it is time: what failed at once, growth a second after the last."""
        if self.trouble:
            self.save()
        else:
            self._growth.keep_up()

    @property
    def is_saved(self) -> bool:
        """Whether the last commit that was tried reached the store."""
        return not self.trouble

    def save(self) -> bool:
        """Store everything that is not stored yet, in one transaction; False if the store cannot be written."""
        return self.is_retired or self._growth.save((self,))

    def unsaved(self) -> TrailStep:
        """The step from what is stored to what is known."""
        runs = tuple((mode.value, self._runs[mode]) for mode in self._unsaved_runs)
        rows = Rows(tuple(self._unsaved.values()), runs, tuple(self._undropped.values()))
        return TrailStep(self.key, self._saved, self.state, rows)

    def saved(self) -> None:
        """That step was stored."""
        self.trouble = ""
        self._saved = self.state
        self._unsaved.clear()
        self._undropped.clear()
        self._unsaved_runs.clear()

    def not_saved(self, why: str) -> None:
        """That step could not be stored: the next one includes it."""
        self.failures += 1
        self.trouble = why


def _findings(state: TrailState) -> dict[tuple[int, int, str], tuple[int, Finding]]:
    return {
        (segment.number, finding.offset, finding.sha256): (segment.number, finding)
        for segment in state.segments
        for finding in segment.findings
    }


def _newly_failed(before: Writes, after: Writes) -> dict[str, int]:
    """Failures that were counted in this step; none if they are from before watching began."""
    if not before.id and not after.open:
        return {}
    counted = after.total.beyond(before.total)
    return {reason: number for reason, number in by_reason(counted.failed).items() if number}
