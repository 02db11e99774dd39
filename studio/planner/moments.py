"""The moments at which a run can be at its fullest, and what lies in memory at each, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from studio.methods import NF4_BYTES, Trained
from studio.models.arithmetic import Shapes
from studio.planner.activations import Kept, MicroBatch

KINDS = ("weights", "adapter", "gradients", "optimizer", "activations", "logits", "quantisation", "other")

_TILE_GRADIENT = 10e6
"""Bytes of the gradient of a tile of embedding or head, and of what is added to it (two widths at two lengths)."""
_LAST = 0.65
"""Of a layer's activations, those that are still there when most of its gradients are (four widths at two lengths)."""


@dataclass(frozen=True)
class Steady:
    """What lies there all the time, in bytes.

    Attributes:
        weights, adapter, optimizer, other: by kind.
        gradients: all of them at once.
        held: gradients that are there during the next forward pass already (accumulation).
        copies: 16-bit copies of fp32 weights while a pass uses them.
        head_copy: the output matrix's share of such copies, which lives until the backward pass.
        head_gradient: the output matrix's, as the loss makes it.
        waiting: the same in fp32, while it waits for the embedding's to be added to it (tied) or stands alone.
        embedding_gradient: short-lived copies at the end, beyond the gradients themselves.
        lowest: gradients that come last: of the lowest layer and the embeddings.
        gathers: whether those of a layer wait for each other, so that `lowest` are all but the first.
        laid: a streamed matrix's gradient, or its numbers in fp32 where that will lie, as long as layers come back.
        records, tiling: of `other`, what layers that learn have of the drive, and what tiles of the ends have instead.
        proving: what is there before training alone.
        moved: a layer's weights a second time, while it computes.
        unpacked: a 4-bit layer's weights, unpacked for use.
        scratch: what the optimizer's step needs beside.
        taking, following: what the method needs beside while a gradient comes, and when weights follow a step.
    """

    weights: float
    adapter: float
    optimizer: float
    other: float
    gradients: float
    held: float
    copies: float
    head_copy: float
    head_gradient: float
    waiting: float
    embedding_gradient: float
    lowest: float
    gathers: bool
    laid: float
    records: float
    tiling: float
    proving: float
    moved: float
    unpacked: float
    scratch: float
    taking: float
    following: float


def steady(
    shapes: Shapes,
    trained: Trained,
    batch: MicroBatch,
    *,
    state_bytes: float,
    scratch: float,
    accumulates: bool,
    other: float,
    short_gradients: float = 0,
    laid: float = 0.0,
    tiling: float = 0.0,
    proving: float = 0.0,
) -> Steady:
    """Turn numbers into bytes.

    Args:
        state_bytes: of optimizer state for each number that has it on the device.
        scratch: the optimizer's short-lived bytes.
        accumulates: whether several micro-batches make a step.
        other: what the libraries take, and the method beside.
        short_gradients: numbers whose gradients have 16 bits; summed over micro-batches they have 32.
        laid, tiling, proving: see `Steady`.
    """
    here = shapes.total - trained.elsewhere
    exact = here if batch.is_exact else min(here, trained.exact)
    quantised = min(trained.quantised, shapes.linear_numbers + shapes.experts)
    rest = max(0, here - max(exact, 0) - quantised) if exact < here else 0
    matrices = max(0, shapes.linear_numbers - quantised) * exact / max(1, shapes.total)  # experts are never cast
    is_cast = batch.compute == 2
    ends = shapes.head or shapes.embedding
    gradients = 4.0 * (max(trained.gradients, trained.gathered) if accumulates else trained.gradients)
    gradients -= 0.0 if accumulates else 2.0 * short_gradients
    return Steady(
        weights=4.0 * (exact - quantised * (exact == here)) + NF4_BYTES * quantised + 2.0 * rest,
        adapter=4.0 * trained.adapter,
        optimizer=state_bytes * trained.state,
        other=other,
        gradients=gradients,
        held=gradients if accumulates else 0.0,
        copies=2.0 * matrices if is_cast and trained.backward else 0.0,
        head_copy=2.0 * ends if is_cast and trained.ends else 0.0,
        head_gradient=float(batch.compute * ends) if trained.ends else 0.0,
        waiting=4.0 * ends if trained.ends and not (shapes.head and accumulates) else 0.0,
        embedding_gradient=4.0 * shapes.embedding * _copies(shapes, accumulates=accumulates) if trained.ends else 0.0,
        lowest=0.0 if accumulates else min(gradients, 4.0 * _lowest(shapes, trained)),
        gathers=trained.learns_whole and not accumulates,
        laid=laid,
        records=float(trained.records_bytes),
        tiling=tiling,
        proving=proving,
        moved=float(batch.compute * trained.moved),
        unpacked=batch.compute * shapes.widest if quantised else 0.0,
        scratch=scratch + trained.scratch_bytes,
        taking=float(trained.taking_bytes),
        following=float(trained.following_bytes),
    )


def fullest(base: Steady, kept: Kept) -> tuple[str, dict[str, int]]:
    """The name of the fullest moment and its bytes by kind."""
    moments = _moments(base, kept)
    name = max(moments, key=lambda each: sum(moments[each].values()))
    return name, moments[name]


def while_stepping(base: Steady) -> dict[str, int]:
    """Bytes by kind while the optimizer steps, or just afterwards."""
    stepping = _memory(base, activations=base.scratch, gradients=base.gradients, unpacked=False)
    following = _memory(base, activations=base.following, unpacked=False)
    return max(stepping, following, key=lambda each: sum(each.values()))


def _moments(base: Steady, kept: Kept) -> Mapping[str, dict[str, int]]:
    inputs = kept.layers + kept.ending
    cast = base.copies + base.head_copy
    loss = kept.at_loss + kept.logits
    return {
        "proof": _memory(base, activations=base.proving),
        "forward": _memory(base, activations=kept.layers + base.copies + kept.widening, gradients=base.held),
        "loss": _memory(
            base,
            activations=inputs + cast + kept.at_loss + base.head_gradient,
            logits=kept.logits,
            gradients=base.held,
            unpacked=False,
        ),
        "head": _memory(
            base,
            activations=inputs
            + (0 if kept.one_layer else base.copies)
            + max(base.head_copy + base.head_gradient, kept.norming),
            gradients=base.held + (base.waiting if base.head_copy else 0),
        ),
        "first layer back": _memory(
            base,
            activations=inputs + kept.one_layer + kept.returning + base.taking + (0 if kept.one_layer else base.copies),
            gradients=base.held + base.waiting + base.laid,
        ),
        "last layer back": _memory(
            base,
            activations=kept.one_layer + kept.returning + base.taking,
            gradients=max(base.gradients - base.lowest, base.laid),
        ),
        "layer gathered": _memory(
            base,
            activations=_LAST * kept.one_layer + kept.returning,
            gradients=base.gradients + base.laid if base.gathers else 0.0,
        ),
        "tiles": _memory(
            replace(base, other=base.other - base.records + max(0.0, base.tiling - base.weights)),
            activations=kept.ending + kept.at_loss + _TILE_GRADIENT,
            logits=kept.logits,
        )
        if base.tiling
        else {},
        "embeddings": _memory(base, activations=base.embedding_gradient, gradients=base.gradients),
        "optimizer": while_stepping(base),
        "evaluation": _memory(base, activations=max(kept.moving + base.moved, loss)),
    }


def _memory(
    base: Steady, *, activations: float, gradients: float = 0.0, logits: float = 0.0, unpacked: bool = True
) -> dict[str, int]:
    parts = (
        base.weights,
        base.adapter,
        gradients,
        base.optimizer,
        activations,
        logits,
        base.unpacked if unpacked else 0.0,
        base.other,
    )
    return {kind: int(part) for kind, part in zip(KINDS, parts, strict=True)}


def _copies(shapes: Shapes, *, accumulates: bool) -> int:
    """Copies of the embedding's gradient beyond what is kept: a tied one comes in two parts that are added up."""
    return (0 if shapes.head else 2) + accumulates


def _lowest(shapes: Shapes, trained: Trained) -> float:
    if trained.learns_whole:
        return max(0, max(shapes.layer_sizes, default=0) - shapes.widest)
    layer = sum(shapes.layer_sizes) / max(1, shapes.layers)
    return min(1, trained.layers) * layer + (shapes.embedding if trained.ends and shapes.head else 0)
