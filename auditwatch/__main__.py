"""The entry point of the command line: says in one line what to install if the extra `agent` is missing."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and end the process with its exit status."""
    sys.exit(_status())


def _status() -> int:
    try:
        from auditwatch.cli.main import run  # noqa: PLC0415  fails if click is missing, and we have to say so
    except ModuleNotFoundError as error:
        from auditwatch.cli.extra import missing_extra  # noqa: PLC0415  only loaded when it is needed

        if (message := missing_extra(error)) is None:
            raise
        print(f"auditwatch: {message}", file=sys.stderr)  # noqa: T201  nothing else is loaded that could print it
        return 2
    except KeyboardInterrupt:
        return 130
    return run(sys.argv[1:])


if __name__ == "__main__":
    main()
