"""What a run is called and made of: read once from its folder, for whoever shows it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from studio.errors import UserError
from studio.methods import METHODS
from studio.project.folder import Project
from studio.project.runs import Run
from studio.spec.run_spec import RunSpec


@dataclass(frozen=True)
class RunFacts:
    """A run for people.

    Attributes:
        title: "QLoRA, run 3", or the name it was given.
        number: its place among the project's runs, from 1; 0 when it is not there any more.
        model: the base model's name, without its folder.
        spec: frozen, with absolute paths; None when the record is damaged.
        problem: why it cannot be read, "" when it can.
    """

    title: str
    number: int = 0
    method: str = ""
    model: str = ""
    spec: RunSpec | None = None
    problem: str = ""


def read_run_facts(run: Run) -> RunFacts:
    """Read a run's record; a damaged one is told of, not raised."""
    number = _number(run)
    try:
        spec = run.spec()
    except (OSError, UserError) as error:
        problem = str(error).replace(f"{run.folder}{os.sep}", "")
        return RunFacts(title=run.name, number=number, problem=problem)
    method = METHODS.get(spec.method.key).title
    return RunFacts(title=_title(run, method, number), number=number, method=method, model=_model(spec), spec=spec)


def _title(run: Run, method: str, number: int) -> str:
    """Names that we made of the time are no names to a person."""
    is_ours = run.name[:8].isdigit() and run.name[8:9] == "-"
    return f"{method}, run {number}" if is_ours else run.name


def _number(run: Run) -> int:
    names = [each.name for each in Project(run.project_folder).runs()]
    return names.index(run.name) + 1 if run.name in names else 0


def _model(spec: RunSpec) -> str:
    source = spec.model.source
    return Path(source).name if Path(source).is_absolute() else source.rsplit("/", 1)[-1]
