"""`tunesmith train`: start a run in the background and follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from studio.cli.options import Detach, Processes, ProjectFolder, Sets

if TYPE_CHECKING:
    from studio.project.runs import Run


def train(
    folder: ProjectFolder,
    name: Annotated[str, typer.Option("--name", help="The run's name; else the time and the method.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest unfinished run.")] = False,
    sets: Sets = None,
    detach: Detach = False,
    processes: Processes = 1,
) -> int:
    """Train in the background and follow it. Ctrl+C saves and stops; closing the terminal does not end the run."""
    from studio.cli.following import make_console
    from studio.cli.running import run_now
    from studio.cli.starting import make_run
    from studio.errors import UserError
    from studio.project.folder import Project
    from studio.project.starting import check_unchanged
    from studio.spec.values import set_values

    console = make_console()
    if resume and (sets or name):
        raise UserError("A run's settings are frozen once it has begun.", "Leave out --set and --name with --resume.")
    project = Project.open(folder)
    if resume:
        run = _newest_unfinished(project.runs(), str(folder))
        check_unchanged(run)
    else:
        run = make_run(project, set_values(project.draft(), sets or []), name, console)
    return run_now(run, console, resume=resume, detach=detach, processes=processes)


def _newest_unfinished(runs: list[Run], folder: str) -> Run:
    from studio.errors import UserError

    for run in reversed(runs):
        if run.state().is_unfinished:
            return run
    raise UserError(f"{folder} has no unfinished run.", "Start a new one without --resume.")


COMMAND = train
