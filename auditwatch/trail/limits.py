"""How long and how deeply nested a line may be, for the judge and the writer; costs the writer nothing to import."""

from __future__ import annotations

from typing import Final

MAX_DEPTH: Final = 512
"""Most levels of nesting outside strings; a line with more is `too_deep`, however deep the caller's own stack is."""

MAX_LINE_BYTES: Final = 1 << 20
"""Default length of the longest allowed line, in bytes before its newline; shared by the writer and the agent."""
