"""The page at `/`: one card per trail, findings below, readable without JavaScript."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from auditwatch.ledger.damage import FindingState, ViolationRow
from auditwatch.ledger.runs import Mode
from auditwatch.ledger.writes import by_reason
from auditwatch.trail.ids import write_failures_id
from auditwatch.trail.verdict import Basis, Verdict
from auditwatch.trail.words import count_text, size_text
from auditwatch.web import wording
from auditwatch.web.facts import Facts
from auditwatch.web.glosses import GLOSSES
from auditwatch.web.ranges import FindingRange, ranges
from auditwatch.web.snapshot import RunStatus, Snapshot
from auditwatch.web.status import lock_waits, verdict_sentence
from auditwatch.web.trailmap import MAX_CELLS, Cell, CellState, cells

MAX_CARDS: Final = 200
MAX_ROWS: Final = 200
ALL_CELLS: Final = 16_384
"""Cells on the whole page: with very many trails each map gets coarser, to keep the page light."""

_BASES: Final = {Basis.FORMAT: "format", Basis.RECORDED_HISTORY: "recorded history"}


@dataclass(frozen=True, slots=True)
class Freshness:
    """When one way of looking last happened.

    Attributes:
        is_late: Whether it is overdue by half its interval.
    """

    name: str
    last: float
    every: float
    progress: float | None
    corrupt_lines: int
    is_late: bool


@dataclass(frozen=True, slots=True)
class Written:
    """What the writers of a trail counted.

    Attributes:
        failed: All failed writes, also those from before watching began; `reasons` names them.
        waits: Appends that waited long for the locks; empty where none did.
        trouble: Why the counters cannot be read; empty where they can.
    """

    is_counted: bool
    stored: int
    failed: int
    reasons: str
    open: int
    last_failure: float
    waits: str
    trouble: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Failed writes of a trail that are not acknowledged, as a row of the table."""

    id: str
    reasons: str
    number: int
    seen: float


@dataclass(frozen=True, slots=True)
class Card:
    """What the page shows of one trail."""

    facts: Facts
    name: str
    verdict: Verdict
    sentence: str
    basis: str
    trouble: str
    freshness: tuple[Freshness, ...]
    cells: tuple[Cell, ...]
    map_text: str
    legend: tuple[CellState, ...]
    writes: Written


@dataclass(frozen=True, slots=True)
class Row:
    """One range of findings, one violation, or failed writes, in the table."""

    trail: str
    segment: str
    range: FindingRange | None = None
    violation: ViolationRow | None = None
    failed: Failed | None = None


def render_page(snapshot: Snapshot, now: float) -> str:
    """The whole page as text."""
    facts = sorted(
        map(Facts.of, snapshot.trails), key=lambda f: (list(Verdict).index(f.verdict(now)), not f.failures_open)
    )
    verdicts = Counter(f.verdict(now) for f in facts)
    shown, rows = facts[:MAX_CARDS], _rows(facts)
    most = max(16, min(MAX_CELLS, ALL_CELLS // max(1, len(shown))))
    return _template().render(
        snapshot=snapshot,
        agent=snapshot.agent,
        now=now,
        cards=[_card(f, now, most) for f in shown],
        cards_left=len(facts) - len(shown),
        verdicts=[(verdict, verdicts[verdict]) for verdict in Verdict if verdicts[verdict]],
        failed_writes=sum(f.failures_open for f in facts),
        overall=Verdict.worst(verdicts),
        rows=rows,
        left=_left(facts, rows),
        glosses=GLOSSES,
        place=place,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("auditwatch.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = ("count", "duration", "ago", "moment", "visible")
    environment.filters.update({word: getattr(wording, word) for word in words})
    environment.filters.update(size=size_text, count_text=count_text)
    return environment.get_template("page.html")


def _card(facts: Facts, now: float, most: int) -> Card:
    trouble, drawn = facts.trouble(), cells(facts.trail.state.files, most)
    states = {cell.state for cell in drawn}
    return Card(
        facts=facts,
        name=wording.visible(facts.trail.name),
        verdict=facts.verdict(now),
        sentence=verdict_sentence(facts, now),
        basis=", ".join(_BASES[basis] for basis in facts.basis) or "nothing yet",
        trouble="" if trouble is None else trouble.message,
        freshness=tuple(_freshness(facts, now)),
        cells=drawn,
        map_text=_map_text(drawn),
        legend=tuple(state for state in CellState if state in states),
        writes=_written(facts),
    )


def _written(facts: Facts) -> Written:
    writes = facts.writes
    return Written(
        is_counted=bool(writes.id),
        stored=writes.total.stored,
        failed=sum(writes.total.failed),
        reasons=wording.reasons(by_reason(writes.total.failed)),
        open=facts.failures_open,
        last_failure=writes.last_failure,
        waits=_waits(**lock_waits(writes)),
        trouble=wording.visible(writes.trouble),
    )


def _waits(over_1s: int, timed_out: int) -> str:
    said = ((over_1s, "over 1 s"), (timed_out, "timed out"))
    return ", ".join(f"{wording.count(number)} {words}" for number, words in said if number)


def _freshness(facts: Facts, now: float) -> Iterator[Freshness]:
    names = {Mode.TAIL: "look", Mode.FULL: "full run", Mode.SAMPLE: "sample"}
    for mode, name in names.items():
        run = facts.trail.runs[mode]
        yield Freshness(
            name, run.last_success, run.interval_seconds, run.progress, run.corrupt_lines, _is_late(run, now)
        )


def _is_late(run: RunStatus, now: float) -> bool:
    """A minute of grace, so that a look every second is not called late at once."""
    is_due = run.interval_seconds > 0 and run.last_success > 0
    return is_due and now - run.last_success > 1.5 * run.interval_seconds + 60


def _map_text(drawn: Sequence[Cell]) -> str:
    """The map in words, for screen readers."""
    if not drawn:
        return "No bytes."
    counts = Counter(cell.state for cell in drawn)
    said = ", ".join(f"{counts[state]} {state.wording}" for state in sorted(counts, reverse=True))
    damaged = [place(cell) for cell in drawn if cell.state is CellState.DAMAGED]
    where = f". Damaged: {'; '.join(damaged[:8])}" + (" and more" if len(damaged) > 8 else "") if damaged else ""
    return f"Map of {count_text(len(drawn), 'cell')}: {said}{where}."


def place(cell: Cell) -> str:
    """Which bytes a cell stands for."""
    first, last = wording.visible(cell.first_segment), wording.visible(cell.last_segment)
    if cell.last_segment == cell.first_segment:
        return f"{first}, bytes {cell.start:,} to {cell.end:,}"
    return f"{first}, byte {cell.start:,} to {last}, byte {cell.end:,}"


def _rows(facts: Sequence[Facts]) -> list[Row]:
    """Failed writes and violations first, then open damage, then what was acknowledged; each by trail and place."""
    failed = (row for f in facts if (row := _failed(f)) is not None)
    violations = chain.from_iterable(map(_violations, facts))
    found = chain.from_iterable(_ranges(f, state) for state in _LISTED for f in facts)
    return list(islice(chain(failed, violations, found), MAX_ROWS))


_LISTED: Final = (FindingState.OPEN, FindingState.ACKNOWLEDGED)


def _failed(facts: Facts) -> Row | None:
    writes, name = facts.writes, facts.trail.name
    if not writes.open:
        return None
    reasons = wording.reasons(by_reason(writes.failures_open))
    failed = Failed(write_failures_id(name), reasons, facts.failures_open, writes.open[-1].seen)
    return Row(name, "", failed=failed)


def _violations(facts: Facts) -> Iterator[Row]:
    return (Row(facts.trail.name, row.segment, violation=row) for row in facts.trail.state.open_violations)


def _ranges(facts: Facts, state: FindingState) -> Iterator[Row]:
    for segment in facts.trail.state.segments:
        for found in ranges(finding for finding in segment.findings if finding.state is state):
            yield Row(facts.trail.name, segment.name, range=found)


def _left(facts: Sequence[Facts], rows: Sequence[Row]) -> int:
    """Damaged lines and violations that the table does not show; failed writes are few and come first."""
    shown = sum((1 if row.range is None else row.range.lines) for row in rows if row.failed is None)
    return sum(f.damage.open + f.damage.acknowledged + f.violations_open for f in facts) - shown
