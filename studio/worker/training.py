"""Puts a training run together from its folder: device, model, rows, checkpoints; then the loop takes over."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import torch
from accelerate import Accelerator

from studio.data.batches import IGNORED, Batch, Batches
from studio.data.token_rows import TokenRows
from studio.data.training_data import TrainingData
from studio.engine.checkpoint import Checkpoints, seal
from studio.engine.device import make_accelerator
from studio.engine.environment import describe_environment
from studio.engine.lm_loss import LmLoss
from studio.engine.loop import Loop, Plan, Progress, Reason
from studio.engine.memory import MemorySampler
from studio.engine.out_of_memory import cap_memory, is_out_of_memory, let_go, ran_out
from studio.engine.prepared import Base, Prepared
from studio.engine.samples import answer_all
from studio.errors import Cancelled, UserError
from studio.methods import METHODS
from studio.models.companions import copy_companions
from studio.models.facts import read_facts
from studio.models.fingerprint import fingerprint
from studio.objectives import OBJECTIVES
from studio.optimizers import OPTIMIZERS
from studio.paths import write_text
from studio.project.override import read_override
from studio.project.runs import STORE, Run
from studio.protocol import commands, events
from studio.spec.run_spec import RunSpec
from studio.worker.lessons import Lessons
from studio.worker.questions import held_out_questions
from studio.worker.run_context import RunContext, open_run

Emit = Callable[[events.Event], None]


def train(
    run: Run, emit: Emit, poll: Callable[[], list[commands.Command]], *, resume: bool, learns: bool = False
) -> events.Done:
    """Train a run to its end.

    Args:
        run: its folder; the caller holds its lock.
        emit: takes events (a no-op on all processes but the first).
        poll: commands since the last call.
        resume: go on from the newest complete checkpoint, or from the start when there is none.
        learns: remember what the run shows of this computer; only where the process does nothing else.

    Raises:
        UserError: what a person can put right, from bad rows to a full disk.
    """
    session = _Session(run, emit, poll, resume=resume, learns=learns)
    memory = MemorySampler(emit, baseline_ram=psutil.Process().memory_info().rss)
    memory.start()
    try:
        return session.train(memory)
    finally:
        memory.stop()


class _Session:
    """One worker's turn at a run."""

    def __init__(
        self, run: Run, emit: Emit, poll: Callable[[], list[commands.Command]], *, resume: bool, learns: bool
    ) -> None:
        self.run, self.emit, self.poll = run, emit, poll
        self.parts: RunContext = open_run(run)
        self.spec: RunSpec = self.parts.spec
        self.accelerator: Accelerator = make_accelerator(
            self.spec.train.device,
            self.spec.train.precision,
            widens=METHODS.get(self.spec.method.key).widens,
        )
        self.facts = read_facts(self.parts.base)
        is_alone = self.accelerator.num_processes == 1
        self.is_sharded: bool = METHODS.get(self.spec.method.key).is_sharded and not is_alone
        if self.is_sharded:
            _check_optimizer(self.spec.optimizer.key)
        self.lessons = Lessons() if learns and is_alone else None
        cap_memory(self.accelerator.device, self.spec.train.memory_share)
        self.checkpoints = Checkpoints(run.checkpoints_dir, keep=self.spec.train.keep_checkpoints)
        self.checkpoint = self.checkpoints.newest() if resume else None
        self.start = Progress.load(self.checkpoint / "state.json").step if self.checkpoint else 0
        self._heard_while_reading: list[commands.Command] = []
        self._say_hello(self.start)

    def train(self, memory: MemorySampler) -> events.Done:
        """Prepare everything, run the loop, keep the result."""
        self._check_base()
        try:
            return self._train(memory)
        except Cancelled:  # before the first step: nothing is there to be saved
            if not any(isinstance(command, commands.Pause) for command in self._heard_while_reading):
                raise
        return events.Done(reason="paused", step=self.start)

    def _train(self, memory: MemorySampler) -> events.Done:
        with self.accelerator.main_process_first():  # the others then find the tokens in the cache
            data = self._read_rows()
        prepared: Prepared | None = None
        try:
            prepared = self._prepare(data)
            loop = self._make_loop(prepared, data, memory)
            self.emit(events.Phase(name="Training", done=loop.progress.step, total=loop.plan.total_steps, unit="steps"))
            reason = loop.run()
            if self.lessons and loop.progress.pieces == 1 and not loop.progress.recomputes:
                self.lessons.keep(self.spec, self.facts, self.accelerator.device)
            if reason != "paused":
                with loop.whole_weights():
                    if self.accelerator.is_main_process:
                        self._keep_result(prepared, reason, loop.progress)
        finally:
            data.close()
            if prepared is not None:
                prepared.close()
        return events.Done(reason=reason, step=loop.progress.step)

    def _tell(self, event: events.Event) -> None:
        if self.lessons:
            self.lessons.hear(event)
        self.emit(event)

    def _say_hello(self, step: int) -> None:
        if self.accelerator.is_main_process:
            environment = describe_environment(self.accelerator)
            write_text(self.run.environment_path, json.dumps(environment, indent=1))
        from studio import __version__

        self.emit(events.Hello(job="train", pid=os.getpid(), version=__version__, step=step))
        if step == 0 and (override := read_override(self.run)) is not None:
            text = "Started on purpose although the forecast is short."
            self.emit(events.Notice(severity="warning", text=text, hint=override.reason))

    def _check_base(self) -> None:
        """The base must be the one the run was made for: on another one its checkpoint means nothing."""
        known = self.run.fingerprints.get("model")
        if known and known != fingerprint(self.parts.base):
            raise UserError(
                f"The base model {self.spec.model.source} is not the one that this run began with.",
                "Put the original back, or start a new run.",
            )

    def _read_rows(self) -> TrainingData:
        self.emit(events.Phase(name="Reading rows", unit="rows"))
        data = self.parts.data(
            on_progress=lambda done, total: self.emit(
                events.Phase(name="Reading rows", done=done, total=total, unit="rows")
            ),
            is_cancelled=self._is_stopped,
        )
        self.emit(events.Notice(text=data.report.summary()))
        for text, hint in data.report.notes():
            self.emit(events.Notice(severity="warning", text=text, hint=hint))
        if self.accelerator.num_processes > 1:
            data.train.row(len(data.train) - 1)  # all of it, so that every process reads the same complete cache
        return data

    def _is_stopped(self) -> bool:
        """Asked while rows are read, which may go on under the first steps; the loop hears of it as well."""
        self._heard_while_reading += self.poll()
        return any(isinstance(command, commands.Stop | commands.Pause) for command in self._heard_while_reading)

    def _poll(self) -> list[commands.Command]:
        heard, self._heard_while_reading = self._heard_while_reading, []
        return heard + self.poll()

    def _prepare(self, data: TrainingData) -> Prepared:
        self.emit(events.Phase(name="Loading the model"))
        exact = self.checkpoint / "trainable.safetensors" if self.checkpoint else None
        base = Base(
            folder=self.parts.base,
            name=_public_name(self.spec.model.source),
            device=self.accelerator.device,
            precision=self.spec.train.precision,
            seed=self.spec.train.seed,
            activation_checkpointing=self.spec.train.activation_checkpointing,
            resume=self.checkpoint / "weights" if self.checkpoint else None,
            trainable=load_safetensors(exact) if exact and exact.is_file() else {},
            workspace=self.run.folder / STORE,
            is_sharded=self.is_sharded,
            progress=self._tell_shards,
            rows=lambda n: [data.train.row(at).ids.tolist() for at in range(min(n, len(data.train)))],
        )
        try:
            return METHODS.get(self.spec.method.key).prepare(base, self.spec.method)
        except Exception as error:  # re-raised unless memory ran out
            if not is_out_of_memory(error):
                raise
        let_go()
        raise ran_out("while the model was loaded", self.spec, self.facts, held={}, is_safe="Nothing was lost.")

    def _tell_shards(self, done: int, total: int) -> None:
        self.emit(events.Phase(name="Laying out the model for streaming", done=done, total=total, unit="bytes"))
        if self._is_stopped():
            raise Cancelled

    def _make_loop(self, prepared: Prepared, data: TrainingData, memory: MemorySampler) -> Loop:
        batches = self._batches(data.train, training=True)
        total = self.spec.train.steps or self._steps(batches)
        spec = self._resolved(total)
        objective = OBJECTIVES.get(spec.objective.key)
        loss = LmLoss(
            prepared.model,
            lambda nll: objective.per_token(nll, spec.objective),
            neftune_alpha=spec.train.neftune_alpha,
        )
        self._tell_layout(loss)
        prompts = held_out_questions(self.parts, data, 0 if prepared.answers_slowly else spec.train.samples)
        share = {"rank": self.accelerator.process_index, "world": self.accelerator.num_processes}
        plan = Plan(
            spec=spec,
            prepared=prepared,
            loss=loss,
            batches=lambda start: batches.iterate(start, **share),
            heldout=list(self._heldout(data.heldout)),
            total_steps=total,
            checkpoints=self.checkpoints,
            samples=lambda: answer_all(loss, self.parts.tokenizer, prompts),
            memory=memory,
            facts=self.facts,
            is_sharded=self.is_sharded,
        )
        loop = Loop(plan, self.accelerator, self._tell, self._poll)
        if self.checkpoint:
            loop.resume(self.checkpoint)
        return loop

    def _tell_layout(self, loss: LmLoss) -> None:
        """Say it where this architecture costs more than others do."""
        if loss.layout == "padded":
            self.emit(events.Notice(text="This model's rows are padded to one length: it could not be fed end to end."))
        if loss.ending is None:
            text = (
                "The loss builds all logits of this model, because its last layers are unknown: that takes more memory."
            )
            self.emit(events.Notice(severity="warning", text=text, hint="Lower train.batch_size if memory runs short."))

    def _batches(self, rows: TokenRows, *, training: bool) -> Batches:
        train = self.spec.train
        return Batches(
            rows,
            batch_size=train.batch_size,
            max_length=train.max_length,
            packing=train.packing and training,
            shuffle=train.shuffle and training,
            seed=train.seed,
            pad_id=self.parts.tokenizer.pad_id,
        )

    def _heldout(self, rows: TokenRows) -> Iterator[Batch]:
        """This process's share of the held-out micro-batches. As many in each: a model in parts needs all at once."""
        if not len(rows):
            return
        batches = self._batches(rows, training=False)
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        own = batches.iterate(0, rank=rank, world=world)
        for at in range(0, batches.per_epoch(), world):
            batch = next(own)
            is_surplus = at + rank >= batches.per_epoch()
            yield replace(batch, labels=np.full_like(batch.labels, IGNORED)) if is_surplus else batch

    def _steps(self, batches: Batches) -> int:
        each: int = self.spec.train.accumulation * self.accelerator.num_processes
        return max(1, math.ceil(self.spec.train.epochs * float(batches.per_epoch()) / each))

    def _resolved(self, total: int) -> RunSpec:
        """What depends on the number of steps, filled in."""
        every = self.spec.train.eval_every or max(1, total // 10)
        return self.spec.model_copy(update={"train": self.spec.train.model_copy(update={"eval_every": every})})

    def _keep_result(self, prepared: Prepared, reason: Reason, progress: Progress) -> None:
        """`result/`: the best weights where the run stopped for want of gain, else the last. Sealed, then named."""
        self.emit(events.Phase(name="Saving the result"))
        part = self.run.folder / ".result.part"
        shutil.rmtree(part, ignore_errors=True)
        best = self.run.checkpoint_dir(progress.best_step) / "weights"
        if reason == "early_stop" and best.is_dir() and not prepared.saves_each_step:
            shutil.copytree(best, part)
        else:
            prepared.save_weights(part, True)
        copy_companions(self.parts.base, part)
        seal(part)
        shutil.rmtree(self.run.result_dir, ignore_errors=True)
        os.replace(part, self.run.result_dir)


def _check_optimizer(key: str) -> None:
    """Full fine-tuning in several processes cuts every weight into parts; not every optimizer can work on one."""
    if not OPTIMIZERS.get(key).is_shardable:
        able = " or ".join(f'"{one.key}"' for one in OPTIMIZERS.all().values() if one.is_shardable)
        raise UserError(
            f'optimizer.key: "{key}" cannot train a model that several processes hold a part of each.',
            f"Choose {able}, or train in one process.",
        )


def load_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of one file."""
    from safetensors.torch import load_file

    return dict(load_file(path))


def _public_name(source: str) -> str:
    """The name a model is called in records that travel: never a path of this computer."""
    path = Path(source)
    return path.name if path.exists() or path.is_absolute() else source
