"""`auditwatch findings`: damaged lines and violations, by place and kind."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from auditwatch.cli import options
from auditwatch.cli.sources import answered, say
from auditwatch.errors import DAMAGED, UNKNOWN, UsageError
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.trail.names import printable

if TYPE_CHECKING:
    from auditwatch.web.status import FindingsQuery

_KINDS = [*(kind.value for kind in Kind), *(kind.value for kind in Violation)]


@click.command("findings")
@click.option("--trail", metavar="NAME", help="Only those of this trail.")
@click.option(
    "--kind", type=click.Choice(_KINDS), metavar="KIND", help="Only those of this kind; `explain` lists the kinds."
)
@click.option("--since", metavar="TIME", help="Only those found since: 7d, 2026-03-01 or 2026-03-01T12:00:00Z.")
@click.option("--open", "open_only", is_flag=True, help="Only those that are not acknowledged.")
@click.option("--inherited", is_flag=True, help="Only damage that was there before watching began.")
@click.option(
    "--limit",
    type=click.IntRange(0, 1000),
    metavar="N",
    help="At most so many damaged lines, and so many violations; 1000 by default.",
)
@click.option("--offset", type=click.IntRange(0, 10**9), metavar="N", help="Leave out so many of each first.")
@click.option(
    "--show", is_flag=True, help="Also print the lines, read from the trail, with control characters escaped."
)
@options.url
@options.state_dir
@options.output_format
@options.exit_code
def command(  # noqa: PLR0913  click passes one argument an option
    *,
    trail: str | None,
    kind: str | None,
    since: str | None,
    open_only: bool,
    inherited: bool,
    limit: int | None,
    offset: int | None,
    show: bool,
    url: str | None,
    state_dir: str | None,
    output_format: str,
    exit_code: bool,
) -> int:
    """List damaged lines and violations.

    The newest come first, as JSON in the order of their places. Asks the running agent; if none answers, says so, and
    what its state directory says. With --show it always reads the state directory, because the contents of lines are
    never served. Exit status with --exit-code: 1 if anything is open, 3 if no agent answers.
    """
    if show and url:
        raise UsageError("--show reads the trail on this host: use --state-dir instead of --url")
    query = _query(trail, kind, since, open=open_only, inherited=inherited, newest=output_format == "text") | _page(
        limit, offset
    )
    stored = partial(_stored, query, show)
    asked = answered(url, state_dir, "/api/v1/findings", query, stored, only_stored=show)
    found = asked.content
    say(asked, output_format, _lines(found))
    if exit_code and asked.notice:
        return UNKNOWN
    return DAMAGED if exit_code and _is_any_open(found) else 0


def _query(trail: str | None, kind: str | None, since: str | None, **flags: bool) -> dict[str, str]:
    query = {"trail": trail, "kind": kind, **{name: "true" if flag else None for name, flag in flags.items()}}
    if since is not None:
        query["since"] = repr(instant(since, time.time()))
    return {key: value for key, value in query.items() if value is not None}


def _page(limit: int | None, offset: int | None) -> dict[str, str]:
    return {name: str(number) for name, number in (("limit", limit), ("offset", offset)) if number is not None}


def instant(text: str, now: float) -> float:
    """Seconds since 1970 of a time, or of a duration before now.

    Raises:
        UsageError: It is neither.

    >>> instant("1h", 10_000.0), instant("1970-01-02T00:00:00Z", 0.0)
    (6400.0, 86400.0)
    """
    from auditwatch.config.quantities import duration_seconds

    try:
        return max(0.0, now - duration_seconds(text))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--since {text!r}: write 7d, 2026-03-01 or 2026-03-01T12:00:00Z") from None
    return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _stored(query: Mapping[str, str], show: bool, state_dir: str) -> dict[str, Any]:
    from auditwatch.agent.offline import load_snapshot
    from auditwatch.web.status import findings_json

    snapshot = load_snapshot(state_dir)
    if (trail := query.get("trail")) not in (None, *(known.name for known in snapshot.trails)):
        raise UsageError(f"no trail is named {trail!r}; `auditwatch status` lists them")
    found = findings_json(snapshot, _wanted(query))
    if show:
        from auditwatch.cli.contents import with_contents

        found["findings"] = list(with_contents(snapshot, found["findings"]))
    return found


def _wanted(query: Mapping[str, str]) -> FindingsQuery:
    from auditwatch.web.status import FindingsQuery

    kind = query.get("kind")
    return FindingsQuery(
        trail=query.get("trail"),
        kind=None if kind is None else Kind(kind) if kind in set(Kind) else Violation(kind),
        since=float(query.get("since", "0")),
        open_only="open" in query,
        inherited_only="inherited" in query,
        newest_first="newest" in query,
        **{name: int(query[name]) for name in ("limit", "offset") if name in query},
    )


def _is_any_open(found: Mapping[str, Any]) -> bool:
    return bool(found["beyond_open"] or found["open_total"])


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    for row in found["violations"]:
        again = f"  {row['count']} times; the latest: {row['latest']['detail']}" if row["count"] > 1 else ""
        yield _said(row, f"violation  {row['detail']}{again}")
    for row in found["findings"]:
        place = f"line {row['line']}  offset {row['offset']}  length {row['length']}"
        inside = f"  whole records inside: {row['records_inside']}" if row["records_inside"] else ""
        yield _said(row, place + ("  inherited" if row["inherited"] else "") + inside)
        if "content" in row:
            yield f"    {row['content']}"
    for row in found["rebaselines"]:
        when = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(row["at"]))
        yield printable(f"rebaseline  {row['trail']}  {when}  by {row['by']}: {row['reason']}  ({row['proof']})")
    yield _summary(found)


def _said(row: Mapping[str, Any], place: str) -> str:
    note = row["acknowledgement"]
    words = [row["id"], row["trail"], row["segment"], row["kind"], place, row["state"]]
    if note:
        words.append(f"by {note['by']}: {note['reason']}")
    return printable("  ".join(words))


def _summary(found: Mapping[str, Any]) -> str:
    listed = len(found["findings"]) + len(found["violations"])
    total = found["total"] + found["violations_total"]
    parts = [f"{listed} of {total} listed" if listed < total else f"{total} found"]
    if found["beyond"]:
        ids = printable(", ".join(found["beyond_ids"]))
        parts.append(f"{found['beyond']} more counted, but not listed individually ({ids})")
    return "; ".join(parts)
