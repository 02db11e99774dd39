"""LIFT (arXiv 2506.00772): only the entries that carry a weight's low-rank part are trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method, MethodParams, Trained
from studio.methods._reduced import hold_cores, rank_problems
from studio.models.arithmetic import Shapes
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class LiftParams(MethodParams):
    """How many entries, and how long they are the same."""

    key: Literal["lift"] = "lift"
    rank: int = setting(
        16,
        title="Rank",
        help="Rank of the part of each weight that says which entries matter; as many entries are trained as an "
        "adapter of this rank has numbers.",
        ge=1,
        le=4096,
    )
    interval: int = setting(
        200,
        title="Steps a mask lasts",
        help="Optimizer steps until the entries are chosen anew; 0 keeps the first choice.",
        unit="steps",
        ge=0,
    )


def _problems(params: LiftParams, facts: ModelFacts | None) -> list[Problem]:
    return rank_problems(params.rank, facts)


def _estimate(params: LiftParams, shapes: Shapes) -> Trained:
    return hold_cores(
        shapes,
        lambda linear: min(params.rank * (linear.inputs + linear.outputs), linear.inputs * linear.outputs),
        others=False,
        vectors=False,
        buffer=lambda linear: 8 * params.rank * (linear.inputs + linear.outputs),
        taking=6,
    )


def _prepare(base: Base, params: LiftParams) -> Prepared:
    from studio.engine.reduced import prepare_reduced  # heavy
    from studio.engine.sparse import Principal

    return prepare_reduced(
        base,
        lambda weight: Principal(weight, rank=params.rank),
        interval=params.interval,
        others=False,
        vectors=False,
    )


METHOD = Method(
    key="lift",
    title="LIFT",
    summary="Trains the few entries of each matrix that stand out in its low-rank part, and keeps optimizer memory for "
    "those alone.",
    good_for="Reasoning tasks: its authors report scores above full fine-tuning with 20 % more of the old skills kept.",
    avoid_when="Speed counts: the backward pass is that of full fine-tuning.",
    Params=LiftParams,
    learning_rate=1e-4,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
)
