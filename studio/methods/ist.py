"""IST (arXiv 2410.11772): LoRA whose layers take turns, by how much the loss needs them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from studio.declare import setting
from studio.methods import Method, Trained
from studio.methods._lora import LowRankParams, estimate, problems
from studio.models.arithmetic import Shapes

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class IstParams(LowRankParams):
    """LoRA's settings, and how many layers learn at once."""

    key: Literal["ist"] = "ist"
    active_share: float = setting(
        0.25, title="Active layers", help="Share of the layers whose adapters are trained at a time.", gt=0, le=1
    )
    interval: int = setting(
        1, title="Steps a draw lasts", help="Optimizer steps until other layers are drawn.", unit="steps", ge=1
    )


def _estimate(params: IstParams, shapes: Shapes) -> Trained:
    held = estimate(params, shapes)
    active = round(params.active_share * shapes.layers)
    return replace(held, gradients=round(params.active_share * held.adapter), adapted_layers=active)


def _prepare(base: Base, params: IstParams) -> Prepared:
    from studio.engine.ist import prepare_ist  # heavy

    return prepare_ist(base, params, share=params.active_share, interval=params.interval)


METHOD = Method(
    key="ist",
    title="IST (sampled LoRA)",
    summary="LoRA that trains a few layers' adapters at a time, drawn by how much the loss needs each layer.",
    good_for="LoRA with less gradient memory; its authors report better scores than training all adapters at once.",
    avoid_when="The model has few layers, or every second counts: every ten steps it takes three more forward passes.",
    Params=IstParams,
    learning_rate=2e-4,
    problems=problems,
    estimate=_estimate,
    prepare=_prepare,
)
