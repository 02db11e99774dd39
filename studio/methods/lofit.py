"""LoFiT (arXiv 2406.01563): a few attention heads are chosen, and a vector is learned to add to each one's output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method, MethodParams, Trained
from studio.methods._layers import whole_weights_problems
from studio.models.arithmetic import Shapes
from studio.models.facts import ModelFacts

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class LofitParams(MethodParams):
    """How many heads, and how they are chosen."""

    key: Literal["lofit"] = "lofit"
    share: float = setting(0.1, title="Chosen heads", help="Share of all heads that learn a vector.", gt=0, le=1)
    selection_steps: int = setting(
        50,
        title="Steps of choosing",
        help="Optimizer steps in which all heads are scaled to see which matter; their scales are then forgotten. The "
        "run must be longer.",
        unit="steps",
        ge=1,
    )
    sparsity: float = setting(
        5e-4,
        title="Pull towards none",
        help="Pulls scales towards nothing while heads are chosen, so that few stand out.",
        ge=0,
        le=1,
        advanced=True,
    )


def _problems(params: LofitParams, facts: ModelFacts | None) -> list[Problem]:
    found = whole_weights_problems(facts)
    if facts and (facts.architecture != "LlamaForCausalLM" or facts.config.get("attention_bias")):
        message = "LoFiT needs an architecture whose attention output may have a bias and has none yet: Llama's."
        found.append(Problem("method.key", message, "Choose lora, or a Llama model."))
    return found


def _estimate(params: LofitParams, shapes: Shapes) -> Trained:
    vectors = shapes.layers * shapes.heads * shapes.head_size
    return Trained(adapter=2 * vectors, gradients=vectors, state=vectors)


def _prepare(base: Base, params: LofitParams) -> Prepared:
    from studio.engine.head_offsets import prepare_head_offsets  # heavy

    return prepare_head_offsets(
        base, share=params.share, selection_steps=params.selection_steps, sparsity=params.sparsity
    )


METHOD = Method(
    key="lofit",
    title="LoFiT",
    summary="Learns a vector to add to a few attention heads, chosen first: some thousand numbers for a whole model.",
    good_for="Truthfulness and reasoning with few rows; its authors come near LoRA with 20 to 200 times fewer numbers.",
    avoid_when="The model must learn much that is new: so few numbers cannot hold it.",
    Params=LofitParams,
    learning_rate=5e-3,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
)
