"""Many lines in one call of the decoder, where all of them are whole.

A call for each line costs as much again as the decoding. So a text of lines is made one array, in which each newline
becomes a mark: `{A}`, `{B}` on two lines become `["MARK",{A},"MARK",{B},"MARK","MARK"]`. The decoder takes nothing
there but marks and objects, and whoever wrote the trail does not know the mark: it is nowhere but where it was put. So
if every other element is the mark, and they are as many as were put there, then none lies inside of anything, and
between two of them is one object: neither can two share a line, nor can one lie across a newline, inside a string or
outside.
"""

from __future__ import annotations

import secrets
from operator import attrgetter
from typing import Final, Literal

import msgspec

from auditwatch.trail.dates import are_dates

_MARK: Final = secrets.token_hex(8)
"""Which one it is changes no verdict: what is refused here is judged line by line."""

_FIRST: Final = f'["{_MARK}",'.encode()
_BETWEEN: Final = f',"{_MARK}",'.encode()
_LAST: Final = f'"{_MARK}"]'.encode()
_GROWTH: Final = len(_BETWEEN) - 1


class Bulk:
    """Decodes texts of lines at once.

    Args:
        shape: What every line has to be.
        dates: Fields of it that are strings to the decoder, and have to be dates.
    """

    def __init__(self, shape: type[msgspec.Struct], dates: tuple[str, ...] = ()) -> None:
        self._dates = [attrgetter(name) for name in dates]
        self._decode = msgspec.json.Decoder(list[Literal[_MARK] | shape]).decode  # type: ignore[valid-type]

    def lines(self, text: bytes) -> int | None:
        """How many lines a text has whose every line is of the shape; None where one is not.

        Args:
            text: Ends with a newline.

        Raises:
            MsgspecError: Where one is not, too.
            RecursionError: Where one may be too deep.
        """
        marked = text.replace(b"\n", _BETWEEN)
        lines = (len(marked) - len(text)) // _GROWTH
        found = self._decode(b"".join((_FIRST, marked, _LAST)))
        if len(found) != 2 * lines + 2 or found[::2] != [_MARK] * (lines + 1):
            return None
        return lines if all(are_dates(list(map(date, found[1:-1:2]))) for date in self._dates) else None
