"""Telling a run in the background what to do, and waiting until it has."""

from __future__ import annotations

from pathlib import Path

from studio.cli.following import make_console, print_summary, tell
from studio.errors import UserError
from studio.project.follow import wait_for_end
from studio.project.runs import Run
from studio.protocol.commands import Command


def tell_and_wait(folder: Path, command: Command) -> int:
    """Send a command that ends a run, wait for its end, and say how it stands.

    Raises:
        UserError: the folder is no run, or nobody works on it.
    """
    run = Run.open(folder)
    if not run.is_running():
        status = run.state().status
        raise UserError(f"The run {run.name} is not running: it is {status}.", "See tunesmith watch for how it stands.")
    tell(run, command)
    wait_for_end(run)
    print_summary(run, make_console())
    return 0
