"""Muon, the optimizer for the hidden matrices (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/).

torch's own Muon orthogonalises in bfloat16, which a processor without bf16 units does very slowly.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalised(matrix: Tensor, *, steps: int = 5) -> Tensor:
    """The nearest orthogonal matrix, roughly, by Newton-Schulz iterations."""
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised; weight decay is decoupled."""

    def __init__(self, params: Iterable[Tensor], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.01):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                self._update(weight, group)

    def _update(self, weight: Tensor, group: dict) -> None:
        state = self.state[weight]
        buffer = state.setdefault("momentum", torch.zeros_like(weight))
        buffer.lerp_(weight.grad, 1 - group["momentum"])
        direction = orthogonalised(weight.grad.lerp(buffer, group["momentum"]))
        scale = max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5
        weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-group["lr"] * scale)
