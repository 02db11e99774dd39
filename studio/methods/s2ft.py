"""S2FT (arXiv 2412.06289): a few whole attention heads and feed-forward channels are trained, as dense slices."""

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


class S2ftParams(MethodParams):
    """How many heads and channels."""

    key: Literal["s2ft"] = "s2ft"
    heads: float = setting(
        0.05, title="Trained heads", help="Share of the attention heads in each layer; one at least.", ge=0, le=1
    )
    channels: float = setting(
        0.05,
        title="Trained channels",
        help="Share of the feed-forward channels in each layer; one at least.",
        ge=0,
        le=1,
    )


def _problems(params: S2ftParams, facts: ModelFacts | None) -> list[Problem]:
    found = whole_weights_problems(facts)
    if params.heads == 0 and params.channels == 0:
        found.append(Problem("method.heads", "No heads and no channels are trained.", "Raise one of the two."))
    return found


def _estimate(params: S2ftParams, shapes: Shapes) -> Trained:
    def core(name: str) -> int:
        if name == "o_proj" and params.heads:
            share = max(params.heads, 1 / max(1, shapes.heads))
        else:
            share = params.channels if name == "down_proj" else 0.0
        return sum(round(share * linear.numbers) for linear in shapes.linears if linear.name == name)

    numbers = core("o_proj") + core("down_proj")
    return Trained(adapter=numbers, gradients=numbers, state=numbers)


def _prepare(base: Base, params: S2ftParams) -> Prepared:
    from studio.engine.sliced import prepare_slices  # heavy

    return prepare_slices(base, heads=params.heads, channels=params.channels)


METHOD = Method(
    key="s2ft",
    title="S2FT",
    summary="Trains a random few attention heads and feed-forward channels as dense slices; only their part of the "
    "backward pass is computed.",
    good_for="A sparse change that is as fast as an adapter; its authors report better generalisation than LoRA's, 3 "
    "times less memory and 1.5 to 2.7 times the speed of full fine-tuning.",
    avoid_when="The change is deep or must be taken off again: the weights themselves are changed.",
    Params=S2ftParams,
    learning_rate=2e-4,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
)
