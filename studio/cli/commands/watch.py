"""`tunesmith watch`: follow a run from its beginning, or see how it ended."""

from __future__ import annotations

from studio.cli.options import RunFolder


def watch(folder: RunFolder) -> int:
    """Follow a run from its beginning. Ctrl+C ends the watching; the run goes on."""
    from studio.cli.following import follow_run, make_console, print_summary
    from studio.project.runs import Run

    run, console = Run.open(folder), make_console()
    if not run.is_running():
        print_summary(run, console)
        return 0
    return follow_run(run, console, is_owner=False)


COMMAND = watch
