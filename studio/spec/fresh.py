"""The first draft of a project: what was named, written so that the project's folder can be moved."""

from __future__ import annotations

import contextlib
from pathlib import Path

from studio.errors import UserError
from studio.machine.resources import computes_bf16_slowly
from studio.models.facts import read_facts
from studio.models.source import resolve_model
from studio.spec.places import STARTER
from studio.spec.run_spec import DataSection, ModelSection, RunSpec, TrainSection


def fresh_spec(*, model: str, data: str, project: Path) -> RunSpec:
    """A draft for `project` with paths that were given from the current folder.

    Rows are read up to the model's context where that is shorter than the usual length and known without a download.
    Arithmetic is fp32 where bf16 would be emulated.
    """
    source = place_model(model, project)
    spec = RunSpec(model=ModelSection(source=source), data=DataSection(path=place_data(data, project)))
    train: dict[str, int | str] = {}
    context = _context(model)
    if 0 < context < spec.train.max_length:
        train["max_length"] = context
    if computes_bf16_slowly():
        train["precision"] = "fp32"
    return spec.model_copy(update={"train": TrainSection.model_validate(train)})


def place_model(model: str, project: Path) -> str:
    """How a project names a model: a folder by its place, the starter and Hub models by their name."""
    return place_data(model, project) if model != STARTER and Path(model).expanduser().exists() else model


def place_data(text: str, project: Path) -> str:
    """How a project names a file: relative to its folder when it lies in it, else absolute."""
    path = Path(text).expanduser().resolve()
    with contextlib.suppress(ValueError):
        return path.relative_to(project.expanduser().resolve()).as_posix()
    return str(path)


def _context(model: str) -> int:
    if model != STARTER and not Path(model).expanduser().is_dir():
        return 0
    try:
        return read_facts(resolve_model(model)).context_length
    except UserError:
        return 0  # said when the run is checked
