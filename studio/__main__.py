"""The front door: decides between window and command line before anything heavy is imported."""

from __future__ import annotations

import faulthandler
import os
import sys
from pathlib import Path


def main() -> int:
    """Run `tunesmith` with the process's arguments and return its exit code."""
    faulthandler.enable()
    arguments = sys.argv[1:]
    project = Path(arguments[0]) if len(arguments) == 1 and not arguments[0].startswith("-") else None
    if project is not None and not project.is_dir():
        project = None
    if arguments and project is None:
        from studio.cli import run

        return run(arguments)
    if not has_display():
        print("There is no display to show the window on. The commands work without one: tunesmith --help")  # noqa: T201
        return 1
    from studio.gui.app import run as show

    return show(project)


def has_display() -> bool:
    """Whether a window can be shown."""
    if os.environ.get("QT_QPA_PLATFORM") or sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    sys.exit(main())
