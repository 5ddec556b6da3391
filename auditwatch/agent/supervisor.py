"""The one place where the agent is wired together; with its logbook the only one that logs."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Final

from auditwatch.agent.budget import Budget
from auditwatch.agent.handover import Handover
from auditwatch.agent.housekeeping import Housekeeping
from auditwatch.agent.local_door import LocalDoor
from auditwatch.agent.logbook import Logbook, log, log_error, log_news, log_trouble, log_warning, logbook_kept
from auditwatch.agent.monitor import Monitor
from auditwatch.agent.offline import remember_watched
from auditwatch.agent.proofs import Proofs
from auditwatch.agent.publishing import Publisher
from auditwatch.agent.roster import Roster, Services
from auditwatch.agent.runs import Runs
from auditwatch.agent.timetable import Timetable
from auditwatch.config.places import AGENT_SOCKET
from auditwatch.config.settings import Config
from auditwatch.errors import AuditwatchError, StateFull, StateUnwritable
from auditwatch.files.watcher import Watcher
from auditwatch.host.descriptors import raise_limit
from auditwatch.host.signals import ENDING, held_signals, run_in_loop
from auditwatch.state.directory import StateDirectory, state_directory_open
from auditwatch.validation.workers.pool import WorkerPool
from auditwatch.web.app import create_app
from auditwatch.web.collector import Exposition
from auditwatch.web.server import Server, listen
from auditwatch.web.snapshot import Snapshot

RESTART_SECONDS: Final = 1.0
"""How long to wait before a task that failed is restarted."""

LAST_LOOK_SECONDS: Final = 5.0
"""How long the last look may take: all of stopping must stay below the promised ten seconds."""

LOGGED_NAMES: Final = 5
"""The most trails that are named when the agent says what it watches."""

LOG_SECONDS: Final = 2.0
"""How often the log is asked for totals that are due."""

Reload = Callable[[], Config]


def run_agent(config: Config, *, state_dir: str, reload: Reload | None = None) -> int:
    """Run the agent until SIGTERM or SIGINT.

    Args:
        config: What to watch and where to listen.
        state_dir: Created if it does not exist.
        reload: Reads the configuration again, for SIGHUP; None if there is no file to read.

    Raises:
        StateError: The state directory cannot be used, or another agent does.
        ListenError: The address cannot be listened on.
    """
    raise_limit()
    with state_directory_open(state_dir, time.time(), waits_for_room=True) as state:
        _keep_generation(state)
        with listen(config.web.listen_address) as sock, held_signals() as came, logbook_kept() as book:
            asyncio.run(_serve(config, state, reload, sock, came, book))
    return 0


def _keep_generation(state: StateDirectory) -> None:
    if not state.is_in_place:
        log.warning("%s: there is no room: running from memory until there is", state.path)
        return
    try:
        state.store.keep_generation()
    except StateFull as error:
        log.warning("the previous generation of the state stays as it was: %s", error)


def run_once(config: Config, *, state_dir: str, metrics_file: str | None = None) -> Snapshot:
    """Judge what is new, do one full and one sample run over every trail, and return what is known then.

    Args:
        config: What to look at.
        state_dir: Created if it does not exist.
        metrics_file: Where to write the metrics for node_exporter's textfile collector.

    Raises:
        StateError: The state directory cannot be used, or another agent does.
    """
    raise_limit()
    with state_directory_open(state_dir, time.time()) as state, logbook_kept():
        snapshot = run_in_loop(lambda: _once(config, state))
    if metrics_file:
        _write_metrics(metrics_file, snapshot)
    return snapshot


def _write_metrics(path: str, snapshot: Snapshot) -> None:
    """node_exporter reads whatever it finds, so the file appears whole or not at all."""
    fresh = Path(f"{path}.{os.getpid()}.new")
    try:
        fresh.write_bytes(Exposition(lambda: snapshot).text())
        fresh.replace(path)
    except OSError as error:
        raise StateUnwritable(f"{path}: cannot be written: {error.strerror}; see --metrics-file") from error


async def _serve(
    config: Config,
    state: StateDirectory,
    reload: Reload | None,
    sock: socket.socket,
    came: list[int],
    book: Logbook,
) -> None:
    await Agent(config, state).serve(sock, reload, came, book)


async def _once(config: Config, state: StateDirectory) -> Snapshot:
    return await Agent(config, state).once()


class Agent:
    """Everything that runs while the agent does. Create it inside the loop that owns it."""

    def __init__(self, config: Config, state: StateDirectory) -> None:
        self._config = config
        self._state = state
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        monitors: dict[str, Monitor] = {}
        self._publisher = Publisher(monitors, time.time)
        self._pool = WorkerPool(max((trail.workers for trail in config.trails), default=1))
        self._timetable = Timetable(self._missed)
        self._watcher = Watcher(Handover(self._woken).give, beside=Handover(self._moved_beside).give)
        self._runs = Runs(self._publisher, state.blocks, log_trouble)
        self._proofs = Proofs(monitors, Budget(config.rehash_core_share, config.rehash_bytes), self._publisher.proved)
        self._roster = Roster(monitors, self._services())
        self._housekeeping = Housekeeping(state, self._publisher, monitors, self._watcher, self._pool, log_warning)

    def _services(self) -> Services:
        return Services(
            store=self._state.store,
            pool=self._pool,
            publisher=self._publisher,
            runs=self._runs,
            timetable=self._timetable,
            watcher=self._watcher,
            found=log_news,
            measured=self._measured,
            troubled=log_trouble,
            guarded=self._guarded,
            clock=time.time,
        )

    async def serve(self, sock: socket.socket, reload: Reload | None, came: list[int], book: Logbook) -> None:
        """Watch and answer until asked to stop, also by signals that have already arrived; then take one last look."""
        keeper = self._housekeeping
        app = create_app(self._publisher.snapshot, keeper.is_healthy, keeper.is_ready)
        server = Server(app, sock)
        door = LocalDoor(app, self._state.path, lambda: self._state.lock.is_in_place, log_warning)
        self._catch_signals(reload, came)
        await self._begin(self._config)
        self._guarded("housekeeping", keeper.run)
        self._guarded("re-verification", self._proofs.run)
        self._timetable.start()
        door.open()
        self._guarded(AGENT_SOCKET, door.run)
        self._guarded("log", partial(_keep_telling, book))
        answering = asyncio.create_task(server.serve())
        log.info("state directory: %s", self._state.path)
        log.info("watching %s; page and metrics: %s", _names(self._config), server.url)
        await self._stopping.wait()
        log.info("stopping: one last look")
        await self._end(last_look=True)
        server.stop()
        await answering
        log.info("stopped")

    async def once(self) -> Snapshot:
        """Judge what is new, hash what is old, then do one full and one sample run over every trail."""
        await self._begin(self._config)
        for monitor in self._roster.monitors.values():
            await monitor.settle()
            await self._proofs.whole(monitor)
            await self._runs.full(monitor)
            await self._runs.sample(monitor)
            await monitor.last_look()
            await monitor.judge_archives()  # those of which a run found that they have changed
        await self._housekeeping.selftest()
        self._housekeeping.show_figures()
        snapshot = self._publisher.snapshot()
        await self._end(last_look=False)
        return snapshot

    async def _begin(self, config: Config) -> None:
        """Load the stored state and show what it says before the listener answers."""
        try:
            remember_watched(self._state.store, ((trail.name, trail.path) for trail in config.trails))
        except StateUnwritable as error:
            log.warning("commands that read the state directory still show the previous trails: %s", error)
        self._housekeeping.show_state(config)
        await self._roster.become(config.trails)

    async def _end(self, *, last_look: bool) -> None:
        self._timetable.stop()
        await self._housekeeping.close()
        if last_look:
            await self._last_look()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._roster.save()
        await self._pool.close()

    async def _last_look(self) -> None:
        try:
            async with asyncio.timeout(LAST_LOOK_SECONDS):
                await self._roster.last_look()
        except TimeoutError:
            log.warning("the last look took too long: the rest will be judged after the next start")

    def _catch_signals(self, reload: Reload | None, came: list[int]) -> None:
        for number in ENDING:
            self._loop.add_signal_handler(number, self._stopping.set)
        self._loop.add_signal_handler(signal.SIGHUP, self._reloaded, reload)
        if came:
            came.clear()
            self._stopping.set()

    def _reloaded(self, reload: Reload | None) -> None:
        if reload is None:
            log.info("SIGHUP: there is no configuration file to reload")
            return
        task = self._loop.create_task(self._become(reload))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _become(self, reload: Reload) -> None:
        """Take all of the new configuration or keep all of the old one; one reload at a time."""
        async with self._reloading:
            await self._reload(reload)

    async def _reload(self, reload: Reload) -> None:
        try:
            config = await asyncio.to_thread(reload)
        except AuditwatchError as error:
            self._publisher.change_agent(config_last_reload_successful=False)
            log.error("SIGHUP: the new configuration was rejected: %s", error)
            return
        if config.web != self._config.web:
            log.warning("SIGHUP: a new listen address needs a restart")
        self._config = config
        await self._begin(config)
        log.info("SIGHUP: watching %s", _names(config))

    def _guarded(self, name: str, work: Callable[[], Coroutine[object, object, None]]) -> asyncio.Task[None]:
        """A task that never ends the agent: an unforeseen error is logged, and the task starts again."""
        task = self._loop.create_task(self._again_and_again(name, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _again_and_again(self, name: str, work: Callable[[], Coroutine[object, object, None]]) -> None:
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001  logged, and tried again
                log_error(name, error)
                await asyncio.sleep(RESTART_SECONDS)

    def _woken(self, path: str) -> None:
        self._roster.wake(path)

    def _moved_beside(self, path: str) -> None:
        self._roster.wake(path, with_neighbours=True)

    def _missed(self, reason: str) -> None:
        missed = dict(self._publisher.agent.missed_runs)
        missed[reason] += 1
        self._publisher.change_agent(missed_runs=missed)

    def _measured(self, seconds: float) -> None:
        self._publisher.change_agent(detection_latency=self._publisher.agent.detection_latency.observed(seconds))


async def _keep_telling(book: Logbook) -> None:
    while True:
        await asyncio.sleep(LOG_SECONDS)
        book.tell_due()


def _names(config: Config) -> str:
    """The trails in a few words."""
    names = [trail.name for trail in config.trails]
    return ", ".join(names) if len(names) <= LOGGED_NAMES else f"{len(names)} trails"
