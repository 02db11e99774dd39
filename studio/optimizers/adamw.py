"""AdamW in fp32, torch's fused kernel."""

from __future__ import annotations

from typing import Any, Literal

from studio.declare import setting
from studio.optimizers import Optimizer, OptimizerParams


class AdamWParams(OptimizerParams):
    """Adam's two memories."""

    key: Literal["adamw"] = "adamw"
    beta1: float = setting(0.9, title="Beta 1", help="Memory of the direction.", ge=0, lt=1, advanced=True)
    beta2: float = setting(0.999, title="Beta 2", help="Memory of the size.", ge=0, lt=1, advanced=True)
    epsilon: float = setting(1e-8, title="Epsilon", help="Keeps small gradients from exploding.", gt=0, advanced=True)


def _build(groups: list[dict[str, Any]], learning_rate: float, params: AdamWParams) -> Any:
    import torch  # heavy

    return torch.optim.AdamW(
        groups, lr=learning_rate, betas=(params.beta1, params.beta2), eps=params.epsilon, fused=True
    )


OPTIMIZER = Optimizer(
    key="adamw",
    title="AdamW",
    summary="The usual choice: exact, eight bytes of memory for each trained number.",
    Params=AdamWParams,
    state_bytes=8,
    build=_build,
    is_shardable=True,
    smaller="adamw_8bit",
)
