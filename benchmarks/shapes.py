"""What trails look like: lines as a risk manager writes them, in other languages, long ones, transcripts, damage."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from functools import cache
from itertools import count

RECORD = (
    b'{"timestamp":"2025-10-07T12:00:00.%06d+00:00","event":"TRADE_APPROVED","details":{"symbol":"BTC-USD","side":"buy",'
    b'"quantity":0.25,"price":64123.5,"order":"%011d","limits":{"position":5,"risk":0.013},"strategy":"momentum"},'
    b'"user":"risk-manager","session":"6f1c0a9e42"}\n'
)
SMALLEST, LARGEST = 2_000, 225_000
TRANSCRIPTS = 300

Line = Callable[[int], tuple[bytes, bool]]
"""Returns the bytes of the line with a given number, and whether they are one whole line."""

_TEXT = """\
the agent reads a file, says what it found, and then asks for the next step, which is to run the tests once more
def main(argv: list[str]) -> int:
    print("done", file=sys.stderr)
    return {"ok": True}["ok"]
— “quoted”, naïve, café, 3 ≤ 4, ✓ C:\\Users\\agent\\work https://example.org/a?b=c&d=e
"""
_WORDS = _TEXT.split(" ")


def short(n: int) -> tuple[bytes, bool]:
    """A line of 275 bytes, as a risk manager writes it."""
    return RECORD % (n % 1_000_000, n), True


def stamped(n: int) -> tuple[bytes, bool]:
    """A line with number and hash at the end."""
    return RECORD[:-2] % (n % 1_000_000, n) + b',"_seq":%d,"_prev":"%s"}\n' % (n + 1, b"ab" * 32), True


def dashed(n: int) -> tuple[bytes, bool]:
    """A line of 275 bytes; one in five has a dash that is not ASCII."""
    line, _ = short(n)
    return line.replace(b"BTC-USD", "BTC—USD".encode()) if n % 5 == 0 else line, True


def chinese(n: int) -> tuple[bytes, bool]:
    """A line of which most is Chinese."""
    record = {
        "timestamp": "2025-10-07T12:00:00Z",
        "event": "审批",
        "n": n,
        "details": {"说明": "风险控制系统批准了这笔交易" * 4},
    }
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n", True


def damaged(every: int) -> Line:
    """Lines of 275 bytes; one in so many is torn, or glued to a piece of another."""

    def line_of(n: int) -> tuple[bytes, bool]:
        line, _ = short(n)
        if n % every:
            return line, True
        cut = random.Random(n).randrange(1, len(line) - 2)
        return line[:cut] + (b"\n" if n % (2 * every) else line), False

    return line_of


def long(positions: int) -> Line:
    """A record with this many positions in it."""
    legs = [
        {"symbol": f"SYM{i}", "quantity": i / 4, "price": 64123.5 + i, "note": "overnight"} for i in range(positions)
    ]
    record = {"timestamp": "2025-10-07T12:00:00Z", "event": "SNAPSHOT", "positions": legs}
    body = json.dumps(record, separators=(",", ":")).encode() + b"\n"
    return lambda _n: (body, True)


def transcript(n: int) -> tuple[bytes, bool]:
    """What an agent was told, thought and did: text with escapes and some signs beyond ASCII, 2 kB to 225 kB."""
    return _transcripts()[n % TRANSCRIPTS], True


@cache
def _transcripts() -> list[bytes]:
    source = random.Random(11)
    return [_turns(source, int(SMALLEST * (LARGEST / SMALLEST) ** source.random())) for _ in range(TRANSCRIPTS)]


def _turns(source: random.Random, size: int) -> bytes:
    turns, length = [], 0
    while length < size:
        text = " ".join(source.choices(_WORDS, k=source.randrange(20, 300)))
        call = {"name": "run", "arguments": {"path": f"src/{source.randrange(99)}.py", "lines": [1, 40], "dry": False}}
        turns.append({"role": source.choice(["user", "assistant"]), "content": text, "call": call, "tokens": len(text)})
        length += len(text) + 150
    record = {"timestamp": "2026-01-01T00:00:00Z", "event": "TURN", "messages": turns}
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


SHAPES: dict[str, Line] = {
    "lines of 275 bytes": short,
    "stamped lines of 363 bytes": stamped,
    "275 bytes, every fifth with a dash beyond ASCII": dashed,
    "Chinese": chinese,
    "nested lines of 4 kB": long(62),
    "nested lines of 100 kB": long(1550),
    "transcripts of 2 kB to 225 kB": transcript,
    "275 bytes, 1 % damaged": damaged(100),
    "275 bytes, 50 % damaged": damaged(2),
}


def write_trail(path: str, size: int, line: Line = short) -> int:
    """Write lines until the file is that big; returns how many of them are whole."""
    whole = 0
    with open(path, "wb") as trail:
        for number in count():
            body, is_whole = line(number)
            trail.write(body)
            whole += is_whole
            if number % 100 == 99 and trail.tell() >= size:
                break
    return whole


def processor() -> str:
    """The name of the processor, as it says itself."""
    with open("/proc/cpuinfo", encoding="ascii") as lines:
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else 'unknown processor'}, {os.cpu_count()} cores"
