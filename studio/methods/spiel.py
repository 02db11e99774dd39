"""SpIEL (arXiv 2401.16405): a sparse change that grows where gradients are large and is dropped where it is small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method, MethodParams, Trained
from studio.methods._layers import whole_weights_problems
from studio.methods._reduced import hold_cores
from studio.models.arithmetic import Linear, Shapes
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class SpielParams(MethodParams):
    """How many entries, and how fast they are exchanged."""

    key: Literal["spiel"] = "spiel"
    density: float = setting(
        0.01, title="Density", help="Share of each matrix's entries that is trained.", gt=0, le=0.5
    )
    interval: int = setting(
        20,
        title="Steps between exchanges",
        help="Optimizer steps until the entries that moved least are exchanged.",
        unit="steps",
        ge=1,
    )
    turnover: float = setting(
        0.1,
        title="Turnover",
        help="Share of the trained entries exchanged each time; those dropped go back to what they were.",
        ge=0,
        le=0.9,
        advanced=True,
    )


def _problems(params: SpielParams, facts: ModelFacts | None) -> list[Problem]:
    return whole_weights_problems(facts)


def _estimate(params: SpielParams, shapes: Shapes) -> Trained:
    def core(linear: Linear) -> int:
        return max(1, round(params.density * linear.inputs * linear.outputs))

    return hold_cores(shapes, core, others=False, vectors=False, buffer=lambda linear: 12 * core(linear), taking=6)


def _prepare(base: Base, params: SpielParams) -> Prepared:
    from studio.engine.reduced import prepare_reduced  # heavy
    from studio.engine.sparse import Growing

    return prepare_reduced(
        base,
        lambda weight: Growing(weight, density=params.density, turnover=params.turnover),
        interval=params.interval,
        others=False,
        vectors=False,
    )


METHOD = Method(
    key="spiel",
    title="SpIEL",
    summary="Trains a small share of single entries, exchanged as training goes: grown where gradients are large, "
    "dropped where they did little.",
    good_for="A sparse change of the model itself in an adapter's memory; its authors report scores like or above "
    "LoRA's.",
    avoid_when="Speed counts: the backward pass is that of full fine-tuning.",
    Params=SpielParams,
    learning_rate=1e-4,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
)
