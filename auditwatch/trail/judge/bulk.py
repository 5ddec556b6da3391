"""Many lines in one call of the decoder, if all of them are whole.

One call per line costs as much as the decoding itself. The decoder accepts a text of lines in one call, but treats
newlines like any other white space: two objects may share a line, and one may span several. So each line is put in
brackets: `{A}`, `{B}` become `[{A}]`, `[{B}]`, and each must be an array of one object. Each newline now has `]` before
it and `[` after it, which cannot occur inside a JSON value, not even in a string. So no value spans lines, each line
has at least one value, and if there are exactly as many values as lines, each line is what its brackets enclose.
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
    """Decodes whole texts of lines in one call.

    Args:
        shape: The structure that every line must have.
        dates: Fields of it that the decoder reads as strings and that must be dates.
    """

    def __init__(self, shape: type[msgspec.Struct], dates: tuple[str, ...] = ()) -> None:
        self._dates = [attrgetter(name) for name in dates]
        self._decode = msgspec.json.Decoder(tuple[shape]).decode_lines  # type: ignore[valid-type]

    def lines(self, text: bytes) -> int | None:
        """How many lines a text has if all of them have the shape; None if one has not.

        Args:
            text: Lines, the last one ended by a newline too.

        Raises:
            MsgspecError: A line does not have the shape; this is the other way to say so.
            RecursionError: A line may be too deep.
        """
        bracketed = b"[" + text.replace(b"\n", _BETWEEN)
        lines = (len(bracketed) - 1 - len(text)) // _GROWTH
        found = self._decode(memoryview(bracketed)[:-1])  # the bracket opened after the last newline has no line
        if len(found) != lines:
            return None
        records = list(map(_RECORD, found)) if self._dates else []
        return lines if all(are_dates(list(map(date, records))) for date in self._dates) else None
