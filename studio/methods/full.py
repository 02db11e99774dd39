"""Full fine-tuning: every weight is trained, in fp32 under the chosen arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from studio.errors import Problem
from studio.methods import Method, MethodParams, Trained
from studio.models.arithmetic import Shapes
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class FullParams(MethodParams):
    """No settings of its own."""

    key: Literal["full"] = "full"


def _problems(params: FullParams, facts: ModelFacts | None) -> list[Problem]:
    if facts and "quantization_config" in facts.config:
        return [Problem("method.key", "A quantised model cannot be trained whole.", "Choose its 16-bit original.")]
    return []


def _estimate(params: FullParams, shapes: Shapes) -> Trained:
    every = shapes.total
    return Trained(weights=every, exact=every, gradients=every, state=every, ends=True, layers=shapes.layers)


def _prepare(base: Base, params: FullParams) -> Prepared:
    from studio.engine.full import prepare_full  # heavy

    return prepare_full(base)


METHOD = Method(
    key="full",
    title="Full fine-tuning",
    summary="Trains every weight: the most freedom, and about sixteen bytes of memory for each.",
    good_for="Small models, or a deep change such as a new language.",
    avoid_when="Memory is short or rows are few: LoRA gets as far and forgets less.",
    Params=FullParams,
    learning_rate=2e-5,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
    lighter="lora",
    is_sharded=True,
)
