"""CorDA (arXiv 2406.05223): LoRA that begins from directions of the weights chosen by what goes through them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method, Trained
from studio.methods._lora import LowRankParams, estimate, experts_problems, problems, targeted
from studio.models.arithmetic import Shapes
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class CordaParams(LowRankParams):
    """LoRA's settings, and which directions."""

    reaches_experts: ClassVar[bool] = False
    key: Literal["corda"] = "corda"
    mode: Literal["task", "knowledge"] = setting(
        "task",
        title="Begin from",
        help="Task: what the training rows use most, to learn fast. Knowledge: what the model's own writing uses "
        "least, to forget little; the paper measures that on question-answer sets, here the model writes some text.",
    )


def _problems(params: CordaParams, facts: ModelFacts | None) -> list[Problem]:
    found = problems(params, facts)
    found += experts_problems(params, facts)
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

    return prepare_corda(base, params, keeps_knowledge=params.mode == "knowledge")


METHOD = Method(
    key="corda",
    title="CorDA (LoRA from data and weights)",
    summary="LoRA that begins from the parts of the weights that the rows use most, or that what the model knows uses "
    "least; it measures before it trains.",
    good_for="A quick start on a task, or less forgetting; its authors report better results than LoRA and PiSSA.",
    avoid_when="Memory is tight: measuring takes up to twice the model's size for a moment, and 4 bits will not do.",
    Params=CordaParams,
    learning_rate=2e-4,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
)
