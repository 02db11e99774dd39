"""Block coordinate descent with Adam (BAdam, arXiv 2404.02827): one layer after the other, each for some steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method, MethodParams, Trained
from studio.methods._layers import hold_layers, whole_weights_problems
from studio.models.arithmetic import Shapes
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class BadamParams(MethodParams):
    """How long a block is trained and who is next."""

    key: Literal["badam"] = "badam"
    interval: int = setting(
        50,
        title="Steps a block",
        help="Optimizer steps for one layer before the next. The run should be long enough for all layers to come up.",
        unit="steps",
        ge=1,
    )
    order: Literal["random", "ascending", "descending"] = setting(
        "random", title="Order", help="Random draws a new order each round; or from the first layer up, or down."
    )
    train_embeddings: bool = setting(
        False,
        title="Train embeddings and head",
        help="Gives embedding and head turns of their own. With a large vocabulary they are the largest blocks.",
    )


def _problems(params: BadamParams, facts: ModelFacts | None) -> list[Problem]:
    return whole_weights_problems(facts)


def _estimate(params: BadamParams, shapes: Shapes) -> Trained:
    held = hold_layers(shapes, 1, others=False)
    if not params.train_embeddings or max(shapes.embedding, shapes.head) <= held.weights:
        return held
    widest = max(shapes.embedding, shapes.head)
    return Trained(weights=widest, exact=widest, gradients=widest, state=widest, layers=0)


def _prepare(base: Base, params: BadamParams) -> Prepared:
    from studio.engine.block_training import prepare_turns  # heavy

    return prepare_turns(base, order=params.order, interval=params.interval, others=params.train_embeddings)


METHOD = Method(
    key="badam",
    title="BAdam",
    summary="Trains one layer at a time with full Adam, then the next: all weights learn in the memory of one layer.",
    good_for="The least memory that still trains every weight; its authors report scores a little above LoRA's.",
    avoid_when="The run has fewer steps than layers times steps a block: most of the model would never learn.",
    Params=BadamParams,
    learning_rate=2e-5,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
)
