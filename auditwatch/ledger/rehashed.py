"""What a re-hash means: history is as it was judged, or it was rewritten, which two looks confirm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from auditwatch.ledger.blocks import blocks_of, closing, hashed_until, line_blocks, remembering
from auditwatch.ledger.damage import NamedBlock, ViolationRow
from auditwatch.ledger.effects import Commit, Effect, HashAgain, Review, Step
from auditwatch.ledger.events import Rehash, Rehashed
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import Doubt, TrailState
from auditwatch.ledger.violations import open_violation, with_row, with_violation
from auditwatch.trail.grid import BlockDigest
from auditwatch.trail.kinds import Violation
from auditwatch.trail.words import moment_text

PROOF_KEPT_SECONDS: Final = 900.0
"""How much newer the oldest proof of a segment must be to be stored for its own sake."""

MOST_NAMED: Final = 1_000
"""Most blocks that a violation names; an acknowledgement accepts these, and others open a new violation."""


def rehashed(state: TrailState, event: Rehashed) -> Step:
    """The state after blocks were hashed again; the same state if they are as remembered."""
    segment = state.segment(event.segment)
    if segment is None or segment.vanished or (state.suspicion is not None and segment is state.active):
        return state, ()  # what looks suspect of the active file, they decide
    before = state
    state, learned = _learned(state, segment, event)
    there = line_blocks(segment) if event.is_content else blocks_of(segment)
    fresh = [block for block in event.blocks if block.block.digest and _is_fresh(there, block.block)]
    state = _settled(state, segment, [block for block in fresh if block.found == block.block.digest])
    news = [block for block in fresh if block.found != block.block.digest and not _is_told(state, segment, block)]
    known = {(doubt.segment, doubt.start): doubt for doubt in state.doubts}
    twice = [block for block in news if (segment.number, block.block.start) in known]
    once = [block for block in news if (segment.number, block.block.start) not in known]
    state, confirmed = _confirmed(state, segment, twice, event)
    state, doubted = _doubted(state, segment, once, event)
    effects: tuple[Effect, ...] = (*learned, *confirmed, *doubted)
    if state != before and not any(isinstance(effect, Commit) for effect in effects):
        effects = (Commit(), *effects)
    return (state if state != before else before), effects


def _is_fresh(there: Sequence[BlockDigest], asked: BlockDigest) -> bool:
    """Whether the block is still remembered as it was when it was hashed, or has grown since."""
    known = next((block for block in there if block.start == asked.start), None)
    return known is not None and (known == asked or known.end > asked.end)


def _learned(state: TrailState, segment: Segment, event: Rehashed) -> Step:
    """Digests that nobody took when the bytes were judged, and how old the oldest proof is."""
    learned = segment
    new = tuple(replace(block.block, digest=block.found) for block in event.blocks if not block.block.digest)
    if new and segment.packed:
        learned = replace(segment, archive=new) if new[-1].end == segment.packed else segment
    elif new and new[0].start == hashed_until(segment) and new[-1].end <= segment.anchor.position:
        learned = remembering(closing(segment), new)
    if event.oldest - segment.proved >= PROOF_KEPT_SECONDS:
        learned = replace(learned, proved=event.oldest)
    return (state, ()) if learned is segment else (state.with_segment(learned), (Commit(),))


def _settled(state: TrailState, segment: Segment, same: Sequence[Rehash]) -> TrailState:
    """Blocks that are as remembered are not in doubt, and no violation names them, so that nothing else is accepted."""
    starts = {block.block.start for block in same}
    doubts = tuple(d for d in state.doubts if d.segment != segment.number or d.start not in starts)
    state = state if len(doubts) == len(state.doubts) else replace(state, doubts=doubts)
    row = open_violation(state, Violation.REWRITTEN)
    places = {(segment.number, block.block.start, block.block.end) for block in same}
    if row is None or not any((named.segment, named.start, named.end) in places for named in row.named):
        return state
    named = tuple(named for named in row.named if (named.segment, named.start, named.end) not in places)
    return with_row(state, replace(row, named=named))


def _is_of(named: NamedBlock, segment: Segment, starts: Iterable[int]) -> bool:
    return named.segment == segment.number and named.start in starts


def _is_told(state: TrailState, segment: Segment, block: Rehash) -> bool:
    """Whether the open violation names what was found, so that there is nothing new to tell."""
    row = open_violation(state, Violation.REWRITTEN)
    return row is not None and _named(segment, block) in row.named


def _named(segment: Segment, block: Rehash) -> NamedBlock:
    return NamedBlock(segment.number, block.block.start, block.block.end, block.block.digest, block.found)


def _doubted(state: TrailState, segment: Segment, blocks: Sequence[Rehash], event: Rehashed) -> Step:
    """The first look. What is judged from now on begins another digest, so that this one stays what it was."""
    if not blocks:
        return state, ()
    starts = frozenset(block.block.start for block in blocks)
    doubts = tuple(Doubt(segment.number, block.block.start, event.at, block.since) for block in blocks)
    state = replace(state, doubts=(*state.doubts, *doubts))
    last = segment.open_block
    if last is not None and last.start in starts and not segment.packed:
        state = state.with_segment(closing(state.segment(segment.number) or segment))
    return state, (HashAgain(segment.number, starts, event.is_content),)


def _confirmed(state: TrailState, segment: Segment, blocks: Sequence[Rehash], event: Rehashed) -> Step:
    """The second look: one violation for everything that was found in it."""
    if not blocks:
        return state, ()
    starts = {block.block.start for block in blocks}
    doubts = [d for d in state.doubts if d.segment == segment.number and d.start in starts]
    state = replace(state, doubts=tuple(doubt for doubt in state.doubts if doubt not in doubts))
    row = open_violation(state, Violation.REWRITTEN)
    changed = {named.start for named in row.named if named.segment == segment.number} if row else set()
    detail = _detail(segment, blocks, doubts, changed, event)
    if not _only_grew(state, segment, blocks):
        state = with_violation(state, Violation.REWRITTEN, segment.name, detail, event.at)
    row = open_violation(state, Violation.REWRITTEN)
    if row is not None:
        state = with_row(state, _naming(row, segment, blocks))
    return state, (Commit(), *(() if segment.packed else _reviews(segment, blocks)))


def _only_grew(state: TrailState, segment: Segment, blocks: Sequence[Rehash]) -> bool:
    """Whether the violation was confirmed for the beginnings of these blocks, while lines were still added to them."""
    row = open_violation(state, Violation.REWRITTEN)
    ends = {named.start: named.end for named in row.named if named.segment == segment.number} if row else {}
    return all(block.block.start in ends and ends[block.block.start] < block.block.end for block in blocks)


def _naming(row: ViolationRow, segment: Segment, blocks: Sequence[Rehash]) -> ViolationRow:
    starts = {block.block.start for block in blocks}
    kept = [named for named in row.named if not _is_of(named, segment, starts)]
    return replace(row, named=(*kept, *(_named(segment, block) for block in blocks))[:MOST_NAMED])


def _reviews(segment: Segment, blocks: Sequence[Rehash]) -> Iterable[Review]:
    return (Review(segment.number, start, end) for start, end in _ranges(blocks))


def _ranges(blocks: Sequence[Rehash]) -> list[tuple[int, int]]:
    """Where the blocks lie, adjacent ones joined."""
    ranges: list[tuple[int, int]] = []
    for block in sorted((block.block for block in blocks), key=lambda block: block.start):
        begun = ranges.pop()[0] if ranges and ranges[-1][1] == block.start else block.start
        ranges.append((begun, block.end))
    return ranges


def _is_framed(there: Iterable[BlockDigest], blocks: Sequence[Rehash], changed: Iterable[int]) -> bool:
    """Whether there are blocks around these ranges, and all of them are as recorded."""
    edges = {edge for one in _ranges(blocks) for edge in one}
    around = [b.start for b in there if (b.end in edges) != (b.start in edges)]
    outside = set(around) - {block.block.start for block in blocks}
    return bool(outside) and not outside & set(changed)


def _detail(
    segment: Segment, blocks: Sequence[Rehash], doubts: Sequence[Doubt], changed: Iterable[int], event: Rehashed
) -> str:
    """Block, byte range and looks in one line."""
    (start, end), *more = _ranges(blocks)
    first, last = blocks[0].block.k, max(b.block.k for b in blocks if b.block.end <= end)
    which = f"block {first}" if first == last else f"blocks {first} to {last}"
    others = "".join(f" and {low} to {high}" for low, high in more[:1]) if len(more) < 2 else f" and {len(more)} more"
    what = "of the compressed file" if segment.packed and not event.is_content else "of judged lines"
    since, seen = min(doubt.since for doubt in doubts), min(doubt.at for doubt in doubts)
    there = line_blocks(segment) if event.is_content else blocks_of(segment)
    around = "; the blocks around it are intact" if _is_framed(there, blocks, changed) else ""
    return (
        f"{which}, bytes {start} to {end}{others} {what}: not what was recorded; as recorded at "
        f"{moment_text(since)}, changed at {moment_text(seen)} and {moment_text(event.at)}{around}"
    )
