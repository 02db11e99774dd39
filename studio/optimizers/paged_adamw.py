"""AdamW with fp32 state that moves to RAM when the card is full, from bitsandbytes."""

from __future__ import annotations

from typing import Any, Literal

from studio.declare import setting
from studio.optimizers import Optimizer, OptimizerParams


class PagedAdamWParams(OptimizerParams):
    """Adam's two memories."""

    key: Literal["paged_adamw"] = "paged_adamw"
    beta1: float = setting(0.9, title="Beta 1", help="Memory of the direction.", ge=0, lt=1, advanced=True)
    beta2: float = setting(0.999, title="Beta 2", help="Memory of the size.", ge=0, lt=1, advanced=True)
    epsilon: float = setting(1e-8, title="Epsilon", help="Keeps small gradients from exploding.", gt=0, advanced=True)


def _build(groups: list[dict[str, Any]], learning_rate: float, params: PagedAdamWParams) -> Any:
    from bitsandbytes.optim import PagedAdamW32bit  # heavy

    return PagedAdamW32bit(groups, lr=learning_rate, betas=(params.beta1, params.beta2), eps=params.epsilon)


OPTIMIZER = Optimizer(
    key="paged_adamw",
    title="AdamW, paged",
    summary="Exact AdamW whose state moves to RAM for a moment when the card is full.",
    Params=PagedAdamWParams,
    state_bytes=8,
    build=_build,
    smaller="paged_adamw_8bit",
    is_paged=True,
)
