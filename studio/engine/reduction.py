"""What stands for one weight before the optimizer: how its gradient is made short, and what a step of it means.

Kinds of it: low_rank.py, columns.py, sparse.py. Who drives them: reduced.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Remap = Callable[[torch.Tensor], torch.Tensor]


class Reduction:
    """One weight's stand-in.

    Attributes:
        core: what the optimizer sees; fp32.
    """

    core: nn.Parameter
    steps_at_once = False
    """Whether `reduce` changes the weight, so that all processes must give it the same gradient."""

    def choose(self, weight: torch.Tensor, grad: torch.Tensor, generator: torch.Generator) -> Remap | None:
        """Settle anew what the core stands for.

        Args:
            weight, grad: (rows, columns).

        Returns:
            What carries optimizer state over from the old core to the new one (a function of a tensor of the core's
            shape), or None when the state stays as it is.
        """
        raise NotImplementedError

    def reduce(self, weight: torch.Tensor, grad: torch.Tensor, rate: float, noise: torch.Generator) -> torch.Tensor:
        """The core's gradient from the weight's (rows, columns), of one micro-batch.

        `rate` is this micro-batch's share of the learning rate, for those that take a step of their own here.
        """
        raise NotImplementedError

    def precondition(self) -> None:
        """Called when the core's gradient is complete."""

    def apply(self, weight: torch.Tensor, shrink: float, noise: torch.Generator) -> None:
        """Carry over to the weight what the optimizer did to the core; weight decay multiplies by `shrink` first."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """What a resumed run must know."""
        raise NotImplementedError

    def load_state(self, state: dict[str, Any]) -> None:
        """Put back what `state` gave (tensors are on the CPU)."""
        raise NotImplementedError


def matrix(tensor: torch.Tensor) -> torch.Tensor:
    """As (rows, columns); fused experts are taken for one tall matrix."""
    return tensor.detach().flatten(0, -2)


def carry_over(optimizer: torch.optim.Optimizer, core: nn.Parameter, remap: Remap) -> None:
    """Take a core's optimizer state along to what it stands for now; state in 8 bits cannot be taken apart and goes."""
    state = optimizer.state.get(core)
    if not state:
        return
    shaped = [key for key, value in state.items() if torch.is_tensor(value) and value.shape == core.shape]
    if any(state[key].dtype == torch.uint8 for key in shaped) or not shaped:
        del optimizer.state[core]
        return
    for key in shaped:
        state[key] = remap(state[key])
