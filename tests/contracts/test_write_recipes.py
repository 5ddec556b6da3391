"""docs/write/README.md: each recipe's code is run as it stands, and the trail holds what the page promises."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from auditwatch import AuditWriter
from auditwatch.testing import read_records
from tests.contracts.pages import ROOT

PAGE = (ROOT / "docs/write/README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
TRAIL = "logs/audit_trail.jsonl"


def block(part: str) -> str:
    (found,) = [code for code in BLOCKS if part in code]
    return found


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to run the recipes in."""
    (tmp_path / "logs").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(part: str) -> list[dict[str, Any]]:
    """The records of a trail after a recipe has run as a program."""
    Path("recipe.py").write_text(block(part))
    command = [sys.executable, "-W", "error", "recipe.py"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return read_records(TRAIL)


def test_a_queue_within_the_process_loses_nothing_of_message_and_exception() -> None:
    (record,) = run("class WholeRecords")
    assert (record["event"], record["details"], record["logger"]) == (
        "RISK_CHECK_FAILED", {"symbol": "BTC-USD"}, "risk",
    )  # fmt: skip
    assert record["exception"]["type"] == "ZeroDivisionError"
    assert "1 / 0" in record["exception"]["traceback"]


def test_structlog_writes_its_events() -> None:
    (record,) = run("raise structlog.DropEvent")
    assert record.pop("timestamp")
    assert record == {"strategy": "momentum", "level": "warning", "event": "KILL_SWITCH", "details": {"by": "ops"}}


def test_structlog_through_logging_loses_no_line() -> None:
    (record,) = run("render_to_log_kwargs")
    assert (record["level"], record["logger"], record["message"]) == ("WARNING", "risk", "KILL_SWITCH")
    assert (record["details"], record["price"]) == ({"by": "ops"}, "NaN")


def test_loguru_writes_its_records() -> None:
    (record,) = run("from loguru")
    assert record.pop("timestamp")
    assert record == {"level": "WARNING", "event": "KILL_SWITCH", "details": {"by": "ops"}}


@pytest.mark.parametrize("part", ["raise structlog.DropEvent", "from loguru"])
def test_a_program_hears_that_its_record_was_not_stored(part: str) -> None:
    log = "log.bind" if "structlog" in part else "logger.bind"
    Path("recipe.py").write_text(block(part).replace(f"\n{log}", f"\naudit.close()\n{log}"))
    done = subprocess.run(
        [sys.executable, "recipe.py"], env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "AuditWriteError" in done.stderr
    assert "the writer is closed" in done.stderr


class _Local(http.client.HTTPConnection):
    """HTTP over the server's own socket in the file system."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("server.sock")


def answered() -> int | None:
    """The status of one request; None if the server is not there yet."""
    connection = _Local("server", timeout=30)
    try:
        connection.request("POST", "/trades")
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def test_workers_that_gunicorn_forked_from_a_loaded_application_share_the_trail() -> None:
    Path("app.py").write_text(block("def application"))
    options = ["--preload", "--workers", "2", "--bind", "unix:server.sock", "--no-control-socket"]
    command = [sys.executable, "-m", "gunicorn", *options, "app:application"]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        try:
            deadline = time.monotonic() + 60
            while (first := answered()) is None and server.poll() is None:
                assert time.monotonic() < deadline
            statuses = [first, *(answered() for _ in range(19))]
        finally:
            server.terminate()
        assert server.stdout is not None
        assert statuses == [201] * 20, server.stdout.read()
    assert [record["details"] for record in read_records(TRAIL)] == [{"path": "/trades"}] * 20


def test_a_pool_gets_the_writer_as_an_argument() -> None:
    numbers = [record["details"]["number"] for record in run("multiprocessing")]
    assert sorted(numbers) == list(range(10))


def _append_until_interrupted(audit: AuditWriter) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    while True:
        audit.append({"event": "STEP"})


def test_a_cell_is_run_again_and_the_stop_button_leaves_a_writer_that_works() -> None:
    cell, names = block("BACKTEST_STARTED"), {}
    for _ in range(2):
        exec(cell, names)
    audit = names["audit"]
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            _append_until_interrupted(audit)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    exec(cell, names)
    events = [record["event"] for record in read_records(TRAIL)]
    assert (events[:2], events[-1]) == (["BACKTEST_STARTED"] * 2, "BACKTEST_STARTED")


def test_every_recipe_is_run_here() -> None:
    parts = re.findall(r'(?:run|block)\("(.+?)"\)', Path(__file__).read_text())
    assert {code for part in parts for code in BLOCKS if part in code} == set(BLOCKS)
