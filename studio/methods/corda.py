"""CorDA (arXiv 2406.05223), instruction-previewed: LoRA that begins from the weights' directions the rows use most."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from studio.errors import Problem
from studio.methods import Method, Trained
from studio.methods._lora import LowRankParams, estimate, problems, targeted
from studio.models.arithmetic import Shapes
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class CordaParams(LowRankParams):
    """LoRA's settings."""

    key: Literal["corda"] = "corda"


def _problems(params: CordaParams, facts: ModelFacts | None) -> list[Problem]:
    found = problems(params, facts)
    if params.dora:
        found.append(Problem("method.dora", "DoRA does not go with CorDA.", "Turn dora off."))
    if facts and "quantization_config" in facts.config:
        found.append(Problem("method.key", "CorDA changes the base, so it must not be quantised.", "Choose eva."))
    return found


def _estimate(params: CordaParams, shapes: Shapes) -> Trained:
    """The fullest moment may be before the first step: a covariance of each layer's inputs, in fp32."""
    held = estimate(params, shapes)
    covariances = sum(linear.inputs**2 * linear.count for linear in targeted(params.targets, shapes))
    return replace(held, scratch_bytes=4 * covariances)


def _prepare(base: Base, params: CordaParams) -> Prepared:
    from studio.engine.calibrated import prepare_corda  # heavy

    return prepare_corda(base, params)


METHOD = Method(
    key="corda",
    title="CorDA (LoRA from data and weights)",
    summary="LoRA that begins from the parts of the weights that some of the rows use most; it measures before it "
    "trains.",
    good_for="A quick start on a task; its authors report better results than LoRA and PiSSA.",
    avoid_when="Memory is tight: measuring takes up to twice the model's size for a moment, and 4 bits will not do.",
    Params=CordaParams,
    learning_rate=2e-4,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
)
