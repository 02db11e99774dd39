"""Measures a run's tuned model and its base on the run's held-out rows, in one process, one after the other."""

from __future__ import annotations

import gc
import math
from pathlib import Path
from typing import Any

import torch

from studio.data.batches import Batches
from studio.data.token_rows import TokenRows
from studio.engine.device import make_accelerator
from studio.engine.lm_loss import LmLoss
from studio.engine.load import load_tuned
from studio.engine.rows import lay_out
from studio.errors import Cancelled, UserError
from studio.project.runs import Run
from studio.protocol.events import Phase
from studio.worker.job import Context
from studio.worker.run_context import RunContext, open_run


def evaluate(run: Run, checkpoint: int | None, context: Context) -> dict[str, Any]:
    """Loss and perplexity, per trained token, of base and tuned model.

    Raises:
        UserError: nothing is held out, or the weights are not there.
    """
    weights = run.weights(checkpoint)
    parts = open_run(run)
    data = parts.data(is_cancelled=context.cancelled.is_set)
    try:
        if not len(data.heldout):
            raise UserError("This run held no rows back, so there is nothing to measure on.", "Set data.holdout.")
        base = _measure(parts, None, data.heldout, "Measuring the base", context)
        tuned = _measure(parts, weights, data.heldout, "Measuring the tuned model", context)
    finally:
        data.close()
    return {"rows": len(data.heldout), "checkpoint": checkpoint, "base": base, "tuned": tuned}


@torch.no_grad()  # type: ignore[untyped-decorator]
def _measure(parts: RunContext, weights: Path | None, rows: TokenRows, name: str, context: Context) -> dict[str, float]:
    train = parts.spec.train
    accelerator = make_accelerator(train.device, train.precision)
    dtype = "float32" if train.precision == "fp32" else "bfloat16"
    model = load_tuned(parts.base, weights, dtype=dtype, device=accelerator.device)
    loss = LmLoss(model, lambda nll: nll)
    batches = Batches(
        rows,
        batch_size=train.batch_size,
        max_length=train.max_length,
        packing=False,
        shuffle=False,
        seed=0,
        pad_id=parts.tokenizer.pad_id,
    )
    total, tokens, count = 0.0, 0, batches.per_epoch()
    for done, batch in zip(range(count), batches.iterate(), strict=False):
        if context.cancelled.is_set():
            raise Cancelled
        context.emit(Phase(name=name, done=done, total=count, unit="batches"))
        laid = lay_out(batch, accelerator.device)
        with accelerator.autocast():
            _, nll = loss(laid.input_ids, laid.position_ids, laid.index, laid.targets, laid.row_lengths)
        total, tokens = total + float(nll), tokens + laid.num_trained
    del model, loss
    gc.collect()
    mean = total / max(1, tokens)
    return {"loss": mean, "perplexity": math.exp(min(mean, 700.0)), "tokens": tokens}
