"""`auditwatch demo`: the agent on a trail that programs really damage."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import click

from auditwatch.cli import options

_PRODUCERS = ("locked", "locked", "two-writes", "no-o-append")
_END_SECONDS = 5.0  # for a producer to notice that its leash is cut


@click.command("demo")
@click.option(
    "--directory", metavar="DIR", help="Where to make the trail, which is then kept; a temporary directory by default."
)
@options.listen_address
def command(directory: str | None, listen_address: str | None) -> int:
    """Watch a trail being damaged before your eyes.

    Two processes append as they should; every few seconds two others write the way many programs do: in two writes, and
    without O_APPEND. Ctrl-C ends everything.
    """
    from auditwatch.agent.supervisor import run_agent
    from auditwatch.config.settings import config_from_arguments

    with ExitStack() as stack:
        place = stack.enter_context(_place(directory))
        trail = os.path.join(place, "audit_trail.jsonl")
        config = config_from_arguments([f"demo={trail}"], listen_address=listen_address)
        click.echo(f"demo trail: {trail}", err=True)
        stack.enter_context(producing(trail))
        try:
            return run_agent(config, state_dir=os.path.join(place, "state"))
        except KeyboardInterrupt:  # before the supervisor had the signals in its hands
            return 0


@contextmanager
def _place(directory: str | None) -> Iterator[str]:
    if directory is not None:
        os.makedirs(directory, exist_ok=True)
        yield os.path.abspath(directory)
        return
    temporary = tempfile.mkdtemp(prefix="auditwatch-demo-")
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def producing(trail: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Four producers on the trail; all have ended afterwards."""
    with open(trail, "ab"):
        pass  # the damaging ones open what is there
    started: list[subprocess.Popen[bytes]] = []
    try:
        for kind in _PRODUCERS:
            command_line = [sys.executable, "-m", "auditwatch.cli.demo_producer", kind, trail]
            # In a separate session: Ctrl-C reaches only the demo, which then cuts the leashes.
            started.append(subprocess.Popen(command_line, stdin=subprocess.PIPE, start_new_session=True))
        yield started
    finally:
        _end(started)


def _end(producers: list[subprocess.Popen[bytes]]) -> None:
    for producer in producers:
        if producer.stdin is not None:
            producer.stdin.close()
    for producer in producers:
        try:
            producer.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            producer.kill()
            producer.wait()
