"""The first look at a big trail with old damage: what the agent shows meanwhile, how fast, and with how much memory.

    python -m benchmarks.first_sight [MEGABYTES]

Writes a trail of that size (300 by default) into a temporary directory, starts the agent on it, and keeps requesting
/metrics and the status until the history is read. Prints one line per fact.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LINE = b'{"timestamp":"2026-01-01T00:00:00Z","event":"TRADE_APPROVED","details":{"text":"%s","n":%%d}}\n' % (b"x" * 180)
BATCH = 10_000
DAMAGED_EVERY = 100_000


def write_trail(path: Path, size: int) -> int:
    """Write a trail of this size; returns the number of damaged lines in it."""
    batch = b"".join(LINE % n for n in range(BATCH))
    damaged = 0
    with path.open("wb") as file:
        for number in range(max(1, size // len(batch))):
            file.write(batch)
            if number % (DAMAGED_EVERY // BATCH) == 0:
                file.write(b'{"event":"TRADE_A{"event":"KILL_SWITCH"}\n')
                damaged += 1
    return damaged


@contextmanager
def agent(trail: Path, state_dir: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A running agent and its URL."""
    log = state_dir.with_name("log")
    asked = [sys.executable, "-m", "auditwatch", "run", str(trail), "--state-dir", str(state_dir)]
    with log.open("wb") as file:
        process = subprocess.Popen([*asked, "--web.listen-address", "127.0.0.1:0"], stderr=file)
    try:
        while not (found := re.search(rb"http://\S+(?=/\n)", log.read_bytes())):
            if process.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.01)
        yield process, found[0].decode()
    finally:
        process.terminate()
        process.wait()


def get(url: str) -> tuple[bytes, float]:
    """The answer, and how many seconds it took."""
    begun = time.perf_counter()
    with urllib.request.urlopen(url, timeout=30) as answer:
        body: bytes = answer.read()
    return body, time.perf_counter() - begun


def value(metrics: bytes, name: str) -> float:
    """The sum over all samples of one metric."""
    return sum(float(found) for found in re.findall(rb"(?m)^auditwatch_%s(?:{[^}]*})? (\S+)$" % name.encode(), metrics))


def peak_bytes(pid: int) -> int:
    """The peak memory of a process."""
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def watched(url: str) -> Iterator[tuple[bytes, dict[str, Any], float]]:
    """Metrics, status and the seconds of the slower answer, until the history is read."""
    while True:
        metrics, seconds = get(url + "/metrics")
        body, more = get(url + "/api/v1/status")
        trail = json.loads(body)["trails"][0]
        yield metrics, trail, max(seconds, more)
        if trail["segments"] and trail["catching_up"] is None and not trail["bytes"]["unverified"]:
            return
        time.sleep(0.02)


def main() -> None:
    """Write a trail, watch it, and print the report."""
    size = int(sys.argv[1] if sys.argv[1:] else 300) * 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        trail = Path(directory) / "big.jsonl"
        damaged = write_trail(trail, size)
        with agent(trail, Path(directory) / "state") as (process, url):
            report(watch(process, url), trail.stat().st_size, damaged)


def watch(process: subprocess.Popen[bytes], url: str) -> dict[str, Any]:
    """What was seen until the history was read."""
    begun, answers, progress, appended, page = time.perf_counter(), [], set(), 0.0, 0.0
    metrics = b""
    for metrics, trail, seconds in watched(url):
        answers.append(seconds)
        progress.add(trail["catching_up"])
        appended = max(appended, value(metrics, "trail_appended_bytes_total"))
        page = max(page, get(url + "/")[1])
    return {
        "seconds": time.perf_counter() - begun,
        "answers": sorted(answers),
        "page": page,
        "progress": sorted(step for step in progress if step is not None),
        "appended": appended,
        "open": value(metrics, "trail_corrupt_lines"),
        "inherited": value(metrics, "trail_corrupt_lines_inherited"),
        "detected": value(metrics, "trail_corrupt_lines_detected_total"),
        "agent": peak_bytes(process.pid),
        "worker": value(metrics, "worker_max_resident_bytes"),
    }


def report(seen: dict[str, Any], size: int, damaged: int) -> None:
    """Print one line per fact."""
    answers, progress = seen["answers"], seen["progress"]
    steps = f", {progress[0]:.0%} to {progress[-1]:.0%}" if progress else ""
    print(f"history          {size / 1e9:.2f} GB in {seen['seconds']:.1f} s, {size / seen['seconds'] / 1e9:.2f} GB/s")
    print(f"progress         {len(progress)} different values shown{steps}")
    print(f"damage           {damaged} written; open {seen['open']:.0f}, inherited {seen['inherited']:.0f}")
    print(f"not history      appended bytes {seen['appended']:.0f}, detected {seen['detected']:.0f}")
    median = answers[len(answers) // 2]
    print(f"answers          {len(answers)}; slowest {answers[-1] * 1e3:.0f} ms, median {median * 1e3:.1f} ms")
    print(f"page             slowest {seen['page'] * 1e3:.0f} ms")
    print(f"peak memory      agent {seen['agent'] / 1e6:.0f} MB, worker {seen['worker'] / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
