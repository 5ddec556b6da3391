from typing import Final

VERSION: Final[int]
INSTRUCTIONS: Final[list[str]]

def whole(
    buffer: bytes | bytearray,
    start: int,
    stop: int,
    max_line_bytes: int,
    fields: bytes = b"",
    instructions: str | None = None,
    /,
) -> tuple[int, int]: ...
