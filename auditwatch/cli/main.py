"""The command `auditwatch`: finds the subcommand, runs it, and turns every way of ending into an exit status.

    0 whole or done    1 damage found    2 usage or configuration    3 could not check or do, any internal error
    130 SIGINT         143 SIGTERM       141 closed pipe

Subcommands are imported when they run: `auditwatch --help` must not pay for a web server.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, TextIO

import click

from auditwatch._version import __version__
from auditwatch.cli import logs
from auditwatch.cli.endings import CLOSED_PIPE, INTERNAL, INTERRUPTED, TERMINATED, Terminated, terminable
from auditwatch.cli.extra import missing_extra
from auditwatch.errors import AuditwatchError, ConfigError, MissingExtra
from auditwatch.trail.names import printable

COMMANDS: Final = {
    "run": ("auditwatch.cli.run", "Watch trails: judge what is appended, validate on schedule, serve metrics."),
    "validate": ("auditwatch.cli.validate", "Judge trails once: which lines are damaged, and where."),
    "salvage": ("auditwatch.cli.salvage", "Recover records from damaged lines into a new directory."),
    "append": (
        "auditwatch.cli.append",
        "Append the lines of standard input to the trail PATH, byte for byte.",
    ),
    "status": ("auditwatch.cli.status", "Show the state of each trail."),
    "findings": ("auditwatch.cli.findings", "List damaged lines and violations."),
    "acknowledge": ("auditwatch.cli.acknowledge", "Acknowledge findings, so that they stop paging."),
    "rebaseline": (
        "auditwatch.cli.rebaseline",
        "Take what lies there now as the history of TRAIL, after a planned change.",
    ),
    "explain": ("auditwatch.cli.explain", "Explain a kind of damage, a violation, a reason or an alert."),
    "config": ("auditwatch.cli.config", "Check the configuration file, or print its schema."),
    "healthcheck": ("auditwatch.cli.healthcheck", "Ask a running agent whether it is alive."),
    "demo": ("auditwatch.cli.demo", "Watch a trail being damaged before your eyes."),
}
"""Each command with its module and the line that `--help` shows; a test checks that it equals the command's own."""


class _LazyGroup(click.Group):
    """Knows its commands by name and help; imports one when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  as above
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return with_log_options(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  as above
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])


def with_log_options(command: click.Command) -> click.Command:
    """The command and all below it, with `--log.format` and `--log.level`."""
    if not any(param.name == "log_format" for param in command.params):
        command.params.extend(_log_options())
    for below in getattr(command, "commands", {}).values():
        with_log_options(below)
    return command


def _log_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--log.format", "log_format"],
            type=click.Choice(logs.FORMATS),
            expose_value=False,
            callback=lambda _context, _param, value: logs.configure(format_name=value),
            help="Format of messages on standard error.",
        ),
        click.Option(
            ["--log.level", "log_level"],
            type=click.Choice(logs.LEVELS),
            expose_value=False,
            callback=lambda _context, _param, value: logs.configure(level=value),
            help="Lowest level of messages to write.",
        ),
    ]


def _print_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        from auditwatch.trail.judge.native import judge_in_use

        click.echo(f"auditwatch {__version__} ({judge_in_use()} judge)")
        context.exit()


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version, and which judge of lines runs: native or pure.",
)
@click.pass_context
def auditwatch(context: click.Context) -> int:
    """Watch append-only JSONL audit trails, and say when one is damaged, where, and what is left of it."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        return 2
    return 0


with_log_options(auditwatch)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit status and lets no exception out."""
    logs.reset()
    _make_printable(sys.stdout)
    try:
        with terminable():
            status = _guarded(arguments)
    except Terminated:  # as the command ended anyway
        status = TERMINATED
    return _flushed(status)


def _guarded(arguments: Sequence[str]) -> int:
    """Not `auditwatch.main(standalone_mode=False)`: that turns a closed pipe into exit 1, the status of damage, and an
    EOFError, such as a cut gzip file raises, into an interruption.
    """  # noqa: D205  one sentence
    try:
        with auditwatch.make_context("auditwatch", list(arguments)) as context:
            result = auditwatch.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except Terminated:
        return TERMINATED
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        return CLOSED_PIPE
    except Exception as error:  # noqa: BLE001  the last line of defence: every error gets one line and a status
        return _failed(error)
    return result if isinstance(result, int) else 0


def _failed(error: Exception) -> int:
    """Say what happened in one line; the exit status."""
    if logs.is_debug():
        traceback.print_exc()
    if isinstance(error, ModuleNotFoundError) and (missing := missing_extra(error)):
        return _said([missing], MissingExtra.exit_status)
    if isinstance(error, ConfigError):
        return _said(error.problems, error.exit_status)
    if isinstance(error, AuditwatchError):
        return _said([str(error)], error.exit_status)
    if isinstance(error, click.ClickException):
        return _said([_click_message(error)], 2 if isinstance(error, click.UsageError) else INTERNAL)
    if isinstance(error, OSError):
        return _said([_system_message(error)], INTERNAL)
    return _said([_internal_message(error)], INTERNAL)


def _said(lines: Sequence[str], status: int) -> int:
    for line in lines:
        with suppress(OSError, ValueError):  # standard error may be closed; the status still counts
            print(f"auditwatch: {printable(line)}", file=sys.stderr, flush=True)
    return status


def _click_message(error: click.ClickException) -> str:
    message = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    end = "" if message.endswith((".", "?")) else "."
    return f"{message}{end} See: {context.command_path} --help" if context else message


def _system_message(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or type(error).__name__}{_raised_at(error)}"


def _internal_message(error: Exception) -> str:
    text = " ".join(str(error).split())[:500]
    return f"internal error: {type(error).__name__}: {text}{_raised_at(error)}; --log.level debug shows more"


def _raised_at(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if f"{os.sep}auditwatch{os.sep}" in frame.filename] or frames
    return f" ({os.path.basename(own[-1].filename)}:{own[-1].lineno})" if own else ""


def _make_printable(stream: TextIO | Any) -> None:
    """File names may contain bytes that are not UTF-8: show them escaped instead of failing."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")


def _flushed(status: int) -> int:
    """Flush standard output here, where a closed pipe or a full disk can still become a status."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        _silence_stdout()
        if isinstance(error, BrokenPipeError):
            return CLOSED_PIPE
        return _said([f"standard output cannot be written: {error}"], INTERNAL) if status == 0 else status
    return CLOSED_PIPE if status == CLOSED_PIPE else status


def _silence_stdout() -> None:
    """Discard what is left in the buffer, or the interpreter would complain about it when it exits."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
