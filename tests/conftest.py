"""What holds for all tests; and the table of the fault programme under their results."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.faults.programme import PROPERTY

# A loaded machine is slow, not wrong: no example is judged by how long it took.
settings.register_profile("auditwatch", deadline=None)
settings.load_profile("auditwatch")


# The one thing that no machine can install: data that lies beside some checkouts.
_MAY_BE_ABSENT = "not beside this checkout"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Where everything must run (`CI=true`), what was not run has failed."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.skipped and os.environ.get("CI") == "true" and _MAY_BE_ABSENT not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"{report.longrepr[2]} (with CI=true that is a failure)"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = terminalreporter.stats.get("passed", [])
    rows = [row for report in passed for name, row in report.user_properties if name == PROPERTY]
    if rows:
        terminalreporter.section("fault programme")
        terminalreporter.write_line("| suite | trials without a failure | seen | a failure is rarer than |")
        terminalreporter.write_line("|---|---|---|---|")
    for row in sorted(rows):
        terminalreporter.write_line(row)
