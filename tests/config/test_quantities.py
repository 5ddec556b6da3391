"""Durations and sizes."""

from __future__ import annotations

import pytest

from auditwatch.config.quantities import duration_seconds, size_bytes


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("1h30m", 5400),
        ("7d", 604800),
        ("2w", 1209600),
        ("1y", 31536000),
        ("250ms", 0.25),
        ("0", 0),
        (0, 0),
    ],
)
def test_a_duration_is_read_as_prometheus_reads_it(text: object, seconds: float) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "30", 30, 1.5, "1m30h", "1h1h", "1.5h", "-1s", "1 h", "1H", "s", None, True, False, "101y", "9" * 99 + "s"],
)
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match=r"is not a duration such as|100 years"):
        duration_seconds(text)


@pytest.mark.parametrize(("text", "size"), [("1KiB", 1024), ("1MiB", 1 << 20), ("2GiB", 2 << 30), (4096, 4096)])
def test_a_size_is_a_power_of_1024(text: object, size: int) -> None:
    assert size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "1", "1MB", "1.5MiB", "-1KiB", "MiB", 1.5, None, True, "9" * 99 + "KiB"])
def test_anything_else_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="is not a size such as"):
        size_bytes(text)
