"""The state is cut, flipped, killed and robbed: every start succeeds, says what is missing, and inherits nothing."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.programme import Note, patient, report, rounds
from tests.faults.state.histories import FAULTS, History

pytestmark = [patient]


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one: a start of the store syncs several times."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


def histories(directory: Path, count: int, seed: int) -> tuple[int, int]:
    """Play so many histories; how many starts there were, and how many told of a loss."""
    losses = starts = 0
    for number in range(count):
        with tempfile.TemporaryDirectory(dir=directory) as name:
            history = History(random.Random(f"{seed}/{number}"), Path(name))
            try:
                history.run(FAULTS)
            except BaseException as error:
                error.add_note(f"seed {seed}/{number}: {history.log}")
                raise
            losses += history.losses
            starts += 5
    return starts, losses


def test_open_damage_never_becomes_inherited_and_no_start_fails(fast: Path, record_property: Note) -> None:
    count = rounds(2000, 40)
    starts, losses = histories(fast, count, random.SystemRandom().randrange(1 << 32))
    assert losses > count // 4
    report(
        record_property, "damaged state", count, "histories", f"{starts:,} starts, {losses:,} of them told of a loss"
    )


def test_the_suite_finds_inherited_damage_where_nobody_asks_for_losses(
    fast: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditwatch.state.store.loss_at_start", lambda *_: None)
    with pytest.raises(AssertionError, match="became inherited"):
        histories(fast, 100, seed=1)
