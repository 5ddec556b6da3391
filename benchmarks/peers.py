"""Other programs that can say which lines of a file are JSON, each in a separate process.

    python -m benchmarks.peers NAME

Reads paths from standard input, one per line, and answers each with one JSON object: whole lines, elapsed seconds, CPU
seconds, and the peak memory of the process or of one that it started.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from unittest import mock

from auditwatch.trail.grid import Block
from auditwatch.trail.judge.native import NATIVE, NativeSieve
from auditwatch.trail.judge.pure import PureSieve
from auditwatch.trail.judge.sieve import Sieve
from auditwatch.trail.rules import FieldType, Rules
from auditwatch.validation.full import Full, validate_full
from auditwatch.validation.ranges import judge_range
from auditwatch.validation.workers.pool import WorkerPool
from benchmarks.original import validate as validate_original

Count = Callable[[str], int]
"""Returns the number of whole lines in the file at a path."""

_REQUIRED = Rules(require=(("timestamp", FieldType.DATETIME), ("event", FieldType.STRING)))
_SIMDJSON = r"""
#include <simdjson.h>
#include <cstdio>
#include <cstring>
int main(int, char **argv) {
  auto data = simdjson::padded_string::load(argv[1]).take_value();
  simdjson::dom::parser parser;
  size_t whole = 0;
  const char *at = data.data(), *end = at + data.size();
  while (at < end) {
    const char *newline = static_cast<const char *>(memchr(at, '\n', end - at));
    if (!newline) break;
    simdjson::dom::object object;  // the bytes after the line are there: no copy is needed
    whole += !parser.parse(reinterpret_cast<const uint8_t *>(at), newline - at, false).get(object);
    at = newline + 1;
  }
  printf("%zu\n", whole);
}
"""


class NotRun(Exception):
    """A peer is not installed, or gives no answer for such a file."""


def _original(path: str) -> int:
    lines, complaint = validate_original(path)
    if complaint is not None:
        raise NotRun("stops at the first damaged line")
    return lines


def _orjson(path: str) -> int:
    import orjson

    whole = 0
    with open(path, "rb") as trail:
        for line in trail:
            try:
                whole += isinstance(orjson.loads(line), dict)
            except ValueError:
                continue
    return whole


_peaks: list[int] = []
"""The peak memory of each program that was run for a count."""


def _ran(*arguments: str) -> tuple[int, bytes]:
    """A program's exit status and output; its peak memory is noted, so that the memory of a compiler does not count."""
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    _peaks.append(usage.ru_maxrss * 1024)
    return process.returncode, output


def _jq(path: str) -> int:
    if shutil.which("jq") is None:
        raise NotRun("no jq here")
    status, output = _ran("jq", "-n", "reduce inputs as $_ (0; . + 1)", path)
    if status:
        raise NotRun("stops at the first damaged line")
    return int(output)


_DUCKDB = (
    "SELECT count(*) FILTER (json_valid(line)) FROM read_csv(?, columns = {'line': 'VARCHAR'}, delim = '\x01',"
    " quote = '', escape = '', header = false, auto_detect = false, max_line_size = 4000000)"
)
_CHDB = "SELECT countIf(isValidJSON(line)) FROM file('{}', LineAsString, 'line String') SETTINGS max_threads = {}"


def _duckdb(threads: int, path: str) -> int:
    import duckdb

    with duckdb.connect(config={"threads": threads}) as connection:
        return int(connection.execute(_DUCKDB, [path]).fetchall()[0][0])


def _chdb(threads: int, path: str) -> int:
    import chdb

    return int(bytes(chdb.query(_CHDB.format(path, threads)).bytes()))


def _simdjson(path: str) -> int:
    return int(_ran(f"{_compiled().name}/lines", path)[1])


@cache
def _compiled() -> tempfile.TemporaryDirectory[str]:
    """The directory of the compiled program; it is removed when this process ends."""
    directory = tempfile.TemporaryDirectory()
    asked = ["g++", "-O3", "-march=native", "-std=c++17", "-x", "c++", "-", "-o", f"{directory.name}/lines"]
    try:
        subprocess.run([*asked, "-lsimdjson"], input=_SIMDJSON.encode(), capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise NotRun("simdjson's C++ library cannot be built against here") from None
    return directory


class _Here:
    """auditwatch in this process, with one of its sieves."""

    def __init__(self, make: Callable[[Rules], Sieve]) -> None:
        self._make = make

    def __call__(self, path: str) -> int:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            with mock.patch("auditwatch.trail.judge.judge.sieve_for", self._make):
                end = os.fstat(descriptor).st_size
                return judge_range(descriptor, 0, end, Rules(), hashed=False).report.records
        finally:
            os.close(descriptor)


def _sse2(rules: Rules) -> Sieve:
    if NATIVE is None or "sse2" not in NATIVE.INSTRUCTIONS:
        raise NotRun("no native judge with SSE2 here")
    return NativeSieve(rules, "sse2")


class _Ours:
    """auditwatch with this many workers; if it remembers, it keeps the blocks of each path."""

    def __init__(self, workers: int, rules: Rules | None = None, *, remembers: bool = False) -> None:
        self._rules = rules or Rules()
        self._remembers = remembers
        self._blocks: dict[str, dict[int, Block]] = {}
        self._runner = asyncio.Runner()
        self.pool = self._runner.run(_pool(workers))

    def __call__(self, path: str) -> int:
        return self._runner.run(self._full(path)).report.records

    async def _full(self, path: str) -> Full:
        known = self._blocks.get(path, {})
        seen: dict[int, Block] = {}
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return await validate_full(
                descriptor,
                self._rules,
                self.pool,
                hashed=self._remembers,
                recorded=known.get,
                on_block=lambda block, _: seen.__setitem__(block.k, block),
            )
        finally:
            os.close(descriptor)
            if self._remembers:
                self._blocks[path] = seen


async def _pool(workers: int) -> WorkerPool:
    return WorkerPool(workers, idle_seconds=3600, background=False)


PEERS: dict[str, Callable[[], Count]] = {
    "original script": lambda: _original,
    "orjson a line": lambda: _orjson,
    "jq": lambda: _jq,
    "simdjson C++, a line": lambda: _simdjson,
    "DuckDB, 1 thread": lambda: partial(_duckdb, 1),
    "DuckDB, 2 threads": lambda: partial(_duckdb, 2),
    "chDB, 1 thread": lambda: partial(_chdb, 1),
    "chDB, 2 threads": lambda: partial(_chdb, 2),
    "auditwatch, 1 worker": lambda: _Ours(1),
    "auditwatch, 2 workers": lambda: _Ours(2),
    "auditwatch, 1 worker, two fields required": lambda: _Ours(1, _REQUIRED),
    "auditwatch, 1 worker, unchanged history": lambda: _Ours(1, remembers=True),
    "auditwatch, SSE2 alone": lambda: _Here(_sse2),
    "auditwatch, Python alone": lambda: _Here(PureSieve),
}
"""The peers by name; each is created in its own process. DuckDB is asked for `json_valid`, chDB for `isValidJSON`."""

_DUCKDB_SCRIPT = (
    "import duckdb, sys\nconnection = duckdb.connect(config={'threads': 2})\n"
    f"print(connection.execute({_DUCKDB!r}, sys.argv[1:]).fetchall())"
)
_PYTHON = [sys.executable, "-c"]
COMMANDS: dict[str, list[str]] = {
    "original script": [
        *_PYTHON,
        "import json, sys\nfor line in open(sys.argv[1]): json.loads(line)",
    ],
    "orjson a line": [
        *_PYTHON,
        "import orjson, sys\nfor line in open(sys.argv[1], 'rb'): orjson.loads(line)",
    ],
    "jq": ["jq", "-n", "reduce inputs as $_ (0; . + 1)"],
    "DuckDB json_valid": [*_PYTHON, _DUCKDB_SCRIPT],
    "chDB isValidJSON": [*_PYTHON, f"import chdb, sys\nprint(chdb.query({_CHDB!r}.format(sys.argv[1], 2)).bytes())"],
    "auditwatch validate --jobs 1": [sys.executable, "-m", "auditwatch", "validate", "--jobs", "1"],
    "auditwatch validate --jobs 2": [sys.executable, "-m", "auditwatch", "validate", "--jobs", "2"],
}
"""Whole commands that judge the file at the path that is put after them."""


def _peak_bytes(count: Count) -> int:
    if isinstance(count, _Ours):
        return count.pool.max_resident_bytes
    if _peaks:
        return max(_peaks)
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def _cpu_seconds(count: Count) -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    workers = count.pool.cpu_seconds if isinstance(count, _Ours) else 0.0
    return sum(usage.ru_utime + usage.ru_stime for usage in spent) + workers


def _answer(count: Count, path: str) -> dict[str, object]:
    begun, spent = time.perf_counter(), _cpu_seconds(count)
    try:
        whole = count(path)
    except (NotRun, ImportError) as error:
        return {"not_run": str(error)}
    seconds, spent = time.perf_counter() - begun, _cpu_seconds(count) - spent
    return {"whole": whole, "seconds": seconds, "cpu_seconds": spent, "peak_bytes": _peak_bytes(count)}


def main() -> None:
    """Answer until standard input ends."""
    count = PEERS[sys.argv[1]]()
    for line in sys.stdin:
        print(json.dumps(_answer(count, line.rstrip("\n"))), flush=True)


if __name__ == "__main__":
    main()
