"""`auditwatch run`: the agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from auditwatch.cli import options
from auditwatch.cli.endings import INTERNAL
from auditwatch.cli.status import status_lines
from auditwatch.errors import DAMAGED, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from auditwatch.config.settings import Config

_VERDICTS: Final = {"whole": 0, "damaged": DAMAGED, "unchecked": INTERNAL}


@click.command("run")
@click.option("-c", "--config", "config_file", metavar="FILE", help="Configuration file.")
@click.argument("trails", nargs=-1, metavar="[[NAME=]TRAIL]...")
@options.state_dir
@options.listen_address
@click.option(
    "--once", is_flag=True, help="Judge what is new, do one full and one sample run, print the status, and exit."
)
@click.option(
    "--metrics-file", metavar="FILE", help="With --once: write the metrics for node_exporter's textfile collector."
)
def command(
    config_file: str | None,
    trails: tuple[str, ...],
    state_dir: str | None,
    listen_address: str | None,
    once: bool,
    metrics_file: str | None,
) -> int:
    """Watch trails: judge what is appended, validate on schedule, serve metrics.

    Trails come from FILE, from the command line, or both; they are only ever read. Exit status: 0 after SIGTERM or
    SIGINT; with --once the same as for `validate`.
    """
    if metrics_file and not once:
        raise UsageError("--metrics-file needs --once; a running agent serves its metrics at /metrics")

    def configured() -> Config:
        return _configured(config_file, trails, state_dir, listen_address)

    if once:
        return _run_once(configured(), metrics_file)
    return _run(configured(), configured if config_file else None)


def _configured(
    config_file: str | None, trails: tuple[str, ...], state_dir: str | None, listen_address: str | None
) -> Config:
    from auditwatch.config.settings import config_from_arguments, load_config

    if config_file is not None:
        return load_config(config_file, trails, state_dir=state_dir, listen_address=listen_address)
    return config_from_arguments(trails, state_dir=state_dir, listen_address=listen_address)


def _run(config: Config, reload: Callable[[], Config] | None) -> int:
    from auditwatch.agent.supervisor import run_agent
    from auditwatch.config.settings import state_directory

    try:
        return run_agent(config, state_dir=state_directory(config), reload=reload)
    except KeyboardInterrupt:  # before the supervisor handles signals
        return 0


def _run_once(config: Config, metrics_file: str | None) -> int:
    from auditwatch.agent.supervisor import run_once
    from auditwatch.config.settings import state_directory
    from auditwatch.web.status import status_json

    status = status_json(run_once(config, state_dir=state_directory(config), metrics_file=metrics_file))
    click.echo("\n".join(status_lines(status)))
    return _VERDICTS[status["verdict"]]
