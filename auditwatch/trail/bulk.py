"""Many lines in one call of the decoder, where all of them are whole.

A call for each line costs as much again as the decoding. The decoder takes a text of lines in one call, but minds
newlines as little as other white space: two objects may share a line, and one may lie across several. So a mark is put
behind each line, on a line of its own: `{A}`, `{B}` become `{A}`, `"MARK"`, `{B}`, `"MARK"`. Whoever wrote the trail
does not know the mark: it is nowhere but where it was put. So if every other value is the mark, and they are as many as
were put there, then none lies inside of anything, and before each of them is one object.
"""

from __future__ import annotations

import secrets
from operator import attrgetter
from typing import Final, Literal

import msgspec

from auditwatch.trail.dates import are_dates

_MARK: Final = secrets.token_hex(8)
"""Which one it is changes no verdict: what is refused here is judged line by line."""

_BEHIND_LINE: Final = f'\n"{_MARK}"\n'.encode()
_GROWTH: Final = len(_BEHIND_LINE) - 1


class Bulk:
    """Decodes texts of lines at once.

    Args:
        shape: What every line has to be.
        dates: Fields of it that are strings to the decoder, and have to be dates.
    """

    def __init__(self, shape: type[msgspec.Struct], dates: tuple[str, ...] = ()) -> None:
        self._dates = [attrgetter(name) for name in dates]
        self._decode = msgspec.json.Decoder(Literal[_MARK] | shape).decode_lines

    def lines(self, text: bytes) -> int | None:
        """How many lines a text has whose every line is of the shape; None where one is not.

        Args:
            text: Ends with a newline.

        Raises:
            MsgspecError: Where one is not, too.
            RecursionError: Where one may be too deep.
        """
        marked = text.replace(b"\n", _BEHIND_LINE)
        lines = (len(marked) - len(text)) // _GROWTH
        found = self._decode(marked)
        if len(found) != 2 * lines or found[1::2] != [_MARK] * lines:
            return None
        return lines if all(are_dates(list(map(date, found[::2]))) for date in self._dates) else None
