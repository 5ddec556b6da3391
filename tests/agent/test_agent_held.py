"""Lines that were written between the last look and the loss of the file's name."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
from pathlib import Path

import pytest

from tests.agent.running import SPLICED, Agent, Agents, append, command, configuration, records, until


def while_it_sleeps(agent: Agent, change) -> None:
    """The agent sees all of the change at once."""
    os.kill(agent.pid, signal.SIGSTOP)
    try:
        change()
    finally:
        os.kill(agent.pid, signal.SIGCONT)


@pytest.mark.parametrize("is_followed", [True, False], ids=["another file", "no file"])
def test_they_are_judged_after_an_unlink(agents: Agents, trail: Path, is_followed: bool) -> None:
    append(trail, records(50))
    agent = agents.start(trail).follows(trail)

    def change() -> None:
        append(trail, records(5, start=50) + SPLICED)
        trail.unlink()
        if is_followed:
            trail.write_bytes(records(7, start=1000))

    while_it_sleeps(agent, change)
    kind = "replaced" if is_followed else "deleted"
    until(lambda: agent.value("trail_violations", kind=kind) == 1)
    assert agent.value("trail_appended_lines_total") == 7
    assert agent.value("trail_corrupt_lines_detected_total") == 2
    assert agent.value("trail_violations") == 1


def held_under(agent: Agent, trail: Path) -> list[str]:
    """Which files of the trail are open: their paths, deleted ones without the kernel's mark."""
    return sorted(path.removesuffix(" (deleted)") for path in descriptors(agent.pid) if trail.name in path)


def configured(home: Path, trail: Path, *lines: str) -> Path:
    return configuration(home / "auditwatch.yml", [f"{{name: risk, path: {trail}}}"], "defaults:", *lines)


def test_what_was_the_active_file_is_let_go_when_it_is_quiet(agents: Agents, trail: Path, tmp_path: Path) -> None:
    append(trail, records(5))
    agent = agents.start("-c", configured(tmp_path, trail, "  hold: 1s", "  poll_interval: 50ms")).follows(trail)
    until(lambda: held_under(agent, trail) == [str(trail)])
    for number in range(1, 4):
        trail.rename(trail.with_name(f"{trail.name}.{2000 + number}"))
        append(trail, records(5, start=number * 100))
        agent.follows(trail)
    until(lambda: held_under(agent, trail) == [])
    append(trail, records(1, start=900))
    until(lambda: held_under(agent, trail) == [str(trail)])
    trail.unlink()
    until(lambda: agent.value("trail_violations", kind="deleted") == 1)
    until(lambda: held_under(agent, trail) == [])
    assert agent.value("trail_rotations_total") == 3


def test_nothing_is_held_where_the_configuration_says_so(agents: Agents, trail: Path, tmp_path: Path) -> None:
    append(trail, records(5))
    agent = agents.start("-c", configured(tmp_path, trail, "  hold: 0s", "  poll_interval: 50ms")).follows(trail)
    for number in range(20):
        append(trail, records(5, start=number * 100))
        agent.follows(trail)
        until(lambda: held_under(agent, trail) == [])


def test_bytes_that_are_written_to_a_deleted_file_are_said(agents: Agents, trail: Path, tmp_path: Path) -> None:
    append(trail, records(5))
    agent = agents.start("-c", configured(tmp_path, trail, "  poll_interval: 50ms")).follows(trail)
    with trail.open("ab", buffering=0) as producer:
        rotated = trail.with_name(f"{trail.name}.1")
        trail.rename(rotated)
        append(trail, records(5, start=100))
        there = rotated.stat().st_size + trail.stat().st_size
        agent.follows(trail)
        rotated.with_name(f"{rotated.name}.gz").write_bytes(gzip.compress(rotated.read_bytes()))
        rotated.unlink()
        until(lambda: agent.status()["segments"][0]["name"] == f"{rotated.name}.gz")
        assert agent.value("trail_violations") == 0
        # What comes before it was seen without a name may be in the compressed file, so one line is not enough.
        until(lambda: producer.write(records(1, start=50)) and agent.value("trail_violations", kind="deleted"))
    [violation] = agent.findings()["violations"]
    assert re.match("[0-9]+ bytes written to a file of the trail after it was deleted", violation["detail"])
    assert agent.value("trail_verified_bytes") == there


def test_more_trails_than_files_may_be_open_are_all_watched(agents: Agents, tmp_path: Path) -> None:
    trails = [tmp_path / f"trail{number}.jsonl" for number in range(60)]
    for path in trails:
        append(path, records(5))
    entries = [f"{{name: {path.stem}, path: {path}}}" for path in trails]
    agent = agents.start("-c", configuration(tmp_path / "auditwatch.yml", entries), most_files=80)
    until(lambda: agent.value("trail_verified_bytes") == 60 * len(records(5)))
    until(lambda: any(one["watcher"]["spared"] for one in json.loads(agent.get("/api/v1/status"))["trails"]))
    for path in trails:
        append(path, records(1, start=9))
    until(lambda: agent.value("trail_appended_lines_total") == 60)
    assert agent.value("trail_up") == 60
    assert len(descriptors(agent.pid)) < 80
    assert "not held open while it is quiet" in command("status", "--url", agent.url).stdout


def test_late_lines_are_judged_without_events(agents: Agents, trail: Path, tmp_path: Path) -> None:
    append(trail, records(5))
    agent = agents.start("-c", configured(tmp_path, trail, "  watch: poll", "  poll_interval: 50ms")).follows(trail)
    with trail.open("ab", buffering=0) as producer:
        trail.rename(trail.with_name(f"{trail.name}.1"))
        append(trail, records(5, start=100))
        agent.follows(trail)
        producer.write(records(3, start=50))
        until(lambda: agent.value("trail_appended_lines_total") == 8, seconds=5)


def descriptors(pid: int) -> list[str]:
    """What a process has open, by path."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(link))
        except FileNotFoundError:  # closed meanwhile
            continue
    return found


@pytest.mark.parametrize("name", ["archive/risk.jsonl.1", "archive/2026.audit", "kept.by.hand"])
def test_a_trail_that_is_moved_anywhere_on_its_volume_is_rotated(agents: Agents, trail: Path, name: str) -> None:
    append(trail, records(50))
    agent = agents.start(trail).follows(trail)
    moved = trail.parent / name
    moved.parent.mkdir(exist_ok=True)

    def change() -> None:
        append(trail, records(5, start=50))
        trail.rename(moved)
        trail.write_bytes(records(7, start=1000))

    while_it_sleeps(agent, change)
    until(lambda: agent.value("trail_rotations_total") == 1)
    agent.follows(trail)
    append(moved, records(3, start=60))
    until(lambda: agent.value("trail_appended_lines_total") == 15)
    agent.stop()
    agent = agents.start(trail).follows(trail)
    until(lambda: agent.value("trail_segments") == 1)
    assert agent.value("trail_violations") == 0
    assert agent.status()["lines"] == 3 + 50 + 15
