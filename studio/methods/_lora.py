"""Settings and checks that low-rank methods share."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import NF4_BYTES, MethodParams, Trained
from studio.methods._streamed import CachedParams, ends_held, inputs_placements, layers_held, tile_rows
from studio.models.arithmetic import Linear, Shapes
from studio.models.facts import ModelFacts


class LowRankParams(MethodParams):
    """Low-rank adapters (arXiv 2106.09685) on linear layers.

    Attributes:
        reaches_experts: whether "all-linear" means a mixture's experts as well.
    """

    reaches_experts: ClassVar[bool] = True

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


_LENGTHS_BYTES = 9_000_000
"""What a processor's products with narrow matrices keep for DoRA's lengths (measured at three widths)."""
NOT_ON_EXPERTS = 'Leave it out, or name layers outside the experts, as method.targets=["q_proj","v_proj"].'


def placements(params: PlacedParams, *, can_stream: bool = True) -> tuple[PlacedParams, ...]:
    """Where the base may lie, and the inputs of layers that stream; the quickest place first."""
    if params.placement == "drive":
        return inputs_placements(params)
    memory = params.model_copy(update={"placement": "memory"})
    if params.placement == "memory" or not can_stream:
        return (memory,)
    return (memory, *inputs_placements(params.model_copy(update={"placement": "drive"})))


def placed_problems(params: PlacedParams, facts: ModelFacts | None, *, can_stream: bool = True) -> list[Problem]:
    """What cannot work in these settings with the base on the drive."""
    found = problems(params, facts)
    if params.placement != "drive":
        return found
    if not can_stream:
        message = "This adapter begins with the base's own weights, which do not all lie in memory."
        found.append(Problem("method.placement", message, 'Use init "default", or placement "memory".'))
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
    if facts and isinstance(params.targets, list):
        named = _named_experts(params.targets, facts.shapes)
        for one, other in (("gate_proj", "up_proj"), ("w1", "w3")):
            if len(named & {one, other}) == 1:
                message = f"{one} and {other} of this model's experts are one matrix: name both or none."
                found.append(Problem("method.targets", message, 'Or use "all-linear".'))
    if facts and _on_experts(params, facts.shapes):
        for path, is_on, what in (
            ("method.dropout", params.dropout > 0, "hide no inputs"),
            ("method.dora", params.dora, "know no DoRA"),
        ):
            if is_on:
                found.append(_not_on_experts(what, path))
    return found


def _not_on_experts(what: str, path: str = "method.targets") -> Problem:
    return Problem(path, f"Adapters on a mixture's experts {what}.", NOT_ON_EXPERTS)


def experts_problems(params: LowRankParams, facts: ModelFacts | None) -> list[Problem]:
    """A word where adapters that look at a layer's inputs leave a mixture's experts out."""
    if not facts or not facts.shapes.experts:
        return []
    if params.targets != "all-linear":
        return [_not_on_experts("look at no inputs")] if _named_experts(params.targets, facts.shapes) else []
    message = "A mixture's experts get no adapters from this method, only the layers beside them."
    return [Problem("method.targets", message, "Choose lora to train them as well.", is_fatal=False)]


def targeted(targets: str | list[str], shapes: Shapes) -> list[Linear]:
    """The linear layers that `targets` names."""
    return [linear for linear in shapes.linears if targets == "all-linear" or linear.name in targets]


OF_EXPERTS = ("gate_proj", "up_proj", "down_proj", "w1", "w2", "w3")
"""Matrices that peft takes for a mixture's experts' own, also beside them, where `Shapes.experts_by_name` says so."""


def _named_experts(targets: list[str], shapes: Shapes) -> set[str]:
    """Which of these names mean experts."""
    return set(targets) & set(OF_EXPERTS) if shapes.experts and shapes.experts_by_name else set()


def _on_experts(params: LowRankParams, shapes: Shapes) -> int:
    """Numbers of the adapters on fused experts: twice the rank on the doubled half, and on the router of some."""
    if not shapes.experts or not params.reaches_experts:
        return 0
    hidden, wide = shapes.hidden, shapes.expert_width
    doubled, last, router = 2 * (hidden + 2 * wide), wide + hidden, hidden + shapes.expert_count
    if params.targets == "all-linear":
        each = shapes.expert_count * (doubled + last) + router * shapes.experts_by_name
    else:
        named = _named_experts(params.targets, shapes)
        each = doubled * bool(named & {"gate_proj", "w1"}) + last * bool(named & {"down_proj", "w2"})
        each = shapes.expert_count * each + router * ("gate" in params.targets and shapes.experts_by_name)
    return params.rank * each * shapes.expert_layers


def estimate(params: LowRankParams, shapes: Shapes, *, quantised: bool = False) -> Trained:
    """Two thin matrices beside each targeted layer (and DoRA's length of each output)."""
    found = targeted(params.targets, shapes)
    if shapes.experts_by_name:
        found = [linear for linear in found if linear.name not in OF_EXPERTS]
    thin = sum(params.rank * (linear.inputs + linear.outputs) * linear.count for linear in found)
    on_experts = _on_experts(params, shapes)
    thin += on_experts
    lengths = sum(linear.outputs * linear.count for linear in found) if params.dora else 0
    return Trained(
        adapter=thin + lengths,
        gradients=thin + lengths,
        state=thin + lengths,
        quantised=shapes.linear_numbers + shapes.experts if quantised else 0,
        packs_experts=quantised and shapes.experts > 0,
        adapted=frozenset(linear.name for linear in found),
        rank=params.rank,
        adapts_experts=on_experts > 0,
        in_place=True,
        drops=params.dropout > 0,
        stretches=params.dora,
    )


def estimate_streamed(params: PlacedParams, shapes: Shapes, *, quantised: bool = False) -> Trained:
    """The same adapters, with two layers of the base in memory and the others on the drive."""
    found = estimate(params, shapes, quantised=quantised)
    layers, ends = layers_held(shapes), ends_held(shapes)
    packed = NF4_BYTES if quantised else 2.0
    streamed = shapes.linear_numbers + shapes.experts
    lingering = int(2 * packed * streamed / max(1, shapes.layers))  # the last layer, and the first to the next step
    head = 0 if ends else shapes.head or shapes.embedding  # in tiles, read once for the loss
    return replace(
        found,
        extra_bytes=_LENGTHS_BYTES if params.dora else 0,
        card_bytes=0,
        quantised=layers if quantised else 0,
        elsewhere=max(0, shapes.total - layers - ends - shapes.others),
        read_ahead=layers - min(layers, max(shapes.layer_sizes, default=0)),
        recomputes=True,
        layer_inputs=params.inputs_place,
        tile_rows=tile_rows(shapes),
        cacheable_bytes=int(packed * streamed),
        cache_bytes=params.cache_bytes,
        stored_bytes=int(packed * streamed) + 2 * (shapes.embedding + shapes.head - ends),
        read_bytes=int(2 * packed * streamed) + 2 * head,
        lingering_bytes=lingering,
        exact_bytes=(0 if quantised else 4 * streamed - lingering) + 2 * head,
    )
