"""A file system that does not answer silences its own trails and nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from auditwatch.agent import readings, volumes
from auditwatch.agent.held import Held
from auditwatch.agent.place import Place
from auditwatch.agent.prober import Prober
from auditwatch.agent.supervisor import Agent
from auditwatch.config.settings import Config, config_from_arguments
from auditwatch.errors import Unreadable
from auditwatch.host import filesystems
from auditwatch.host.filesystems import Mount
from auditwatch.ledger.segment import Segment
from auditwatch.state.directory import state_directory_open
from auditwatch.web.snapshot import TrailSnapshot
from tests.agent.running import SPLICED, append, records

pytestmark = pytest.mark.concurrency


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """What hangs, hangs until this is set; in the end it always is."""
    event = threading.Event()
    yield event
    event.set()


async def eventually(ask: Callable[[], object], seconds: float = 20.0) -> None:
    """Let the loop turn until it is so."""
    async with asyncio.timeout(seconds):
        while not ask():  # noqa: ASYNC110  it changes in threads that do not wake this one
            await asyncio.sleep(0.01)


def test_a_call_that_hangs_is_given_up_and_no_other_is_tried_until_it_returns(stuck: threading.Event) -> None:
    async def ask() -> None:
        prober = Prober("/mnt", patience_seconds=0.05)
        with pytest.raises(Unreadable, match="/mnt: the file system is not responding"):
            await prober.call(stuck.wait)
        assert not prober.is_answering
        with pytest.raises(Unreadable):
            await prober.call(int, "1")
        stuck.set()
        await eventually(lambda: prober.is_answering)
        assert await prober.call(int, "1") == 1
        prober.close()

    asyncio.run(ask())


def test_what_a_call_raises_reaches_who_asked() -> None:
    async def ask() -> None:
        prober = Prober("/mnt")
        with pytest.raises(ValueError, match="invalid literal"):
            await prober.call(int, "x")
        assert prober.is_answering
        prober.close()

    asyncio.run(ask())


def test_the_trails_of_other_volumes_are_watched_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stuck: threading.Event
) -> None:
    """Each directory stands for a volume; one of them stops answering, and answers again."""
    for name in ("good", "hung"):
        (tmp_path / name).mkdir()
        append(tmp_path / name / f"{name}.jsonl", records(3))
    hangs = threading.Event()
    real = readings.open_known

    def open_known(place: Place, segment: Segment, held: Held) -> int:
        if hangs.is_set() and "/hung/" in place.path:
            stuck.wait()
        return real(place, segment, held)

    async def volumes_of(paths: Iterable[str]) -> list[str]:
        return [str(Path(path).parent) for path in paths]

    monkeypatch.setattr(readings, "open_known", open_known)
    monkeypatch.setattr("auditwatch.agent.roster.volume_names", volumes_of)
    monkeypatch.setattr(volumes, "Prober", lambda name: Prober(name, patience_seconds=0.3))
    asyncio.run(_live_through(tmp_path, hangs, stuck))


def test_a_path_that_cannot_be_resolved_is_a_volume_of_its_own_and_does_not_keep_others_waiting(
    monkeypatch: pytest.MonkeyPatch, stuck: threading.Event
) -> None:
    def of_path(path: str) -> Mount:
        if path == "/hung/a.jsonl":
            stuck.wait()
        return Mount(1, "/here", "ext4")

    monkeypatch.setattr(filesystems, "of_path", of_path)
    paths = ["/one/a.jsonl", "/hung/a.jsonl", "/two/a.jsonl"]
    found = asyncio.run(volumes.volume_names(paths, patience_seconds=0.1))
    assert found == ["/here", "/hung/a.jsonl", "/here"]


def _is_judged(trail: TrailSnapshot) -> bool:
    files = trail.state.files
    return bool(files) and not any(segment.unverified for segment in files)


async def _live_through(tmp_path: Path, hangs: threading.Event, stuck: threading.Event) -> None:
    trails = [str(tmp_path / name / f"{name}.jsonl") for name in ("good", "hung")]
    config = config_from_arguments(trails, state_dir=str(tmp_path), listen_address="127.0.0.1:0")
    with state_directory_open(str(tmp_path), 1.0) as state:
        await _hang_and_answer(Agent(config, state), config, trails, hangs, stuck)


async def _hang_and_answer(
    agent: Agent, config: Config, trails: list[str], hangs: threading.Event, stuck: threading.Event
) -> None:
    await agent._begin(config)

    def seen() -> dict[str, TrailSnapshot]:
        return {trail.name: trail for trail in agent._publisher.snapshot().trails}

    await eventually(lambda: all(_is_judged(trail) for trail in seen().values()))
    hangs.set()
    for path in trails:
        append(Path(path), SPLICED)
    await eventually(lambda: seen()["good"].state.damaged_lines == 2)
    await eventually(lambda: not seen()["hung"].is_answering)
    append(Path(trails[0]), b"not JSON\n")
    await eventually(lambda: seen()["good"].state.damaged_lines == 3)
    assert seen()["good"].is_answering
    assert seen()["hung"].state.damaged_lines == 0  # a trail that could not be read is not damaged
    stuck.set()
    hangs.clear()
    await eventually(lambda: seen()["hung"].is_answering and seen()["hung"].state.damaged_lines == 2)
    assert seen()["hung"].state.is_up
    await agent._end(last_look=True)


def test_the_end_does_not_wait_for_a_hung_volume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stuck: threading.Event
) -> None:
    """SIGTERM promises ten seconds; the last look is given up before."""
    append(tmp_path / "risk.jsonl", records(3))
    monkeypatch.setattr("auditwatch.agent.supervisor.LAST_LOOK_SECONDS", 0.2)
    calls: list[Any] = []

    def look(*arguments: Any) -> None:
        calls.append(arguments)
        stuck.wait()

    monkeypatch.setattr("auditwatch.agent.monitor.look", look)

    async def live() -> None:
        path = str(tmp_path / "risk.jsonl")
        config = config_from_arguments([path], state_dir=str(tmp_path), listen_address="127.0.0.1:0")
        with state_directory_open(str(tmp_path), 1.0) as state:
            agent = Agent(config, state)
            await agent._begin(config)
            await eventually(lambda: calls)
            async with asyncio.timeout(5):
                await agent._end(last_look=True)

    asyncio.run(live())
