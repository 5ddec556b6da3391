"""When validation runs are due: APScheduler is the clock, the last success is remembered here."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from itertools import pairwise
from typing import Final

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from auditwatch.config.hours import Hours
from auditwatch.config.settings import Schedule

JITTER: Final = 0.1
"""Share of the interval by which runs are spread, so that a hundred hosts do not all read their disks at once."""

START_DELAY_SECONDS: Final = (2.0, 10.0)
"""An overdue run begins this long after the start, at random: starting is busy enough."""

CRON_LOOKAHEAD: Final = 32
"""Runs of a cron expression that are compared to find the longest pause: about a month of daily runs."""

_MISSED: Final = {EVENT_JOB_MISSED: "late", EVENT_JOB_MAX_INSTANCES: "busy", EVENT_JOB_ERROR: "error"}


class Timetable:
    """The runs of all trails. Belongs to the agent's loop."""

    def __init__(
        self, missed: Callable[[str], None], clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._clock = clock
        self._planned: dict[str, Callable[[float], None]] = {}
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._scheduler.add_listener(
            lambda event: missed(_MISSED[event.code]), EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES | EVENT_JOB_ERROR
        )

    def start(self) -> None:
        """Start running."""
        self._scheduler.start()
        for key in self._planned:
            self._tell(key)

    def stop(self) -> None:
        """Start no more runs."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def add(
        self,
        key: str,
        schedule: Schedule,
        last_success: float,
        run: Callable[[], Awaitable[None]],
        planned: Callable[[float], None],
    ) -> None:
        """Run on this schedule; soon, if the last success is longer ago than it allows.

        Args:
            key: Of the job; `remove` takes it.
            schedule: When it is due; one that is never due adds nothing.
            last_success: Seconds since 1970; 0 = never.
            run: Begins it; called in the loop.
            planned: Called with the time when it is due, in seconds since 1970; 0 = never. While a run waits for its
                turn or goes on, that is the time when this run was due.
        """
        trigger = _trigger(schedule)
        self._planned[key] = planned
        if trigger is not None:
            self._scheduler.add_job(
                partial(self._run, key, run),
                trigger,
                id=key,
                next_run_time=self._first(trigger, schedule.window, last_success),
                misfire_grace_time=None,  # the default silently drops a run that is a second late
                coalesce=True,
                max_instances=1,
            )
        self._tell(key)

    def remove(self, key: str) -> None:
        """This job no longer runs."""
        if self._scheduler.get_job(key):
            self._scheduler.remove_job(key)
        self._tell(key)
        del self._planned[key]

    async def _run(self, key: str, run: Callable[[], Awaitable[None]]) -> None:
        try:
            await run()
        finally:
            self._tell(key)

    def _tell(self, key: str) -> None:
        """Before the start nothing is due: who looks once runs everything itself."""
        job = self._scheduler.get_job(key) if self._scheduler.running else None
        if key in self._planned:
            self._planned[key](job.next_run_time.timestamp() if job and job.next_run_time else 0.0)

    def _first(self, trigger: BaseTrigger, window: Hours | None, last_success: float) -> datetime:
        now = self._clock()
        soon = now + timedelta(seconds=random.uniform(*START_DELAY_SECONDS))  # noqa: S311  jitter, not a secret
        last = datetime.fromtimestamp(last_success, UTC)
        due = trigger.get_next_fire_time(last, last) if last_success else soon
        first = max(due or soon, soon)
        return window.opening(first) if window else first


@lru_cache(maxsize=256)
def interval_seconds(schedule: Schedule) -> float:
    """The longest time between two runs of a schedule, if each ends in its window; 0 = never.

    >>> interval_seconds(Schedule(every_seconds=60.0)), interval_seconds(Schedule(cron="15 3 * * sat,sun"))
    (60.0, 518400.0)
    """
    closed = schedule.window.closed_seconds if schedule.window else 0.0
    if schedule.cron is None:
        return schedule.every_seconds + closed if schedule.every_seconds else 0.0
    trigger = CronTrigger.from_crontab(schedule.cron, timezone=schedule.timezone)
    times = [trigger.get_next_fire_time(None, datetime.now(UTC))]
    while len(times) <= CRON_LOOKAHEAD and times[-1] is not None:
        times.append(trigger.get_next_fire_time(times[-1], times[-1]))
    known = [time for time in times if time is not None]
    pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(known)]
    return max(pauses) + closed if pauses else 0.0


def _trigger(schedule: Schedule) -> BaseTrigger | None:
    trigger = _at_any_time(schedule)
    return _InWindow(trigger, schedule.window) if trigger is not None and schedule.window else trigger


class _InWindow(BaseTrigger):  # type: ignore[misc]  # apscheduler has no types
    """What comes due while the window is closed comes due when it opens."""

    def __init__(self, trigger: BaseTrigger, window: Hours) -> None:
        self._trigger = trigger
        self._window = window

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """As APScheduler asks for it."""
        due = self._trigger.get_next_fire_time(previous_fire_time, now)
        return self._window.opening(due) if due is not None else None


def _at_any_time(schedule: Schedule) -> BaseTrigger | None:
    if schedule.cron is not None:
        return CronTrigger.from_crontab(schedule.cron, timezone=schedule.timezone)
    if schedule.every_seconds is None:
        return None
    jitter = max(1, int(schedule.every_seconds * JITTER))
    return IntervalTrigger(seconds=schedule.every_seconds, timezone=UTC, jitter=jitter)
