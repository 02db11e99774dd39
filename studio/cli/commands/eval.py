"""`tunesmith eval`: held-out loss of a run's result beside its base model."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from studio.cli.options import AsJson, RunFolder


def evaluate(
    folder: RunFolder,
    checkpoint: Annotated[
        int | None, typer.Option("--checkpoint", help="A checkpoint's step; else the result.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Measure a run's model on its held-out rows, beside the base model."""
    from studio.cli.following import make_console
    from studio.project.jobs import run_to_result
    from studio.project.runs import Run

    run = Run.open(folder)
    run.weights(checkpoint)  # says so at once when there is none
    value = run_to_result("evaluate", {"run": str(run.folder), "checkpoint": checkpoint}, log=run.log_path)
    if as_json:
        typer.echo(json.dumps(value, indent=1))
        return 0
    console = make_console()
    for name, figure in value.items():
        console.print(f"{name}: {_words(figure)}")
    return 0


def _words(figure: object) -> str:
    if isinstance(figure, dict):
        return ", ".join(f"{name} {_words(value)}" for name, value in figure.items())
    return f"{figure:.4f}" if isinstance(figure, float) else str(figure)


COMMAND = evaluate
