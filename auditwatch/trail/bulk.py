"""Many lines in one call of the decoder, where all of them are whole.

A call for each line costs as much again as the decoding. So a text of lines is made one array of pairs, in which each
newline becomes the end of one pair and the beginning of the next: `{A}`, `{B}` on two lines become
`[["MARK",{A}],["MARK",{B}]]`. The decoder takes nothing but pairs of the mark and one object, and whoever wrote the
trail does not know the mark. So a pair begins nowhere but where a line does, and with as many pairs as lines each line
is one object: neither can two share a line, nor can one lie across a newline, inside a string or outside.
"""

from __future__ import annotations

import secrets
from typing import Final

import msgspec

_MARK: Final = secrets.token_hex(8)
"""Which one it is changes no verdict: what is refused here is judged line by line."""

_FIRST: Final = f'[["{_MARK}",'.encode()
_BETWEEN: Final = f'],["{_MARK}",'.encode()
_LAST: Final = b"]]"
_GROWTH: Final = len(_BETWEEN) - 1


class Bulk:
    """Decodes texts of lines at once.

    Args:
        shape: What every line has to be.
    """

    def __init__(self, shape: type[msgspec.Struct]) -> None:
        fields = [("record", shape)]
        pair = msgspec.defstruct("Pair", fields, tag=_MARK, array_like=True, forbid_unknown_fields=True, gc=False)
        self._decode = msgspec.json.Decoder(list[pair]).decode  # type: ignore[valid-type]

    def lines(self, text: bytes) -> int | None:
        """How many lines a text has whose every line is of the shape; None where one is not.

        Args:
            text: Ends with a newline.

        Raises:
            MsgspecError: Where one is not, too.
            RecursionError: Where one may be too deep.
        """
        pairs = text[:-1].replace(b"\n", _BETWEEN)
        lines = 1 + (len(pairs) - len(text) + 1) // _GROWTH
        return lines if len(self._decode(b"".join((_FIRST, pairs, _LAST)))) == lines else None
