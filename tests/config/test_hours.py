"""Hours of the day: when they open and close, over midnight and over a change of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditwatch.config.hours import Hours, hours_of

NIGHT = hours_of("22:00-06:00")
LUNCH = hours_of("12:00-13:30")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "now", "opens"),
    [
        (NIGHT, "2026-11-26T21:59:00", "2026-11-26T22:00:00"),
        (NIGHT, "2026-11-26T22:00:00", "2026-11-26T22:00:00"),
        (NIGHT, "2026-11-27T05:59:59", "2026-11-27T05:59:59"),
        (NIGHT, "2026-11-27T06:00:00", "2026-11-27T22:00:00"),
        (LUNCH, "2026-11-27T11:00:00", "2026-11-27T12:00:00"),
        (LUNCH, "2026-11-27T13:30:00", "2026-11-28T12:00:00"),
        (hours_of("22:00-06:00 Europe/London"), "2026-07-01T20:30:00", "2026-07-01T21:00:00"),
        # London's clocks go from 01:00 to 02:00 on 2026-03-29 (UTC): the window opens as the wall says.
        (hours_of("03:00-04:00 Europe/London"), "2026-03-28T12:00:00", "2026-03-29T02:00:00"),
        (hours_of("03:00-04:00 Europe/London"), "2026-03-27T12:00:00", "2026-03-28T03:00:00"),
    ],
)
def test_it_opens_at_once_or_when_it_is_time(window: Hours, now: str, opens: str) -> None:
    assert window.opening(at(now)) == at(opens)


def test_it_closes_when_it_is_time() -> None:
    assert NIGHT.closing(at("2026-11-26T23:00:00")) == at("2026-11-27T06:00:00")
    assert NIGHT.closing(at("2026-11-27T01:00:00")) == at("2026-11-27T06:00:00")
    assert NIGHT.closing(at("2026-11-27T06:00:00")) is None
    assert LUNCH.closing(at("2026-11-27T12:00:00")) == at("2026-11-27T13:30:00")
    assert (NIGHT.closed_seconds, LUNCH.closed_seconds) == (16 * 3600, 22.5 * 3600)


@given(
    opens=st.integers(0, 1439),
    closes=st.integers(0, 1439),
    zone=st.sampled_from(["UTC", "Europe/London", "America/New_York", "Asia/Kolkata"]),
    now=st.integers(0, 2 * 365 * 86400).map(lambda seconds: at("2025-01-01T00:00:00") + timedelta(seconds=seconds)),
)
def test_it_always_opens_within_a_day_and_is_open_then(opens: int, closes: int, zone: str, now: datetime) -> None:
    window = Hours(opens, closes if closes != opens else (opens + 1) % 1440, zone)
    opening = window.opening(now)
    assert now <= opening <= now + timedelta(hours=26)
    assert (window.closing(now) is not None) == (opening == now)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("24:00-06:00", "is not a time of day"),
        ("6-8", "is not a time of day"),
        ("", "is not a time of day"),
        ("22:00-22:00", "opens and closes at the same time"),
        ("22:00-06:00 Mars/Base", "is not a time zone"),
    ],
)
def test_what_is_no_window_is_said_with_an_example(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        hours_of(text)
