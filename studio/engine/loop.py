"""The one training loop. Methods prepare a model; everything else about a run happens here, in the open.

It knows neither Qt nor the command line: events go to `emit`, wishes come from `poll`, checkpoints to `Checkpoints`.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from accelerate import Accelerator

from studio.data.batches import Batch
from studio.engine.checkpoint import Checkpoints, load_tensors, random_state, save_tensors, set_random_state
from studio.engine.driver import Driver
from studio.engine.lm_loss import LmLoss
from studio.engine.memory import MemorySampler
from studio.engine.optimizer import build_optimizer
from studio.engine.prepared import Prepared
from studio.engine.rescue import Rescue
from studio.engine.rows import Rows, lay_out
from studio.engine.saving import save_with_patience
from studio.engine.schedule import factor
from studio.errors import Cancelled, UserError
from studio.models.facts import ModelFacts
from studio.protocol import commands, events
from studio.spec.run_spec import RunSpec

if TYPE_CHECKING:
    from studio.engine.sharding import Sharding

Reason = Literal["finished", "stopped", "paused", "early_stop"]


@dataclass(frozen=True)
class Plan:
    """Everything a run needs, made ready.

    Attributes:
        spec: fully resolved (no empty learning rate).
        prepared: the method's model.
        loss: the model wrapped with its objective.
        batches: micro-batches from a number onwards, endless; already this process's share.
        heldout: micro-batches to evaluate on, this process's share; empty for none.
        total_steps: optimizer steps of the whole run.
        checkpoints: where they go.
        samples: makes (prompt, answer) pairs with the model as it is.
        memory: watches memory.
        facts: of the base model, for what is said when memory runs out.
        is_sharded: whether each process holds a part of the model rather than a copy.
    """

    spec: RunSpec
    prepared: Prepared
    loss: LmLoss
    batches: Callable[[int], Iterator[Batch]]
    heldout: list[Batch]
    total_steps: int
    checkpoints: Checkpoints
    samples: Callable[[], list[tuple[str, str]]]
    memory: MemorySampler
    facts: ModelFacts
    is_sharded: bool = False


@dataclass
class Progress:
    """Where a run stands: what a checkpoint stores beside tensors. `pieces`, `recomputes`: see `Rescue`."""

    step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    evals_without_gain: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    pieces: int = 1
    recomputes: bool = False

    def save(self, path: Path) -> None:
        """As JSON; an infinite loss is left out."""
        values = {key: value for key, value in asdict(self).items() if value != math.inf}
        path.write_text(json.dumps({"version": 1, **values}), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Progress:
        """Read what `save` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        values.pop("version")
        return cls(**values)


@dataclass
class Loop:
    """A run in motion.

    Args:
        plan: what to train.
        accelerator: devices, precision, processes.
        emit: takes events; called on the main process only.
        poll: commands that have come in since the last call (main process only).
    """

    plan: Plan
    accelerator: Accelerator
    emit: Callable[[events.Event], None]
    poll: Callable[[], list[commands.Command]]
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self.train = self.plan.spec.train
        self.sharding = _shard(self.plan, self.accelerator) if self.plan.is_sharded else None
        self.optimizer = build_optimizer(self.plan.prepared, self.plan.spec)
        # The model is on its device already; moving it again would touch 4-bit weights for nothing.
        self.driver = self.plan.prepared.driver or Driver()
        self.module = self.accelerator.prepare_model(
            self.plan.loss,
            device_placement=False,
            evaluation_mode=self.plan.is_sharded or self.plan.prepared.driver is not None,
        )
        self.parameters = list(self.plan.prepared.trainable().values())
        self.saved_at = (0, time.monotonic())
        self.rescue = Rescue(self, self.plan.facts)
        self.driver.begin(self)

    def resume(self, checkpoint: Path) -> None:
        """Put back optimizer, random states and position; the weights are already in the model."""
        self.progress = Progress.load(checkpoint / "state.json")
        self.rescue.take_up()
        if (checkpoint / "method.pt").is_file():
            self.driver.load_state(load_tensors(checkpoint / "method.pt"))
        kept = load_tensors(checkpoint / "optimizer.pt")
        if self.sharding:
            self.sharding.load_optimizer_state(self.optimizer, kept)
        else:
            self.optimizer.load_state_dict(kept)
        states = checkpoint / f"rng-{self.accelerator.process_index}.pt"
        if states.is_file():  # absent when there are more processes now than there were
            set_random_state(load_tensors(states))
        self.saved_at = (self.progress.step, time.monotonic())

    def run(self) -> Reason:
        """Train to the end, or until told to stop."""
        share = self.accelerator.num_processes
        batches = self.plan.batches(self.progress.step * self.train.accumulation * share)
        self.plan.memory.watch(self.plan.prepared, self.optimizer)
        self.module.train()
        if self.progress.step == 0:
            self._evaluate(at_start=True)
        while self.progress.step < self.plan.total_steps:
            try:
                self._step(batches)
            except Cancelled:  # told to end while it waited for rows that are still being read
                if not self.progress.step:
                    raise
                return self._end(self._wish() or "stopped")
            if self._is_due(self.train.eval_every) and self._evaluate():
                return self._end("early_stop")
            wish = self._wish()
            if wish:
                return self._end(wish)
            if self._is_checkpoint_due():
                self.save()
        return self._end("finished")

    def _step(self, batches: Iterator[Batch]) -> None:
        begun = time.perf_counter()
        number = self.progress.step + 1
        rate = self._set_rate(number)
        taken = [next(batches) for _ in range(self.train.accumulation)]
        rows = self._lay_out(taken)
        self.driver.before_step(number, rows)
        trained, tokens = self.sum(sum(r.num_trained for r in rows), sum(r.num_tokens for r in rows))
        loss = self._gradient(taken, rows, trained)
        self._average()
        norm = self._clip()
        self.plan.memory.look()
        self.rescue.patiently(f"when the optimizer made step {number}", self.optimizer.step)
        self.optimizer.zero_grad(set_to_none=True)
        self.driver.after_step(rate)
        self._check_finite(loss, norm, number)
        self.progress.step = self.plan.memory.step = number
        self.progress.tokens += int(tokens)
        self.progress.trained_tokens += int(trained)
        self.emit(
            events.Step(
                step=number,
                loss=loss,
                learning_rate=rate,
                grad_norm=norm,
                tokens=int(tokens),
                trained_tokens=int(trained),
                seconds=time.perf_counter() - begun,
                waited=self.driver.waited(),
            )
        )

    def _gradient(self, taken: list[Batch], rows: list[Rows], trained: float) -> float:
        """The method's gradient; where memory runs out, of the same rows in smaller pieces."""
        ready = [rows]
        return self.rescue.patiently(
            f"in step {self.progress.step + 1}",
            lambda: self.driver.gradient(self, ready.pop() if ready else self._lay_out(taken), trained),
            self.driver.take_back,
        )

    def _lay_out(self, taken: list[Batch]) -> list[Rows]:
        """Micro-batches on the device, in pieces where memory has run out before."""
        return [piece for batch in taken for piece in self.rescue.cut(lay_out(batch, self.accelerator.device))]

    def accumulate(self, rows: list[Rows], trained: float) -> float:
        """Backward through all micro-batches, each weighted by its tokens; the step's mean loss over all processes."""
        total = torch.zeros((), device=self.accelerator.device)
        # DDP averages gradients over processes; the loss is a sum over tokens, so the mean is taken back out.
        scale = self.accelerator.num_processes / trained
        for at, row in enumerate(rows):
            is_last = at == len(rows) - 1
            with contextlib.nullcontext() if is_last else self.accelerator.no_sync(self.module):
                loss, nll = self.module(row.input_ids, row.position_ids, row.index, row.targets, row.row_lengths)
                self.accelerator.backward(loss * scale)
                total += nll
        (summed,) = self.sum(total)
        return summed / trained

    def _average(self) -> None:
        """Gradients over all processes, where no wrapper does it (see `Driver`)."""
        if self.accelerator.num_processes > 1 and self.plan.prepared.driver:
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad = self.accelerator.reduce(parameter.grad, "mean")

    def sum(self, *values: float | torch.Tensor) -> tuple[float, ...]:
        """Add values up over all processes."""
        if self.accelerator.num_processes == 1:
            return tuple(float(value) for value in values)
        stacked = torch.tensor([float(v) for v in values], dtype=torch.float64, device=self.accelerator.device)
        return tuple(self.accelerator.reduce(stacked, "sum").tolist())

    def _set_rate(self, number: int) -> float:
        assert self.train.learning_rate is not None, "the spec is resolved before it gets here"
        scale = factor(number, total=self.plan.total_steps, schedule=self.train.schedule, warmup=self.train.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = self.train.learning_rate * scale
        return self.train.learning_rate * scale

    def _clip(self) -> float:
        limit = self.train.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_([p for p in self.parameters if p.grad is not None], limit)
        if self.sharding:
            norm = self.sharding.total(norm)
        own = self.driver.gradient_size()
        return float(norm) if own is None else own

    def _check_finite(self, loss: float, norm: float, number: int) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            return
        newest = self.plan.checkpoints.newest()
        safe = f"The checkpoint of step {int(newest.name)} is safe." if newest else "No checkpoint was written yet."
        raise UserError(
            f"Training diverged at step {number}: the loss is not a number. {safe}",
            "Start again with a lower learning rate (a third of the present one) or a longer warm-up.",
        )

    def _is_due(self, every: int) -> bool:
        step = self.progress.step
        return step == self.plan.total_steps or (every > 0 and step % every == 0)

    def _evaluate(self, *, at_start: bool = False) -> bool:
        """Held-out loss and sample answers. True when the run should stop early."""
        self.module.eval()
        try:
            loss = self._heldout_loss() if self.plan.heldout else None
            # A driver's weights may be of two dtypes, which only autocast brings together.
            with self.accelerator.autocast() if self.plan.prepared.driver else contextlib.nullcontext():
                samples = self._samples()
        finally:
            self.module.train()
        for prompt, text in samples:
            self.emit(events.Sample(step=self.progress.step, prompt=prompt, text=text))
        if loss is None:
            return False
        if at_start:
            self._tell_eval(*loss, is_best=False)
            return False
        return self._judge(*loss)

    def _samples(self) -> list[tuple[str, str]]:
        """By the first process; a model in parts answers in all of them, word by word together."""
        if not (self.sharding or self.accelerator.is_main_process):
            return []
        answer = partial(self.sharding.within, self.plan.samples) if self.sharding else self.plan.samples
        return self.rescue.or_nothing("while sample answers were written", answer, [])

    @torch.no_grad()
    def _heldout_loss(self) -> tuple[float, int]:
        """Mean over all held-out trained tokens of all processes, and their number."""
        total, count = 0.0, 0
        for batches in self._grouped(self.plan.heldout):
            measure = partial(self._measure, batches)
            nll, trained = self.rescue.patiently("in the evaluation", measure, self._let_go)
            total, count = total + nll, count + trained
        summed, tokens = self.sum(total, count)
        return summed / max(1.0, tokens), int(tokens)

    def _grouped(self, batches: list[Batch]) -> Iterator[list[Batch]]:
        """Held-out micro-batches that the driver measures in one go."""
        group: list[Batch] = []
        for batch in batches:
            group.append(batch)
            if sum(one.num_tokens for one in group) >= self.driver.measured_tokens:
                yield group
                group = []
        if group:
            yield group

    def _let_go(self) -> bool:
        self.driver.take_back()
        return True  # measuring changes nothing

    def _measure(self, batches: list[Batch]) -> tuple[float, int]:
        """Summed loss of held-out micro-batches, and their trained tokens."""
        rows = self._lay_out(batches)
        return self.driver.measure(self, rows), sum(row.num_trained for row in rows)

    def measure(self, rows: list[Rows]) -> float:
        """Summed loss of micro-batches, one after the other."""
        total = 0.0
        for row in rows:
            with self.accelerator.autocast():
                _, nll = self.plan.loss(row.input_ids, row.position_ids, row.index, row.targets, row.row_lengths)
            total += float(nll)
        return total

    def _judge(self, loss: float, tokens: int) -> bool:
        is_best = loss < self.progress.best_loss
        self._tell_eval(loss, tokens, is_best=is_best)
        if is_best:
            self.progress.best_loss, self.progress.best_step = loss, self.progress.step
            self.progress.evals_without_gain = 0
            if self.train.early_stopping:
                self.save()  # what early stopping falls back to
            return False
        self.progress.evals_without_gain += 1
        return 0 < self.train.early_stopping <= self.progress.evals_without_gain

    def _tell_eval(self, loss: float, tokens: int, *, is_best: bool) -> None:
        metrics = {"perplexity": math.exp(min(loss, 700.0)), "tokens": float(tokens)}
        self.emit(events.Eval(step=self.progress.step, loss=loss, metrics=metrics, is_best=is_best))

    def _wish(self) -> Reason | None:
        """What was asked for since the last step; every process comes to the same answer."""
        asked = self.poll() if self.accelerator.is_main_process else []
        codes = {commands.Stop: 1, commands.Pause: 2, commands.Save: 4}
        bits = 0
        for command in asked:
            bits |= codes.get(type(command), 0)
        if self.accelerator.num_processes > 1:
            bits = int(self.sum(bits)[0])
        if bits & 4 and not bits & 3:
            self.save()
        return "stopped" if bits & 1 else "paused" if bits & 2 else None

    def _is_checkpoint_due(self) -> bool:
        step, since = self.saved_at
        every, minutes = self.train.checkpoint_every, self.train.checkpoint_minutes
        if self.progress.step == self.plan.total_steps or self.progress.step == step:
            return False
        if self.plan.prepared.saves_each_step:
            return True
        is_late = minutes > 0 and time.monotonic() - since >= 60 * minutes
        if self.accelerator.num_processes > 1:
            is_late = bool(self.sum(float(is_late))[0])
        return is_late or (every > 0 and self.progress.step % every == 0)

    def save(self, *, is_last: bool = False) -> None:
        """A checkpoint of this moment; on a full disk it waits for space rather than lose anything."""
        if self.saved_at[0] == self.progress.step and self.progress.step:
            return
        states = self.accelerator.num_processes > 1 and _gather_states(self.accelerator)
        optimizer = self.sharding.optimizer_state(self.optimizer) if self.sharding else None
        with self.whole_weights():
            if self.accelerator.is_main_process:
                write = partial(self.write_checkpoint, states=states or [random_state()], optimizer=optimizer)
                self.rescue.save(lambda: save_with_patience(self, write), is_last=is_last)
            self.accelerator.wait_for_everyone()
        self.saved_at = (self.progress.step, time.monotonic())

    @contextlib.contextmanager
    def whole_weights(self) -> Iterator[None]:
        """The first process can save the model while this lasts; all processes must come here together."""
        if self.sharding:
            self.sharding.gather()
        try:
            yield
        finally:
            if self.sharding:
                self.sharding.let_go()

    def write_checkpoint(self, folder: Path, states: list[dict[str, Any]], optimizer: dict[str, Any] | None) -> None:
        """Fill a checkpoint folder: random states of all processes, the optimizer's state where it was gathered."""
        self.plan.prepared.save_weights(folder / "weights", False)
        if not self.plan.prepared.is_exact:
            from safetensors.torch import save_file

            exact = {name: p.detach().cpu().contiguous() for name, p in self.plan.prepared.trainable().items()}
            save_file(exact, folder / "trainable.safetensors")
        save_tensors(optimizer or self.optimizer.state_dict(), folder / "optimizer.pt")
        remembered = self.driver.state()
        if remembered:
            save_tensors(remembered, folder / "method.pt")
        for rank, state in enumerate(states):
            save_tensors(state, folder / f"rng-{rank}.pt")
        self.progress.save(folder / "state.json")

    def _end(self, reason: Reason) -> Reason:
        self.save(is_last=True)
        return reason


def _shard(plan: Plan, accelerator: Accelerator) -> Sharding:
    from studio.engine.sharding import Sharding  # a second of imports that one process does without

    return Sharding(plan.loss, accelerator)


def _gather_states(accelerator: Accelerator) -> list[dict[str, Any]]:
    from accelerate.utils import gather_object

    states: list[dict[str, Any]] = gather_object([random_state()])
    return states
