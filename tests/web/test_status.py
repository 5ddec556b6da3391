"""Verdicts, status and findings as plain values."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from auditwatch.ledger.damage import Tally
from auditwatch.ledger.state import Standing
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.trail.verdict import Trouble
from auditwatch.web.facts import Facts
from auditwatch.web.status import FindingsQuery, findings_json, status_json, verdict_sentence


def verdict(build: Any, *segments: Any, **more: Any) -> str:
    return Facts.of(build.trail(*segments, **more)).verdict(build.now)


def test_a_judged_trail_without_open_damage_is_whole_and_says_what_was_not_checked(build: Any) -> None:
    facts = Facts.of(build.trail(build.segment(100)))
    assert facts.verdict(build.now) == "whole"
    assert "Missing lines cannot be detected" in verdict_sentence(facts, build.now)
    assert facts.basis == ("format",)


def test_acknowledged_damage_is_said_beside_whole(build: Any) -> None:
    noted = build.finding(1, 0, acknowledgement=build.note)
    facts = Facts.of(build.trail(build.segment(100, findings=(noted,))))
    assert facts.verdict(build.now) == "whole"
    assert "well-formed, except 1 acknowledged line." in verdict_sentence(facts, build.now)


@pytest.mark.parametrize("kind", [Kind.TORN, Kind.BLANK])
def test_open_damage_is_damaged_inherited_or_hygiene_too(build: Any, kind: Kind) -> None:
    found = build.finding(1, 0, kind, inherited=True)
    assert verdict(build, build.segment(100, findings=(found,))) == "damaged"


def test_an_open_violation_is_damaged(build: Any, populated: Any) -> None:
    rows = populated.trails[0].state.violations
    assert verdict(build, build.segment(100), violations=rows[:1]) == "damaged"
    assert verdict(build, build.segment(100), violations=rows[1:]) == "whole"


def test_what_was_never_or_cannot_be_looked_at_is_unchecked(build: Any) -> None:
    trouble = Trouble("permission", "/x: permission denied")
    assert verdict(build, standing=Standing.UNSEEN) == "unchecked"
    assert verdict(build, build.segment(9), standing=Standing.UNREADABLE, trouble=trouble) == "unchecked"
    facts = Facts.of(replace(build.trail(build.segment(9)), is_answering=False))
    assert facts.verdict(build.now) == "unchecked"
    assert facts.trouble() is not None


def test_a_rotated_trail_whose_next_file_is_awaited_stays_whole(build: Any) -> None:
    assert verdict(build, build.segment(9), standing=Standing.ROTATED) == "whole"


def test_reading_history_is_unchecked_and_shows_how_far(build: Any) -> None:
    segment = build.segment(1000, judged=250, read=250, counted_until=1000)
    facts = Facts.of(build.trail(segment))
    assert facts.verdict(build.now) == "unchecked"
    assert facts.catching_up == 0.25


def test_fresh_growth_does_not_take_whole_away_but_old_growth_does(build: Any) -> None:
    segment = build.segment(1000, judged=900, read=900, counted_until=900)
    assert verdict(build, replace(segment, unverified_since=build.now - 1)) == "whole"
    assert verdict(build, replace(segment, unverified_since=build.now - 31)) == "unchecked"


def test_the_status_adds_up_and_is_json(populated: Any, build: Any) -> None:
    status = json.loads(json.dumps(status_json(populated)))
    risk, orders = status["trails"]
    assert (status["verdict"], risk["verdict"], orders["verdict"]) == ("damaged", "damaged", "unchecked")
    assert risk["bytes"] == {"active": 5000, "segments": 1000, "verified": 5000, "unverified": 800, "pending": 200}
    assert risk["corrupt_lines"] == {"open": 9, "inherited": 3, "acknowledged": 2, "hygiene": 1, "paging": 5}
    assert set(risk["by_kind"]) == set(Kind)
    assert set(risk["violations"]) == set(Violation)
    assert risk["violations"]["truncated"] == {"open": 1, "acknowledged": 0}
    assert risk["runs"]["full"]["progress"] == 0.25
    assert orders["trouble"]["reason"] == "missing"


def test_the_whole_agent_is_whole_only_when_every_trail_is(build: Any) -> None:
    whole = build.trail(build.segment(5))
    assert status_json(build.snapshot(whole))["verdict"] == "whole"
    assert status_json(build.snapshot(whole, build.trail(standing=Standing.UNSEEN)))["verdict"] == "unchecked"
    assert status_json(build.snapshot())["verdict"] == "unchecked"


def test_findings_name_places_and_never_hashes_of_lines(populated: Any) -> None:
    answer = findings_json(populated)
    assert [row["line"] for row in answer["findings"]] == [3, 4, 7, 9, 11]
    assert (answer["total"], answer["beyond"], answer["violations_total"]) == (5, 6, 2)
    assert "5ec4e7" not in json.dumps(answer)
    assert answer["findings"][4]["acknowledgement"]["by"] == "ops"


def test_findings_can_be_asked_for_by_trail_kind_time_and_openness(populated: Any, build: Any) -> None:
    def lines(**asked: Any) -> list[int]:
        return [row["line"] for row in findings_json(populated, FindingsQuery(**asked))["findings"]]

    assert lines(trail="orders") == []
    assert lines(kind=Kind.INTERLEAVED) == [3, 4]
    assert lines(kind=Violation.TRUNCATED) == []
    assert lines(open_only=True) == [3, 4, 7, 9]
    assert lines(since=build.now) == []
    assert [v["id"] for v in findings_json(populated, FindingsQuery(kind=Violation.EMPTIED))["violations"]] == ["v2"]
    assert findings_json(populated, FindingsQuery(open_only=True))["beyond"] == 5


def test_more_findings_than_fit_are_counted(build: Any) -> None:
    found = tuple(build.finding(line, line * 10) for line in range(1, 30))
    answer = findings_json(build.snapshot(build.trail(build.segment(900, findings=found))), FindingsQuery(limit=10))
    assert (len(answer["findings"]), answer["total"]) == (10, 29)


def test_a_part_of_the_findings_can_be_asked_for_the_newest_first(build: Any) -> None:
    older = tuple(replace(build.finding(line, line * 10), first_seen=100.0) for line in (1, 2))
    newer = tuple(replace(build.finding(line, line * 10), first_seen=200.0) for line in (3, 4))
    snapshot = build.snapshot(build.trail(build.segment(900, findings=(*older, *newer))))

    def lines(**asked: Any) -> list[int]:
        return [row["line"] for row in findings_json(snapshot, FindingsQuery(**asked))["findings"]]

    assert lines() == [1, 2, 3, 4]
    assert lines(newest_first=True) == [3, 4, 1, 2]
    assert lines(newest_first=True, limit=1, offset=1) == [4]
    assert lines(newest_first=True, limit=9, offset=3) == [2]
    assert lines(limit=0) == lines(offset=4) == []
    assert findings_json(snapshot, FindingsQuery(limit=1))["open_total"] == 4


def test_inherited_damage_can_be_asked_for_alone(populated: Any) -> None:
    answer = findings_json(populated, FindingsQuery(inherited_only=True))
    assert all(row["inherited"] for row in answer["findings"])
    assert answer["total"] == sum(row["inherited"] for row in findings_json(populated)["findings"])
    assert answer["violations"] == []


def test_hostile_names_are_shown_as_escapes(build: Any) -> None:
    segment = build.segment(9, name="a\x1b[2J\u202e\udcff", findings=(build.finding(1, 0),))
    answer = findings_json(build.snapshot(build.trail(segment)))
    assert answer["findings"][0]["segment"] == "a\\x1b[2J\\u202e\\xff"


def test_counts_beyond_the_stored_rows_are_in_the_totals(build: Any) -> None:
    facts = Facts.of(build.trail(build.segment(9, unlisted={Kind.TORN: Tally(4, 1, 2)})))
    assert (facts.damage.open, facts.damage.inherited, facts.damage.acknowledged) == (4, 1, 2)


def test_what_writers_counted_is_in_the_status(populated: Any, build: Any) -> None:
    risk, orders = status_json(populated)["trails"]
    writes = risk["writes"]
    assert (writes["counters_up"], writes["counted"], writes["stored"], writes["open"]) == (True, True, 1200, 3)
    assert {reason: number for reason, number in writes["failed"].items() if number} == {
        "disk_full": 4, "lock_timeout": 2
    }  # fmt: skip
    assert {reason: number for reason, number in writes["open_by_reason"].items() if number} == {
        "disk_full": 2, "lock_timeout": 1
    }  # fmt: skip
    assert (writes["acknowledged"], writes["acknowledgement"]["by"]) == (2, "ops")
    assert writes["lock_waits"] == {"over_1s": 5, "timed_out": 2}
    assert (orders["writes"]["counted"], orders["writes"]["counters_trouble"]) == (False, None)


def test_a_failed_write_is_said_beside_the_verdict_and_is_no_damage(build: Any) -> None:
    facts = Facts.of(build.trail(build.segment(100), writes=build.writes()))
    assert facts.verdict(build.now) == "whole"
    assert verdict_sentence(facts, build.now).endswith("3 writes failed: their records may be missing.")
    facts = Facts.of(build.trail(build.segment(100), writes=build.writes(open=())))
    assert "may be missing" not in verdict_sentence(facts, build.now)
