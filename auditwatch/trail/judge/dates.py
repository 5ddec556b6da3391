"""Dates as the decoder accepts them, and the one form it wrongly accepts: an offset from UTC without its colon."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final

import msgspec

Aware = Annotated[datetime, msgspec.Meta(tz=True)]
"""A date and time with its offset."""

_COLONLESS: Final = (re.compile(rb'\+[0-9]{4}"'), re.compile(rb'-[0-9]{4}"'))
"""Ends of a date that the decoder accepts and RFC 3339 does not; two, because searching for one byte is fastest."""
_HIDDEN: Final = (b"\\u002", b"\\u003")
"""The beginnings of escapes for signs and digits."""

_decode: Final = msgspec.json.Decoder(list[Aware]).decode


def may_lack_colon(text: bytes) -> bool:
    """Whether an offset in a JSON text may lack its colon."""
    hides = b"\\" in text and any(escape in text for escape in _HIDDEN)
    return hides or any(pattern.search(text) for pattern in _COLONLESS)


def are_dates(texts: list[str]) -> bool:
    """Whether each text is a date and time with an offset, as in RFC 3339; False also if that is not clear.

    >>> are_dates(["2025-10-07T12:00:00Z", "2025-10-07T12:00:00.5+02:00"])
    True
    >>> are_dates(["2025-10-07T12:00:00Z", "2025-10-07T12:00:00+0200"])
    False

    Raises:
        MsgspecError: A text is not a date; this is the other way to say so.
    """
    joined = "\n".join(texts)
    if '"' in joined or "\\" in joined:  # not a date, and it would have to be escaped
        return False
    quoted = ('["' + joined.replace("\n", '","') + '"]').encode()
    return len(_decode(quoted)) == len(texts) and not may_lack_colon(quoted)
