"""One run's arithmetic: its micro-batches, its fullest moment, its steps."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

from studio.data.growing import num_heldout
from studio.errors import UserError
from studio.machine.bench import Habits, Speeds
from studio.machine.resources import cache_room
from studio.methods import METHODS, NF4_BYTES, Trained
from studio.methods._streamed import RECORDS_AHEAD, SENT_AHEAD_BYTES
from studio.models.arithmetic import Shapes
from studio.models.store_layout import TILE
from studio.optimizers import OPTIMIZERS
from studio.planner.activations import MicroBatch, kept
from studio.planner.lengths import RowLengths
from studio.planner.machine import Device, Machine
from studio.planner.moments import KINDS, Steady, fullest, steady, while_stepping
from studio.planner.pace import bus_seconds, drive_seconds, step_seconds
from studio.planner.wear import bytes_of_a_step, drives_of
from studio.spec.run_spec import RunSpec

CONTEXT_BYTES = 600_000_000  # CUDA's context, kernels and cuBLAS workspace
PROCESS_BYTES = 460_000_000
"""Python with torch, transformers and peft loaded: 400 before anything is computed, and what kernels and allocators add
(417 to 460 MB beneath the tensors of the process cells of tests/bench/memory.py).
"""
_CARD_PROCESS_BYTES = 2_200_000_000  # the same with CUDA's libraries
_WASTE = 0.03  # of what comes and goes: an allocator's blocks never fit exactly
_PRODUCTS_BYTES, _PRODUCTS_EACH = 40e6, 36.0
"""What a processor's 16-bit products take beside frozen layers with adapters, at most, and for each number of a layer
(five sizes, two processors)."""
_FROZEN_BYTES = 10_000_000
"""The same in fp32, at least (three methods, four widths, two lengths)."""
_SMALL_WASTE, _MOST_SMALL = 0.12, 64_000_000  # the C library keeps small blocks back; large ones it returns


@dataclass(frozen=True)
class Calculation:
    """A run in figures. `memory` by kind at the fullest `moment`; `tokens` of the fullest micro-batch."""

    trained: Trained
    memory: dict[str, int]
    moment: str
    tokens: int
    ram_bytes: int
    steps: int
    step_tokens: float
    step_seconds: float | None
    read_bytes: int = 0
    written_bytes: int = 0
    is_exact: bool = False


def calculate(
    spec: RunSpec, shapes: Shapes, device: Device, machine: Machine, rows: RowLengths | None, *, is_bf16: bool = True
) -> Calculation:
    """Calculate a run of `spec` on `device`; what was traced or measured of it before takes the place of arithmetic.

    Args:
        is_bf16: see `ModelFacts`.
    """
    trained = _trained(spec, shapes, device)
    optimizer = OPTIMIZERS.get(spec.optimizer.key)
    batch = fullest_batch(spec, trained, rows, widens=is_wide(spec, device, machine))
    moment, memory = _fullest_memory(spec, shapes, trained, device, batch)
    known = machine.probes.get(probe_key(spec, shapes, batch, device.kind)) if machine.probes else None
    if known:
        moment, memory = "traced", {kind: known.get(kind, 0) for kind in KINDS}
        memory["optimizer"] += _parked_bytes(spec, trained, device)  # a single step has nothing parked yet
    memory["other"] += other_bytes(memory, device, machine)
    per_step, steps = _amount(spec, rows)
    usual = _usual_batch(batch, spec, per_step)
    room = cache_room(machine.resources.ram_free, trained.cache_bytes)
    read, written = bytes_of_a_step(spec, trained, room, is_bf16=is_bf16)
    anew = _anew(spec, shapes, trained, device, machine.resources.ram_free, usual)
    inputs = _inputs_bytes(shapes, trained, batch)
    if trained.layer_inputs == "drive":
        trained = replace(trained, stored_bytes=trained.stored_bytes + inputs)
        passing = _inputs_bytes(shapes, trained, usual)
        read, written = read + trained.descents * passing, written + passing
    seconds = _seconds(spec, shapes, trained, device, machine.speeds, machine.habits, usual, anew)
    if seconds is not None:  # reading, writing and copying go on beside computing
        on_drives = drive_seconds(read, written, machine.speeds) / drives_of(spec, machine.resources)
        passed = sum(bytes_of_a_step(spec, trained, 0, is_bf16=is_bf16)) if device.is_card else 0
        seconds = max(seconds, on_drives, bus_seconds(passed, machine.speeds))
    waiting = _waiting_bytes(shapes, trained, batch) + (inputs if trained.layer_inputs == "ram" else 0)
    parked = optimizer.state_bytes * (trained.parked + (trained.state if optimizer.is_paged else 0))
    return Calculation(
        trained=trained,
        memory=memory,
        moment=moment,
        tokens=batch.tokens,
        ram_bytes=_CARD_PROCESS_BYTES + int(parked) + waiting,
        steps=steps,
        step_tokens=per_step,
        step_seconds=seconds,
        read_bytes=read,
        written_bytes=written,
        is_exact=bool(known),
    )


def _trained(spec: RunSpec, shapes: Shapes, device: Device) -> Trained:
    """What the method says; without a card, RAM is the device, and with one, what is read ahead waits in RAM, unless it
    is sent ahead.
    """
    trained = METHODS.get(spec.method.key).estimate(spec.method, shapes)
    if device.is_card:
        ahead = 0 if _is_sent_ahead(spec, trained) else trained.read_ahead
        packed = min(trained.quantised, ahead)
        return replace(
            trained,
            elsewhere=trained.elsewhere + ahead,
            quantised=trained.quantised - packed,
            learns_whole=False,  # what is counted for its gradients there is more than enough
        )
    return replace(trained, layer_inputs="device") if trained.layer_inputs == "ram" else trained


def _is_sent_ahead(spec: RunSpec, trained: Trained) -> bool:
    """Whether a layer that comes whole is copied to a card while it computes with the one before."""
    if trained.quantised:
        return NF4_BYTES * trained.read_ahead <= SENT_AHEAD_BYTES
    return spec.train.precision != "fp32" and 2 * trained.read_ahead <= SENT_AHEAD_BYTES


def _waiting_bytes(shapes: Shapes, trained: Trained, batch: MicroBatch) -> int:
    """Of streamed weights and of what goes with them, in RAM beside a card: two frozen layers in 16 bits, or one that
    is trained with what is missing to the arithmetic's bits.
    """
    beside = trained.extra_bytes if trained.card_bytes is not None else 0
    if trained.passing:  # two whole layers, and what one becomes in fp32 before it is sent
        wide = 4 * trained.passing if batch.compute == 4 else 0
        return 2 * batch.compute * trained.passing + wide + beside
    is_trained = bool(trained.layer_inputs) and not trained.adapter
    layer = max(shapes.layer_sizes, default=0) if is_trained else 0
    return 4 * trained.read_ahead + batch.compute * layer + beside


def _inputs_bytes(shapes: Shapes, trained: Trained, batch: MicroBatch) -> int:
    """Of streamed layers, those of all micro-batches; 0 where nothing streams."""
    if not trained.layer_inputs:
        return 0
    return shapes.layers * shapes.hidden * batch.stream * batch.tokens * batch.together


def calculated_memory(spec: RunSpec, shapes: Shapes, device: Device, batch: MicroBatch) -> tuple[str, dict[str, int]]:
    """The fullest moment's name and its bytes by kind, without what libraries take."""
    return _fullest_memory(spec, shapes, _trained(spec, shapes, device), device, batch)


def _fullest_memory(
    spec: RunSpec, shapes: Shapes, trained: Trained, device: Device, batch: MicroBatch
) -> tuple[str, dict[str, int]]:
    moment, memory = fullest(_steady(spec, shapes, trained, device, batch), kept(shapes, trained, batch))
    memory["optimizer"] += _parked_bytes(spec, trained, device)
    return moment, memory


def _parked_bytes(spec: RunSpec, trained: Trained, device: Device) -> int:
    """State that waits in RAM, where RAM is what the run computes in: late in the run, when all had their turn."""
    return 0 if device.is_card else int(OPTIMIZERS.get(spec.optimizer.key).state_bytes * trained.parked)


def optimizer_moment(spec: RunSpec, shapes: Shapes, device: Device, batch: MicroBatch) -> dict[str, int]:
    """Bytes by kind while the optimizer steps: what a trace of the passes alone does not see."""
    trained = _trained(spec, shapes, device)
    return while_stepping(_steady(spec, shapes, trained, device, batch))


def probe_key(spec: RunSpec, shapes: Shapes, batch: MicroBatch, device: str) -> str:
    """Names everything that decides a step's memory."""
    train = spec.train
    method = METHODS.get(spec.method.key).placements(spec.method)[0]
    parts = [shapes, method, spec.optimizer, spec.objective, batch, train.accumulation > 1, device]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def _steady(spec: RunSpec, shapes: Shapes, trained: Trained, device: Device, batch: MicroBatch) -> Steady:
    optimizer = OPTIMIZERS.get(spec.optimizer.key)
    return steady(
        shapes,
        trained,
        batch,
        state_bytes=0.0 if optimizer.is_paged and device.is_card else optimizer.state_bytes,
        scratch=_scratch(shapes, trained, optimizer.scratch_bytes, device),
        accumulates=spec.train.accumulation > 1,
        other=_extra_bytes(trained, device) + _packed_bytes(shapes, trained, device, batch),
        **({} if device.is_card else _of_streaming(shapes, trained, batch)),
    )


def _extra_bytes(trained: Trained, device: Device) -> int:
    if device.is_card and trained.card_bytes is not None:
        return trained.card_bytes
    return trained.extra_bytes


def _of_streaming(shapes: Shapes, trained: Trained, batch: MicroBatch) -> dict[str, float]:
    """What `steady` is told of layers that stream through a processor and learn."""
    is_short = batch.compute == 2
    # In fp32 what is missing to it is read before a tile's record as well.
    rest = (1 + RECORDS_AHEAD) * trained.rest_bytes * TILE if batch.is_exact and trained.tiling_bytes else 0
    # A layer that comes whole is there in fp32 for the proofs before training: before records and kernels come.
    proving = 4.0 * trained.passing - trained.records_bytes - trained.short_bytes
    return {
        "short_gradients": _short_gradients(trained) if is_short else 0,
        "laid": float(batch.compute * _widest_streamed(shapes)) if _learns_in_pieces(trained) else 0.0,
        "tiling": float(trained.tiling_bytes + rest),
        "proving": max(0.0, proving) if is_short else 0.0,
    }


def _learns_in_pieces(trained: Trained) -> bool:
    """Whether streamed matrices come, and learn, one after the other."""
    return bool(trained.layer_inputs) and not trained.adapter and not trained.passing


def _widest_streamed(shapes: Shapes) -> int:
    """Numbers of a layer's widest matrix."""
    return min(shapes.widest, max(shapes.layer_sizes, default=0))


def _packed_bytes(shapes: Shapes, trained: Trained, device: Device, batch: MicroBatch) -> float:
    """Beside streamed matrices. In fp32 what is not read of them, for no less than fp32 is counted. Where they have
    adapters, what a processor's products take; where they learn, what a processor takes with them, and what a card has
    of the widest and its gradient in fp32 while the first product of a layer learns (3.2 bytes a number, less 12 MB, in
    five schemes at two sizes).
    """
    is_short, layer = batch.compute == 2, max(shapes.layer_sizes, default=0)
    if device.is_card:
        return 0.0 if is_short or not _learns_in_pieces(trained) else max(0.0, 3.2 * shapes.widest - 12e6)
    if trained.passing:
        return float(trained.short_bytes) if is_short else 4.0 * trained.passing
    if not trained.layer_inputs:
        return 0.0
    if is_short:
        return min(_PRODUCTS_BYTES, _PRODUCTS_EACH * layer) if trained.adapter else float(trained.short_bytes)
    if not batch.is_exact:
        return 0.0
    if trained.adapter:
        return float(max(0, _FROZEN_BYTES - trained.extra_bytes))
    # What is missing to a learning matrix's fp32 is in its record as well, so its own goes for that.
    handed_back = min(trained.rest_bytes * _widest_streamed(shapes), trained.records_bytes // 2)
    return -float((2 - trained.rest_bytes) * layer + handed_back)


def _short_gradients(trained: Trained) -> int:
    """Numbers whose gradients have 16 bits where arithmetic has: of streamed matrices that learn."""
    return max(0, trained.gradients - trained.exact) if trained.layer_inputs and not trained.adapter else 0


def seconds_of(
    spec: RunSpec, shapes: Shapes, device: Device, speeds: Speeds | None, habits: Habits, batch: MicroBatch
) -> float | None:
    """Seconds of a step of such micro-batches."""
    trained = METHODS.get(spec.method.key).estimate(spec.method, shapes)
    return _seconds(spec, shapes, trained, device, speeds, habits, batch)


def _seconds(
    spec: RunSpec,
    shapes: Shapes,
    trained: Trained,
    device: Device,
    speeds: Speeds | None,
    habits: Habits,
    batch: MicroBatch,
    anew: float = 1.0,
) -> float | None:
    return step_seconds(
        shapes,
        trained,
        batch,
        accumulation=spec.train.accumulation,
        state_bytes=OPTIMIZERS.get(spec.optimizer.key).state_bytes,
        device=device.kind,
        speeds=speeds,
        habits=habits,
        anew=anew,
    )


def _anew(spec: RunSpec, shapes: Shapes, trained: Trained, device: Device, ram_free: int, batch: MicroBatch) -> float:
    """Of layers that are computed anew, the share whose graph does not stay in memory."""
    if device.is_card or trained.graph_bytes == 0 or not shapes.layers:
        return 1.0
    each = spec.train.accumulation * kept(shapes, trained, batch).one_layer
    cached = min(cache_room(ram_free, trained.cache_bytes), trained.cacheable_bytes + trained.cacheable_state_bytes)
    room = cache_room(ram_free - cached, trained.graph_bytes)
    return 1 - min(shapes.layers, int(room / each)) / shapes.layers if each else 1.0


def is_wide(spec: RunSpec, device: Device, machine: Machine) -> bool:
    """Whether arithmetic is fp32 on weights of 16 bits."""
    return not device.is_card and machine.resources.emulates_bf16 and METHODS.get(spec.method.key).widens


def fullest_batch(spec: RunSpec, trained: Trained, rows: RowLengths | None, *, widens: bool = False) -> MicroBatch:
    """The micro-batch that takes the most memory."""
    train = spec.train
    if rows is None or train.packing:
        longest = train.max_length if rows is None else rows.longest(train.max_length)
        tokens = train.batch_size * train.max_length
    else:
        tokens, longest = rows.fullest(train.batch_size, train.max_length)
    return micro_batch(spec, trained, tokens, longest, widens=widens)


def micro_batch(spec: RunSpec, trained: Trained, tokens: int, longest: int, *, widens: bool = False) -> MicroBatch:
    """So many tokens as this draft reads them."""
    train, compute = spec.train, 4 if widens or spec.train.precision == "fp32" else 2
    return MicroBatch(
        tokens=max(1, tokens),
        longest=max(1, longest),
        compute=compute,
        stream=4 if trained.ends or (trained.layer_inputs and not trained.adapter) else compute,
        checkpointed=train.activation_checkpointing or trained.recomputes,
        widened=widens and spec.train.precision != "fp32",
        together=train.accumulation if trained.layer_inputs else 1,
    )


def _usual_batch(batch: MicroBatch, spec: RunSpec, step_tokens: float) -> MicroBatch:
    """An average micro-batch: what time is counted from."""
    tokens = max(1, round(step_tokens / spec.train.accumulation))
    longest = min(batch.longest, max(1, tokens // spec.train.batch_size))
    return replace(batch, tokens=tokens, longest=longest)


def _amount(spec: RunSpec, rows: RowLengths | None) -> tuple[float, int]:
    """(tokens of an average step, steps of the run)."""
    train = spec.train
    each = train.batch_size * train.accumulation
    if rows is None:
        return float(each * train.max_length), train.steps or 0
    mean, count = rows.cut_mean(train.max_length), rows.count
    try:
        count -= num_heldout(spec.data.holdout, count)
    except UserError:
        count = 0  # said when the run is checked
    if train.packing:
        mean, count = float(train.max_length), math.ceil(count * mean / train.max_length)
    return each * mean, train.steps or max(
        1, math.ceil(train.epochs * math.ceil(count / train.batch_size) / train.accumulation)
    )


def _scratch(shapes: Shapes, trained: Trained, scratch_bytes: float, device: Device) -> float:
    """What an optimizer's step needs beside its state: on a card torch does all tensors at once, else one by one."""
    if device.is_card:
        return scratch_bytes * trained.gradients
    return 2 * scratch_bytes * min(trained.gradients, shapes.largest)


def other_bytes(memory: dict[str, int], device: Device, machine: Machine) -> int:
    """What the libraries take, and what allocators waste; better known once runs have finished here."""
    known = machine.habits.extra_bytes.get("cuda" if device.is_card else "cpu")
    base = CONTEXT_BYTES if device.is_card else PROCESS_BYTES
    return (known if known is not None else base) + wasted_bytes(memory, device)


def wasted_bytes(memory: dict[str, int], device: Device) -> int:
    """What the allocator cannot give to anything."""
    moving = memory["activations"] + memory["logits"]
    kept_back = 0.0 if device.is_card else min(_SMALL_WASTE * moving, _MOST_SMALL)
    return int(_WASTE * moving + kept_back)
