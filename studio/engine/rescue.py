"""Going on when memory runs out in the middle of a run: the same step, the same rows, in smaller pieces.

A step's loss is a sum over tokens, so a micro-batch that is cut at row boundaries gives the same gradient. Where rows
cannot be cut further, activations are recomputed. What cannot be helped stops with its cause and the ladder.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch

from studio.engine.adapters import checkpoint_activations
from studio.engine.out_of_memory import is_out_of_memory, let_go, ran_out, split_by_kind
from studio.engine.rows import Rows
from studio.errors import UserError
from studio.models.facts import ModelFacts
from studio.protocol import events

if TYPE_CHECKING:
    from studio.engine.loop import Loop

T = TypeVar("T")


class Rescue:
    """One run's way down. Its state is the loop's progress (`pieces`, `recomputes`), so that it survives a resume."""

    def __init__(self, loop: Loop, facts: ModelFacts) -> None:
        self._loop, self._facts = loop, facts
        self._most_rows = 1

    def take_up(self) -> None:
        """A resumed run goes on as it had come to be."""
        if self._loop.progress.recomputes:
            self._recompute()

    def cut(self, rows: Rows) -> list[Rows]:
        """A micro-batch in as many pieces as it has come to."""
        self._most_rows = max(self._most_rows, len(rows.row_lengths))
        return divide(rows, self._loop.progress.pieces)

    def patiently(self, when: str, work: Callable[[], T], take_back: Callable[[], bool] | None = None) -> T:
        """Do `work`; when memory runs out, go one rung down and do it again.

        Args:
            when: for people: "in the backward pass".
            take_back: lets go of what is left of a `work` that failed half way, and says whether it can be done again;
                None where it cannot.

        Raises:
            UserError: there is no rung left.
        """
        while True:
            try:
                return work()
            except Exception as error:  # re-raised unless memory ran out
                if not is_out_of_memory(error):
                    raise
            # Out here, where the error and the tensors that its frames held are gone.
            self._loop.optimizer.zero_grad(set_to_none=True)
            held = self._held()
            is_whole = take_back is not None and take_back()
            let_go()
            if not is_whole or self._loop.accelerator.num_processes > 1 or not self._go_down(when, held):
                raise self._stop(when, held)

    def or_nothing(self, when: str, work: Callable[[], T], nothing: T, *, quietly: bool = False) -> T:
        """Do `work`, or go without it when memory runs out."""
        try:
            return work()
        except Exception as error:  # re-raised unless memory ran out
            if not is_out_of_memory(error):
                raise
        let_go()
        if not quietly:
            self._tell(f"Memory ran out {when}. Training goes on without.")
        return nothing

    def save(self, write: Callable[[], None], *, is_last: bool) -> None:
        """Write a checkpoint, with everything spare given back if need be; the run's last one must be written."""
        when = "while a checkpoint was written"
        if self.or_nothing(when, partial(_done, write), False, quietly=True):
            return
        if is_last:
            self.patiently(when, write)
        else:
            self.or_nothing(when, write, None)

    def _go_down(self, when: str, held: dict[str, int]) -> bool:
        progress, train = self._loop.progress, self._loop.train
        if progress.pieces < self._most_rows:
            progress.pieces = min(self._most_rows, 2 * progress.pieces)
            done = f"Each micro-batch is now read in {progress.pieces} pieces; rows and result stay the same"
        elif not (train.activation_checkpointing or progress.recomputes or self._loop.driver.recomputes):
            progress.recomputes = True
            self._recompute()
            done = "Activations are now recomputed, which takes about a third longer; the result stays the same"
        elif not (done := self._loop.driver.give_way()):
            return False
        self._tell(f"Memory ran out {when} ({split_by_kind(held)}). {done}.")
        if progress.step:
            self._loop.save()  # should the next attempt be killed rather than fail
        return True

    def _recompute(self) -> None:
        model = self._loop.plan.prepared.model
        checkpoint_activations(model.get_base_model() if hasattr(model, "get_base_model") else model)

    def _held(self) -> dict[str, int]:
        now = self._loop.plan.memory.sample()
        return dict(now.gpu or now.ram)

    def _stop(self, when: str, held: dict[str, int]) -> UserError:
        newest = self._loop.plan.checkpoints.newest()
        safe = f"The checkpoint of step {int(newest.name)} is safe." if newest else "No checkpoint was written yet."
        return ran_out(when, self._loop.plan.spec, self._facts, held=held, is_safe=safe)

    def _tell(self, text: str) -> None:
        hint = "A smaller train.batch_size with more train.accumulation does the same from the start."
        self._loop.emit(events.Notice(severity="warning", text=text, hint=hint))


def _done(work: Callable[[], None]) -> bool:
    work()
    return True


def divide(rows: Rows, pieces: int) -> list[Rows]:
    """Cut a micro-batch at row boundaries into so many pieces of about equal size; untrained pieces are left out."""
    if pieces <= 1 or len(rows.row_lengths) <= 1:
        return [rows]
    ends = torch.tensor(rows.row_lengths).cumsum(0).tolist()
    wanted = [rows.num_tokens * (at + 1) / pieces for at in range(pieces)]
    cuts = sorted({min(ends, key=lambda end: abs(end - want)) for want in wanted} | {rows.num_tokens})
    parts = [_part(rows, begin, end) for begin, end in zip([0, *cuts], cuts, strict=False)]
    return [part for part in parts if part.num_trained] or [rows]


def _part(rows: Rows, begin: int, end: int) -> Rows:
    inside = (rows.index >= begin) & (rows.index < end)
    lengths, at = [], 0
    for length in rows.row_lengths:
        if begin <= at < end:
            lengths.append(length)
        at += length
    return Rows(
        input_ids=rows.input_ids[:, begin:end],
        position_ids=rows.position_ids[:, begin:end],
        index=rows.index[inside] - begin,
        targets=rows.targets[inside],
        row_lengths=tuple(lengths),
        num_tokens=end - begin,
    )
