"""One training side in a process of its own: streamed or resident steps on a random model, measured from outside torch.

Prints one JSON object: seconds and losses of each step, bytes by the engine's own count and by the system's, and the
peak of anonymous memory beyond what the process held once everything had been imported and warmed up.
"""

from __future__ import annotations

import ctypes
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import torch

from studio.data.batches import Batch
from studio.engine.checkpoint import Checkpoints
from studio.engine.device import make_accelerator
from studio.engine.lm_loss import LmLoss
from studio.engine.loop import Loop, Plan
from studio.engine.memory import MemorySampler
from studio.engine.prepared import Base
from studio.machine.drive_file import DriveFile
from studio.methods import METHODS
from studio.models.facts import read_facts
from studio.protocol import events
from studio.spec.check import resolve
from studio.spec.run_spec import RunSpec
from tests.bench.sides.memory_peak import Peak, anonymous, most_resident
from tests.bench.sides.products import quicken


def main() -> None:
    """Run what the JSON argument says."""
    wanted = json.loads(sys.argv[1])
    if not METHODS.get(wanted["method"]["key"]).widens:
        quicken()
    if wanted.get("writes"):
        _hold(wanted["writes"])
    print(json.dumps(run(wanted)))


def _hold(rate: float) -> None:
    """Have the drive write no more than so many bytes a second, in whatever order its threads come."""
    write, turn = DriveFile.write, threading.Lock()

    def held(file: DriveFile, memory: memoryview, offset: int) -> None:
        with turn:
            write(file, memory, offset)
            time.sleep(len(memory) / rate)

    DriveFile.write = held  # type: ignore[method-assign]


def run(wanted: dict[str, Any]) -> dict[str, Any]:
    """Train on `rows` x `length` tokens a micro-batch; with `warm`, a small run of the same kind comes first."""
    folder, model = Path(wanted["folder"]), Path(wanted["model"])
    spec = resolve(
        RunSpec.model_validate(
            {
                "model": {"source": str(model)},
                "data": {"path": str(folder)},
                "method": wanted["method"],
                "train": {**wanted["train"], "device": wanted["device"], "samples": 0, "schedule": "constant"},
            }
        )
    )
    accelerator = make_accelerator(wanted["device"], spec.train.precision, widens=METHODS.get(spec.method.key).widens)
    has_card = accelerator.device.type == "cuda"
    if "warm" in wanted:
        run(wanted["warm"])
        ctypes.CDLL(None).malloc_trim(0)
    if has_card:
        torch.cuda.reset_peak_memory_stats()
    idle = anonymous()
    with Peak() as peak:
        base = Base(
            folder=model,
            name="bench",
            device=accelerator.device,
            precision=spec.train.precision,
            seed=0,
            activation_checkpointing=False,
            workspace=folder / "store",
        )
        prepared = METHODS.get(spec.method.key).prepare(base, spec.method)
        heard: list[events.Event] = []
        loop = _Timed(_plan(spec, prepared, folder, wanted), accelerator, heard.append, list)
        started = psutil.Process().io_counters()
        store = getattr(loop.driver, "store", None)
        before = (store.traffic.counts.read, store.traffic.counts.written) if store else (0, 0)
        if store:
            store.traffic.watch = loop.watch
        loop.run()
        counts = store.traffic.counts if store else None
    ended = psutil.Process().io_counters()
    steps = [event for event in heard if isinstance(event, events.Step)]
    prepared.close()
    return {
        "losses": [step.loss for step in steps],
        "seconds": [step.seconds for step in steps],
        "read": counts.read - before[0] if counts else 0,
        "written": counts.written - before[1] if counts else 0,
        "passed": loop.passed,
        "moved": [read + written for read, written in loop.passed],
        "waited": counts.waited if counts else 0.0,
        "system_read": ended.read_bytes - started.read_bytes,
        "system_written": ended.write_bytes - started.write_bytes,
        "direct": bool(store and store.is_direct),
        "buffers": store.pool.held_bytes if store else 0,
        "idle": idle,
        "peak": peak.bytes - idle,
        "rss": most_resident(),
        "card_peak": torch.cuda.max_memory_allocated() if has_card else 0,
        "saving": loop.saving,
        "spans": loop.spans,
        "numbers": read_facts(model).num_parameters,
    }


class _Timed(Loop):
    """A loop that notes each step's bytes, each checkpoint's time, and what the last step does on which thread."""

    def __post_init__(self) -> None:
        self.passed: list[tuple[int, int]] = []
        self.saving: list[float] = []
        self.spans: list[tuple[str, str, float, float, int]] = []
        super().__post_init__()

    def watch(self, what: str, begun: float, size: int) -> None:
        """See `Traffic.watch`."""
        self.spans.append((threading.current_thread().name, what, begun, time.perf_counter(), size))

    def _step(self, batches: Iterator[Batch]) -> None:
        self.spans.clear()
        (read, written), begun = self._counts(), time.perf_counter()
        super()._step(batches)
        self.watch("step", begun, 0)
        now = self._counts()
        self.passed.append((now[0] - read, now[1] - written))

    def _counts(self) -> tuple[int, int]:
        store = getattr(self.driver, "store", None)
        return (store.traffic.counts.read, store.traffic.counts.written) if store else (0, 0)

    def save(self, *, is_last: bool = False) -> None:
        begun = time.perf_counter()
        super().save(is_last=is_last)
        self.saving.append(time.perf_counter() - begun)


def _plan(spec: RunSpec, prepared: Any, folder: Path, wanted: dict[str, Any]) -> Plan:
    from tests.bench.offload import token_batches

    return Plan(
        spec=spec,
        prepared=prepared,
        loss=LmLoss(prepared.model, lambda nll: nll),
        batches=lambda start: token_batches(wanted["rows"], wanted["length"], wanted["vocabulary"]),
        heldout=[],
        total_steps=spec.train.steps,
        checkpoints=Checkpoints(folder / "checkpoints", keep=1),
        samples=list,
        memory=MemorySampler(_ignore, baseline_ram=0),
        facts=read_facts(Path(wanted["model"])),
    )


def _ignore(event: events.Event) -> None:
    """Nobody listens."""


if __name__ == "__main__":
    main()
