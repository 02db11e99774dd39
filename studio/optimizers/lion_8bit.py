"""Lion (arXiv 2302.06675) with block-wise 8-bit state, from bitsandbytes."""

from __future__ import annotations

from typing import Any, Literal

from studio.declare import setting
from studio.optimizers import Optimizer, OptimizerParams


class Lion8bitParams(OptimizerParams):
    """Lion's memory of directions."""

    key: Literal["lion_8bit"] = "lion_8bit"
    beta1: float = setting(0.9, title="Beta 1", help="Memory of the direction.", ge=0, lt=1, advanced=True)
    beta2: float = setting(0.99, title="Beta 2", help="Memory of directions, longer.", ge=0, lt=1, advanced=True)


def _build(groups: list[dict[str, Any]], learning_rate: float, params: Lion8bitParams) -> Any:
    from bitsandbytes.optim import Lion8bit  # heavy

    return Lion8bit(groups, lr=learning_rate, betas=(params.beta1, params.beta2))


OPTIMIZER = Optimizer(
    key="lion_8bit",
    title="Lion, 8-bit",
    summary="Steps of equal size by sign; half of the 8-bit AdamW's memory. Wants a third to a tenth of AdamW's rate.",
    Params=Lion8bitParams,
    state_bytes=1.02,
    build=_build,
)
