"""`tunesmith plan` behind its options: the draft, its model and rows, the forecasts, and how they are printed."""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Console
from rich.table import Table

from studio.cli.waiting import progress
from studio.machine.probes import remembered_probes
from studio.models.facts import read_facts
from studio.models.source import resolve_model
from studio.paths import log_dir
from studio.planner.forecast import Forecast, forecast_all
from studio.planner.ladder import Rung, ladder
from studio.planner.lengths import RowLengths
from studio.planner.machine import Machine, this_machine, with_budget
from studio.planner.row_sample import read_lengths
from studio.planner.wear import streaming_words
from studio.project.folder import Project
from studio.project.jobs import run_to_result
from studio.sizes import human_bytes, human_seconds
from studio.spec.check import check, refuse
from studio.spec.run_spec import RunSpec


@dataclass(frozen=True)
class Plan:
    """A draft's forecasts. `rungs` bring its own method down to what is free; `rows` are None when unreadable."""

    spec: RunSpec
    machine: Machine
    rows: RowLengths | None
    methods: dict[str, Forecast]
    rungs: list[Rung]

    @property
    def chosen(self) -> Forecast:
        """Of the draft's own method."""
        return self.methods[self.spec.method.key]


def make_plan(project: Project, spec: RunSpec, budget_bytes: int | None, *, is_exact: bool) -> Plan:
    """Plan a draft.

    Raises:
        UserError: its model or data cannot be used.
    """
    placed = project.absolute(spec)
    refuse([problem for problem in check(placed) if problem.is_fatal and problem.path.startswith("data")], "No plan.")
    with progress(f"Fetching {spec.model.source}", "bytes") as bar:
        base = resolve_model(
            placed.model.source, spec.model.revision, on_progress=lambda done, total, _: bar(int(done), int(total))
        )
    facts, machine = read_facts(base), this_machine(project.folder)
    if budget_bytes is not None:
        machine = with_budget(machine, budget_bytes)
    if is_exact:
        with progress("Tracing a step", "steps"):
            run_to_result("probe", {"spec": placed.model_dump(mode="json")}, log=log_dir() / "probe.log")
        machine = replace(machine, probes=remembered_probes())
    rows = read_lengths(placed, base)
    methods = forecast_all(spec, facts, machine, rows)
    chosen = methods[spec.method.key]
    rungs = ladder(spec, facts, machine, rows, chosen.limit_bytes) if chosen.margin_bytes < 0 else []
    return Plan(spec, machine, rows, methods, rungs)


def measure_speeds() -> None:
    """Measure this computer once; what is found is remembered."""
    with progress("Measuring this computer", "steps"):
        run_to_result("speeds", {}, log=log_dir() / "speeds.log")


def as_document(plan: Plan) -> dict[str, Any]:
    """For scripts: sizes in bytes, times in seconds."""
    return {
        "chosen": plan.spec.method.key,
        "device": plan.chosen.device,
        "limit_bytes": plan.chosen.limit_bytes,
        "rows": asdict(plan.rows) if plan.rows else None,
        "methods": {key: asdict(found) for key, found in plan.methods.items()},
        "ladder": [asdict(rung) for rung in plan.rungs],
    }


def print_plan(console: Console, plan: Plan) -> None:
    """For people."""
    chosen = plan.chosen
    free = "of RAM" if chosen.device == "cpu" else f"on {chosen.device}"
    console.print(
        f"{human_bytes(chosen.limit_bytes)} {free} to plan with; rows of up to {chosen.tokens:,} tokens a batch."
    )
    console.print(_table(plan))
    console.print(f"\n{plan.spec.method.key}: {chosen.reason}")
    how = "traced" if chosen.is_exact else "calculated"
    console.print(f"  {how}: " + ", ".join(f"{kind} {human_bytes(size)}" for kind, size in _shown(chosen)))
    if words := streaming_words(chosen.read_bytes, chosen.written_bytes, chosen.steps, chosen.drive_share):
        console.print(f"  {words}")
    if plan.rungs:
        _print_rungs(console, plan)
    if chosen.step_seconds is None and chosen.verdict != "impossible":
        console.print("Times are not known until this computer is measured once: add --measure.")


def _table(plan: Plan) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("method", "GPU", "RAM", "disk", "a step", "the run"):
        table.add_column(title, justify="left" if title == "method" else "right", no_wrap=True)
    table.add_column("", overflow="fold")
    for key, found in sorted(plan.methods.items(), key=lambda item: item[1].peak_bytes):
        mark = "*" if key == plan.spec.method.key else " "
        table.add_row(f"{mark} {key}", *_cells(found), _words(found))
    return table


def _cells(found: Forecast) -> tuple[str, ...]:
    gpu = "-" if found.device in ("cpu", "mps") else human_bytes(found.peak_bytes)
    step = "-" if found.step_seconds is None else _short(found.step_seconds)
    run = "-" if found.run_seconds is None else human_seconds(found.run_seconds)
    return gpu, human_bytes(found.ram_bytes), human_bytes(found.disk_bytes), step, run


def _short(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else human_seconds(seconds)


def _words(found: Forecast) -> str:
    if found.verdict == "impossible":
        return found.reason
    if found.margin_bytes < 0:
        return f"{human_bytes(-found.margin_bytes)} missing"
    return found.reason if found.verdict in ("short", "wears") else found.verdict


def _shown(found: Forecast) -> list[tuple[str, int]]:
    return [(kind, size) for kind, size in found.memory.items() if size]


def _print_rungs(console: Console, plan: Plan) -> None:
    console.print("\nTo make it fit, the least harm first:")
    for rung in plan.rungs:
        console.print(f"  - {human_bytes(rung.saves_bytes):>9}  {rung.title}. {rung.cost}")
    quoted = str if os.name == "nt" else shlex.quote  # brackets mean files to some shells
    sets = " ".join(f"--set {quoted(setting)}" for rung in plan.rungs for setting in rung.settings)
    console.print(f"  All of it: {sets}")
