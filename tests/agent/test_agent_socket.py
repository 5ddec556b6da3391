"""The agent's own socket: commands reach the right agent without flags, and say so when none answers."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from auditwatch.cli import sources
from auditwatch.errors import StateDenied, UsageError
from tests.agent.running import SPLICED, Agents, append, command, until

pytestmark = pytest.mark.concurrency

NOBODY = "no agent answers: this is what"


def ask(agents_home: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A command of a user whose default state directory is `agents_home/auditwatch`."""
    environment = {**os.environ, "STATE_DIRECTORY": str(agents_home / "auditwatch")}
    return command(*arguments, env=environment)


def test_commands_find_the_agent_by_its_state_directory(agents: Agents, trail: Path, tmp_path: Path) -> None:
    append(trail, SPLICED)
    agent = agents.start(trail, state_dir=tmp_path / "auditwatch").follows(trail)
    assert stat.S_IMODE((agent.state_dir / "agent.sock").stat().st_mode) == 0o600
    shown = ask(tmp_path, "status", "--exit-code")
    assert (shown.returncode, shown.stderr) == (1, "")
    assert shown.stdout.startswith("risk  damaged")
    assert NOBODY not in shown.stdout
    assert ask(tmp_path, "healthcheck").returncode == 0
    found = json.loads(ask(tmp_path, "findings", "--format", "json").stdout)
    assert found["findings"] == agent.findings()["findings"]
    assert len(found["findings"]) == 2
    done = ask(tmp_path, "acknowledge", "--trail", "risk", "--all", "--reason", "known")
    assert (done.returncode, done.stderr) == (0, "")
    assert ask(tmp_path, "findings", "--exit-code").returncode == 0
    agent.stop()
    assert not (agent.state_dir / "agent.sock").exists()


def test_an_agent_that_was_killed_is_said_to_be_silent(agents: Agents, trail: Path, tmp_path: Path) -> None:
    agent = agents.start(trail, state_dir=tmp_path / "auditwatch").follows(trail)
    agent.kill()
    for name in ("status", "findings"):
        shown = ask(tmp_path, name, "--exit-code")
        assert shown.returncode == 3
        first = shown.stdout.splitlines()[0]
        assert first.startswith(f"{NOBODY} {agent.state_dir} says, last stored ")
        shown = ask(tmp_path, name, "--format", "json")
        assert (shown.returncode, NOBODY in shown.stderr) == (0, True)
        assert json.loads(shown.stdout)
    checked = ask(tmp_path, "healthcheck")
    assert checked.returncode == 1
    assert "no agent answers" in checked.stderr


def test_of_two_agents_each_command_asks_the_one_that_is_meant(agents: Agents, trail: Path, tmp_path: Path) -> None:
    other = tmp_path / "trails" / "other.jsonl"
    other.parent.mkdir()
    append(other, b"{}\n")
    first = agents.start(trail, state_dir=tmp_path / "auditwatch").follows(trail)
    second = agents.start(other, state_dir=tmp_path / "second").follows(other)
    assert ask(tmp_path, "status").stdout.startswith("risk  ")
    assert ask(tmp_path, "status", "--state-dir", second.state_dir).stdout.startswith("other  ")
    assert ask(tmp_path, "status", "--url", second.url).stdout.startswith("other  ")
    first.stop()
    assert ask(tmp_path, "status").stdout.startswith(NOBODY)


def test_several_agents_are_listed_where_none_is_meant(
    agents: Agents, trail: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [agents.start(trail, state_dir=tmp_path / name).follows(trail).state_dir for name in ("one", "two")]
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "nothing"))
    ours = [directory for directory in sources.directories_with("agent.sock") if Path(directory).parent == tmp_path]
    assert ours == [str(directory) for directory in known]
    monkeypatch.setattr(sources, "directories_with", lambda _name: ours)
    with pytest.raises(UsageError, match=r"(?s)there are several others.*--state-dir .*one.*--state-dir .*two"):
        sources.agents_directory(None)
    monkeypatch.setattr(sources, "directories_with", lambda _name: ours[:1])
    assert sources.agents_directory(None) == ours[0]


def test_a_socket_that_was_removed_with_its_directory_comes_back(agents: Agents, trail: Path) -> None:
    agent = agents.start(trail).follows(trail)
    shutil.rmtree(agent.state_dir)
    until((agent.state_dir / "agent.sock").exists)
    until(lambda: command("healthcheck", "--state-dir", agent.state_dir).returncode == 0)


ASKING = (
    ("status", "--exit-code"),
    ("findings",),
    ("acknowledge", "--trail", "risk", "--all", "--reason", "known"),
    ("healthcheck",),
)


@pytest.mark.parametrize("asked", ASKING, ids=[asked[0] for asked in ASKING])
@pytest.mark.parametrize("denied", ["", "..", "agent.sock", "state.db"], ids=["directory", "above", "socket", "store"])
def test_who_may_not_look_is_told_what_denies_it_to_whom_and_what_would_help(
    agents: Agents, trail: Path, tmp_path: Path, asked: tuple[str, ...], denied: str
) -> None:
    state_dir = tmp_path / "home" / "state"
    state_dir.parent.mkdir()
    agents.start(trail, state_dir=state_dir).follows(trail)
    place = (state_dir / denied).resolve()
    place.chmod(0)
    if os.geteuid() == 0:
        os.chown(place, 65534, -1)
    done = command(*asked, "--state-dir", state_dir, is_held_to_permissions=True)
    place.chmod(0o700)
    (said,) = done.stderr.splitlines()
    assert f"{place}: permission denied to uid {os.geteuid()}" in said
    assert "mode 0000" in said
    assert ("sudo -u nobody" if os.geteuid() == 0 else "chmod") in said
    assert "no agent answers" not in said + done.stdout
    assert done.returncode == (1 if asked[0] == "healthcheck" else 3)


def test_who_may_look_but_not_ask_for_anything_is_told_so(agents: Agents, trail: Path, tmp_path: Path) -> None:
    agent = agents.start(trail, state_dir=tmp_path / "state").follows(trail)
    (agent.state_dir / "agent.lock").chmod(0o400)
    if os.geteuid() == 0:
        os.chown(agent.state_dir / "agent.lock", 65534, -1)
        (agent.state_dir / "agent.lock").chmod(0o444)
    done = command(*ASKING[2], "--state-dir", agent.state_dir, is_held_to_permissions=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert f"{agent.state_dir / 'agent.lock'}: permission denied to uid" in done.stderr
    assert not list((agent.state_dir / "inbox").glob("*.request"))


def test_where_only_the_systems_agent_can_be_meant_its_denial_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checked(directory: str) -> None:
        if directory == sources.SYSTEM_STATE_DIRECTORY:
            raise StateDenied(f"{directory}: permission denied")

    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "none"))
    monkeypatch.setattr(sources, "directories_with", lambda _name: [])
    monkeypatch.setattr(sources, "check_permission", checked)
    with pytest.raises(StateDenied, match="/var/lib/auditwatch"):
        sources.agents_directory(None)
