"""The text report on one outcome: the verdict first, then what it is based on, where the damage is, what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from auditwatch.trail.causes import CAUSES
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.trail.names import printable
from auditwatch.trail.verdict import Verdict
from auditwatch.trail.words import count_text, size_text
from auditwatch.validation.once.comparison import Comparison
from auditwatch.validation.once.filemap import file_map
from auditwatch.validation.once.outcome import Found, Outcome

MAX_PLACES: Final = 20
"""Most places that the text lists; the JSON has more."""


def report_text(outcome: Outcome) -> str:
    """The text for people about one path."""
    return "\n".join(_lines(outcome)) + "\n"


@dataclass(frozen=True, slots=True)
class _Place:
    """Adjacent findings of one kind."""

    first: Found
    last: Found
    lines: int

    def joined(self, found: Found) -> _Place | None:
        """This place extended by the finding, if that follows directly and is of the same kind; else None."""
        follows = found.offset == self.last.offset + self.last.length + 1 and found.segment == self.last.segment
        return replace(self, last=found, lines=self.lines + 1) if follows and found.kind == self.last.kind else None


def _lines(outcome: Outcome) -> Iterator[str]:
    name = printable(outcome.path)
    if outcome.verdict is Verdict.UNCHECKED and not outcome.segments:
        yield f"{name}: UNCHECKED"
        yield from _unchecked(outcome)
        return
    yield f"{name}: {outcome.verdict.upper()}, {_summary(outcome)}"
    yield from _segments(outcome)
    yield from _unchecked(outcome)
    yield from _witnessed(outcome)
    yield from _basis(outcome)
    yield from _pending(outcome)
    if outcome.report.corrupt_lines:
        yield from _kinds(outcome)
        yield from _map(outcome)
        yield from _places(outcome)
        yield from _next_steps(outcome)
    if outcome.digest is not None:
        yield f"  digest            {outcome.digest}"


def _unchecked(outcome: Outcome) -> Iterator[str]:
    if outcome.trouble is not None:
        yield f"  could not check   {printable(outcome.trouble.message)}"


def _summary(outcome: Outcome) -> str:
    report = outcome.report
    judged = report.lines + report.torn_tail
    damaged = f"{report.corrupt_lines:,} corrupt" if report.corrupt_lines else "none corrupt"
    rate = f", {size_text(report.bytes / outcome.seconds)}/s" if outcome.seconds else ""
    is_drawn = outcome.sampling is not None and outcome.sampling.cover is None
    lines = count_text(judged, "sampled line" if is_drawn else "line")
    return f"{lines}, {damaged} ({size_text(report.bytes)} in {outcome.seconds:.2f} s{rate})"


def _basis(outcome: Outcome) -> Iterator[str]:
    if outcome.sampling is not None:
        yield from _sampling(outcome)
    else:
        which = "every line" if outcome.coverage == 1 else "every line that could be read"
        yield f"  judged            {which}: is it one whole JSON object?"
        yield from _recorded(outcome)
    if outcome.witnessed is not None:
        yield "  not judged        whether other records were removed: of all sequence numbers and hash chains,"
        yield "                    only the expected record was searched for"
        return
    yield "  not judged        whether records were removed: sequence numbers and hash chains were not read,"
    yield "                    so missing lines cannot be detected"


def _segments(outcome: Outcome) -> Iterator[str]:
    names = [printable(name) for name in outcome.segments]
    for number, name in enumerate(names[:MAX_PLACES]):
        yield f"  {'' if number else count_text(len(names), 'segment'):<18}{name}"
    if len(names) > MAX_PLACES:
        yield f"                    and {len(names) - MAX_PLACES:,} more"
    if missing := outcome.violations.get(Violation.SEGMENT_MISSING):
        yield f"  segment_missing   {count_text(missing, 'segment')} missing, going by the numbers in their names"
    for name, read in outcome.cut_in[:MAX_PLACES]:
        yield f"  archive_cut       {printable(name)}: damaged or cut off after {count_text(read, 'byte')}"
        yield "                    of its content, which were judged; what follows could not be read"
    if len(outcome.cut_in) > MAX_PLACES:
        yield f"                    and {len(outcome.cut_in) - MAX_PLACES:,} more"


_WITNESSED: Final = {
    "there": "is there, with the expected hash",
    "changed": "is there, but with another hash: its line was rewritten",
    "removed": "is missing, but later records are there: it was removed",
    "cut": "is missing, and so are all later records: the end of the trail was cut off",
}


def _witnessed(outcome: Outcome) -> Iterator[str]:
    if outcome.witnessed is not None:
        seq, found = outcome.witnessed
        yield f"  expected last     record {seq:,} {_WITNESSED[found]}"


def _recorded(outcome: Outcome) -> Iterator[str]:
    compared = outcome.comparison
    if compared is None:
        return
    yield from _history(compared)
    if not compared.recorded:
        yield "  recorded          nothing about this file under these rules: every line was parsed"
        return
    blocks = f"{compared.unchanged:,} of {count_text(compared.recorded, 'recorded block')}"
    yield f"  recorded          {blocks} unchanged ({size_text(compared.unchanged_bytes)} hashed, not parsed)"
    if compared.unchanged < compared.recorded:
        first = f", starting at block {compared.changed[0]:,}" if compared.changed else ""
        changed = count_text(compared.recorded - compared.unchanged, "block")
        yield f"                    {changed} changed or missing{first}"


def _history(compared: Comparison) -> Iterator[str]:
    """What became of everything that the agent had judged."""
    if not compared.history:
        return
    size = size_text(compared.history)
    if compared.is_shorter:
        yield "  truncated         the file ends before the place up to which the agent had judged it"
    elif compared.rewritten:
        first, last = compared.rewritten[0], compared.rewritten[-1]
        where = f"between bytes {first.start} and {last.end}" if len(compared.rewritten) > 1 else ""
        where = where or f"bytes {first.start} to {first.end}"
        yield f"  rewritten         {where} are not what the agent had judged ({size} compared)"
    else:
        yield f"  history           {size}, all that the agent had judged, are as they were"


def _sampling(outcome: Outcome) -> Iterator[str]:
    sampling = outcome.sampling
    if sampling is None:
        return
    parts = f"one drawn from each part of the file (parts equal in {sampling.by})"
    yield f"  judged            {count_text(sampling.lines, 'line')}, {parts}; seed {sampling.seed}"
    if (share := sampling.cover) is not None:
        blocks = f"{count_text(sampling.blocks, 'block')} of 4 MiB"
        yield f"                    and every line of {blocks}: share {share.number + 1} of {share.of}"
    yield f"                    {outcome.coverage:.4%} of the file was read"
    yield f"  supports          fewer than {sampling.upper_bound:.3%} of all lines are corrupt (95 % confidence)"


def _pending(outcome: Outcome) -> Iterator[str]:
    report = outcome.report
    if report.pending_bytes:
        pending = count_text(report.pending_bytes, "byte")
        yield f"  pending           {pending} after the last newline: a producer may still be"
        yield "                    writing there, so this is not damage; use --final to judge it"
    if outcome.torn_in:
        for number, segment in enumerate(outcome.torn_in[:MAX_PLACES]):
            yield f"  {'' if number else 'torn tail':<18}{printable(segment)}: its last line was never completed"
        if len(outcome.torn_in) > MAX_PLACES:
            yield f"                    and {len(outcome.torn_in) - MAX_PLACES:,} more"
    elif report.torn_tail:
        yield "  torn tail         the last line has no newline: it was never completed"


def _kinds(outcome: Outcome) -> Iterator[str]:
    yield "  kinds"
    for kind, count in outcome.report.by_kind.items():
        yield f"    {kind.value:<16}{count:>9,}  {CAUSES[kind].meaning}"


def _map(outcome: Outcome) -> Iterator[str]:
    """The map of everything that was judged; none for a sample, which knows too few places."""
    if outcome.sampling is not None:
        return
    drawn = file_map(outcome.report)
    yield f"  map               {drawn}"
    legend = "X damaged; ? not listed individually" if "?" in drawn else "X damaged"
    yield f"                    {size_text(outcome.report.bytes / len(drawn))} per character; {legend}"


def _places(outcome: Outcome) -> Iterator[str]:
    places = _joined(outcome.findings)
    yield "  places"
    for place in places[:MAX_PLACES]:
        where = f"{printable(place.first.segment)}, " if outcome.segments else ""
        yield f"    {place.first.kind.value:<16}{where}{_place_text(place)}"
    shown = sum(place.lines for place in places[:MAX_PLACES])
    if outcome.report.corrupt_lines > shown:
        yield f"    and {outcome.report.corrupt_lines - shown:,} more; --format json lists the first 1,000"


def _joined(findings: Sequence[Found]) -> list[_Place]:
    places: list[_Place] = []
    for found in findings:
        joined = places[-1].joined(found) if places else None
        if joined is None:
            places.append(_Place(found, found, 1))
        else:
            places[-1] = joined
    return places


def _place_text(place: _Place) -> str:
    first, last = place.first, place.last
    end = last.offset + last.length
    where = f"byte offset {first.offset}, length {end - first.offset}"
    if first.line is not None:
        where = f"{_line_range(first.line, last.line)}, {where}"
    inside = f", {count_text(first.records_inside, 'whole record')} inside"
    return f"{where}{inside if place.lines == 1 and first.records_inside else ''}"


def _line_range(first: int, last: int | None) -> str:
    return f"line {first}" if first == last else f"lines {first} to {last}"


def _next_steps(outcome: Outcome) -> Iterator[str]:
    worst = max(outcome.report.by_kind, key=lambda kind: outcome.report.by_kind[kind])
    yield "  next"
    yield "    Leave the file as it is: it is evidence. Work on a copy."
    yield f"    {CAUSES[worst].remedy}"
    kinds: list[Kind] = list(outcome.report.by_kind)
    yield f"    More: {', '.join(f'auditwatch explain {kind.value}' for kind in kinds[:3])}"
