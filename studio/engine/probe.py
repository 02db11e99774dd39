"""One training step for the sake of its memory: traced through the model's own code without weights, or measured.

Both run the method's own preparation and the loop's own passes on the fullest micro-batch that the plan expects.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from studio.data.batches import Batch
from studio.engine.checkpoint import Checkpoints
from studio.engine.device import make_accelerator
from studio.engine.lm_loss import LmLoss
from studio.engine.loop import Loop, Plan
from studio.engine.memory import MemorySampler
from studio.engine.prepared import Base, Prepared
from studio.engine.tracker import Tracker
from studio.engine.weightless import is_weightless, weightless
from studio.methods import METHODS
from studio.models.facts import ModelFacts
from studio.objectives import OBJECTIVES
from studio.optimizers import OPTIMIZERS
from studio.spec.check import resolve
from studio.spec.run_spec import RunSpec

_STEPS = 2  # optimizer state exists from the second one on


@dataclass(frozen=True)
class Probe:
    """What to look at: a draft, its model, and the fullest micro-batch's tokens and longest row."""

    spec: RunSpec
    facts: ModelFacts
    tokens: int
    longest: int


def trace(probe: Probe) -> dict[str, int]:
    """Bytes by kind at the fullest moment of a step, without weights: seconds even for the largest models.

    Raises:
        Exception: of any kind, where a method wants to see values; the calculation then stands.
    """
    with weightless():
        return _run(probe, "cpu", steps=1)


def measure(probe: Probe, device: str) -> dict[str, int]:
    """The same of real steps with real weights on `device`.

    Raises:
        torch.OutOfMemoryError: it does not fit, which is an answer as well.
    """
    return _run(probe, device, steps=_STEPS)


def _run(probe: Probe, device: str, *, steps: int) -> dict[str, int]:
    with TemporaryDirectory() as scratch:
        loop = _make_loop(probe, device, Path(scratch))
        tracker = Tracker(vocabulary=probe.facts.vocab_size, block=512 if device.startswith("cuda") else 1)
        _own(tracker, loop.plan.prepared)
        try:
            with tracker:
                for number in range(1, steps + 1):
                    _step(loop, number, tracker)
        finally:
            loop.plan.prepared.close()  # what streams has files in the scratch folder
    return {kind: size for kind, size in tracker.peak.items() if size > 0}


def _step(loop: Loop, number: int, tracker: Tracker) -> None:
    """The loop's own step; without weights only its passes, since what follows them looks at values."""
    batches = iter(loop.plan.heldout * loop.train.accumulation)
    if not is_weightless():
        loop._step(batches)
        return
    rows = loop._lay_out(list(batches))
    loop.driver.before_step(number, rows)
    loop.driver.gradient(loop, rows, 1.0)  # shows who has a gradient
    trained = [p for p in loop.plan.prepared.trainable().values() if p.grad is not None]
    tracker.own_gradients(trained)
    each = OPTIMIZERS.get(loop.plan.spec.optimizer.key).state_bytes
    state = [torch.empty(int(each * parameter.numel()), dtype=torch.uint8) for parameter in trained]
    tracker.own("optimizer", state)  # as it will be from the second step on
    loop.optimizer.zero_grad(set_to_none=True)
    tracker.restart()
    loop.driver.gradient(loop, rows, 1.0)
    del state


def _own(tracker: Tracker, prepared: Prepared) -> None:
    """Say what the tensors that are there already are."""
    parameters = list(prepared.model.named_parameters())
    added = [p for name, p in parameters if "lora_" in name]
    tracker.own("adapter", added)
    own = {id(p) for p in added}
    tracker.own("weights", [p for _, p in parameters if id(p) not in own])
    tracker.own("weights", list(prepared.model.buffers()))


class _Unseen(Loop):
    """A loop whose sums are not looked at."""

    def sum(self, *values: float | torch.Tensor) -> tuple[float, ...]:
        return tuple(1.0 for _ in values)


def _make_loop(probe: Probe, device: str, scratch: Path) -> Loop:
    spec, accelerator = resolve(probe.spec), make_accelerator(device, probe.spec.train.precision)
    ids = _random_ids(probe)
    base = Base(
        folder=probe.facts.folder,
        name="probe",
        device=accelerator.device,
        precision=spec.train.precision,
        seed=0,
        activation_checkpointing=spec.train.activation_checkpointing,
        rows=lambda n: [ids[: probe.longest].tolist()] * min(n, 4),
        workspace=scratch / "workspace",
    )
    prepared = METHODS.get(spec.method.key).prepare(base, spec.method)
    objective = OBJECTIVES.get(spec.objective.key)
    plan = Plan(
        spec=spec,
        prepared=prepared,
        loss=LmLoss(prepared.model, lambda nll: objective.per_token(nll, spec.objective)),
        batches=lambda start: iter(()),
        heldout=[_full_batch(ids, probe.tokens, probe.longest)],
        total_steps=1000,
        checkpoints=Checkpoints(scratch, keep=1),
        samples=list,
        memory=MemorySampler(_ignore, baseline_ram=0),
        facts=probe.facts,
    )
    loop = (_Unseen if is_weightless() else Loop)(plan, accelerator, _ignore, list)
    loop.module.train()
    return loop


def _random_ids(probe: Probe) -> np.ndarray:
    size = max(2, probe.facts.vocab_size)
    return np.random.default_rng(0).integers(0, size, probe.tokens, dtype=np.int64)


def _full_batch(ids: np.ndarray, tokens: int, longest: int) -> Batch:
    """Rows of the longest length, and one of the rest; every token is trained."""
    whole, rest = divmod(tokens, longest)
    lengths = [longest] * whole + [rest] * (rest > 1)
    shape = (len(lengths), longest)
    input_ids, labels = np.zeros(shape, np.int64), np.full(shape, -100, np.int64)
    positions, mask = np.zeros(shape, np.int64), np.zeros(shape, bool)
    for row, length in enumerate(lengths):
        input_ids[row, :length] = ids[:length]
        labels[row, 1:length] = ids[1:length]
        positions[row, :length] = np.arange(length)
        mask[row, :length] = True
    return Batch(input_ids, labels, positions, mask, False, sum(lengths), sum(lengths), tuple(range(len(lengths))))


def _ignore(event: Any) -> None:
    """Nobody listens."""
