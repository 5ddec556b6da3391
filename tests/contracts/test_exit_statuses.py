"""Every way of ending has its exit status: every command is made to raise, and is interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click
import pytest

from auditwatch import errors
from auditwatch.cli.endings import Terminated
from auditwatch.cli.main import COMMANDS, auditwatch, run

ARGUMENTS = {
    "run": ["a.jsonl"],
    "validate": ["a.jsonl"],
    "salvage": ["a.jsonl", "--output", "out"],
    "append": ["a.jsonl"],
    "status": [],
    "findings": [],
    "acknowledge": ["f0123456789"],
    "rebaseline": ["risk"],
    "explain": ["torn"],
    "config check": ["a.yml"],
    "config schema": [],
    "healthcheck": [],
    "demo": [],
}

WAYS: list[tuple[BaseException, int]] = [
    (RuntimeError("something unforeseen"), 3),
    (RecursionError("deep"), 3),
    (EOFError("cut"), 3),
    (OSError(28, "No space left on device"), 3),
    (MemoryError(), 3),
    (KeyboardInterrupt(), 130),
    (click.Abort(), 130),
    (Terminated(), 143),
    (BrokenPipeError(32, "Broken pipe"), 141),
    (ModuleNotFoundError("no", name="uvicorn.config"), 2),
    (ModuleNotFoundError("no", name="elsewhere"), 3),
    (errors.ConfigError(["a.yml:1: x: wrong", "a.yml:2: y: wrong"]), 2),
    (errors.UsageError("cannot be"), 2),
    (errors.UnknownFinding("none"), 2),
    (errors.Unreadable("missing", "gone"), 3),
    (errors.StateLocked("held"), 3),
    (errors.ListenError("in use"), 3),
    (errors.NotApplied("late"), 3),
    (errors.LockTimeout("held", stored="no", reason="lock_timeout"), 3),
    (click.UsageError("no such thing"), 2),
    (click.FileError("a.jsonl", "gone"), 3),
]


def leaf(name: str) -> click.Command:
    group: click.Command | None = auditwatch
    for part in name.split():
        assert isinstance(group, click.Group)
        group = group.get_command(click.Context(group), part)
    assert group is not None
    return group


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def callback(*_args: object, **_options: object) -> NoReturn:
        raise error

    return callback


def test_the_table_above_names_every_command() -> None:
    assert {name.split()[0] for name in ARGUMENTS} == set(COMMANDS)


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize(("error", "status"), WAYS, ids=lambda value: type(value).__name__)
def test_every_command_that_raises_ends_with_its_status_and_without_a_traceback(
    name: str, error: BaseException, status: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(leaf(name), "callback", raising(error))
    assert run([*name.split(), *ARGUMENTS[name]]) == status
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    expected_lines = 2 if isinstance(error, errors.ConfigError) else 1 if status in (2, 3) else 0
    assert len(printed.err.splitlines()) == expected_lines
    assert all(line.startswith("auditwatch: ") for line in printed.err.splitlines())


@pytest.mark.parametrize("status", [0, 1, 2, 3])
def test_what_a_command_returns_is_the_status(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaf("status"), "callback", lambda **_options: status)
    assert run(["status"]) == status


def test_an_internal_error_names_type_message_and_place_and_shows_its_trace_only_when_asked(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(leaf("status"), "callback", raising(RuntimeError("two\nlines \x1b[2J")))
    assert run(["status"]) == 3
    line = capfd.readouterr().err
    assert line.startswith(r"auditwatch: internal error: RuntimeError: two lines \x1b[2J (")
    assert re.search(r"\(\w+\.py:\d+\); --log\.level debug shows more$", line)
    assert run(["status", "--log.level", "debug"]) == 3
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["--nonsense"],
        ["status", "--nonsense"],
        ["status", "surplus"],
        ["config"],
        ["config", "nonsense"],
        ["run"],
        ["run", "--metrics-file", "x", "a.jsonl"],
        ["run", "-c", "/nonexistent/a.yml"],
        ["run", "--web.listen-address", "nonsense", "a.jsonl"],
        ["findings", "--kind", "nonsense"],
        ["findings", "--since", "nonsense", "--state-dir", "/nonexistent"],
        ["status", "--url", "nonsense"],
        ["status", "--url", "http://127.0.0.1:9", "--state-dir", "x"],
        ["findings", "--show", "--url", "http://127.0.0.1:9"],
        ["acknowledge"],
        ["acknowledge", "f0123456789"],
        ["acknowledge", "../x", "--reason", "r"],
        ["acknowledge", "--trail", "x", "--reason", "r"],
        ["acknowledge", "--all", "--reason", "r"],
        ["acknowledge", "f0123456789", "--trail", "x", "--all", "--reason", "r"],
        ["acknowledge", "f0123456789", "--reason", "r", "--poll-interval", "soon"],
        ["rebaseline"],
        ["rebaseline", "risk"],
        ["rebaseline", "risk", "--reason", "r", "--poll-interval", "soon"],
        ["config", "check", "/nonexistent/a.yml"],
        ["explain", "nonsense"],
        ["status", "--log.level", "loud"],
    ],
)
def test_a_wrong_command_line_is_usage(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "--state-dir", "/nonexistent"],
        ["findings", "--state-dir", "/nonexistent"],
        ["acknowledge", "f0123456789", "--reason", "r", "--state-dir", "/nonexistent"],
        ["acknowledge", "--trail", "risk", "--all", "--reason", "r", "--state-dir", "/nonexistent"],
        ["rebaseline", "risk", "--reason", "r", "--state-dir", "/nonexistent"],
        ["status", "--url", "http://127.0.0.1:9"],
        ["run", "a.jsonl", "--state-dir", "/proc/nonexistent"],
    ],
)
def test_what_cannot_be_done_is_3_in_one_line(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 3
    printed = capfd.readouterr()
    assert (printed.out, len(printed.err.splitlines())) == ("", 1)


def test_healthcheck_is_1_where_nobody_answers(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["healthcheck", "--url", "http://127.0.0.1:9"]) == 1
    assert "does not answer" in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([*name.split(), "--help"] for name in ARGUMENTS)])
def test_help_and_version_are_0(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    assert capfd.readouterr().out


@pytest.mark.parametrize("name", ARGUMENTS)
def test_log_options_are_everywhere(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    run([*name.split(), "--help"])
    printed = capfd.readouterr().out
    assert "--log.format" in printed
    assert "--log.level" in printed


def test_a_command_mistyped_is_answered_with_the_nearest(capfd: pytest.CaptureFixture[str]) -> None:
    run(["valdiate"])
    assert "Did you mean validate?" in capfd.readouterr().err


def test_the_one_line_helps_are_the_commands_own() -> None:
    assert {name: leaf(name).get_short_help_str(200) for name in COMMANDS} == {
        name: help_line for name, (_, help_line) in COMMANDS.items()
    }


COMMAND = [sys.executable, "-m", "auditwatch"]


@pytest.mark.concurrency
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_running_command_with_its_status(number: signal.Signals, status: int) -> None:
    waiting = (
        "import sys, auditwatch.cli.main as m; import auditwatch.cli.status as s\n"
        "def wait(**_): print('ready', flush=True); sys.stdin.read()\n"
        "s.command.callback = wait; sys.exit(m.run(['status']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", waiting], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(number)
        _, said = child.communicate(timeout=60)
    assert (child.returncode, said) == (status, b"")


TERMINATED_WHILE_IT_IS_IMPORTED = """
import os, signal, sys
import click
try:
    os.kill(os.getpid(), signal.SIGTERM)
    [None for _ in range(9)]
except BaseException:
    lost = True
else:
    lost = False
@click.command("status")
def command():
    print("lost" if lost else "not lost", flush=True)
    sys.stdin.read()
"""


@pytest.mark.concurrency
@pytest.mark.parametrize("started", ["exec(open('start.py').read())", "import start"])
def test_sigterm_is_not_lost_in_an_import(tmp_path: Path, started: str) -> None:
    (tmp_path / "imported.py").write_text(TERMINATED_WHILE_IT_IS_IMPORTED)
    (tmp_path / "start.py").write_text(
        "import sys, auditwatch.cli.main as m; m.COMMANDS['status'] = ('imported', ''); sys.exit(m.run(['status']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", started],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.wait(60) == 143
        assert child.stdout is not None
        assert child.stdout.read() in (b"", b"not lost\n")
        assert child.stderr is not None
        assert child.stderr.read() == b""


SIGNALLED_WHILE_THE_LOOP_IS_MADE = """
import os, socket, sys
from auditwatch.cli.main import run
number, *arguments = sys.argv[1:]
true = socket.socketpair
def pair(*given):
    socket.socketpair = true
    os.kill(os.getpid(), int(number))
    return true(*given)
socket.socketpair = pair
status = run(arguments)
sys.exit(status if socket.socketpair is true else "no loop was made")
"""


@pytest.mark.parametrize(
    ("arguments", "statuses"),
    [
        (["validate"], {signal.SIGTERM: 143, signal.SIGINT: 130}),
        (["run", "--once", "--state-dir", "state"], {signal.SIGTERM: 143, signal.SIGINT: 130}),
        (["run", "--state-dir", "state", "--web.listen-address", "127.0.0.1:0"], {signal.SIGTERM: 0, signal.SIGINT: 0}),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_event_loop_is_made_ends_a_command_like_any_other(
    tmp_path: Path, arguments: list[str], statuses: dict[signal.Signals, int], number: signal.Signals
) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"{}\n")
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED_WHILE_THE_LOOP_IS_MADE, str(number.value), *arguments, "a.jsonl"],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == statuses[number], done.stderr
    assert b"Traceback" not in done.stderr


def test_a_closed_pipe_is_141_also_when_only_the_last_flush_finds_out() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*COMMAND, "config", "schema"], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_full_disk_behind_standard_output_is_3() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*COMMAND, "--version"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 3
    assert done.stderr.count(b"\n") == 1
    assert b"No space left on device" in done.stderr


def test_closed_standard_streams_are_no_traceback() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "{sys.executable}" -m auditwatch --version >&- 2>&-'], capture_output=True, check=False
    )
    assert done.stderr == b""


@pytest.mark.parametrize("module", ["click", "pydantic", "yaml"])
def test_without_the_extra_one_line_says_what_to_install(module: str, tmp_path: Path) -> None:
    without = f"import sys; sys.modules[{module!r}] = None; sys.argv[1:] = ['config', 'check', 'a.yml']\n"
    done = subprocess.run(
        [sys.executable, "-c", without + "from auditwatch.__main__ import main; main()"],
        capture_output=True,
        check=False,
    )
    message = f"auditwatch: {module} is not installed; the command needs: pip install 'auditwatch[agent]'\n"
    assert (done.returncode, done.stderr.decode()) == (2, message)


def test_help_imports_nothing_that_only_a_command_needs() -> None:
    heavy = "apscheduler asyncio jinja2 msgspec prometheus_client pydantic rich sqlite3 starlette uvicorn watchdog yaml"
    code = (
        "import sys; from auditwatch.cli.main import run; run(['--help'])\n"
        f"print(sorted(set({heavy.split()!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stderr == b"[]\n"
