"""Prints the table of the fault programme under the results, also where several processes ran it."""

from __future__ import annotations

import pytest

from tests.faults.programme import PROPERTY


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = terminalreporter.stats.get("passed", [])
    rows = [row for report in passed for name, row in report.user_properties if name == PROPERTY]
    if rows:
        terminalreporter.section("fault programme")
        terminalreporter.write_line("| suite | trials without a failure | seen | a failure is rarer than |")
        terminalreporter.write_line("|---|---|---|---|")
    for row in sorted(rows):
        terminalreporter.write_line(row)
