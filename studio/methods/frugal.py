"""FRUGAL (arXiv 2411.07837): some columns of each matrix get full Adam, the rest plain sign steps without memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method, Trained
from studio.methods._layers import whole_weights_problems
from studio.methods._reduced import ReducedParams, hold_cores
from studio.models.arithmetic import Shapes
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class FrugalParams(ReducedParams):
    """How much gets the full optimizer, and how long."""

    key: Literal["frugal"] = "frugal"
    share: float = setting(
        0.25,
        title="Share with memory",
        help="Share of each matrix's columns that the full optimizer steps; its memory is this share of Adam's.",
        gt=0,
        le=1,
    )
    interval: int = setting(
        200,
        title="Steps a draw lasts",
        help="Optimizer steps until other columns are drawn; their memory then begins afresh.",
        unit="steps",
        ge=1,
    )
    sign_scale: float = setting(
        0.25,
        title="Length of sign steps",
        help="In learning rates. A sign step moves every weight by the same amount, so it should be short.",
        ge=0,
        le=10,
        advanced=True,
    )


def _problems(params: FrugalParams, facts: ModelFacts | None) -> list[Problem]:
    return whole_weights_problems(facts)


def _estimate(params: FrugalParams, shapes: Shapes) -> Trained:
    return hold_cores(
        shapes,
        lambda linear: max(1, round(params.share * linear.inputs)) * linear.outputs,
        others=params.train_embeddings,
        vectors=True,
        taking=20,
        following=18,
    )


def _prepare(base: Base, params: FrugalParams) -> Prepared:
    from studio.engine.columns import Columns  # heavy
    from studio.engine.reduced import prepare_reduced

    return prepare_reduced(
        base,
        lambda weight: Columns(weight, share=params.share, sign_scale=params.sign_scale),
        interval=params.interval,
        others=params.train_embeddings,
        vectors=True,
    )


METHOD = Method(
    key="frugal",
    title="FRUGAL",
    summary="Trains all matrices of the layers: a changing share with the full optimizer, the rest by sign steps that "
    "need no memory.",
    good_for="Full-rank training with little optimizer memory; its authors report better results than GaLore and BAdam "
    "at the same memory.",
    avoid_when="Batches are tiny: a sign step trusts every gradient alike.",
    Params=FrugalParams,
    learning_rate=2e-5,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
)
