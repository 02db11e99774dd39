"""`tunesmith runs`: a project's runs, what differed between them, and how they came out."""

from __future__ import annotations

import json

import typer

from studio.cli.options import AsJson, ProjectFolder


def runs(folder: ProjectFolder, as_json: AsJson = False) -> int:
    """List a project's runs with the settings that differ and what they reached."""
    from studio.cli.following import make_console
    from studio.cli.history import as_table
    from studio.project.folder import Project
    from studio.project.run_rows import as_rows

    rows = as_rows(Project.open(folder).runs())
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    elif rows:
        make_console().print(as_table(rows))
    else:
        typer.echo(f'No runs yet. Start one: tunesmith train "{folder}"')
    return 0


COMMAND = runs
