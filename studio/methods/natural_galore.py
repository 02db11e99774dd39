"""Natural GaLore (arXiv 2410.16029): GaLore whose steps follow the natural gradient of the last few gradients."""

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


class NaturalGaloreParams(ReducedParams):
    """GaLore's settings, and how many gradients are remembered."""

    key: Literal["natural_galore"] = "natural_galore"
    rank: int = setting(
        32,
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
    history: int = setting(
        8,
        title="Gradients remembered",
        help="Past steps that the natural gradient is told from. Each costs as much as the projected gradient.",
        ge=1,
        le=100,
        advanced=True,
    )


def _problems(params: NaturalGaloreParams, facts: ModelFacts | None) -> list[Problem]:
    return rank_problems(params.rank, facts)


def _estimate(params: NaturalGaloreParams, shapes: Shapes) -> Trained:
    def core(linear: Linear) -> int:
        return min(params.rank, linear.inputs, linear.outputs) * max(linear.inputs, linear.outputs)

    def buffer(linear: Linear) -> int:
        basis = min(params.rank, linear.inputs, linear.outputs) * min(linear.inputs, linear.outputs)
        return 4 * (basis + params.history * core(linear))

    return hold_cores(shapes, core, others=params.train_embeddings, vectors=True, buffer=buffer, taking=2, following=22)


def _prepare(base: Base, params: NaturalGaloreParams) -> Prepared:
    from studio.engine.low_rank import LowRank  # heavy
    from studio.engine.reduced import prepare_reduced

    return prepare_reduced(
        base,
        lambda weight: LowRank(weight, rank=params.rank, scale=params.scale, history=params.history),
        interval=params.interval,
        others=params.train_embeddings,
        vectors=True,
    )


METHOD = Method(
    key="natural_galore",
    title="Natural GaLore",
    summary="GaLore whose steps take the recent gradients' spread into account; it remembers a few of them for that.",
    good_for="Few steps: its authors report lower perplexity than GaLore's and a better fit of function calls.",
    avoid_when="Memory is tight to the last: the remembered gradients can outweigh GaLore's whole optimizer memory.",
    Params=NaturalGaloreParams,
    learning_rate=1e-4,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
)
