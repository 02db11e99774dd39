"""LoRA: a small adapter beside every linear layer is trained, the model itself stays as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method, Trained
from studio.methods._lora import (
    NOT_ON_EXPERTS,
    PlacedParams,
    estimate,
    estimate_streamed,
    placed_problems,
    placements,
)
from studio.methods._streamed import GraphParams
from studio.models.arithmetic import Shapes
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class LoraParams(GraphParams, PlacedParams):
    """LoRA, with the library's variants that train, merge and export."""

    key: Literal["lora"] = "lora"
    init: Literal["default", "gaussian", "pissa", "pissa_niter_16", "olora", "mica"] = setting(
        "default",
        title="Start from",
        help="How the adapter begins. PiSSA and OLoRA start from the model's own main directions and learn faster at "
        "first; their saved adapter has twice the rank.",
        advanced=True,
    )


def _can_stream(params: LoraParams) -> bool:
    """Whether the adapter begins without a look at the base's weights."""
    return params.init in ("default", "gaussian")


def _problems(params: LoraParams, facts: ModelFacts | None) -> list[Problem]:
    found = placed_problems(params, facts, can_stream=_can_stream(params))
    if params.dora and params.init not in ("default", "gaussian"):
        found.append(
            Problem("method.init", f'"{params.init}" does not go with DoRA.', 'Use init "default", or turn dora off.')
        )
    if facts and estimate(params, facts.shapes).adapts_experts and params.init not in ("default", "gaussian"):
        message = f"Adapters on a mixture's experts cannot start from {params.init}."
        found.append(Problem("method.init", message, NOT_ON_EXPERTS))
    return found


def _estimate(params: LoraParams, shapes: Shapes) -> Trained:
    if params.placement == "drive":
        streamed = estimate_streamed(params, shapes)
        return streamed if shapes.experts else replace(streamed, graph_bytes=params.graph_bytes)
    return estimate(params, shapes)


def _prepare(base: Base, params: LoraParams) -> Prepared:
    if params.placement == "drive":
        from studio.engine.stream.frozen import prepare_frozen  # heavy

        return prepare_frozen(
            base,
            params,
            init=params.init,
            quantise=False,
            cache_bytes=params.cache_bytes,
            graph_bytes=params.graph_bytes,
            layer_inputs=params.inputs_place,
        )
    from studio.engine.adapters import prepare_low_rank  # heavy

    return prepare_low_rank(base, params, init=params.init, quantise=False)


METHOD = Method(
    key="lora",
    title="LoRA",
    summary="Trains small adapters beside the linear layers; the model itself stays as it is.",
    good_for="Most tasks on a model whose 16-bit weights fit the card.",
    avoid_when="The weights alone nearly fill the card: QLoRA needs a third of that.",
    Params=LoraParams,
    learning_rate=2e-4,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
    lighter="qlora",
    placements=lambda params: placements(params, can_stream=_can_stream(params)),
)
