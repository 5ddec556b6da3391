"""`auditwatch salvage`: what the damaged lines of a trail still contain, in a new directory."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final, Literal

import click

from auditwatch.cli.progress import ProgressBar
from auditwatch.files.archives import is_compressed
from auditwatch.salvage.dissect import Confidence
from auditwatch.salvage.output import FRAGMENTS, MANIFEST, MERGED, RECOVERED
from auditwatch.salvage.run import SalvageOptions, salvage_into
from auditwatch.trail.names import printable
from auditwatch.trail.words import count_text, size_text

_MEANINGS: Final = {
    Confidence.CERTAIN: "found where only a record can begin",
    Confidence.LIKELY: "glued into another record; begins like the trail's other records",
    Confidence.INFERRED: "put together from two pieces: check them",
}


@click.command(name="salvage")
@click.argument("path", metavar="PATH")
@click.option("--output", required=True, metavar="DIR", help="A new or empty directory for the results.")
@click.option(
    "--merged", is_flag=True, help="Also write a copy of the trail with damaged lines replaced by their records."
)
@click.option(
    "--merged-confidence",
    type=click.Choice([confidence.value for confidence in Confidence]),
    default=Confidence.LIKELY.value,
    show_default=True,
    help="Lowest confidence of the records that go into that copy.",
)
@click.option(
    "--final", is_flag=True, help="Nothing more will be written: bytes after the last newline are a torn line."
)
@click.option("--format", "format_name", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(
    path: str, output: str, merged: bool, merged_confidence: str, final: bool, format_name: Literal["text", "json"]
) -> int:
    """Recover records from damaged lines into a new directory.

    The trail itself is only read. Exit status: 0 done, 2 DIR is not empty, 3 could not read or write.
    """
    options = SalvageOptions(
        final=final, merged=Confidence(merged_confidence) if merged else None, command=["auditwatch", *sys.argv[1:]]
    )
    with closing(ProgressBar()) as bar:
        manifest = salvage_into(path, output, options, bar.progress_of(path))
    print(json.dumps(manifest) if format_name == "json" else "\n".join(_text(path, output, manifest)))
    if is_compressed(path):
        note = "its compressed bytes were read; unpack it and salvage the result"
        print(f"auditwatch: {printable(path)}: {note}", file=sys.stderr)
    return 0


def _text(path: str, output: str, manifest: dict[str, Any]) -> Iterator[str]:
    damaged, recovered = manifest["damaged_lines"], manifest["recovered"]
    size = f"{count_text(manifest['lines'], 'line')}, {size_text(manifest['source']['bytes'])}"
    found = f"{count_text(recovered['records'], 'record')} in {count_text(damaged, 'damaged line')}"
    yield f"{printable(path)}: {found} ({size}, {manifest['seconds']:.2f} s)"
    for confidence, meaning in _MEANINGS.items():
        yield f"  {confidence.value:<18}{recovered['by_confidence'][confidence]:>9,}  {meaning}"
    fragments = manifest["fragments"]
    yield f"  {'left over':<18}{fragments['pieces']:>9,}  not part of any record ({size_text(fragments['bytes'])})"
    if manifest["pending_bytes"]:
        pending = count_text(manifest["pending_bytes"], "byte")
        yield f"  pending           {pending} after the last newline: a line that may still be growing, left alone;"
        yield "                    --final treats it as torn"
    yield from _files(output, manifest)
    yield from _next_steps(output, manifest)


def _files(output: str, manifest: dict[str, Any]) -> Iterator[str]:
    yield f"  written to        {printable(os.path.abspath(output))}"
    yield f"    {RECOVERED:<16}each record, with place, method and confidence"
    yield f"    {FRAGMENTS:<16}each piece that is not a record, with its place"
    if manifest["merged"] is not None:
        kept = ", ".join(manifest["merged"]["confidences"])
        records = count_text(manifest["merged"]["replaced_by"], "record")
        yield f"    {MERGED:<16}the trail, with {records} ({kept}) in place of its damaged lines"
    yield f"    {MANIFEST:<16}digests of the source and of these files, counts, versions"


def _next_steps(output: str, manifest: dict[str, Any]) -> Iterator[str]:
    if not manifest["damaged_lines"]:
        yield "  next              nothing: every line of the trail is whole"
        return
    yield "  next"
    yield "    Keep the trail as it is: the trail is the evidence, this directory is only a reading of it."
    yield "    Before relying on it, check what is not certain, and the fragments:"
    records = printable(os.path.join(output, RECOVERED))
    yield f"""      grep -v '^{{"confidence": "certain"' {records}"""
    yield "    Records that were overwritten or never reached the disk leave no trace here."
