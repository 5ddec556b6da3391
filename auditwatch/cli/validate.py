"""`auditwatch validate`: judge files or standard input once."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from typing import Literal, TextIO

import click

from auditwatch.cli.progress import ProgressBar
from auditwatch.errors import DAMAGED, AuditwatchError, MissingExtra, UsageError
from auditwatch.files.archives import is_compressed
from auditwatch.host.signals import run_in_loop
from auditwatch.ledger.runs import Mode
from auditwatch.trail.grid import Share
from auditwatch.trail.names import printable
from auditwatch.trail.rules import FieldType, Rules, is_field_name
from auditwatch.trail.verdict import Verdict
from auditwatch.trail.words import count_text
from auditwatch.validation.once.outcome import Outcome
from auditwatch.validation.once.paths import STANDARD_INPUT, Options, RecordedBlocksOf, nothing_recorded, validate_paths
from auditwatch.validation.once.text import report_text
from auditwatch.validation.once.witness import Expected, witnessed

MOST_SHARES = 1000
"""The same limit as for the agent's `cover_in`."""


class _Requirement(click.ParamType[tuple[str, FieldType]]):
    """FIELD or FIELD:TYPE; a field whose name holds a colon needs its type."""

    name = "field[:type]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, FieldType]:
        field, colon, type_name = str(value).rpartition(":")
        if not colon:
            field, type_name = type_name, FieldType.ANY.value
        if type_name not in list(FieldType):
            self.fail(f"{type_name!r} is not a type; choose one of: {', '.join(FieldType)}", param, ctx)
        if not is_field_name(field):
            self.fail("the name of a field must be printable, without quotes and backslashes", param, ctx)
        return field, FieldType(type_name)


class _Witness(click.ParamType[Expected]):
    """SEQ:SHA256."""

    name = "seq:sha256"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Expected:
        match = re.fullmatch(r"([1-9][0-9]{0,18}):([0-9a-fA-F]{64})", str(value))
        if match is None:
            self.fail("write the number of a record and the SHA-256 of its line: 17:9f86d0...", param, ctx)
        return Expected(int(match[1]), match[2].lower())


class _Share(click.ParamType[Share]):
    """K/N."""

    name = "k/n"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Share:
        match = re.fullmatch(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})", str(value))
        if match is None or not int(match[1]) <= int(match[2]) <= MOST_SHARES:
            self.fail(f"write K/N, K from 1 to N and N at most {MOST_SHARES}, for example 7/30", param, ctx)
        return Share(int(match[1]) - 1, int(match[2]))


@click.command(name="validate")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--mode",
    "mode_name",
    type=click.Choice([Mode.FULL.value, Mode.SAMPLE.value]),
    default=Mode.FULL.value,
    show_default=True,
    help="Judge every line, or a sample.",
)
@click.option(
    "--lines",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Lines in a sample, one from each part of the file.",
)
@click.option("--seed", type=click.IntRange(0), help="Draw the same sample again; random by default.")
@click.option(
    "--cover",
    type=_Share(),
    metavar="K/N",
    help="With a sample, also judge every Nth block of 4 MiB from the Kth on: K from 1 to N in turn covers everything.",
)
@click.option("--jobs", type=click.IntRange(1, 256), help="Worker processes; one per processor by default.")
@click.option("--strict", is_flag=True, help="Treat the same key twice in one object as damage.")
@click.option(
    "--require",
    "requirements",
    type=_Requirement(),
    multiple=True,
    metavar="FIELD[:TYPE]",
    help=f"Every record must have this field. Types: {', '.join(FieldType)}.",
)
@click.option(
    "--schema", type=click.File("r", encoding="utf-8"), metavar="FILE", help="Every record must match this JSON Schema."
)
@click.option(
    "--final", is_flag=True, help="Nothing more will be written: bytes after the last newline are a torn line."
)
@click.option("--digest", is_flag=True, help="Also print a digest of the file, for comparing copies.")
@click.option(
    "--as-trail",
    is_flag=True,
    help="Treat the files, or those in a directory, as the segments of one trail, oldest first; reads .gz and .zst.",
)
@click.option(
    "--expect-last",
    type=_Witness(),
    metavar="SEQ:SHA256",
    help="This stamped record was once the last: it must still be there, with this hash of its line.",
)
@click.option(
    "--state-dir",
    type=click.Path(),
    metavar="DIR",
    help="State directory of an agent, only read: blocks unchanged since it judged them are hashed, not parsed.",
)
@click.option("--format", "format_name", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(  # noqa: PLR0913, PLR0917  one parameter an option: the contract of the command
    paths: tuple[str, ...],
    mode_name: str,
    lines: int,
    seed: int | None,
    cover: Share | None,
    jobs: int | None,
    strict: bool,
    requirements: tuple[tuple[str, FieldType], ...],
    schema: TextIO | None,
    final: bool,
    digest: bool,
    as_trail: bool,
    expect_last: Expected | None,
    state_dir: str | None,
    format_name: Literal["text", "json"],
) -> int:
    """Judge trails once: which lines are damaged, and where.

    PATH is a file, or - for standard input. Exit status: 0 whole, 1 damaged, 3 could not check.
    """
    mode = Mode(mode_name)
    if cover is not None and mode is not Mode.SAMPLE:
        raise UsageError("--cover needs --mode sample: a full validation reads every block anyway")
    rules = Rules(require=tuple(dict(requirements).items()), strict=strict, schema=_schema_text(schema))
    workers = jobs or len(os.sched_getaffinity(0))
    options = Options(mode=mode, lines=lines, seed=seed, jobs=workers, rules=rules, final=final, digest=digest)
    with _recorded(state_dir) as recorded_of:
        options = replace(options, recorded_of=recorded_of, cover=cover)
        asked = _Asked(paths, options, format_name == "json", expect_last)
        verdicts = run_in_loop(lambda: _validate_as_trail(asked) if as_trail else _validate(asked))
    return exit_status(verdicts)


def _recorded(state_dir: str | None) -> AbstractContextManager[RecordedBlocksOf]:
    if state_dir is None:
        return nullcontext(nothing_recorded)
    from auditwatch.cli.recorded import recorded_blocks  # SQLite and the ledger take a third of the start

    return recorded_blocks(state_dir)


def _schema_text(schema: TextIO | None) -> str:
    if schema is None:
        return ""
    try:
        text = schema.read()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--schema: cannot be read: {error}") from None
    from auditwatch.trail.judge.json_schema import check_schema

    try:
        check_schema(text)
    except ImportError:
        raise MissingExtra("--schema needs one more library: pip install 'auditwatch[schema]'") from None
    except ValueError as error:
        raise UsageError(f"--schema: {error}") from None
    return text


def exit_status(verdicts: Sequence[str]) -> int:
    """1 if any path is damaged, else 3 if any could not be checked, else 0.

    >>> exit_status(["whole", "unchecked", "damaged"]), exit_status(["unchecked", "whole"])
    (1, 3)
    """
    if Verdict.DAMAGED in verdicts:
        return DAMAGED
    return AuditwatchError.exit_status if Verdict.UNCHECKED in verdicts else 0


@dataclass(frozen=True, slots=True)
class _Asked:
    paths: tuple[str, ...]
    options: Options
    as_json: bool
    expected: Expected | None


async def _validate(asked: _Asked) -> list[str]:
    if asked.expected and (asked.options.mode is Mode.SAMPLE or len(asked.paths) > 1 or STANDARD_INPUT in asked.paths):
        raise UsageError("--expect-last needs one trail that is read in full: one file, or --as-trail")
    verdicts = []
    with closing(ProgressBar()) as bar:
        async for outcome in validate_paths(asked.paths, asked.options, bar.progress_of):
            bar.close()
            verdicts.append(_print(outcome, asked.paths, asked))
            if outcome.trouble is None and is_compressed(outcome.path):
                note = "its compressed bytes were judged; --as-trail judges the lines in it"
                print(f"auditwatch: {printable(outcome.path)}: {note}", file=sys.stderr)
    return verdicts


async def _validate_as_trail(asked: _Asked) -> list[str]:
    paths, options = asked.paths, asked.options
    if options.mode is Mode.SAMPLE or options.digest or STANDARD_INPUT in paths:
        raise UsageError("--as-trail reads every line of the files: not with --mode sample, --digest or standard input")
    from auditwatch.validation.once.as_trail import validate_as_trail

    segments = await asyncio.to_thread(_segments, paths)
    with closing(ProgressBar()) as bar:
        outcome = await validate_as_trail(paths[-1], segments, options, bar.progress_of(paths[-1]))
    return [_print(outcome, segments, asked)]


def _segments(paths: tuple[str, ...]) -> Sequence[str]:
    from auditwatch.validation.once.as_trail import segments_in

    return segments_in(paths[0]) if len(paths) == 1 and os.path.isdir(paths[0]) else paths


def _print(outcome: Outcome, segments: Sequence[str], asked: _Asked) -> str:
    """Print what is known of one trail; gives the verdict."""
    if asked.expected is not None:
        outcome = witnessed(outcome, segments, asked.expected, asked.options.rules.max_line_bytes)
    text = json.dumps(outcome.as_json()) + "\n" if asked.as_json else report_text(outcome)
    print(text, end="", flush=True)
    if outcome.trouble is not None and asked.as_json:  # the text has said it to people
        print(f"auditwatch: {printable(outcome.trouble.message)}", file=sys.stderr)
    for name, read in outcome.cut_in:
        print(f"auditwatch: {printable(name)}: damaged or cut off after {count_text(read, 'byte')}", file=sys.stderr)
    return outcome.verdict
