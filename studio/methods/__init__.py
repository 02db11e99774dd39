"""Training methods: what is trained and how it is made ready. One file a method; it then appears everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio.declare import Settings
from studio.errors import Problem
from studio.models.arithmetic import Shapes
from studio.models.facts import ModelFacts
from studio.units import Registry

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Bytes of a number in NF4 with double quantisation: half a byte, one for each 64, and four for each 256 of those."""


class MethodParams(Settings):
    """Base of every method's settings. `key` names the method."""

    key: str = ""


@dataclass(frozen=True)
class Trained:
    """What a method holds in memory at its fullest moment, in numbers (weights). The planner turns them into bytes.

    Attributes:
        weights: the base's own numbers that are trained at once.
        adapter: numbers added beside the base, all trained, kept in fp32.
        exact: the base's numbers that are kept in fp32; the others are kept in 16 bits when training in bf16.
        quantised: the base's numbers that are kept in 4 bits.
        gradients: numbers that have a gradient at once.
        gathered: the same where several micro-batches add up before anything learns, where that is more.
        state: numbers that have optimizer state on the device at once.
        parked, shelved: numbers whose optimizer state waits in RAM, and on the disk.
        in_short: whether trained matrices stay in the run's own precision (GaLore and its kin) rather than in fp32.
        ends: whether embeddings and the output matrix are among the trained weights.
        layers: decoder layers whose own weights are trained at once (their inputs must be kept for that).
        depth: decoder layers that the backward pass goes through, from the last one downwards; None is all.
        adapted: names of the linear layers that have an adapter, each of which keeps its input and its own middle.
        adapted_layers: decoder layers whose adapters are trained at once; None is all.
        rank: width of those adapters.
        keeps_inputs: whether an adapter keeps its layer's input (MiSS keeps a narrow sum of it).
        packs_experts: whether a mixture's experts lie in 4 bits, and are unpacked layer by layer.
        adapts_experts: whether a mixture's experts have adapters, which are summed with them layer by layer.
        in_place: whether an adapter's product is added in place (studio/engine/fused.py), which copies no input.
        drops: whether inputs of adapters are hidden at random, which keeps a byte for each.
        stretches: whether adapters set the lengths of outputs (DoRA), which keeps the outputs.
        norms: whether the norms of trained layers are trained as well; that brings their outcome to fp32.
        norms_alone: whether norms are trained in layers whose own weights are not.
        extra_bytes: buffers of the method's own on the device (projections, masks, importances).
        short_bytes: beside those, where a processor has 16-bit products.
        records_bytes: of `extra_bytes`, what layers that learn have of the drive beside their weights.
        tiling_bytes: what embedding and head have of it on a processor while they learn tile by tile; 0 if they do not.
        card_bytes: so many instead on a card, beside which the others lie in RAM; None for as many.
        moved: numbers of a layer that are there a second time while it computes (MeZO moves them).
        stored_bytes: kept on the drive while it trains, beside what any run leaves there.
        read_bytes, written_bytes: of the drive, in one optimizer step.
        lingering_bytes: of those read, what is there already: the last layer up is the first one down.
        exact_bytes: read beside those where arithmetic is fp32 and 16 bits are not all there is of the weights.
        rest_bytes: of each streamed number, what is read with its 16 bits for that.
        descents: how often a step's gradients go down the layers.
        cacheable_bytes: of those read up and down, what spare RAM may keep instead; `cacheable_state_bytes`: of those
            read once, what it may keep after them; `cache_bytes`: so many were asked for, None for what is spare.
        graph_bytes: of activations, so many may stay in RAM where the processor computes layers anew; None for what is
            spare.
        scratch_bytes: the method's own short-lived buffers while the optimizer steps.
        taking_bytes: the same while a weight's gradient is taken over on the way back.
        following_bytes: the same when weights follow a step, once gradients are gone.
        passing: numbers of a streamed layer that comes whole and whose gradients come together.
        learns_whole: whether all gradients of a streamed layer are there before any of it learns.
        tile_rows: of an output matrix that streams, the rows that are looked at together; 0 for all.
        read_ahead: of the base's numbers, those that are read before they are computed with: beside a card, in RAM.
        elsewhere: the base's numbers that are not in the device's memory: they stay on the drive, but for those that
            pass through.
        recomputes: whether each layer is computed anew on the way back, so that only its input is kept.
        layer_inputs: where the inputs of streamed layers wait ("device", "ram", "drive"), those of all micro-batches at
            once; "" where nothing streams.
        backward: False where no gradients are computed at all (MeZO).
        forwards: forward passes a micro-batch.
    """

    weights: int = 0
    adapter: int = 0
    exact: int = 0
    quantised: int = 0
    gradients: int = 0
    gathered: int = 0
    state: int = 0
    parked: int = 0
    shelved: int = 0
    in_short: bool = False
    ends: bool = False
    layers: int = 0
    depth: int | None = None
    adapted: frozenset[str] = frozenset()
    adapted_layers: int | None = None
    rank: int = 0
    keeps_inputs: bool = True
    packs_experts: bool = False
    adapts_experts: bool = False
    in_place: bool = False
    drops: bool = False
    stretches: bool = False
    norms: bool = True
    norms_alone: bool = False
    extra_bytes: int = 0
    short_bytes: int = 0
    records_bytes: int = 0
    tiling_bytes: int = 0
    card_bytes: int | None = None
    scratch_bytes: int = 0
    taking_bytes: int = 0
    following_bytes: int = 0
    moved: int = 0
    stored_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    lingering_bytes: int = 0
    exact_bytes: int = 0
    rest_bytes: int = 2
    descents: int = 1
    cacheable_bytes: int = 0
    cacheable_state_bytes: int = 0
    cache_bytes: int | None = None
    graph_bytes: int | None = 0
    elsewhere: int = 0
    passing: int = 0
    learns_whole: bool = False
    tile_rows: int = 0
    read_ahead: int = 0
    recomputes: bool = False
    layer_inputs: str = ""
    backward: bool = True
    forwards: float = 1.0


@dataclass(frozen=True)
class Method:
    """A training method.

    Attributes:
        key: the file's name and `method.key` in a project.
        title, summary: for people: its name, and what it trains and costs in one sentence.
        good_for, avoid_when: one sentence each, for the method's card.
        Params: its settings.
        learning_rate: what to start with when the person names none.
        problems: what in these settings cannot work with this model (facts are None while they are not known).
        estimate: what these settings hold in memory for a model of these shapes; plain arithmetic, microseconds.
        prepare: makes a loaded base model ready to train; imports the engine inside.
        lighter: key of the method that does nearly the same with less memory, "" for none.
        is_streamed: whether weights come from the drive layer by layer, into buffers that no tracing of torch sees.
        widens: whether 16-bit weights become fp32 as they come, where the processor would emulate 16-bit arithmetic.
        quantises_base: whether the base is loaded in 4 bits (the loader asks).
        placements: the same settings with the base in one place after the other, the quickest first; one where there is
            no choice or it has been made.
        is_sharded: whether several processes hold a part of the model each (FSDP2) rather than a copy.
        stretch: how many times longer the model's context becomes with these settings.
    """

    key: str
    title: str
    summary: str
    good_for: str
    avoid_when: str
    Params: type[MethodParams]
    learning_rate: float
    problems: Callable[[Any, ModelFacts | None], list[Problem]]
    estimate: Callable[[Any, Shapes], Trained]
    prepare: Callable[[Base, Any], Prepared]
    lighter: str = ""
    quantises_base: bool = False
    is_streamed: bool = False
    widens: bool = False
    is_sharded: bool = False
    placements: Callable[[Any], tuple[Any, ...]] = lambda params: (params,)
    stretch: Callable[[Any], float] = lambda params: 1.0


METHODS: Registry[Method] = Registry("studio.methods", "METHOD", "training method")
