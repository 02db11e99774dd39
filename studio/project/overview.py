"""A project at a glance, for lists of projects: its model, its last run, how that went."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from studio.errors import UserError
from studio.project.folder import Project
from studio.project.journal import decode_event, supersede
from studio.project.lines import read_lines
from studio.project.runs import Run
from studio.project.state import RunState
from studio.protocol import events


@dataclass(frozen=True)
class Overview:
    """A project at a glance.

    Attributes:
        folder: where it lies.
        problem: why it cannot be opened; "" when it can.
        model: the base model's name, without its path.
        method: of the last run, "" when there is none.
        number: which run that is, counting from 1.
        evals: its held-out losses, in order.
        state: how it stands.
        has_export: whether something was exported.
    """

    folder: Path
    problem: str = ""
    model: str = ""
    method: str = ""
    number: int = 0
    evals: tuple[float, ...] = ()
    state: RunState | None = None
    has_export: bool = False


def overview(folder: Path) -> Overview:
    """Look at a project. What is wrong with it is said in the result."""
    if not folder.is_dir():
        return Overview(folder, problem="Folder not found")
    try:
        project = Project.open(folder)
        model = project.draft().model.source.replace("\\", "/").rstrip("/").rpartition("/")[2]
        runs = project.runs()
        found = Overview(folder, model=model, has_export=any(project.exports_dir.glob("*")))
        return _with_run(found, runs[-1], len(runs)) if runs else found
    except UserError as error:
        return Overview(folder, problem=error.message.replace(f"{folder}/", "").replace(str(folder), folder.name))
    except OSError as error:
        return Overview(folder, problem=f"It cannot be read: {error.strerror}.")


def _with_run(found: Overview, run: Run, number: int) -> Overview:
    spec = run.frozen_spec()
    return Overview(
        found.folder,
        model=found.model,
        method=spec.method.key,
        number=number,
        evals=_evals(run),
        state=run.state(),
        has_export=found.has_export,
    )


def _evals(run: Run) -> tuple[float, ...]:
    lines, _ = read_lines(run.events_path)
    decoded = map(decode_event, (line for line in lines if b'"eval"' in line or b'"hello"' in line))
    kept = supersede(event for event in decoded if event is not None)
    return tuple(event.loss for event in kept if isinstance(event, events.Eval))
