"""From a draft to a run that may start: the model fetched, every problem told, the spec frozen in its folder."""

from __future__ import annotations

import json
from pathlib import Path

from studio.errors import Problem, UserError
from studio.machine.resources import computes_bf16_slowly
from studio.methods import METHODS
from studio.models.facts import ModelFacts, read_facts
from studio.models.fingerprint import fingerprint, fingerprint_file
from studio.models.source import Progress, is_hub_name, resolve_model
from studio.paths import write_text
from studio.planner.forecast import forecast, placed
from studio.planner.machine import this_machine
from studio.planner.row_sample import read_lengths
from studio.planner.wear import drives_of, wear_problems
from studio.project.folder import Project
from studio.project.runs import Run
from studio.spec.check import check, refuse, resolve
from studio.spec.run_spec import RunSpec


def make_run(
    project: Project,
    spec: RunSpec,
    name: str = "",
    *,
    on_progress: Progress | None = None,
    may_wear: bool = False,
) -> tuple[Run, list[Problem]]:
    """Check `spec` against its model and data, and freeze it in a new run's folder.

    Args:
        name: of the run's folder; "" makes one of the time and the method.
        on_progress: told while the model is downloaded.
        may_wear: whether the run may wear the drive more than its settings allow: somebody was asked.

    Returns:
        The run, and what does not keep it from starting but should be known.

    Raises:
        UserError: with all problems.
    """
    absolute = project.absolute(spec)
    early = [problem for problem in check(absolute) if problem.is_fatal]
    base, facts = _model(absolute, early, on_progress)
    problems = check(absolute, facts) if facts else early
    refuse(problems)
    assert base is not None
    assert facts is not None
    spec = _placed(spec, absolute, facts, project.folder, may_wear=may_wear)
    marks = {"model": fingerprint(base), "data": fingerprint_file(Path(absolute.data.path))}
    run = Run.create(project.folder, resolve(_pinned(spec, base)), name, fingerprints=marks)
    _keep_probe(run, facts)
    return run, [problem for problem in [*problems, *_slow_arithmetic(spec)] if not problem.is_fatal]


def _placed(spec: RunSpec, absolute: RunSpec, facts: ModelFacts, folder: Path, *, may_wear: bool) -> RunSpec:
    """The spec with its base put where the run fits on this computer, which is then part of the record.

    Rows are only read where their lengths could matter.

    Raises:
        UserError: the run would wear the drive more than is allowed.
    """
    machine = this_machine(folder)
    said = forecast(spec, facts, machine)
    if said.verdict not in ("fits", "tight") or said.written_bytes:
        rows = read_lengths(absolute, facts.folder)
        said, spec = forecast(spec, facts, machine, rows), placed(spec, facts, machine, rows)
        disk, drives = machine.resources.disk_total, drives_of(spec, machine.resources)
        refuse([] if may_wear else wear_problems(spec, said.written_bytes, said.steps, disk, drives))
        return spec
    return placed(spec, facts, machine)


def _keep_probe(run: Run, facts: ModelFacts) -> None:
    """Put what a step was seen to take (`plan --exact`) beside the run: this computer's memory of it may go."""
    machine = this_machine(run.folder)
    if not machine.probes:
        return
    spec = run.spec()
    said = forecast(spec, facts, machine, read_lengths(spec, facts.folder))
    if said.is_exact:
        seen = {"device": said.device, "memory": said.memory, "peak_bytes": said.peak_bytes}
        write_text(run.probe_path, json.dumps(seen, indent=1))


def _slow_arithmetic(spec: RunSpec) -> list[Problem]:
    if spec.train.precision != "bf16" or METHODS.get(spec.method.key).widens or not computes_bf16_slowly():
        return []
    message = "This processor has no 16-bit arithmetic: bf16 is emulated, ten to a hundred times slower than fp32."
    return [Problem("train.precision", message, "Set train.precision=fp32.", is_fatal=False)]


def check_unchanged(run: Run) -> None:
    """Refuse to go on with rows that are not those the run began with.

    Raises:
        UserError: the data file has changed or gone.
    """
    path = Path(run.spec().data.path)
    if not path.is_file():
        raise UserError(f"The run's data {path} is not there any more.", "Put it back, or start a new run.")
    known = run.fingerprints.get("data")
    if known and known != fingerprint_file(path):
        raise UserError(
            f"The data {path} has changed since the run began, so it could not go on exactly.",
            "Put the old file back, start a new run, or go on all the same with --accept-changes.",
        )


def _model(spec: RunSpec, early: list[Problem], on_progress: Progress | None) -> tuple[Path | None, ModelFacts | None]:
    """The model's folder and facts; what is wrong with it joins `early`.

    A download is not begun for a spec that cannot start anyway.
    """
    source = spec.model.source
    if early and is_hub_name(source) and not Path(source).is_dir() and source != "starter":
        return None, None
    try:
        base = resolve_model(source, spec.model.revision, on_progress=on_progress)
        return base, read_facts(base)
    except UserError as error:
        early.append(Problem("model.source", error.message, error.hint))
        return None, None


def _pinned(spec: RunSpec, base: Path) -> RunSpec:
    """A Hub model's commit goes into the record: its main branch may be another model tomorrow."""
    commit = base.name if base.parent.name == "snapshots" else ""
    if not commit:
        return spec
    return spec.model_copy(update={"model": spec.model.model_copy(update={"revision": commit})})
