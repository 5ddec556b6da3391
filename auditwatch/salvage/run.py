"""Salvage one file into a directory: everything that `auditwatch salvage` does, except what it prints."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from auditwatch._version import __version__
from auditwatch.files.opening import opened
from auditwatch.files.reading import Progress
from auditwatch.salvage.dissect import Confidence
from auditwatch.salvage.output import FRAGMENTS, MERGED, RECOVERED, FileSink, MergedCopy, OutputDirectory
from auditwatch.salvage.readings import Survey, salvage, survey
from auditwatch.trail.kinds import Kind
from auditwatch.trail.rules import JUDGE_VERSION, Rules

FORMAT_VERSION: Final = 1
"""Version of the manifest and of the files it describes."""


@dataclass(frozen=True, slots=True)
class SalvageOptions:
    """What is asked for.

    Attributes:
        rules: What makes a line whole.
        final: Whether bytes after the last newline are a torn line.
        merged: Lowest confidence of the records that go into a copy of the trail; None for no copy.
        command: The command line, for the manifest.
    """

    rules: Rules = field(default_factory=Rules)
    final: bool = False
    merged: Confidence | None = None
    command: Sequence[str] = ()


def salvage_into(
    path: str, output: str, options: SalvageOptions, on_progress: Progress | None = None
) -> dict[str, object]:
    """Salvage the file at `path` into the directory `output`, and return the manifest that was written there.

    After an error, nothing is left in the directory.

    Raises:
        OutputTaken: The directory exists and is not empty.
        OutputUnwritable: A result cannot be written.
        Unreadable: The trail cannot be read, or changed while it was read.
    """
    with opened(path) as descriptor:
        directory = OutputDirectory(output)
        try:
            return _salvaged(path, descriptor, directory, options, on_progress)
        except BaseException:
            directory.abandon()
            raise


def confidences_from(least: Confidence) -> frozenset[Confidence]:
    """This confidence and the higher ones.

    >>> sorted(confidences_from(Confidence.LIKELY))
    [<Confidence.CERTAIN: 'certain'>, <Confidence.LIKELY: 'likely'>]
    """
    order = list(Confidence)
    return frozenset(order[: order.index(least) + 1])


def _salvaged(
    path: str, descriptor: int, directory: OutputDirectory, options: SalvageOptions, on_progress: Progress | None
) -> dict[str, object]:
    begun, began = time.monotonic(), datetime.now(UTC)
    status = os.fstat(descriptor)
    files = [directory.create(name) for name in (RECOVERED, FRAGMENTS)]
    copy = None
    if options.merged is not None:
        files.append(directory.create(MERGED))
        copy = MergedCopy(files[-1], descriptor, confidences_from(options.merged))
    sink = FileSink(files[0], files[1], copy)
    known = survey(descriptor, status.st_size, options.rules, final=options.final, on_progress=on_progress)
    salvage(descriptor, known, options.rules, sink, final=options.final, on_progress=on_progress)
    if copy is not None:
        copy.copy_until(known.size - known.pending_bytes)
    manifest = {
        "format": FORMAT_VERSION,
        **_circumstances(options, began, time.monotonic() - begun),
        **_source(path, status, known),
        **_results(sink, copy),
        "files": {file.name: file.described() for file in files},
    }
    directory.finish(manifest)
    return manifest


def _circumstances(options: SalvageOptions, began: datetime, seconds: float) -> dict[str, object]:
    return {
        "auditwatch": __version__,
        "judge": JUDGE_VERSION,
        "python": platform.python_version(),
        "command": list(options.command),
        "began": began.isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "rules": {"max_line_bytes": options.rules.max_line_bytes, "final": options.final},
    }


def _source(path: str, status: os.stat_result, known: Survey) -> dict[str, object]:
    return {
        "source": {
            "path": os.path.abspath(path),
            "bytes": known.size,
            "sha256": known.sha256,
            "digest": known.digest,
            "modified": datetime.fromtimestamp(status.st_mtime, UTC).isoformat(),
            "device": status.st_dev,
            "inode": status.st_ino,
        },
        "lines": known.lines,
        "whole_lines": known.records,
        "damaged_lines": sum(known.by_kind.values()),
        "by_kind": {kind.value: known.by_kind.get(kind, 0) for kind in Kind},
        "pending_bytes": known.pending_bytes,
        "usual_first_key": known.habits.first_key and known.habits.first_key.decode("utf-8", "replace"),
    }


def _results(sink: FileSink, copy: MergedCopy | None) -> dict[str, object]:
    return {
        "recovered": {
            "records": sink.by_confidence.total(),
            "bytes": sink.recovered_bytes,
            "by_confidence": dict(sink.by_confidence),
            "by_method": dict(sink.by_method),
        },
        "fragments": {"pieces": sink.by_kind.total(), "bytes": sink.fragment_bytes, "by_kind": dict(sink.by_kind)},
        "merged": copy and {"replaced_by": copy.records, "confidences": sorted(copy.confidences)},
    }
