"""Settings and checks that low-rank methods share."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import NF4_BYTES, MethodParams, Trained
from studio.methods._streamed import CachedParams, ends_held, inputs_placements, layers_held
from studio.models.arithmetic import Linear, Shapes
from studio.models.facts import ModelFacts


class LowRankParams(MethodParams):
    """Low-rank adapters (arXiv 2106.09685) on linear layers."""

    rank: int = setting(
        16, title="Rank", help="Width of the adapter. Higher learns more and costs more memory.", ge=1, le=4096
    )
    alpha: float = setting(
        16,
        title="Alpha",
        help="Strength of the adapter; the rank-stabilised scale is alpha / sqrt(rank).",
        gt=0,
        le=4096,
    )
    dropout: float = setting(
        0.0, title="Dropout", help="Share of inputs hidden while training; a little helps against few rows.", ge=0, lt=1
    )
    targets: Literal["all-linear"] | list[str] = setting(
        "all-linear",
        title="Layers",
        help='Which layers get an adapter: "all-linear", or names such as [q_proj, v_proj].',
        advanced=True,
    )
    rank_stabilised: bool = setting(
        True,
        title="Rank-stabilised scale",
        help="Divides alpha by the root of the rank, so that high ranks learn (arXiv 2312.03732). Off: by the rank.",
        advanced=True,
    )
    dora: bool = setting(
        False,
        title="DoRA",
        help="Learns size and direction apart (arXiv 2402.09353): often a little better, a little slower.",
        advanced=True,
    )


class PlacedParams(CachedParams, LowRankParams):
    """Adapters whose base may lie on the drive."""

    placement: Literal["auto", "memory", "drive"] = setting(
        "auto",
        title="Where the base lies",
        help="Memory: all of it on the device. Drive: its layers stream from an SSD, two readings of the model in each"
        " step, so that a model far larger than the card can be tuned; adapters stay on the device and nothing is"
        " written. Auto takes memory where the run fits, else the drive.",
        advanced=True,
    )


NOT_ON_EXPERTS = 'Leave it out, or name layers outside the experts, as method.targets=["q_proj","v_proj"].'


def placements(params: PlacedParams, *, can_stream: bool) -> tuple[PlacedParams, ...]:
    """Where the base may lie, and the inputs of layers that stream; the quickest place first."""
    if params.placement == "drive":
        return inputs_placements(params)
    memory = params.model_copy(update={"placement": "memory"})
    if params.placement == "memory" or not can_stream:
        return (memory,)
    return (memory, *inputs_placements(params.model_copy(update={"placement": "drive"})))


def placed_problems(params: PlacedParams, facts: ModelFacts | None, *, can_stream: bool) -> list[Problem]:
    """What cannot work in these settings with the base on the drive."""
    found = problems(params, facts)
    if params.placement != "drive":
        return found
    if not can_stream:
        message = "This adapter begins with the base's own weights, which do not all lie in memory."
        found.append(Problem("method.placement", message, 'Use init "default" without DoRA, or placement "memory".'))
    if facts and facts.shapes.experts:
        message = "Mixture-of-experts models cannot be streamed yet."
        found.append(Problem("method.placement", message, 'Use placement "memory", or a dense model.'))
    return found


def problems(params: LowRankParams, facts: ModelFacts | None) -> list[Problem]:
    """What cannot work in these settings."""
    found = []
    if isinstance(params.targets, list) and not params.targets:
        found.append(Problem("method.targets", "No layer is named.", 'Name some, or use "all-linear".'))
    if facts and facts.hidden_size and params.rank > facts.hidden_size:
        found.append(
            Problem(
                "method.rank",
                f"Rank {params.rank} is above the model's width of {facts.hidden_size}.",
                f"Use at most {facts.hidden_size}; the method full trains all weights.",
            )
        )
    if facts and _on_experts(params, facts.shapes):
        for path, is_on, what in (
            ("method.dropout", params.dropout > 0, "hide no inputs"),
            ("method.dora", params.dora, "know no DoRA"),
        ):
            if is_on:
                found.append(Problem(path, f"Adapters on a mixture's experts {what}.", NOT_ON_EXPERTS))
    return found


def targeted(targets: str | list[str], shapes: Shapes) -> list[Linear]:
    """The linear layers that `targets` names."""
    return [linear for linear in shapes.linears if targets == "all-linear" or linear.name in targets]


def _on_experts(params: LowRankParams, shapes: Shapes) -> int:
    """Numbers of the adapters on fused experts: peft's come with "all-linear", twice the rank on the doubled half."""
    if params.targets != "all-linear" or not shapes.experts:
        return 0
    hidden, wide = shapes.hidden, shapes.expert_width
    each = 2 * (hidden + 2 * wide) + wide + hidden
    return params.rank * shapes.expert_count * each * shapes.layers


def estimate(params: LowRankParams, shapes: Shapes, *, quantised: bool = False) -> Trained:
    """Two thin matrices beside each targeted layer (and DoRA's length of each output)."""
    found = targeted(params.targets, shapes)
    thin = sum(params.rank * (linear.inputs + linear.outputs) * linear.count for linear in found)
    on_experts = _on_experts(params, shapes)
    thin += on_experts
    lengths = sum(linear.outputs * linear.count for linear in found) if params.dora else 0
    return Trained(
        adapter=thin + lengths,
        gradients=thin + lengths,
        state=thin + lengths,
        quantised=shapes.linear_numbers if quantised else 0,
        adapted=frozenset(linear.name for linear in found),
        rank=params.rank,
        adapts_experts=on_experts > 0,
        in_place=True,
        drops=params.dropout > 0,
        stretches=params.dora,
    )


def estimate_streamed(params: PlacedParams, shapes: Shapes, *, quantised: bool = False) -> Trained:
    """The same adapters, with two layers of the base in memory and the others on the drive."""
    found = estimate(params, shapes)
    layers, ends = layers_held(shapes), ends_held(shapes)
    packed = NF4_BYTES if quantised else 2.0
    streamed = shapes.linear_numbers
    lingering = int(2 * packed * streamed / max(1, shapes.layers))  # the last layer, and the first to the next step
    head = 0 if ends else shapes.head or shapes.embedding  # in tiles, read once for the loss
    return replace(
        found,
        quantised=layers if quantised else 0,
        elsewhere=shapes.total - layers - ends,
        recomputes=True,
        layer_inputs=params.inputs_place,
        cacheable_bytes=int(packed * streamed),
        cache_bytes=params.cache_bytes,
        stored_bytes=int(packed * streamed) + 2 * (shapes.embedding + shapes.head - ends),
        read_bytes=int(2 * packed * streamed) + 2 * head,
        lingering_bytes=lingering,
        exact_bytes=(0 if quantised else 4 * streamed - lingering) + 2 * head,
    )
