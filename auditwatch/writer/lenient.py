"""A writer that stores a record whatever is in it: values that JSON cannot hold become text, what is too long is cut.

For log lines. A record that the program makes itself is better refused: see `AuditWriter.append`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any, Final

from auditwatch.writer.audit_writer import AuditWriter
from auditwatch.writer.failures import UnserialisableError
from auditwatch.writer.plain import plain, shortened

TRUNCATED: Final = "truncated"
"""The member that says by how many bytes a line was shortened."""

_LEAST: Final = 32
"""If texts had to be shorter than that for all members to fit, the members that matter less are left out."""


class LenientWriter(AuditWriter):
    """An `AuditWriter` that can also append what `append` refuses."""

    def append_leniently(self, record: dict[str, object], uncut: Iterable[str], essential: Iterable[str]) -> None:
        """Append a record; what JSON cannot hold becomes text.

        If the line is longer than `max_line_bytes`, its longest texts and lists are cut to the one length at which it
        fits, and a last member `truncated` says how many bytes were left out. Where next to nothing would remain of
        them, only the members that are named here are stored.

        Args:
            record: It has no member that is reserved for the writer, and no `truncated`.
            uncut: Names of members that are never shortened.
            essential: Names of members that are shortened, but never left out.

        Raises:
            AuditWriteError: If it was not acknowledged; `stored` says whether it may be in the trail.
        """
        try:
            line = self._any_line(record, uncut, essential)
        except UnserialisableError as error:
            refused = error
        else:
            self._appender.append([line], len(line), len(line))
            return
        self._refuse(refused, 1)

    def _any_line(self, record: dict[str, object], uncut: Iterable[str], essential: Iterable[str]) -> bytes:
        try:
            line = self._serialise(record)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  also what a value raises when it is looked at
            line = None
        if line is not None and len(line) <= self._appender.longest:
            return line
        serialiser = self._loaded()
        try:
            values = {name: plain(value, serialiser.known) for name, value in record.items()}
            line = serialiser.encoded(values)
        except RecursionError:
            raise UnserialisableError("there is no room on the stack to look at the record") from None
        return line if len(line) <= self._appender.longest else self._cut(values, uncut, essential, len(line))

    def _cut(self, values: dict[str, Any], uncut: Iterable[str], essential: Iterable[str], whole: int) -> bytes:
        head = {name: values.pop(name) for name in uncut if name in values}
        most = self._most(head, values, whole)
        if most < _LEAST:
            values = {name: values[name] for name in essential if name in values}
            most = self._most(head, values, whole)
        missing = whole - len(self._loaded().encoded(head | shortened(values, most)))
        return self._shortened(head, values, most, missing)

    def _most(self, head: dict[str, Any], values: dict[str, Any], whole: int) -> int:
        """The largest length of texts and lists at which the line fits; 0 if there is none."""
        longest = self._appender.longest
        # The number of missing bytes has no more digits than that of all.
        first_too_long = bisect_left(
            range(longest), 1, key=lambda most: len(self._shortened(head, values, most, whole)) > longest
        )
        return max(first_too_long - 1, 0)

    def _shortened(self, head: dict[str, Any], values: dict[str, Any], most: int, missing: int) -> bytes:
        return self._loaded().encoded(head | shortened(values, most) | {TRUNCATED: missing})
