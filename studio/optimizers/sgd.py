"""Stochastic gradient descent, torch's own."""

from __future__ import annotations

from typing import Any, Literal

from studio.declare import setting
from studio.optimizers import Optimizer, OptimizerParams


class SgdParams(OptimizerParams):
    """Momentum, if any."""

    key: Literal["sgd"] = "sgd"
    momentum: float = setting(
        0.0, title="Momentum", help="Memory of the direction; costs four bytes a trained number.", ge=0, lt=1
    )


def _build(groups: list[dict[str, Any]], learning_rate: float, params: SgdParams) -> Any:
    import torch  # heavy

    return torch.optim.SGD(groups, lr=learning_rate, momentum=params.momentum)


OPTIMIZER = Optimizer(
    key="sgd",
    title="SGD",
    summary="No memory at all without momentum; wants a much higher learning rate and patience.",
    Params=SgdParams,
    state_bytes=0,
    build=_build,
    is_shardable=True,
)
