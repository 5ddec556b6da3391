"""Search for inputs that break a promise: `python -m fuzz TARGET DIRECTORY... [-flag...]`, as `make fuzz` does."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["auditwatch"]):
    from fuzz.targets import TARGETS


def main() -> None:
    """Pass everything but the target's name to libFuzzer, which merges in processes that it starts like this one."""
    _, name, *arguments = sys.argv
    atheris.Setup([f"{sys.executable} -m fuzz {name}", *arguments], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
