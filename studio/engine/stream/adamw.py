"""AdamW as torch steps it: what schemes without compiled code call, and what that code is held to."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Hyper:
    """What AdamW is told at step `step` (the first is 1)."""

    step: int
    rate: float
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8


def adamw(
    weights: torch.Tensor,
    gradient: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    decay: float,
    hyper: Hyper,
) -> None:
    """torch's own fused kernel, which is also what an AdamW in memory runs: the same bits."""
    torch._fused_adamw_(
        [weights],
        [gradient],
        [first],
        [second],
        [],
        [torch.tensor(float(hyper.step), device=weights.device)],
        lr=hyper.rate,
        beta1=hyper.beta1,
        beta2=hyper.beta2,
        weight_decay=decay,
        eps=hyper.epsilon,
        amsgrad=False,
        maximize=False,
    )
