"""The computer as the planner sees it: what it has now, how fast it is, and what its libraries take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from studio.machine.bench import Habits, Speeds, remembered_habits, remembered_speeds
from studio.machine.probes import remembered_probes
from studio.machine.resources import Gpu, Resources, read_resources


@dataclass(frozen=True)
class Machine:
    """What there is to plan with.

    Attributes:
        resources: free and total, now.
        speeds: as measured on this computer, None before that.
        habits: what finished runs taught about this computer.
        probes: key of a draft's step -> its traced or measured bytes by kind.
    """

    resources: Resources
    speeds: Speeds | None = None
    habits: Habits = field(default_factory=Habits)
    probes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Device:
    """Where a run trains. `limit_bytes` is what it may take of the memory there."""

    name: str
    kind: str
    limit_bytes: int
    total_bytes: int

    @property
    def is_card(self) -> bool:
        """Whether it has memory of its own."""
        return self.kind == "cuda"


def this_machine(folder: Path) -> Machine:
    """This computer; `folder` says which disk counts."""
    return machine_of(read_resources(folder))


def machine_of(resources: Resources) -> Machine:
    """A computer whose state was read already, with what is remembered of it."""
    return Machine(resources, remembered_speeds(resources), remembered_habits(resources), remembered_probes())


def with_budget(machine: Machine, budget_bytes: int) -> Machine:
    """The same computer with so much free on each card, or in RAM where there is none."""
    resources = machine.resources
    cards = tuple(replace(gpu, free_bytes=budget_bytes, total_bytes=budget_bytes) for gpu in resources.gpus)
    planned = replace(resources, gpus=cards) if cards else replace(resources, ram_free=budget_bytes)
    return replace(machine, resources=planned)


def chosen_device(wanted: str, resources: Resources, share: float = 1.0) -> Device | None:
    """The device that `train.device` means here; None when this computer has no such one.

    Args:
        wanted: "auto", "cpu", "cuda", "cuda:1" or "mps".
        share: of a card's memory that the run may take at most.
    """
    kind, _, number = wanted.partition(":")
    cards = [gpu for gpu in resources.gpus if not number or gpu.index == int(number)]
    if kind in ("auto", "cuda") and cards:
        return _card(cards[0], share)
    if kind in ("auto", "cpu", "mps"):
        name = "cpu" if kind == "auto" else kind
        return Device(name, name, resources.ram_free, resources.ram_total)
    return None


def _card(gpu: Gpu, share: float) -> Device:
    return Device(f"cuda:{gpu.index}", "cuda", min(gpu.free_bytes, int(gpu.total_bytes * share)), gpu.total_bytes)
