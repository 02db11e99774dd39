"""Full steps for some columns of a weight, steps of fixed length for the rest (FRUGAL, arXiv 2411.07837)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from studio.engine.reduction import Reduction, Remap
from studio.engine.rounding import round_at_random


class Columns(Reduction):
    """A share of the columns goes to the optimizer; the others take a step against their gradient's sign.

    Args:
        weight: (rows, columns).
        share: of the columns.
        sign_scale: length of a sign step in learning rates.
    """

    steps_at_once = True

    def __init__(self, weight: torch.Tensor, *, share: float, sign_scale: float) -> None:
        count = max(1, round(share * weight.shape[1]))
        self._sign_scale = sign_scale
        self._columns = torch.arange(count, device=weight.device)
        self._total = weight.shape[1]
        self.core = nn.Parameter(torch.zeros(weight.shape[0], count, device=weight.device))

    def choose(self, weight: torch.Tensor, grad: torch.Tensor, generator: torch.Generator) -> Remap | None:
        """Other columns; their optimizer state begins afresh."""
        drawn = torch.randperm(self._total, generator=generator)[: len(self._columns)]
        self._columns = drawn.sort().values.to(weight.device)
        return torch.zeros_like

    def reduce(self, weight: torch.Tensor, grad: torch.Tensor, rate: float, noise: torch.Generator) -> torch.Tensor:
        """The chosen columns' gradient; the others step at once, so that nothing of theirs is kept."""
        step = grad.sign().float()
        step[:, self._columns] = 0.0
        weight.copy_(round_at_random(weight.float() - rate * self._sign_scale * step, weight.dtype, noise))
        return grad[:, self._columns].float()

    def apply(self, weight: torch.Tensor, shrink: float, noise: torch.Generator) -> None:
        """What the core moved by; the core starts from zero again."""
        moved = weight.float() * shrink
        moved[:, self._columns] += self.core.data
        weight.copy_(round_at_random(moved, weight.dtype, noise))
        self.core.data.zero_()

    def state(self) -> dict[str, Any]:
        """Which columns."""
        return {"columns": self._columns}

    def load_state(self, state: dict[str, Any]) -> None:
        """Which columns."""
        self._columns = state["columns"].to(self.core.device)
