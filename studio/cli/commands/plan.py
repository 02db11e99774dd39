"""`tunesmith plan`: what every method would take, what fits, and what makes it fit."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from studio.cli.options import AsJson, ProjectFolder, Sets


def plan(
    folder: ProjectFolder,
    as_json: AsJson = False,
    budget: Annotated[str, typer.Option("--budget", help="Plan for so much memory instead, such as 8GB.")] = "",
    exact: Annotated[bool, typer.Option("--exact", help="Trace one step through the model's own code.")] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure this computer's speeds first, for times.")
    ] = False,
    sets: Sets = None,
) -> int:
    """What every method would take of GPU, RAM, disk and time; whether it fits, and why."""
    from studio.cli.following import make_console
    from studio.cli.planning import as_document, make_plan, measure_speeds, print_plan
    from studio.project.folder import Project
    from studio.sizes import parse_bytes
    from studio.spec.values import set_values

    project = Project.open(folder)
    if measure:
        measure_speeds()
    spec = set_values(project.draft(), sets or [])
    found = make_plan(project, spec, parse_bytes(budget) if budget else None, is_exact=exact)
    if as_json:
        typer.echo(json.dumps(as_document(found), indent=1))
    else:
        print_plan(make_console(), found)
    return 0


COMMAND = plan
