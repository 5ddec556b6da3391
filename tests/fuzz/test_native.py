"""The native judge against one that reads a byte at a time, on mutated lines, with sanitizers and on another processor.

`fuzz/native.c` is both the judge and the mutator; `make fuzz` lets libFuzzer look for inputs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
CORPUS: Final = sorted(str(path) for path in (ROOT / "fuzz" / "corpus" / "sieves").iterdir())
INPUTS: Final = os.environ.get("AUDITWATCH_NATIVE_INPUTS", "20000")

COMPILED: Final = {
    "under sanitizers": (
        ["gcc", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
        [],
    ),
    "as it is shipped": (["gcc", "-O2"], []),
    "on 64-bit ARM": (["aarch64-linux-gnu-gcc", "-O2", "-static"], ["qemu-aarch64-static"]),
}


@pytest.mark.parametrize("how", COMPILED)
def test_no_mutated_line_is_judged_differently(how: str, tmp_path: Path) -> None:
    (compiler, *options), run = COMPILED[how]
    for tool in (compiler, *run):
        if shutil.which(tool) is None:
            pytest.skip(f"NOT RUN: {tool} is not installed")
    program = str(tmp_path / "native")
    asked = [
        compiler,
        *options,
        "-std=gnu11",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-DALONE",
        str(ROOT / "fuzz" / "native.c"),
    ]
    subprocess.run([*asked, "-o", program], check=True)
    for seed in ("1", "2"):
        done = subprocess.run([*run, program, INPUTS, seed, *CORPUS], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found = re.fullmatch(r"(\d+) lines, (\d+) of them whole, no difference\n", done.stdout)
        assert found is not None
        assert int(found[1]) > 2 * int(INPUTS)
        assert int(found[2]) > int(INPUTS) // 5
