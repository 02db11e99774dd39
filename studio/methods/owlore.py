"""OwLore (arXiv 2405.18380): layers with many outliers are drawn more often, and trained through short gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method, Trained
from studio.methods._layers import hold_layers, layer_problems, widest_matrix
from studio.methods._reduced import ReducedParams, hold_cores
from studio.models.arithmetic import Linear, Shapes
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class OwloreParams(ReducedParams):
    """LISA's settings and GaLore's."""

    key: Literal["owlore"] = "owlore"
    active_layers: int = setting(
        2,
        title="Active layers",
        help="Layers trained at the same time. More learn faster and cost more.",
        ge=1,
        le=1000,
    )
    interval: int = setting(
        20,
        title="Steps a draw lasts",
        help="Optimizer steps until other layers are drawn and their gradients' main directions found.",
        unit="steps",
        ge=1,
    )
    rank: int = setting(
        64,
        title="Rank",
        help="Directions of each gradient that are kept. Higher learns more, costs more.",
        ge=1,
        le=4096,
    )
    scale: float = setting(
        1.0, title="Scale", help="What steps are multiplied by on their way back to the weights.", gt=0, advanced=True
    )


def _problems(params: OwloreParams, facts: ModelFacts | None) -> list[Problem]:
    return layer_problems(params.active_layers, "method.active_layers", facts)


def _estimate(params: OwloreParams, shapes: Shapes) -> Trained:
    def core(linear: Linear) -> int:
        return min(params.rank, linear.inputs, linear.outputs) * max(linear.inputs, linear.outputs)

    def basis(linear: Linear) -> int:
        return 4 * min(params.rank, linear.inputs, linear.outputs) * min(linear.inputs, linear.outputs)

    every = hold_cores(shapes, core, others=False, vectors=False, buffer=basis, following=16)
    active = hold_layers(shapes, params.active_layers, others=params.train_embeddings)
    # Stand-ins of all layers are there; only the active ones' have gradients and state.
    share = min(1.0, params.active_layers / max(1, shapes.layers))
    outside = active.weights - sum(sorted(shapes.layer_sizes, reverse=True)[: params.active_layers])
    moving = round(share * every.adapter) + outside
    return replace(
        every,
        weights=outside,
        exact=active.exact,
        gradients=moving + widest_matrix(shapes),
        state=moving,
        in_short=False,
        layers=active.layers,
        norms=active.norms,
    )


def _prepare(base: Base, params: OwloreParams) -> Prepared:
    from studio.engine.owlore import prepare_owlore  # heavy

    return prepare_owlore(
        base,
        count=params.active_layers,
        interval=params.interval,
        rank=params.rank,
        scale=params.scale,
        others=params.train_embeddings,
    )


METHOD = Method(
    key="owlore",
    title="OwLore",
    summary="Draws layers by their share of outlying weights and trains the drawn ones through the main directions of "
    "their gradients.",
    good_for="LISA's reach in still less memory; its authors train a 7B model in 21 GB and report more than LoRA, "
    "GaLore and LISA.",
    avoid_when="Runs are too short for every layer to have its turns.",
    Params=OwloreParams,
    learning_rate=1e-4,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
)
