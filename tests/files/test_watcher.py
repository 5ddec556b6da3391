"""The watcher wakes; it never lies about how, and no trail can make it raise an error."""

from __future__ import annotations

import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from watchdog.events import FileSystemEventHandler

from auditwatch.files import inotify
from auditwatch.files.inotify import PacedObserver
from auditwatch.files.watcher import Watcher, WatchStatus

BY_EVENTS = WatchStatus(up=True, polling=False)
BY_POLLING = WatchStatus(up=True, polling=True)

pytestmark = pytest.mark.concurrency


class Wakes:
    """Collects who was woken, and gives the watcher back."""

    def __init__(self, **how: object) -> None:
        self.woken: queue.Queue[str] = queue.Queue()
        self.watcher = Watcher(self.woken.put, trusts=how.pop("trusts", lambda _path: True), **how)  # type: ignore[arg-type]

    def armed(self, *paths: str) -> None:
        for path in paths:
            self.watcher.watch(path)
        self.watcher.check()
        self.forget()

    def forget(self) -> None:
        while not self.woken.empty():
            self.woken.get()

    def next(self) -> str:
        return self.woken.get(timeout=20)


@pytest.fixture
def wakes() -> Iterator[Wakes]:
    made = Wakes()
    yield made
    made.watcher.close()


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        threading.Event().wait(0.005)


class Gate:
    """A pause between two reads that lasts until the test opens the gate."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._open = threading.Event()

    def pause(self) -> float:
        self._reached.set()
        assert self._open.wait(20)
        return 0.0

    def reached(self) -> None:
        assert self._reached.wait(20)

    def open(self) -> None:
        self._open.set()


def overflow(first: Path, second: Path) -> None:
    """Cause more events than the kernel keeps; equal ones in a row would be one."""
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    with first.open("wb", buffering=0) as one, second.open("wb", buffering=0) as another:
        for _ in range(most // 2 + 1):
            one.write(b".")
            another.write(b".")


def inotify_descriptors() -> list[str]:
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # that of the listing
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return [name for name in found if "inotify" in name]


def append(path: str) -> None:
    with open(path, "ab") as file:
        file.write(b"{}\n")


def test_an_append_wakes_with_the_path_of_its_trail(wakes: Wakes, tmp_path: Path) -> None:
    first, second = str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")
    wakes.armed(first, second)
    append(second)
    assert wakes.next() == second
    assert wakes.watcher.status(second) == BY_EVENTS


def test_arming_wakes_every_trail_since_what_came_before_sent_no_event(wakes: Wakes, tmp_path: Path) -> None:
    trails = {str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")}
    for trail in trails:
        wakes.watcher.watch(trail)
    wakes.watcher.check()
    assert {wakes.next(), wakes.next()} == trails


def test_our_own_reads_and_other_files_wake_nobody(wakes: Wakes, tmp_path: Path) -> None:
    trail, other = str(tmp_path / "a.jsonl"), str(tmp_path / "other.jsonl")
    append(trail)
    wakes.armed(trail, other)
    (tmp_path / "a.jsonl").read_bytes()
    append(str(tmp_path / "unwatched.jsonl"))
    append(other)  # events keep their order: had the reads woken anybody, that would come first
    assert wakes.next() == other


def test_a_rename_and_a_deletion_wake_too(wakes: Wakes, tmp_path: Path) -> None:
    trail = str(tmp_path / "a.jsonl")
    append(trail)
    wakes.armed(trail)
    os.rename(trail, trail + ".1")
    assert wakes.next() == trail
    wakes.forget()
    os.rename(trail + ".1", trail)
    assert wakes.next() == trail
    wakes.forget()
    os.unlink(trail)
    assert wakes.next() == trail


def test_a_missing_directory_is_polled_until_it_appears(wakes: Wakes, tmp_path: Path) -> None:
    trail = str(tmp_path / "later" / "a.jsonl")
    wakes.armed(trail)
    assert wakes.watcher.status(trail) == BY_POLLING
    os.mkdir(tmp_path / "later")
    wakes.armed()
    assert wakes.watcher.status(trail) == BY_EVENTS
    append(trail)
    assert wakes.next() == trail


@pytest.mark.parametrize("way", ["deleted", "moved away"])
def test_a_directory_made_anew_is_armed_anew(way: str, wakes: Wakes, tmp_path: Path) -> None:
    trail = str(tmp_path / "logs" / "a.jsonl")
    os.mkdir(tmp_path / "logs")
    wakes.armed(trail)
    if way == "deleted":
        shutil.rmtree(tmp_path / "logs")
    else:
        os.rename(tmp_path / "logs", tmp_path / "old")
    os.mkdir(tmp_path / "logs")

    def is_rearmed() -> bool:  # the emitter of a deleted directory takes a moment to notice
        wakes.watcher.check()
        return wakes.watcher.rescans == 1

    eventually(is_rearmed)
    wakes.forget()
    append(trail)
    assert wakes.next() == trail


def test_a_directory_that_is_gone_is_polled(wakes: Wakes, tmp_path: Path) -> None:
    trail = str(tmp_path / "logs" / "a.jsonl")
    os.mkdir(tmp_path / "logs")
    wakes.armed(trail)
    os.rmdir(tmp_path / "logs")
    wakes.watcher.check()
    assert wakes.watcher.status(trail) == BY_POLLING


def test_a_directory_reached_through_a_link_is_watched(wakes: Wakes, tmp_path: Path) -> None:
    os.mkdir(tmp_path / "real")
    os.symlink(tmp_path / "real", tmp_path / "link")
    trail = str(tmp_path / "link" / "a.jsonl")
    wakes.armed(trail)
    append(trail)
    assert wakes.next() == trail


def test_a_trail_that_is_a_link_is_polled(wakes: Wakes, tmp_path: Path) -> None:
    os.symlink(tmp_path / "elsewhere", tmp_path / "a.jsonl")
    wakes.armed(str(tmp_path / "a.jsonl"))
    assert wakes.watcher.status(str(tmp_path / "a.jsonl")) == BY_POLLING


def test_where_the_file_system_lies_the_trail_is_polled_unless_events_are_demanded(tmp_path: Path) -> None:
    os.mkdir(tmp_path / "demanded")
    wakes = Wakes(trusts=lambda _path: False)
    wakes.armed(str(tmp_path / "a.jsonl"))
    wakes.watcher.watch(str(tmp_path / "demanded" / "b.jsonl"), "events")
    wakes.watcher.check()
    assert wakes.watcher.status(str(tmp_path / "a.jsonl")) == BY_POLLING
    assert wakes.watcher.status(str(tmp_path / "demanded" / "b.jsonl")) == BY_EVENTS
    wakes.watcher.close()


def test_events_that_were_demanded_and_cannot_be_had_are_down(wakes: Wakes, tmp_path: Path) -> None:
    wakes.watcher.watch(str(tmp_path / "none" / "a.jsonl"), "events")
    wakes.watcher.check()
    assert wakes.watcher.status(str(tmp_path / "none" / "a.jsonl")) == WatchStatus(up=False, polling=True)


def test_poll_mode_watches_nothing_beside_a_trail_that_is_watched(wakes: Wakes, tmp_path: Path) -> None:
    polled, watched = str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")
    wakes.watcher.watch(polled, "poll")
    wakes.armed(watched)
    append(polled)
    append(watched)
    assert wakes.next() == watched
    assert wakes.watcher.status(polled) == BY_POLLING


def test_beyond_the_most_directories_the_rest_is_polled(tmp_path: Path) -> None:
    trails = []
    for number in range(3):
        os.mkdir(tmp_path / str(number))
        trails.append(str(tmp_path / str(number) / "a.jsonl"))
    wakes = Wakes(max_directories=2)
    wakes.armed(*trails)
    assert [wakes.watcher.status(trail).polling for trail in trails] == [False, False, True]
    wakes.watcher.close()


def test_exhausted_limits_mean_polling_and_are_tried_again(
    wakes: Wakes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchdog.observers.api import BaseObserver

    def exhausted(*args: object, **options: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    trail = str(tmp_path / "a.jsonl")
    with monkeypatch.context() as patched:
        patched.setattr(BaseObserver, "schedule", exhausted)
        wakes.armed(trail)
        assert wakes.watcher.status(trail) == BY_POLLING
    wakes.armed()
    assert wakes.watcher.status(trail) == BY_EVENTS


def test_when_events_were_lost_every_trail_of_the_directory_is_looked_at_with_its_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, moved = Gate(), queue.Queue[str]()
    monkeypatch.setattr(inotify, "PacedObserver", lambda _pause: PacedObserver(gate.pause))
    trails = [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]
    wakes = Wakes(beside=moved.put)
    try:
        wakes.armed(*trails)
        append(trails[0])
        gate.reached()
        overflow(tmp_path / "unrelated", tmp_path / "another")
        gate.open()
        assert {moved.get(timeout=20), moved.get(timeout=20)} == set(trails)
        assert wakes.watcher.rescans == 1
    finally:
        wakes.watcher.close()


def test_what_happens_to_a_trail_between_two_reads_wakes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    monkeypatch.setattr(inotify, "PacedObserver", lambda _pause: PacedObserver(gate.pause))
    first, second, last = (str(tmp_path / f"{letter}.jsonl") for letter in "abc")
    wakes = Wakes()
    try:
        wakes.armed(first, second, last)
        append(first)
        gate.reached()
        assert wakes.next() == first
        for _ in range(100):
            append(first)
            append(second)
        append(last)
        gate.open()
        assert [wakes.next(), wakes.next(), wakes.next()] == [first, second, last]
    finally:
        wakes.watcher.close()


def test_the_shortest_pause_of_all_trails_counts_while_they_are_watched(
    wakes: Wakes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(inotify, "PacedObserver", lambda pause: asked.append(pause) or PacedObserver(pause))
    patient, hasty = str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")
    wakes.watcher.watch(patient, pause_seconds=3600.0)
    wakes.watcher.watch(hasty, pause_seconds=0.25)
    wakes.watcher.check()
    assert asked[0]() == 0.25
    wakes.watcher.unwatch(hasty)
    assert asked[0]() == 3600.0


def test_closing_does_not_wait_for_a_pause_to_end(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    wakes = Wakes()
    wakes.watcher.watch(str(tmp_path / "a.jsonl"), pause_seconds=3600.0)
    wakes.armed()
    append(str(tmp_path / "a.jsonl"))
    assert wakes.next() == str(tmp_path / "a.jsonl")
    wakes.watcher.close()
    eventually(lambda: set(threading.enumerate()) <= before)


def test_what_watched_a_directory_is_closed_with_it_and_after_a_start_that_failed(tmp_path: Path) -> None:
    wakes = Wakes()
    os.mkdir(tmp_path / "logs")
    wakes.armed(str(tmp_path / "a.jsonl"), str(tmp_path / "logs" / "b.jsonl"))
    assert len(inotify_descriptors()) == 2
    shutil.rmtree(tmp_path / "logs")
    eventually(lambda: len(inotify_descriptors()) == 1)
    observer = PacedObserver(lambda: 0.0)
    observer.start()
    with pytest.raises(FileNotFoundError):
        observer.schedule(FileSystemEventHandler(), str(tmp_path / "missing"))
    assert len(inotify_descriptors()) == 1
    observer.stop()
    wakes.watcher.close()
    eventually(lambda: not inotify_descriptors())


def test_after_closing_nobody_is_woken_and_no_thread_is_left(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    wakes = Wakes()
    wakes.armed(str(tmp_path / "a.jsonl"))
    assert set(threading.enumerate()) > before
    wakes.watcher.close()
    append(str(tmp_path / "a.jsonl"))
    eventually(lambda: set(threading.enumerate()) <= before)
    assert wakes.woken.empty()
    wakes.watcher.check()
    assert wakes.watcher.status(str(tmp_path / "a.jsonl")) == BY_POLLING


def test_a_closed_loop_that_cannot_be_woken_does_not_deafen_the_watcher(tmp_path: Path) -> None:
    woken: queue.Queue[str] = queue.Queue()
    refusals = [RuntimeError("Event loop is closed")] * 2

    def wake(path: str) -> None:
        if refusals:
            raise refusals.pop()
        woken.put(path)

    watcher = Watcher(wake, trusts=lambda _path: True)
    watcher.watch(str(tmp_path / "a.jsonl"))
    watcher.check()
    append(str(tmp_path / "a.jsonl"))
    eventually(lambda: not refusals)
    append(str(tmp_path / "a.jsonl"))
    assert woken.get(timeout=20) == str(tmp_path / "a.jsonl")
    watcher.close()


def test_a_segment_that_comes_or_goes_is_told_apart_from_the_trail(tmp_path: Path) -> None:
    trail = str(tmp_path / "a.jsonl")
    moved: queue.Queue[str] = queue.Queue()
    wakes = Wakes(beside=moved.put)
    others = [str(tmp_path / f"{letter}.jsonl") for letter in "bcdef"]

    def told() -> set[str]:
        """Whose segments moved, after all that happened so far was told: events come in their order."""
        last = others.pop()
        append(last)
        while wakes.next() != last:
            pass
        return {moved.get() for _ in range(moved.qsize())}

    try:
        append(trail)
        wakes.armed(trail, *others)
        append(str(tmp_path / "a.jsonl.1"))
        assert told() == {trail}
        append(str(tmp_path / "a.jsonl.1"))
        assert told() == {trail}
        Path(tmp_path / "a.jsonl.1").unlink()
        assert told() == {trail}
        append(str(tmp_path / "unrelated"))
        assert told() == set()
    finally:
        wakes.watcher.close()
