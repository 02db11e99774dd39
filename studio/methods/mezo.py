"""MeZO (arXiv 2305.17333): trains by comparing forward passes; nothing is ever differentiated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from studio.errors import Problem
from studio.methods import Method
from studio.methods._layers import whole_weights_problems
from studio.methods._zeroth import ZerothParams, hold_nothing
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class MezoParams(ZerothParams):
    """MeZO over all weights of the layers."""

    key: Literal["mezo"] = "mezo"


def _problems(params: MezoParams, facts: ModelFacts | None) -> list[Problem]:
    return whole_weights_problems(facts)


def _prepare(base: Base, params: MezoParams) -> Prepared:
    from studio.engine.zeroth_order import prepare_zeroth_order  # heavy

    return prepare_zeroth_order(base, epsilon=params.epsilon, share=1.0, others=params.train_embeddings)


METHOD = Method(
    key="mezo",
    title="MeZO",
    summary="Trains every weight in the memory of running the model: two forward passes a step and no gradients.",
    good_for="The largest model that the card can run at all, and plenty of time; its authors count 12 times "
    "less memory.",
    avoid_when="Anything else fits: it needs thousands of steps where gradients need hundreds.",
    Params=MezoParams,
    learning_rate=1e-6,
    problems=_problems,
    estimate=hold_nothing,
    prepare=_prepare,
)
