"""`auditwatch append PATH`: standard input into the trail, through the locked writer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, get_args

import click

from auditwatch.errors import DAMAGED, AuditWriteError
from auditwatch.trail.judge.judge import Judge
from auditwatch.trail.rules import MAX_LINE_BYTES, Rules
from auditwatch.writer import AuditWriter
from auditwatch.writer.settings import Durability

_CHUNK_BYTES = 64 * 1024

_FAULTS_OF_A_LINE: Final = {
    "unserialisable": "it contains _seq, _prev or _auditwatch, which only the writer may add",
    "too_long": "oversize once stamped",
}
"""What the writer refuses although the judge would accept it, by reason."""


@click.command("append")
@click.argument("path", type=click.Path(dir_okay=False))
@click.option("--lock-path", type=click.Path(dir_okay=False), help="Lock this file instead of the trail.")
@click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait no longer than this for the lock.",
)
@click.option(
    "--durability",
    type=click.Choice(get_args(Durability)),
    default="process",
    show_default=True,
    help="What stored lines survive: a kill of this process; power cuts after a second, too; or all power cuts.",
)
@click.option("--stamp", is_flag=True, help="Number the lines and chain them by hashes (_seq, _prev).")
def command(path: str, **settings: Any) -> int:
    """Append the lines of standard input to the trail PATH, byte for byte.

    Lines that are not a whole JSON object are left out and reported by number on standard error. Exit status: 0 all
    stored, 1 some input lines were bad and the others are stored, 3 a write failed.
    """
    judge = Judge(Rules())
    bad = 0
    with AuditWriter(path, **settings) as writer:
        for number, line in enumerate(read_lines(sys.stdin.buffer, MAX_LINE_BYTES), 1):
            problem = _store(writer, judge, line, number)
            bad += problem is not None
            if problem is not None:
                click.echo(f"line {number}: not stored: {problem}", err=True)
    return DAMAGED if bad else 0


def read_lines(stream: BinaryIO, longest: int) -> Iterator[bytes]:
    """The lines of a stream without their newlines; of a line that is too long, only the first bytes.

    Args:
        stream: Read to its end, in constant memory.
        longest: Bytes before the newline; a longer line is cut to one byte more than that.
    """
    while line := stream.readline(longest + 1):
        if not line.endswith(b"\n") and len(line) > longest:
            _skip_rest(stream)
        yield line.removesuffix(b"\n")


def _skip_rest(stream: BinaryIO) -> None:
    while piece := stream.readline(_CHUNK_BYTES):
        if piece.endswith(b"\n"):
            return


def _store(writer: AuditWriter, judge: Judge, line: bytes, number: int) -> str | None:
    """Append one line; returns what is wrong with it if it is bad.

    Raises:
        AuditWriteError: If a good line could not be stored; the message says how far the input got.
    """
    kind = judge.kind_of(line)
    if kind is not None:
        return kind.value
    try:
        writer.append_line(line)
    except AuditWriteError as error:
        if error.reason in _FAULTS_OF_A_LINE:
            return _FAULTS_OF_A_LINE[error.reason]
        message = f"line {number} and everything after it: {error}"
        raise type(error)(message, stored=error.stored, reason=error.reason, errno=error.errno) from error
    return None
