"""Time of a step from the work in it and the speeds measured on this computer."""

from __future__ import annotations

from studio.machine.bench import Habits, Speeds
from studio.machine.drive import DriveSpeeds
from studio.methods import Trained
from studio.models.arithmetic import Shapes
from studio.planner.activations import MicroBatch

_REACHED = 0.65
"""Share of a bare matrix product's speed that a whole training step reaches, until runs here have taught better."""

_CALL_SECONDS = 1e-5
"""To start one operation: what small models spend most of their time on."""


def step_seconds(
    shapes: Shapes,
    trained: Trained,
    batch: MicroBatch,
    *,
    accumulation: int,
    state_bytes: float,
    device: str,
    speeds: Speeds | None,
    habits: Habits,
    anew: float = 1.0,
) -> float | None:
    """Seconds of one optimizer step on average rows; None where nothing was measured.

    Args:
        anew: of a checkpointed model's layers, the share that is computed again.
    """
    rate = speeds.matmul.get(f"{device} {'bf16' if batch.compute == 2 else 'fp32'}") if speeds else None
    if not speeds or not rate:
        return None
    work = accumulation * batch.tokens * token_work(shapes, trained, batch, anew)
    moved = trained.state * (2 * state_bytes + 12) + accumulation * _unpacked(shapes, trained, batch)
    calls = accumulation * shapes.layers * _layer_calls(trained, batch, anew) * _CALL_SECONDS
    seconds = work / (rate * _REACHED) + moved / speeds.memory.get(device, float("inf")) + calls
    return seconds * habits.pace.get(device, 1.0)


def drive_seconds(read_bytes: float, written_bytes: float, speeds: Speeds | None) -> float:
    """The least time in which a step's bytes pass; 0 where nothing passes or the drive was not measured."""
    if not speeds or not speeds.disk_read or not speeds.disk_write:
        return 0.0
    both = speeds.disk_both or speeds.disk_read
    return DriveSpeeds(speeds.disk_read, speeds.disk_write, both, is_direct=True).seconds(read_bytes, written_bytes)


def bus_seconds(passed_bytes: float, speeds: Speeds | None) -> float:
    """The least time in which so many bytes go to a card and come back from it; 0 where that was not measured."""
    return passed_bytes / speeds.pcie if speeds and speeds.pcie else 0.0


def _layer_calls(trained: Trained, batch: MicroBatch, anew: float) -> float:
    """Operations that Python starts in one layer, forward and back."""
    forward = 60.0 + 9 * len(trained.adapted)
    passes = trained.forwards + trained.descents * ((2 if trained.backward else 0) + batch.checkpointed * anew)
    return forward * passes


def token_work(shapes: Shapes, trained: Trained, batch: MicroBatch, anew: float = 1.0) -> float:
    """Floating-point operations for one token of a micro-batch, forward and back."""
    matrices = shapes.linear_numbers + _active_experts(shapes)
    head = shapes.head or shapes.embedding
    attention = 2.0 * shapes.layers * shapes.heads * shapes.head_size * _reach(shapes, batch.longest)
    forward = 2.0 * (matrices + head + trained.adapter) + attention
    total = forward * trained.forwards
    if not trained.backward:
        return total
    deep = 1.0 if trained.depth is None else min(1.0, trained.depth / max(1, shapes.layers))
    own = min(trained.layers, shapes.layers) / max(1, shapes.layers)
    down = deep * (2.0 * matrices + 2 * attention) + own * 2.0 * matrices
    down += anew * forward if batch.checkpointed else 0.0
    return total + trained.descents * down + 2.0 * head + 4.0 * trained.adapter + (2.0 * head if trained.ends else 0.0)


def _reach(shapes: Shapes, longest: int) -> float:
    """Tokens that a token looks at on average."""
    return min(longest / 2, shapes.window) if shapes.window else longest / 2


def _active_experts(shapes: Shapes) -> float:
    """Numbers of the experts that one token goes through."""
    return 3.0 * shapes.hidden * shapes.expert_width * shapes.experts_active * shapes.expert_layers


def _unpacked(shapes: Shapes, trained: Trained, batch: MicroBatch) -> float:
    """Bytes written to unpack 4-bit weights, forward and back."""
    passes = 3 if batch.checkpointed else 2
    return passes * trained.quantised * (0.5 + batch.compute)
