"""What holds for all tests; and the table of the fault programme under their results."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.faults.programme import PROPERTY

# A loaded machine is slow, not wrong: no example is judged by how long it took.
settings.register_profile("auditwatch", deadline=None)
settings.load_profile("auditwatch")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = terminalreporter.stats.get("passed", [])
    rows = [row for report in passed for name, row in report.user_properties if name == PROPERTY]
    if rows:
        terminalreporter.section("fault programme")
        terminalreporter.write_line("| suite | trials without a failure | seen | a failure is rarer than |")
        terminalreporter.write_line("|---|---|---|---|")
    for row in sorted(rows):
        terminalreporter.write_line(row)
