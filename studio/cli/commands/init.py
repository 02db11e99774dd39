"""`tunesmith init`: a new project from a model and a file of rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from studio.cli.options import Sets


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")],
    model: Annotated[str, typer.Option("--model", help='A model folder, a name on the Hub, or "starter".')],
    data: Annotated[str, typer.Option("--data", help="A file of rows: JSONL, JSON, CSV, TSV, Parquet, Arrow or text.")],
    method: Annotated[str, typer.Option("--method", help="How to train; see METHODS in the documentation.")] = "lora",
    goal: Annotated[
        str, typer.Option("--goal", help="What for: tone, format, task, facts or text; proposes settings.")
    ] = "",
    sets: Sets = None,
) -> int:
    """Make a project: a folder with the settings of its runs."""
    from studio.cli.following import make_console
    from studio.cli.starting import print_warnings
    from studio.project.folder import Project
    from studio.spec.check import check, refuse
    from studio.spec.fresh import fresh_spec
    from studio.spec.presets import propose
    from studio.spec.values import set_values

    console = make_console()
    spec = fresh_spec(model=model, data=data, project=folder)
    spec = set_values(propose(goal, set_values(spec, [f"method.key={method}"])), sets or [])
    problems = check(Project(folder).absolute(spec))
    print_warnings(problems, console)
    refuse(problems, "The project cannot be made.")
    project = Project.create(folder, spec)
    console.print(f'{project.draft_path}\nTrain it: tunesmith train "{folder}"')
    return 0


COMMAND = init
