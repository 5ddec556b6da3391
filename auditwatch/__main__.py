"""The command line's entry: says in one line what to install where the extra `agent` is missing."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and end the process with its exit status."""
    sys.exit(_status())


def _status() -> int:
    try:
        from auditwatch.cli.main import run  # noqa: PLC0415  may fail for want of click, which is for us to say
    except ModuleNotFoundError as error:
        from auditwatch.cli.extra import missing_extra  # noqa: PLC0415  costs nothing until it is needed

        if (message := missing_extra(error)) is None:
            raise
        print(f"auditwatch: {message}", file=sys.stderr)  # noqa: T201  before anything that could print it is there
        return 2
    except KeyboardInterrupt:
        return 130
    return run(sys.argv[1:])


if __name__ == "__main__":
    main()
