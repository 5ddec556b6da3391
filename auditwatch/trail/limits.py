"""How long and how deep a line may be: what the judge and the writer share, and nothing that costs the writer time."""

from __future__ import annotations

from typing import Final

MAX_DEPTH: Final = 512
"""Levels of nesting outside strings beyond which a line is `too_deep`, whoever calls."""

MAX_LINE_BYTES: Final = 1 << 20
"""Default for the longest line, in bytes before its newline; the writer and the agent share it."""
