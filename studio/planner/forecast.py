"""What a run will take: memory by kind at its fullest moment, RAM, disk, time; and whether it fits. No torch.

Window, command line and worker ask here, so there is one answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from studio.errors import Problem
from studio.methods import METHODS
from studio.models.facts import ModelFacts
from studio.planner.calculation import Calculation, calculate
from studio.planner.lengths import RowLengths
from studio.planner.machine import Device, Machine, chosen_device
from studio.planner.verdict import Verdict, judge
from studio.planner.wear import drives_of, life_share, wear_problems
from studio.planner.weights_on_disk import run_disk_bytes
from studio.spec.run_spec import RunSpec

__all__ = ["Forecast", "Verdict", "forecast", "forecast_all"]


@dataclass(frozen=True)
class Forecast:
    """What a run with one method will take.

    Attributes:
        method: its key.
        device: "cpu", "cuda:0", "mps", or what was asked for and is not there.
        memory: kind -> bytes on the device at the fullest moment (weights, adapter, gradients, optimizer, activations,
            logits, quantisation, other).
        peak_bytes, limit_bytes: their sum, and what is free (on the CPU: of RAM).
        ram_bytes, ram_limit, disk_bytes, disk_limit: likewise.
        moment: when it is fullest ("loss", "optimizer", ...).
        tokens: of the fullest micro-batch.
        steps: of the run; 0 where the number of rows is not known and decides it.
        step_seconds, run_seconds, tokens_per_second: None until this computer's speeds are measured.
        read_bytes, written_bytes: of the drive in one step, where weights stream from it.
        drive_share: of the drive's life that the run uses up (see `wear`).
        placement: where the base lies, where the method leaves a choice; "" where there is none.
        margin_bytes: what stays free; negative is missing.
        verdict: "fits", "tight" (little is left), "wears" (more of the drive's life than is allowed), "short" (too
            little is free), "impossible".
        reason: a sentence for people.
        is_exact: whether the memory was traced through the model's own code rather than calculated.
    """

    method: str
    device: str
    memory: dict[str, int]
    peak_bytes: int
    limit_bytes: int
    ram_bytes: int
    ram_limit: int
    disk_bytes: int
    disk_limit: int
    moment: str
    tokens: int
    steps: int
    step_seconds: float | None
    run_seconds: float | None
    tokens_per_second: float | None
    margin_bytes: int
    verdict: Verdict
    reason: str
    is_exact: bool = False
    read_bytes: int = 0
    written_bytes: int = 0
    drive_share: float = 0.0
    placement: str = ""


def forecast(spec: RunSpec, facts: ModelFacts, machine: Machine, rows: RowLengths | None = None) -> Forecast:
    """What a run of `spec` will take.

    Args:
        spec: as drafted; paths do not matter.
        facts: of its base model.
        machine: this computer.
        rows: how long its rows are; without them each is taken to be as long as is allowed.
    """
    return _placed(spec, facts, machine, rows)[1]


def placed(spec: RunSpec, facts: ModelFacts, machine: Machine, rows: RowLengths | None = None) -> RunSpec:
    """The spec with the base where the run fits: in memory if it can be, else on the drive."""
    return _placed(spec, facts, machine, rows)[0]


def _placed(spec: RunSpec, facts: ModelFacts, machine: Machine, rows: RowLengths | None) -> tuple[RunSpec, Forecast]:
    """The first placement that fits; where none does, the last that could work.

    A base stays in memory where it fits with smaller micro-batches and activations computed anew: those cost less time
    than a drive does.
    """
    found, methods = [], METHODS.get(spec.method.key).placements(spec.method)
    for method in methods:
        one = spec if method is spec.method else spec.model_copy(update={"method": method})
        found.append((one, _forecast(one, facts, machine, rows)))
        if _has_room(found[-1][1]):
            return found[-1]
        may_stay = len(methods) > 1 and found[-1][1].placement == "memory"
        if may_stay and _has_room(_forecast(_in_small_pieces(one), facts, machine, rows)):
            return found[-1]
    possible = [pair for pair in found if pair[1].verdict != "impossible"]
    return possible[-1] if possible else found[0]


def _has_room(found: Forecast) -> bool:
    return found.verdict in ("fits", "tight", "wears")


def _in_small_pieces(spec: RunSpec) -> RunSpec:
    """The same steps a row at a time."""
    train = spec.train
    change = {"batch_size": 1, "accumulation": train.batch_size * train.accumulation, "activation_checkpointing": True}
    return spec.model_copy(update={"train": train.model_copy(update=change)})


def _forecast(spec: RunSpec, facts: ModelFacts, machine: Machine, rows: RowLengths | None) -> Forecast:
    wanted = spec.train.device
    device = chosen_device(wanted, machine.resources, spec.train.memory_share)
    place = device or Device(wanted, "cpu", 0, 0)
    found = calculate(spec, facts.shapes, place, machine, rows, is_bf16=facts.is_bf16)
    return told(spec, facts, machine, found, device)


def forecast_all(
    spec: RunSpec, facts: ModelFacts, machine: Machine, rows: RowLengths | None = None
) -> dict[str, Forecast]:
    """The same run with each method: the spec's own settings for its method, the others as they come."""
    return {key: forecast(with_method(spec, key), facts, machine, rows) for key in METHODS.all()}


def with_method(spec: RunSpec, key: str) -> RunSpec:
    """The spec with another method; settings of the same name are taken over where they can be."""
    if spec.method.key == key:
        return spec
    params = METHODS.get(key).Params
    shared = {name: value for name, value in spec.method if name in params.model_fields and name != "key"}
    try:
        method = params(**shared)
    except ValueError:
        method = params()  # the same name means something else there
    return spec.model_copy(update={"method": method})


def told(spec: RunSpec, facts: ModelFacts, machine: Machine, found: Calculation, device: Device | None) -> Forecast:
    """Put a calculation into words."""
    problems: list[Problem] = METHODS.get(spec.method.key).problems(spec.method, facts)
    resources, disk = machine.resources, run_disk_bytes(spec, facts, found.trained)
    drives = drives_of(spec, resources)
    disk -= found.trained.stored_bytes - found.trained.stored_bytes // drives
    peak, limit = sum(found.memory.values()), device.limit_bytes if device else 0
    ram = peak if device is None or not device.is_card else found.ram_bytes
    share = life_share(found.written_bytes / drives, found.steps, resources.disk_total)
    wear = wear_problems(spec, found.written_bytes, found.steps, resources.disk_total, drives)
    verdict, reason = judge(spec, problems, wear, device, peak, ram, disk, resources)
    run_seconds = found.step_seconds * found.steps if found.step_seconds and found.steps else None
    return Forecast(
        method=spec.method.key,
        device=device.name if device else spec.train.device,
        memory=found.memory,
        peak_bytes=peak,
        limit_bytes=limit,
        ram_bytes=ram,
        ram_limit=resources.ram_free,
        disk_bytes=disk,
        disk_limit=resources.disk_free,
        moment=found.moment,
        tokens=found.tokens,
        steps=found.steps,
        step_seconds=found.step_seconds,
        run_seconds=run_seconds,
        tokens_per_second=found.step_tokens / found.step_seconds if found.step_seconds else None,
        margin_bytes=limit - peak,
        verdict=verdict,
        reason=reason,
        is_exact=found.is_exact,
        read_bytes=found.read_bytes,
        written_bytes=found.written_bytes,
        drive_share=share,
        placement=getattr(spec.method, "placement", ""),
    )
