"""What a run teaches about this computer: how much its libraries really take, and how its pace compares."""

from __future__ import annotations

import contextlib
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import torch

from studio.machine.bench import Habits, remember_run
from studio.methods import METHODS
from studio.models.facts import ModelFacts
from studio.paths import cache_dir
from studio.planner.calculation import CONTEXT_BYTES, calculated_memory, micro_batch, seconds_of, wasted_bytes
from studio.planner.machine import Device, this_machine
from studio.protocol import events
from studio.spec.run_spec import RunSpec

_FEWEST = 10  # steps; the first ones are slower
_CREDIBLE = (0.2, 5.0)  # beyond that something else kept the computer busy


@dataclass
class Lessons:
    """Listens to a run's steps and keeps, at its end, what they showed."""

    tokens: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def hear(self, event: events.Event) -> None:
        """Take in an event."""
        if isinstance(event, events.Step):
            self.tokens.append(event.tokens)
            self.seconds.append(event.seconds)

    def keep(self, spec: RunSpec, facts: ModelFacts, device: torch.device) -> None:
        """Compare with what was calculated for the fullest batch and for the middle step."""
        trained = METHODS.get(spec.method.key).estimate(spec.method, facts.shapes)
        if len(self.tokens) < _FEWEST or trained.elsewhere:  # a drive's pace and a cache say nothing of other runs
            return
        most = max(self.tokens) // spec.train.accumulation
        place = Device(str(device), device.type, 0, 0)
        fullest = micro_batch(spec, trained, most, min(most, spec.train.max_length))
        machine = this_machine(cache_dir())
        memory = calculated_memory(spec, facts.shapes, place, fullest)[1]
        # All but what the forecast will add from this lesson.
        calculated = sum(memory.values()) + wasted_bytes(memory, place)
        usual = statistics.median(self.tokens[_FEWEST // 2 :])
        batch = micro_batch(
            spec, trained, round(usual / spec.train.accumulation), round(usual / spec.train.accumulation)
        )
        expected = seconds_of(spec, facts.shapes, place, machine.speeds, Habits(), batch)
        pace = statistics.median(self.seconds[_FEWEST // 2 :]) / expected if expected else None
        pace = pace if pace and _CREDIBLE[0] < pace < _CREDIBLE[1] else None
        with contextlib.suppress(OSError):  # a full disk or a read-only home: the next run teaches as well
            remember_run(machine.resources, device.type, extra_bytes=max(0, peak_bytes(device) - calculated), pace=pace)


def peak_bytes(device: torch.device) -> int:
    """The most that this process has taken so far, on the card or of RAM."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device)) + CONTEXT_BYTES
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would count what the starting process had taken
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
