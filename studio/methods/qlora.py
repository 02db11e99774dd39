"""QLoRA (arXiv 2305.14314): LoRA over a base kept in 4 bits (NF4, double quantisation)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method, Trained
from studio.methods._lora import PlacedParams, estimate, estimate_streamed, placed_problems, placements
from studio.models.arithmetic import Shapes
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class QloraParams(PlacedParams):
    """QLoRA. Only beginnings that leave the base alone: a 4-bit base cannot be changed."""

    key: Literal["qlora"] = "qlora"
    init: Literal["default", "gaussian"] = setting(
        "default", title="Start from", help="How the adapter begins.", advanced=True
    )


def _problems(params: QloraParams, facts: ModelFacts | None) -> list[Problem]:
    found = placed_problems(params, facts)
    if facts and "quantization_config" in facts.config:
        found.append(Problem("method.key", "This model is quantised already.", "Choose its 16-bit original for QLoRA."))
    return found


def _estimate(params: QloraParams, shapes: Shapes) -> Trained:
    return (estimate_streamed if params.placement == "drive" else estimate)(params, shapes, quantised=True)


def _prepare(base: Base, params: QloraParams) -> Prepared:
    if params.placement == "drive":
        from studio.engine.stream.frozen import prepare_frozen  # heavy

        return prepare_frozen(
            base,
            params,
            init=params.init,
            quantise=True,
            cache_bytes=params.cache_bytes,
            graph_bytes=0,
            layer_inputs=params.inputs_place,
        )
    from studio.engine.adapters import prepare_low_rank  # heavy

    return prepare_low_rank(base, params, init=params.init, quantise=True)


METHOD = Method(
    key="qlora",
    title="QLoRA",
    summary="LoRA over a base kept in 4 bits: about a third of LoRA's memory, somewhat slower.",
    good_for="Large models on small cards.",
    avoid_when="LoRA fits: it is faster, and its base is exact.",
    Params=QloraParams,
    learning_rate=2e-4,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
    quantises_base=True,
    placements=placements,
)
