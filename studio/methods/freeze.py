"""Freeze-tuning: the last few layers are trained, everything before them stays as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method, MethodParams, Trained
from studio.methods._layers import hold_layers, layer_problems
from studio.models.arithmetic import Shapes
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class FreezeParams(MethodParams):
    """Which layers."""

    key: Literal["freeze"] = "freeze"
    trained_layers: int = setting(
        2,
        title="Trained layers",
        help="Layers trained, counted from the end. The backward pass stops below them, so few are fast as well.",
        ge=1,
        le=1000,
    )
    train_head: bool = setting(
        False,
        title="Train the head",
        help="Trains head and last norm too. Where the head is the embedding itself, the backward pass goes all the "
        "way down.",
    )


def _problems(params: FreezeParams, facts: ModelFacts | None) -> list[Problem]:
    return layer_problems(params.trained_layers, "method.trained_layers", facts)


def _estimate(params: FreezeParams, shapes: Shapes) -> Trained:
    held = hold_layers(shapes, 0, others=False)
    head = (shapes.head or shapes.embedding) if params.train_head else 0
    trained = sum(shapes.layer_sizes[-params.trained_layers :]) + head
    is_deep = params.train_head and not shapes.head
    return replace(
        held,
        weights=trained,
        exact=trained,
        gradients=trained,
        state=trained,
        layers=min(params.trained_layers, shapes.layers),
        depth=None if is_deep else min(params.trained_layers, shapes.layers),
    )


def _prepare(base: Base, params: FreezeParams) -> Prepared:
    from studio.engine.block_training import prepare_layers  # heavy
    from studio.engine.choosers import Fixed

    return prepare_layers(
        base,
        lambda layers: Fixed(range(len(layers.blocks))[-params.trained_layers :]),
        interval=0,
        others="head" if params.train_head else "none",
    )


METHOD = Method(
    key="freeze",
    title="Last layers only",
    summary="Trains the last few layers whole; those before are only run forward, which saves memory and time.",
    good_for="Tone, format and other late decisions of a model, on a small card.",
    avoid_when="The model must learn something new: early layers cannot move. LISA reaches all of them.",
    Params=FreezeParams,
    learning_rate=2e-5,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
)
