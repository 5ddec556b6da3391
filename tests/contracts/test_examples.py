"""The examples: each runs as it is, does what it says, and leaves a trail that is whole."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from auditwatch.testing import read_records
from tests.contracts.pages import ROOT, links, missing

EXAMPLES = ROOT / "examples"
INDEX = EXAMPLES / "README.md"
SCRIPTS = sorted(path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".sh"})
APPLICATION = "fastapi_app.py"
AUDITWATCH = f'#!/bin/sh\nexec {sys.executable} -m auditwatch "$@"\n'
BLOCK_BYTES = 4 << 20
LIMIT_BYTES = 64 << 10
LIMITED = ["sh", "-c", f'ulimit -f {LIMIT_BYTES // 512}; exec "$@"', "limited"]
"""A disk that is full after so many bytes of a file, as far as a process can tell."""

DAMAGED = b'{"event":"TRADE_A{"event":"KILL_SWITCH"}\n'


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    return tmp_path / "audit_trail.jsonl"


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """An environment in which `auditwatch` is this checkout's."""
    program = tmp_path / "bin" / "auditwatch"
    program.parent.mkdir()
    program.write_text(AUDITWATCH)
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}


def run(
    script: str, *arguments: object, env: dict[str, str], prefix: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    started = [sys.executable, "-W", "error"] if script.endswith(".py") else ["sh"]
    command = [*prefix, *started, str(EXAMPLES / script), *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)


def validated(trail: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "auditwatch", "validate", "--format", "json", str(trail)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    found: dict[str, Any] = json.loads(answer.stdout)
    assert answer.returncode == {"whole": 0, "damaged": 1}[found["verdict"]]
    return found


def nearly_full(trail: Path) -> None:
    """A trail to which no record can be added by a process under `LIMITED`."""
    trail.write_bytes(b'{"fill":"%s"}\n' % (b"x" * (LIMIT_BYTES - 40)))


def test_the_index_names_every_example_and_no_other() -> None:
    assert sorted(path.name for path in links(INDEX) if path.parent == EXAMPLES) == SCRIPTS
    assert missing(INDEX) == []


def test_every_example_is_run_below() -> None:
    text = Path(__file__).read_text()
    assert [script for script in SCRIPTS if f'run("{script}"' not in text and script != APPLICATION] == []


def test_shell_scripts_can_be_run_and_are_plain_posix() -> None:
    for script in EXAMPLES.glob("*.sh"):
        assert os.access(script, os.X_OK)
        assert script.read_text().startswith("#!/bin/sh\n")
        assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


class TestFailOpen:
    """The action takes place, recorded or not."""

    def test_the_kill_switch_is_recorded(self, trail: Path, programs: dict[str, str]) -> None:
        result = run("fail_open_producer.py", trail, env=programs)
        assert (result.returncode, result.stdout) == (0, "trading: False, unrecorded: 0\n")
        assert [record["event"] for record in read_records(trail)] == ["KILL_SWITCH"]
        assert validated(trail)["verdict"] == "whole"

    def test_trading_stops_all_the_same_where_the_record_cannot_be_stored(
        self, trail: Path, programs: dict[str, str]
    ) -> None:
        nearly_full(trail)
        result = run("fail_open_producer.py", trail, env=programs, prefix=LIMITED)
        assert (result.returncode, result.stdout) == (0, "trading: False, unrecorded: 1\n")
        assert "risk: no audit record (reason: quota, stored: no)" in result.stderr
        assert (validated(trail)["verdict"], validated(trail)["records"]) == ("whole", 1)


class TestFailClosed:
    """No record, no action."""

    def test_a_trade_that_is_recorded_takes_place(self, trail: Path, programs: dict[str, str]) -> None:
        result = run("fail_closed_producer.py", trail, env=programs)
        assert (result.returncode, result.stdout, result.stderr) == (0, "executed: 1\n", "")
        (record,) = read_records(trail)
        assert (record["event"], record["_seq"]) == ("TRADE_APPROVED", 1)
        assert validated(trail)["verdict"] == "whole"

    def test_a_trade_that_cannot_be_recorded_does_not(self, trail: Path, programs: dict[str, str]) -> None:
        nearly_full(trail)
        result = run("fail_closed_producer.py", trail, env=programs, prefix=LIMITED)
        assert (result.returncode, result.stdout) == (1, "executed: 0\n")
        assert result.stderr.startswith("not traded (reason: quota, stored: no)")
        assert (validated(trail)["verdict"], validated(trail)["records"]) == ("whole", 1)


def test_audit_records_of_logging_go_into_the_trail_and_others_do_not(trail: Path, programs: dict[str, str]) -> None:
    result = run("logging_dictconfig.py", trail, env=programs)
    assert (result.returncode, result.stderr) == (0, "two records written\n")
    approved, rejected = read_records(trail)
    assert (approved["message"], approved["details"]["symbol"]) == ("TRADE_APPROVED", "BTC-USD")
    assert (rejected["level"], rejected["exception"]["type"]) == ("ERROR", "KeyError")
    assert validated(trail)["verdict"] == "whole"


@pytest.fixture
def application(trail: Path, programs: dict[str, str]) -> Iterator[str]:
    """The URL of the example, served under a limit on the size of the trail."""
    pytest.importorskip("fastapi", reason="NOT RUN: no fastapi here")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "--app-dir",
            str(EXAMPLES),
            "fastapi_app:app",
            "--log-level",
            "error",
        ]
        process = subprocess.Popen(
            [*LIMITED, *command, "--fd", str(listener.fileno())],
            env=programs | {"AUDIT_TRAIL": str(trail)},
            pass_fds=[listener.fileno()],
        )
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/trades"
        finally:
            process.terminate()
            process.wait(60)


def posted(url: str, trade: dict[str, object]) -> tuple[int, dict[str, str]]:
    """The answer; the connection waits in the listener until the application is up."""
    request = urllib.request.Request(url, json.dumps(trade).encode(), {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_application_answers_when_the_record_is_stored_and_refuses_when_it_is_not(
    application: str, trail: Path
) -> None:
    assert posted(application, {"symbol": "BTC-USD"}) == (201, {"status": "approved"})
    (record,) = read_records(trail)
    assert record["details"] == {"symbol": "BTC-USD"}
    status, answer = posted(application, {"symbol": "x" * LIMIT_BYTES})
    assert (status, answer) == (503, {"detail": "not recorded (quota), so not approved"})
    assert (validated(trail)["verdict"], validated(trail)["records"]) == ("whole", 1)


class TestCronCover:
    """A share of the blocks each day."""

    @pytest.fixture
    def on_day(self, programs: dict[str, str]) -> Any:
        """Runs the script as if this number of days had passed since 1970."""

        def run_on(day: int, trail: Path, days: int) -> subprocess.CompletedProcess[str]:
            date = Path(programs["PATH"].split(":")[0]) / "date"
            date.write_text(f"#!/bin/sh\necho {day * 86400 + 4 * 3600}\n")
            date.chmod(0o755)
            return run("cron_cover.sh", trail, env=programs | {"DAYS": str(days)})

        return run_on

    def test_a_whole_trail_is_said_nothing_of(self, trail: Path, on_day: Any) -> None:
        trail.write_bytes(b'{"event":"START"}\n' * 1000)
        result = on_day(20_000, trail, 30)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")

    def test_in_so_many_days_every_block_is_read(self, trail: Path, on_day: Any) -> None:
        line = b'{"event":"START","text":"' + b"x" * 200 + b'"}\n'
        good = line * (BLOCK_BYTES // len(line))
        trail.write_bytes(good + DAMAGED + good + good)
        found = [on_day(20_000 + day, trail, 3) for day in range(3)]
        assert 1 in [result.returncode for result in found]
        reports = [result.stdout for result in found if result.returncode == 1]
        assert all("of the blocks" in report and "interleaved" in report for report in reports)

    def test_what_cannot_be_looked_at_is_said(self, trail: Path, on_day: Any) -> None:
        result = on_day(20_000, trail, 30)
        assert result.returncode == 3
        assert str(trail) in result.stdout


class TestNodeExporterTextfile:
    """Metrics in a file."""

    @pytest.fixture
    def places(self, tmp_path: Path, programs: dict[str, str]) -> dict[str, str]:
        (tmp_path / "textfiles").mkdir()
        return programs | {"STATE": str(tmp_path / "state"), "TEXTFILES": str(tmp_path / "textfiles")}

    def test_the_metrics_are_left_for_everybody_to_read(self, trail: Path, places: dict[str, str]) -> None:
        trail.write_bytes(b"{}\n" + DAMAGED)
        result = run("node_exporter_textfile.sh", trail, env=places)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
        (file,) = Path(places["TEXTFILES"]).iterdir()
        assert (file.name, file.stat().st_mode & 0o777) == ("auditwatch.prom", 0o644)
        assert 'auditwatch_trail_corrupt_lines{kind="interleaved",trail="audit_trail"} 1.0' in file.read_text()
        again = run("node_exporter_textfile.sh", trail, env=places)
        assert again.returncode == 0
        assert (
            'auditwatch_trail_corrupt_lines_inherited{kind="interleaved",trail="audit_trail"} 1.0' in file.read_text()
        )

    def test_prometheus_takes_them(self, trail: Path, places: dict[str, str]) -> None:
        promtool = shutil.which("promtool") or pytest.skip("NOT RUN: promtool is missing: apt-get install prometheus")
        trail.write_bytes(b"{}\n")
        assert run("node_exporter_textfile.sh", trail, env=places).returncode == 0
        with open(Path(places["TEXTFILES"]) / "auditwatch.prom", "rb") as metrics:
            checked = subprocess.run([promtool, "check", "metrics"], stdin=metrics, capture_output=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, b"")

    def test_what_cannot_be_looked_at_is_3(self, trail: Path, places: dict[str, str]) -> None:
        assert run("node_exporter_textfile.sh", trail, env=places).returncode == 3
