"""The front door: decides between window and command line before anything heavy is imported."""

from __future__ import annotations

import faulthandler
import sys


def main() -> int:
    """Run `tunesmith` with the process's arguments and return its exit code."""
    faulthandler.enable()
    from studio.cli import run  # the command line is the only front door so far

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
