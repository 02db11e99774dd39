"""EVA (arXiv 2410.07170): LoRA that begins along the main directions of its layers' inputs, rank where it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method
from studio.methods._lora import LowRankParams, estimate, experts_problems, problems
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class EvaParams(LowRankParams):
    """LoRA's settings, and how far ranks may move between layers."""

    reaches_experts: ClassVar[bool] = False
    key: Literal["eva"] = "eva"
    redistribution: float = setting(
        2.0,
        title="Redistribution",
        help="How many times its rank a layer may get at the cost of others; 1 leaves all ranks alike.",
        ge=1,
        le=8,
    )


def _problems(params: EvaParams, facts: ModelFacts | None) -> list[Problem]:
    found = problems(params, facts)
    found += experts_problems(params, facts)
    if params.dora:
        found.append(Problem("method.dora", "DoRA does not go with EVA.", "Turn dora off."))
    return found


def _prepare(base: Base, params: EvaParams) -> Prepared:
    from studio.engine.calibrated import prepare_eva  # heavy

    return prepare_eva(base, params, redistribution=params.redistribution)


METHOD = Method(
    key="eva",
    title="EVA (LoRA from the data)",
    summary="LoRA that first looks at some rows: it begins along their main directions and gives rank to the layers "
    "that need it.",
    good_for="LoRA at a low rank; its authors report faster learning and better average scores than LoRA's.",
    avoid_when="A minute of measuring before the first step matters on a slow machine.",
    Params=EvaParams,
    learning_rate=2e-4,
    problems=_problems,
    estimate=estimate,
    prepare=_prepare,
)
