"""Probes a draft and keeps what was found, so that every forecast of the same step says the same from then on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from studio.engine.out_of_memory import is_out_of_memory, let_go
from studio.engine.probe import Probe, measure, trace
from studio.errors import Cancelled, UserError
from studio.machine.probes import remember_probe
from studio.methods import METHODS
from studio.models.facts import ModelFacts, read_facts
from studio.models.source import resolve_model
from studio.paths import cache_dir
from studio.planner.calculation import calculated_memory, fullest_batch, optimizer_moment, probe_key
from studio.planner.machine import chosen_device, this_machine
from studio.planner.moments import KINDS
from studio.planner.row_sample import read_lengths
from studio.protocol.events import Phase
from studio.spec.run_spec import RunSpec
from studio.worker.job import Context


def probe_draft(values: dict[str, Any], context: Context) -> dict[str, Any]:
    """Trace, or measure on a card, one step on the fullest micro-batch.

    Raises:
        UserError: model or data cannot be used, the device is not there, or the method cannot be looked at so.
    """
    spec = RunSpec.model_validate(values)
    base = resolve_model(spec.model.source, spec.model.revision)
    facts = read_facts(base)
    device = chosen_device(spec.train.device, this_machine(cache_dir()).resources, spec.train.memory_share)
    if device is None:
        raise UserError(f'This computer has no "{spec.train.device}".', 'Choose "auto".')
    context.emit(Phase(name="Reading rows"))
    rows = read_lengths(spec, Path(base), is_cancelled=context.cancelled.is_set)
    trained = METHODS.get(spec.method.key).estimate(spec.method, facts.shapes)
    batch = fullest_batch(spec, trained, rows)
    probe = Probe(spec, facts, batch.tokens, batch.longest)
    if context.cancelled.is_set():
        raise Cancelled
    how, found = _look(probe, device.name if device.is_card else "", context)
    calculated = calculated_memory(spec, facts.shapes, device, batch)[1]
    if how == "traced":
        found = max(found, optimizer_moment(spec, facts.shapes, device, batch), key=lambda each: sum(each.values()))
    memory = {kind: found.get(kind, 0) for kind in KINDS}
    remember_probe(probe_key(spec, facts.shapes, batch, device.kind), memory)
    return {
        "how": how,
        "memory": memory,
        "peak_bytes": sum(memory.values()),
        "calculated": calculated,
        "calculated_bytes": sum(calculated.values()),
        "tokens": batch.tokens,
        "longest": batch.longest,
    }


def _look(probe: Probe, card: str, context: Context) -> tuple[str, dict[str, int]]:
    """Measured where a card has room for it, else traced."""
    if card and torch.cuda.is_available():
        context.emit(Phase(name="Measuring a step"))
        try:
            return "measured", measure(probe, card)
        except Exception as error:  # re-raised unless memory ran out
            if not is_out_of_memory(error):
                raise
        let_go()
    context.emit(Phase(name="Tracing a step"))
    return "traced", _traced(probe, probe.facts)


def _traced(probe: Probe, facts: ModelFacts) -> dict[str, int]:
    try:
        return trace(probe)
    except UserError:
        raise
    except Exception as error:  # whatever a method or a library does with values that are not there
        raise UserError(
            f"A step of {probe.spec.method.key} on {facts.folder.name} cannot be traced without weights "
            f"({type(error).__name__}: {error}).",
            "The calculated figures stand.",
        ) from error
