"""Sparse MeZO (arXiv 2402.15751): MeZO on the small weights of each matrix only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method
from studio.methods._layers import whole_weights_problems
from studio.methods._zeroth import ZerothParams, hold_nothing
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class SparseMezoParams(ZerothParams):
    """MeZO's settings, and which weights count as small."""

    key: Literal["sparse_mezo"] = "sparse_mezo"
    share: float = setting(
        0.25,
        title="Trained share",
        help="Share of each matrix's weights that is trained, the smallest ones: noise in large weights hurts most.",
        gt=0,
        le=1,
    )


def _problems(params: SparseMezoParams, facts: ModelFacts | None) -> list[Problem]:
    return whole_weights_problems(facts)


def _prepare(base: Base, params: SparseMezoParams) -> Prepared:
    from studio.engine.zeroth_order import prepare_zeroth_order  # heavy

    return prepare_zeroth_order(base, epsilon=params.epsilon, share=params.share, others=params.train_embeddings)


METHOD = Method(
    key="sparse_mezo",
    title="Sparse MeZO",
    summary="MeZO that moves only the small weights: the same memory, and steps can be longer.",
    good_for="What MeZO is for, sooner; its authors report 9 points more on one task (RTE) in 3.5 times less time.",
    avoid_when="Anything with gradients fits: LoRA needs a fraction of the steps.",
    Params=SparseMezoParams,
    learning_rate=3e-6,
    problems=_problems,
    estimate=hold_nothing,
    prepare=_prepare,
)
