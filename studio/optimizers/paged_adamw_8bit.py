"""AdamW with 8-bit state that moves to RAM when the card is full (QLoRA, arXiv 2305.14314), from bitsandbytes."""

from __future__ import annotations

from typing import Any, Literal

from studio.declare import setting
from studio.optimizers import Optimizer, OptimizerParams


class PagedAdamW8bitParams(OptimizerParams):
    """Adam's two memories."""

    key: Literal["paged_adamw_8bit"] = "paged_adamw_8bit"
    beta1: float = setting(0.9, title="Beta 1", help="Memory of the direction.", ge=0, lt=1, advanced=True)
    beta2: float = setting(0.999, title="Beta 2", help="Memory of the size.", ge=0, lt=1, advanced=True)
    epsilon: float = setting(1e-8, title="Epsilon", help="Keeps small gradients from exploding.", gt=0, advanced=True)


def _build(groups: list[dict[str, Any]], learning_rate: float, params: PagedAdamW8bitParams) -> Any:
    from bitsandbytes.optim import PagedAdamW8bit  # heavy

    return PagedAdamW8bit(groups, lr=learning_rate, betas=(params.beta1, params.beta2), eps=params.epsilon)


OPTIMIZER = Optimizer(
    key="paged_adamw_8bit",
    title="AdamW, 8-bit, paged",
    summary="Like the 8-bit one, and its state moves to RAM for a moment when the card is full.",
    Params=PagedAdamW8bitParams,
    state_bytes=2.03,
    build=_build,
    is_paged=True,
)
