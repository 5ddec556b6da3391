"""Search for inputs that break a promise: `python -m fuzz TARGET DIRECTORY... [-flag...]`, as `make fuzz` does."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["auditwatch"]):
    from fuzz.targets import TARGETS


def main() -> None:
    """Hand everything but the target's name on to libFuzzer."""
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
