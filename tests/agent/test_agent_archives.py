"""Compressed segments that cannot be read to their end, and copies: a real agent beside real archives."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from tests.agent.running import SPLICED, Agent, Agents, append, command, configuration, records, until

pytestmark = pytest.mark.concurrency

# The trail of the fixture has three lines.


def start(agents: Agents, trail: Path, *lines: str) -> Agent:
    """An agent for which a file that has not changed for a second is finished."""
    config = configuration(
        trail.parent / "auditwatch.yml", [f"path: {trail}"], "defaults:", "  pending_grace: 1s", *lines
    )
    return agents.start("-c", config).follows(trail)


def judged(agent: Agent) -> int:
    """Lines of all files that are there."""
    return int(sum(segment["lines"] for segment in agent.status()["segments"] if segment["bytes"]))


def unlike(number: int) -> bytes:
    """Lines that do not compress well, so that there is something to cut off."""
    return b"".join(b'{"n":%d,"x":"%x"}\n' % (n, n**5) for n in range(number))


def test_a_cut_archive_beside_damage(agents: Agents, trail: Path) -> None:
    whole = gzip.compress(unlike(5000))
    archive = Path(f"{trail}.2.gz")
    archive.write_bytes(whole[: len(whole) * 2 // 3])
    Path(f"{trail}.1").write_bytes(SPLICED)
    agent = start(agents, trail)
    until(lambda: agent.value("trail_violations", kind="archive_cut") == 1)
    (row,) = agent.findings()["violations"]
    assert row["segment"] == archive.name
    assert row["detail"].startswith("damaged or cut off after ")
    until(lambda: 2000 < judged(agent) < 5000)
    assert (agent.value("trail_corrupt_lines"), agent.value("trail_corrupt_lines", kind="interleaved")) == (2, 1)
    agent.stop()
    agent = start(agents, trail)
    append(trail, records(1))
    agent.follows(trail)
    assert agent.value("trail_violations") == 1
    archive.write_bytes(whole)
    append(trail, records(1))
    until(lambda: judged(agent) == 5000 + 2 + 3 + 2, 90)
    assert agent.value("trail_violations") == 1


@pytest.mark.parametrize("left", [0, 10])
def test_an_archive_cut_at_its_start(agents: Agents, trail: Path, left: int) -> None:
    Path(f"{trail}.1.gz").write_bytes(gzip.compress(unlike(10))[:left])
    agent = start(agents, trail)
    until(lambda: agent.value("trail_violations", kind="archive_cut") == 1)
    assert judged(agent) == 3


def test_a_file_named_like_an_archive_that_holds_plain_lines_is_judged(agents: Agents, trail: Path) -> None:
    Path(f"{trail}.1.gz").write_bytes(unlike(10))
    agent = start(agents, trail)
    until(lambda: judged(agent) == 13)
    assert agent.value("trail_violations") == 0


def test_an_archive_that_nobody_here_can_read_is_said_and_hides_nothing(
    agents: Agents, trail: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The library for .zst is missing."""
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "backports").mkdir()
    (tmp_path / "without" / "backports" / "__init__.py").write_text("raise ImportError\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "without"))
    Path(f"{trail}.2.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(40))
    Path(f"{trail}.1").write_bytes(SPLICED)
    agent = start(agents, trail)
    until(lambda: agent.value("validation_errors_total", mode="tail") >= 1)
    until(lambda: judged(agent) == 5)
    assert "pip install 'auditwatch[zstd]'" in agent.log()
    assert agent.value("trail_violations") == 0
    trail.unlink()
    until(lambda: agent.value("trail_violations", kind="deleted") == 1)


def test_a_full_run_judges_compressed_segments_again(trail: Path, tmp_path: Path) -> None:
    archive = Path(f"{trail}.1.gz")
    whole = gzip.compress(unlike(5000) + SPLICED)
    archive.write_bytes(whole)
    metrics = tmp_path / "metrics.prom"
    run = ("run", "--once", "--state-dir", tmp_path / "state", "--metrics-file", metrics, trail)
    assert command(*run).returncode == 1
    assert 'auditwatch_validation_last_corrupt_lines{mode="full",trail="risk"} 2.0' in metrics.read_text()
    stamp = archive.stat()
    with archive.open("r+b") as file:
        file.seek(len(whole) // 2)
        file.write(bytes(200))
    os.utime(archive, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert command(*run).returncode == 1
    assert 'auditwatch_trail_violations{kind="archive_cut",trail="risk"} 1.0' in metrics.read_text()
    assert 'auditwatch_trail_unverified_bytes{trail="risk"} 0.0' in metrics.read_text()


def test_a_compressed_earlier_state_is_shown_as_a_copy_and_not_counted(agents: Agents, trail: Path) -> None:
    append(trail, unlike(2000) + SPLICED)
    earlier = trail.read_bytes()
    append(trail, unlike(10))
    Path(f"{trail}.1.gz").write_bytes(gzip.compress(earlier))
    Path(f"{trail}.2.gz").write_bytes(gzip.compress(earlier + unlike(1) + unlike(1)))
    agent = start(agents, trail)
    until(lambda: agent.status()["copies"] == ["risk.jsonl.1.gz"])
    until(lambda: judged(agent) == 2 * 2005 + 10 + 2)
    assert agent.value("trail_corrupt_lines") == 4
    assert agent.value("trail_rotations_total") == 0
