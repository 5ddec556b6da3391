"""A signal whose handler raises, in the middle of everything that a writer does, in a process that lives on.

Run as `python -m tests.faults.interrupts SCENE HOW OPTIONS TRAIL TOLD` (see `main`). Prints what it saw as JSON.

CPython delivers a signal where a function begins, where a loop jumps back, and after a call of a function in C. A trace
function that makes the signal pending just before such an instruction gets it delivered exactly there.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import dis
import faulthandler
import json
import os
import queue
import random
import select
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

from auditwatch import AuditWriteError, AuditWriter
from tests.faults.acknowledgements import Acknowledgements, Outcome
from tests.faults.known_writers import Forgetful

ROOT: Final = Path(__file__).parents[2]
PATIENCE_SECONDS: Final = 30
CROWD: Final = 3
MAIN, AFTERWARDS, THREAD, PROCESS, FIRST_OF_CROWD = range(5)
WRITERS: Final = FIRST_OF_CROWD + CROWD
_SHORTEST_SECONDS, _LONGEST_SECONDS, _NEXT_SECONDS = 20e-6, 600e-6, 1.0
_POINTS: Final = frozenset(
    number for name, number in dis.opmap.items() if name.startswith("CALL") or "JUMP_BACKWARD" in name
)
_PACKAGE: Final = str(ROOT / "auditwatch")
_ASYNCIO: Final = os.path.dirname(asyncio.__file__)
_INTO_ASYNCIO: Final = {"settle", "make_room"}
"""A loop that is interrupted in its own code may never wake a task again, whoever waits for what."""


class Interrupted(TimeoutError):
    """What the handler raises: a kind of error that the system raises too, which must not be taken for one of its."""


class Handler:
    """The handler of a signal.

    Attributes:
        ran: Whether it has run since it was last set to False.
        is_ignored: Whether Python ignored what it raised, as it does in finalisers.
    """

    def __init__(self, number: int) -> None:
        self.ran = False
        self.is_ignored = False
        signal.signal(number, self)
        sys.unraisablehook = self._ignored

    def __call__(self, *_: object) -> None:
        self.ran, self.is_ignored = True, False
        raise Interrupted

    def _ignored(self, _unraisable: object) -> None:
        self.is_ignored = True


class EveryPoint:
    """Runs something and interrupts it at its n-th point.

    Attributes:
        passed: How many points were passed.
        path: All of them, of a run without an interrupt.
        place: Where the last interrupt was.
        is_ours: Whether that is in our own code: some of the standard library ignores errors of the system, and takes a
            handler's for one.
    """

    def __init__(self) -> None:
        self.handler = Handler(signal.SIGUSR1)
        self.passed = 0
        self.place = ""
        self.is_ours = False
        self.path: list[tuple[CodeType, int]] = []
        self._target = 0
        self._offsets: dict[CodeType, frozenset[int]] = {}
        self._trip: Iterator[None] = iter(())

    def run(self, work: Callable[[], None], target: int) -> None:
        """Do the work; at the point with this number the handler raises."""
        self.passed, self._target, self.handler.ran = 0, target, False
        if not target:
            self.path = []
        self._trip = map(_thread.interrupt_main, (signal.SIGUSR1,))
        sys.settrace(self._enter)
        try:
            work()
        finally:
            sys.settrace(None)

    def _enter(self, frame: FrameType, _event: str, _arg: object) -> Any:
        if frame.f_code.co_filename.startswith(_ASYNCIO) or frame.f_code.co_name in _INTO_ASYNCIO:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self._pass()
        return self._step

    def _step(self, frame: FrameType, event: str, _arg: object) -> Any:
        if event == "opcode" and frame.f_lasti in self._offsets_in(frame.f_code):
            self._pass()
        return self._step

    def _pass(self) -> None:
        self.passed += 1
        if not self._target:
            frame = sys._getframe(2)
            self.path.append((frame.f_code, frame.f_lasti))
        if self.passed == self._target:
            frame = sys._getframe(2)
            self.is_ours = frame.f_code.co_filename.startswith(_PACKAGE)
            self.place = f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
            (_,) = self._trip  # taking it from an iterator, no call follows: the signal is not delivered here

    def _offsets_in(self, code: CodeType) -> frozenset[int]:
        if code not in self._offsets:
            self._offsets[code] = frozenset(at for at in range(0, len(code.co_code), 2) if code.co_code[at] in _POINTS)
        return self._offsets[code]


class AnyMoment:
    """Runs something again and again until a timer's signal interrupts it."""

    def __init__(self) -> None:
        self.handler = Handler(signal.SIGALRM)
        self._dice = random.Random(13)

    def run(self, work: Callable[[], None]) -> None:
        """Do the work until the handler raises; where it raised in a loop's own code, the next signal ends that."""
        self.handler.ran = False
        try:
            signal.setitimer(signal.ITIMER_REAL, self._dice.uniform(_SHORTEST_SECONDS, _LONGEST_SECONDS), _NEXT_SECONDS)
            while not self.handler.ran:
                work()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


class Scene:
    """One writer, what is done with it, and those who have to be able to go on afterwards.

    Args:
        name: Of what is done: see `works`.
        options: Of the writer.
        trail: Its path.
        told: The path of the acknowledgements.
    """

    def __init__(self, name: str, options: dict[str, Any], trail: str, told: str) -> None:
        self._told = Acknowledgements(told)
        self._trail, self._options = trail, options
        self._numbers = [0] * WRITERS
        self._end = threading.Event()
        self._asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._keeper: object = None
        self.writer = self.opened()
        self.writes_at_will = name == "crowd"
        self.work = {
            "append": self._append,
            "append_many": self._append_many,
            "append_line": self._append_line,
            "append_async": self._append_async,
            "begin_async": self._begin_async,
            "open": self._open,
            "close": self._close,
            "crowd": self._append,
        }[name]
        self._in_loops = (self._append_async, self._begin_async)
        self._process = self._another_process(told)
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        if self.writes_at_will:
            self._threads += [
                threading.Thread(target=self._crowd, args=(FIRST_OF_CROWD + n,), daemon=True) for n in range(CROWD)
            ]
        for thread in self._threads:
            thread.start()

    def opened(self) -> Any:
        """A new writer."""
        options = dict(self._options)
        return Forgetful(self._trail) if options.pop("forgetful", False) else AuditWriter(self._trail, **options)

    def outcome(self, interrupt: Callable[[], None], handler: Handler, every: EveryPoint | None = None) -> str:
        """Interrupt the work; what was wrong with how it ended, or ""."""
        faulthandler.dump_traceback_later(2 * PATIENCE_SECONDS, exit=True)
        try:
            interrupt()
        except Interrupted as error:
            self._keeper = error  # as a notebook keeps it, with all frames
        except BaseException as error:  # noqa: BLE001  whatever it is, it is not the handler's
            return f"the interrupt became {error!r}"
        else:
            # asyncio logs what a callback raises
            if handler.ran and not handler.is_ignored and self.work not in self._in_loops and every and every.is_ours:
                return "the interrupt was swallowed"
        return ""

    def aftermath(self) -> str:
        """Let all others append; what is wrong, or ""."""
        wrong = (
            self._wrong(AFTERWARDS, self._appender_of_today()) or self._thread_is_wrong() or self._process_is_wrong()
        )
        if self.work in self._in_loops:
            wrong = wrong or self._loop_is_wrong()
        return wrong

    def finish(self) -> str:
        """End all; what is wrong, or ""."""
        self._end.set()
        self._asked.put(False)
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_SECONDS)
        for segment in (Path(self._trail).parent / "aside").glob("*"):
            segment.rename(Path(self._trail).parent / segment.name)
        return "a thread hangs" if any(thread.is_alive() for thread in self._threads) else ""

    def prepare(self) -> None:
        """Before each interrupt: what the work needs."""
        self._set_aside()
        if self.work in (self._close, self._begin_async):
            self.writer = self.opened()
            self._wrong(AFTERWARDS, self.writer.append)
        elif self.work == self._open:
            self.writer.close()

    def _set_aside(self, keep: int = 3) -> None:
        """Move old segments away: the more there are, the more points a rotation has."""
        aside = Path(self._trail).parent / "aside"
        closed = sorted(Path(self._trail).parent.glob("audit-*.jsonl"))
        for segment in closed[:-keep]:
            aside.mkdir(exist_ok=True)
            segment.rename(aside / segment.name)

    def _appender_of_today(self) -> Callable[[Any], None]:
        if self.work in (self._close, self._open):
            self.writer = self.opened()
        append: Callable[[Any], None] = self.writer.append
        return append

    def _append(self) -> None:
        self._note_around(MAIN, 1, lambda records: self.writer.append(records[0]))

    def _append_many(self) -> None:
        self._note_around(MAIN, 3, self.writer.append_many)

    def _append_line(self) -> None:
        self._note_around(MAIN, 1, lambda records: self.writer.append_line(json.dumps(records[0]).encode()))

    def _append_async(self) -> None:
        loop = asyncio.new_event_loop()
        with contextlib.closing(loop):
            self._note_around(MAIN, 1, lambda records: loop.run_until_complete(self.writer.append_async(records[0])))

    def _begin_async(self) -> None:
        self._append_async()

    def _open(self) -> None:
        with self.opened() as writer:
            self._note_around(MAIN, 1, lambda records: writer.append(records[0]))

    def _close(self) -> None:
        self.writer.close()

    def _note_around(self, who: int, count: int, append: Callable[[list[dict[str, Any]]], None]) -> None:
        numbers = range(self._numbers[who], self._numbers[who] + count)
        self._numbers[who] += count
        for number in numbers:
            self._told.note(who, number, Outcome.BEGUN)
        append([{"who": who, "number": number, "pad": "x" * 50} for number in numbers])
        for number in numbers:
            self._told.note(who, number, Outcome.ACKNOWLEDGED)

    def _wrong(self, who: int, append: Callable[[Any], None]) -> str:
        number = self._numbers[who]
        try:
            self._note_around(who, 1, lambda records: append(records[0]))
        except AuditWriteError as error:
            self._told.note(who, number, Outcome.NOT_STORED if error.stored == "no" else Outcome.UNKNOWN)
            return str(error) or repr(error)
        return ""

    def _thread_is_wrong(self) -> str:
        self._asked.put(True)
        try:
            return self._answers.get(timeout=PATIENCE_SECONDS)
        except queue.Empty:
            return "another thread hangs"

    def _process_is_wrong(self) -> str:
        return ask(self._process)

    def _loop_is_wrong(self) -> str:
        async def append(record: object) -> None:
            await asyncio.wait_for(self.writer.append_async(record), PATIENCE_SECONDS)

        try:
            return self._wrong(AFTERWARDS, lambda record: asyncio.run(append(record)))
        except TimeoutError:
            return "an await hangs"

    def _serve(self) -> None:
        """The other thread."""
        while self._asked.get():
            if self.work in (self._close, self._open):
                with self.opened() as writer:
                    self._answers.put(self._wrong(THREAD, writer.append))
            else:
                self._answers.put(self._wrong(THREAD, self.writer.append))

    def _crowd(self, who: int) -> None:
        while not self._end.is_set():
            try:
                self._note_around(who, 1, lambda records: self.writer.append(records[0]))
            except AuditWriteError as error:
                stored = Outcome.NOT_STORED if error.stored == "no" else Outcome.UNKNOWN
                self._told.note(who, self._numbers[who] - 1, stored)

    def _another_process(self, told: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.faults.interrupts", "process", json.dumps(self._options)]
        pipe = subprocess.PIPE
        return subprocess.Popen([*command, self._trail, told], stdin=pipe, stdout=pipe, text=True, cwd=ROOT)


def ask(process: subprocess.Popen[str]) -> str:
    """Let another process append; what is wrong, or ""."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("append\n")
    process.stdin.flush()
    if not select.select([process.stdout], [], [], PATIENCE_SECONDS)[0]:
        return "another process hangs"
    answer: str = json.loads(process.stdout.readline())
    return answer


def serve(options: str, trail: str, told_path: str) -> None:
    """The other process: appends a record for every line that it reads."""
    told, asked = Acknowledgements(told_path), json.loads(options)
    writer = Forgetful(trail) if asked.pop("forgetful", False) else AuditWriter(trail, **asked)
    for number, _ in enumerate(sys.stdin):
        told.note(PROCESS, number, Outcome.BEGUN)
        answer = ""
        try:
            writer.append({"who": PROCESS, "number": number})
        except AuditWriteError as error:
            told.note(PROCESS, number, Outcome.NOT_STORED if error.stored == "no" else Outcome.UNKNOWN)
            answer = str(error)
        else:
            told.note(PROCESS, number, Outcome.ACKNOWLEDGED)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def at_every_point(scene: Scene, each_turn: bool) -> tuple[int, str]:
    """Interrupt the work at each of its points in turn; how often, and what went wrong.

    Args:
        scene: With the work.
        each_turn: Whether to do so at each turn of a loop, and not only at the first and the last.
    """
    every = EveryPoint()
    path: list[tuple[CodeType, int]] = []
    for _ in range(3 if not scene.writes_at_will else 10):  # what is done only now and then has points, too
        scene.prepare()
        every.run(scene.work, 0)
        path = max(path, every.path, key=len)
    targets = list(range(1, len(path) + 1)) if each_turn else few_turns(path)
    for turn, target in enumerate(targets, 1):
        scene.prepare()
        wrong = scene.outcome(lambda target=target: every.run(scene.work, target), every.handler, every)  # type: ignore[misc]
        wrong = wrong or scene.aftermath()
        if wrong:
            return turn, f"point {target}, {every.place}: {wrong}"
    return len(targets), ""


def few_turns(path: list[tuple[CodeType, int]]) -> list[int]:
    """The numbers of the points on a path, counted from 1, without most turns of its loops."""
    passed: Counter[tuple[CodeType, int]] = Counter()
    last = {place: number for number, place in enumerate(path, 1)}
    chosen = []
    for number, place in enumerate(path, 1):
        passed[place] += 1
        if passed[place] == 1 or last[place] == number:
            chosen.append(number)
    return chosen


def at_any_moment(scene: Scene, times: int) -> tuple[int, str]:
    """Interrupt the work so many times by a timer; how often, and what went wrong."""
    moments = AnyMoment()

    def once() -> None:
        scene.work()
        if scene.work == scene._close:
            scene.prepare()

    for turn in range(1, times + 1):
        scene.prepare()
        wrong = scene.outcome(lambda: moments.run(once), moments.handler) or scene.aftermath()
        if wrong:
            return turn, wrong
    return times, ""


def main() -> None:
    """Do as the arguments say: scene, "every turn", "few turns" or how many signals, options, trail, told."""
    name, how, options, trail, told = sys.argv[1:]
    scene = Scene(name, json.loads(options), trail, told)
    if how.isdecimal():
        turns, wrong = at_any_moment(scene, int(how))
    else:
        turns, wrong = at_every_point(scene, each_turn=how == "every turn")
    wrong = wrong or scene.finish()
    sys.stdout.write(json.dumps({"interrupts": turns, "wrong": wrong}) + "\n")
    sys.stdout.flush()
    os._exit(0)  # whatever hangs


if __name__ == "__main__":
    serve(*sys.argv[2:]) if sys.argv[1] == "process" else main()
