"""Adafactor (arXiv 1804.04235), torch's own."""

from __future__ import annotations

from typing import Any, Literal

from studio.declare import setting
from studio.optimizers import Optimizer, OptimizerParams


class AdafactorParams(OptimizerParams):
    """Adafactor's decay of its row and column memory."""

    key: Literal["adafactor"] = "adafactor"
    beta2_decay: float = setting(
        -0.8, title="Decay", help="How fast the memory of sizes fades as steps go on.", le=0, ge=-1, advanced=True
    )


def _build(groups: list[dict[str, Any]], learning_rate: float, params: AdafactorParams) -> Any:
    import torch  # heavy

    return torch.optim.Adafactor(groups, lr=learning_rate, beta2_decay=params.beta2_decay)


OPTIMIZER = Optimizer(
    key="adafactor",
    title="Adafactor",
    summary="Keeps sizes by row and column only: almost no memory for large matrices.",
    Params=AdafactorParams,
    state_bytes=0.02,
    build=_build,
    scratch_bytes=8,
)
