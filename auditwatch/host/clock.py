"""The clock as a parameter, so that tests can use their own."""

from __future__ import annotations

from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since 1970."""
