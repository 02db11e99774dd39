"""GaLore (arXiv 2403.03507): all weights are trained, but gradients are seen in their main directions only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method, Trained
from studio.methods._reduced import ReducedParams, hold_cores, rank_problems
from studio.models.arithmetic import Linear, Shapes
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class GaloreParams(ReducedParams):
    """How many directions, and how long they last."""

    key: Literal["galore"] = "galore"
    rank: int = setting(
        64,
        title="Rank",
        help="Directions of each gradient that are kept. Higher learns more, costs more.",
        ge=1,
        le=4096,
    )
    interval: int = setting(
        100,
        title="Steps a projection lasts",
        help="Optimizer steps until the main directions are found anew, which takes a moment each time.",
        unit="steps",
        ge=1,
    )
    scale: float = setting(
        1.0, title="Scale", help="What steps are multiplied by on their way back to the weights.", gt=0, advanced=True
    )


def _problems(params: GaloreParams, facts: ModelFacts | None) -> list[Problem]:
    return rank_problems(params.rank, facts)


def _estimate(params: GaloreParams, shapes: Shapes) -> Trained:
    def core(linear: Linear) -> int:
        return min(params.rank, linear.inputs, linear.outputs) * max(linear.inputs, linear.outputs)

    def basis(linear: Linear) -> int:
        return 4 * min(params.rank, linear.inputs, linear.outputs) * min(linear.inputs, linear.outputs)

    return hold_cores(shapes, core, others=params.train_embeddings, vectors=True, buffer=basis, taking=2, following=22)


def _prepare(base: Base, params: GaloreParams) -> Prepared:
    from studio.engine.low_rank import LowRank  # heavy
    from studio.engine.reduced import prepare_reduced

    return prepare_reduced(
        base,
        lambda weight: LowRank(weight, rank=params.rank, scale=params.scale),
        interval=params.interval,
        others=params.train_embeddings,
        vectors=True,
    )


METHOD = Method(
    key="galore",
    title="GaLore",
    summary="Trains every matrix of the layers through the main directions of its gradient: optimizer memory as small "
    "as an adapter's.",
    good_for="Full-rank changes where the optimizer's memory is what does not fit; made for pre-training first.",
    avoid_when="Steps must be fast: projecting costs time, and LoRA needs no gradients of the model's own weights.",
    Params=GaloreParams,
    learning_rate=1e-4,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
)
