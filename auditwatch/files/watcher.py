"""Wakes the agent when a trail may have changed. This is only a hint: `stat` decides elsewhere whether it has, and how.

Directories are watched, not files, so that rotation and files that appear later are noticed. Whatever cannot be watched
is polled by the agent, and its status says so; no trail can make anything here raise an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from auditwatch.host import filesystems
from auditwatch.trail.names import segment_order

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver, ObservedWatch

WatchMode = Literal["auto", "events", "poll"]

MAX_DIRECTORIES: Final = 32
"""Most directories that are watched: each takes a thread and one of 128 inotify instances."""

PAUSE_SECONDS: Final = 0.05
"""Between two reads of what happened in a directory, if nothing else is asked for."""

_JOIN_SECONDS: Final = 5.0

_MOST_NAMES: Final = 4096
"""Most names of files beside trails that are remembered."""


@dataclass(frozen=True, slots=True)
class WatchStatus:
    """How changes of one trail are noticed.

    Attributes:
        up: Whether this works as configured; polling counts as working, unless events were asked for.
        polling: Whether changes are noticed by polling only.
    """

    up: bool
    polling: bool


@dataclass(slots=True, eq=False)
class _Directory:
    """One directory with the trails in it.

    Attributes:
        trails: Paths of the trails by file name.
        version: Grows whenever they change.
        links: Names of the trails that are symbolic links: they change elsewhere, so they are polled.
        demanded: Whether events were asked for, no matter which file system it is.
        watch: The watch while the directory is armed.
        identity: Device and inode of the directory while it is armed.
    """

    path: str
    trails: dict[str, str] = field(default_factory=dict)
    version: int = 0
    links: frozenset[str] = frozenset()
    demanded: bool = False
    watch: ObservedWatch | None = None
    identity: tuple[int, int] | None = None


class Watcher:
    """Watches the directories of trails.

    `watch` only remembers the trail; `check` arms and re-arms. `check` asks file systems, which may hang: call it in a
    thread, once after the first `watch` and then every few seconds. `status` may be called at any time from any thread.

    Args:
        wake: Called with the path of a trail that may have changed, in one of the watcher's threads.
        beside: The same, if a file that may be one of its closed segments came, went, grew or was renamed.
        trusts: Whether a directory's file system reports changes reliably.
        max_directories: How many directories are watched; the others are polled.

    Attributes:
        rescans: How often a directory was armed anew, or its events were lost; then every trail in it is looked at.
    """

    def __init__(
        self,
        wake: Callable[[str], None],
        *,
        beside: Callable[[str], None] | None = None,
        trusts: Callable[[str], bool] | None = None,
        max_directories: int = MAX_DIRECTORIES,
    ) -> None:
        self._wake = wake
        self._beside = beside or wake
        self._trusts = trusts or _trusts
        self._max_directories = max_directories
        self._directories: dict[str, _Directory] = {}
        self._modes: dict[str, WatchMode] = {}
        self._pauses: dict[str, float] = {}
        self._pause_seconds = PAUSE_SECONDS
        self._observer: BaseObserver | None = None
        self._is_closed = False
        self.rescans = 0

    def watch(self, path: str, mode: WatchMode = "auto", pause_seconds: float = PAUSE_SECONDS) -> None:
        """Add a trail; its changes are reported from the next `check` on.

        Args:
            path: Of the trail.
            mode: Whether events are used.
            pause_seconds: Between two reports of changes at most; the shortest of all trails counts.
        """
        self._modes[path] = mode
        self._pauses[path] = pause_seconds
        self._pause_seconds = min(self._pauses.values())
        if mode == "poll":
            return
        parent, name = os.path.split(os.path.abspath(path))
        directory = self._directories.setdefault(parent, _Directory(parent))
        directory.trails[name] = path
        directory.version += 1
        directory.demanded |= mode == "events"

    def unwatch(self, path: str) -> None:
        """Stop reporting a trail."""
        self._modes.pop(path, None)
        self._pauses.pop(path, None)
        self._pause_seconds = min(self._pauses.values(), default=PAUSE_SECONDS)
        parent, name = os.path.split(os.path.abspath(path))
        if parent in self._directories:
            self._directories[parent].trails.pop(name, None)
            self._directories[parent].version += 1

    def status(self, path: str) -> WatchStatus:
        """How changes of a trail are noticed at the moment."""
        parent, name = os.path.split(os.path.abspath(path))
        directory = self._directories.get(parent)
        by_events = (
            directory is not None
            and directory.watch is not None
            and self._modes.get(path) != "poll"
            and name not in directory.links
        )
        return WatchStatus(up=by_events or self._modes.get(path) in ("auto", "poll"), polling=not by_events)

    def check(self) -> None:
        """Arm directories that can be armed, and re-arm those that no longer get events."""
        for directory in list(self._directories.values()):
            if self._is_closed:
                return
            if directory.watch is not None and not self._hears(directory):
                self._disarm(directory)
            if directory.watch is None and self._may_arm(directory):
                self._arm(directory)
            directory.links = frozenset(name for name, path in list(directory.trails.items()) if os.path.islink(path))

    def close(self) -> None:
        """Stop watching; `wake` is not called afterwards."""
        self._is_closed = True
        observer, self._observer = self._observer, None
        for directory in self._directories.values():
            directory.watch = None
        if observer is not None:
            observer.stop()
            with suppress(RuntimeError):  # it was never started
                observer.join(_JOIN_SECONDS)

    def _hears(self, directory: _Directory) -> bool:
        """Whether events of the directory at this path still arrive.

        If a directory is deleted, its emitter ends, but the observer lives on; if it is moved away, the emitter stays.
        """
        emitters = self._observer.emitters if self._observer else ()
        alive = any(emitter.watch == directory.watch and emitter.is_alive() for emitter in emitters)
        return alive and _identity(directory.path) == directory.identity

    def _may_arm(self, directory: _Directory) -> bool:
        armed = sum(other.watch is not None for other in self._directories.values())
        return (
            armed < self._max_directories
            and _identity(directory.path) is not None
            and (directory.demanded or self._trusts(directory.path))
        )

    def _arm(self, directory: _Directory) -> None:
        before = _identity(directory.path)
        handler: Any = _Handler(  # watchdog wants its own class, but only uses `dispatch`
            directory, self._woken, self._moved_beside, self._look_again_at_all
        )
        with suppress(OSError, ImportError, RuntimeError):  # limits reached, or no inotify: the directory is polled
            directory.watch = self._observing().schedule(handler, os.path.realpath(directory.path))
            directory.identity = before  # if it has just been replaced, the next check notices
        if directory.watch is not None:
            self._look_at_all(directory)

    def _observing(self) -> BaseObserver:
        """The started observer.

        Raises:
            OSError: The system's limits on inotify are reached.
            ImportError: There is no inotify on this system.
        """
        if self._observer is None:
            from auditwatch.files.inotify import PacedObserver  # noqa: PLC0415  loaded only when something is watched

            observer = PacedObserver(lambda: self._pause_seconds)
            observer.start()
            self._observer = observer
        return self._observer

    def _disarm(self, directory: _Directory) -> None:
        watch, directory.watch = directory.watch, None
        self.rescans += 1
        if self._observer is not None and watch is not None:
            with suppress(KeyError, OSError, RuntimeError):  # it has already ended by itself
                self._observer.unschedule(watch)

    def _look_at_all(self, directory: _Directory) -> None:
        """Wake for every trail: changes from before the watch was armed caused no events."""
        for path in list(directory.trails.values()):
            self._woken(path)

    def _look_again_at_all(self, directory: _Directory) -> None:
        """Events of this directory were lost."""
        self.rescans += 1
        for path in list(directory.trails.values()):
            self._moved_beside(path)

    def _woken(self, path: str) -> None:
        self._call(self._wake, path)

    def _moved_beside(self, path: str) -> None:
        self._call(self._beside, path)

    def _call(self, wake: Callable[[str], None], path: str) -> None:
        if not self._is_closed:
            with suppress(RuntimeError):  # the loop to wake is already closed
                wake(path)


class _Handler:
    """What watchdog calls: picks out the events of our trails and of their closed segments, of any type."""

    def __init__(
        self,
        directory: _Directory,
        woken: Callable[[str], None],
        moved_beside: Callable[[str], None],
        lost: Callable[[_Directory], None],
    ) -> None:
        self._directory = directory
        self._woken = woken
        self._moved_beside = moved_beside
        self._lost = lost
        self._owners: dict[str, tuple[str, ...]] = {}
        self._version = directory.version

    def dispatch(self, event: Any) -> None:
        """Handle one event, in the observer's thread."""
        if event.is_directory:
            self._lost(self._directory)
            return
        name = os.path.basename(os.fsdecode(event.src_path))
        if (trail := self._directory.trails.get(name)) is not None:
            self._woken(trail)
        else:
            for owner in self._owners_of(name):
                self._moved_beside(owner)

    def _owners_of(self, name: str) -> tuple[str, ...]:
        """The trails that a file with this name may be a closed segment of; remembered, because files grow often."""
        if self._version != self._directory.version or len(self._owners) >= _MOST_NAMES:
            self._version = self._directory.version
            self._owners.clear()
        if name not in self._owners:
            trails = list(self._directory.trails.items())
            self._owners[name] = tuple(path for active, path in trails if segment_order(active, name) is not None)
        return self._owners[name]


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _trusts(path: str) -> bool:
    return filesystems.reports_changes(filesystems.of_path(path))
