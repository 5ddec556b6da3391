"""Many lines in one call of the decoder, where all of them are whole.

A call for each line costs as much again as the decoding. The decoder takes a text of lines in one call, but minds
newlines as little as other white space: two objects may share a line, and one may lie across several. So each line is
put in brackets: `{A}`, `{B}` become `[{A}]`, `[{B}]`, which have to be arrays of one object each. Around each newline
now stand `]` and `[`: JSON has that nowhere inside of a value, be it a string. So no value lies across lines, each line
has one value at least, and if there are no more values than lines, each line is what stands between its brackets.
"""

from __future__ import annotations

from operator import attrgetter, itemgetter
from typing import Final

import msgspec

from auditwatch.trail.judge.dates import are_dates

_BETWEEN: Final = b"]\n["
_GROWTH: Final = len(_BETWEEN) - 1
_RECORD: Final = itemgetter(0)


class Bulk:
    """Decodes texts of lines at once.

    Args:
        shape: What every line has to be.
        dates: Fields of it that are strings to the decoder, and have to be dates.
    """

    def __init__(self, shape: type[msgspec.Struct], dates: tuple[str, ...] = ()) -> None:
        self._dates = [attrgetter(name) for name in dates]
        self._decode = msgspec.json.Decoder(tuple[shape]).decode_lines  # type: ignore[valid-type]

    def lines(self, text: bytes) -> int | None:
        """How many lines a text has whose every line is of the shape; None where one is not.

        Args:
            text: Ends with a newline.

        Raises:
            MsgspecError: Where one is not, too.
            RecursionError: Where one may be too deep.
        """
        bracketed = b"[" + text.replace(b"\n", _BETWEEN)
        lines = (len(bracketed) - 1 - len(text)) // _GROWTH
        found = self._decode(memoryview(bracketed)[:-1])  # the last newline opened a bracket for no line
        if len(found) != lines:
            return None
        records = list(map(_RECORD, found)) if self._dates else []
        return lines if all(are_dates(list(map(date, records))) for date in self._dates) else None
