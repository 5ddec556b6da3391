"""Findings are acknowledged, with the agent running and without."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.running import SPLICED, Agent, Agents, append, command, until

pytestmark = pytest.mark.concurrency


@pytest.fixture
def agent(agents: Agents, trail: Path) -> Agent:
    """An agent that knows two inherited and two new damaged lines."""
    append(trail, SPLICED)
    started = agents.start(trail).follows(trail)
    append(trail, SPLICED)
    until(lambda: started.value("trail_corrupt_lines") == 4)
    return started


def acknowledge(agent: Agent, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command("acknowledge", *arguments, "--state-dir", agent.state_dir)


def counted(agent: Agent) -> tuple[float, float, float]:
    names = ("trail_corrupt_lines", "trail_corrupt_lines_inherited", "trail_corrupt_lines_acknowledged")
    open_, inherited, acknowledged = (agent.value(name) for name in names)
    return open_, inherited, acknowledged


def test_while_the_agent_runs(agent: Agent, trail: Path) -> None:
    new = next(found for found in agent.findings()["findings"] if not found["inherited"])
    assert acknowledge(agent, new["id"], "--reason", "the fifth process").returncode == 0
    assert counted(agent) == (3, 2, 1)
    assert acknowledge(agent, "--trail", "risk", "--inherited", "--reason", "old").returncode == 0
    assert counted(agent) == (1, 0, 3)
    assert acknowledge(agent, "--undo", new["id"]).returncode == 0
    assert counted(agent) == (2, 0, 2)
    assert agent.value("trail_corrupt_lines_detected_total") == 2
    agent.stop()


def test_without_an_agent_and_the_next_one_knows(agents: Agents, agent: Agent, trail: Path) -> None:
    agent.stop()
    done = acknowledge(agent, "--trail", "risk", "--all", "--reason", "seen", "--by", "ann")
    assert done.returncode == 0, done.stderr
    append(trail, b"not JSON\n")
    agent = agents.start(trail).follows(trail)
    assert counted(agent) == (1, 0, 4)
    notes = [found["acknowledgement"] for found in agent.findings()["findings"] if found["acknowledgement"]]
    assert {(note["by"], note["reason"]) for note in notes} == {("ann", "seen")}


def test_after_kill_9_without_an_agent(agents: Agents, agent: Agent, trail: Path) -> None:
    agent.kill()
    assert acknowledge(agent, "--trail", "risk", "--all", "--reason", "seen").returncode == 0
    assert counted(agents.start(trail).follows(trail)) == (0, 0, 4)


def test_an_unknown_id_or_trail_is_status_2_and_nothing_changes(agent: Agent) -> None:
    known = agent.findings()["findings"][0]["id"]
    for arguments in (["f0123456789", known], ["--trail", "nobody", "--all"]):
        done = acknowledge(agent, *arguments, "--reason", "x")
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert counted(agent) == (4, 2, 0)
    agent.stop()
    assert acknowledge(agent, "f0123456789", "--reason", "x").returncode == 2


def test_what_is_found_while_a_request_waits_is_not_meant_even_if_clocks_differ(agent: Agent, trail: Path) -> None:
    """The agent does not answer for a while; the one who asks has a clock that is an hour ahead."""
    agent.process.send_signal(signal.SIGSTOP)
    ahead = "import time; now = time.time; time.time = lambda: now() + 3600\n"
    asking = [*ahead_of(ahead), "acknowledge", "--trail", "risk", "--all", "--reason", "seen"]
    with subprocess.Popen([*asking, "--state-dir", agent.state_dir], stdout=subprocess.PIPE, text=True) as asked:
        until(lambda: list((agent.state_dir / "inbox").glob("*.request")))
        append(trail, SPLICED)
        agent.process.send_signal(signal.SIGCONT)
        said, _ = asked.communicate(timeout=60)
    assert (asked.returncode, said) == (0, "acknowledged: 4 damaged lines\n")
    until(lambda: counted(agent) == (2, 0, 4))
    agent.stop()


def ahead_of(code: str) -> list[str]:
    """The command, with this code run before it."""
    return [sys.executable, "-P", "-c", f"{code}import sys\nfrom auditwatch.__main__ import main\nmain()"]


def test_where_nothing_was_open_that_is_said_and_is_no_mistake(agent: Agent) -> None:
    for said in ("acknowledged: 4 damaged lines\n", "nothing was open\n"):
        done = acknowledge(agent, "--trail", "risk", "--all", "--reason", "seen")
        assert (done.returncode, done.stdout) == (0, said)
    agent.stop()
    done = acknowledge(agent, "--trail", "risk", "--all", "--reason", "seen")
    first, second = done.stdout.splitlines()
    assert first.startswith(f"no agent answers: applied to {agent.state_dir}, last stored ")
    assert (done.returncode, done.stderr, second) == (0, "", "nothing was open")
    done = acknowledge(agent, "f0123456789", "--reason", "seen")
    assert (done.returncode, done.stdout) == (2, "")
    assert "(no agent answers: this is what its state says)" in done.stderr


def test_a_request_that_does_not_say_what_its_asker_saw_is_refused(agent: Agent) -> None:
    inbox, number = agent.state_dir / "inbox", "a" * 32
    inbox.mkdir(exist_ok=True)
    old = {"asked": 1e10, "scope": "all", "by": "ann", "reason": "r", "ids": [], "trail": "risk", "undo": False}
    (inbox / "written").write_text(json.dumps(old))
    (inbox / "written").rename(inbox / f"{number}.request")
    answer = json.loads(
        until(lambda: (inbox / f"{number}.answer").exists() and (inbox / f"{number}.answer").read_text())
    )
    assert answer["applied"] is False
    assert "an earlier version of auditwatch made it" in answer["message"]
    assert counted(agent) == (4, 2, 0)


def test_what_others_could_have_asked_is_refused_and_said_once(agent: Agent) -> None:
    inbox = agent.state_dir / "inbox"
    inbox.mkdir(0o700, exist_ok=True)
    (inbox / "written").write_text("{}")
    (inbox / "written").chmod(0o666)
    (inbox / "written").rename(inbox / "x.request")
    until((inbox / "x.rejected").exists)
    inbox.chmod(0o777)
    until(lambda: "no request in it is read" in agent.log())
    done = acknowledge(agent, "--trail", "risk", "--all", "--reason", "seen")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, "", 1)
    assert "may be written by others (mode 0777)" in done.stderr
    inbox.chmod(0o700)
    assert acknowledge(agent, "--trail", "risk", "--all", "--reason", "seen").returncode == 0
    log = agent.stop()
    assert log.count("x.request may be written by others (mode 0666), so it was not applied") == 1
    assert log.count("no request in it is read") == 1


def test_rubbish_in_the_inbox_stops_nobody(agent: Agent, trail: Path) -> None:
    inbox = agent.state_dir / "inbox"
    inbox.mkdir(exist_ok=True)
    (inbox / "x.request").write_bytes(b"\0\xff")
    (inbox / f"{'0' * 32}.request").write_text('{"scope": "ids"}')
    (inbox / f"{'1' * 32}.request").symlink_to("/etc/passwd")
    assert acknowledge(agent, "--trail", "risk", "--all", "--reason", "seen").returncode == 0
    assert counted(agent) == (0, 0, 4)
    until(lambda: len(list(inbox.glob("*.rejected"))) == 3)
    agent.stop()
