"""Half fine-tuning (HFT, arXiv 2404.18466): a random half of each layer's matrices is trained, the other half kept."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method, MethodParams, Trained
from studio.methods._layers import whole_weights_problems
from studio.models.arithmetic import Shapes
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


_ONE_IN_TWENTY = 1.64
"""Deviations above its mean that a draw exceeds so often."""


class HftParams(MethodParams):
    """How much, and when to draw again."""

    key: Literal["hft"] = "hft"
    share: float = setting(
        0.5,
        title="Trained share",
        help="Share of the matrices of each kind (attention, feed-forward, norms) that is trained in each layer.",
        gt=0,
        le=1,
    )
    interval: int = setting(
        0,
        title="Steps a draw lasts",
        help="Optimizer steps until another half is drawn; 0 keeps one half for the whole run, as the paper does for "
        "one stage of training.",
        unit="steps",
        ge=0,
        advanced=True,
    )
    train_embeddings: bool = setting(
        True,
        title="Train embeddings and head",
        help="Trains embedding, head and last norm as well. Off saves their gradients and optimizer memory.",
    )


def _problems(params: HftParams, facts: ModelFacts | None) -> list[Problem]:
    return whole_weights_problems(facts)


def _estimate(params: HftParams, shapes: Shapes) -> Trained:
    inside = sum(shapes.layer_sizes)
    trained = round(params.share * inside) + (shapes.total - inside if params.train_embeddings else 0)
    beyond = _drawn_beyond(params.share, shapes.expert_layers)
    trained += round(beyond * shapes.experts / max(1, shapes.expert_layers))
    return Trained(
        weights=trained,
        exact=trained,
        gradients=trained,
        state=trained,
        ends=params.train_embeddings,
        layers=round(params.share * shapes.layers + beyond),
    )


def _drawn_beyond(share: float, layers: int) -> float:
    """Layers beyond the mean whose experts a draw may train, which one draw in twenty exceeds.

    A layer's experts are drawn as one against its router, so that chance decides over most of a mixture's numbers.
    """
    return min(_ONE_IN_TWENTY * math.sqrt(layers * share * (1 - share)), layers * (1 - share))


def _prepare(base: Base, params: HftParams) -> Prepared:
    from studio.engine.block_training import prepare_shares  # heavy

    return prepare_shares(base, share=params.share, interval=params.interval, others=params.train_embeddings)


METHOD = Method(
    key="hft",
    title="Half fine-tuning",
    summary="Trains a random half of the matrices in every layer; the frozen half holds on to what the model knows.",
    good_for="Several trainings one after the other: its authors report less forgetting than full fine-tuning, in 30 % "
    "less time.",
    avoid_when="Memory is what is short: it saves half of the gradients and optimizer memory, not more.",
    Params=HftParams,
    learning_rate=2e-5,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
)
