"""Histories without a file: whatever happens to a trail, what is known of it is what one scan would say."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from auditwatch.ledger.acknowledged import known_ids
from auditwatch.ledger.blocks import hashed_until
from auditwatch.ledger.damage import FindingState, Tally
from auditwatch.ledger.effects import Read
from auditwatch.ledger.events import Acknowledged, Forgotten, Rebaselined, Scope
from auditwatch.ledger.state import Policy, TrailState, begin
from auditwatch.trail.kinds import HISTORY, Kind, Violation
from tests.ledger.trails import NAME, POLICY, Trail, open_places, verdicts

PIECES = st.sampled_from(
    [
        b'{"event":"A","n":1}\n',
        b'{"event":"B","text":"' + b"y" * 60 + b'"}\n',
        b'{"event":"TRADE_A{"event":"KILL_SWITCH"}\n',
        b'PPROVED"}\n',
        b'{"a":1}{"b":2}\n',
        b"\n",
        b'{"event":"cut',
        b'"}\n',
        b'{"long":"' + b"z" * 230 + b'"}\n',
    ]
)


POLICIES = st.sampled_from([POLICY, replace(POLICY, max_listed=3)])
"""Room for every finding, or for three: then most damage is only counted."""


class AppendOnly(RuleBasedStateMachine):
    """Producers append, roll back their own short writes, rotate; the agent looks, reads halfway, restarts."""

    @initialize(pieces=st.lists(PIECES, max_size=4), policy=POLICIES)
    def begin(self, pieces: list[bytes], policy: Policy) -> None:
        self.trail = Trail(b"".join(pieces), policy)
        self.trail.look()
        self.history = self.trail.files[NAME].data.count(b"\n")
        self.segments = 0
        self.expired_lines = 0
        self.expired: list[tuple[str, int, str]] = []
        self.is_lost = False

    @rule(pieces=st.lists(PIECES, min_size=1, max_size=4))
    def append(self, pieces: list[bytes]) -> None:
        self.trail.append(b"".join(pieces))

    @rule()
    def roll_back(self) -> None:
        """A writer takes back its own unended bytes, as ours does after a short write."""
        data = self.trail.files[NAME].data
        del data[data.rfind(b"\n") + 1 :]

    @rule()
    def rotate(self) -> None:
        self.segments += 1
        self.trail.rename(NAME, f"audit.jsonl.{2000 + self.segments}")
        self.trail.create()

    @precondition(lambda self: f"audit.jsonl.{2000 + self.segments}" in self.trail.files)
    @rule()
    def append_late(self) -> None:
        self.trail.files[f"audit.jsonl.{2000 + self.segments}"].data += b'{"late":1}\n'

    @precondition(lambda self: any(not file.is_packed for name, file in self.trail.files.items() if name != NAME))
    @rule(data=st.data())
    def compress(self, data: st.DataObject) -> None:
        """Some closed segment, looked at before or not."""
        plain = sorted(name for name, file in self.trail.files.items() if name != NAME and not file.is_packed)
        self.trail.compress(data.draw(st.sampled_from(plain)))

    @rule()
    def wait(self) -> None:
        """The grace period of closed segments passes: pending tails are judged torn, though they may still be ended."""
        self.trail.wait(60)

    @rule(pieces=st.lists(PIECES, max_size=6))
    def leave_torn(self, pieces: list[bytes]) -> None:
        """A producer dies in the middle of a line; its file is rotated, looked at, and the grace passes."""
        self.trail.append(b"".join(pieces) + b'{"event":"cut')
        self.rotate()
        self.trail.look()
        self.trail.wait(60)

    @rule()
    def rotate_without_a_new_file(self) -> None:
        """The producer makes the new file, when it has something to write."""
        self.rotate()
        self.trail.look()
        if not self.trail.files[NAME].data:
            del self.trail.files[NAME]
            self.trail.look()
            self.trail.create()

    @rule(share=st.floats(0, 1))
    def expire(self, share: float) -> None:
        """Retention removes the oldest segments, at most as many as remain with lines, long after they were judged."""
        self.settle()
        closed = [s for s in self.trail.state.closed if not s.vanished and s.name in self.trail.files]
        oldest = closed[: int(share * (len(closed) // 2 + 1))]
        if sum(s.size > 0 for s in closed[len(oldest) :]) < sum(s.size > 0 for s in oldest):
            return
        for segment in oldest:
            data = bytes(self.trail.files.pop(segment.name).data)
            self.expired_lines += data.count(b"\n")
            self.expired += [(segment.name, *verdict) for verdict in verdicts(data, final=True)]
        self.settle()

    def settle(self) -> None:
        """Everything is read, and every unended tail of a closed segment is final."""
        self.trail.look()
        self.trail.wait(60)
        self.trail.look()

    @rule()
    def hash_again(self) -> None:
        """Whatever was judged is still there, and every byte of it has its part in one digest."""
        inodes = {file.inode for file in self.trail.files.values()}
        before = self.trail.state.violations
        for segment in self.trail.state.files:
            if segment.inode in inodes and not segment.packed:
                self.trail.rehash(segment.number)
                assert hashed_until(segment) == segment.anchor.position
        assert self.trail.state.violations == before

    @rule(seconds=st.floats(0, 1e6))
    def set_the_clock_on(self, seconds: float) -> None:
        self.trail.now += seconds

    @rule(seconds=st.floats(0, 1e6))
    def set_the_clock_back(self, seconds: float) -> None:
        self.trail.now -= seconds

    @rule()
    def save_unchanged(self) -> None:
        """Somebody's editor, or a restore of what was there anyway."""
        self.trail.create(bytes(self.trail.files[NAME].data))

    @rule()
    def lose_the_state(self) -> None:
        """What is found from now on may have been found before: none of it is inherited."""
        trail = self.trail
        trail.now += 1
        trail.state, trail.stored = begin("risk", trail.state.policy), {}
        trail.step(Forgotten(trail.now, "state.db", "lost"))
        trail.look()
        self.is_lost = True
        self.history = sum(file.data.count(b"\n") for file in trail.files.values())
        self.expired_lines, self.expired = 0, []

    @rule()
    def look(self) -> None:
        self.trail.look()

    @rule()
    def glance(self) -> None:
        self.trail.glance()

    @rule(late=st.booleans())
    def read_halfway(self, late: bool) -> None:
        """A read that is answered, perhaps only after another look."""
        reads = [effect for effect in self.trail.glance() if isinstance(effect, Read) and self.trail.is_there(effect)]
        if reads:
            answer = self.trail.judged(reads[0])
            if late:
                self.trail.glance()
            self.trail.step(answer)

    @rule()
    def restart(self) -> None:
        self.trail.restart()

    @rule()
    def restart_with_other_rules(self) -> None:
        self.trail.state = replace(self.trail.state, rules_id="older")
        self.trail.restart()

    @invariant()
    def sums_hold(self) -> None:
        for segment in self.trail.state.segments:
            assert 0 <= segment.judged <= segment.read <= segment.size

    @invariant()
    def what_is_stored_is_what_is_known(self) -> None:
        known = {(s.number, f.offset, f.sha256): f for s in self.trail.state.segments for f in s.findings}
        assert self.trail.stored == known

    def teardown(self) -> None:
        trail = self.trail
        trail.look()
        trail.wait(60)
        trail.look()
        trail.now += 2  # what is missing for so long is gone
        trail.look()
        torn = {segment.name for segment in trail.state.files if segment.torn_tail}
        expected = [
            (name, *verdict)
            for name, file in trail.files.items()
            for verdict in verdicts(bytes(file.data), final=name in torn or file.is_packed)
        ]
        expected += self.expired
        places = open_places(trail.state)
        assert set(places) <= set(expected)
        counts = Counter(kind for _, _, kind in expected)
        assert {kind: tally.open for kind, tally in trail.state.tallies().items() if tally.open} == counts
        lines = {name: file.data.count(b"\n") for name, file in trail.files.items()}
        assert {segment.name: segment.lines for segment in trail.state.files} == lines
        assert trail.state.appended_lines == sum(lines.values()) + self.expired_lines - self.history
        assert [row.kind for row in trail.state.violations] == [Violation.STATE_LOST] * self.is_lost
        assert not (self.is_lost and any(f.inherited for s in trail.state.segments for f in s.findings))
        self.check_rows(places, expected)

    def check_rows(self, places: list[tuple[str, int, str]], expected: list[tuple[str, int, str]]) -> None:
        state = self.trail.state
        fresh = [f for s in state.segments for f in s.findings if not f.inherited]
        if state.policy is POLICY:
            assert sorted(places) == sorted(expected)
            assert sum(state.detected.values()) == len(fresh)
        else:
            assert all(len(segment.findings) <= 3 for segment in state.segments)
            assert sum(state.detected.values()) >= len(fresh)


class MovedAbout(AppendOnly):
    """The same, and the files come to lie under other device numbers: nothing of what was seen has changed."""

    @rule()
    def remount(self) -> None:
        """A reboot numbers devices anew."""
        self.trail.device += 1
        self.trail.restart()


class Hostile(RuleBasedStateMachine):
    """With truncations, replacements and deletions too, the end state is right, and no damage is reported twice."""

    @initialize(pieces=st.lists(PIECES, max_size=6), policy=POLICIES)
    def begin(self, pieces: list[bytes], policy: Policy) -> None:
        self.trail = Trail(b"".join(pieces), policy)
        self.trail.look()

    @precondition(lambda self: NAME in self.trail.files)
    @rule(pieces=st.lists(PIECES, min_size=1, max_size=4))
    def append(self, pieces: list[bytes]) -> None:
        self.trail.append(b"".join(pieces))

    @precondition(lambda self: NAME in self.trail.files)
    @rule(keep=st.floats(0, 1))
    def truncate(self, keep: float) -> None:
        data = self.trail.files[NAME].data
        del data[int(len(data) * keep) :]

    @rule(pieces=st.lists(PIECES, max_size=4))
    def replace(self, pieces: list[bytes]) -> None:
        self.trail.create(b"".join(pieces))

    @precondition(lambda self: NAME in self.trail.files)
    @rule()
    def delete(self) -> None:
        del self.trail.files[NAME]

    @rule()
    def look(self) -> None:
        self.trail.look()

    @rule()
    def glance(self) -> None:
        self.trail.glance()

    @rule()
    def restart(self) -> None:
        self.trail.restart()

    @rule()
    def restart_with_other_rules(self) -> None:
        self.trail.state = replace(self.trail.state, rules_id="older")
        self.trail.restart()

    @rule(share=st.floats(0, 1), scope=st.sampled_from([Scope.ALL, Scope.INHERITED]))
    def acknowledge(self, share: float, scope: Scope) -> None:
        """Somebody asked at some earlier step: nothing that was opened later is taken."""
        state, step = self.trail.state, int(self.trail.state.step * share)
        later = newer(state, step)
        self.trail.step(Acknowledged(self.trail.now, step, scope, "ann", "known"))
        assert newer(self.trail.state, step) == later

    @rule()
    def rebaseline(self) -> None:
        order = [row for row in self.trail.state.open_violations if row.kind not in HISTORY]
        self.trail.step(Rebaselined(self.trail.now, self.trail.state.step, "ann", "planned", "nothing proved"))
        assert list(self.trail.state.open_violations) == order
        assert self.trail.state.former is None or self.trail.state.violations

    @rule()
    def undo(self) -> None:
        ids = known_ids(self.trail.state)
        self.trail.step(Acknowledged(self.trail.now, 0, Scope.IDS, "ann", "", ids, undo=True))
        assert not any(tally.acknowledged for tally in self.trail.state.tallies().values())

    @invariant()
    def steps_account_for_what_is_only_counted(self) -> None:
        for segment in self.trail.state.segments:
            for kind, tally in segment.unlisted.items():
                opened = [one.counts.get(kind, Tally()) for one in segment.unlisted_opened]
                assert sum(one.open for one in opened) == tally.open
                assert sum(one.inherited for one in opened) == tally.inherited
                assert 0 <= segment.unlisted_noted.get(kind, 0) <= tally.acknowledged

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        for segment in self.trail.state.segments:
            places = [(f.offset, f.sha256) for f in segment.findings]
            assert len(places) == len(set(places))
            assert len(places) <= self.trail.state.policy.max_listed

    @invariant()
    def no_count_is_negative(self) -> None:
        for tally in self.trail.state.tallies().values():
            assert min(tally.open, tally.inherited, tally.acknowledged) >= 0
        assert all(segment.unverified >= 0 for segment in self.trail.state.files)

    def teardown(self) -> None:
        trail = self.trail
        trail.look()
        trail.now += 2  # what is missing for so long is gone
        trail.look()
        present = {segment.name for segment in trail.state.files}
        assert present == set(trail.files)
        active = trail.state.active
        if active is not None and active.judged:
            self.check_sizes()

    def check_sizes(self) -> None:
        active = self.trail.state.active
        data = bytes(self.trail.files[NAME].data)
        assert active.judged == data.rfind(b"\n") + 1
        assert active.read == len(data)


def newer(state: TrailState, step: int) -> tuple[int, int]:
    """Open damage, listed and only counted, that a later step opened."""
    listed = sum(f.state == "open" and f.step > step for s in state.segments for f in s.findings)
    opened = [one for s in state.segments for one in s.unlisted_opened if one.step > step]
    return listed, sum(tally.open for one in opened for tally in one.counts.values())


EXAMPLES = int(os.environ.get("AUDITWATCH_MODEL_EXAMPLES", "500"))
SETTINGS = settings(
    max_examples=EXAMPLES, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAppendOnly = AppendOnly.TestCase
TestAppendOnly.settings = SETTINGS
TestMovedAbout = MovedAbout.TestCase
TestMovedAbout.settings = SETTINGS
TestHostile = Hostile.TestCase
TestHostile.settings = SETTINGS


def test_the_pieces_cover_several_kinds() -> None:
    """The model would prove little on whole lines alone."""
    data = b'{"event":"TRADE_A{"event":"KILL_SWITCH"}\nPPROVED"}\n{"a":1}{"b":2}\n\n{"long":"' + b"z" * 230 + b'"}\n'
    kinds = [kind for _, kind in verdicts(data)]
    assert kinds == [Kind.INTERLEAVED, Kind.TORN, Kind.CONCATENATED, Kind.BLANK, Kind.OVERSIZE]
    assert FindingState.OPEN == "open"
