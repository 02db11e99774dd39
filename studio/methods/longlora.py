"""LongLoRA (arXiv 2309.12307): LoRA for rows longer than the model knows, with attention inside groups."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method, Trained
from studio.methods._layers import whole_weights_problems
from studio.methods._lora import LowRankParams, estimate, problems
from studio.models.arithmetic import Shapes
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class LongloraParams(LowRankParams):
    """LoRA's settings, and how long rows are read."""

    key: Literal["longlora"] = "longlora"
    stretch: float = setting(
        1.0,
        title="Stretch of the context",
        help="How many times longer the context becomes; positions are interpolated, and train.max_length may grow as "
        "much. 1 keeps the model's own.",
        ge=1,
        le=64,
    )
    group_share: float = setting(
        0.25,
        title="Group",
        help="Share of a row that a token can look at while training; half of the heads use groups shifted by half.",
        gt=0,
        le=1,
        advanced=True,
    )
    train_embeddings: bool = setting(
        True,
        title="Train embedding and norms",
        help="The paper found this needed for long contexts. With a large vocabulary it is most of the memory.",
    )


def _problems(params: LongloraParams, facts: ModelFacts | None) -> list[Problem]:
    found = [*problems(params, facts), *whole_weights_problems(facts)]
    if params.dora:
        found.append(Problem("method.dora", "DoRA does not go with LongLoRA.", "Turn dora off."))
    return found


def _estimate(params: LongloraParams, shapes: Shapes) -> Trained:
    held = estimate(params, shapes)
    others = shapes.embedding + shapes.vectors if params.train_embeddings else 0
    numbers = held.adapter + others
    ends = params.train_embeddings
    return replace(
        held, weights=others, exact=others, gradients=numbers, state=numbers, ends=ends, norms_alone=ends
    )


def _prepare(base: Base, params: LongloraParams) -> Prepared:
    from studio.engine.long_context import prepare_long  # heavy

    return prepare_long(base, params, share=params.group_share, stretch=params.stretch, others=params.train_embeddings)


METHOD = Method(
    key="longlora",
    title="LongLoRA",
    summary="LoRA that also trains embedding and norms and reads long rows in groups; the result can know a "
    "longer context.",
    good_for="Documents longer than the model's context; its authors took a 7B model to 100,000 tokens on eight cards.",
    avoid_when="Rows fit the model's context: plain LoRA sees all of them. The result is a whole model, no adapter.",
    Params=LongloraParams,
    learning_rate=2e-4,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
    stretch=lambda params: float(params.stretch),
)
