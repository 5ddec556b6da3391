"""Salvage of a file: glued and stitched records come back, nothing is invented, no byte is lost."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditwatch.errors import Unreadable
from auditwatch.salvage.dissect import Confidence, FragmentKind, Method
from auditwatch.salvage.lines import LineReader
from auditwatch.salvage.readings import Survey, salvage, survey
from auditwatch.salvage.results import Leftover, RecoveredRecord, Source
from auditwatch.salvage.window import WINDOW_LINES
from auditwatch.trail.rules import Rules

WHOLE = [
    b'{"event": "TRADE_REJECTED", "details": {"symbol": "BTC-USD", "quantity": %d}, "legs": [{"n": 1}, {}]}' % number
    for number in range(100)
]
KILL_SWITCH = b'{"event": "KILL_SWITCH", "details": {"symbol": "", "quantity": 0.1}, "legs": [{"n": 7}]}'
APPROVED = (
    b'{"event": "TRADE_APPROVED", "details": {"symbol": "ETH-USD", "quantity": 0.5}, "legs": [{"n": 2}, {"n": 3}]}'
)


@dataclass
class Taken:
    """A sink that keeps everything it is given."""

    records: list[RecoveredRecord] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)
    replacements: list[tuple[int, int, int]] = field(default_factory=list)
    survey: Survey | None = None

    def recovered(self, found: RecoveredRecord) -> None:
        self.records.append(found)

    def leftover(self, left: Leftover) -> None:
        self.leftovers.append(left)

    def replaced(self, start: int, end: int, found: list[RecoveredRecord]) -> None:
        self.replacements.append((start, end, len(found)))

    def by_confidence(self, confidence: Confidence) -> list[bytes]:
        return [one.record for one in self.records if one.confidence is confidence]


def salvaged(path: Path, data: bytes, rules: Rules = Rules(), final: bool = False) -> Taken:  # noqa: B008  frozen
    path.write_bytes(data)
    descriptor, taken = os.open(path, os.O_RDONLY), Taken()
    try:
        taken.survey = survey(descriptor, len(data), rules, final=final)
        salvage(descriptor, taken.survey, rules, taken, final=final)
    finally:
        os.close(descriptor)
    return taken


def among_whole(*lines: bytes) -> bytes:
    return b"".join(line + b"\n" for line in [*WHOLE[:50], *lines, *WHOLE[50:]])


def test_the_two_spliced_lines_of_the_origin_are_both_records_again(tmp_path: Path) -> None:
    cut = APPROVED.index(b"PPROVED")
    taken = salvaged(tmp_path / "a", among_whole(APPROVED[:cut] + KILL_SWITCH, APPROVED[cut:]))
    start = sum(map(len, WHOLE[:50])) + 50
    glued = RecoveredRecord(
        Confidence.LIKELY, Method.RECORD_HEAD, (Source(51, start + cut, len(KILL_SWITCH)),), KILL_SWITCH
    )
    second = start + cut + len(KILL_SWITCH) + 1
    sources = (Source(51, start, cut), Source(52, second, len(APPROVED) - cut))
    assert taken.records == [RecoveredRecord(Confidence.INFERRED, Method.STITCHED, sources, APPROVED), glued]
    assert taken.leftovers == []


SPLICES = {
    "inside, newline behind the inner": lambda a, b, c: [a[:c] + b, a[c:]],
    "inside, newline behind the outer": lambda a, b, c: [a[:c] + b + a[c:]],
    "inside, whole lines between": lambda a, b, c: [a[:c] + b, *WHOLE[:9], a[c:]],
    "cut in two by a newline": lambda a, b, c: [a[:c], a[c:] + b],
    "only the beginning": lambda a, b, c: [a[:c] + b],
    "only the end": lambda a, b, c: [a[c:] + b],
    "only the end, behind": lambda a, b, c: [b + a[c:]],
    "end first": lambda a, b, c: [a[c:], a[:c] + b],
    "holes": lambda a, b, c: [a[:c] + b"\0\0" + b, b"\0" + a[c:]],
}


@pytest.mark.parametrize("splice", SPLICES.values(), ids=SPLICES)
def test_wherever_a_record_is_cut_nothing_comes_back_that_was_never_written(tmp_path: Path, splice: object) -> None:
    assert callable(splice)
    for cut in range(1, len(APPROVED)):
        taken = salvaged(tmp_path / "a", among_whole(*splice(APPROVED, KILL_SWITCH, cut)))
        back = [one.record for one in taken.records]
        assert set(back) <= {APPROVED, KILL_SWITCH}, cut
        assert len(back) == len(set(back))
        assert KILL_SWITCH in back, cut


@pytest.mark.parametrize("name", ["inside, newline behind the inner", "inside, whole lines between"])
def test_wherever_a_record_is_cut_its_halves_are_found(tmp_path: Path, name: str) -> None:
    for cut in range(1, len(APPROVED)):
        taken = salvaged(tmp_path / "a", among_whole(*SPLICES[name](APPROVED, KILL_SWITCH, cut)))
        assert taken.by_confidence(Confidence.INFERRED) == [APPROVED], cut


def test_two_records_cut_at_one_place_are_not_guessed(tmp_path: Path) -> None:
    cut = APPROVED.index(b'"quantity"')
    other = APPROVED.replace(b"ETH", b"BTC")
    lines = [APPROVED[:cut], other[:cut], APPROVED[cut:], other[cut:]]
    taken = salvaged(tmp_path / "a", among_whole(*lines))
    assert taken.records == []
    assert [left.data for left in taken.leftovers] == lines
    assert {left.kind for left in taken.leftovers} == {FragmentKind.BEGINNING, FragmentKind.END}


BEGINNING, END = APPROVED[: APPROVED.index(b"ETH")], APPROVED[APPROVED.index(b"ETH") :]
GLUED = KILL_SWITCH + APPROVED.replace(b"ETH", b"XRP")
UNKNOWN = b'{"event": "X", "quantity": 1}'
HOLE = bytes(16)


def confidences(path: Path, *lines: bytes) -> str:
    """The first letters of the confidences of all that comes back from these lines among whole ones."""
    return "".join(one.confidence[0] for one in salvaged(path / "a", among_whole(*lines)).records)


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (BEGINNING + b"\\", b"?" + END),
        (BEGINNING, END),  # stitched, but perhaps wrongly
        (b'"id": 1}{"e', b'vent": 1}{"e'),
        (HOLE, b"?" + END),
        (BEGINNING + b"\\", HOLE),
        (BEGINNING + b"\\", HOLE + END),
    ],
)
def test_records_between_pieces_of_others_are_not_certain(tmp_path: Path, before: bytes, behind: bytes) -> None:
    """Their own halves may be those of two others: `B1` `A`, `A1 B2`, `A2`."""
    assert confidences(tmp_path, before, GLUED, behind).replace("i", "") == "ll"
    assert confidences(tmp_path, before, GLUED) == "cc"
    assert confidences(tmp_path, GLUED, behind) == "cc"
    assert confidences(tmp_path, before, *WHOLE, *WHOLE, *WHOLE, GLUED, behind) == "cc"
    assert confidences(tmp_path, before, GLUED, *WHOLE, *WHOLE, *WHOLE, behind) == "cc"


@pytest.mark.parametrize("before", [HOLE, BEGINNING + HOLE, HOLE + END, END, BEGINNING + b"\0", b"12", b" "])
@pytest.mark.parametrize("behind", [HOLE, BEGINNING + HOLE, HOLE + END, BEGINNING, b"\0" + END, b"12", b" "])
def test_records_are_certain_where_holes_and_pieces_around_cannot_be_their_halves(
    tmp_path: Path, before: bytes, behind: bytes
) -> None:
    assert confidences(tmp_path, before, GLUED, behind) == "cc"


def test_the_parts_of_a_line_are_neighbours_too(tmp_path: Path) -> None:
    assert confidences(tmp_path, BEGINNING + b"\\" + GLUED, END) == "ll"
    assert confidences(tmp_path, b'{"e}' + GLUED + b'"}') == "ll"
    assert confidences(tmp_path, b'{"e}' + GLUED) == "lc"
    assert confidences(tmp_path, GLUED + b'"id": 1}') == "cc"


def test_doubt_spreads_as_far_as_pieces_follow(tmp_path: Path) -> None:
    far = [*WHOLE, *WHOLE]
    assert confidences(tmp_path, BEGINNING + b"\\", *far, GLUED, *far, GLUED, b"?" + END) == "llll"
    assert confidences(tmp_path, BEGINNING + b"\\", *far, KILL_SWITCH, *far, GLUED, b"?" + END) == "cc"


def test_an_unusual_record_is_certain_unless_something_was_cut_before_it_on_its_line(tmp_path: Path) -> None:
    """The beginning of one and the end of another may lack keys, or repeat them on another level."""
    assert confidences(tmp_path, WHOLE[0] + UNKNOWN) == "cc"
    assert confidences(tmp_path, HOLE + UNKNOWN) == "c"
    assert confidences(tmp_path, b'"id": ' + WHOLE[0] + UNKNOWN + WHOLE[0]) == "llc"


def test_a_piece_that_begins_as_no_record_does_is_none_between_pieces(tmp_path: Path) -> None:
    patched = b'{"eid": "23737-3"}'
    assert confidences(tmp_path, HOLE, WHOLE[0] + patched, b'vent": "A"}') == "l"
    assert confidences(tmp_path, HOLE, WHOLE[0] + patched) == "cc"


def test_pieces_too_far_apart_are_not_stitched(tmp_path: Path) -> None:
    cut = APPROVED.index(b"PPROVED")
    between = [*WHOLE, *WHOLE, *WHOLE][: WINDOW_LINES - 1]
    assert len(salvaged(tmp_path / "a", among_whole(APPROVED[:cut], *between, APPROVED[cut:])).records) == 1
    between.append(WHOLE[0])
    assert salvaged(tmp_path / "a", among_whole(APPROVED[:cut], *between, APPROVED[cut:])).records == []


def test_what_is_missing_at_a_hole_is_looked_for_nowhere(tmp_path: Path) -> None:
    cut = APPROVED.index(b"PPROVED")
    assert salvaged(tmp_path / "a", among_whole(APPROVED[:cut] + b"\0", APPROVED[cut:])).records == []
    assert salvaged(tmp_path / "a", among_whole(APPROVED[:cut], b"\0" + APPROVED[cut:])).records == []


def test_a_line_too_long_to_be_held_is_named_by_its_place(tmp_path: Path) -> None:
    long = b'{"event": "%s"}' % (b"x" * 300)
    data = among_whole(long, b'{"event": 1}{"event": 2}')
    taken = salvaged(tmp_path / "a", data, Rules(max_line_bytes=200))
    (left,) = taken.leftovers
    assert (left.kind, left.data, left.source) == (
        FragmentKind.OVERSIZE,
        None,
        Source(51, data.index(long), len(long)),
    )
    assert len(taken.records) == 2


def test_bytes_behind_the_last_newline_are_salvaged_only_where_nobody_can_end_them(tmp_path: Path) -> None:
    data = among_whole() + KILL_SWITCH
    taken = salvaged(tmp_path / "a", data)
    assert (taken.records, taken.survey and taken.survey.pending_bytes) == ([], len(KILL_SWITCH))
    taken = salvaged(tmp_path / "a", data, final=True)
    assert [(one.confidence, one.record) for one in taken.records] == [(Confidence.CERTAIN, KILL_SWITCH)]


def test_a_trail_rewritten_between_the_two_readings_is_no_result(tmp_path: Path) -> None:
    data = among_whole(b'{"event": 1}{"event": 2}')
    (tmp_path / "a").write_bytes(data)
    descriptor = os.open(tmp_path / "a", os.O_RDONLY)
    try:
        known = survey(descriptor, len(data), Rules())
        for other in (data.replace(b"BTC", b"ETH"), data[:-1]):
            (tmp_path / "a").write_bytes(other)
            with pytest.raises(Unreadable) as caught:
                salvage(descriptor, known, Rules(), Taken())
            assert caught.value.reason == "changed"
    finally:
        os.close(descriptor)


PIECES = st.sampled_from(
    [
        *[APPROVED, KILL_SWITCH, APPROVED[:20], APPROVED[20:], APPROVED[:50], APPROVED[50:], KILL_SWITCH[:30]],
        *[b"\n", b"\n", b"\n", b"\0\0", b" ", b"}", b"{}", b"\xff", b"\r", b"[", b"12", b'{"event":1}', b"x" * 150],
    ]
)


@given(st.lists(PIECES, max_size=30), st.booleans())
def test_every_damaged_byte_is_in_one_record_or_fragment_or_white_space(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], final: bool
) -> None:
    data = among_whole()[:5000] + b"\n" + b"".join(pieces)
    path = tmp_path_factory.getbasetemp() / "pieces"
    taken = salvaged(path, data, Rules(max_line_bytes=130), final)
    places = sorted((place.offset, place.length) for place in sources(taken))
    for (offset, length), (following, _) in pairwise(places):
        assert offset + length <= following
    accounted = bytearray(data)
    for offset, length in reversed(places):
        accounted[offset : offset + length] = b""
    whole = [line for line in data.split(b"\n")[:-1] if is_record(line)]
    pending = 0 if final else len(data) - data.rindex(b"\n") - 1
    left = len(bytes(accounted).replace(b"\n", b"").replace(b" ", b"").replace(b"\r", b""))
    expected = len(b"".join([*whole, data[len(data) - pending :]]).replace(b" ", b"").replace(b"\r", b""))
    assert left == expected


def sources(taken: Taken) -> Iterator[Source]:
    for one in taken.records:
        yield from one.sources
        assert isinstance(json.loads(one.record), dict)
    yield from (left.source for left in taken.leftovers)


def is_record(line: bytes) -> bool:
    try:
        return len(line) <= 130 and isinstance(json.loads(line.decode()), dict)
    except ValueError:
        return False


@given(st.binary(max_size=60).map(lambda data: data.replace(b"a", b"\n")), st.integers(1, 9), st.integers(0, 6))
def test_lines_are_the_same_however_the_bytes_come(data: bytes, step: int, most: int) -> None:
    reader = LineReader(most)
    batches = [batch for at in range(0, len(data), step) for batch in reader.feed(data[at : at + step])]
    rest, offset, lines = reader.rest(), 0, data.split(b"\n")
    for number, batch in enumerate((b for b in batches), 1):
        assert batch.offset == offset
        offset += batch.size
        assert batch.number == 1 + sum(len(earlier.lines) or 1 for earlier in batches[: number - 1])
    seen: list[bytes | None] = [line for batch in batches for line in (batch.lines or [None])]
    assert seen == [line if len(line) <= most else None for line in lines[:-1]]
    assert (rest.size, rest.offset) == (len(lines[-1]), offset)
