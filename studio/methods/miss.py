"""MiSS (arXiv 2409.15371), the successor of Bone: an adapter of one thin matrix that is shared along the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method, MethodParams, Trained
from studio.methods._lora import targeted
from studio.models.arithmetic import Shapes
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class MissParams(MethodParams):
    """Width and form."""

    key: Literal["miss"] = "miss"
    rank: int = setting(
        32,
        title="Rank",
        help="Width of the adapter; even. Higher learns more and costs more. At the same rank it has about half of "
        "LoRA's numbers.",
        ge=2,
        le=4096,
        multiple_of=2,
    )
    dropout: float = setting(
        0.0, title="Dropout", help="Share of inputs hidden while training; a little helps against few rows.", ge=0, lt=1
    )
    targets: Literal["all-linear"] | list[str] = setting(
        "all-linear",
        title="Layers",
        help='Which layers get an adapter: "all-linear", or names such as [q_proj, v_proj].',
        advanced=True,
    )
    form: Literal["miss", "bone"] = setting(
        "miss",
        title="Form",
        help="MiSS adds to the weights alone; Bone's form (peft's \"bat\") depends on them as well, and is slower. Its "
        "rank must divide the layers' widths.",
        advanced=True,
    )


def _problems(params: MissParams, facts: ModelFacts | None) -> list[Problem]:
    found = []
    if isinstance(params.targets, list) and not params.targets:
        found.append(Problem("method.targets", "No layer is named.", 'Name some, or use "all-linear".'))
    if facts and facts.hidden_size and params.rank > facts.hidden_size:
        message = f"Rank {params.rank} is above the model's width of {facts.hidden_size}."
        found.append(Problem("method.rank", message, f"Use at most {facts.hidden_size}."))
    elif params.form == "bone" and facts and facts.hidden_size % params.rank:
        message = f"Rank {params.rank} does not divide the model's width of {facts.hidden_size}."
        found.append(Problem("method.rank", message, "Use a power of two, or the form miss."))
    return found


def _estimate(params: MissParams, shapes: Shapes) -> Trained:
    found = targeted(params.targets, shapes)
    wide = params.rank if params.form == "bone" else 1
    numbers = sum(params.rank * linear.outputs * linear.count for linear in found)
    return Trained(
        adapter=numbers,
        gradients=numbers,
        state=numbers,
        adapted=frozenset(linear.name for linear in found),
        rank=params.rank,
        keeps_inputs=False,
        scratch_bytes=4 * shapes.widest if wide > 1 else 0,
    )


def _prepare(base: Base, params: MissParams) -> Prepared:
    from studio.engine.adapters import attach, load_frozen  # heavy
    from studio.engine.miss import miss_config

    return attach(load_frozen(base), base, miss_config(base, params))


METHOD = Method(
    key="miss",
    title="MiSS / Bone",
    summary="An adapter of one thin matrix beside each linear layer instead of LoRA's two.",
    good_for="What LoRA is for, with fewer numbers; its authors report better scores than LoRA at the same memory.",
    avoid_when="The adapter must go to llama.cpp on its own: only a merged model can.",
    Params=MissParams,
    learning_rate=2e-4,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
)
