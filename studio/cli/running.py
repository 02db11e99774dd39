"""Starting a run's worker, and following it or leaving it alone."""

from __future__ import annotations

from rich.console import Console

from studio.cli.following import follow_run
from studio.project.launch import start_run
from studio.project.lines import read_lines
from studio.project.runs import Run


def run_now(run: Run, console: Console, *, resume: bool, detach: bool, processes: int = 1) -> int:
    """Train a run in the background; unless detached, show it until it ends.

    Returns:
        The exit code.

    Raises:
        UserError, WorkerFailed: as the worker failed.
    """
    _, offset = read_lines(run.events_path)  # what earlier sessions said is not shown again
    process = start_run(run, processes=processes, resume=resume)
    console.print(str(run.folder))
    if detach:
        console.print(f'Follow it: tunesmith watch "{run.folder}"')
        process.returncode = 0  # it is not ours to wait for any more; keeps Python from warning about that
        return 0
    return follow_run(run, console, offset=offset, process=process)
