"""`tunesmith resume`: go on with a run that was paused, stopped, killed or failed."""

from __future__ import annotations

from typing import Annotated

import typer

from studio.cli.options import Detach, Processes, RunFolder


def resume(
    folder: RunFolder,
    detach: Detach = False,
    processes: Processes = 1,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Go on although the data file has changed.")
    ] = False,
) -> int:
    """Go on with a run from its newest checkpoint."""
    from studio.cli.following import make_console
    from studio.cli.running import run_now
    from studio.errors import UserError
    from studio.project.runs import Run
    from studio.project.starting import check_unchanged

    run = Run.open(folder)
    if run.state().status == "done":
        raise UserError(f"The run {run.name} is finished.", 'Start a new one with "tunesmith train".')
    if not accept_changes:
        check_unchanged(run)
    return run_now(run, make_console(), resume=True, detach=detach, processes=processes)


COMMAND = resume
