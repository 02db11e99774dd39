"""AdamW with block-wise 8-bit state (arXiv 2110.02861), from bitsandbytes."""

from __future__ import annotations

from typing import Any, Literal

from studio.declare import setting
from studio.optimizers import Optimizer, OptimizerParams


class AdamW8bitParams(OptimizerParams):
    """Adam's two memories."""

    key: Literal["adamw_8bit"] = "adamw_8bit"
    beta1: float = setting(0.9, title="Beta 1", help="Memory of the direction.", ge=0, lt=1, advanced=True)
    beta2: float = setting(0.999, title="Beta 2", help="Memory of the size.", ge=0, lt=1, advanced=True)
    epsilon: float = setting(1e-8, title="Epsilon", help="Keeps small gradients from exploding.", gt=0, advanced=True)


def _build(groups: list[dict[str, Any]], learning_rate: float, params: AdamW8bitParams) -> Any:
    from bitsandbytes.optim import AdamW8bit  # heavy

    return AdamW8bit(groups, lr=learning_rate, betas=(params.beta1, params.beta2), eps=params.epsilon)


OPTIMIZER = Optimizer(
    key="adamw_8bit",
    title="AdamW, 8-bit",
    summary="AdamW in a quarter of its memory; tensors below 4,096 numbers stay exact. Close to AdamW in quality.",
    Params=AdamW8bitParams,
    state_bytes=2.03,
    build=_build,
    smaller="paged_adamw_8bit",
)
