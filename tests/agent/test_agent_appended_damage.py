"""Lines are appended while the agent looks: whole ones are counted, damaged ones shown within a second."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.running import SPLICED, Agents, append, configuration, records, until

pytestmark = pytest.mark.concurrency

PRODUCER = """
import sys
from auditwatch import AuditWriter
with AuditWriter(sys.argv[1]) as audit:
    print("ready", flush=True)
    while sys.stdin.readline():
        for n in range(100):
            audit.append({"event": "TRADE_APPROVED", "n": n})
        print("appended", flush=True)
"""


class Producers:
    """Processes that append a hundred records through the locked writer whenever they are asked to."""

    def __init__(self, path: Path, number: int) -> None:
        asked = [sys.executable, "-P", "-c", PRODUCER, str(path)]
        self._all = [
            subprocess.Popen(asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(number)
        ]
        self._await("ready")

    def tell(self) -> None:
        for process in self._all:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()

    def done(self) -> None:
        self._await("appended")

    def _await(self, word: str) -> None:
        for process in self._all:
            assert process.stdout
            assert process.stdout.readline() == f"{word}\n"

    def end(self) -> None:
        for process in self._all:
            process.communicate()
            assert process.returncode == 0


def test_two_spliced_lines_among_four_locked_producers_raise_the_gauge_by_two_within_a_second(
    agents: Agents, trail: Path
) -> None:
    agent = agents.start(trail).follows(trail)
    producers = Producers(trail, 4)
    for bursts in range(1, 4):
        producers.tell()
        producers.done()
        until(lambda bursts=bursts: agent.value("trail_lines") == 3 + 400 * bursts)
    assert agent.value("trail_corrupt_lines") == 0
    producers.tell()
    append(trail, SPLICED)
    # Within a second where the machine is ours; the other tests may take its cores meanwhile.
    until(lambda: agent.value("trail_corrupt_lines") == 2, seconds=10)
    producers.done()
    producers.end()
    agent.follows(trail)
    scrape = agent.metrics()
    assert [value for _, value in scrape["trail_lines"]] == [3 + 1600 + 2]
    assert [value for _, value in scrape["trail_appended_lines_total"]] == [1602]
    assert {labels["kind"]: v for labels, v in scrape["trail_corrupt_lines"] if v} == {"interleaved": 1, "torn": 1}
    assert agent.value("trail_corrupt_lines_detected_total") == 2
    agent.stop()


@pytest.mark.parametrize("watch", ["auto", "poll"])
def test_growth_is_seen_by_events_and_by_polling_alone(agents: Agents, trail: Path, tmp_path: Path, watch: str) -> None:
    config = configuration(tmp_path / "a.yaml", [f"{{name: risk, path: {trail}, watch: {watch}}}"])
    agent = agents.start("-c", config).follows(trail)
    append(trail, records(5) + b"not JSON\n")
    until(lambda: agent.value("trail_lines", trail="risk") == 9)
    assert agent.value("trail_corrupt_lines", kind="invalid_json") == 1
    until(lambda: agent.value("watcher_up") == 1)
    assert agent.value("watcher_polling") == (watch == "poll")
    agent.stop()


def test_half_a_line_is_pending_and_no_damage_until_its_newline_comes(agents: Agents, trail: Path) -> None:
    agent = agents.start(trail).follows(trail)
    append(trail, b'{"event":"KILL')
    until(lambda: agent.value("trail_pending_bytes") == 14)
    assert (agent.value("trail_lines"), agent.value("trail_corrupt_lines")) == (3, 0)
    append(trail, b'_SWITCH"}\n')
    until(lambda: agent.value("trail_lines") == 4)
    assert (agent.value("trail_pending_bytes"), agent.value("trail_corrupt_lines")) == (0, 0)
    agent.stop()


def test_verified_unverified_and_pending_bytes_add_up_in_every_scrape(agents: Agents, trail: Path) -> None:
    agent = agents.start(trail)
    for n in range(40):
        append(trail, records(50, n) + b'{"pending":')
        append(trail, b"1}\n")
        scrape = agent.metrics()
        parts = ("verified", "unverified", "pending")
        (size, closed) = (scrape[name][0][1] for name in ("trail_size_bytes", "trail_segments_size_bytes"))
        assert sum(scrape[f"trail_{part}_bytes"][0][1] for part in parts) == size + closed
    agent.stop()
