"""A few single entries of each weight are trained: chosen by what the weight is (LIFT) or by its gradient (SpIEL)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from studio.engine.low_rank import main_directions
from studio.engine.reduction import Reduction, Remap


class Sparse(Reduction):
    """Exact values of some entries; optimizer state moves along with the entries that stay.

    Args:
        weight: (rows, columns).
        count: of entries.
    """

    def __init__(self, weight: torch.Tensor, *, count: int) -> None:
        self._count = min(count, weight.numel())
        self._index = torch.arange(self._count, device=weight.device)
        self.core = nn.Parameter(weight.flatten()[self._index].float()[None].clone())

    def reduce(self, weight: torch.Tensor, grad: torch.Tensor, rate: float, noise: torch.Generator) -> torch.Tensor:
        """The chosen entries' gradient."""
        return grad.flatten()[self._index].float()[None]

    def apply(self, weight: torch.Tensor, shrink: float, noise: torch.Generator) -> None:
        """The entries take the core's values; it is exact, so decay is the optimizer's matter."""
        weight.view(-1)[self._index] = self.core.data[0].to(weight.dtype)

    def state(self) -> dict[str, Any]:
        """Which entries, and their exact values."""
        return {"index": self._index, "core": self.core.detach()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Which entries, and their exact values."""
        self._index = state["index"].to(self.core.device)
        self.core.data.copy_(state["core"])

    def _move_to(self, index: torch.Tensor, weight: torch.Tensor) -> Remap:
        """Stand for other entries: those that stay keep their exact value and their state, new ones begin with none."""
        place = torch.searchsorted(self._index, index).clamp_max(self._count - 1)
        stays = self._index[place] == index

        def remap(old: torch.Tensor) -> torch.Tensor:
            return torch.where(stays, old[0][place], torch.zeros_like(old[0]))[None]

        fresh = weight.flatten()[index].float()
        self.core.data = torch.where(stays, self.core.data[0][place], fresh)[None]
        self._index = index
        return remap


class Principal(Sparse):
    """The largest entries of the weight's low-rank part (LIFT, arXiv 2506.00772).

    Args:
        rank: of the low-rank part; as many entries are trained as an adapter of this rank has numbers.
    """

    def __init__(self, weight: torch.Tensor, *, rank: int) -> None:
        super().__init__(weight, count=rank * sum(weight.shape))
        self._rank = min(rank, *weight.shape)

    def choose(self, weight: torch.Tensor, grad: torch.Tensor, generator: torch.Generator) -> Remap | None:
        """By the weight as it is now."""
        exact = weight.float()
        basis = main_directions(exact, self._rank, generator)
        part = (basis @ (basis.T @ exact)).abs_().flatten()
        return self._move_to(part.topk(self._count).indices.sort().values, weight)


class Growing(Sparse):
    """Entries that moved least are dropped, those with the largest gradient take their place (SpIEL, arXiv 2401.16405).

    Args:
        density: share of all entries.
        turnover: share of the trained entries that is exchanged at each choice.
    """

    def __init__(self, weight: torch.Tensor, *, density: float, turnover: float) -> None:
        super().__init__(weight, count=max(1, round(density * weight.numel())))
        self._turnover = turnover
        self._before = self.core.detach().clone()  # values of the entries before they were trained
        self._is_first = True

    def choose(self, weight: torch.Tensor, grad: torch.Tensor, generator: torch.Generator) -> Remap | None:
        """Drop and grow; a dropped entry goes back to what it was."""
        sizes = grad.abs().flatten()
        if self._is_first:
            self._is_first = False
            index = sizes.topk(self._count).indices.sort().values
            self._before = weight.flatten()[index].float()[None]
            return self._move_to(index, weight)
        return self._exchange(weight, sizes)

    def state(self) -> dict[str, Any]:
        """With what the entries were."""
        return {**super().state(), "before": self._before, "is_first": self._is_first}

    def load_state(self, state: dict[str, Any]) -> None:
        """With what the entries were."""
        super().load_state(state)
        self._before = state["before"].to(self.core.device)
        self._is_first = state["is_first"]

    def _exchange(self, weight: torch.Tensor, sizes: torch.Tensor) -> Remap:
        number = min(int(self._turnover * self._count), weight.numel() - self._count)
        order = (self.core.data - self._before)[0].abs().argsort()
        dropped, kept = order[:number], order[number:]
        weight.view(-1)[self._index[dropped]] = self._before[0][dropped].to(weight.dtype)
        sizes[self._index] = -1.0
        grown = sizes.topk(number).indices
        index = torch.cat([self._index[kept], grown])
        before = torch.cat([self._before[0][kept], weight.flatten()[grown].float()])
        index, places = index.sort()
        self._before = before[places][None]
        return self._move_to(index, weight)
