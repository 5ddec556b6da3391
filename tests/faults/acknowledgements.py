"""What became of every record, in memory that writers share with the test and that survives their kill -9."""

from __future__ import annotations

import mmap
import os
from enum import IntEnum
from typing import Final

from tests.agent.running import until

_NUMBER: Final = 8
_HEAD: Final = 2 * _NUMBER
_FLAGS: Final = 2
MOST_RECORDS: Final = 1 << 16


class Outcome(IntEnum):
    """What the writer reported about one record."""

    NONE = 0
    BEGUN = 1
    ACKNOWLEDGED = 2
    NOT_STORED = 3
    UNKNOWN = 4


class Acknowledgements:
    """One byte a record, for writers 0, 1, 2, ... with records 0, 1, 2, ...; and how far each has synced.

    Args:
        path: The file that is shared.
        writers: How many, for who creates it; 0: as many as it was created for.
    """

    def __init__(self, path: str | os.PathLike[str], writers: int = 0) -> None:
        self._stride = _HEAD + MOST_RECORDS
        descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if writers else 0) | os.O_CLOEXEC, 0o600)
        try:
            if writers:
                os.ftruncate(descriptor, writers * self._stride + _FLAGS)
            self.writers = os.fstat(descriptor).st_size // self._stride
            self._memory = mmap.mmap(descriptor, self.writers * self._stride + _FLAGS)
        finally:
            os.close(descriptor)

    def note(self, writer: int, number: int, outcome: Outcome) -> None:
        """Say what became of one record: a single byte, so never half of it."""
        self._memory[writer * self._stride + _HEAD + number] = outcome

    def outcomes(self, writer: int) -> bytes:
        """What became of the records of one writer, in order, up to the last it began."""
        begin = writer * self._stride + _HEAD
        return self._memory[begin : begin + MOST_RECORDS].rstrip(b"\0")

    def count(self, outcome: Outcome) -> int:
        """How many records of all writers came to this."""
        return sum(self.outcomes(writer).count(outcome) for writer in range(self.writers))

    def wait_for_more(self, records: int, *outcomes: Outcome) -> None:
        """Return when so many more records have come to one of these."""

        def count() -> int:
            return sum(map(self.count, outcomes))

        target = count() + records
        until(lambda: count() >= target)

    def note_synced(self, writer: int, records: int) -> None:
        """Say that the first so many records of a writer were acknowledged when a sync began that succeeded."""
        self._set(writer, 0, records)

    def synced(self, writer: int) -> int:
        """What `note_synced` said last."""
        return self._get(writer, 0)

    def note_late(self, writer: int) -> None:
        """Note that a record was acknowledged whose `append` began after a failure had been reported."""
        self._set(writer, 1, self._get(writer, 1) + 1)

    def late(self) -> int:
        """How often `note_late` was said."""
        return sum(self._get(writer, 1) for writer in range(self.writers))

    def is_trouble(self) -> bool:
        """Whether a failure was reported to any writer."""
        return self._memory[-1] != 0

    def note_trouble(self) -> None:
        """Note that a failure was reported to a writer."""
        self._memory[-1] = 1

    def is_end(self) -> bool:
        """Whether the test has what it wanted."""
        return self._memory[-2] != 0

    def note_end(self) -> None:
        """Tell writers that end on demand to end."""
        self._memory[-2] = 1

    def _set(self, writer: int, which: int, number: int) -> None:
        at = writer * self._stride + which * _NUMBER
        self._memory[at : at + _NUMBER] = number.to_bytes(_NUMBER, "little")

    def _get(self, writer: int, which: int) -> int:
        at = writer * self._stride + which * _NUMBER
        return int.from_bytes(self._memory[at : at + _NUMBER], "little")
