"""Bytes that a run leaves on the disk: checkpoints, the one being written, and the result."""

from __future__ import annotations

from studio.methods import Trained
from studio.models.facts import ModelFacts
from studio.optimizers import OPTIMIZERS
from studio.planner.wear import reads_exactly
from studio.spec.run_spec import RunSpec


def run_disk_bytes(spec: RunSpec, facts: ModelFacts, trained: Trained) -> int:
    """All of it, at the fullest moment."""
    stored = trained.stored_bytes
    if stored and not trained.adapter:  # the store is the checkpoint
        return stored + facts.weight_bytes
    if reads_exactly(spec, trained, is_bf16=facts.is_bf16):
        stored *= 2
    each = OPTIMIZERS.get(spec.optimizer.key).state_bytes
    shelved = each * trained.shelved
    state = each * (trained.state + trained.parked) + shelved
    if trained.adapter:
        weights, result = 4.0 * trained.adapter, 4.0 * trained.adapter
    else:
        weights, result = 4.0 * facts.num_parameters, float(facts.weight_bytes)
    # The best checkpoint stays beside the newest ones, and a new one is complete before an old one goes.
    return stored + int((spec.train.keep_checkpoints + 2) * (weights + state) + result + shelved)
