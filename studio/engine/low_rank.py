"""Gradients seen in their main directions only (GaLore, arXiv 2403.03507), with or without the natural gradient.

Our own rather than galore-torch: its projector objects sit in the optimizer's state, which then cannot be saved
without pickle, and it projects after all gradients exist.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from studio.engine.reduction import Reduction, Remap
from studio.engine.rounding import round_at_random

_SPARE = 8
_POWER_ITERATIONS = 2


def main_directions(matrix: torch.Tensor, rank: int, generator: torch.Generator) -> torch.Tensor:
    """(rows, rank) orthonormal: the leading left singular vectors, by randomised subspace iteration (arXiv 0909.4061).

    The start is drawn on the CPU, so that every device and process begins alike.
    """
    rows, columns = matrix.shape
    width = min(rank + _SPARE, rows, columns)
    start = torch.randn(columns, width, generator=generator).to(matrix.device)
    basis = torch.linalg.qr(matrix @ start).Q
    for _ in range(_POWER_ITERATIONS):
        basis = torch.linalg.qr(matrix @ (matrix.T @ basis)).Q
    turn = torch.linalg.svd(basis.T @ matrix, full_matrices=False).U
    return (basis @ turn)[:, :rank].contiguous()


class LowRank(Reduction):
    """The gradient along its `rank` main directions, on the shorter side of the weight.

    Args:
        weight: (rows, columns).
        scale: what steps are multiplied by on their way back to the weight.
        history: steps of gradients remembered for the natural gradient (Natural GaLore, arXiv 2410.16029); 0 for none.
    """

    def __init__(self, weight: torch.Tensor, *, rank: int, scale: float, history: int = 0) -> None:
        self._is_wide = weight.shape[0] <= weight.shape[1]
        self._rank = min(rank, *weight.shape)
        self._scale = scale
        shape = (self._rank, weight.shape[1]) if self._is_wide else (weight.shape[0], self._rank)
        self.core = nn.Parameter(torch.zeros(shape, device=weight.device))
        self._basis = torch.zeros(min(weight.shape), self._rank, device=weight.device)
        self._past: list[torch.Tensor] = []
        self._history = history

    def choose(self, weight: torch.Tensor, grad: torch.Tensor, generator: torch.Generator) -> Remap | None:
        """New main directions. The optimizer's state is left as it is, as the paper does; the history is not."""
        self._basis = main_directions(grad if self._is_wide else grad.T, self._rank, generator)
        self._past = []
        return None

    def reduce(self, weight: torch.Tensor, grad: torch.Tensor, rate: float, noise: torch.Generator) -> torch.Tensor:
        """Coordinates along the directions."""
        grad = grad.float()
        return self._basis.T @ grad if self._is_wide else grad @ self._basis

    def precondition(self) -> None:
        """g -> (F + damping)^-1 g with F the mean outer product of the last gradients, by Woodbury's identity."""
        grad = self.core.grad
        assert grad is not None
        if not self._history:
            return
        self._past = [*self._past, grad.flatten().clone()][-self._history :]
        past = torch.stack(self._past) / len(self._past) ** 0.5
        inner = past @ past.T
        damping = inner.diagonal().mean().clamp_min(1e-30)
        eye = torch.eye(len(inner), device=inner.device)
        known = torch.linalg.solve(damping * eye + inner, past @ grad.flatten())
        # Divided by the damping the length would be another unit; times it, it stays a gradient's.
        self.core.grad = grad - (past.T @ known).view_as(grad)

    def apply(self, weight: torch.Tensor, shrink: float, noise: torch.Generator) -> None:
        """What the core moved by, back in the weight's own coordinates; the core starts from zero again."""
        core = self.core.data
        step = self._basis @ core if self._is_wide else core @ self._basis.T
        weight.copy_(round_at_random(weight.float() * shrink + self._scale * step, weight.dtype, noise))
        core.zero_()

    def state(self) -> dict[str, Any]:
        """Directions and history."""
        return {"basis": self._basis, "past": self._past}

    def load_state(self, state: dict[str, Any]) -> None:
        """Directions and history."""
        self._basis = state["basis"].to(self.core.device)
        self._past = [past.to(self.core.device) for past in state["past"]]
