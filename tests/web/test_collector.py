"""What Prometheus scrapes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from auditwatch.host.clock import Clock
from auditwatch.ledger.runs import Mode
from auditwatch.ledger.state import TrailState
from auditwatch.ledger.writes import Writes
from auditwatch.trail.counters import REASONS
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.web.collector import Exposition, SnapshotCollector, registry
from auditwatch.web.facts import Facts
from auditwatch.web.metrics import ALL_METRICS
from auditwatch.web.snapshot import Histogram, Snapshot


def by_client_python(snapshot: Snapshot, clock: Clock, *, openmetrics: bool = False) -> bytes:
    own = CollectorRegistry()
    own.register(SnapshotCollector(lambda: snapshot, clock))
    return generate_openmetrics(own).removesuffix(b"# EOF\n") if openmetrics else generate_latest(own)


def values(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    samples = [sample for family in parse(text.decode()) for sample in family.samples]
    return {
        (sample.name.removeprefix("auditwatch_"), frozenset(sample.labels.items())): sample.value for sample in samples
    }


def value(text: bytes, name: str, **labels: str) -> float:
    return values(text)[(name, frozenset(labels.items()))]


@pytest.mark.parametrize("openmetrics", [False, True])
def test_the_joined_text_is_what_client_python_writes(populated: Snapshot, clock: Clock, openmetrics: bool) -> None:
    exposition = Exposition(lambda: populated, clock)
    expected = by_client_python(populated, clock, openmetrics=openmetrics)
    assert exposition.text(openmetrics=openmetrics) == expected
    assert exposition.text(openmetrics=openmetrics) == expected, "the second scrape joins what the first one wrote"


NUMBERS = st.one_of(st.integers(0, 1 << 70), st.floats(0, 1e18))


@given(name=st.text(min_size=1), number=NUMBERS, seconds=NUMBERS)
def test_any_name_and_any_number_is_written_as_client_python_does(name: str, number: float, seconds: float) -> None:
    from auditwatch.ledger.state import Policy
    from auditwatch.web.snapshot import AgentStatus, TrailSnapshot

    state = TrailState(name, Policy(""), last_append=seconds, appended_bytes=int(number))
    latency = Histogram.empty(0.005, 1.0, 10.0).observed(float(seconds))
    agent = AgentStatus(name, "3", 0, detection_latency=latency, worker_cpu_seconds=float(number))
    snapshot = Snapshot(0, 1, agent, (TrailSnapshot(name, "", state),))
    assert Exposition(lambda: snapshot, lambda: 5.0).text() == by_client_python(snapshot, lambda: 5.0)


def test_both_formats_parse(populated: Snapshot, clock: Clock) -> None:
    exposition = Exposition(lambda: populated, clock)
    assert {family.name for family in parse(exposition.text().decode())}
    assert list(parse_openmetrics(exposition.text(openmetrics=True).decode() + "# EOF\n"))


def test_the_scraper_gets_the_format_it_asks_for(populated: Snapshot, clock: Clock) -> None:
    exposition = Exposition(lambda: populated, clock)
    plain, plain_type = exposition.scrape("")
    modern, modern_type = exposition.scrape("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    assert plain_type == "text/plain; version=0.0.4; charset=utf-8"
    assert modern_type.startswith("application/openmetrics-text; version=1.0.0")
    assert b"# EOF" not in plain
    assert modern.endswith(b"# EOF\n")
    assert b"process_cpu_seconds_total" in plain


def test_a_changed_trail_is_written_again_and_the_others_are_not(build: Any, clock: Clock) -> None:
    first, second = build.trail(build.segment(100)), build.trail(build.segment(50), name="orders")
    current = build.snapshot(first, second)
    exposition = Exposition(lambda: current, clock)
    exposition.text()
    kept = exposition._written["orders"]
    current = build.snapshot(build.trail(build.segment(200)), second, revision=2)
    assert value(exposition.text(), "trail_size_bytes", trail="risk") == 200
    assert exposition._written["orders"] is kept


def test_runs_that_changed_alone_show_in_a_text_that_is_as_if_written_anew(
    populated: Snapshot, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = populated
    exposition = Exposition(lambda: current, clock)
    exposition.text()
    for trail in populated.trails:
        runs = {**trail.runs, Mode.TAIL: replace(trail.runs[Mode.TAIL], last_success=12345.0, runs=77)}
        others = tuple(one for one in current.trails if one.name != trail.name)
        current = replace(current, trails=(*others, replace(trail, runs=runs)))
    expected = Exposition(lambda: current, clock).text()
    assert value(expected, "validation_runs_total", mode="tail", trail=populated.trails[0].name) == 77
    with monkeypatch.context() as patched:
        patched.setattr(Facts, "of", None)  # no sum may be made anew for that
        assert exposition.text() == expected
    current = replace(current, trails=tuple(replace(trail, is_answering=False) for trail in current.trails))
    assert exposition.text() == Exposition(lambda: current, clock).text()


def test_an_agent_without_trails_answers_a_scrape(populated: Snapshot, clock: Clock) -> None:
    empty = replace(populated, trails=())
    assert Exposition(lambda: empty, clock).text() == by_client_python(empty, clock)


def test_a_trail_that_left_the_configuration_leaves_the_scrape(build: Any, clock: Clock) -> None:
    current = build.snapshot(build.trail(build.segment(1)), build.trail(name="orders"))
    exposition = Exposition(lambda: current, clock)
    assert b'trail="orders"' in exposition.text()
    current = build.snapshot(*current.trails[:1])
    assert b'trail="orders"' not in exposition.text()


def test_ages_grow_with_the_clock_while_the_snapshot_stays(populated: Snapshot, build: Any) -> None:
    now = build.now
    exposition = Exposition(lambda: populated, lambda: now)
    assert value(exposition.text(), "trail_pending_seconds", trail="risk") == 60
    assert value(exposition.text(), "trail_oldest_unverified_seconds", trail="risk") == 5
    now += 7
    assert value(exposition.text(), "trail_pending_seconds", trail="risk") == 67
    assert value(exposition.text(), "trail_oldest_unverified_seconds", trail="risk") == 12
    assert value(exposition.text(), "trail_pending_seconds", trail="orders") == 0


def test_verified_unverified_and_pending_add_up_to_all_sizes(populated: Snapshot, clock: Clock) -> None:
    found = values(Exposition(lambda: populated, clock).text())
    for trail in ("risk", "orders"):
        label = frozenset({("trail", trail)})
        parts = sum(found[(f"trail_{part}_bytes", label)] for part in ("verified", "unverified", "pending"))
        assert parts == found[("trail_size_bytes", label)] + found[("trail_segments_size_bytes", label)]


def test_every_label_value_is_exported_from_the_start(build: Any, clock: Clock) -> None:
    found = values(Exposition(lambda: build.snapshot(build.trail(writes=build.writes())), clock).text())
    for name in ("trail_corrupt_lines", "trail_corrupt_lines_detected_total"):
        assert all(found[(name, frozenset({("trail", "risk"), ("kind", kind)}))] == 0 for kind in Kind)
    assert all(found[("trail_violations", frozenset({("trail", "risk"), ("kind", kind)}))] == 0 for kind in Violation)
    assert all(found[("validation_runs_total", frozenset({("trail", "risk"), ("mode", mode)}))] == 0 for mode in Mode)
    for metric in ALL_METRICS:
        suffix = "_bucket" if metric.type == "histogram" else ""
        assert any(name == metric.name.removeprefix("auditwatch_") + suffix for name, _ in found), metric.name
    assert all(found[("write_failures_total", frozenset({("trail", "risk"), ("reason", r)}))] >= 0 for r in REASONS)


def test_what_writers_counted_is_there_from_the_first_counters_file_on_and_stays(build: Any, clock: Clock) -> None:
    names = {"writes_total", "write_failures_total", "write_failures_open", "write_last_failure_timestamp_seconds"}
    names |= {"write_lock_wait_seconds_bucket"}
    for writes, up, expected in (
        (Writes(), 0, set()),
        (Writes(trouble="no counters file"), 0, set()),
        (build.writes(), 1, names),
        (build.writes(trouble="permission denied"), 0, names),
    ):
        trail = build.trail(writes=writes)
        found = values(Exposition(lambda t=trail: build.snapshot(t), clock).text())
        assert found[("writer_counters_up", frozenset({("trail", "risk")}))] == up
        assert {name for name, _ in found if name.startswith("write_") or name == "writes_total"} == expected


def test_counters_of_a_file_system_that_does_not_answer_are_not_up(build: Any, clock: Clock) -> None:
    trail = replace(build.trail(writes=build.writes()), is_answering=False)
    assert value(Exposition(lambda: build.snapshot(trail), clock).text(), "writer_counters_up", trail="risk") == 0


def test_failed_writes_are_counted_by_reason_and_open_until_acknowledged(populated: Snapshot, clock: Clock) -> None:
    text = Exposition(lambda: populated, clock).text()
    assert value(text, "writes_total", trail="risk") == 1200
    failed = {reason: value(text, "write_failures_total", trail="risk", reason=reason) for reason in REASONS}
    assert {reason: number for reason, number in failed.items() if number} == {"disk_full": 4, "lock_timeout": 2}
    assert value(text, "write_failures_open", trail="risk") == 3
    assert value(text, "write_last_failure_timestamp_seconds", trail="risk") == clock() - 300


def test_who_gave_up_waiting_is_in_the_last_bucket_alone(populated: Snapshot, clock: Clock) -> None:
    found = values(Exposition(lambda: populated, clock).text())
    waits = {dict(labels)["le"]: v for (name, labels), v in found.items() if name == "write_lock_wait_seconds_bucket"}
    assert waits == {
        "0.0001": 1000, "0.001": 1100, "0.01": 1150, "0.1": 1180, "1.0": 1195, "5.0": 1199, "+Inf": 1202
    }  # fmt: skip
    assert not {name for name, _ in found if name in ("write_lock_wait_seconds_sum", "write_lock_wait_seconds_count")}


def test_damage_is_open_inherited_or_acknowledged(populated: Snapshot, clock: Clock) -> None:
    text = Exposition(lambda: populated, clock).text()
    counts = {
        suffix: [value(text, f"trail_corrupt_lines{suffix}", trail="risk", kind=kind) for kind in ("torn", "nul_bytes")]
        for suffix in ("", "_inherited", "_acknowledged")
    }
    assert counts == {"": [1, 5], "_inherited": [1, 2], "_acknowledged": [1, 1]}
    assert value(text, "trail_violations", trail="risk", kind="truncated") == 1
    assert value(text, "trail_violations", trail="risk", kind="emptied") == 0
    assert value(text, "trail_violations_acknowledged", trail="risk", kind="emptied") == 1
    assert value(text, "trail_last_corrupt_line_timestamp_seconds", trail="risk") == clock() - 100


def test_a_trail_is_up_only_while_its_file_system_answers(build: Any, clock: Clock) -> None:
    trail = build.trail(build.segment(1))
    for is_answering in (True, False):
        snapshot = build.snapshot(replace(trail, is_answering=is_answering))
        assert value(Exposition(lambda s=snapshot: s, clock).text(), "trail_up", trail="risk") == is_answering


def test_a_section_that_fails_is_counted_and_the_rest_stays(populated: Snapshot, clock: Clock) -> None:
    broken = replace(populated.trails[0], name="broken", runs={})
    snapshot = replace(populated, trails=(broken, *populated.trails))
    exposition = Exposition(lambda: snapshot, clock)
    text = exposition.text()
    assert value(text, "collector_errors_total") == 9  # each metric of runs
    assert value(text, "trail_size_bytes", trail="broken") == 5000
    assert value(text, "validation_runs_total", trail="risk", mode="full") == 3


def test_when_a_trail_was_first_seen_and_is_validated_next_are_shown(populated: Snapshot, clock: Clock) -> None:
    text = Exposition(lambda: populated, clock).text()
    assert value(text, "trail_first_seen_timestamp_seconds", trail="risk") == clock() - 1000
    assert value(text, "validation_due_timestamp_seconds", trail="risk", mode="full") == clock() - 10
    assert value(text, "validation_due_timestamp_seconds", trail="risk", mode="sample") == 0


def test_a_trail_that_cannot_be_summed_up_does_not_take_the_scrape(populated: Snapshot, clock: Clock) -> None:
    snapshot = replace(populated, trails=(replace(populated.trails[0], name="broken", state=None), *populated.trails))
    text = Exposition(lambda: snapshot, clock).text()
    assert value(text, "collector_errors_total") == 1
    assert value(text, "trail_up", trail="risk") == 1


def test_an_agent_section_that_fails_is_counted_too(populated: Snapshot, clock: Clock) -> None:
    snapshot = replace(populated, agent=replace(populated.agent, missed_runs=None))
    text = Exposition(lambda: snapshot, clock).text()
    assert value(text, "collector_errors_total") == 1
    assert value(text, "state_writable") == 1


def test_the_registry_is_our_own_and_has_no_created_series(populated: Snapshot, clock: Clock) -> None:
    text = generate_latest(registry(lambda: populated, clock))
    assert b"_created{" not in text
    assert b"_created " not in text
    assert b"auditwatch_build_info" in text
    assert b"process_resident_memory_bytes" in text
    assert b"python_info" not in text, "nothing of the global registry"


def test_names_that_are_no_text_do_not_break_a_scrape(build: Any, clock: Clock) -> None:
    text = Exposition(lambda: build.snapshot(build.trail(build.segment(3), name='a"\n\\\udcff')), clock).text()
    assert rb'trail="a\"\\x0a\\\\xff"' in text
