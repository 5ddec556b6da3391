"""`auditwatch status`: the state of each trail."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import click

from auditwatch.cli import options
from auditwatch.cli.sources import answered, say
from auditwatch.errors import DAMAGED, UNKNOWN, UsageError
from auditwatch.trail.names import printable
from auditwatch.trail.words import count_text, size_text

_WORST_FIRST = ("damaged", "unchecked", "whole")


@click.command("status")
@click.option("--trail", metavar="NAME", help="Only this trail.")
@options.url
@options.state_dir
@options.output_format
@options.exit_code
def command(*, trail: str | None, url: str | None, state_dir: str | None, output_format: str, exit_code: bool) -> int:
    """Show the state of each trail.

    The worst come first. Asks the running agent; if none answers, says so, and what its state directory says. Exit
    status with --exit-code: 1 if anything is open, 3 if no agent answers.
    """
    asked = answered(url, state_dir, "/api/v1/status", None, _stored)
    status = _ordered(asked.content, trail)
    say(replace(asked, content=status), output_format, status_lines(status))
    if exit_code and asked.notice:
        return UNKNOWN
    return DAMAGED if exit_code and any(_is_open(trail) for trail in status["trails"]) else 0


def _ordered(status: dict[str, Any], name: str | None) -> dict[str, Any]:
    """The worst trails first, of these the ones with the newest damage; only one, if a name is given.

    Raises:
        UsageError: No trail has this name.
    """
    trails = [trail for trail in status["trails"] if name in (None, trail["name"])]
    if name is not None and not trails:
        raise UsageError(f"no trail is named {printable(name)!r}; `auditwatch status` lists them")
    return {**status, "trails": sorted(trails, key=_badness)}


def _badness(trail: Mapping[str, Any]) -> tuple[int, float, str]:
    return _WORST_FIRST.index(trail["verdict"]), -trail["last_damage"], trail["name"]


def _stored(state_dir: str) -> dict[str, Any]:
    from auditwatch.agent.offline import load_snapshot
    from auditwatch.web.status import status_json

    return status_json(load_snapshot(state_dir))


def _is_open(trail: Mapping[str, Any]) -> bool:
    violations = any(count["open"] for count in trail["violations"].values())
    return bool(trail["corrupt_lines"]["open"]) or violations or bool(trail["writes"]["open"])


def status_lines(status: Mapping[str, Any]) -> Iterator[str]:
    """The status as a person reads it."""
    trails = status["trails"]
    if not trails:
        yield "no trails are known"
    for trail in trails:
        yield from _trail_lines(trail)
    if len(trails) > 1:
        counts = Counter(trail["verdict"] for trail in trails)
        said = ", ".join(f"{counts[verdict]:,} {verdict}" for verdict in _WORST_FIRST if counts[verdict])
        yield f"{count_text(len(trails), 'trail')}: {said}"
    yield f"as of {_instant(status['at'])}"


def _trail_lines(trail: Mapping[str, Any]) -> Iterator[str]:
    yield f"{printable(trail['name'])}  {printable(trail['verdict'])}  {printable(trail['path'])}"
    yield f"    {printable(trail['text'])}"
    yield f"    {_extent(trail)}"
    yield f"    {_freshness(trail)}"
    yield from (f"    {line}" for line in _writes(trail["writes"]))
    if trail["watcher"]["spared"]:
        yield "    not held open while it is quiet: too many files are open (see LimitNOFILE, ulimit -n)"
    for taken in trail["rebaselines"][-1:]:
        said = f"by {taken['by']}: {taken['reason']} ({taken['proof']})"
        yield f"    history taken as new {_instant(taken['at'])} {printable(said)}"


def _extent(trail: Mapping[str, Any]) -> str:
    from auditwatch.web.wording import count

    seen, corrupt = trail["bytes"], trail["corrupt_lines"]
    total = size_text(seen["active"] + seen["segments"])
    return (
        f"{count_text(trail['lines'], 'line')}, {total}; damaged lines: {count(corrupt['open'])} open"
        f" ({count(corrupt['inherited'])} of them inherited), {count(corrupt['acknowledged'])} acknowledged"
    )


def _writes(writes: Mapping[str, Any]) -> Iterator[str]:
    """What the writers counted, and which failures are not acknowledged."""
    from auditwatch.web.wording import count, reasons

    if writes["counters_trouble"]:
        yield f"writes are not being counted: {printable(writes['counters_trouble'])}"
    if not writes["counted"]:
        return
    failed, waits = sum(writes["failed"].values()), writes["lock_waits"]
    last = f", the last one {_instant(writes['last_failure'])}" if failed else ""
    yield (
        f"writes: {count(writes['stored'])} stored, {count(failed)} failed{last};"
        f" lock waits: {count(waits['over_1s'])} over 1 s, {count(waits['timed_out'])} timed out"
    )
    if writes["open"]:
        yield f"failed writes not acknowledged: {reasons(writes['open_by_reason'])} ({printable(writes['id'])})"


def _freshness(trail: Mapping[str, Any]) -> str:
    last = trail["appended"]["last"]
    full, sample = (trail["runs"].get(mode, {}).get("last_success", 0) for mode in ("full", "sample"))
    return f"last append {_instant(last)}; last full validation {_instant(full)}; last sample {_instant(sample)}"


def _instant(seconds: float) -> str:
    """Local time as people write it, or `never`.

    >>> _instant(0)
    'never'
    """
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(seconds)) if seconds else "never"
